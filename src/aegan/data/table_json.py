"""Columns from the JSON of an adapter."""

from __future__ import annotations

from typing import Any

import numpy as np

from aegan.data.table_bound import Copy, Dependent, Gap, Joint
from aegan.data.table_calendar import PARTS, Calendar
from aegan.data.table_codecs import KINDS, Amounts, Choices, as_array, codec_from_json
from aegan.data.table_columns import Coded, Column, Constant, Identifier
from aegan.data.table_ids import Pattern
from aegan.data.table_looks import TimeLook, look_from_json
from aegan.data.table_rules import gap_from_json
from aegan.errors import DataError


def column_from_json(data: Any) -> Column:
    """Inverse of :meth:`~aegan.data.table_columns.Column.to_json`.

    Raises:
        DataError: A key is missing, or values do not fit together.
    """
    try:
        name = data["name"]
        where = f"adapter column {name!r}"
        if not isinstance(name, str):
            raise TypeError("a name is a string")
        return _READERS[data["column"]](name, look_from_json(data["look"], where), data, where)
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(f"adapter columns: {error!r}; the file is damaged, or from another version.") from error


def _table(data: Any) -> tuple[np.ndarray, np.ndarray]:
    values, missing = as_array(data["values"], KINDS[data["type"]]), np.asarray(data["missing"], dtype=bool)
    if len(values) != len(missing) or len(values) == 0:
        raise ValueError("values and missing differ in number")
    return values, missing


def _constant(name: str, look: Any, data: Any, where: str) -> Column:
    if data["why"] not in ("constant", "empty", "text", "dropped"):
        raise ValueError(f"why is {data['why']!r}")
    return Constant(name, look, data["value"], data["why"])


def _identifier(name: str, look: Any, data: Any, where: str) -> Column:
    return Identifier(name, look, Pattern.from_json(data["pattern"], where))


def _coded(name: str, look: Any, data: Any, where: str) -> Column:
    return Coded(name, look, codec_from_json(data["codec"], where))


def _gap(name: str, look: Any, data: Any, where: str) -> Column:
    codec = codec_from_json(data["codec"], where)
    if not isinstance(codec, Amounts):
        raise ValueError("a gap is an amount")
    return gap_from_json(name, look, data, codec, where)


def _dependent(name: str, look: Any, data: Any, where: str) -> Column:
    values, missing = _table(data)
    return Dependent(name, look, data["on"], values, missing)


def _copy(name: str, look: Any, data: Any, where: str) -> Column:
    return Copy(name, look, data["on"])


def _joint(name: str, look: Any, data: Any, where: str) -> Column:
    codec = codec_from_json(data["codec"], where)
    members = [(one["name"], look_from_json(one["look"], where), *_table(one)) for one in data["members"]]
    if not isinstance(codec, Choices) or any(len(one[2]) != codec.ladder.leaves for one in members):
        raise ValueError("combinations differ in number")
    return Joint(name, look, codec, members)


def _calendar(name: str, look: Any, data: Any, where: str) -> Column:
    codecs = tuple(codec_from_json(one, where) for one in data["codecs"])
    parts = tuple(data["parts"])
    low, high = (int(end) for end in data["limits"])
    if not isinstance(look, TimeLook) or len(parts) != len(codecs) or not parts or not set(parts) <= set(PARTS):
        raise ValueError(f"parts {parts}")
    return Calendar(name, look, parts, codecs, (low, high), int(data["grain"]))


_READERS = {
    Constant.kind: _constant,
    Identifier.kind: _identifier,
    Coded.kind: _coded,
    Gap.kind: _gap,
    Dependent.kind: _dependent,
    Copy.kind: _copy,
    Joint.kind: _joint,
    Calendar.kind: _calendar,
}


def check_links(columns: dict[str, Column]) -> None:
    """Refuse columns that hang on one that there is not, or in a circle.

    Raises:
        DataError: So it is.
    """
    for name, column in columns.items():
        seen = {name}
        while column.on is not None:
            if column.on not in columns or column.on in seen:
                raise DataError(f"adapter column {name!r}: hangs on {column.on!r}; the file is damaged.")
            if isinstance(column, Dependent):
                source = columns[column.on]
                if not source.codecs or source.codecs[0].ladder.leaves != len(column.values):
                    raise DataError(f"adapter column {name!r}: another number of values than {column.on!r}.")
            seen.add(column.on)
            column = columns[column.on]
