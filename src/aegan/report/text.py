"""What a report shows of text: made texts, ways between texts, and the evaluation; also as a page of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from aegan.report import page
from aegan.report.evaluation import main_mark, notes_block, rows_of, stamps_block
from aegan.report.page import MISSING, esc, figure_text, fixed
from aegan.report.reader import RunFolder, inner, number
from aegan.report.theme import BLUE, GREY, TEMPLATE

TEXTS = 24
"""Most made texts that are shown."""
CHARACTERS = 600
"""Most characters of a text that are shown."""

FIGURES = (
    *(("bleu", str(n), f"BLEU-{n}", "higher is better", 1) for n in (2, 3, 4, 5)),
    *(("self_bleu", str(n), f"Self-BLEU-{n}", "lower is more varied", 1) for n in (2, 3, 4, 5)),
    ("", "forward", "Perplexity, forward", "lower is more fluent", 1),
    ("", "reverse", "Perplexity, reverse", "lower misses less", 1),
    ("", "characters", "Letters off by", "lower is better", 1),
    ("", "frechet", "Fréchet distance of codes", "lower is better", 1),
    ("", "copies", "Copies of training texts, %", "", 100),
    ("", "duplicates", "Repeats in the set, %", "lower is more varied", 100),
    ("", "accuracy", "Tokens reconstructed, %", "higher is better", 100),
    ("", "exact", "Texts reconstructed exactly, %", "higher is better", 100),
)

WORDS = (
    ("BLEU", "Do runs of words (or letters) occur in unseen real texts? Each text is compared with all of them."),
    ("Self-BLEU", "The same of each text with all others of its own set: how alike they are. Good and dull texts "
     "have high BLEU and high self-BLEU; compare both with the real texts’."),
    ("Perplexity", "Forward: how surprising these texts are to an n-gram model that read the training texts. Reverse: "
     "how surprising unseen real texts are to one that read these."),
    ("Letters", "How far the frequencies of runs of three letters are off, from 0 to 1."),
    ("Fréchet", "How far the codes of these texts lie from those of training texts, in the encoder’s own space."),
)  # fmt: skip


def described(run: RunFolder, count: str) -> str:
    """The data in a phrase."""
    return f"{count} texts"


def one_sample(run: RunFolder) -> str:
    """What one text is."""
    spec, units = inner(run.adapter, "spec"), inner(run.adapter, "units")
    shape, size = spec.get("shape"), number(spec.get("vocabulary"))
    longest = shape[0] - 1 if isinstance(shape, list) and shape and isinstance(shape[0], int) else None
    unit = str(units.get("kind") or "token")
    most = f"up to {longest} {unit}s" if longest is not None else f"{unit}s"
    return f"{most} of {size:,.0f}" if size is not None else most


def samples(run: RunFolder) -> str:
    """Some made texts, and ways between real ones."""
    path = run.file("samples/texts.txt")
    if path is None:
        return ""
    try:
        whole = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return ""
    apart = "\n\n" if inner(run.adapter, "form").get("sample") == "paragraph" else "\n"
    texts = whole.removesuffix("\n").split(apart)[:TEXTS]
    note = '<p class="note">The first made texts; more in <code>samples/texts.txt</code>.</p>'
    return page.section("Made texts", _listed(texts) + note, "samples")


def measured(metrics: Mapping[str, Any]) -> str:
    """The evaluation of the texts."""
    return text_sections(metrics)


def text_sections(data: Mapping[str, Any]) -> str:
    """The evaluation of text as sections of a page.

    Args:
        data: The JSON of an evaluation of text; every key is optional.
    """
    rows = rows_of(data)
    if rows:
        body = _intro(data) + _table(rows) + notes_block(data) + _words() + stamps_block(data)
    else:
        body = "<p>The evaluation holds no rows, so there is nothing to compare.</p>"
    return page.section("How good it is", body, "evaluation") + _lengths(data) + _ways(data) + _pairs(data)


def write_text_evaluation(evaluation_json: Mapping[str, Any], path: Path | str) -> Path:
    """Write the evaluation of text as a self-contained page.

    Args:
        evaluation_json: The value of ``TextEvaluation.to_json``; every key is optional.
        path: Where the page goes.

    Returns:
        ``path``.

    Raises:
        StorageError: The page cannot be written; an older one stays as it was.
    """
    made = inner(evaluation_json, "details").get("texts")
    shown = page.section("Made texts", _listed(made[:TEXTS]), "samples") if isinstance(made, list) and made else ""
    body = text_sections(evaluation_json) + shown
    return page.write_evaluation(path, "Made beside real texts", evaluation_json.get("headline"), body)


def _listed(texts: list[Any]) -> str:
    """Texts one below the other, each in its own direction of writing."""
    return f'<ul class="texts">{"".join(f"<li>{_text(text)}</li>" for text in texts)}</ul>'


def _text(text: Any) -> str:
    shown = str(text)
    shown = shown if len(shown) <= CHARACTERS else shown[: CHARACTERS - 1] + "…"
    return f'<bdi dir="auto" style="white-space:pre-wrap">{esc(shown)}</bdi>'


def _intro(data: Mapping[str, Any]) -> str:
    stamps = inner(data, "stamps")
    count, unit = number(stamps.get("references")), stamps.get("unit")
    said = f"Measured by {unit}s against {count:,.0f} unseen real texts. " if count is not None else ""
    words = f"{said}The column of the real holdout is what real texts score in the place of made ones."
    return f'<p class="note">{esc(words)}</p>'


def _value(row: Mapping[str, Any], part: str, key: str) -> float | None:
    return number((inner(row, part) if part else row).get(key))


def _table(rows: list[dict[str, Any]]) -> str:
    """Figures down, sets across."""
    head = ""
    for row in rows:
        count = f"n = {figure_text(row['n'])}" if number(row.get("n")) is not None else "n missing"
        head += f'<th scope="col"{main_mark(row)}>{esc(row.get("name", "unnamed"))}<small>{count}</small></th>'
    body = ""
    for part, key, title, direction, scale in FIGURES:
        values = [_value(row, part, key) for row in rows]
        if all(value is None for value in values):
            continue
        cells = "".join(
            f"<td{main_mark(row)}>{MISSING if value is None else fixed(scale * value, 3)}</td>"
            for row, value in zip(rows, values, strict=True)
        )
        body += f'<tr><th scope="row">{title}<small>{direction}</small></th>{cells}</tr>'
    return (
        f'<div class="scroll"><table class="figures"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _words() -> str:
    cells = "".join(f"<div><dt>{name}</dt><dd>{words}</dd></div>" for name, words in WORDS)
    return f'<h3>How to read it</h3><dl class="words">{cells}</dl>'


def _lengths(data: Mapping[str, Any]) -> str:
    figure = length_figure(inner(inner(data, "details"), "lengths"))
    if figure is None:
        return ""
    chart = page.chart(figure, "chart-lengths", "Bar chart of the lengths of made and of real texts.")
    return page.section("How long they are", chart, "lengths")


def length_figure(lengths: Mapping[str, Any]) -> go.Figure | None:
    """Shares of texts by their number of tokens; None without any."""
    figure = go.Figure()
    for name, colour in (("real holdout", GREY), ("synthetic", BLUE)):
        counts = lengths.get(name)
        if isinstance(counts, list) and counts and all(number(count) is not None for count in counts) and sum(counts):
            total = sum(counts)
            shares = [100 * count / total for count in counts]
            figure.add_bar(x=list(range(len(counts))), y=shares, name=name, marker_color=colour)
    if not figure.data:
        return None
    return figure.update_layout(
        template=TEMPLATE, barmode="group", height=300, xaxis_title="tokens", yaxis_title="texts, %", bargap=0.1
    )


def _ways(data: Mapping[str, Any]) -> str:
    ways = inner(data, "details").get("interpolations")
    if not isinstance(ways, list) or not ways:
        return ""
    note = '<p class="note">From one unseen real text’s code to another’s in equal steps, each decoded.</p>'
    return page.section("From one text to another", note + "".join(map(_listed, ways)), "interpolations")


def _pairs(data: Mapping[str, Any]) -> str:
    pairs = inner(data, "details").get("pairs")
    if not isinstance(pairs, list) or not pairs:
        return ""
    body = "".join(f"<tr><td>{_text(a)}</td><td>{_text(b)}</td></tr>" for a, b in pairs[: TEXTS // 2])
    head = "<tr><th>unseen real text</th><th>its reconstruction</th></tr>"
    table = f'<div class="scroll"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'
    return page.section("What a code keeps", table, "reconstructions")
