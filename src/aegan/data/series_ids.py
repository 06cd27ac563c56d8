"""New names for new series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aegan.data.table_columns import Identifier
from aegan.data.table_detect import Context, detect
from aegan.data.table_json import column_from_json
from aegan.errors import ConfigError


@dataclass(frozen=True)
class Names:
    """How series are named: numbers go on counting, strings keep their pattern, anything else becomes ``new-1``, ….

    Attributes:
        column: The pattern of the fitted names; None where there is none.
    """

    column: Identifier | None = None

    @classmethod
    def fit(cls, ids: pd.Series) -> Names:
        """Learn from the names of the fitted series."""
        context = Context(table="id", rows=len(ids), bins=100, inf="missing", row_name=str, counts={}, missing={})
        plain = ids.astype(object) if isinstance(ids.dtype, pd.CategoricalDtype) else ids
        if plain.dtype.kind not in "iuO" and not isinstance(plain.dtype, pd.StringDtype):
            return cls()
        try:
            found = detect("id", plain, "id", context)
        except (ConfigError, TypeError, ValueError):
            return cls()
        return cls(found if isinstance(found, Identifier) else None)

    def make(self, n: int, start: int) -> pd.Series:
        """``n`` names that no fitted series has, ``start`` having been made before."""
        if self.column is None:
            return pd.Series([f"new-{start + i + 1}" for i in range(n)], dtype=object)
        cells = self.column.decode(np.empty((n, 0), np.float32), {}, None, start)
        return cells.series(self.column.look)

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return {"column": self.column and self.column.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Names:
        """Inverse of :meth:`to_json`."""
        column = data["column"] and column_from_json(data["column"])
        return cls(column if isinstance(column, Identifier) else None)
