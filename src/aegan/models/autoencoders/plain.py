"""Plain autoencoder: an encoder, a decoder and a vector code.

Reference: Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks". Gaussian
noise on the codes and a pull towards zero mean and unit variance keep the latent space smooth; with labels, a
classifier on the encoder's features and a loss in those features make the reconstructions look right. All of these
are off with ``code_noise=0``, ``code_weight=0``, ``feature_weight=0`` and ``class_weight=0``.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_non_negative
from aegan.errors import AeganWarning
from aegan.models.autoencoders.base import AutoencoderConfig, AutoencoderModel
from aegan.types import Batch, Spec, Term


@dataclass(frozen=True, kw_only=True)
class PlainConfig(AutoencoderConfig):
    """Settings of the plain autoencoder, besides those that every one has.

    Attributes:
        code_noise: Standard deviation of the Gaussian noise on codes (of about unit variance) in training.
        code_weight: Weight of the pull of codes towards zero mean and unit variance.
    """

    model: ClassVar[str] = "autoencoder"
    feature_weight: float = 0.1
    class_weight: float = 0.05
    code_noise: float = 0.1
    code_weight: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        require_non_negative(self, "code_noise", "code_weight")


@final
class Autoencoder(AutoencoderModel):
    """Plain autoencoder; see the module's text."""

    Config: ClassVar[type] = PlainConfig
    config: PlainConfig

    def __init__(self, spec: Spec, config: PlainConfig) -> None:
        super().__init__(spec, config)
        # A categorical value says as much as the indicators of all its field's values but one.
        values = sum(field.size - 1 for field in spec.fields) if spec.discrete else math.prod(spec.shape)
        if config.latent_dim >= values:
            warnings.warn(
                f"latent_dim={config.latent_dim} for {values} input values: nothing is compressed, so the autoencoder "
                "can copy its input. Use a smaller latent_dim, or the model denoising, sparse or contractive.",
                AeganWarning,
                stacklevel=2,
            )

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of the one phase, ``autoencode``."""
        x = batch["x"]
        maps = self.encoder.trunk.maps(x)
        z = self.encoder.from_maps(maps).float()
        terms = self.reconstruction(self.decoder(self.noisy(z)), x, maps, batch.get("mask")) | self.classification(
            maps, batch
        )
        if self.config.code_weight:
            pull = z.mean(0).square().mean() + (z.var(0) - 1.0).square().mean()
            terms["code"] = Term(pull, self.config.code_weight)
        return terms

    def noisy(self, z: Tensor) -> Tensor:
        """Codes with the training noise added."""
        return z + self.config.code_noise * torch.randn_like(z) if self.config.code_noise else z
