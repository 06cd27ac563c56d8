"""Quantisers of codes: a learnt codebook, and finite scalar quantisation.

Both take codes ``(B, D)`` as groups ("positions") of a few values, replace each group by one of a finite number of
points, and number these. Gradients pass straight through.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

DEAD = 0.1
"""A code is dead when its running share of the tokens is below this part of an even share."""
_LLOYD_STEPS = 5


class Quantiser(nn.Module, ABC):
    """Common parts: groups, and running frequencies of the codes in a buffer.

    Attributes:
        size: Number of codes.
        group: Values of a code vector that make one position.
        counts: Running mean of the tokens a step of each code ``(size,)``.
        steps: Steps that the running mean has seen.
    """

    averaged: ClassVar[bool] = False
    """Points jump when they are restarted: a mean of two codebooks is none."""

    counts: Tensor
    steps: Tensor

    def __init__(self, size: int, group: int, decay: float) -> None:
        super().__init__()
        self.size, self.group, self.decay = size, group, decay
        self.register_buffer("counts", torch.zeros(size))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @abstractmethod
    def bound(self, features: Tensor) -> Tensor:
        """The encoder's free features ``(B, D)`` as continuous codes ``(B, D)``, which :meth:`forward` quantises."""

    @abstractmethod
    def tokens(self, z: Tensor) -> Tensor:
        """Numbers ``(B, positions)`` int64 of the points nearest to codes ``(B, D)``."""

    @abstractmethod
    def from_tokens(self, tokens: Tensor) -> Tensor:
        """Codes ``(B, D)`` float32 of numbers ``(B, positions)``."""

    @torch.no_grad()
    def observe(self, z: Tensor) -> None:
        """Take note of a training batch's codes ``(B, D)``: frequencies, and a codebook's own learning."""
        self._count(torch.bincount(self.tokens(z).flatten(), minlength=self.size).float())

    @torch.no_grad()
    def nearest(self, z: Tensor) -> Tensor:
        """The nearest points ``(B, D)`` to codes ``(B, D)``, without a gradient."""
        return self.from_tokens(self.tokens(z))

    def forward(self, z: Tensor) -> Tensor:
        """The nearest points ``(B, D)`` to codes ``(B, D)``; gradients go to ``z`` as if nothing had happened."""
        return straight_through(z.float(), self.nearest(z))

    def perplexity(self) -> Tensor:
        """Number of codes in effective use lately: exp of the entropy of their frequencies."""
        share = self.counts / self.counts.sum().clamp(min=1e-12)
        return torch.special.entr(share).sum().exp()

    def usage(self) -> Tensor:
        """Part of the codes that were not dead lately."""
        return (self.counts > self._least()).float().mean()

    def _least(self) -> Tensor:
        return DEAD * self.counts.sum() / self.size

    def _groups(self, z: Tensor) -> Tensor:
        return z.float().reshape(-1, self.group)

    def _count(self, found: Tensor) -> None:
        self.steps += 1
        self.counts.lerp_(found, (1.0 / self.steps).clamp(min=1.0 - self.decay))


class Codebook(Quantiser):
    """Learnt points on a sphere, moved by running means towards the codes they stand for.

    References: van den Oord et al. 2017, VQ-VAE (arXiv 1711.00937), with its moving averages; few values a code and
    unit length after Yu et al. 2022 (arXiv 2110.04627) and DAC (arXiv 2306.06546). The radius is the square root of
    ``group``, so that values have about unit size. All state is in buffers.

    Args:
        size: Number of points.
        group: Values of each.
        decay: Of the running means, per step.
        restart: Whether a dead point moves to a code of the current batch.
    """

    points: Tensor
    sums: Tensor

    def __init__(self, size: int, group: int, *, decay: float = 0.99, restart: bool = True) -> None:
        super().__init__(size, group, decay)
        self.radius, self.restart = math.sqrt(group), restart
        self.register_buffer("points", normalize(torch.randn(size, group)))
        self.register_buffer("sums", torch.zeros(size, group))

    def bound(self, features: Tensor) -> Tensor:
        """Each group scaled to the sphere."""
        return (normalize(self._groups(features)) * self.radius).reshape(features.shape)

    def tokens(self, z: Tensor) -> Tensor:
        """The points at the least angle."""
        return self._nearest(self._groups(z)).view(len(z), z.shape[1] // self.group)

    def from_tokens(self, tokens: Tensor) -> Tensor:
        """Points by number."""
        return (self.points[tokens] * self.radius).flatten(1)

    @torch.no_grad()
    def observe(self, z: Tensor) -> None:
        """Move the points towards a training batch's codes; dead ones to some of them."""
        vectors = normalize(self._groups(z))
        if self.steps == 0:
            self.points.copy_(_clusters(vectors, self.size))
        chosen = _one_hot(self._nearest(vectors), self.size)
        self._count(chosen.sum(0))
        self.sums.lerp_(_product(chosen.T, vectors), (1.0 / self.steps).clamp(min=1.0 - self.decay))
        # A point that lately stood for nothing stays where it is.
        known = self.sums.norm(dim=1, keepdim=True) > 1e-6
        self.points.copy_(torch.where(known, normalize(self.sums), self.points))
        if self.restart:
            self._restart(vectors)

    def _restart(self, vectors: Tensor) -> None:
        dead = (self.counts <= self._least()).nonzero().squeeze(1)
        if len(dead) == 0:
            return
        # At most a batch's worth at once, and an even share of the tokens as credit to begin with.
        pick = torch.randperm(len(vectors), device=vectors.device)[: len(dead)]
        dead, credit = dead[: len(pick)], self.counts.sum() / self.size
        self.points[dead] = vectors[pick]
        self.sums[dead] = vectors[pick] * credit
        self.counts[dead] = credit

    def _nearest(self, vectors: Tensor) -> Tensor:
        # Unit length on the codebook's side: the largest product is the least angle, whatever the vector's length.
        return _product(vectors, self.points.T).argmax(1)


class FiniteScalar(Quantiser):
    """Every value is rounded to one of a few levels in [-1, 1]; the points are the grid, nothing is learnt.

    Reference: Mentzer et al. 2023 (arXiv 2309.15505). Even numbers of levels lie symmetrically about 0 here, where
    theirs are shifted by half a level so that 0 is among them.

    Args:
        levels: Number of levels of each value of a group, at least 2.
    """

    levels: Tensor
    places: Tensor

    def __init__(self, levels: tuple[int, ...], *, decay: float = 0.99) -> None:
        super().__init__(math.prod(levels), len(levels), decay)
        places = [math.prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("places", torch.tensor(places), persistent=False)

    def bound(self, features: Tensor) -> Tensor:
        """Values in (-1, 1)."""
        return torch.tanh(features.float())

    def tokens(self, z: Tensor) -> Tensor:
        """The nearest point of the grid, as a number with the first value's digit first."""
        steps = self.levels - 1
        digits = ((self._groups(z).clamp(-1.0, 1.0) + 1.0) / 2.0 * steps).round().long()
        return (digits * self.places).sum(1).view(len(z), z.shape[1] // self.group)

    def from_tokens(self, tokens: Tensor) -> Tensor:
        """Points by number."""
        digits = tokens[..., None] // self.places % self.levels
        return (2.0 * digits / (self.levels - 1) - 1.0).flatten(1)


def straight_through(z: Tensor, points: Tensor) -> Tensor:
    """``points`` going forward, the gradient of ``z`` going backward (Bengio et al. 2013, arXiv 1308.3432)."""
    return z + (points - z).detach()


class QuantisingDecoder(nn.Module):
    """A decoder behind a quantiser, so that whatever code it is given it meets points of the codebook alone."""

    def __init__(self, quantiser: Quantiser, network: nn.Module) -> None:
        super().__init__()
        self.quantiser, self.network = quantiser, network

    def forward(self, z: Tensor) -> Tensor:
        return self.network(self.quantiser(z))


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product in float32 also under autocast: which point is nearest hangs on the last digits."""
    with torch.autocast(a.device.type, enabled=False):
        return a.float() @ b.float()


def _one_hot(index: Tensor, size: int) -> Tensor:
    """Rows ``(N, size)`` float32 with a one at each index; sums over them are the same to the bit every time."""
    return torch.zeros(len(index), size, device=index.device).scatter_(1, index[:, None], 1.0)


def _clusters(vectors: Tensor, size: int) -> Tensor:
    """Some of the ``vectors`` (unit length), after a few steps of Lloyd's algorithm on the sphere."""
    pick = torch.cat([torch.randperm(len(vectors), device=vectors.device) for _ in range(-(-size // len(vectors)))])
    # With more points than vectors some are picked twice: a little noise sets them apart.
    points = normalize(vectors[pick[:size]] + 0.01 * torch.randn(size, vectors.shape[1], device=vectors.device))
    for _ in range(_LLOYD_STEPS):
        chosen = _one_hot(_product(vectors, points.T).argmax(1), size)
        sums = _product(chosen.T, vectors)
        points = torch.where(chosen.sum(0)[:, None] > 0, normalize(sums), points)
    return points
