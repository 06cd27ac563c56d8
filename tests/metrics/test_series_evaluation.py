"""Statistics of series by hand, and the evaluation as a whole."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from test_series_scores import labelled, sines

from aegan.data.base import TensorData
from aegan.errors import ConfigError, DataError
from aegan.metrics.series import SeriesEvaluation, evaluate_series
from aegan.metrics.series_fidelity import (
    autocorrelation_error,
    cross_correlation_error,
    marginal_error,
    spectral_error,
)

ERRORS = [marginal_error, autocorrelation_error, cross_correlation_error, spectral_error]


@pytest.mark.parametrize("error", ERRORS)
def test_equal_sets_have_no_error_and_others_have(error) -> None:
    real = sines()
    assert error(real, real).value == 0 and error(real, real.flip(0)).value == pytest.approx(0, abs=1e-6)
    noise = torch.randn(200, 12, 4, generator=torch.Generator().manual_seed(0))
    mixed = 0.1 * noise + 2 * noise[..., :1]
    found = error(real, mixed)
    assert found.value > 0.05 and len(found.channels) == 4
    assert found.value > 2 * error(real, sines(seed=7)).value


def test_marginal_by_hand() -> None:
    real = torch.tensor([[0.0, 2.0], [0.0, 2.0]])
    assert marginal_error(real, real + 0.5).value == 0.5
    assert marginal_error(10 * real, 10 * real + 5).value == 0.5, "in standard deviations"
    assert marginal_error(torch.zeros(2, 2), torch.ones(2, 2)).value == 1, "constant: in its own unit"
    assert marginal_error(real, torch.tensor([[0.0, 0.0, 2.0, 2.0]] * 2)[:, ::2]).value == 0
    unequal = marginal_error(real, torch.cat([real, real, real]) + 1)
    assert unequal.value == pytest.approx(1)


def test_autocorrelation_by_hand() -> None:
    swing = torch.tensor([[1.0, -1.0] * 3] * 2)
    still = torch.tensor([[1.0] * 6, [-1.0] * 6])
    # Lag by lag -1, 1, -1, 1, -1 against 1 throughout.
    assert autocorrelation_error(swing, still, max_lag=1).value == pytest.approx(2)
    assert autocorrelation_error(swing, still).value == pytest.approx(6 / 5)
    assert autocorrelation_error(torch.zeros(2, 6), still, max_lag=1).value == pytest.approx(1), "a constant has none"
    assert autocorrelation_error(swing[:, :1], still[:, :1]).value is None
    with pytest.raises(ConfigError, match="max_lag=0"):
        autocorrelation_error(swing, still, max_lag=0)


def test_cross_correlation_by_hand() -> None:
    a = torch.tensor([[1.0, -1.0, -1.0, 1.0]])
    together, apart = torch.stack([a, a], 2), torch.stack([a, -a], 2)
    assert cross_correlation_error(together, apart, max_lag=0).value == pytest.approx(2)
    three = [torch.stack([a, a, b], 2) for b in (a, -a)]
    found = cross_correlation_error(*three, max_lag=0)
    assert found.value == pytest.approx(4 / 3) and found.channels == pytest.approx((1, 1, 2))
    lagged = torch.stack([torch.tensor([[1.0, -1, -1, 1, 1, -1]]), torch.tensor([[1.0, 1, -1, -1, 1, 1]])], 2)
    assert cross_correlation_error(lagged, lagged).value == 0
    assert cross_correlation_error(a[..., None], a[..., None]).value is None


def test_spectrum_by_hand() -> None:
    t = torch.arange(16.0)
    slow, fast = (torch.sin(2 * torch.pi * k * t / 16).expand(4, -1) for k in (2, 5))
    assert spectral_error(slow, 3 * slow).value == pytest.approx(0, abs=1e-6), "power is relative"
    assert spectral_error(slow, fast).value == pytest.approx(1, abs=1e-6)
    assert spectral_error(slow, slow + fast).value == pytest.approx(0.5, abs=1e-6)
    assert spectral_error(slow, torch.ones(4, 16)).value == pytest.approx(1)
    assert spectral_error(torch.ones(4, 16), torch.zeros(4, 16)).value == 0


@pytest.mark.parametrize("error", ERRORS)
def test_what_is_missing_does_not_count(error) -> None:
    real = sines(50)
    mask = torch.rand(50, 12, 4, generator=torch.Generator().manual_seed(0)) > 0.2
    length = torch.full((50,), 12)
    one = TensorData(x=real, mask=mask, length=length)
    if error is not spectral_error:  # which sees the filled values
        other = TensorData(x=torch.where(mask, real, 100.0), mask=mask, length=length)
        assert error(one, other).value == 0
    length = torch.randint(5, 12, (50,), generator=torch.Generator().manual_seed(1))
    inside = (torch.arange(12) < length[:, None])[..., None].expand(50, 12, 4)
    padded = [TensorData(x=torch.where(inside, real, fill), mask=inside, length=length) for fill in (0.0, 100.0)]
    assert error(*padded).value == 0


FEW = {"discriminative_iterations": 5, "predictive_iterations": 5}


@pytest.fixture(scope="module")
def found() -> SeriesEvaluation:
    fake = sines(120, 24, 3, seed=2, speed=1.5)
    return evaluate_series(
        train=sines(120, 24, 3), synthetic=fake, holdout=sines(100, 24, 3, seed=1), repeats=2, seed=1,
        encoder=lambda x: x.std(dim=1), encoder_name="deviations", channels=["a", "b", "c"], **FEW,
    )  # fmt: skip


def test_rows_stand_beside_the_holdout(found: SeriesEvaluation) -> None:
    fake, real = found.rows
    assert (fake.name, real.name, fake.n, real.n) == ("synthetic", "real holdout", 120, 100)
    for name in ("autocorrelation", "spectral", "context"):
        assert getattr(fake, name) > 2 * getattr(real, name), name
    assert fake.discriminative.seeds == 2 and fake.discriminative.deviation is not None  # type: ignore[union-attr]
    assert fake.discriminative_holdout is not None and real.discriminative_holdout is None
    assert fake.predictive_holdout is not None and real.predictive_holdout is not None
    assert found.stamps["encoder"] == "deviations" and found.stamps["iterations"]["discriminative"] == 5
    assert any("do not compare with papers" in note for note in found.notes)


def test_json_round_trip_and_words(found: SeriesEvaluation) -> None:
    text = json.dumps(found.to_json(), allow_nan=False)
    assert SeriesEvaluation.from_json(json.loads(text)) == found and json.loads(text)["kind"] == "series"
    for wrong in ({}, found.to_json() | {"kind": "table"}):
        with pytest.raises(DataError, match="Evaluate anew"):
            SeriesEvaluation.from_json(wrong)
    with pytest.raises(DataError, match="Update aegan"):
        SeriesEvaluation.from_json(found.to_json() | {"version": 99})
    words = str(found)
    assert words.startswith(found.headline()) and "unseen real series" in found.headline()
    for word in ("Discriminative", "Predictive", "Context", "Spectral", "real holdout", "±", "features of deviations"):
        assert word in words
    assert "1-NN" not in words, "columns without figures are left out"


def test_details(found: SeriesEvaluation) -> None:
    assert [c["name"] for c in found.details["channels"]] == ["a", "b", "c"]
    assert set(found.details["channels"][0]["errors"]) == {"synthetic", "real holdout"}
    assert len(found.details["autocorrelation"]["train"]) == 3 and len(found.details["lags"]) == 23
    assert sum(found.details["spectrum"]["synthetic"][0]) == pytest.approx(1, abs=1e-3)


def test_same_seed_same_evaluation() -> None:
    sets = {"train": sines(30), "synthetic": sines(30, seed=1), "holdout": sines(20, seed=2)}
    state = torch.get_rng_state()
    assert evaluate_series(**sets, **FEW) == evaluate_series(**sets, **FEW)
    assert torch.equal(torch.get_rng_state(), state)


def test_identical_data() -> None:
    real = sines(60)
    found = evaluate_series(train=real, synthetic=real, **FEW)
    row = found.rows[0]
    assert row.marginal == row.autocorrelation == row.cross_correlation == row.spectral == 0
    assert row.discriminative is not None and row.discriminative.value < 0.2
    assert row.context is None and "no real holdout" in found.headline()


def test_classes_make_a_task() -> None:
    sets = {"train": labelled(60, 1), "synthetic": labelled(60, 2, swap=True), "holdout": labelled(40, 3)}
    found = evaluate_series(**sets, discriminative_iterations=0, predictive_iterations=0, downstream_iterations=60)
    fake, real = (row.downstream for row in found.rows)
    assert fake is not None and real is not None and real.network > 0.9 > 0.1 > fake.network
    assert "1-NN %" in str(found) and found.rows[0].discriminative is None and "No score" not in found.headline()
    assert SeriesEvaluation.from_json(found.to_json()) == found


def test_reconstructions_missing_values_and_one_channel() -> None:
    gaps = sines(40, 12, 1).numpy().copy()
    gaps[:5, 3:6] = np.nan
    gaps[5:9, 8:] = np.nan
    found = evaluate_series(
        train=gaps, synthetic=gaps, holdout=sines(20, 12, 1), reconstructions=sines(20, 12, 1), **FEW
    )
    assert [row.name for row in found.rows] == ["synthetic", "real holdout", "reconstructions"]
    assert found.rows[0].marginal == 0 and found.rows[0].cross_correlation is None
    assert any("One channel only" in note for note in found.notes)
    assert json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"synthetic": sines(9)}, "'synthetic' holds 9 series; at least 10"),
        ({"holdout": sines(20, 11)}, "'holdout' 11 of 4"),
        ({"channels": ["a"]}, "1 names of channels for series of 4"),
        ({"repeats": 0}, "repeats=0"),
    ],
)
def test_what_cannot_be(change: dict, words: str) -> None:
    with pytest.raises((DataError, ConfigError), match=words):
        evaluate_series(**{"train": sines(20), "synthetic": sines(20, seed=1)} | FEW | change)
