"""Channels of time series that are copies of others: the same values, perhaps in another unit, at every step.

Networks would come near to them and never hit them, which anybody sees who subtracts one from the other. They are
found, left out of training, and computed.
"""

from __future__ import annotations

import torch
from torch import Tensor

ALIKE = 0.999
"""Correlation from which two channels are looked at; what is rounded in another unit may be a little below 1."""
EXACT = 1e-5
"""By how much of its range a copy may differ from what is computed: float32 and a change of unit leave some 1e-6."""
FEWEST = 64
"""Steps at which both are observed at least; few values may agree by chance."""


def candidates(value: Tensor, mask: Tensor) -> list[tuple[int, int, float, float]]:
    """Channels ``c`` that may be ``gain x_i + shift`` of an earlier one: ``(c, i, gain, shift)``, nearest first.

    Args:
        value: Steps of all series ``(N, C)``, float64.
        mask: Bool, alike; True where observed.

    >>> x = torch.randn(100, 1, dtype=torch.float64)
    >>> [(c, i, round(gain, 3), round(shift, 3)) for c, i, gain, shift in candidates(torch.cat([x, 3 * x + 1], 1),
    ...                                                                            torch.ones(100, 2) > 0)]
    [(1, 0, 3.0, 1.0)]
    """
    there = mask.double()
    count = there.T @ there
    x = torch.where(mask, value, 0.0)
    # Sums over the steps at which both are observed, by channels.
    own, square, product = x.T @ there, (x * x).T @ there, x.T @ x
    mean, other = own / count.clamp(min=1.0), own.T / count.clamp(min=1.0)
    spread, others = square / count.clamp(min=1.0) - mean**2, square.T / count.clamp(min=1.0) - other**2
    both = product / count.clamp(min=1.0) - mean * other
    alike = both.abs() / (spread * others).clamp(min=1e-24).sqrt()
    alike[(count < FEWEST) | (spread < 1e-12) | (others < 1e-12)] = 0.0
    found = []
    for c in range(1, value.shape[1]):
        for i in alike[c, :c].argsort(descending=True).tolist():
            if not alike[c, i] >= ALIKE:
                break
            gain = float(both[c, i] / others[c, i])
            found.append((c, i, gain, float(mean[c, i] - gain * other[c, i])))
    return found
