"""Whole numbers in the column's own type: rounded and cut to its range, or exact and in a wider one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from aegan.data.table_frames import make_dtype


def write_integers(values: np.ndarray, missing: np.ndarray, dtype: Any) -> pd.Series:
    """Numbers as a series of a data type of integers.

    Floats are rounded, and cut to the type's range. Integers, such as new keys, are exact: where one lies beyond the
    range, all are of 64 bits.

    >>> write_integers(np.array([127, 128]), np.zeros(2, dtype=bool), np.dtype("int8")).tolist()
    [127, 128]
    >>> write_integers(np.array([127.0, 128.0]), np.zeros(2, dtype=bool), np.dtype("int8")).tolist()
    [127, 127]
    """
    if values.dtype.kind in "iu":
        dtype = _wide_enough(dtype, values)
        integers = values.astype(_plain(dtype))
    else:
        integers = cut(values, _plain(dtype))
    series = pd.Series(integers)
    if not missing.any():
        return series.astype(dtype)
    if isinstance(dtype, np.dtype):
        return series.astype("float64").mask(missing, np.nan)
    series = series.astype(dtype)
    series[missing] = None
    return series


def cut(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Floats as the nearest integers of a type."""
    bounds = np.iinfo(dtype)
    whole = np.clip(np.rint(values), float(bounds.min), float(bounds.max))
    top = whole >= float(bounds.max)  # as a float, the greatest of 64 bits is one too many
    integers = np.where(top, 0, whole).astype(dtype)
    integers[top] = bounds.max
    return integers


def _plain(dtype: Any) -> np.dtype[Any]:
    return np.dtype(getattr(dtype, "numpy_dtype", dtype))


def _wide_enough(dtype: Any, values: np.ndarray) -> Any:
    """The data type, or its like of 64 bits where a value lies beyond its range."""
    bounds = np.iinfo(_plain(dtype))
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    if bounds.min <= low and high <= bounds.max:
        return dtype
    name = "int64" if high < 2**63 else "uint64"
    if isinstance(dtype, np.dtype):
        return np.dtype(name)
    if isinstance(dtype, pd.ArrowDtype):
        return pd.ArrowDtype(pa.from_numpy_dtype(np.dtype(name)))
    return make_dtype({"int64": "Int64", "uint64": "UInt64"}[name])
