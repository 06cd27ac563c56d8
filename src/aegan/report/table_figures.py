"""Figures of a table's evaluation, from the ``details`` of its JSON alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from aegan.report.reader import inner, number
from aegan.report.theme import BLUE, CLEAR, GREY, ORANGE, TEMPLATE, label

TRAIN, SYNTHETIC, HOLDOUT = "train", "synthetic", "real holdout"

NAME = 22
"""Characters of a column's or a category's name on an axis."""

MOST_PAIRS = 30
"""Columns of a heat map; of more, those with the largest errors."""

MOST_BARS = 20


def marginal(column: Mapping[str, Any]) -> go.Figure:
    """One column's shares: training rows as grey bars, synthetic ones in blue.

    Args:
        column: An entry of ``details["columns"]``.
    """
    histogram, shares = inner(column, "histogram"), inner(inner(column, "histogram"), "shares")
    real, fake = (_floats(shares.get(name)) for name in (TRAIN, SYNTHETIC))
    error = number(inner(column, "error").get(SYNTHETIC))
    title = label(column.get("name", "?"), 34) + ("" if error is None else f" · {error:.2g} % off")
    figure = go.Figure(layout={"template": TEMPLATE, "title": {"text": title}, "margin": {"t": 34}})
    edges, labels = _floats(histogram.get("edges")), histogram.get("labels")
    if isinstance(labels, list):
        lost = inner(column, "missing")
        if any(number(lost.get(name)) for name in (TRAIN, SYNTHETIC)):
            labels = [*labels, "missing"]
            real, fake = ([*v, number(lost.get(n)) or 0.0] for v, n in ((real, TRAIN), (fake, SYNTHETIC)))
        return _categories(figure, labels, real, fake)
    return _amounts(figure, edges, real, fake, column)


def pair_errors(pairs: Mapping[str, Any], name: str = SYNTHETIC) -> go.Figure:
    """Heat map of the error of every pair of columns, in percent; all sets on one scale.

    Args:
        pairs: ``details["pairs"]``.
        name: The set whose errors are shown.
    """
    columns, matrix = _matrix(pairs, name)
    everything = [v for other in pairs if other != "columns" for row in _matrix(pairs, other)[1] for v in row]
    high = max([5.0, *(v for v in everything if v is not None)])
    ticks = [label(column, NAME) for column in columns]
    figure = go.Figure(
        go.Heatmap(
            z=[[None if i == j else value for j, value in enumerate(row)] for i, row in enumerate(matrix)],
            x=list(range(len(columns))),
            y=list(range(len(columns))),
            zmin=0,
            zmax=high,
            colorscale=[[0, "rgba(128,136,150,0.10)"], [0.5, ORANGE], [1, "#8c1d2f"]],
            xgap=1,
            ygap=1,
            customdata=[[[label(a, 60), label(b, 60)] for a in columns] for b in columns],
            hovertemplate="%{customdata[1]} and %{customdata[0]}: %{z:.2f} %<extra></extra>",
            colorbar={"thickness": 10, "outlinewidth": 0, "ticksuffix": " %", "nticks": 5, "len": 0.9},
        ),
        layout={"template": TEMPLATE, "title": {"text": f"Pairs, {label(name)}"}, "margin": {"t": 34}},
    )
    size = 11 if len(columns) <= 16 else 9
    axis = {"tickvals": list(range(len(columns))), "ticktext": ticks, "tickfont": {"size": size}, "showgrid": False}
    figure.update_layout(
        height=170 + max(16, 22 - len(columns) // 4) * max(4, len(columns)),
        xaxis={**axis, "tickangle": -60, "ticks": "", "showline": False},
        yaxis={**axis, "autorange": "reversed", "nticks": None},
    )
    return figure


def importances(columns: Sequence[Mapping[str, Any]]) -> go.Figure | None:
    """By which columns the classifier tells rows apart, real holdout as rings; None where it was not measured."""
    known = [(v, c) for c in columns if (v := number(inner(c, "importance").get(SYNTHETIC))) is not None]
    if not known:
        return None
    shown = [column for _, column in sorted(known, key=lambda pair: -pair[0])[:MOST_BARS]]
    values = [number(inner(column, "importance").get(SYNTHETIC)) or 0.0 for column in shown]
    floor = [number(inner(column, "importance").get(HOLDOUT)) for column in shown]
    rows = list(range(len(shown)))
    names = [label(column.get("name", "?"), 40) for column in shown]
    figure = go.Figure(layout={"template": TEMPLATE, "margin": {"t": 34}})
    figure.add_bar(
        x=values, y=rows, orientation="h", name="synthetic", marker={"color": BLUE}, width=0.6,
        hovertext=names, hovertemplate="%{hovertext}: %{x:.4f}",
    )  # fmt: skip
    if any(value is not None for value in floor):
        figure.add_scatter(
            x=floor, y=rows, mode="markers", name="real holdout", hovertext=names,
            hovertemplate="%{hovertext}: %{x:.4f}",
            marker={"size": 10, "symbol": "circle-open", "color": GREY, "line": {"width": 2}},
        )  # fmt: skip
    high = max([0.02, *values, *(v for v in floor if v is not None)])
    low = min([0.0, *values, *(v for v in floor if v is not None)])
    figure.update_layout(
        title={"text": "Fall of the AUC when a column is shuffled"},
        height=120 + 24 * len(shown),
        xaxis={"range": [low - 0.03 * high, 1.05 * high], "nticks": 6},
        yaxis={"tickvals": rows, "ticktext": [label(c.get("name", "?"), NAME) for c in shown],
               "range": [len(shown) - 0.4, -0.6], "nticks": None, "showgrid": False},
        legend={"y": -(46 / (24 * len(shown) + 40)), "yanchor": "top"},
    )  # fmt: skip
    return figure


def worst(columns: Sequence[Mapping[str, Any]], limit: int) -> list[Mapping[str, Any]]:
    """The ``limit`` columns with the largest errors, in the table's order."""
    order = sorted(columns, key=lambda c: -(number(inner(c, "error").get(SYNTHETIC)) or 0.0))[:limit]
    return [column for column in columns if any(column is kept for kept in order)]


def _amounts(
    figure: go.Figure, edges: list[float], real: list[float], fake: list[float], column: Mapping[str, Any]
) -> go.Figure:
    bins = min(len(edges) - 1, len(real), len(fake) or len(real))
    date = bool(column.get("date"))
    scale = 1000.0 if date else 1.0  # Plotly counts dates in milliseconds
    xs = [scale * edge for edge in edges[: bins + 1]]
    middles = [(a + b) / 2 for a, b in zip(xs, xs[1:], strict=False)]
    text = _ranges(edges[: bins + 1], date)
    figure.add_bar(
        x=middles, y=real[:bins], width=[b - a for a, b in zip(xs, xs[1:], strict=False)], name="training rows",
        marker={"color": GREY, "opacity": 0.5, "line": {"width": 0}}, hovertext=text,
        hovertemplate="%{hovertext}: %{y:.2%}",
    )  # fmt: skip
    if fake and bins > 0:
        figure.add_scatter(
            x=[xs[0], *xs[:bins], xs[bins], xs[bins]], y=[0.0, *fake[:bins], fake[bins - 1], 0.0], mode="lines",
            line={"shape": "hv", "color": BLUE, "width": 2}, name="synthetic", hovertemplate="%{y:.2%}",
        )  # fmt: skip
    lost = [number(inner(column, "missing").get(name)) for name in (TRAIN, SYNTHETIC)]
    note = f"missing: {lost[0] or 0:.1%} in training, {lost[1] or 0:.1%} synthetic" if any(lost) else ""
    figure.update_layout(
        height=232,
        showlegend=False,
        bargap=0,
        xaxis={"type": "date" if date else "linear", "nticks": 6, "title": {"text": note}},
        yaxis={"tickformat": "~%", "nticks": 4, "rangemode": "tozero"},
    )
    return figure


def _categories(figure: go.Figure, labels: list[Any], real: list[float], fake: list[float]) -> go.Figure:
    rows = list(range(len(labels)))
    names = [label(text, 60) for text in labels]
    for values, name, colour, shift in ((real, "training rows", GREY, -0.2), (fake, "synthetic", BLUE, 0.2)):
        figure.add_bar(
            x=values[: len(rows)], y=[row + shift for row in rows], orientation="h", width=0.38, name=name,
            marker={"color": colour, "opacity": 0.6 if colour == GREY else 1.0, "line": {"width": 0}},
            hovertext=names, hovertemplate="%{hovertext}: %{x:.2%}",
        )  # fmt: skip
    figure.update_layout(
        height=max(232, 78 + 20 * len(rows)),
        showlegend=False,
        xaxis={"tickformat": "~%", "nticks": 5, "rangemode": "tozero", "linecolor": CLEAR},
        yaxis={
            "tickvals": rows,
            "ticktext": [label(text, NAME) for text in labels],
            "range": [len(rows) - 0.4, -0.6],
            "nticks": None,
            "showgrid": False,
        },
    )
    return figure


def _ranges(edges: list[float], date: bool) -> list[str]:
    """Each bin in words; the outer ones hold everything beyond."""
    if date:
        return ["share"] * max(0, len(edges) - 1)
    found = [f"{a:.6g} to {b:.6g}" for a, b in zip(edges, edges[1:], strict=False)]
    if len(found) > 1:
        found[0], found[-1] = f"below {edges[1]:.6g}", f"from {edges[-2]:.6g}"
    return found


def _matrix(pairs: Mapping[str, Any], name: str) -> tuple[list[str], list[list[float | None]]]:
    """Names and errors of at most thirty columns, the ones with the largest synthetic errors."""
    columns = [str(c) for c in pairs.get("columns") or []]

    def errors(key: str) -> list[list[float | None]]:
        rows = pairs.get(key)
        rows = rows if isinstance(rows, list) else []
        return [[number(value) for value in row] for row in rows if isinstance(row, list)]

    weight = [sum(v or 0.0 for v in row) for row in errors(SYNTHETIC)] or [0.0] * len(columns)
    kept = sorted(sorted(range(min(len(columns), len(weight))), key=lambda i: -weight[i])[:MOST_PAIRS])
    matrix = errors(name)
    if len(matrix) < len(columns) or any(len(row) < len(columns) for row in matrix):
        return [], []
    return [columns[i] for i in kept], [[matrix[i][j] for j in kept] for i in kept]


def _floats(values: object) -> list[float]:
    found = [number(value) for value in values] if isinstance(values, list) else []
    return [0.0 if value is None or not math.isfinite(value) else value for value in found]
