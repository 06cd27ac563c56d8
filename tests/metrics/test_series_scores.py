"""Discriminative and predictive score, the downstream task and the context distance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from aegan.data.base import TensorData
from aegan.errors import ConfigError, DataError
from aegan.metrics.series_context import context_frechet
from aegan.metrics.series_downstream import series_downstream
from aegan.metrics.series_scores import Recurrent, discriminative_score, predictive_score

STOCKS = Path(__file__).resolve().parents[3] / "shared" / "data" / "timegan_stock" / "stock_data.csv"


def sines(n: int = 200, t: int = 12, channels: int = 4, seed: int = 0, speed: float = 0.3) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    phase = 6.28 * torch.rand(n, 1, channels, generator=g)
    pace = speed * (1 + 0.2 * torch.rand(n, 1, channels, generator=g))
    return torch.sin(pace * torch.arange(t)[None, :, None] + phase)


def test_alike_is_chance_and_unlike_is_told() -> None:
    real = sines(400, 5, 12)
    same = discriminative_score(real, sines(400, 5, 12, seed=1), iterations=30, batch=32)
    assert same.score < 0.15 and same.accuracy == (same.real + same.fake) / 2 and same.n == 80
    assert discriminative_score(real, real + 3, iterations=120, batch=32).score == 0.5


def test_untrained_discriminator_scores_by_its_answers() -> None:
    found = discriminative_score(sines(40), sines(40, seed=1), iterations=0)
    assert found.score == pytest.approx(abs(0.5 - (found.real + found.fake) / 2))


def test_holdout_is_what_it_is_tested_on() -> None:
    real, fake, held = (sines(n, 5, 12, seed) + shift for n, seed, shift in ((100, 0, 0), (100, 1, 5), (30, 2, 0)))
    assert discriminative_score(real, fake, holdout=held, iterations=200, batch=32).score == 0.5
    confused = discriminative_score(real, fake, holdout=held + 5, iterations=200, batch=32)
    assert confused.real == 0 and confused.fake == 1 and confused.score == 0 and confused.n == 20


def test_predictive_score_learns_what_is_there() -> None:
    real = (torch.arange(60) % 2).float()[:, None, None].expand(60, 5, 12)  # every channel tells the last one
    before = predictive_score(real, real, iterations=0)
    after = predictive_score(real, real, iterations=200, batch=32)
    assert after < 0.3 < 0.4 < before
    wrong = torch.cat([real[..., :-1], 1 - real[..., -1:]], dim=2)
    assert predictive_score(real, wrong, iterations=200, batch=32) > 0.7


def test_predictive_score_by_hand() -> None:
    # Untrained on values far away from (0, 1): the error is that of the untrained outputs themselves.
    real = sines(20, channels=3)
    low, high = real.amin((0, 1)), real.amax((0, 1))
    x = (real - low) / (high - low)
    net = Recurrent(2, 1, torch.Generator().manual_seed(4))
    with torch.no_grad():
        expected = (net.every(x[:, :-1, :2]) - x[:, 1:, 2]).abs().mean()
    assert predictive_score(real, real, iterations=0, seed=4) == pytest.approx(float(expected), rel=1e-5)


def test_one_channel_is_predicted_from_its_past() -> None:
    real = (torch.arange(60) % 3 > 0).float()[:, None, None].expand(60, 4, 1)
    before, after = (predictive_score(real, real, iterations=n, batch=16, seed=1) for n in (0, 200))
    assert after < 0.95 * before


def test_padding_does_not_matter() -> None:
    real, fake = sines(40), sines(40, seed=1)
    length = torch.randint(4, 12, (40,), generator=torch.Generator().manual_seed(0))
    inside = torch.arange(12) < length[:, None]
    mask = inside[..., None].expand(40, 12, 4)
    sets = [
        TensorData(x=torch.where(mask, real, fill), mask=mask, length=length)
        for fill in (torch.tensor(0.0), real.mean())
    ]
    scores = [discriminative_score(one, fake, iterations=5) for one in sets]
    assert scores[0] == scores[1]
    assert predictive_score(sets[0], sets[0], iterations=5) == predictive_score(sets[1], sets[1], iterations=5)
    gaps = torch.where(mask, real, torch.tensor(torch.nan))
    assert discriminative_score(gaps, fake, iterations=5) == scores[0]


def test_same_seed_same_score_and_no_global_state() -> None:
    real, fake = sines(40), sines(40, seed=1)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    one = discriminative_score(real, fake, iterations=3, seed=5), predictive_score(real, fake, iterations=3, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert one == (
        discriminative_score(real, fake, iterations=3, seed=5),
        predictive_score(real, fake, iterations=3, seed=5),
    )
    assert predictive_score(real, fake, iterations=3, seed=6) != one[1]


def test_published_weights() -> None:
    net = Recurrent(6, 3, torch.Generator().manual_seed(0))
    weight, gates, candidate = net.gru.weight_ih_l0, (6 / (6 + 9)) ** 0.5, (6 / (6 + 6)) ** 0.5
    assert weight.shape == (9, 6) and 0.8 * gates < weight[:6].abs().max() <= gates
    assert 0.8 * candidate < weight[6:].abs().max() <= candidate
    assert net.gru.bias_ih_l0.tolist() == [1.0] * 6 + [0.0] * 3 and net.gru.bias_hh_l0.abs().sum() == 0
    x = torch.rand(2, 5, 6)
    with torch.no_grad():
        assert torch.allclose(net.last(x, torch.tensor([3, 5]))[:1], net.last(x[:1, :3], torch.tensor([3])))


@pytest.mark.parametrize(
    ("real", "fake", "options", "words"),
    [
        (sines(4), sines(40), {}, "'real' holds 4 series; at least 5"),
        (sines(40), sines(40, t=11), {}, "12 steps of 4 channels, 'fake' 11 of 4"),
        (sines(40)[0, 0], sines(40), {}, r"shape \(4,\); series of shape"),
        (torch.full((6, 3, 1), torch.nan), sines(6, 3, 1), {}, "'real' holds no value"),
        (sines(40), sines(40), {"iterations": -1}, "iterations=-1"),
        (sines(40), sines(40), {"batch": 0}, "batch=0"),
    ],
)
def test_what_cannot_be(real: Tensor, fake: Tensor, options: dict, words: str) -> None:
    with pytest.raises((DataError, ConfigError), match=words):
        discriminative_score(real, fake, **{"iterations": 1} | options)


def test_nothing_to_predict() -> None:
    with pytest.raises(DataError, match="one step"):
        predictive_score(torch.rand(6, 1, 2), torch.rand(6, 1, 2), iterations=1)
    real = torch.rand(6, 3, 2)
    with pytest.raises(DataError, match="the last channel holds no value"):
        predictive_score(real, torch.cat([real[..., :1], torch.full((6, 3, 1), torch.nan)], 2), iterations=1)


def labelled(n: int, seed: int, swap: bool = False) -> TensorData:
    y = torch.arange(n) % 2
    x = torch.where(y[:, None, None] == 0, sines(n, 16, 1, seed), sines(n, 16, 1, seed, speed=1.2))
    return TensorData(x=x, y=1 - y if swap else y)


def test_downstream() -> None:
    test = labelled(40, 9)
    good = series_downstream(labelled(60, 1), test, iterations=40)
    assert good.neighbour > 0.9 and good.network > 0.9 and good.usual == 0.5 and good.n == 60
    bad = series_downstream(labelled(60, 1, swap=True), test, iterations=40)
    assert bad.neighbour < 0.1 and bad.network < 0.1
    assert series_downstream(labelled(60, 1), test, iterations=1, max_rows=10).n == 10
    assert series_downstream(labelled(60, 1), test, iterations=2, seed=3) == series_downstream(
        labelled(60, 1), test, iterations=2, seed=3
    )
    with pytest.raises(DataError, match="'test' has no classes"):
        series_downstream(labelled(20, 1), sines(20, 16, 1))


def test_context_distance() -> None:
    real = sines(50)

    def mean(x: Tensor) -> Tensor:
        return x.mean(1)

    assert context_frechet(real, real, mean) == pytest.approx(0, abs=1e-9)
    assert context_frechet(real, real + 2, mean) == pytest.approx(16, rel=1e-5), "4 channels, 2 squared"
    with pytest.raises(DataError, match=r"returned \(50, 12, 4\).*expected a tensor \(B, D\)"):
        context_frechet(real, real, lambda x: x)


@pytest.mark.skipif(not STOCKS.is_file(), reason="no stock data beside the checkout")
def test_halves_of_the_stocks_are_alike() -> None:
    rows = np.loadtxt(STOCKS, delimiter=",", skiprows=1)
    windows = np.lib.stride_tricks.sliding_window_view(rows, 24, axis=0).transpose(0, 2, 1)[::8].copy()
    found = discriminative_score(windows[::2], windows[1::2], iterations=10)
    assert found.score < 0.1
