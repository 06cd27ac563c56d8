"""What can be done with each kind of data once there is a model of it: one handler a kind, imported when needed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aegan.data.kinds import OPTIONS, adapter_class
from aegan.errors import ConfigError

if TYPE_CHECKING:
    from aegan.kinds.base import Kind

SERIES_OPTIONS = OPTIONS["series"]
HANDLERS = {
    "image": "aegan.kinds.image:ImageKind",
    "table": "aegan.kinds.table:TableKind",
    "series": "aegan.kinds.series:SeriesKind",
    "audio": "aegan.kinds.audio:AudioKind",
    "text": "aegan.kinds.text:TextKind",
}
"""By kind of data: ``module:Class``."""
SAMPLE_OPTIONS: dict[str, dict[str, Any]] = {
    "table": {"balance": None, "first": 0},
    "series": {"steps": None},
    "text": {"temperature": 1.0, "top_p": 1.0, "new": False},
}
"""Options of ``Estimator.sample`` for one kind alone, with what they are when nobody sets them."""
JUDGE_OPTIONS: dict[str, dict[str, Any]] = {"table": {"target": "auto"}}
"""The same for ``Estimator.evaluate``."""
EVALUATE_OPTIONS: dict[str, dict[str, Any]] = {
    "image": {"features": None, "size": None, "skip_bad": False},
    "table": {"target": "auto"},
    "series": SERIES_OPTIONS,
    "audio": {"pattern": None, "labels": None, "label_names": None, "skip_bad": False},
    "text": {"column": None},
}
"""The same for :func:`aegan.evaluate`."""


def handler(kind: str) -> Kind:
    """The handler of a kind.

    Raises:
        ConfigError: No such kind, or one that is read but not learnt yet.
    """
    if kind not in HANDLERS:
        adapter_class(kind)  # an unknown kind is refused with the nearest
        raise ConfigError(f"{kind} data are read and judged from Python so far; `aegan models` lists what is learnt.")
    module, _, name = HANDLERS[kind].partition(":")
    return getattr(importlib.import_module(module), name)()
