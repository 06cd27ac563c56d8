"""The data type and format that the cells of a series have."""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aegan.data.table_frames import dtype_name
from aegan.data.table_looks import Look, NameLook, NumberLook, SpanLook, TimeLook, plain_cells
from aegan.data.table_whole import whole_look
from aegan.data.zones import zone_name
from aegan.errors import DataError

if TYPE_CHECKING:
    from aegan.data.table_detect import Context


def look_of(series: pd.Series) -> Look:
    """Of numbers, times and durations."""
    kind = series.dtype.kind
    if kind == "M":
        return time_look(series)
    if kind == "m":
        return SpanLook(dtype=dtype_name(series))
    return whole_look(series) or NumberLook(dtype=dtype_name(series))


def object_times(name: str, present: pd.Series, kinds: set[type], context: Context) -> TimeLook:
    """Of Python's dates and times.

    Raises:
        DataError: Several time zones, or one that has no name.
    """
    if kinds <= {datetime.date}:
        return TimeLook(dtype="object", objects="date")
    zones = Counter(str(getattr(cell, "tzinfo", None)) for cell in present)
    if len(zones) > 1:
        (usual, _), *_, (rare, _) = zones.most_common()
        row = next(i for i, cell in present.items() if str(getattr(cell, "tzinfo", None)) == rare)
        raise DataError(
            f"{context.table}: column {name!r} mixes time zones: {usual}, and {rare} in {context.row_name(int(row))}. "  # pyright: ignore
            f"Bring them to one, for instance pd.to_datetime(frame[{name!r}], utc=True)."
        )
    zone = getattr(present.iloc[0], "tzinfo", None)
    return TimeLook(dtype="object", objects="datetime", zone=None if zone is None else zone_name(zone, name))


def time_look(series: pd.Series) -> TimeLook:
    """Of a data type of times.

    Raises:
        DataError: A time zone without a name.
    """
    zone = getattr(series.dt, "tz", None)
    times = series.dropna()
    unit = "ns" if (times.dt.nanosecond != 0).any() else "us"
    if zone is None:
        return TimeLook(dtype=dtype_name(series), unit=unit)
    name, dtype = zone_name(zone, series.name), dtype_name(series)
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        dtype = f"datetime64[{series.dtype.unit}, {name}]"
    return TimeLook(dtype=dtype, unit=unit, zone=name)


def name_look(series: pd.Series, *, hide: bool = False) -> NameLook:
    """Of names; ``hide``: of cells that all stay empty, so that the names are not kept."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        kept = [] if hide else plain_cells(np.asarray(dtype.categories.astype(object), dtype=object)).tolist()
        return NameLook(dtype="category", categories=tuple(kept), in_order=bool(dtype.ordered))
    gone = series.to_numpy(dtype=object)[series.isna().to_numpy(dtype=bool)][:1]
    empty = "none" if dtype_name(series) == "object" and gone.tolist() == [None] else "nan"
    look = NameLook(dtype=dtype_name(series), empty=empty)
    first = plain_cells(series.dropna().head(1).to_numpy(dtype=object), as_boolean=look.is_boolean)
    return look if hide or holds(look, first) else replace(look, dtype="object")


def holds(look: Look, values: np.ndarray) -> bool:
    """Whether values can be written in the look's data type: intervals, for one, cannot be made of text."""
    try:
        look.write(values, np.zeros(len(values), dtype=bool))
    except (TypeError, ValueError, NotImplementedError):  # Arrow's own are of these
        return False
    return True
