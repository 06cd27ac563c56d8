"""The record that verdicts are made from: named values over steps, read smoothed, never by a single step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SMOOTH = 5
"""Values in the running median that every rule reads."""
LEAST = 4
"""Values of a statistic at least before a rule says anything about it."""
LIMIT = 4000
"""Looks that are kept; beyond, every second one of the older half is dropped."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was measured at one step.

    Attributes:
        step: Steps done.
        stage: Name of the stage; empty in a loop without stages.
        values: Statistics by name, ``network/statistic``.
        layers: Gradient over weight of each layer, by network.
        spectrum: Singular values of the generator's Jacobian, largest first; empty where not taken.
        notes: Exact places, such as of a NaN, by name.
    """

    step: int
    stage: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    layers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    spectrum: tuple[float, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values of six digits; values that are not finite are left out."""
        return {
            "step": self.step,
            "stage": self.stage,
            "values": _rounded(self.values),
            "layers": {name: _rounded(found) for name, found in self.layers.items()},
            "spectrum": list(_rounded(dict(enumerate(self.spectrum))).values()),
            "notes": dict(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Look:
        """Inverse of :meth:`to_json`; what is missing or of a wrong type is left out."""
        spectrum = data.get("spectrum")
        spectrum = spectrum if isinstance(spectrum, list) else []
        return cls(
            step=whole(data.get("step")),
            stage=str(data.get("stage") or ""),
            values=_numbers(data.get("values")),
            layers={str(k): _numbers(v) for k, v in _mapping(data.get("layers")).items()},
            spectrum=tuple(_numbers(dict(enumerate(spectrum))).values()),
            notes={str(k): str(v) for k, v in _mapping(data.get("notes")).items()},
        )


class Stretch(NamedTuple):
    """The last unbroken stretch of a smoothed statistic on the wrong side of a threshold, up to the end.

    Attributes:
        since: Step at which it began.
        looks: Values in it.
        value: Median over it.
    """

    since: int
    looks: int
    value: float


class History:
    """Looks in order of steps.

    Args:
        looks: In order.
        limit: Most looks kept.
    """

    def __init__(self, looks: Iterable[Look] = (), *, limit: int = LIMIT) -> None:
        self.looks = list(looks)
        self.limit = limit
        self._series: dict[str, list[tuple[int, float]]] = {}
        for look in self.looks:
            self._index(look)

    def add(self, look: Look) -> None:
        """Append one look."""
        self.looks.append(look)
        self._index(look)
        if len(self.looks) > self.limit:
            half = len(self.looks) // 2
            older = [x for i, x in enumerate(self.looks[:half]) if i % 2 == 0 or x.notes]
            self.looks = older + self.looks[half:]
            self._series = {}
            for kept in self.looks:
                self._index(kept)

    @property
    def stages(self) -> list[str]:
        """Names of the stages, in order."""
        return list(dict.fromkeys(look.stage for look in self.looks))

    def of(self, stage: str) -> History:
        """The looks of one stage."""
        return History((x for x in self.looks if x.stage == stage), limit=self.limit)

    @property
    def names(self) -> list[str]:
        """Names of all statistics, in order of their first value."""
        return list(self._series)

    def networks(self, statistic: str) -> list[str]:
        """Networks that have this statistic, in order."""
        return [name.rpartition("/")[0] for name in self._series if name.rpartition("/")[2] == statistic]

    def points(self, name: str) -> list[tuple[int, float]]:
        """Steps and finite values of a statistic."""
        return self._series.get(name, [])

    def smoothed(self, name: str, width: int = SMOOTH) -> list[tuple[int, float]]:
        """Steps and the running median of the last ``width`` values; nothing below :data:`LEAST` values."""
        points = self.points(name)
        if len(points) < LEAST:
            return []
        values = [value for _, value in points]
        return [
            (step, median(values[max(0, i - width + 1) : i + 1]))
            for i, (step, _) in enumerate(points)
            if i + 1 >= min(LEAST, width)
        ]

    def recent(self, name: str, part: float = 0.25) -> float | None:
        """Median of the last ``part`` of a statistic's values, of at least :data:`SMOOTH`; None with too few."""
        points = self.points(name)
        if len(points) < LEAST:
            return None
        return median([value for _, value in points[-max(SMOOTH, math.ceil(part * len(points))) :]])

    def early(self, name: str) -> float | None:
        """Median of a statistic's first :data:`SMOOTH` values; None with too few."""
        points = self.points(name)
        return median([value for _, value in points[:SMOOTH]]) if len(points) >= LEAST else None

    def stretch(self, name: str, wrong: Callable[[float], bool]) -> Stretch | None:
        """The stretch up to the end in which the running median is ``wrong``; None where the end is fine."""
        inside: list[tuple[int, float]] = []
        for step, value in reversed(self.smoothed(name)):
            if not wrong(value):
                break
            inside.append((step, value))
        if not inside:
            return None
        # The median turns some values late: the step at which the values themselves turned is nearer to the truth.
        since = inside[-1][0]
        for step, value in reversed([p for p in self.points(name) if p[0] <= since]):
            if not wrong(value):
                break
            since = step
        return Stretch(since, len(inside), median([value for _, value in inside]))

    def first_note(self, name: str) -> tuple[int, str] | None:
        """Step and text of the first note of this name."""
        return next(((x.step, x.notes[name]) for x in self.looks if name in x.notes), None)

    def _index(self, look: Look) -> None:
        for name, value in look.values.items():
            if math.isfinite(value):
                self._series.setdefault(name, []).append((look.step, value))


def median(values: list[float]) -> float:
    """Median of at least one value.

    >>> median([3.0, 1.0, 2.0]), median([1.0, 2.0])
    (2.0, 1.5)
    """
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else 0.5 * (ordered[middle - 1] + ordered[middle])


def whole(value: Any) -> int:
    """A number of steps; 0 for what is none.

    >>> whole(3), whole("abc"), whole(float("inf")), whole(None)
    (3, 0, 0, 0)
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if number and math.isfinite(value) else 0


def _rounded(values: Mapping[Any, float]) -> dict[Any, float]:
    return {k: float(f"{v:.6g}") for k, v in values.items() if math.isfinite(v)}


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _numbers(value: Any) -> dict[str, float]:
    return {
        str(k): float(v) for k, v in _mapping(value).items() if isinstance(v, int | float) and not isinstance(v, bool)
    }
