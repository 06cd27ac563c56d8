"""Columns that a rule binds to others: a gap above one, told by one, equal to one, a combination of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.table_codecs import KIND_OF, Amounts, Choices, Ranges
from aegan.data.table_columns import Cells, Column, Frame, Narrow, Test
from aegan.data.table_looks import Look, TimeLook

_GONE = "\x00missing"


class Gap(Column):
    """A column that is never less than another: coded as how much it exceeds that.

    Args:
        name: Its name.
        look: Its data type, of the same kind as the other's.
        on: The other column.
        codec: Amounts by which it exceeds.
        base: What the other counts as where it is missing.
        limits: Least and greatest value of this column.
        grain: Every value is the least one and a multiple of this.
    """

    kind = "gap"

    def __init__(
        self,
        name: str,
        look: Look,
        on: str,
        codec: Amounts,
        *,
        base: float,
        limits: tuple[float, float],
        base_look: Look,
        grain: float,
    ) -> None:
        self.name, self.look, self.on, self.codec, self.codecs = name, look, on, codec, (codec,)
        self.base, self.limits, self.base_look, self.grain = base, limits, base_look, grain

    def encode(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Column.encode`."""
        values, missing = self.look.read(frame[self.name])
        base, unknown = self.base_look.read(frame[str(self.on)])
        gap = (values - np.where(unknown, self.base, base)).astype(np.float64)
        return self.codec.encode(np.where(missing, 0.0, gap), missing)

    def decode(self, x: np.ndarray, done: Mapping[str, Cells], narrow: Narrow | None, start: int) -> Cells:
        """See :meth:`Column.decode`."""
        gap, missing = self.codec.decode(x, self.codec.leaf(x, narrow.leaves[0] if narrow else None))
        other = done[str(self.on)]
        base = np.where(other.missing, self.base, other.values)
        if isinstance(self.look, TimeLook):
            base = base.astype(np.int64)
            values = base + np.rint(gap).astype(np.int64)
        else:
            values = np.round(base + gap, self.codec.decimals)
        low, high = self.limits
        values = self.on_grain(values)
        if narrow is not None and narrow.ranges is not None and narrow.move:
            values = into(values, self.inside(narrow.ranges))
        values = np.clip(values, low, high)
        return Cells(np.where(other.missing, values, np.maximum(values, base)), missing)

    def on_grain(self, values: np.ndarray) -> np.ndarray:
        """Values raised to the next that the column's grain has."""
        if isinstance(self.look, TimeLook):
            low, grain = int(self.limits[0]), int(self.grain)
            return low - (low - values.astype(np.int64)) // grain * grain
        low = self.limits[0]
        k = np.ceil((values - low) / self.grain - 1e-6)
        return np.round(low + k * self.grain, self.codec.decimals)

    def inside(self, ranges: Ranges) -> list[tuple[Any, Any]]:
        """Ranges cut to the fitted one and inwards to the grain; those that hold no value are left out."""
        low, high = self.limits
        cut = [(max(a, low), min(b, high)) for a, b in ranges]
        out = []
        for a, b in [(a, b) for a, b in cut if a <= b]:
            first, last = self.on_grain(np.array([a, b]))
            last = last if last <= b else self.on_grain(np.array([last - self.grain]))[0]
            if first <= last:
                out.append((first, last))
        return out

    def inexact(self, narrow: Narrow) -> bool:
        """See :meth:`Column.inexact`: the gaps do not tell where a row comes to lie."""
        low, high = self.limits
        return bool(narrow.ranges) and not any(a <= low and b >= high for a, b in narrow.ranges or ())

    def allowed(self, test: Test, ranges: Ranges | None) -> list[np.ndarray]:
        """See :meth:`Column.allowed`: how far above cannot be told, but whether it is missing can."""
        hit = np.ones(self.codec.ladder.leaves, dtype=bool)
        if ranges is not None:
            hit[:] = bool(self.inside(ranges))
        if self.codec.missing:
            hit[-1] = test(np.zeros(1), np.ones(1, dtype=bool))[0]
        return [hit]

    def describe(self) -> str:
        """See :meth:`Column.describe`."""
        return f"at least {self.on}"

    def _own_json(self) -> dict[str, Any]:
        return {
            "codec": self.codec.to_json(),
            "on": self.on,
            "base": self.base,
            "limits": list(self.limits),
            "base_look": self.base_look.to_json(),
            "grain": self.grain,
        }


class Dependent(Column):
    """A column that another one tells.

    Args:
        name: Its name.
        look: Its data type.
        on: The other column, one with Choices.
        values: Plain value for each leaf of the other.
        missing: Which of these are missing.
    """

    kind = "dependent"

    def __init__(self, name: str, look: Look, on: str, values: np.ndarray, missing: np.ndarray) -> None:
        self.name, self.look, self.on, self.values, self.missing = name, look, on, values, missing

    def decode(self, x: np.ndarray, done: Mapping[str, Cells], narrow: Narrow | None, start: int) -> Cells:
        """See :meth:`Column.decode`."""
        leaf = done[str(self.on)].leaf
        return Cells(leaf=leaf, table=(self.values, self.missing))

    def describe(self) -> str:
        """See :meth:`Column.describe`."""
        return f"told by {self.on}"

    def _own_json(self) -> dict[str, Any]:
        return {
            "on": self.on,
            "values": self.values.tolist(),
            "type": KIND_OF[self.values.dtype.kind],
            "missing": self.missing.tolist(),
        }


class Copy(Column):
    """A column of amounts that equals another one in every row.

    Args:
        name: Its name.
        look: Its data type.
        on: The other column.
    """

    kind = "copy"

    def __init__(self, name: str, look: Look, on: str) -> None:
        self.name, self.look, self.on = name, look, on

    def decode(self, x: np.ndarray, done: Mapping[str, Cells], narrow: Narrow | None, start: int) -> Cells:
        """See :meth:`Column.decode`."""
        return Cells(done[str(self.on)].values, done[str(self.on)].missing)

    def describe(self) -> str:
        """See :meth:`Column.describe`."""
        return f"the same as {self.on}"

    def _own_json(self) -> dict[str, Any]:
        return {"on": self.on}


class Joint(Column):
    """The first of some columns of which only certain combinations occur; its fields number the combinations.

    Args:
        name: Its name.
        look: Its data type.
        codec: The numbers of the combinations.
        members: For each of the columns, itself first: name, look, value and missing by combination.
    """

    kind = "joint"

    def __init__(
        self, name: str, look: Look, codec: Choices, members: list[tuple[str, Look, np.ndarray, np.ndarray]]
    ) -> None:
        self.name, self.look, self.codec, self.members, self.codecs = name, look, codec, members, (codec,)
        keys = [[_GONE if gone else value for value, gone in zip(v, m, strict=True)] for _, _, v, m in members]
        self._index = pd.MultiIndex.from_arrays(keys)

    def encode(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Column.encode`."""
        keys = []
        for name, look, _, _ in self.members:
            values, missing = look.read(frame[name])
            cells = values.astype(object)
            cells[missing] = _GONE
            keys.append(cells)
        leaf = self._index.get_indexer(pd.MultiIndex.from_arrays(keys))
        return self.codec.encode(leaf.astype(np.float64), np.zeros(len(leaf), dtype=bool))

    def decode(self, x: np.ndarray, done: Mapping[str, Cells], narrow: Narrow | None, start: int) -> Cells:
        """See :meth:`Column.decode`."""
        leaf = self.codec.leaf(x, narrow.leaves[0] if narrow else None)
        return Cells(leaf=leaf, table=self.members[0][2:])

    def allowed(self, test: Test, ranges: Ranges | None) -> list[np.ndarray]:
        """See :meth:`Column.allowed`."""
        return [test(self.members[0][2], self.members[0][3])]

    def missing_leaf(self) -> bool:
        """See :meth:`Column.missing_leaf`."""
        return bool(self.members[0][3].any())

    def describe(self) -> str:
        """See :meth:`Column.describe`."""
        return f"{len(self.codec.values)} combinations with {', '.join(name for name, *_ in self.members[1:])}"

    def _own_json(self) -> dict[str, Any]:
        members = [
            {
                "name": name,
                "look": look.to_json(),
                "values": values.tolist(),
                "type": KIND_OF[values.dtype.kind],
                "missing": missing.tolist(),
            }
            for name, look, values, missing in self.members
        ]
        return {"codec": self.codec.to_json(), "members": members}


def into(values: np.ndarray, ranges: Ranges) -> np.ndarray:
    """Values moved to the nearest end of the nearest range, where they lie in none."""
    best, distance = values, np.full(len(values), np.inf)
    for low, high in ranges:
        moved = np.clip(values, low, high)
        far = np.abs(moved - values)
        best, distance = np.where(far < distance, moved, best), np.minimum(far, distance)
    return best
