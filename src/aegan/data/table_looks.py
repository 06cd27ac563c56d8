"""How a column's cells are written (data type, format), and the plain values that they mean."""

from __future__ import annotations

import datetime
import decimal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from aegan.data.table_frames import make_dtype, to_numbers
from aegan.data.table_integers import write_integers
from aegan.data.table_times import Format, parse_times, parse_timestamp, write_times
from aegan.errors import ConfigError, DataError

Read = tuple[np.ndarray, np.ndarray]
"""Plain values and which are missing, both ``(N,)``; a missing one's value means nothing."""
_NS_YEARS = (1677, 2262)
"""Years in which the time of nanoseconds begins and ends."""


@dataclass(frozen=True, kw_only=True)
class Look(ABC):
    """A column's data type and format.

    Attributes:
        dtype: Name of the pandas data type.
    """

    kind: ClassVar[str] = ""
    amounts: ClassVar[bool] = True
    dtype: str

    @abstractmethod
    def read(self, series: pd.Series) -> Read:
        """Plain values of a series."""

    @abstractmethod
    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        """Inverse of :meth:`read`."""

    @abstractmethod
    def parse(self, text: Any) -> tuple[Any, Any]:
        """Least and greatest plain value that a condition's ``text`` means; ValueError where it means none."""

    def show(self, value: Any) -> str:
        """A plain value as people write it."""
        return str(self.write(np.asarray([value]), np.zeros(1, dtype=bool)).iloc[0])

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return {"look": self.kind} | asdict(self)


@dataclass(frozen=True, kw_only=True)
class NumberLook(Look):
    """Numbers as float64.

    Attributes:
        decimals: Digits behind the point that the column has; None when there are too many to be a rule.
        objects: Whether cells are ``decimal.Decimal``.
    """

    kind: ClassVar[str] = "number"
    decimals: int | None = None
    objects: bool = False

    def read(self, series: pd.Series) -> Read:
        """Numbers as float64; what is no finite number is missing."""
        if self.objects or series.dtype.kind not in "iufb":
            series = to_numbers(series)
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        missing = ~np.isfinite(values)
        return np.where(missing, 0.0, values) + 0.0, missing  # a zero without sign

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        """Numbers in the column's own type; see :func:`~aegan.data.table_integers.write_integers`."""
        if self.objects:
            places = self.decimals or 0
            cells = [
                None if gone else decimal.Decimal(f"{v:.{places}f}") for v, gone in zip(values, missing, strict=True)
            ]
            return pd.Series(cells, dtype=object)
        dtype = make_dtype(self.dtype)
        if dtype.kind in "iu":
            return write_integers(values, missing, dtype)
        series = pd.Series(np.where(missing, np.nan, values))
        if isinstance(dtype, np.dtype):
            return series.astype(dtype)
        series = series.astype(dtype)
        series[missing] = None
        return series

    def parse(self, text: Any) -> tuple[float, float]:
        """One number."""
        value = float(text)
        if not np.isfinite(value):
            raise ValueError(text)
        return value, value

    def show(self, value: Any) -> str:
        """Without a point where there need be none."""
        return f"{value:.15g}"


@dataclass(frozen=True, kw_only=True)
class NameLook(Look):
    """Names: strings, booleans, or whatever the categories are.

    Attributes:
        categories: Those of a pandas Categorical, in its order; None for other types.
        in_order: Whether that Categorical is ordered.
        empty: What a missing cell of an object column is: ``"nan"`` or ``"none"``.
    """

    kind: ClassVar[str] = "name"
    amounts: ClassVar[bool] = False
    categories: tuple[Any, ...] | None = None
    in_order: bool = False
    empty: str = "nan"

    def read(self, series: pd.Series) -> Read:
        """The cells as plain Python values."""
        missing = series.isna().to_numpy(dtype=bool)
        cells = series.astype(object)
        try:
            codes, unique = pd.factorize(cells.to_numpy(dtype=object))
        except TypeError:  # lists and the like
            codes, unique = pd.factorize(cells.astype(str).to_numpy(dtype=object))
        known = plain_cells(np.asarray(unique, dtype=object), as_boolean=self.is_boolean)
        return np.append(known, np.array([""], dtype=object))[np.where(missing, len(known), codes)], missing

    @property
    def is_boolean(self) -> bool:
        """Whether the column's data type is boolean."""
        return self.dtype in ("bool", "boolean", "bool[pyarrow]")

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        """The names in the column's own type."""
        cells = values.astype(object)
        if missing.any():
            cells = cells.copy()
            cells[missing] = None if self.dtype != "object" or self.empty == "none" else np.nan
        if self.categories is not None:
            kept = pd.CategoricalDtype(list(self.categories), ordered=self.in_order)
            return pd.Series(pd.Categorical(cells, dtype=kept))
        if self.dtype == "bool" and missing.any():
            return pd.Series(cells, dtype=object)
        return pd.Series(cells, dtype=make_dtype(self.dtype))

    def parse(self, text: Any) -> tuple[Any, Any]:
        """Names have no range."""
        raise ValueError(text)

    def show(self, value: Any) -> str:
        """As it is."""
        return str(value)


@dataclass(frozen=True, kw_only=True)
class TimeLook(Look):
    """Points in time as int64 counts of ``unit`` since 1970, by the clock of their time zone.

    Attributes:
        unit: ``"us"``, or ``"ns"`` where the data go finer.
        zone: Time zone of a time-zone aware column; None for others.
        format: Of a column of strings; None for others.
        objects: ``"date"`` or ``"datetime"`` when cells are these Python objects.
    """

    kind: ClassVar[str] = "time"
    unit: str = "us"
    zone: str | None = None
    format: Format | None = None
    objects: str | None = None

    @property
    def is_number(self) -> bool:
        """Whether cells are whole numbers, such as 20240131."""
        return self.format is not None and make_dtype(self.dtype).kind in "iuf"

    @property
    def day(self) -> int:
        """Counts a day."""
        return 86_400 * 10 ** {"us": 6, "ns": 9}[self.unit]

    def read(self, series: pd.Series) -> Read:
        """Counts of the unit, by the local clock."""
        plain = series.dtype.kind == "M" and self.objects is None
        times = (
            series
            if plain
            else parse_times(series if self.is_number else series.astype(object), self.format, self.zone)
        )
        if times.dt.tz is not None:
            if isinstance(times.dtype, pd.ArrowDtype):  # whose tz_localize(None) is the clock of UTC
                times = times.astype(pd.DatetimeTZDtype(times.dtype.pyarrow_dtype.unit, times.dt.tz))
            times = (times.dt.tz_convert(self.zone) if self.zone else times).dt.tz_localize(None)
        missing = times.isna().to_numpy(dtype=bool)
        counts = times.to_numpy().astype(f"datetime64[{self.unit}]").astype(np.int64)
        return np.where(missing, 0, counts), missing

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        """Times in the column's own type or format."""
        counts = np.asarray(values, dtype=np.int64).astype(f"datetime64[{self.unit}]")
        counts = np.where(missing, np.datetime64("NaT"), counts)
        if self.format is not None:
            return write_times(counts, self.format, self.dtype)
        if self.objects is not None:
            cells = pd.Series(counts.astype("datetime64[us]").astype(object), dtype=object)
            cells = cells if self.objects == "datetime" else cells.map(_date, na_action="ignore")
            if self.zone is not None:
                aware = _localised(pd.Series(counts), self.zone)
                cells = pd.Series([None if t is pd.NaT else t.to_pydatetime() for t in aware], dtype=object)
            return cells.where(~missing, None).astype(make_dtype(self.dtype))
        series = pd.Series(counts)
        if self.zone is not None:
            series = _localised(series, self.zone)
        return series.astype(make_dtype(within(series, self.dtype)))

    def parse(self, text: Any) -> tuple[int, int]:
        """All the time that a text means: a whole day for ``2024-02-01``, a month for ``2024-02``."""
        text = str(text) if self.is_number else text
        return parse_timestamp(text, self.unit, self.zone)

    def show(self, value: Any) -> str:
        """ISO 8601, without the time of day where it is midnight."""
        text = str(np.array(int(value)).astype(f"datetime64[{self.unit}]").astype("datetime64[us]")).replace("T", " ")
        return text.removesuffix(".000000").removesuffix(" 00:00:00")


def within(times: pd.Series, dtype: str) -> str:
    """The data type for times, or that of microseconds where nanoseconds end in 2262 and the times do not.

    >>> within(pd.Series(np.array(["2300-01-01"], dtype="datetime64[us]")), "datetime64[ns]")
    'datetime64[us]'
    """
    if not dtype.startswith("datetime64[ns") or not len(times):
        return dtype
    ends = [end for end in (times.min(), times.max()) if not pd.isna(end)]
    return dtype if all(_NS_YEARS[0] < end.year < _NS_YEARS[1] for end in ends) else dtype.replace("[ns", "[us")


@dataclass(frozen=True, kw_only=True)
class SpanLook(Look):
    """Durations, and times of day, as float64 counts of ``unit``.

    Attributes:
        unit: Unit of the counts: ``"s"``, ``"ms"``, ``"us"`` or ``"ns"``.
        format: Of a column of strings, such as ``%H:%M``; None for others.
        objects: ``"time"`` when cells are ``datetime.time``.
    """

    kind: ClassVar[str] = "span"
    unit: str = "us"
    format: Format | None = None
    objects: str | None = None

    def read(self, series: pd.Series) -> Read:
        """Counts of the unit."""
        if series.dtype.kind == "m":
            missing = series.isna().to_numpy(dtype=bool)
            counts = series.to_numpy().astype(f"timedelta64[{self.unit}]").astype(np.int64).astype(np.float64)
        elif self.format is not None:
            times = parse_times(series, self.format, None)
            missing = times.isna().to_numpy(dtype=bool)
            day = times.dt.normalize()
            counts = (times - day).to_numpy().astype(f"timedelta64[{self.unit}]").astype(np.int64).astype(np.float64)
        else:
            missing = series.isna().to_numpy(dtype=bool)
            counts = np.array([_micros(t) if isinstance(t, datetime.time) else 0.0 for t in series])
        return np.where(missing, 0.0, counts), missing

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        """Durations or times of day."""
        counts = np.rint(values).astype(np.int64)
        if self.objects is not None or self.format is not None:
            times = np.where(missing, np.datetime64("NaT"), counts.astype(f"datetime64[{self.unit}]"))
            if self.format is not None:
                return write_times(times, self.format, self.dtype)
            cells = [
                None if np.isnat(t) else t.astype(datetime.datetime).time() for t in times.astype("datetime64[us]")
            ]
            return pd.Series(cells, dtype=object)
        spans = np.where(missing, np.timedelta64("NaT"), counts.astype(f"timedelta64[{self.unit}]"))
        return pd.Series(spans).astype(make_dtype(self.dtype))

    def parse(self, text: Any) -> tuple[float, float]:
        """A duration such as ``3 days`` or ``02:30:00``; a number counts seconds."""
        span: Any = pd.Timedelta(float(text), "s") if _is_number(text) else pd.Timedelta(_full_clock(text))
        if span is pd.NaT:
            raise ValueError(text)
        value = float(span.to_timedelta64().astype("timedelta64[ns]").astype(np.int64)) / 10 ** _FINER[self.unit]
        return value, value

    def show(self, value: Any) -> str:
        """As Python writes durations."""
        micros = int(value) * 10 ** _FINER[self.unit] // 1000
        return str(datetime.timedelta(microseconds=micros))


_FINER = {"s": 9, "ms": 6, "us": 3, "ns": 0}
LOOKS: dict[str, type[Look]] = {look.kind: look for look in (NumberLook, NameLook, TimeLook, SpanLook)}


def look_from_json(data: Any, where: str) -> Look:
    """Inverse of :meth:`Look.to_json`.

    Raises:
        DataError: An unknown kind or data type, or a key that is missing.
    """
    from aegan.data.table_whole import WholeLook
    from aegan.data.table_written import WrittenLook, writing_from_json

    try:
        options = dict(data)
        name = options.pop("look")
        if name == WrittenLook.kind:
            options["writing"] = writing_from_json(options["writing"])
        kind = (LOOKS | {look.kind: look for look in (WholeLook, WrittenLook)})[name]
        if isinstance(options.get("format"), Mapping):
            options["format"] = Format(**options["format"])
        if isinstance(options.get("categories"), list):
            options["categories"] = tuple(options["categories"])
        if options.get("unit", "us") not in _FINER:
            raise ValueError(f"unit {options['unit']!r}")
        look = kind(**options)
        make_dtype(look.dtype)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise DataError(f"{where}: {error!r}; the file is damaged, or from another version.") from error
    return look


def plain_cells(values: np.ndarray, *, as_boolean: bool = False) -> np.ndarray:
    """NumPy scalars as Python's own; what JSON cannot hold as text, bytes as what they say in UTF-8."""
    out = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        plain = value.item() if isinstance(value, np.generic) else value
        plain = plain.decode("utf-8", "replace") if isinstance(plain, bytes) else plain
        out[i] = bool(plain) if as_boolean else plain if isinstance(plain, (str, bool, int, float)) else str(plain)
    return out


def _localised(series: pd.Series, zone: str) -> pd.Series:
    return series.dt.tz_localize(zone, ambiguous=np.ones(len(series), dtype=bool), nonexistent="shift_forward")


def _date(value: Any) -> Any:
    return value.date() if isinstance(value, datetime.datetime) else value


def _micros(time: datetime.time) -> float:
    return ((time.hour * 60 + time.minute) * 60 + time.second) * 1e6 + time.microsecond


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True


def _full_clock(text: Any) -> Any:
    return f"{text}:00" if isinstance(text, str) and text.count(":") == 1 else text
