"""The time zone whose clocks show the offsets that are written behind times."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from typing import Any

import pandas as pd

from aegan.errors import DataError

OFFSET = r"\d\d:\d\d(?::\d\d(?:\.\d+)?)?( ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))$"
"""What stands behind a time of day; the first group is the offset with the space before it."""
_USUAL = ("Europe/Berlin", "Europe/London", "Europe/Helsinki", "America/New_York", "America/Chicago", "America/Denver",
          "America/Los_Angeles", "Australia/Sydney")  # fmt: skip
"""Tried first: many zones have the same offsets, and of those a well-known name is better."""


def zone_of(texts: pd.Series, offsets: pd.Series) -> str | None:
    """A zone in which ``texts`` have the ``offsets`` that they end with; None where there is none.

    >>> zone_of(pd.Series(["2024-03-30 12:00+01:00", "2024-03-31 12:00+02:00"]), pd.Series(["+01:00", "+02:00"]))
    'Europe/Berlin'
    """
    times = pd.DatetimeIndex(pd.to_datetime(texts, utc=True, errors="coerce", format="mixed"))
    plain = [text.removesuffix(offset).strip() for text, offset in zip(texts, offsets, strict=True)]
    written = pd.DatetimeIndex(pd.to_datetime(plain, errors="coerce", format="mixed"))
    for zone in (*_USUAL, *sorted(one for one in zoneinfo.available_timezones() if "/" in one)):
        if times.tz_convert(zone).tz_localize(None).equals(written):
            return zone
    return None


def zone_name(zone: datetime.tzinfo, column: Any) -> str:
    """A name by which pandas finds the zone again: of libraries whose zones have none, the offset or the place.

    Raises:
        DataError: There is no such name.

    >>> zone_name(datetime.timezone(datetime.timedelta(hours=-3), "BRT"), "when")
    'UTC-03:00'
    """
    offset, place = zone.utcoffset(None), re.search(r"zoneinfo/([\w/+-]+)", str(zone))
    names = [str(zone)]
    names += [] if offset is None else [str(datetime.timezone(offset))]
    names += [] if place is None else [place.group(1)]
    for name in names:
        try:
            pd.Timestamp(0, tz=name)
        except (KeyError, ValueError, OSError):  # of pytz and of zoneinfo
            continue
        return name
    raise DataError(
        f"column {column!r}: times of the zone {zone}, which has no name; one such as Europe/Berlin expected. "
        f"Convert them: frame[{column!r}].dt.tz_convert('UTC')."
    )
