"""Nearest neighbours in feature space, in chunks, so that tens of thousands of samples fit in memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from aegan.errors import ConfigError
from aegan.metrics._checks import Array, at_least, feature_matrix, same_dimension

CHUNK_VALUES = 16_000_000
"""Distances held at once (128 MB in float64)."""


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
    centre = b.mean(dim=0)
    a_centred, b_centred = a - centre, b - centre
    b_norm = b_centred.square().sum(1)
    # |a-b|² by a matrix product is fast but loses what tells near-copies apart, so it only proposes a few
    # more candidates than asked for, whose distances are then taken directly.
    proposed = min(k + 2, len(b) - itself)
    indices, distances = [], []
    for start in range(0, len(a), chunk_rows(len(b))):
        part = slice(start, start + chunk_rows(len(b)))
        squared = torch.addmm(b_norm, a_centred[part], b_centred.T, alpha=-2.0)
        if itself:
            rows = torch.arange(len(squared))
            squared[rows, rows + start] = float("inf")
        candidates = squared.topk(proposed, dim=1, largest=False).indices
        exact = torch.stack([(a[part] - b[candidates[:, j]]).norm(dim=1) for j in range(proposed)], dim=1)
        order = exact.argsort(dim=1, stable=True)[:, :k]
        indices.append(candidates.gather(1, order))
        distances.append(exact.gather(1, order))
    return Neighbours(torch.cat(indices), torch.cat(distances))
