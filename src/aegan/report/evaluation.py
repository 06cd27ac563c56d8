"""The evaluation in words, table and charts: a part of the run's report and a page of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from aegan.report import figures, page
from aegan.report.page import MISSING, esc, figure_text, fixed
from aegan.report.reader import inner, number

COLUMNS = (
    ("frechet", "Fréchet distance", "↓"),
    ("kernel", "Kernel distance ×1000", "↓"),
    ("precision", "Precision", "↑"),
    ("recall", "Recall", "↑"),
    ("density", "Density", "↑"),
    ("coverage", "Coverage", "↑"),
)

WORDS = (
    ("Fréchet distance", "lower is better", "How far the averages and spreads of the two sets of features lie apart. "
     "It sees both poor samples and missing variety. Small sets make it look worse than it is."),
    ("Kernel distance ×1000", "lower is better", "The same question without assuming bell curves, and fair to small "
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
        body = _intro(data) + _table(rows) + notes_block(data) + _charts(rows) + _words(rows) + stamps_block(data)
    else:
        body = "<p>The evaluation holds no rows, so there is nothing to compare.</p>"
    return page.section("How good it is", body, "evaluation") + _classes(data)


def memorisation(data: Mapping[str, Any]) -> str:
    """Verdict, sentences and named figures on copies of the training data; empty when the evaluation has none."""
    found = inner(data, "memorisation")
    if not found:
        return ""
    verdict = found.get("verdict")
    text = page.prose(verdict) if isinstance(verdict, str) and verdict else f"The verdict is {MISSING}."
    html = f"<p><strong>{text}</strong></p>"
    fake, train, held = (number(found.get(f"n_{name}")) for name in ("synthetic", "train", "holdout"))
    usual = percent(found.get("alpha"))
    if fake is not None and train is not None:
        html += f'<p class="note">Each of {fake:,.0f} synthetic samples was searched for among {train:,.0f} '
        html += "training samples"
        html += (
            f". How near is too near was set by {held:,.0f} real samples that the model never saw: {usual} of those "
            "count as near, so about as many of the synthetic samples may.</p>"
            if held
            else "; without unseen real samples nothing tells how near is too near.</p>"
        )
    facts = []
    exact = number(found.get("exact_copies"))
    if exact is not None:
        real = number(found.get("exact_copies_holdout"))
        beside = f" Among unseen real samples: {_of(real, held)}." if real is not None else ""
        facts.append(("Exact copies", _of(exact, fake), f"Equal to a training sample in every pixel.{beside}"))
    for key, name, words in (
        ("near", "Near a training sample", "Nearer to a training sample than all but the nearest unseen real ones."),
        ("single", "Near one alone", "Much nearer to one training sample than to any other: the mark of a copy."),
    ):
        share = inner(found, key)
        if share:
            facts.append((name, percent(share.get("share")), f"{words} {_interval(share)}; {usual} is chance."))
    z = number(found.get("z"))
    if z is not None:
        side = "nearer to" if z < -3 else "farther from" if z > 3 else "about as far from"
        than = "as" if -3 <= z <= 3 else "than"
        facts.append(
            ("Distances as a whole", f"z = {z:.1f}", f"Synthetic samples lie {side} the training data {than} unseen "
             "real ones do. Far below 0 would mean too near.")
        )  # fmt: skip
    return html + facts_list(facts)


def repetition(data: Mapping[str, Any]) -> str:
    """Sentences and figures on samples that repeat one another; empty when the evaluation has none."""
    found = inner(data, "duplicates")
    near = inner(found, "near")
    share, alpha, low = number(near.get("share")), number(found.get("alpha")), number(near.get("low"))
    if share is None or alpha is None or low is None:
        return ""
    p = number(near.get("p"))
    much = low > alpha and share > 2 * alpha and (p is None or p < 0.005)
    verdict = "Synthetic samples repeat one another more than real ones do." if much else "No sign of repetition."
    count = number(found.get("n"))
    beside = f"compared with {count:,.0f} real ones, as many on either side" if count is not None else ""
    text = f'<p><strong>{verdict}</strong></p><p class="note">Samples were compared with one another'
    html = f"<h3>Does it repeat itself?</h3>{text}{f', and {beside}' if beside else ''}.</p>"
    facts = [
        ("Near duplicates", percent(share), f"Closer to another sample than all but the closest real pairs are. "
         f"{_interval(near)}; {percent(alpha)} is usual."),
    ]  # fmt: skip
    exact, real = number(found.get("exact")), number(found.get("exact_real"))
    if exact is not None:
        beside = f" Among the real ones: {_of(real, count)}." if real is not None else ""
        facts.append(("Exact repeats", _of(exact, count), f"Equal to an earlier sample in every pixel.{beside}"))
    return html + facts_list(facts)


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
    pictures = [page.section(caption, page.image_block(image, caption)) for caption, image in (images or {}).items()]
    found = memorisation(evaluation_json) + repetition(evaluation_json)
    copies = page.section("Does it copy its training data?", found, "memorisation")
    body = metrics_sections(evaluation_json) + "".join(pictures) + copies
    return page.write_evaluation(path, "Synthetic beside real data", evaluation_json.get("headline"), body)


def percent(value: object) -> str:
    """A share in percent; a dash where it is no number."""
    known = number(value)
    return MISSING if known is None else f"{100 * known:.3g}\u00a0%"


def _of(count: float | None, total: float | None) -> str:
    if count is None:
        return MISSING
    return f"{count:,.0f}" + (f" of {total:,.0f}" if total is not None else "")


def _interval(share: Mapping[str, Any]) -> str:
    return f"95 % interval {percent(share.get('low'))} to {percent(share.get('high'))}"


def facts_list(facts: list[tuple[str, str, str]]) -> str:
    """Figures by their names, each with what it means."""
    cells = "".join(f"<div><dt>{name}: {figure}</dt><dd>{words}</dd></div>" for name, figure, words in facts)
    return f'<dl class="words">{cells}</dl>' if cells else ""


def _intro(data: Mapping[str, Any]) -> str:
    """In which space, against what, and what the ± are."""
    stamps = inner(data, "stamps")
    space, reference = stamps.get("feature_space"), inner(stamps, "reference")
    parts = [f"Feature space: {space}." if space else "The feature space is not named."]
    n, of = number(reference.get("n")), number(reference.get("of"))
    if n is not None:
        drawn = f"{n:,.0f} of {of:,.0f} samples" if of is not None and of > n else f"all {n:,.0f} samples"
        name = "training set" if reference.get("set") == "train" else f"set “{reference.get('set')}”"
        parts.append(f"Every column is measured against the {name} ({drawn}).")
    rows = rows_of(data)
    if any(number(row.get(f"{key}_deviation")) is not None for row in rows for key in ("frechet", "kernel")):
        parts.append(
            "± gives 95 % intervals (1.96 standard deviations), of the Fréchet distance over resamples of the set, "
            "of the kernel distance over random subsets."
        )
    fewer = sorted({m for row in rows if (m := number(row.get("prdc_n"))) is not None and m != number(row.get("n"))})
    if fewer:
        counts = " or ".join(f"{m:,.0f}" for m in fewer)
        parts.append(f"Precision, recall, density and coverage use {counts} of the samples.")
    return f'<p class="note">{esc(" ".join(parts))}</p>'


def notes_block(data: Mapping[str, Any]) -> str:
    """What the evaluation itself says about its figures."""
    notes = data.get("notes")
    lines = [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
    items = "".join(f"<li>{page.prose(line[:1].upper() + line[1:])}</li>" for line in lines)
    return (
        f'<div class="box warn notes"><strong>Mind when reading these figures</strong><ul>{items}</ul></div>'
        if items
        else ""
    )


def stamps_block(data: Mapping[str, Any]) -> str:
    """How and on what it was measured, folded."""
    stamps = inner(data, "stamps")
    if not stamps:
        return ""
    return (
        "<details><summary>What these figures can be compared with</summary>"
        '<p class="note">Only figures of evaluations with the same values here.</p>'
        f"{page.settings_table(stamps)}</details>"
    )


def _cell(row: Mapping[str, Any], key: str) -> str:
    scale = figures.SCALE.get(key, 1)
    value, deviation = number(row.get(key)), number(row.get(f"{key}_deviation"))
    if value is None:
        text = MISSING
    else:
        text = fixed(scale * value, 3)
        if deviation:
            text += f"<small>± {fixed(figures.Z95 * scale * deviation, 2)}</small>"
    return f"<td{main_mark(row)}>{text}</td>"


def main_mark(row: Mapping[str, Any]) -> str:
    """The attribute that sets off the row of what is judged."""
    return ' class="main"' if role(row.get("name")) == "synthetic" else ""


def _table(rows: list[dict[str, Any]]) -> str:
    """Figures down, sets across: so it fits a phone, and what is to be compared stands side by side."""
    head = ""
    for row in rows:
        kind = ROWS[role(row.get("name"))][0]
        count = f"n = {figure_text(row['n'])}" if number(row.get("n")) is not None else "n missing"
        note = f"<small>{kind}</small><small>{count}</small>" if kind else f"<small>{count}</small>"
        head += f'<th scope="col"{main_mark(row)}>{esc(row.get("name", "unnamed"))}{note}</th>'
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
    """How often the classifier recognises the class asked for: the total in words, the classes in a chart."""
    rows = rows_of(data, "classes")
    if not rows or number(rows[0].get("accuracy")) is None:
        return ""
    total, limit = rows[0], 40
    known = [row for row in rows[1:] if number(row.get("accuracy")) is not None]
    real = ""
    if number(total.get("real_accuracy")) is not None:
        real = f"; of {_total(total.get('real_n'))}unseen real samples, {percent(total['real_accuracy'])}"
    text = (
        f"<p><strong>{percent(total['accuracy'])}</strong> of {_total(total.get('n'))}synthetic samples are "
        f"recognised as the class that was asked for{real}.</p>"
    )
    note = (
        "A classifier trained on the real labels looks at samples of each class. The nearer the filled dot lies "
        "to the ring, the more the synthetic samples of that class are what they claim to be."
    )
    if len(known) > limit:
        note += f" Of {len(known)} classes the {limit} with the lowest accuracy are shown."
    chart = page.chart(
        figures.class_accuracy(rows, limit=limit), "chart-classes", "Dot chart of the accuracy by class."
    )
    body = text + (f'<p class="note">{note}</p>{chart}' if known else "")
    return page.section("Class by class", body, "classes")


def _total(value: object) -> str:
    known = number(value)
    return "" if known is None else f"{known:,.0f} "
