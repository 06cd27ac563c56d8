"""The doctor's section: verdicts, when each holds, gradients by layer, the balance of the pair, the Jacobian."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from aegan.report import curves, page
from aegan.report.reader import RunFolder, number
from aegan.report.theme import BLUE, CYCLE, GREEN, GREY, ORANGE, RED, TEMPLATE, label

LAYERS = 24
"""Most layers of a network in a heat map; of more, evenly chosen ones are shown."""
COLUMNS = 120
"""Most looks in a heat map."""
VALUES = 6
"""Singular values in the figure: the largest, the smallest, and some between."""
Looks = Sequence[Mapping[str, Any]]


def doctor_section(run: RunFolder) -> str:
    """A card with the verdicts of ``diagnosis.json`` and figures of the ``health`` events; empty without either."""
    looks = run.of("health")
    verdicts = _verdicts(run.diagnosis)
    if not looks and not verdicts:
        return ""
    charts = ""
    if looks:
        last = max((s for e in looks if (s := number(e.get("step"))) is not None), default=0.0)
        made = [(health_timeline(verdicts, last), "When each verdict holds")] if _alarms(verdicts) else []
        made += [(gradient_map(looks, name), f"Gradients of {name} by layer") for name in _networks(looks)]
        for figure, alt in ((balance(looks), "Discriminator and generator"), (spectrum(looks), "Jacobian's spectrum")):
            made += [(figure, alt)] if figure is not None else []
        charts = "".join(page.chart(figure, f"chart-doctor-{i}", alt) for i, (figure, alt) in enumerate(made))
    cost = number((run.diagnosis or {}).get("cost"))
    spent = "" if cost is None else f" Looking took {cost:.1%} of the training's time."
    note = (
        '<p class="note">Verdicts are rules over smoothed statistics, not proofs: a run without an alarm may still be '
        f"poor, and one with an alarm may end well.{spent}</p>"
    )
    return page.section(
        "The training's health", _told(verdicts) + note + f'<div class="curves">{charts}</div>', "doctor"
    )


def health_timeline(verdicts: Sequence[Mapping[str, Any]], last: float) -> go.Figure:
    """Each verdict as a bar from the step since which it shows to the end; the darker, the surer."""
    shown = _alarms(verdicts)
    figure = _figure("Since when (darker is surer)", 70 + 30 * len(shown))
    for i, verdict in enumerate(shown):
        since, sure = number(verdict.get("since")) or 0.0, number(verdict.get("confidence")) or 0.0
        figure.add_bar(
            x=[max(last - since, 0.01 * last)],
            base=[since],
            y=[i],
            orientation="h",
            marker={"color": RED, "opacity": min(1.0, max(0.15, sure))},
            hovertemplate=f"{label(verdict.get('title'))}: since step {since:,.0f}, {sure:.0%} sure<extra></extra>",
        )
    names = [label(f"{v.get('title')}: {v.get('where')}" if v.get("where") else v.get("title"), 44) for v in shown]
    figure.update_layout(
        showlegend=False,
        xaxis={"title": {"text": "steps"}, "range": [0, last or 1]},
        yaxis={"tickvals": list(range(len(shown))), "ticktext": names, "range": [len(shown) - 0.5, -0.5]},
    )
    return figure


def gradient_map(looks: Looks, network: str) -> go.Figure:
    """Gradient over weight of each layer (logarithm) over the run, the layer nearest to the input at the top."""
    seen = [(number(e.get("step")) or 0.0, e["layers"][network]) for e in looks if network in _layers(e)]
    seen = [seen[i] for i in np.linspace(0, len(seen) - 1, min(COLUMNS, len(seen))).round().astype(int)]
    names = list(dict.fromkeys(str(name) for _, found in seen for name in found))
    names = [names[i] for i in np.linspace(0, len(names) - 1, min(LAYERS, len(names))).round().astype(int)]
    rows = [[_log(found.get(name)) for _, found in seen] for name in names]
    figure = _figure(f"Gradient over weight, {network}: log10 of each layer's ratio", 110 + 14 * len(names))
    figure.add_heatmap(
        x=[step for step, _ in seen],
        y=[label(name, 30) for name in names],
        z=rows,
        colorscale="Viridis",
        zmin=-7,
        zmax=1,
        hovertemplate="step %{x:,.0f}, %{y}: 10^%{z:.2f}<extra></extra>",
        colorbar={"thickness": 10, "outlinewidth": 0},
    )
    return figure.update_layout(xaxis={"title": {"text": "steps"}}, yaxis={"autorange": "reversed", "type": "category"})


def balance(looks: Looks) -> go.Figure | None:
    """How well the discriminator tells the sides apart, and how far samples are from the data; None without either."""
    figure = _figure("Discriminator and generator", 280)
    second: dict[str, Any] = {}
    for key, name, colour in (
        ("discriminator/separation", "real rated above fake (0.5: a coin)", BLUE),
        ("discriminator/holdout", "training data rated above unseen", ORANGE),
        ("samples/coverage", "data covered by samples", GREEN),
        ("samples/excess", "distance of samples to data", GREY),
    ):
        xs, ys = _points(looks, key)
        if len(xs):
            beyond = max(ys) > 1.1  # a distance has no end; all others are shares
            if beyond:
                second = {"yaxis2": {"overlaying": "y", "side": "right", "type": "log", "title": {"text": "distance"}}}
            figure.add_scatter(
                x=xs,
                y=ys,
                mode="lines",
                name=f"{name} (right)" if beyond else name,
                line={"color": colour, "width": 2},
                hovertemplate="%{x:,.0f}: %{y:.3f}",
                yaxis="y2" if beyond else "y",
            )
    if not figure.data:
        return None
    figure.update_layout(xaxis={"title": {"text": "steps"}}, yaxis={"range": [0, 1.1]}, showlegend=True, **second)
    return figure.update_layout(legend={"y": -0.3, "yanchor": "top"})


def spectrum(looks: Looks) -> go.Figure | None:
    """Singular values of the generator's Jacobian over the run; None where none were taken."""
    seen = [(e.get("step"), e["spectrum"]) for e in looks if isinstance(e.get("spectrum"), list) and e["spectrum"]]
    if not seen:
        return None
    width = min(len(values) for _, values in seen)
    chosen = sorted(set(np.linspace(0, width - 1, min(VALUES, width)).round().astype(int).tolist()))
    figure = _figure("Singular values of the generator's Jacobian", 280)
    for place, colour in zip(chosen, CYCLE, strict=False):
        ys = [v if (v := number(values[place])) is not None and v > 0 else None for _, values in seen]
        figure.add_scatter(
            x=[step for step, _ in seen],
            y=ys,
            mode="lines+markers",
            name=f"σ{place + 1}",
            line={"color": colour, "width": 2},
            marker={"size": 4},
            hovertemplate="%{x:,.0f}: %{y:.3g}",
        )
    figure.update_layout(xaxis={"title": {"text": "steps"}}, yaxis={"type": "log"}, showlegend=True)
    return figure.update_layout(legend={"y": -0.3, "yanchor": "top"})


def _verdicts(data: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    found = (data or {}).get("verdicts")
    return [v for v in found if isinstance(v, Mapping)] if isinstance(found, list) else []


def _alarms(verdicts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [v for v in verdicts if v.get("name") != "healthy"]


def _told(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """The verdicts in words, with evidence and remedies."""
    parts = []
    for verdict in verdicts:
        since, sure = number(verdict.get("since")), number(verdict.get("confidence"))
        title = str(verdict.get("title") or "?") + (f": {verdict['where']}" if verdict.get("where") else "")
        when = ""
        if verdict.get("name") != "healthy" and since is not None and sure is not None:
            when = f" (since step {since:,.0f}, {sure:.0%} sure)"
        parts.append(
            f"<p><strong>{page.esc(title)}</strong>{page.esc(when)}<br>{page.prose(str(verdict.get('why') or ''))}</p>"
        )
        evidence = "".join(f"<li>{page.esc(e.get('text', ''))}</li>" for e in _list(verdict.get("evidence")))
        remedies = "".join(f"<li>{_remedy(r)}</li>" for r in _list(verdict.get("remedies")))
        parts.append(f"<ul>{evidence}</ul>" if evidence else "")
        parts.append(f"<p>What helps, in this order:</p><ol>{remedies}</ol>" if remedies else "")
    return "".join(parts)


def _remedy(remedy: Mapping[str, Any]) -> str:
    paper, paste = str(remedy.get("paper") or ""), str(remedy.get("paste") or "")
    text = page.esc(str(remedy.get("do") or ""))
    return text + (f" ({page.esc(paper)})" if paper else "") + (f" <code>{page.esc(paste)}</code>" if paste else "")


def _list(value: object) -> list[Mapping[str, Any]]:
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list) else []


def _layers(look: Mapping[str, Any]) -> Mapping[str, Any]:
    found = look.get("layers")
    return {k: v for k, v in found.items() if isinstance(v, Mapping) and v} if isinstance(found, Mapping) else {}


def _networks(looks: Looks) -> list[str]:
    """Networks with two layers or more in two looks or more."""
    found: dict[str, int] = {}
    for look in looks:
        for name, layers in _layers(look).items():
            found[str(name)] = found.get(str(name), 0) + (len(layers) > 1)
    return [name for name, times in found.items() if times > 1]


def _points(looks: Looks, key: str) -> tuple[list[float], list[float]]:
    xs, ys = curves.column(looks, "step"), curves.column(looks, "values", key)
    xs, ys = curves.thin(xs, ys)
    return xs.tolist(), ys.tolist()


def _log(value: object) -> float | None:
    known = number(value)
    return None if known is None else float(np.log10(max(known, 1e-12)))


def _figure(title: str, height: int) -> go.Figure:
    return go.Figure(
        layout={"template": TEMPLATE, "title": {"text": label(title)}, "height": height, "margin": {"t": 46}}
    )
