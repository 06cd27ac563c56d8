"""Which model, with which settings, for which data, when the user says nothing."""

from __future__ import annotations

from typing import Any

from aegan.errors import ConfigError, nearest
from aegan.models.registry import entry
from aegan.types import Spec

DEFAULT_MODEL = {"image": "latent-gan", "table": "autoregressive"}


def settings(model: str, spec: Spec, samples: int) -> dict[str, Any]:
    """JSON settings of ``model`` for data of this ``spec`` and size that differ from the model's defaults.

    Args:
        model: Registered name.
        spec: The adapter's spec.
        samples: Training samples.
    """
    if spec.kind == "table":
        return _of_table(model, spec, samples)
    if spec.kind != "image":
        return {}
    side, defaults = min(spec.shape[1:]), entry(model).load().Config()
    nested = getattr(defaults, "autoencoder", None)
    codes, own = (defaults if nested is None else nested), {}
    changes: dict[str, Any] = {}
    if side <= 16:
        if hasattr(codes, "latent_dim"):
            own["latent_dim"] = min(32, codes.latent_dim)
        if hasattr(defaults, "noise_dim"):
            changes["noise_dim"] = min(32, defaults.noise_dim)
    if side > 40:
        # A step on large images is dear: smaller ones, so that there are enough of them.
        own["batch_size"] = min(32, codes.batch_size)
    if hasattr(codes, "codebook"):
        # Few samples cannot fill a large codebook.
        own["codebook"] = max(2, min(codes.codebook, samples // 8))
    return changes | (own if nested is None else {"autoencoder": own})


def _of_table(model: str, spec: Spec, samples: int) -> dict[str, Any]:
    # Rows are cheap: large batches, but some twenty steps an epoch at least.
    changes: dict[str, Any] = {"batch_size": max(32, min(512, samples // 20))}
    if model != "autoregressive":
        return _of_family(model, spec, samples, changes)
    if len(spec.fields) > 40:
        # Every pair of fields has its own weights: narrower ones, so that a step stays affordable.
        changes |= {"embedding": 8, "hidden": 32}
    if samples < 5_000:
        changes["dropout"] = 0.2
    return changes


def _of_family(model: str, spec: Spec, samples: int, own: dict[str, Any]) -> dict[str, Any]:
    """``own``: what goes for the autoencoder in any case."""
    defaults = entry(model).load().Config()
    nested = getattr(defaults, "autoencoder", None)
    codes = defaults if nested is None else nested
    if model == "latent-gan":
        codes = entry("variational").load().Config()
    family = getattr(codes, "model", None)
    if family is None:
        return {}
    if family in ("autoencoder", "wasserstein"):
        # No longer than half of the indicators that a row is made of: a code as long could be a copy of them.
        own["latent_dim"] = min(codes.latent_dim, max(2, sum(field.size - 1 for field in spec.fields) // 2))
    if family == "vector-quantised":
        own["codebook"] = max(2, min(codes.codebook, samples // 8))
    if model == "latent-gan":
        # Codes near the prior already, which the GAN corrects; a discriminator of rows would have no gradient.
        latent = {"form": "correcting", "whiten": False}
        return {"autoencoder": {"model": family, **own}, "latent": latent, "joint": {"share": 0.0}}
    return own if nested is None else {"autoencoder": own}


def default_model(kind: str) -> str:
    """The default model's name for a kind of data."""
    if kind not in DEFAULT_MODEL:
        raise ConfigError(f"Unknown kind of data {kind!r}. {nearest(kind, DEFAULT_MODEL)}")
    return DEFAULT_MODEL[kind]
