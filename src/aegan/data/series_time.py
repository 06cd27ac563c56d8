"""The clock of a series: time stamps as counts, the step between them, and how they go on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.table_looks import Look, TimeLook, look_from_json, within
from aegan.errors import AeganWarning, ConfigError, DataError

COVERED = 0.8
"""Least part of a regular grid's stamps that have to be there for time to count as regular."""
CALENDARS = ("B", "MS", "ME", "QS", "QE", "YS", "YE", "BMS", "BME")
"""Regular calendars without a constant step, as pandas names them; tried in this order."""
_MONTHS = tuple("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split())
MONTHLY = (
    *(f"{months} months" for months in (1, 2, 3, 4, 6, 12)),
    *(f"QE-{month}" for month in _MONTHS[9:11]),
    *(f"YE-{month}" for month in _MONTHS[:11]),
)
"""Further calendars of months, tried after them: so many months on the same day, and the ends of other years."""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time stamps of a data set.

    Attributes:
        look: How a stamp is written, and its plain counts.
        utc: Whether counts are those of UTC; otherwise of the local clock, where there is a time zone.
        step: Constant step in counts; None where there is none.
        freq: Name of a calendar such as ``"MS"`` or ``"3 months"``; None where there is none.
        start: Count of the most frequent first stamp.
        end: Count of the last stamp.
        gap: Median gap between stamps in counts, above 0.
        least: Smallest gap.
        grain: What all gaps are multiples of; 0 where they are no whole counts.
        day: Of calendars of months, the day of the month that shorter months have not; 0 where unknown.
    """

    look: Look
    utc: bool = False
    step: float | None = None
    freq: str | None = None
    start: float = 0
    end: float = 0
    gap: float = 1
    least: float = 1
    grain: float = 0
    day: int = 0

    @property
    def regular(self) -> bool:
        """Whether stamps follow from the first one."""
        return self.step is not None or self.freq is not None

    def describe(self) -> str:
        """The step in words."""
        if self.freq is not None:
            return f"calendar {self.freq}"
        if self.step is None:
            return "irregular"
        return f"a step every {self.span(self.step)}"

    def span(self, counts: float) -> str:
        """So many counts in words."""
        if isinstance(self.look, TimeLook):
            return str(pd.Timedelta(int(counts), self.look.unit)).removesuffix(" 00:00:00").replace("0 days ", "")  # pyright: ignore[reportArgumentType]
        return f"{counts:g}"

    def show(self, count: float) -> str:
        """A stamp as people write it."""
        return self.look.show(count)

    def grid(self, start: float, n: int) -> np.ndarray:
        """``n`` regular stamps from ``start`` on, as counts."""
        if self.freq is not None and self.freq.endswith(" months"):
            return self._months(int(start), np.arange(n) * int(self.freq.split()[0]))
        if self.freq is not None:
            unit = _unit(self.look)
            first = pd.Timestamp(int(start), unit=unit).as_unit(unit)
            try:
                stamps = pd.date_range(first, periods=n, freq=_offset(self.freq), unit=unit)  # pyright: ignore
            except pd.errors.OutOfBoundsDatetime as error:
                raise ConfigError(
                    f"{n} steps of {self.freq!r} behind {self.show(start)}: {error}. Ask for fewer of them: --num, "
                    "--steps (Python: num, steps)."
                ) from None
            return stamps.to_numpy().astype(f"datetime64[{unit}]").astype(np.int64)
        return start + np.arange(n) * (self.step if self.step is not None else self.gap)

    def after(self, count: float) -> float:
        """The stamp that follows."""
        return self.grid(count, 2)[1] if self.regular else count + self.gap

    def positions(self, times: np.ndarray) -> np.ndarray | None:
        """Place of each stamp on the regular grid that begins with the first one; None where one is off the grid."""
        if self.freq is None:
            steps = (times - times[0]) / (self.step or 1)
            places = np.rint(steps).astype(np.int64)
            return places if np.allclose(steps, places, atol=0.01, rtol=0) else None
        unit = _unit(self.look)
        stamps = pd.DatetimeIndex(times.astype(f"datetime64[{unit}]"))
        if self.freq.endswith(" months"):
            months = stamps.to_numpy().astype("datetime64[M]").astype(np.int64)
            places, rest = np.divmod(months - months[0], int(self.freq.split()[0]))
            same = np.array_equal(self._months(int(times[0]), months - months[0]), times)
            return places if same and not rest.any() else None
        places = pd.date_range(stamps[0], stamps[-1], freq=_offset(self.freq)).get_indexer(stamps)  # pyright: ignore
        return places if len(places) and places[0] == 0 and (places >= 0).all() else None

    def _months(self, start: int, later: np.ndarray) -> np.ndarray:
        """Counts of the stamps so many months after ``start``, on the same day or, in shorter months, the last one."""
        first: Any = np.array(start).astype(f"datetime64[{_unit(self.look)}]")
        month = first.astype("datetime64[M]") + later
        on, ends = int(_day(first)), int(_day((first.astype("datetime64[M]") + 1).astype("datetime64[D]") - 1))
        if on == ends and self.day > on:
            on = self.day  # a shorter month had moved the stamp
        last = _day((month + 1).astype("datetime64[D]") - 1)
        days = month.astype("datetime64[D]") + (np.minimum(on, last) - 1)
        of_day = first - first.astype("datetime64[D]")
        return (days + of_day).astype(first.dtype).astype(np.int64)

    def write(self, counts: np.ndarray) -> pd.Series:
        """Counts as stamps in the column's own type or format."""
        if isinstance(self.look, TimeLook):
            counts = np.rint(counts).astype(np.int64)
            if self.utc and self.look.zone is not None:
                stamps = pd.Series(counts.astype(f"datetime64[{self.look.unit}]"))
                stamps = stamps.dt.tz_localize("UTC").dt.tz_convert(self.look.zone)
                return stamps.astype(within(stamps, self.look.dtype))  # pyright: ignore
        return self.look.write(counts, np.zeros(len(counts), dtype=bool))

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return {name: value for name, value in asdict(self).items() if name != "look"} | {"look": self.look.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Clock:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: A key is missing or unknown.
        """
        try:
            values = dict(data)
            return cls(look=look_from_json(values.pop("look"), "adapter clock"), **values)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"adapter clock: {error!r}; the file is damaged, or from another version.") from error


def _offset(freq: str) -> Any:
    """A calendar as pandas takes it."""
    return pd.DateOffset(months=int(freq.split()[0])) if freq.endswith(" months") else freq


def _day(stamps: Any) -> Any:
    """Day of the month, from 1."""
    months = stamps.astype("datetime64[M]").astype("datetime64[D]")
    return (stamps.astype("datetime64[D]") - months).astype(np.int64) + 1


def _unit(look: Look) -> str:
    return look.unit if isinstance(look, TimeLook) else "us"


def read_stamps(series: pd.Series, look: Look, utc: bool) -> tuple[np.ndarray, np.ndarray]:
    """Counts ``(N,)`` of a column of stamps, and which are missing."""
    if utc and isinstance(look, TimeLook):
        if look.zone is not None and str(series.dtype).startswith("datetime64") and series.dt.tz is None:
            series = _localised(series, look.zone)
        if isinstance(series.dtype, pd.DatetimeTZDtype):
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    return look.read(series)


def _localised(series: pd.Series, zone: str) -> pd.Series:
    """Stamps without a zone as what the clocks of a zone show; of an hour that comes twice the order tells which."""
    try:
        return series.dt.tz_localize(zone, ambiguous="infer", nonexistent="shift_forward")
    except ValueError:  # no order to tell by
        return series.dt.tz_localize(zone, ambiguous=np.ones(len(series), dtype=bool), nonexistent="shift_forward")


def prefers_utc(series: pd.Series, look: Look) -> bool:
    """Whether a column with a zone is better counted in UTC: its steps are shorter than a day, or even there alone."""
    if not isinstance(look, TimeLook) or not isinstance(series.dtype, pd.DatetimeTZDtype):
        return False
    counts, missing = read_stamps(series, look, True)
    gaps = np.diff(np.unique(counts[~missing]))
    if not len(gaps) or float(np.median(gaps)) < look.day:
        return bool(len(gaps))
    local, absent = look.read(series)
    return len(np.unique(gaps)) == 1 < len(np.unique(np.diff(np.unique(local[~absent]))))


def learn_clock(look: Look, times: Sequence[np.ndarray], *, utc: bool, name: str) -> Clock:
    """The clock that sorted stamps of several series follow.

    Time is regular when every stamp lies on a grid of one constant step, or of a calendar (business days, month
    starts, …), of which at least four fifths are there. Otherwise it is irregular.

    Args:
        look: How stamps are written.
        times: Counts of each series, sorted, without duplicates.
        utc: What counts count.
        name: The source, for messages.
    """
    gaps = np.concatenate([np.diff(one) for one in times]) if times else np.empty(0)
    firsts, counts = np.unique([one[0] for one in times], return_counts=True)
    about: dict[str, Any] = {
        "look": look,
        "utc": utc,
        "start": firsts[np.argmax(counts)].item(),
        "end": max(one[-1] for one in times).item(),
    }
    if len(gaps) == 0:
        return Clock(**about, step=1.0)
    about |= {"gap": float(np.median(gaps)), "least": float(gaps.min())}
    if gaps.dtype.kind == "i":
        about["grain"] = int(np.gcd.reduce(gaps))
    tried = [Clock(**about, step=step.item()) for step in (gaps.min(), np.median(gaps))]
    if isinstance(look, TimeLook) and np.median(gaps) >= look.day:
        tried += [Clock(**about, freq=freq) for freq in CALENDARS]
        if np.median(gaps) >= 28 * look.day:
            latest = int(_day(np.concatenate(times).astype(f"datetime64[{look.unit}]")).max())
            tried += [Clock(**about, freq=freq, day=latest) for freq in MONTHLY]
    for clock in tried:
        if _covered(clock, times) >= COVERED:
            return clock
    _say_mixed(Clock(**about), gaps, name)
    return Clock(**about)


def _covered(clock: Clock, times: Sequence[np.ndarray]) -> float:
    there, whole = 0, 0
    for one in times:
        places = clock.positions(one)
        if places is None or len(np.unique(places)) < len(places):
            return 0.0
        there, whole = there + len(one), whole + int(places[-1]) + 1
    return there / whole


def _say_mixed(clock: Clock, gaps: np.ndarray, name: str) -> None:
    """Warn when a few steps make up the gaps, as they do where series of several frequencies were joined."""
    steps, counts = np.unique(gaps, return_counts=True)
    order = np.argsort(-counts)[:2]
    if len(steps) > 1 and counts[order].min() >= 0.05 * len(gaps) and counts[order].sum() >= 0.8 * len(gaps):
        shown = " and ".join(f"{clock.span(float(steps[i]))} ({counts[i] / len(gaps):.0%})" for i in order)
        warnings.warn(
            f"{name}: mixed frequencies: steps of {shown}. The gap between stamps becomes a channel of its own. To "
            "have one frequency, resample first, as frame.resample('1h').mean() does.",
            AeganWarning,
            stacklevel=2,
        )
