"""Denoising autoencoder: the input is corrupted, the clean one is to be reconstructed.

Reference: Vincent et al. 2010, "Stacked denoising autoencoders", JMLR 11.
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

CORRUPTIONS = ("gaussian", "masking", "salt-and-pepper")


@dataclass(frozen=True, kw_only=True)
class DenoisingConfig(AutoencoderConfig):
    """Settings of the denoising autoencoder, besides those that every one has.

    Attributes:
        corruption: ``gaussian``, ``masking`` (values set to 0, the middle of the range) or ``salt-and-pepper``
            (values set to -1 or 1).
        amount: Standard deviation of the Gaussian noise, or the part of the values that is hit.
    """

    model: ClassVar[str] = "denoising"
    corruption: str = "gaussian"
    amount: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice(self, "corruption", CORRUPTIONS)
        require_non_negative(self, "amount")
        if self.corruption != "gaussian" and self.amount > 1:
            raise ConfigError(
                f"amount: with {self.corruption} a part of the values, 0 to 1, expected, got {self.amount}."
            )


@final
class Denoising(AutoencoderModel):
    """Denoising autoencoder; see the module's text."""

    Config: ClassVar[type] = DenoisingConfig
    config: DenoisingConfig

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of the one phase, ``autoencode``."""
        x = batch["x"]
        maps = self.encoder.trunk.maps(corrupted(x, self.config.corruption, self.config.amount))
        z = self.encoder.from_maps(maps)
        clean = maps
        if self.config.feature_weight:
            with torch.no_grad():
                clean = self.encoder.trunk.maps(x)
        return self.reconstruction(self.decoder(z), x, clean) | self.classification(maps, batch)


def corrupted(x: Tensor, corruption: str, amount: float) -> Tensor:
    """A copy of ``x`` (any shape, values in [-1, 1]) with ``amount`` of a corruption; see :class:`DenoisingConfig`.

    >>> float(corrupted(torch.ones(1000), "masking", 1.0).sum())
    0.0
    """
    if corruption == "gaussian":
        return x + amount * torch.randn_like(x)
    hit = torch.rand_like(x) < amount
    if corruption == "masking":
        return x.masked_fill(hit, 0.0)
    return torch.where(hit, torch.rand_like(x).round() * 2.0 - 1.0, x)
