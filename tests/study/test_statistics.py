"""Intervals, tests, corrections and verdicts against values reckoned by hand or by SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from aegan.study import stats, verdict
from aegan.study.spec import Claim, smallest_of
from aegan.study.verdict import Comparison


@pytest.mark.parametrize("size", [6, 12])
def test_the_bootstrap_agrees_with_scipy(size: int) -> None:
    values = list(np.random.default_rng(size).exponential(size=size))
    found = stats.bootstrap_interval(values)
    rng = np.random.default_rng(1)
    wanted = scipy_stats.bootstrap((values,), np.mean, n_resamples=40_000, method="BCa", rng=rng).confidence_interval
    spread = np.std(values) / math.sqrt(len(values))
    assert found is not None and np.allclose(found, wanted, atol=0.12 * spread)


def test_one_value_has_no_interval_and_equal_ones_have_no_width() -> None:
    assert stats.bootstrap_interval([1.0]) is None and stats.student_interval([1.0]) is None
    assert stats.careful_interval([1.0]) is None and stats.careful_interval([]) is None
    assert stats.bootstrap_interval([2.0, 2.0, 2.0]) == (2.0, 2.0)


def test_the_careful_interval_holds_both() -> None:
    values = [1.0, 2.0, 4.0, 8.0, 9.0]
    a, b, c = stats.bootstrap_interval(values), stats.student_interval(values), stats.careful_interval(values)
    assert a and b and c and c == (min(a[0], b[0]), max(a[1], b[1])) and c != a


def test_sign_flips() -> None:
    assert stats.sign_flip_p([1.0] * 5) == 2 / 2**5  # five pairs cannot come below 0.0625
    assert stats.sign_flip_p([1.0, -1.0]) == 1.0 and stats.sign_flip_p([]) is None
    many = list(np.random.default_rng(0).normal(0.8, 1.0, 20))
    exact = scipy_stats.ttest_1samp(many, 0.0).pvalue
    found = stats.sign_flip_p(many)
    assert found is not None and abs(found - exact) < 0.02
    assert stats.wilcoxon_p([0.0, 0.0]) == 1.0
    assert stats.wilcoxon_p([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(0.0625)


def test_holm_keeps_order_and_gaps() -> None:
    assert stats.holm([0.01, None, 0.02, 0.5]) == [0.03, None, 0.04, 0.5]
    assert stats.holm([0.9, 0.8]) == [1.0, 1.0]


def test_smallest_differences() -> None:
    assert smallest_of("20%", -10.0) == 2.0 and smallest_of(0.5, 7.0) == 0.5


def _claimed(pairs: dict[tuple[str, str], list[tuple[float, float]]], smallest: dict[str, float | str]) -> str:
    claim = Claim(name="c", model="a", control="b", smallest=smallest)
    return verdict.verdict(claim, pairs, {"energy": -1.0, "coverage": 1.0}).verdict


def _pairs(mean: float, spread: float = 0.01, control: float = 1.0) -> list[tuple[float, float]]:
    rng = np.random.default_rng(5)
    return [(control + mean + d, control) for d in rng.normal(0.0, spread, 10)]


def test_verdicts_follow_the_rules() -> None:
    """Lower energy is better, so a negative difference is an improvement."""
    good, bad, same, wide = _pairs(-0.3), _pairs(0.3), _pairs(0.0), _pairs(-0.1, 0.8)
    smallest: dict[str, float | str] = {"energy": "10%"}
    assert _claimed({("energy", "x"): good, ("energy", "y"): good}, smallest) == verdict.HOLDS
    assert _claimed({("energy", "x"): good, ("energy", "y"): wide}, smallest) == verdict.HOLDS_WHEN
    assert _claimed({("energy", "x"): same, ("energy", "y"): same}, smallest) == verdict.FAILS
    assert _claimed({("energy", "x"): bad, ("energy", "y"): wide}, smallest) == verdict.FAILS
    assert _claimed({("energy", "x"): wide, ("energy", "y"): same}, smallest) == verdict.UNDECIDED
    assert _claimed({("coverage", "x"): good}, {"coverage": 0.1}) == verdict.FAILS  # there, higher is better
    assert _claimed({("energy", "x"): good[:1]}, smallest) == verdict.UNDECIDED  # one pair
    assert _claimed({("energy", "x"): good[:5]}, smallest) == verdict.UNDECIDED  # no test of five can be below 0.05
    assert _claimed({}, smallest) == verdict.UNDECIDED


def test_a_real_but_small_difference_does_not_count_as_better() -> None:
    assert verdict.judgement(0.05, (0.04, 0.06), 0.1, 0.001) == verdict.SAME
    assert verdict.judgement(0.05, (0.01, 0.12), 0.1, 0.001) == verdict.UNDECIDED


def test_the_reason_names_the_comparisons() -> None:
    def row(judgement: str, data: str) -> Comparison:
        return Comparison(metric="energy", data=data, pairs=6, difference=0.0, interval=(0.0, 0.0), smallest=0.1, p=0.5,
                          judgement=judgement)  # fmt: skip

    word, why = verdict.overall([row(verdict.BETTER, "ring"), row(verdict.UNDECIDED, "digits")])
    assert word == verdict.HOLDS_WHEN and "better: energy on ring" in why and "undecided: energy on digits" in why
