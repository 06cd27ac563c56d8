"""Two-sample test: how well gradient boosting tells synthetic rows from real ones, and by which columns.

The classifier two-sample test of Lopez-Paz & Oquab 2017 (arXiv 1610.06545) with the area under the ROC curve
in place of accuracy: .5 when no difference is found, 1 when every row gives itself away. The interval is that
of DeLong et al. 1988 over rows; it does not tell how another training of the classifier would have come out, so
that repeated tests scatter somewhat wider.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aegan.errors import DataError
from aegan.metrics._checks import at_least
from aegan.metrics.table_columns import MOST_CATEGORIES, Table, constant, tables

VERSION = 1
"""Raised when a change of the formulas or of the classifier changes their values."""

MOST_ROWS = 20_000
"""Rows of either side that the classifier sees."""

IMPORTANCE_ROWS = 4_000
"""Rows that are shuffled to see which columns the classifier uses."""

IMPORTANCE_COLUMNS = 60
"""With more columns than this, importances are not computed: they would take minutes."""

Z95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Area:
    """An area under a ROC curve with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What :func:`two_sample_auc` found.

    Attributes:
        area: AUC of held-out rows, synthetic ones being the positive, as the mean over the folds; .5 is best.
            Clearly below .5 means that the folds shared rows, as they do when training rows were copied.
        n: Rows of either side.
        importance: By how much the AUC falls when a column is shuffled, by column; empty if not asked for.
            Columns that tell the same story share their importance or hide each other's.
    """

    area: Area
    n: int
    importance: dict[str, float]

    @property
    def auc(self) -> float:
        """The AUC."""
        return self.area.value


def two_sample_auc(
    real: pd.DataFrame | Table,
    synthetic: pd.DataFrame | Table,
    *,
    kinds: Mapping[str, str] | None = None,
    folds: int = 3,
    max_rows: int = MOST_ROWS,
    importance: bool = False,
    seed: int = 0,
) -> Detection:
    """Can a strong classifier tell ``synthetic`` rows from ``real`` ones?

    Histogram gradient boosting (scikit-learn's, 100 iterations) on equally many rows of both, every row scored
    by a classifier that was not trained on it. Columns of more than 255 categories enter by the values' rank in
    frequency over both sides, so that a value does not give itself away by being new to one of them.

    Args:
        real: Real rows, usually those of training.
        synthetic: Rows to tell apart from them.
        kinds: Kinds of columns that are not to be inferred.
        folds: Parts of the stratified cross-validation.
        max_rows: Most rows of either side.
        importance: Whether to tell by which columns; costs about as much again.
        seed: Seed of the subsets, folds and shuffles; the same seed gives the same figures.

    Raises:
        DataError: Tables that do not fit each other, or fewer than 20 rows.
        ConfigError: ``folds`` below 2, ``max_rows`` below 20, or ``kinds`` that do not fit.
    """
    from sklearn.model_selection import StratifiedKFold

    where = "two_sample_auc"
    folds = at_least(folds, 2, where=where, name="folds")
    max_rows = at_least(max_rows, 20, where=where, name="max_rows")
    a, b = tables({"real": real, "synthetic": synthetic}, kinds)
    n = min(len(a), len(b), max_rows)
    if n < folds:
        raise DataError(f"{where}: {n} rows of either side for {folds} folds; at least as many rows expected.")
    rng = np.random.default_rng(seed)
    a, b = a.sample(n, rng), b.sample(n, rng)
    x_a, categorical = a.matrix()
    x = np.concatenate([x_a, b.matrix()[0]])
    for i, size in enumerate(a.sizes):
        if size > MOST_CATEGORIES:
            x[:, i] = _ranks(x[:, i], size, rng)
    y = np.repeat([0, 1], n)
    used = np.array([not (constant(a, name) and constant(b, name) and _alike(x, i)) for i, name in enumerate(a.names)])
    if not used.any():
        return Detection(area=Area(value=0.5, low=0.5, high=0.5), n=n, importance={})
    x, categorical = np.ascontiguousarray(x[:, used]), categorical[used]
    names = [name for name, use in zip(a.names, used, strict=True) if use]
    areas: list[tuple[float, float]] = []
    drops = np.zeros(len(names))
    shown = importance and len(names) <= IMPORTANCE_COLUMNS
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, y):
        model = boosted(classify=True, categorical=categorical, seed=seed)
        known, held = without_gaps(x[train], x[test])
        with quiet():
            score = model.fit(known, y[train]).predict_proba(held)[:, 1]
            areas.append(_area(score[y[test] == 1], score[y[test] == 0]))
            if shown:
                drops += _drops(model, held, y[test], rng) / folds
    found = {name: float(drop) for name, drop in zip(names, drops, strict=True)} if shown else {}
    value, variance = np.mean(areas, axis=0)
    return Detection(area=_interval(float(value), float(variance) / folds), n=n, importance=found)


def area(positive: np.ndarray, negative: np.ndarray) -> Area:
    """Area under the ROC curve, ties counting half, with DeLong's 95 % interval cut to [0, 1].

    >>> area(np.array([2.0, 3.0]), np.array([1.0, 2.0])).value
    0.875
    """
    value, variance = _area(positive, negative)
    return _interval(value, variance)


def without_gaps(known: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both matrices with 0 in the columns of which ``known`` has no value, which scikit-learn cannot bin."""
    empty = np.isnan(known).all(0)
    return np.where(empty, 0.0, known), np.where(empty, 0.0, held)


def boosted(*, classify: bool, categorical: np.ndarray, seed: int) -> Any:
    """The classifier or regressor that all figures of a table rest on."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    sort: Any = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    return sort(categorical_features=categorical, early_stopping=False, random_state=seed)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep scikit-learn's warnings, on classes or categories that are rare, from the reader."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _area(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    """Area under the ROC curve, and DeLong's variance of it."""
    m, n = len(positive), len(negative)
    above = _placement(positive, negative)
    below = 1 - _placement(negative, positive)
    variance = (above.var(ddof=1) / m if m > 1 else 0.0) + (below.var(ddof=1) / n if n > 1 else 0.0)
    return float(above.mean()), float(variance)


def _interval(value: float, variance: float) -> Area:
    half = Z95 * math.sqrt(variance)
    return Area(value=value, low=max(0.0, value - half), high=min(1.0, value + half))


def _ranks(codes: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Rank in frequency of each code, equally frequent ones in random order; NaN stays."""
    there = ~np.isnan(codes)
    known = codes[there].astype(np.int64)
    order = np.lexsort((rng.random(size), -np.bincount(known, minlength=size)))
    rank = np.empty(size)
    rank[order] = np.arange(size)
    found = np.full(len(codes), np.nan)
    found[there] = rank[known]
    return found


def _placement(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of ``others`` below each value, equal ones counting half."""
    order = np.sort(others)
    return (np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")) / (2 * len(order))


def _alike(x: np.ndarray, i: int) -> bool:
    """Whether a column holds one and the same value throughout, missing ones included."""
    column = x[:, i]
    return bool(np.isnan(column).all() or (column == column[0]).all())


def _drops(model: Any, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fall of the AUC for each column that is shuffled among the held-out rows."""
    if len(x) > IMPORTANCE_ROWS:
        kept = rng.choice(len(x), IMPORTANCE_ROWS, replace=False)
        x, y = x[kept], y[kept]

    def auc(rows: np.ndarray) -> float:
        score = model.predict_proba(rows)[:, 1]
        return area(score[y == 1], score[y == 0]).value

    whole = auc(x)
    drops = np.empty(x.shape[1])
    for i in range(x.shape[1]):
        shuffled = x.copy()
        shuffled[:, i] = rng.permutation(shuffled[:, i])
        drops[i] = whole - auc(shuffled)
    return drops
