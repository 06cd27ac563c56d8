"""What every page of aegan is made of: escaping, images and charts embedded, the frame, the safe write."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import math
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from PIL import Image
from plotly.offline import get_plotlyjs

from aegan.report.reader import number
from aegan.storage import write_text

EMBED_BYTES = 400_000
"""Images above this size are embedded as smaller WebP, so that the page stays light on a phone."""

WIDTH, HEIGHT = 720, 1080
"""Bounds of a picture on a wide page, in CSS pixels."""

MISSING = '<span class="missing">missing</span>'


def esc(text: object) -> str:
    """Text made safe for HTML, attributes included."""
    return html.escape(str(text), quote=True)


def prose(text: str) -> str:
    """Escaped text in which `back-ticked` words become code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", esc(text))


def figure_text(value: object, digits: int = 3) -> str:
    """A number for reading, or the word "missing".

    >>> figure_text(1234567), figure_text(0.01234), figure_text(None)
    ('1,234,567', '0.0123', '<span class="missing">missing</span>')
    """
    known = number(value)
    if known is None:
        return MISSING
    if known == int(known) and abs(known) < 1e15:
        return f"{int(known):,}"
    if abs(known) >= 10**digits:
        return f"{known:,.0f}"
    return f"{known:.{digits}g}"


def fixed(value: float, digits: int) -> str:
    """A number with so many significant digits, trailing zeros kept, and a true minus sign.

    >>> fixed(4.602, 3), fixed(-50.32, 3), fixed(12345.6, 3), fixed(1.0, 3), fixed(0.0, 2), fixed(1.2e-7, 2)
    ('4.60', '−50.3', '12,346', '1.00', '0.0', '1.2e−07')
    """
    if value and not 1e-4 <= abs(value) < 1e9:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    places = digits - 1 - (math.floor(math.log10(abs(value))) if value else 0)
    return f"{value:,.{max(0, places)}f}".replace("-", "−")


def duration(seconds: object) -> str:
    """Seconds for reading.

    >>> duration(42.4), duration(599), duration(7260), duration(None)
    ('42 s', '9 min 59 s', '2 h 1 min', 'unknown')
    """
    known = number(seconds)
    if known is None:
        return "unknown"
    total = round(known)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min" + (f" {total % 60} s" if total % 60 else "")
    return f"{total // 3600} h" + (f" {total % 3600 // 60} min" if total % 3600 // 60 else "")


def image_uri(source: Path | Image.Image) -> tuple[str, tuple[int, int]]:
    """An image as a ``data:`` URI, and its width and height in pixels.

    Raises:
        OSError: The file is no image that Pillow can read.
        ValueError: The image is damaged.
    """
    raw = source.read_bytes() if isinstance(source, Path) else b""
    image = Image.open(io.BytesIO(raw)) if isinstance(source, Path) else source
    if isinstance(source, Path):
        image.load()
        if image.format == "PNG" and len(raw) <= EMBED_BYTES:
            return _uri("png", raw), image.size
    buffer = io.BytesIO()
    if image.mode not in ("1", "L", "RGB", "RGBA"):
        image = image.convert("RGB")
    image.save(buffer, "PNG")
    if buffer.tell() <= EMBED_BYTES:
        return _uri("png", buffer.getvalue()), image.size
    image = image.convert("RGB")
    image.thumbnail((1600, 1600))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return _uri("webp", buffer.getvalue()), image.size


def image_block(source: Path | Image.Image | None, alt: str, caption: str = "", *, pixels: bool = False) -> str:
    """A ``<figure>`` with the image embedded; empty without an image, a note when it is damaged.

    Args:
        source: The image.
        alt: What it shows, for those who cannot see it.
        caption: Text beside it, or below it on a narrow page.
        pixels: Whether its pixels stay sharp squares when it is enlarged.
    """
    if source is None:
        return ""
    try:
        uri, (width, height) = image_uri(source)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return f'<p class="missing">The image “{esc(alt)}” could not be read.</p>'
    shown = min(WIDTH, max(160, round(HEIGHT * width / max(1, height))))
    note = f"<figcaption>{prose(caption)}</figcaption>" if caption else ""
    sharp = ' class="pixels"' if pixels else ""
    return (
        f'<figure class="image" style="--width:{shown}px"><img{sharp} src="{uri}" alt="{esc(alt)}" '
        f'width="{width}" height="{height}">{note}</figure>'
    )


def chart(figure: go.Figure | dict[str, go.Figure], name: str, alt: str) -> str:
    """A place for a figure and its data; a mapping gives variants that the x-axis switch picks from."""
    variants = figure if isinstance(figure, dict) else {"only": figure}
    first = next(iter(variants.values()))
    height = int(first.to_plotly_json()["layout"].get("height") or 300)
    body = ",".join(f"{json.dumps(key)}:{value.to_json()}" for key, value in variants.items())
    body = "{" + body.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029") + "}"
    return (
        f'<figure class="chart"><div data-chart="{esc(name)}" role="img" aria-label="{esc(alt)}" '
        f'style="height:{height}px"></div>'
        f'<script type="application/json" id="{esc(name)}">{body}</script></figure>'
    )


def section(title: str, body: str, anchor: str = "") -> str:
    """A card with a heading; nothing when the body is empty."""
    if not body:
        return ""
    return f"<section{f' id={anchor!r}' if anchor else ''}><h2>{esc(title)}</h2>\n{body}</section>\n"


def settings_table(values: Mapping[str, Any]) -> str:
    """Nested settings as a two-column table with dotted names."""

    def rows(prefix: str, mapping: Mapping[str, Any]) -> Iterable[str]:
        for key, value in mapping.items():
            if isinstance(value, Mapping) and value:
                yield from rows(f"{prefix}{key}.", value)
            else:
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
                text = text if len(text) <= 400 else text[:399] + "…"
                yield f"<tr><th>{esc(prefix)}{esc(key)}</th><td>{esc(text)}</td></tr>"

    return f"<table><tbody>{''.join(rows('', values))}</tbody></table>"


def page(title: str, body: str) -> str:
    """A whole HTML page that loads nothing: styles, Plotly and the page's script lie in it.

    The content security policy names the scripts by their hash, so a browser neither reaches out
    nor runs anything that a class name or a path might smuggle in.
    """
    assets = files("aegan.report") / "assets"
    css = (assets / "report.css").read_text(encoding="utf-8")
    scripts = [(assets / "report.js").read_text(encoding="utf-8")]
    if "data-chart=" in body:
        scripts.insert(0, get_plotlyjs())
    none = "'none'"
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'" for code in scripts
    )
    policy = (
        "default-src 'none'; img-src data: blob:; media-src data:; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; "
        f"script-src {hashes or none}"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{esc(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n<main>\n{body}</main>\n"
        + "".join(f"<script>{code}</script>\n" for code in scripts)
        + "</body>\n</html>\n"
    )


def write_evaluation(path: Path | str, title: str, headline: object, body: str) -> Path:
    """Write an evaluation as a self-contained page: its title, its headline where there is one, and its sections.

    Raises:
        StorageError: The page cannot be written; an older one stays as it was.
    """
    lead = f'<p class="lead">{prose(str(headline))}</p>' if headline else ""
    header = f'<header><div class="kicker">aegan evaluation</div><h1>{esc(title)}</h1>{lead}</header>\n'
    return write_page(Path(path), page("Evaluation – aegan", header + body))


def write_page(path: Path, text: str) -> Path:
    """Write a page through a temporary file beside it, so that no half-written page ever shows.

    Raises:
        StorageError: The disk is full or the folder cannot be written; an old page stays as it was.
    """
    write_text(path, text)
    return path


def _uri(kind: str, raw: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(raw).decode()}"
