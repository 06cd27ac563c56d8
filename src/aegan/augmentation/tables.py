"""Tables: the label's column, and rows after the source's own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aegan.augmentation.engine import Labels
from aegan.data.table_frames import column_of
from aegan.data.table_source import open_table
from aegan.errors import ConfigError, DataError, nearest
from aegan.tables import table_adapter

if TYPE_CHECKING:
    from aegan.data.table import TableAdapter
    from aegan.estimator import Estimator

MOST_CLASSES = 100


def label_column(estimator: Estimator, source: Any, name: str, x: Tensor) -> Labels:
    """The classes in column ``name`` of ``source``, encoded as ``x`` ``(N, F)``.

    Raises:
        ConfigError: No such column, or one that is not learnt by itself.
        DataError: Cells without a label, more values than classes can be, or some that the run does not know.
    """
    adapter, opened = table_adapter(estimator), open_table(source)
    if name not in adapter.columns:
        raise ConfigError(f"--label {name}: no such column. {nearest(name, adapter.columns)}")
    fields = tuple(place for place, field in enumerate(adapter.spec.fields) if field.column == name)
    if not fields:
        raise ConfigError(
            f"--label {name}: it is a key, a constant or follows from another column, so no row's value of it could be "
            "kept. Name another column."
        )
    values = column_of(opened.frame(), name)
    missing = int(values.isna().sum())
    if missing:
        first = int(values.isna().to_numpy().argmax())
        raise DataError(
            f"{opened.name}: column {name!r} has no label in {missing} of {len(values)} rows, the first of them "
            f"{opened.row_name(first)}. Leave these rows out, or fill them with `aegan complete`."
        )
    codes, names = pd.factorize(values.astype(str), sort=True)
    if len(names) > MOST_CLASSES:
        raise DataError(
            f"--label {name}: {len(names)} values; at most {MOST_CLASSES} classes expected. Bin the column, or name "
            "another."
        )
    unknown = np.setdiff1d(np.unique(codes), codes[_kept(adapter, values, name, x)])
    if len(unknown):
        listed = ", ".join(f"{names[code]} ({int((codes == code).sum())} rows)" for code in unknown[:12])
        raise DataError(
            f"{opened.name}: column {name!r} has labels that the fitted table does not have: {listed}. Rows made of "
            "them would be of another class. Leave them out, or fit a run on a table that has them."
        )
    return Labels(y=torch.from_numpy(codes).long(), names=tuple(map(str, names)), fields=fields)


def _kept(adapter: TableAdapter, values: pd.Series, name: str, x: Tensor) -> np.ndarray:
    """Which rows' label comes back from their encoding ``(N, F)``, bool ``(N,)``; amounts within a cell's precision."""
    look = adapter.columns[name].look
    given, _ = look.read(values)
    back, gone = look.read(column_of(open_table(adapter.from_tensors(x)).frame(), name))
    if given.dtype == object:
        return (given == back) & ~gone
    given, back = given.astype(np.float64), back.astype(np.float64)
    return (np.abs(given - back) <= 1e-4 * max(np.ptp(given), np.ptp(back))) & ~gone


def _behind(parts: list[pd.Series]) -> pd.Series:
    """Parts of a column one behind the other; as objects where their common type would change a whole number."""
    both = pd.concat(parts, ignore_index=True)
    if both.dtype.kind != "f" or all(part.dtype.kind == "f" for part in parts):
        return both
    plain = pd.concat([part.astype(object) for part in parts], ignore_index=True)
    return both if bool((plain[plain.notna()] == both[plain.notna()].astype(object)).all()) else plain


def with_originals(estimator: Estimator, source: Any, x: Tensor, originals: int) -> Any:
    """Rows of ``x`` as a table; the first ``originals`` are the source's own, cell by cell as they are there."""
    adapter = table_adapter(estimator)
    if not originals:
        return adapter.from_tensors(x)
    own = open_table(source).frame()
    names = [name for name in adapter.columns if name in own.columns]
    parts = [own.loc[:, names]]
    if len(x) > originals:
        made = open_table(adapter.from_tensors(x[originals:], start=max(originals, adapter.rows))).frame()
        parts.append(made.loc[:, [name for name in made.columns if name in names]])
    assert adapter.form is not None
    both = pd.DataFrame({name: _behind([column_of(part, name) for part in parts]) for name in names})
    form = replace(adapter.form, columns=tuple(name for name in adapter.form.columns if str(name) in names))
    return form.restore(both, exact=True)
