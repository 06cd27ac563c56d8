"""aegan: autoencoders and GANs, together.

The public names are imported when they are first used, so that ``aegan --help`` answers at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from aegan.api import evaluate, fit, load
    from aegan.errors import AeganError
    from aegan.estimator import Estimator

_HOME = {
    "AeganError": "aegan.errors",
    "Estimator": "aegan.estimator",
    "evaluate": "aegan.api",
    "fit": "aegan.api",
    "load": "aegan.api",
}

__all__ = ["AeganError", "Estimator", "__version__", "evaluate", "fit", "load"]


def __getattr__(name: str) -> Any:
    if name == "diagnostics":
        return importlib.import_module("aegan.diagnostics")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'aegan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
