"""Column shapes and column pair trends: how well single columns and pairs of columns are met.

The protocol is that of the quality report of SDMetrics, in which tabular generators are published: per column
the Kolmogorov-Smirnov complement (numeric) or the complement of the total variation distance (categorical);
per pair the similarity of Pearson correlations (numeric), of contingency tables (categorical), or of
contingency tables with the numeric column cut into ten bins of equal width over the real column's range
(mixed). Errors are 100 * (1 - mean score), in percent, without the thresholds on weak correlations that newer
versions of that report apply. Missing values are left out of single columns and of correlations; in
contingency tables they are a value of their own.

Two differences are deliberate. Mixed pairs use the *real* column's bins for both tables, as SDMetrics' metric
``ContingencySimilarity`` does by itself; its report cuts each table by its own range, so that a single outlier
shifts all bins (Adult's test set: 1.78 % in place of 1.57 %). And SDMetrics gives a category that is absent
from the real data a count of 1e-6 in place of 0, which moves its scores by about 1e-6 over the row count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from aegan.metrics.table_columns import Table, constant, tables

VERSION = 1
"""Raised when a change of the formulas changes their values; stored with every evaluation."""

BINS = 10
"""Bins of a numeric column beside a categorical one."""

DENSE = 4_000_000
"""Contingency tables of more cells than this are counted sparsely."""

CHUNK = 100_000
"""Rows whose correlations are summed at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fidelity:
    """What :func:`table_fidelity` found; NaN where a score is undefined (constant or empty columns).

    Attributes:
        names: Column names.
        shapes: Error of each column in percent, ``(F,)``.
        trends: Error of each pair in percent, symmetric ``(F, F)``; NaN on the diagonal.
    """

    names: tuple[str, ...]
    shapes: np.ndarray
    trends: np.ndarray

    @property
    def shape_error(self) -> float:
        """Mean error of the columns in percent, NaN if none is defined."""
        return _mean(self.shapes)

    @property
    def trend_error(self) -> float:
        """Mean error of the pairs in percent, NaN if none is defined."""
        return _mean(self.trends[np.triu_indices(len(self.names), 1)])

    def pairs(self) -> dict[tuple[str, str], float]:
        """Error in percent of every pair of columns, in the table's order."""
        order = combinations(range(len(self.names)), 2)
        return {(self.names[i], self.names[j]): float(self.trends[i, j]) for i, j in order}


def table_fidelity(
    real: pd.DataFrame | Table, synthetic: pd.DataFrame | Table, *, kinds: Mapping[str, str] | None = None
) -> Fidelity:
    """Errors of column shapes and of column pair trends, in percent; 0 is best, 100 worst.

    Args:
        real: The reference, usually the training rows.
        synthetic: Rows to compare, with the same columns.
        kinds: Kinds of columns that are not to be inferred (see :func:`column_kinds`).

    Raises:
        DataError: Tables that do not fit each other.
        ConfigError: ``kinds`` do not fit.

    >>> frame = pd.DataFrame({"a": [0, 0, 1, 1], "b": ["x", "x", "y", "y"]})
    >>> swapped = frame.assign(b=["y", "y", "x", "x"])
    >>> found = table_fidelity(frame, swapped)
    >>> found.shape_error, found.trend_error
    (0.0, 100.0)
    """
    a, b = tables({"real": real, "synthetic": synthetic}, kinds, least=1)
    pairs = zip(a.columns, b.columns, a.kinds, strict=True)
    shapes = [ks_distance(x, y) if kind == "numeric" else variation(x, y) for x, y, kind in pairs]
    return Fidelity(names=a.names, shapes=100 * np.array(shapes), trends=100 * _trends(a, b))


def ks_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sample Kolmogorov-Smirnov statistic in [0, 1] of amounts, NaN left out; NaN if a side is empty.

    >>> ks_distance(np.array([0.0, 1.0, np.nan]), np.array([1.0, 2.0]))
    0.5
    """
    a, b = np.sort(_rounded(a[~np.isnan(a)])), np.sort(_rounded(b[~np.isnan(b)]))
    if not len(a) or not len(b):
        return float("nan")
    points = np.concatenate([a, b])
    gap = np.searchsorted(a, points, side="right") / len(a) - np.searchsorted(b, points, side="right") / len(b)
    return float(np.abs(gap).max())


def variation(a: np.ndarray, b: np.ndarray) -> float:
    """Total variation distance in [0, 1] of codes, -1 (missing) left out; NaN if a side is empty.

    >>> variation(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    0.25
    """
    a, b = a[a >= 0], b[b >= 0]
    if not len(a) or not len(b):
        return float("nan")
    size = int(max(a.max(), b.max())) + 1
    return float(np.abs(np.bincount(a, minlength=size) / len(a) - np.bincount(b, minlength=size) / len(b)).sum() / 2)


def joint_variation(a: np.ndarray, b: np.ndarray, size: int) -> float:
    """Total variation distance of codes below ``size`` that may be far too many to count densely."""
    if size > DENSE:
        codes, found = np.unique(np.concatenate([a, b]), return_inverse=True)
        a, b, size = found[: len(a)], found[len(a) :], len(codes)
    return float(np.abs(np.bincount(a, minlength=size) / len(a) - np.bincount(b, minlength=size) / len(b)).sum() / 2)


def correlations(table: Table, names: list[str]) -> np.ndarray:
    """Pearson correlations ``(F, F)`` over the rows where both values are there; NaN where undefined."""
    f = len(names)
    columns = [table.column(name) for name in names]
    offsets = [float(c[~np.isnan(c)].mean()) if not np.isnan(c).all() else 0.0 for c in columns]
    scales = [float(np.nanmax(np.abs(c - o), initial=0.0)) or 1.0 for c, o in zip(columns, offsets, strict=True)]
    n, s, ss, xy = (np.zeros((f, f)) for _ in range(4))
    for start in range(0, len(table), CHUNK):
        part = [(c[start : start + CHUNK] - o) / k for c, o, k in zip(columns, offsets, scales, strict=True)]
        x = np.stack(part, axis=1)
        there = ~np.isnan(x)
        x, there = np.where(there, x, 0.0), there.astype(np.float64)
        n += there.T @ there
        s += x.T @ there  # s[i, j]: sum of i where j is there
        ss += (x * x).T @ there
        xy += x.T @ x
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = ss - s * s / n
        found = (xy - s * s.T / n) / np.sqrt(variance * variance.T)
        found[(variance <= 1e-14 * ss) | (variance.T <= 1e-14 * ss.T) | (n < 2)] = np.nan
    for i, name in enumerate(names):
        if constant(table, name):
            found[i] = found[:, i] = np.nan
    return np.clip(found, -1.0, 1.0)


def bin_codes(real: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Bin of each of ``values`` among ten of equal width over ``real``'s range, open-ended; 10 for missing."""
    there = real[~np.isnan(real)]
    try:
        with np.errstate(all="ignore"):
            inner = np.histogram_bin_edges(there, BINS)[1:-1]
    except ValueError:  # a range too narrow or too wide for floating point: one bin
        inner = np.empty(0)
    codes = np.searchsorted(inner, values, side="right")
    return np.where(np.isnan(values), BINS, codes)


def _trends(a: Table, b: Table) -> np.ndarray:
    f = len(a.names)
    error = np.full((f, f), np.nan)
    numeric = [i for i in range(f) if a.kinds[i] == "numeric"]
    if len(numeric) > 1:
        names = [a.names[i] for i in numeric]
        gap = np.abs(correlations(a, names) - correlations(b, names)) / 2
        np.fill_diagonal(gap, np.nan)
        error[np.ix_(numeric, numeric)] = gap
    codes = [_codes(a, b, i) for i in range(f)] if len(numeric) < f else []
    for i, j in combinations(range(f), 2):
        if a.kinds[i] == a.kinds[j] == "numeric":
            continue
        (x_a, x_b, n), (y_a, y_b, m) = codes[i], codes[j]
        error[i, j] = error[j, i] = joint_variation(x_a * m + y_a, x_b * m + y_b, n * m)
    return error


def _codes(a: Table, b: Table, i: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Non-negative codes of a column in both tables, and how many there are, missing included."""
    if a.kinds[i] == "numeric":
        return bin_codes(a.columns[i], a.columns[i]), bin_codes(a.columns[i], b.columns[i]), BINS + 1
    return a.columns[i] + 1, b.columns[i] + 1, a.sizes[i] + 1


def _rounded(values: np.ndarray) -> np.ndarray:
    """Rounded to 14 decimals as the protocol has it; beyond 128 doubles have no more anyway."""
    return np.where(np.abs(values) < 128, np.round(np.clip(values, -128, 128), 14), values)


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")
