"""Where in its seasons a step of a time series lies: sines and cosines of their phases.

Reference: Salinas et al. 2020, "DeepAR" (arXiv 1704.04110), whose networks are told the hour and the day beside the
values before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

HARMONICS = 3
"""Sines and cosines of a season: of its own frequency and of whole multiples."""
LONGEST = 2**16
"""Steps after which all seasons together are taken to begin anew, where they do not before."""
TRIED = 512
"""Places at most that are tried where nobody says at which one a series begins."""


class Seasons(nn.Module):
    """Phases of the seasons at each step.

    Args:
        periods: Steps of each season, at least 2.

    >>> seasons = Seasons([24.0])
    >>> seasons.cycle, seasons(torch.tensor([3, 27]), 5).shape
    (24, torch.Size([2, 5, 6]))
    """

    frequencies: Tensor

    def __init__(self, periods: Sequence[float]) -> None:
        super().__init__()
        own = [h / period for period in periods for h in range(1, HARMONICS + 1) if h / period <= 0.5]
        self.register_buffer("frequencies", torch.tensor(own, dtype=torch.float64), persistent=False)
        self.size = 2 * len(own)
        whole = all(period == round(period) for period in periods)
        cycle = math.lcm(*(round(period) for period in periods)) if whole else LONGEST
        self.cycle = min(cycle, LONGEST)

    def forward(self, place: Tensor, steps: int) -> Tensor:
        """Sines and cosines ``(B, steps, size)`` of series whose first steps are at ``place`` ``(B,)``."""
        at = place.double()[:, None] + torch.arange(steps, dtype=torch.float64, device=place.device)
        angles = 2.0 * math.pi * ((at[:, :, None] * self.frequencies) % 1.0)
        return torch.cat([angles.sin(), angles.cos()], 2).float()

    def drawn(self, uniform: Tensor) -> Tensor:
        """Places ``(B,)`` of a cycle, from numbers of [0, 1]."""
        return (uniform.double() * self.cycle).long().clamp_(max=self.cycle - 1)

    def tried(self) -> Tensor:
        """Places all over a cycle, ``(K,)``; every phase of a short season is among them."""
        step = -(-self.cycle // TRIED)
        while math.gcd(step, self.cycle) > 1:
            step += 1
        return torch.arange(min(TRIED, self.cycle)) * step % self.cycle
