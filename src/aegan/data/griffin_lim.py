"""Waveforms of magnitudes: the fast Griffin–Lim algorithm.

Reference: Perraudin, Balazs & Søndergaard 2013, "A fast Griffin-Lim algorithm"; Griffin & Lim 1984.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aegan.data.mel import TINY, MelScale

ITERATIONS = 32
MOMENTUM = 0.99


def griffin_lim(
    magnitude: Tensor,
    scale: MelScale,
    *,
    iterations: int = ITERATIONS,
    momentum: float = MOMENTUM,
    start: Tensor | None = None,
) -> Tensor:
    """Waveforms ``(B, T * hop)`` whose spectrograms have about these magnitudes.

    Args:
        magnitude: Non-negative, ``(B, n_fft / 2 + 1, T)``, as ``scale.spectrum`` gives them.
        scale: The spectrogram's settings.
        iterations: Projections to consistent spectrograms and back to the magnitudes.
        momentum: Of the fast algorithm; 0 is Griffin and Lim's own.
        start: Phases to begin with, in radians, of the same shape. Random ones when None: the same for every sample and
            every call, so that a waveform depends on its magnitudes alone.
    """
    if start is None:
        random = torch.rand(magnitude.shape[1:], generator=torch.Generator().manual_seed(0), dtype=magnitude.dtype)
        start = (2 * math.pi * random).to(magnitude.device).expand_as(magnitude)
    point = torch.polar(magnitude, start.contiguous())
    last = torch.zeros_like(point)
    for _ in range(iterations):
        consistent = scale.spectrum(scale.wave(point))
        ahead = consistent + momentum * (consistent - last)
        last = consistent
        point = magnitude * (ahead / ahead.abs().clamp(min=TINY))
    return scale.wave(point)
