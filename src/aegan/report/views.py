"""Which parts of a run's report are written for which kind of data; images are the page's own."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

from aegan.report.reader import RunFolder

VIEWS = {"table": "aegan.report.rows", "audio": "aegan.report.sound", "text": "aegan.report.text"}
"""By kind of data: a module with the functions of :class:`View`."""


class View(Protocol):
    """What a kind's module provides."""

    def described(self, run: RunFolder, count: str) -> str:
        """The data in a phrase, as "1,000 rows of 15 columns"; ``count`` is their number."""
        ...

    def one_sample(self, run: RunFolder) -> str:
        """What one sample is, for the table of settings."""
        ...

    def samples(self, run: RunFolder) -> str:
        """Sections on what the final model draws."""
        ...

    def measured(self, metrics: Mapping[str, Any]) -> str:
        """Sections on the evaluation."""
        ...


def view_of(run: RunFolder) -> View | None:
    """The kind's own parts; None for images and what is shown like them."""
    spec = run.adapter.get("spec")
    name = VIEWS.get(str(spec.get("kind"))) if isinstance(spec, dict) else None
    return None if name is None else import_module(name)  # type: ignore[return-value]
