"""Reports: self-contained HTML pages made from nothing but the files of a run folder.

``write_report`` turns a run folder into ``report.html``; ``write_evaluation`` turns the JSON of an
evaluation into a page of its own, ``write_table_evaluation`` that of a table, ``write_text_evaluation``
of text; ``figures`` holds the Plotly figures that the report, a notebook and the web page share. Names are
imported on first use, so ``import aegan.report`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aegan.report.evaluation import write_evaluation
    from aegan.report.html import write_report
    from aegan.report.reader import RunFolder, read_run
    from aegan.report.table import write_table_evaluation
    from aegan.report.text import write_text_evaluation

_HOMES = {
    "RunFolder": "reader",
    "read_run": "reader",
    "write_evaluation": "evaluation",
    "write_report": "html",
    "write_table_evaluation": "table",
    "write_text_evaluation": "text",
}

__all__ = [
    "RunFolder",
    "read_run",
    "write_evaluation",
    "write_report",
    "write_table_evaluation",
    "write_text_evaluation",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Public names, for completion in a shell."""
    return sorted(__all__)
