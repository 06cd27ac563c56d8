"""How the values of one column become digits: a value each (Choices), or cells of an amount's range (Amounts)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.table_cells import CELLS, divide, finer
from aegan.data.table_ladder import Ladder, nearest_allowed, pack
from aegan.errors import DataError

ONE_FIELD = 256
"""Most values of a category that are one field; beyond, the rarer ones lie in groups."""
OWN = 128
"""Most values of a large category that have an index of their own."""
FINE_ROWS = 200_000
"""From so many rows on, cells are divided once more, if values recur, so that each could matter by itself."""

KINDS: dict[str, Any] = {"any": object, "float": np.float64, "int": np.int64, "uint": np.uint64}
"""Types of values by their name in JSON."""
KIND_OF = {"O": "any", "f": "float", "i": "int", "u": "uint"}

Decoded = tuple[np.ndarray, np.ndarray]
"""Values, and which of them are missing, both ``(N,)``."""
Ranges = Sequence[tuple[Any, Any]]
"""Closed intervals of values."""


class Codec(ABC):
    """Values of one column to numbers ``(N, levels)`` float32 and back.

    Attributes:
        ladder: Which leaf is reached by which digits.
        ordered: Whether the leaves are in the order of amounts.
        missing: Whether the last leaf means a missing value.
    """

    kind = ""
    ladder: Ladder
    ordered: bool
    missing: bool

    @property
    def sizes(self) -> tuple[int, ...]:
        """Values of each field."""
        return self.ladder.sizes

    @abstractmethod
    def encode(self, values: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers ``(N, levels)``, and which rows hold a value that the fitted data did not have ``(N,)``."""

    @abstractmethod
    def decode(self, x: np.ndarray, leaf: np.ndarray, ranges: Ranges | None = None) -> Decoded:
        """Values of the leaves; ``ranges`` narrows the amounts, each within its leaf."""

    @abstractmethod
    def allowed(self, test: Callable[[np.ndarray, np.ndarray], np.ndarray], ranges: Ranges | None) -> np.ndarray:
        """Which leaves can hold a value that passes: by ``test`` of values and missing, or by ``ranges``."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain dict."""

    def leaf(self, x: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
        """Leaf of each row; the nearest allowed one where ``allowed`` is given."""
        leaf = self.ladder.join(x.astype(np.int32))
        return leaf if allowed is None else nearest_allowed(allowed)[leaf]


class Choices(Codec):
    """A value is a leaf: exact.

    Args:
        values: Distinct values; ordered ones ascending, others from frequent to rare.
        ladder: Its last leaf is that of missing values when ``missing``.
        ordered: Whether values are numbers, ascending.
        missing: Whether some are missing.
        stand_in: Leaf taken for values that are not among them.
    """

    kind = "choices"

    def __init__(self, values: np.ndarray, ladder: Ladder, *, ordered: bool, missing: bool, stand_in: int) -> None:
        self.values, self.ladder, self.ordered, self.missing, self.stand_in = values, ladder, ordered, missing, stand_in
        self._index: pd.Index | None = None

    @classmethod
    def fit(cls, values: np.ndarray, counts: np.ndarray, *, ordered: bool, missing: int) -> Choices:
        """From distinct values with their counts (ascending, or frequent first) and the number of missing ones."""
        total = counts.sum() + missing
        rare = np.flatnonzero(counts < total / 100)
        stand_in = int(rare[0]) if len(rare) else len(values) - 1
        n = len(values) + bool(missing)
        if n <= ONE_FIELD or ordered:
            ladder = Ladder(n)
        else:
            own = int((counts[:OWN] >= total / (4 * OWN)).sum())
            rest = len(values) - own
            step = math.isqrt(rest - 1) + 1
            groups = [step] * (rest // step) + ([rest % step] if rest % step else [])
            ladder = Ladder(own + len(groups) + bool(missing), [[1] * own + groups + [1] * bool(missing)])
        return cls(values, ladder, ordered=ordered, missing=bool(missing), stand_in=stand_in)

    @property
    def table(self) -> Decoded:
        """Value of each leaf, and whether it is missing."""
        missing = np.zeros(self.ladder.leaves, dtype=bool)
        if not self.missing:
            return self.values, missing
        missing[-1] = True
        filler = np.empty(1, dtype=self.values.dtype)
        filler[0] = self.values[0]
        return np.concatenate([self.values, filler]), missing

    def leaves_of(self, values: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Leaf of each value, -1 where it has none; and which values are not known."""
        if self.values.dtype == object:
            if self._index is None:
                self._index = pd.Index(self.values, dtype=object)
            leaf = self._index.get_indexer(pd.Index(values, dtype=object)).astype(np.int64)
        else:
            order = np.arange(len(self.values)) if self.ordered else np.argsort(self.values)
            place = np.clip(np.searchsorted(self.values[order], values), 0, len(order) - 1)
            leaf = np.where(self.values[order][place] == values, order[place], -1)
        unseen = (leaf < 0) & ~missing
        leaf[missing] = self.ladder.leaves - 1 if self.missing else -1
        return leaf, unseen | (missing & (not self.missing))

    def encode(self, values: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Codec.encode`; unknown numbers become the nearest one, unknown names the stand-in."""
        leaf, unseen = self.leaves_of(values, missing)
        leaf[unseen] = self.stand_in
        if self.ordered and (between := unseen & ~missing).any():
            place = np.clip(np.searchsorted(self.values, values[between]), 1, max(len(self.values) - 1, 1))
            low, high = self.values[place - 1], self.values[np.minimum(place, len(self.values) - 1)]
            nearer_low = values[between] - low <= high - values[between]
            leaf[between] = np.where(nearer_low, place - 1, np.minimum(place, len(self.values) - 1))
        return pack(self.ladder.split(leaf)), unseen

    def decode(self, x: np.ndarray, leaf: np.ndarray, ranges: Ranges | None = None) -> Decoded:
        """See :meth:`Codec.decode`."""
        values, missing = self.table
        return values[leaf], missing[leaf]

    def allowed(self, test: Callable[[np.ndarray, np.ndarray], np.ndarray], ranges: Ranges | None) -> np.ndarray:
        """See :meth:`Codec.allowed`."""
        return test(*self.table)

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return {
            "codec": self.kind,
            "values": self.values.tolist(),
            "type": KIND_OF[self.values.dtype.kind],
            "ladder": self.ladder.to_json(),
            "ordered": self.ordered,
            "missing": self.missing,
            "stand_in": self.stand_in,
        }


class Amounts(Codec):
    """Cells of a range of amounts: narrow where values are frequent, one for each value that recurs often.

    Args:
        low: Lowest value of each leaf, ascending; in whole steps where there is a ``step``.
        high: Highest value of each leaf; one past it where there is a ``step``.
        ladder: Its last leaf is that of missing values when ``missing``; that leaf has no cell.
        step: Granularity: values are ``(origin + k * step) / 10**decimals`` with whole k. None: any float.
        origin: Whole number from which steps are counted.
        decimals: Digits behind the point.
        missing: Whether some are missing.
    """

    kind = "amounts"
    ordered = True

    def __init__(
        self,
        low: np.ndarray,
        high: np.ndarray,
        ladder: Ladder,
        *,
        step: int | None,
        origin: int = 0,
        decimals: int = 0,
        missing: bool = False,
    ) -> None:
        self.low, self.high, self.ladder = low, high, ladder
        self.step, self.origin, self.decimals, self.missing = step, origin, decimals, missing

    @classmethod
    def fit(cls, values: np.ndarray, *, bins: int, decimals: int | None, missing: bool) -> Amounts:
        """From all values, none of them missing; ``decimals`` None when they have no granularity."""
        step, origin = None, 0
        if decimals is not None:
            whole = np.rint(values * 10.0**decimals)
            origin = int(whole.min())
            step = int(np.gcd.reduce(np.unique(whole - origin).astype(np.int64))) or 1
            values = (whole - origin) / step
        distinct, counts = np.unique(values, return_counts=True)
        spans = divide(counts, bins, least=1)
        levels: list[list[int]] = []
        for parts in CELLS[: 2 if len(values) >= max(FINE_ROWS, 4 * len(distinct)) else 1]:
            divided = [finer(counts, span, parts) for span in spans]
            if max(map(len, divided)) > 1:
                levels.append([len(cells) for cells in divided])
                spans = [cell for cells in divided for cell in cells]
        low = np.array([distinct[i] for i, _ in spans])
        high = np.array([distinct[j - 1] for _, j in spans]) + (0 if step is None else 1)
        first = len(levels[0]) if levels else len(spans)
        counts_of = [level + [1] * missing for level in levels]
        return cls(
            low,
            high,
            Ladder(first + missing, counts_of),
            step=step,
            origin=origin,
            decimals=decimals or 0,
            missing=missing,
        )

    def value_of(self, k: np.ndarray) -> np.ndarray:
        """Values at positions ``k``: in steps where there are steps."""
        return k if self.step is None else (self.origin + k * self.step) / 10.0**self.decimals

    def position_of(self, values: np.ndarray) -> np.ndarray:
        """Positions of values, the nearest where there are steps."""
        return values if self.step is None else np.rint((values * 10.0**self.decimals - self.origin) / self.step)

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest value."""
        ends = np.array([self.low[0], self.high[-1] - (self.step is not None)])
        low, high = self.value_of(ends).tolist()
        return low, high

    def encode(self, values: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Codec.encode`; a value between cells or beyond becomes the nearest that there is."""
        k = np.where(missing, self.low[0], self.position_of(np.where(missing, 0.0, values)))
        last = self.high - (self.step is not None)
        leaf = np.clip(np.searchsorted(self.low, k, side="right") - 1, 0, len(self.low) - 1)
        following = np.minimum(leaf + 1, len(self.low) - 1)
        leaf = np.where((k > last[leaf]) & (self.low[following] - k < k - last[leaf]), following, leaf)
        inside = np.clip(k, self.low[leaf], last[leaf])
        width = self.high[leaf] - self.low[leaf]
        half = 0.0 if self.step is None else 0.5
        within = np.where(width > 0, (inside - self.low[leaf] + half) / np.where(width > 0, width, 1), 0.5)
        unseen = missing & (not self.missing)
        if self.missing:
            leaf = np.where(missing, self.ladder.leaves - 1, leaf)
        return pack(self.ladder.split(leaf), np.where(missing, 0.5, within)), unseen

    def decode(self, x: np.ndarray, leaf: np.ndarray, ranges: Ranges | None = None) -> Decoded:
        """See :meth:`Codec.decode`."""
        missing = leaf == len(self.low)
        leaf = np.minimum(leaf, len(self.low) - 1)
        last = x[:, -1]
        within = (last - last.astype(np.int32)).astype(np.float64)
        low, high = self.low, self.high
        if ranges is not None:
            low, high, _ = self._narrowed(ranges)
        k = low[leaf] + within * (high - low)[leaf]
        if self.step is not None:
            k = np.minimum(np.floor(k), high[leaf] - 1)
        return self.value_of(k), missing

    def allowed(self, test: Callable[[np.ndarray, np.ndarray], np.ndarray], ranges: Ranges | None) -> np.ndarray:
        """See :meth:`Codec.allowed`."""
        hit = np.ones(len(self.low), dtype=bool) if ranges is None else self._narrowed(ranges)[2]
        if not self.missing:
            return hit
        return np.append(hit, test(np.zeros(1), np.ones(1, dtype=bool)))

    def _narrowed(self, ranges: Ranges) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cells cut to the first range that meets them, and which are met at all."""
        low, high, hit = self.low.copy(), self.high.copy(), np.zeros(len(self.low), dtype=bool)
        for bottom, top in ranges:
            start, stop = self._positions(bottom, top)
            first, last = np.maximum(self.low, start), np.minimum(self.high, stop)
            new = ~hit & ((first <= last) if self.step is None else (first < last))
            low, high, hit = np.where(new, first, low), np.where(new, last, high), hit | new
        return low, high, hit

    def most(self, ranges: Ranges) -> float | None:
        """The greatest value in the ranges; None where there is none."""
        _, _, hit = self._narrowed(ranges)
        if not hit.any():
            return None
        at = int(np.flatnonzero(hit)[-1])
        ends = [self._positions(*one)[1] for one in ranges]
        last = np.minimum(self.high[at], [end for end in ends if end > self.low[at] or self.step is None])
        return float(self.value_of(last.max() - (self.step is not None)))

    def _positions(self, bottom: float, top: float) -> tuple[float, float]:
        """The closed interval of values as one of positions (half-open where there are steps)."""
        if self.step is None:
            return bottom, top
        lowest, highest = self.limits
        ends = np.clip([bottom, top], lowest - 1, highest + 1)
        start, stop = self.position_of(ends)
        first = start + np.arange(-1, 2)
        last = stop + np.arange(-1, 2)
        first, last = first[self.value_of(first) >= ends[0]], last[self.value_of(last) <= ends[1]]
        return float(first.min()), float(last.max()) + 1

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        plain = [cells if self.step is None else cells.astype(np.int64) for cells in (self.low, self.high)]
        return {
            "codec": self.kind,
            "low": plain[0].tolist(),
            "high": plain[1].tolist(),
            "ladder": self.ladder.to_json(),
            "step": self.step,
            "origin": self.origin,
            "decimals": self.decimals,
            "missing": self.missing,
        }


def codec_from_json(data: Any, where: str) -> Codec:
    """Inverse of ``to_json`` of :class:`Choices` and :class:`Amounts`.

    Raises:
        DataError: A key is missing, or values do not fit together.
    """
    try:
        ladder = Ladder.from_json(data["ladder"], where)
        missing = bool(data["missing"])
        if data["codec"] == Choices.kind:
            values = as_array(data["values"], KINDS[data["type"]])
            if len(values) + missing != ladder.leaves or not 0 <= data["stand_in"] < len(values):
                raise ValueError("numbers of values differ")
            return Choices(
                values, ladder, ordered=bool(data["ordered"]), missing=missing, stand_in=int(data["stand_in"])
            )
        if data["codec"] == Amounts.kind:
            low, high = np.asarray(data["low"], dtype=np.float64), np.asarray(data["high"], dtype=np.float64)
            if len(low) != len(high) or len(low) + missing != ladder.leaves or not np.all(high >= low):
                raise ValueError("cells do not fit together")
            if not (np.isfinite(low).all() and np.isfinite(high).all()):
                raise ValueError("cells are not finite")
            step = None if data["step"] is None else int(data["step"])
            places = {"step": step, "origin": int(data["origin"]), "decimals": int(data["decimals"])}
            return Amounts(low, high, ladder, missing=missing, **places)
        raise ValueError(f"codec {data['codec']!r} is not known")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where}: {error!r}; the file is damaged, or from another version.") from error


def as_array(values: Sequence[Any], kind: Any) -> np.ndarray:
    """One-dimensional array; an object one keeps each value as it is."""
    if kind is not object:
        return np.asarray(values, dtype=kind)
    out = np.empty(len(values), dtype=object)
    out[:] = list(values)
    return out
