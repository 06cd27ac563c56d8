"""The generator's Jacobian: how unevenly it stretches its noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from aegan.losses.jacobian import jacobian_singular_values

EXACT_UP_TO = 128
"""Longest noise whose whole Jacobian is taken; of longer noise, random directions of this number."""
FLOOR = 1e-12


class Spectrum(NamedTuple):
    """Singular values of ∂G/∂z at several points.

    Attributes:
        values: Median over the points, largest first.
        condition: ln λmax/λmin of JᵀJ, median over the points; 0 for a map that stretches all directions alike
            (Odena et al. 2018, arXiv 1802.08768). Directions beyond the smaller side are left out, and so are numbers
            of the noise without any gradient, such as those that count by their sign.
        rank: Effective number of directions, (Σλ)²/Σλ², median.
    """

    values: tuple[float, ...]
    condition: float
    rank: float


def generator_spectrum(generate: Callable[[Tensor], Tensor], noise: Tensor) -> Spectrum | None:
    """Spectrum of a generator at a few points; the weights' gradients are not touched.

    Args:
        generate: Noise ``(B, D)`` to samples ``(B, ...)``, each sample from its own noise alone.
        noise: ``(B, D)``; with D above 128, the Jacobian along 128 fixed random directions is taken.

    Returns:
        None where no gradient passes, or the values are not finite.

    Raises:
        RuntimeError: A part of the generator has no second derivative, by which long samples' Jacobians are taken.

    >>> found = generator_spectrum(lambda z: z * torch.tensor([1.0, 2.0]), torch.zeros(3, 2))
    >>> found.values, round(found.condition, 4)
    ((2.0, 1.0), 1.3863)
    """
    # Attention's other forms have no second derivative.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        moving = _moves(generate, noise)
        dim = int(moving.sum())
        if dim == 0:
            return None
        noise = noise.detach() if noise.is_floating_point() else noise.detach().float()
        basis = _directions(moving, dim).to(noise)
        along = torch.zeros(len(noise), len(basis), device=noise.device, dtype=noise.dtype, requires_grad=True)
        made = generate((noise.flatten(1) + along @ basis).view_as(noise))
        if not bool(torch.isfinite(made).all()):
            return None
        try:
            values = jacobian_singular_values(made.float().flatten(1), along)
        except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage] - the Jacobian itself is not finite
            return None
    if not bool(torch.isfinite(values).all()) or not bool((values[:, 0] > 0).all()):
        return None
    power = values.double().square()
    condition = (power[:, 0] / power[:, -1].clamp_min(FLOOR * power[:, 0])).log()
    rank = power.sum(1).square() / power.square().sum(1)
    median = values.median(0).values
    return Spectrum(tuple(median.tolist()), float(condition.median()), float(rank.median()))


def _moves(generate: Callable[[Tensor], Tensor], noise: Tensor) -> Tensor:
    """Which numbers of the noise ``(D,)`` move any sample at all."""
    asked = (noise.detach() if noise.is_floating_point() else noise.detach().float()).requires_grad_(True)
    made = generate(asked)
    if not made.requires_grad:
        return torch.zeros(noise[0].numel(), dtype=torch.bool, device=noise.device)
    weights = torch.randn(made.shape, generator=torch.Generator().manual_seed(0)).to(made)
    (gradient,) = torch.autograd.grad(made, asked, weights, allow_unused=True, materialize_grads=True)
    return gradient.flatten(1).ne(0).any(0)


def _directions(moving: Tensor, dim: int) -> Tensor:
    """Orthonormal directions float32 ``(min(dim, 128), D)`` in the ``dim`` numbers that move: axes, or random ones."""
    count = min(dim, EXACT_UP_TO)
    if dim > EXACT_UP_TO:
        stream = torch.Generator().manual_seed(0)
        among = torch.linalg.qr(torch.randn(dim, EXACT_UP_TO, generator=stream))[0].T
    else:
        among = torch.eye(dim)
    # The noise may be an image: a square matrix of all of its numbers would take gigabytes.
    whole = torch.zeros(count, len(moving))
    whole[:, moving.cpu()] = among
    return whole


def participation(values: Tensor) -> float:
    """Effective rank (Σλ)²/Σλ² of variances λ ``(D,)``, from 1 to D; NaN where all are zero.

    >>> participation(torch.tensor([1.0, 1.0, 0.0]))
    2.0
    """
    total = float(values.square().sum())
    return float(values.sum()) ** 2 / total if total > 0 else math.nan
