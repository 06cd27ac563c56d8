"""Series to files: tables, ``.ts``, ``.arff``, ``.npy`` and ``.npz``; whole or not at all."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.series_files import SeriesFile, arff_text, ts_text
from aegan.data.series_form import SeriesForm, pad
from aegan.data.series_roles import Roles
from aegan.data.series_set import SeriesSet
from aegan.data.series_source import open_series
from aegan.data.table_write import write_table
from aegan.errors import ConfigError, StorageError
from aegan.storage import write_atomically, write_text

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".ts", ".arff", ".npy", ".npz")


def write_series(
    series: Any,
    out: str | os.PathLike[str],
    *,
    form: SeriesForm | None = None,
    overwrite: bool = False,
    each: int | None = None,
) -> Path | str:
    """Write series in the form that the suffix of ``out`` asks for.

    * A table's suffix, or a database's address: frames as they are, formatted like the fitted one, a DatetimeIndex as
      the first column. Arrays and series of files in long form, with columns ``id``, ``step``, one a channel and
      ``label``.
    * ``.ts``, ``.arff``: a series a line, with classes.
    * ``.npy``: ``(N, T, C)``; ``.npz``: ``x`` so, and ``y`` where there are classes.

    Args:
        series: What :meth:`aegan.data.series.SeriesAdapter.from_tensors` returned, or any source of series.
        out: Path or address.
        form: The adapter's ``decoder.form``.
        overwrite: Replace an existing file.
        each: Steps of each sample, where they stand one behind the other as one long series: ``.ts``, ``.arff``,
            ``.npy`` and ``.npz`` have them one by one.

    Returns:
        The path, or the address.

    Raises:
        ConfigError: A suffix that is none of these.
        StorageError: The file exists and ``overwrite`` is off, or it cannot be written.
    """
    if isinstance(out, str) and "://" in out:
        return write_table(_as_table(series, form), out, form=form and form.table, overwrite=overwrite)
    path = Path(out).expanduser()
    suffix = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"{path}: cannot write series as {suffix or 'a file without suffix'}; expected {', '.join(SUFFIXES)}."
        )
    if suffix not in (".ts", ".arff", ".npy", ".npz"):
        return write_table(_as_table(series, form), path, form=form and form.table, overwrite=overwrite)
    if path.exists() and not overwrite:
        raise StorageError(
            f"{path}: the file exists. Choose another name, or overwrite it: --overwrite (Python: overwrite=True)."
        )
    opened = _apart(_opened(series, form), each)
    if suffix in (".ts", ".arff"):
        labels = None if opened.classes is None else [str(one) for one in opened.classes]
        file = SeriesFile(
            values=opened.values, labels=labels, title=opened.form.title, classes=form.classes_named if form else ()
        )
        write_text(path, ts_text(file) if suffix == ".ts" else arff_text(file))
        return path
    arrays = {"x": pad(opened.values, max(opened.lengths))}
    if opened.classes is not None:
        arrays["y"] = np.asarray(opened.form.classes(opened.classes).tolist())
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, arrays["x"])
    else:
        np.savez_compressed(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    write_atomically(path, lambda temporary: temporary.write_bytes(buffer.getvalue()))
    return path


def _apart(opened: SeriesSet, each: int | None) -> SeriesSet:
    """One long series as the samples of ``each`` steps that it is made of."""
    if each is None or len(opened) != 1 or opened.lengths[0] % each:
        return opened
    places = range(0, opened.lengths[0], each)
    labels = None
    if opened.labels is not None:
        of = opened.labels[0]
        labels = [of[:1] if len(of) == 1 else of[start : start + 1] for start in places]
    parts = [opened.values[0][start : start + each] for start in places]
    return replace(opened, values=parts, labels=labels, times=None, ids=None, static=None, rows=None)


def _opened(series: Any, form: SeriesForm | None) -> SeriesSet:
    if form is None or form.container != "frame":
        layout = "long" if form is not None and form.layout == "long" else "auto"
        if layout == "long" and isinstance(series, tuple) and len(series) == 2:
            series = (series[0], series[1][:1])  # its windows stand one behind the other, all of its one class
        return open_series(series, Roles(layout=layout))
    roles = Roles(
        id=form.id,
        time=form.time,
        label=form.label,
        static=form.static,
        layout="wide" if form.layout == "wide" else "auto",
    )
    return open_series(series, roles, fitted=form)


def _as_table(series: Any, form: SeriesForm | None) -> Any:
    """A frame as it is, its DatetimeIndex as a column; everything else in long form."""
    if isinstance(series, pd.DataFrame):
        if isinstance(series.index, (pd.DatetimeIndex, pd.PeriodIndex)):
            index = series.index.to_timestamp() if isinstance(series.index, pd.PeriodIndex) else series.index
            named = series.set_axis(index.rename(index.name or "time"), axis=0)
            return named.reset_index()
        return series
    if form is not None and form.container == "frame":
        return series
    opened = _opened(series, form)
    lengths = np.array(opened.lengths)
    owner = np.repeat(np.arange(len(opened)), lengths)
    parts: dict[str, Any] = {"id": owner, "step": np.concatenate([np.arange(n) for n in lengths])}
    flat = np.concatenate(opened.values)
    parts |= {name: opened.form.column(i, flat[:, i]) for i, name in enumerate(opened.channels)}
    if opened.classes is not None:
        parts["label"] = opened.form.classes(opened.classes).iloc[owner].reset_index(drop=True)
    return pd.DataFrame(parts)
