"""How likely a latent-variable model finds data: the evidence lower bound and the importance-weighted bound.

Both are in nats a sample, higher is better, and at most the true log-likelihood. For continuous data they are
densities, which may exceed 0 and depend on the unit of the data.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from aegan.errors import ConfigError

CHUNK = 512
"""Codes that are decoded at once."""


class LatentVariable(Protocol):
    """A model with a standard normal prior on codes and a normal posterior with independent dimensions."""

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances ``(B, D)`` of the codes of ``x``."""
        ...

    def log_density(self, x: Tensor, z: Tensor) -> Tensor:
        """Logarithm of p(x|z) in nats ``(B,)``."""
        ...


def log_density(error: str, out: Tensor, x: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    """Logarithm of p(x|z) in nats, summed over a sample's values.

    Args:
        error: ``squared`` (Gaussian), ``absolute`` (Laplace), ``bernoulli`` or ``categorical``.
        out: The decoder's output ``(B, ...)``: means, or logits of a Bernoulli variable; ``(B, F, V)`` of categorical
            ones.
        x: Data ``(B, ...)``; -1 and 1 for a Bernoulli variable, in between as probabilities; ``k + u`` of a field.
        scale: Standard deviation, or the Laplace distribution's scale.

    Returns:
        ``(B,)``.

    >>> round(log_density("squared", torch.zeros(1, 2), torch.zeros(1, 2)).item(), 4)
    -1.8379
    """
    if error == "categorical":
        return -cross_entropy(out.float().transpose(1, 2), x.long(), reduction="none").sum(1)
    out, x = out.float().flatten(1), x.flatten(1)
    if error == "bernoulli":
        return -binary_cross_entropy_with_logits(out, (x + 1.0) / 2.0, reduction="none").sum(1)
    scale = torch.as_tensor(scale, dtype=torch.float32, device=out.device)
    distance = (out - x) / scale
    if error == "absolute":
        return -(distance.abs() + (2.0 * scale).log()).sum(1)
    return -0.5 * (distance.square() + 2.0 * scale.log() + math.log(2.0 * math.pi)).sum(1)


@torch.no_grad()
def elbo(model: LatentVariable, x: Tensor, *, samples: int = 1) -> Tensor:
    """Evidence lower bound E log p(x|z) - KL(q(z|x) ‖ p(z)) of each sample, the divergence in closed form.

    Reference: Kingma & Welling 2014 (arXiv 1312.6114).

    Args:
        model: A :class:`~aegan.models.autoencoders.variational.Variational`, or anything with its two methods.
        x: Data ``(B, *shape)``.
        samples: Codes drawn for each, from torch's global generator.

    Returns:
        Nats ``(B,)``.

    Raises:
        ConfigError: ``samples`` below 1.
    """
    _check(samples)
    parts = []
    for chunk in x.split(CHUNK):
        mu, logvar = model.posterior(chunk)
        kl = 0.5 * (mu.square() + logvar.exp() - 1.0 - logvar).sum(1)
        draws = (mu + (0.5 * logvar).exp() * torch.randn_like(mu) for _ in range(samples))
        parts.append(sum(model.log_density(chunk, z) for z in draws) / samples - kl)
    return torch.cat(parts)


@torch.no_grad()
def log_likelihood(model: LatentVariable, x: Tensor, *, samples: int = 500) -> Tensor:
    """Importance-weighted lower bound log 1/K Σ p(x, z_k)/q(z_k|x); tends to log p(x) as K grows.

    Reference: Burda et al. 2016, "Importance weighted autoencoders" (arXiv 1509.00519), who use K = 5000.

    Args:
        model: See :func:`elbo`.
        x: Data ``(B, *shape)``.
        samples: K, drawn from torch's global generator.

    Returns:
        Nats ``(B,)``.

    Raises:
        ConfigError: ``samples`` below 1.
    """
    _check(samples)
    bounds = []
    for row in x:
        mu, logvar = model.posterior(row[None])
        weights = []
        for start in range(0, samples, CHUNK):
            count = min(CHUNK, samples - start)
            noise = torch.randn(count, mu.shape[1], device=mu.device)
            z = mu + (0.5 * logvar).exp() * noise
            # log p(z) - log q(z|x); the constants of both normal densities cancel.
            ratio = 0.5 * (noise.square() + logvar - z.square()).sum(1)
            weights.append(model.log_density(row[None].expand(count, *row.shape), z) + ratio)
        bounds.append(torch.logsumexp(torch.cat(weights).double(), 0) - math.log(samples))
    return torch.stack(bounds).float()


def _check(samples: int) -> None:
    if samples < 1:
        raise ConfigError(f"samples: a whole number of at least 1 expected, got {samples}.")
