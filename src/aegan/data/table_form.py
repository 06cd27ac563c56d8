"""What a table as a whole looked like: columns, container, and how a text file was written."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa

from aegan.errors import AeganWarning, ConfigError, DataError, StorageError

CONTAINERS = ("pandas", "polars", "columns", "array")
EXTRA = "pip install 'aegan[tables]'"


@dataclass(frozen=True, kw_only=True)
class TextStyle:
    """How a text file of values is written.

    Attributes:
        separator: Between cells.
        encoding: Python's name of it.
        decimal: The decimal point.
        missing: What stands for a missing cell.
        words: For boolean columns, what is written for True and for False.
        decimals: For columns of floats that always show the same number of digits behind the point, that number.
        bare: Columns of floats in which whole numbers have no point.
        line: End of line.
        unnamed: Whether the first column has no name in the file.
    """

    separator: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    missing: str = ""
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    decimals: Mapping[str, int] = field(default_factory=dict)
    bare: tuple[str, ...] = ()
    line: str = "\n"
    unnamed: bool = False


@dataclass(frozen=True, kw_only=True)
class TableForm:
    """What the fitted table looked like, so that new rows can be returned and written alike.

    Attributes:
        columns: Names, strings or integers.
        container: ``"pandas"``, ``"polars"``, ``"columns"``, a dict, or ``"array"``.
        style: Of a text file; a plain one for other sources.
        schema: Arrow's schema in base64, for polars and Parquet, whose types are richer than those of pandas.
    """

    columns: tuple[str | int, ...]
    container: str = "pandas"
    style: TextStyle = field(default_factory=TextStyle)
    schema: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names as strings."""
        return tuple(map(str, self.columns))

    @property
    def arrow(self) -> pa.Schema | None:
        """Arrow's schema, or None."""
        return None if self.schema is None else pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.schema)))

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> TableForm:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: A key is missing or unknown, or a value cannot be.
        """
        keys = ("columns", "container", "style", "schema")
        if not isinstance(data, Mapping) or set(data) != set(keys):
            raise DataError(f"adapter form: expected the keys {', '.join(keys)}; got {data!r:.200}.")
        if data["container"] not in CONTAINERS:
            raise DataError(
                f"adapter form: container is {data['container']!r}; expected one of {', '.join(CONTAINERS)}."
            )
        try:
            style = dict(data["style"])
            style["words"] = {name: (yes, no) for name, (yes, no) in style["words"].items()}
            style["bare"] = tuple(style["bare"])
            form = cls(
                columns=tuple(data["columns"]),
                container=data["container"],
                style=TextStyle(**style),
                schema=data["schema"],
            )
            if not all(isinstance(name, (str, int)) for name in form.columns):
                raise ValueError("columns are strings or integers")
            _ = form.arrow
        except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
            raise DataError(f"adapter form: {error!r}; the file is damaged, or from another version.") from error
        return form

    def restore(self, frame: pd.DataFrame, *, exact: bool = False) -> Any:
        """A frame with string names as the kind of thing that was read; ``exact``: see :func:`to_arrow`.

        Raises:
            ConfigError: polars is not installed.
        """
        if self.container == "columns":
            return {name: frame[str(name)].tolist() for name in self.columns}
        if self.container == "polars":
            return import_extra("polars").from_arrow(to_arrow(frame, self.arrow, exact=exact))
        if self.container == "array":
            return frame[[str(name) for name in self.columns]].to_numpy()
        frame.columns = pd.Index(list(self.columns))
        return frame


def encode_schema(schema: pa.Schema) -> str:
    """Arrow's schema, without its metadata, in base64."""
    return base64.b64encode(schema.remove_metadata().serialize().to_pybytes()).decode("ascii")


def to_arrow(frame: pd.DataFrame, schema: pa.Schema | None, *, exact: bool = False) -> pa.Table:
    """A frame as Arrow's table, each column in the schema's type where it can be.

    With ``exact``, for cells that were given rather than drawn, only where every value stays the same.
    """
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, OverflowError, UnicodeError):
        table = pa.Table.from_pandas(_without_mixtures(frame), preserve_index=False)
    table = table.replace_schema_metadata(None)
    if schema is None:
        return table
    for i, name in enumerate(table.column_names):
        if name in schema.names:
            wanted = schema.field(name).type
            column = table.column(i)
            if pa.types.is_dictionary(wanted) and not pa.types.is_dictionary(column.type):
                column = column.dictionary_encode()
            try:
                safe = pa.types.is_integer(column.type) and pa.types.is_integer(wanted)  # wide keys would wrap
                cast = _cast_exactly(column, wanted) if exact else column.cast(wanted, safe=safe)
            except pa.ArrowException:
                continue
            table = table.set_column(i, name, cast)
    return table


def _without_mixtures(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns that Arrow has no type for, such as words among numbers, as text.

    Raises:
        StorageError: Not even that can be.
    """
    texts = {}
    for name in frame.columns:
        try:
            pa.Array.from_pandas(frame[name])
        except (pa.ArrowException, OverflowError, UnicodeError):
            texts[name] = frame[name].astype(object).map(str, na_action="ignore")
            try:
                pa.Array.from_pandas(texts[name])
            except (pa.ArrowException, UnicodeError) as error:
                raise StorageError(
                    f"column {str(name)!r}: cells that Arrow and Parquet have no type for ({error}). Mend them, or "
                    "drop the column."
                ) from error
    listed = ", ".join(map(repr, texts))
    warnings.warn(f"column {listed}: cells of several types; written as text.", AeganWarning, stacklevel=3)
    return frame.assign(**texts)


def _cast_exactly(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """A column in the type wanted, or in its own where that would change a value or make a number of a word."""
    own = column.type
    number = pa.types.is_integer(wanted) or pa.types.is_floating(wanted) or pa.types.is_decimal(wanted)
    if number and not (pa.types.is_integer(own) or pa.types.is_floating(own) or pa.types.is_decimal(own)):
        return column
    for kind in (wanted, pa.int64()) if pa.types.is_integer(wanted) else (wanted,):
        try:
            cast = column.cast(kind)
            if cast.cast(own, safe=False).equals(column):
                return cast
        except pa.ArrowException:
            continue
    return column


def import_extra(name: str) -> Any:
    """An optional package.

    Raises:
        ConfigError: It is not installed; the message names the extra.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"{name} is needed for this kind of table and is not installed: {EXTRA}.") from error
