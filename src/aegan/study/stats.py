"""Means with intervals, paired tests, Holm's correction, ranks: of few runs, some of which failed."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

RESAMPLES = 9_999
EXACT_UP_TO = 14
"""Pairs up to which all signs are tried; beyond, random ones."""
Interval = tuple[float, float]


def bootstrap_interval(values: Sequence[float], level: float = 0.95) -> Interval | None:
    """BCa bootstrap interval of the mean; None of fewer than two values, which no interval can be had of.

    Reference: Efron 1987, "Better bootstrap confidence intervals". Of fewer than about ten values it is too narrow.

    >>> low, high = bootstrap_interval([1.0, 2.0, 3.0, 4.0])
    >>> 1.0 < low < 2.5 < high < 4.0
    True
    """
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        return None
    mean = float(x.mean())
    if np.ptp(x) == 0:
        return mean, mean
    means = np.sort(x[_resampled(len(x))].mean(1))
    below = (np.sum(means < mean) + 0.5 * np.sum(means == mean)) / len(means)
    bias = stats.norm.ppf(np.clip(below, 1 / len(means), 1 - 1 / len(means)))
    without = (x.sum() - x) / (len(x) - 1)
    away = without.mean() - without
    skew = float((away**3).sum() / (6.0 * (away**2).sum() ** 1.5))
    z = stats.norm.ppf([(1 - level) / 2, (1 + level) / 2]) + bias
    low, high = np.quantile(means, stats.norm.cdf(bias + z / (1.0 - skew * z)))
    return float(low), float(high)


@functools.lru_cache(maxsize=64)
def _resampled(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, n, (RESAMPLES, n))


def student_interval(values: Sequence[float], level: float = 0.95) -> Interval | None:
    """Student's interval of the mean; None of fewer than two values."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        return None
    half = float(stats.t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / math.sqrt(len(x)))
    return float(x.mean()) - half, float(x.mean()) + half


def careful_interval(values: Sequence[float], level: float = 0.95) -> Interval | None:
    """The hull of both intervals: verdicts are read from this one, since a bootstrap of few values is too narrow."""
    a, b = bootstrap_interval(values, level), student_interval(values, level)
    return None if a is None or b is None else (min(a[0], b[0]), max(a[1], b[1]))


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """Two-sided p of a paired permutation test: how often random signs give a mean as far from zero.

    Exact up to 14 pairs, so it is 2^(1-n) at least: of five pairs it cannot come below 0.0625. None without pairs.

    >>> sign_flip_p([1.0, 2.0, 3.0])
    0.25
    """
    d = np.asarray(differences, dtype=np.float64)
    if not len(d):
        return None
    if len(d) <= EXACT_UP_TO:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(d))))
        found = np.abs(signs @ d)
        return float((found >= abs(d.sum()) * (1 - 1e-12) - 1e-300).mean())
    signs = np.random.default_rng(0).choice((-1.0, 1.0), (RESAMPLES, len(d)))
    return float((1 + (np.abs(signs @ d) >= abs(d.sum()) * (1 - 1e-12)).sum()) / (RESAMPLES + 1))


def wilcoxon_p(differences: Sequence[float]) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test; 1 where all differences are zero, None without pairs."""
    d = np.asarray(differences, dtype=np.float64)
    if not len(d):
        return None
    d = d[d != 0]
    if not len(d):
        return 1.0
    method = "exact" if len(d) <= 25 and len(np.unique(np.abs(d))) == len(d) else "asymptotic"
    found: Any = stats.wilcoxon(d, method=method, correction=method == "asymptotic")
    return float(found.pvalue)


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction of a family of tests; None stays None.

    Reference: Holm 1979, "A simple sequentially rejective multiple test procedure".

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    known = sorted((value, i) for i, value in enumerate(p) if value is not None)
    out: list[float | None] = [None] * len(p)
    least = 0.0
    for rank, (value, i) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * value))
        out[i] = round(least, 12)
    return out


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, the highest value; ties share.

    >>> ranks([0.5, 0.9, 0.9])
    [3.0, 1.5, 1.5]
    """
    return [float(r) for r in stats.rankdata([-v for v in values])]
