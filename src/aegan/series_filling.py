"""Gaps of series filled given what surrounds them, and series gone on with: draws, and their quantiles."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aegan.data.series import SeriesAdapter
from aegan.data.series_attributes import attributes_of
from aegan.data.series_form import pad
from aegan.data.series_samples import stamps_from_gaps, with_gaps
from aegan.data.series_set import SeriesSet
from aegan.data.series_windows import interpolate
from aegan.data.table_looks import NumberLook
from aegan.errors import AeganWarning, ConfigError, DataError
from aegan.models.base import noise_for
from aegan.series import AT_ONCE, extended, series_adapter
from aegan.series_places import begins, drawn_places, known_stretch

if TYPE_CHECKING:
    from aegan.data.series_back import Decoder
    from aegan.data.series_time import Clock
    from aegan.estimator import Estimator

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
TREND = 0.8
"""Correlation with time from which a series counts as one that rises or falls throughout."""
_AGAIN = 1_000_003


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """How series may go on.

    Attributes:
        samples: By series, continuations ``(K, steps, C)`` in the data's units.
        channels: Names of the channels.
        times: By series, time stamps as a column; None without time.
        ids: Names of the series; None where they have none.
        time: Name of the column of time stamps.
        id: Name of the column of names.
    """

    samples: tuple[np.ndarray, ...]
    channels: tuple[str, ...]
    times: tuple[pd.Series, ...] | None
    ids: pd.Series | None
    time: str = "time"
    id: str = "id"

    def quantile(self, level: float) -> tuple[np.ndarray, ...]:
        """By series, the quantile ``(steps, C)`` of each value at a level of [0, 1].

        Raises:
            ConfigError: The level is out of range.
        """
        if not 0 <= level <= 1:
            raise ConfigError(f"quantile {level}: a number from 0 to 1 expected, such as 0.9.")
        return tuple(np.quantile(one, level, axis=0) for one in self.samples)

    def to_frame(self, levels: Sequence[float] = QUANTILES) -> pd.DataFrame:
        """A row a step, with the mean and the quantiles of each channel as columns, as in ``"price q0.05"``."""
        parts = []
        found = {level: self.quantile(level) for level in levels}
        for i, one in enumerate(self.samples):
            columns: dict[str, Any] = {}
            if len(self.samples) > 1 or self.ids is not None:
                columns[self.id] = i if self.ids is None else self.ids.iloc[i]
            columns[self.time if self.times is not None else "step"] = (
                np.arange(1, one.shape[1] + 1) if self.times is None else self.times[i].to_numpy()
            )
            for c, name in enumerate(self.channels):
                columns[f"{name} mean"] = _plain(one[:, :, c].mean(axis=0))
                columns |= {f"{name} q{level:g}": _plain(found[level][i][:, c]) for level in levels}
            parts.append(pd.DataFrame(columns, index=pd.RangeIndex(one.shape[1])))
        return pd.concat(parts, ignore_index=True)


def _plain(values: np.ndarray) -> list[float]:
    """Without the last digits, which rounding has made: 94.701 rather than 94.70100000000001."""
    return [float(f"{value:.12g}") for value in values.tolist()]


def forecast_series(estimator: Estimator, source: Any, *, steps: int, num: int = 100, seed: int = 0) -> Forecast:
    """How the series of ``source`` may go on after their last step.

    Args:
        estimator: Of a model that fills series.
        source: Series as the run was fitted on, of any length; their last steps are what the draws follow from.
        steps: Steps to draw.
        num: Draws of each series.
        seed: The same seed draws the same.

    Raises:
        ConfigError: A model that cannot, numbers out of range, or series scaled one by one.
        DataError: Series that cannot be read, or whose class is missing.
    """
    adapter, decoder = _filling(estimator)
    for name, value in (("--steps", steps), ("--num", num)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigError(f"{name} {value!r}: a whole number of at least 1 expected.")
    if decoder.own or decoder.variable:
        what = "scaled one by one" if decoder.own else "of differing length"
        raise ConfigError(
            f"forecast: for windows of long series; these are {what}. Fit with --window, without scaling each."
        )
    opened = adapter.open(source)
    values, there = _scaled(adapter, decoder, opened)
    y, static = _labels(adapter, opened)
    window = adapter.spec.shape[0]
    context = max(1, window // 2, window - steps)
    samples, gaps, first = [], [], begins(estimator, opened)
    _say_trends(decoder, values, window, opened)
    for i, (one, known) in enumerate(zip(values, there, strict=True)):
        kept = min(len(one), context)
        part, own = (one[-kept:], known[-kept:]), seed * _AGAIN + i
        about = None if y is None else y[i], None if static is None else static[i]
        if first is None:
            place = drawn_places(estimator, *part, *about, num, seed=own)
        else:
            place = torch.full((num,), first[i] + len(one) - kept)
        made = _continued(estimator, *part, steps, num, own, *about, place)
        flat = decoder.scaler.decode(made.flatten(0, 1).numpy())
        samples.append(decoder.form.numbers(flat[:, : len(decoder.channels)]).reshape(num, steps, -1))
        gaps.append(flat[:, -1].reshape(num, steps))
    clock = decoder.clock
    times = None
    if clock is not None and opened.times is not None:
        ends = [one[-1] for one in opened.times]
        times = tuple(
            clock.write(_stamps(clock, end, own) if decoder.gaps else clock.grid(clock.after(end), steps))
            for end, own in zip(ends, gaps, strict=True)
        )
    return Forecast(
        samples=tuple(samples),
        channels=decoder.channels,
        times=times,
        ids=opened.ids,
        time=decoder.form.time or decoder.form.index or "time",
        id=decoder.form.id or "id",
    )


def _say_trends(decoder: Decoder, values: list[Tensor], window: int, opened: SeriesSet) -> None:
    """Warn of channels that have risen, or fallen, to an end of the range, behind which no draw goes."""
    for i, channel in enumerate(decoder.channels):
        for place, one in enumerate(values):
            x = one[:, i].double()
            if len(x) < 3 * window or float(x.std()) == 0:
                continue
            trend = float(torch.corrcoef(torch.stack([x, torch.arange(len(x)).double()]))[0, 1])
            if abs(trend) < TREND or float(x[-window:].mean()) * np.sign(trend) < 1 / 3:
                continue
            low, high = (decoder.scaler.decode(np.full((1, one.shape[1]), end))[0, i] for end in (-1.0, 1.0))
            warnings.warn(
                f"{opened.name}: {channel!r} of {opened.which(place)} {'rises' if trend > 0 else 'falls'} throughout "
                f"(correlation with time {trend:.2f}), and no draw leaves the range that was fitted, {low:g} to "
                f"{high:g}: the forecast goes on too flat. Fit its changes instead: frame.diff(), frame.pct_change().",
                AeganWarning,
                stacklevel=3,
            )
            break


def _stamps(clock: Clock, end: float, gaps: np.ndarray) -> np.ndarray:
    """When each step comes, behind the stamp ``end``: the median of what was drawn, gap channels ``(K, steps)``."""
    every = [stamps_from_gaps(clock, np.concatenate([[0.0], own]), end)[1:] for own in gaps]
    return np.median(every, axis=0)


def _continued(
    estimator: Estimator,
    x: Tensor,
    known: Tensor,
    steps: int,
    num: int,
    seed: int,
    y: int | None,
    static: Tensor | None,
    place: Tensor | None,
) -> Tensor:
    """``num`` continuations ``(num, steps, C)`` of one series ``(L, C)``, L less than a window."""
    model: Any = estimator.model
    window = estimator.adapter.spec.shape[0]
    length = len(x)
    given, mask = torch.zeros(window, x.shape[1]), torch.zeros(window, x.shape[1], dtype=torch.bool)
    given[:length], mask[:length] = x, known
    out = []
    for start in range(0, num, AT_ONCE):
        count = min(AT_ONCE, num - start)
        noise = noise_for(seed, count, model.noise_dim, start=start).to(estimator.device)
        many = [t.expand(count, *t.shape).to(estimator.device) for t in (given, mask)]
        labels = None if y is None else torch.full((count,), y, device=estimator.device)
        rows = None if static is None else static.expand(count, -1).to(estimator.device)
        at = None if place is None else place[start : start + count].to(estimator.device)
        done = model.fill(noise, *many, labels, rows, at).cpu().clamp_(-1.0, 1.0)
        more = {"seed": seed + 1, "start": start, "y": labels, "static": rows, "place": at}
        whole = extended(estimator, done, length + steps, **more)
        out.append(whole[:, length : length + steps])
    return torch.cat(out)


def complete_series(estimator: Estimator, source: Any, *, seed: int = 0) -> Any:
    """``source`` with its gaps drawn given what surrounds them; every other value as it was.

    Steps that a regular clock has and the source has not are put in. Series longer than a window are gone through in
    pieces, every other one first, each given the steps around it.

    Raises:
        ConfigError: A model that cannot, or windows scaled one by one.
        DataError: Series that cannot be read.
    """
    adapter, decoder = _filling(estimator)
    if decoder.own:
        raise ConfigError("complete: not for series scaled one by one: their range is not known before they are whole.")
    opened = _whole(adapter.open(source), decoder, adapter)
    if opened.unused:
        warnings.warn(
            f"{opened.name}: columns {', '.join(opened.unused)} are no part of the series; they are left out.",
            AeganWarning,
            stacklevel=2,
        )
    decoder = _keeping(decoder, opened)
    values, there = _scaled(adapter, decoder, opened)
    y, static = _labels(adapter, opened)
    done, first = [one.clone() for one in values], begins(estimator, opened)
    for i, (one, known) in enumerate(zip(done, there, strict=True)):
        label = None if y is None else y[i]
        row = None if static is None else static[i]
        begin = _begin(estimator, one, known, label, row) if first is None else first[i]
        for tiles in _tiles(len(one), adapter.spec.shape[0]):
            _fill_tiles(estimator, one, known, tiles, seed * _AGAIN + i, label, row, begin)
    width = len(decoder.channels)
    filled = []
    for raw, one in zip(opened.values, done, strict=True):
        made = decoder.form.numbers(decoder.scaler.decode(one.numpy())[:, :width])
        filled.append(np.where(np.isfinite(raw), raw, made))
    labels = None if opened.labels is None else [one if len(one) > 1 else str(one[0]) for one in opened.labels]
    made = decoder.restore(filled, opened.times, labels, opened.ids, opened.static, opened.rows)
    if isinstance(source, pd.DataFrame) and isinstance(made, pd.DataFrame) and len(made) == len(source):
        told = {"index" if name is None else str(name) for name in source.index.names} & {str(c) for c in made.columns}
        if decoder.form.layout != "long" and not told:  # in the order of the source, and its index is no column now
            made.index = source.index
    return made


def _whole(opened: SeriesSet, decoder: Decoder, adapter: SeriesAdapter) -> SeriesSet:
    """Series whose ends are missing, where all have one length, with these ends: they are to be filled."""
    if decoder.variable or adapter.window is not None or opened.times is not None:
        return opened
    longest = adapter.spec.shape[0]
    return replace(opened, values=list(pad(opened.values, max(longest, *opened.lengths))))


def _keeping(decoder: Decoder, opened: SeriesSet) -> Decoder:
    """The decoder with wider data types for channels whose known values the fitted ones would round."""
    form, known = decoder.form, np.concatenate(opened.values)
    arrays = form.container != "frame"
    lost = [
        _loses(look, column) or (arrays and _beyond(form.dtype, column))
        for look, column in zip(form.looks, known.T, strict=True)
    ]
    if not any(lost):
        return decoder
    wider = NumberLook(dtype="float64", decimals=None)
    looks = tuple(wider if gone else look for look, gone in zip(form.looks, lost, strict=True))
    kept = np.dtype(form.dtype).kind == "f" and not _beyond(form.dtype, known)
    return replace(decoder, form=replace(form, looks=looks, dtype=form.dtype if kept else "float64"))


def _loses(look: NumberLook, values: np.ndarray) -> bool:
    """Whether a channel's own data type and decimals change values by more than its own rounding does."""
    values = values[np.isfinite(values)]
    if "bool" in look.dtype:
        return not np.isin(values, (0.0, 1.0)).all()
    if _beyond(look.dtype, values):
        return True
    if look.decimals is None:
        return False
    # Values of float32 end in digits that nobody wrote.
    near = 1e-12 if _beyond("float32", values) or (values != values.astype(np.float32)).any() else 1e-6
    return bool((np.abs(np.round(values, look.decimals) - values) > near * np.maximum(1.0, np.abs(values))).any())


def _beyond(dtype: str, values: np.ndarray) -> bool:
    """Whether a data type, of NumPy or pandas, has no place for some of the values."""
    kind = re.match(r"(u?int|float)(8|16|32|64)", dtype.lower())
    values = values[np.isfinite(values)]
    if kind is None or not len(values):
        return False
    low, high = (np.finfo(kind[0]).min, np.finfo(kind[0]).max) if kind[1] == "float" else (
        np.iinfo(kind[0]).min, np.iinfo(kind[0]).max
    )  # fmt: skip
    return bool(values.min() < float(low) or values.max() > float(high))


def _tiles(length: int, window: int) -> list[list[tuple[int, int, int]]]:
    """Pieces to draw in two turns, each as (first step seen, first step drawn, step behind the last one drawn)."""
    if length <= window:
        return [[(0, 0, length)]]
    side = window // 4
    size = max(1, window - 2 * side)
    every = [
        (max(0, min(start - side, length - window)), start, min(start + size, length))
        for start in range(0, length, size)
    ]
    return [every[::2], every[1::2]]


def _begin(estimator: Estimator, x: Tensor, known: Tensor, y: int | None, static: Tensor | None) -> int | None:
    """The likeliest place in its seasons of the first step of a series ``(L, C)``."""
    part = known_stretch(known, estimator.adapter.spec.shape[0])
    found = drawn_places(estimator, x[part], known[part], y, static, 1, seed=0)
    return None if found is None else int(found) - part.start


def _fill_tiles(
    estimator: Estimator,
    x: Tensor,
    known: Tensor,
    tiles: list[tuple[int, int, int]],
    seed: int,
    y: int | None,
    static: Tensor | None,
    begin: int | None,
) -> None:
    """Draw what is unknown in the pieces of one series ``(L, C)``, in place, whose first step is at ``begin``."""
    model: Any = estimator.model
    window = estimator.adapter.spec.shape[0]
    open_ = [tile for tile in tiles if not bool(known[tile[1] : tile[2]].all())]
    for part in range(0, len(open_), AT_ONCE):
        chunk = open_[part : part + AT_ONCE]
        given = torch.zeros(len(chunk), window, x.shape[1])
        mask = torch.zeros(given.shape, dtype=torch.bool)
        for row, (first, _, _) in enumerate(chunk):
            count = min(window, len(x) - first)
            given[row, :count], mask[row, :count] = x[first : first + count], known[first : first + count]
        noise = noise_for(seed, len(chunk), model.noise_dim).to(estimator.device)
        labels = None if y is None else torch.full((len(chunk),), y, device=estimator.device)
        rows = None if static is None else static.expand(len(chunk), -1).to(estimator.device)
        places = None if begin is None else torch.tensor([begin + tile[0] for tile in chunk], device=estimator.device)
        drawn = model.fill(noise, given.to(estimator.device), mask.to(estimator.device), labels, rows, places).cpu()
        for one, (seen, at, end) in zip(drawn.clamp_(-1.0, 1.0), chunk, strict=True):
            x[at:end] = torch.where(known[at:end], x[at:end], one[at - seen : end - seen])
            known[at:end] = True


def _filling(estimator: Estimator) -> tuple[SeriesAdapter, Decoder]:
    adapter = series_adapter(estimator)
    if not hasattr(estimator.model, "fill") or adapter.decoder is None:
        raise ConfigError(
            f"{estimator.run.config['model']!r} cannot fill series. Fit the default model of series, recurrent."
        )
    return adapter, adapter.decoder


def _scaled(adapter: SeriesAdapter, decoder: Decoder, opened: SeriesSet) -> tuple[list[Tensor], list[Tensor]]:
    """Series as the networks see them, and which of their values are there."""
    raw = with_gaps(opened, decoder.clock) if decoder.gaps and decoder.clock is not None else opened.values
    if adapter.window is None and max(opened.lengths) > adapter.spec.shape[0]:
        raise DataError(
            f"{opened.name}: a series of {max(opened.lengths)} steps; the fitted data have at most "
            f"{adapter.spec.shape[0]}. Cut it, or fit with a window."
        )
    there = [torch.from_numpy(np.isfinite(one)) for one in raw]
    return [torch.from_numpy(decoder.scaler.encode(interpolate(one))).clamp(-1.0, 1.0) for one in raw], there


def _labels(adapter: SeriesAdapter, opened: SeriesSet) -> tuple[list[int] | None, Tensor | None]:
    """The class of each series, the most frequent one where it changes, and its attributes."""
    classes = adapter.spec.classes
    y = None
    if classes:
        if opened.labels is None:
            raise DataError(
                f"{opened.name}: no classes; expected them, as the fitted data have: {', '.join(classes[:8])}."
            )
        y = []
        for i, names in enumerate(opened.labels):
            found, counts = np.unique(names.astype(str), return_counts=True)
            name = str(found[np.argmax(counts)])
            if name not in classes:
                raise DataError(
                    f"{opened.name}: {opened.which(i)} has the class {name!r}; expected {', '.join(classes[:8])}."
                )
            y.append(classes.index(name))
    if adapter.table is None:
        return y, None
    return y, attributes_of(adapter, opened)
