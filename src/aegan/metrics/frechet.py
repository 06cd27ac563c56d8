"""Fréchet distance between two sets of features, each taken as a Gaussian.

Reference: Heusel et al. 2017 (arXiv 1706.08500), who apply it to Inception features and call it FID. The
formula serves any features; it is called FID only where the features are Inception's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aegan.metrics._checks import Array, feature_matrix, feature_pair

VERSION = 1
"""Raised when a change of the formula changes its values; stored with every evaluation."""

Moments = tuple[Tensor, Tensor]
"""Mean ``(D,)`` and covariance ``(D, D)`` in float64."""


def frechet_distance(real: Array, fake: Array) -> float:
    """Squared Fréchet distance ‖μ₁ - μ₂‖² + tr(S₁ + S₂ - 2 (S₁S₂)^½) of two Gaussians.

    Covariances are divided by N-1. The estimate grows as samples become fewer, so compare only values
    that were computed from equally many samples. Covariances may be rank-deficient (fewer samples than
    dimensions): the square roots are taken by symmetric eigendecomposition.

    Args:
        real: Features ``(N, D)``, N at least 2.
        fake: Features ``(M, D)``, M at least 2.

    Returns:
        A value from 0 up, in squared units of the features; 0 when mean and covariance agree.

    Raises:
        DataError: Fewer than two samples, differing D, or values that are not finite.

    >>> frechet_distance(torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0], [5.0]]))
    9.0
    """
    a, b = feature_pair(real, fake, where="frechet_distance")
    return frechet_from_moments(_moments(a), _moments(b))


def moments(features: Array, *, name: str = "features") -> Moments:
    """Mean ``(D,)`` and covariance ``(D, D)``, N-1, of features ``(N, D)``, for reuse.

    Raises:
        DataError: Fewer than two samples, wrong shape, or values that are not finite.
    """
    return _moments(feature_matrix(features, where="moments", name=name))


def frechet_from_moments(real: Moments, fake: Moments) -> float:
    """As :func:`frechet_distance`, from two results of :func:`moments`.

    >>> frechet_from_moments((torch.zeros(1), torch.ones(1, 1)), (torch.zeros(1), 4 * torch.ones(1, 1)))
    1.0
    """
    (mean_1, cov_1), (mean_2, cov_2) = [(m.double(), s.double()) for m, s in (real, fake)]
    # tr (S1 S2)^½ is the sum of the singular values of S1^½ S2^½: no root of a product that is not
    # symmetric, hence no complex result and nothing to add to the diagonal.
    cross = torch.linalg.svdvals(_root(cov_1) @ _root(cov_2)).sum()
    distance = (mean_1 - mean_2).square().sum() + cov_1.trace() + cov_2.trace() - 2 * cross
    return max(0.0, float(distance))


def bootstrap_deviation(reference: Moments, fake: Tensor, *, resamples: int = 20, seed: int = 0) -> float:
    """Standard deviation of the distance when ``fake`` is drawn anew, by bootstrap.

    The resampled distances themselves are biased upward (a resample repeats samples), so only their
    spread is used: estimate ± 1.96 times this is a 95 % interval for the distance at this sample number.

    Args:
        reference: :func:`moments` of the reference set.
        fake: Features ``(M, D)``.
        resamples: Number of resamples, at least 2.
        seed: Seed of the resampling; the global generator is not touched.
    """
    x = feature_matrix(fake, where="bootstrap_deviation", name="fake")
    generator = torch.Generator().manual_seed(seed)
    draws = [torch.randint(len(x), (len(x),), generator=generator) for _ in range(resamples)]
    distances = torch.tensor([frechet_from_moments(reference, _moments(x[i])) for i in draws])
    return float(distances.double().std())


def _moments(x: Tensor) -> Moments:
    mean = x.mean(dim=0)
    centred = x - mean
    return mean, centred.T @ centred / (len(x) - 1)


def _root(covariance: Tensor) -> Tensor:
    """Symmetric square root; eigenvalues below rounding error count as zero."""
    values, vectors = torch.linalg.eigh(covariance)
    rounding = torch.finfo(torch.float64).eps * len(values) * values.abs().max()
    roots = torch.where(values > rounding, values, torch.zeros_like(values)).sqrt()
    return (vectors * roots) @ vectors.T
