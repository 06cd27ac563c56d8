"""Text files of values: encoding, separator, and the types of their columns."""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from aegan.data.table_form import TextStyle
from aegan.data.table_frames import to_numbers
from aegan.errors import AeganWarning, DataError

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "Null", "?", "None", "#N/A", "NaT", "<NA>", "-nan")
"""Cells that mean a missing value."""
SEPARATORS = ",;\t|"
INDEX = "Unnamed: 0"
"""Name of a first column without one."""
_BOOLEANS = (("True", "False"), ("TRUE", "FALSE"), ("true", "false"))
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(inf|Inf|INF|[Ii]nfinity)$"


def read_text(path: Path, index: str | None = None) -> tuple[pd.DataFrame, TextStyle]:
    """Read a file of separated values, gzipped or not.

    Args:
        path: The file.
        index: Name of a first column that has none; row numbers there are left out. None: what pandas reads, and stays.

    Returns:
        The frame, and how the file was written.

    Raises:
        DataError: Binary, empty, header only, a name missing or twice, or a ragged row (its line is named).
    """
    text, encoding = _decoded(path)
    line = "\r\n" if "\r\n" in text[:10_000] else "\n"
    whole = text.replace("\r\n", "\n").replace("\r", "\n")
    text = whole.lstrip("\n")
    above = len(whole) - len(text)
    if not text.strip():
        raise DataError(f"{path}: an empty file; expected a line of column names and rows of values.")
    separator = "\t" if path.suffixes[:1] == [".tsv"] else sniff(text[:100_000])
    text = _without_spaces(text, separator)
    names, start, unnamed = _header(text, separator, path, index)
    table = _parse(text, start, names, separator, path, above)
    if all(re.match(_NUMBER, name) for name in names):
        warnings.warn(
            f"{path}: the first line holds numbers alone ({', '.join(names[:6])}); it is taken as the names. If it "
            "is a row, put a line of names before it.",
            AeganWarning,
            stacklevel=2,
        )
    del text, whole
    decimal = "," if separator == ";" and _decimal_commas(table) else "."
    columns, words, decimals, bare, gone = {}, {}, {}, [], Counter()
    for name in names:
        cells = pc.utf8_trim_whitespace(table.column(name))  # pyright: ignore[reportAttributeAccessIssue]
        empty = pc.is_in(cells, pa.array(MISSING))  # pyright: ignore[reportAttributeAccessIssue]
        gone.update(dict(_counted(cells.filter(empty))))
        cells = pc.if_else(empty, None, cells)  # pyright: ignore[reportAttributeAccessIssue]
        columns[name] = _typed(cells, name, decimal, words, decimals, bare)
    missing = gone.most_common(1)[0][0] if gone else ""
    style = TextStyle(
        separator=separator,
        encoding=encoding,
        decimal=decimal,
        missing=missing,
        words=words,
        decimals=decimals,
        bare=tuple(bare),
        line=line,
        unnamed=unnamed and index is None,
    )
    frame = pd.DataFrame(columns)
    return without_row_numbers(frame) if unnamed and index is not None else frame, style


def without_row_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the first column, where that counts the rows from 0 or 1 and others are left."""
    first, rows = frame.iloc[:, 0], np.arange(len(frame))
    whole = pd.api.types.is_integer_dtype(first.dtype) and frame.shape[1] > 1
    counts = whole and any(np.array_equal(first.to_numpy(), rows + begin) for begin in (0, 1))
    return frame.iloc[:, 1:] if counts else frame


def _without_spaces(text: str, separator: str) -> str:
    """Without spaces between a separator and a quote, which would hide the quote; those within quotes stay."""
    if not re.search(rf"{re.escape(separator)} +\"", text[:100_000]):
        return text
    return re.sub(rf'(?<![^\n{re.escape(separator)}]) *("(?:[^"]|"")*")', r"\1", text)


def _decoded(path: Path) -> tuple[str, str]:
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError) as error:
            raise DataError(f"{path}: a damaged gzip file ({error}). Copy or download it again.") from error
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            return raw.decode("utf-16"), "utf-16"
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: begins like UTF-16, but is not ({error}). Save it as UTF-8.") from error
    if b"\x00" in raw[:100_000] or raw[:4] in (b"PK\x03\x04", b"PAR1", b"\x89PNG", b"%PDF"):
        kind = {b"PK": "a zip or Excel file", b"PA": "Parquet", b"\x89P": "PNG", b"%P": "PDF"}.get(
            raw[:2], "binary data"
        )
        raise DataError(
            f"{path}: {kind}, not text; expected values separated by comma, semicolon, tab or |. Rename it."
        )
    try:
        bom = raw[:3] == b"\xef\xbb\xbf"
        return raw.decode("utf-8-sig"), "utf-8-sig" if bom else "utf-8"
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        text = raw.decode("cp1252", errors="replace")
        control = sum(ord(c) < 32 and c not in "\t\n\r\f" for c in text[:100_000])
        if control > len(text[:100_000]) / 100:
            raise DataError(f"{path}: binary data, not text; expected separated values in UTF-8.") from error
        warnings.warn(
            f"{path}: line {line} is not UTF-8; the file was read as Windows-1252. If letters look wrong, save it as "
            "UTF-8.",
            AeganWarning,
            stacklevel=2,
        )
        return text, "cp1252"


def sniff(text: str) -> str:
    r"""The separator that cuts the first lines into the same number of cells, at least two.

    >>> sniff('a;b\n"1,5;";2\n3,5;4\n')
    ';'
    """
    best, best_score = ",", (0.0, 0)
    for separator in SEPARATORS:
        try:
            rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True) if row][
                :200
            ]
        except csv.Error:
            continue
        rows = rows[:-1] if len(rows) > 2 and len(text) >= 100_000 else rows
        width = len(rows[0]) if rows else 0
        agree = sum(len(row) == width for row in rows) / max(len(rows), 1)
        if width > 1 and (score := (agree, width)) > best_score:
            best, best_score = separator, score
    return best


def _header(text: str, separator: str, path: Path, index: str | None) -> tuple[list[str], int, bool]:
    """Names, at which line (from 0) the rows begin, and whether the first column lacked a name."""
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    names = [name.strip() for name in next(reader)]
    unnamed = name_index(names, index)
    try:
        check_names(names, str(path))
    except DataError as error:
        if not any(re.match(_NUMBER, name) for name in names):
            raise
        raise DataError(
            f"{error} The first line holds numbers, so the file may lack a header: begin it with a line of names."
        ) from error
    return names, reader.line_num, unnamed


def name_index(names: list[str], index: str | None = None) -> bool:
    """Whether the first column lacks a name, as row names of pandas and R do; it gets ``index``, or pandas' own."""
    name = INDEX if index is None else index
    numbered = index is None and any(re.match(_NUMBER, other) for other in names)
    if len(names) > 1 and names[0] == "" and name not in names and not numbered:
        names[0] = name
        return True
    return False


def check_names(names: list[str], where: str) -> None:
    """Refuse tables whose columns cannot be told apart.

    Raises:
        DataError: No column, an empty name, or one that occurs twice.
    """
    if not names:
        raise DataError(f"{where}: no columns; expected at least one.")
    for i, name in enumerate(names):
        if name == "":
            hint = " If every line ends with a separator, remove that." if 0 < i == len(names) - 1 else ""
            if i == 0 and len(names) > 1:
                hint = " If it is a row number that pandas wrote, write with index=False."
            raise DataError(f"{where}: column {i + 1} has no name; expected a name for each column.{hint}")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        places = ", ".join(str(i + 1) for i, name in enumerate(names) if name == twice[0])
        raise DataError(f"{where}: the name {twice[0]!r} occurs twice (columns {places}); rename one of them.")


def _parse(text: str, start: int, names: list[str], separator: str, path: Path, above: int) -> pa.Table:
    """All cells as text; ``above`` counts the empty lines before."""
    bad: list[pyarrow.csv.InvalidRow] = []

    def keep(row: pyarrow.csv.InvalidRow) -> str:
        bad.append(row)
        return "error"

    data = text.encode("utf-8")
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            pyarrow.csv.ReadOptions(use_threads=False, column_names=names, skip_rows=start, block_size=64 << 20),
            pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=keep),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        if bad:
            line = above + _ragged(text, bad[0], separator)
            title = " If the first line is a title rather than names, remove it." if len(names) == 1 else ""
            raise DataError(
                f"{path}: line {line} has {bad[0].actual_columns} values; expected {bad[0].expected_columns}, one for "
                f"each column: {bad[0].text[:80]!r}. Mend that line; a value that holds {separator!r} needs "
                f"quotes.{title}"
            ) from error
        if "Empty CSV" in str(error):
            table = None
        else:
            raise DataError(f"{path}: {error}") from error
    if table is None or table.num_rows == 0:
        raise DataError(f"{path}: column names, but no rows; expected at least two rows of values.")
    return table


def _ragged(text: str, bad: pyarrow.csv.InvalidRow, separator: str) -> int:
    """Line, from 1, at which the first row of so many values begins; Arrow counts rows, without the empty lines."""
    reader, begin = csv.reader(io.StringIO(text), delimiter=separator), 1
    try:
        for row in reader:
            if len(row) == bad.actual_columns and len(row) != bad.expected_columns:
                return begin
            begin = reader.line_num + 1
    except csv.Error:
        pass
    return bad.number or begin


def _counted(cells: pa.ChunkedArray) -> list[tuple[str, int]]:
    return [(one["values"], one["counts"]) for one in cells.value_counts().to_pylist()]


def _decimal_commas(table: pa.Table) -> bool:
    """Whether some column holds numbers with a comma, and none a number with a point."""
    comma = False
    for name in table.column_names:
        cells = pc.utf8_trim_whitespace(table.column(name).slice(0, 10_000))  # pyright: ignore
        if _all(cells, r"^[+-]?\d+\.\d+$|^$"):
            if not _all(cells, "^$"):
                return False
        elif _all(cells, r"^[+-]?\d*,?\d+([eE][+-]?\d+)?$|^$|^NA$|^\?$"):
            comma |= not _all(cells, r"^[^,]*$")
    return comma


def _all(cells: pa.ChunkedArray, pattern: str) -> bool:
    """Whether all cells that are not missing match."""
    return bool(pc.all(pc.match_substring_regex(cells, pattern), min_count=0).as_py())  # pyright: ignore


def _typed(
    cells: pa.ChunkedArray,
    name: str,
    decimal: str,
    words: dict[str, tuple[str, str]],
    decimals: dict[str, int],
    bare: list[str],
) -> pd.Series:
    """Text cells as integers, floats, booleans or names; notes how they were written."""
    if cells.null_count == len(cells):
        return pd.Series(np.full(len(cells), np.nan))
    for yes, no in _BOOLEANS:
        if _all(cells, f"^({yes}|{no})$"):
            words[name] = (yes, no)
            values = pc.equal(cells, yes).to_pandas()  # pyright: ignore[reportAttributeAccessIssue]
            return values.astype(bool) if cells.null_count == 0 else values.astype(object).where(values.notna(), np.nan)
    numbers = pc.replace_substring(cells, ",", ".") if decimal == "," else cells  # pyright: ignore
    if _all(cells, r"^[+-]?\d+$"):
        if _all(cells, r"^[+-]?(0|[1-9]\d*)$") and _all(cells, r"^[+-]?\d{1,18}$"):
            if cells.null_count == 0:
                return pc.cast(pc.replace_substring(cells, "+", ""), pa.int64()).to_pandas()  # pyright: ignore
            bare.append(name)
            return _floats(cells)
        return _names(cells)  # leading zeros or too many digits: a code rather than a number
    if _all(numbers, _NUMBER):
        whole = pc.match_substring_regex(numbers, r"^[+-]?\d+$")  # pyright: ignore[reportAttributeAccessIssue]
        if pc.any(whole).as_py():  # pyright: ignore[reportAttributeAccessIssue]
            bare.append(name)
        else:
            places = pc.replace_substring_regex(numbers, r"^.*\.", "")  # pyright: ignore[reportAttributeAccessIssue]
            lengths = pc.unique(pc.utf8_length(places).drop_null()).to_pylist()  # pyright: ignore
            if len(lengths) == 1 and 1 < lengths[0] <= 12 and _all(numbers, r"^[+-]?\d*\.\d+$"):
                decimals[name] = lengths[0]
        return _floats(numbers)
    return _names(cells)


def _floats(cells: pa.ChunkedArray) -> pd.Series:
    return to_numbers(cells.to_pandas()).astype("float64")


def _names(cells: pa.ChunkedArray) -> pd.Series:
    codes = cells.dictionary_encode().combine_chunks()
    values = codes.dictionary.to_pandas().to_numpy(dtype=object)
    index = codes.indices.to_numpy(zero_copy_only=False)
    if cells.null_count == 0:
        return pd.Series(values[index], dtype=object)
    return pd.Series(
        np.append(values, np.nan)[np.where(np.isnan(index), len(values), index).astype(np.int64)], dtype=object
    )
