"""BiGAN, or ALI: a generator and an encoder against one discriminator of pairs (data, code).

References: Donahue et al. 2017 (arXiv 1605.09782) and Dumoulin et al. 2017 (arXiv 1606.00704), found independently.
The discriminator tells (x, E(x)) from (G(z), z); where it cannot, E inverts G. In practice it does so loosely, so that
a reconstruction resembles the data without being it: the term ``reconstruction`` of ALICE (Li et al. 2017,
arXiv 1709.01215) holds the pair together, and a weight of 0 gives the plain BiGAN. With ``stochastic`` the encoder
draws its codes from a normal distribution (ALI). Loss and penalties are R3GAN's (arXiv 2501.05441).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_non_negative
from aegan.losses import relativistic_discriminator, relativistic_generator, squared_error, zero_centred_gradient
from aegan.models.adversarial import SizedConfig, noise_like
from aegan.models.autoencoders.base import observed
from aegan.models.base import Model
from aegan.nn.backbone import KINDS, decoder_for, encoder_for, joint_discriminator_for
from aegan.types import Batch, Spec, Stage, Term

_LOGVAR = (-10.0, 2.0)


@dataclass(frozen=True, kw_only=True)
class BiGANConfig(SizedConfig):
    """Settings of BiGAN and ALI, besides those that every hybrid with networks of its own has.

    Attributes:
        reconstruction_weight: Weight of the squared error of G(E(x)); 0 is the plain BiGAN.
        stochastic: Whether the encoder's codes are drawn (ALI) or given (BiGAN).
    """

    reconstruction_weight: float = 1.0
    stochastic: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_non_negative(self, "reconstruction_weight")


@final
class BiGAN(Model):
    """Encoder, generator and joint discriminator; see the module's text."""

    Config: ClassVar[type] = BiGANConfig
    kinds: ClassVar[tuple[str, ...]] = KINDS
    samples_from = "adversarial"

    def __init__(self, spec: Spec, config: BiGANConfig) -> None:
        super().__init__(spec, config)
        self.code_dim = self.noise_dim = dim = config.latent_dim
        self.encoder = encoder_for(spec, 2 * dim if config.stochastic else dim, **config.size)
        self.generator = decoder_for(spec, dim, **config.size)
        self.discriminator = joint_discriminator_for(spec, dim, **config.size)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One stage: the discriminator's phase, then encoder's and generator's together."""
        both = ("encoder", "generator")
        return (self.config.stage(("discriminator", ("discriminator",)), ("generator", both), ema=both),)

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """Always the same."""
        return ()

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``discriminator`` and ``generator``."""
        x = batch["x"]
        return self._discriminator_loss(x) if phase == "discriminator" else self._generator_loss(x, batch.get("mask"))

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)``; the classes are not used."""
        return self.generator(noise)

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)``, their means if they are drawn."""
        return self.encoder(x).float()[:, : self.code_dim]

    def decode(self, z: Tensor) -> Tensor:
        """Data ``(B, *shape)``."""
        return self.generator(z)

    def _code(self, x: Tensor) -> Tensor:
        if not self.config.stochastic:
            return self.encode(x)
        mu, logvar = self.encoder(x).float().chunk(2, 1)
        return mu + torch.exp(0.5 * logvar.clamp(*_LOGVAR)) * torch.randn_like(mu)

    def _discriminator_loss(self, x: Tensor) -> dict[str, Term]:
        gamma = self.config.gamma
        with torch.no_grad():
            code, noise = self._code(x), noise_like(x, self.noise_dim)
            fake = self.generator(noise).float()
        leaves = [t.detach().requires_grad_(gamma > 0) for t in (x, code, fake, noise)]
        real_logits, fake_logits = self.discriminator(*leaves[:2]), self.discriminator(*leaves[2:])
        terms = {"adversarial": Term(relativistic_discriminator(real_logits, fake_logits))}
        if gamma:
            # The gradient of a pair is that in the data and that in the code: their squares add up.
            for name, logits, pair in (("r1", real_logits, leaves[:2]), ("r2", fake_logits, leaves[2:])):
                terms[name] = Term(sum((zero_centred_gradient(logits, leaf) for leaf in pair), x.new_zeros(())), gamma)
        return terms

    def _generator_loss(self, x: Tensor, mask: Tensor | None) -> dict[str, Term]:
        code, noise = self._code(x), noise_like(x, self.noise_dim)
        real_logits = self.discriminator(x, code)
        fake_logits = self.discriminator(self.generator(noise).float(), noise)
        terms = {"adversarial": Term(relativistic_generator(real_logits, fake_logits))}
        if self.config.reconstruction_weight:
            error = squared_error(observed(self.generator(code), x, mask), x)
            terms["reconstruction"] = Term(error, self.config.reconstruction_weight)
        return terms
