"""What every source of series becomes: one set of series with their times, classes and static attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.series_form import SeriesForm
from aegan.data.series_time import Clock
from aegan.errors import DataError


@dataclass(kw_only=True)
class SeriesSet:
    """Series as they are, before any scaling; also what is returned for ``.ts`` and ``.arff`` files.

    Attributes:
        values: One float64 array ``(T_i, C)`` a series, NaN where missing; lengths may differ.
        channels: Names of the channels.
        name: The source, for messages.
        form: How the source looked, so that others can be made to look alike.
        times: Counts of the time stamps of each series; None without time.
        clock: What these counts mean.
        labels: Class names: an object array of one entry a series, or of one a step where they change; None without.
        ids: Names of the series ``(N,)``; None where they have none.
        static: One row of attributes a series; None without.
        rows: Row of the source that each step of each series comes from, a half more for steps that were put in behind
            one; None where the source's order is that of the series.
        unused: Columns of the source that are nothing of a series.
    """

    values: list[np.ndarray]
    channels: tuple[str, ...]
    name: str
    form: SeriesForm
    times: list[np.ndarray] | None = None
    clock: Clock | None = None
    labels: list[np.ndarray] | None = None
    ids: pd.Series | None = None
    static: pd.DataFrame | None = field(default=None)
    rows: list[np.ndarray] | None = None
    unused: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def lengths(self) -> list[int]:
        """Steps of each series."""
        return [len(one) for one in self.values]

    @property
    def classes(self) -> list[Any] | None:
        """The class of each series, where it does not change within one; None without."""
        return None if self.labels is None else [one[0] for one in self.labels]

    def which(self, i: int) -> str:
        """Series ``i`` in words, for messages."""
        if self.ids is not None:
            return f"series {plain_name(self.ids.iloc[i])!r}"
        return "the series" if len(self) == 1 else f"series {i + 1}"

    def check(self) -> SeriesSet:
        """The set itself, if it can be learnt from or encoded.

        Raises:
            DataError: No series, a series without steps, or infinite values.
        """
        if not self.values or not self.channels:
            what = "no series" if not self.values else "no channel: no column of numbers"
            raise DataError(f"{self.name}: {what}; expected at least one series of at least one channel.")
        for i, one in enumerate(self.values):
            if len(one) == 0:
                raise DataError(f"{self.name}: {self.which(i)} has no steps. Leave it out.")
            if np.isinf(one).any():
                step, channel = np.argwhere(np.isinf(one))[0]
                raise DataError(
                    f"{self.name}: {self.which(i)} holds an infinite value at step {step + 1} of channel "
                    f"{self.channels[channel]!r}; expected finite numbers. Mend it, or make it missing (NaN)."
                )
        return self


def plain_name(value: Any) -> Any:
    """A NumPy scalar as Python's own, as people read it."""
    return value.item() if isinstance(value, np.generic) else value
