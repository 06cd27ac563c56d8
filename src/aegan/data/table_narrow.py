"""What conditions leave of a table's columns, carried over the rules that bind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.table_bound import Copy, Dependent, Gap, Joint
from aegan.data.table_calendar import Calendar
from aegan.data.table_codecs import Amounts, Choices, Ranges
from aegan.data.table_columns import Cells, Coded, Column, Constant, Identifier, Narrow
from aegan.data.table_where import Where, parse_where
from aegan.errors import ConfigError, nearest
from aegan.types import Field

Table = Mapping[str, Column]
COUNTED = 20_000
"""Rows at most that entropies are estimated from: they matter for the order of drawing alone."""


def parse_all(table: Table, where: Mapping[Any, Any]) -> dict[str, Where]:
    """Conditions by column.

    Raises:
        ConfigError: No such column, one that cannot be conditioned on, or a value that it cannot have.
    """
    found: dict[str, Where] = {}
    for name, condition in ((str(name), condition) for name, condition in where.items()):
        if name not in table:
            raise ConfigError(f"where: no column {name!r}. {nearest(name, table)}")
        column = table[name]
        if isinstance(column, Identifier) or (isinstance(column, Constant) and column.value is None):
            raise ConfigError(f"where: column {name!r} is not learnt ({column.describe()}); leave it out.")
        found[name] = parse_where(name, column.look, condition, _names(column), _can_miss(table, name))
    return found


def _names(column: Column) -> list[Any]:
    """All values of a column of names."""
    if isinstance(column, Constant):
        return [column.value]
    if isinstance(column, Dependent):
        return list(dict.fromkeys(column.values[~column.missing].tolist()))
    if isinstance(column, Joint):
        values, missing = column.members[0][2:]
        return list(dict.fromkeys(values[~missing].tolist()))
    if isinstance(column, Coded) and isinstance(column.codec, Choices):
        return column.codec.values.tolist()
    return []


def _can_miss(table: Table, name: str) -> bool:
    column = table[name]
    if isinstance(column, Copy):
        return _can_miss(table, str(column.on))
    return bool(column.missing.any()) if isinstance(column, Dependent) else column.missing_leaf()


def narrow(table: Table, orders: tuple[tuple[str, str], ...], where: Mapping[Any, Any]) -> dict[str, Narrow]:
    """What is left of each column that a condition concerns, itself or by a rule.

    Raises:
        ConfigError: A condition, or all of them together, that no row can meet; says which.
    """
    wheres = parse_all(table, where)
    reach = dict(wheres)
    for low, high in reversed(orders):  # what is never above a bounded column is bounded itself
        bound = reach.get(high)
        top = None if bound is None else greatest(table[high], _alone(table[high], bound))
        if top is not None:
            known = reach.get(low) or parse_where(low, table[low].look, "present", (), False)
            cut = known.at_most(top)
            missing = known.missing if low in reach else _can_miss(table, low)
            reach[low] = Where(column=low, text=cut.text, ranges=cut.ranges, missing=missing)
    out: dict[str, Narrow] = {}
    for name, condition in reach.items():
        _narrow_one(table, name, condition, wheres, out)
    return out


def _alone(column: Column, condition: Where) -> Narrow:
    return Narrow(column.allowed(condition.test, condition.ranges), condition.ranges)


def greatest(column: Column, narrowed: Narrow) -> Any:
    """The greatest amount that a condition leaves, or None where it leaves none."""
    if isinstance(column, (Calendar, Gap)):
        return max((end for _, end in column.inside(narrowed.ranges or ())), default=None)
    codec = column.codecs[0]
    if isinstance(codec, Choices):
        return max(codec.values[narrowed.leaves[0][: len(codec.values)]].tolist(), default=None)
    return codec.most(narrowed.ranges or ()) if isinstance(codec, Amounts) else None


def masks(table: Table, narrowed: Mapping[str, Narrow]) -> dict[int, np.ndarray]:
    """By the field's place, which of its indices are allowed; fields with all of them are left out."""
    out, at = {}, 0
    for name, column in table.items():
        for i, codec in enumerate(column.codecs):
            if name in narrowed:
                for level, mask in enumerate(codec.ladder.masks(narrowed[name].leaves[i])):
                    if not mask.all():
                        out[at + level] = mask
            at += len(codec.sizes)
    return out


def present(table: Table) -> dict[int, np.ndarray]:
    """By place, for fields that can mean a missing value, which of their indices do not."""
    out, at = {}, 0
    for column in table.values():
        if column.codecs and column.codecs[0].missing:
            out[at] = np.arange(column.codecs[0].sizes[0]) < column.codecs[0].sizes[0] - 1
        at += len(column.fields)
    return out


def encode_all(table: Table, frame: pd.DataFrame) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Numbers ``(N, F)`` of a frame, and by column which cells are new."""
    parts, unseen = [], {}
    for name, column in table.items():
        if column.codecs:
            part, unseen[name] = column.encode(frame)  # pyright: ignore[reportArgumentType]
            parts.append(part)
    return np.concatenate(parts, axis=1), unseen


def with_entropies(table: Table, frame: pd.DataFrame) -> tuple[Field, ...]:
    """The fields of all columns, with the entropies of these in (some of) a frame's rows."""
    rows = frame.iloc[np.linspace(0, len(frame) - 1, min(COUNTED, len(frame))).astype(int)].reset_index(drop=True)
    fields: list[Field] = []
    for column in table.values():
        if column.codecs:
            digits = column.encode(rows)[0].astype(np.int32)  # pyright: ignore[reportArgumentType]
            share = np.unique(digits, axis=0, return_counts=True)[1] / len(digits)
            entropy = round(float(-(share * np.log(share)).sum()), 4)
            fields += [replace(field, entropy=entropy) for field in column.fields]
    return tuple(fields)


def decode_all(table: Table, x: np.ndarray, narrowed: Mapping[str, Narrow], start: int) -> dict[str, Cells]:
    """Cells of each column from numbers ``(N, F)``; those that others build on come first."""
    x, parts, at = np.asfortranarray(x), {}, 0  # whole columns are read from here on
    for name, column in table.items():
        width = len(column.fields)
        parts[name] = x[:, at : at + width]
        at += width
    done: dict[str, Cells] = {}
    left = dict(table)
    while left:
        for name, column in list(left.items()):
            if column.on is None or column.on in done:
                done[name] = column.decode(parts[name], done, narrowed.get(name), start)
                del left[name]
    return done


def _narrow_one(table: Table, name: str, condition: Where, wheres: Mapping[str, Where], out: dict[str, Narrow]) -> None:
    column = table[name]
    said = f"{name}={wheres[name].text!r}" if name in wheres else f"the bound on {name}"
    if isinstance(column, Constant):
        if not condition.test(np.array([column.value]), np.zeros(1, dtype=bool))[0]:
            raise ConfigError(f"where: {said} cannot be; the column is always {column.look.show(column.value)}.")
        return
    target, ranges = name, condition.ranges
    if isinstance(column, Copy):
        target, column = str(column.on), table[str(column.on)]
    if isinstance(column, Dependent):
        target, ranges = str(column.on), None
        masks = [condition.test(column.values, column.missing)]
        masks += [np.ones(codec.ladder.leaves, dtype=bool) for codec in table[target].codecs[1:]]
    else:
        masks = column.allowed(condition.test, condition.ranges)
    if not all(mask.any() for mask in masks):
        raise ConfigError(f"where: {said} cannot be; {_observed(column)}.")
    if target in out:
        ranges = _both(out[target].ranges, ranges)
        masks = [mask & earlier for mask, earlier in zip(masks, out[target].leaves, strict=True)]
        if not all(mask.any() for mask in masks):
            others = " and ".join(f"{key}={one.text!r}" for key, one in wheres.items())
            raise ConfigError(f"where: {others} cannot be met together; no row of the data does.")
    out[target] = Narrow(masks, ranges)


def _both(one: Ranges | None, other: Ranges | None) -> Ranges | None:
    """The ranges that lie in both."""
    if one is None or other is None:
        return one if other is None else other
    cut = [(max(a, c), min(b, d)) for a, b in one for c, d in other]
    return [(a, b) for a, b in cut if a <= b]


def _observed(column: Column) -> str:
    look = column.look
    if isinstance(column, Coded) and isinstance(column.codec, Choices) and look.amounts:
        values = column.codec.values
        shown = ", ".join(look.show(value) for value in np.sort(values)[:12])
        return f"the column holds {shown}{', …' if len(values) > 12 else ''}"
    if isinstance(column, Coded) and isinstance(column.codec, Amounts):
        low, high = column.codec.limits
        return f"the column runs from {look.show(low)} to {look.show(high)}, and holds no value there"
    if isinstance(column, (Calendar, Gap)):
        return f"the column runs from {look.show(column.limits[0])} to {look.show(column.limits[1])}"
    return "no row of the data meets it"


def repair(
    table: Table, orders: tuple[tuple[str, str], ...], cells: dict[str, Cells], narrowed: Mapping[str, Narrow]
) -> None:
    """Raise what fell below its bound to the next value that its column can hold; ``cells`` is changed.

    Where it can hold none so high, it gets its greatest one, and the bound is lowered to that.
    """
    for low, high in orders:
        a, b = cells[low], cells[high]
        wrong = (b.values < a.values) & ~a.missing & ~b.missing
        if wrong.any():
            values = b.values.copy()
            raised = next_value(table[high], a.values[wrong], narrowed.get(high))
            top = greatest(table[high], narrowed[high]) if high in narrowed else None
            values[wrong] = raised if top is None else np.minimum(raised, top)
            cells[high] = Cells(values, b.missing)
    for low, high in reversed(orders):
        a, b = cells[low], cells[high]
        wrong = (b.values < a.values) & ~a.missing & ~b.missing
        if wrong.any():
            values = a.values.copy()
            values[wrong] = last_value(table[low], b.values[wrong])
            cells[low] = Cells(values, a.missing)


def next_value(column: Column, least: np.ndarray, narrowed: Narrow | None) -> np.ndarray:
    """The least value that the column can hold, and a condition allows, of at least ``least``."""
    ranges = narrowed.ranges if narrowed is not None else None
    if isinstance(column, Coded) and isinstance(column.codec, Choices):
        values = column.codec.values
        if narrowed is not None:
            values = values[narrowed.leaves[0][: len(values)]]
        return values[np.minimum(np.searchsorted(values, least), len(values) - 1)]
    for _ in range(2):
        if ranges is not None:
            least = _into_next(least, ranges)
        if isinstance(column, Coded) and isinstance(column.codec, Amounts) and column.codec.step is not None:
            codec = column.codec
            k = codec.position_of(least)
            least = np.where(codec.value_of(k) < least, codec.value_of(k + 1), codec.value_of(k))
        elif isinstance(column, Calendar):
            least = -(-least // column.grain) * column.grain
        elif isinstance(column, Gap):
            least = column.on_grain(least)
    return least


def last_value(column: Column, most: np.ndarray) -> np.ndarray:
    """The greatest value that the column can hold of at most ``most``."""
    if isinstance(column, Coded) and isinstance(column.codec, Choices):
        values = column.codec.values
        return values[np.maximum(np.searchsorted(values, most, side="right") - 1, 0)]
    if isinstance(column, Coded) and isinstance(column.codec, Amounts) and column.codec.step is not None:
        k = column.codec.position_of(most)
        return np.where(column.codec.value_of(k) > most, column.codec.value_of(k - 1), column.codec.value_of(k))
    return most // column.grain * column.grain if isinstance(column, Calendar) else most


def _into_next(values: np.ndarray, ranges: Ranges) -> np.ndarray:
    """Values in no range raised to the beginning of the next one, if there is one."""
    ordered = sorted(ranges)
    out = values.copy()
    inside = np.zeros(len(values), dtype=bool)
    for low, high in ordered:
        inside |= (values >= low) & (values <= high)
    for low, _ in reversed(ordered):
        out = np.where(~inside & (values < low), low, out)
    return out
