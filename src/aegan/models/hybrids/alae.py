"""ALAE: an adversarial autoencoder of latent codes that the networks choose for themselves.

Reference: Pidhorskyi et al. 2020 (arXiv 2004.04467). A mapping F turns noise into codes w, a generator G codes into
data; the discriminator is a small network D on the codes of an encoder E, so that E learns what tells real from
generated. E also learns to give back the code that a generated sample was made from, ‖F(z) - E(G(F(z)))‖², and so
inverts G. In the paper no error is measured between pixels (``data_weight=0``); here a little of it, by default, makes
codes tell their data from the start. Loss and penalties are R3GAN's (arXiv 2501.05441), taken at the data through D and
E; the paper's are the logistic loss and R1.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_at_least_one, require_non_negative
from aegan.losses import squared_error
from aegan.models.adversarial import SizedConfig, discriminator_terms, generator_term, noise_like
from aegan.models.autoencoders.base import observed
from aegan.models.base import Model
from aegan.nn.backbone import KINDS, decoder_for, encoder_for
from aegan.nn.mlp import LatentDiscriminator, LatentGenerator
from aegan.types import Batch, Spec, Stage, Term


@dataclass(frozen=True, kw_only=True)
class ALAEConfig(SizedConfig):
    """Settings of ALAE, besides those that every hybrid with networks of its own has.

    Attributes:
        hidden: Width of the mapping and of the discriminator of codes.
        depth: Residual layers of each.
        code_weight: Weight of the squared error of codes.
        data_weight: Weight of the squared error of reconstructed data, which the paper does without.
    """

    hidden: int = 256
    depth: int = 2
    code_weight: float = 1.0
    data_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least_one(self, "hidden", "depth")
        require_non_negative(self, "code_weight", "data_weight")


@final
class ALAE(Model):
    """Mapping, generator, encoder and discriminator of codes; see the module's text."""

    Config: ClassVar[type] = ALAEConfig
    kinds: ClassVar[tuple[str, ...]] = KINDS
    samples_from = "adversarial"

    def __init__(self, spec: Spec, config: ALAEConfig) -> None:
        super().__init__(spec, config)
        self.code_dim = self.noise_dim = dim = config.latent_dim
        self.mapping = LatentGenerator(dim, dim, 0, hidden=config.hidden, depth=config.depth)
        self.generator = decoder_for(spec, dim, **config.size)
        self.encoder = encoder_for(spec, dim, **config.size)
        self.discriminator = LatentDiscriminator(dim, 0, hidden=config.hidden, depth=config.depth)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One stage of three phases: encoder and discriminator; mapping and generator; the codes' error."""
        phases = (
            ("discriminator", ("encoder", "discriminator")),
            ("generator", ("mapping", "generator")),
            ("reciprocity", ("encoder", "generator")),
        )
        if not (self.config.code_weight or self.config.data_weight):
            phases = phases[:2]
        return (self.config.stage(*phases, ema=("mapping", "generator", "encoder", "discriminator")),)

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """Always the same."""
        return ()

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``discriminator``, ``generator`` and ``reciprocity``."""
        config, x = self.config, batch["x"]
        noise = noise_like(x, self.noise_dim)
        if phase == "discriminator":
            with torch.no_grad():
                fake = self.generate(noise, None).float()
            return discriminator_terms(self._judge, x, fake, gamma=config.gamma)
        if phase == "generator":
            return {"adversarial": Term(generator_term(self._judge, x, self.generate(noise, None).float()))}
        with torch.no_grad():
            w = self.mapping(noise, None)
        terms = {"code": Term(squared_error(self.encoder(self.generator(w).float()), w), config.code_weight)}
        if config.data_weight:
            x_hat = observed(self.decode(self.encode(x)), x, batch.get("mask"))
            terms["reconstruction"] = Term(squared_error(x_hat, x), config.data_weight)
        return terms

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)``; the classes are not used."""
        return self.generator(self.mapping(noise, None))

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)``."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Data ``(B, *shape)``."""
        return self.generator(z)

    def judge(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Logits ``(B,)`` of data ``(B, *shape)``."""
        return self._judge(x)

    def _judge(self, x: Tensor) -> Tensor:
        return self.discriminator(self.encoder(x), None)
