"""The moves: directions in code space, how far along them, and how far at most.

Each operation gives, for some of the samples, directions ``(B, D)``, steps ``(B,)`` of mean 1 and a bound; a code moves
by ``min(c * step, bound) * direction``, c being the size that :mod:`~aegan.augment.latent.strength` finds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from aegan.augment.latent.neighbours import Neighbours, Stretches, separations, too_close
from aegan.errors import DataError

ENERGY = 0.95
"""Part of a Jacobian's squared norm that the directions kept as tangents have."""
RELATED = 8
"""Deviations of other classes that stand for those of a class with one sample."""


@dataclass(frozen=True)
class Codes:
    """What the moves are made of.

    Attributes:
        z: Codes of the real samples, ``(N, D)``.
        y: Their classes, int64 ``(N,)``; zeros where there are none.
        near: Neighbours within the class.
        tangents: Positions ``(B,)`` to JJᵀ ``(B, D, D)`` of the encoder's Jacobians J at these samples.
        generated: Positions ``(B,)`` and a generator to codes ``(B, D)`` of samples that a GAN makes of their classes.
    """

    z: Tensor
    y: Tensor
    near: Neighbours
    tangents: Callable[[Tensor], Tensor] | None = None
    generated: Callable[[Tensor, torch.Generator], Tensor] | None = None


class Move(NamedTuple):
    """Directions ``(B, D)``, steps ``(B,)`` of mean 1, and the size at most."""

    direction: Tensor
    step: Tensor
    most: float = torch.inf

    def applied(self, z: Tensor, size: float) -> Tensor:
        """Codes ``(B, D)`` moved by ``size``."""
        return z + (size * self.step).clamp(max=self.most)[:, None] * self.direction


Operation = Callable[[Codes, Tensor, torch.Generator], Move]


def gaussian(codes: Codes, rows: Tensor, generator: torch.Generator) -> Move:
    """Normal noise with the covariance of the sample and its neighbours.

    As DeVries & Taylor 2017 (arXiv 1702.05538), but locally. The covariance of k + 1 codes has at most k directions;
    noise stays within them, where the data are. The only sample of a class borrows deviations from the other classes.
    """
    z, near = codes.z, codes.near
    around = torch.cat([rows[:, None], near.index[rows]], 1)
    there = torch.cat([torch.ones(len(rows), 1), (torch.arange(near.index.shape[1]) < near.count[rows, None])], 1)
    count = there.sum(1, keepdim=True)
    centred = z[around] - (z[around] * there[..., None]).sum(1, keepdim=True) / count[..., None]
    noise = (
        torch.randn(there.shape, generator=generator) * there / there.sum(1, keepdim=True).sub(1).clamp_min(1).sqrt()
    )
    direction = torch.einsum("bk,bkd->bd", noise, centred)
    alone = near.count[rows] == 0
    if bool(alone.any()):
        direction[alone] = _borrowed(codes, int(alone.sum()), generator)
    return Move(direction, torch.ones(len(rows)))


def _borrowed(codes: Codes, count: int, generator: torch.Generator) -> Tensor:
    """Directions ``(count, D)`` of other classes' neighbours, at random."""
    others = (codes.near.count > 0).nonzero().squeeze(1)
    if not len(others):
        raise DataError(
            "augment: every class has one sample, so nothing tells how samples of a class differ. Give classes of two "
            "samples or more, or leave the labels out."
        )
    chosen = others[torch.randint(len(others), (count * RELATED,), generator=generator)]
    step = codes.z[codes.near.drawn(chosen, generator)] - codes.z[chosen]
    noise = torch.randn(count, RELATED, generator=generator) / (2 * RELATED) ** 0.5
    return torch.einsum("bk,bkd->bd", noise, step.view(count, RELATED, -1))


def tangent(codes: Codes, rows: Tensor, generator: torch.Generator) -> Move:
    """Noise N(0, JJᵀ) along the leading directions of the encoder's Jacobian J: Rifai et al. 2011, 2012 (1206.6434).

    A contractive encoder answers to few directions of the data, those along the manifold. They are the left singular
    vectors U of J = U S Vᵀ whose squared values make up :data:`ENERGY`; the move is U S ε.
    """
    assert codes.tangents is not None
    squares, u = torch.linalg.eigh(codes.tangents(rows).double())
    squares, u = squares.clamp_min(0).flip(1), u.flip(2)
    before = squares.cumsum(1) - squares
    kept = before < ENERGY * squares.sum(1, keepdim=True)
    noise = torch.randn(squares.shape, generator=generator).double() * kept * squares.sqrt()
    direction = torch.einsum("bdk,bk->bd", u, noise).float()
    # Jacobians differ in size where neighbours do not: in units of the distance to the neighbours.
    length = squares.sum(1).sqrt().clamp_min(1e-12).float()
    reach = codes.near.distance[rows].mean(1)
    usual = codes.near.distance[codes.near.count > 0]
    reach = torch.where(codes.near.count[rows] > 0, reach, usual.mean() if usual.numel() else torch.tensor(1.0))
    return Move(direction * (reach / length)[:, None], torch.ones(len(rows)))


def interpolate(codes: Codes, rows: Tensor, generator: torch.Generator) -> Move:
    """Towards a neighbour of the class, half of the way at most: SMOTE (Chawla et al. 2002) in code space."""
    other = codes.z[codes.near.drawn(rows, generator)]
    return Move(other - codes.z[rows], 2 * torch.rand(len(rows), generator=generator), 0.5)


def extrapolate(codes: Codes, rows: Tensor, generator: torch.Generator) -> Move:
    """Away from a neighbour of the class: DeVries & Taylor 2017 (arXiv 1702.05538)."""
    other = codes.z[codes.near.drawn(rows, generator)]
    return Move(codes.z[rows] - other, 2 * torch.rand(len(rows), generator=generator))


def mix(codes: Codes, rows: Tensor, generator: torch.Generator) -> Move:
    """Towards a random mixture of all the neighbours; mixup (Zhang et al. 2018, arXiv 1710.09412) within a class."""
    near = codes.near
    there = torch.arange(near.index.shape[1]) < near.count[rows, None]
    weight = -torch.rand(there.shape, generator=generator).clamp_min(1e-12).log() * there  # of a flat Dirichlet
    weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-12)
    other = torch.einsum("bk,bkd->bd", weight, codes.z[near.index[rows]])
    return Move(other - codes.z[rows], 2 * torch.rand(len(rows), generator=generator), 1.0)


def generate(codes: Codes, rows: Tensor, generator: torch.Generator) -> Move:
    """Towards a sample that the GAN makes of the class, the nearest of some; all of the way at most."""
    assert codes.generated is not None
    other = torch.empty(len(rows), codes.z.shape[1])
    for label in codes.y[rows].unique():
        own = (codes.y[rows] == label).nonzero().squeeze(1)
        made = codes.generated(rows[own].repeat(CANDIDATES), generator)
        # Each its own candidates, so that two samples seldom share one.
        own_made = made.view(CANDIDATES, len(own), -1)
        distance = (own_made - codes.z[rows[own]]).square().sum(2)
        other[own] = own_made[distance.argmin(0), torch.arange(len(own))]
    return Move(other - codes.z[rows], 2 * torch.rand(len(rows), generator=generator), 1.0)


CANDIDATES = 4
"""Samples of the GAN of which the nearest is gone towards."""

OPERATIONS: Mapping[str, Operation] = {
    "gaussian": gaussian,
    "tangent": tangent,
    "interpolate": interpolate,
    "extrapolate": extrapolate,
    "mix": mix,
    "generate": generate,
}
"""Every move of codes by name."""
OF_NEIGHBOURS = ("interpolate", "extrapolate", "mix")
"""Moves that need another sample of the class."""


def nearest_labels(
    query: Tensor,
    reference: Tensor,
    labels: Tensor,
    k: int,
    *,
    rows: Tensor | None = None,
    among: Tensor | None = None,
    stretches: Stretches | None = None,
    itself: bool = False,
) -> Tensor:
    """The class that most of the ``k`` nearest codes have, int64 ``(N,)``; of as many, the nearer ones.

    Args:
        query: ``(N, D)``.
        reference: ``(M, D)``.
        labels: Of the reference, ``(M,)``.
        k: At least 1.
        rows: Positions in the source of what each query is made of ``(N,)``: what shares a step with it, and is
            another, has no vote.
        among: Those of the reference ``(M,)``, where it is a part of the source.
        stretches: Where the source's samples lie, of windows.
        itself: Whether the queries are the source's codes, so that none counts for itself; -1 where no other has a
            vote.
    """
    out, count = [], int(labels.max()) + 1
    among = torch.arange(len(reference)) if among is None else among
    rows, k = torch.arange(len(query)) if itself else rows, min(k, len(reference) - itself)
    for start in range(0, len(query), 1024):
        distance = separations(query[start : start + 1024], reference)
        if rows is not None and (itself or stretches is not None):  # else a source alone is close, which may vote
            own = rows[start : start + 1024]
            barred = too_close(own, among, stretches)
            distance[barred if itself else barred & (own[:, None] != among)] = torch.inf
        near = distance.topk(k, dim=1, largest=False)
        weight = near.values.isfinite() / (1.0 + 1e-3 * torch.arange(k))
        votes = torch.zeros(len(distance), count)
        votes.scatter_add_(1, labels[near.indices], weight)
        out.append(votes.argmax(1).where(votes.any(1), -1))
    return torch.cat(out)
