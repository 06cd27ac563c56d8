"""The report of one run: its sections, put together and written as ``report.html``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from aegan.report import curves, figures, page, pictures
from aegan.report.advice import next_steps
from aegan.report.doctor import doctor_section
from aegan.report.evaluation import metrics_sections
from aegan.report.health import health_section
from aegan.report.page import duration, esc, figure_text
from aegan.report.reader import RunFolder, inner, number, read_run
from aegan.report.views import view_of

CLASSES = 40
"""Most class names that are listed."""

HELD_OUT_AT_MOST = 10_000
"""Most samples that ``fit`` keeps from training."""

_STATES = {
    "finished": ("good", "finished"),
    "interrupted": ("warn", "interrupted"),
    "failed": ("bad", "failed"),
    "unfinished": ("warn", "not finished"),
}


def write_report(run: Path) -> Path:
    """Write ``report.html`` into a run folder, from nothing but the files of that folder.

    The page is self-contained: it works offline, and a run that is unfinished, interrupted or
    failed gets one that says so.

    Args:
        run: The run folder.

    Returns:
        Path of the report.

    Raises:
        RunError: The folder is no run folder.
        StorageError: The report cannot be written; an older one stays as it was.
    """
    folder = read_run(run)
    return page.write_page(folder.path / "report.html", render(folder))


def render(run: RunFolder) -> str:
    """The report of a run as one HTML page."""
    sections = [
        _summary(run),
        _samples(run),
        _measured(run),
        health_section(run.health),
        pictures.reconstructions(run),
        pictures.neighbours(run),
        pictures.over_time(run),
        _training(run),
        doctor_section(run),
        page.section("What to try next", _bullets(next_steps(run)), "next"),
        _settings(run),
    ]
    body = "".join(sections)
    titles = re.findall(r"<section id='([a-z]+)'><h2>(.*?)</h2>", body)
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title in titles)
    version = run.config.get("aegan_version") or run.last("version") or "of unknown version"
    footer = (
        f"<footer>Written by aegan {esc(version)} from the files of <code>{esc(run.path.resolve())}</code>. "
        "This page holds everything it shows and loads nothing from elsewhere.</footer>\n"
    )
    return page.page(f"{_model(run)} – aegan report", _header(run, links) + body + footer)


def _samples(run: RunFolder) -> str:
    view = view_of(run)
    return pictures.grid(run) if view is None else view.samples(run)


def _measured(run: RunFolder) -> str:
    if run.metrics is None:
        return _not_measured(run)
    view = view_of(run)
    return metrics_sections(run.metrics) if view is None else view.measured(run.metrics)


def _model(run: RunFolder) -> str:
    return str(run.config.get("model") or "Unnamed model")


def _bullets(lines: list[str]) -> str:
    return f"<ul>{''.join(f'<li>{page.prose(line)}</li>' for line in lines)}</ul>" if lines else ""


def _header(run: RunFolder, links: str) -> str:
    tone, word = _STATES[run.state]
    started = str(run.last("time") or "").replace("T", " ").replace("Z", " UTC")
    kicker = f'<span>aegan report</span><span class="badge {tone}">{word}</span>'
    kicker += f"<span>started {esc(started)}</span>" if started else ""
    title = f"{_model(run)} on {_data(run)}"
    return (
        f'<header><div class="kicker">{kicker}</div><h1>{esc(title)}</h1>'
        f'<p class="lead">{page.prose(_verdict(run))}</p><nav>{links}</nav></header>\n{_boxes(run)}'
    )


def _data(run: RunFolder) -> str:
    """The data in a phrase, by what the adapter made of them, else by the source's own description."""
    source, spec = inner(run.config, "source"), inner(run.adapter, "spec")
    count, size = _count(source.get("n")), pictures.size_of(spec)
    view = view_of(run)
    if count is not None and view is not None:
        return view.described(run, count)
    if count is None or size is None:
        return str(source.get("describe") or "data without a description")
    classes = spec.get("classes")
    kinds = f", {len(classes):,} classes" if isinstance(classes, list) and len(classes) > 1 else ""
    return f"{count} images of {size}{kinds}"


def _verdict(run: RunFolder) -> str:
    trained = f"Trained for {duration(run.seconds)}." if run.seconds is not None else "No training was recorded."
    headline = (run.metrics or {}).get("headline")
    if headline:
        return f"{headline} {trained}" if run.state != "failed" else f"{headline}"
    if run.codes_only:
        return f"{trained} The model encodes and decodes; it draws no samples."
    if run.metrics is None:
        return f"{trained} How good the samples are has not been measured."
    return f"{trained} The evaluation gives no verdict; its figures are below."


def _boxes(run: RunFolder) -> str:
    """Warnings above everything else: how the run ended, what failed on the way, what could not be read."""
    at = f"step {figure_text(run.last('step'))}" if run.last("step") is not None else "the first step"
    boxes = []
    if run.state == "failed":
        errors = run.of("error")
        message = (errors[-1].get("message") if errors else None) or "The error left no message."
        boxes.append(
            f'<div class="box bad"><p><strong>The run failed at {at}.</strong> {page.prose(str(message))}</p></div>'
        )
    elif run.state == "interrupted":
        boxes.append(
            f'<div class="box warn"><p><strong>The run was interrupted at {at}.</strong> '
            "What follows shows it as far as it came.</p></div>"
        )
    elif run.state == "unfinished":
        boxes.append(
            f'<div class="box warn"><p><strong>The run has not finished.</strong> Its record stops at {at}: '
            "it is still running, or it was killed before it could say so.</p></div>"
        )
    notes = list(run.notices)
    probes: dict[tuple[str, str], int] = {}
    for event in run.of("probe-error"):
        key = (str(event.get("probe", "unnamed")), str(event.get("error", "no message")))
        probes[key] = probes.get(key, 0) + 1
    for (probe, error), times in list(probes.items())[:5]:
        notes.append(f"The probe {probe} failed {'once' if times == 1 else f'{times} times'}: {error}")
    if notes:
        boxes.append(f'<div class="box warn">{_bullets(notes)}</div>')
    return "\n".join(boxes)


def _summary(run: RunFolder) -> str:
    train, source, spec = inner(run.config, "train"), inner(run.config, "source"), inner(run.adapter, "spec")
    shape, classes, reason = spec.get("shape"), spec.get("classes"), run.config.get("precision_reason")
    trained_on, held_out = _split(run)
    skipped = _count(source.get("skipped"))
    steps, budget = number(train.get("steps")), number(train.get("budget"))
    asked = f"{steps:,.0f} steps" if steps is not None else None if budget is None else duration(budget)
    plain = " × ".join(str(s) for s in shape) if isinstance(shape, list) else None
    view = view_of(run)
    facts = [
        ("Model", run.config.get("model")),
        ("Training samples", trained_on),
        ("Held out", held_out),
        *([("Unreadable, left out", skipped)] if skipped not in (None, "0") else []),
        ("One sample", pictures.size_of(spec) or plain if view is None else view.one_sample(run)),
        ("Classes", len(classes) if isinstance(classes, list) and classes else "none"),
        ("Trained for", duration(run.seconds)),
        ("Budget", asked),
        ("Steps", _count(run.last("step"))),
        ("Samples seen", _count(run.last("samples"))),
        ("Device", train.get("device")),
        ("Seed", train.get("seed")),
        ("Precision", train.get("precision")),
    ]
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{page.MISSING if value is None else esc(value)}</dd></div>" for name, value in facts
    )
    lines = []
    if isinstance(reason, str) and reason:
        lines.append(f"Precision {train.get('precision', '')}: {reason}.")
    if isinstance(classes, list) and classes:
        lines.append(f"Classes: {_names(classes, source.get('class_counts'))}.")
    describe = str(source.get("describe") or "")
    if isinstance(shape, list) and len(shape) == 3 and describe and f", {shape[2]}×{shape[1]} pixels" not in describe:
        lines.append(f"As they were given: {describe}.")
    notes = "".join(f'<p class="note">{esc(line)}</p>' for line in lines)
    return page.section("The run", f'<dl class="facts">{cells}</dl>{_stage_bar(run)}{notes}', "run")


def _split(run: RunFolder) -> tuple[str | None, str | None]:
    """How many samples were trained on and held out; to the sample where the evaluation counted them."""
    source = inner(run.config, "source")
    n, share = number(source.get("n")), number(source.get("holdout"))
    if n is None or n < 1 or share is None:
        return None, None
    if share <= 0:
        return f"{n:,.0f}", "none"
    counted = number(inner(inner(run.metrics or {}, "stamps"), "reference").get("of"))
    if counted is not None and counted <= n:
        return f"{counted:,.0f}", f"{n - counted:,.0f}"
    held = round(n * min(share, HELD_OUT_AT_MOST / n))
    return f"about {n - held:,.0f}", f"about {held:,.0f}"


def _names(classes: list[Any], counts: object) -> str:
    """Class names, each with its number of samples where known."""
    numbers = counts if isinstance(counts, list) and len(counts) == len(classes) else [None] * len(classes)
    shown = [
        str(name) if (known := _count(count)) is None else f"{name}\u00a0({known})"
        for name, count in zip(classes[:CLASSES], numbers, strict=False)
    ]
    more = f" and {len(classes) - CLASSES:,} more" if len(classes) > CLASSES else ""
    return ", ".join(shown) + more + (" (in brackets: samples, holdout included)" if numbers[0] is not None else "")


def _count(value: object) -> str | None:
    known = number(value)
    return None if known is None else f"{known:,.0f}"


def _stage_bar(run: RunFolder) -> str:
    """The stages as parts of a bar, as wide as they took seconds."""
    found = curves.bands(run.steps, curves.column(run.steps, "t")) if run.steps else []
    total = sum(band.end - band.start for band in found)
    if not found or not np.isfinite(total) or total <= 0:
        return ""
    parts = "".join(
        f'<div style="flex:{max(band.end - band.start, 0.02 * total):.3f} 1 0" title="{esc(band.name)}">'
        f"<b>{esc(band.name)}</b> <span>{duration(band.end - band.start)}</span></div>"
        for band in found
    )
    return f'<div class="stages">{parts}</div>'


def _not_measured(run: RunFolder) -> str:
    if run.codes_only:
        return ""
    body = (
        "<p>This run has no <code>metrics.json</code>: its samples have not been compared with real data. "
        "What to try next, below, has the command.</p>"
    )
    return page.section("How good it is", body, "evaluation")


def _training(run: RunFolder) -> str:
    steps = run.steps
    if not steps:
        return page.section("Training", "<p>No training step was recorded.</p>", "training")
    resumes = [at for event in run.of("resume") if (at := number(event.get("step"))) is not None]
    made: list[tuple[Callable[..., go.Figure], str]] = [
        (partial(figures.training_curve, steps, term), f"Curve of {term}") for term in curves.names(steps, "terms")
    ]
    if curves.names(steps, "grad_norm"):
        made.append((partial(figures.gradient_norms, steps), "Curve of the gradient norms"))
    for key, figure in (("lr", figures.learning_rate), ("rate", figures.rate)):
        if np.isfinite(curves.column(steps, key)).any():
            made.append((partial(figure, steps), f"Curve of {key}"))
    charts = "".join(
        page.chart({x: figure(x=x, resumes=resumes) for x in ("samples", "seconds")}, f"chart-curve-{i}", alt)
        for i, (figure, alt) in enumerate(made)
    )
    note = (
        '<p class="note">One chart for each part of the losses, unweighted. Dotted lines divide the stages; a dashed '
        "line marks a resume. The losses of a healthy GAN settle and stay level rather than fall: trust the samples "
        "and the evaluation above, and look here for jumps, drifts and gradients that die or explode. The axes leave "
        "out the most extreme values; double-click a chart to see them all.</p>"
    )
    return page.section("Training", note + _controls() + f'<div class="curves">{charts}</div>', "training")


def _controls() -> str:
    def switch(key: str, choices: list[tuple[str, str]]) -> str:
        buttons = "".join(
            f'<button type="button" data-key="{key}" data-value="{value}" '
            f'aria-pressed="{"false" if i else "true"}">{name}</button>'
            for i, (value, name) in enumerate(choices)
        )
        return f'<span class="switch" role="group">{buttons}</span>'

    across = switch("x", [("samples", "samples"), ("seconds", "seconds")])
    curves = switch("curve", [("both", "both"), ("smooth", "smoothed"), ("raw", "raw")])
    return f'<div class="controls"><span>Across {across}</span><span>Curves {curves}</span></div>'


def _settings(run: RunFolder) -> str:
    parts = [
        ("Model", inner(run.config, "model_config")),
        ("Training", inner(run.config, "train")),
        ("Data", {**inner(run.config, "source"), **{k: v for k, v in run.adapter.items()}}),
    ]
    rest = {k: v for k, v in run.config.items() if k not in ("model_config", "train", "source")}
    parts.append(("Everything else", rest))
    blocks = "".join(
        f"<details><summary>{name}</summary>{page.settings_table(values)}</details>" for name, values in parts if values
    )
    return page.section("Settings", blocks, "settings")
