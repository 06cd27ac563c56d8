"""Sparse autoencoder: few units of a code are on at a time, by an L1 penalty or a target rate.

References: Ranzato et al. 2007, "Sparse feature learning for deep belief networks" (L1); Ng 2011, CS294A lecture
notes, "Sparse autoencoder" (Kullback-Leibler divergence of each unit's mean activation from a rate).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_choice, require_non_negative
from aegan.errors import ConfigError
from aegan.models.autoencoders.base import AutoencoderConfig, AutoencoderModel
from aegan.types import Batch, Term


@dataclass(frozen=True, kw_only=True)
class SparseConfig(AutoencoderConfig):
    """Settings of the sparse autoencoder, besides those that every one has.

    Attributes:
        penalty: ``l1`` on codes, or ``rate``: the divergence from a Bernoulli variable of this rate, the codes
            going through a sigmoid.
        weight: Of the penalty.
        rate: Target of a unit's mean activation, between 0 and 1; for ``rate`` only.
    """

    model: ClassVar[str] = "sparse"
    latent_dim: int = 256
    penalty: str = "l1"
    weight: float = 1e-3
    rate: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice(self, "penalty", ("l1", "rate"))
        require_non_negative(self, "weight")
        if not 0 < self.rate < 1:
            raise ConfigError(f"rate: a number between 0 and 1 expected, got {self.rate}.")


@final
class Sparse(AutoencoderModel):
    """Sparse autoencoder; see the module's text."""

    Config: ClassVar[type] = SparseConfig
    config: SparseConfig

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of the one phase, ``autoencode``."""
        x, config = batch["x"], self.config
        maps = self.encoder.trunk.maps(x)
        z = self._activated(self.encoder.from_maps(maps).float())
        penalty = z.abs().sum(1).mean() if config.penalty == "l1" else rate_divergence(z, config.rate)
        terms = self.reconstruction(self.decoder(z), x, maps, batch.get("mask")) | self.classification(maps, batch)
        return terms | {"sparsity": Term(penalty, config.weight)}

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)`` of at least 0, in [0, 1] with a target rate."""
        return self._activated(self.encoder(x).float())

    def _activated(self, a: Tensor) -> Tensor:
        # The ReLU makes exact zeros, which an L1 penalty on free codes never does.
        return torch.relu(a) if self.config.penalty == "l1" else torch.sigmoid(a)


def rate_divergence(z: Tensor, rate: float) -> Tensor:
    """Sum over units of KL(rate ‖ mean activation), in nats.

    Args:
        z: Activations ``(B, D)`` in (0, 1).
        rate: Target, in (0, 1).

    >>> round(float(rate_divergence(torch.full((4, 2), 0.5), 0.5)), 6)
    0.0
    """
    mean = z.mean(0).clamp(1e-6, 1 - 1e-6)
    return (rate * torch.log(rate / mean) + (1 - rate) * torch.log((1 - rate) / (1 - mean))).sum()
