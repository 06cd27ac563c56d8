"""Evaluate synthetic rows of a table against the training rows, with unseen real rows beside them.

A figure says little alone. So unseen real rows are measured in the same way: what they score is what even a
perfect generator would.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd

from aegan.errors import DataError, nearest
from aegan.metrics import table_coverage, table_detection, table_downstream, table_embedding, table_privacy
from aegan.metrics.evaluation import HOLDOUT, RECONSTRUCTIONS, SYNTHETIC
from aegan.metrics.table_columns import LEAST_ROWS, MOST_CATEGORIES, Encoder, Table, constant
from aegan.metrics.table_details import table_details
from aegan.metrics.table_detection import Detection, two_sample_auc
from aegan.metrics.table_downstream import Downstream, default_target, downstream
from aegan.metrics.table_evaluation import TableEvaluation, TableRow, defined
from aegan.metrics.table_fidelity import VERSION as FIDELITY_VERSION
from aegan.metrics.table_fidelity import Fidelity, table_fidelity

__all__ = ["AUTO", "TableEvaluation", "TableRow", "evaluate_table"]

AUTO = "auto"
"""Let :func:`evaluate_table` choose the target."""

_ROWS = {"synthetic": SYNTHETIC, "holdout": HOLDOUT, "reconstructions": RECONSTRUCTIONS}

FEW = 1_000
"""Below so many rows a note says that figures are rough."""


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
    unseen: bool = True,
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
        unseen: Whether the generator never saw the holdout. If it may have, rows can be found copied, but not found
            too near: training rows and holdout would look the same.

    Raises:
        DataError: Tables that do not fit each other, fewer than 20 rows, or a target that cannot be one.
        ConfigError: ``kinds`` do not fit.
    """
    given = {"train": train, "synthetic": synthetic, "holdout": holdout, "reconstructions": reconstructions}
    frames = {name: frame for name, frame in given.items() if frame is not None}
    encoder, coded = _coded(frames, kinds)
    reference = coded.pop("train")
    coded = {_ROWS[name]: table for name, table in coded.items()}
    task, remarks = _target(target, reference, HOLDOUT in coded)
    notes = [*encoder.notes, *remarks]
    tasks = _tasks(reference, coded, task, seed, asked=target not in (None, AUTO))
    fidelities = {name: table_fidelity(reference, table) for name, table in coded.items()}
    detections = {name: two_sample_auc(reference, table, importance=True, seed=seed) for name, table in coded.items()}
    rows = tuple(
        _row(name, reference, table, fidelities[name], detections[name], tasks.get(name), seed)
        for name, table in coded.items()
    )
    copying = (
        table_privacy.table_privacy(reference, coded[SYNTHETIC], coded.get(HOLDOUT) if unseen else None, seed=seed)
        if privacy
        else None
    )
    if privacy and not unseen and HOLDOUT in coded:
        notes.append(
            "Only copies were searched for: the generator may have seen the rows set apart here. Give a holdout."
        )
    return TableEvaluation(
        rows=rows,
        privacy=copying,
        details=table_details(encoder, reference, coded, fidelities, detections),
        stamps=_stamps(reference, coded, rows, task, seed),
        notes=(*notes, *_remarks(rows, reference, fidelities, copying)),
    )


def _coded(frames: Mapping[str, pd.DataFrame], kinds: Mapping[str, str] | None) -> tuple[Encoder, dict[str, Table]]:
    encoder = Encoder.fit(frames, kinds)
    for name, frame in frames.items():
        if len(frame) < LEAST_ROWS:
            raise DataError(
                f"evaluate_table: '{name}' holds {len(frame)} rows; at least {LEAST_ROWS} expected, and thousands "
                "for figures to rely on. Pass more rows."
            )
    return encoder, {name: encoder.encode(frame, name) for name, frame in frames.items()}


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


def _tasks(
    train: Table, sets: Mapping[str, Table], target: str | None, seed: int, *, asked: bool
) -> dict[str, Downstream]:
    """The downstream task of each set, trained on equally many rows; real training rows for the holdout's."""
    if target is None:
        return {}
    holdout = sets[HOLDOUT]
    rows = min(len(train), len(sets[SYNTHETIC]), table_downstream.MOST_ROWS)
    found = {}
    for name, table in sets.items():
        source = train if name == HOLDOUT else table
        try:
            found[name] = downstream(source, holdout, target=target, reference=train, max_rows=rows, seed=seed)
        except DataError:
            if asked:
                raise
    return found


def _row(
    name: str, train: Table, table: Table, fidelity: Fidelity, detection: Detection, task: Downstream | None, seed: int
) -> TableRow:
    return TableRow(
        name=name,
        n=len(table),
        shape_error=defined(fidelity.shape_error),
        trend_error=defined(fidelity.trend_error),
        detection=detection.area,
        detection_n=detection.n,
        downstream=task,
        coverage=table_coverage.table_coverage(train, table, seed=seed),
        rare=table_coverage.rare_categories(train, table),
        missing=table_coverage.missing_values(train, table),
    )


def _remarks(
    rows: tuple[TableRow, ...], train: Table, fidelities: Mapping[str, Fidelity], copying: table_privacy.Privacy | None
) -> list[str]:
    """What a reader should know about the figures."""
    notes = []
    synthetic, by_name = rows[0], {row.name: row for row in rows}
    if HOLDOUT not in by_name:
        notes.append("No real holdout was given, so nothing tells what a perfect generator would score.")
    if synthetic.detection.high < 0.5:
        cause = (
            "rows occur on both sides, as copied training rows do"
            if copying is None or copying.copies
            else "values come as often as in training, which other real rows have less exactly"
        )
        notes.append(
            f"The AUC lies below .5 by more than chance: {cause}, and the classifier is misled by them. It says "
            "nothing good about the rows."
        )
    used = {row.detection_n for row in rows}
    if max(used) > 1.2 * min(used):
        listed = ", ".join(f"{row.detection_n} for {row.name}" for row in rows)
        notes.append(f"The classifier saw {listed} rows of either side; it tells more apart the more it sees.")
    if min(used) < FEW:
        notes.append(f"With fewer than {FEW} rows ({min(used)}) every figure here is rough; mind the intervals.")
    empty = [name for name in train.names if constant(train, name)]
    if empty:
        notes.append(f"Constant or empty in training, so without a trend: {', '.join(empty[:8])}.")
    missed = [
        (a, b)
        for (a, b), error in fidelities[synthetic.name].pairs().items()
        if math.isnan(error) and not {a, b} & set(empty)
    ]
    if missed:
        notes.append(
            f"The trend of {len(missed)} pairs is undefined, as of '{missed[0][0]}' and '{missed[0][1]}': a synthetic "
            "column is constant, or two never have values together. The protocol leaves such pairs out of the mean."
        )
    wide = [name for name in train.names if train.size(name) > MOST_CATEGORIES]
    if wide:
        notes.append(
            f"Columns of more than {MOST_CATEGORIES} categories enter the classifiers by frequency rank: "
            f"{', '.join(wide[:8])}."
        )
    return notes


def _stamps(
    train: Table, sets: Mapping[str, Table], rows: tuple[TableRow, ...], target: str | None, seed: int
) -> dict[str, Any]:
    return {
        "columns": dict(zip(train.names, train.kinds, strict=True)),
        "reference": {"set": "train", "n": len(train)},
        "counts": {name: len(table) for name, table in sets.items()},
        "detection_counts": {row.name: row.detection_n for row in rows},
        "target": target,
        "seed": seed,
        "formulas": {
            "fidelity": FIDELITY_VERSION,
            "detection": table_detection.VERSION,
            "downstream": table_downstream.VERSION,
            "embedding": table_embedding.VERSION,
            "coverage": table_coverage.VERSION,
            "privacy": table_privacy.VERSION,
        },
        "versions": {"scikit-learn": version("scikit-learn")},
    }
