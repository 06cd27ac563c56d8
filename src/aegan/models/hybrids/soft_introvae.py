"""Soft-IntroVAE: a variational autoencoder that is its own discriminator.

Reference: Daniel & Tamar 2021 (arXiv 2012.13253). The encoder raises the evidence bound of data and lowers, softly
(through an exponential), that of generated and of reconstructed data; the decoder raises the bound of what it
generates. No network judges besides the two: the encoder is the discriminator, and learns at its rate. A healthy run
has a larger divergence of generated data than of real ones, and its health says so if it does not. A stage of plain
variational training comes first. Left out is a tiny term of the decoder's loss in the authors' code: ``gamma_r``, 1e-8,
times the error with which it gives back generated and reconstructed data.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_non_negative
from aegan.errors import ConfigError
from aegan.losses import gaussian_kl, gaussian_kl_each
from aegan.models.adversarial import SizedConfig, noise_like
from aegan.models.autoencoders.base import observed
from aegan.models.base import Model
from aegan.nn.backbone import KINDS, decoder_for, encoder_for
from aegan.types import Batch, Health, Spec, Stage, Term

_LOGVAR = (-10.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class SoftIntroVAEConfig(SizedConfig):
    """Settings of Soft-IntroVAE, besides those that every hybrid with networks of its own has; ``gamma`` is not used.

    Attributes:
        beta_rec: Weight of half the squared error, summed over the values of a sample.
        beta_kl: Weight of the divergence from the prior of real data.
        beta_neg: Weight of that of generated data, inside the encoder's exponential.
        variational_share: Part of the budget for the first stage, from 0 to below 1.
    """

    gamma: float = 0.0
    latent_dim: int = 32
    lr: float = 5e-4
    lr_discriminator: float = 5e-4
    beta_rec: float = 1.0
    beta_kl: float = 0.2
    beta_neg: float = 16.0
    variational_share: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        require_non_negative(self, "beta_rec", "beta_kl", "beta_neg")
        if not 0 <= self.variational_share < 1:
            raise ConfigError(f"variational_share: from 0 to below 1 expected, got {self.variational_share}.")
        if not (self.beta_rec or self.beta_kl):
            raise ConfigError("beta_rec and beta_kl: at least one above 0 expected; nothing would be learnt.")
        if self.gamma:
            raise ConfigError(f"gamma={self.gamma}: Soft-IntroVAE has no gradient penalty. Set beta_neg.")


@final
class SoftIntroVAE(Model):
    """Variational encoder and decoder against each other; see the module's text."""

    Config: ClassVar[type] = SoftIntroVAEConfig
    kinds: ClassVar[tuple[str, ...]] = KINDS
    samples_from = "adversarial"

    def __init__(self, spec: Spec, config: SoftIntroVAEConfig) -> None:
        super().__init__(spec, config)
        self.code_dim = self.noise_dim = dim = config.latent_dim
        self.encoder, self.decoder = encoder_for(spec, 2 * dim, **config.size), decoder_for(spec, dim, **config.size)
        # Puts the losses of any size of data on one scale.
        self.scale = 1.0 / math.prod(spec.shape)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """A variational stage, unless its share is 0, and the adversarial one."""
        config, both, share = self.config, ("encoder", "decoder"), self.config.variational_share
        adversarial = config.stage(
            ("encoder-discriminator", ("encoder",)), ("decoder", ("decoder",)), ema=both, share=1.0 - share
        )
        if not share:
            return (adversarial,)
        return (config.stage(("autoencode", both), ema=both, name="autoencoder", share=share), adversarial)

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """Always the same."""
        return ()

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``autoencode``, ``encoder-discriminator`` and ``decoder``."""
        x, mask = batch["x"], batch.get("mask")
        match phase:
            case "autoencode":
                return self._bound(x, mask)[0]
            case "encoder-discriminator":
                return self._encoder_loss(x, mask)
        return self._decoder_loss(x, mask)

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)`` decoded from the prior; the classes are not used."""
        return self.decoder(noise)

    def encode(self, x: Tensor) -> Tensor:
        """Means of the codes ``(B, D)``."""
        return self._posterior(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """Data ``(B, *shape)``."""
        return self.decoder(z)

    @torch.no_grad()
    def health(self, x: Tensor) -> Health:
        """Divergences from the prior of real and generated data, in nats a sample."""
        x = x[:256]
        fake = self.decoder(noise_like(x, self.noise_dim)).float()
        real_kl, fake_kl = (float(gaussian_kl(*self._posterior(part))) for part in (x, fake))
        findings: tuple[str, ...] = ()
        if fake_kl < real_kl:
            findings = (
                f"The encoder does not tell generated data from real ones: their divergences from the prior are "
                f"{fake_kl:.3g} and {real_kl:.3g} nats, where the first should be larger. Raise `beta_neg`.",
            )
        return Health(figures={"kl": real_kl, "kl_fake": fake_kl}, findings=findings)

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = self.encoder(x).float().chunk(2, 1)
        return mu, logvar.clamp(*_LOGVAR)

    def _bound(self, x: Tensor, mask: Tensor | None) -> tuple[dict[str, Term], Tensor, Tensor]:
        """Terms of the evidence bound of ``x``, the code drawn and the reconstruction."""
        mu, logvar = self._posterior(x)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        x_hat = observed(self.decoder(z).float(), x, mask)
        terms = {
            "reconstruction": Term(_error(x_hat, x).mean(), self.scale * self.config.beta_rec),
            "kl": Term(gaussian_kl(mu, logvar), self.scale * self.config.beta_kl),
        }
        return terms, z, x_hat

    def _encoder_loss(self, x: Tensor, mask: Tensor | None) -> dict[str, Term]:
        config = self.config
        terms, z, x_hat = self._bound(x, mask)
        with torch.no_grad():
            made = {"reconstructed": x_hat.detach(), "sampled": self.decoder(torch.randn_like(z)).float()}
        for name, fake in made.items():
            mu, logvar = self._posterior(fake)
            again = self.decoder(mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)).float()
            energy = config.beta_rec * _error(again, fake) + config.beta_neg * gaussian_kl_each(mu, logvar)
            terms[name] = Term(torch.exp(-2.0 * self.scale * energy).mean(), 0.25)
        return terms

    def _decoder_loss(self, x: Tensor, mask: Tensor | None) -> dict[str, Term]:
        config = self.config
        with torch.no_grad():
            mu, logvar = self._posterior(x)
            z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        x_hat, fake = observed(self.decoder(z).float(), x, mask), self.decoder(torch.randn_like(z)).float()
        weight = 0.5 * self.scale * config.beta_kl
        return {
            "reconstruction": Term(_error(x_hat, x).mean(), self.scale * config.beta_rec),
            "kl-reconstructed": Term(gaussian_kl(*self._posterior(x_hat)), weight),
            "kl-sampled": Term(gaussian_kl(*self._posterior(fake)), weight),
        }


def _error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Half the squared error of each sample, summed over its values."""
    return 0.5 * (x_hat.float() - x).square().flatten(1).sum(1)
