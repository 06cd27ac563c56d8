"""Latent GAN, sharpened: an autoencoder, a GAN on its whitened codes, then both against the data.

Reference: Achlioptas et al. 2018, "Learning representations and generative models for 3D point clouds"
(arXiv 1707.02392) for the GAN on an autoencoder's codes; relativistic pairing loss with R1 and R2 after Huang
et al. 2024 (arXiv 2501.05441). The last stage trains generator and decoder as one network against a
discriminator on images that starts from the encoder's weights, while a reconstruction anchor keeps the decoder
true to the codes of real images: a squared-error decoder's blur is the ceiling of the first two stages.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_at_least_one, require_choice, require_non_negative
from aegan.data.base import TensorData
from aegan.data.with_codes import WithCodes
from aegan.errors import ConfigError
from aegan.losses import relativistic_discriminator
from aegan.models.adversarial import adam, discriminator_terms, generator_term, noise_like
from aegan.models.autoencoders.family import AnyAutoencoder, PlainConfig, autoencoder_of
from aegan.models.autoencoders.sequence import SequenceConfig
from aegan.models.base import BLOCK
from aegan.models.hybrids.base import AutoencoderHybrid, autoencoder_stage
from aegan.nn.backbone import CODED_KINDS, discriminator_for
from aegan.nn.mlp import LatentDiscriminator, LatentGenerator, Whitening
from aegan.streams import borrowed
from aegan.types import Batch, Phase, Samples, Spec, Stage, Term


@dataclass(frozen=True, kw_only=True)
class LatentStageConfig:
    """The GAN on codes.

    Attributes:
        share: Part of the budget.
        form: ``fresh``: the generator makes codes of noise; ``correcting``: it starts as the identity on noise as long
            as a code, and learns what to add. For codes that are near the prior already, as a variational
            autoencoder's are.
        whiten: Whether the GAN sees codes of zero mean and unit covariance, or codes as they are; the second is for
            codes held to a normal prior, whose idle dimensions whitening (fitted without noise) would blow up.
        hidden: Width of generator and discriminator.
        depth: Residual layers of each.
        gamma: Weight of R1 and R2.
        penalty_every: The penalties are taken on every such step, with this many times the weight.
        lr: Peak learning rate of both.
        batch_size: Codes a step.
    """

    share: float = 0.1
    form: str = "fresh"
    whiten: bool = True
    hidden: int = 256
    depth: int = 3
    gamma: float = 1.0
    penalty_every: int = 1
    lr: float = 2e-3
    batch_size: int = 256

    def __post_init__(self) -> None:
        require_choice(self, "form", ("fresh", "correcting"))
        require_non_negative(self, "gamma", "lr")
        require_at_least_one(self, "hidden", "depth", "penalty_every", "batch_size")


@dataclass(frozen=True, kw_only=True)
class JointStageConfig:
    """The data-space discriminator against generator and decoder.

    Attributes:
        share: Part of the budget; 0 leaves the stage out, as discrete data need it.
        width: Channels of the discriminator's finest map; the autoencoder's width lets it start from the encoder.
        gamma: Weight of R1 and R2.
        penalty_every: The penalties are taken on every such step, with this many times the weight.
        lr_generator: Peak learning rate of generator and decoder.
        lr_discriminator: Peak learning rate of the discriminator.
        anchor: Weight of the reconstruction anchor on codes of real images.
        latent_weight: Weight of the latent discriminator, which goes on learning beside the one on images: codes are
            where dropped variety shows first.
        batch_size: Images a step.
        ema_samples: Half-life of the weights' average, in images.
    """

    share: float = 0.6
    width: int = 32
    gamma: float = 0.3
    penalty_every: int = 4
    lr_generator: float = 6e-4
    lr_discriminator: float = 1e-3
    anchor: float = 5.0
    latent_weight: float = 4.0
    batch_size: int = 32
    ema_samples: float = 10_000.0

    def __post_init__(self) -> None:
        require_non_negative(self, "share", "gamma", "lr_generator", "lr_discriminator", "anchor", "latent_weight")
        require_non_negative(self, "ema_samples")
        require_at_least_one(self, "width", "penalty_every", "batch_size")


@dataclass(frozen=True, kw_only=True)
class LatentGANConfig:
    """Settings of the latent GAN; each stage has its own.

    Attributes:
        autoencoder: Any of the family, by ``autoencoder.model``, with its own settings.
        autoencoder_share: Part of the budget for the autoencoder.
        noise_dim: Length of the generator's noise; in the correcting form it is the code's.
        latent: The GAN on codes.
        joint: The data-space stage.
    """

    autoencoder: AnyAutoencoder = PlainConfig()
    autoencoder_share: float = 0.3
    noise_dim: int = 64
    latent: LatentStageConfig = LatentStageConfig()
    joint: JointStageConfig = JointStageConfig()

    def __post_init__(self) -> None:
        if self.autoencoder_share <= 0 or self.latent.share <= 0 or self.joint.share < 0:
            raise ConfigError(
                "Shares of the budget: autoencoder_share and latent.share above 0 and joint.share of at least 0 "
                f"expected, got {self.autoencoder_share}, {self.latent.share} and {self.joint.share}."
            )
        require_at_least_one(self, "noise_dim")


CALIBRATED_ON = 4096
"""Training samples at most that the noise's scale is set by."""
SPREAD_FROM, SPREAD_TO = 0.9, 1.25
"""Bounds of that scale: outside them the generator has other faults than its variance."""


def _without_discriminator(module: torch.nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Leave out of saved weights the discriminator of data that runs without a joint stage once had for nothing."""
    for name in [name for name in state if name.startswith(f"{prefix}discriminator.")]:
        del state[name]


@final
class LatentGAN(AutoencoderHybrid):
    """Autoencoder, latent GAN and joint stage; see the module's text."""

    Config: ClassVar[type] = LatentGANConfig
    kinds: ClassVar[tuple[str, ...]] = (*CODED_KINDS, "text")
    samples_from = "latent"
    spread: Tensor

    def __init__(self, spec: Spec, config: LatentGANConfig) -> None:
        super().__init__(spec, config)
        self.autoencoder = autoencoder_of(spec, config.autoencoder)
        if spec.discrete and config.joint.share:
            raise ConfigError(
                f"joint.share={config.joint.share}: the joint stage has a discriminator of data, and no gradient "
                f"passes through discrete values ({spec.likelihood}). Set joint.share=0."
            )
        correcting = config.latent.form == "correcting"
        self.code_dim = self.autoencoder.code_dim
        self.latent_noise_dim = self.code_dim if correcting else config.noise_dim
        self.draw_dim = self.autoencoder.draw_dim
        self.noise_dim = self.latent_noise_dim + self.draw_dim
        classes, latent, joint = spec.num_classes, config.latent, config.joint
        self.conditional = classes > 0
        self.whitening = Whitening(self.code_dim)
        self.register_buffer("spread", torch.ones(()))
        self.generator = LatentGenerator(
            self.latent_noise_dim,
            self.code_dim,
            classes,
            hidden=latent.hidden,
            depth=latent.depth,
            correcting=correcting,
        )
        self.latent_discriminator = LatentDiscriminator(
            self.code_dim, classes, hidden=latent.hidden, depth=latent.depth
        )
        own = config.autoencoder
        if joint.share and not isinstance(own, SequenceConfig):
            self.discriminator = discriminator_for(spec, width=joint.width, blocks=own.blocks, series=own.series)
        else:
            self.register_load_state_dict_pre_hook(_without_discriminator)

    @property
    def decoder(self) -> torch.nn.Module:
        """The autoencoder's decoder, which the joint stage trains without its encoder."""
        return self.autoencoder.decoder

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Autoencoder, latent GAN and, unless its share is 0, the joint stage."""
        config, latent, joint = self.config, self.config.latent, self.config.joint
        stages = [
            autoencoder_stage(config.autoencoder, config.autoencoder_share),
            Stage(
                name="latent",
                share=latent.share,
                phases=(
                    Phase(
                        name="latent-discriminator",
                        networks=("latent_discriminator",),
                        optimizer=adam(latent.lr),
                    ),
                    Phase(name="latent-generator", networks=("generator",), optimizer=adam(latent.lr)),
                ),
                batch_size=latent.batch_size,
                ema=("generator",),
                ema_samples=50_000.0,
                # Small matrices gain nothing from bf16, and whitened codes deserve the digits.
                autocast=False,
            ),
        ]
        if joint.share > 0:
            latent_too = ("latent_discriminator",) if joint.latent_weight else ()
            discriminate = Phase(
                name="discriminator",
                networks=("discriminator", *latent_too),
                optimizer=adam(joint.lr_discriminator),
            )
            generate = Phase(
                name="generator",
                networks=("generator", "decoder"),
                optimizer=adam(joint.lr_generator),
            )
            stages.append(
                Stage(
                    name="joint",
                    share=joint.share,
                    phases=(discriminate, generate),
                    batch_size=joint.batch_size,
                    ema=("generator", "decoder"),
                    ema_samples=joint.ema_samples,
                )
            )
        return tuple(stages)

    def prepare(self, stage: str, data: Samples, encode: Callable[[Samples], Tensor]) -> Samples:
        """Codes of the whole data set, once, for the latent stage; the discriminator's start for the joint one."""
        if stage == "autoencoder":
            return self.autoencoder.prepare(stage, data, encode)
        if stage == "latent":
            z = encode(data)
            if self.config.latent.whiten:
                self.whitening.fit(z)
            fields: dict[str, Tensor] = {"z": z}
            if self.spec.num_classes and isinstance(data, TensorData) and data.labels is not None:
                fields["y"] = data.labels
            return TensorData(**fields)
        if stage == "joint":
            # The encoder's trunk is frozen from here on, so a resumed run must not copy it again.
            if self.stage_step == 0 and self.config.joint.width == self.config.autoencoder.width:
                self.discriminator.trunk.load_state_dict(self.autoencoder.encoder.trunk.state_dict())
            if self.config.joint.latent_weight:
                return WithCodes(data, encode(data))
        return data

    def finish(self, data: Samples) -> None:
        """Scale the noise so that generated codes vary as much as those of real data.

        A generator at the end of its training draws a little too close to the mean. Eight halvings of an interval
        find the scale at which the total variance agrees; fixed noise makes it the same every time.
        """
        device, stream = self.whitening.mean.device, torch.Generator().manual_seed(0)
        index = torch.randperm(len(data), generator=stream)[:CALIBRATED_ON].split(BLOCK)
        batches = [{k: v.to(device) for k, v in data.batch(part).items()} for part in index]
        with borrowed():
            torch.manual_seed(0)
            # Codes as the generator met them, with their noise.
            codes = (self.autoencoder.noisy(self.encode(batch["x"]).float()).float() for batch in batches)
            real = torch.cat([self.whitening(z) for z in codes])
        noise = [torch.randn(len(b["x"]), self.latent_noise_dim, generator=stream).to(device) for b in batches]
        if len(real) < 2:
            return

        def variance(scale: float) -> float:
            made = [self.generator(scale * n, b.get("y")).float() for n, b in zip(noise, batches, strict=True)]
            return float(torch.cat(made).var(0).sum())

        low, high = SPREAD_FROM, SPREAD_TO
        target = float(real.var(0).sum())
        for _ in range(8):
            middle = (low + high) / 2
            low, high = (middle, high) if variance(middle) < target else (low, middle)
        self.spread.fill_((low + high) / 2)

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """The autoencoder's; the adversaries', with penalties or without."""
        latent = self.stage_step % self.config.latent.penalty_every == 0
        match phase:
            case "latent-discriminator":
                return latent
            case "discriminator":
                return latent, self.stage_step % self.config.joint.penalty_every == 0
            case "latent-generator":
                return ()
        return self.autoencoder.steady("autoencode", batch)

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``autoencode``, ``latent-discriminator``, ``latent-generator``, ``discriminator``, ``generator``."""
        y = batch.get("y")
        match phase:
            case "autoencode":
                return self.autoencoder.loss(phase, batch)
            case "latent-discriminator":
                return self._latent_discriminator_loss(batch["z"], y)
            case "latent-generator":
                return self._latent_generator_loss(batch["z"], y)
            case "discriminator":
                return self._discriminator_loss(batch["x"], y) | self._beside(batch, self._latent_discriminator_loss)
            case "generator":
                return self._generator_loss(batch, y)
        raise ConfigError(f"LatentGAN has no phase {phase!r}.")

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)`` from noise ``(B, noise_dim)`` and classes ``(B,)``."""
        return self.draw(self.generate_codes(noise, y), noise[:, self.latent_noise_dim :])

    def generate_codes(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Codes ``(B, D)`` of the same samples."""
        return self.whitening.inverse(self.generator(self.spread * noise[:, : self.latent_noise_dim], y))

    def judge(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Logits ``(B,)`` of data ``(B, *shape)`` and classes, after the joint stage."""
        return self.discriminator(x, y) if self.config.joint.share else super().judge(x, y)

    def _beside(self, batch: Batch, loss: Callable[[Tensor, Tensor | None], dict[str, Term]]) -> dict[str, Term]:
        """The latent terms of the joint stage, named and weighted as such."""
        if "z" not in batch:
            return {}
        weight = self.config.joint.latent_weight
        with torch.autocast(batch["z"].device.type, enabled=False):
            terms = loss(batch["z"], batch.get("y"))
        return {f"latent-{name}": Term(term.value, term.weight * weight) for name, term in terms.items()}

    def _latent_discriminator_loss(self, z: Tensor, y: Tensor | None) -> dict[str, Term]:
        real = self.whitening(self.autoencoder.noisy(z))
        with torch.no_grad():
            fake = self._latent_fake(z, y)
        judge = lambda at: self.latent_discriminator(at, y)  # noqa: E731
        latent = self.config.latent
        return discriminator_terms(
            judge, real, fake, gamma=latent.gamma, every=latent.penalty_every, step=self.stage_step
        )

    def _latent_generator_loss(self, z: Tensor, y: Tensor | None) -> dict[str, Term]:
        return {"adversarial": Term(self._latent_verdict(z, self._latent_fake(z, y), y))}

    def _latent_fake(self, z: Tensor, y: Tensor | None) -> Tensor:
        return self.generator(noise_like(z, self.latent_noise_dim), y)

    def _latent_verdict(self, z: Tensor, fake: Tensor, y: Tensor | None) -> Tensor:
        """The generator's loss for whitened codes ``fake`` beside codes ``z`` of real data."""
        real = self.whitening(self.autoencoder.noisy(z))
        return generator_term(lambda at: self.latent_discriminator(at, y), real, fake.float())

    def _discriminator_loss(self, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        joint = self.config.joint
        with torch.no_grad():
            fake = self.generate(noise_like(x, self.noise_dim), y).float()
        if not joint.gamma or self.stage_step % joint.penalty_every:
            # No gradient at the data is asked for: one pass for both.
            labels = None if y is None else torch.cat([y, y])
            real_logits, fake_logits = self.discriminator(torch.cat([x, fake]), labels).chunk(2)
            return {"adversarial": Term(relativistic_discriminator(real_logits, fake_logits))}
        judge = lambda at: self.judge(at, y)  # noqa: E731
        return discriminator_terms(judge, x, fake, gamma=joint.gamma, every=joint.penalty_every, step=self.stage_step)

    def _generator_loss(self, batch: Batch, y: Tensor | None) -> dict[str, Term]:
        joint, x = self.config.joint, batch["x"]
        w = self._latent_fake(x, y)
        fake = self.decode(self.whitening.inverse(w)).float()
        terms = {"adversarial": Term(generator_term(lambda at: self.judge(at, y), x, fake))}
        if "z" in batch:
            terms["latent-adversarial"] = Term(self._latent_verdict(batch["z"], w, y), joint.latent_weight)
        if joint.anchor:
            # Half a batch is enough to keep the decoder true to its codes.
            half = x[: max(1, len(x) // 2)]
            with torch.no_grad():
                maps = self.autoencoder.encoder.trunk.maps(half)
                z = self.encode(half).float() if "z" not in batch else batch["z"][: len(half)]
            out = self.autoencoder.decoder(self.autoencoder.noisy(z))
            mask = batch["mask"][: len(half)] if "mask" in batch else None
            for name, term in self.autoencoder.reconstruction(out, half, maps, mask).items():
                terms[name] = Term(term.value, term.weight * joint.anchor)
        return terms
