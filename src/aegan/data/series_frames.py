"""Frames to sets of series: which column is the time, the name of the series, its class, an attribute, a channel."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.series_form import SeriesForm
from aegan.data.series_roles import Roles
from aegan.data.series_set import SeriesSet
from aegan.data.series_stamps import called, check_repeats, constant, find_stamps, sort_rows, time_look
from aegan.data.series_time import Clock, learn_clock, prefers_utc, read_stamps
from aegan.data.series_zones import in_zone
from aegan.data.table_detect import decimals_of
from aegan.data.table_form import TableForm
from aegan.data.table_frames import column_of, dtype_name, to_numbers
from aegan.data.table_looks import NumberLook
from aegan.errors import AeganWarning, ConfigError, DataError


def set_from_frame(
    frame: pd.DataFrame,
    table: TableForm,
    roles: Roles,
    name: str,
    *,
    index: Any = None,
    fitted: bool = False,
    clock: Clock | None = None,
) -> SeriesSet:
    """A frame as series.

    Args:
        frame: Columns named by strings.
        table: How the frame looked as a whole.
        roles: What its columns are.
        name: The source, for messages.
        index: The frame's DatetimeIndex or PeriodIndex, where it has one.
        fitted: Whether the roles are those of a fitted source, so that nothing is to be found out.
        clock: That of the fitted source.

    Raises:
        DataError: Stamps that are missing, cannot be read, or occur twice in a series; columns that are no numbers;
            classes or attributes that change within a series.
        ConfigError: Roles that do not fit the columns.
    """
    names = list(frame.columns)
    roles.check(names, name)
    if roles.layout == "wide":
        return _wide(frame, table, roles, name)
    stamps, time = find_stamps(frame, roles, name, index, fitted)
    order, owner, ids = _groups(frame, roles, name)
    counts, look, utc = None, None, False
    if stamps is not None:
        stamps = in_zone(stamps, clock, name)
        look = clock.look if clock is not None else time_look(stamps, time, name)
        utc = clock.utc if clock is not None else prefers_utc(stamps, look)
        counts, missing = read_stamps(stamps, look, utc)
        if missing.any():
            row = int(np.flatnonzero(missing)[0])
            raise DataError(
                f"{name}: row {row + 1} has no time stamp that can be read in {called(time)} ({stamps.iloc[row]!r}); "
                "expected one in every row. Mend or remove such rows."
            )
        order = sort_rows(counts, owner, order, roles, name)
    borders = np.cumsum(np.bincount(owner, minlength=len(ids) if ids is not None else 1))[:-1]
    numbers, looks, channels, static = _columns(frame, roles, name, time, owner)
    times = None
    if counts is not None and look is not None:
        times = np.split(counts[order], borders)
        check_repeats(times, stamps.iloc[order], borders, ids, roles, name, time)  # pyright: ignore[reportOptionalMemberAccess]
    firsts = order[np.concatenate([[0], borders]).astype(np.int64)]
    if clock is None and times is not None and look is not None:
        clock = learn_clock(look, times, utc=utc, name=name)
    labels, label_dtype, label_names = _labels(frame, roles, name, order, borders)
    used = {roles.id, roles.label, time, *channels, *static}
    form = SeriesForm(
        container="frame",
        layout="long" if roles.id is None else "many",
        looks=looks,
        table=replace(table, columns=tuple(column for column in table.columns if str(column) in used)),
        index=None if index is None or time != "" else _text(index.name),
        period=str(index.freqstr) if isinstance(index, pd.PeriodIndex) else None,
        id=roles.id,
        time=time,
        label=roles.label,
        static=static,
        label_dtype=label_dtype,
        names=label_names,
    )
    return SeriesSet(
        values=np.split(numbers[order], borders),
        channels=channels,
        name=name,
        form=form,
        times=times,
        clock=clock,
        labels=labels,
        ids=ids,
        static=frame[list(static)].iloc[firsts].reset_index(drop=True) if static else None,
        rows=None if roles.id is None else [part.astype(np.float64) for part in np.split(order, borders)],
        unused=tuple(column for column in names if column not in used),
    ).check()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _groups(frame: pd.DataFrame, roles: Roles, name: str) -> tuple[np.ndarray, np.ndarray, pd.Series | None]:
    """Rows in the order of their series, the series of each row, and the names of the series."""
    if roles.id is None:
        return np.arange(len(frame)), np.zeros(len(frame), dtype=np.int64), None
    column = column_of(frame, roles.id)
    owner, _ = pd.factorize(column)
    if (owner < 0).any():
        row = int(np.flatnonzero(owner < 0)[0])
        raise DataError(f"{name}: row {row + 1} has no {roles.id!r}; expected the name of its series in every row.")
    firsts = np.unique(owner, return_index=True)[1]
    return np.argsort(owner, kind="stable"), owner, column.iloc[firsts].reset_index(drop=True)


def _columns(
    frame: pd.DataFrame, roles: Roles, name: str, time: str | None, owner: np.ndarray
) -> tuple[np.ndarray, tuple[NumberLook, ...], tuple[str, ...], tuple[str, ...]]:
    """Numbers ``(rows, C)`` with looks and names of the channels, and the names of static columns."""
    taken = {roles.id, roles.label, time, *(roles.static or ())}
    rest = list(roles.channels) if roles.channels is not None else [c for c in frame.columns if c not in taken]
    static = list(roles.static or ())
    for column in static:
        _check_constant(frame, column, "static", owner, name)
    if roles.static is None and roles.channels is None and roles.id is not None:
        found = [column for column in rest if constant(column_of(frame, column), owner)]
        rest = [column for column in rest if column not in found]
        static += found
    numbers = np.empty((len(frame), len(rest)))
    looks = []
    for i, column in enumerate(rest):
        series = column_of(frame, column)
        objects = pd.api.types.infer_dtype(series, skipna=True) if series.dtype == object else ""
        if objects in ("decimal", "integer", "floating", "mixed-integer-float"):
            series = to_numbers(series).astype("float64")
        elif objects == "boolean" or str(series.dtype) == "bool[pyarrow]":
            series = series.astype("boolean")  # with gaps
        empty = bool(series.isna().all())
        if not (empty or pd.api.types.is_numeric_dtype(series.dtype)):
            row, cell = _no_number(series)
            raise DataError(
                f"{name}: column {column!r} holds {cell!r} in row {row + 1} and is to be a channel; expected "
                f"numbers. Mend that, say what it is (label={column!r}, id={column!r}, static=[...]), or name the "
                "columns that are channels: channels=[...]."
            )
        if empty:
            warnings.warn(
                f"{name}: channel {column!r} holds no value; it stays empty. Leave the column out to be rid of it.",
                AeganWarning,
                stacklevel=2,
            )
        dtype = "object" if objects == "decimal" else "float64" if series.dtype == object else dtype_name(series)
        numbers[:, i] = np.nan if empty else series.to_numpy(dtype=np.float64, na_value=np.nan)
        if series.dtype.kind in "iu" and not empty and float(series.abs().max()) > 2.0**53:
            warnings.warn(
                f"{name}: channel {column!r} holds whole numbers above 2^53, of which some 16 digits are kept. If they "
                f"name something, say so (id={column!r}, label={column!r}) or leave the column out.",
                AeganWarning,
                stacklevel=2,
            )
        places = _decimals(numbers[:, i], dtype)
        looks.append(NumberLook(dtype=dtype, decimals=places, objects=objects == "decimal"))
    return numbers, tuple(looks), tuple(rest), tuple(static)


def _no_number(series: pd.Series) -> tuple[int, Any]:
    """Place and value of the first cell that is no number, as one word among numbers is; else of the first there is."""
    there = np.asarray(series.notna(), dtype=bool)
    wrong = np.asarray(pd.isna(pd.to_numeric(series, errors="coerce")), dtype=bool) & there
    row = int(np.flatnonzero(wrong if wrong.any() else there)[0])
    return row, series.iloc[row]


def _decimals(values: np.ndarray, dtype: str) -> int | None:
    return decimals_of(values[np.isfinite(values)], np.float32 if "32" in dtype and "int" not in dtype else np.float64)


def _check_constant(frame: pd.DataFrame, column: str, role: str, owner: np.ndarray, name: str) -> None:
    codes, _ = pd.factorize(column_of(frame, column), use_na_sentinel=False)
    firsts = np.unique(owner, return_index=True)[1]
    changed = np.flatnonzero(codes != codes[firsts][owner])
    if len(changed):
        raise DataError(
            f"{name}: column {column!r} is {role}, but changes within a series, first in row {int(changed[0]) + 1}; "
            "expected one value a series. Leave it out, or say that it is a channel: channels=[...]."
        )


def _labels(
    frame: pd.DataFrame, roles: Roles, name: str, order: np.ndarray, borders: np.ndarray
) -> tuple[list[np.ndarray] | None, str, dict[str, Any]]:
    """Classes of each series, their data type, and the names as they are where these are no text."""
    if roles.label is None:
        return None, "object", {}
    column = column_of(frame, roles.label)
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0])
        raise DataError(
            f"{name}: row {row + 1} has no class in column {roles.label!r}; expected one in every row. Remove such "
            "rows, or leave the column out of the roles."
        )
    cells, names = class_texts(column)
    parts = np.split(cells[order], borders)
    parts = [one[:1] if (one == one[0]).all() else one for one in parts]
    dtype = dtype_name(column)
    return parts, "object" if dtype == "category" else dtype, names


def class_texts(column: pd.Series) -> tuple[np.ndarray, dict[str, Any]]:
    """Class names as text, and by text the plain value where that is no text."""
    codes, unique = pd.factorize(column)
    plain = [value.item() if isinstance(value, np.generic) else value for value in unique]
    texts = [str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in plain]
    table = np.array(texts, dtype=object)
    return table[codes], {t: v for t, v in zip(texts, plain, strict=True) if isinstance(v, (bool, int, float))}


def _wide(frame: pd.DataFrame, table: TableForm, roles: Roles, name: str) -> SeriesSet:
    """A series a row, a step a column; missing cells at the end of a row are no steps."""
    if roles.time:
        raise ConfigError(
            f"{name}: time: {roles.time!r} in a wide layout, where each column is a step; expected none. If it tells "
            f"the rows apart, say id={roles.time!r} (on the command line --id)."
        )
    static = tuple(roles.static or ())
    steps = [c for c in frame.columns if c not in {roles.label, roles.id, roles.time, *static}]
    owner = np.arange(len(frame))
    numbers, looks, _, _ = _columns(
        frame, Roles(channels=tuple(steps), static=()), name, None, np.zeros(len(frame), dtype=np.int64)
    )
    labels, dtype, names = _labels(frame, roles, name, owner, owner[1:])
    floats = any(look.decimals is None for look in looks)
    places = None if floats else max((look.decimals or 0 for look in looks), default=0)
    kind = looks[0].dtype if len({look.dtype for look in looks}) == 1 else "float64"
    form = SeriesForm(
        container="frame",
        layout="wide",
        looks=(NumberLook(dtype=kind, decimals=places),),
        table=table,
        id=roles.id,
        label=roles.label,
        static=static,
        label_dtype=dtype,
        names=names,
    )
    return SeriesSet(
        values=[without_tail(row[:, None]) for row in numbers],
        channels=("value",),
        name=name,
        form=form,
        labels=labels,
        ids=column_of(frame, roles.id) if roles.id else None,
        static=pd.DataFrame(frame[list(static)]).reset_index(drop=True) if static else None,
    ).check()


def without_tail(values: np.ndarray) -> np.ndarray:
    """Values ``(T, C)`` without the steps at the end that hold nothing at all."""
    there = np.flatnonzero(np.isfinite(values).any(axis=1) | np.isinf(values).any(axis=1))
    return values[: there[-1] + 1] if len(there) else values
