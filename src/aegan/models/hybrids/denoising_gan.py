"""Few-step denoising GAN: noise becomes data in a few large steps, each of them a conditional GAN.

References: Xiao et al. 2022, "Tackling the generative learning trilemma with denoising diffusion GANs"
(arXiv 2112.07804); on the codes of an autoencoder, Trinh & Hamagami 2024 (arXiv 2406.11713). Data x₀ are noised to
x₁ … x_T by T steps of a variance-preserving diffusion. The generator G(x_t, z, t) guesses x₀; a draw of the Gaussian
posterior q(x_{t-1} | x_t, x₀) is what the discriminator compares with a true x_{t-1}, given x_t. A step has only to
continue what is there, so that modes are kept which a generator of one step drops. Loss and penalties are R3GAN's
(arXiv 2501.05441); real and fake of a pair have the same x_t. A spread of the noise scales the draws of all steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from aegan.config import require_at_least_one, require_choice
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.models.adversarial import AdversarialConfig, discriminator_terms, generator_term
from aegan.models.autoencoders.family import AnyAutoencoder, PlainConfig, autoencoder_of
from aegan.models.base import Model
from aegan.models.hybrids.base import autoencoder_stage
from aegan.nn.backbone import CODED_KINDS, denoiser_for, discriminator_for
from aegan.nn.init import activation, class_embedding, linear
from aegan.nn.mlp import Whitening
from aegan.streams import borrowed
from aegan.types import Batch, Health, Samples, Spec, Stage, Term

BETA_MIN, BETA_MAX = 0.1, 20.0
"""Of the continuous diffusion whose T-th parts the steps are (Song et al. 2021, arXiv 2011.13456)."""


@dataclass(frozen=True, kw_only=True)
class DenoisingGANConfig(AdversarialConfig):
    """Settings of the denoising GAN, besides how its adversarial stage is trained.

    Attributes:
        width: Channels of the finest feature map, or an eighth of the hidden units, of generator and discriminator.
        blocks: Residual blocks at each resolution.
        space: ``latent``: on the whitened codes of an autoencoder that is trained first; ``data``: without one.
        steps: Denoising steps T.
        noise_dim: Length of the noise z of a step.
        autoencoder: For ``latent``: any of the family, by ``autoencoder.model``; its sizes are its own.
        autoencoder_share: For ``latent``: part of the budget for it, between 0 and 1.
    """

    gamma: float = 0.3
    width: int = 32
    blocks: int = 1
    space: str = "latent"
    steps: int = 4
    noise_dim: int = 32
    autoencoder: AnyAutoencoder = PlainConfig()
    autoencoder_share: float = 0.6

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice(self, "space", ("latent", "data"))
        require_at_least_one(self, "steps", "noise_dim", "width", "blocks")
        if not 0 < self.autoencoder_share < 1:
            raise ConfigError(f"autoencoder_share: between 0 and 1 expected, got {self.autoencoder_share}.")


@final
class DenoisingGAN(Model):
    """Diffusion of few steps, its generator and discriminator; see the module's text."""

    Config: ClassVar[type] = DenoisingGANConfig
    kinds: ClassVar[tuple[str, ...]] = (*CODED_KINDS, "text")
    samples_from = "adversarial"

    def __init__(self, spec: Spec, config: DenoisingGANConfig) -> None:
        super().__init__(spec, config)
        self.latent = config.space == "latent"
        if spec.discrete and not self.latent:
            raise ConfigError(
                f"space=data: no gradient passes through discrete values ({spec.likelihood}). Set space=latent."
            )
        space = spec
        if self.latent:
            self.autoencoder = autoencoder_of(spec, config.autoencoder)
            self.code_dim, self.draw_dim = self.autoencoder.code_dim, self.autoencoder.draw_dim
            self.whitening = Whitening(self.code_dim)
            space = Spec(kind="vector", shape=(self.code_dim,), classes=spec.classes)
        self.conditional = spec.num_classes > 0
        self.shape, self.values = space.shape, math.prod(space.shape)
        # All draws of a sample in one row: x_T, then z of every step, and the posterior's noise of all but the last;
        # and what picks discrete values.
        self.noise_dim = config.steps * (config.noise_dim + self.values) + self.draw_dim
        self.generator = _Steps(space, config)
        pairs = replace(
            space,
            shape=(2 * space.shape[0], *space.shape[1:]),
            classes=tuple(str(i) for i in range(config.steps * max(1, spec.num_classes))),
        )
        self.discriminator = discriminator_for(pairs, width=config.width, blocks=config.blocks)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """In latent space the autoencoder first; then discriminator and generator."""
        config = self.config
        share = 1.0 - config.autoencoder_share if self.latent else 1.0
        adversarial = config.stage(
            ("discriminator", ("discriminator",)), ("generator", ("generator",)), ema=("generator",), share=share
        )
        if not self.latent:
            return (adversarial,)
        first = autoencoder_stage(config.autoencoder, config.autoencoder_share)
        # Small matrices gain nothing from bf16, and whitened codes deserve the digits.
        return first, replace(adversarial, autocast=False)

    def prepare(self, stage: str, data: Samples, encode: Callable[[Samples], Tensor]) -> Samples:
        """In latent space: codes of the whole data set, once."""
        if not self.latent:
            return data
        if stage == "autoencoder":
            return self.autoencoder.prepare(stage, data, encode)
        z = encode(data)
        with borrowed():
            torch.manual_seed(0)
            # Of codes as the stage will see them: an idle dimension of a variational code is all noise.
            self.whitening.fit(self.autoencoder.noisy(z.to(self.whitening.mean.device)).float())
        fields = {"x": z}
        if self.conditional and isinstance(data, TensorData) and data.labels is not None:
            fields["y"] = data.labels
        return TensorData(**fields)

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """The autoencoder's; the others are always the same."""
        return self.autoencoder.steady(phase, batch) if phase == "autoencode" else ()

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``autoencode``, ``discriminator`` and ``generator``."""
        if phase == "autoencode":
            return self.autoencoder.loss(phase, batch)
        config, x, y = self.config, batch["x"], batch.get("y")
        if self.latent:
            x = self.whitening(self.autoencoder.noisy(x).float())
        steps = self.generator
        t = torch.randint(1, config.steps + 1, (len(x),), device=x.device)
        before, after = steps.diffuse(x, t)
        z = torch.randn(len(x), config.noise_dim, device=x.device)
        verdict = lambda at: self.discriminator(torch.cat([at, after], 1), self._label(t, y))  # noqa: E731
        if phase == "discriminator":
            with torch.no_grad():
                fake = steps.posterior(steps(after, z, t, y).float(), after, t, torch.randn_like(x))
            return discriminator_terms(verdict, before, fake, gamma=config.gamma)
        fake = steps.posterior(steps(after, z, t, y).float(), after, t, torch.randn_like(x))
        return {"adversarial": Term(generator_term(verdict, before, fake))}

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)`` from the draws of all steps ``(B, noise_dim)`` and classes ``(B,)``."""
        config, shape = self.config, (-1, *self.shape)
        noise, draws = noise.split([self.noise_dim - self.draw_dim, self.draw_dim], 1)
        x, rest = noise[:, : self.values].view(shape), noise[:, self.values :]
        for step in range(config.steps, 0, -1):
            t = torch.full((len(noise),), step, device=noise.device)
            z, rest = rest[:, : config.noise_dim], rest[:, config.noise_dim :]
            x0 = self.generator(x, z, t, y).float()
            if step == 1:
                break
            x = self.generator.posterior(x0, x, t, rest[:, : self.values].view(shape))
            rest = rest[:, self.values :]
        return self.autoencoder.draw(self.whitening.inverse(x0), draws) if self.latent else x0

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)`` of the autoencoder, in latent space."""
        return self.autoencoder.encode(x) if self.latent else super().encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """Data ``(B, *shape)``, in latent space."""
        return self.autoencoder.decode(z) if self.latent else super().decode(z)

    def health(self, x: Tensor) -> Health:
        """The autoencoder's, in latent space."""
        return self.autoencoder.health(x) if self.latent else super().health(x)

    def _label(self, t: Tensor, y: Tensor | None) -> Tensor:
        """The step, and with classes step and class, as one index."""
        return t - 1 if y is None else (t - 1) * self.spec.num_classes + y


class _Steps(nn.Module):
    """The diffusion's constants and the network that undoes a step."""

    kept: Tensor
    beta: Tensor

    def __init__(self, space: Spec, config: DenoisingGANConfig) -> None:
        super().__init__()
        hidden = 8 * config.width
        time = torch.arange(config.steps + 1) / config.steps
        kept = torch.exp(-0.5 * time.square() * (BETA_MAX - BETA_MIN) - time * BETA_MIN)
        # kept[t] is the part of the variance that is still signal after t steps; beta[t] the noise that step t adds.
        self.register_buffer("kept", kept)
        self.register_buffer("beta", 1.0 - kept / torch.cat([kept[:1], kept[:-1]]))
        self.noise = linear(config.noise_dim, hidden)
        self.time = class_embedding(config.steps, hidden)
        self.embedding = class_embedding(space.num_classes, hidden) if space.num_classes else None
        self.network = denoiser_for(space, hidden, width=config.width, blocks=config.blocks)

    def forward(self, x: Tensor, z: Tensor, t: Tensor, y: Tensor | None) -> Tensor:
        """The guess of x₀ from ``x`` after ``t`` steps, counted from 1."""
        # Rows of the embeddings have unit length; the factor gives them the noise's scale.
        context = self.noise(z) + self.time(t - 1) * self.time.embedding_dim**0.5
        if self.embedding is not None and y is not None:
            context = context + self.embedding(y) * self.time.embedding_dim**0.5
        return self.network(x, activation(context))

    def diffuse(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Data noised by t - 1 steps, and by one more."""
        kept, beta = _like(self.kept[t - 1], x), _like(self.beta[t], x)
        before = kept.sqrt() * x + (1.0 - kept).sqrt() * torch.randn_like(x)
        return before, (1.0 - beta).sqrt() * before + beta.sqrt() * torch.randn_like(x)

    def posterior(self, x0: Tensor, after: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """A draw of q(x_{t-1} | x_t, x₀)."""
        kept, kept_before, beta = (_like(v, x0) for v in (self.kept[t], self.kept[t - 1], self.beta[t]))
        mean = (kept_before.sqrt() * beta * x0 + (1.0 - beta).sqrt() * (1.0 - kept_before) * after) / (1.0 - kept)
        variance = beta * (1.0 - kept_before) / (1.0 - kept)
        return mean + variance.sqrt() * noise


def _like(values: Tensor, x: Tensor) -> Tensor:
    """One value a sample, to be multiplied with ``x``."""
    return values.view(-1, *[1] * (x.ndim - 1))
