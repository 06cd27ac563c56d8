"""Which model, with which settings, for which data, when the user says nothing."""

from __future__ import annotations

from typing import Any

from aegan.errors import ConfigError, nearest
from aegan.models.registry import entry
from aegan.types import Spec

DEFAULT_MODEL = {"image": "latent-gan"}


def settings(model: str, spec: Spec, samples: int) -> dict[str, Any]:
    """JSON settings of ``model`` for data of this ``spec`` and size that differ from the model's defaults.

    Args:
        model: Registered name.
        spec: The adapter's spec.
        samples: Training samples.
    """
    if spec.kind != "image":
        return {}
    side, described = min(spec.shape[1:]), entry(model)
    alone = described.family == "autoencoder"
    defaults = described.load().Config()
    if described.family == "gan":
        return ({"noise_dim": 32} if side <= 16 else {}) | ({"batch_size": 32} if side > 40 else {})
    autoencoder: dict[str, Any] = {}
    if side <= 16:
        autoencoder["latent_dim"] = min(32, (defaults if alone else defaults.autoencoder).latent_dim)
    if side > 40:
        # A step on large images is dear: smaller ones, so that there are enough of them.
        autoencoder["batch_size"] = 32
    if model == "vector-quantised":
        # Few samples cannot fill a large codebook.
        autoencoder["codebook"] = max(2, min(defaults.codebook, samples // 8))
    if alone:
        return autoencoder
    return {"autoencoder": autoencoder} | ({"noise_dim": 32} if side <= 16 else {})


def default_model(kind: str) -> str:
    """The default model's name for a kind of data."""
    if kind not in DEFAULT_MODEL:
        raise ConfigError(f"Unknown kind of data {kind!r}. {nearest(kind, DEFAULT_MODEL)}")
    return DEFAULT_MODEL[kind]
