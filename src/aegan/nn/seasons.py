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

    Attributes:
        cycle: Steps after which all begin anew, or the shortest ones do where that takes too long.
        exact: Whether all do.
        begun: Bool ``(cycle,)``: at which places of a cycle series of the data begin.

    >>> seasons = Seasons([24.0])
    >>> seasons.cycle, seasons(torch.tensor([3, 27]), 5).shape
    (24, torch.Size([2, 5, 6]))
    """

    frequencies: Tensor
    begun: Tensor

    def __init__(self, periods: Sequence[float]) -> None:
        super().__init__()
        own = [h / period for period in periods for h in range(1, HARMONICS + 1) if h / period <= 0.5]
        self.register_buffer("frequencies", torch.tensor(own, dtype=torch.float64), persistent=False)
        self.size = 2 * len(own)
        # As many of the shortest seasons as begin anew together within bounds.
        self.cycle, self.exact = 1, True
        for period in sorted(periods):
            cycle = math.lcm(self.cycle, round(period))
            if period == round(period) and cycle <= LONGEST:
                self.cycle = cycle
            else:
                self.exact = False
        if not self.exact:
            self.cycle *= max(1, LONGEST // self.cycle)
        self.register_buffer("begun", torch.ones(self.cycle, dtype=torch.bool))

    def learn(self, place: Tensor) -> None:
        """Take ``place`` ``(N,)`` among those at which series begin."""
        self.begun[place.to(self.begun.device) % self.cycle] = True

    @property
    def gap(self) -> int:
        """Steps from a place at which series begin to the next one, as a rule."""
        places = self.begun.nonzero().squeeze(1)
        return int((torch.cat([places[1:], places[:1] + self.cycle]) - places).mode().values)

    def forward(self, place: Tensor, steps: int) -> Tensor:
        """Sines and cosines ``(B, steps, size)`` of series whose first steps are at ``place`` ``(B,)``."""
        at = place.double()[:, None] + torch.arange(steps, dtype=torch.float64, device=place.device)
        angles = 2.0 * math.pi * ((at[:, :, None] * self.frequencies) % 1.0)
        return torch.cat([angles.sin(), angles.cos()], 2).float()

    def drawn(self, uniform: Tensor) -> Tensor:
        """Places ``(B,)`` at which series begin, from numbers of [0, 1]."""
        places = self.begun.nonzero().squeeze(1)
        return places[(uniform.double() * len(places)).long().clamp_(max=len(places) - 1)]

    def tried(self) -> Tensor:
        """Places all over a cycle, ``(K,)``; every phase of a short season is among them."""
        step = -(-self.cycle // TRIED)
        while math.gcd(step, self.cycle) > 1:
            step += 1
        return torch.arange(min(TRIED, self.cycle)) * step % self.cycle
