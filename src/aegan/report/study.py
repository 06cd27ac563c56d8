"""The page of a study, from ``summary.json``, ``results.jsonl`` and ``study.json`` of its folder alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from aegan.errors import RunError
from aegan.report import page
from aegan.report.page import esc
from aegan.report.theme import CYCLE, GREY, TEMPLATE, label

Rows = Sequence[Mapping[str, Any]]
TONES = {"holds": "good", "holds when": "warn", "does not hold": "bad", "undecided": "warn"}
QUALITY = {"frechet": "Fréchet distance of samples", "downstream": "Accuracy of a classifier that learnt from samples"}
AGAINST = {"error": "error of the augmenting autoencoder, held-out", "seconds": "seconds of a run, all told"}
COUNTED = (
    "asked", "made", "filled", "drawn", "strength", "error", "p", "leak", "seconds", "frechet", "downstream",
)  # fmt: skip
CURVES = {"distance": "Distance of samples from the data over the budget", "gradient": "Generator's gradient norm"}


def write_study(folder: Path) -> Path:
    """Write ``report.html`` into a study's folder; self-contained, works offline.

    Raises:
        RunError: The folder holds no summary.
    """
    summary, study = _read(folder / "summary.json"), _read(folder / "study.json")
    lines = (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return page.write_page(folder / "report.html", render(summary, [json.loads(line) for line in lines], study))


def render(summary: Mapping[str, Any], results: Rows, study: Mapping[str, Any]) -> str:
    """The page as HTML."""
    parts = [page.section("Verdicts", "".join(map(_verdict, summary["verdicts"])), "verdicts")]
    for i, data in enumerate(summary["data"]):
        parts.append(page.section(f"On {data}", _data(summary, results, data, f"data{i}"), f"data{i}"))
    if summary.get("augment"):
        parts.append(page.section("Augmentation", _augment(summary["augment"], results), "augment"))
    parts.append(page.section("How the runs ended", _runs(summary["runs"]), "runs"))
    parts.append(page.section("To repeat it", _revisions(study) + page.settings_table(study), "settings"))
    notes = "".join(f"<p>{esc(note)}</p>" for note in summary["notes"])
    header = (
        f'<header><div class="kicker"><span>aegan study</span></div><h1>{esc(summary["name"])}</h1>'
        f'<p class="lead">{esc(summary["question"])}</p><p>Every run had {esc(summary["budget"])}, an autoencoder\'s '
        f"pretraining counted in. Control: {esc(summary['control'])}. Points are runs, bars 95 % bootstrap intervals "
        f"of the mean of the runs that finished.</p>{notes}</header>"
    )
    return page.page(f"{summary['name']} – aegan study", header + "".join(parts))


def metric_figure(rows: Rows, models: Sequence[str], metric: Mapping[str, Any]) -> go.Figure:
    """One metric on one data set: each model's mean with its interval, and every run as a point.

    Args:
        rows: The summary's rows of this metric and data set.
        models: In the order in which they are drawn.
        metric: ``name``, ``title`` and ``better``.
    """
    figure = go.Figure(
        layout={"template": TEMPLATE, "title": {"text": f"{label(metric['title'])} ({metric['better']} is better)"}}
    )
    by_model = {row["model"]: row for row in rows}
    for i, name in enumerate(models):
        row, colour = by_model.get(name), CYCLE[i % len(CYCLE)]
        if row is None:
            continue
        spread = [i + 0.22 for _ in row["values"]]
        figure.add_scatter(
            x=row["values"], y=spread, mode="markers", marker={"size": 6, "color": colour, "opacity": 0.45},
            hovertemplate="%{x:.4g}<extra></extra>",
        )  # fmt: skip
        low, high = row["interval"] or (row["mean"], row["mean"])
        figure.add_scatter(
            x=[row["mean"]], y=[i], mode="markers", marker={"size": 10, "color": colour},
            error_x={"type": "data", "array": [high - row["mean"]], "arrayminus": [row["mean"] - low], "color": GREY},
            hovertemplate=f"{label(name)}: %{{x:.4g}}<extra></extra>",
        )  # fmt: skip
    ticks = {"tickvals": list(range(len(models))), "ticktext": [label(name, 24) for name in models]}
    figure.update_layout(
        height=96 + 44 * len(models), showlegend=False, yaxis={**ticks, "range": [len(models) - 0.5, -0.6]}
    )
    return figure


def curve_figure(results: Rows, models: Sequence[str], key: str) -> go.Figure:
    """A curve of every run over its budget, one colour a model; ``key`` is one of ``CURVES``."""
    figure = go.Figure(layout={"template": TEMPLATE, "title": {"text": CURVES[key]}})
    for i, name in enumerate(models):
        shown = False
        for result in (r for r in results if r["model"] == name and r.get(key)):
            points = [(x, y) for x, y in result[key] if y > 0]
            figure.add_scatter(
                x=[x for x, _ in points], y=[y for _, y in points], mode="lines", name=label(name, 24),
                legendgroup=name, showlegend=not shown, line={"width": 1, "color": CYCLE[i % len(CYCLE)]}, opacity=0.6,
                hovertemplate="%{y:.3g}",
            )  # fmt: skip
            shown = True
    figure.update_layout(
        height=300, showlegend=True, legend={"y": -0.25, "yanchor": "top"}, yaxis={"type": "log"},
        xaxis={"title": {"text": "part of the budget"}},
    )  # fmt: skip
    return figure


def quality_figure(results: Rows, metric: str, against: str) -> go.Figure:
    """Each run's figure over its augmenting autoencoder's error, or over its seconds; one colour an arm.

    Args:
        results: Of one data set.
        metric: One of ``QUALITY``.
        against: One of ``AGAINST``; runs without such a value are left out.
    """
    figure = go.Figure(layout={"template": TEMPLATE, "title": {"text": QUALITY[metric]}})
    for i, name in enumerate(dict.fromkeys(r["model"] for r in results)):
        own = [r for r in results if r["model"] == name and metric in r["metrics"]]
        points = [(x, r["metrics"][metric]) for r in own if (x := _abscissa(r, against)) is not None]
        if points:
            figure.add_scatter(
                x=[x for x, _ in points], y=[y for _, y in points], mode="markers", name=label(name, 24),
                marker={"size": 7, "color": CYCLE[i % len(CYCLE)], "opacity": 0.7},
                hovertemplate=f"{label(name)}: %{{y:.4g}} at %{{x:.4g}}<extra></extra>",
            )  # fmt: skip
    figure.update_layout(
        height=320, showlegend=True, legend={"y": -0.3, "yanchor": "top"}, xaxis={"title": {"text": AGAINST[against]}}
    )
    return figure


def _abscissa(result: Mapping[str, Any], against: str) -> float | None:
    return result.get("augment", {}).get("error") if against == "error" else result.get("seconds")


def _augment(rows: Rows, results: Rows) -> str:
    """A table of what each arm was given, and the quality over the autoencoder's error and over time."""
    shown = [k for k in COUNTED if any(r.get(k) is not None for r in rows)]
    body = ""
    for r in rows:
        dropped = ", ".join(f"{name} {page.figure_text(n)}" for name, n in r.get("dropped", {}).items()) or "–"
        cells = "".join(f"<td>{page.figure_text(r.get(key))}</td>" for key in shown)
        body += f"<tr><th>{esc(r['model'])}</th><td>{esc(r['data'])}</td>{cells}<td>{esc(dropped)}</td></tr>"
    head = "".join(f"<th>{esc(key)}</th>" for key in shown)
    table = (
        f"<table><thead><tr><th></th><th>data</th>{head}<th>dropped by</th></tr></thead><tbody>{body}</tbody></table>"
    )
    parts = [
        "<p>Means over runs: new samples asked for, made, and filled with copies where the checks left too few.</p>",
        f"<div style='overflow-x:auto'>{table}</div>",
    ]
    for i, data in enumerate(dict.fromkeys(r["data"] for r in rows)):
        own = [r for r in results if r["data"] == data]
        for metric, title in QUALITY.items():
            for against, words in AGAINST.items():
                figure = quality_figure(own, metric, against)
                if figure.data:
                    alt = f"{title} against {words}, {data}"
                    parts.append(page.chart(figure, f"augment{i}-{metric}-{against}", alt))
    return "".join(parts)


def _data(summary: Mapping[str, Any], results: Rows, data: str, anchor: str) -> str:
    rows = [r for r in summary["rows"] if r["data"] == data and r["init"] == "all"]
    body = _table(summary, rows)
    own = [r for r in results if r["data"] == data]
    for metric in summary["metrics"]:
        mine = [r for r in rows if r["metric"] == metric["name"]]
        if mine:
            figure = metric_figure(mine, summary["models"], metric)
            body += page.chart(figure, f"{anchor}-{metric['name']}", f"{metric['title']} of each model on {data}")
    for key, title in CURVES.items():
        if any(r.get(key) for r in own):
            body += page.chart(curve_figure(own, summary["models"], key), f"{anchor}-curve-{key}", f"{title}, {data}")
    return body


def _table(summary: Mapping[str, Any], rows: Rows) -> str:
    cells = {(r["model"], r["metric"]): r for r in rows}
    shown = [m for m in summary["metrics"] if any(key[1] == m["name"] for key in cells)]
    head = "".join(f"<th>{esc(m['name'])} {'↑' if m['better'] == 'higher' else '↓'}</th>" for m in shown)
    body = ""
    for model in summary["models"]:
        found = "".join(f"<td>{_cell(cells.get((model, m['name'])))}</td>" for m in shown)
        body += f"<tr><th>{esc(model)}</th>{found}</tr>"
    table = f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div style='overflow-x:auto'>{table}</div>"


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    text = page.figure_text(row["mean"])
    if row["interval"]:
        text += f"<br><small>{page.figure_text(row['interval'][0])} – {page.figure_text(row['interval'][1])}</small>"
    p = row.get("p_holm")
    return text + ("" if p is None or p >= 0.05 else f"<br><small>p {p:.3f}</small>")


def _verdict(found: Mapping[str, Any]) -> str:
    rows = ""
    for c in found["comparisons"]:
        low, high = c["interval"] or (None, None)
        rows += (
            f"<tr><th>{esc(c['metric'])}</th><td>{esc(c['data'])}</td><td>{c['pairs']}</td>"
            f"<td>{page.figure_text(c['difference'])} ({page.figure_text(low)} to {page.figure_text(high)})</td>"
            f"<td>{page.figure_text(c['smallest'])}</td><td>{'–' if c['p'] is None else format(c['p'], '.3f')}</td>"
            f"<td>{esc(c['judgement'])}</td></tr>"
        )
    head = "<tr><th>metric</th><th>data</th><th>pairs</th><th>improvement</th><th>smallest</th><th>p</th><th></th></tr>"
    tone = TONES.get(found["verdict"], "warn")
    return (
        f'<h3>{esc(found["claim"])} <span class="badge {tone}">{esc(found["verdict"])}</span></h3>'
        f"<p>{esc(found['text'])} <code>{esc(found['model'])}</code> against <code>{esc(found['control'])}</code>. "
        f"{esc(found['why'])}</p><table><thead>{head}</thead><tbody>{rows}</tbody></table>"
    )


def _revisions(study: Mapping[str, Any]) -> str:
    """With which sources the runs were made, in words; nothing of studies from before it was recorded."""
    found = [
        f"commit <code>{esc(r['commit'])}</code> ({esc(r['state'])})"
        if "commit" in r
        else f"version {esc(r['version'])}, SHA-256 <code>{esc(r['sha256'])}</code>"
        for r in study.get("revisions", ())
    ]
    more = " Not all runs are of the same sources: compare them with care." if len(found) > 1 else ""
    return f"<p>Sources of aegan: {', then '.join(found)}.{more}</p>" if found else ""


def _runs(rows: Rows) -> str:
    body = ""
    for r in rows:
        said = ", ".join(f"{name} ({count})" for name, count in r["doctor"].items()) or "–"
        bad = f"{(r['diverged'] + r['failed']) / r['runs']:.0%}" if r["runs"] else "–"
        body += (
            f"<tr><th>{esc(r['model'])}</th><td>{esc(r['data'])}</td><td>{r['runs']}</td><td>{r['diverged']}</td>"
            f"<td>{r['failed']}</td><td>{bad}</td><td>{page.duration(r['seconds'])}</td><td>{esc(said)}</td></tr>"
        )
        body += "".join(f"<tr><td></td><td colspan='7'>{esc(m)}</td></tr>" for m in r["messages"])
    head = (
        "<tr><th></th><th>data</th><th>runs</th><th>diverged</th><th>failed</th><th>failure rate</th>"
        "<th>a run</th><th>the doctor</th></tr>"
    )
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}). A folder made by `aegan study` expected.") from error
