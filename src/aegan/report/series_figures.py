"""Figures of time series, from the JSON files of a run folder alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from aegan.report.theme import BLUE, CLEAR, GREY, ORANGE, TEMPLATE, label

COLOURS = {
    "train": GREY,
    "real": GREY,
    "real holdout": GREY,
    "made": BLUE,
    "synthetic": BLUE,
    "reconstructions": ORANGE,
}
_FILL = {"real": "rgba(128,136,150,0.22)", "made": "rgba(63,127,208,0.22)"}


def bands(pictures: Mapping[str, Any], channel: int) -> go.Figure:
    """Quantiles over the steps of real and made series, and some made ones.

    Args:
        pictures: ``samples/series.json``.
        channel: Which of its channels.
    """
    figure = go.Figure(layout={"template": TEMPLATE, "title": {"text": label(pictures["channels"][channel], 40)}})
    steps = pictures["steps"]
    for name in ("real", "made"):
        levels = pictures["bands"][name][channel]
        low, middle, high = levels[0], levels[len(levels) // 2], levels[-1]
        figure.add_scatter(x=steps, y=high, mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip")
        figure.add_scatter(
            x=steps, y=low, mode="lines", line={"width": 0}, fill="tonexty", fillcolor=_FILL[name], name=f"{name}, 90 %"
        )
        figure.add_scatter(
            x=steps, y=middle, mode="lines", line={"color": COLOURS[name], "width": 2}, name=f"{name}, median"
        )
    for i, one in enumerate(pictures["examples"]["made"][channel]):
        figure.add_scatter(
            x=steps,
            y=one,
            mode="lines",
            line={"color": BLUE, "width": 0.8},
            opacity=0.6,
            name="made series",
            showlegend=i == 0,
        )
    figure.update_layout(height=300, margin={"t": 60}, xaxis={"title": {"text": "step"}})
    return figure


def overlay(pictures: Mapping[str, Any]) -> go.Figure:
    """Real and made series along the two main directions of the real ones."""
    found = pictures["overlay"]
    title = "Main directions"
    if isinstance(found.get("share"), float):
        title += f" ({100 * found['share']:.0f} % of the variance)"
    figure = go.Figure(layout={"template": TEMPLATE, "title": {"text": title}})
    for name in ("real", "made"):
        x, y = zip(*found[name], strict=True)
        figure.add_scatter(
            x=x, y=y, mode="markers", name=name, marker={"color": COLOURS[name], "size": 5, "opacity": 0.5}
        )
    figure.update_layout(height=380, margin={"t": 60})
    return figure


def curves(title: str, x: Sequence[float], values: Mapping[str, Any], channel: int, axis: str) -> go.Figure:
    """One line a set: autocorrelation over lags, or a spectrum over frequencies."""
    figure = go.Figure(layout={"template": TEMPLATE, "title": {"text": label(title, 44)}})
    for name, lines in values.items():
        if channel < len(lines):
            dash = "dot" if name == "real holdout" else "solid"
            figure.add_scatter(
                x=list(x), y=lines[channel], mode="lines", name=label(name, 24),
                line={"color": COLOURS.get(name, CLEAR), "width": 2, "dash": dash},
            )  # fmt: skip
    figure.update_layout(height=260, margin={"t": 60}, xaxis={"title": {"text": axis}})
    return figure
