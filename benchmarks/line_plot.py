"""Line plots as SVG with nothing but the standard library, on a card of their own for light and dark pages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from pathlib import Path

COLOURS = ("#3b7dd8", "#d9742b", "#2f9e5b", "#a55bd0", "#c2475f", "#8a8a2a")
DASHES = ("", "7 4", "2 3")
"""Colours come again after six lines: then dashed, then dotted."""
FEW = 6
"""Of more lines the bands would hide each other."""
STYLE = """
.card{fill:#ffffff}.ink{fill:#22262e}.axis{stroke:#6b7280}.grid{stroke:#e1e4e8}
@media (prefers-color-scheme: dark){.card{fill:#1b1f27}.ink{fill:#e4e7ec}.axis{stroke:#8b93a1}.grid{stroke:#333a46}}
text{font-family:system-ui,sans-serif;font-size:12px}.title{font-size:14px;font-weight:600}
"""


@dataclass(frozen=True)
class Line:
    """A line with the band of its interval; ``colour`` is an index, so that a pair can share one.

    With ``points`` neither line nor band is drawn, but a mark for each pair of values.
    """

    name: str
    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]
    colour: int
    dashed: bool = False
    points: bool = False


def line_plot(
    path: Path,
    title: str,
    x_label: str,
    y_label: str,
    lines: list[Line],
    *,
    log: bool = False,
    log_x: bool = False,
    floor: float = 0.0,
) -> None:
    """Write ``path``: the lines with their bands (of six lines or fewer), axes, ticks, and a legend at the right.

    ``log`` and ``log_x`` make the axes logarithmic; ``floor`` is where a y axis that is not begins.
    """
    left, top, bottom = 64, 40, 48
    right = max(220, 60 + 7 * max(len(line.name) for line in lines))
    width, height = 540 + right, max(380, top + 20 * len(lines) + 20)
    xs = [x for line in lines for x in line.x]
    ys = [y for line in lines for y in (*line.low, *line.high)]
    turn = (lambda v: math.log10(max(v, 1e-12))) if log else (lambda v: v)
    turn_x = (lambda v: math.log10(max(v, 1e-12))) if log_x else (lambda v: v)
    y_low, y_high = (turn(min(ys)), turn(max(ys))) if log else (floor, max(ys))
    pad = 0.04 * (y_high - y_low or 1.0)
    y_low, y_high = (y_low - pad if log else floor), y_high + pad
    x_low, x_high = turn_x(min(xs)), turn_x(max(xs))

    def at(x: float, y: float) -> str:
        across = left + (turn_x(x) - x_low) / (x_high - x_low or 1.0) * (width - left - right)
        return f"{across:.1f},{height - bottom - (turn(y) - y_low) / (y_high - y_low) * (height - top - bottom):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="card" width="{width}" height="{height}" rx="8"/>',
        f'<text class="ink title" x="{left}" y="24">{escape(title)}</text>',
    ]
    for tick in _ticks(y_low, y_high, log):
        x0, y0 = at(min(xs), tick).split(",")
        parts.append(f'<line class="grid" x1="{x0}" x2="{width - right}" y1="{y0}" y2="{y0}"/>')
        parts.append(f'<text class="ink" x="{left - 8}" y="{float(y0) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    base = height - bottom
    for tick in _ticks(x_low, x_high, log_x):
        x0 = at(tick, ys[0]).split(",")[0]
        parts.append(f'<line class="axis" x1="{x0}" x2="{x0}" y1="{base}" y2="{base + 5}"/>')
        parts.append(f'<text class="ink" x="{x0}" y="{base + 19}" text-anchor="middle">{tick:g}</text>')
    parts.append(f'<line class="axis" x1="{left}" x2="{width - right}" y1="{base}" y2="{base}"/>')
    middle = (left + width - right) / 2
    parts.append(f'<text class="ink" x="{middle}" y="{height - 10}" text-anchor="middle">{escape(x_label)}</text>')
    turned = f'text-anchor="middle" transform="translate(16 {(top + base) / 2}) rotate(-90)"'
    parts.append(f'<text class="ink" {turned}>{escape(y_label)}</text>')
    for number, line in enumerate(lines):
        key = (width - right + 14, top + 8 + 20 * number)
        places = [at(x, y) for x, y in zip(line.x, line.y, strict=True)]
        if line.points:
            parts += _marks([*places, f"{key[0] + 13},{key[1]}"], line.colour)
        else:
            band = [at(x, y) for x, y in zip(line.x, line.high, strict=True)]
            band += [at(x, y) for x, y in zip(line.x[::-1], line.low[::-1], strict=True)]
            parts += _stroke(places, band if len(lines) <= FEW else [], line, key)
        parts.append(f'<text class="ink" x="{key[0] + 33}" y="{key[1] + 4}">{escape(line.name)}</text>')
    path.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def _marks(places: list[str], colour: int) -> list[str]:
    """Discs; squares and triangles where a colour comes again."""
    fill, found = f'fill="{COLOURS[colour % len(COLOURS)]}" opacity="0.7"', []
    for place in places:
        x, y = map(float, place.split(","))
        if colour < len(COLOURS):
            found.append(f'<circle cx="{x}" cy="{y}" r="4" {fill}/>')
        elif colour < 2 * len(COLOURS):
            found.append(f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" {fill}/>')
        else:
            corners = f"{x:.1f},{y - 5:.1f} {x - 4.5:.1f},{y + 4:.1f} {x + 4.5:.1f},{y + 4:.1f}"
            found.append(f'<polygon points="{corners}" {fill}/>')
    return found


def _stroke(places: list[str], band: list[str], line: Line, key: tuple[int, int]) -> list[str]:
    """A line, its band if any, and its sample in the legend."""
    colour = COLOURS[line.colour % len(COLOURS)]
    pattern = DASHES[1] if line.dashed else DASHES[line.colour // len(COLOURS) % len(DASHES)]
    pen = f'stroke="{colour}" stroke-width="2"' + (f' stroke-dasharray="{pattern}"' if pattern else "")
    found = [f'<polygon points="{" ".join(band)}" fill="{colour}" opacity="0.18"/>'] if band else []
    found.append(f'<polyline points="{" ".join(places)}" fill="none" {pen}/>')
    x, y = key
    return [*found, f'<line x1="{x}" x2="{x + 26}" y1="{y}" y2="{y}" {pen}/>']


def _ticks(low: float, high: float, log: bool) -> list[float]:
    """Round values between the limits; with ``log`` the limits are exponents of ten."""
    if log:
        found = [m * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)]
        return [v for v in found if low <= math.log10(v) <= high]
    rough = (high - low) / 5 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    return [round(step * k, 10) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
