"""Decoder-warm-started GAN: a pretrained decoder goes on as the generator, held by an anchor that fades.

References: Ham et al. 2020, "Unbalanced GANs" (arXiv 2002.02112) for the pretrained decoder as the generator; Mariani
et al. 2018, "BAGAN" (arXiv 1803.09655) for both networks from one autoencoder (the discriminator begins with the
encoder's trunk) and for classes by their codes' Gaussians. The noise goes through the codes' mean and covariance, and
with labels through each class's mean, so that the first samples already look like data. Loss and penalties are R3GAN's
(arXiv 2501.05441).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from aegan.config import require_at_least_one, require_non_negative
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.models.adversarial import adam, discriminator_terms, generator_term, noise_like
from aegan.models.autoencoders.family import AnyAutoencoder, PlainConfig, autoencoder_of
from aegan.models.hybrids.base import AutoencoderHybrid, autoencoder_stage, trunk_size
from aegan.nn.backbone import KINDS, discriminator_for
from aegan.nn.mlp import Whitening
from aegan.types import Batch, Phase, Samples, Spec, Stage, Term


@dataclass(frozen=True, kw_only=True)
class WarmStartGANConfig:
    """Settings of the decoder-warm-started GAN.

    Attributes:
        autoencoder: Any of the family, by ``autoencoder.model``, with its own settings.
        autoencoder_share: Part of the budget for the autoencoder, between 0 and 1.
        anchor: Weight of the reconstruction anchor at the start of the adversarial stage.
        anchor_half_life: Steps in which that weight halves.
        gamma: Weight of R1 and R2.
        penalty_every: The penalties are taken on every such step, with this many times the weight.
        batch_size: Samples a step of the adversarial stage.
        lr_generator: Peak learning rate of the generator.
        lr_discriminator: Peak learning rate of the discriminator.
        ema_samples: Half-life of the weights' average, in samples.
    """

    autoencoder: AnyAutoencoder = PlainConfig()
    autoencoder_share: float = 0.4
    anchor: float = 5.0
    anchor_half_life: float = 500.0
    gamma: float = 0.3
    penalty_every: int = 4
    batch_size: int = 64
    lr_generator: float = 6e-4
    lr_discriminator: float = 1e-3
    ema_samples: float = 10_000.0

    def __post_init__(self) -> None:
        if not 0 < self.autoencoder_share < 1:
            raise ConfigError(f"autoencoder_share: between 0 and 1 expected, got {self.autoencoder_share}.")
        require_non_negative(self, "anchor", "gamma")
        require_at_least_one(self, "penalty_every", "batch_size")
        if not self.anchor_half_life > 0:
            raise ConfigError(f"anchor_half_life: a number above 0 expected, got {self.anchor_half_life}.")


@final
class WarmStartGAN(AutoencoderHybrid):
    """Autoencoder, then its parts against each other; see the module's text."""

    Config: ClassVar[type] = WarmStartGANConfig
    kinds: ClassVar[tuple[str, ...]] = KINDS
    samples_from = "adversarial"

    def __init__(self, spec: Spec, config: WarmStartGANConfig) -> None:
        super().__init__(spec, config)
        self.autoencoder = autoencoder_of(spec, config.autoencoder)
        self.code_dim = self.noise_dim = self.autoencoder.code_dim
        self.conditional = spec.num_classes > 0
        self.whitening = Whitening(self.code_dim)
        self.prior = _ClassPrior(self.code_dim, spec.num_classes)
        own = config.autoencoder
        self.discriminator = discriminator_for(spec, **trunk_size(own))

    @property
    def decoder(self) -> nn.Module:
        """The generator: the autoencoder's decoder."""
        return self.autoencoder.decoder

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Autoencoder, then the adversarial stage."""
        config = self.config
        discriminate = Phase(
            name="discriminator",
            networks=("discriminator",),
            optimizer=adam(config.lr_discriminator),
        )
        generate = Phase(name="generator", networks=("decoder",), optimizer=adam(config.lr_generator))
        return (
            autoencoder_stage(config.autoencoder, config.autoencoder_share),
            Stage(
                name="adversarial",
                share=1.0 - config.autoencoder_share,
                phases=(discriminate, generate),
                batch_size=config.batch_size,
                ema=("decoder",),
                ema_samples=config.ema_samples,
            ),
        )

    def prepare(self, stage: str, data: Samples, encode: Callable[[Samples], Tensor]) -> Samples:
        """The codes' Gaussians, and the discriminator's start, before the adversarial stage."""
        if stage == "autoencoder":
            return self.autoencoder.prepare(stage, data, encode)
        z = encode(data)
        self.whitening.fit(z)
        labels = data.labels if isinstance(data, TensorData) else None
        device = self.whitening.mean.device
        self.prior.fit(self.whitening(z.to(device)), None if labels is None else labels.to(device))
        # The encoder is frozen from here on, so a resumed run must not copy its trunk again.
        if self.stage_step == 0:
            self.discriminator.trunk.load_state_dict(self.autoencoder.encoder.trunk.state_dict())
        return data

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """With penalties or without; the generator's anchor fades with every step."""
        if phase == "autoencode":
            return self.autoencoder.steady(phase, batch)
        if phase == "discriminator":
            return self.stage_step % self.config.penalty_every == 0
        return None if self.config.anchor else ()

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``autoencode``, ``discriminator`` and ``generator``."""
        match phase:
            case "autoencode":
                return self.autoencoder.loss(phase, batch)
            case "discriminator":
                return self._discriminator_loss(batch["x"], batch.get("y"))
        return self._generator_loss(batch["x"], batch.get("y"), batch.get("mask"))

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)`` from noise ``(B, D)`` and classes ``(B,)``."""
        return self.decode(self.whitening.inverse(self.prior(noise, y)))

    def judge(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Logits ``(B,)`` of data ``(B, *shape)``."""
        return self.discriminator(x, y)

    def _discriminator_loss(self, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        config = self.config
        with torch.no_grad():
            fake = self.generate(noise_like(x, self.noise_dim), y).float()
        return discriminator_terms(
            lambda at: self.judge(at, y),
            x,
            fake,
            gamma=config.gamma,
            every=config.penalty_every,
            step=self.stage_step,
        )

    def _generator_loss(self, x: Tensor, y: Tensor | None, mask: Tensor | None) -> dict[str, Term]:
        config = self.config
        fake = self.generate(noise_like(x, self.noise_dim), y).float()
        terms = {"adversarial": Term(generator_term(lambda at: self.judge(at, y), x, fake))}
        fading = 0.5 ** (self.stage_step / config.anchor_half_life)
        if config.anchor:
            with torch.no_grad():
                maps = self.autoencoder.encoder.trunk.maps(x)
                z = self.encode(x).float()
            out = self.decoder(self.autoencoder.noisy(z))
            for name, term in self.autoencoder.reconstruction(out, x, maps, mask).items():
                terms[name] = Term(term.value, term.weight * config.anchor * fading)
        return terms


class _ClassPrior(nn.Module):
    """Normal noise ``(B, D)`` moved to each class's mean and scaled by its deviation, among whitened codes."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(max(1, classes), dim))
        self.register_buffer("deviation", torch.ones(max(1, classes), dim))
        self.classes = classes

    @torch.no_grad()
    def fit(self, w: Tensor, y: Tensor | None) -> None:
        """Set both from whitened codes ``(N, D)``; classes of fewer than two samples keep the whole data's."""
        if self.classes and y is not None:
            for k in range(self.classes):
                own = w[y == k]
                if len(own) > 1:
                    self.mean[k], self.deviation[k] = own.mean(0), own.std(0)

    def forward(self, noise: Tensor, y: Tensor | None) -> Tensor:
        if not self.classes or y is None:
            return noise
        return self.mean[y] + self.deviation[y] * noise
