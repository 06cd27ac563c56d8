"""A GAN in data space: any loss, any penalty, any remedy against collapse, by settings.

Loss and penalties are by default R3GAN's (Huang et al. 2024, arXiv 2501.05441): relativistic pairing with R1 and R2. So
is the principle of the default networks, residual without normalisation; their blocks are of two full 3x3 convolutions,
with pixel shuffle, which are faster on a CPU than the paper's of grouped ones (``network=r3gan``). Other settings make
the GANs of the literature, for instance ``loss=hinge spectral_norm=true penalty.r1=0 penalty.r2=0`` (SN-GAN, arXiv
1802.05957) or ``loss=wasserstein penalty.unit=10 penalty.r1=0 penalty.r2=0 discriminator_steps=5`` (WGAN-GP, arXiv
1704.00028).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from aegan.augment import diff_augment
from aegan.config import require_at_least_one, require_choice, require_non_negative
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.losses import (
    ADVERSARIAL,
    clip_weights,
    instance_noise,
    jacobian_clamp,
    lecam,
    smoothed_labels,
)
from aegan.losses.pairing import check_discriminator, check_lecam, check_loss
from aegan.models.autoencoders.family import autoencoder_of
from aegan.models.base import Model
from aegan.models.gans.latent import LatentAugmentConfig, latent_augment
from aegan.models.gans.penalty import PenaltyConfig, penalty_terms
from aegan.models.gans.state import PathLength, State
from aegan.models.hybrids.base import autoencoder_stage
from aegan.nn.backbone import KINDS, NETWORKS, discriminator_for, generator_for
from aegan.nn.constraints import as_it_stands, spectrally_normalised, statistics_taken_anew
from aegan.nn.gru import differentiable_twice
from aegan.nn.series import SERIES_NETWORKS
from aegan.types import Batch, Optimizer, Phase, Samples, Spec, Stage, Term

CONDITIONS = ("projection", "auxiliary", "none")
AUGMENTATIONS = ("none", "diff", "ada", "latent")


FINISHED_ON = 4096
"""Samples behind the final statistics of a generator's BatchNorm."""


@dataclass(frozen=True, kw_only=True)
class GANConfig:
    """Settings of the GAN.

    Attributes:
        loss: ``minimax``, ``non-saturating``, ``least-squares``, ``hinge``, ``wasserstein``, ``relativistic`` or
            ``relativistic-average``.
        penalty: The discriminator's penalties.
        condition: With labels: ``projection`` (arXiv 1802.05637), ``auxiliary`` (a classifier on real and fake, arXiv
            1610.09585) or ``none``.
        auxiliary_weight: Of that classifier.
        spectral_norm: Bound every layer of the discriminator by its spectral norm (arXiv 1802.05957).
        clip: Bound on the discriminator's weights, 0 for none; for study (arXiv 1701.07875).
        stddev: Show the discriminator the batch's standard deviation (arXiv 1710.10196).
        pack: Samples judged together (PacGAN, arXiv 1712.04086); for data without labels.
        instance_noise: Standard deviation of the noise on all that the discriminator sees, falling to 0 over
            ``instance_noise_steps`` (arXiv 1610.04490).
        instance_noise_steps: Steps over which it falls.
        label_smoothing: One-sided, of the real label, as in 0.1; for the cross-entropy losses (arXiv 1606.03498).
        augmentation: ``none``, ``diff`` (DiffAugment, arXiv 2006.10738) or ``ada`` (arXiv 2006.06676), for images; or
            ``latent`` (an autoencoder's).
        ada_images: Real images over which ADA's probability, or the share of ``latent``, may go from 0 to 1.
        latent: Settings of ``augmentation=latent``.
        jacobian_weight: Weight of the clamp of the generator's slope to [1, 20] (arXiv 1802.08768).
        path_weight: Weight of StyleGAN2's path length penalty, which has the generator go equally far for equal steps
            of the noise (arXiv 1912.04958; there of mapped noise, and the weight 2).
        path_every: It is taken on every such step of the generator, with this many times the weight.
        noise_dim: Length of the generator's noise.
        signs: So many of its values count by their sign alone, for data in separate parts.
        octaves: Sines and cosines of the data that the discriminator of vectors sees beside them, for few values with
            fine structure (:class:`~aegan.nn.octaves.Octaves`).
        series: Networks of time series: ``convolutional``, ``recurrent`` or ``attention``; no other data have them.
        network: ``residual`` (without normalisation), ``r3gan`` (the paper's own, for images), ``plain`` (strided
            convolutions, or a perceptron) or ``dcgan`` (those with BatchNorm, for images; not with a gradient penalty).
        width: Channels of the finest feature map, or an eighth of the hidden units.
        blocks: Residual blocks at each resolution, or hidden layers.
        batch_size: Samples a step.
        discriminator_steps: Steps of the discriminator for one of the generator.
        lr_generator: Peak learning rate of Adam.
        lr_discriminator: The same; a higher one than the generator's is TTUR (arXiv 1706.08500).
        beta1: Of Adam.
        ema_samples: Half-life of the generator's weight average, in samples (arXiv 1806.04498).
    """

    loss: str = "relativistic"
    penalty: PenaltyConfig = PenaltyConfig()
    condition: str = "projection"
    auxiliary_weight: float = 1.0
    spectral_norm: bool = False
    clip: float = 0.0
    stddev: bool = False
    pack: int = 1
    instance_noise: float = 0.0
    instance_noise_steps: int = 10_000
    label_smoothing: float = 0.0
    augmentation: str = "none"
    ada_images: float = 100_000.0
    latent: LatentAugmentConfig = LatentAugmentConfig()
    jacobian_weight: float = 0.0
    path_weight: float = 0.0
    path_every: int = 4
    noise_dim: int = 64
    signs: int = 0
    octaves: int = 0
    series: str = SERIES_NETWORKS[0]
    network: str = "residual"
    width: int = 32
    blocks: int = 2
    batch_size: int = 64
    discriminator_steps: int = 1
    lr_generator: float = 1e-3
    lr_discriminator: float = 1e-3
    beta1: float = 0.0
    ema_samples: float = 10_000.0

    def __post_init__(self) -> None:
        for name, known in (
            ("loss", ADVERSARIAL),
            ("condition", CONDITIONS),
            ("augmentation", AUGMENTATIONS),
            ("network", NETWORKS),
            ("series", SERIES_NETWORKS),
        ):
            require_choice(self, name, known)
        require_at_least_one(self, "noise_dim", "width", "blocks", "batch_size", "discriminator_steps", "pack")
        require_at_least_one(self, "instance_noise_steps", "path_every")
        require_non_negative(self, "auxiliary_weight", "clip", "instance_noise", "jacobian_weight", "path_weight")
        require_non_negative(self, "signs", "octaves")
        if self.signs > self.noise_dim:
            raise ConfigError(f"signs: at most noise_dim={self.noise_dim} expected, got {self.signs}.")
        if not 0 <= self.label_smoothing < 0.5:
            raise ConfigError(f"label_smoothing: from 0 to below 0.5 expected, got {self.label_smoothing}.")
        if self.batch_size % self.pack:
            raise ConfigError(f"pack={self.pack}: batch_size {self.batch_size} is no multiple of it. Change either.")
        constrained = self.penalty.on_gradients or self.spectral_norm or bool(self.clip)
        check_loss(self.loss, constrained=constrained, label_smoothing=self.label_smoothing)


@final
class GAN(Model):
    """Generator and discriminator in data space; see the module's text."""

    Config: ClassVar[type] = GANConfig
    kinds: ClassVar[tuple[str, ...]] = KINDS
    samples_from = "adversarial"

    def __init__(self, spec: Spec, config: GANConfig) -> None:
        super().__init__(spec, config)
        conditional = spec.num_classes > 0 and config.condition != "none"
        if config.pack > 1 and conditional:
            raise ConfigError(
                f"pack={config.pack} with labels: samples of several classes cannot be judged as one. Set "
                "condition=none, or use stddev=true instead."
            )
        if config.augmentation in ("diff", "ada") and spec.kind != "image":
            raise ConfigError(
                f"augmentation={config.augmentation} moves and colours images, got {spec.kind} data, which such "
                "changes would make into others. Use augmentation=latent, or instance_noise."
            )
        self.conditional, self.noise_dim = conditional, config.noise_dim
        seen = spec if conditional else Spec(kind=spec.kind, shape=spec.shape, likelihood=spec.likelihood)
        size: dict[str, Any] = {"width": config.width, "blocks": config.blocks, "network": config.network}
        size["series"] = config.series
        self.generator = generator_for(seen, config.noise_dim, signs=config.signs, **size)
        self.auxiliary = conditional and config.condition == "auxiliary"
        self.discriminator = discriminator_for(
            seen,
            stddev=config.stddev,
            pack=config.pack,
            auxiliary=self.auxiliary,
            octaves=config.octaves,
            **size,
        )
        if config.spectral_norm:
            spectrally_normalised(self.discriminator)
        check_discriminator(self.discriminator, gradient_penalty=config.penalty.on_gradients)
        # Where what is seen of a sample depends on the others of its batch, or on chance.
        self.separately = (
            config.stddev
            or config.spectral_norm
            or config.network == "dcgan"
            or config.augmentation != "none"
            or config.instance_noise > 0
        )
        self.state = State(config.ada_images if config.augmentation == "ada" else None)
        if config.path_weight:
            self.paths = PathLength()
        if config.augmentation == "latent":
            self.autoencoder = autoencoder_of(spec, config.latent.autoencoder)
            self.code_dim = self.autoencoder.code_dim
            classes = spec.num_classes if conditional else 0
            self.state.latent = latent_augment(config.latent, self.code_dim, classes, config.ada_images)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The discriminator's phase in every step, the generator's in every ``discriminator_steps``-th.

        With latent augmentation the autoencoder's stage comes first.
        """
        config = self.config
        betas = (config.beta1, 0.99)
        phases = (
            Phase(
                name="discriminator",
                networks=("discriminator", "state"),
                optimizer=Optimizer(lr=config.lr_discriminator, betas=betas),
            ),
            Phase(
                name="generator",
                networks=("generator", "paths") if config.path_weight else ("generator",),
                optimizer=Optimizer(lr=config.lr_generator, betas=betas),
                every=config.discriminator_steps,
            ),
        )
        latent = config.latent
        first = config.augmentation == "latent"
        return (
            *[autoencoder_stage(latent.autoencoder, latent.autoencoder_share)] * first,
            Stage(
                name="adversarial",
                share=1.0 - latent.autoencoder_share if first else 1.0,
                phases=phases,
                batch_size=config.batch_size,
                ema=("generator",),
                ema_samples=config.ema_samples,
            ),
        )

    def check_new(self) -> None:
        """Refuse LeCam with a relativistic loss."""
        if self.config.penalty.lecam:
            check_lecam(self.config.loss)

    def prepare(self, stage: str, data: Samples, encode: Callable[[Samples], Tensor]) -> Samples:
        """How codes lie, for latent augmentation."""
        if stage == "autoencoder":
            return self.autoencoder.prepare(stage, data, encode)
        if self.state.latent is not None:
            y = data.labels if isinstance(data, TensorData) and self.conditional else None
            self.state.latent.fit(encode(data), y, self.autoencoder.decode)
        return data

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)`` of the autoencoder of latent augmentation."""
        return self.autoencoder.encode(x) if self.code_dim else super().encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """Data ``(B, *shape)`` of its codes."""
        return self.autoencoder.decode(z) if self.code_dim else super().decode(z)

    def finish(self, data: Samples) -> None:
        """Take BatchNorm's statistics anew, where there is any: those of training belong to other weights' averages."""
        stream, device = torch.Generator().manual_seed(0), next(self.parameters()).device
        with statistics_taken_anew(self.generator) as any_there:
            parts = torch.arange(min(len(data), FINISHED_ON)).split(self.config.batch_size) if any_there else ()
            for part in parts:
                batch = data.batch(part)
                y = batch["y"].to(device) if self.conditional and "y" in batch else None
                self.generate(torch.randn(len(part), self.noise_dim, generator=stream).to(device), y)

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """With penalties or without; what changes by steps or is decided on the host is not steady."""
        config, penalty = self.config, self.config.penalty
        if phase == "autoencode":
            return self.autoencoder.steady(phase, batch)
        falling = penalty.final < 1 and penalty.on_gradients
        if config.augmentation in ("ada", "latent") or config.instance_noise or falling:
            return None
        return self.stage_step % penalty.every == 0, self._measures_paths

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``discriminator`` and ``generator``, and of ``autoencode`` with latent augmentation."""
        if phase == "autoencode":
            return self.autoencoder.loss(phase, batch)
        x, y, mask = batch["x"], batch.get("y") if self.conditional else None, batch.get("mask")
        return (self._discriminator_loss if phase == "discriminator" else self._generator_loss)(x, y, mask)

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)``."""
        return self.generator(noise, y if self.conditional else None)

    def judge(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Logits ``(B,)`` of data ``(B, *shape)`` and classes; for data that are judged one by one (``pack=1``)."""
        if self.config.pack > 1 or self.config.stddev:
            return super().judge(x, y)
        return self.discriminator.both(x)[0] if self.auxiliary else self.discriminator(x, y)

    def _discriminator_loss(self, x: Tensor, y: Tensor | None, mask: Tensor | None) -> dict[str, Term]:
        config, penalty = self.config, self.config.penalty
        if config.clip:
            clip_weights(self.discriminator, config.clip)
        plain = x
        with torch.no_grad():
            made = self._fakes(x, y)
            x, fake = _where_observed(self._real(x, y), mask), _where_observed(made, mask)
        x, fake = x.requires_grad_(penalty.r1 > 0), fake.requires_grad_(penalty.r2 > 0)
        if self.separately:
            (real_logits, real_classes), (fake_logits, fake_classes) = self._judge(x, y), self._judge(fake, y)
            logits = torch.cat([real_logits, fake_logits])
        else:
            logits, classes = self._judge(torch.cat([x, fake]), None if y is None else torch.cat([y, y]))
            (real_logits, fake_logits), (real_classes, fake_classes) = logits.chunk(2), classes.tensor_split(2)
        terms = {"adversarial": Term(self._adversarial(real_logits, fake_logits))}
        if self.auxiliary and y is not None:
            error = 0.5 * (cross_entropy(real_classes, y) + cross_entropy(fake_classes, y))
            terms["class"] = Term(error, config.auxiliary_weight)
        if penalty.lecam:
            means = self.state.real_mean.clone(), self.state.fake_mean.clone()
            terms["lecam"] = Term(lecam(real_logits, fake_logits, *means), penalty.lecam)
        ahead = ADVERSARIAL[config.loss].ahead(real_logits, fake_logits)
        self.state.observe(real_logits, fake_logits, ahead, config.batch_size)
        if self.state.latent is not None:
            self.state.latent.observe(ahead, plain, made.detach(), y, self.encode, self.decode, config.batch_size)
        if self.stage_step % penalty.every == 0:
            judge = lambda at: self._judge(at, y)[0]  # noqa: E731
            terms |= penalty_terms(penalty, judge, x, fake, logits, progress=self.stage_progress)
        return terms

    def _generator_loss(self, x: Tensor, y: Tensor | None, mask: Tensor | None) -> dict[str, Term]:
        config = self.config
        noise = torch.randn(len(x), self.noise_dim, device=x.device)
        paths = self._measures_paths
        with differentiable_twice(self.generator, paths):
            made = self.generate(noise.requires_grad_(paths), y).float()
        fake = _where_observed(made, mask)
        with self._resting(self.discriminator):
            with torch.no_grad():
                real_logits, _ = self._judge(_where_observed(self._real(x, y), mask), y)
            logits, classes = self._judge(fake, y)
        terms = {"adversarial": Term(ADVERSARIAL[config.loss].generator(real_logits, logits))}
        if self.auxiliary and y is not None:
            terms["class"] = Term(cross_entropy(classes, y), config.auxiliary_weight)
        if config.jacobian_weight:
            clamp = jacobian_clamp(lambda z: self.generate(z, y), noise)
            terms["jacobian"] = Term(clamp, config.jacobian_weight)
        if paths:
            terms["path-length"] = Term(self.paths(made, noise), config.path_weight * config.path_every)
        return terms

    @property
    def _measures_paths(self) -> bool:
        every = self.config.path_every * self.config.discriminator_steps
        return self.config.path_weight > 0 and self.stage_step % every == 0

    def _real(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Real data as they stand for such: a share of them augmented."""
        latent = self.state.latent
        if latent is None or self.config.latent.on != "real":
            return x
        return latent(x, y, self.encode, self.decode)

    def _fakes(self, x: Tensor, y: Tensor | None) -> Tensor:
        with self._resting(self.generator):
            return self.generate(torch.randn(len(x), self.noise_dim, device=x.device), y).float()

    def _resting(self, network: nn.Module) -> AbstractContextManager[None]:
        """:func:`as_it_stands` where there is anything to rest."""
        moves = self.config.network == "dcgan" or self.config.spectral_norm
        return as_it_stands(network) if moves else nullcontext()

    def _adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        config = self.config
        value = ADVERSARIAL[config.loss].discriminator(real, fake)
        if config.label_smoothing:
            value = smoothed_labels(value, real, config.label_smoothing)
        return value

    def _judge(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits of what the discriminator is shown of ``x``, and the auxiliary classifier's (empty without one)."""
        config = self.config
        if config.augmentation == "diff":
            x = diff_augment(x)
        elif self.state.ada is not None:
            x = self.state.ada(x)
        elif self.state.latent is not None and config.latent.on == "both":
            x = self.state.latent(x, y, self.encode, self.decode)
        if config.instance_noise:
            x = instance_noise(x, config.instance_noise, step=self.stage_step, steps=config.instance_noise_steps)
        return self.discriminator.both(x) if self.auxiliary else (self.discriminator(x, y), x.new_empty(0))


def _where_observed(x: Tensor, mask: Tensor | None) -> Tensor:
    """``x`` with 0 for the values that are missing in the real data: fakes lack the same ones (arXiv 1902.09599)."""
    return x if mask is None else x * mask
