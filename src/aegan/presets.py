"""Which model, with which settings, for which data, when the user says nothing."""

from __future__ import annotations

from typing import Any

from aegan.errors import ConfigError, nearest
from aegan.types import Spec

DEFAULT_MODEL = {"image": "latent-gan"}


def settings(model: str, spec: Spec, samples: int) -> dict[str, Any]:
    """JSON settings of ``model`` for data of this ``spec`` and size that differ from the model's defaults.

    Args:
        model: Registered name.
        spec: The adapter's spec.
        samples: Training samples.
    """
    small = min(spec.shape[1:]) <= 16
    autoencoder: dict[str, Any] = {"latent_dim": 32} if small else {}
    if model == "autoencoder":
        return {"autoencoder": autoencoder}
    return {"autoencoder": autoencoder, **({"noise_dim": 32} if small else {})}


def default_model(kind: str) -> str:
    """The default model's name for a kind of data."""
    if kind not in DEFAULT_MODEL:
        raise ConfigError(f"Unknown kind of data {kind!r}. {nearest(kind, DEFAULT_MODEL)}")
    return DEFAULT_MODEL[kind]
