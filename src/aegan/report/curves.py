"""Plain sequences made ready to draw: thinning, smoothing, robust ranges, the x axis, the stages."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegan.report.reader import number

MAX_POINTS = 500
"""Most points that one curve keeps."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """One stage of a run along the x axis."""

    name: str
    start: float
    end: float


def column(steps: Sequence[Mapping[str, Any]], *keys: str) -> Array:
    """A nested value of every step; NaN where it is missing or not finite. Shape ``(N,)``."""

    def one(step: Any) -> float:
        for key in keys:
            step = step.get(key) if isinstance(step, Mapping) else None
        value = number(step)
        return math.nan if value is None else value

    return np.array([one(step) for step in steps], dtype=np.float64)


def names(steps: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    """Names that occur in a mapping of the steps, in order of first occurrence."""
    found: dict[str, None] = {}
    for step in steps:
        inner = step.get(key)
        if isinstance(inner, Mapping):
            found.update(dict.fromkeys(str(name) for name in inner))
    return list(found)


def x_axis(steps: Sequence[Mapping[str, Any]], x: str) -> tuple[Array, str]:
    """Positions of the steps and the axis title.

    Args:
        steps: ``step`` events.
        x: ``"samples"`` or ``"seconds"``; where that is missing or runs backwards, steps stand in.

    Returns:
        Positions, shape ``(N,)``, and the title.
    """
    key, title = {"samples": ("samples", "samples seen"), "seconds": ("t", "seconds")}.get(x, ("step", "steps"))
    values = column(steps, key)
    if len(values) and np.all(np.isfinite(values)) and np.all(np.diff(values) >= 0):
        return values, title
    values = column(steps, "step")
    if np.all(np.isfinite(values)):
        return values, "steps"
    return np.arange(len(steps), dtype=np.float64), "records"


def bands(steps: Sequence[Mapping[str, Any]], xs: Array) -> list[Band]:
    """Stretches of equal stage along ``xs``; neighbours share their border."""
    found: list[Band] = []
    for step, at in zip(steps, xs.tolist(), strict=True):
        name = str(step.get("stage") or "")
        if found and found[-1].name == name:
            found[-1] = Band(name, found[-1].start, at)
        else:
            found.append(Band(name, found[-1].end if found else at, at))
    return [band for band in found if band.name and band.end > band.start]


def smooth(ys: Array, span: float | None = None) -> Array:
    """Exponential moving average without bias at the start; gaps stay gaps.

    Args:
        ys: Values, shape ``(N,)``; NaN marks a gap.
        span: Width in points, ``alpha = 2 / (span + 1)``; a fiftieth of the points by default.

    Returns:
        Smoothed values, shape ``(N,)``.

    >>> smooth(np.array([1.0, 1.0, np.nan, 1.0]), 3)
    array([ 1.,  1., nan,  1.])
    """
    alpha = 2.0 / ((span or max(5.0, np.isfinite(ys).sum() / 50)) + 1.0)
    out = np.full_like(ys, np.nan)
    total = weight = 0.0
    for i, y in enumerate(ys.tolist()):
        if math.isfinite(y):
            total = (1 - alpha) * total + alpha * y
            weight = (1 - alpha) * weight + alpha
            out[i] = total / weight
    return out


def thin(xs: Array, ys: Array, limit: int = MAX_POINTS) -> tuple[Array, Array]:
    """At most ``limit`` points that keep every bucket's lowest and highest value, so spikes stay.

    >>> xs, ys = thin(np.arange(10_000.0), np.zeros(10_000))
    >>> len(xs) <= 500
    True
    """
    keep = np.isfinite(ys)
    xs, ys = xs[keep], ys[keep]
    if len(xs) <= limit:
        return xs, ys
    index: set[int] = {0, len(xs) - 1}
    for bucket in np.array_split(np.arange(len(xs)), max(1, (limit - 2) // 2)):
        index.update((int(bucket[ys[bucket].argmin()]), int(bucket[ys[bucket].argmax()])))
    order = sorted(index)
    return xs[order], ys[order]


def spread(xs: Array, ys: Array, limit: int = MAX_POINTS) -> tuple[Array, Array]:
    """At most ``limit`` points at even distances, for curves that are smooth already."""
    keep = np.isfinite(ys)
    xs, ys = xs[keep], ys[keep]
    if len(xs) <= limit:
        return xs, ys
    order = np.linspace(0, len(xs) - 1, limit).round().astype(int)
    return xs[order], ys[order]


def joined(
    parts: Sequence[tuple[Array, Array]], thinner: Callable[[Array, Array, int], tuple[Array, Array]]
) -> tuple[Array, Array]:
    """Thinned parts of one curve with a gap between them, together at most ``MAX_POINTS`` long."""
    total = sum(len(xs) for xs, _ in parts)
    if not total or len(parts) > MAX_POINTS // 8:  # a curve of shreds is thinned as a whole
        pieces = [np.concatenate([part[i] for part in parts]) if parts else np.array([]) for i in (0, 1)]
        return thinner(pieces[0], pieces[1], MAX_POINTS)
    room = MAX_POINTS - 5 * len(parts)
    out_x: list[Array] = []
    out_y: list[Array] = []
    for xs, ys in parts:
        thin_x, thin_y = thinner(xs, ys, 4 + room * len(xs) // total)
        out_x += [thin_x, np.array([np.nan])]
        out_y += [thin_y, np.array([np.nan])]
    return np.concatenate(out_x[:-1]), np.concatenate(out_y[:-1])


def robust_range(ys: Array) -> tuple[float, float] | None:
    """Axis range that shows the 1st to 99th percentile, so that one spike does not flatten the rest.

    >>> low, high = robust_range(np.r_[np.linspace(0, 1, 999), 1e6])
    >>> high < 2
    True
    """
    ys = ys[np.isfinite(ys)]
    if not len(ys):
        return None
    low, high = (float(v) for v in np.percentile(ys, (1, 99)))
    pad = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad
