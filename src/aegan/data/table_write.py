"""Tables to .csv, .tsv, .parquet, .xlsx or a database; whole or not at all, formatted like the fitted table."""

from __future__ import annotations

import datetime
import gzip
import io
import os
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from aegan.data.table_csv import INDEX
from aegan.data.table_form import TableForm, TextStyle, import_extra, to_arrow
from aegan.data.table_frames import column_of
from aegan.data.table_source import TableSource, open_table, without_password
from aegan.errors import AeganWarning, ConfigError, StorageError
from aegan.storage import write_atomically

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".npy")
SHEET = (1_048_576, 16_384)
"""Rows and columns of a sheet of Excel's."""
CELL = 32_767
"""Letters of a cell there."""
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def write_table(
    table: Any,
    out: str | os.PathLike[str],
    *,
    form: TableForm | None = None,
    overwrite: bool = False,
    exact: bool = False,
) -> Path | str:
    """Write a table in the form that the suffix of ``out`` asks for.

    * ``.csv``, ``.tsv``, ``.txt``, each also with ``.gz``: separator, decimal point, words for booleans and for missing
      cells as in ``form``; in the encoding of ``form`` if that has all letters, else in UTF-8.
    * ``.parquet``: with the column types of ``form``.
    * ``.xlsx``: one sheet.
    * ``.npy``: an array ``(N, D)``, where all columns are numbers.
    * ``URL::table``, a database that SQLAlchemy knows.

    Args:
        table: A pandas or polars frame, or a dict of columns.
        out: Path, or a database's address with ``::`` and the name of the table.
        form: What the fitted table looked like; None: plain.
        overwrite: Replace an existing file or database table.
        exact: Whether there are given cells among the drawn ones: no column takes on a type that would change a value.

    Returns:
        The path, or the address without its password.

    Raises:
        ConfigError: A suffix that is none of these, or a package that is not installed.
        StorageError: The file exists and ``overwrite`` is off, or it cannot be written or cannot hold the cells.
    """
    frame = open_table(table).frame()
    if isinstance(out, str) and "://" in out:
        return _to_database(frame, out, overwrite)
    path = Path(out).expanduser()
    zipped = path.suffix.lower() == ".gz"
    suffix = (path.with_suffix("") if zipped else path).suffix.lower()
    if suffix not in SUFFIXES or (zipped and suffix in (".parquet", ".xlsx", ".npy")):
        raise ConfigError(
            f"{path}: cannot write a table as {suffix or 'a file without suffix'}; expected {', '.join(SUFFIXES)}, or "
            "text with .gz."
        )
    if path.exists() and not overwrite:
        raise StorageError(
            f"{path}: the file exists. Choose another name, or overwrite it: --overwrite (Python: overwrite=True)."
        )
    if suffix == ".parquet":
        content = to_arrow(frame, form.arrow if form is not None else None, exact=exact)
        write_atomically(path, lambda temporary: pq.write_table(content, temporary))
    elif suffix == ".xlsx":
        import_extra("openpyxl")
        plain = _for_excel(frame, path)
        write_atomically(path, lambda temporary: _to_excel(plain, temporary))
    elif suffix == ".npy":
        buffer = io.BytesIO()  # numpy adds a suffix of its own to names without one
        np.save(buffer, _numbers(frame, path))
        write_atomically(path, lambda temporary: temporary.write_bytes(buffer.getvalue()))
    else:
        style = form.style if form is not None else TextStyle()
        separator = (
            "\t" if suffix == ".tsv" else style.separator if suffix != ".csv" or style.separator != "\t" else ","
        )
        write_atomically(path, lambda temporary: _to_text(frame, temporary, style, separator, zipped))
    return path


def _to_text(frame: pd.DataFrame, path: Path, style: TextStyle, separator: str, zipped: bool) -> None:
    columns = {name: _styled(column_of(frame, str(name)), style, name) for name in frame.columns}
    header = ["" if style.unnamed and name == INDEX else str(name) for name in columns]
    cells = pd.DataFrame(columns)

    def write(encoding: str) -> None:
        opened = (
            gzip.open(path, "wt", encoding=encoding, newline="")
            if zipped
            else open(path, "w", encoding=encoding, newline="")
        )
        with opened as handle:
            cells.to_csv(
                handle,
                sep=separator,
                index=False,
                header=header,
                na_rep=style.missing,
                decimal=style.decimal,
                lineterminator=style.line,
            )

    try:
        write(style.encoding)
    except UnicodeEncodeError as error:
        try:
            write("utf-8")
        except UnicodeEncodeError:
            letter = error.object[error.start]
            raise StorageError(
                f"a cell holds {letter!r}, half of a letter, which no text file can hold. Replace it in the table."
            ) from error
        letter = error.object[error.start]
        said = f"{letter!r} is no letter of {style.encoding}, in which the table was; the file is written in UTF-8."
        warnings.warn(said, AeganWarning, stacklevel=2)


def _styled(series: pd.Series, style: TextStyle, name: str) -> pd.Series:
    """A column's cells as its file had them; words and numbers that it did not have stay as they are."""
    objects = series.dtype.kind == "O" and not isinstance(series.dtype, pd.CategoricalDtype)
    if name in style.words and (objects or pd.api.types.is_bool_dtype(series.dtype)):
        yes, no = style.words[name]
        series = series.map(
            lambda cell: (yes if cell else no) if isinstance(cell, (bool, np.bool_)) else cell, na_action="ignore"
        )
    if name not in style.decimals and name not in style.bare:
        return series
    if pd.api.types.is_float_dtype(series.dtype):
        codes, unique = pd.factorize(series)
        cells = np.array([*(_number_text(v, style, name) for v in unique), None], dtype=object)
        return pd.Series(cells[codes], dtype=object)
    if objects:  # numbers that were given, among words that were drawn
        return series.map(lambda cell: _number_text(cell, style, name) if isinstance(cell, float) else cell, "ignore")
    return series


def _number_text(value: float, style: TextStyle, name: str) -> str:
    """A number with the column's places; with all that it needs where these would cut it."""
    places, value = style.decimals.get(name), float(value)
    text = repr(value).removesuffix(".0") if places is None else f"{value:.{places}f}"
    return (text if float(text) == value else repr(value)).replace(".", style.decimal)


def form_among(opened: TableSource, fitted: TableForm) -> TableForm:
    """The form in which drawn cells are written among those of a table that was given: that table's own.

    Drawn words for True and False, and columns in which the table has no number, are as the ``fitted`` table has them.
    """
    own = opened.form
    style = own.style if opened.text else fitted.style
    decimals, bare = (own.style.decimals, own.style.bare) if opened.text else ({}, ())
    shown = [name for name in {*fitted.style.decimals, *fitted.style.bare} if name in own.names]
    if shown:
        table = opened.frame()
        empty = {name for name in shown if bool(table[name].isna().to_numpy().all())}
        decimals = {**decimals, **{name: n for name, n in fitted.style.decimals.items() if name in empty}}
        bare = (*bare, *(name for name in fitted.style.bare if name in empty))
    words = {**fitted.style.words, **own.style.words}
    return replace(own, style=replace(style, words=words, decimals=decimals, bare=bare))


def _numbers(frame: pd.DataFrame, path: Path) -> np.ndarray:
    """The rows as one array."""
    other = [str(name) for name, dtype in frame.dtypes.items() if not pd.api.types.is_numeric_dtype(dtype)]
    if other:
        raise ConfigError(
            f"{path}: an .npy file holds numbers alone, and {', '.join(other[:12])} holds others. "
            "Write .csv or .parquet."
        )
    return frame.to_numpy(dtype=np.float64, na_value=np.nan) if frame.isna().to_numpy().any() else frame.to_numpy()


def _to_excel(frame: pd.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()  # the temporary file's suffix says nothing to pandas
    with pd.ExcelWriter(cast(Any, buffer), engine="openpyxl") as writer:
        frame.to_excel(writer, index=False)
    path.write_bytes(buffer.getvalue())


def _for_excel(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """What a sheet can hold: it knows no time zones, so such times become text in ISO 8601.

    Raises:
        StorageError: More rows or columns than a sheet has, or a text that no cell can hold.
    """
    rows, columns = SHEET
    if len(frame) >= rows or frame.shape[1] > columns:
        raise StorageError(
            f"{path}: {len(frame)} rows of {frame.shape[1]} columns; a sheet holds {rows - 1} below the names, of "
            f"{columns}. Write .csv or .parquet."
        )
    plain = {name: frame[name] for name in frame.columns}
    for name, series in plain.items():
        if isinstance(series.dtype, pd.DatetimeTZDtype):
            plain[name] = series.map(lambda time: time.isoformat(), na_action="ignore")
        elif series.dtype.kind == "O":
            plain[name] = series.map(_without_zone, na_action="ignore")
        for row, cell in enumerate([name, *plain[name]] if series.dtype.kind == "O" else [name]):
            if isinstance(cell, str) and (len(cell) > CELL or _NOT_IN_XML.search(cell)):
                where = f"column {str(name)!r}, {f'row {row}' if row else 'its name'}"
                raise StorageError(
                    f"{path}: {where}: {cell[:40]!r}; a sheet's cell holds at most {CELL} letters, and no control "
                    "characters. Write .csv or .parquet."
                )
    return pd.DataFrame(plain, columns=frame.columns)


def _without_zone(cell: Any) -> Any:
    zoned = isinstance(cell, (datetime.datetime, datetime.time)) and cell.tzinfo is not None
    return cell.isoformat() if zoned else cell


def _to_database(frame: pd.DataFrame, out: str, overwrite: bool) -> str:
    address, _, name = out.partition("::")
    shown = without_password(address)
    if not name:
        raise ConfigError(f"{shown}: expected the name of a table behind the address, such as sqlite:///new.db::rows.")
    alchemy = import_extra("sqlalchemy")
    frame = _for_database(frame, name)
    try:
        engine = alchemy.create_engine(address)
        try:
            if not overwrite and alchemy.inspect(engine).has_table(name):
                raise StorageError(f"{name}: the table exists. Choose another name, or overwrite it (overwrite=True).")
            with engine.begin() as connection:
                if engine.dialect.name == "sqlite":  # its driver would drop the old table before anything can fail
                    connection.exec_driver_sql("BEGIN")
                frame.to_sql(name, connection, index=False, if_exists="replace", chunksize=10_000)
        finally:
            engine.dispose()
    except alchemy.exc.SQLAlchemyError as error:
        raise StorageError(f"{shown}::{name}: {str(error).splitlines()[0]}") from error
    except ImportError as error:
        raise StorageError(f"{shown}::{name}: its driver is not installed ({error}).") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise StorageError(f"{shown}::{name}: {error}. Mend these cells, or write .parquet.") from error
    return f"{shown}::{name}"


def _for_database(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Columns of types that databases have.

    Raises:
        StorageError: Complex numbers, or integers beyond 64 bits with a sign.
    """
    plain = {}
    for name in frame.columns:
        dtype = frame[name].dtype
        kind = dtype.kind
        if kind == "u" and getattr(dtype, "itemsize", 0) == 8:
            if (frame[name].dropna() > np.iinfo(np.int64).max).any():
                kind = "c"
            else:
                plain[name] = frame[name].astype("int64" if isinstance(dtype, np.dtype) else "Int64")
        if kind == "c":
            raise StorageError(
                f"{table}: column {str(name)!r} is of {dtype}, with values that databases have no type for. Write "
                ".parquet, or convert the column."
            )
    return frame.assign(**plain) if plain else frame
