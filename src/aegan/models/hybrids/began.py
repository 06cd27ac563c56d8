"""BEGAN: the discriminator is an autoencoder, whose errors on real and generated data are held in proportion.

Reference: Berthelot et al. 2017 (arXiv 1703.10717). The discriminator lowers its error L on real data and raises it on
generated ones, k times as strongly; k moves so that E L(G(z)) = ``diversity`` · E L(x). The measure of convergence
M = L(x) + |diversity · L(x) - L(G(z))| is recorded as the term ``convergence``: it falls as the run goes well, which a
GAN's losses do not.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from aegan.config import require_non_negative
from aegan.errors import ConfigError
from aegan.losses import absolute_error
from aegan.models.adversarial import SizedConfig, noise_like
from aegan.models.base import Model
from aegan.nn.backbone import KINDS, decoder_for, encoder_for
from aegan.types import Batch, Spec, Stage, Term


@dataclass(frozen=True, kw_only=True)
class BEGANConfig(SizedConfig):
    """Settings of BEGAN, besides those that every hybrid with networks of its own has; ``gamma`` is not used.

    Attributes:
        diversity: The proportion of the errors, between 0 and 1; more is more varied and less true (the paper's γ).
        proportional_gain: How fast k follows, a step (the paper's λ).
    """

    gamma: float = 0.0
    lr: float = 5e-4
    lr_discriminator: float = 5e-4
    diversity: float = 0.7
    proportional_gain: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        require_non_negative(self, "proportional_gain")
        if not 0 < self.diversity < 1:
            raise ConfigError(f"diversity: between 0 and 1 expected, got {self.diversity}. 0.5 to 0.7 is usual.")
        if self.gamma:
            raise ConfigError(
                f"gamma={self.gamma}: BEGAN has no gradient penalty. Set diversity, or use another model."
            )


@final
class BEGAN(Model):
    """Generator, and a discriminator that is an autoencoder; see the module's text."""

    Config: ClassVar[type] = BEGANConfig
    kinds: ClassVar[tuple[str, ...]] = KINDS
    samples_from = "adversarial"

    def __init__(self, spec: Spec, config: BEGANConfig) -> None:
        super().__init__(spec, config)
        self.code_dim = self.noise_dim = dim = config.latent_dim
        self.generator = decoder_for(spec, dim, **config.size)
        self.encoder, self.decoder = encoder_for(spec, dim, **config.size), decoder_for(spec, dim, **config.size)
        self.balance = Balance(config.diversity, config.proportional_gain)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One stage: the discriminator's phase, then the generator's."""
        discriminate = ("discriminator", ("encoder", "decoder", "balance"))
        return (
            self.config.stage(discriminate, ("generator", ("generator",)), ema=("generator", "encoder", "decoder")),
        )

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """The generator's is always the same; the discriminator's weight k is read on the host."""
        return () if phase == "generator" else None

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``discriminator`` and ``generator``; ``balance`` and ``convergence`` are recorded only."""
        x, noise = batch["x"], noise_like(batch["x"], self.noise_dim)
        if phase == "generator":
            return {"adversarial": Term(self._error(self.generator(noise)))}
        with torch.no_grad():
            fake = self.generator(noise)
        real_error, fake_error = self._error(x), self._error(fake)
        k = self.balance.k.clone()
        convergence = self.balance.observe(real_error, fake_error)
        return {
            "reconstruction": Term(real_error),
            "adversarial": Term(fake_error, -float(k)),
            "balance": Term(k, 0.0),
            "convergence": Term(convergence, 0.0),
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

    def _error(self, x: Tensor) -> Tensor:
        x = x.float()
        return absolute_error(self.decoder(self.encoder(x)), x)


class Balance(nn.Module):
    """The weight k in [0, 1] of the errors on generated data, in a buffer."""

    k: Tensor

    def __init__(self, diversity: float, gain: float) -> None:
        super().__init__()
        self.diversity, self.gain = diversity, gain
        self.register_buffer("k", torch.zeros(()))

    @torch.no_grad()
    def observe(self, real: Tensor, fake: Tensor) -> Tensor:
        """Move k by one step; returns the measure of convergence."""
        gap = self.diversity * real - fake
        self.k.add_(self.gain * gap).clamp_(0.0, 1.0)
        return real + gap.abs()
