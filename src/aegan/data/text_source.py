"""Whatever a user calls text, opened as samples with their labels."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.table_source import open_table
from aegan.data.text_files import SAMPLES, cut_samples, read_characters
from aegan.errors import ConfigError, DataError, nearest

READABLE = (
    "a text file (a line or a paragraph a sample, also .gz), a list or pandas Series of strings, (texts, labels), or a "
    "table and its column"
)
CONTAINERS = ("file", "list", "series", "table")
TABLES = (".csv", ".tsv", ".tab", ".parquet", ".pq", ".xlsx", ".xls")
OBJECTS = ".jsonl"
"""A file of JSON objects, one a line: a table as well."""
USUAL, USUAL_LABEL = "text", "label"
"""Columns of texts and of their labels where nobody named them, as this library writes them."""
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class TextForm:
    """What the fitted text looked like, so that new samples can be returned and written alike.

    Attributes:
        container: ``"file"``, ``"list"``, ``"series"`` or ``"table"``.
        sample: ``"line"`` or ``"paragraph"`` of a file; elsewhere a sample is a string.
        column: Name of the column, or of the Series.
        label: Name of the labels' column.
    """

    container: str = "list"
    sample: str = "line"
    column: str | None = None
    label: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> TextForm:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: A key is missing or unknown, or a value cannot be.
        """
        keys = ("container", "sample", "column", "label")
        if not isinstance(data, Mapping) or set(data) != set(keys) or data["container"] not in CONTAINERS:
            raise DataError(
                f"adapter form: expected the keys {', '.join(keys)} and a known container; got {data!r:.200}."
            )
        return cls(**data)


@dataclass(frozen=True, kw_only=True)
class TextSet:
    """Opened text.

    Attributes:
        name: Path or type, named in errors.
        texts: The samples.
        labels: A label each, or None.
        places: Where each sample is: its line in a file, its row elsewhere, from 1.
        form: What it looked like.
        passed: Samples that were passed over: missing cells of a table.
    """

    name: str
    texts: list[str]
    labels: list[str] | None
    places: list[int]
    form: TextForm
    passed: int = 0

    def place(self, index: int) -> str:
        """Where sample ``index`` is, in words."""
        return f"{'line' if self.form.container == 'file' else 'sample'} {self.places[index]}"


def open_text(
    source: Any,
    *,
    column: str | None = None,
    label: str | None = None,
    sample: str = "auto",
    encoding: str = "utf-8",
) -> TextSet:
    """Open ``source``.

    Args:
        source: A path; strings in a list, tuple, array or pandas Series; ``(texts, labels)``; or, with ``column``, a
            table of any form (see :func:`aegan.data.table_source.open_table`).
        column: The table's column of text.
        label: The table's column of classes.
        sample: Of a file: ``"line"``, ``"paragraph"`` (blank lines between them), or ``"auto"``.
        encoding: Of a file without a byte order mark.

    Raises:
        DataError: Not such a source, empty, binary, not in this encoding, or no strings; with the place.
        ConfigError: An option that this source does not have.
    """
    if sample not in SAMPLES:
        raise ConfigError(f"sample is {sample!r}; expected one of {', '.join(SAMPLES)}.")
    if isinstance(source, TextSet):
        return source
    if column is not None:
        return _from_table(source, column, label)
    if label is not None:
        raise ConfigError(f"label={label}: a table's column; give the column of the text too: column=….")
    if isinstance(source, (str, os.PathLike)):
        return _from_file(Path(source).expanduser(), sample, encoding)
    if isinstance(source, tuple) and len(source) == 2 and not isinstance(source[0], str):
        opened = _from_strings(source[0])
        return _with_labels(opened, source[1])
    return _from_strings(source)


def _from_file(path: Path, sample: str, encoding: str) -> TextSet:
    if is_table_file(path):
        raise ConfigError(f"{path}: a table; say which of its columns is the text: --text-column NAME.")
    if is_objects_file(path):
        return _from_table(path, USUAL, None)
    texts, places, sample = cut_samples(read_characters(path, encoding), sample)
    return TextSet(
        name=str(path), texts=texts, labels=None, places=places, form=TextForm(container="file", sample=sample)
    )


def _from_strings(source: Any) -> TextSet:
    if isinstance(source, pd.Series):
        name = None if source.name is None else str(source.name)
        gone = source.isna().to_numpy(dtype=bool)
        places = (np.flatnonzero(~gone) + 1).tolist()
        texts = _strings(source[~gone].tolist(), places, f"Series {name or ''}".strip())
        form = TextForm(container="series", column=name)
        return TextSet(name="Series", texts=texts, labels=None, places=places, form=form, passed=int(gone.sum()))
    if isinstance(source, np.ndarray) and source.ndim == 1:
        source = source.tolist()
    if isinstance(source, (str, bytes)) or not isinstance(source, Sequence):
        raise DataError(f"text: cannot read {type(source).__name__}; expected {READABLE}.")
    if not source:
        raise DataError(f"text: an empty list; expected {READABLE}.")
    places = list(range(1, len(source) + 1))
    return TextSet(
        name="list", texts=_strings(source, places, "list"), labels=None, places=places, form=TextForm(container="list")
    )


def _strings(values: Sequence[Any], places: Sequence[int], where: str) -> list[str]:
    for place, value in zip(places, values, strict=True):
        if not isinstance(value, str):
            raise DataError(
                f"{where}: sample {place} is {value!r:.50} ({type(value).__name__}); expected a string. Leave it out, "
                "or convert it with str()."
            )
    return [str(value) for value in values]  # no numpy strings


def _from_table(source: Any, column: str, label: str | None) -> TextSet:
    frame, where = _frame_of(source)
    names = [str(name) for name in frame.columns]
    frame.columns = pd.Index(names)
    for option, name in (("text", column), ("label", label)):
        if name is not None and name not in names:
            raise ConfigError(f"{where}: --{option}-column {name}: no such column. {nearest(name, names)}")
    cells = frame[column]
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(object)
    if cells.dtype.kind in "iufbM":
        raise DataError(
            f"{where}: column {column!r} holds {cells.dtype}, not text. Give a column of strings, or learn the "
            "whole table: --kind table."
        )
    kept = (~cells.isna()).to_numpy(dtype=bool)
    if label is not None:
        kept &= (~frame[label].isna()).to_numpy(dtype=bool)
    places = (np.flatnonzero(kept) + 1).tolist()
    form = TextForm(container="table", column=column, label=label)
    labels = None if label is None else [_plain(value) for value in frame[label][kept].tolist()]
    texts = _strings(cells[kept].tolist(), places, f"{where}, column {column!r}")
    return TextSet(name=where, texts=texts, labels=labels, places=places, form=form, passed=int((~kept).sum()))


def opened_table(source: Any) -> tuple[Any, list[str], str]:
    """A table for :func:`open_text`, opened where that pays, with the names of its columns and its own."""
    if is_objects_file(source):
        frame, name = _frame_of(source)
        return source, [str(column) for column in frame.columns], name
    opened = open_table(source)
    return opened, [str(column) for column in opened.form.names], opened.name


def is_objects_file(source: Any) -> bool:
    """Whether a source is a path with the suffix of JSON objects, one a line."""
    return isinstance(source, (str, os.PathLike)) and str(source).lower().removesuffix(".gz").endswith(OBJECTS)


def _frame_of(source: Any) -> tuple[pd.DataFrame, str]:
    """A table and its name."""
    if is_objects_file(source):
        path = Path(source).expanduser()
        return pd.DataFrame(_objects(path), dtype=object), str(path)
    opened = open_table(source)
    return opened.frame(), opened.name


def _objects(path: Path) -> list[dict[str, Any]]:
    """The objects of a file that has one a line; empty lines are passed over."""
    found = []
    for number, line in enumerate(read_characters(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}: line {number} is no JSON ({error}); expected an object a line.") from error
        if not isinstance(value, dict):
            raise DataError(f'{path}: line {number} holds {value!r:.60}; expected a JSON object, as {{"text": "…"}}.')
        found.append(value)
    return found


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _with_labels(opened: TextSet, labels: Any) -> TextSet:
    given = list(labels.tolist() if hasattr(labels, "tolist") else labels)
    if len(given) != len(opened.texts) + opened.passed:
        raise DataError(f"(texts, labels): {len(given)} labels for {len(opened.texts)} texts; expected one each.")
    given = [given[place - 1] for place in opened.places]
    for place, value in zip(opened.places, given, strict=True):
        if value is None or value != value or str(value) == "":
            raise DataError(f"(texts, labels): label {place} is {value!r}; expected a name or a whole number.")
    form = TextForm(**(opened.form.to_json() | {"label": USUAL_LABEL}))
    return TextSet(
        name=opened.name,
        texts=opened.texts,
        labels=[_plain(value) for value in given],
        places=opened.places,
        form=form,
        passed=opened.passed,
    )


def is_table_file(source: Any) -> bool:
    """Whether a source is a file that is there, with a table's suffix."""
    if not isinstance(source, (str, os.PathLike)):
        return False
    path = Path(source).expanduser()
    bare = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return bare.suffix.lower() in TABLES and path.is_file()


def is_text(source: Any) -> bool:
    """Whether a list, tuple, array or Series is one of texts, rather than of paths to images."""
    if isinstance(source, tuple) and len(source) == 2 and not isinstance(source[0], str):
        return is_text(source[0])
    if isinstance(source, pd.Series):
        return _all_strings(source.dropna().head(_SHOWN).tolist())
    if isinstance(source, np.ndarray):
        return source.ndim == 1 and (source.dtype.kind == "U" or _all_strings(source[:_SHOWN].tolist()))
    if not isinstance(source, (list, tuple)) or not _all_strings(list(source[:_SHOWN])):
        return False
    from aegan.data.kinds import AUDIO_SUFFIXES
    from aegan.data.sources import IMAGE_SUFFIXES  # the readers of images are needed for paths alone

    # Paths of images and recordings, also of such as are not there: whoever reads those says so.
    return not any(
        item.lower().endswith((*IMAGE_SUFFIXES, *AUDIO_SUFFIXES)) or _is_file(item) for item in source[:_SHOWN]
    )


def _all_strings(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, str) for value in values)


def _is_file(name: str) -> bool:
    try:
        return Path(name).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):
        return False
