"""Kernel distance: unbiased squared maximum mean discrepancy with a polynomial kernel.

Reference: Bińkowski et al. 2018 (arXiv 1801.01401), where it is called KID on Inception features.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from aegan.errors import ConfigError
from aegan.metrics._checks import Array, at_least, feature_pair

VERSION = 1
"""Raised when a change of the formula changes its values; stored with every evaluation."""


class KernelDistance(NamedTuple):
    """Mean and standard deviation (divided by the number of subsets) over the subsets."""

    mean: float
    std: float


def kernel_distance(
    real: Array,
    fake: Array,
    *,
    degree: int = 3,
    subsets: int = 100,
    subset_size: int | None = None,
    seed: int = 0,
) -> KernelDistance:
    """Unbiased MMD² with the kernel (x·y / D + 1)^degree, averaged over random subsets.

    Unlike the Fréchet distance its expectation does not depend on the number of samples; for two sets
    from one distribution it is 0, so single values may be negative.

    Args:
        real: Features ``(N, D)``.
        fake: Features ``(M, D)``.
        degree: Degree of the polynomial; 3 compares moments up to skewness.
        subsets: Number of random subsets.
        subset_size: Samples a subset takes from either side without repetition; by default 1000, or
            half of the smaller of N and M where that is less, so that the subsets differ.
        seed: Seed of the subsets; the global generator is not touched.

    Raises:
        DataError: Fewer than two samples, differing D, or values that are not finite.
        ConfigError: ``subset_size`` beyond N or M, or a setting below its least value.

    >>> kernel_distance(torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [1.0]]), subsets=1)
    KernelDistance(mean=7.0, std=0.0)
    """
    where = "kernel_distance"
    a, b = feature_pair(real, fake, where=where)
    at_least(degree, 1, where=where, name="degree")
    at_least(subsets, 1, where=where, name="subsets")
    smaller = min(len(a), len(b))
    size = (
        min(1000, max(2, smaller // 2))
        if subset_size is None
        else at_least(subset_size, 2, where=where, name="subset_size")
    )
    if size > smaller:
        raise ConfigError(
            f"{where}: subset_size={size}, but real has {len(a)} samples and fake {len(b)}; "
            f"at most {smaller} expected. Lower subset_size, or leave it out."
        )
    generator = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(subsets):
        x = a[torch.randperm(len(a), generator=generator)[:size]]
        y = b[torch.randperm(len(b), generator=generator)[:size]]
        values.append(_mmd2(x, y, degree))
    result = torch.stack(values)
    return KernelDistance(float(result.mean()), float(result.std(correction=0)))


def _mmd2(x: Tensor, y: Tensor, degree: int) -> Tensor:
    """Unbiased MMD² of ``x`` (m, D) and ``y`` (n, D): a sample is never compared with itself."""
    dim = x.shape[1]

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / dim + 1.0).pow(degree)

    def within(a: Tensor) -> Tensor:
        k = kernel(a, a)
        return (k.sum() - k.diagonal().sum()) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * kernel(x, y).mean()
