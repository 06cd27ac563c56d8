"""Train on synthetic rows, test on real ones: are the rows good enough to learn a task from?

Esteban et al. 2017 (arXiv 1706.02633) call this TSTR. The same model trained on as many real rows is the
figure to compare with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aegan.errors import DataError, nearest
from aegan.metrics.table_columns import Table, tables
from aegan.metrics.table_detection import Area, area, boosted, quiet, without_gaps

VERSION = 1
"""Raised when a change of the formulas or of the model changes their values."""

MOST_ROWS = 50_000
"""Rows that a model is trained on, and rows it is tested on."""

MOST_CLASSES = 50
"""A target with more classes than this is refused."""

DEFAULT_CLASSES = 20
"""The target that is chosen by default has at most this many."""


@dataclass(frozen=True, kw_only=True)
class Downstream:
    """How well a model does on real test rows.

    Attributes:
        target: The column predicted.
        task: ``"classification"`` or ``"regression"``.
        n: Rows trained on.
        n_test: Real rows tested on.
        auc: Area under the ROC curve, for several classes the mean over one against the rest; classification.
        auc_interval: Its 95 % interval over test rows (DeLong); two classes only.
        f1: Mean of the classes' F1 scores; classification.
        r2: Share of the variance explained, at most 1, below 0 when worse than the mean; regression.
        rmse: Root mean squared error in the column's unit; regression.
    """

    target: str
    task: str
    n: int
    n_test: int
    auc: float | None = None
    auc_interval: tuple[float, float] | None = None
    f1: float | None = None
    r2: float | None = None
    rmse: float | None = None

    @property
    def score(self) -> float | None:
        """AUC of a classification, R² of a regression; higher is better."""
        return self.auc if self.task == "classification" else self.r2


def default_target(train: Table) -> str | None:
    """The last column with few values: categorical with 2 to 20, or numeric with exactly 2."""
    for name in reversed(train.names):
        values = _present(train, name)
        count = len(np.unique(values))
        most = DEFAULT_CLASSES if train.kind(name) == "categorical" else 2
        if 2 <= count <= most:
            return name
    return None


def downstream(
    fit_on: pd.DataFrame | Table,
    test_on: pd.DataFrame | Table,
    *,
    target: str,
    reference: pd.DataFrame | Table | None = None,
    kinds: Mapping[str, str] | None = None,
    max_rows: int = MOST_ROWS,
    seed: int = 0,
) -> Downstream:
    """Histogram gradient boosting of ``target``, fitted on one table and tested on real rows.

    A categorical target, or a numeric one with two values, is classified; others are regressed. A class that
    ``fit_on`` lacks gets probability 0. Rows without a target are left out.

    Args:
        fit_on: Rows to learn from, synthetic or real.
        test_on: Real rows that neither the generator nor the model has seen.
        target: The column to predict.
        reference: Real rows that say what the classes are; ``test_on`` by default.
        kinds: Kinds of columns that are not to be inferred.
        max_rows: Most rows learned from, and most tested on.
        seed: Seed of the subsets and of the model.

    Raises:
        DataError: No such column, more than 50 classes, nothing to predict, or tables that do not fit.
    """
    given = {"fit_on": fit_on, "test_on": test_on}
    if reference is not None:
        given = {"reference": reference, **given}
    coded = dict(zip(given, tables(given, kinds), strict=True))
    a, b = coded["fit_on"], coded["test_on"]
    real = coded.get("reference", b)
    if target not in a.names:
        raise DataError(f"downstream: no column '{target}' to predict. {nearest(target, a.names)}")
    rng = np.random.default_rng(seed)
    a, b = (_with_target(t, target, where).sample(max_rows, rng) for t, where in ((a, "fit_on"), (b, "test_on")))
    x, categorical = a.matrix(without=target)
    if not x.shape[1]:
        raise DataError(f"downstream: '{target}' is the only column; at least one other expected to predict it from.")
    x, x_test = without_gaps(x, b.matrix(without=target)[0])
    common = {"target": target, "n": len(a), "n_test": len(b)}
    if is_classified(real, target):
        y, y_test, classes = _classes(real, a, b, target)
        probability = _probabilities(x, y, x_test, len(classes), categorical, seed)
        auc, interval = _auc(probability, y_test)
        score = _f1(probability.argmax(1), y_test)
        return Downstream(task="classification", auc=auc, auc_interval=interval, f1=score, **common)
    y, y_test = a.column(target), b.column(target)
    model = boosted(classify=False, categorical=categorical, seed=seed)
    with quiet():
        error = model.fit(x, y).predict(x_test) - y_test
    spread = float(((y_test - y_test.mean()) ** 2).sum())
    r2 = 1 - float((error**2).sum()) / spread if spread > 0 else None
    return Downstream(task="regression", r2=r2, rmse=float(np.sqrt((error**2).mean())), **common)


def is_classified(real: Table, target: str) -> bool:
    """Whether the target is a class: categorical, or numeric with at most two values."""
    return real.kind(target) == "categorical" or len(np.unique(_present(real, target))) <= 2


def _present(table: Table, name: str) -> np.ndarray:
    values = table.column(name)
    return values[~np.isnan(values)] if values.dtype.kind == "f" else values[values >= 0]


def _with_target(table: Table, target: str, where: str) -> Table:
    values = table.column(target)
    there = ~np.isnan(values) if values.dtype.kind == "f" else values >= 0
    if there.sum() < 2:
        raise DataError(f"downstream: '{where}' has {there.sum()} rows with a '{target}'; at least 2 expected.")
    return table if there.all() else table.take(np.flatnonzero(there))


def _classes(real: Table, a: Table, b: Table, target: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class indices of both tables, and the classes of the real one; other values go to the nearest class."""
    classes = np.unique(np.concatenate([_present(real, target), b.column(target)]))
    if len(classes) > MOST_CLASSES:
        raise DataError(
            f"downstream: the target '{target}' has {len(classes)} classes; at most {MOST_CLASSES} expected. "
            "Choose another target, or None for no downstream task."
        )
    if a.kind(target) == "numeric":
        y = np.abs(a.column(target)[:, None] - classes).argmin(1)
        return y, np.searchsorted(classes, b.column(target)), classes
    made_up = np.setdiff1d(a.column(target), classes)  # values that no real row has are classes, never right
    classes = np.concatenate([classes, made_up])
    order = np.argsort(classes)
    index = [order[np.searchsorted(classes, t.column(target), sorter=order)] for t in (a, b)]
    return index[0], index[1], classes


def _probabilities(
    x: np.ndarray, y: np.ndarray, x_test: np.ndarray, k: int, categorical: np.ndarray, seed: int
) -> np.ndarray:
    """Probability of each class for each test row, ``(N, K)``."""
    probability = np.zeros((len(x_test), k))
    present = np.unique(y)
    if len(present) == 1:
        probability[:, present[0]] = 1.0
        return probability
    model = boosted(classify=True, categorical=categorical, seed=seed)
    with quiet():
        probability[:, present] = model.fit(x, y).predict_proba(x_test)
    return probability


def _auc(probability: np.ndarray, y: np.ndarray) -> tuple[float | None, tuple[float, float] | None]:
    present = np.unique(y)
    if len(present) < 2:
        return None, None
    found: list[Area] = [area(probability[y == c, c], probability[y != c, c]) for c in present]
    if len(present) == 2:
        last = found[-1]
        return last.value, (last.low, last.high)
    return float(np.mean([f.value for f in found])), None


def _f1(predicted: np.ndarray, y: np.ndarray) -> float:
    scores = []
    for c in np.unique(y):
        hit = float(((predicted == c) & (y == c)).sum())
        scores.append(2 * hit / (float((predicted == c).sum()) + float((y == c).sum())))
    return float(np.mean(scores))
