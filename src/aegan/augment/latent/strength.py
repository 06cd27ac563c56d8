"""What strength means: how far augmented samples are from their sources, in units of real neighbours' distances.

Let x̂ᵢ be what the model makes of sample i unmoved (its reconstruction), Nₖ(i) the k nearest other samples of its class
in code space, and d the distance of two samples as data: the root mean square of their differences, or the share of
values that differ where values are names. The unit is the mean distance of real neighbours,

    U = mean over i, over j in Nₖ(i), of d(x̂ᵢ, x̂ⱼ),

and the strength s of augmented samples x̂'ᵢ

    s = mean over i of d(x̂'ᵢ, x̂ᵢ) / U.

At 0 a sample is its source's reconstruction; at 1 it is as far from its source as the source's real neighbours are.
Scales cancel, so a strength means the same on every data set and for every autoencoder. An operation has one free
number, the size c of its moves in code space; :func:`calibrated` finds the c whose strength is the one asked for.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

CALIBRATED_ON = 128
"""Samples that the unit is measured and the size of the moves is found on, at most."""
DRAWN, DRAWN_DISCRETE = 192, 1024
"""Moves of them in all. Rows are cheap to decode, and few of their values change."""
SMALLEST, LARGEST = 2.0**-10, 2.0**6
"""Sizes of the moves that are tried at least and at most."""
HALVINGS = 5


def apart(a: Tensor, b: Tensor, *, differing: bool = False, steps: Tensor | None = None) -> Tensor:
    """Distance d of each pair of samples ``(B, ...)``: ``(B,)``.

    Args:
        a: ``(B, ...)``.
        b: As ``a``.
        differing: Take the share of values that differ.
        steps: Of series ``(B, T, C)``, how many of the first steps of a pair count, int64 ``(B,)``: beyond them is
            padding.

    >>> apart(torch.zeros(1, 4), torch.full((1, 4), 2.0)).tolist()
    [2.0]
    >>> apart(torch.tensor([[1.5, 2.5]]), torch.tensor([[1.2, 3.5]]), differing=True).tolist()
    [0.5]
    >>> apart(torch.zeros(1, 2, 1), torch.tensor([[[2.0], [9.0]]]), steps=torch.tensor([1])).tolist()
    [2.0]
    """
    values = (a.floor() != b.floor()).float() if differing else (a.float() - b.float()).square()
    if steps is None:
        mean = values.flatten(1).mean(1)
    else:
        there = torch.arange(values.shape[1]) < steps[:, None]
        mean = (values.flatten(2).mean(2) * there).sum(1) / steps
    return mean if differing else mean.sqrt()


def calibrated(strength: float, reached: Callable[[float], float]) -> tuple[float, float]:
    """The size of the moves at which the strength is the one asked for, and the strength that it reaches.

    Args:
        strength: At least 0.
        reached: Size of the moves, above 0, to strength; with fixed random numbers, and hardly ever falling.

    Returns:
        Size and strength. Where even :data:`LARGEST` moves stay below, as interpolation's at a half of the way do, the
        smallest size that is within a hundredth of the most.

    >>> size, got = calibrated(0.5, lambda c: 0.2 * c)
    >>> round(size, 2), round(got, 2)
    (2.5, 0.5)
    """
    if strength == 0:
        return 0.0, 0.0
    high = 1.0
    while (got := reached(high)) < strength and high < LARGEST:
        high *= 2
    if got < strength:
        strength = 0.99 * got
    # Down to a size and its double, one on each side.
    while high > SMALLEST and reached(high / 2) >= strength:
        high /= 2
    low = high / 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) < strength else (low, middle)
    # Between two steps of discrete data, the nearer.
    ends = [(size, reached(size)) for size in (low, high)]
    return min(ends, key=lambda end: abs(end[1] - strength))


def seeded(*numbers: int) -> torch.Generator:
    """A generator whose stream belongs to these numbers."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number + 1) % (2**63)
    return torch.Generator().manual_seed(seed)
