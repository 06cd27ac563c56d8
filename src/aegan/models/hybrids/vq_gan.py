"""VQ-GAN, or KL-GAN: an autoencoder sharpened by a discriminator that comes late and never outweighs it.

References: Esser et al. 2021, "Taming transformers" (arXiv 2012.09841) for the adaptive weight and the late adversary;
Rombach et al. 2022 (arXiv 2112.10752) for the form with normal codes. In the first stage the discriminator learns
beside the autoencoder, without effect on it; in the second the adversarial term joins the loss, weighted so that its
gradient at the decoder's last layer is ``strength`` times that of the reconstruction.

By default the codes are vector-quantised; ``autoencoder.model=variational`` makes a KL-GAN, which samples from the
prior. What differs from the papers: codes are vectors here, the discriminator gives one logit a sample and has R1 and
R2, and the adversary judges a reconstruction of its own, decoded from codes with their usual noise. The authors'
discriminator waits with its first step too, while this one learns from the start; and where they measure LPIPS, by a
network pretrained on photographs, the error in the encoder's own features stands in (``autoencoder.feature_weight``, 0
by default).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from aegan.config import require_at_least_one, require_non_negative
from aegan.errors import ConfigError
from aegan.losses import ADVERSARIAL
from aegan.models.adversarial import adam, discriminator_terms
from aegan.models.autoencoders.family import AnyAutoencoder, VectorQuantisedConfig, autoencoder_of
from aegan.models.hybrids.base import AutoencoderHybrid, trunk_size
from aegan.nn.backbone import KINDS, discriminator_for
from aegan.types import Batch, Optimizer, Phase, Samples, Spec, Stage, Term

MAX_WEIGHT = 1e4
"""Bound on the adaptive weight, as in the paper's code."""


@dataclass(frozen=True, kw_only=True)
class VQGANConfig:
    """Settings of the VQ-GAN.

    Attributes:
        autoencoder: Any of the family, by ``autoencoder.model``, with its own settings.
        autoencoder_share: Part of the budget before the adversary has its say, between 0 and 1.
        strength: The adversarial gradient at the decoder's last layer, as a part of the reconstruction's.
        gamma: Weight of R1 and R2.
        penalty_every: The penalties are taken on every such step, with this many times the weight.
        lr: Peak learning rate of the autoencoder in the second stage.
        lr_discriminator: Peak learning rate of the discriminator.
        batch_size: Samples a step of the second stage.
        ema_samples: Half-life of the autoencoder's weight average, in samples.
    """

    autoencoder: AnyAutoencoder = VectorQuantisedConfig()
    autoencoder_share: float = 0.4
    strength: float = 0.8
    gamma: float = 0.3
    penalty_every: int = 4
    lr: float = 6e-4
    lr_discriminator: float = 1e-3
    batch_size: int = 64
    ema_samples: float = 10_000.0

    def __post_init__(self) -> None:
        require_non_negative(self, "strength", "gamma", "lr", "lr_discriminator", "ema_samples")
        require_at_least_one(self, "batch_size", "penalty_every")
        if not 0 < self.autoencoder_share < 1:
            raise ConfigError(f"autoencoder_share: between 0 and 1 expected, got {self.autoencoder_share}.")


@final
class VQGAN(AutoencoderHybrid):
    """Autoencoder and discriminator in data space; see the module's text."""

    Config: ClassVar[type] = VQGANConfig
    kinds: ClassVar[tuple[str, ...]] = KINDS
    samples_from = "autoencoder"

    def __init__(self, spec: Spec, config: VQGANConfig) -> None:
        super().__init__(spec, config)
        own = config.autoencoder
        self.autoencoder = autoencoder_of(spec, own)
        self.code_dim, self.noise_dim = self.autoencoder.code_dim, self.autoencoder.noise_dim
        self.discriminator = discriminator_for(spec.unlabelled, **trunk_size(own))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The autoencoder with a discriminator that looks on, then both."""
        config, own = self.config, self.config.autoencoder

        def stage(name: str, share: float, prefix: str, batch_size: int, optimizer: Optimizer) -> Stage:
            judge = Phase(
                name=f"{prefix}discriminator", networks=("discriminator",), optimizer=adam(config.lr_discriminator)
            )
            phases = (judge, Phase(name=f"{prefix}autoencode", networks=("autoencoder",), optimizer=optimizer))
            ema, half_life = ("autoencoder",), config.ema_samples
            return Stage(name=name, share=share, phases=phases, batch_size=batch_size, ema=ema, ema_samples=half_life)

        return (
            stage("autoencoder", config.autoencoder_share, "early-", own.batch_size, Optimizer(lr=own.lr)),
            stage("adversarial", 1.0 - config.autoencoder_share, "", config.batch_size, adam(config.lr)),
        )

    def prepare(self, stage: str, data: Samples, encode: Callable[[Samples], Tensor]) -> Samples:
        """As the autoencoder's."""
        return self.autoencoder.prepare(stage, data, encode)

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """The discriminator's, with penalties or without; the adversary's weight is found on the host."""
        if phase.endswith("discriminator"):
            return self.stage_step % self.config.penalty_every == 0
        return self.autoencoder.steady("autoencode", batch) if phase.startswith("early-") else None

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``early-discriminator``, ``early-autoencode``, ``discriminator`` and ``autoencode``."""
        if phase.endswith("discriminator"):
            return self._discriminator_loss(batch["x"])
        terms = self.autoencoder.loss("autoencode", batch)
        return terms if phase.startswith("early-") else terms | self._adversarial(batch["x"], terms)

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """As the autoencoder's: data decoded from its prior, where it has one."""
        return self.autoencoder.generate(noise, y)

    def judge(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Logits ``(B,)`` of data ``(B, *shape)``; the hinge's, so larger is more real but no ratio of densities."""
        return self.discriminator(x, None)

    def _discriminator_loss(self, x: Tensor) -> dict[str, Term]:
        config = self.config
        with torch.no_grad():
            fake = self.decode(self.autoencoder.noisy(self.encode(x).float())).float()
        return discriminator_terms(
            lambda at: self.discriminator(at, None),
            x,
            fake,
            loss="hinge",
            gamma=config.gamma,
            every=config.penalty_every,
            step=self.stage_step,
        )

    def _adversarial(self, x: Tensor, terms: dict[str, Term]) -> dict[str, Term]:
        """The generator's side of the hinge, with the weight that its gradient asks for."""
        x_hat = self.decode(self.autoencoder.noisy(self.encode(x).float())).float()
        logits = self.discriminator(x_hat, None)
        adversarial = ADVERSARIAL["hinge"].generator(logits, logits)
        last = last_layer(self.autoencoder.decoder)
        if not last.requires_grad:
            return {"adversarial": Term(adversarial)}
        given = [t for t in ("reconstruction", "features") if t in terms]
        error = sum((terms[t].value * terms[t].weight for t in given), x.new_zeros(()))
        of_error, of_adversary = (
            float(torch.autograd.grad(value, last, retain_graph=True)[0].float().norm())
            for value in (error, adversarial)
        )
        weight = min(MAX_WEIGHT, of_error / (of_adversary + 1e-4))
        return {"adversarial": Term(adversarial, self.config.strength * weight)}


def last_layer(network: nn.Module) -> nn.Parameter:
    """The last weight of two axes or more: where gradients of several losses can be compared."""
    return [p for p in network.parameters() if p.ndim > 1][-1]
