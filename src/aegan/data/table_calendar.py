"""Points in time: day, or week and weekday, and the time of day, so that their rhythms can be learnt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aegan.data.table_codecs import Amounts, Choices, Codec, Ranges
from aegan.data.table_columns import Cells, Column, Frame, Narrow, Test
from aegan.data.table_looks import TimeLook

PARTS = ("month", "month end", "week", "weekday", "day", "clock")
MONTHLY = ("month", "month end")
"""Where all days are the first of a month, or all the last."""
LONG = 70
"""From so many days on, days are told as week and weekday."""


class Calendar(Column):
    """A column of many dates or times.

    Args:
        name: Its name.
        look: Its data type and format.
        parts: Names of the parts, of :data:`PARTS`.
        codecs: Their codecs; the first one's missing leaf is that of the column.
        limits: First and last time.
        grain: Every time is a multiple of it, in counts of the look's unit.
    """

    kind = "calendar"
    look: TimeLook

    def __init__(
        self,
        name: str,
        look: TimeLook,
        parts: tuple[str, ...],
        codecs: tuple[Codec, ...],
        limits: tuple[int, int],
        grain: int,
    ) -> None:
        self.name, self.look, self.parts, self.codecs = name, look, parts, codecs
        self.limits, self.grain = limits, grain

    @classmethod
    def fit(cls, name: str, look: TimeLook, values: np.ndarray, *, bins: int, missing: int) -> Calendar:
        """From all points in time, none of them missing; ``missing`` counts those."""
        day = look.day
        days, clock = values // day, values % day
        grain = int(np.gcd.reduce(clock[clock > 0])) if clock.any() else day
        months = _months(days)
        monthly = [part for part in MONTHLY if not clock.any() and (_days(part, months) == days).all()]
        if monthly:
            parts = {monthly[0]: months}
        elif days.max() - days.min() >= LONG:
            parts = {"week": (days + 3) // 7, "weekday": (days + 3) % 7}
        else:
            parts = {"day": days}
        if clock.any():
            parts["clock"] = clock // grain
        codecs = []
        for part, numbers in parts.items():
            gone = missing if not codecs else 0
            distinct, counts = np.unique(numbers.astype(np.float64), return_counts=True)
            if len(distinct) <= bins or part == "weekday":
                codecs.append(Choices.fit(distinct, counts, ordered=True, missing=gone))
            else:
                codecs.append(Amounts.fit(numbers.astype(np.float64), bins=bins, decimals=0, missing=gone > 0))
        return cls(name, look, tuple(parts), tuple(codecs), (int(values.min()), int(values.max())), grain)

    def encode(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Column.encode`."""
        values, missing = self.look.read(frame[self.name])
        unseen = missing & (not self.codecs[0].missing)
        unseen = unseen | (~missing & ((values < self.limits[0]) | (values > self.limits[1])))
        values = np.where(missing, self.limits[0], values)
        blocks = []
        for i, (part, codec) in enumerate(zip(self.parts, self.codecs, strict=True)):
            gone = missing if i == 0 and codec.missing else np.zeros(len(values), dtype=bool)
            blocks.append(codec.encode(self._part(part, values).astype(np.float64), gone)[0])
        return np.concatenate(blocks, axis=1), unseen

    def _part(self, part: str, values: np.ndarray) -> np.ndarray:
        days = values // self.look.day
        if part == "clock":
            return values % self.look.day // self.grain
        if part in MONTHLY:
            return _months(days)
        return {"week": lambda: (days + 3) // 7, "weekday": lambda: (days + 3) % 7, "day": lambda: days}[part]()

    def decode(self, x: np.ndarray, done: Mapping[str, Cells], narrow: Narrow | None, start: int) -> Cells:
        """See :meth:`Column.decode`."""
        at, numbers, missing = 0, {}, np.zeros(len(x), dtype=bool)
        for i, (part, codec) in enumerate(zip(self.parts, self.codecs, strict=True)):
            block = x[:, at : at + len(codec.sizes)]
            at += len(codec.sizes)
            values, gone = codec.decode(block, codec.leaf(block, narrow.leaves[i] if narrow else None))
            numbers[part] = values.astype(np.int64)
            missing |= gone
        if self.parts[0] in MONTHLY:
            days = _days(self.parts[0], numbers[self.parts[0]])
        else:
            days = numbers["day"] if "day" in numbers else numbers["week"] * 7 - 3 + numbers["weekday"]
        times = days * self.look.day + numbers.get("clock", 0) * self.grain
        ranges = narrow.ranges if narrow is not None and narrow.move else None
        return Cells(self._moved(times, [self.limits] if ranges is None else self.inside(ranges)), missing)

    def inexact(self, narrow: Narrow) -> bool:
        """See :meth:`Column.inexact`: a range that cuts a week, a day or a cell of the first part leaves more."""
        if not narrow.ranges:
            return False
        codec, (low, high) = self.codecs[0], self.limits
        leaf = np.flatnonzero(narrow.leaves[0][: codec.ladder.leaves - codec.missing])
        values = codec.values if isinstance(codec, Choices) else None
        if values is not None:
            first = last = values[leaf].astype(np.int64)
        else:
            assert isinstance(codec, Amounts)
            ends = codec.low[leaf], codec.high[leaf] - (codec.step is not None)
            first, last = (np.rint(codec.value_of(end)).astype(np.int64) for end in ends)
        starts = self._start(first)
        stops = self._start(last) if self.parts[0] in MONTHLY else self._start(last + 1) - self.grain
        whole = np.zeros(len(leaf), dtype=bool)
        for a, b in self.inside(narrow.ranges):  # beyond the limits there is nothing to cut off
            whole |= ((starts >= a) | (a <= low)) & ((stops <= b) | (b >= high))
        return not whole.all()

    def _start(self, first: np.ndarray) -> np.ndarray:
        """The first moment of values of the first part."""
        if self.parts[0] in MONTHLY:
            return _days(self.parts[0], first) * self.look.day
        return (first * 7 - 3 if self.parts[0] == "week" else first) * self.look.day

    def inside(self, ranges: Ranges) -> list[tuple[int, int]]:
        """Ranges cut to the fitted ones and to the grain or the months; those that hold no time are left out."""
        low, high = self.limits
        cut = [(max(int(a), low), min(int(b), high)) for a, b in ranges]
        if self.parts[0] in MONTHLY:
            cut = [(self._monthly(a, up=True), self._monthly(b, up=False)) for a, b in cut]
        grained = [(-(-a // self.grain) * self.grain, b // self.grain * self.grain) for a, b in cut]
        return [(a, b) for a, b in grained if a <= b]

    def _monthly(self, time: int, *, up: bool) -> int:
        """The nearest day of the column's kind that is not before a time (``up``), or not after it."""
        month = _months(np.array([time // self.look.day])) + np.array([-1, 0, 1])
        days = self._start(month)
        return int(days[days >= time].min() if up else days[days <= time].max())

    def _moved(self, times: np.ndarray, ranges: list[tuple[int, int]]) -> np.ndarray:
        """Times in the nearest range: by whole weeks where that suffices, else by days, else to its end."""
        outside = np.ones(len(times), dtype=bool)
        for low, high in ranges:
            outside &= (times < low) | (times > high)
        if not outside.any():
            return times
        late = times[outside]
        distance = np.stack([np.abs(np.clip(late, a, b) - late) for a, b in ranges])
        low, high = np.array(ranges)[distance.argmin(axis=0)].T
        for stride in () if self.parts[0] in MONTHLY else (7 * self.look.day, self.look.day):
            up = np.where(late < low, -((late - low) // stride) * stride, 0)
            down = np.where(late > high, -((high - late) // stride) * stride, 0)
            moved = late + up - down
            late = np.where((moved >= low) & (moved <= high), moved, late)
        out = times.copy()
        out[outside] = np.clip(late, low, high)
        return out

    def allowed(self, test: Test, ranges: Ranges | None) -> list[np.ndarray]:
        """See :meth:`Column.allowed`; exact for the first part, the rest is moved when decoded."""
        masks = [np.ones(codec.ladder.leaves, dtype=bool) for codec in self.codecs]
        if ranges is not None:
            firsts = []
            for a, b in self.inside(ranges):
                ends = self._part(self.parts[0], np.array([a, b])).astype(np.float64)
                firsts.append((float(ends[0]), float(ends[1])))

            def first(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
                hit = np.zeros(len(values), dtype=bool)
                for a, b in firsts:
                    hit |= (values >= a) & (values <= b)
                return np.where(missing, test(values, missing), hit)

            masks[0] = self.codecs[0].allowed(first, firsts)
        elif self.codecs[0].missing:
            masks[0][-1] = test(np.zeros(1, dtype=np.int64), np.ones(1, dtype=bool))[0]
        return masks

    def describe(self) -> str:
        """See :meth:`Column.describe`."""
        return f"{self.look.show(self.limits[0])} to {self.look.show(self.limits[1])}"

    def _own_json(self) -> dict[str, Any]:
        return {
            "parts": list(self.parts),
            "codecs": [codec.to_json() for codec in self.codecs],
            "limits": list(self.limits),
            "grain": self.grain,
        }


def _months(days: np.ndarray) -> np.ndarray:
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _days(part: str, months: np.ndarray) -> np.ndarray:
    """The day of each month that a column of ``part`` holds."""
    end = int(part == "month end")
    return (months + end).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - end
