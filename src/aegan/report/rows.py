"""What a report shows of a table's run: some made rows, and what was found out about the columns."""

from __future__ import annotations

import csv

from aegan.report import page
from aegan.report.page import esc
from aegan.report.reader import RunFolder

ROWS, COLUMNS = 8, 30
"""Most rows and columns that are shown."""


def is_table(run: RunFolder) -> bool:
    """Whether the run is of a table."""
    spec = run.adapter.get("spec")
    return isinstance(spec, dict) and spec.get("kind") == "table"


def table_size(run: RunFolder) -> str:
    """Its number of columns, in words."""
    columns = run.adapter.get("columns")
    return f"{len(columns)} column{'' if len(columns) == 1 else 's'}" if isinstance(columns, list) else "a table"


def first_rows(run: RunFolder) -> str:
    """The first rows of ``samples/rows.csv`` as a table."""
    path = run.file("samples/rows.csv")
    if path is None:
        return ""
    separator = _separator(run)
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = [row for row, _ in zip(csv.reader(handle, delimiter=separator), range(ROWS + 1), strict=False)]
    except (OSError, UnicodeDecodeError, csv.Error):
        return ""
    if len(rows) < 2:
        return ""
    head = "".join(f"<th>{esc(name)}</th>" for name in rows[0][:COLUMNS])
    body = "".join("<tr>" + "".join(f"<td>{esc(cell)}</td>" for cell in row[:COLUMNS]) + "</tr>" for row in rows[1:])
    note = '<p class="note">The first made rows; more in <code>samples/rows.csv</code>.</p>'
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return page.section("Made rows", table + note, "samples")


def columns_section(run: RunFolder) -> str:
    """What each column was taken for, as the adapter said it when it was fitted."""
    source = run.config.get("source")
    lines = str(source.get("describe") or "").splitlines()[1:] if isinstance(source, dict) else []
    if not lines:
        return ""
    listed = "".join(f"<li>{esc(line)}</li>" for line in lines)
    wrong = "Taken for something else than it is? Say so: <code>--column NAME=categorical</code>."
    return page.section("The columns", f'<ul>{listed}</ul><p class="note">{wrong}</p>', "columns")


def _separator(run: RunFolder) -> str:
    form = run.adapter.get("form")
    style = form.get("style") if isinstance(form, dict) else None
    value = style.get("separator") if isinstance(style, dict) else None
    return value if isinstance(value, str) and len(value) == 1 and value != "\t" else ","
