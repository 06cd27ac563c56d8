"""What a report shows of a run of recordings: samples to play, their spectrograms, and the evaluation."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aegan.report import page
from aegan.report.page import esc
from aegan.report.reader import RunFolder

LARGEST = 2_000_000
"""Bytes of a recording that is put into the page."""
_STYLE = (
    "display:grid;grid-template-columns:repeat(auto-fill,minmax(180px,1fr));gap:1rem;align-items:end"  # cards of sounds
)


def described(run: RunFolder, count: str) -> str:
    """The data in a phrase."""
    return f"{count} recordings"


def one_sample(run: RunFolder) -> str:
    """What one recording is."""
    spec, scaling = run.adapter.get("spec"), run.adapter.get("scaling")
    shape = spec.get("shape") if isinstance(spec, dict) else None
    scale = scaling.get("scale") if isinstance(scaling, dict) else None
    if not isinstance(shape, list) or len(shape) != 3 or not isinstance(scale, dict):
        return "a recording"
    channels = {1: "mono", 2: "stereo"}.get(shape[0], f"{shape[0]} channels")
    try:
        seconds = shape[2] * scale["hop"] / scale["rate"]
        return f"up to {seconds:.2f} s, {channels}, {scale['rate']:,} Hz; {shape[1]} mel bands × {shape[2]} frames"
    except (KeyError, TypeError, ZeroDivisionError):
        return "a recording"


def samples(run: RunFolder) -> str:
    """Samples to play, and reconstructions after their originals."""
    told = _told(run)
    made = "".join(_card(run, entry) for entry in _list(told, "samples"))
    pairs = [pair for pair in _list(told, "pairs") if isinstance(pair, list) and len(pair) == 2]
    parts = ""
    if made:
        note = '<p class="note">Drawn from the final model, not picked by ear; spread over the labels.</p>'
        parts += page.section("Samples", f'{note}<div style="{_STYLE}">{made}</div>', "samples")
    if pairs:
        cards = "".join(_card(run, a, "original") + _card(run, b, "reconstruction") for a, b in pairs)
        note = (
            '<p class="note">Each original, then what decoder and vocoder make of its code. '
            "What is missing here cannot be in samples either.</p>"
        )
        parts += page.section("Reconstructions to hear", f'{note}<div style="{_STYLE}">{cards}</div>', "heard")
    return parts


def measured(metrics: Mapping[str, Any]) -> str:
    """The evaluation: the table, the accuracy by label, what judged."""
    from_rows = _table(metrics)
    stamps, notes = metrics.get("stamps"), metrics.get("notes")
    space = stamps.get("feature_space") if isinstance(stamps, Mapping) else None
    lines = [
        "Fréchet distance, precision, recall and coverage are in the features of a network that tells the labels; "
        "accuracy is how often it recognises the label asked for. Diversity is the difference of two recordings of one "
        "class, as a part of the training recordings' own. Mel is the difference from the original. Read every row "
        "against the real holdout's.",
        *([f"Features: {space}."] if space else []),
        *(map(str, notes) if isinstance(notes, list) else []),
    ]
    body = from_rows + "".join(f'<p class="note">{esc(line)}</p>' for line in lines) + _by_value(metrics)
    memory = metrics.get("memorisation")
    verdict = memory.get("verdict") if isinstance(memory, Mapping) else None
    if verdict:
        body += f"<p><strong>Copies:</strong> {page.prose(str(verdict))}</p>"
    return page.section("How good it is", body, "evaluation")


def write_sound_evaluation(values: Mapping[str, Any], path: Path) -> Path:
    """An evaluation's JSON as a page of its own."""
    title = "aegan evaluation of recordings"
    head = f'<header><h1>{title}</h1><p class="lead">{page.prose(str(values.get("headline", "")))}</p></header>'
    return page.write_page(Path(path), page.page(title, head + measured(values)))


def _told(run: RunFolder) -> Mapping[str, Any]:
    path = run.file("samples/sounds.json")
    if path is None:
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, Mapping) else {}


def _list(told: Mapping[str, Any], key: str) -> list[Any]:
    value = told.get(key)
    return value if isinstance(value, list) else []


def _card(run: RunFolder, entry: Any, what: str = "") -> str:
    """A spectrogram and a player of one recording; empty where its file is gone."""
    if not isinstance(entry, Mapping):
        return ""
    sound = run.file(f"samples/{entry.get('sound')}")
    if sound is None or sound.stat().st_size > LARGEST:
        return ""
    labels = entry.get("labels")
    told = ", ".join(f"{name} {value}" for name, value in labels.items()) if isinstance(labels, Mapping) else ""
    caption = esc(", ".join(filter(None, [what, told])) or str(entry.get("sound")))
    uri = "data:audio/wav;base64," + base64.b64encode(sound.read_bytes()).decode("ascii")
    picture = run.file(f"samples/{entry.get('picture')}")
    image = ""
    if picture is not None:
        try:
            source = page.image_uri(picture)[0]
            image = f'<img src="{source}" alt="Spectrogram: {caption}" style="width:100%">'
        except (OSError, ValueError, SyntaxError):
            image = ""
    return (
        f'<figure style="margin:0">{image}<figcaption>{caption}</figcaption>'
        f'<audio controls preload="none" style="width:100%" src="{uri}"></audio></figure>'
    )


def _table(metrics: Mapping[str, Any]) -> str:
    rows = [row for row in metrics.get("rows") or [] if isinstance(row, Mapping)]
    if not rows:
        return "<p>No figures were computed.</p>"
    labels = list(dict.fromkeys(label for row in rows for label in row.get("accuracy") or {}))
    heads = ["", "n", "Fréchet", *(f"{label} %" for label in labels), "Precision", "Recall", "Coverage", "Diversity"]
    heads.append("Mel, dB")
    lines = []
    for row in rows:
        accuracy = row.get("accuracy") or {}
        cells = [str(row.get("name")), str(row.get("n")), _figure(row.get("frechet"))]
        cells += [_figure(100 * accuracy[label], 1) if label in accuracy else "–" for label in labels]
        cells += [_figure(row.get(key)) for key in ("precision", "recall", "coverage", "diversity", "mel_distance")]
        lines.append("<tr>" + "".join(f"<td>{esc(cell)}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{esc(name)}</th>" for name in heads)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _by_value(metrics: Mapping[str, Any]) -> str:
    details = metrics.get("details")
    classes = details.get("classes") if isinstance(details, Mapping) else None
    if not isinstance(classes, Mapping):
        return ""
    blocks = ""
    for label, rows in classes.items():
        lines = "".join(
            f"<tr><td>{esc(str(row.get('value')))}</td><td>{_percent(row.get('synthetic'))}</td>"
            f"<td>{_percent(row.get('real holdout'))}</td></tr>"
            for row in rows
            if isinstance(row, Mapping)
        )
        head = f"<tr><th>{esc(str(label))}</th><th>samples</th><th>real</th></tr>"
        blocks += f'<div class="scroll"><table><thead>{head}</thead><tbody>{lines}</tbody></table></div>'
    return f"<details><summary>Accuracy by value</summary>{blocks}</details>" if blocks else ""


def _figure(value: Any, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if isinstance(value, (int, float)) else "–"


def _percent(value: Any) -> str:
    return f"{100 * value:.0f} %" if isinstance(value, (int, float)) else "–"
