"""How a source of series looked, and new series made to look alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.series_time import Clock
from aegan.data.table_form import TableForm
from aegan.data.table_frames import column_of, make_dtype
from aegan.data.table_looks import NumberLook, look_from_json
from aegan.errors import DataError

CONTAINERS = ("frame", "array", "list", "torch", "file")
LAYOUTS = ("long", "many", "wide")


MOST_REPEATED = 4096
"""Values at most that a channel may have to be taken for one of few values."""
OFTEN = 8
"""Times that each of them occurs on average, at least."""


@dataclass(frozen=True, kw_only=True)
class SeriesForm:
    """What the fitted source looked like.

    Attributes:
        container: ``"frame"``, ``"array"``, ``"list"`` of arrays, ``"torch"`` or ``"file"`` (``.ts``, ``.arff``).
        layout: ``"long"`` for one long series, ``"many"`` for several, ``"wide"`` for a frame with a series a row.
        looks: How the numbers of each channel are written, by channel.
        repeated: By channel, the values that there are, in order, where few numbers make up all of it, as with sensors
            whose steps are no round decimals; empty elsewhere. See :func:`repeated_values`.
        table: Columns, container and text style, for frames.
        index: Name of the frame's index where that is the time; None otherwise.
        period: Frequency of a PeriodIndex; None for others.
        id: Column of the series' names.
        time: Column of the time stamps, ``""`` for the index.
        label: Column of the classes.
        static: Columns of static attributes.
        label_dtype: Data type of the classes.
        names: Class names as they are, by class name as text, where they are no text.
        dtype: Data type of arrays.
        ndim: Axes of arrays: 1 (T,), 2 (T, C) or (N, T), 3 (N, T, C).
        pair: Whether a pair (arrays, labels) was given.
        title: Name of the problem, for files.
        classes_named: Classes that a file's header names.
    """

    container: str
    layout: str
    looks: tuple[NumberLook, ...] = ()
    repeated: tuple[tuple[float, ...], ...] = ()
    table: TableForm | None = None
    index: str | None = None
    period: str | None = None
    id: str | None = None
    time: str | None = None
    label: str | None = None
    static: tuple[str, ...] = ()
    label_dtype: str = "object"
    names: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "float64"
    ndim: int = 3
    pair: bool = False
    title: str = "series"
    classes_named: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return plain | {
            "looks": [look.to_json() for look in self.looks],
            "repeated": [list(one) for one in self.repeated],
            "table": self.table and self.table.to_json(),
            "static": list(self.static),
            "classes_named": list(self.classes_named),
            "names": dict(self.names),
        }

    @classmethod
    def from_json(cls, data: Any) -> SeriesForm:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: A key is missing or unknown, or a value cannot be.
        """
        try:
            values = dict(data)
            values["looks"] = tuple(look_from_json(look, "adapter form") for look in values["looks"])
            values["repeated"] = tuple(tuple(float(v) for v in one) for one in values.get("repeated", ()))
            values["table"] = values["table"] and TableForm.from_json(values["table"])
            values["static"] = tuple(values["static"])
            values["classes_named"] = tuple(map(str, values.get("classes_named", ())))
            form = cls(**values)
            if form.container not in CONTAINERS or form.layout not in LAYOUTS:
                raise ValueError(f"container {form.container!r}, layout {form.layout!r}")
            np.dtype(form.dtype)
            make_dtype(form.label_dtype)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"adapter form: {error!r}; the file is damaged, or from another version.") from error
        return form

    def numbers(self, values: np.ndarray) -> np.ndarray:
        """Values ``(T, C)`` as their channels write them: whole numbers whole, decimals rounded to their places.

        Where few numbers make up a channel, the nearest one of them.
        """
        out = values.copy()
        for i, look in enumerate(self.looks):
            if look.dtype in ("bool", "boolean", "bool[pyarrow]"):
                out[:, i] = np.where(np.isnan(out[:, i]), np.nan, out[:, i] >= 0.5)
            elif look.decimals is not None:
                out[:, i] = np.round(out[:, i], look.decimals) + 0.0  # no -0.0
            elif i < len(self.repeated) and self.repeated[i]:
                out[:, i] = _nearest(out[:, i], np.array(self.repeated[i]))
        return out

    def column(self, i: int, values: np.ndarray) -> pd.Series:
        """Values ``(T,)`` of channel ``i`` in its own data type."""
        look, missing = self.looks[i], np.isnan(values)
        if look.dtype in ("bool", "boolean", "bool[pyarrow]"):
            flags = pd.Series((values >= 0.5).astype(object))
            flags[missing] = None
            return flags.astype("object" if missing.any() and look.dtype == "bool" else make_dtype(look.dtype))
        return look.write(np.where(missing, 0.0, values), missing)

    def classes(self, labels: Sequence[Any]) -> pd.Series:
        """Class names in their own data type, None where there is none."""
        cells = pd.Series([self.names.get(label, label) for label in labels], dtype=object)
        if cells.isna().any():
            return cells
        return cells.astype(make_dtype(self.label_dtype))


def repeated_values(values: Sequence[np.ndarray], looks: Sequence[NumberLook]) -> tuple[tuple[float, ...], ...]:
    """By channel the values of series ``(T, C)`` in order, where each comes several times; empty elsewhere."""
    out: list[tuple[float, ...]] = []
    for i, look in enumerate(looks):
        every = np.concatenate([one[:, i] for one in values])
        every = every[np.isfinite(every)]
        unique = np.unique(every) if look.decimals is None and len(every) else every[:0]
        few = len(unique) <= MOST_REPEATED and len(unique) * OFTEN <= len(every)
        out.append(tuple(unique.tolist()) if few else ())
    return tuple(out)


def _nearest(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The nearest of sorted ``points`` to each value; NaN stays."""
    behind = np.searchsorted(points, values).clip(0, len(points) - 1)
    below, above = points[np.maximum(behind - 1, 0)], points[behind]
    return np.where(np.isnan(values), np.nan, np.where(values - below <= above - values, below, above))


def to_frame(
    form: SeriesForm,
    channels: Sequence[str],
    values: list[np.ndarray],
    *,
    times: list[np.ndarray] | None,
    clock: Clock | None,
    labels: list[Any] | None,
    ids: pd.Series | None,
    static: pd.DataFrame | None,
    rows: list[np.ndarray] | None = None,
) -> Any:
    """Series one below the other, in the columns and types of the fitted frame.

    Args:
        form: How that frame looked.
        channels: Names of the channels.
        values: Series ``(T, C)``.
        times: Counts of their stamps.
        clock: What these count.
        labels: The class of each series, or an array of one a step.
        ids: Names of the series.
        static: A row of attributes a series.
        rows: Places of all steps, where they are to be in another order than series by series.
    """
    lengths = [len(one) for one in values]
    flat = np.concatenate(values)
    parts = {name: form.column(i, flat[:, i]) for i, name in enumerate(channels)}
    owner = np.repeat(np.arange(len(values)), lengths)
    stamps = None
    if times is not None and clock is not None:
        stamps = clock.write(np.concatenate(times))
        if form.time:
            parts[form.time] = stamps
    if form.label is not None:
        every = zip(labels or [None] * len(values), lengths, strict=True)
        parts[form.label] = form.classes([cell for label, n in every for cell in _by_step(label, n)])
    if form.id is not None and ids is not None:
        parts[form.id] = ids.iloc[owner].reset_index(drop=True)
    if static is not None:
        for name in form.static:
            parts[name] = column_of(static, name).iloc[owner].reset_index(drop=True)
    names = form.table.names if form.table is not None else tuple(parts)
    frame = pd.DataFrame({name: parts[name] for name in names if name in parts}, copy=False)
    if rows is not None:
        order = np.argsort(np.concatenate(rows), kind="stable")
        frame = frame.iloc[order].reset_index(drop=True)
        stamps = None if stamps is None else stamps.iloc[order].reset_index(drop=True)
    out = form.table.restore(frame) if form.table is not None else frame
    if form.time == "" and stamps is not None:
        index = pd.DatetimeIndex(stamps, name=form.index)
        if clock is not None and clock.regular and form.layout == "long" and form.period is None:
            index.freq = pd.infer_freq(index) if len(index) > 2 else None
        out.index = index if form.period is None else index.to_period(form.period)
    return out


def _by_step(label: Any, steps: int) -> list[Any]:
    """The class of each step."""
    return label.tolist() if isinstance(label, np.ndarray) and len(label) == steps else [label] * steps


def to_wide(
    form: SeriesForm,
    values: list[np.ndarray],
    labels: list[Any] | None,
    ids: pd.Series | None,
    static: pd.DataFrame | None,
) -> Any:
    """A frame with a series a row, a step a column; shorter series end in missing cells."""
    names = form.table.names if form.table is not None else ()
    steps = [name for name in names if name != form.label and name not in form.static and name != form.id]
    padded = pad(values, len(steps))[:, :, 0]
    parts = {name: form.column(0, padded[:, t]) for t, name in enumerate(steps)}
    if form.label is not None:
        parts[form.label] = form.classes(labels or [None] * len(values))
    if form.id is not None and ids is not None:
        parts[form.id] = ids.reset_index(drop=True)
    for name in form.static if static is not None else ():
        parts[name] = column_of(static, name).reset_index(drop=True)  # pyright: ignore[reportArgumentType]
    frame = pd.DataFrame({name: parts[name] for name in names if name in parts}, copy=False)
    return form.table.restore(frame) if form.table is not None else frame


def to_arrays(form: SeriesForm, values: list[np.ndarray], labels: list[Any] | None) -> Any:
    """Arrays of the axes and data type that were given; with their labels where a pair was."""
    dtype = np.dtype(form.dtype)
    if form.container == "list":
        out: Any = [_typed(one if form.ndim == 2 else one[:, 0], dtype) for one in values]
    elif form.layout == "long":
        flat = np.concatenate(values)
        out = _typed(flat if form.ndim > 1 else flat[:, 0], dtype)
    else:
        padded = pad(values, max(map(len, values), default=0))
        out = _typed(padded if form.ndim == 3 else padded[:, :, 0], dtype)
    if form.container == "torch":
        import torch

        out = torch.from_numpy(out)
    return (out, form.classes(labels).to_numpy()) if form.pair and labels is not None else out


def _typed(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype.kind in "iub":
        return np.rint(values).astype(dtype) if not np.isnan(values).any() else values
    return values.astype(dtype)


def pad(values: list[np.ndarray], longest: int) -> np.ndarray:
    """Series as ``(N, longest, C)``, NaN behind the shorter ones."""
    out = np.full((len(values), longest, values[0].shape[1] if values else 1), np.nan)
    for row, one in zip(out, values, strict=True):
        row[: len(one)] = one[:longest]
    return out
