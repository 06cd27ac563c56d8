"""Relevance of input features to an autoencoder, from the Jacobian of its encoder and decoder."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_BLOCK = 128


def reconstruction_relevance(
    encode: Callable[[Tensor], Tensor],
    decode: Callable[[Tensor], Tensor],
    x: Tensor,
    *,
    rows: int = 1024,
    splits: int = 4,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Tensor:
    """How much of the *other* features' variance is reconstructed rightly because of each feature.

    With x̃ the features in standard units and J = ∂x̂/∂x the Jacobian of decoder and encoder in these units, the
    relevance of feature i is Σ_{j≠i} E[x̃ᵢ Jⱼᵢ x̃ⱼ], or 0 where that is negative. A feature that nothing else hangs on
    has none, be it noise or all alone in what it tells. The size of ∂z/∂x would not do: a code with room to spare
    carries noise as well, and mixes it, so that J alone is as large for noise; docs/features.md has figures.

    The sum leaves each feature's own reconstruction out by splitting the features in two at random, for every row
    anew, and looking only from one side at the other: two vector-Jacobian products a split, whatever the length of
    code and data.

    Args:
        encode: Data ``(B, *shape)`` to codes, each row on its own.
        decode: Codes to data ``(B, *shape)``.
        x: Data ``(N, *shape)``; of more than ``rows``, that many are drawn.
        rows: Rows at most.
        splits: Random splits of the features a row.
        seed: Of rows and splits.
        device: Where the networks are.

    Returns:
        Relevance of each feature, float64 of at least 0, ``(I,)`` with the axes of ``shape`` flattened; 1 is the
        variance of one feature. Constant features have 0.

    >>> x = torch.randn(500, 1).expand(500, 3)
    >>> halves = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])  # the third is copied
    >>> reconstruction_relevance(lambda v: v @ halves, lambda z: z, x, splits=50).round(decimals=1).tolist()
    [0.5, 0.5, 0.0]
    """
    generator = torch.Generator().manual_seed(seed)
    x = x[torch.randperm(len(x), generator=generator)[:rows]]
    flat = x.flatten(1).double()
    mean, std = flat.mean(0), flat.std(0, correction=0)
    varies = std > 1e-6 * (mean.abs() + std.max())
    total = torch.zeros(flat.shape[1], dtype=torch.float64)
    for part, values in zip(x.split(_BLOCK), flat.split(_BLOCK), strict=True):
        part = part.to(device).requires_grad_(True)
        x_hat = decode(encode(part))
        unit = torch.where(varies, (values - mean) / std, 0.0)  # x̃
        target = torch.where(varies, unit / std, 0.0)  # x̃ⱼ with x̂ⱼ's unit
        for _ in range(splits):
            side = torch.rand(unit.shape, generator=generator) < 0.5
            pulled = [_pulled_back(x_hat, part, target * one) for one in (side, ~side)]
            total += (torch.where(side, pulled[1], pulled[0]) * std * unit).sum(0)
    # Two features are on different sides half of the time, hence the 2.
    return (2.0 * total / (splits * len(x))).clamp(min=0.0)


def _pulled_back(out: Tensor, x: Tensor, v: Tensor) -> Tensor:
    """Jᵀv of each row, ``(B, I)``, float64 on the CPU."""
    (g,) = torch.autograd.grad(out, x, v.to(out).view_as(out), retain_graph=True)
    return g.flatten(1).double().cpu()
