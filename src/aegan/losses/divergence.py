"""Divergences between distributions of codes and a prior."""

from __future__ import annotations

import torch
from torch import Tensor

from aegan.errors import ConfigError


def mmd(a: Tensor, b: Tensor, *, kernel: str = "imq") -> Tensor:
    """Squared maximum mean discrepancy of two samples, unbiased (so it may fall below 0).

    Reference: Tolstikhin et al. 2018, "Wasserstein auto-encoders" (arXiv 1711.01558): a sum of kernels at scales
    around the one that two independent draws from a standard normal prior suggest.

    Args:
        a: Codes ``(N, D)``, N of at least 2.
        b: Draws from the prior ``(M, D)``, M of at least 2.
        kernel: ``imq`` (inverse multiquadratic, heavy tails) or ``rbf``.

    Raises:
        ConfigError: Fewer than two of either.

    >>> z = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> float(mmd(z[:250], z[250:])) < 0.05 < float(mmd(z[:250], z[250:] + 2))
    True
    """
    if min(len(a), len(b)) < 2:
        raise ConfigError(f"mmd: two codes and two draws at least expected, got {len(a)} and {len(b)}. Give more.")
    a, b = a.float(), b.float()
    n, m, scale = len(a), len(b), 2.0 * a.shape[1]
    aa, bb, ab = (torch.cdist(*pair).square() for pair in ((a, a), (b, b), (a, b)))
    total = a.new_zeros(())
    for factor in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0):
        c = factor * scale
        k = (lambda d, c=c: c / (c + d)) if kernel == "imq" else (lambda d, c=c: torch.exp(-d / c))
        # The diagonal, a point with itself, is k(0) = 1 in both kernels.
        within = (k(aa).sum() - n) / (n * (n - 1)) + (k(bb).sum() - m) / (m * (m - 1))
        total = total + within - 2.0 * k(ab).mean()
    return total


def gaussian_kl(mu: Tensor, logvar: Tensor, *, reduce: bool = True) -> Tensor:
    """KL(N(mu, exp(logvar)) ‖ N(0, 1)) in nats, averaged over the batch.

    Reference: Kingma & Welling 2014, "Auto-encoding variational Bayes" (arXiv 1312.6114), appendix B.

    Args:
        mu: Means ``(B, D)``.
        logvar: Logarithms of the variances ``(B, D)``.
        reduce: Sum over the dimensions to a scalar; otherwise one value per dimension, ``(D,)``.

    >>> gaussian_kl(torch.ones(4, 3), torch.zeros(4, 3)).item()
    1.5
    """
    mu, logvar = mu.float(), logvar.float()
    per_dimension = (0.5 * (mu.square() + logvar.exp() - 1.0 - logvar)).mean(0)
    return per_dimension.sum() if reduce else per_dimension


def gaussian_kl_each(mu: Tensor, logvar: Tensor) -> Tensor:
    """As :func:`gaussian_kl`, of each sample: ``(B,)``.

    >>> gaussian_kl_each(torch.ones(2, 3), torch.zeros(2, 3)).tolist()
    [1.5, 1.5]
    """
    mu, logvar = mu.float(), logvar.float()
    return (0.5 * (mu.square() + logvar.exp() - 1.0 - logvar)).sum(1)


def above_free_bits(kl: Tensor, free_bits: float) -> Tensor:
    """What each dimension's KL divergence has above ``free_bits`` nats, summed: the first ``free_bits`` cost nothing.

    Reference: Kingma et al. 2016, "Improving variational inference with inverse autoregressive flow"
    (arXiv 1606.04934), with every dimension a group of its own. Their sum of max(free_bits, KL) differs from this by
    a constant.

    Args:
        kl: Divergence per dimension ``(D,)``, averaged over the batch.
        free_bits: Nats per dimension, at least 0.

    >>> above_free_bits(torch.tensor([0.25, 2.0]), 0.5).item()
    1.5
    """
    return (kl - free_bits).clamp(min=0.0).sum()
