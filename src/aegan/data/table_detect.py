"""Which kind of column a series is: what its values show, or what the user says."""

from __future__ import annotations

import datetime
import decimal
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aegan.data.table_calendar import Calendar
from aegan.data.table_cells import decimals_of
from aegan.data.table_codecs import Amounts, Choices
from aegan.data.table_columns import Coded, Column, Constant, Identifier
from aegan.data.table_doubts import as_type, check_zones, first_of, say_mixed
from aegan.data.table_frames import dtype_name, to_numbers
from aegan.data.table_ids import find_pattern
from aegan.data.table_look_of import holds, look_of, name_look, object_times, time_look
from aegan.data.table_looks import Look, NameLook, NumberLook, SpanLook, TimeLook, plain_cells
from aegan.data.table_times import Format, find_compact, find_format, whole_numbers
from aegan.data.table_whole import WholeLook, as_integers, whole_look
from aegan.data.table_written import WrittenLook, find_writing
from aegan.errors import AeganWarning, ConfigError, DataError, nearest

TYPES = ("numeric", "categorical", "boolean", "datetime", "text", "id", "drop")
FEW = 8
"""So many distinct numbers are a value each even in the smallest table."""
MOSTLY = 0.95


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the detection of every column needs to know.

    Attributes:
        table: Name of the source, for messages.
        rows: Rows of the table.
        bins: Most bins of amounts.
        inf: What infinite numbers are: ``"error"`` or ``"missing"``.
        row_name: Where a row is, for messages.
        counts: Rows of each value in the whole table, for columns of names of which ``series`` is only a part.
        missing: Missing cells of each column in the whole table, where ``series`` is only a part.
    """

    table: str
    rows: int
    bins: int
    inf: str
    row_name: Callable[[int], str]
    counts: dict[str, pd.Series]
    missing: dict[str, int]

    def gone(self, name: str, missing: np.ndarray) -> int:
        """Missing cells among so many rows of a column: at least one where the whole table has some."""
        return max(int(missing.sum()), math.ceil(self.missing.get(name, 0) * len(missing) / self.rows))

    def warn(self, text: str) -> None:
        """Say something aloud about the table."""
        warnings.warn(f"{self.table}: {text}", AeganWarning, stacklevel=4)

    def few(self, rows: int) -> int:
        """Most distinct amounts that are a value each."""
        return min(self.bins, max(FEW, rows // 20))


def detect(name: str, series: pd.Series, override: str | None, context: Context) -> Column:
    """The column that ``series`` is.

    Raises:
        DataError: Infinite numbers, several time zones in one column.
        ConfigError: The user's type cannot be that of the values.
    """
    if override is not None:
        return _overridden(name, series, override, context)
    present = series.dropna()
    if len(present) == 0:
        context.warn(f"column {name!r} holds no value; it stays empty in new rows.")
        look = look_of(series) if series.dtype.kind in "mMf" else name_look(series)
        return Constant(name, look, None, "empty")
    kind = series.dtype.kind
    if pd.api.types.is_bool_dtype(series.dtype) or isinstance(series.dtype, pd.CategoricalDtype):
        return _names(name, series, context)
    if kind in "iuf" and pd.api.types.is_numeric_dtype(series.dtype):
        if (form := find_compact(present)) is not None:
            return _formatted(name, series, form, context)
        return _numbers(name, series, present, context)
    if isinstance(series.dtype, pd.ArrowDtype) and str(series.dtype).startswith("date32"):
        return _times(name, series, TimeLook(dtype=str(series.dtype), objects="date"), context)
    if kind == "M" or isinstance(series.dtype, pd.DatetimeTZDtype):
        return _times(name, series, time_look(series), context)
    if kind == "m":
        fine = bool((present.dt.nanoseconds != 0).any())
        return _spans(name, series, SpanLook(dtype=dtype_name(series), unit="ns" if fine else "us"), context)
    return _objects(name, series, present, context)


def _objects(name: str, series: pd.Series, present: pd.Series, context: Context) -> Column:
    """Columns of Python objects: by their types."""
    if pd.api.types.infer_dtype(present, skipna=False) == "string":
        return _texts(name, series, present, context)
    kinds = set(map(type, present))
    if (integers := as_integers(series)) is not None:
        return _numbers(name, integers, integers.dropna(), context)
    if kinds <= {int, float, np.float64, np.int64} and bool not in kinds:
        return _numbers(name, to_numbers(series), to_numbers(present), context)
    if kinds <= {decimal.Decimal}:
        return _numbers(name, series, present, context, objects=True)
    if all(issubclass(one, datetime.date) for one in kinds):
        return _times(name, series, object_times(name, present, kinds, context), context)
    if kinds <= {datetime.time}:
        return _spans(name, series, SpanLook(dtype="object", objects="time"), context)
    if kinds <= {datetime.timedelta, pd.Timedelta}:
        spans = pd.Series(np.array(series.where(series.notna(), None).tolist(), dtype="timedelta64[us]"))
        return _spans(name, spans, SpanLook(dtype="timedelta64[us]"), context)
    if len(kinds) > 1:
        say_mixed(name, series, context)
    elif kinds <= {list, tuple, dict, set, np.ndarray, pd.Interval}:
        context.warn(f"column {name!r} holds cells of type {next(iter(kinds)).__name__}; new rows hold them as text.")
    return _names(name, series, context)


def _texts(name: str, series: pd.Series, present: pd.Series, context: Context) -> Column:
    """Columns of strings: dates, identifiers, free text, or names."""
    form = find_format(present)
    if form is None and present.str.fullmatch(r"\d{8}|\d{12}|\d{14}").all():
        form = find_compact(to_numbers(present))
    if form is not None:
        return _formatted(name, series, form, context)
    counts = present.value_counts()
    texts = pd.Series(counts.index.to_numpy(dtype=object))
    check_zones(name, texts, present, context)
    unique = len(texts)
    words = texts[to_numbers(texts).isna()]
    share = 1 - counts.loc[words].sum() / len(present)
    if MOSTLY <= share < 1:
        row = first_of(present, set(words))
        context.warn(
            f"column {name!r} holds numbers, but {context.row_name(row)} holds {series.iloc[row]!r}. It is taken as "
            f"categories; if that cell should count as missing, say {as_type(name, 'numeric')}."
        )
        return _names(name, series, context)
    if (writing := find_writing(texts)) is not None:
        return _written(name, series, WrittenLook(dtype=dtype_name(series), writing=writing), context)
    whole = len(present) == len(series) and not context.missing.get(name, 0)
    if whole and unique == len(present) and (pattern := find_pattern(name, present)) is not None:
        return Identifier(name, NameLook(dtype=dtype_name(series)), pattern)
    if _is_text(texts, len(present)):
        context.warn(
            f"column {name!r} is free text or names of single rows ({unique} different values in {len(present)} rows); "
            f"it is not learnt and stays empty. To keep its values, say {as_type(name, 'categorical')}."
        )
        return Constant(name, name_look(series), None, "text")
    return _names(name, series, context)


def _is_text(texts: pd.Series, rows: int) -> bool:
    """Whether the distinct texts of so many rows are prose, or belong to single rows, rather than being categories."""
    if rows < 50 or len(texts) < 0.8 * rows:
        return rows >= 20 and len(texts) > 0.5 * rows and texts.str.len().mean() > 60
    return len(texts) > 0.95 * rows or texts.str.contains(" ", regex=False).mean() > 0.5


def _formatted(name: str, series: pd.Series, form: Format, context: Context) -> Column:
    dtype = dtype_name(series)
    if form.clock:
        return _spans(name, series, SpanLook(dtype=dtype, unit="us", format=form), context)
    look = TimeLook(dtype=dtype, format=form, unit="ns" if form.digits > 6 and "%f" in form.pattern else "us")
    lost = int((look.read(series)[1] & series.notna().to_numpy()).sum())
    if lost:
        context.warn(f"column {name!r}: {lost} cells are not dates in the form {form.pattern} and count as missing.")
    return _times(name, series, look, context)


def _names(name: str, series: pd.Series, context: Context, look: Look | None = None) -> Column:
    """Names, from frequent to rare."""
    if look is None:
        look = name_look(series)
    if name in context.counts:
        counted = context.counts[name]
        gone = int(context.rows - counted.sum())
    else:
        values, missing = look.read(series)
        counted = pd.Series(values[~missing]).value_counts(sort=False)
        gone = context.gone(name, missing)
    if len(counted) == 0:
        return Constant(name, look, None, "empty")
    counted = counted.iloc[np.lexsort((counted.index.astype(str), -counted.to_numpy()))]
    values = np.empty(len(counted), dtype=object)
    values[:] = plain_cells(counted.index.to_numpy(dtype=object))
    if look.amounts:
        values = values.astype(np.float64)
    if len(values) == 1 and gone == 0:
        return Constant(name, look, values.tolist()[0])
    return Coded(name, look, Choices.fit(values, counted.to_numpy(), ordered=False, missing=gone))


def _numbers(name: str, series: pd.Series, present: pd.Series, context: Context, *, objects: bool = False) -> Column:
    dtype = "object" if objects else dtype_name(series)
    wide = whole_look(series)
    values, missing = (wide or NumberLook(dtype=dtype, objects=objects)).read(series)
    infinite = np.isinf(to_numbers(series).to_numpy(dtype=np.float64, na_value=np.nan))
    if infinite.any():
        row = int(np.flatnonzero(infinite)[0])
        if context.inf == "error":
            raise DataError(
                f"{context.table}: column {name!r} holds an infinite number in {context.row_name(row)}, and "
                f"{int(infinite.sum())} infinite values in all; expected finite numbers. Mend them, or count them as "
                "missing: --inf missing, in Python inf='missing'."
            )
    kept = values[~missing]
    if (
        series.dtype.kind in "iu"
        and not context.gone(name, missing)
        and (pattern := find_pattern(name, present)) is not None
    ):
        return Identifier(name, NumberLook(dtype=dtype, decimals=0), pattern)
    whole = not objects and series.dtype.kind in "iu"
    places = 0 if whole else decimals_of(kept, np.float32 if "32" in dtype else np.float64)
    look = wide or NumberLook(dtype=dtype, decimals=places, objects=objects)
    return _amounts(name, look, kept, context.gone(name, missing), context)


def _written(name: str, series: pd.Series, look: WrittenLook, context: Context) -> Column:
    values, missing = look.read(series)
    return _amounts(name, look, values[~missing], context.gone(name, missing), context)


def _amounts(
    name: str, look: NumberLook | SpanLook | WrittenLook, kept: np.ndarray, gone: int, context: Context
) -> Column:
    """Amounts: a value each when they are few, otherwise cells."""
    if len(kept) == 0:
        return Constant(name, look, None, "empty")
    distinct, counts = np.unique(kept, return_counts=True)
    if len(distinct) == 1 and gone == 0:
        return Constant(name, look, distinct[0].item())
    limit = context.few(len(kept))
    if len(distinct) <= limit:
        return Coded(name, look, Choices.fit(distinct, counts, ordered=True, missing=gone))
    if isinstance(look, WholeLook):
        context.warn(
            f"column {name!r} holds whole numbers beyond 2**53 in {len(distinct)} values, too many for a value each; "
            "new ones are drawn from their range, and their last digits are not exact. If they are names rather than "
            f"amounts, say {as_type(name, 'categorical')}; of keys say 'id'."
        )
        look, kept = NumberLook(dtype=look.dtype, decimals=0), kept.astype(np.float64)
    places = 0 if isinstance(look, SpanLook) else look.decimals
    return Coded(name, look, Amounts.fit(kept, bins=limit, decimals=places, missing=gone > 0))


def _times(name: str, series: pd.Series, look: TimeLook, context: Context) -> Column:
    values, missing = look.read(series)
    kept = values[~missing]
    if len(kept) == 0:
        return Constant(name, look, None, "empty")
    distinct, counts = np.unique(kept, return_counts=True)
    gone = context.gone(name, missing)
    if len(distinct) == 1 and gone == 0:
        return Constant(name, look, int(distinct[0]))
    limit = context.few(len(kept))
    if len(distinct) <= limit:
        return Coded(name, look, Choices.fit(distinct, counts, ordered=True, missing=gone))
    return Calendar.fit(name, look, kept, bins=limit, missing=gone)


def _spans(name: str, series: pd.Series, look: SpanLook, context: Context) -> Column:
    values, missing = look.read(series)
    return _amounts(name, look, values[~missing], context.gone(name, missing), context)


def _overridden(name: str, series: pd.Series, override: str, context: Context) -> Column:
    """The column of the type that the user says."""
    kind, _, pattern = override.partition(":")
    present = series.dropna()
    if kind not in TYPES or (pattern and kind != "datetime"):
        raise ConfigError(f"columns: {name!r} is {override!r}; {nearest(override, TYPES)}")
    if kind in ("text", "drop"):
        number = pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype)
        look = look_of(series) if number else name_look(series, hide=True)
        return Constant(name, look, None, "text" if kind == "text" else "dropped")
    if kind in ("categorical", "boolean"):
        if series.dtype.kind in "iufmM" and not pd.api.types.is_bool_dtype(series.dtype):
            return _coded_amounts(name, series, context)
        return _names(name, series, context)
    if kind == "id":
        return _forced_id(name, series, present)
    if kind == "numeric":
        return _forced_numbers(name, series, present, context)
    return _forced_times(name, series, present, pattern or None, context)


def _forced_id(name: str, series: pd.Series, present: pd.Series) -> Column:
    pattern = find_pattern(name, present, forced=True) if len(present) else None
    look = NameLook(dtype=dtype_name(series))
    if series.dtype.kind in "iu":
        look = NumberLook(dtype=dtype_name(series), decimals=0)
    if pattern is None or series.dtype.kind in "bmM" or not holds(look, pattern.make(0, 2)):
        raise ConfigError(
            f"columns: {name!r} is 'id', but holds {series.dtype}; expected whole numbers or strings. Make strings of "
            f"them, frame[{name!r}].astype(str), or leave the column empty: {name}=drop."
        )
    return Identifier(name, look, pattern)


def _coded_amounts(name: str, series: pd.Series, context: Context) -> Column:
    """Numbers and dates that the user calls categories: a value each, from frequent to rare."""
    look = look_of(series)
    values, missing = look.read(series)
    distinct, counts = np.unique(values[~missing], return_counts=True)
    if len(distinct) == 0:
        return Constant(name, look, None, "empty")
    order = np.argsort(-counts, kind="stable")
    if len(distinct) == 1 and not context.gone(name, missing):
        return Constant(name, look, distinct.tolist()[0])
    codec = Choices.fit(distinct[order], counts[order], ordered=False, missing=context.gone(name, missing))
    return Coded(name, look, codec)


def _forced_numbers(name: str, series: pd.Series, present: pd.Series, context: Context) -> Column:
    if pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype):
        if series.dtype.kind in "iu":  # never an identifier
            look = whole_look(series) or NumberLook(dtype=dtype_name(series), decimals=0)
            values, missing = look.read(series)
            return _amounts(name, look, values[~missing], context.gone(name, missing), context)
        return _numbers(name, series, present, context)
    if (writing := find_writing(pd.Series(present.astype(object).unique()))) is not None:
        return _written(name, series, WrittenLook(dtype=dtype_name(series), writing=writing), context)
    numbers = to_numbers(series.astype(object)).astype("float64")
    lost = (numbers.isna() & series.notna()).to_numpy()
    if lost.sum() == len(present):
        raise ConfigError(
            f"columns: {name!r} is 'numeric', but none of its values is a number, such as {present.iloc[0]!r}."
        )
    if lost.any():
        row = int(np.flatnonzero(lost)[0])
        context.warn(
            f"column {name!r}: {int(lost.sum())} cells are no numbers and count as missing, the first in "
            f"{context.row_name(row)}: {series.iloc[row]!r}."
        )
    return _numbers(name, numbers, numbers.dropna(), context)


def _forced_times(name: str, series: pd.Series, present: pd.Series, pattern: str | None, context: Context) -> Column:
    if series.dtype.kind == "M":
        return _times(name, series, time_look(series), context)
    if len(present) and all(isinstance(cell, datetime.date) for cell in present):
        return detect(name, series, None, context)
    cells = whole_numbers(present) if series.dtype.kind in "iuf" else present.astype(str)
    form = find_format(cells, pattern, months=True) if len(present) else None
    if form is None:
        shown = present.iloc[0] if len(present) else None
        raise ConfigError(
            f"columns: {name!r} is 'datetime', but its values, such as {shown!r}, are not "
            f"all in one known form{f', {pattern}' if pattern else ''}. Say which: 'datetime:%d.%m.%Y %H:%M'."
        )
    return _formatted(name, series, form, context)
