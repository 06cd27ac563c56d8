"""The evaluation in words, table and charts: a part of the run's report and a page of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from aegan.report import figures, page
from aegan.report.page import MISSING, esc, figure_text
from aegan.report.reader import number

COLUMNS = (
    ("frechet", "Fréchet distance", "↓"),
    ("kernel", "Kernel distance", "↓"),
    ("precision", "Precision", "↑"),
    ("recall", "Recall", "↑"),
    ("density", "Density", "↑"),
    ("coverage", "Coverage", "↑"),
)

WORDS = (
    ("Fréchet distance", "lower is better", "How far the averages and spreads of the two sets of features lie apart. "
     "It sees both poor samples and missing variety. Small sets make it look worse than it is."),
    ("Kernel distance", "lower is better", "The same question asked without assuming bell curves, and fair to small "
     "sets. Values near zero, even just below, mean no difference was found."),
    ("Precision", "higher is better", "Share of synthetic samples that lie among real ones: do they look right?"),
    ("Recall", "higher is better", "Share of real samples that lie among synthetic ones: is all the variety there?"),
    ("Density", "higher is better, may pass 1", "Like precision, but counts how many real samples are close by, so "
     "that one odd real sample cannot vouch for many synthetic ones."),
    ("Coverage", "higher is better", "Share of the real samples with a synthetic one nearby. Low coverage beside high "
     "precision is mode collapse: good samples, few kinds."),
)  # fmt: skip

ROWS = {
    "real": (
        "floor",
        "The lowest distance to expect: other real data measured in the same way. No generator can be expected to "
        "beat it.",
    ),
    "reconstructions": (
        "ceiling",
        "Real samples sent through the autoencoder and back. A generator in its latent space gets hardly "
        "better than this: what is lost here is the autoencoder's loss, not the generator's.",
    ),
    "synthetic": ("", "What the model generates."),
}


def role(name: object) -> str:
    """Which kind of row a name means: ``"real"``, ``"reconstructions"`` or ``"synthetic"``.

    >>> role("real holdout"), role("reconstructions"), role("synthetic")
    ('real', 'reconstructions', 'synthetic')
    """
    lowered = str(name).lower()
    return "reconstructions" if "reconstruct" in lowered else "real" if "real" in lowered else "synthetic"


def rows_of(data: Mapping[str, Any], key: str = "rows") -> list[dict[str, Any]]:
    """The mappings of a list in an evaluation; anything else in it is dropped."""
    rows = data.get(key)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def metrics_sections(data: Mapping[str, Any]) -> str:
    """Table, charts and words of an evaluation, as sections of a page."""
    rows = rows_of(data)
    if rows:
        body = _intro(data) + _table(rows) + _charts(rows) + _words(rows)
    else:
        body = "<p>The evaluation holds no rows, so there is nothing to compare.</p>"
    return page.section("How good it is", body, "evaluation") + _classes(data)


def memorisation(data: Mapping[str, Any]) -> str:
    """Verdict and figures on copies of the training data; empty when the evaluation has none."""
    found = data.get("memorisation")
    if not isinstance(found, Mapping) or not found:
        return ""
    verdict = found.get("verdict")
    text = page.prose(verdict) if isinstance(verdict, str) and verdict else f"The verdict is {MISSING}."
    facts = "".join(
        f"<div><dt>{esc(str(key).replace('_', ' '))}</dt><dd>{_value(value)}</dd></div>"
        for key, value in found.items()
        if key != "verdict" and not isinstance(value, list | dict)
    )
    return f"<p><strong>{text}</strong></p>" + (f'<dl class="facts">{facts}</dl>' if facts else "")


def write_evaluation(
    evaluation_json: Mapping[str, Any],
    path: Path | str,
    images: Mapping[str, Image.Image | Path] | None = None,
) -> Path:
    """Write an evaluation as a self-contained page.

    Args:
        evaluation_json: The dict of ``metrics.json``; every key is optional.
        path: Where the page goes.
        images: Pictures to show under their captions.

    Returns:
        ``path``.

    Raises:
        StorageError: The page cannot be written; an older one stays as it was.
    """
    headline = evaluation_json.get("headline")
    lead = f'<p class="lead">{page.prose(str(headline))}</p>' if headline else ""
    header = f'<header><div class="kicker">aegan evaluation</div><h1>Synthetic beside real data</h1>{lead}</header>\n'
    pictures = [page.section(caption, page.image_block(image, caption)) for caption, image in (images or {}).items()]
    copies = page.section("Copies of the training data", memorisation(evaluation_json), "memorisation")
    body = header + metrics_sections(evaluation_json) + "".join(pictures) + copies
    return page.write_page(Path(path), page.page("Evaluation – aegan", body))


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return esc(value) if isinstance(value, str) else figure_text(value)


def _intro(data: Mapping[str, Any]) -> str:
    space, reference = data.get("feature_space"), data.get("reference")
    parts = [f"Compared by features of: {space}." if space else "The feature space is not named."]
    if reference:
        parts.append(f"Reference: {reference}.")
    return f'<p class="note">{esc(" ".join(parts).replace("..", "."))}</p>'


def _cell(row: Mapping[str, Any], key: str) -> str:
    text = figure_text(row.get(key))
    interval, std = row.get(f"{key}_interval"), number(row.get(f"{key}_std"))
    if isinstance(interval, Sequence) and len(interval) == 2:
        text += f"<small>{figure_text(interval[0])}–{figure_text(interval[1])}</small>"
    elif std is not None:
        text += f"<small>± {figure_text(std, 2)}</small>"
    return f"<td{_mark(row)}>{text}</td>"


def _mark(row: Mapping[str, Any]) -> str:
    return ' class="main"' if role(row.get("name")) == "synthetic" else ""


def _table(rows: list[dict[str, Any]]) -> str:
    """Figures down, sets across: so it fits a phone, and what is to be compared stands side by side."""
    head = ""
    for row in rows:
        kind = ROWS[role(row.get("name"))][0]
        count = f"n = {figure_text(row['n'])}" if number(row.get("n")) is not None else "n missing"
        note = f"<small>{kind}</small><small>{count}</small>" if kind else f"<small>{count}</small>"
        head += f'<th scope="col"{_mark(row)}>{esc(row.get("name", "unnamed"))}{note}</th>'
    body = "".join(
        f'<tr><th scope="row">{title}<small>{"lower" if arrow == "↓" else "higher"} is better</small></th>'
        f"{''.join(_cell(row, key) for row in rows)}</tr>"
        for key, title, arrow in COLUMNS
        if any(key in row for row in rows)
    )
    return (
        f'<div class="scroll"><table class="figures"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _charts(rows: list[dict[str, Any]]) -> str:
    left = "".join(
        page.chart(
            figures.evaluation_distance(rows, key), f"chart-{key}", f"Dot chart of {title}; the table has the figures."
        )
        for key, title, _ in COLUMNS[:2]
        if any(number(row.get(key)) is not None for row in rows)
    )
    right = ""
    if any(number(row.get(key)) is not None for row in rows for key in figures.FRACTIONS):
        alt = "Dot chart of precision, recall, density and coverage; the table has the figures."
        right = page.chart(figures.evaluation_fractions(rows), "chart-fractions", alt)
    parts = [part for part in (left, right) if part]
    return f'<div class="pair">{"".join(f"<div>{part}</div>" for part in parts)}</div>' if parts else ""


def _words(rows: list[dict[str, Any]]) -> str:
    """What the rows and columns mean, for the ones there are."""
    present = {role(row.get("name")) for row in rows}
    lines = "".join(
        f"<li><strong>{esc(row.get('name', 'unnamed'))}</strong>{f' (the {ROWS[kind][0]})' if ROWS[kind][0] else ''}: "
        f"{ROWS[kind][1]}</li>"
        for row in rows
        for kind in [role(row.get("name"))]
    )
    absent = [f"no {kind} row" for kind in ("real", "reconstructions") if kind not in present]
    missing = f"<li>This evaluation has {' and '.join(absent)} to compare with.</li>" if absent else ""
    columns = "".join(
        f'<div><dt>{title} <span class="arrow">{direction}</span></dt><dd>{text}</dd></div>'
        for title, direction, text in WORDS
        if any(title == column and any(key in row for row in rows) for key, column, _ in COLUMNS)
    )
    return f'<h3>How to read it</h3><ul class="note">{lines}{missing}</ul><dl class="words">{columns}</dl>'


def _classes(data: Mapping[str, Any]) -> str:
    rows = [row for row in rows_of(data, "per_class") if number(row.get("accuracy")) is not None]
    if not rows:
        return ""
    limit = 40
    note = (
        "A classifier trained on the real labels looks at samples of each class. The nearer the filled dot lies "
        "to the ring, the more the synthetic samples of that class are what they claim to be."
    )
    if len(rows) > limit:
        note += f" Of {len(rows)} classes the {limit} with the lowest accuracy are shown."
    body = f'<p class="note">{note}</p>' + page.chart(
        figures.class_accuracy(rows, limit=limit), "chart-classes", "Dot chart of the accuracy by class."
    )
    return page.section("Class by class", body, "classes")
