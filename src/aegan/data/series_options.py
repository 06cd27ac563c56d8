"""Options of the series adapter: their checks, the roles they give to columns, the table of attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from aegan.data.series_form import SeriesForm
from aegan.data.series_roles import Roles
from aegan.data.series_scale import SCALINGS
from aegan.data.series_set import SeriesSet, plain_name
from aegan.data.series_source import LAYOUTS
from aegan.data.table import TableAdapter
from aegan.data.table_frames import column_of, dtype_name
from aegan.errors import ConfigError

_CHOICES = {"scaling": SCALINGS, "irregular": ("channel", "ignore"), "layout": LAYOUTS}


def check_options(options: dict[str, Any]) -> None:
    """Check the options of :class:`aegan.data.series.SeriesAdapter`, and make lists of sequences.

    Raises:
        ConfigError: One that cannot work.
    """
    for name, least in (("window", 2), ("stride", 1)):
        value = options[name]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise ConfigError(f"SeriesAdapter: {name} is {value!r}; expected a whole number of at least {least}.")
    for name, choices in _CHOICES.items():
        if options[name] not in choices:
            raise ConfigError(f"SeriesAdapter: {name} is {options[name]!r}; expected one of {', '.join(choices)}.")
    if options["seasons"] is not None:
        options["seasons"] = _seasons(options["seasons"])
    for name in ("static", "channels"):
        value = options[name]
        if isinstance(value, str):
            raise ConfigError(f"SeriesAdapter: {name} is {value!r}; expected a list of columns, [{value!r}].")
        options[name] = None if value is None else list(map(str, value))


def _seasons(given: Any) -> list[float]:
    try:
        found = [0.0] if isinstance(given, str) else [float(steps) for steps in given]
    except (TypeError, ValueError):
        found = [0.0]
    if not all(2 <= steps < float("inf") for steps in found):
        raise ConfigError(f"SeriesAdapter: seasons is {given!r}; expected numbers of steps of at least 2, as in [24].")
    return found


def roles_of(options: Mapping[str, Any]) -> Roles:
    """What the user said of the columns."""
    return Roles(
        id=options["id"],
        time=options["time"],
        label=options["label"],
        static=None if options["static"] is None else tuple(options["static"]),
        channels=None if options["channels"] is None else tuple(options["channels"]),
        layout=options["layout"],
    )


def fitted_roles(form: SeriesForm, channels: tuple[str, ...], options: Mapping[str, Any], source: Any) -> Roles:
    """The roles that the fitted source turned out to have; classes may be left out of a frame."""
    if form.container != "frame" or isinstance(source, SeriesSet):
        return roles_of(options)
    labelled = form.label is not None and (not isinstance(source, pd.DataFrame) or form.label in source.columns)
    return Roles(
        id=form.id,
        time=form.time,
        label=form.label if labelled else None,
        static=form.static,
        channels=None if form.layout == "wide" else channels,
        layout=options["layout"],
    )


def _constant(series: pd.Series) -> dict[str, Any]:
    """The one value of a column, as JSON can hold it, and the column's data type."""
    value = None if series.isna().iloc[0] else plain_name(series.iloc[0])
    plain = value if value is None or isinstance(value, (str, bool, int, float)) else str(value)
    return {"value": plain, "dtype": dtype_name(series)}


def fit_table(frame: pd.DataFrame) -> tuple[TableAdapter | None, dict[str, Any]]:
    """The adapter of what varies among the attributes of samples; without such, their constant values."""
    if frame.shape[1] == 0:
        return None, {}
    if all(int(column_of(frame, name).nunique(dropna=False)) < 2 for name in frame):
        return None, {str(name): _constant(column_of(frame, name)) for name in frame}
    numeric = {
        name: "numeric"
        for name in frame
        if pd.api.types.is_numeric_dtype(frame[name].dtype)
        and not pd.api.types.is_bool_dtype(frame[name].dtype)
        and bool(column_of(frame, name).notna().any())
    }
    return TableAdapter(columns=numeric, rules="none").fit(frame), {}
