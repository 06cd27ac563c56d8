"""Whole numbers that floats do not tell apart."""

from __future__ import annotations

import decimal
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from aegan.data.table_frames import dtype_name, to_numbers
from aegan.data.table_integers import cut
from aegan.data.table_looks import NumberLook, Read

BEYOND = 2**53
"""Up to here floats hold every whole number."""


@dataclass(frozen=True, kw_only=True)
class WholeLook(NumberLook):
    """Whole numbers as integers of 64 bits."""

    kind: ClassVar[str] = "whole"

    @property
    def plain(self) -> np.dtype[Any]:
        """Type of the plain values."""
        return np.dtype(np.uint64 if self.dtype.lower().startswith("uint") else np.int64)

    def read(self, series: pd.Series) -> Read:
        """The numbers; what is no finite number is missing, what is no whole one rounded."""
        if series.dtype.kind not in "iu":
            exact = as_integers(series)
            series = to_numbers(series) if exact is None else exact
        missing = series.isna().to_numpy(dtype=bool)
        if series.dtype.kind in "iu":
            numbers = series.fillna(0).to_numpy(dtype=np.uint64 if series.dtype.kind == "u" else np.int64)
            if numbers.dtype.kind != self.plain.kind:  # beyond the type's end its nearest
                numbers = np.minimum(numbers, 2**63 - 1) if numbers.dtype.kind == "u" else np.maximum(numbers, 0)
            return numbers.astype(self.plain), missing
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        missing = ~np.isfinite(values)
        return cut(np.where(missing, 0.0, values), self.plain), missing

    def parse(self, text: Any) -> tuple[int, int]:
        """The whole numbers from and up to one number, which are the same where that is one."""
        try:
            value = decimal.Decimal(str(text).strip())
        except decimal.InvalidOperation as error:
            raise ValueError(text) from error
        if not value.is_finite():
            raise ValueError(text)
        return math.ceil(value), math.floor(value)

    def show(self, value: Any) -> str:
        """All digits."""
        return str(int(value))


def whole_look(series: pd.Series) -> WholeLook | None:
    """The look of a series of integers that floats do not hold; None for others."""
    if series.dtype.kind not in "iu" or not _wide(series):
        return None
    return WholeLook(dtype=dtype_name(series), decimals=0)


def as_integers(series: pd.Series) -> pd.Series | None:
    """Python's whole numbers that floats do not hold, some missing, as integers of 64 bits; None for all else.

    >>> int(as_integers(pd.Series([2**60 + 1, None], dtype=object))[0]) - 2**60
    1
    """
    present = series.dropna()
    if series.dtype != object or not all(type(cell) in (int, np.int64) for cell in present) or not _wide(present):
        return None
    try:
        return pd.Series(pd.array(series, dtype="UInt64" if present.max() >= 2**63 else "Int64"), index=series.index)
    except (OverflowError, TypeError, ValueError):  # beyond 64 bits
        return None


def _wide(series: pd.Series) -> bool:
    present = series.dropna()
    return len(present) > 0 and (int(present.max()) > BEYOND or int(present.min()) < -BEYOND)
