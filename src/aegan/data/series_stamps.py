"""Which column of a frame is the time, and its stamps: read, in order, each once."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.series_roles import Roles
from aegan.data.series_set import plain_name
from aegan.data.series_zones import changes_offset
from aegan.data.table_detect import Context, decimals_of, detect
from aegan.data.table_frames import column_of, dtype_name
from aegan.data.table_looks import Look, NumberLook, TimeLook
from aegan.data.table_times import find_compact, find_format
from aegan.errors import AeganWarning, ConfigError, DataError

_TIMELY = re.compile(r"(date|time|datetime|timestamp|t|step|hour|day|year|index)$", re.IGNORECASE)


def called(time: str | None) -> str:
    """The time column in words."""
    return "the index" if time == "" else f"column {time!r}"


def find_stamps(
    frame: pd.DataFrame, roles: Roles, name: str, index: Any, fitted: bool
) -> tuple[pd.Series | None, str | None]:
    """The column of time stamps and its name; None where there is none."""
    if roles.time == "" or (roles.time is None and index is not None and not fitted):
        if index is None:  # as the first column, where a frame with an index was written
            taken = {*(roles.static or ()), *(roles.channels or ()), roles.id, roles.label}
            others = [c for c in frame.columns if c not in taken and _is_time(column_of(frame, c), c, frame, roles)]
            if not others:
                raise DataError(
                    f"{name}: no time in the index; expected a DatetimeIndex, as when the model was fitted, or a "
                    "column of its stamps."
                )
            return column_of(frame, others[0]), others[0]
        stamps = index.to_timestamp() if isinstance(index, pd.PeriodIndex) else index
        return pd.Series(stamps, name=None).reset_index(drop=True), ""
    if roles.time is not None:
        return column_of(frame, roles.time), roles.time
    if fitted:
        return None, None
    taken = {roles.id, roles.label, *(roles.static or ()), *(roles.channels or ())}
    owner = None if roles.id is None else pd.factorize(column_of(frame, roles.id), use_na_sentinel=False)[0]
    numbers = [pd.api.types.is_numeric_dtype(column_of(frame, column).dtype) for column in frame.columns]
    for column in (str(frame.columns[i]) for i in np.argsort(numbers, kind="stable")):  # dates before counts of steps
        if column in taken or not _is_time(column_of(frame, column), column, frame, roles):
            continue
        if owner is None or not constant(column_of(frame, column), owner):  # a date of birth is no time stamp
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
    return tells_time(present)


def tells_time(present: pd.Series) -> bool:
    """Whether values that are neither numbers nor of a type of dates are dates, or texts of dates."""
    if pd.api.types.infer_dtype(present, skipna=False) in ("date", "datetime"):
        return True
    if pd.api.types.infer_dtype(present, skipna=False) != "string":
        return False
    if changes_offset(present):
        return True
    form = find_format(present, months=True)
    return form is not None and not form.clock


def _compact(stamps: pd.Series) -> TimeLook | None:
    """How whole numbers that are dates, as 20240131, are written; None where they are plain numbers."""
    if stamps.dtype.kind not in "iu" or (form := find_compact(stamps)) is None:
        return None
    return TimeLook(dtype=dtype_name(stamps), format=form)


def time_look(stamps: pd.Series, time: str | None, name: str) -> Look:
    """How stamps are written.

    Raises:
        DataError: They are no time stamps of one known form.
    """
    if pd.api.types.is_numeric_dtype(stamps.dtype):
        return _compact(stamps) or NumberLook(
            dtype=dtype_name(stamps),
            decimals=0 if stamps.dtype.kind in "iu" else decimals_of(stamps.dropna().to_numpy()),
        )
    context = Context(
        table=name,
        rows=len(stamps),
        bins=100,
        inf="missing",
        row_name=lambda row: f"row {row + 1}",
        counts={},
        missing={},
    )
    try:
        look = detect(time or "index", stamps, "datetime", context).look
    except ConfigError:
        look = None
    if not isinstance(look, TimeLook):
        raise DataError(
            f"{name}: {called(time)} does not hold time stamps of one known form, but values such as "
            f"{stamps.dropna().head(1).tolist()}; expected dates, times or numbers. Convert it with "
            "pd.to_datetime first, or name another column: time=..."
        )
    return look


def sort_rows(counts: np.ndarray, owner: np.ndarray, order: np.ndarray, roles: Roles, name: str) -> np.ndarray:
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


def check_repeats(
    times: list[np.ndarray],
    stamps: pd.Series,
    borders: np.ndarray,
    ids: pd.Series | None,
    roles: Roles,
    name: str,
    time: str | None,
) -> None:
    """Raise DataError where a series has a stamp twice."""
    repeats = [np.flatnonzero(np.diff(one) == 0) for one in times]
    total = sum(map(len, repeats))
    if not total:
        return
    i = next(i for i, one in enumerate(repeats) if len(one))
    stamp = stamps.iloc[int(([0, *borders])[i] + repeats[i][0])]
    inside = f" of series {plain_name(ids.iloc[i])!r}" if ids is not None else ""
    raise DataError(
        f"{name}: the time stamp {stamp}{inside} occurs more than once in {called(time)}, and {total} rows repeat "
        "one; expected each once in a series. "
        + ("If the rows belong to several series, say which column names them: id=... " if roles.id is None else "")
        + "Otherwise join such rows, for instance frame.groupby(time).mean()."
    )


def constant(series: pd.Series, owner: np.ndarray) -> bool:
    """Whether a column never changes within a series, and is no channel: it tells series apart, or holds text."""
    codes, _ = pd.factorize(series, use_na_sentinel=False)
    firsts = np.unique(owner, return_index=True)[1]
    if not (np.bincount(owner) > 1).any() or (codes != codes[firsts][owner]).any():
        return False
    text = not pd.api.types.is_numeric_dtype(series.dtype) and pd.api.types.infer_dtype(series) in (
        "string",
        "categorical",
    )
    return text or (len(firsts) > 1 and len(np.unique(codes)) > 1)
