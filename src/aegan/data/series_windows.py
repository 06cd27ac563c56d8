"""Windows of long series: their default size, where they begin, gaps filled, and a holdout that shares no step."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aegan.data.series_time import Clock
from aegan.data.table_looks import TimeLook
from aegan.errors import ConfigError, DataError

DEFAULT_WINDOW = 24
"""Steps of a window where the frequency does not suggest a number; that of the published benchmarks."""
MOST_VALUES = 64_000_000
"""Values of all windows together beyond which the default stride is more than 1 (256 MB)."""
_DAY_PARTS = (12, 288)
_CALENDAR = {"B": 20} | dict.fromkeys(("MS", "ME", "BMS", "BME", "1 months", "2 months"), 12)
_QUARTERS = 8


def default_window(longest: int, clock: Clock | None) -> int:
    """Steps of a window: one natural cycle of the frequency, else 24; at most a quarter of the series.

    A day where it has 12 to 288 steps, four weeks of days, 20 business days, a year of weeks or months.

    >>> default_window(1000, None), default_window(40, None)
    (24, 10)
    """
    window = DEFAULT_WINDOW
    if clock is not None and clock.freq is not None:
        window = _CALENDAR.get(clock.freq, _QUARTERS)
    elif clock is not None and clock.step and isinstance(clock.look, TimeLook):
        steps = clock.look.day / clock.step
        if _DAY_PARTS[0] <= steps <= _DAY_PARTS[1]:
            window = round(steps)
        elif steps in (1, 1 / 7):
            window = 28 if steps == 1 else 52
    return max(2, min(window, longest // 4))


def default_stride(lengths: list[int], window: int, channels: int) -> int:
    """1, or as much as keeps all windows within 256 MB."""
    steps = sum(max(0, length - window + 1) for length in lengths)
    return max(1, -(-steps * window * channels // MOST_VALUES))


def cut(lengths: list[int], window: int, stride: int, name: str) -> np.ndarray:
    """Where windows begin: int64 ``(N, 2)`` of series and step, in order.

    Raises:
        DataError: No series is as long as the window.

    >>> cut([5, 2, 3], 3, 2, "frame").tolist()
    [[0, 0], [0, 2], [2, 0]]
    """
    parts = [
        np.stack([np.full(len(starts), i), starts], axis=1)
        for i, length in enumerate(lengths)
        if len(starts := np.arange(0, length - window + 1, stride))
    ]
    if not parts:
        longest = max(lengths, default=0)
        raise DataError(
            f"{name}: the {'longest series has' if len(lengths) > 1 else 'series has'} {longest} steps, the window "
            f"{window}; expected a series at least as long as the window. Give window={max(2, longest // 4)} (on the "
            "command line --window), or longer data."
        )
    return np.concatenate(parts).astype(np.int64)


def interpolate(values: np.ndarray) -> np.ndarray:
    """Values ``(T, C)`` with gaps filled: linearly between neighbours, held at the ends, 0 where nothing is there.

    >>> interpolate(np.array([[np.nan], [1.0], [np.nan], [3.0]])).ravel().tolist()
    [1.0, 1.0, 2.0, 3.0]
    """
    there = np.isfinite(values)
    if there.all():
        return values
    out, at = values.copy(), np.arange(len(values))
    for channel in np.flatnonzero(~there.all(axis=0)):
        known = there[:, channel]
        out[:, channel] = np.interp(at, at[known], values[known, channel]) if known.any() else 0.0
    return out


def hold_out_blocks(origin: Tensor, window: int, *, holdout: float, seed: int) -> tuple[Tensor, Tensor]:
    """Split windows so that no step is on both sides: stretches of time are held out, windows across a border dropped.

    Up to ten stretches, each of at least four windows where there is room, at random places in the series.

    Args:
        origin: int64 ``(N, 2)``, series and first step of each window.
        window: Steps of a window.
        holdout: Part to hold out, 0 <= holdout < 1.
        seed: The same seed gives the same split.

    Returns:
        Sorted int64 indices of the training windows and of the holdout.

    Raises:
        ConfigError: ``holdout`` out of range.
        DataError: Too few windows for both sides.
    """
    if not 0 <= holdout < 1:
        raise ConfigError(f"split: holdout is {holdout}; expected a part of the data, 0 <= holdout < 1, such as 0.1.")
    everything = torch.arange(len(origin))
    if holdout == 0:
        return everything, everything[:0]
    series, starts = origin[:, 0].numpy(), origin[:, 1].numpy()
    # One line of time: the series behind each other, a window apart, so that no window spans two of them.
    lengths = np.array([starts[series == i].max() + window for i in np.unique(series)])
    offsets = dict(zip(np.unique(series).tolist(), np.cumsum(lengths + window) - lengths - window, strict=True))
    begins = starts + np.array([offsets[i] for i in series.tolist()])
    total = int(begins.max()) + window
    wanted = max(window, round(total * holdout))
    blocks = int(np.clip(wanted // (4 * window), 1, 10))
    size = max(window, wanted // blocks)
    room = total - blocks * size
    if room < window:
        raise DataError(
            f"split: a series of {total} steps has no room for a holdout of {holdout:.0%} in windows of {window}; "
            "expected at least two windows that share no step. Give a smaller window, or longer data."
        )
    places = np.sort(np.random.default_rng(seed).integers(0, room + 1, blocks)) + size * np.arange(blocks)
    inside = ((begins[:, None] >= places) & (begins[:, None] + window <= places + size)).any(axis=1)
    touched = ((begins[:, None] < places + size) & (begins[:, None] + window > places)).any(axis=1)
    if not inside.any() or touched.all():
        raise DataError(
            f"split: {len(origin)} windows of {window} steps leave none for one side. Give a smaller window or stride, "
            "or longer data."
        )
    return torch.from_numpy(np.flatnonzero(~touched)), torch.from_numpy(np.flatnonzero(inside))
