"""Adversarial autoencoder: a discriminator of codes holds them to a normal prior, so that the prior can be decoded.

Reference: Makhzani et al. 2015 (arXiv 1511.05644). In every step the autoencoder learns to reconstruct, the
discriminator to tell codes from draws of the prior, and the encoder to be mistaken for the prior. Here the
discriminator has zero-centred penalties and the non-saturating loss. Classes are not used, so samples cannot be asked
for by class.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_at_least_one, require_non_negative
from aegan.losses import ADVERSARIAL
from aegan.models.adversarial import adam, discriminator_terms
from aegan.models.autoencoders.family import AnyAutoencoder, PlainConfig, autoencoder_of
from aegan.models.hybrids.base import AutoencoderHybrid
from aegan.nn.backbone import CODED_KINDS
from aegan.nn.mlp import LatentDiscriminator
from aegan.types import Batch, Optimizer, Phase, Spec, Stage, Term


@dataclass(frozen=True, kw_only=True)
class AdversarialAutoencoderConfig:
    """Settings of the adversarial autoencoder.

    Attributes:
        autoencoder: Any of the family, by ``autoencoder.model``, with its own settings.
        weight: Of the encoder's adversarial term, beside the reconstruction's.
        hidden: Width of the discriminator of codes.
        depth: Its residual layers.
        gamma: Weight of R1 and R2 on codes.
        lr_discriminator: Peak learning rate of the discriminator.
        lr_encoder: Peak learning rate of the encoder's adversarial phase.
    """

    autoencoder: AnyAutoencoder = PlainConfig(latent_dim=16, feature_weight=0.0, code_noise=0.0, code_weight=0.0)
    weight: float = 0.1
    hidden: int = 256
    depth: int = 2
    gamma: float = 0.5
    lr_discriminator: float = 1e-3
    lr_encoder: float = 5e-4

    def __post_init__(self) -> None:
        require_non_negative(self, "weight", "gamma", "lr_discriminator", "lr_encoder")
        require_at_least_one(self, "hidden", "depth")


@final
class AdversarialAutoencoder(AutoencoderHybrid):
    """Autoencoder and discriminator of codes; see the module's text."""

    Config: ClassVar[type] = AdversarialAutoencoderConfig
    kinds: ClassVar[tuple[str, ...]] = (*CODED_KINDS, "text")
    samples_from = "adversarial"

    def __init__(self, spec: Spec, config: AdversarialAutoencoderConfig) -> None:
        super().__init__(spec, config)
        self.autoencoder = autoencoder_of(spec, config.autoencoder)
        self.code_dim, self.draw_dim = self.autoencoder.code_dim, self.autoencoder.draw_dim
        self.noise_dim = self.code_dim + self.draw_dim
        self.latent_discriminator = LatentDiscriminator(self.code_dim, 0, hidden=config.hidden, depth=config.depth)

    @property
    def encoder(self) -> torch.nn.Module:
        """The autoencoder's encoder, which the adversarial phase trains alone."""
        return self.autoencoder.encoder

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One stage of three phases."""
        config = self.config
        phases = (
            Phase(name="autoencode", networks=("autoencoder",), optimizer=Optimizer(lr=config.autoencoder.lr)),
            Phase(
                name="latent-discriminator",
                networks=("latent_discriminator",),
                optimizer=adam(config.lr_discriminator),
            ),
            Phase(name="encoder", networks=("encoder",), optimizer=adam(config.lr_encoder)),
        )
        size = config.autoencoder.batch_size
        return (Stage(name="adversarial", share=1.0, phases=phases, batch_size=size, ema=("autoencoder",)),)

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """The autoencoder's; the others are always the same, but for texts, which are cut to the longest of a batch."""
        if phase == "autoencode" or self.spec.kind == "text":
            return self.autoencoder.steady("autoencode", batch)
        return ()

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``autoencode``, ``latent-discriminator`` and ``encoder``."""
        if phase == "autoencode":
            return self.autoencoder.loss(phase, batch)
        x = batch["x"]
        if phase == "encoder":
            logits = self.latent_discriminator(self._codes(x), None)
            return {"adversarial": Term(ADVERSARIAL["non-saturating"].generator(logits, logits), self.config.weight)}
        with torch.no_grad():
            z = self._codes(x)
        judge = lambda at: self.latent_discriminator(at, None)  # noqa: E731
        return discriminator_terms(judge, torch.randn_like(z), z, loss="non-saturating", gamma=self.config.gamma)

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)`` drawn from the prior; the classes are not used."""
        return self.draw(noise[:, : self.code_dim], noise[:, self.code_dim :])

    def _codes(self, x: Tensor) -> Tensor:
        return self.autoencoder.noisy(self.encode(x).float()).float()
