"""Variational autoencoder: codes are normal distributions, held to a standard normal prior; samples come from it.

References: Kingma & Welling 2014 (arXiv 1312.6114); β: Higgins et al. 2017, "beta-VAE"; cyclical β: Fu et al. 2019
(arXiv 1903.10145); free bits: Kingma et al. 2016 (arXiv 1606.04934); learned output variance: Rybkin et al. 2020,
"Simple and effective VAE training with calibrated decoders" (arXiv 2006.13202), the shared optimal variance.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from aegan.config import require_non_negative
from aegan.errors import ConfigError
from aegan.losses import above_free_bits, gaussian_kl
from aegan.models.autoencoders.base import AutoencoderConfig, AutoencoderModel, observed
from aegan.models.autoencoders.collapse import posterior_statistics, posterior_verdict
from aegan.models.autoencoders.likelihood import elbo, log_density, log_likelihood
from aegan.types import Batch, Health, Spec, Term

LEAST_STD = math.exp(-6.0)
"""Floor of the learned output deviation: perfect reconstructions would make densities infinite."""
_LOGVAR = (-20.0, 10.0)
_ELBO_SAMPLES, _BOUND_SAMPLES, _IMPORTANCE = 1024, 64, 32
"""Samples behind the ELBO, behind the likelihood bound, and importance samples of each: seconds in all."""


@dataclass(frozen=True, kw_only=True)
class VariationalConfig(AutoencoderConfig):
    """Settings of the variational autoencoder, besides those that every one has.

    Attributes:
        beta: Weight of the KL divergence; 1 trains on the evidence lower bound.
        beta_cycle: Steps of a cycle in which beta rises linearly from 0 and then rests; 0 keeps it constant.
        beta_ramp: Part of each cycle over which beta rises, above 0 and at most 1.
        free_bits: Nats of KL divergence per dimension that cost nothing; .5 is a usual remedy for collapse.
        output_std: Standard deviation of a value around the decoder's output (the scale, with the absolute error);
            None learns the one that fits best. Without effect with a Bernoulli or categorical likelihood, which has
            none.
    """

    model: ClassVar[str] = "variational"
    latent_dim: int = 32
    beta: float = 1.0
    beta_cycle: int = 0
    beta_ramp: float = 0.5
    free_bits: float = 0.0
    output_std: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_non_negative(self, "beta", "beta_cycle", "free_bits")
        if not 0 < self.beta_ramp <= 1:
            raise ConfigError(f"beta_ramp: a number above 0 and at most 1 expected, got {self.beta_ramp}.")
        if self.output_std is not None and not 0 < self.output_std < float("inf"):
            raise ConfigError(
                f"output_std: a number above 0, or none to learn it, expected, got {self.output_std}. "
                "For values in [-1, 1], 0.1 is usual."
            )


class Statistics(nn.Module):
    """What training saw lately, in buffers: the posterior's deviation per dimension, and the output's scale."""

    posterior_std: Tensor
    output_std: Tensor
    steps: Tensor

    def __init__(self, dim: int, output_std: float | None) -> None:
        super().__init__()
        self.register_buffer("posterior_std", torch.ones(dim))
        self.register_buffer("output_std", torch.tensor(1.0 if output_std is None else output_std))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, posterior_std: Tensor, output_std: Tensor | None) -> None:
        """Move the running means, a plain mean over the first hundred steps, towards a batch's values."""
        self.steps += 1
        rate = 1.0 / self.steps.clamp(max=100)
        self.posterior_std.lerp_(posterior_std, rate)
        if output_std is not None:
            self.output_std.lerp_(output_std, rate)


@final
class Variational(AutoencoderModel):
    """Variational autoencoder; see the module's text.

    The terms ``reconstruction`` (negative log-likelihood) and ``kl`` are in nats a sample, so that their negative
    sum is the evidence lower bound. Both are weighted by one over the number of values, so that a learning rate
    means the same whatever the size of the data.
    """

    Config: ClassVar[type] = VariationalConfig
    config: VariationalConfig
    samples_from = "autoencoder"

    def __init__(self, spec: Spec, config: VariationalConfig) -> None:
        super().__init__(spec, config, code_features=2 * config.latent_dim)
        self.noise_dim = config.latent_dim + self.draw_dim
        self.values = math.prod(spec.shape)
        self.statistics = Statistics(config.latent_dim, config.output_std)
        self.networks = (*self.networks, "statistics")

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of the one phase, ``autoencode``."""
        x, config = batch["x"], self.config
        maps = self.encoder.trunk.maps(x)
        mu, logvar = _split(self.encoder.from_maps(maps))
        std = (0.5 * logvar).exp()
        out = self.decoder(mu + std * torch.randn_like(mu))
        out = observed(out, x, batch.get("mask"))
        scale = self._scale(out, x)
        self.statistics.update(std.mean(0), scale if config.output_std is None else None)
        terms = self.reconstruction(out, x, maps, batch.get("mask"))
        terms["reconstruction"] = Term(-log_density(self.error, out, x, scale).mean(), 1.0 / self.values)
        kl, weight = gaussian_kl(mu, logvar, reduce=False), self.beta(self.stage_step) / self.values
        terms["kl"] = Term(kl.sum(), 0.0 if config.free_bits else weight)
        if config.free_bits:
            terms["kl-above-free-bits"] = Term(above_free_bits(kl, config.free_bits), weight)
        return terms | self.classification(maps, batch)

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """As every autoencoder, where β rests."""
        return None if self.config.beta_cycle else super().steady(phase, batch)

    def beta(self, step: int) -> float:
        """Weight of the KL divergence at a step of the stage."""
        config = self.config
        if not config.beta_cycle:
            return config.beta
        return config.beta * min(1.0, step % config.beta_cycle / (config.beta_ramp * config.beta_cycle))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances ``(B, D)`` of the codes of ``x``, float32."""
        return _split(self.encoder(x))

    def log_density(self, x: Tensor, z: Tensor) -> Tensor:
        """Logarithm of p(x|z) in nats ``(B,)`` of data ``(B, *shape)`` and codes ``(B, D)``."""
        return log_density(self.error, self.decoder(z), x, self.statistics.output_std)

    def encode(self, x: Tensor) -> Tensor:
        """Means ``(B, D)`` of the codes' distributions."""
        return self.posterior(x)[0]

    def noisy(self, z: Tensor) -> Tensor:
        """Codes drawn around the means ``z``, with the deviations usual in training."""
        return z + self.statistics.posterior_std * torch.randn_like(z)

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Data ``(B, *shape)`` drawn from the prior; the classes are not used."""
        return self.draw(noise[:, : self.code_dim], noise[:, self.code_dim :])

    @torch.no_grad()
    def health(self, x: Tensor) -> Health:
        """Bounds on the likelihood of held-out data ``x``, in nats a sample, and whether the posterior collapsed."""
        x = x[:_ELBO_SAMPLES]
        mu, logvar = (torch.cat(parts) for parts in zip(*(self.posterior(c) for c in x.split(64)), strict=True))
        found = posterior_statistics(mu, logvar)
        figures = {
            "elbo": elbo(self, x).mean().item(),
            "log_likelihood": log_likelihood(self, x[:_BOUND_SAMPLES], samples=_IMPORTANCE).mean().item(),
            "kl": float(sum(found.kl)),
            "active_units": float(found.active),
            "mutual_information": found.mutual_information,
        }
        return Health(figures=figures, findings=posterior_verdict(found))

    def _scale(self, out: Tensor, x: Tensor) -> Tensor:
        """The output's deviation: as set, or the one that makes this batch likeliest."""
        if self.config.output_std is not None or self.error == "categorical":
            return self.statistics.output_std
        error = out.detach().float() - x
        best = error.abs().mean() if self.error == "absolute" else error.square().mean().sqrt()
        return best.clamp(min=LEAST_STD)


def _split(features: Tensor) -> tuple[Tensor, Tensor]:
    mu, logvar = features.float().chunk(2, dim=1)
    return mu, logvar.clamp(*_LOGVAR)
