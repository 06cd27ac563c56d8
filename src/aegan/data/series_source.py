"""Whatever a user calls series, opened as one :class:`~aegan.data.series_set.SeriesSet`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from torch import Tensor

from aegan.data.series_files import read_arff, read_ts
from aegan.data.series_form import SeriesForm
from aegan.data.series_frames import class_texts, set_from_frame, without_tail
from aegan.data.series_roles import Roles
from aegan.data.series_set import SeriesSet
from aegan.data.series_stamps import tells_time
from aegan.data.series_time import Clock
from aegan.data.table_detect import decimals_of
from aegan.data.table_looks import NumberLook
from aegan.data.table_source import open_table
from aegan.errors import AeganWarning, ConfigError, DataError

READABLE = (
    "a frame with a DatetimeIndex or a time column, an array (N, T, C), (N, T) or (T,), a list of arrays (T, C), a "
    "pair (arrays, labels), or a path to .csv, .tsv, .parquet, .xlsx, .ts, .arff, .npy or .npz"
)
LAYOUTS = ("auto", "long", "wide")


def open_series(
    source: Any,
    roles: Roles | None = None,
    *,
    fitted: SeriesForm | None = None,
    clock: Clock | None = None,
) -> SeriesSet:
    """Open series, wherever they are.

    * **Frames** (pandas, polars, dict of columns) and **tables on disk** (text, Parquet, Excel, database; see
      :func:`~aegan.data.table_source.open_table`): one long series, or several in long form with ``roles.id``. Time is
      the DatetimeIndex, or the first column of dates. With ``roles.layout`` ``"wide"`` a row is a series.
    * **Arrays** and tensors ``(N, T, C)``, or ``(N, T)`` with one channel; ``(T,)`` is one long series, and so is
      ``(T, C)`` with ``roles.layout`` ``"long"``. Steps at the end that hold nothing but NaN do not count.
    * **Lists** of arrays ``(T, C)`` or ``(T,)`` of differing length; **.npy**, and **.npz** with ``x`` and ``y``.
    * **.ts** and **.arff** files.
    * ``(arrays, labels)``, labels being integers or strings.

    Args:
        source: One of these, or a ``SeriesSet``, which is returned as it is.
        roles: What the columns of a frame are.
        fitted: Form of the source an adapter was fitted on; takes the place of ``roles`` and of finding out.
        clock: Clock of that source.

    Raises:
        DataError: No such path, empty, not series, or something wrong in them.
        ConfigError: Roles that do not fit.
    """
    if isinstance(source, SeriesSet):
        return source.check()
    roles = roles or Roles()
    if roles.layout not in LAYOUTS:
        raise ConfigError(f"layout is {roles.layout!r}; expected one of {', '.join(LAYOUTS)}.")
    if isinstance(source, (str, os.PathLike)) and not (isinstance(source, str) and "://" in source):
        path = Path(source).expanduser()
        if path.suffix.lower() in (".ts", ".arff") and path.is_file():
            return _from_file(path)
        if path.suffix.lower() in (".npy", ".npz") and path.is_file():
            return _from_numpy(path, roles)
        if path.suffix.lower() in (".parquet", ".pq") and path.is_file() and (frame := _indexed(path)) is not None:
            return _from_pandas(frame, roles, str(path), fitted, clock)
    if isinstance(source, tuple) and len(source) == 2 and not isinstance(source[0], (int, float)):
        return _with_labels(open_series(source[0], roles), source[1])
    if isinstance(source, Tensor):
        return _from_array(source.detach().cpu().numpy(), roles, "tensor", container="torch")
    if isinstance(source, np.ndarray):
        return _from_array(source, roles, "array")
    if isinstance(source, (list, tuple)):
        return _from_list(source, "list")
    if isinstance(source, pd.DataFrame):
        return _from_pandas(source, roles, "frame", fitted, clock)
    if isinstance(source, pd.Series):
        return _from_pandas(source.to_frame(source.name or "value"), roles, "series", fitted, clock)
    try:
        opened = open_table(source, index="index")
    except DataError as error:
        if "cannot read a table" in str(error):
            kind = f"{type(source).__module__}.{type(source).__name__}"
            raise DataError(f"cannot read series from {kind}; expected {READABLE}.") from None
        raise
    return set_from_frame(opened.frame(), opened.form, roles, opened.name, fitted=fitted is not None, clock=clock)


def _indexed(path: Path) -> pd.DataFrame | None:
    """A Parquet file with an index, which a table has not, as a frame; None where it has none."""
    try:
        schema = pq.ParquetFile(path).schema_arrow
    except Exception:  # whatever is wrong, open_table says it better
        return None
    stored = (schema.pandas_metadata or {}).get("index_columns", [])
    return pd.read_parquet(path) if any(isinstance(one, str) for one in stored) else None


def _from_pandas(
    frame: pd.DataFrame, roles: Roles, name: str, fitted: SeriesForm | None, clock: Clock | None
) -> SeriesSet:
    frame = _with_index(frame, roles, name)
    index = frame.index if isinstance(frame.index, (pd.DatetimeIndex, pd.PeriodIndex)) else None
    if len(frame) == 0:
        raise DataError(f"{name}: no rows; expected the steps of at least one series.")
    opened = open_table(frame)
    return set_from_frame(opened.frame(), opened.form, roles, name, index=index, fitted=fitted is not None, clock=clock)


def _with_index(frame: pd.DataFrame, roles: Roles, name: str) -> pd.DataFrame:
    """The frame with an index that says something as columns: a named role, or dates that are no DatetimeIndex."""
    index = frame.index
    if isinstance(index, pd.MultiIndex):
        return frame.reset_index()
    if isinstance(index, (pd.DatetimeIndex, pd.PeriodIndex)):
        return frame
    called = "index" if index.name is None else str(index.name)
    if called in frame.columns:
        return frame
    roles_named = {roles.id, roles.time, roles.label, *(roles.static or ()), *(roles.channels or ())}
    if called in roles_named or (len(index) and tells_time(pd.Series(index))):
        return frame.reset_index(names=called)
    if isinstance(index, pd.TimedeltaIndex):
        warnings.warn(
            f"{name}: the index holds spans of time and is left out; steps are taken as they come. Add it to a date, "
            "or make it a column of numbers: frame.index.total_seconds().",
            AeganWarning,
            stacklevel=3,
        )
    return frame


def _from_array(array: np.ndarray, roles: Roles, name: str, container: str = "array") -> SeriesSet:
    if array.dtype.kind not in "iufb":
        raise DataError(f"{name}: an array of {array.dtype}; expected numbers.")
    if array.ndim not in (1, 2, 3) or 0 in array.shape:
        empty = " It is empty." if 0 in array.shape else ""
        raise DataError(f"{name}: got shape {array.shape}; expected (N, T, C), (N, T) or (T,).{empty}")
    long = array.ndim == 1 or (array.ndim == 2 and roles.layout == "long")
    numbers = array.astype(np.float64)
    if long:
        values = [numbers.reshape(len(numbers), -1)]
    else:
        values = [without_tail(one) for one in numbers.reshape(*numbers.shape[:2], -1)]
    form = SeriesForm(container=container, layout="long" if long else "many", dtype=str(array.dtype), ndim=array.ndim)
    return _unnamed(values, form, name)


def _from_list(items: Sequence[Any], name: str) -> SeriesSet:
    try:
        arrays = [np.asarray(one.detach().cpu() if isinstance(one, Tensor) else one) for one in items]
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: {error}; expected arrays of shape (T, C) or (T,).") from error
    if not arrays:
        raise DataError(f"{name}: an empty list; expected arrays of shape (T, C) or (T,).")
    for i, one in enumerate(arrays):
        width = one.shape[1] if one.ndim == 2 else 1
        if one.dtype.kind not in "iufb" or one.ndim != arrays[0].ndim or one.ndim not in (1, 2):
            raise DataError(f"{name}: item {i} is {one.dtype} of shape {one.shape}; expected numbers (T, C) or (T,).")
        if width != (arrays[0].shape[1] if arrays[0].ndim == 2 else 1):
            raise DataError(f"{name}: item {i} has {width} channels; expected {arrays[0].shape[1]}, as item 0 has.")
    dtype = np.result_type(*arrays)
    form = SeriesForm(container="list", layout="many", dtype=str(dtype), ndim=arrays[0].ndim)
    return _unnamed(
        [one.astype(np.float64).reshape(len(one), one.shape[1] if one.ndim == 2 else 1) for one in arrays], form, name
    )


def _unnamed(values: list[np.ndarray], form: SeriesForm, name: str) -> SeriesSet:
    """A set whose channels have no names but numbers."""
    channels = tuple(f"channel {i}" for i in range(values[0].shape[1] if values else 0))
    every = np.concatenate(values) if values else np.empty((0, 0))
    narrow = np.float32 if form.dtype in ("float32", "float16") else np.float64
    looks = tuple(
        NumberLook(dtype="float64", decimals=decimals_of(column[np.isfinite(column)], narrow)) for column in every.T
    )
    return SeriesSet(values=values, channels=channels, name=name, form=replace(form, looks=looks)).check()


def _from_file(path: Path) -> SeriesSet:
    read = read_ts(path) if path.suffix.lower() == ".ts" else read_arff(path)
    form = SeriesForm(container="file", layout="many", title=read.title, classes_named=read.classes)
    opened = _unnamed(read.values, form, str(path))
    if read.labels is not None:
        opened.labels = [np.array([label], dtype=object) for label in read.labels]
    return opened


def _from_numpy(path: Path, roles: Roles) -> SeriesSet:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _from_array(loaded, roles, str(path))
        with loaded:
            parts = {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a NumPy file of plain numbers, or a damaged one ({error}).") from error
    x = parts.get("x", next(iter(parts.values())) if len(parts) == 1 else None)
    if x is None:
        raise DataError(f"{path}: arrays {', '.join(parts)}; expected x, and y for classes.")
    opened = _from_array(x, roles, str(path))
    return _with_labels(opened, parts["y"]) if "y" in parts else opened


def _with_labels(opened: SeriesSet, labels: Any) -> SeriesSet:
    column = pd.Series(np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels).ravel())
    if len(column) != len(opened) or column.isna().any():
        raise DataError(
            f"{opened.name}: {len(column)} labels, {int(column.isna().sum())} of them missing, for {len(opened)} "
            "series; expected one a series."
        )
    cells, names = class_texts(column)
    opened.labels = [np.array([label], dtype=object) for label in cells]
    opened.form = replace(opened.form, pair=True, label_dtype=str(column.dtype), names=names)
    return opened
