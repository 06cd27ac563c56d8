"""Conditions on columns, as text: ``>50K``, ``30..40``, ``>=5``, ``Paris|Rome``, ``missing``."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from aegan.data.table_looks import Look, NumberLook, TimeLook
from aegan.data.table_whole import WholeLook
from aegan.errors import ConfigError, nearest

_COMPARED = re.compile(r"^(<=|>=|<|>|=|==)\s*(.+)$")
_WORDS = {
    True: ("true", "yes", "1", "t", "y"),
    False: ("false", "no", "0", "f", "n"),
}


@dataclass(frozen=True, kw_only=True)
class Where:
    """A condition on one column.

    Attributes:
        column: Its name.
        text: As the user wrote it.
        ranges: Closed intervals of plain values, for columns of amounts; None for names.
        names: Plain values that pass, for columns of names.
        missing: Whether a missing value passes.
    """

    column: str
    text: str
    ranges: tuple[tuple[Any, Any], ...] | None = None
    names: frozenset[Any] = field(default_factory=frozenset)
    missing: bool = False

    def at_most(self, top: Any) -> Where:
        """The same condition, and no value above ``top``."""
        cut = tuple((low, min(high, top)) for low, high in self.ranges or () if low <= top)
        return replace(self, ranges=cut)

    def test(self, values: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """Which values pass."""
        hit = np.zeros(len(values), dtype=bool)
        if self.ranges is None:
            hit = np.fromiter((value in self.names for value in values), bool, len(values))
        for low, high in self.ranges or ():
            hit |= (values >= low) & (values <= high)
        return np.where(missing, self.missing, hit)


def parse_where(column: str, look: Look, condition: Any, known: Iterable[Any] | None, can_miss: bool) -> Where:
    """A condition from what the user wrote.

    Args:
        column: Name of the column.
        look: Its data type and format.
        condition: Text, a plain value, a pair ``(low, high)`` for a range, None being an open end, or any collection
            of alternatives, each a single condition.
        known: All values of a column of names; None for amounts.
        can_miss: Whether the column has missing values.

    Raises:
        ConfigError: A name that the column does not have, or text that is no range of its amounts.
    """
    if look.amounts:
        return _amounts(column, look, _pieces(condition, (), amounts=True), can_miss)
    names = {str(name): name for name in (known or ())}
    hits: set[Any] = set()
    missing = False
    pieces = _pieces(condition, names, amounts=False)
    for piece in pieces:
        name = piece if piece in names else piece.strip()
        if name in names:
            hits.add(names[name])
        elif name.lower() == "missing" and can_miss:
            missing = True
        elif name.lower() == "present":
            hits |= set(names.values())
        elif (boolean := _boolean(name, names)) is not None:
            hits.add(boolean)
        elif name.lower() == "missing":
            raise ConfigError(f"where: column {column!r} has no missing values.")
        else:
            raise ConfigError(f"where: column {column!r} has no value {name!r}. {_hint(name, names)}")
    return Where(column=column, text=_said(column, pieces), names=frozenset(hits), missing=missing)


def _pieces(condition: Any, names: Container[str], *, amounts: bool) -> list[str]:
    """The alternatives, one or more, as text: text is cut at ``|``; any other collection is one alternative each."""
    if isinstance(condition, str):
        return [condition] if condition in names else condition.split("|")
    if amounts and isinstance(condition, tuple) and len(condition) == 2:
        return [_pair(condition)]
    if isinstance(condition, Iterable) and getattr(condition, "ndim", 1):
        return [_pair(one) if amounts and isinstance(one, tuple) and len(one) == 2 else str(one) for one in condition]
    return [str(condition)]


def _pair(ends: tuple[Any, Any]) -> str:
    low, high = ("" if end is None else str(end) for end in ends)
    return f"{low}..{high}"


def _said(column: str, pieces: list[str]) -> str:
    if not pieces:
        raise ConfigError(f"where: column {column!r} got no alternative; expected at least one, or leave it out.")
    return "|".join(pieces)


def _hint(name: str, names: dict[str, Any]) -> str:
    parts = name.split("|")
    if len(parts) > 1 and all(part in names for part in parts):
        return f"A list holds one value each: {parts}."
    return nearest(name, names)


def _boolean(text: str, names: dict[str, Any]) -> bool | None:
    for value, words in _WORDS.items():
        if any(known is value for known in names.values()) and text.lower() in words:
            return value
    return None


def _amounts(column: str, look: Look, pieces: list[str], can_miss: bool) -> Where:
    ranges: list[tuple[Any, Any]] = []
    missing = False
    text = _said(column, pieces)
    for piece in map(str.strip, pieces):
        if piece.lower() == "missing":
            if not can_miss:
                raise ConfigError(f"where: column {column!r} has no missing values.")
            missing = True
            continue
        try:
            whole = (_least(look), _most(look))
            ranges.append(whole if piece.lower() == "present" else _to_grid(look, *_range(look, piece)))
        except (ValueError, TypeError, OverflowError) as error:
            example = "2024-01-01..2024-02-01, >=2024-01" if isinstance(look, TimeLook) else "30..40, >=5, <3 or 5"
            raise ConfigError(f"where: column {column!r} got {piece!r}; expected for instance {example}.") from error
    return Where(column=column, text=text, ranges=tuple(ranges), missing=missing)


def _least(look: Look) -> Any:
    return np.iinfo(np.int64).min if isinstance(look, TimeLook) else -np.inf


def _most(look: Look) -> Any:
    return np.iinfo(np.int64).max if isinstance(look, TimeLook) else np.inf


def _range(look: Look, text: str) -> tuple[Any, Any]:
    if ".." in text:
        low, _, high = text.partition("..")
        first = look.parse(low.strip())[0] if low.strip() else _least(look)
        last = look.parse(high.strip())[1] if high.strip() else _most(look)
        if first > last:
            raise ValueError("the range is upside down")
        return first, last
    compared = _COMPARED.match(text)
    if compared is None:
        return look.parse(text)
    sign, (first, last) = compared.group(1), look.parse(compared.group(2))
    if sign == ">=":
        return first, _most(look)
    if sign == "<=":
        return _least(look), last
    if sign == ">":
        return _above(look, last), _most(look)
    if sign == "<":
        return _least(look), _below(look, first)
    return first, last


def _above(look: Look, value: Any) -> Any:
    return value + 1 if isinstance(look, (TimeLook, WholeLook)) else float(np.nextafter(_float(look)(value), np.inf))


def _below(look: Look, value: Any) -> Any:
    return value - 1 if isinstance(look, (TimeLook, WholeLook)) else float(np.nextafter(_float(look)(value), -np.inf))


def _float(look: Look) -> Any:
    return np.float32 if look.dtype in ("float32", "Float32") else np.float64


def _to_grid(look: Look, low: Any, high: Any) -> tuple[Any, Any]:
    """A range's ends moved inwards to what the column's floats can hold, so that rounding leaves none outside."""
    if _float(look) is np.float64 or not isinstance(look, NumberLook):
        return low, high
    first, last = np.float32(low), np.float32(high)
    first = np.nextafter(first, np.inf) if float(first) < low else first
    last = np.nextafter(last, -np.inf) if float(last) > high else last
    return float(first), float(last)
