"""Training data enlarged before a model sees them: the operations that claims about augmentation compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegan.data.base import TensorData
from aegan.errors import ConfigError, nearest
from aegan.types import Spec

PLAIN = ("copy", "geometric", "mixup", "smote")
"""Without an autoencoder."""
LATENT = ("gaussian", "tangent", "interpolate", "extrapolate", "mix", "sample")
"""Encode, perturb, decode: of :mod:`aegan.augment`'s latent side."""
SETTINGS = {"operation", "strength", "factor", "autoencoder", "settings", "share", "filter"}


def check(values: Mapping[str, Any], where: str) -> None:
    """Refuse an ``augment`` table that cannot work; ConfigError says what is wrong."""
    if not values:
        return
    where = f"{where}: augment"
    for key in values:
        if key not in SETTINGS:
            raise ConfigError(f"{where}: unknown setting {key!r}. {nearest(str(key), SETTINGS)}")
    operation = str(values.get("operation", ""))
    if operation not in (*PLAIN, *LATENT):
        raise ConfigError(f"{where}: operation {operation!r}: unknown. {nearest(operation, (*PLAIN, *LATENT))}")
    for key, low, high in (("strength", 0.0, 1.0), ("share", 0.0, 0.9), ("factor", 0.0, 100.0)):
        value = values.get(key, low)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
            raise ConfigError(f"{where}: {key} = {value!r}: a number from {low:g} to {high:g} expected.")


def enlarged(train: TensorData, values: Mapping[str, Any], seed: int, spec: Spec) -> TensorData:
    """The training data, and what an operation makes of them besides."""
    if not values:
        return train
    raise ConfigError(f"augment.operation = {values['operation']}: not in this version.")
