"""The copying test: flags copies, spares true holdouts, agrees with scipy."""

import pytest
import scipy.stats
import torch

from aegan.errors import ConfigError
from aegan.metrics import Memorisation, duplicates, memorisation_test
from aegan.metrics.memorisation import Duplicates, mann_whitney, tail_share


def draw(n: int, seed: int, scale: float = 1.0, dim: int = 8) -> torch.Tensor:
    return scale * torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


TRAIN, HOLDOUT = draw(2000, 0), draw(1000, 1)


@pytest.mark.parametrize("ties", [False, True])
def test_mann_whitney_agrees_with_scipy(ties: bool) -> None:
    a, b = draw(60, 0, dim=1).flatten(), 0.2 + draw(80, 1, dim=1).flatten()
    if ties:
        a, b = a.mul(2).round(), b.mul(2).round()
    z, p = mann_whitney(a, b)
    expected = scipy.stats.mannwhitneyu(a, b, alternative="less", method="asymptotic", use_continuity=False)
    assert p == pytest.approx(expected.pvalue)
    assert z == pytest.approx(scipy.stats.norm.ppf(expected.pvalue))


def test_mann_whitney_of_constants_says_nothing() -> None:
    assert mann_whitney(torch.ones(5), torch.ones(7)) == (0.0, 0.5)


@pytest.mark.parametrize("seed", range(2, 7))
def test_a_true_holdout_is_not_flagged(seed: int) -> None:
    found = memorisation_test(TRAIN, draw(1000, seed), HOLDOUT)
    assert found.status == "clear", found.verdict
    assert "No sign of copying" in found.verdict
    assert found.near is not None and found.near.low <= 0.01 <= found.near.high + 0.01


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_tenth_of_copies_is_flagged(noise: float) -> None:
    synthetic = draw(1000, 2)
    synthetic[:100] = TRAIN[300:400] + noise * draw(100, 3)
    found = memorisation_test(TRAIN, synthetic, HOLDOUT)
    assert found.status == "copies"
    assert found.single is not None and found.single.low < 0.1 < found.single.high + 0.03
    # The closest pairs name the copies and what was copied.
    assert all(j == i + 300 and i < 100 for i, j, _ in found.closest)


def test_crowding_around_the_mode_is_close_but_not_copying() -> None:
    found = memorisation_test(TRAIN, draw(1000, 2, scale=0.5), HOLDOUT)
    assert found.status == "close"
    assert found.z is not None and found.z < -10 and found.p is not None and found.p < 1e-6


def test_samples_far_away_are_clear() -> None:
    found = memorisation_test(TRAIN, draw(500, 2, scale=3), HOLDOUT)
    assert found.status == "clear" and found.z is not None and found.z > 10


def test_exact_copies_decide_only_beyond_those_of_the_holdout() -> None:
    synthetic = draw(1000, 2)
    many = memorisation_test(TRAIN, synthetic, HOLDOUT, exact_copies=40, exact_copies_holdout=1)
    usual = memorisation_test(TRAIN, synthetic, HOLDOUT, exact_copies=40, exact_copies_holdout=38)
    assert (many.status, usual.status) == ("copies", "clear")
    assert "40 synthetic samples equal" in usual.verdict


def test_without_holdout_it_says_untested() -> None:
    found = memorisation_test(TRAIN, HOLDOUT, exact_copies=3)
    assert found.status == "untested" and found.z is None and found.near is None
    assert "3 of 1000" in found.verdict


def test_tail_share_by_hand() -> None:
    real = torch.arange(100.0)  # its 10 % quantile, the tenth smallest value, is 9
    found = tail_share(torch.tensor([1.0, 9.0, 50.0, 60.0]), real, 0.1)
    assert found.share == pytest.approx((1 + 0.5) / 4)
    assert 0 <= found.low <= found.share <= found.high <= 1
    assert found.p == pytest.approx(scipy.stats.fisher_exact([[2, 2], [10, 90]], alternative="greater").pvalue)


def test_small_true_holdouts_are_seldom_flagged() -> None:
    flagged = 0
    for seed in range(20):
        found = memorisation_test(TRAIN, draw(100, 100 + seed), draw(100, 200 + seed), seed=seed)
        flagged += found.status == "copies"
    assert flagged == 0


def test_repetition_against_real_samples() -> None:
    collapsed = draw(50, 2).repeat(10, 1) + 0.01 * draw(500, 3)
    assert duplicates(collapsed, HOLDOUT).near.share > 0.95
    fine = duplicates(draw(700, 4), HOLDOUT)
    assert fine.n == 700 and not fine.near.exceeds(0.05)


def test_json_round_trip() -> None:
    for found in (memorisation_test(TRAIN, HOLDOUT), memorisation_test(TRAIN, draw(200, 2), HOLDOUT)):
        assert Memorisation.from_json(found.to_json()) == found
    repeats = duplicates(draw(50, 4), HOLDOUT, exact=1, exact_real=0)
    assert Duplicates.from_json(repeats.to_json()) == repeats


def test_alpha() -> None:
    with pytest.raises(ConfigError, match="alpha=0.7"):
        memorisation_test(TRAIN, HOLDOUT, alpha=0.7)
