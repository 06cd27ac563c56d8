"""Which samples are augmented how often, by which operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from aegan.augment.latent.operations import OF_NEIGHBOURS
from aegan.augment.latent.strength import seeded
from aegan.errors import DataError


def planned(y: Tensor, num: int | None, *, balance: bool, seed: int, counts: Mapping[int, int] | None = None) -> Tensor:
    """Positions of the sources, int64 ``(num,)``.

    Every sample is a source as often as another of its class, but for one. Without ``balance`` classes are augmented
    as often as they are there. With it the smallest are filled first: up to the largest, or as far as ``num`` goes.
    ``counts`` says outright how many of which class to make.

    >>> planned(torch.tensor([0, 0, 0, 1]), None, balance=True, seed=0).tolist()
    [3, 3]
    """
    generator = seeded(seed, 1)
    if counts is not None:
        parts = [_spread((y == c).nonzero().squeeze(1), n, generator) for c, n in counts.items()]
        return torch.cat([y.new_empty(0), *parts])
    if not balance:
        return _spread(torch.arange(len(y)), len(y) if num is None else num, generator)
    sizes = torch.bincount(y)
    classes = (sizes > 0).nonzero().squeeze(1)
    wanted = _filled(sizes[classes].tolist(), num)
    rows = [_spread((y == c).nonzero().squeeze(1), n, generator) for c, n in zip(classes, wanted, strict=True)]
    return torch.cat(rows)


def _spread(own: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """``num`` of the positions ``own``, each as often as another but for one."""
    turns = [own[torch.randperm(len(own), generator=generator)] for _ in range(-(-num // len(own)))]
    return torch.cat(turns)[:num] if turns else own[:0]


def _filled(counts: Sequence[int], num: int | None) -> list[int]:
    """How many to add to each class: up to the largest, or ``num`` in all, the smallest first."""
    if num is None:
        return [max(counts) - n for n in counts]
    # The level up to which ``num`` fills.
    low, high = min(counts), max(counts) + num
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sum(max(0, middle - n) for n in counts) <= num else (low, middle - 1)
    added = [max(0, low - n) for n in counts]
    left = num - sum(added)
    for place in sorted(range(len(counts)), key=lambda i: counts[i] + added[i])[:left]:
        added[place] += 1
    return added


def assigned(rows: Tensor, single: Tensor, operations: Sequence[str], names: Sequence[str], y: Tensor) -> list[str]:
    """The operation of each of ``rows`` ``(num,)``, each as often as another.

    Args:
        rows: Positions of the sources.
        single: Which samples have no neighbour in their class, bool ``(N,)``: the only one, and windows that share a
            step with all others.
        operations: At least one.
        names: Of the classes, for messages.
        y: Classes ``(N,)``.

    Raises:
        DataError: A sample without a neighbour, where every operation needs one.
    """
    free = [name for name in operations if name not in OF_NEIGHBOURS]
    alone = single[rows]
    if bool(alone.any()) and not free:
        label = int(y[rows[alone][0]])
        name = f"class {names[label]!r}" if label < len(names) else "the data"
        if int((y == label).sum()) > 1:
            raise DataError(
                f"augment: a window of {name} overlaps in time with all others of the class, but "
                f"{', '.join(operations)} would need one that does not. Give longer or more series, fit with a smaller "
                "window, or let gaussian be among the operations: it makes do with how other windows differ."
            )
        raise DataError(
            f"augment: {name} has one sample, but {', '.join(operations)} would need another of the same class. Add "
            "samples, leave the class out, or let gaussian be among the operations: it makes do with how the samples "
            "of other classes differ."
        )
    turns = {True: 0, False: 0}
    out = []
    for lonely in alone.tolist():
        able = free if lonely else operations
        out.append(able[turns[lonely] % len(able)])
        turns[lonely] += 1
    return out


def replaced(rows: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """Other sources, drawn from the classes of the sources ``rows`` ``(B,)``."""
    out = rows.clone()
    for label in y[rows].unique():
        own, members = (y[rows] == label).nonzero().squeeze(1), (y == label).nonzero().squeeze(1)
        out[own] = members[torch.randint(len(members), (len(own),), generator=generator)]
    return out
