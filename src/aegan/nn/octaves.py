"""Sines and cosines of values, so that a network sees fine structure as soon as coarse."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Octaves(nn.Module):
    """Values ``(B, D)`` to themselves and their sines and cosines at 1, 2, 4, … radians: ``(B, D (1 + 2 octaves))``.

    A perceptron learns slow functions of its inputs long before fast ones. Where few values hold much, as in points
    of a plane, its discriminator is blind to modes that are narrow beside the distances between them. Meant for values
    of about unit variance. Reference: Tancik et al. 2020 (arXiv 2006.10739).
    """

    def __init__(self, octaves: int) -> None:
        super().__init__()
        self.octaves = octaves

    def widened(self, values: int) -> int:
        """How many numbers come out of ``values``."""
        return values * (1 + 2 * self.octaves)

    def forward(self, x: Tensor) -> Tensor:
        angles = [x * 2.0**k for k in range(self.octaves)]
        return torch.cat([x, *(angle.sin() for angle in angles), *(angle.cos() for angle in angles)], 1)
