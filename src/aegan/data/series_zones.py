"""Time stamps written as text with offsets that change, as summer time changes them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from aegan.data.series_time import Clock
from aegan.data.table_looks import TimeLook
from aegan.data.zones import OFFSET, zone_of
from aegan.errors import AeganWarning

_PROBE = 500


def offsets_of(stamps: pd.Series) -> pd.Series | None:
    """The offset that each text ends with; None where they are no texts, or some have none.

    >>> offsets_of(pd.Series(["2024-03-30 12:00+01:00", "2024-03-31 12:00+02:00"])).tolist()
    ['+01:00', '+02:00']
    """
    if pd.api.types.infer_dtype(stamps, skipna=True) != "string":
        return None
    offsets = stamps.astype(str).str.extract(OFFSET, expand=False).str.strip()
    return None if offsets.isna().any() else offsets


def changes_offset(stamps: pd.Series) -> bool:
    """Whether these are texts of time stamps with several offsets."""
    offsets = offsets_of(stamps)
    return offsets is not None and offsets.nunique() > 1


def in_zone(stamps: pd.Series, clock: Clock | None, name: str) -> pd.Series:
    """Texts with several offsets as times of the zone that has these offsets at these times; all others as they are.

    Args:
        stamps: A column of time stamps.
        clock: That of the fitted source; texts become times of its zone where its stamps are no texts. None: the zone
            is found out.
        name: The source, for messages.
    """
    if clock is not None:
        look, text = clock.look, pd.api.types.infer_dtype(stamps, skipna=True) == "string"
        if not text or not isinstance(look, TimeLook) or look.format is not None or look.objects is not None:
            return stamps
        if look.zone is None:
            return pd.to_datetime(stamps, errors="coerce")
        if stamps.astype(str).str.extract(OFFSET, expand=False).isna().all():
            return pd.to_datetime(stamps, errors="coerce")  # read in the zone later
        return pd.to_datetime(stamps, utc=True, errors="coerce").dt.tz_convert(look.zone)
    if not changes_offset(stamps):
        return stamps
    zone = _zone_of(stamps, name)
    times = pd.to_datetime(stamps, utc=True, errors="coerce")
    return times if times.isna().any() else times.dt.tz_convert(zone)


def _zone_of(stamps: pd.Series, name: str) -> str:
    """A zone whose clocks show the offsets that are written; UTC, and a warning, where there is none."""
    every = offsets_of(stamps)
    assert every is not None
    spread = np.linspace(0, len(stamps) - 1, min(_PROBE, len(stamps))).astype(int)
    changes = np.flatnonzero((every != every.shift()).to_numpy())[:_PROBE]
    rows = np.unique(np.concatenate([spread, changes, np.maximum(changes - 1, 0)]))
    probe, offsets = stamps.iloc[rows], every.iloc[rows]
    if (zone := zone_of(probe, offsets)) is not None:
        return zone
    warnings.warn(
        f"{name}: the offsets of the time stamps ({', '.join(offsets.unique()[:4])}) are those of no one time zone; "
        "the stamps are taken, and written, in UTC.",
        AeganWarning,
        stacklevel=2,
    )
    return "UTC"
