"""EBGAN: the discriminator is an autoencoder, its error an energy that is low on data and high elsewhere.

Reference: Zhao et al. 2017 (arXiv 1609.03126). The energy of generated data is raised up to a margin and no further;
the pulling-away term keeps the codes of a generated batch from pointing the same way, a guard against collapse.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn.functional import normalize

from aegan.config import require_non_negative
from aegan.errors import ConfigError
from aegan.models.adversarial import SizedConfig, noise_like
from aegan.models.base import Model
from aegan.nn.backbone import KINDS, decoder_for, encoder_for
from aegan.types import Batch, Spec, Stage, Term


@dataclass(frozen=True, kw_only=True)
class EBGANConfig(SizedConfig):
    """Settings of EBGAN, besides those that every hybrid with networks of its own has; ``gamma`` is not used.

    Attributes:
        margin: Mean squared error of a value, up to which that of generated data is raised.
        pulling_away: Weight of the pulling-away term.
    """

    gamma: float = 0.0
    lr: float = 5e-4
    lr_discriminator: float = 5e-4
    margin: float = 0.2
    pulling_away: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_non_negative(self, "pulling_away")
        if not 0 < self.margin < float("inf"):
            raise ConfigError(f"margin: a number above 0 expected, got {self.margin}.")
        if self.gamma:
            raise ConfigError(f"gamma={self.gamma}: EBGAN has a margin in place of a gradient penalty. Set margin.")


@final
class EBGAN(Model):
    """Generator, and a discriminator that is an autoencoder; see the module's text."""

    Config: ClassVar[type] = EBGANConfig
    kinds: ClassVar[tuple[str, ...]] = KINDS
    samples_from = "adversarial"

    def __init__(self, spec: Spec, config: EBGANConfig) -> None:
        super().__init__(spec, config)
        self.code_dim = self.noise_dim = dim = config.latent_dim
        self.generator = decoder_for(spec, dim, **config.size)
        self.encoder, self.decoder = encoder_for(spec, dim, **config.size), decoder_for(spec, dim, **config.size)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One stage: the discriminator's phase, then the generator's."""
        discriminate = ("discriminator", ("encoder", "decoder"))
        return (
            self.config.stage(discriminate, ("generator", ("generator",)), ema=("generator", "encoder", "decoder")),
        )

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """Always the same."""
        return ()

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``discriminator`` and ``generator``."""
        x, noise = batch["x"], noise_like(batch["x"], self.noise_dim)
        if phase == "generator":
            energy, codes = self._energy(self.generator(noise))
            return {
                "adversarial": Term(energy.mean()),
                "pulling-away": Term(pulling_away(codes), self.config.pulling_away),
            }
        with torch.no_grad():
            fake = self.generator(noise)
        return {
            "reconstruction": Term(self._energy(x)[0].mean()),
            "adversarial": Term(torch.relu(self.config.margin - self._energy(fake)[0]).mean()),
        }

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)``; the classes are not used."""
        return self.generator(noise)

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)`` of the discriminator's autoencoder."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Data ``(B, *shape)`` by that autoencoder's decoder."""
        return self.decoder(z)

    def judge(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Minus the energy ``(B,)`` of data ``(B, *shape)``: larger is more real, but no ratio of densities."""
        return -self._energy(x)[0]

    def _energy(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Squared error a value ``(B,)``, and the codes ``(B, D)``."""
        x = x.float()
        z = self.encoder(x)
        return (self.decoder(z).float() - x).square().flatten(1).mean(1), z


def pulling_away(codes: Tensor) -> Tensor:
    """Mean squared cosine between different codes ``(B, D)`` of a batch, from 0 to 1.

    >>> round(pulling_away(torch.ones(3, 2)).item(), 4), pulling_away(torch.eye(3)).item()
    (1.0, 0.0)
    """
    unit = normalize(codes.float(), dim=1)
    b = len(unit)
    with torch.autocast(codes.device.type, enabled=False):  # the difference of two large sums wants the digits
        return ((unit @ unit.T).square().sum() - b) / max(1, b * (b - 1))
