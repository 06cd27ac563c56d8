"""MDGAN: a mode-regularised GAN, whose encoder shows the generator where the data are.

Reference: Che et al. 2017 (arXiv 1612.02136). G(E(x)) is near x, so every mode of the data has codes that the generator
is drawn to. Training has two adversaries: on the manifold, one tells data x from G(E(x)); in the diffusion, one tells
G(E(x)) from G(z), and so spreads the noise over what is reconstructed. Loss and penalties are R3GAN's
(arXiv 2501.05441).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_non_negative
from aegan.losses import squared_error
from aegan.models.adversarial import Judge, SizedConfig, discriminator_terms, generator_term, noise_like
from aegan.models.autoencoders.base import observed
from aegan.models.base import Model
from aegan.nn.backbone import KINDS, decoder_for, discriminator_for, encoder_for
from aegan.types import Batch, Spec, Stage, Term


@dataclass(frozen=True, kw_only=True)
class MDGANConfig(SizedConfig):
    """Settings of MDGAN, besides those that every hybrid with networks of its own has.

    Attributes:
        reconstruction_weight: Weight of the squared error of G(E(x)) (λ1 of the paper's regularised form).
        mode_weight: Weight of the manifold's adversarial term, for encoder and generator (λ of its algorithm).
    """

    reconstruction_weight: float = 1.0
    mode_weight: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        require_non_negative(self, "reconstruction_weight", "mode_weight")


@final
class MDGAN(Model):
    """Encoder, generator and two discriminators; see the module's text."""

    Config: ClassVar[type] = MDGANConfig
    kinds: ClassVar[tuple[str, ...]] = KINDS
    samples_from = "adversarial"

    def __init__(self, spec: Spec, config: MDGANConfig) -> None:
        super().__init__(spec, config)
        self.code_dim = self.noise_dim = dim = config.latent_dim
        unlabelled = spec.unlabelled
        self.encoder, self.generator = encoder_for(spec, dim, **config.size), decoder_for(spec, dim, **config.size)
        self.manifold_discriminator = discriminator_for(unlabelled, **config.size)
        self.diffusion_discriminator = discriminator_for(unlabelled, **config.size)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One stage: both discriminators' phase, then encoder's and generator's."""
        both, judges = ("encoder", "generator"), ("manifold_discriminator", "diffusion_discriminator")
        return (self.config.stage(("discriminator", judges), ("generator", both), ema=both),)

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """Always the same."""
        return ()

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``discriminator`` and ``generator``."""
        config, x = self.config, batch["x"]
        noise = noise_like(x, self.noise_dim)
        if phase == "discriminator":
            with torch.no_grad():
                again, fake = self.generator(self.encoder(x)).float(), self.generator(noise).float()
            manifold = discriminator_terms(self._judge("manifold"), x, again, gamma=config.gamma)
            diffusion = discriminator_terms(self._judge("diffusion"), again, fake, gamma=config.gamma)
            return {f"manifold-{k}": t for k, t in manifold.items()} | {
                f"diffusion-{k}": t for k, t in diffusion.items()
            }
        again, fake = self.generator(self.encoder(x)).float(), self.generator(noise).float()
        error = squared_error(observed(again, x, batch.get("mask")), x)
        return {
            "adversarial": Term(generator_term(self._judge("diffusion"), again.detach(), fake)),
            "manifold": Term(generator_term(self._judge("manifold"), x, again), config.mode_weight),
            "reconstruction": Term(error, config.reconstruction_weight),
        }

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)``; the classes are not used."""
        return self.generator(noise)

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)``."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Data ``(B, *shape)``."""
        return self.generator(z)

    def judge(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Logits ``(B,)`` of the discriminators added: their ratios multiply, data to G(E(x)) to G(z)."""
        return self._judge("manifold")(x) + self._judge("diffusion")(x)

    def _judge(self, name: str) -> Judge:
        network = getattr(self, f"{name}_discriminator")
        return lambda x: network(x, None)
