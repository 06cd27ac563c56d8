"""Line plots as SVG with nothing but the standard library, on a card of their own for light and dark pages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from pathlib import Path

COLOURS = ("#3b7dd8", "#d9742b", "#2f9e5b", "#a55bd0", "#c2475f", "#8a8a2a")
STYLE = """
.card{fill:#ffffff}.ink{fill:#22262e}.axis{stroke:#6b7280}.grid{stroke:#e1e4e8}
@media (prefers-color-scheme: dark){.card{fill:#1b1f27}.ink{fill:#e4e7ec}.axis{stroke:#8b93a1}.grid{stroke:#333a46}}
text{font-family:system-ui,sans-serif;font-size:12px}.title{font-size:14px;font-weight:600}
"""


@dataclass(frozen=True)
class Line:
    """A line with the band of its interval; ``colour`` is an index, so that a pair can share one.

    With ``points`` neither line nor band is drawn, but a dot for each pair of values.
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
    """Write ``path``: the lines with their bands, axes, ticks, and a legend at the right.

    ``log`` and ``log_x`` make the axes logarithmic; ``floor`` is where a y axis that is not begins.
    """
    width, height, left, right, top, bottom = 760, 380, 64, 220, 40, 48
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
        colour = COLOURS[line.colour % len(COLOURS)]
        dash = ' stroke-dasharray="6 4"' if line.dashed else ""
        places = [at(x, y) for x, y in zip(line.x, line.y, strict=True)]
        if line.points:
            dots = [place.split(",") for place in (*places, f"{width - right + 27},{top + 8 + 20 * number}")]
            parts += [f'<circle cx="{a}" cy="{b}" r="4" fill="{colour}" opacity="0.7"/>' for a, b in dots]
        else:
            band = [at(x, y) for x, y in zip(line.x, line.high, strict=True)]
            band += [at(x, y) for x, y in zip(line.x[::-1], line.low[::-1], strict=True)]
            parts.append(f'<polygon points="{" ".join(band)}" fill="{colour}" opacity="0.18"/>')
            points = " ".join(places)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        x0, y0 = width - right + 14, top + 8 + 20 * number
        if not line.points:
            key = f'x1="{x0}" x2="{x0 + 26}" y1="{y0}" y2="{y0}"'
            parts.append(f'<line {key} stroke="{colour}" stroke-width="2"{dash}/>')
        parts.append(f'<text class="ink" x="{x0 + 33}" y="{y0 + 4}">{escape(line.name)}</text>')
    path.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def _ticks(low: float, high: float, log: bool) -> list[float]:
    """Round values between the limits; with ``log`` the limits are exponents of ten."""
    if log:
        found = [m * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)]
        return [v for v in found if low <= math.log10(v) <= high]
    rough = (high - low) / 5 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    return [round(step * k, 10) for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
