"""Mode collapse, and collapse of codes: samples against real data, with real against real as the baseline."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from aegan.diagnostics.jacobian import participation
from aegan.metrics.precision_recall import precision_recall

COLUMNS = 64
"""Longer samples are projected at random onto so many axes, which keeps distances to about a tenth
(Johnson & Lindenstrauss 1984)."""
LONG = 2**16
"""Values of a sample beyond which it is folded first, so that the matrix keeps to 16 MB."""
NEIGHBOUR = 5
"""k of coverage and precision (Naeem et al. 2020, arXiv 2002.09797)."""
ACTIVE = 0.01
"""Variance of a code's mean above which a dimension is in use (Burda et al. 2016, arXiv 1509.00519)."""


class Variety(NamedTuple):
    """Samples against equally many real ones; every figure is 1 for samples as good as real ones, but the last three.

    Attributes:
        spread: Median distance of two samples, over that of two real ones.
        nearest: Median distance to the nearest other sample, over the real ones'; small for many near-copies.
        rank: Effective rank of the covariance, over the real data's.
        precision: Part of the samples that lie within the real data, over that of other real data.
        coverage: Part of the real data with a sample near by, over that with other real data near by.
        distance: Energy distance to the real data, in units of the median distance of two real samples.
        floor: The same between two halves of the real data.
        p: Permutation p-value of the maximum mean discrepancy (Gretton et al. 2012): small if both differ for sure.
    """

    spread: float
    nearest: float
    rank: float
    precision: float
    coverage: float
    distance: float
    floor: float
    p: float


def flattened(x: Tensor, columns: int = COLUMNS) -> Tensor:
    """Samples as float32 rows ``(N, <= columns)`` on the CPU, long ones projected by a fixed random matrix."""
    rows = x.detach().float().flatten(1)
    if rows.shape[1] > LONG:
        rows = _folded(rows)
    if rows.shape[1] > columns:
        with torch.autocast(rows.device.type, enabled=False):  # it may be called within a training's own
            rows = rows @ _axes(rows.shape[1], columns).to(rows.device)
    return rows.cpu()


def _folded(rows: Tensor) -> Tensor:
    """Rows of :data:`LONG` values: sums of those a whole number of turns apart, each with a random sign."""
    stream = torch.Generator().manual_seed(2)
    sign = (2 * torch.randint(0, 2, (rows.shape[1],), generator=stream, dtype=torch.int8) - 1).to(rows.device)
    return torch.nn.functional.pad(rows * sign, (0, -rows.shape[1] % LONG)).view(len(rows), -1, LONG).sum(1)


@functools.lru_cache(maxsize=4)
def _axes(length: int, columns: int) -> Tensor:
    stream = torch.Generator().manual_seed(0)
    return torch.randn(length, columns, generator=stream) / columns**0.5


def variety(real: Tensor, other: Tensor, fake: Tensor, *, seed: int = 0) -> Variety | None:
    """Variety of ``fake`` beside ``real``, with ``other`` real data as the baseline.

    Args:
        real: Rows ``(N, D)``.
        other: Further real rows ``(N, D)``, none of them in ``real``.
        fake: Rows ``(N, D)``; all three are cut to the shortest.
        seed: Of the permutations; the global generator is not touched.

    Returns:
        None with fewer than 32 rows, values that are not finite, or real data without spread.
    """
    count = min(len(real), len(other), len(fake))
    real, other, fake = real[:count], other[:count], fake[:count]
    if count < 32 or not all(bool(torch.isfinite(t).all()) for t in (real, other, fake)):
        return None
    among_real, among_fake, across = distances(real, real), distances(fake, fake), distances(real, fake)
    scale = float(_off_diagonal(among_real).median())
    near = float(_nearest(among_real).median())
    if scale <= 0 or near <= 0:
        return None
    found, best = precision_recall(real, fake, NEIGHBOUR), precision_recall(real, other, NEIGHBOUR)
    rank = participation(_variances(real))
    return Variety(
        spread=float(_off_diagonal(among_fake).median()) / scale,
        nearest=float(_nearest(among_fake).median()) / near,
        rank=participation(_variances(fake)) / rank,
        precision=found.precision / max(best.precision, 1e-9),
        coverage=found.coverage / max(best.coverage, 1e-9),
        distance=_energy(among_real, among_fake, across) / scale,
        floor=max(_energy(among_real, distances(other, other), distances(real, other)), 0.0) / scale,
        p=mmd_p(real, fake, seed=seed),
    )


def distances(a: Tensor, b: Tensor) -> Tensor:
    """‖a-b‖ of rows ``(N, D)`` and ``(M, D)``, ``(N, M)``, which in float32 hold for rows far from zero too.

    >>> float(distances(torch.full((30, 1), 5000.0), torch.full((30, 1), 5001.0)).max())
    1.0
    """
    # cdist of many rows takes squares apart into products, which lose what is small beside the mean.
    centre = a.mean(0)
    return torch.cdist(a - centre, b - centre)


def energy_distance(a: Tensor, b: Tensor) -> float:
    """2E‖a-b‖ - E‖a-a'‖ - E‖b-b'‖ of rows ``(N, D)`` and ``(M, D)``, unbiased; 0 for equal distributions.

    Reference: Székely & Rizzo 2013, "Energy statistics".

    >>> energy_distance(torch.zeros(2, 1), torch.ones(2, 1))
    2.0
    """
    return _energy(distances(a, a), distances(b, b), distances(a, b))


def mmd_p(a: Tensor, b: Tensor, *, permutations: int = 200, seed: int = 0) -> float:
    """Permutation p-value that rows ``(N, D)`` and ``(M, D)`` are of one distribution.

    Reference: Gretton et al. 2012, JMLR 13, with a Gaussian kernel of the median distance. All permutations are one
    matrix product.
    """
    both = torch.cat([a, b]).double()
    squared = torch.cdist(both, both).square()
    kernel = torch.exp(-squared / squared[squared > 0].median().clamp_min(1e-30)) if bool((squared > 0).any()) else None
    if kernel is None:
        return 1.0
    stream = torch.Generator().manual_seed(seed)
    sign = torch.cat([torch.full((len(a),), 1.0 / len(a)), torch.full((len(b),), -1.0 / len(b))]).double()
    columns = [sign] + [sign[torch.randperm(len(sign), generator=stream)] for _ in range(permutations)]
    signs = torch.stack(columns, 1)
    values = (signs * (kernel @ signs)).sum(0)
    return float((values[1:] >= values[0]).sum() + 1) / (permutations + 1)


def birthday_support(near: float, samples: int, pairs: int) -> float:
    """Number of different samples that a generator has, as s(s-1)/2 over the pairs that are near-copies.

    Reference: Arora et al. 2018 (arXiv 1706.08224): a duplicate among s samples means a support of about s².

    Args:
        near: Expected pairs without any collapse, taken off.
        samples: s.
        pairs: Pairs closer than a near-copy is.

    >>> birthday_support(0.0, 100, 50)
    99.0
    """
    extra = pairs - near
    return samples * (samples - 1) / 2 / extra if extra > 0 else math.inf


def birthday(real: Tensor, fake: Tensor, *, alpha: float = 0.001) -> float:
    """Support of ``fake`` by the birthday test; a near-copy is closer than the ``alpha`` nearest of real pairs.

    Infinite where samples repeat one another no more than real ones do.
    """
    among = torch.pdist(real[: len(fake)])
    limit = among.kthvalue(max(1, int(alpha * len(among)))).values
    pairs = int((torch.pdist(fake) <= limit).sum())
    expected = alpha * len(fake) * (len(fake) - 1) / 2
    # Three deviations of a count beyond what real samples show.
    return birthday_support(expected, len(fake), pairs) if pairs > expected + 3 * expected**0.5 + 1 else math.inf


def active_part(mu: Tensor) -> float:
    """Part of the dimensions of means ``(N, D)`` that vary with the data, in [0, 1]."""
    return float((mu.float().var(0) > ACTIVE).float().mean()) if len(mu) > 1 else 1.0


def kl_per_dimension(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL divergence from N(0, 1) of each dimension in nats, averaged over the batch: ``(D,)``."""
    mu, logvar = mu.float(), logvar.float()
    return 0.5 * (mu.square() + logvar.exp() - 1.0 - logvar).mean(0)


def perplexity(tokens: Tensor, size: int) -> float:
    """Codes in effective use over those that so many tokens could show, in [0, 1].

    >>> round(perplexity(torch.tensor([0, 0, 1, 1]), 2), 3)
    1.067
    """
    counts = torch.bincount(tokens.flatten(), minlength=size).double()
    used = counts[counts > 0] / counts.sum()
    attainable = size * (1.0 - (1.0 - 1.0 / size) ** tokens.numel())
    return float((-(used * used.log()).sum()).exp()) / attainable


def _off_diagonal(distances: Tensor) -> Tensor:
    return distances[~torch.eye(len(distances), dtype=torch.bool)]


def _nearest(distances: Tensor) -> Tensor:
    return (distances + torch.diag(torch.full((len(distances),), math.inf))).amin(1)


def _variances(x: Tensor) -> Tensor:
    return torch.linalg.svdvals((x - x.mean(0)).double()).square()


def _energy(among_a: Tensor, among_b: Tensor, across: Tensor) -> float:
    within = [float(d.sum()) / max(1, len(d) * (len(d) - 1)) for d in (among_a, among_b)]
    return 2 * float(across.mean()) - within[0] - within[1]
