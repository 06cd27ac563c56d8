"""Every figure of aegan, defined once for the notebook, the report and the web page.

Each function takes plain data (the dicts of ``events.jsonl`` and ``metrics.json``) and returns a
``plotly.graph_objects.Figure``. Missing and non-finite values are left out, never raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from aegan.report import curves
from aegan.report.curves import Array, Band
from aegan.report.reader import number
from aegan.report.theme import BLUE, CLEAR, CYCLE, GREEN, GREY, ORANGE, SHADE, TEMPLATE, label

Steps = Sequence[Mapping[str, Any]]
Rows = Sequence[Mapping[str, Any]]

FRACTIONS = ("precision", "recall", "density", "coverage")
"""Evaluation columns that count samples in or near the other set; 1 is the aim."""

SCALE = {"kernel": 1000}
"""Factors by which an evaluation's figures are shown, as on the console."""

Z95 = 1.96
"""Standard deviations to either side of a 95 % interval."""


def training_curve(
    steps: Steps, term: str, *, x: str = "samples", smoothing: float | None = None, resumes: Sequence[float] = ()
) -> go.Figure:
    """One loss term over the run: every value faint, the smoothed curve on top.

    Args:
        steps: ``step`` events.
        term: Name in their ``terms``, such as ``"discriminator/r1"``.
        x: ``"samples"`` or ``"seconds"``.
        smoothing: Width of the moving average in points; ``None`` takes a fiftieth of the points of
            a stage, 0 draws the values alone.
        resumes: Steps at which the run was resumed, drawn as dotted lines.

    Returns:
        The figure; double-click it to leave the robust range and see every value.
    """
    xs, title = curves.x_axis(steps, x)
    ys = curves.column(steps, "terms", term)
    figure = _figure(term.replace("/", " · "))
    _curve(figure, steps, xs, ys, BLUE, smoothing)
    figure.update_layout(showlegend=False, yaxis_range=curves.robust_range(ys))
    return _timeline(figure, steps, xs, title, resumes)


def gradient_norms(steps: Steps, *, x: str = "samples", resumes: Sequence[float] = ()) -> go.Figure:
    """Gradient norm of each network over the run, on a logarithmic axis."""
    xs, title = curves.x_axis(steps, x)
    figure = _figure("Gradient norm")
    logs: list[Array] = []
    for name, colour in zip(curves.names(steps, "grad_norm"), CYCLE * 9, strict=False):
        ys = curves.column(steps, "grad_norm", name)
        ys[~(ys > 0)] = np.nan  # a logarithmic axis has no place for zero
        logs.append(np.log10(ys))
        _curve(figure, steps, xs, ys, colour, None, name)
    low_high = curves.robust_range(np.concatenate(logs)) if logs else None
    figure.update_layout(
        showlegend=len(logs) > 1,
        height=280 if len(logs) > 1 else 230,
        legend={"y": -0.42, "yanchor": "top"},
        yaxis={"type": "log", "range": low_high, "dtick": "D2" if low_high and _narrow(low_high) else 1},
    )
    return _timeline(figure, steps, xs, title, resumes)


def rate(steps: Steps, *, x: str = "samples", resumes: Sequence[float] = ()) -> go.Figure:
    """Samples trained on per second over the run."""
    return _single(steps, "rate", "Samples per second", GREEN, x, None, resumes)


def learning_rate(steps: Steps, *, x: str = "samples", resumes: Sequence[float] = ()) -> go.Figure:
    """Learning rate over the run."""
    figure = _single(steps, "lr", "Learning rate", ORANGE, x, 0, resumes)
    return figure.update_layout(yaxis_exponentformat="e")


def evaluation_distance(rows: Rows, key: str = "frechet") -> go.Figure:
    """A distance of every row of an evaluation with its 95 % interval; lower is better.

    Args:
        rows: The evaluation's rows.
        key: ``"frechet"`` or ``"kernel"``.
    """
    title = {"frechet": "Fréchet distance", "kernel": "Kernel distance ×1000"}.get(key, key)
    shown = [row for row in rows if number(row.get(key)) is not None]
    values = [SCALE.get(key, 1) * float(row[key]) for row in shown]
    spans = [_span(row, key) for row in shown]
    figure = _figure(f"{title} (lower is better)", top=34)
    figure.add_scatter(
        x=values,
        y=list(range(len(shown))),
        mode="markers+text",
        text=[f"{value:.3g}".replace("-", "−") for value in values],
        textposition="top center",
        textfont={"size": 11},
        cliponaxis=False,
        marker={"size": 10, "color": [row_colour(row.get("name")) for row in shown]},
        error_x={
            "type": "data",
            "array": [high - value for value, (_, high) in zip(values, spans, strict=True)],
            "arrayminus": [value - low for value, (low, _) in zip(values, spans, strict=True)],
            "color": GREY,
            "thickness": 1.5,
            "width": 4,
        },
        hovertext=[label(row.get("name", "?")) for row in shown],
        hovertemplate="%{hovertext}: %{x:.4g}<extra></extra>",
    )
    low = min([0.0, *(low for low, _ in spans)])
    high = max([0.0, *(high for _, high in spans)])
    pad = 0.07 * (high - low) or 1.0
    figure.update_layout(
        height=86 + 36 * max(1, len(shown)),
        showlegend=False,
        xaxis={"range": [low - pad, high + pad], "nticks": 6},
        yaxis={
            "tickvals": list(range(len(shown))),
            "ticktext": [label(row.get("name", "?"), 24) for row in shown],
            "range": [len(shown) - 0.5, -0.8],
        },
    )
    return figure


def evaluation_fractions(rows: Rows) -> go.Figure:
    """Precision, recall, density and coverage of every row of an evaluation; nearer to 1 is better."""
    figure = _figure("Fidelity and variety (nearer to 1 is better)", top=34)
    keys = [key for key in FRACTIONS if any(number(row.get(key)) is not None for row in rows)]
    low_high = [0.0, 1.0]
    for i, row in enumerate(rows):
        values = {key: v for key in keys if (v := number(row.get(key))) is not None}
        low_high = [min(low_high[0], *values.values(), 0), max(low_high[1], *values.values(), 1)]
        figure.add_scatter(
            x=list(values.values()),
            y=[keys.index(key) + 0.17 * (i - (len(rows) - 1) / 2) for key in values],
            mode="markers",
            name=label(row.get("name", "?"), 24),
            marker={"size": 10, "color": row_colour(row.get("name"))},
            hovertemplate="%{x:.3f}",
        )
    figure.add_vline(x=1, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_layout(
        height=118 + 48 * max(1, len(keys)),
        showlegend=True,
        xaxis={"range": [low_high[0] - 0.03, low_high[1] + 0.05]},
        yaxis={"tickvals": list(range(len(keys))), "ticktext": keys, "range": [len(keys) - 0.5, -0.5]},
        legend={"y": -0.1 - 0.16 / max(1, len(keys)), "yanchor": "top"},
    )
    return figure


def class_accuracy(classes: Rows, *, limit: int = 40) -> go.Figure:
    """Share of each class's samples that a classifier recognises, synthetic beside real.

    Args:
        classes: The evaluation's ``classes``: the total, which is left out, then one for each class.
        limit: Of more classes than this, the ones recognised worst are drawn.
    """
    known = [row for row in classes[1:] if number(row.get("accuracy")) is not None]
    worst = sorted(known, key=lambda row: float(row["accuracy"]))[:limit]
    rows = [row for row in known if any(row is kept for kept in worst)]
    figure = _figure("Samples recognised as their class", top=34)
    pairs = (("real_accuracy", "real", GREY, "circle-open", 14), ("accuracy", "synthetic", BLUE, "circle", 8))
    values: list[float] = []
    for key, name, colour, symbol, size in pairs:
        shown = [(i, v) for i, row in enumerate(rows) if (v := number(row.get(key))) is not None]
        values += [v for _, v in shown]
        figure.add_scatter(
            x=[v for _, v in shown],
            y=[i for i, _ in shown],
            mode="markers",
            name=name,
            marker={"size": size, "color": colour, "symbol": symbol, "line": {"width": 2, "color": colour}},
            hovertext=[label(rows[i].get("name", "?")) for i, _ in shown],
            hovertemplate="%{hovertext}: %{x:.1%}",
        )
    ends = [(number(row.get("accuracy")), number(row.get("real_accuracy")), i) for i, row in enumerate(rows)]
    for left, right, i in ends:
        if left is not None and right is not None:
            figure.add_shape(
                type="line", x0=left, x1=right, y0=i, y1=i, layer="below", line={"color": GREY, "width": 1.5}
            )
    figure.update_layout(
        height=118 + 24 * max(1, len(rows)),
        showlegend=True,
        xaxis={"tickformat": ".0%", "range": [max(0.0, min(values, default=0.0) - 0.04), 1.02]},
        yaxis={
            "tickvals": list(range(len(rows))),
            "ticktext": [label(row.get("name", "?"), 24) for row in rows],
            "range": [len(rows) - 0.4, -0.6],
            "showgrid": True,
        },
        legend={"y": -(46 / (24 * max(1, len(rows)) + 40)), "yanchor": "top"},
    )
    return figure


def samples_over_time(frames: Sequence[tuple[str, str]]) -> go.Figure:
    """Sample grids of the same codes under a slider.

    Args:
        frames: Label and image as a ``data:`` URI, in order of time; the last one is shown first.
    """
    figure = _figure("")
    last = len(frames) - 1
    for i, (_, source) in enumerate(frames):
        figure.add_trace(go.Image(source=source, visible=i == last, hoverinfo="skip"))
    figure.update_layout(
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        height=500,
        sliders=[
            {
                "active": max(last, 0),
                "currentvalue": {"prefix": "", "xanchor": "left", "font": {"size": 13, "color": GREY}},
                "pad": {"t": 8, "l": 14, "r": 14},
                "tickcolor": CLEAR,
                "minorticklen": 0,
                "font": {"color": CLEAR},  # the names of all steps at once would overlap
                "steps": [
                    {
                        "label": label(name),
                        "method": "restyle",
                        "args": [{"visible": [j == i for j in range(len(frames))]}],
                    }
                    for i, (name, _) in enumerate(frames)
                ],
            }
        ],
        xaxis={"visible": False, "fixedrange": True},
        yaxis={"visible": False, "fixedrange": True},
    )
    return figure


def row_colour(name: object) -> str:
    """Colour of an evaluation row: real data grey, reconstructions orange, synthetic blue."""
    lowered = str(name).lower()
    return ORANGE if "reconstruct" in lowered else GREY if "real" in lowered else BLUE


def _figure(title: str, *, top: int = 46) -> go.Figure:
    layout = {"template": TEMPLATE, "title": {"text": label(title)}, "height": 230, "margin": {"t": top}}
    return go.Figure(layout=layout)


def _narrow(low_high: tuple[float, float]) -> bool:
    return low_high[1] - low_high[0] < 1.5


def _span(row: Mapping[str, Any], key: str) -> tuple[float, float]:
    """Bounds of the 95 % interval of a figure; the figure itself where no deviation is known."""
    scale = SCALE.get(key, 1)
    value = scale * float(row[key])
    half = Z95 * scale * (number(row.get(f"{key}_deviation")) or 0.0)
    low = max(0.0, value - half) if key == "frechet" else value - half  # a Fréchet distance is never below 0
    return min(low, value), value + half


def _single(
    steps: Steps, key: str, title: str, colour: str, x: str, smoothing: float | None, resumes: Sequence[float]
) -> go.Figure:
    """A figure of one value of the steps, its axis from zero."""
    xs, x_title = curves.x_axis(steps, x)
    ys = curves.column(steps, key)
    figure = _figure(title)
    _curve(figure, steps, xs, ys, colour, smoothing)
    low_high = curves.robust_range(ys)
    figure.update_layout(showlegend=False, yaxis_range=(0, low_high[1]) if low_high else None)
    return _timeline(figure, steps, xs, x_title, resumes)


def _curve(
    figure: go.Figure, steps: Steps, xs: Array, ys: Array, colour: str, smoothing: float | None, name: str = ""
) -> None:
    """Add raw values and their moving average; both begin anew with every stage."""
    stages = np.array([str(step.get("stage")) for step in steps])
    parts = np.split(np.arange(len(ys)), np.flatnonzero(stages[1:] != stages[:-1]) + 1)
    parts = [part for part in parts if np.isfinite(ys[part]).any()]
    few = int(np.isfinite(ys).sum()) < 8
    raw_only = smoothing == 0 or few
    text = label(name, 30)
    common: dict[str, Any] = {"name": text, "legendgroup": text, "hovertemplate": "%{x:,.0f}: %{y:.4g}"}
    raw = curves.joined([(xs[part], ys[part]) for part in parts], curves.thin)
    figure.add_scatter(
        x=raw[0],
        y=raw[1],
        mode="lines+markers" if few else "lines",
        line={"color": colour, "width": 1.6 if raw_only else 1},
        opacity=1 if raw_only else 0.35,
        meta="only" if raw_only else "raw",
        showlegend=raw_only,
        **common,
    )
    if raw_only:
        return
    calm = np.clip(ys, *(curves.robust_range(ys) or (None, None)))  # one spike must not bend the whole curve
    line = curves.joined([(xs[part], curves.smooth(calm[part], smoothing)) for part in parts], curves.spread)
    figure.add_scatter(x=line[0], y=line[1], mode="lines", line={"color": colour, "width": 2}, meta="smooth", **common)


def _timeline(figure: go.Figure, steps: Steps, xs: Array, title: str, resumes: Sequence[float]) -> go.Figure:
    """Add the x axis, a labelled band for each stage and a dotted line for each resume."""
    stages: list[Band] = curves.bands(steps, xs)
    width = float(xs[-1] - xs[0]) if len(xs) > 1 else 0.0
    for i, band in enumerate(stages if width else []):
        if i % 2:
            figure.add_vrect(x0=band.start, x1=band.end, fillcolor=SHADE, line_width=0, layer="below")
        if i:
            figure.add_vline(x=band.start, line={"color": GREY, "width": 1, "dash": "dot"}, opacity=0.6)
        if (band.end - band.start) / width > 0.024 * len(band.name):  # else it would run into the next name
            figure.add_annotation(
                text=label(band.name), x=band.start, y=1, yref="paper", xanchor="left", yanchor="bottom",
                showarrow=False, font={"size": 10}, xshift=1,
            )  # fmt: skip
    at = curves.column(steps, "step")
    for step in resumes:
        later = np.flatnonzero(at >= step)
        if len(later):
            figure.add_vline(x=float(xs[later[0]]), line={"color": ORANGE, "width": 1, "dash": "dash"})
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": {"text": title}, "range": [float(xs[0]), float(xs[-1])] if width else None, "nticks": 6},
    )
    return figure
