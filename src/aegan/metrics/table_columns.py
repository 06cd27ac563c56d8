"""Columns of a table as arrays that metrics can count with: kinds, codes by frequency, missing values kept.

One :class:`Encoder`, fitted to every table that is to be compared, gives the same value the same number in
all of them. Its :class:`Table` serves counting (codes), classifiers (a matrix with NaN) and distances alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from aegan.errors import ConfigError, DataError, nearest

Kind = Literal["numeric", "categorical"]
"""``"numeric"`` (amounts, dates in seconds) or ``"categorical"`` (names, truth values)."""

MOST_CATEGORIES = 255
"""Categories that gradient boosting can tell apart as such; columns with more enter it by frequency rank."""

LEAST_ROWS = 20
"""Fewer rows than this cannot be compared."""

_AMOUNTS = {"integer", "floating", "mixed-integer-float", "decimal"}
_DATES = {"datetime", "datetime64", "date"}


@dataclass(frozen=True, eq=False)
class Table:
    """A table as arrays, its values numbered as the :class:`Encoder` says.

    Attributes:
        names: Column names.
        kinds: Kind of each column.
        sizes: Known values of each categorical column; 0 for numeric ones.
        columns: One array ``(N,)`` each: float64 amounts with NaN for missing, or int64 codes with -1.
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    sizes: tuple[int, ...]
    columns: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.columns[0])

    def take(self, index: np.ndarray) -> Table:
        """The rows at ``index``."""
        return Table(self.names, self.kinds, self.sizes, tuple(column[index] for column in self.columns))

    def sample(self, n: int, rng: np.random.Generator) -> Table:
        """``n`` random rows in their order, without repetition; itself where it has no more."""
        if n >= len(self):
            return self
        return self.take(np.sort(rng.choice(len(self), n, replace=False)))

    def column(self, name: str) -> np.ndarray:
        """The array of one column."""
        return self.columns[self.names.index(name)]

    def kind(self, name: str) -> Kind:
        """The kind of one column."""
        return self.kinds[self.names.index(name)]

    def size(self, name: str) -> int:
        """Known values of one column; 0 when it is numeric."""
        return self.sizes[self.names.index(name)]

    def missing(self) -> np.ndarray:
        """Whether each value is missing, bool ``(N, F)``."""
        return np.stack([np.isnan(c) if c.dtype.kind == "f" else c < 0 for c in self.columns], axis=1)

    def matrix(self, without: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Input of scikit-learn's histogram gradient boosting.

        Args:
            without: A column left out, such as the target.

        Returns:
            float64 ``(N, F)`` with NaN for missing values, and which columns are categorical, bool ``(F,)``;
            those with more than 255 values count as numbers, the value's rank by frequency.
        """
        kept = [i for i, name in enumerate(self.names) if name != without]
        x = np.empty((len(self), len(kept)))
        for j, i in enumerate(kept):
            x[:, j] = self.columns[i]
            if self.kinds[i] == "categorical":
                x[self.columns[i] < 0, j] = np.nan
        return x, np.array([0 < self.sizes[i] <= MOST_CATEGORIES for i in kept], dtype=bool)


@dataclass(frozen=True, eq=False)
class Encoder:
    """What turns frames into tables that can be compared value by value.

    Attributes:
        kinds: Kind by column, in the order of the first frame's columns.
        values: Values of each categorical column; those of the first frame by falling frequency come first,
            then what other frames add. A value's position is its code.
        dates: Numeric columns that hold dates, told in seconds since 1970 (UTC).
        notes: What was found odd, one sentence each.
    """

    kinds: dict[str, Kind]
    values: dict[str, pd.Index]
    dates: frozenset[str]
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(cls, frames: Mapping[str, pd.DataFrame], kinds: Mapping[str, str] | None = None) -> Encoder:
        """Learn columns and values.

        Args:
            frames: Tables by the names that errors use; the first one is the reference, whose columns count.
            kinds: Kinds of columns that are not to be inferred.

        Raises:
            DataError: No frame, no columns, a name twice, or a column that another frame lacks.
            ConfigError: A kind for a column that is not there, or an unknown kind.
        """
        notes: list[str] = []
        named = {name: _named(frame, name) for name, frame in frames.items()}
        first, reference = next(iter(named.items()))
        found = column_kinds(reference, kinds)
        for name, frame in named.items():
            _same_columns(frame, name, reference, first, notes)
            notes += _infinite(frame, name, found)
        dates = {c for c in found if found[c] == "numeric" and _is_date(reference[c])}
        values: dict[str, pd.Index] = {}
        for column in (c for c in found if found[c] == "categorical"):
            known: dict[str, pd.Index] = {}
            for name, frame in named.items():
                known[name] = _by_frequency(frame[column])
                if len(known[name]) and len(known[first]) and not known[name].isin(known[first]).any():
                    notes.append(
                        f"No value of column '{column}' in '{name}' occurs in '{first}' "
                        f"({known[name][0]!r} against {known[first][0]!r}): are they of one type?"
                    )
            everything = np.concatenate([index.to_numpy(object) for index in known.values()])
            values[column] = pd.Index(pd.unique(everything), dtype=object)
        return cls(kinds=found, values=values, dates=frozenset(dates), notes=tuple(notes))

    def encode(self, frame: pd.DataFrame, name: str = "table") -> Table:
        """``frame`` as arrays; categories that no fitted frame had count as missing, infinite amounts too.

        Raises:
            DataError: A column is absent, or a numeric one holds text.
        """
        frame = _named(frame, name)
        _same_columns(frame, name, pd.DataFrame({column: [] for column in self.kinds}), "the reference", [])
        columns = []
        for column, kind in self.kinds.items():
            if kind == "numeric":
                columns.append(_amounts(frame[column], name, column in self.dates))
            else:
                columns.append(self.values[column].get_indexer(pd.Index(_objects(frame[column]), dtype=object)))
                columns[-1] = columns[-1].astype(np.int64)
        sizes = tuple(len(self.values[c]) if c in self.values else 0 for c in self.kinds)
        return Table(tuple(self.kinds), tuple(self.kinds.values()), sizes, tuple(columns))


def column_kinds(frame: pd.DataFrame, overrides: Mapping[str, str] | None = None) -> dict[str, Kind]:
    """Kind of each column: text, category and truth values are categorical, numbers and dates numeric.

    Whole numbers stay numeric however few they are, as in the published protocols. A column of objects is
    numeric only where every value is a number or a date.

    Args:
        frame: The table.
        overrides: Kinds by column, where the inferred one is not meant.

    Raises:
        DataError: No columns, or a name twice.
        ConfigError: An override for a column that is not there, or an unknown kind.

    >>> column_kinds(pd.DataFrame({"age": [31, 45], "job": ["a", None], "x": [1, 2]}), {"x": "categorical"})
    {'age': 'numeric', 'job': 'categorical', 'x': 'categorical'}
    """
    frame = _named(frame, "table")
    given = {str(column): kind for column, kind in (overrides or {}).items()}
    for column, kind in given.items():
        if column not in frame.columns:
            raise ConfigError(f"column_kinds: no column '{column}'. {nearest(column, map(str, frame.columns))}")
        if kind not in ("numeric", "categorical"):
            raise ConfigError(f"column_kinds: kind {kind!r} of '{column}'; 'numeric' or 'categorical' expected.")
    return {str(c): given.get(str(c), _inferred(frame[c])) for c in frame.columns}  # type: ignore[misc]


def tables(
    frames: Mapping[str, pd.DataFrame | Table], kinds: Mapping[str, str] | None = None, *, least: int = LEAST_ROWS
) -> list[Table]:
    """Frames as tables with common codes, in their order; tables that are given are passed through.

    Raises:
        DataError: Frames that do not fit each other, fewer than ``least`` rows, or frames mixed with tables.
        ConfigError: ``kinds`` do not fit.
    """
    for name, frame in frames.items():
        if len(frame) < least:
            raise DataError(
                f"'{name}' holds {len(frame)} row{'s' * (len(frame) != 1)}; at least {least} expected, and "
                "thousands for figures to rely on. Pass more rows."
            )
    ready = [frame for frame in frames.values() if isinstance(frame, Table)]
    if len(ready) == len(frames):
        return ready
    if ready:
        raise DataError("Frames and encoded tables are mixed; all of one sort expected. Encode them together.")
    encoder = Encoder.fit(frames, kinds)  # type: ignore[arg-type]
    return [encoder.encode(frame, name) for name, frame in frames.items()]  # type: ignore[arg-type]


def constant(table: Table, name: str) -> bool:
    """Whether a column has at most one value besides missing ones."""
    values = table.column(name)
    values = values[~np.isnan(values)] if values.dtype.kind == "f" else values[values >= 0]
    return not len(values) or bool((values == values[0]).all())


def _named(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"'{name}' is a {type(frame).__name__}; a pandas DataFrame expected.")
    if not len(frame.columns):
        raise DataError(f"'{name}' has no columns; at least one expected.")
    if any(not isinstance(c, str) for c in frame.columns):
        frame = frame.set_axis([str(c) for c in frame.columns], axis=1)
    if not frame.columns.is_unique:
        twice = sorted(set(frame.columns[frame.columns.duplicated()]))
        raise DataError(f"'{name}' has the column {_listed(twice)} more than once; rename or drop the others.")
    return frame


def _same_columns(frame: pd.DataFrame, name: str, reference: pd.DataFrame, first: str, notes: list[str]) -> None:
    wanted, got = list(reference.columns), list(frame.columns)
    absent, extra = [c for c in wanted if c not in frame.columns], [c for c in got if c not in reference.columns]
    if absent:
        more = f", and has {_listed(extra)} instead" if extra else ""
        raise DataError(
            f"'{name}' lacks the column{'s' * (len(absent) > 1)} {_listed(absent)} of '{first}'{more}; "
            "the same columns expected. Rename or add them, or drop them from all tables."
        )
    if extra:
        notes.append(f"Columns of '{name}' that '{first}' lacks were left out: {_listed(extra)}.")
    elif got != wanted:
        notes.append(f"The columns of '{name}' stand in another order than those of '{first}'; names decided.")


def _infinite(frame: pd.DataFrame, name: str, kinds: Mapping[str, Kind]) -> list[str]:
    floats = [c for c in frame.columns if kinds.get(c) == "numeric" and frame[c].dtype.kind == "f"]
    counts = {c: int(np.isinf(frame[c].to_numpy(np.float64, na_value=np.nan)).sum()) for c in floats}
    found = [c for c, count in counts.items() if count]
    total = sum(counts.values())
    return [f"{total} infinite values of '{name}' count as missing, in {_listed(found)}."] if found else []


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _inferred(series: Any) -> Kind:
    if pd.api.types.is_bool_dtype(series.dtype) or isinstance(series.dtype, pd.CategoricalDtype):
        return "categorical"
    if pd.api.types.is_numeric_dtype(series.dtype):
        return "categorical" if pd.api.types.is_complex_dtype(series.dtype) else "numeric"
    if _is_date(series) or pd.api.types.is_timedelta64_dtype(series.dtype):
        return "numeric"
    if series.dtype == object and pd.api.types.infer_dtype(series, skipna=True) in _AMOUNTS:
        return "numeric"
    return "categorical"


def _is_date(series: Any) -> bool:
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        return True
    return series.dtype == object and pd.api.types.infer_dtype(series, skipna=True) in _DATES


def _objects(series: Any) -> pd.Series:
    """Values as objects, missing ones None; what cannot be looked up (a list) as its text."""
    plain = series.astype(object).where(series.notna(), None)
    try:
        hash(tuple(plain))
    except TypeError:
        plain = plain.map(lambda value: value if value is None else str(value))
    return plain


def _by_frequency(series: Any) -> pd.Index:
    """Values by falling frequency, equally frequent ones as they appear; missing ones left out."""
    codes, values = pd.factorize(_objects(series).to_numpy(object))
    order = np.argsort(-np.bincount(codes[codes >= 0], minlength=len(values)), kind="stable")
    return pd.Index(np.asarray(values, dtype=object)[order], dtype=object)


def _amounts(series: Any, table: str, date: bool) -> np.ndarray:
    """Float64 with NaN for missing and infinite values."""
    try:
        if date:
            stamps = pd.to_datetime(series, utc=True, format=None if _is_date(series) else "mixed")
            moments = stamps.dt.tz_localize(None).to_numpy("datetime64[us]")
            values = np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)
        elif pd.api.types.is_timedelta64_dtype(series.dtype):
            values = series.dt.total_seconds().to_numpy(np.float64)
        elif isinstance(series.dtype, pd.CategoricalDtype) or series.dtype == object:
            plain = pd.Series(pd.to_numeric(series.astype(object)))
            values = plain.to_numpy(np.float64, na_value=np.nan)
        else:
            values = series.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"'{table}': column '{series.name}' is numeric in the reference, but a value here is not ({error}). "
            f"Mend the value, or compare names with kinds={{'{series.name}': 'categorical'}}."
        ) from error
    return np.where(np.isfinite(values), values, np.nan)
