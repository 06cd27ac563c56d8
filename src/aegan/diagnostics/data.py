"""What is wrong with the data themselves: the first thing to rule out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from aegan.diagnostics.gradients import first_non_finite

DUPLICATES_LEAST = 16
"""Rows at least of a batch in which repeated ones are counted."""


class DataFacts(NamedTuple):
    """Of one batch of real data.

    Attributes:
        non_finite: Where the first NaN or infinity is; None without one.
        constant: Part of the columns that have one value only, in [0, 1].
        repeated: Part of the rows that equal an earlier row, in [0, 1].
        scale: Root mean square of the values.
        low: Least value.
        high: Greatest value.
    """

    non_finite: str | None
    constant: float
    repeated: float
    scale: float
    low: float
    high: float


@torch.no_grad()
def data_facts(x: Tensor) -> DataFacts:
    """Facts of a batch ``(B, ...)``; those that need more rows than there are, are 0.

    >>> facts = data_facts(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    >>> facts.constant, facts.low, facts.high
    (0.5, 1.0, 5.0)
    """
    x = x.detach().float()
    bad = first_non_finite({"real": x})
    rows = x.flatten(1)
    finite = rows[torch.isfinite(rows).all(1)]
    if not len(finite):
        return DataFacts(bad, 0.0, 0.0, 0.0, 0.0, 0.0)
    constant = float((finite.amax(0) == finite.amin(0)).float().mean()) if len(finite) > 1 else 0.0
    repeated = 1.0 - len(keys(finite).unique()) / len(finite) if len(finite) >= DUPLICATES_LEAST else 0.0
    return DataFacts(
        bad, constant, repeated, float(finite.square().mean().sqrt()), float(finite.min()), float(finite.max())
    )


def keys(rows: Tensor) -> Tensor:
    """A number for each row ``(B, D)`` by which equal rows are known, float64 ``(B,)``."""
    stream = torch.Generator().manual_seed(1)
    direction = torch.rand(rows.shape[1], generator=stream, dtype=torch.float64)
    return rows.double().cpu() @ direction


def outside(real: Tensor, low: float, high: float) -> float:
    """Part of the values of ``real`` that lie outside [low, high], where a bounded generator can never be.

    >>> outside(torch.tensor([[0.0, 3.0]]), -1.0, 1.0)
    0.5
    """
    slack = 0.02 * (high - low)
    return float(((real < low - slack) | (real > high + slack)).float().mean())
