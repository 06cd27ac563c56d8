"""Rows to files, in the form of the table that the run was fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aegan.estimator import Estimator


def write_rows(estimator: Estimator, rows: Any, out: str, *, overwrite: bool) -> Path | str:
    """Write ``rows`` to ``out``; see :func:`aegan.data.table_write.write_table`."""
    from aegan.data.table_write import write_table
    from aegan.tables import table_adapter

    return write_table(rows, out, form=table_adapter(estimator).form, overwrite=overwrite)
