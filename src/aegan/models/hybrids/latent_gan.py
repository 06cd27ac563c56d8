"""Latent GAN, sharpened: an autoencoder, a GAN on its whitened codes, then both against the data.

Reference: Achlioptas et al. 2018, "Learning representations and generative models for 3D point clouds"
(arXiv 1707.02392) for the GAN on an autoencoder's codes; relativistic pairing loss with R1 and R2 after Huang
et al. 2024 (arXiv 2501.05441). The last stage trains generator and decoder as one network against a
discriminator on images that starts from the encoder's weights, while a reconstruction anchor keeps the decoder
true to the codes of real images: a squared-error decoder's blur is the ceiling of the first two stages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.losses import relativistic_discriminator, relativistic_generator, zero_centred_gradient
from aegan.models.autoencoders.core import AutoencoderConfig, ConvAutoencoder
from aegan.models.base import Model
from aegan.nn.conv import ConvDiscriminator
from aegan.nn.mlp import LatentDiscriminator, LatentGenerator, Whitening
from aegan.types import Batch, Optimizer, Phase, Samples, Spec, Stage, Term


@dataclass(frozen=True, kw_only=True)
class LatentStageConfig:
    """The GAN on codes.

    Attributes:
        share: Part of the budget.
        hidden: Width of generator and discriminator.
        depth: Residual layers of each.
        gamma: Weight of R1 and R2.
        lr: Peak learning rate of both.
        batch_size: Codes a step.
    """

    share: float = 0.1
    hidden: int = 256
    depth: int = 3
    gamma: float = 1.0
    lr: float = 2e-3
    batch_size: int = 256


@dataclass(frozen=True, kw_only=True)
class JointStageConfig:
    """The data-space discriminator against generator and decoder.

    Attributes:
        share: Part of the budget; 0 leaves the stage out.
        width: Channels of the discriminator's finest map; the autoencoder's width lets it start from the encoder.
        gamma: Weight of R1 and R2.
        penalty_every: The penalties are taken on every such step, with this many times the weight.
        lr_generator: Peak learning rate of generator and decoder.
        lr_discriminator: Peak learning rate of the discriminator.
        anchor: Weight of the reconstruction anchor on codes of real images.
        reconstructed: Part of the discriminator's fakes that are reconstructions of real images, at most 0.5; the
            generator's loss has them too. They hold the decoder to the whole variety of the data.
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
    reconstructed: float = 0.0
    batch_size: int = 64
    ema_samples: float = 10_000.0


@dataclass(frozen=True, kw_only=True)
class LatentGANConfig:
    """Settings of the latent GAN; each stage has its own.

    Attributes:
        autoencoder: Networks and loss of the autoencoder.
        autoencoder_share: Part of the budget for the autoencoder.
        autoencoder_lr: Peak learning rate of the autoencoder.
        autoencoder_batch_size: Images a step of the autoencoder.
        noise_dim: Length of the generator's noise.
        latent: The GAN on codes.
        joint: The data-space stage.
    """

    autoencoder: AutoencoderConfig = AutoencoderConfig()
    autoencoder_share: float = 0.3
    autoencoder_lr: float = 2e-3
    autoencoder_batch_size: int = 128
    noise_dim: int = 64
    latent: LatentStageConfig = LatentStageConfig()
    joint: JointStageConfig = JointStageConfig()

    def __post_init__(self) -> None:
        if self.autoencoder_share <= 0 or self.latent.share <= 0 or self.joint.share < 0:
            raise ConfigError(
                "Shares of the budget: autoencoder_share and latent.share above 0 and joint.share of at least 0 "
                f"expected, got {self.autoencoder_share}, {self.latent.share} and {self.joint.share}."
            )
        if not 0 <= self.joint.reconstructed <= 0.5:
            raise ConfigError(f"joint.reconstructed: from 0 to 0.5 expected, got {self.joint.reconstructed}.")
        if self.joint.penalty_every < 1:
            raise ConfigError(f"joint.penalty_every: at least 1 expected, got {self.joint.penalty_every}.")


def _adam(lr: float) -> Optimizer:
    return Optimizer(lr=lr, betas=(0.0, 0.99))


@final
class LatentGAN(Model):
    """Autoencoder, latent GAN and joint stage; see the module's text."""

    Config: ClassVar[type] = LatentGANConfig
    kinds: ClassVar[tuple[str, ...]] = ("image",)
    samples_from = "latent"

    def __init__(self, spec: Spec, config: LatentGANConfig) -> None:
        super().__init__(spec, config)
        self.noise_dim, self.code_dim = config.noise_dim, config.autoencoder.latent_dim
        classes, latent, joint = spec.num_classes, config.latent, config.joint
        self.autoencoder = ConvAutoencoder(spec, config.autoencoder)
        self.whitening = Whitening(self.code_dim)
        self.generator = LatentGenerator(
            self.noise_dim, self.code_dim, classes, hidden=latent.hidden, depth=latent.depth
        )
        self.latent_discriminator = LatentDiscriminator(
            self.code_dim, classes, hidden=latent.hidden, depth=latent.depth
        )
        self.discriminator = ConvDiscriminator(spec.shape, classes, width=joint.width, blocks=config.autoencoder.blocks)

    @property
    def decoder(self) -> torch.nn.Module:
        """The autoencoder's decoder, which the joint stage trains without its encoder."""
        return self.autoencoder.decoder

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Autoencoder, latent GAN and, unless its share is 0, the joint stage."""
        config, latent, joint = self.config, self.config.latent, self.config.joint
        autoencode = Phase(name="autoencode", networks=("autoencoder",), optimizer=Optimizer(lr=config.autoencoder_lr))
        stages = [
            Stage(
                name="autoencoder",
                share=config.autoencoder_share,
                phases=(autoencode,),
                batch_size=config.autoencoder_batch_size,
                ema=("autoencoder",),
            ),
            Stage(
                name="latent",
                share=latent.share,
                phases=(
                    Phase(
                        name="latent-discriminator",
                        networks=("latent_discriminator",),
                        optimizer=_adam(latent.lr),
                    ),
                    Phase(name="latent-generator", networks=("generator",), optimizer=_adam(latent.lr)),
                ),
                batch_size=latent.batch_size,
                ema=("generator",),
                ema_samples=50_000.0,
                # Small matrices gain nothing from bf16, and whitened codes deserve the digits.
                autocast=False,
            ),
        ]
        if joint.share > 0:
            discriminate = Phase(
                name="discriminator",
                networks=("discriminator",),
                optimizer=_adam(joint.lr_discriminator),
            )
            generate = Phase(
                name="generator",
                networks=("generator", "decoder"),
                optimizer=_adam(joint.lr_generator),
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
        if stage == "latent":
            z = encode(data)
            self.whitening.fit(z)
            fields: dict[str, Tensor] = {"z": z}
            if self.spec.num_classes and isinstance(data, TensorData) and data.labels is not None:
                fields["y"] = data.labels
            return TensorData(**fields)
        if stage == "joint" and self.config.joint.width == self.config.autoencoder.width:
            # The encoder's trunk is frozen from here on, so a resumed run must not copy it again.
            if self.stage_step == 0:
                self.discriminator.trunk.load_state_dict(self.autoencoder.encoder.trunk.state_dict())
        return data

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``autoencode``, ``latent-discriminator``, ``latent-generator``, ``discriminator``, ``generator``."""
        y = batch.get("y")
        match phase:
            case "autoencode":
                return self.autoencoder.loss(batch["x"], y)
            case "latent-discriminator":
                return self._latent_discriminator_loss(batch["z"], y)
            case "latent-generator":
                return self._latent_generator_loss(batch["z"], y)
            case "discriminator":
                return self._discriminator_loss(batch["x"], y)
            case "generator":
                return self._generator_loss(batch["x"], y)
        raise ConfigError(f"LatentGAN has no phase {phase!r}.")

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Images ``(B, C, H, W)`` from noise ``(B, noise_dim)`` and classes ``(B,)``."""
        return self.decode(self.whitening.inverse(self.generator(noise, y)))

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)``."""
        return self.autoencoder.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Images ``(B, C, H, W)``."""
        return self.autoencoder.decoder(z)

    def _noise(self, like: Tensor) -> Tensor:
        return torch.randn(len(like), self.noise_dim, device=like.device)

    def _latent_discriminator_loss(self, z: Tensor, y: Tensor | None) -> dict[str, Term]:
        real = self.whitening(self.autoencoder.noisy(z)).requires_grad_(True)
        fake = self.generator(self._noise(z), y).detach().requires_grad_(True)
        real_logits, fake_logits = self.latent_discriminator(real, y), self.latent_discriminator(fake, y)
        gamma = self.config.latent.gamma
        return {
            "adversarial": Term(relativistic_discriminator(real_logits, fake_logits)),
            "r1": Term(zero_centred_gradient(real_logits, real), gamma),
            "r2": Term(zero_centred_gradient(fake_logits, fake), gamma),
        }

    def _latent_generator_loss(self, z: Tensor, y: Tensor | None) -> dict[str, Term]:
        real = self.whitening(self.autoencoder.noisy(z))
        fake = self.generator(self._noise(z), y)
        with torch.no_grad():
            real_logits = self.latent_discriminator(real, y)
        return {"adversarial": Term(relativistic_generator(real_logits, self.latent_discriminator(fake, y)))}

    def _discriminator_loss(self, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        joint = self.config.joint
        with torch.no_grad():
            fake = self._fakes(x, y)
        if self.stage_step % joint.penalty_every:
            labels = None if y is None else torch.cat([y, y])
            real_logits, fake_logits = self.discriminator(torch.cat([x, fake]), labels).chunk(2)
            return {"adversarial": Term(relativistic_discriminator(real_logits, fake_logits))}
        x, fake = x.requires_grad_(True), fake.requires_grad_(True)
        real_logits, fake_logits = self.discriminator(x, y), self.discriminator(fake, y)
        # Taken on every n-th step only, and n times as strong there (lazy regularisation, arXiv 1912.04958).
        gamma = joint.gamma * joint.penalty_every
        return {
            "adversarial": Term(relativistic_discriminator(real_logits, fake_logits)),
            "r1": Term(zero_centred_gradient(real_logits, x), gamma),
            "r2": Term(zero_centred_gradient(fake_logits, fake), gamma),
        }

    def _fakes(self, x: Tensor, y: Tensor | None) -> Tensor:
        """What the discriminator is to tell from ``x``: reconstructions of its first part, samples for the rest."""
        count = round(len(x) * self.config.joint.reconstructed)
        z = self.whitening.inverse(self.generator(self._noise(x), y))
        if count:
            own = self.autoencoder.noisy(self.encode(x[:count]).float())
            z = torch.cat([own, z[count:].float()])
        return self.decode(z).float()

    def _generator_loss(self, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        joint = self.config.joint
        fake = self.generate(self._noise(x), y).float()
        with torch.no_grad():
            real_logits = self.discriminator(x, y)
        terms, extra = {}, 0
        if joint.anchor:
            # Half a batch is enough to keep the decoder true to its codes.
            half = x[: max(1, len(x) // 2)]
            with torch.no_grad():
                features = self.autoencoder.encoder.trunk.maps(half)
                z = self.autoencoder.encoder.from_maps(features).float()
            x_hat = self.autoencoder.decoder(self.autoencoder.noisy(z)).float()
            for name, term in self.autoencoder.reconstruction(x_hat, half, features).items():
                terms[name] = Term(term.value, term.weight * joint.anchor)
            extra = min(len(half), round(len(x) * joint.reconstructed))
            fake = torch.cat([fake, x_hat[:extra]])
        y = None if y is None else torch.cat([y, y[:extra]])
        real_logits = torch.cat([real_logits, real_logits[:extra]])
        return {"adversarial": Term(relativistic_generator(real_logits, self.discriminator(fake, y))), **terms}
