"""The look that all figures share: colours that read on white and on black, and a quiet template."""

from __future__ import annotations

import html

import plotly.graph_objects as go

BLUE, ORANGE, GREEN, PURPLE, RED, TEAL, GREY = (
    "#3f7fd0",
    "#dd8039",
    "#3f9e70",
    "#9270c8",
    "#cf5060",
    "#2b97a0",
    "#8b929c",
)
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, RED, TEAL, GREY)
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
CLEAR = "rgba(0,0,0,0)"
GRID = "rgba(128,136,150,0.18)"
SHADE = "rgba(128,136,150,0.09)"

_AXIS = {
    "gridcolor": GRID,
    "zeroline": False,
    "linecolor": "rgba(128,136,150,0.45)",
    "tickcolor": "rgba(128,136,150,0.45)",
    "automargin": True,
    "title": {"standoff": 8, "font": {"size": 12}},
    "tickfont": {"size": 11},
}

TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": FONT, "size": 12, "color": "#717985"},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "colorway": CYCLE,
        "title": {"font": {"size": 13.5}, "x": 0, "xanchor": "left", "y": 0.98, "yanchor": "top", "pad": {"l": 2}},
        "margin": {"l": 8, "r": 12, "t": 46, "b": 8},
        "xaxis": {**_AXIS, "showgrid": False, "showline": True, "ticks": "outside", "ticklen": 4},
        "yaxis": {**_AXIS, "nticks": 5},
        "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        "hoverlabel": {"font": {"family": FONT, "size": 12}},
    }
)


def label(text: object, limit: int = 60) -> str:
    """Text made harmless for Plotly, which reads HTML tags, and cut to ``limit`` characters.

    >>> label("<b>7</b>")
    '&lt;b&gt;7&lt;/b&gt;'
    """
    plain = " ".join(str(text).split())
    return html.escape(plain if len(plain) <= limit else plain[: limit - 1] + "…", quote=False)
