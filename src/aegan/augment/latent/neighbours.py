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
class Neighbours:
    """The nearest other samples of each sample's class.

    Attributes:
        index: int64 ``(N, k)``, nearest first; positions beyond ``count`` repeat what there is.
        distance: ``(N, k)``; 0 where there is none.
        count: How many there are, int64 ``(N,)``: k, or one less than the class has samples; 0 for the only one.
    """

    index: Tensor
    distance: Tensor
    count: Tensor

    def drawn(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """One of the neighbours of each of ``rows`` ``(B,)``, at random: positions ``(B,)``."""
        place = (torch.rand(len(rows), generator=generator) * self.count[rows]).long()
        return self.index[rows, place]


def class_neighbours(codes: Tensor, labels: Tensor, k: int, *, differing: bool = False, seed: int = 0) -> Neighbours:
    """The ``k`` nearest other samples of the same class.

    Args:
        codes: ``(N, D)``.
        labels: Class of each, int64 ``(N,)``.
        k: At least 1.
        differing: Count the values that differ, for rows of names, instead of the Euclidean distance.
        seed: Of the random part that stands for a large class.

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
        index[own], distance[own] = _within(codes, own, k, differing, seed)
        count[own] = min(k, len(own) - 1)
    return Neighbours(index, distance, count)


def _within(codes: Tensor, own: Tensor, k: int, differing: bool, seed: int) -> tuple[Tensor, Tensor]:
    """Positions and distances ``(n, k)`` among the members ``own`` ``(n,)`` of one class."""
    reference = own
    if len(own) > REFERENCE_AT_MOST:
        order = torch.randperm(len(own), generator=torch.Generator().manual_seed(seed))
        reference = own[order[:REFERENCE_AT_MOST]]
    most = min(k, len(own) - 1, len(reference))
    indices, distances = [], []
    for part in own.split(max(1, CHUNK_VALUES // len(reference))):
        apart = separations(codes[part], codes[reference], differing=differing)
        apart[part[:, None] == reference[None]] = torch.inf
        near = apart.topk(most, dim=1, largest=False)
        indices.append(reference[near.indices])
        distances.append(near.values)
    index, distance = torch.cat(indices), torch.cat(distances)
    turn = torch.arange(k) % most
    return index[:, turn], distance[:, turn].nan_to_num(posinf=0.0)


def separations(a: Tensor, b: Tensor, *, differing: bool = False) -> Tensor:
    """Distances ``(N, M)`` between rows: Euclidean, or how many values differ."""
    if differing:
        return torch.cdist(a.floor().float(), b.floor().float(), p=0)
    if len(b) <= EXACT_UP_TO:
        return torch.cdist(a.float(), b.float(), compute_mode="donot_use_mm_for_euclid_dist")
    centre = b.float().mean(0)
    return torch.cdist(a.float() - centre, b.float() - centre, compute_mode="use_mm_for_euclid_dist")
