"""The kinds of columns: coded by fields, by a calendar, as a gap above another, by another's value, or not learnt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from aegan.data.table_codecs import Amounts, Choices, Codec, Ranges
from aegan.data.table_ids import Pattern
from aegan.data.table_looks import Look
from aegan.types import Field

Frame = Mapping[str, pd.Series]
Test = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Which values, some of them missing, pass."""


class Cells:
    """Decoded cells of a column: values and missing, or else leaves and the ``table`` that tells those of each leaf.

    Attributes:
        leaf: Leaf of each cell; None where the values do not come from a table.
        table: Value and missing of each leaf.
    """

    def __init__(
        self,
        values: np.ndarray | None = None,
        missing: np.ndarray | None = None,
        leaf: np.ndarray | None = None,
        table: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        self._values, self._missing, self.leaf, self.table = values, missing, leaf, table

    @property
    def values(self) -> np.ndarray:
        """Plain values ``(N,)``."""
        if self._values is None and self.table is not None:
            self._values = self.table[0][self.leaf]
        assert self._values is not None
        return self._values

    @property
    def missing(self) -> np.ndarray:
        """Which are missing ``(N,)``."""
        if self._missing is None and self.table is not None:
            self._missing = self.table[1][self.leaf]
        assert self._missing is not None
        return self._missing

    def series(self, look: Look) -> pd.Series:
        """As they are written; by way of the few leaves where that is possible."""
        if self.leaf is None or self.table is None or len(self.table[0]) > len(self.leaf):
            return look.write(self.values, self.missing)
        return look.write(*self.table).take(self.leaf).reset_index(drop=True)


@dataclass
class Narrow:
    """What a condition leaves of a column.

    Attributes:
        leaves: For each codec of the column, which leaves are allowed.
        ranges: Closed intervals of plain values, for columns of amounts.
        move: Whether values outside the ranges are moved into them when decoded.
    """

    leaves: list[np.ndarray]
    ranges: Ranges | None = None
    move: bool = True


class Column(ABC):
    """One column of the table.

    Attributes:
        name: Its name.
        look: Its data type and format.
        codecs: What makes fields of it; empty when it has none of its own.
        on: Name of the column that has to be decoded before it; None for most.
    """

    kind: ClassVar[str] = ""
    name: str
    look: Look
    codecs: tuple[Codec, ...] = ()
    on: str | None = None

    @property
    def fields(self) -> tuple[Field, ...]:
        """Its fields, coarse to fine."""
        pairs = [(size, codec.ordered) for codec in self.codecs for size in codec.sizes]
        return tuple(
            Field(column=self.name, size=size, level=level, ordered=ordered)
            for level, (size, ordered) in enumerate(pairs)
        )

    def encode(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Numbers ``(N, fields)`` float32, and which cells hold a value that was not fitted."""
        n = len(frame[self.name])
        return np.empty((n, 0), dtype=np.float32), np.zeros(n, dtype=bool)

    @abstractmethod
    def decode(self, x: np.ndarray, done: Mapping[str, Cells], narrow: Narrow | None, start: int) -> Cells:
        """Cells of the numbers ``(N, fields)``; ``done`` holds columns before it, ``start`` counts earlier rows."""

    def allowed(self, test: Test, ranges: Ranges | None) -> list[np.ndarray]:
        """For each codec, which leaves a condition leaves."""
        return [codec.allowed(test, ranges) for codec in self.codecs]

    def inexact(self, narrow: Narrow) -> bool:
        """Whether allowed leaves can decode to values outside the ranges, so that these have to be moved."""
        return False

    def missing_leaf(self) -> bool:
        """Whether a value can be missing."""
        return bool(self.codecs) and self.codecs[0].missing

    @abstractmethod
    def describe(self) -> str:
        """A few words for the summary."""

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return {"column": self.kind, "name": self.name, "look": self.look.to_json()} | self._own_json()

    @abstractmethod
    def _own_json(self) -> dict[str, Any]: ...


class Constant(Column):
    """One value, or none at all: an all-missing column, and text, which is not learnt.

    Args:
        name: Its name.
        look: Its data type.
        value: The plain value; None for missing.
        why: ``"constant"``, ``"empty"``, ``"text"`` or ``"dropped"``.
    """

    kind = "constant"

    def __init__(self, name: str, look: Look, value: Any, why: str = "constant") -> None:
        self.name, self.look, self.value, self.why = name, look, value, why

    def decode(self, x: np.ndarray, done: Mapping[str, Cells], narrow: Narrow | None, start: int) -> Cells:
        """See :meth:`Column.decode`."""
        n = len(x)
        table = np.empty(1, dtype=object)
        table[0] = self.value
        if self.look.amounts:
            table = np.array([0 if self.value is None else self.value])
        elif self.value is None:
            table[0] = ""
        gone = np.array([self.value is None])
        return Cells(leaf=np.zeros(n, dtype=np.int64), table=(table, gone))

    def describe(self) -> str:
        """See :meth:`Column.describe`."""
        return {"constant": "constant", "empty": "all missing", "text": "text, left empty", "dropped": "left empty"}[
            self.why
        ]

    def _own_json(self) -> dict[str, Any]:
        return {"value": self.value, "why": self.why}


class Identifier(Column):
    """A unique key: never learnt, new ones of the same pattern.

    Args:
        name: Its name.
        look: Its data type.
        pattern: How new ones are made.
    """

    kind = "id"

    def __init__(self, name: str, look: Look, pattern: Pattern) -> None:
        self.name, self.look, self.pattern = name, look, pattern

    def decode(self, x: np.ndarray, done: Mapping[str, Cells], narrow: Narrow | None, start: int) -> Cells:
        """See :meth:`Column.decode`."""
        return Cells(self.pattern.make(start, len(x)), np.zeros(len(x), dtype=bool))

    def describe(self) -> str:
        """See :meth:`Column.describe`."""
        return "identifier, made anew"

    def _own_json(self) -> dict[str, Any]:
        return {"pattern": self.pattern.to_json()}


class Coded(Column):
    """A column with a codec of its own.

    Args:
        name: Its name.
        look: Its data type.
        codec: Values to fields.
    """

    kind = "coded"

    def __init__(self, name: str, look: Look, codec: Codec) -> None:
        self.name, self.look, self.codec, self.codecs = name, look, codec, (codec,)

    def encode(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`Column.encode`."""
        return self.codec.encode(*self.look.read(frame[self.name]))

    def decode(self, x: np.ndarray, done: Mapping[str, Cells], narrow: Narrow | None, start: int) -> Cells:
        """See :meth:`Column.decode`."""
        leaf = self.codec.leaf(x, narrow.leaves[0] if narrow else None)
        if isinstance(self.codec, Choices):
            return Cells(leaf=leaf, table=self.codec.table)
        return Cells(*self.codec.decode(x, leaf, narrow.ranges if narrow else None))

    def describe(self) -> str:
        """See :meth:`Column.describe`."""
        if isinstance(self.codec, Choices):
            return f"{len(self.codec.values)} values"
        if isinstance(self.codec, Amounts):
            low, high = self.codec.limits
            return f"{self.look.show(low)} to {self.look.show(high)}"
        return "amounts"

    def _own_json(self) -> dict[str, Any]:
        return {"codec": self.codec.to_json()}
