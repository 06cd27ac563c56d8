"""VAE-GAN: a variational autoencoder whose reconstruction error is measured in a discriminator's features.

Reference: Larsen et al. 2016 (arXiv 1512.09300). The encoder gets the prior's divergence and the feature error; the
decoder the feature error and the adversarial term; the discriminator tells real data from reconstructions *and* from
samples of the prior. The generator's loss is the non-saturating one (a saturating one vanishes just where it is
needed), and the discriminator has zero-centred penalties, without which it soon wins. The discriminator's trunk has
residual blocks of no normalisation; each map's error counts after scaling to unit mean square. The paper measures no
error between values; here the squared one, of weight 1 by default, steadies the first steps (``pixel_weight=0``: none).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_non_negative
from aegan.losses import ADVERSARIAL, feature_error, gaussian_kl, squared_error
from aegan.models.adversarial import SizedConfig, discriminator_terms
from aegan.models.autoencoders.base import observed
from aegan.models.base import Model
from aegan.nn.backbone import KINDS, decoder_for, discriminator_for, encoder_for
from aegan.types import Batch, Spec, Stage, Term

MAX_LOGVAR = 10.0
"""Bound on the logarithm of a posterior's variance either way: beyond it, its exponential is of no use."""


@dataclass(frozen=True, kw_only=True)
class VAEGANConfig(SizedConfig):
    """Settings of the VAE-GAN, besides those that every hybrid with networks of its own has.

    Attributes:
        beta: Weight of the divergence from the prior, in nats a sample, beside the feature error.
        feature_weight: Weight of the reconstruction error in the discriminator's features, for encoder and decoder.
        pixel_weight: Weight of the squared error of the values themselves; it steadies the first steps.
        adversarial_weight: Weight of the decoder's adversarial term.
    """

    beta: float = 1e-3
    feature_weight: float = 1.0
    pixel_weight: float = 1.0
    adversarial_weight: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_non_negative(self, "beta", "feature_weight", "pixel_weight", "adversarial_weight")


@final
class VAEGAN(Model):
    """Variational encoder, decoder and discriminator in data space; see the module's text."""

    Config: ClassVar[type] = VAEGANConfig
    kinds: ClassVar[tuple[str, ...]] = KINDS
    samples_from = "adversarial"

    def __init__(self, spec: Spec, config: VAEGANConfig) -> None:
        super().__init__(spec, config)
        self.code_dim = self.noise_dim = config.latent_dim
        self.encoder = encoder_for(spec, 2 * config.latent_dim, **config.size)
        self.decoder = decoder_for(spec, config.latent_dim, **config.size)
        self.discriminator = discriminator_for(spec.unlabelled, **config.size)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One stage: the discriminator's phase, then encoder's and decoder's together."""
        both = ("encoder", "decoder")
        return (self.config.stage(("discriminator", ("discriminator",)), ("autoencode", both), ema=both),)

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """Always the same."""
        return ()

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``discriminator`` and ``autoencode``."""
        if phase == "discriminator":
            return self._discriminator_loss(batch["x"])
        return self._autoencoder_loss(batch["x"], batch.get("mask"))

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)`` decoded from the prior; the classes are not used."""
        return self.decode(noise)

    def encode(self, x: Tensor) -> Tensor:
        """Means of the codes ``(B, D)``."""
        return self._posterior(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """Data ``(B, *shape)``."""
        return self.decoder(z)

    def judge(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Logits ``(B,)`` of data ``(B, *shape)``."""
        return self.discriminator(x, None)

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = self.encoder(x).float().chunk(2, 1)
        return mu, logvar.clamp(-MAX_LOGVAR, MAX_LOGVAR)

    def _discriminator_loss(self, x: Tensor) -> dict[str, Term]:
        with torch.no_grad():
            mu, logvar = self._posterior(x)
            z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
            # Half of the fakes are reconstructions, half samples: as many fakes as real ones.
            half = len(x) // 2
            fake = self.decode(torch.cat([z[:half], torch.randn_like(z[half:])])).float()
        judge = lambda at: self.judge(at, None)  # noqa: E731
        return discriminator_terms(judge, x, fake, loss="non-saturating", gamma=self.config.gamma)

    def _autoencoder_loss(self, x: Tensor, mask: Tensor | None) -> dict[str, Term]:
        config = self.config
        mu, logvar = self._posterior(x)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        x_hat = observed(self.decode(z).float(), x, mask)
        with torch.no_grad():
            maps = self.discriminator.trunk.maps(x)  # type: ignore[operator]
        made = self.discriminator.trunk.maps(x_hat)  # type: ignore[operator]
        # The decoder's adversarial term does not reach the encoder (the paper's rule): its code is cut off.
        half = len(x) // 2
        fake = self.decode(torch.cat([z.detach()[:half], torch.randn_like(z[half:])]))
        logits = self.discriminator(fake.float(), None)
        return {
            "features": Term(feature_error(made, maps), config.feature_weight),
            "reconstruction": Term(squared_error(x_hat, x), config.pixel_weight),
            "kl": Term(gaussian_kl(mu, logvar), config.beta),
            "adversarial": Term(ADVERSARIAL["non-saturating"].generator(logits, logits), config.adversarial_weight),
        }
