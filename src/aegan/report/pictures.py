"""The report's parts that show images: samples, reconstructions, neighbours, samples over time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aegan.report import page
from aegan.report.evaluation import memorisation, repetition
from aegan.report.page import duration, esc, figure_text
from aegan.report.reader import RunFolder, inner, number

FRAMES = 16
"""Most sample grids under the slider; the first and the last are always among them."""

SMALL = 56
"""Images with sides below this are enlarged in grids, and drawn with sharp pixels."""


def grid(run: RunFolder) -> str:
    """The final grid of samples, or the newest of the training."""
    if run.codes_only:
        return ""
    final = run.file("samples/grid.png")
    if final is not None:
        caption = "Drawn from the final model, not picked by hand."
        if inner(run.adapter, "spec").get("classes"):
            caption += " Each row is one class, in the order in which they are named above."
        return page.section("Samples", _picture(run, final, "Grid of samples of the final model", caption), "samples")
    frames = _frames(run)
    if not frames:
        return page.section("Samples", "<p>The run wrote no samples.</p>", "samples")
    caption = f"The newest grid of the training ({frames[-1][0]}); the final grid is missing."
    return page.section("Samples", _picture(run, frames[-1][1], "Newest grid of samples", caption), "samples")


def reconstructions(run: RunFolder) -> str:
    """Originals and reconstructions."""
    caption = (
        "In pairs: on the left an original, on the right what the decoder makes of its code. "
        "Detail that is missing here cannot appear in generated samples either."
    )
    image = run.file("samples/reconstructions.png")
    return page.section(
        "Reconstructions", _picture(run, image, "Originals and reconstructions", caption), "reconstructions"
    )


def neighbours(run: RunFolder) -> str:
    """Samples beside the training images nearest to them."""
    caption = (
        "Each row: a generated sample first, then the training images most like it. "
        "Samples that equal their neighbour are copies, not inventions."
    )
    image = _picture(run, run.file("samples/neighbours.png"), "Samples and nearest training images", caption)
    verdict = memorisation(run.metrics or {})
    if image and not verdict:
        verdict = "<p>Whether the model copies its training data has not been measured.</p>"
    body = verdict + image + repetition(run.metrics or {})
    return page.section("Does it copy its training data?", body, "memorisation")


def over_time(run: RunFolder) -> str:
    """The grids of the training, under a slider."""
    frames = _frames(run)
    if len(frames) < 2:
        return ""
    if len(frames) > FRAMES:
        frames = [frames[i] for i in np.linspace(0, len(frames) - 1, FRAMES).round().astype(int)]
    shown = []
    for name, path in frames:
        try:
            shown.append((name, page.image_uri(path)[0]))
        except (OSError, ValueError, SyntaxError):  # a grid that was torn while it was written
            continue
    if len(shown) < 2:
        return ""
    last, pixels = len(shown) - 1, ' class="pixels"' if _enlarged(run) else ""
    what = "images" if run.codes_only else "codes"
    images = "".join(
        f'<figure class="image"{"" if i == last else " hidden"}><figcaption>{esc(name)}</figcaption>'
        f'<img{pixels} src="{uri}" alt="Samples at {esc(name)}"></figure>'
        for i, (name, uri) in enumerate(shown)
    )
    body = (
        f'<p class="note">The same {what} throughout, so every place of the grid follows one of them.</p>'
        f'<div class="frames"><div class="player"><button type="button" aria-label="Play">Play</button>'
        f'<input type="range" min="0" max="{last}" value="{last}" aria-label="Time"></div>{images}</div>'
    )
    return page.section("Samples over time", body, "time")


def size_of(spec: Mapping[str, Any]) -> str | None:
    """Size and colours of one image; ``None`` when the data are no images."""
    shape = spec.get("shape")
    if spec.get("kind") != "image" or not isinstance(shape, list) or len(shape) != 3:
        return None
    channels, height, width = shape
    colours = {1: "grey", 3: "colour", 4: "colour with transparency"}.get(channels, f"{channels} channels")
    return f"{width}×{height} pixels, {colours}"


def _frames(run: RunFolder) -> list[tuple[str, Path]]:
    """Sample grids in order of time, told by events or, without them, by their file names."""
    found: dict[Path, str] = {}
    for event in run.of("samples"):
        path = run.file(event.get("path"))
        if path is not None and path.suffix == ".png":
            stage = f"{event['stage']}, " if event.get("stage") else ""
            time = f", {duration(event.get('t'))}" if number(event.get("t")) is not None else ""
            found[path] = f"{stage}step {figure_text(event.get('step'))}{time}".replace(page.MISSING, "?")
    if not found:
        for path in sorted((run.path / "samples").glob("step-*.png")):
            inside = run.file(f"samples/{path.name}")
            if inside is not None:
                found[inside] = path.stem.replace("-", " ")
    return [(name, path) for path, name in found.items()]


def _picture(run: RunFolder, path: Path | None, alt: str, caption: str) -> str:
    return page.image_block(path, alt, caption, pixels=_enlarged(run))


def _enlarged(run: RunFolder) -> bool:
    """Whether the images are so small that grids show every pixel as a square."""
    shape = inner(run.adapter, "spec").get("shape")
    sides = [number(side) for side in shape[1:]] if isinstance(shape, list) else []
    return all(side is not None and side < SMALL for side in sides)
