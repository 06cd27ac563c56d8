"""Which model, with which settings, for which data, when the user says nothing."""

from __future__ import annotations

from typing import Any

from aegan.errors import ConfigError, nearest
from aegan.models.registry import entry
from aegan.types import Spec

DEFAULT_MODEL = {
    "image": "latent-gan",
    "audio": "latent-gan",
    "table": "autoregressive",
    "text": "sequence",
    "series": "recurrent",
}
FEW_ROWS, PRIOR_ROWS = 5_000, 1_000
"""Rows of a table below which rows of a copula help, and how many of these come beside the first; fewer beside more.

3,000 rows of Adult were learnt as well with them as without.
"""
FEW_SERIES, FEWEST_SERIES = 5_000, 1_000
"""Series, or windows of one, below which more units are left out in training, and below which training ends early.

Of 400 steps of an autoregression changes came a tenth too small without; of 1,500 nothing was amiss.
"""


def settings(model: str, spec: Spec, samples: int) -> dict[str, Any]:
    """JSON settings of ``model`` for data of this ``spec`` and size that differ from the model's defaults.

    Args:
        model: Registered name.
        spec: The adapter's spec.
        samples: Training samples.
    """
    if spec.kind == "table":
        return _of_table(model, spec, samples)
    if spec.kind == "series":
        return _of_series(model, spec, samples)
    if spec.kind == "audio":
        return _of_audio(model, samples)
    if spec.kind == "text":
        return _of_text(model, spec, samples)
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


def private(model: str, samples: int) -> dict[str, Any]:
    """The same for a differentially private training: large batches, for the noise is added once a batch."""
    if model != "autoregressive":
        return {}
    size = max(64, min(2048, samples // 8))
    return {"batch_size": size, "dropout": 0.0, "patience": 0, "code_share": 0.0, "hidden": 32, "layers": 1}


def _of_series(model: str, spec: Spec, samples: int) -> dict[str, Any]:
    steps, channels = spec.shape
    defaults = entry(model).load().Config()
    nested = getattr(defaults, "autoencoder", None)
    changes: dict[str, Any] = {}
    own: dict[str, Any] = changes if nested is None else {}
    if steps * channels < 64 and hasattr(defaults if nested is None else nested, "latent_dim"):
        own["latent_dim"] = max(2, steps * channels // 4)
    if steps > 64:
        # A step on long series is dear: smaller ones, so that there are enough of them.
        own["batch_size"] = 32
    if hasattr(defaults if nested is None else nested, "codebook"):
        own["codebook"] = max(2, min((defaults if nested is None else nested).codebook, samples // 8))
        own.pop("latent_dim", None)
    if model == "recurrent":
        if channels > 40:
            # Every pair of channels has its own weights: narrower ones, so that a step stays affordable.
            changes |= {"hidden": 12}
        if samples < FEW_SERIES:
            changes["dropout"] = 0.25
        if samples < FEWEST_SERIES:
            changes["patience"] = 500
    return changes if nested is None else changes | {"autoencoder": own}


def _of_audio(model: str, samples: int) -> dict[str, Any]:
    defaults = entry(model).load().Config()
    nested = getattr(defaults, "autoencoder", None)
    codes, own = (defaults if nested is None else nested), {}
    if hasattr(codes, "batch_size"):
        # Spectrograms are large and recordings few: smaller steps, more of them.
        own["batch_size"] = min(64, codes.batch_size)
    if hasattr(codes, "codebook"):
        own["codebook"] = max(2, min(codes.codebook, samples // 8))
    if model != "latent-gan":
        return own if nested is None else {"autoencoder": own}
    # What the codes keep is what can be understood; many combinations of labels ask more of the GAN on codes.
    shares = {"autoencoder_share": 0.4, "latent": {"share": 0.15}, "joint": {"share": 0.45}}
    return {"autoencoder": own, **shares}


def _of_table(model: str, spec: Spec, samples: int) -> dict[str, Any]:
    # Rows are cheap: large batches, but some twenty steps an epoch at least.
    changes: dict[str, Any] = {"batch_size": max(32, min(512, samples // 20))}
    if model != "autoregressive":
        return _of_family(model, spec, samples, changes)
    if len(spec.fields) > 40:
        # Every pair of fields has its own weights: narrower ones, so that a step stays affordable.
        changes |= {"embedding": 8, "hidden": 32}
    if samples < FEW_ROWS:
        # The copula's rows come on top of the twentieth: there are others all the time.
        prior = PRIOR_ROWS * (FEW_ROWS - samples) // FEW_ROWS
        changes |= {"dropout": 0.4, "prior_rows": prior, "batch_size": changes["batch_size"] + prior // 8}
    return changes


def _of_family(model: str, spec: Spec, samples: int, own: dict[str, Any]) -> dict[str, Any]:
    """``own``: what goes for the autoencoder in any case."""
    defaults = entry(model).load().Config()
    if hasattr(defaults, "autoencoder"):
        # Codes with noise around them fill the space between them; elsewhere a decoder of names is sure and wrong.
        changes: dict[str, Any] = {"autoencoder": {"model": "variational", **own}}
        if model == "latent-gan":
            # Such codes are near the prior already. A discriminator of rows would have no gradient to give.
            changes |= {"latent": {"form": "correcting", "whiten": False}, "joint": {"share": 0.0}}
        if model == "denoising-gan":
            # Rows are learnt soon, and codes of so many kinds need the larger batches.
            changes |= {"autoencoder_share": 0.4, "batch_size": min(256, 2 * own["batch_size"]), "gamma": 1.0}
        return changes
    if model == "autoencoder":
        # No longer than half of the indicators that a row is made of: a code as long could be a copy of them.
        own["latent_dim"] = min(defaults.latent_dim, max(2, sum(field.size - 1 for field in spec.fields) // 2))
    if model == "wasserstein":
        own["weight"] = 2.0  # beside a cross-entropy in nats
        # As above, without the noise: a short code leaves less between the codes.
        own["latent_dim"] = min(defaults.latent_dim, max(2, len(spec.fields) // 2))
    if hasattr(defaults, "codebook"):
        own["codebook"] = max(2, min(defaults.codebook, samples // 8))
    return own


def _of_text(model: str, spec: Spec, samples: int) -> dict[str, Any]:
    own: dict[str, Any] = {"batch_size": max(8, min(64, samples // 20))}
    if spec.vocabulary <= 300:
        # Characters and bytes: few tokens, each seen often, of which many make a text.
        own |= {"embedding": 64, "dropout": 0.1}
    if spec.shape[0] <= 24 and model != "arae":
        # Names, say: short texts have little to tell, and codes that tell all of it leave holes between them.
        own["latent_dim"] = 16
    if samples < 5_000:
        own["dropout"] = 0.4
    if spec.num_classes and model != "arae":
        own["class_weight"] = 1.0
    defaults = entry(model).load().Config()
    if not hasattr(defaults, "autoencoder"):
        return own
    changes: dict[str, Any] = {"autoencoder": {"model": "sequence", **own}}
    if model == "latent-gan":
        changes |= {
            "latent": {"form": "correcting", "whiten": False},
            "joint": {"share": 0.0},
            "autoencoder_share": 0.9,
        }
    if model == "adversarial-autoencoder":
        # The adversary takes the divergence's place.
        changes["autoencoder"] |= {"form": "denoising", "beta": 0.0, "hidden_tokens": 0.3}
    return changes


def default_model(kind: str) -> str:
    """The default model's name for a kind of data."""
    if kind not in DEFAULT_MODEL:
        raise ConfigError(f"Unknown kind of data {kind!r}. {nearest(kind, DEFAULT_MODEL)}")
    return DEFAULT_MODEL[kind]
