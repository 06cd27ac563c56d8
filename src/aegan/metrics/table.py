"""Evaluate synthetic rows of a table against the training rows, with unseen real rows beside them.

A figure says little alone. So unseen real rows are measured in the same way: what they score is what even a
perfect generator would.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd

from aegan.errors import DataError, nearest
from aegan.metrics import table_detection, table_downstream
from aegan.metrics.evaluation import HOLDOUT, RECONSTRUCTIONS, SYNTHETIC
from aegan.metrics.table_columns import LEAST_ROWS, Encoder, Table
from aegan.metrics.table_detection import two_sample_auc
from aegan.metrics.table_downstream import Downstream, default_target, downstream
from aegan.metrics.table_evaluation import TableEvaluation, TableRow, defined
from aegan.metrics.table_fidelity import VERSION as FIDELITY_VERSION
from aegan.metrics.table_fidelity import table_fidelity

__all__ = ["AUTO", "TableEvaluation", "TableRow", "evaluate_table"]

AUTO = "auto"
"""Let :func:`evaluate_table` choose the target."""


def evaluate_table(
    *,
    train: pd.DataFrame,
    synthetic: pd.DataFrame,
    holdout: pd.DataFrame | None = None,
    reconstructions: pd.DataFrame | None = None,
    target: str | None = AUTO,
    kinds: Mapping[str, str] | None = None,
    seed: int = 0,
    privacy: bool = True,
) -> TableEvaluation:
    """Measure synthetic rows, and unseen real ones, against the training rows.

    Args:
        train: The rows that the model was trained on.
        synthetic: Generated rows with the same columns, best as many as the training rows.
        holdout: Real rows that the model never saw; without them there is nothing to compare with, no
            downstream task and no test of privacy.
        reconstructions: The autoencoder's reconstructions, best of holdout rows.
        target: Column that the downstream task predicts; ``"auto"`` takes the last one with few values, None
            leaves the task out.
        kinds: ``"numeric"`` or ``"categorical"`` by column, where the inferred kind is not meant.
        seed: Seed of every subset and classifier; no global generator is touched.
        privacy: Whether to search for copies.

    Raises:
        DataError: Tables that do not fit each other, fewer than 20 rows, or a target that cannot be one.
        ConfigError: ``kinds`` do not fit.
    """
    given = {"train": train, SYNTHETIC: synthetic, HOLDOUT: holdout, RECONSTRUCTIONS: reconstructions}
    frames = {name: frame for name, frame in given.items() if frame is not None}
    coded, notes = _coded(frames, kinds)
    reference = coded.pop("train")
    target, remarks = _target(target, reference, HOLDOUT in coded)
    notes += remarks
    tasks = _tasks(reference, coded, target, seed)
    rows = tuple(_row(name, reference, table, tasks.get(name), seed) for name, table in coded.items())
    notes += _remarks(rows, reference)
    stamps = {
        "columns": dict(zip(reference.names, reference.kinds, strict=True)),
        "reference": {"set": "train", "n": len(reference)},
        "counts": {name: len(table) for name, table in coded.items()},
        "target": target,
        "seed": seed,
        "formulas": {
            "fidelity": FIDELITY_VERSION,
            "detection": table_detection.VERSION,
            "downstream": table_downstream.VERSION,
        },
        "versions": _versions(),
    }
    return TableEvaluation(rows=rows, stamps=stamps, notes=tuple(notes))


def _coded(frames: Mapping[str, pd.DataFrame], kinds: Mapping[str, str] | None) -> tuple[dict[str, Table], list[str]]:
    encoder = Encoder.fit(frames, kinds)
    for name, frame in frames.items():
        if len(frame) < LEAST_ROWS:
            raise DataError(
                f"evaluate_table: '{name}' holds {len(frame)} rows; at least {LEAST_ROWS} expected, and thousands "
                "for figures to rely on. Pass more rows."
            )
    return {name: encoder.encode(frame, name) for name, frame in frames.items()}, list(encoder.notes)


def _target(target: str | None, train: Table, has_holdout: bool) -> tuple[str | None, list[str]]:
    """The column to predict, and what to say about it."""
    if target is None:
        return None, []
    chosen = target
    if target == AUTO and AUTO not in train.names:
        chosen = default_target(train)
        if chosen is None:
            return None, ["No downstream task: no column has few enough values to be its target."]
    elif target not in train.names:
        raise DataError(f"evaluate_table: no column '{target}' to predict. {nearest(target, train.names)}")
    if len(train.names) == 1:
        return None, ["No downstream task: there is only one column."]
    if not has_holdout:
        return None, [f"No downstream task: without a real holdout nothing tells how well '{chosen}' is predicted."]
    if chosen != target:
        return chosen, [f"The downstream task predicts '{chosen}', the last column with few values; name another."]
    return chosen, []


def _tasks(train: Table, sets: Mapping[str, Table], target: str | None, seed: int) -> dict[str, Downstream]:
    """The downstream task of each set, trained on equally many rows; real training rows for the holdout's."""
    if target is None:
        return {}
    holdout = sets[HOLDOUT]
    rows = min(len(train), len(sets[SYNTHETIC]), table_downstream.MOST_ROWS)
    found = {}
    for name, table in sets.items():
        source = train if name == HOLDOUT else table
        found[name] = downstream(source, holdout, target=target, reference=train, max_rows=rows, seed=seed)
    return found


def _row(name: str, train: Table, table: Table, task: Downstream | None, seed: int) -> TableRow:
    fidelity = table_fidelity(train, table)
    detection = two_sample_auc(train, table, seed=seed)
    return TableRow(
        name=name,
        n=len(table),
        shape_error=defined(fidelity.shape_error),
        trend_error=defined(fidelity.trend_error),
        auc=detection.area.value,
        auc_low=detection.area.low,
        auc_high=detection.area.high,
        auc_n=detection.n,
        downstream=task,
    )


def _remarks(rows: tuple[TableRow, ...], train: Table) -> list[str]:
    return []


def _versions() -> dict[str, Any]:
    return {"scikit-learn": version("scikit-learn")}
