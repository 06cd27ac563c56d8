"""What is said of columns whose cells do not go together."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from aegan.errors import DataError

if TYPE_CHECKING:
    from aegan.data.table_detect import Context

_ZONED = r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d.*?(Z|[+-]\d\d:?\d\d)$"


def as_type(name: str, kind: str) -> str:
    """How a user says what a column is."""
    return f"--column {shlex.quote(f'{name}={kind}')}, in Python columns={{{name!r}: {kind!r}}}"


def say_mixed(name: str, series: pd.Series, context: Context) -> None:
    """Say which cell is of a rare type."""
    rare = Counter(type(cell) for cell in series.dropna()).most_common()[-1][0]
    row = next(i for i, cell in enumerate(series) if type(cell) is rare)
    context.warn(
        f"column {name!r} mixes types; {context.row_name(row)} holds {series.iloc[row]!r} ({rare.__name__}). It is "
        f"taken as categories; if it should be numbers, mend it or say {as_type(name, 'numeric')}."
    )


def check_zones(name: str, texts: pd.Series, present: pd.Series, context: Context) -> None:
    """Refuse times of several time zones."""
    if not re.match(_ZONED, texts.iloc[0]):
        return
    offsets = texts.str.extract(_ZONED, expand=False)
    if offsets.notna().mean() < 0.99 or offsets.nunique() < 2:
        return
    usual, rare = offsets.value_counts().index[[0, -1]]
    row = first_of(present, set(texts[offsets == rare]))
    raise DataError(
        f"{context.table}: column {name!r} mixes time zones: {usual}, and {rare} in {context.row_name(row)}. Bring "
        f"them to one, as pd.to_datetime(frame[{name!r}], utc=True) does, or say {as_type(name, 'categorical')}."
    )


def first_of(present: pd.Series, cells: set[Any]) -> int:
    """Row of the first of these cells."""
    return int(present.index[present.isin(cells).to_numpy()][0])  # pyright: ignore[reportArgumentType, reportIndexIssue]
