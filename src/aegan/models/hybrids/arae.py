"""Adversarially regularised autoencoder of text: a Wasserstein GAN on the codes that an autoencoder is learning.

Reference: Zhao et al. 2018, "Adversarially regularized autoencoders" (arXiv 1706.04223). Codes lie on the unit sphere
and carry noise that fades; the critic tells them from the generator's, the encoder is also trained to be mistaken for
the generator. In every step: the autoencoder, the critic five times, the generator.

What differs: Adam throughout; the encoder's adversarial gradient comes in the autoencoder's own step, a tenth as
strong; the generator's codes are put on the sphere too (in the original they are not, though real ones lie there), and
it has no BatchNorm, which does not go with a gradient penalty.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from aegan.config import require_at_least_one, require_choice, require_non_negative
from aegan.errors import ConfigError
from aegan.losses import ADVERSARIAL
from aegan.losses.penalties import between, unit_gradient
from aegan.models.base import Model
from aegan.nn.decoding import GREEDY, Decoding, write
from aegan.nn.mlp import LatentDiscriminator, LatentGenerator
from aegan.nn.tokens import NETWORKS, TokenDecoder, TokenEncoder, in_use, trimmed
from aegan.types import Batch, Optimizer, Phase, Spec, Stage, Term

NOISE_STEPS = 100
"""Steps after which the codes' noise fades by ``noise_decay``."""


@dataclass(frozen=True, kw_only=True)
class ARAEConfig:
    """Settings of the adversarially regularised autoencoder.

    Attributes:
        encoder: ``recurrent`` or ``transformer``.
        decoder: ``recurrent`` or ``transformer``.
        latent_dim: Length of a code.
        width: An eighth of the hidden units of encoder and decoder.
        blocks: Their layers.
        embedding: Length of a token's vector.
        dropout: Share of the decoder's vectors left out in a training step.
        code_noise: Deviation of the noise on codes at first.
        noise_decay: What it is multiplied with every hundred steps.
        noise_dim: Length of the generator's noise.
        hidden: Width of generator and critic.
        depth: Residual layers of each.
        critic_steps: Steps of the critic in each step.
        penalty: Weight of the gradient penalty.
        encoder_weight: Weight of the encoder's adversarial term.
        batch_size: Texts a step.
        lr: Peak learning rate of the autoencoder.
        lr_adversarial: Peak learning rate of generator and critic.
    """

    encoder: str = "recurrent"
    decoder: str = "recurrent"
    latent_dim: int = 128
    width: int = 32
    blocks: int = 1
    embedding: int = 128
    dropout: float = 0.3
    code_noise: float = 0.05
    noise_decay: float = 0.9995
    noise_dim: int = 100
    hidden: int = 300
    depth: int = 1
    critic_steps: int = 5
    penalty: float = 1.0
    encoder_weight: float = 0.1
    batch_size: int = 64
    lr: float = 1e-3
    lr_adversarial: float = 1e-4

    def __post_init__(self) -> None:
        require_choice(self, "encoder", NETWORKS)
        require_choice(self, "decoder", NETWORKS)
        require_at_least_one(self, "latent_dim", "width", "blocks", "embedding", "noise_dim", "hidden", "depth")
        require_at_least_one(self, "critic_steps", "batch_size")
        require_non_negative(self, "code_noise", "penalty", "encoder_weight")
        for name, top in (("dropout", 0.9), ("noise_decay", 1.0)):
            if not 0 <= getattr(self, name) <= top:
                raise ConfigError(f"{name}: a number from 0 to {top} expected, got {getattr(self, name)}.")
        for name in ("lr", "lr_adversarial"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name}: a number above 0 expected, got {getattr(self, name)}.")


@final
class ARAE(Model):
    """Autoencoder of text, critic and generator of its codes; see the module's text."""

    Config: ClassVar[type] = ARAEConfig
    kinds: ClassVar[tuple[str, ...]] = ("text",)
    block: ClassVar[int] = 256
    config: ARAEConfig
    samples_from = "adversarial"

    def __init__(self, spec: Spec, config: ARAEConfig) -> None:
        super().__init__(spec, config)
        self.code_dim, self.draw_dim = config.latent_dim, spec.shape[0]
        self.noise_dim = config.noise_dim + self.draw_dim
        self.conditional = spec.num_classes > 0
        size = {"embedding": config.embedding, "hidden": 8 * config.width, "layers": config.blocks}
        self.encoder = TokenEncoder(spec.vocabulary, spec.shape[0], self.code_dim, network=config.encoder, **size)
        self.decoder = TokenDecoder(
            spec.vocabulary, spec.shape[0], self.code_dim, network=config.decoder, dropped=config.dropout, **size
        )
        hidden, depth = config.hidden, config.depth
        self.generator = LatentGenerator(config.noise_dim, self.code_dim, spec.num_classes, hidden=hidden, depth=depth)
        self.critic = LatentDiscriminator(self.code_dim, spec.num_classes, hidden=hidden, depth=depth)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One stage; the critic has a phase for each of its steps."""
        config = self.config
        adversarial = Optimizer(lr=config.lr_adversarial, betas=(0.5, 0.9))
        critics = tuple(
            Phase(name=f"critic-{i + 1}", networks=("critic",), optimizer=adversarial)
            for i in range(config.critic_steps)
        )
        phases = (
            Phase(name="autoencode", networks=("encoder", "decoder"), optimizer=Optimizer(lr=config.lr)),
            *critics,
            Phase(name="generator", networks=("generator",), optimizer=adversarial),
        )
        nets = ("encoder", "decoder", "generator")
        return (Stage(name="adversarial", share=1.0, phases=phases, batch_size=config.batch_size, ema=nets),)

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """The generator's alone: texts are cut to the longest of their batch."""
        return () if phase == "generator" else None

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``autoencode``, the critic's phases and ``generator``."""
        config, y, wasserstein = self.config, batch.get("y"), ADVERSARIAL["wasserstein"]
        if phase == "autoencode":
            x = trimmed(batch["x"])
            used = in_use(x)
            z = self.encode(x)
            noise = config.code_noise * config.noise_decay ** (self.stage_step // NOISE_STEPS)
            logits = self.decoder.logits(self.decoder(z + noise * torch.randn_like(z), x)[used])
            nll = cross_entropy(logits, x[used], reduction="sum") / len(x)
            terms = {"reconstruction": Term(nll, 1.0 / self.spec.shape[0])}
            if config.encoder_weight:
                # Real codes are to look made: the critic, which gives them the higher values, is worked against.
                terms["adversarial"] = Term(self.critic(z, y).mean(), config.encoder_weight)
            return terms
        z = batch["x"]
        if phase == "generator":
            made = self.codes(torch.randn(len(z), config.noise_dim, device=z.device), y)
            verdict = self.critic(made, y)
            return {"adversarial": Term(wasserstein.generator(verdict, verdict))}
        with torch.no_grad():
            real = self.encode(z)
            made = self.codes(torch.randn(len(z), config.noise_dim, device=z.device), y)
        points = between(real, made)
        return {
            "adversarial": Term(wasserstein.discriminator(self.critic(real, y), self.critic(made, y))),
            "gradient-penalty": Term(unit_gradient(self.critic(points, y), points), config.penalty),
        }

    def codes(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """The generator's codes ``(B, D)``, on the unit sphere, from noise ``(B, noise)``."""
        return normalize(self.generator(noise, y).float(), dim=1)

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)`` of texts ``(B, T)``, on the unit sphere."""
        return normalize(self.encoder(x).float(), dim=1)

    def decode(self, z: Tensor, decoding: Decoding = GREEDY) -> Tensor:
        """Texts ``(B, T)`` of codes ``(B, D)``; the likeliest token at each step unless ``decoding`` says otherwise."""
        return write(self.decoder, z, None, decoding)

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Texts ``(B, T)`` drawn from the generator's codes, from noise ``(B, noise_dim)`` and classes ``(B,)``."""
        latent, draws = noise.split([self.config.noise_dim, self.draw_dim], 1)
        return write(self.decoder, self.codes(latent, y), torch.special.ndtr(draws), self.decoder.decoding)
