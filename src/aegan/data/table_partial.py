"""Rows with gaps: which fields are known, and how drawn values fill the gaps without touching anything else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from aegan.data.table_bound import Copy, Dependent, Joint
from aegan.data.table_codecs import Choices
from aegan.data.table_columns import Cells, Column, Constant, Identifier
from aegan.data.table_frames import column_of
from aegan.data.table_ladder import MIDDLE
from aegan.data.table_narrow import last_value, next_value

Table = Mapping[str, Column]


def known_cells(table: Table, frame: pd.DataFrame) -> dict[str, Cells]:
    """Plain values of each learnt column."""
    return {
        name: Cells(*column.look.read(column_of(frame, name)))
        for name, column in table.items()
        if not isinstance(column, (Constant, Identifier))
    }


def known_fields(
    table: Table, x: np.ndarray, cells: Mapping[str, Cells], new: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Encoded rows, with what rules leave no choice about filled in, and which of their fields are known.

    Args:
        table: Columns by name.
        x: Encoded rows.
        cells: Plain values of the rows.
        new: By column, which cells hold a value that was not fitted; names among them are not known.

    Returns:
        Rows, known fields, and by column how many names were not fitted.
    """
    known, places, at, unseen = np.ones(x.shape, dtype=bool), {}, 0, {}
    for name, column in table.items():
        places[name] = slice(at, at + len(column.fields))
        at += len(column.fields)
        needed = [member for member, *_ in column.members] if isinstance(column, Joint) else [name]
        needed += [column.on] if column.on is not None else []
        if column.codecs:
            gone = np.any([cells[one].missing for one in needed], axis=0)
            if name in new and not column.codecs[0].ordered:
                strange = new[name] & ~gone
                unseen |= {name: int(strange.sum())} if strange.any() else {}
                gone |= strange
            known[gone, places[name]] = False
    for name, (leaf, only) in resolve(table, cells).items():
        x[only, places[name]] = table[name].codecs[0].ladder.split(leaf[only]) + MIDDLE
        known[only, places[name]] = True
    return x, known, unseen


def resolve(table: Table, cells: Mapping[str, Cells]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For columns that tell others: the likeliest leaf that agrees with what is known, and where it is the only one.

    Returns:
        By column: leaf ``(N,)``, -1 where nothing is known or nothing agrees; and which rows leave no choice.
    """
    out = {}
    for name, column in table.items():
        members = _members(table, name, column)
        if len(members) < 2:
            continue
        codes, tables = [], []
        for member, values, missing in members:
            known = pd.Index(pd.unique(values[~missing]))
            tables.append(np.where(missing, -2, known.get_indexer(pd.Index(values))))
            seen = cells[member]
            codes.append(np.where(seen.missing, -1, _indexed(known, seen.values)))
        out[name] = _agreeing(np.stack(codes, axis=1), np.stack(tables, axis=1), _order(column))
    return out


def _members(table: Table, name: str, column: Column) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """The column and those that it tells, with value and missing of each leaf."""
    told = [one for one in table.values() if isinstance(one, Dependent) and one.on == name]
    if isinstance(column, Joint):
        own = [(name, column.members[0][2], column.members[0][3])]
    elif told and column.codecs and isinstance(column.codecs[0], Choices):
        own = [(name, *column.codecs[0].table)]
    else:
        return []
    return own + [(one.name, one.values, one.missing) for one in told]


def _order(column: Column) -> np.ndarray:
    codec = column.codecs[0]
    leaves = np.arange(codec.ladder.leaves)
    if isinstance(codec, Choices) and codec.ordered:  # the stand-in is as good a guess as any
        return np.argsort(leaves != codec.stand_in, kind="stable")
    return leaves


def _indexed(known: pd.Index, values: np.ndarray) -> np.ndarray:
    found = known.get_indexer(pd.Index(values))
    return np.where(found < 0, -3, found)


def _agreeing(codes: np.ndarray, table: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    leaf, only = np.full(len(codes), -1, dtype=np.int64), np.zeros(len(codes), dtype=bool)
    partly = np.flatnonzero((codes != -1).any(axis=1) & (codes == -1).any(axis=1))
    if len(partly) == 0:
        return leaf, only
    patterns, which = np.unique(codes[partly], axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        agree = ((table == pattern) | (pattern == -1)).all(axis=1)
        if agree.any():
            rows = partly[which.reshape(-1) == i]
            leaf[rows] = order[agree[order]][0]
            only[rows] = agree.sum() == 1
    return leaf, only


def overlay(
    table: Table, orders: tuple[tuple[str, str], ...], drawn: dict[str, Cells], known: Mapping[str, Cells]
) -> None:
    """Make the drawn cells agree with the known ones by the rules; ``drawn`` is changed."""
    for name, (leaf, _) in resolve(table, known).items():
        for member, values, missing in _members(table, name, table[name]):
            rows = leaf >= 0
            old = drawn[member]
            new = Cells(old.values.copy(), old.missing.copy())
            new.values[rows], new.missing[rows] = values[leaf[rows]], missing[leaf[rows]]
            drawn[member] = new
    for name, cells in known.items():
        old = drawn[name]
        drawn[name] = Cells(np.where(cells.missing, old.values, cells.values), old.missing & cells.missing)
    for name, column in table.items():
        if isinstance(column, Copy):
            one, other = name, str(column.on)
            for to, by in ((one, other), (other, one)):
                taken = known[to].missing & ~known[by].missing
                drawn[to].values[taken], drawn[to].missing[taken] = known[by].values[taken], False
    for low, high in orders:
        a, b = drawn[low], drawn[high]
        wrong = (b.values < a.values) & ~a.missing & ~b.missing
        raised = wrong & known[high].missing
        b.values[raised] = next_value(table[high], a.values[raised], None)
    for low, high in reversed(orders):
        a, b = drawn[low], drawn[high]
        lowered = (b.values < a.values) & ~a.missing & ~b.missing & known[low].missing
        a.values[lowered] = last_value(table[low], b.values[lowered])


def _survive(new: pd.Series, numbers: pd.Series) -> bool:
    """Whether values are the same as numbers: ``"01234"`` and 1234 are not, 0.1 in single precision is."""
    there = new.notna().to_numpy(dtype=bool)
    return all(
        value in (str(number), str(number).removesuffix(".0"))
        if isinstance(value, str)
        else value == number or (isinstance(number, float) and math.isfinite(number))
        for value, number in zip(new[there].tolist(), numbers[there].tolist(), strict=True)
    )


def fill(old: pd.Series, new: pd.Series) -> pd.Series:
    """``old`` with its missing cells taken from ``new``; all others as they were.

    ``new``'s values keep to the type of ``old`` where that leaves them as they are. A column without any value has the
    type of ``new``, where its own says nothing: a column of NaN is of floats whatever it is to hold.
    """
    gone = old.isna().to_numpy(dtype=bool)
    if not gone.any():
        return old
    if gone.all() and isinstance(old.dtype, np.dtype) and old.dtype.kind in "fO":
        return old if new.isna().all() else new.rename(old.name)
    out = old.copy()
    if isinstance(out.dtype, pd.CategoricalDtype):
        names = new.to_numpy(dtype=object)[gone]
        unknown = [one for one in pd.unique(names) if not pd.isna(one) and one not in out.cat.categories]
        out = out.cat.add_categories(unknown) if unknown else out
    try:
        filled = cast(pd.Series, new[gone].astype(cast(Any, out.dtype)))
        if pd.api.types.is_numeric_dtype(out.dtype) and not _survive(cast(pd.Series, new[gone]), filled):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        out = out.astype(object)
        filled = cast(pd.Series, new[gone].astype(object))
    out.iloc[np.flatnonzero(gone)] = filled.array
    return out
