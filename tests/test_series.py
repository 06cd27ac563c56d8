"""Time series through the library's doors: fit, sample, conditions, longer ones, gaps, forecasts, evaluation, files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import aegan
from aegan.cli.main import main
from aegan.data.kinds import detect_kind
from aegan.errors import AeganWarning, ConfigError, DataError
from aegan.series import draw
from aegan.series_filling import forecast_series
from aegan.series_judging import side_by_side

SMALL = {"state": "24", "hidden": "12", "parts": "3", "latent_dim": "6", "width": "8", "batch_size": "32", "lr": "5e-3"}
OPTIONS = {"evaluate": False, "doctor": False, "precision": "fp32"}


def hours(n: int = 900, seed: int = 0) -> pd.DataFrame:
    """A damped swing with a noise of its own, whole numbers that follow it, and something that never changes."""
    rng = np.random.default_rng(seed)
    a = np.zeros(n)
    for t in range(2, n):
        a[t] = 1.5 * a[t - 1] - 0.8 * a[t - 2] + rng.normal()
    frame = pd.DataFrame({"swing": a.round(3), "count": np.round(3 * a).astype("int64"), "fixed": 4.5})
    return frame.set_index(pd.date_range("2024-03-01", periods=n, freq="h", name="when"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> aegan.Estimator:
    out = tmp_path_factory.mktemp("series") / "run"
    return aegan.fit(hours(), out=out, window=12, steps=340, settings=SMALL | {"gaps_share": "0.25"}, **OPTIONS)


def people(n: int = 120) -> pd.DataFrame:
    """Several series in long form, of differing length, with an attribute and a class that shape them."""
    rng = np.random.default_rng(0)
    parts = []
    for i in range(n):
        ward, size = ("A", "B", "C")[i % 3], int(rng.integers(6, 12))
        level = {"A": 0.0, "B": 5.0, "C": 10.0}[ward]
        value = level + rng.normal(size=size).cumsum() * 0.2
        ill = "yes" if ward == "C" else "no"
        parts.append(pd.DataFrame({"id": f"p{i}", "day": range(size), "value": value, "ward": ward, "ill": ill}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def wards(tmp_path_factory: pytest.TempPathFactory) -> aegan.Estimator:
    out = tmp_path_factory.mktemp("wards") / "run"
    options = OPTIONS | {"id": "id", "time": "day", "label": "ill"}
    return aegan.fit(people(), out=out, kind="series", steps=280, settings=SMALL, **options)


def test_frames_with_time_stamps_as_index_are_series() -> None:
    assert detect_kind(hours()) == "series" and detect_kind(hours().to_period("h")) == "series"
    assert detect_kind(hours()["swing"]) == "series" and detect_kind(hours().reset_index()) == "table"


def test_samples_come_in_the_form_of_the_data_and_go_on_in_time(run: aegan.Estimator) -> None:
    made, real = run.sample(3), hours()
    assert made.shape == (36, 3) and list(made.columns) == list(real.columns) and made.index.name == "when"
    assert (made.dtypes == real.dtypes).all() and made.index[0] == real.index[-1] + pd.Timedelta("1h")
    assert (made["fixed"] == 4.5).all() and made["swing"].between(real["swing"].min(), real["swing"].max()).all()
    assert run.sample(2).equals(made.iloc[:24]) and not run.sample(3, seed=1).equals(made)


def test_longer_samples_have_no_seams(run: aegan.Estimator) -> None:
    x = draw(run, 1500, seed=0, steps=30).x[..., 0]
    assert x.shape == (1500, 30)
    # New stretches begin at 12, 18 and 24.
    seams, within = [12, 18, 24], [9, 10, 15, 16, 21, 22]

    def correlation(places: list[int], lag: int) -> float:
        pairs = torch.stack([torch.stack([x[:, t], x[:, t - lag]]) for t in places], 2).flatten(1)
        return torch.corrcoef(pairs)[0, 1].item()

    for lag in (1, 2, 4):
        assert correlation(seams, lag) == pytest.approx(correlation(within, lag), abs=0.1), lag
    jumps = (x[:, 1:] - x[:, :-1]).abs().mean(0)
    at = [t - 1 for t in seams]
    assert jumps[at].mean() == pytest.approx(jumps[8:].mean().item(), rel=0.15)
    assert x[:, 24:].std() == pytest.approx(x[:, :12].std().item(), rel=0.25)


def test_shards_hold_what_one_file_would(run: aegan.Estimator, tmp_path: Path) -> None:
    run.write_samples(300, tmp_path / "parts", shard=256)
    parts = pd.concat([pd.read_parquet(path) for path in sorted((tmp_path / "parts").glob("*.parquet"))])
    whole = run.sample(300)
    assert np.array_equal(parts["swing"], whole["swing"]) and np.array_equal(parts["when"], whole.index)


def test_a_longer_sample_begins_as_the_short_one_does(run: aegan.Estimator) -> None:
    assert run.sample(1, steps=40).iloc[:12].equals(run.sample(1))
    with pytest.raises(ConfigError, match="a whole number of at least 1"):
        run.sample(1, steps=0)


def test_gaps_are_filled_and_all_else_stays(run: aegan.Estimator) -> None:
    frame = hours().iloc[:120].astype({"count": "float64"})
    holes = frame.copy()
    holes.iloc[20:24, 0] = np.nan
    holes.iloc[40:42] = np.nan
    holes = holes.drop(holes.index[90])  # a step that is not there at all
    done = run.complete(holes)
    assert len(done) == 120 and not done.isna().any().any()
    known = holes.notna().reindex(done.index, fill_value=False).to_numpy()
    assert np.array_equal(done.to_numpy()[known], frame.to_numpy()[known])
    middle = np.mean([run.complete(holes, seed=s)["swing"] for s in range(8)], axis=0)
    error = np.abs(middle - frame["swing"])[~known[:, 0]].mean()
    assert error < 0.6 * np.abs(frame["swing"] - frame["swing"].mean()).mean()
    assert run.complete(holes).equals(done) and not run.complete(holes, seed=1).equals(done)


def test_forecasts_follow_what_came_last(run: aegan.Estimator) -> None:
    past = hours(300, seed=3)
    found = run.forecast(past, steps=20, num=200)
    assert found.samples[0].shape == (200, 20, 3)
    low, high = found.quantile(0.05)[0], found.quantile(0.95)[0]
    assert (low <= high).all() and (found.samples[0][:, :, 2] == 4.5).all()
    # What comes next is surer than what comes late.
    assert (high - low)[0, 0] < 0.6 * (high - low)[15, 0]
    a = past["swing"].to_numpy()
    assert found.samples[0][:, 0, 0].mean() == pytest.approx(1.5 * a[-1] - 0.8 * a[-2], abs=1.5)
    frame = found.to_frame([0.1, 0.9])
    assert list(frame.columns[:4]) == ["when", "swing mean", "swing q0.1", "swing q0.9"] and len(frame) == 20
    assert frame["when"].iloc[0] == past.index[-1] + pd.Timedelta("1h")
    with pytest.raises(ConfigError, match="from 0 to 1"):
        found.quantile(1.5)


def test_forecasts_are_as_sure_as_they_should_be(run: aegan.Estimator) -> None:
    future = hours(1500, seed=5)
    inside = []
    for end in range(100, 1480, 40):
        found = run.forecast(future.iloc[end - 30 : end], steps=4, num=60)
        real = future["swing"].to_numpy()[end : end + 4]
        inside += list((real >= found.quantile(0.1)[0][:, 0]) & (real <= found.quantile(0.9)[0][:, 0]))
    assert 0.6 < np.mean(inside) < 0.95


def test_conditions_on_class_and_attributes_are_met_by_every_sample(wards: aegan.Estimator) -> None:
    made = wards.sample(40, where={"ward": "B"})
    assert set(made["ward"]) == {"B"} and set(made["ill"]) <= {"no", "yes"}
    ends = made.groupby("id")["value"].mean()
    assert (ends.between(2.5, 7.5)).mean() > 0.85
    ill = wards.sample(40, where={"class": "yes"})
    assert set(ill["ill"]) == {"yes"} and (ill.groupby("id")["value"].mean() > 7.0).mean() > 0.8
    assert wards.sample(10, where={"ill": "yes"}).equals(wards.sample(10, where={"class": "yes"}))
    short = wards.sample(30, where={"length": "6..7"})
    assert short.groupby("id").size().isin((6, 7)).all()
    both = wards.sample(20, where={"ward": "C", "class": "yes"})
    assert set(both["ward"]) == {"C"} and set(both["ill"]) == {"yes"}


def test_unknown_classes_attributes_and_values_are_refused_at_sampling(wards: aegan.Estimator) -> None:
    with pytest.raises(ConfigError, match="class=maybe: no such class"):
        wards.sample(2, where={"class": "maybe"})
    with pytest.raises(ConfigError, match="ward"):
        wards.sample(2, where={"ward": "Z"})
    with pytest.raises(ConfigError, match="unknown condition.*ward"):
        wards.sample(2, where={"wart": "A"})
    with pytest.raises(ConfigError, match="id=…: unknown condition"):
        wards.sample(2, where={"id": "p999"})
    with pytest.raises(ConfigError, match="learnt as wholes"):
        wards.sample(2, steps=50)
    with pytest.raises(ConfigError, match="of differing length"):
        wards.forecast(people(), steps=3)


def test_classes_of_a_source_that_the_fit_did_not_know_are_refused(wards: aegan.Estimator) -> None:
    other = people(6).replace({"ill": {"no": "unsure"}})
    with pytest.raises(DataError, match="unsure"):
        wards.complete(other)


def test_runs_load_encode_reconstruct_and_refuse_other_kinds(run: aegan.Estimator, wards: aegan.Estimator) -> None:
    again = aegan.load(run.run.path)
    assert again.sample(2).equals(run.sample(2))
    codes = again.encode(hours().iloc[:24])
    assert codes.shape == (13, 6) and len(again.decode(codes[:2])) == 24
    rebuilt = wards.reconstruct(people(9))
    assert rebuilt.groupby("id").size().tolist() == people(9).groupby("id", sort=False).size().tolist()
    assert set(wards.decode(wards.encode(people(9)))["ward"]) <= {"A", "B", "C"}
    with pytest.raises(ConfigError, match="for table data"):
        run.sample(2, balance="swing")


def test_channels_without_a_value_and_with_few_are_learnt_around(tmp_path: Path) -> None:
    frame = hours(200)
    frame["empty"] = np.nan
    frame.loc[frame.index[::3], "swing"] = np.nan
    with pytest.warns(AeganWarning, match="empty"):
        run = aegan.fit(frame, out=tmp_path / "run", window=8, steps=40, settings=SMALL, **OPTIONS)
    made = run.sample(3)
    assert made["empty"].isna().all() and not made["swing"].isna().any() and (made["fixed"] == 4.5).all()


def test_one_series_only_is_cut_and_too_short_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"20 steps, the window 24.*--window"):
        aegan.fit(hours(20), out=tmp_path / "short", window=24, steps=3, settings=SMALL, **OPTIONS)
    assert not (tmp_path / "short").exists()
    with pytest.warns(AeganWarning, match="one series only"):
        one = np.random.default_rng(0).normal(size=(1, 60, 2))
        run = aegan.fit(one, kind="series", out=tmp_path / "one", steps=6, settings=SMALL, **OPTIONS)
    assert run.sample(2).shape[1:] == (run.adapter.spec.shape[0], 2)


def test_series_too_short_for_a_holdout_are_learnt_without_one(tmp_path: Path) -> None:
    with pytest.warns(AeganWarning, match="No holdout"):
        run = aegan.fit(hours(30), out=tmp_path / "run", window=16, steps=6, settings=SMALL, **OPTIONS)
    assert run.holdout is None


def test_stamps_out_of_order_are_sorted_and_double_ones_refused(run: aegan.Estimator) -> None:
    past = hours(60)
    with pytest.warns(AeganWarning, match="order"):
        mixed = run.forecast(past.sample(frac=1.0, random_state=0), steps=2, num=5)
    assert np.array_equal(mixed.samples[0], run.forecast(past, steps=2, num=5).samples[0])
    with pytest.raises(DataError, match="twice|duplicate|occurs"):
        run.forecast(pd.concat([past, past.iloc[-1:]]), steps=2)
    with pytest.raises(DataError, match="frequency"):
        run.forecast(past.set_axis(pd.date_range("2024-03-01", periods=60, freq="37min"), axis=0), steps=2)


def test_mixed_frequencies_become_a_channel_of_gaps(tmp_path: Path) -> None:
    frame = hours(240)
    steps = np.where(np.arange(240) % 2, 1, 3).cumsum()
    frame.index = pd.Timestamp("2024-01-01") + pd.to_timedelta(steps, unit="h")
    with pytest.warns(AeganWarning, match="mixed frequencies"):
        run = aegan.fit(frame, out=tmp_path / "run", window=8, steps=60, settings=SMALL, **OPTIONS)
    gaps = run.sample(3).index.to_series().diff().dropna()
    assert (gaps >= pd.Timedelta("1h")).all() and gaps.nunique() > 1


def test_whole_runs_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"discriminative_iterations": 5, "predictive_iterations": 5}
    monkeypatch.setattr("aegan.series_judging.QUICK", few)
    monkeypatch.setattr("aegan.series_judging.PUBLISHED", few)
    source, out = tmp_path / "hours.csv", tmp_path / "run"
    hours(260).reset_index().to_csv(source, index=False)
    sets = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    fit = ["fit", str(source), "--kind", "series", "--window", "8", "--out", str(out), "--steps", "40", *sets]
    assert main(fit) == 0
    shown = capsys.readouterr().out
    assert "Discriminative score" in shown and "aegan forecast" in shown and "aegan complete" in shown
    report = (out / "report.html").read_text()
    assert "8 steps, 3 channels" in report and "Autocorrelation of swing" in report and "bands-0" in report
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["kind"] == "series" and metrics["rows"][0]["context"] is not None
    assert main(["sample", str(out), "--num", "1", "--steps", "30", "--out", str(tmp_path / "made.csv")]) == 0
    assert len(pd.read_csv(tmp_path / "made.csv")) == 30
    forecast = ["forecast", str(out), str(source), "--steps", "5", "--num", "20", "--quantile", "0.5"]
    assert main([*forecast, "--out", str(tmp_path / "next.csv")]) == 0
    assert list(pd.read_csv(tmp_path / "next.csv").columns[:3]) == ["when", "swing mean", "swing q0.5"]
    judged = ["evaluate", str(source), str(tmp_path / "made.csv"), "--kind", "series", "--window", "8"]
    assert main([*judged, "--html", str(tmp_path / "e.html")]) == 0
    assert "Discriminative" in (tmp_path / "e.html").read_text()
    assert main(["encode", str(out), str(source), "--out", str(tmp_path / "codes.npz")]) == 0
    assert main(["decode", str(out), str(tmp_path / "codes.npz"), "--out", str(tmp_path / "back.csv")]) == 0


def test_sampled_windows_are_judged_without_those_across_their_seams(run: aegan.Estimator) -> None:
    drawn = draw(run, 25, seed=0)
    made = run.adapter.to_tensors(run.sample(25, seed=0))
    assert len(made) == 25 * 12 - 11
    torch.testing.assert_close(side_by_side(run.adapter, made).fields["x"], drawn.x, atol=2e-3, rtol=0)
    going_on = run.adapter.to_tensors(run.sample(1, steps=50))
    assert len(side_by_side(run.adapter, going_on)) == 39


def test_augmented_series_have_the_lengths_and_attributes_of_their_sources(wards: aegan.Estimator) -> None:
    source = people(30)
    source.loc[[2, 40], "value"] = np.nan
    done = wards.augment(source, num=20, checks=(), originals=True)
    sizes, ward = source.groupby("id", sort=False).size(), source.groupby("id", sort=False)["ward"].first()
    made = done.data.groupby("id", sort=False)
    assert made.size().tolist() == sizes.iloc[done.source].tolist()
    assert made["ward"].first().tolist() == ward.iloc[done.source].tolist()
    first = done.data.iloc[: len(source)]
    np.testing.assert_allclose(first["value"].to_numpy(), source["value"].to_numpy(), atol=1e-5)
    assert not done.data["value"].iloc[len(source) :].isna().any()


def test_next_steps_name_what_these_series_can_do(run: aegan.Estimator, wards: aegan.Estimator) -> None:
    assert [line.split()[1] for line in run.kind.next_steps(run)] == ["complete", "forecast"]
    assert [line.split()[1] for line in wards.kind.next_steps(wards)] == ["complete"]


def test_a_forecast_of_what_rises_throughout_says_that_it_is_held(run: aegan.Estimator) -> None:
    rising = hours(200)
    rising["swing"] = np.linspace(-3, 3, 200).round(3)
    with pytest.warns(AeganWarning, match=r"'swing' of the series rises throughout \(correlation with time 1.00\)"):
        ahead = run.forecast(rising, steps=3, num=7)
    assert ahead.to_frame()["swing q0.05"].astype(str).str.len().max() <= 10


def test_forecasts_of_irregular_series_come_when_the_drawn_gaps_say(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    minutes = np.cumsum(np.where(np.arange(400) % 2, 1, 99) + rng.integers(0, 2, 400))  # a median that hardly ever is
    frame = pd.DataFrame({"x": rng.normal(size=400).cumsum().round(2)})
    frame.index = pd.DatetimeIndex(pd.Timestamp("2024-01-01") + pd.to_timedelta(minutes, unit="min"), name="when")
    made = aegan.fit(frame, out=tmp_path / "run", window=8, steps=120, settings=SMALL, **OPTIONS)
    ahead = made.forecast(frame, steps=40, num=50)
    spans = pd.Series(ahead.times[0]) - frame.index[-1]
    assert spans.is_monotonic_increasing and spans.iloc[0] > pd.Timedelta(0)
    assert 0.7 < spans.iloc[-1] / pd.Timedelta(minutes=40 * 50.5) < 1.3


def test_other_models_of_series_sample_by_class_but_do_not_fill(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 10, 2)).cumsum(1)
    y = np.array(["up", "down"])[np.arange(60) % 2]
    tiny = {"autoencoder.latent_dim": "4", "autoencoder.width": "8", "latent.hidden": "16", "joint.width": "8"}
    run = aegan.fit((x, y), kind="series", model="latent-gan", out=tmp_path / "run", steps=9, settings=tiny, **OPTIONS)
    made, labels = run.sample(5, where={"class": "up"})
    assert made.shape == (5, 10, 2) and set(labels) == {"up"}
    assert run.augment((x, y), num=8).x.shape[1:] == (10, 2)
    with pytest.raises(ConfigError, match="cannot fill series"):
        run.complete((x, y))
    with pytest.raises(ConfigError, match="cannot fill series"):
        forecast_series(run, (x, y), steps=2)
