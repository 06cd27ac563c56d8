"""Nearest neighbours of codes within their class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK_VALUES = 8_000_000
"""Distances held at once."""
EXACT_UP_TO = 2_000
"""Beyond so many reference rows, distances come by a matrix product, which is twenty times as fast and less exact."""
REFERENCE_AT_MOST = 10_000
"""Samples of a class among which neighbours are looked for; of more, a random part."""


@dataclass(frozen=True)
class Stretches:
    """Where in a longer whole each sample lies, as the windows of a long series do.

    Windows that overlap are one stretch seen twice, moved by a step or two: how far apart they are says nothing of how
    far apart samples are.

    Attributes:
        group: The whole that each is cut from, int64 ``(N,)``.
        start: The first step of each in it, int64 ``(N,)``.
        size: Steps of each.
    """

    group: Tensor
    start: Tensor
    size: int

    def overlap(self, a: Tensor, b: Tensor) -> Tensor:
        """Which of the samples at ``a`` ``(A,)`` and ``b`` ``(B,)`` share a step, bool ``(A, B)``.

        >>> cut = Stretches(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 2, 0]), size=2)
        >>> cut.overlap(torch.tensor([0]), torch.arange(4)).tolist()
        [[True, True, False, False]]
        """
        shared = (self.start[a, None] - self.start[b]).abs() < self.size
        return shared & (self.group[a, None] == self.group[b])


def too_close(a: Tensor, b: Tensor, stretches: Stretches | None) -> Tensor:
    """Which samples at ``a`` ``(A,)`` and ``b`` ``(B,)`` are the same one or share a step, bool ``(A, B)``."""
    return a[:, None] == b if stretches is None else stretches.overlap(a, b)


@dataclass(frozen=True)
class Neighbours:
    """The nearest other samples of each sample's class.

    Attributes:
        index: int64 ``(N, k)``, nearest first; positions beyond ``count`` repeat what there is.
        distance: ``(N, k)``; 0 where there is none.
        count: How many there are, int64 ``(N,)``: k, or one less than the class has samples; 0 for the only one. Of
            windows, those that share no step alone count.
    """

    index: Tensor
    distance: Tensor
    count: Tensor

    def drawn(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """One of the neighbours of each of ``rows`` ``(B,)``, at random: positions ``(B,)``."""
        place = (torch.rand(len(rows), generator=generator) * self.count[rows]).long()
        return self.index[rows, place]


def class_neighbours(
    codes: Tensor,
    labels: Tensor,
    k: int,
    *,
    differing: bool = False,
    seed: int = 0,
    stretches: Stretches | None = None,
) -> Neighbours:
    """The ``k`` nearest other samples of the same class.

    Args:
        codes: ``(N, D)``.
        labels: Class of each, int64 ``(N,)``.
        k: At least 1.
        differing: Count the values that differ, for rows of names, instead of the Euclidean distance.
        seed: Of the random part that stands for a large class.
        stretches: Of windows, where they lie: those that share a step are no neighbours.

    >>> found = class_neighbours(torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([0, 0, 1]), k=2)
    >>> found.index[0].tolist(), found.count.tolist()
    ([1, 1], [1, 1, 0])
    """
    n = len(codes)
    index = torch.arange(n)[:, None].repeat(1, k)
    distance, count = torch.zeros(n, k), torch.zeros(n, dtype=torch.int64)
    for label in labels.unique():
        own = (labels == label).nonzero().squeeze(1)
        if len(own) < 2:
            continue
        index[own], distance[own], count[own] = _within(codes, own, k, differing, seed, stretches)
    return Neighbours(index, distance, count)


def _within(
    codes: Tensor, own: Tensor, k: int, differing: bool, seed: int, stretches: Stretches | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Positions and distances ``(n, k)`` among the members ``own`` ``(n,)`` of one class, and how many ``(n,)``."""
    reference = part_of(own, REFERENCE_AT_MOST, seed)
    most = min(k, len(own) - 1, len(reference))
    indices, distances = [], []
    for part in own.split(max(1, CHUNK_VALUES // len(reference))):
        apart = separations(codes[part], codes[reference], differing=differing)
        apart[too_close(part, reference, stretches)] = torch.inf
        near = apart.topk(most, dim=1, largest=False)
        indices.append(reference[near.indices])
        distances.append(near.values)
    index, distance = torch.cat(indices), torch.cat(distances)
    count = distance.isfinite().sum(1)
    index[count == 0] = own[count == 0, None]
    turn = torch.arange(k) % count[:, None].clamp_min(1)
    return index.gather(1, turn), distance.gather(1, turn).nan_to_num(posinf=0.0), count


def part_of(rows: Tensor, most: int, seed: int = 0) -> Tensor:
    """``rows`` ``(N,)``, or of more than ``most`` a random part, so that a search among them grows no further."""
    if len(rows) <= most:
        return rows
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:most]]


def separations(a: Tensor, b: Tensor, *, differing: bool = False) -> Tensor:
    """Distances ``(N, M)`` between rows: Euclidean, or how many values differ."""
    if differing:
        return torch.cdist(a.floor().float(), b.floor().float(), p=0)
    if len(b) <= EXACT_UP_TO:
        return torch.cdist(a.float(), b.float(), compute_mode="donot_use_mm_for_euclid_dist")
    centre = b.float().mean(0)
    return torch.cdist(a.float() - centre, b.float() - centre, compute_mode="use_mm_for_euclid_dist")
