"""Tables to .csv, .tsv, .parquet, .xlsx or a database; whole or not at all, formatted like the fitted table."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from aegan.data.table_csv import INDEX
from aegan.data.table_form import TableForm, TextStyle, import_extra, to_arrow
from aegan.data.table_frames import column_of
from aegan.data.table_source import open_table
from aegan.errors import ConfigError, StorageError
from aegan.storage import write_atomically

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".npy")


def write_table(
    table: Any, out: str | os.PathLike[str], *, form: TableForm | None = None, overwrite: bool = False
) -> Path | str:
    """Write a table in the form that the suffix of ``out`` asks for.

    * ``.csv``, ``.tsv``, ``.txt``, each also with ``.gz``: separator, decimal point, words for booleans and for missing
      cells as in ``form``; UTF-8 or what the fitted file was in.
    * ``.parquet``: with the column types of ``form``.
    * ``.xlsx``: one sheet.
    * ``.npy``: an array ``(N, D)``, where all columns are numbers.
    * ``URL::table``, a database that SQLAlchemy knows.

    Args:
        table: A pandas or polars frame, or a dict of columns.
        out: Path, or a database's address with ``::`` and the name of the table.
        form: What the fitted table looked like; None: plain.
        overwrite: Replace an existing file or database table.

    Returns:
        The path, or the address.

    Raises:
        ConfigError: A suffix that is none of these, or a package that is not installed.
        StorageError: The file exists and ``overwrite`` is off, or it cannot be written.
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
        content = to_arrow(frame, form.arrow if form is not None else None)
        write_atomically(path, lambda temporary: pq.write_table(content, temporary))
    elif suffix == ".xlsx":
        import_extra("openpyxl")
        plain = _without_zones(frame)
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
    opened = (
        gzip.open(path, "wt", encoding=style.encoding, newline="", errors="replace")
        if zipped
        else open(path, "w", encoding=style.encoding, newline="", errors="replace")
    )
    with opened as handle:
        pd.DataFrame(columns).to_csv(
            handle,
            sep=separator,
            index=False,
            header=header,
            na_rep=style.missing,
            decimal=style.decimal,
            lineterminator=style.line,
        )


def _styled(series: pd.Series, style: TextStyle, name: str) -> pd.Series:
    """A column's cells as its file had them."""
    if name in style.words:
        yes, no = style.words[name]
        return series.map({True: yes, False: no}, na_action="ignore")
    if pd.api.types.is_float_dtype(series.dtype) and (name in style.decimals or name in style.bare):
        codes, unique = pd.factorize(series)
        places = style.decimals.get(name)
        texts = [f"{v:.{places}f}" if places is not None else repr(float(v)).removesuffix(".0") for v in unique]
        cells = np.array([*(text.replace(".", style.decimal) for text in texts), None], dtype=object)
        return pd.Series(cells[codes], dtype=object)
    return series


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


def _without_zones(frame: pd.DataFrame) -> pd.DataFrame:
    """Excel knows no time zones: such times become text in ISO 8601."""
    zoned = [name for name in frame.columns if isinstance(frame[name].dtype, pd.DatetimeTZDtype)]
    return frame.assign(**{name: frame[name].map(lambda t: t.isoformat(), na_action="ignore") for name in zoned})


def _to_database(frame: pd.DataFrame, out: str, overwrite: bool) -> str:
    address, _, name = out.partition("::")
    if not name:
        raise ConfigError(f"{out}: expected the name of a table behind the address, such as sqlite:///new.db::rows.")
    alchemy = import_extra("sqlalchemy")
    engine = alchemy.create_engine(address)
    try:
        if not overwrite and alchemy.inspect(engine).has_table(name):
            raise StorageError(f"{name}: the table exists. Choose another name, or overwrite it (overwrite=True).")
        with engine.begin() as connection:
            frame.to_sql(name, connection, index=False, if_exists="replace", chunksize=10_000)
    except alchemy.exc.SQLAlchemyError as error:
        raise StorageError(f"{name}: {str(error).splitlines()[0]}") from error
    finally:
        engine.dispose()
    return out
