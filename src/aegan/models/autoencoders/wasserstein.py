"""Wasserstein autoencoder: a deterministic encoder whose codes, as a whole, are held to a normal prior by MMD.

Reference: Tolstikhin et al. 2018 (arXiv 1711.01558), the MMD form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_choice, require_non_negative
from aegan.errors import ConfigError
from aegan.losses.divergence import mmd
from aegan.models.autoencoders.base import AutoencoderConfig, AutoencoderModel
from aegan.types import Batch, Spec, Term


@dataclass(frozen=True, kw_only=True)
class WassersteinConfig(AutoencoderConfig):
    """Settings of the Wasserstein autoencoder, besides those that every one has.

    Attributes:
        kernel: ``imq`` or ``rbf``.
        weight: Of the discrepancy from the standard normal prior.
    """

    model: ClassVar[str] = "wasserstein"
    latent_dim: int = 16
    kernel: str = "imq"
    weight: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice(self, "kernel", ("imq", "rbf"))
        require_non_negative(self, "weight")
        if self.batch_size < 2:
            raise ConfigError("batch_size: at least 2 expected for the discrepancy between codes and prior, got 1.")


@final
class Wasserstein(AutoencoderModel):
    """Wasserstein autoencoder with MMD; see the module's text."""

    Config: ClassVar[type] = WassersteinConfig
    config: WassersteinConfig
    samples_from = "autoencoder"

    def __init__(self, spec: Spec, config: WassersteinConfig) -> None:
        super().__init__(spec, config)
        self.noise_dim = config.latent_dim + self.draw_dim

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of the one phase, ``autoencode``."""
        x = batch["x"]
        maps = self.encoder.trunk.maps(x)
        z = self.encoder.from_maps(maps).float()
        terms = self.reconstruction(self.decoder(z), x, maps, batch.get("mask")) | self.classification(maps, batch)
        distance = mmd(z, torch.randn_like(z), kernel=self.config.kernel)
        return terms | {"mmd": Term(distance, self.config.weight)}

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)`` drawn from the prior; the classes are not used."""
        return self.draw(noise[:, : self.code_dim], noise[:, self.code_dim :])
