"""Numbers of networks back to series in the form of the fitted source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.series_form import SeriesForm, to_arrays, to_frame, to_wide
from aegan.data.series_ids import Names
from aegan.data.series_samples import CENTRE, LENGTH, RANGE, free_name, stamps_from_gaps
from aegan.data.series_scale import Scaler
from aegan.data.series_set import SeriesSet
from aegan.data.series_time import Clock, read_stamps
from aegan.data.table_frames import make_dtype
from aegan.errors import ConfigError


@dataclass(kw_only=True)
class Decoder:
    """What is needed to turn samples into series.

    Attributes:
        form: How the fitted source looked.
        channels: Names of the data's channels.
        clock: Its time stamps; None without.
        scaler: Of the channels, and of the gap channel where there is one.
        variable: Whether lengths differ.
        own: Whether each sample is scaled by its own range.
        gaps: Whether the last channel is the gap between stamps.
        constants: ``value`` and ``dtype`` of attributes that have one value throughout, where all have.
        names: How series are named; None without names.
        classes: Class names.
    """

    form: SeriesForm
    channels: tuple[str, ...]
    clock: Clock | None
    scaler: Scaler
    variable: bool = False
    own: bool = False
    gaps: bool = False
    constants: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: Names | None = None
    classes: tuple[str, ...] = ()

    def decode(
        self,
        x: np.ndarray,
        table: pd.DataFrame | None,
        *,
        labels: list[str] | None,
        gone: np.ndarray | None,
        start: int,
        begin: Any,
    ) -> Any:
        """Samples ``(N, T, C)`` and the table of their attributes as the fitted kind of thing."""
        n, longest, _ = x.shape
        table = self.attributes(table, n)
        lengths = np.full(n, longest)
        if self.variable and table is not None:
            lengths = np.clip(table[free_name(LENGTH, self.form.static)].to_numpy(np.int64), 1, longest)
        raw = self.amounts(x, table)
        if gone is not None:
            raw = np.where(gone, np.nan, raw)
        width = len(self.channels)
        parts = [one[:length] for one, length in zip(raw, lengths, strict=True)]
        values = [self.form.numbers(one[:, :width]) for one in parts]
        gaps = [one[:, -1] for one in parts] if self.gaps else None
        times = self._times(lengths, gaps, start * longest, begin)
        ids = None if self.names is None else self.names.make(n, start)
        return self.restore(values, times, labels, ids, table)

    def attributes(self, table: pd.DataFrame | None, n: int) -> pd.DataFrame | None:
        """The table of attributes, made from the constants where nothing else is in it."""
        if table is not None or not self.constants:
            return table
        parts = {name: pd.Series([one["value"]] * n, dtype=object) for name, one in self.constants.items()}
        return pd.DataFrame(
            {name: part.astype(make_dtype(self.constants[name]["dtype"])) for name, part in parts.items()}
        )

    def amounts(self, x: np.ndarray, table: pd.DataFrame | None) -> np.ndarray:
        """Samples ``(N, T, C)`` in the units of the data, float64."""
        raw = self.scaler.decode(x)
        if not self.own or table is None:
            return raw
        for i, channel in enumerate(self.channels):
            centre = table[free_name(CENTRE.format(channel), self.form.static)].to_numpy(np.float64, na_value=np.nan)
            half = table[free_name(RANGE.format(channel), self.form.static)].to_numpy(np.float64, na_value=np.nan)
            raw[:, :, i] = centre[:, None] + np.clip(x[:, :, i], -1, 1) * np.maximum(half, 0.0)[:, None]
        return raw

    def _times(
        self, lengths: np.ndarray, gaps: list[np.ndarray] | None, before: int, begin: Any
    ) -> list[np.ndarray] | None:
        """Stamps of each sample; those of one long series follow each other."""
        clock = self.clock
        if clock is None:
            if begin is not None:
                raise ConfigError(f"from_tensors: begin is {begin!r}, but these series have no time stamps.")
            return None
        first = clock.start
        if self.form.layout == "long":
            first = clock.after(clock.end)
            if before:
                first = clock.grid(first, before + 1)[-1]
        if begin is not None:
            first = self._count(clock, begin)
        if self.form.layout != "long":
            return [
                stamps_from_gaps(clock, gaps[i], first) if gaps is not None else clock.grid(first, length)
                for i, length in enumerate(lengths.tolist())
            ]
        total = int(lengths.sum())
        borders = np.cumsum(lengths)[:-1]
        if gaps is not None:
            return np.split(stamps_from_gaps(clock, np.concatenate(gaps), first), borders)
        return np.split(clock.grid(first, total), borders)

    @staticmethod
    def _count(clock: Clock, begin: Any) -> float:
        try:
            series = pd.Series([begin]).astype(clock.look.dtype)  # pyright: ignore[reportArgumentType]
            counts, missing = read_stamps(series, clock.look, clock.utc)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"from_tensors: begin is {begin!r}, no time stamp like those of the data.") from error
        if missing[0]:
            raise ConfigError(f"from_tensors: begin is {begin!r}, no time stamp like those of the data.")
        return counts[0].item()

    def restore(
        self,
        values: list[np.ndarray],
        times: list[np.ndarray] | None,
        labels: list[Any] | None,
        ids: pd.Series | None,
        table: pd.DataFrame | None,
        rows: list[np.ndarray] | None = None,
    ) -> Any:
        """Series in the data's units, with all that belongs to them, as the fitted kind of thing; see ``to_frame``."""
        form = self.form
        static = None if table is None or not form.static else pd.DataFrame(table[list(form.static)])
        if form.container == "file":
            return SeriesSet(
                values=values,
                channels=self.channels,
                name=form.title,
                form=form,
                labels=None if labels is None else [np.array([one], dtype=object) for one in labels],
            )
        if form.container != "frame":
            return to_arrays(form, values, labels)
        if form.layout == "wide":
            return to_wide(form, values, labels, ids, static)
        return to_frame(
            form,
            self.channels,
            values,
            times=times,
            clock=self.clock,
            labels=labels,
            ids=ids,
            static=static,
            rows=rows,
        )
