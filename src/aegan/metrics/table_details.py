"""What the report draws of a table: marginals, errors by column and pair, and by what the classifier tells rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from aegan.metrics.table_columns import Encoder, Table
from aegan.metrics.table_detection import Detection
from aegan.metrics.table_fidelity import Fidelity

MOST_COLUMNS = 60
"""Columns that details are kept of; of more, those with the largest errors."""

MOST_BINS = 30
MOST_CATEGORIES = 12
LABEL = 40
"""Characters of a category's name that are kept."""

OUTSIDE = 0.005
"""Share of the training values on either side that goes into the outermost bins."""


def table_details(
    encoder: Encoder,
    train: Table,
    sets: Mapping[str, Table],
    fidelities: Mapping[str, Fidelity],
    detections: Mapping[str, Detection],
) -> dict[str, Any]:
    """Plain JSON values: ``columns``, a list of mappings, and ``pairs``, error matrices by set.

    Each column has ``name``, ``kind``, ``date`` (whether amounts are seconds since 1970), ``error`` (percent)
    and ``importance`` (fall of the AUC) by set, and ``histogram``: ``edges`` or ``labels``, and ``shares`` of
    all rows by set, the training rows under ``"train"``. The last bin of ``edges`` ends with its last edge;
    ``missing`` holds the share of missing values by set.
    """
    main = next(iter(fidelities.values()))
    order = np.argsort(-np.nan_to_num(main.shapes) - np.nan_to_num(_row_means(main.trends)), kind="stable")
    kept = sorted(order[:MOST_COLUMNS].tolist())
    everything = {"train": train, **sets}
    columns = []
    for i in kept:
        name = train.names[i]
        columns.append(
            {
                "name": name,
                "kind": train.kinds[i],
                "date": name in encoder.dates,
                "error": {s: _rounded(float(f.shapes[i])) for s, f in fidelities.items()},
                "importance": {s: _rounded(d.importance.get(name)) for s, d in detections.items()},
                "missing": {s: _rounded(float(_missing(t.columns[i]).mean())) for s, t in everything.items()},
                "histogram": _histogram(encoder, everything, i),
            }
        )
    pairs: dict[str, Any] = {"columns": [train.names[i] for i in kept]}
    for name, fidelity in fidelities.items():
        part = fidelity.trends[np.ix_(kept, kept)]
        pairs[name] = [[_rounded(value, 3) for value in row] for row in part]
    return {"columns": columns, "of": len(train.names), "pairs": pairs}


def histogram_edges(values: np.ndarray) -> np.ndarray:
    """Edges of at most 30 bins of equal width over all but the outermost values, NaN left out.

    Whole numbers get bins of whole width, so that none holds more of them than its neighbour.

    >>> histogram_edges(np.array([1.0, 2.0, 4.0]))
    array([0.5, 1.5, 2.5, 3.5, 4.5])
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = (float(v) for v in np.quantile(values, (OUTSIDE, 1 - OUTSIDE)))
    if (values == np.round(values)).all() and abs(low) < 2**52 and abs(high) < 2**52:
        low, high = math.floor(low), math.ceil(high)
        width = max(1, math.ceil((high - low + 1) / MOST_BINS))
        return low - 0.5 + width * np.arange(math.ceil((high - low + 1) / width) + 1)
    if not high > low:
        return np.array([low - 0.5, low + 0.5])
    return np.linspace(low, high, MOST_BINS + 1)


def _histogram(encoder: Encoder, everything: Mapping[str, Table], i: int) -> dict[str, Any]:
    train = everything["train"]
    if train.kinds[i] == "numeric":
        edges = histogram_edges(train.columns[i])
        shares = {name: _shares(np.searchsorted(edges[1:-1], t.columns[i][~np.isnan(t.columns[i])], "right"),
                                len(edges) - 1, len(t)) for name, t in everything.items()}  # fmt: skip
        return {"edges": [float(edge) for edge in edges], "shares": shares}
    values = encoder.values[train.names[i]]
    shown = min(len(values), MOST_CATEGORIES)
    labels = [_label(value) for value in values[:shown]]
    rest = len(values) > shown
    if rest:
        labels.append(f"{len(values) - shown} others")
    shares = {
        name: _shares(np.minimum(t.columns[i][t.columns[i] >= 0], shown), shown + rest, len(t))
        for name, t in everything.items()
    }
    return {"labels": labels, "shares": shares}


def _shares(codes: np.ndarray, size: int, n: int) -> list[float]:
    return [round(float(count) / n, 6) for count in np.bincount(codes, minlength=size)]


def _label(value: object) -> str:
    text = str(value)
    return text if len(text) <= LABEL else text[: LABEL - 1] + "…"


def _missing(column: np.ndarray) -> np.ndarray:
    return np.isnan(column) if column.dtype.kind == "f" else column < 0


def _row_means(matrix: np.ndarray) -> np.ndarray:
    there = ~np.isnan(matrix)
    return np.where(there, matrix, 0.0).sum(1) / np.maximum(1, there.sum(1))


def _rounded(value: float | None, digits: int = 6) -> float | None:
    return None if value is None or math.isnan(value) else round(float(value), digits)
