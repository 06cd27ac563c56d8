"""``.ts`` and ``.arff`` files of series: reading and writing as text.

The format of ``.ts`` is that of the UEA & UCR archive (sktime, aeon): ``@`` lines, then a series a line, its dimensions
separated by colons and ended by the class. ``.arff`` is Weka's: a column a step, or one relational attribute whose
lines are the dimensions.
"""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aegan.data.table_csv import MISSING
from aegan.errors import AeganWarning, DataError

_GONE = frozenset(MISSING)


@dataclass(frozen=True, kw_only=True)
class SeriesFile:
    """What a file holds.

    Attributes:
        values: One float64 array ``(T, C)`` a series, NaN where missing.
        labels: A class a series; None without classes.
        title: Name of the problem or relation.
        classes: All classes that the header names; empty: those that there are.
    """

    values: list[np.ndarray]
    labels: list[str] | None
    title: str = "series"
    classes: tuple[str, ...] = ()

    @property
    def declared(self) -> list[str]:
        """Classes for a header."""
        found = sorted(set(self.labels or ()) - set(self.classes))
        return [*self.classes, *found] if self.labels else []


def read_ts(path: Path) -> SeriesFile:
    """Read a ``.ts`` file.

    Raises:
        DataError: Not text, no ``@data``, no series, a cell that is no number, series with differing numbers of
            dimensions, dimensions of one series with differing lengths (each with its line), or time stamps.
    """
    head, lines = _header(path)
    if head.get("timestamps", "false").lower() == "true":
        raise DataError(
            f"{path}: @timeStamps true; expected values without time stamps. Give the series as a table in long form: "
            ".csv with columns for id, time and values."
        )
    flags = head.get("classlabel", head.get("targetlabel", "false")).split()
    labelled = flags[:1] != [] and flags[0].lower() == "true"
    values: list[np.ndarray] = []
    labels: list[str] = []
    for number, line in lines:
        *parts, last = line.split(":")
        if labelled:
            labels.append(last.strip())
            _check_class(labels[-1], flags[1:], bool(parts), path, number)
        else:
            parts.append(last)
        values.append(_stack([_numbers(part.split(","), path, number) for part in parts], path, number))
        if values[-1].shape[1] != values[0].shape[1]:
            raise DataError(
                f"{path}: line {number} has {values[-1].shape[1]} dimensions; expected {values[0].shape[1]}, as in "
                f"line {lines[0][0]}. Mend or remove that line{'' if labelled else ', or declare @classLabel'}."
            )
    if labelled and "classlabel" not in head:
        warnings.warn(
            f"{path}: @targetLabel: what the series end with are amounts, such as {labels[0]}, and no classes; they "
            "are left out. To learn them, give the series as a table in long form, with the amount as an attribute.",
            AeganWarning,
            stacklevel=2,
        )
        labels = []
    classes = tuple(flags[1:]) if labels else ()
    return SeriesFile(values=values, labels=labels or None, title=head.get("problemname", path.stem), classes=classes)


def _check_class(label: str, classes: list[str], parted: bool, path: Path, line: int) -> None:
    if (classes and label not in classes) or not parted:
        raise DataError(
            f"{path}: line {line} ends with {label!r}; expected a colon and one of the classes of @classLabel: "
            f"{', '.join(classes) or 'any name'}. The line may be cut off."
        )


def read_arff(path: Path) -> SeriesFile:
    """Read an ``.arff`` file, univariate (a column a step) or multivariate (one relational attribute).

    The class is a nominal attribute, the last one where there are several.

    Raises:
        DataError: As for :func:`read_ts`; also nominal attributes other than the class.
    """
    head, lines = _header(path)
    kinds = head.get("attributes", "").split("\n") if head.get("attributes") else []
    labelled = bool(kinds) and kinds[-1] == "nominal"
    relational = "relational" in kinds
    others = kinds[:-1] if labelled else kinds
    if any(kind == "nominal" for kind in others) or (relational and len(others) > 1):
        raise DataError(
            f"{path}: attributes {', '.join(sorted(set(others)))}; expected numbers, or one relational attribute, and "
            "at most one nominal one at the end, the class. Drop the others."
        )
    classes = tuple(head["classes"].split("\n")) if labelled and head.get("classes") else ()
    values, labels = [], []
    for number, line in lines:
        cells = next(csv.reader([line], quotechar='"' if line.lstrip().startswith('"') else "'", skipinitialspace=True))
        if len(cells) != len(kinds):
            raise DataError(f"{path}: line {number} has {len(cells)} values; expected {len(kinds)}, one an attribute.")
        if labelled:
            labels.append(cells.pop().strip().strip("'\""))
            if classes and labels[-1] not in (*classes, *_GONE):
                raise DataError(
                    f"{path}: line {number} ends with {labels[-1]!r}; expected one of the classes of the last "
                    f"@attribute: {', '.join(classes)}."
                )
        rows = re.split(r"\\n|\n", cells[0]) if relational else [",".join(cells)]
        values.append(_stack([_numbers(row.split(","), path, number) for row in rows], path, number))
        if values[-1].shape[1] != values[0].shape[1]:
            raise DataError(
                f"{path}: line {number} has {values[-1].shape[1]} dimensions; expected {values[0].shape[1]}."
            )
    title = head.get("relation", path.stem).strip("'\"")
    return SeriesFile(values=values, labels=labels or None, title=title, classes=classes)


def _header(path: Path) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """The ``@`` lines by lower-case name, and the numbered lines of data."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        text = path.read_bytes().decode("cp1252", errors="replace")
    head: dict[str, str] = {}
    attributes: list[str] = []
    lines: list[tuple[int, str]] = []
    inside = nested = False
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#%":
            continue
        if inside:
            lines.append((number, line))
            continue
        if not line.startswith("@"):
            raise DataError(f"{path}: line {number} is {line[:40]!r}; expected lines that begin with @ before @data.")
        name, _, rest = line[1:].partition(" ")
        name = name.lower()
        if name == "data":
            inside = True
        elif name == "end":
            nested = False
        elif name == "attribute" and not nested:
            attributes.append(_attribute(rest))
            if attributes[-1] == "nominal":
                head["classes"] = "\n".join(_names(rest))
            nested = attributes[-1] == "relational"
        elif name != "attribute":
            head[name] = rest.strip()
    if not inside or not lines:
        what = "an empty file" if not text.strip() else "no series" if inside else "no line @data"
        raise DataError(f"{path}: {what}; expected a header, a line @data, and one series a line below it.")
    return head | ({"attributes": "\n".join(attributes)} if attributes else {}), lines


def _attribute(text: str) -> str:
    kind = re.sub(r"^('[^']*'|\"[^\"]*\"|\S+)\s+", "", text.strip()).strip().lower()
    return "nominal" if kind.startswith("{") else "relational" if kind.startswith("relational") else "numeric"


def _names(text: str) -> list[str]:
    """What a nominal attribute may be: the names between braces."""
    inside = text[text.index("{") + 1 :].partition("}")[0]
    cells = next(csv.reader([inside], quotechar="'", skipinitialspace=True), [])
    return [name for cell in cells if (name := cell.strip().strip('"'))]


def _numbers(cells: Sequence[str], path: Path, line: int) -> np.ndarray:
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        pass
    out = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        plain = cell.strip()
        if plain in _GONE:
            continue
        try:
            out[i] = float(plain)
        except ValueError:
            raise DataError(
                f"{path}: line {line}, value {i + 1} is {plain[:40]!r}; expected a number, or ? where it is missing."
            ) from None
    return out


def _stack(rows: list[np.ndarray], path: Path, line: int) -> np.ndarray:
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1:
        raise DataError(
            f"{path}: line {line} has dimensions of {' and '.join(map(str, lengths))} values; expected one length "
            "within a series. Fill missing values with ?."
        )
    return np.stack(rows, axis=1)


def ts_text(file: SeriesFile) -> str:
    """The text of a ``.ts`` file."""
    lengths = {len(one) for one in file.values}
    missing = any(np.isnan(one).any() for one in file.values)
    classes = file.declared
    head = [
        f"@problemName {file.title}",
        "@timeStamps false",
        f"@missing {str(missing).lower()}",
        f"@univariate {str(file.values[0].shape[1] == 1).lower()}",
        f"@dimensions {file.values[0].shape[1]}",
        f"@equalLength {str(len(lengths) == 1).lower()}",
        *([f"@seriesLength {lengths.pop()}"] if len(lengths) == 1 else []),
        f"@classLabel true {' '.join(classes)}" if classes else "@classLabel false",
        "@data",
    ]
    lines = [":".join(map(_row, one.T)) for one in file.values]
    if file.labels:
        lines = [f"{line}:{label}" for line, label in zip(lines, file.labels, strict=True)]
    return "\n".join([*head, *lines, ""])


def arff_text(file: SeriesFile) -> str:
    """The text of an ``.arff`` file; relational where there is more than one channel or length."""
    channels, longest = file.values[0].shape[1], max(map(len, file.values))
    flat = channels == 1 and all(len(one) == longest for one in file.values)
    steps = [f"att{t + 1}" for t in range(longest)]
    numbers = [f"@attribute {step} numeric" for step in steps]
    head = [f"@relation {file.title.replace(' ', '_')}"]
    head += numbers if flat else ["@attribute series relational", *(f"  {one}" for one in numbers), "@end series"]
    if file.labels:
        head.append(f"@attribute target {{{','.join(file.declared)}}}")
    lines = [_row(one[:, 0]) if flat else "'" + "\\n".join(map(_row, one.T)) + "'" for one in file.values]
    if file.labels:
        lines = [f"{line},{label}" for line, label in zip(lines, file.labels, strict=True)]
    return "\n".join([*head, "@data", *lines, ""])


def _row(values: np.ndarray) -> str:
    return ",".join("?" if np.isnan(v) else repr(float(v)).removesuffix(".0") for v in values)
