"""Turn what a caller hands in as features into float64 tensors, or say what is wrong with it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aegan.errors import ConfigError, DataError

Array = Tensor | np.ndarray
"""Features ``(N, D)`` as a tensor on any device or a NumPy array of any real type."""


def feature_matrix(value: Array, *, where: str, name: str, least: int = 2) -> Tensor:
    """``value`` as a float64 CPU tensor ``(N, D)``; raises DataError naming ``where`` and ``name``."""
    x = torch.as_tensor(value).detach().to("cpu", torch.float64)
    if x.ndim != 2 or x.shape[1] == 0:
        raise DataError(
            f"{where}: '{name}' has shape {tuple(x.shape)}; features of shape (N, D) expected. "
            "Flatten samples with .flatten(1), or turn images into features with aegan.metrics.Features first."
        )
    if len(x) < least:
        raise DataError(
            f"{where}: '{name}' holds {len(x)} sample{'s' * (len(x) != 1)}; at least {least} needed. "
            "Draw or load more samples."
        )
    finite = torch.isfinite(x).all(dim=1)
    if not finite.all():
        bad = torch.nonzero(~finite).flatten()
        raise DataError(
            f"{where}: '{name}' holds NaN or infinite values in {len(bad)} of {len(x)} samples, "
            f"the first at index {int(bad[0])}; finite features expected. Drop those samples, or look for "
            "what broke them (a diverged generator, a feature network in half precision)."
        )
    return x


def feature_pair(real: Array, fake: Array, *, where: str, least: int = 2) -> tuple[Tensor, Tensor]:
    """Both sets checked by :func:`feature_matrix` and against each other's dimension."""
    a = feature_matrix(real, where=where, name="real", least=least)
    b = feature_matrix(fake, where=where, name="fake", least=least)
    same_dimension(a, b, where=where, names=("real", "fake"))
    return a, b


def same_dimension(a: Tensor, b: Tensor, *, where: str, names: tuple[str, str]) -> None:
    """Raise DataError unless ``a`` and ``b`` have as many columns."""
    if a.shape[1] != b.shape[1]:
        raise DataError(
            f"{where}: '{names[0]}' has {a.shape[1]} feature dimensions and '{names[1]}' has {b.shape[1]}; "
            "equal numbers expected. Compute both with the same Features object."
        )


def at_least(value: int, least: int, *, where: str, name: str) -> int:
    """``value`` if it is an integer of at least ``least``; ConfigError otherwise."""
    if isinstance(value, bool) or not float(value).is_integer() or value < least:
        raise ConfigError(f"{where}: {name}={value!r}; a whole number of at least {least} expected.")
    return int(value)
