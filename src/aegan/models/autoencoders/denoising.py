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
from aegan.types import Batch, Spec, Term

CORRUPTIONS = ("gaussian", "masking", "salt-and-pepper")


@dataclass(frozen=True, kw_only=True)
class DenoisingConfig(AutoencoderConfig):
    """Settings of the denoising autoencoder, besides those that every one has.

    Attributes:
        corruption: ``gaussian``, ``masking`` (values set to 0, the middle of the range; in a table, to the value of
            another row) or ``salt-and-pepper`` (values set to -1 or 1). ``spec``: Gaussian, and masking in a table,
            which has no other.
        amount: Standard deviation of the Gaussian noise, or the part of the values that is hit.
    """

    model: ClassVar[str] = "denoising"
    corruption: str = "spec"
    amount: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice(self, "corruption", ("spec", *CORRUPTIONS))
        require_non_negative(self, "amount")
        if self.corruption not in ("spec", "gaussian"):
            _check_part(self.corruption, self.amount)


@final
class Denoising(AutoencoderModel):
    """Denoising autoencoder; see the module's text."""

    Config: ClassVar[type] = DenoisingConfig
    config: DenoisingConfig

    def __init__(self, spec: Spec, config: DenoisingConfig) -> None:
        super().__init__(spec, config)
        if spec.discrete and config.corruption not in ("spec", "masking"):
            raise ConfigError(
                f"corruption={config.corruption}: noise can be added to amounts, but not to discrete values "
                f"({spec.likelihood}). Set corruption=masking, which takes a value from another row."
            )
        self.corruption = config.corruption
        if config.corruption == "spec":
            self.corruption = "masking" if spec.discrete else "gaussian"
        if self.corruption == "masking":
            _check_part(self.corruption, config.amount)

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of the one phase, ``autoencode``."""
        x, amount = batch["x"], self.config.amount
        hit = exchanged(x, amount) if self.spec.discrete else corrupted(x, self.corruption, amount)
        maps = self.encoder.trunk.maps(hit)
        z = self.encoder.from_maps(maps)
        clean = maps
        if self.config.feature_weight:
            with torch.no_grad():
                clean = self.encoder.trunk.maps(x)
        return self.reconstruction(self.decoder(z), x, clean, batch.get("mask")) | self.classification(maps, batch)


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


def exchanged(x: Tensor, amount: float) -> Tensor:
    """A copy of rows ``(B, F)`` in which a part ``amount`` of the values is that of another row, drawn anew for each.

    A column keeps its frequencies, so that only what goes together tells a wrong value.

    >>> exchanged(torch.full((3, 2), 1.5), 1.0).tolist()
    [[1.5, 1.5], [1.5, 1.5], [1.5, 1.5]]
    """
    others = x.gather(0, torch.rand_like(x).argsort(0))
    return torch.where(torch.rand_like(x) < amount, others, x)


def _check_part(corruption: str, amount: float) -> None:
    if amount > 1:
        raise ConfigError(f"amount: with {corruption} a part of the values, 0 to 1, expected, got {amount}.")
