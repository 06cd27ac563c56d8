"""Contractive-autoencoder GAN: a contractive encoder shapes the codes, and contraction goes on during the adversary.

References: Rifai et al. 2011, "Contractive auto-encoders" (ICML) for the penalty on the encoder's Jacobian; Makhzani et
al. 2015 (arXiv 1511.05644) for the discriminator that holds codes to a prior; Larsen et al. 2016 (arXiv 1512.09300)
for sharpening a decoder by a discriminator of data. First a contractive autoencoder learns alone. Then its encoder is
held to a normal prior by a discriminator of codes while its decoder generates from that prior against a discriminator
of data, and both go on paying for their Jacobians: ‖∂z/∂x‖² keeps codes from moving with what does not matter,
‖∂x̂/∂z‖² keeps neighbouring codes neighbours in data.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_at_least_one, require_non_negative
from aegan.errors import ConfigError
from aegan.losses import jacobian_probe
from aegan.models.adversarial import AdversarialConfig, discriminator_terms, generator_term, noise_like
from aegan.models.autoencoders.contractive import Contractive, ContractiveConfig
from aegan.models.hybrids.base import AutoencoderHybrid, autoencoder_stage, trunk_size
from aegan.nn.backbone import KINDS, discriminator_for
from aegan.nn.gru import differentiable_twice
from aegan.nn.mlp import LatentDiscriminator
from aegan.types import Batch, Samples, Spec, Stage, Term


@dataclass(frozen=True, kw_only=True)
class ContractiveGANConfig:
    """Settings of the contractive-autoencoder GAN.

    Attributes:
        autoencoder: The contractive autoencoder's settings; its ``weight`` is that of the first stage.
        autoencoder_share: Part of the budget for it alone, between 0 and 1.
        encoder_contraction: Weight of ‖∂z/∂x‖²_F in the adversarial stage, whose codes have unit variance.
        generator_contraction: Weight of ‖∂x̂/∂z‖²_F at codes of the prior, a value of the data.
        reconstruction_weight: Weight of the reconstruction in the adversarial stage.
        latent_weight: Weight of the encoder's term against the discriminator of codes.
        hidden: Width of that discriminator.
        depth: Its residual layers.
        adversarial: How the adversarial stage is trained.
    """

    autoencoder: ContractiveConfig = ContractiveConfig(latent_dim=32)
    autoencoder_share: float = 0.3
    encoder_contraction: float = 1e-4
    generator_contraction: float = 1e-3
    reconstruction_weight: float = 5.0
    latent_weight: float = 0.5
    hidden: int = 256
    depth: int = 2
    adversarial: AdversarialConfig = AdversarialConfig(gamma=0.3, lr=6e-4)

    def __post_init__(self) -> None:
        require_non_negative(
            self, "encoder_contraction", "generator_contraction", "reconstruction_weight", "latent_weight"
        )
        require_at_least_one(self, "hidden", "depth")
        if not 0 < self.autoencoder_share < 1:
            raise ConfigError(f"autoencoder_share: between 0 and 1 expected, got {self.autoencoder_share}.")


@final
class ContractiveGAN(AutoencoderHybrid):
    """Contractive autoencoder and two discriminators; see the module's text."""

    Config: ClassVar[type] = ContractiveGANConfig
    kinds: ClassVar[tuple[str, ...]] = KINDS
    samples_from = "adversarial"

    def __init__(self, spec: Spec, config: ContractiveGANConfig) -> None:
        super().__init__(spec, config)
        own = config.autoencoder
        self.autoencoder = Contractive(spec, own)
        self.code_dim = self.noise_dim = self.autoencoder.code_dim
        self.discriminator = discriminator_for(spec.unlabelled, **trunk_size(own))
        self.latent_discriminator = LatentDiscriminator(self.code_dim, 0, hidden=config.hidden, depth=config.depth)

    @property
    def encoder(self) -> torch.nn.Module:
        """The autoencoder's."""
        return self.autoencoder.encoder

    @property
    def decoder(self) -> torch.nn.Module:
        """The autoencoder's: the generator."""
        return self.autoencoder.decoder

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The contractive autoencoder, then the adversarial stage."""
        config = self.config
        alone = autoencoder_stage(config.autoencoder, config.autoencoder_share)
        together = config.adversarial.stage(
            ("discriminator", ("discriminator", "latent_discriminator")),
            ("generator", ("encoder", "decoder")),
            ema=("encoder", "decoder"),
            share=1.0 - config.autoencoder_share,
        )
        return alone, together

    def prepare(self, stage: str, data: Samples, encode: Callable[[Samples], Tensor]) -> Samples:
        """The discriminator starts with the encoder's trunk, and the codes at the prior's scale."""
        if stage == "adversarial" and self.stage_step == 0:
            self.discriminator.trunk.load_state_dict(self.autoencoder.encoder.trunk.state_dict())
            self._rescale(encode(data))
        return data

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """As the autoencoder's, whose reconstruction the generator's phase has as well."""
        return () if phase == "discriminator" else self.autoencoder.steady("autoencode", batch)

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``autoencode``, ``discriminator`` and ``generator``."""
        match phase:
            case "autoencode":
                return self.autoencoder.loss(phase, batch)
            case "discriminator":
                return self._discriminator_loss(batch["x"])
        return self._generator_loss(batch["x"], batch.get("mask"))

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)`` decoded from the prior; the classes are not used."""
        return self.decode(noise)

    def judge(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Logits ``(B,)`` of data ``(B, *shape)``."""
        return self.discriminator(x, None)

    @torch.no_grad()
    def _rescale(self, z: Tensor) -> None:
        """Shift and scale each code to mean 0 and variance 1; the decoder's first layer undoes it."""
        z = z.to(self.autoencoder.encoder.head.weight.device)
        mean, std = z.mean(0), z.std(0).clamp_min(1e-3)
        head, stem = self.autoencoder.encoder.head, self.autoencoder.decoder.stem
        head.weight.div_(std[:, None])
        head.bias.sub_(mean).div_(std)
        stem.bias.add_(stem.weight @ mean)
        stem.weight.mul_(std)

    def _discriminator_loss(self, x: Tensor) -> dict[str, Term]:
        gamma, prior = self.config.adversarial.gamma, noise_like(x, self.noise_dim)
        with torch.no_grad():
            fake, z = self.generate(noise_like(x, self.noise_dim), None).float(), self.encode(x).float()
        terms = discriminator_terms(lambda at: self.judge(at, None), x, fake, gamma=gamma)
        latent = discriminator_terms(
            lambda at: self.latent_discriminator(at, None), prior, z, gamma=gamma, loss="non-saturating"
        )
        return terms | {f"latent-{name}": term for name, term in latent.items()}

    def _generator_loss(self, x: Tensor, mask: Tensor | None) -> dict[str, Term]:
        config = self.config
        x = x.detach().requires_grad_(config.encoder_contraction > 0)
        noise = noise_like(x, self.noise_dim).requires_grad_(config.generator_contraction > 0)
        maps = self.autoencoder.encoder.trunk.maps(x)
        z = self.autoencoder.encoder.from_maps(maps).float()
        with differentiable_twice(self.decoder, config.generator_contraction > 0):
            fake = self.generate(noise, None).float()
        logits = self.latent_discriminator(z, None)
        terms = {"adversarial": Term(generator_term(lambda at: self.judge(at, None), x, fake))}
        terms["latent-adversarial"] = Term(torch.nn.functional.softplus(-logits).mean(), config.latent_weight)
        known = [m.detach() for m in maps]
        for name, term in self.autoencoder.reconstruction(self.decoder(z), x.detach(), known, mask).items():
            terms[name] = Term(term.value, term.weight * config.reconstruction_weight)
        if config.encoder_contraction:
            terms["contraction"] = Term(jacobian_probe(z, x), config.encoder_contraction)
        if config.generator_contraction:
            values = fake[0].numel()
            terms["generator-contraction"] = Term(jacobian_probe(fake, noise) / values, config.generator_contraction)
        return terms
