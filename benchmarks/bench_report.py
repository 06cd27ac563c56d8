"""The suite's table and plot, from what ``bench.py`` measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from line_plot import COLOURS, STYLE
from machine import Told, arithmetic_table, spread

Found = Mapping[str, Sequence[Told]]
"""By side, aegan's first: one dict a repeat."""
Metrics = Mapping[str, tuple[str, bool]]
HOW = """
Made by `make bench` (`benchmarks/bench.py`, which tells how each part is measured). One thread, each side in a process
of its own, in turn. Time is in processor seconds: the machine was shared, and they move less than the clock on the
wall when another program runs, though not by nothing (caches and memory are shared). Figures are median (least–most)
over the repeats. **Ratio**: how many times better aegan is than that side, median (least–most) over pairs of repeats;
below 1 the peer is ahead, and the last column says so. A time to a quality is that of one training, the first that
reaches it in a row of trainings each twice as long as the last; of the first of its row (series: ten seconds by the
clock) it is an upper bound. Quality at equal budgets is in [Benchmarks](benchmarks.md).
"""
FOOT = """
Operations are those of matrix products and convolutions, forward and backward; the matrix rate is that of a product
of two square matrices of 1,024 in the same precision, measured just before and after each model. All that is no product
(activations, optimiser, averages, indexing) takes time and counts for nothing.
"""


def ratios(own: Sequence[float], peer: Sequence[float], more: bool) -> list[float]:
    """How many times better, above 1, of each pair of repeats.

    >>> ratios([2.0], [4.0], more=False)
    [2.0]
    """
    return [a / b if more else b / a for a, b in zip(own, peer, strict=False) if a > 0 and b > 0]


def rows(metrics: Metrics, found: Found) -> list[tuple[str, str, list[float], list[float]]]:
    """Metric, side, values and ratios, of what was measured."""
    out = []
    if not found:
        return out
    first = next(iter(found))
    for key, (name, more) in metrics.items():
        own = [told[key] for told in found[first] if key in told]
        for side, told in found.items():
            values = [one[key] for one in told if key in one]
            if values:
                better = [] if side == first or key in UNCOMPARED else ratios(own, values, more)
                out.append((name, side, values, better))
    return out


UNCOMPARED = ("frechet", "shapes", "trends", "discriminative", "predictive", "modes", "quality")
"""What a training reached when it stopped: shown, but no race."""


def table(results: Mapping[str, tuple[Metrics, Found]]) -> str:
    """Markdown, a table a part."""
    lines = []
    for title, (metrics, found) in results.items():
        if not found:
            continue
        lines += [f"\n## {title}\n", when(found), "", "| | side | measured | ratio | ahead |", "|---|---|---|---|---|"]
        for name, side, values, better in rows(metrics, found):
            out_of_reach = {one: any(told.get("reached", 1.0) == 0.0 for told in found[one]) for one in found}
            timed, first = name == metrics.get("seconds", ("",))[0], next(iter(found))
            shown = f"not reached: stopped after {spread(values)}" if timed and out_of_reach[side] else spread(values)
            middle = statistics.median(better) if better else 1.0
            ahead = "" if not better else "aegan" if middle > 1.05 else "alike" if middle >= 0.95 else f"**{side}**"
            if timed and better and out_of_reach[side] != out_of_reach[first]:
                better, ahead = [], "aegan" if out_of_reach[side] else f"**{side}**"
            elif timed and out_of_reach[side]:
                better, ahead = [], ""
            lines.append(f"| {name} | {side} | {shown} | {spread(better) if better else ''} | {ahead} |")
    return "\n".join(lines)


def when(found: Found) -> str:
    """Where the figures of a part come from, and how often each side was measured.

    >>> when({"aegan": [{"stamp": "2026-11-22, abc, EPYC"}] * 3, "peer": [{}]})
    '*2026-11-22, abc, EPYC; not stamped. Repeats: aegan 3, peer 1.*'
    """
    stamps = dict.fromkeys(str(one.get("stamp", "not stamped")) for told in found.values() for one in told)
    return f"*{'; '.join(stamps)}. Repeats: {', '.join(f'{side} {len(told)}' for side, told in found.items())}.*"


def plot(results: Mapping[str, tuple[Metrics, Found]]) -> str:
    """SVG: a bar a ratio on a logarithmic axis, from 1 to the right where aegan is ahead."""
    bars = [
        (f"{title.split(':')[0]}: {name}, {side}", statistics.median(better))
        for title, (metrics, found) in results.items()
        for name, side, _, better in rows(metrics, found)
        if better
        and not (name == metrics.get("seconds", ("",))[0] and any(t.get("reached", 1) == 0 for t in found[side]))
    ]
    width, left, right, row = 860, 470, 60, 22
    height = 70 + row * max(1, len(bars))
    most = max([2.0, *(max(r, 1 / r) for _, r in bars)])
    middle, scale = left + (width - left - right) / 2, (width - left - right) / 2 / math.log(most)
    title = "How many times better aegan is (logarithmic; left of the line the peer is ahead)"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="card" width="{width}" height="{height}" rx="8"/>',
        f'<text class="ink title" x="16" y="26">{escape(title)}</text>',
    ]
    for i, (name, ratio) in enumerate(bars):
        y, end = 46 + row * i, middle + scale * math.log(ratio)
        colour = COLOURS[0] if ratio >= 1 else COLOURS[1]
        x, w = min(middle, end), abs(end - middle)
        parts.append(f'<text class="ink" x="{left - 12}" y="{y + 12}" text-anchor="end">{escape(name[:72])}</text>')
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{max(w, 1):.1f}" height="15" fill="{colour}"/>')
        parts.append(f'<text class="ink" x="{max(middle, end) + 6:.1f}" y="{y + 12}">{ratio:.2g}×</text>')
    parts.append(f'<line class="axis" x1="{middle}" x2="{middle}" y1="40" y2="{height - 20}"/></svg>')
    return "\n".join([*parts, ""])


def report(
    results: Mapping[str, tuple[Metrics, Found]],
    missing: Sequence[str],
    arithmetic: Mapping[str, Told],
    docs: Path,
    *,
    quick: bool = False,
) -> str:
    """Write ``bench.md`` and ``pictures/bench.svg`` into a folder; the page is returned as well."""
    (docs / "pictures").mkdir(parents=True, exist_ok=True)
    (docs / "pictures" / "bench.svg").write_text(plot(results), encoding="utf-8")
    page = ["# The benchmark suite", HOW]
    if quick:
        page.append("\n**A quick trial: the figures mean little.**")
    page += ["\n![How many times better aegan is than each peer](pictures/bench.svg)", table(results)]
    if arithmetic:
        stamp = arithmetic.get("stamp", "Not stamped")
        figures = {name: told for name, told in arithmetic.items() if name != "stamp"}
        page += [
            f"\n## Arithmetic: the default models beside the machine\n\n*{stamp}.*\n",
            arithmetic_table(figures),
            FOOT,
        ]
    if missing:
        page += ["\n## Not measured\n", *(f"* {line}" for line in missing)]
    text = "\n".join(page).rstrip() + "\n"
    (docs / "bench.md").write_text(text, encoding="utf-8")
    return text
