"""What a report shows of a table's run: some made rows, and what was found out about the columns."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any

from aegan.report import page
from aegan.report.page import esc
from aegan.report.reader import RunFolder
from aegan.report.table import table_sections

ROWS, COLUMNS = 8, 30
"""Most rows and columns that are shown."""


def described(run: RunFolder, count: str) -> str:
    """The data in a phrase."""
    return f"{count} rows of {_table_size(run)}"


def one_sample(run: RunFolder) -> str:
    """What one row is."""
    spec = run.adapter.get("spec")
    fields = spec.get("fields") if isinstance(spec, dict) else None
    return f"{_table_size(run)}, {len(fields) if isinstance(fields, list) else 'unknown'} fields"


def samples(run: RunFolder) -> str:
    """Some made rows, and what the columns were taken for."""
    return first_rows(run) + columns_section(run)


def measured(metrics: Mapping[str, Any]) -> str:
    """The evaluation of the rows."""
    return table_sections(metrics)


def _table_size(run: RunFolder) -> str:
    """Its number of columns, in words."""
    columns = run.adapter.get("columns")
    return f"{len(columns)} column{'' if len(columns) == 1 else 's'}" if isinstance(columns, list) else "a table"


def first_rows(run: RunFolder) -> str:
    """The first rows of ``samples/rows.csv`` as a table."""
    path = run.file("samples/rows.csv")
    if path is None:
        return ""
    separator, encoding = _style(run)
    try:
        with path.open(encoding=encoding, newline="") as handle:
            rows = [row for row, _ in zip(csv.reader(handle, delimiter=separator), range(ROWS + 1), strict=False)]
    except (OSError, UnicodeError, LookupError, csv.Error):
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
    rules = [line.removeprefix("rules: ") for line in lines if line.startswith("rules: ")]
    lines = lines[: len(lines) - len(rules)]
    listed = "".join(f"<li>{esc(line)}</li>" for line in lines)
    wrong = "Taken for something else than it is? Say so: <code>--column NAME=categorical</code>."
    return page.section("The columns", f'<ul>{listed}</ul><p class="note">{wrong}</p>', "columns")


def _style(run: RunFolder) -> tuple[str, str]:
    """Separator and encoding of the file of rows: the fitted file's. ``utf-8-sig`` reads with and without BOM."""
    form = run.adapter.get("form")
    style = form.get("style") if isinstance(form, dict) else None
    separator, encoding = (style.get(key) if isinstance(style, dict) else None for key in ("separator", "encoding"))
    if not isinstance(separator, str) or len(separator) != 1 or separator == "\t":
        separator = ","
    if not isinstance(encoding, str) or not encoding.isascii() or encoding.lower() in ("utf-8", "utf8"):
        encoding = "utf-8-sig"
    return separator, encoding
