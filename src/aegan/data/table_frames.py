"""What pandas returns in many types, said in one."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa


def column_of(frame: pd.DataFrame, name: Any) -> pd.Series:
    """One column of a frame whose names are unique."""
    return cast(pd.Series, frame[name])


def dtype_name(series: pd.Series) -> str:
    """Name of the data type, from which pandas makes the same again; ``object`` where there is none, as for lists."""
    dtype = series.dtype
    if isinstance(dtype, pd.StringDtype) and dtype.na_value is pd.NA:
        return f"string[{dtype.storage}]"
    if isinstance(dtype, pd.ArrowDtype) and str(dtype) == "string[pyarrow]":
        return "arrow:string"
    if isinstance(dtype, pd.ArrowDtype):
        try:
            make_dtype(str(dtype))
        except (TypeError, ValueError, NotImplementedError):
            return "object"
    return str(dtype)


def make_dtype(name: str) -> Any:
    """The data type of that name.

    Raises:
        TypeError: There is none.
    """
    if name == "str":
        return pd.StringDtype(na_value=np.nan)
    if name == "arrow:string":
        return pd.ArrowDtype(pa.string())
    return pd.api.types.pandas_dtype(name)


def to_numbers(series: pd.Series) -> pd.Series:
    """Numbers; what is none is missing."""
    return cast(pd.Series, pd.to_numeric(series, errors="coerce"))
