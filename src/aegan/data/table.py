"""Tables to the fields of categorical distributions and back."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aegan.data.base import Adapter, TensorData
from aegan.data.store import default_memory_limit, release, reserve
from aegan.data.table_columns import Cells, Column, Constant, Identifier, Narrow
from aegan.data.table_detect import TYPES, Context, detect
from aegan.data.table_form import TableForm
from aegan.data.table_frames import column_of
from aegan.data.table_given import parse_rules
from aegan.data.table_json import check_links, column_from_json
from aegan.data.table_narrow import decode_all, encode_all, masks, narrow, parse_all, present, repair, with_entropies
from aegan.data.table_partial import fill, known_cells, known_fields, overlay
from aegan.data.table_rules import Rules, apply_rules
from aegan.data.table_source import SAMPLE, TableSource, open_table, same_source
from aegan.errors import AeganWarning, ConfigError, DataError, nearest
from aegan.types import Spec

STRANGE = "values that the fitted table does not have"
KEYS = ("adapter", "options", "spec", "form", "columns", "rules", "rows")


class TableAdapter(Adapter):
    """Tables to float32 ``(N, F)`` and back; each column is one or several categorical fields, coarse to fine.

    Args:
        columns: What columns are, where that shall not be found out: by name ``"numeric"``, ``"categorical"``,
            ``"boolean"``, ``"datetime"`` (or ``"datetime:%d.%m.%Y"``), ``"text"``, ``"id"``, ``"drop"``.
        rules: ``"auto"`` learns rules between columns, ``"none"`` does not; or a list such as ``["start <= end",
            "fixed(city, country)", "unique(name)", "auto"]``. See :mod:`aegan.data.table_rules`.
        bins: Most bins of a column of amounts, and most amounts that are a value each; at least 8.
        inf: What infinite numbers are: an ``"error"``, or ``"missing"``.
        memory_limit: Most bytes of encoded rows to hold in memory; beyond, they lie in a temporary file. None: a
            quarter of the machine's memory.
        cache_dir: Folder for that temporary file; the system's when None.

    Attributes:
        spec: Kind ``"table"``, shape ``(F,)``, the fields; set by :meth:`fit`.
        form: What the fitted table looked like as a whole.
        columns: How each column is coded, by name.
        rules: What every row keeps.
        unseen: By column, how many cells of the latest reading held values that the fitted table does not have.
        summary: Some lines on the fitted table.

    Raises:
        ConfigError: An option that cannot work.

    >>> frame = pd.DataFrame({"age": [31, 45, 31, 52], "city": ["Rome", "Oslo", "Rome", "Rome"]})
    >>> adapter = TableAdapter().fit(frame)
    >>> [(field.column, field.size) for field in adapter.spec.fields]
    [('age', 3), ('city', 2)]
    >>> adapter.from_tensors(adapter.to_tensors(frame).fields["x"]).equals(frame)
    True
    """

    def __init__(
        self,
        *,
        columns: Mapping[str, str] | None = None,
        rules: str | Sequence[str] = "auto",
        bins: int = 100,
        inf: str = "error",
        memory_limit: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        if isinstance(bins, bool) or not isinstance(bins, int) or not 8 <= bins <= 1000:
            raise ConfigError(f"TableAdapter: bins is {bins!r}; expected a whole number from 8 to 1000.")
        if inf not in ("error", "missing"):
            raise ConfigError(f"TableAdapter: inf is {inf!r}; expected 'error' or 'missing'.")
        if memory_limit is not None and memory_limit < 0:
            raise ConfigError(f"TableAdapter: memory_limit is {memory_limit}; expected bytes, 0 or more, or None.")
        for name, kind in (columns or {}).items():
            if str(kind).split(":")[0] not in TYPES:
                raise ConfigError(f"TableAdapter: columns: {name!r} is {kind!r}. {nearest(str(kind), TYPES)}")
        parse_rules(rules)
        self.types = {str(name): str(kind) for name, kind in (columns or {}).items()}
        self.rules_option = rules if isinstance(rules, str) else list(rules)
        self.bins = bins
        self.inf = inf
        self.memory_limit = default_memory_limit() if memory_limit is None else memory_limit
        self.cache_dir = cache_dir
        self.form: TableForm | None = None
        self.columns: dict[str, Column] = {}
        self.rules = Rules()
        self.rows = 0
        self.unseen: dict[str, int] = {}
        self._cache: tuple[Any, TableSource] | None = None

    def fit(self, source: Any) -> TableAdapter:
        """Learn types, values and rules from ``source`` (see :func:`~aegan.data.table_source.open_table`).

        Raises:
            DataError: Unreadable, fewer than two rows, or no column that varies.
            ConfigError: ``columns`` or ``rules`` name what there is not.
        """
        opened = open_table(source)
        if len(opened) < 2:
            raise DataError(f"{opened.name}: got one row; expected at least two. Give a table with more rows.")
        names = opened.form.names
        for name in self.types:
            if name not in names:
                raise ConfigError(f"{opened.name}: columns: there is no {name!r}. {nearest(name, names)}")
        sample = opened.sample()
        context = self._context(opened, sample)
        self.columns = {name: detect(name, column_of(sample, name), self.types.get(name), context) for name in names}
        self.rules = apply_rules(self.columns, sample, self.rules_option, context)
        fields = tuple(field for column in self.columns.values() for field in column.fields)
        if not fields:
            told = "; ".join(f"{name}: {column.describe()}" for name, column in self.columns.items())
            raise DataError(
                f"{opened.name}: no column that varies and could be learnt ({told}). Give more columns, or say what "
                "they are: columns={'name': 'categorical'}."
            )
        fields = with_entropies(self.columns, sample)
        self.spec = Spec(kind="table", shape=(len(fields),), likelihood="categorical", fields=fields)
        self.form, self.rows = opened.form, len(opened)
        self._cache = (source, opened)
        return self

    def _context(self, opened: TableSource, sample: pd.DataFrame) -> Context:
        firsts = {
            str(name): sample[name].dropna().head(1).tolist() for name in sample if sample[name].dtype.kind == "O"
        }
        names = [name for name, first in firsts.items() if first and isinstance(first[0], str)]
        counts, missing = opened.tally(names, self.inf == "missing") if len(opened) > SAMPLE else ({}, {})
        return Context(
            table=opened.name,
            rows=len(opened),
            bins=self.bins,
            inf=self.inf,
            row_name=opened.row_name if len(sample) == len(opened) else lambda row: f"row {row + 1} of the sample",
            counts=counts,
            missing=missing,
        )

    @property
    def summary(self) -> str:
        """Some lines on the fitted table."""
        self._fitted()
        listed = [f"{name}: {column.describe()}" for name, column in self.columns.items()]
        rules = self.rules.describe()
        head = f"{self.rows} rows, {len(self.columns)} columns, {len(self.spec.fields)} fields"
        return "\n".join([head, *listed, *(["rules: " + "; ".join(rules)] if rules else [])])

    def to_tensors(self, source: Any) -> TensorData:
        """Encode ``source``, block by block.

        Returns:
            ``x`` float32 ``(N, F)`` of ``k + u``: k the index in ``[0, field.size)``, u in [0, 1) the position within
            it in the finest field of amounts, 0.5 elsewhere. Values that the fitted table does not have become the
            nearest amount or a rare name; they are counted in ``unseen`` and warned of.

        Raises:
            DataError: Unreadable, empty, or without a column of the fitted table.
        """
        self._fitted()
        (known, opened), self._cache = self._cache or (None, None), None
        fitted = opened is not None and same_source(known, source)
        opened = opened if fitted and opened is not None else open_table(source)
        self._check_columns(opened)
        shape = (len(opened), 4 * self.spec.shape[0])
        x = reserve(shape, self.memory_limit, self.cache_dir, "encoded rows").view(np.float32)
        unseen, done = dict.fromkeys(self.columns, 0), 0
        for block in opened.blocks():
            part, new = encode_all(self.columns, block)
            x[done : done + len(block)] = part
            done += len(block)
            release(x)
            for name, count in new.items():
                unseen[name] += int(count.sum())
        self.unseen = {name: count for name, count in unseen.items() if count}
        if self.unseen:
            what = f"values outside the {SAMPLE} rows that types and values were learnt from" if fitted else STRANGE
            said = (
                f"{opened.name}: {what}, in column {_listed(self.unseen)}; the nearest or a rare one stands for them."
            )
            warnings.warn(said, AeganWarning, stacklevel=2)
        return TensorData(x=x if isinstance(x, np.memmap) else torch.from_numpy(x))

    def _check_columns(self, opened: TableSource) -> None:
        for name in self.columns:
            if name not in opened.form.names and not isinstance(self.columns[name], (Constant, Identifier)):
                raise DataError(f"{opened.name}: column {name!r} is missing. {nearest(name, opened.form.names)}")

    def from_tensors(self, x: Tensor, *, where: Mapping[Any, Any] | None = None, start: int = 0) -> Any:
        """Numbers as the kind of table that ``fit`` was given; every row keeps the rules.

        Args:
            x: Float ``(N, F)`` of ``k + u`` as from :meth:`to_tensors`; an index beyond its field counts as the last.
            where: Conditions that every row shall meet; see :meth:`condition`. Where a row does not, its values are
                moved to the nearest that do.
            start: Number of rows decoded before, so that identifiers go on rather than begin again.

        Returns:
            A pandas frame for paths, databases and pandas; a polars frame or a dict of columns where that was given.

        Raises:
            DataError: Another shape, or values that are not finite.
            ConfigError: A condition that cannot be met.
        """
        _, form = self._fitted()
        narrowed = narrow(self.columns, self.rules.orders, where) if where else {}
        return form.restore(self._frame(self._ruled(x, narrowed, start)))

    def _ruled(self, x: Tensor, narrowed: Mapping[str, Narrow], start: int = 0) -> dict[str, Cells]:
        cells = decode_all(self.columns, self._checked(x), narrowed, start)
        repair(self.columns, self.rules.orders, cells, narrowed)
        return cells

    def _checked(self, x: Tensor) -> np.ndarray:
        spec, _ = self._fitted()
        if not x.is_floating_point() or x.ndim != 2 or tuple(x.shape[1:]) != spec.shape:
            raise DataError(f"from_tensors: got {x.dtype} {tuple(x.shape)}; expected floats (N, {spec.shape[0]}).")
        numbers = x.detach().cpu().float().numpy()
        low, high = (numbers.min(), numbers.max()) if numbers.size else (0.0, 0.0)
        if not (np.isfinite(low) and np.isfinite(high)):
            raise DataError("from_tensors: the rows hold NaN or infinite values; the model that drew them diverged.")
        return np.maximum(numbers, 0) if low < 0 else numbers

    def _frame(self, cells: Mapping[str, Cells]) -> pd.DataFrame:
        return pd.DataFrame(
            {name: cells[name].series(column.look) for name, column in self.columns.items()}, copy=False
        )

    def condition(self, where: Mapping[Any, Any]) -> dict[int, Tensor]:
        """Which indices of which fields conditions allow.

        Args:
            where: By column: a name (``">50K"``), alternatives (``"Paris|Rome"``), a range (``"30..40"``, ``">=5"``,
                ``"<3"``, ``"2024-01..2024-02-15"``), one amount, ``"missing"`` or ``"present"``. Numbers, pairs for
                ranges (None: open) and lists of single conditions serve too.

        Returns:
            By the field's place: bool ``(field.size,)``. Rows drawn within them and decoded by :meth:`from_tensors`
            with the same ``where`` meet the conditions exactly.

        Raises:
            ConfigError: No such column or value, or conditions that no row can meet; says which.
        """
        self._fitted()
        narrowed = narrow(self.columns, self.rules.orders, where)
        return {place: torch.from_numpy(mask) for place, mask in masks(self.columns, narrowed).items()}

    def inexact(self, where: Mapping[Any, Any]) -> bool:
        """Whether rows drawn within :meth:`condition` may miss ``where``, so that :meth:`from_tensors` moves values.

        That is so for columns coded as a gap above another, and for ranges of times that cut a week or a day. To draw
        from the model's own distribution, keep the rows that :meth:`hits` accepts, and draw the others again.
        """
        self._fitted()
        narrowed = narrow(self.columns, self.rules.orders, where)
        return any(self.columns[name].inexact(one) for name, one in narrowed.items())

    def hits(self, x: Tensor, where: Mapping[Any, Any]) -> np.ndarray:
        """Which rows drawn within :meth:`condition` meet ``where`` without a value being moved, bool ``(N,)``."""
        narrowed = narrow(self.columns, self.rules.orders, where)
        free = {name: replace(one, move=False) for name, one in narrowed.items()}
        return self.satisfies(self._frame(self._ruled(x, free)), where)

    def present(self) -> dict[int, Tensor]:
        """Which indices mean a value rather than a missing one, for the fields that have both; bool ``(size,)``."""
        self._fitted()
        return {place: torch.from_numpy(mask) for place, mask in present(self.columns).items()}

    def satisfies(self, frame: Any, where: Mapping[Any, Any]) -> np.ndarray:
        """Which rows of a table meet conditions, bool ``(N,)``.

        Raises:
            ConfigError: A condition that :meth:`condition` refuses by itself.
        """
        self._fitted()
        table = open_table(frame).frame()
        hit = np.ones(len(table), dtype=bool)
        for name, one in parse_all(self.columns, where).items():
            hit &= one.test(*self.columns[name].look.read(column_of(table, name)))
        return hit

    def to_partial(self, frame: Any) -> tuple[Tensor, Tensor]:
        """Encode rows with gaps.

        Returns:
            ``x`` float32 ``(N, F)`` and ``known`` bool ``(N, F)``: False in the fields of missing cells, unless a rule
            leaves no choice, and in those of names that the fitted table does not have, which are warned of.

        Raises:
            DataError: Without a column of the fitted table.
        """
        self._fitted()
        opened = open_table(frame)
        self._check_columns(opened)
        x, known, _ = self._partial(opened.frame(), warn=opened.name)
        return torch.from_numpy(x), torch.from_numpy(known)

    def _partial(self, table: pd.DataFrame, warn: str = "") -> tuple[np.ndarray, np.ndarray, dict[str, Cells]]:
        x, new = encode_all(self.columns, table)
        cells = known_cells(self.columns, table)
        x, known, unseen = known_fields(self.columns, x, cells, new)
        if warn and unseen:
            said = f"{warn}: names that the fitted table does not have, in column {_listed(unseen)}; these cells stay "
            said += "as they are, but the others of their rows are drawn as if they were missing."
            warnings.warn(said, AeganWarning, stacklevel=3)
        return x, known, cells

    def complete(self, frame: Any, x: Tensor) -> Any:
        """Fill the missing cells of ``frame`` from drawn rows ``x``; every other cell stays as it is.

        Args:
            frame: The rows that :meth:`to_partial` was given.
            x: Drawn rows ``(N, F)``; only fields that are not known are read.

        Returns:
            A table of the kind of ``frame``: a polars frame or a dict where that was given, also within a
            ``TableSource``.

        Raises:
            DataError: Another number of rows.
        """
        self._fitted()
        opened = open_table(frame)
        self._check_columns(opened)
        table = opened.frame()
        encoded, known, cells = self._partial(table)
        drawn = self._checked(x)
        if len(drawn) != len(table):
            raise DataError(f"complete: {len(drawn)} drawn rows for a table of {len(table)}; expected as many.")
        decoded = decode_all(self.columns, np.where(known, encoded, drawn), {}, 0)
        overlay(self.columns, self.rules.orders, decoded, cells)
        new = self._frame(decoded)
        filled = {str(name): column_of(table, name) for name in table.columns}
        for name in filled.keys() & self.columns.keys():  # others are not learnt: see _check_columns
            filled[name] = fill(filled[name], column_of(new, name))
        return opened.form.restore(pd.DataFrame(filled), exact=True)

    def to_json(self) -> dict[str, Any]:
        """Options, spec, form, columns and rules as plain JSON values; limits of this machine are left out."""
        spec, form = self._fitted()
        options = {"columns": self.types, "rules": self.rules_option, "bins": self.bins, "inf": self.inf}
        return {
            "adapter": "table",
            "options": options,
            "spec": spec.to_json() | {"shape": list(spec.shape), "classes": []},
            "form": form.to_json(),
            "columns": [column.to_json() for column in self.columns.values()],
            "rules": self.rules.to_json(),
            "rows": self.rows,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TableAdapter:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: A key is missing or unknown, or values do not fit together.
        """
        if not isinstance(data, Mapping) or set(data) != set(KEYS):
            got = ", ".join(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
            raise DataError(f"adapter: got {got}; expected the keys {', '.join(KEYS)}.")
        if data["adapter"] != "table":
            raise DataError(f"adapter: kind {data['adapter']!r}; expected 'table'.")
        try:
            adapter = cls(**data["options"])
            spec = Spec.from_json(data["spec"])
            columns = [column_from_json(one) for one in data["columns"]]
            adapter.rows = int(data["rows"])
        except DataError:
            raise
        except (ConfigError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"adapter: {error}; the file is damaged, or from another version.") from error
        adapter.form = TableForm.from_json(data["form"])
        adapter.columns = {column.name: column for column in columns}
        check_links(adapter.columns)
        fields = tuple(field for column in columns for field in column.fields)
        if tuple(adapter.columns) != adapter.form.names or spec.fields != fields or spec.shape != (len(fields),):
            raise DataError("adapter: columns, form and spec do not fit together; the file is damaged.")
        adapter.spec = spec
        adapter.rules = Rules.from_json(data["rules"], list(adapter.columns))
        return adapter

    def _fitted(self) -> tuple[Spec, TableForm]:
        if self.form is None:
            raise ConfigError("TableAdapter: not fitted yet. Call fit(source) first, or from_json.")
        return self.spec, self.form


def _listed(cells: Mapping[str, int]) -> str:
    return ", ".join(f"{name!r} ({count})" for name, count in cells.items())
