"""Divergences between distributions of codes and a prior."""

from __future__ import annotations

import torch
from torch import Tensor


def mmd(a: Tensor, b: Tensor, *, kernel: str = "imq") -> Tensor:
    """Squared maximum mean discrepancy of two samples, unbiased (so it may fall below 0).

    Reference: Tolstikhin et al. 2018, "Wasserstein auto-encoders" (arXiv 1711.01558): a sum of kernels at scales
    around the one that two independent draws from a standard normal prior suggest.

    Args:
        a: Codes ``(N, D)``, N of at least 2.
        b: Draws from the prior ``(M, D)``, M of at least 2.
        kernel: ``imq`` (inverse multiquadratic, heavy tails) or ``rbf``.

    >>> z = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> float(mmd(z[:250], z[250:])) < 0.05 < float(mmd(z[:250], z[250:] + 2))
    True
    """
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
