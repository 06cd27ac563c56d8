"""Frames to sets of series: which column is the time, the name of the series, its class, an attribute, a channel."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.series_form import SeriesForm
from aegan.data.series_set import SeriesSet
from aegan.data.series_time import Clock, learn_clock, prefers_utc, read_stamps
from aegan.data.table_detect import Context, decimals_of, detect
from aegan.data.table_form import TableForm
from aegan.data.table_frames import column_of, dtype_name
from aegan.data.table_looks import Look, NumberLook, TimeLook
from aegan.data.table_times import find_format
from aegan.errors import AeganWarning, ConfigError, DataError, nearest

_TIMELY = re.compile(r"(date|time|datetime|timestamp|t|step|hour|day|year|index)$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What the columns of a frame are.

    Attributes:
        id: Column that names the series; None: one long series.
        time: Column of time stamps, ``""`` for the index; None: found out.
        label: Column of classes.
        static: Columns of attributes of a series; None: those besides numbers that change from step to step.
        channels: Columns that are learnt; None: all others.
        layout: ``"auto"``, or ``"wide"`` for a series a row.
    """

    id: str | None = None
    time: str | None = None
    label: str | None = None
    static: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    layout: str = "auto"

    def check(self, names: list[str], where: str) -> None:
        """Raise ConfigError where a column is named that there is not, or that has two roles."""
        given = [("id", self.id), ("time", self.time), ("label", self.label)]
        given += [("static", name) for name in self.static or ()] + [("channels", name) for name in self.channels or ()]
        taken: dict[str, str] = {}
        for role, name in given:
            if not name:
                continue
            if name not in names:
                raise ConfigError(f"{where}: {role}: there is no column {name!r}. {nearest(name, names)}")
            if name in taken:
                raise ConfigError(f"{where}: column {name!r} is both {taken[name]} and {role}; expected one of them.")
            taken[name] = role


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
    stamps, time = _stamps(frame, roles, name, index, fitted)
    order, owner, ids = _groups(frame, roles, name)
    counts, look, utc = None, None, False
    if stamps is not None:
        look = clock.look if clock is not None else _time_look(stamps, time, name)
        utc = clock.utc if clock is not None else prefers_utc(stamps, look)
        counts, missing = read_stamps(stamps, look, utc)
        if missing.any():
            row = int(np.flatnonzero(missing)[0])
            raise DataError(
                f"{name}: row {row + 1} has no time stamp that can be read in {_called(time)} ({stamps.iloc[row]!r}); "
                "expected one in every row. Mend or remove such rows."
            )
        order = _sorted(counts, owner, order, roles, name)
    borders = np.cumsum(np.bincount(owner, minlength=len(ids) if ids is not None else 1))[:-1]
    numbers, looks, channels, static = _columns(frame, roles, name, time, owner)
    times = None
    if counts is not None and look is not None:
        times = np.split(counts[order], borders)
        _no_repeats(times, stamps.iloc[order], borders, ids, roles, name, time)  # pyright: ignore[reportOptionalMemberAccess]
    firsts = order[np.concatenate([[0], borders]).astype(np.int64)]
    if clock is None and times is not None and look is not None:
        clock = learn_clock(look, times, utc=utc, name=name)
    labels, label_dtype, label_names = _labels(frame, roles, name, order, borders)
    form = SeriesForm(
        container="frame",
        layout="long" if roles.id is None else "many",
        looks=looks,
        table=table,
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
    ).check()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _called(time: str | None) -> str:
    return "the index" if time == "" else f"column {time!r}"


def _stamps(
    frame: pd.DataFrame, roles: Roles, name: str, index: Any, fitted: bool
) -> tuple[pd.Series | None, str | None]:
    """The column of time stamps and its name; None where there is none."""
    if roles.time == "" or (roles.time is None and index is not None and not fitted):
        if index is None:
            raise DataError(f"{name}: no time in the index; expected a DatetimeIndex, as when the model was fitted.")
        stamps = index.to_timestamp() if isinstance(index, pd.PeriodIndex) else index
        return pd.Series(stamps, name=None).reset_index(drop=True), ""
    if roles.time is not None:
        return column_of(frame, roles.time), roles.time
    if fitted:
        return None, None
    taken = {roles.id, roles.label, *(roles.static or ()), *(roles.channels or ())}
    for column in frame.columns:
        if column not in taken and _is_time(column_of(frame, column), column, frame, roles):
            return column_of(frame, column), column
    return None, None


def _is_time(series: pd.Series, column: str, frame: pd.DataFrame, roles: Roles) -> bool:
    present = series.dropna()
    if len(present) == 0:
        return False
    if series.dtype.kind == "M" or str(series.dtype).startswith("date"):
        return True
    if pd.api.types.is_numeric_dtype(series.dtype):
        if not _TIMELY.match(column) or len(present) < len(series) or pd.api.types.is_bool_dtype(series.dtype):
            return False
        groups = series.groupby(frame[roles.id].to_numpy()) if roles.id else [(0, series)]
        return all(one.is_monotonic_increasing and one.is_unique for _, one in groups)
    if pd.api.types.infer_dtype(present, skipna=False) in ("date", "datetime"):
        return True
    if pd.api.types.infer_dtype(present, skipna=False) != "string":
        return False
    form = find_format(present)
    return form is not None and not form.clock


def _time_look(stamps: pd.Series, time: str | None, name: str) -> Look:
    if pd.api.types.is_numeric_dtype(stamps.dtype):
        return NumberLook(
            dtype=dtype_name(stamps),
            decimals=0 if stamps.dtype.kind in "iu" else decimals_of(stamps.dropna().to_numpy()),
        )
    context = Context(
        table=name, rows=len(stamps), bins=100, inf="missing", row_name=lambda row: f"row {row + 1}", counts={}
    )
    try:
        look = detect(time or "index", stamps, "datetime", context).look
    except ConfigError:
        look = None
    if not isinstance(look, TimeLook):
        raise DataError(
            f"{name}: {_called(time)} does not hold time stamps of one known form, but values such as "
            f"{stamps.dropna().head(1).tolist()}; expected dates, times or numbers. Convert it with "
            "pd.to_datetime first, or name another column: time=..."
        )
    return look


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


def _sorted(counts: np.ndarray, owner: np.ndarray, order: np.ndarray, roles: Roles, name: str) -> np.ndarray:
    """Rows by series and time; a warning where they were not in order."""
    backwards = (np.diff(counts[order]) < 0) & (np.diff(owner[order]) == 0)
    if not backwards.any():
        return order
    row = int(order[np.flatnonzero(backwards)[0] + 1])
    warnings.warn(
        f"{name}: time stamps are not in order, first in row {row + 1}, {int(backwards.sum())} times in all; the rows "
        "were sorted by time"
        + (". If they belong to several series, say which column names them: id=..." if roles.id is None else "."),
        AeganWarning,
        stacklevel=2,
    )
    return np.lexsort((counts, owner))


def _no_repeats(
    times: list[np.ndarray],
    stamps: pd.Series,
    borders: np.ndarray,
    ids: pd.Series | None,
    roles: Roles,
    name: str,
    time: str | None,
) -> None:
    repeats = [np.flatnonzero(np.diff(one) == 0) for one in times]
    total = sum(map(len, repeats))
    if not total:
        return
    i = next(i for i, one in enumerate(repeats) if len(one))
    stamp = stamps.iloc[int(([0, *borders])[i] + repeats[i][0])]
    inside = f" of series {ids.iloc[i]!r}" if ids is not None else ""
    raise DataError(
        f"{name}: the time stamp {stamp}{inside} occurs more than once in {_called(time)}, and {total} rows repeat "
        "one; expected each once in a series. "
        + ("If the rows belong to several series, say which column names them: id=... " if roles.id is None else "")
        + "Otherwise join such rows, for instance frame.groupby(time).mean()."
    )


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
        found = [column for column in rest if _constant(column_of(frame, column), owner)]
        rest = [column for column in rest if column not in found]
        static += found
    numbers = np.empty((len(frame), len(rest)))
    looks = []
    for i, column in enumerate(rest):
        series = column_of(frame, column)
        empty = bool(series.isna().all())
        if not (empty or pd.api.types.is_numeric_dtype(series.dtype)):
            raise DataError(
                f"{name}: column {column!r} holds {series.dropna().iloc[0]!r} and is to be a channel; expected "
                f"numbers. Say what it is (label={column!r}, id={column!r}, static=[...]), or name the columns "
                "that are channels: channels=[...]."
            )
        if empty:
            warnings.warn(
                f"{name}: channel {column!r} holds no value; it stays empty. Leave the column out to be rid of it.",
                AeganWarning,
                stacklevel=2,
            )
        dtype = "float64" if empty and series.dtype == object else dtype_name(series)
        numbers[:, i] = np.nan if empty else series.to_numpy(dtype=np.float64, na_value=np.nan)
        looks.append(NumberLook(dtype=dtype, decimals=_decimals(numbers[:, i], dtype)))
    return numbers, tuple(looks), tuple(rest), tuple(static)


def _decimals(values: np.ndarray, dtype: str) -> int | None:
    return decimals_of(values[np.isfinite(values)], np.float32 if "32" in dtype and "int" not in dtype else np.float64)


def _constant(series: pd.Series, owner: np.ndarray) -> bool:
    codes, _ = pd.factorize(series, use_na_sentinel=False)
    firsts = np.unique(owner, return_index=True)[1]
    several = len(firsts) > 1 and bool((np.bincount(owner) > 1).any())
    return several and bool((codes == codes[firsts][owner]).all()) and len(np.unique(codes)) > 1


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
