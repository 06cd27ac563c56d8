"""Whatever a user calls a table, opened as one :class:`TableSource`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from aegan.data.array_files import read_npy
from aegan.data.kinds import is_rows
from aegan.data.table_csv import MISSING, check_names, name_index, read_text, without_row_numbers
from aegan.data.table_form import TableForm, encode_schema, import_extra
from aegan.data.table_whole import BEYOND
from aegan.errors import DataError, nearest

SAMPLE = 500_000
"""Rows that columns are learnt from; of larger tables a random part."""
BLOCK = 131_072
"""Rows that are read at once from a Parquet file."""
READ_BYTES = 1 << 20
"""Bytes of each column of a Parquet file that are read at once."""
READABLE = (
    "a pandas or polars frame, a dict of columns, an array (N, D) of numbers, a path to .csv, .tsv, .txt (also .gz), "
    ".parquet, .xlsx, .xls or .npy, a folder of .parquet files, or a database as URL::table"
)
SECRET = re.compile(r"([?&;][^=&;]*(?:pass|pwd|token|secret|key|odbc_connect)[^=&;]*=)[^&;]*", re.IGNORECASE)
"""What of an address's query is nobody's business; ``odbc_connect`` has a whole address in it."""
TEXT = (".csv", ".tsv", ".txt", ".tab", ".dat")
EXCEL = (".xlsx", ".xls", ".xlsm")


class TableSource:
    """A table to be read in blocks of rows, its columns named by strings.

    Attributes:
        name: Path or type, named in errors.
        form: What it looks like as a whole.
        first_line: Line of the first row, for files; None where rows have no lines.
        text: Whether it is a text file, whose style the form tells.
    """

    def __init__(
        self, name: str, form: TableForm, frame: pd.DataFrame, first_line: int | None = None, *, text: bool = False
    ) -> None:
        self.name, self.form, self.first_line, self.text = name, form, first_line, text
        self._frame = frame

    def __len__(self) -> int:
        return len(self._frame)

    def blocks(self) -> Iterator[pd.DataFrame]:
        """All rows in order, in frames of some thousand rows each."""
        yield self._frame

    def sample(self) -> pd.DataFrame:
        """The rows that columns are learnt from: all, or a random part of a large table, always the same one."""
        if len(self) <= SAMPLE:
            return self._frame
        return self._frame.iloc[_chosen(len(self))].reset_index(drop=True)

    def frame(self) -> pd.DataFrame:
        """All rows."""
        return _joined(list(self.blocks()))

    def tally(self, names: list[str], inf: bool = False) -> tuple[dict[str, pd.Series], dict[str, int]]:
        """Over all rows: rows of each value of some columns of names, and missing cells of every column.

        Args:
            names: Columns of names.
            inf: Whether infinite numbers count as missing.
        """
        total: dict[str, pd.Series] = {}
        gone: dict[str, int] = {}
        for block in self.blocks():
            for name in names:
                counted = block[name].astype(object).value_counts(sort=False)
                total[name] = total[name].add(counted, fill_value=0) if name in total else counted
            for name, series in block.items():
                lost = series.isna().to_numpy(dtype=bool)
                if inf and series.dtype.kind == "f":
                    lost = lost | np.isinf(series.to_numpy(dtype=np.float64, na_value=np.nan))
                gone[str(name)] = gone.get(str(name), 0) + int(lost.sum())
        return {name: counted.astype(np.int64) for name, counted in total.items()}, gone

    def row_name(self, row: int) -> str:
        """Where a row is, for messages."""
        return f"row {row + 1}" + (f" (line {row + self.first_line})" if self.first_line is not None else "")


class ParquetSource(TableSource):
    """One Parquet file or several, read block by block."""

    def __init__(self, name: str, paths: list[Path]) -> None:
        self.files = [_open_parquet(path) for path in paths]
        schema = self.files[0].schema_arrow
        for path, file in zip(paths, self.files, strict=True):
            if file.schema_arrow.names != schema.names:
                raise DataError(
                    f"{path}: columns {file.schema_arrow.names}; expected {schema.names}, as in {paths[0]}."
                )
        names = [column for column in schema.names if not column.startswith("__index_level_")]
        check_names(names, name)
        self.rows = sum(file.metadata.num_rows for file in self.files)
        self.columns = names
        form = TableForm(columns=tuple(names), schema=encode_schema(pa.schema([schema.field(one) for one in names])))
        super().__init__(name, form, pd.DataFrame())

    def __len__(self) -> int:
        return self.rows

    def blocks(self) -> Iterator[pd.DataFrame]:
        """See :meth:`TableSource.blocks`."""
        for file in self.files:
            for batch in file.iter_batches(BLOCK, columns=self.columns, use_threads=False):
                frame = _to_pandas(batch).reset_index(drop=True)
                yield frame.loc[:, self.columns]

    def sample(self) -> pd.DataFrame:
        """See :meth:`TableSource.sample`."""
        if self.rows <= SAMPLE:
            return _joined(list(self.blocks()))
        chosen, parts, done = _chosen(self.rows), [], 0
        for block in self.blocks():
            inside = chosen[(chosen >= done) & (chosen < done + len(block))] - done
            parts.append(block.iloc[inside])
            done += len(block)
        return _joined(parts)


def open_table(source: Any, *, index: str | None = None) -> TableSource:
    """Open a table, wherever it is.

    * **pandas and polars frames**, a **dict** of columns, and **arrays** and tensors ``(N, D)`` of numbers, also in an
      ``.npy`` file, whose columns are called 0, 1, …; an index is left out.
    * **Text** (``.csv``, ``.tsv``, ``.txt``, each also ``.gz``): separator found among comma, semicolon, tab and ``|``;
      UTF-8, UTF-16 or else Windows-1252; a decimal comma where the separator is a semicolon. Empty cells, ``NA``,
      ``NaN``, ``null``, ``?``, ``None`` and ``N/A`` are missing. Codes with leading zeros stay text.
    * **Parquet**: a file, or a folder of files with the same columns, read block by block.
    * **Excel**: the first sheet.
    * **Database**: ``sqlite:///shop.db::orders``, any SQLAlchemy URL followed by ``::`` and a table or a SELECT;
      a database with one table needs none.

    Args:
        source: One of these, or a ``TableSource``, which is returned as it is.
        index: Name of a file's first column that has none, as pandas writes an index; row numbers there are left out.
            None: a column without a name is refused.

    Raises:
        DataError: No such path, not a table, empty, or columns that cannot be told apart.
        ConfigError: A package for this kind of table is not installed.
    """
    if isinstance(source, TableSource):
        return source
    if isinstance(source, str) and "://" in source:
        return _open_database(source)
    if isinstance(source, (str, os.PathLike)):
        return _open_path(Path(source).expanduser(), index)
    if isinstance(source, pd.DataFrame):
        return _from_pandas(source, "frame")
    if type(source).__module__.split(".")[0] == "polars":
        return _from_polars(source)
    if is_rows(source):
        rows = np.asarray(source.detach().cpu().float() if isinstance(source, torch.Tensor) else source)
        return _from_pandas(pd.DataFrame(rows), "array", container="array")
    if isinstance(source, Mapping):
        try:
            frame = pd.DataFrame({name: list(values) for name, values in source.items()})
        except (TypeError, ValueError) as error:
            raise DataError(f"dict: {error}; expected columns of one length.") from error
        return _from_pandas(frame, "dict", container="columns")
    raise DataError(f"cannot read a table from {type(source).__module__}.{type(source).__name__}; expected {READABLE}.")


def _from_pandas(frame: pd.DataFrame, name: str, container: str = "pandas", line: int | None = None) -> TableSource:
    labels = [label.item() if isinstance(label, np.generic) else label for label in frame.columns]
    columns = tuple(label if isinstance(label, (str, int)) else str(label) for label in labels)
    check_names(list(map(str, columns)), name)
    if len(frame) == 0:
        raise DataError(f"{name}: columns, but no rows; expected at least two rows.")
    plain = frame.reset_index(drop=True)
    for i, dtype in enumerate(plain.dtypes):
        if isinstance(dtype, pd.SparseDtype):
            plain.isetitem(i, plain.iloc[:, i].sparse.to_dense())
    plain.columns = pd.Index([str(column) for column in columns], dtype=object)
    return TableSource(name, TableForm(columns=columns, container=container), plain, line)


def _from_polars(frame: Any) -> TableSource:
    polars = import_extra("polars")
    if isinstance(frame, polars.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, polars.DataFrame):
        raise DataError(f"cannot read a table from polars.{type(frame).__name__}; expected {READABLE}.")
    table = frame.to_arrow()
    source = _from_pandas(_to_pandas(table), "polars frame", container="polars")
    source.form = TableForm(columns=source.form.columns, container="polars", schema=encode_schema(table.schema))
    return source


def _to_pandas(table: pa.Table | pa.RecordBatch) -> pd.DataFrame:
    """As Arrow has it, but for whole numbers with gaps that floats do not tell apart: those keep their digits."""
    frame: pd.DataFrame = table.to_pandas()
    for field, column in zip(table.schema, table.columns, strict=True):
        exact = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}
        if field.type not in exact or not 0 < column.null_count < len(column):
            continue
        ends = pc.min_max(column).as_py()  # pyright: ignore[reportAttributeAccessIssue]
        if max(abs(ends["min"]), abs(ends["max"])) > BEYOND:
            frame[field.name] = column.to_pandas(types_mapper=exact.get)
    return frame


def _open_path(path: Path, index: str | None) -> TableSource:
    if not path.exists():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, siblings) if siblings else f"The folder {path.parent} is missing or empty."
        raise DataError(f"{path}: no such file or folder. {hint}")
    if path.is_dir():
        files = sorted(path.rglob("*.parquet"))
        if not files:
            raise DataError(f"{path}: a folder without .parquet files; expected {READABLE}.")
        return _some_rows(ParquetSource(str(path), files))
    suffix = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()
    if suffix in (".parquet", ".pq"):
        return _some_rows(ParquetSource(str(path), [path]))
    if suffix == ".npy":
        rows = np.asarray(read_npy(path))
        if not is_rows(rows):
            raise DataError(f"{path}: an array of shape {rows.shape} and type {rows.dtype}; expected {READABLE}.")
        return _from_pandas(pd.DataFrame(rows), str(path))
    if suffix in EXCEL:
        return _from_pandas(_read_excel(path, index), str(path), line=2)
    if suffix in TEXT:
        frame, style = read_text(path, index)
        return TableSource(str(path), TableForm(columns=tuple(frame.columns), style=style), frame, 2, text=True)
    raise DataError(f"{path}: suffix {suffix or '(none)'} is not one of a table; expected {READABLE}.")


def _some_rows(source: TableSource) -> TableSource:
    if len(source) == 0:
        raise DataError(f"{source.name}: columns, but no rows; expected at least two rows.")
    return source


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        # Not mapped: pages of a map that were read would count as the process's memory.
        return pq.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a Parquet file, or a damaged one ({error}).") from error


def _read_excel(path: Path, index: str | None) -> pd.DataFrame:
    import_extra("xlrd" if path.suffix.lower() == ".xls" else "openpyxl")
    try:
        cells = pd.read_excel(path, header=None, dtype=object, na_values=list(MISSING), keep_default_na=False)
    except ImportError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:  # whatever the parsers of zip, XML and Excel raise on damaged files
        raise DataError(f"{path}: not an Excel file, or a damaged one ({error}).") from error
    if len(cells) == 0:
        raise DataError(f"{path}: an empty sheet; expected a row of column names and rows of values.")
    names = ["" if pd.isna(name) else str(name).strip() for name in cells.iloc[0]]
    unnamed = name_index(names, index)
    check_names(names, str(path))
    frame = cells.iloc[1:].reset_index(drop=True)
    frame.columns = pd.Index(names, dtype=object)
    frame = frame.infer_objects()
    return without_row_numbers(frame) if unnamed and index is not None else frame


def _open_database(url: str) -> TableSource:
    address, _, what = url.partition("::")
    alchemy = import_extra("sqlalchemy")
    try:
        engine = alchemy.create_engine(address)
        if engine.dialect.name == "sqlite" and engine.url.database and not Path(engine.url.database).is_file():
            raise DataError(f"{engine.url.database}: no such database file.")
        try:
            tables = alchemy.inspect(engine).get_table_names() + alchemy.inspect(engine).get_view_names()
            if not what and len(tables) != 1:
                listed = ", ".join(tables[:12]) or "none"
                raise DataError(
                    f"{without_password(address)}: tables {listed}; say which: {without_password(address)}::TABLE."
                )
            what = what or tables[0]
            if what not in tables and " " in what.strip():
                query = alchemy.text(what)
            elif what not in tables and what.split(".")[-1] not in tables and "." not in what:
                raise DataError(f"{without_password(address)}: no table {what!r}. {nearest(what, tables)}")
            else:
                schema, _, table = what.rpartition(".")
                query = alchemy.select(alchemy.text("*")).select_from(alchemy.table(table, schema=schema or None))
            with engine.connect() as connection:
                frame = pd.read_sql(query, connection)
        finally:
            engine.dispose()
    except alchemy.exc.SQLAlchemyError as error:
        raise DataError(f"{without_password(address)}: {str(error).splitlines()[0]}") from error
    except ImportError as error:
        raise DataError(f"{without_password(address)}: its driver is not installed ({error}).") from error
    return _from_pandas(frame, f"{without_password(address)}::{what}")


def same_source(a: Any, b: Any) -> bool:
    """Whether both are the same object or the same file."""
    if isinstance(a, (str, os.PathLike)) and isinstance(b, (str, os.PathLike)):
        return str(a) == str(b) or os.path.realpath(a) == os.path.realpath(b)
    return a is b


def without_password(url: str) -> str:
    """An address without its password, wherever in it that is.

    >>> without_password("postgresql://ann:x@db/shop"), without_password("postgresql://db/shop?user=ann&password=x&a=1")
    ('postgresql://ann@db/shop', 'postgresql://db/shop?user=ann&password=***&a=1')
    """
    scheme, _, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    return SECRET.sub(r"\1***", f"{scheme}://{user.split(':')[0]}{at}{host}")


def _chosen(n: int) -> np.ndarray:
    return np.sort(np.random.default_rng(0).choice(n, SAMPLE, replace=False))


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
