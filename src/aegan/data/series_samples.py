"""Sets of series to arrays of samples: regular grids, the gap channel, windows, padding."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from torch import Tensor

from aegan.data.series_scale import Scaler, amplitudes
from aegan.data.series_set import SeriesSet
from aegan.data.series_time import Clock
from aegan.data.series_windows import interpolate
from aegan.errors import DataError

LENGTH = "length"
CENTRE, RANGE = "{}: centre", "{}: half range"


@dataclass(kw_only=True)
class Encoded:
    """Samples as arrays.

    Attributes:
        x: float32 ``(N, T, C)``, gaps and padding filled.
        mask: bool ``(N, T, C)``, True where observed.
        lengths: int64 ``(N,)``.
        owner: Series of each sample ``(N,)``.
        starts: First step of each sample ``(N,)``.
        amplitude: Centre and half range ``(N, C)`` of per-series scaling; None without.
    """

    x: np.ndarray
    mask: np.ndarray
    lengths: np.ndarray
    owner: np.ndarray
    starts: np.ndarray
    amplitude: tuple[np.ndarray, np.ndarray] | None = None


def on_grid(opened: SeriesSet, clock: Clock | None) -> SeriesSet:
    """The set with steps that a regular grid has and the source has not put in as missing.

    Raises:
        DataError: Stamps off the grid of the fitted source.
    """
    if clock is None or not clock.regular or opened.times is None:
        return opened
    values, times, labels, rows = [], [], [], []
    for i, (one, stamps) in enumerate(zip(opened.values, opened.times, strict=True)):
        places = clock.positions(stamps)
        if places is None or len(np.unique(places)) < len(places):
            raise DataError(
                f"{opened.name}: the time stamps of {opened.which(i)} do not follow {clock.describe()}, as those of "
                "the fitted data do; expected one frequency. Resample first, as frame.resample(...).mean() does."
            )
        n = int(places[-1]) + 1
        grown = np.full((n, one.shape[1]), np.nan)
        grown[places] = one
        values.append(grown)
        times.append(clock.grid(stamps[0], n))
        spread = np.searchsorted(places, np.arange(n), side="right") - 1
        if opened.labels is not None:
            label = opened.labels[i]
            labels.append(label if len(label) == 1 else label[spread])
        if opened.rows is not None:
            rows.append(opened.rows[i][spread] + 0.5 * (places[spread] != np.arange(n)))
    return replace(
        opened,
        values=values,
        times=times,
        labels=labels if opened.labels is not None else None,
        rows=rows if opened.rows is not None else None,
    )


def with_gaps(opened: SeriesSet, clock: Clock) -> list[np.ndarray]:
    """Values with one more channel ``log(1 + gap / median gap)``, the gap being the time since the step before.

    Raises:
        DataError: The set has no time stamps.
    """
    if opened.times is None:
        raise DataError(f"{opened.name}: no time stamps; expected them, as in the irregular data of the fit.")
    out = []
    for one, stamps in zip(opened.values, opened.times, strict=True):
        gaps = np.concatenate([[np.nan], np.log1p(np.diff(stamps) / clock.gap)])
        out.append(np.concatenate([one, gaps[:, None]], axis=1))
    return out


def stamps_from_gaps(clock: Clock, gaps: np.ndarray, start: float) -> np.ndarray:
    """Counts ``(T,)`` from the gap channel ``(T,)``, the first stamp being ``start``; never closer than ever seen."""
    steps = np.maximum(np.expm1(np.nan_to_num(gaps[1:], nan=np.log(2.0))) * clock.gap, clock.least)
    if clock.grain:
        steps = np.rint(steps / clock.grain) * clock.grain
    return start + np.concatenate([[0.0], np.cumsum(steps)])


def encode_windows(raw: list[np.ndarray], origin: np.ndarray, window: int, scaler: Scaler, own: int) -> Encoded:
    """Windows ``(N, window, C)`` of series; ``own`` channels are scaled window by window (0: none)."""
    parts, masks, loose = [], [], []
    for i in np.unique(origin[:, 0]):
        starts = origin[origin[:, 0] == i, 1]
        filled = interpolate(raw[i])
        parts.append(_windows(scaler.encode(filled), starts, window))
        masks.append(_windows(np.isfinite(raw[i]), starts, window))
        if own:
            loose.append(_windows(np.where(np.isfinite(raw[i]), filled, np.nan), starts, window))
    done = Encoded(
        x=np.concatenate(parts),
        mask=np.concatenate(masks),
        lengths=np.full(len(origin), window, dtype=np.int64),
        owner=origin[:, 0],
        starts=origin[:, 1],
    )
    return _own_scale(done, np.concatenate(loose)[..., :own], own) if own else done


def encode_whole(raw: list[np.ndarray], longest: int, scaler: Scaler, own: int, opened: SeriesSet) -> Encoded:
    """Whole series ``(N, longest, C)``; shorter ones hold their last value where the mask is False.

    Raises:
        DataError: A series is longer than ``longest``.
    """
    lengths = np.array([len(one) for one in raw], dtype=np.int64)
    if lengths.max() > longest:
        i = int(np.argmax(lengths))
        raise DataError(
            f"{opened.name}: {opened.which(i)} has {lengths[i]} steps; the fitted data have at most {longest}. Cut it, "
            "or fit with a window."
        )
    shape = (len(raw), longest, raw[0].shape[1])
    x, mask, loose = np.empty(shape, np.float32), np.zeros(shape, bool), np.full(shape if own else 0, np.nan)
    for i, one in enumerate(raw):
        n = len(one)
        scaled = scaler.encode(interpolate(one))
        x[i, :n], x[i, n:], mask[i, :n] = scaled, scaled[-1], np.isfinite(one)
        if own:
            loose[i, :n] = one
    done = Encoded(
        x=x, mask=mask, lengths=lengths, owner=np.arange(len(raw)), starts=np.zeros(len(raw), dtype=np.int64)
    )
    return _own_scale(done, loose[..., :own], own) if own else done


def _windows(values: np.ndarray, starts: np.ndarray, window: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, window, axis=0)[starts].transpose(0, 2, 1)


def _own_scale(done: Encoded, values: np.ndarray, own: int) -> Encoded:
    """Scale the first ``own`` channels of each sample by its own range, which is kept."""
    centre, half = amplitudes(values)
    width = np.where(half > 0, half, 1.0)
    for row, scaled in enumerate((values - centre[:, None]) / width[:, None]):
        done.x[row, :, :own] = interpolate(scaled)
    return replace(done, amplitude=(centre, half))


def attributes(
    opened: SeriesSet, done: Encoded, channels: tuple[str, ...], *, lengths: bool, static: tuple[str, ...]
) -> pd.DataFrame:
    """What belongs to a sample besides its steps: length, static attributes, amplitudes; a row a sample."""
    parts: dict[str, pd.Series] = {}
    if lengths:
        parts[free_name(LENGTH, static)] = pd.Series(done.lengths)
    for name in static:
        if opened.static is None or name not in opened.static:
            raise DataError(f"{opened.name}: the static attribute {name!r} is missing; the fitted data have it.")
        parts[name] = opened.static[name].iloc[done.owner].reset_index(drop=True)
    if done.amplitude is not None:
        for i, channel in enumerate(channels):
            parts[free_name(CENTRE.format(channel), static)] = pd.Series(done.amplitude[0][:, i])
            parts[free_name(RANGE.format(channel), static)] = pd.Series(done.amplitude[1][:, i])
    return pd.DataFrame(parts, index=pd.RangeIndex(len(done.x)))


def free_name(name: str, taken: tuple[str, ...]) -> str:
    """``name``, in brackets where a user's column is called so already.

    >>> free_name("length", ("length",))
    '(length)'
    """
    return f"({name})" if name in taken else name


def window_labels(labels: list[np.ndarray], done: Encoded) -> list[str]:
    """The class of each sample: that of its series, or the most frequent one among its steps."""
    out = []
    for i, start, length in zip(done.owner.tolist(), done.starts.tolist(), done.lengths.tolist(), strict=True):
        if len(labels[i]) == 1:
            out.append(labels[i][0])
            continue
        names, counts = np.unique(labels[i][start : start + length].astype(str), return_counts=True)
        out.append(str(names[np.argmax(counts)]))
    return out


def checked(x: Tensor, shape: tuple[int, ...], name: str, *, longer: bool = False) -> np.ndarray:
    """Network output ``(N, T, C)`` as an array, of any T if ``longer``.

    Raises:
        DataError: Another shape, or values that are not finite.
    """
    fits = x.ndim == 3 and x.shape[2] == shape[1] and (longer or x.shape[1] == shape[0])
    if not x.is_floating_point() or not fits:
        raise DataError(
            f"from_tensors: {name} is {x.dtype} {tuple(x.shape)}; expected floats (N, {shape[0]}, {shape[1]})."
        )
    values = x.detach().cpu().float().numpy()
    if not np.isfinite(values).all():
        raise DataError("from_tensors: the series hold NaN or infinite values; the model that drew them diverged.")
    return values
