"""Nearest neighbours in feature space, in chunks, so that tens of thousands of samples fit in memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from aegan.errors import ConfigError
from aegan.metrics._checks import Array, at_least, feature_matrix, same_dimension

CHUNK_VALUES = 16_000_000
"""Distances held at once (128 MB in float64)."""
BLOCK_ROWS = 1 << 18
"""Rows of the reference that are centred together."""


class Neighbours(NamedTuple):
    """Nearest neighbours of each query, nearest first: ``index`` int64 and ``distance`` float64, ``(N, k)``."""

    index: Tensor
    distance: Tensor


def nearest_neighbours(query: Array, reference: Array, k: int = 1) -> Neighbours:
    """The ``k`` nearest samples of ``reference`` for each sample of ``query``, by Euclidean distance.

    Args:
        query: Features ``(N, D)``.
        reference: Features ``(M, D)``, M at least ``k``.
        k: Neighbours asked for.

    Raises:
        DataError: Differing D, or values that are not finite.
        ConfigError: ``k`` below 1 or beyond M.

    >>> nearest_neighbours(torch.tensor([[0.9]]), torch.tensor([[0.0], [1.0]])).index.tolist()
    [[1]]
    """
    where = "nearest_neighbours"
    a = feature_matrix(query, where=where, name="query", least=1)
    b = feature_matrix(reference, where=where, name="reference", least=1)
    same_dimension(a, b, where=where, names=("query", "reference"))
    _enough(at_least(k, 1, where=where, name="k"), len(b), where)
    return _search(a, b, k, itself=False)


def neighbours_within(features: Array, k: int = 1) -> Neighbours:
    """As :func:`nearest_neighbours` among the samples of one set; none counts as its own neighbour."""
    where = "neighbours_within"
    x = feature_matrix(features, where=where, name="features")
    _enough(at_least(k, 1, where=where, name="k"), len(x) - 1, where)
    return _search(x, x, k, itself=True)


def neighbour_radii(features: Array, k: int = 5) -> Tensor:
    """Distance of each sample to its ``k``-th nearest other sample, float64 ``(N,)``.

    >>> neighbour_radii(torch.tensor([[0.0], [1.0], [3.0]]), k=1).tolist()
    [1.0, 1.0, 2.0]
    """
    return neighbours_within(features, k).distance[:, -1]


def chunk_rows(columns: int) -> int:
    """Rows of a distance matrix with ``columns`` columns to hold at once."""
    return max(1, CHUNK_VALUES // max(1, columns))


def _enough(k: int, available: int, where: str) -> None:
    if k > available:
        raise ConfigError(
            f"{where}: k={k} neighbours asked for, but only {available} other samples are there. "
            "Lower k, or pass more samples."
        )


def _search(a: Tensor, b: Tensor, k: int, *, itself: bool) -> Neighbours:
    # |a-b|² by a matrix product is fast but loses what tells near-copies apart, so it only proposes a few
    # more candidates than asked for, whose distances are then taken directly.
    proposed = min(k + 2, len(b) - itself)
    candidates = _proposed(a, b, proposed, itself=itself)
    indices, distances, rows = [], [], chunk_rows(a.shape[1])
    for part, own in zip(a.split(rows), candidates.split(rows), strict=True):
        exact = torch.stack([(part - b[own[:, j]]).norm(dim=1) for j in range(proposed)], dim=1)
        order = exact.argsort(dim=1, stable=True)[:, :k]
        indices.append(own.gather(1, order))
        distances.append(exact.gather(1, order))
    return Neighbours(torch.cat(indices), torch.cat(distances))


def _proposed(a: Tensor, b: Tensor, count: int, *, itself: bool) -> Tensor:
    """Indices ``(N, count)`` of the rows of ``b`` that seem nearest, which is looked through a block at a time."""
    centre = b.mean(dim=0)
    a_centred = a - centre
    found: list[tuple[Tensor, Tensor]] = []
    for first in range(0, len(b), BLOCK_ROWS):
        block = b[first : first + BLOCK_ROWS] - centre
        norm, step, best = block.square().sum(1), chunk_rows(len(block)), []
        for start in range(0, len(a), step):
            squared = torch.addmm(norm, a_centred[start : start + step], block.T, alpha=-2.0)
            if itself:
                own = torch.arange(len(squared)) + start - first
                rows = torch.nonzero((own >= 0) & (own < len(block))).squeeze(1)
                squared[rows, own[rows]] = float("inf")
            best.append(squared.topk(min(count, len(block)), dim=1, largest=False))
        found.append((torch.cat([one.values for one in best]), torch.cat([one.indices for one in best]) + first))
    if len(found) == 1:
        return found[0][1]
    values, indices = (torch.cat([one[i] for one in found], 1) for i in (0, 1))
    return indices.gather(1, values.topk(count, dim=1, largest=False).indices)
