"""Sources of series that are easily misread, and what comes back of them after a fit of two steps."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import aegan
from aegan.data.series import SeriesAdapter
from aegan.data.series_write import write_series
from aegan.errors import AeganWarning, DataError

SMALL = {"state": "8", "hidden": "8", "parts": "2", "latent_dim": "4", "width": "4", "batch_size": "8"}
HOURS = pd.date_range("2024-01-01", periods=60, freq="h")
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=60)


def fitted(source: Any, **options: Any) -> aegan.Estimator:
    """A run that has learnt next to nothing."""
    return aegan.fit(
        source, kind="series", steps=2, settings=SMALL, evaluate=False, doctor=False, quiet=True, precision="fp32",
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("container", ["pandas", "dict", "csv", "index"])
def test_channels_that_are_named_come_back_alone(container: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"t": HOURS, "v": NOISE, "k": np.arange(60) % 5})
    source: Any = {"pandas": frame, "dict": frame.to_dict("list"), "index": frame.set_index("t")}.get(container)
    if container == "csv":
        source = tmp_path / "source.csv"
        frame.to_csv(source, index=False)
    made = fitted(source, window=12, channels=["v"]).sample(1)
    assert list(made) == (["v"] if container == "index" else ["t", "v"])


def test_completing_keeps_classes_that_change_rows_in_their_order_and_names_what_it_leaves_out() -> None:
    frame = pd.DataFrame({"v": NOISE, "c": ["a"] * 30 + ["b"] * 30}, index=HOURS)
    gaps = frame.assign(v=frame["v"].mask(np.arange(60) == 3), note="x")
    run = fitted(frame, window=12, label="c")
    with pytest.warns(AeganWarning, match="columns note"):
        whole = run.complete(gaps)
    assert whole["c"].tolist() == frame["c"].tolist() and whole["v"].notna().all()

    days = pd.date_range("2024", periods=12)
    panel = pd.DataFrame({"day": np.repeat(days, 5), "id": np.tile(np.arange(5), 12), "v": np.arange(60.0)})
    panel.index += 100
    run = fitted(panel, id="id")
    whole = run.complete(panel.assign(v=panel["v"].mask(panel["v"] == 7)))
    assert whole.index.equals(panel.index) and whole["id"].tolist() == panel["id"].tolist()
    assert (whole["v"].drop(107) == panel["v"].drop(107)).all()
    keyed = run.complete(panel.set_index(["id", "day"]))
    assert {"id", "day"} <= set(keyed.columns) and keyed.index.nlevels == 1
    without = panel.drop(107)  # a step of the grid that is not there at all is put in behind the one before
    assert run.complete(without)["id"].tolist() == [0, 1, 2, 2, 3, 4, 0, 1, 3, 4, *panel["id"].tolist()[10:]]
    stamped = fitted(panel.set_index("day"), id="id").complete(without.set_index("day"))  # the stamps go along
    assert stamped["id"].tolist()[:4] == [0, 1, 2, 2]
    assert stamped.index[:5].tolist() == [days[0]] * 3 + [days[1], days[0]]


def test_ends_that_are_missing_are_filled_where_all_series_are_of_one_length() -> None:
    x = RNG.normal(size=(20, 8, 2))
    gaps = x[:4].copy()
    gaps[1:, 5:] = np.nan
    whole = fitted(x).complete(gaps)
    assert whole.shape == (4, 8, 2) and np.isfinite(whole).all() and np.array_equal(whole[0], x[0])


def test_known_values_that_the_data_type_would_round_stay() -> None:
    frame = pd.DataFrame({"k": np.arange(60) % 5, "b": np.arange(60) % 3 == 0}, index=HOURS)
    run = fitted(frame, window=12)
    gaps = frame.astype({"k": float, "b": object})
    gaps.iloc[0, 0], gaps.iloc[1, 0], gaps.iloc[1, 1] = 2.5, np.nan, None
    whole = run.complete(gaps)
    assert whole["k"].iloc[0] == 2.5 and whole["b"].iloc[[0, 2]].tolist() == [True, False] and whole.notna().all(None)
    assert run.complete(gaps.astype({"b": "bool[pyarrow]"})).notna().all(None)


def test_samples_of_windows_are_apart_in_files_of_series(tmp_path: Path) -> None:
    frame = pd.DataFrame({"v": NOISE, "c": ["a"] * 30 + ["b"] * 30}, index=HOURS)
    run = fitted(frame, window=12, label="c")
    run.write_samples(6, tmp_path / "made.npz")
    made = np.load(tmp_path / "made.npz")
    told = run.sample(6)
    assert made["x"].shape == (6, 12, 1) and made["y"].tolist() == told["c"].tolist()[::12]
    run.write_samples(6, tmp_path / "made.ts")
    lines = (tmp_path / "made.ts").read_text().splitlines()
    assert sum(line[:1] in "-0123456789" for line in lines) == 6


def test_days_as_whole_numbers_are_days() -> None:
    days = pd.date_range("2024-01-20", periods=60).strftime("%Y%m%d").astype(int)
    adapter = SeriesAdapter(window=12).fit(pd.DataFrame({"date": days, "v": NOISE}))
    made = adapter.from_tensors(torch.zeros(1, 12, 1))
    assert adapter.clock is not None and adapter.clock.describe() == "a step every 1 days"
    assert made["date"].tolist()[:3] == [20240320, 20240321, 20240322] and made["date"].dtype == days.dtype


def test_stamps_without_a_zone_are_those_of_the_runs_zone() -> None:
    frame = pd.DataFrame({"v": NOISE}, index=HOURS.tz_localize("Europe/Berlin"))
    run = fitted(frame, window=12)
    ahead = run.forecast(frame.tz_localize(None), steps=1, num=2).to_frame().iloc[0, 0]
    assert ahead == frame.index[-1] + pd.Timedelta("1h")


@pytest.mark.parametrize("kind", ["text", "date"])
def test_an_index_of_dates_that_is_no_datetime_index_is_time(kind: str) -> None:
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(60)]
    index = days if kind == "date" else [str(day) for day in days]
    frame = pd.DataFrame({"v": np.arange(60.0)}, index=pd.Index(index, dtype=object)).sample(frac=1, random_state=0)
    with pytest.warns(AeganWarning, match="not in order"):
        adapter = SeriesAdapter(window=12).fit(frame)
    assert adapter.clock is not None and adapter.clock.describe() == "a step every 1 days"
    with pytest.warns(AeganWarning, match="spans of time"):
        SeriesAdapter(window=12).fit(frame.set_axis(pd.to_timedelta(np.arange(60), unit="h")))


def test_months_keep_their_day_behind_a_shorter_month_and_their_end() -> None:
    thirtieth = pd.DatetimeIndex([pd.Timestamp(2024, 3, 30) + pd.DateOffset(months=k) for k in range(10)])
    ends = pd.date_range("2023-01-31", periods=12, freq="2ME")
    for index, after in ((thirtieth, ["01-30", "02-28", "03-30"]), (ends, ["01-31", "03-31", "05-31"])):
        adapter = SeriesAdapter(window=3).fit(pd.DataFrame({"v": NOISE[: len(index)]}, index=index))
        made = adapter.from_tensors(torch.zeros(1, 3, 1))
        assert made.index.strftime("%m-%d").tolist() == after
        again = SeriesAdapter.from_json(adapter.to_json()).from_tensors(torch.zeros(1, 3, 1))
        assert again.index.equals(made.index)


def test_days_of_utc_shown_in_a_zone_with_summer_time_are_regular() -> None:
    index = pd.date_range("2024-01-01", periods=200, freq="D", tz="UTC").tz_convert("Europe/Berlin")
    adapter = SeriesAdapter(window=6).fit(pd.DataFrame({"v": RNG.normal(size=200)}, index=index))
    assert adapter.clock is not None and adapter.clock.describe() == "a step every 1 days"


@pytest.mark.parametrize(
    ("dtype", "known", "base"),
    [("int16", 40_000.0, 0), ("int8", 300.0, 0), ("uint8", -3.0, 0), ("float32", 1e300, 0), ("int64", 4e6 + 0.49, 4e6)],
)
def test_known_values_beyond_the_data_type_stay(dtype: str, known: float, base: float) -> None:
    values = (np.arange(60) % 9 + base).astype(dtype)
    gaps = values.astype("float64")
    gaps[0], gaps[1] = known, np.nan
    whole = fitted(pd.DataFrame({"t": HOURS, "q": values}), window=12).complete(pd.DataFrame({"t": HOURS, "q": gaps}))
    assert whole["q"][0] == known and whole["q"].notna().all() and (whole["q"][2:] == gaps[2:]).all()
    made = fitted(values.reshape(5, 12, 1)).complete(gaps.reshape(5, 12, 1))
    assert made[0, 0, 0] == known and np.isfinite(made).all()


def test_stamps_go_on_behind_the_end_of_nanoseconds() -> None:
    years = pd.DataFrame({"date": pd.date_range("2000", periods=60, freq="YS"), "v": NOISE})
    made = fitted(years, window=6).sample(60)
    assert made["date"].iloc[-1].year == 2059 + 360 and made["date"].dt.month.eq(1).all()
    days = fitted(years.assign(date=pd.date_range("2261-12-01", periods=60)), window=6).sample(60)
    assert days["date"].diff().dropna().eq(pd.Timedelta(days=1)).all()
    text = fitted(years.assign(date=years["date"].dt.strftime("%Y-%m-%d")), window=6).sample(60)
    assert text["date"].iloc[-1] == "2419-01-01"


def test_text_that_all_series_share_is_an_attribute() -> None:
    panel = pd.DataFrame({"pid": np.repeat(range(5), 12), "t": np.tile(range(12), 5), "v": NOISE, "site": "Oslo"})
    assert fitted(panel, id="pid", time="t").sample(2)["site"].eq("Oslo").all()
    assert fitted(panel[panel["pid"] == 0], id="pid", time="t", window=4).sample(2)["site"].eq("Oslo").all()


def test_a_word_among_numbers_is_named_and_an_empty_series_told() -> None:
    frame = pd.DataFrame({"t": HOURS, "v": NOISE.astype(object)})
    frame.loc[17, "v"] = "oops"
    with pytest.raises(DataError, match="'oops' in row 18"):
        fitted(frame, window=12)
    with pytest.raises(DataError, match="no steps"):
        fitted([np.ones((length, 2)) for length in (5, 0, 7)])


def test_files_keep_the_classes_of_their_header(tmp_path: Path) -> None:
    source = tmp_path / "x.arff"
    head = "@relation R\n@attribute a1 numeric\n@attribute a2 numeric\n@attribute target {up, 'down'}\n@data\n"
    source.write_text(head + "".join(f"{i},{i % 3},{('up', 'down')[i % 2]}\n" for i in range(12)))
    made = fitted(source).sample(3, where={"class": "up"})
    adapter: Any = fitted(source).adapter
    for suffix, line in ((".arff", "@attribute target {up,down}"), (".ts", "@classLabel true up down")):
        write_series(made, tmp_path / f"o{suffix}", form=adapter.decoder.form)
        assert line in (tmp_path / f"o{suffix}").read_text()
    source.write_text(head + "1,2,sideways\n")
    with pytest.raises(DataError, match="sideways.*up, down"):
        SeriesAdapter().fit(source)


def test_timegan_takes_small_windows() -> None:
    frame = pd.DataFrame({"t": HOURS, "v": NOISE})
    made = aegan.fit(
        frame, kind="series", window=12, model="timegan", steps=2, evaluate=False, doctor=False, quiet=True
    )
    assert len(made.sample(2)) == 24
