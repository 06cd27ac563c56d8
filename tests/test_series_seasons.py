"""Seasons of long series: found, told to the networks, kept by samples, forecasts and filled gaps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import aegan
from aegan.data.series import SeriesAdapter
from aegan.data.series_seasons import TOLD, seasons
from aegan.errors import ConfigError
from aegan.models.base import noise_for
from aegan.nn.seasons import HARMONICS, Seasons
from aegan.series import draw
from aegan.series_judging import at_like_places, side_by_side
from aegan.types import Spec

SMALL = {"state": "24", "hidden": "12", "parts": "2", "batch_size": "64", "lr": "5e-3", "code_share": "0"}
OPTIONS = {"evaluate": False, "doctor": False, "precision": "fp32"}
DAY = np.sin(2 * np.pi * np.arange(24) / 24)


def days(n: int = 1200, seed: int = 0, begin: str = "2024-03-01") -> pd.DataFrame:
    """Hours with a day's course, and what follows it with noise of its own."""
    rng = np.random.default_rng(seed)
    stamps = pd.date_range(begin, periods=n, freq="h", name="when")
    course = DAY[stamps.hour]
    return pd.DataFrame({"sun": course + 0.2 * rng.normal(size=n), "warmth": rng.normal(size=n)}, index=stamps)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> aegan.Estimator:
    out = tmp_path_factory.mktemp("days") / "run"
    return aegan.fit(days(), out=out, window=10, steps=260, settings=SMALL | {"gaps_share": "0.3"}, **OPTIONS)


def course(frame: pd.DataFrame) -> np.ndarray:
    return frame["sun"].groupby(frame.index.hour).mean().to_numpy()


# --- finding them -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [7.0, 24.0, 30.4])
def test_a_season_in_noise_is_found_and_walks_have_none(period: float) -> None:
    rng, t = np.random.default_rng(0), np.arange(3000)
    walk = 0.3 * rng.normal(size=(3000, 2)).cumsum(0)
    assert seasons(walk) == ()
    found = seasons(walk + 0.8 * np.sin(2 * np.pi * t / period)[:, None] + 0.3 * rng.normal(size=(3000, 2)))
    assert len(found) == 1 and found[0] == pytest.approx(period, rel=0.003)
    assert isinstance(found[0], float) and (found[0] == period or period % 1)


def test_two_seasons_are_found_without_their_harmonics_and_sums() -> None:
    rng, t = np.random.default_rng(0), np.arange(4000)
    # A sawtooth has all harmonics; the product of two seasons has their sums and differences.
    saw, week = (t % 24) / 24, 1 + 0.5 * np.sin(2 * np.pi * t / 168)
    found = seasons((saw * week * 4 + week + 0.1 * rng.normal(size=4000))[:, None])
    assert {24.0, 168.0} <= set(found) and all(abs(168 / s - round(168 / s)) < 0.01 for s in found)


def test_short_events_show_the_season_and_sure_ones_have_no_neighbours() -> None:
    rng, t = np.random.default_rng(0), np.arange(6000)
    for period, share in ((288, 12), (96, 96), (7, 7)):
        event = (t % period < period // share)[:, None] + 0.05 * rng.normal(size=(6000, 1))
        assert period in seasons(event)
    for period in (7, 24, 96):
        assert seasons(np.sin(2 * np.pi * t / period)[:, None] + 0.02 * rng.normal(size=(6000, 1))) == (period,)


def test_what_keeps_no_time_is_no_season() -> None:
    rng, t = np.random.default_rng(0), np.arange(4000.0)
    walk = rng.normal(size=4000).cumsum()
    for counter in (1e6 + 0.1 * t, 1.7e9 + t, t**2 * 1e-3):
        assert seasons(np.stack([walk, counter], 1)) == () == seasons(counter[:, None])
    walk[np.arange(4000) % 7 == 6] = np.nan  # Sundays
    assert seasons(walk[:, None]) == ()


def test_natural_seasons_are_preferred_where_there_are_stamps() -> None:
    rng, t = np.random.default_rng(0), np.arange(3652)
    value = 3 * np.sin(2 * np.pi * t / 365.25) + (t % 7 >= 5) + 0.3 * rng.normal(size=3652)
    frame = pd.DataFrame({"x": value}, index=pd.date_range("2010-01-01", periods=3652, freq="D"))
    assert set(SeriesAdapter(window=28).fit(frame).spec.seasons) == {7.0, 365.25}


def test_lines_between_hourly_values_are_a_season() -> None:
    rng = np.random.default_rng(0)
    hourly = rng.normal(size=400).cumsum()
    drawn = np.interp(np.arange(2394) / 6, np.arange(400), hourly)
    assert seasons(drawn[:, None]) == (6.0,)


def test_too_short_and_constant_series_have_none() -> None:
    assert seasons(np.ones((900, 2))) == seasons(np.tile(DAY, 4)[:, None]) == seasons(np.ones((2, 1))) == ()


def test_what_comes_some_seven_or_eight_times_is_found_or_not_but_never_an_error() -> None:
    rng, t = np.random.default_rng(0), np.arange(400)
    for cycles in np.linspace(6.5, 9.0, 26):
        found = seasons(np.sin(2 * np.pi * cycles * t / 398)[:, None] + 0.1 * rng.normal(size=(400, 1)))
        assert all(season < 400 / 7.4 for season in found)
        assert found or cycles < 8.3
    slow = np.stack([np.sin(t / 9) + 0.1 * rng.normal(size=400), np.cos(t / 14) + 0.05 * rng.normal(size=400)], 1)
    assert seasons(slow) == ()


# --- the adapter --------------------------------------------------------------------------------------------


def test_the_adapter_knows_the_place_of_every_window_by_its_stamps() -> None:
    adapter = SeriesAdapter(window=10).fit(days())
    assert adapter.spec.seasons == (24.0,) and "seasons: 24 steps (1 days)" in adapter.summary
    assert adapter.to_tensors(days()).fields["place"].tolist() == list(range(1191))
    later = days(50, begin="2024-03-03 05:00")
    assert adapter.to_tensors(later).fields["place"][0] == 53
    earlier = days(50, begin="2024-02-28 05:00")
    assert adapter.to_tensors(earlier).fields["place"][0] == -43
    again = SeriesAdapter.from_json(json.loads(json.dumps(adapter.to_json())))
    assert again.spec == adapter.spec and again.to_json() == adapter.to_json()
    assert Spec.from_json(json.loads(json.dumps(adapter.spec.to_json()))) == adapter.spec


def test_series_of_a_panel_share_one_line_of_time() -> None:
    parts = [days(400, seed=i, begin=f"2024-03-0{i + 1} 07:00").assign(id=i).reset_index() for i in range(3)]
    adapter = SeriesAdapter(window=10, id="id", time="when").fit(pd.concat(parts, ignore_index=True))
    assert adapter.spec.seasons == (24.0,)
    data = adapter.to_tensors(pd.concat(parts, ignore_index=True))
    first = data.fields["origin"][:, 1] == 0
    assert (data.fields["place"][first] % 24 == data.fields["place"][0] % 24).all()
    assert len(data.fields["place"][first].unique()) == 3


def test_seasons_can_be_given_and_refused() -> None:
    noise = np.random.default_rng(0).normal(size=300)
    assert SeriesAdapter(window=10, seasons=[12, 50.5]).fit(noise).spec.seasons == (12.0, 50.5)
    assert SeriesAdapter(window=10, seasons=[]).fit(days()).spec.seasons == ()
    for wrong in ([1], ["day"], 24, "24", [float("inf")]):
        with pytest.raises(ConfigError, match=r"expected numbers of steps of at least 2, as in \[24\]"):
            SeriesAdapter(seasons=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="wholes, which have no window"):
        SeriesAdapter(seasons=[24]).fit(np.random.default_rng(0).normal(size=(30, 20, 1)))
    with pytest.raises(ConfigError, match="several without regular time stamps"):
        SeriesAdapter(seasons=[24], window=5).fit(np.random.default_rng(0).normal(size=(30, 20, 1)))


# --- the networks -------------------------------------------------------------------------------------------


def test_as_many_harmonics_are_told_as_are_looked_for() -> None:
    assert TOLD == HARMONICS


def test_phases_come_again_after_a_cycle() -> None:
    day = Seasons([24.0, 168.0])
    assert day.cycle == 168 and torch.equal(day.tried().sort().values, torch.arange(168))
    phases = day(torch.tensor([5, 5 + 168, 6]), 4)
    assert torch.equal(phases[0], phases[1]) and torch.allclose(phases[0, 1:], phases[2, :3])
    assert Seasons([2.0]).size == 2 and Seasons([30.4]).cycle == 2**16 and not Seasons([30.4]).exact
    capped = Seasons([105120.0, 288.0, 2016.0])
    assert capped.cycle % 2016 == 0 and 60_000 < capped.cycle <= 2**16 and not capped.exact
    long = Seasons([12.0, 2016.0])
    assert len(long.tried()) == 512 == len(long.tried().unique()) and len((long.tried() % 12).unique()) == 12
    assert day.drawn(torch.tensor([0.0, 1.0])).tolist() == [0, 167] and day.gap == 1
    day.begun.zero_()
    day.learn(torch.tensor([12, 180 + 24, 5 + 168]))
    assert set(day.drawn(torch.rand(100)).tolist()) == {5, 12, 36}
    day.begun.zero_()
    day.learn(24 * torch.arange(30) + 3)
    assert day.gap == 24


# --- runs ---------------------------------------------------------------------------------------------------


def test_samples_keep_the_season_of_their_stamps(run: aegan.Estimator) -> None:
    made = run.sample(400)
    assert np.corrcoef(course(made), DAY)[0, 1] > 0.95
    # Elsewhere samples begin at any place, and what a seed draws of one does not depend on the others.
    model = run.model
    places = model.places(noise_for(0, 2000, model.noise_dim))  # type: ignore[operator]
    assert len(places.unique()) == 24 and torch.bincount(places).min() > 40
    whole = draw(run, 8, seed=3)
    assert torch.equal(draw(run, 4, seed=3, start=4).x, whole.x[4:])


def test_written_samples_are_judged_beside_windows_of_the_same_hours() -> None:
    adapter = SeriesAdapter(window=24).fit(days())
    real, made = adapter.to_tensors(days()), adapter.to_tensors(days(24 * 30, begin="2024-05-01 03:00"))
    apart = side_by_side(adapter, made)
    assert len(apart) == 30
    like, held = at_like_places(adapter, real, real.subset(torch.arange(600, 1177)), apart)
    assert set((like.fields["place"] % 24).tolist()) == {3} and len(like) == 49 and held is not None
    assert set((held.fields["place"] % 24).tolist()) == {3} and len(held) == 24
    # All windows of both where one of them would have too few.
    few = real.subset(torch.arange(100))
    assert at_like_places(adapter, real, few, apart) == (real, few)


def test_windows_that_all_begin_at_midnight_can_be_gone_on_with_at_noon(tmp_path: Path) -> None:
    out = tmp_path / "run"
    strided = aegan.fit(
        days(2400), out=out, window=24, stride=24, steps=260, settings=SMALL | {"gaps_share": "0"}, **OPTIONS
    )
    model = strided.model
    assert model.places(noise_for(0, 50, model.noise_dim)).unique().tolist() == [0]  # type: ignore[operator]
    course_at = draw(strided, 200, seed=0).x[..., 0].mean(0).numpy()
    assert np.corrcoef(course_at, DAY)[0, 1] > 0.95
    noon = draw(strided, 200, seed=0, places=torch.full((200,), 12)).x[..., 0].mean(0).numpy()
    assert np.corrcoef(noon[:12], DAY[12:])[0, 1] > 0.9 and np.sign(noon[3:9].mean()) == -1


def test_longer_samples_keep_it_too(run: aegan.Estimator) -> None:
    made = run.sample(20, steps=72)
    assert len(made) == 20 * 72 and np.corrcoef(course(made), DAY)[0, 1] > 0.95


def test_forecasts_know_the_hour_by_stamps_or_by_values(run: aegan.Estimator, tmp_path: Path) -> None:
    past = days(24 * 6 + 7, seed=4, begin="2024-06-01 03:00")
    ahead = run.forecast(past, steps=24, num=60)
    hours = pd.DatetimeIndex(ahead.times[0]).hour  # type: ignore[index]
    assert np.corrcoef(ahead.samples[0][:, :, 0].mean(0), DAY[hours])[0, 1] > 0.95
    blind = aegan.fit(days().to_numpy(), out=tmp_path / "run", window=10, layout="long", steps=200, settings=SMALL,
                      kind="series", **OPTIONS)  # fmt: skip
    assert blind.adapter.spec.seasons == (24.0,)
    ahead = blind.forecast(past.to_numpy(), steps=24, num=60)
    assert np.corrcoef(ahead.samples[0][:, :, 0].mean(0), DAY[hours])[0, 1] > 0.9
    again = blind.forecast(past.to_numpy(), steps=24, num=60)
    assert np.array_equal(again.samples[0], ahead.samples[0])


def test_gaps_are_filled_by_the_hour(run: aegan.Estimator) -> None:
    frame = days(200, seed=5, begin="2024-07-01 11:00")
    holes = frame.copy()
    holes.iloc[60:85, 0] = np.nan
    middle = np.mean([run.complete(holes, seed=s)["sun"].to_numpy() for s in range(4)], axis=0)[60:85]
    assert np.corrcoef(middle, DAY[frame.index.hour[60:85]])[0, 1] > 0.9


def test_runs_load_with_their_seasons(run: aegan.Estimator) -> None:
    loaded = aegan.load(run.run.path)
    assert loaded.adapter.spec.seasons == (24.0,) and loaded.sample(3).equals(run.sample(3))
