"""Dates and times written as text: finding the one format of a column, reading and writing it."""

from __future__ import annotations

import datetime
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.table_frames import make_dtype, to_numbers
from aegan.data.zones import OFFSET, zone_of

_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y", "%d-%b-%Y",
    "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%d-%b-%y", "%Y.%m.%d", "%b %d %Y",
    "%B %d %Y", "%m-%d-%y", "%d-%m-%y", "%d. %m. %Y", "%A, %B %d, %Y", "%a, %d %b %Y", "%Y%m%dT%H%M%S",
)  # fmt: skip
_MONTHS = (
    "%Y-%m", "%Y/%m", "%Y.%m", "%YM%m", "%m/%Y", "%m-%Y", "%m.%Y", "%b %Y", "%b-%Y", "%B %Y", "%Y %b", "%Y-%b", "%Y %B",
    "%b-%y", "%b %y",
)  # fmt: skip
_CLOCKS = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
_COMPACT = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_YEARS = (1800, 2200)
"""Of whole numbers that are taken as dates."""
FEWEST = 12
"""Least number of different whole numbers that show, by all being dates, that they are some."""
SHARE = 0.99
"""Least part of the texts that have to be in the format; the others become missing."""
_LOOKS_LIKE = re.compile(
    r"([A-Za-z]{3,9}, )?(\d{1,4}[-/. ]+(\d{1,2}|[A-Za-z]{3,9})[-/. ,]+\d{1,4}|[A-Za-z]{3,9} \d{1,2},? \d{4})"
    r"|\d{8}T\d{6}"
)
_LIKE_MONTHS = re.compile(
    r"\d{4}([-/.M]\d{1,2}|[- ][A-Za-z]{3,9})$|(\d{1,2}[-/.]|[A-Za-z]{3,9}[- ])\d{4}$|[A-Za-z]{3}[- ]\d\d$"
)
_OFFSET = re.compile(OFFSET)
_CLOCK_ONLY = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?$")


@dataclass(frozen=True, kw_only=True)
class Format:
    """How times are written.

    Attributes:
        pattern: For ``strftime``; without the time zone's offset, which follows where the column has one.
        padded: Whether days and months below 10 have a leading zero.
        padded_clock: Whether hours do.
        digits: Digits of a second's fraction, written for ``%f``.
        clock: Whether it is a time of day without a date.
        offset: The time zone's offset as it is written, such as ``Z`` or ``+01:00``.
        zone: Where the offset changes with summer time, the zone that says which one; ``offset`` is one of them then.
    """

    pattern: str
    padded: bool = True
    padded_clock: bool = True
    digits: int = 6
    clock: bool = False
    offset: str = ""
    zone: str = ""


def find_format(texts: pd.Series, pattern: str | None = None, *, months: bool = False) -> Format | None:
    """The one format that nearly all ``texts`` are in; None when there is none.

    Args:
        texts: Strings, none of them missing.
        pattern: One for ``strftime`` to be taken; None: the usual ones are tried.
        months: Whether months without a day, such as ``1949-01``, are dates as well.
    """
    counts = texts.astype(str).value_counts(sort=False)
    unique = pd.Series(counts.index.to_numpy(dtype=object))
    if pattern is None:
        unique = _without_odd(unique, counts.to_numpy())
    probe = unique if len(unique) <= 200 else unique.iloc[np.linspace(0, len(unique) - 1, 200).astype(int)]
    months = months and pattern is None and all(map(_LIKE_MONTHS.match, probe))
    matches = (_LIKE_MONTHS if months else _LOOKS_LIKE if pattern is None else re.compile("")).match
    clock = pattern is None and bool(np.mean([bool(_CLOCK_ONLY.match(text)) for text in probe]) >= SHARE)
    if not clock and np.mean([bool(matches(text)) for text in probe]) < SHARE:
        return None
    best, best_share = None, 0.0
    for candidate in _candidates(probe, pattern, clock, months):
        if _share(probe, candidate) < SHARE:
            continue
        share = _share(unique, candidate)
        if share >= SHARE and share > best_share:
            best, best_share = candidate, share
        if best_share == 1.0:
            break
    return best


def find_compact(numbers: pd.Series) -> Format | None:
    """The format of whole numbers that are all dates, such as 20240131; None where they are not.

    Of numbers of as many digits between the same years, about one in 27 is a date.
    """
    values = np.unique(numbers.to_numpy(dtype=np.float64))
    digits = len(str(int(values[-1]))) if len(values) >= FEWEST and np.isfinite(values).all() else 0
    if digits not in _COMPACT or (values % 1).any():
        return None
    least, most = (year * 10.0 ** (digits - 4) for year in _YEARS)
    form = Format(pattern=_COMPACT[digits])
    if values[0] < least or values[-1] >= most or _share(whole_numbers(pd.Series(values[:200])), form) < 1:
        return None
    return form if _share(whole_numbers(pd.Series(values)), form) == 1 else None


def whole_numbers(series: pd.Series) -> pd.Series:
    """Numbers as text without a point; what is no whole number is missing."""
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    cells = np.full(len(values), np.nan, dtype=object)
    good = values % 1 == 0
    cells[good] = values[good].astype(np.int64).astype(str)
    return pd.Series(cells, dtype=object)


def _without_odd(unique: pd.Series, rows: np.ndarray) -> pd.Series:
    """The distinct texts without those of very few rows that look like no date at all, such as ``unknown``."""
    if len(unique) > 50_000 or not (_LOOKS_LIKE.match(unique.iloc[0]) or _LOOKS_LIKE.match(unique.iloc[-1])):
        return unique
    good = np.array([bool(_LOOKS_LIKE.match(text)) for text in unique])
    few = rows[~good].sum() <= (1 - SHARE) * rows.sum()
    return pd.Series(unique.to_numpy(dtype=object)[good]) if few else unique


def _candidates(probe: pd.Series, pattern: str | None, clock: bool, months: bool) -> list[Format]:
    digits = max((len(found.group(1)) for text in probe if (found := re.search(r":\d{2}\.(\d+)", text))), default=6)
    found_offsets = [_OFFSET.search(text) for text in probe]
    offsets = {found.group(1) if found else "" for found in found_offsets}
    offset, zone = (offsets.pop() if len(offsets) == 1 else ""), ""
    if len(offsets) > 1 and all(re.search(r"\d$", one) for one in offsets):
        zone = zone_of(probe, pd.Series([found.group(1) for found in found_offsets if found])) or ""
        offset = max(offsets) if zone else ""
    if pattern is not None:
        patterns = [pattern]
    elif clock or months:
        patterns = list(_CLOCKS if clock else _MONTHS)
    else:
        joints = ("", *(joint + one for joint in (" ", "T") for one in _CLOCKS))
        patterns = [date + rest for date in _DATES for rest in joints if not (rest and "%H" in date)]
        timed = ":" in probe.iloc[0]
        patterns = [one for one in patterns if (":" in one) == timed]
    return [
        Format(
            pattern=one, padded=dates, padded_clock=clocks, digits=min(digits, 9), clock=clock, offset=offset, zone=zone
        )
        for one in patterns
        if _fits(probe.iloc[: min(len(probe), 3)], one, offset)
        for dates, clocks in ((True, True), (False, False), (False, True))
    ]


def _fits(texts: pd.Series, pattern: str, offset: str) -> bool:
    """Whether one of the texts is in the pattern: a quick look before all of them are read."""
    for text in texts:
        try:
            plain = text[: -len(offset)] if offset else text
            datetime.datetime.strptime(re.sub(r"(\.\d{6})\d+", r"\1", plain), pattern)
            return True
        except ValueError:
            continue
    return False


def _share(texts: pd.Series, form: Format) -> float:
    """Part of the texts that come back as they were."""
    times = parse_times(texts, form, None)
    good = times.notna().to_numpy()
    if good.mean() < SHARE:
        return 0.0
    if times.dt.tz is not None:
        times = times.dt.tz_localize(None)
    back = write_times(times.to_numpy(), form, "object")
    return float((back.to_numpy(dtype=object)[good] == texts.to_numpy(dtype=object)[good]).sum() / len(texts))


def parse_times(series: pd.Series, form: Format | None, zone: str | None) -> pd.Series:
    """Text or Python objects as datetime64, naive by the local clock; what cannot be read is missing."""
    if form is None:
        if zone is not None:
            return pd.to_datetime(series, errors="coerce", utc=True).dt.tz_convert(zone).dt.tz_localize(None)
        return pd.Series(np.array([_naive(cell) for cell in series], dtype="datetime64[us]"))
    if series.dtype.kind in "iuf":
        series = whole_numbers(series)
    codes, unique = pd.factorize(series.astype(object))
    texts = pd.Series(unique, dtype=object).astype(str)
    if form.zone:
        texts = texts.str.replace(r" ?[+-]\d\d:?\d\d$", "", regex=True)
    elif form.offset:
        texts = texts.str.removesuffix(form.offset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = pd.to_datetime(texts, format=form.pattern, errors="coerce", exact=True)
    parsed = pd.Series(parsed).reset_index(drop=True)
    if parsed.dtype.kind != "M":
        parsed = pd.Series(np.full(len(texts), np.datetime64("NaT", "ns")))
    lost = parsed.isna().to_numpy()
    if lost.any():  # far years, such as 9999 for never, are beyond what pandas reads
        far = np.array([_far(text, form.pattern) for text in texts[lost]], dtype="datetime64[us]")
        if not np.isnat(far).all():
            parsed = parsed.astype("datetime64[us]")
            parsed[lost] = far
    parsed = pd.concat([parsed, pd.Series([pd.NaT], dtype=parsed.dtype)], ignore_index=True)
    return parsed.take(np.where(codes < 0, len(unique), codes)).reset_index(drop=True)


def _naive(cell: Any) -> Any:
    """A date or time without its time zone; NaT for all else."""
    if isinstance(cell, datetime.datetime) and cell is not pd.NaT:
        return np.datetime64(cell.replace(tzinfo=None), "us")
    return np.datetime64(cell, "us") if type(cell) is datetime.date else np.datetime64("NaT", "us")


def _far(text: str, pattern: str) -> np.datetime64:
    try:
        return np.datetime64(datetime.datetime.strptime(text, pattern), "us")
    except ValueError:
        return np.datetime64("NaT", "us")


def write_times(times: np.ndarray, form: Format, dtype: str) -> pd.Series:
    """datetime64 as text; missing ones as missing."""
    codes, unique = pd.factorize(times)
    stamps = pd.Series(pd.DatetimeIndex(unique))
    offsets: pd.Series | str = form.offset
    if form.zone:
        # Of the hour that comes twice in autumn the first is meant; one that is left out in spring is the next.
        first = np.ones(len(stamps), dtype=bool)
        zoned = stamps.dt.tz_localize(form.zone, ambiguous=first, nonexistent="shift_forward")
        stamps, offsets = zoned.dt.tz_localize(None), _offsets(zoned, form.offset)
    pattern = form.pattern
    if "%f" in pattern:
        fraction = stamps.dt.nanosecond + 1000 * stamps.dt.microsecond
        digits = fraction.astype(str).str.zfill(9).str[: form.digits] if len(stamps) else stamps.astype(str)
        halves = pattern.split("%f")
        texts = stamps.dt.strftime(halves[0]) + digits + (stamps.dt.strftime(halves[1]) if halves[1] else "")
    else:
        texts = _iso(stamps, pattern)
    if not form.padded:
        hours = "(?!:)" if form.padded_clock else ""
        texts = texts.str.replace(rf"(?<![\d:])(?<!:\d\d\.)0(?=\d{hours})", "", regex=True)
    texts = (texts + offsets).astype(object)
    cells = (
        np.append(texts.to_numpy(dtype=object), np.nan)[codes] if len(texts) else np.full(len(codes), np.nan, object)
    )
    kind = make_dtype(dtype)
    if kind.kind not in "iuf":
        return pd.Series(cells, dtype=kind)
    numbers = to_numbers(pd.Series(cells))
    return numbers if isinstance(kind, np.dtype) and numbers.isna().any() else numbers.astype(kind)


def _offsets(zoned: pd.Series, like: str) -> pd.Series:
    """Offsets of times, written as ``like`` is."""
    written = zoned.dt.strftime("%z").astype(object)
    if ":" in like:
        written = written.str[:3] + ":" + written.str[3:]
    return " " + written if like.startswith(" ") else written


def _iso(stamps: pd.Series, pattern: str) -> pd.Series:
    """Like ``strftime``, but much faster for the formats of ISO 8601."""
    units = {"%Y-%m-%d": "D", "%Y-%m-%d %H:%M:%S": "s", "%Y-%m-%dT%H:%M:%S": "s", "%Y-%m-%d %H:%M": "m"}
    if pattern not in units or len(stamps) == 0:
        return stamps.dt.strftime(pattern).astype(object)
    texts = np.datetime_as_string(stamps.to_numpy().astype(f"datetime64[{units[pattern]}]"))
    series = pd.Series(texts.astype(object))
    return series if "T" in pattern or "%H" not in pattern else series.str.replace("T", " ")


def parse_timestamp(text: Any, unit: str, zone: str | None) -> tuple[int, int]:
    """First and last count of ``unit`` of the time that ``text`` means, by the clock of ``zone``."""
    if isinstance(text, str) and not re.search(r"(Z|[+-]\d{2}:?\d{2})$", text.strip()[10:]):
        period: Any = pd.Period(text.strip())
        if period is pd.NaT:
            raise ValueError(text)
        try:
            first, last = period.start_time, period.end_time
        except pd.errors.OutOfBoundsDatetime:
            first = last = pd.Timestamp(np.datetime64(text.strip(), "us"))
    else:
        first = pd.Timestamp(text)
        if first is pd.NaT:
            raise ValueError(text)
        if first.tzinfo is not None:
            first = (first.tz_convert(zone) if zone else first).tz_localize(None)
        last = first
    return tuple(int(np.datetime64(t.to_datetime64(), unit).astype(np.int64)) for t in (first, last))  # pyright: ignore
