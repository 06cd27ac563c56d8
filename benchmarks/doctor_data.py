"""The data of ``doctor.py``, and what is wrong with them."""

from __future__ import annotations

import math

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from doctor_cases import Setup


def data_of(setup: Setup, seed: int) -> tuple[Tensor, Tensor]:
    """Training data ``(N, ...)``, with what is wrong with them, and sound unseen data ``(1000, ...)`` to judge by."""
    stream = torch.Generator().manual_seed(1000 + seed)
    x = SOUND[setup.data](stream)
    x = x[torch.randperm(len(x), generator=stream)]
    held = min(1000, len(x) // 4)
    unseen, x = x[:held], x[held:].clone()
    if setup.count:
        x = x[: setup.count]
    x, unseen = setup.scale * x, setup.scale * unseen
    if setup.repeated:
        x[torch.rand(len(x), generator=stream) < setup.repeated] = x[0].clone()
    if setup.spoiled:
        x[torch.rand(len(x), generator=stream) < setup.spoiled, 0] = math.nan
    return x, unseen


def images(stream: torch.Generator) -> Tensor:
    """Digits ``(1797, 64)`` in [-1, 1]."""
    return torch.from_numpy(load_digits().data).float() / 8.0 - 1.0


def ring(stream: torch.Generator) -> Tensor:
    """Points ``(10000, 2)``: eight normal distributions on a circle."""
    angle = torch.randint(0, 8, (10_000,), generator=stream) * math.pi / 4
    centre = torch.stack([angle.cos(), angle.sin()], 1)
    return (centre + 0.05 * torch.randn(len(centre), 2, generator=stream)) / 0.7


def series(stream: torch.Generator) -> Tensor:
    """Noisy sines as vectors ``(5000, 32)``."""
    t, n = torch.linspace(0, 1, 32), 5000
    cycles = 1.0 + 2.0 * torch.rand(n, 1, generator=stream)
    phase = 2 * math.pi * torch.rand(n, 1, generator=stream)
    return (2 * math.pi * cycles * t + phase).sin() + 0.1 * torch.randn(n, 32, generator=stream)


def vectors(stream: torch.Generator) -> Tensor:
    """Five clusters ``(8000, 16)``."""
    fixed = torch.Generator().manual_seed(0)
    centres, mixing = 1.5 * torch.randn(5, 16, generator=fixed), 0.15 * torch.randn(16, 16, generator=fixed)
    which = torch.randint(0, 5, (8000,), generator=stream)
    x = centres[which] + (torch.randn(8000, 16, generator=stream) @ mixing)
    return (x - x.mean(0)) / x.std(0)


def figures(stream: torch.Generator) -> Tensor:
    """Images ``(4000, 1, 16, 16)`` in [-1, 1]: a disc, a ring, a bar or a cross, somewhere, of some size."""
    n, place = 4000, torch.arange(16.0)
    y, x = place.view(1, 16, 1), place.view(1, 1, 16)
    cy, cx = (5.0 + 5.0 * torch.rand(2, n, 1, 1, generator=stream)).unbind(0)
    size = 2.5 + 2.0 * torch.rand(n, 1, 1, generator=stream)
    far = ((y - cy).square() + (x - cx).square()).sqrt()
    across, along = (y - cy).abs(), (x - cx).abs()
    bar = torch.maximum(across - 1.0, along - size)
    shapes = torch.stack(
        [far - size, (far - size).abs() - 1.0, bar, torch.minimum(bar, torch.maximum(along - 1.0, across - size))]
    )
    which = torch.randint(0, 4, (n,), generator=stream)
    return torch.tanh(-1.5 * shapes[which, torch.arange(n)]).unsqueeze(1)


def waves(stream: torch.Generator) -> Tensor:
    """Series ``(5000, 16, 2)``: an oscillation that fades, and its running sum, which wanders."""
    t, n = torch.arange(16.0), 5000
    period, phase, fading = (
        5.0 + 7.0 * torch.rand(n, 1, generator=stream),
        6.3 * torch.rand(n, 1, generator=stream),
        0.08,
    )
    first = torch.exp(-fading * torch.rand(n, 1, generator=stream) * t) * (2 * math.pi * t / period + phase).sin()
    first = first + 0.05 * torch.randn(n, 16, generator=stream)
    second = first.cumsum(1) + 0.2 * torch.randn(n, 16, generator=stream).cumsum(1)
    return torch.stack([first / first.std(), second / second.std()], 2)


def skewed(stream: torch.Generator) -> Tensor:
    """Rows ``(8000, 12)`` as of a table: nine correlated skewed columns, three of them with two values."""
    fixed = torch.Generator().manual_seed(7)
    x = torch.randn(8000, 12, generator=stream) @ torch.randn(12, 12, generator=fixed)
    x = x / x.std(0)
    x[:, :5] = torch.sinh(0.8 * x[:, :5] + 0.6)
    x[:, 9:] = (x[:, 9:] > 0.4).float()
    return (x - x.mean(0)) / x.std(0)


def tones(stream: torch.Generator) -> Tensor:
    """Waves ``(5000, 1, 32)``: two partials that rise, fade and glide, and a little hiss."""
    t, n = torch.linspace(0, 1, 32), 5000
    pitch, glide = (low + wide * torch.rand(n, 1, generator=stream) for low, wide in ((2.0, 3.0), (-1.0, 2.0)))
    phase = 2 * math.pi * (pitch * t + 0.5 * glide * t.square() + torch.rand(n, 1, generator=stream))
    attack, fade = 0.05 + 0.2 * torch.rand(n, 1, generator=stream), 1.0 + 3.0 * torch.rand(n, 1, generator=stream)
    loud = (1 - torch.exp(-t / attack)) * torch.exp(-fade * t)
    x = loud * (phase.sin() + 0.5 * torch.rand(n, 1, generator=stream) * (2 * phase).sin())
    x = x + 0.01 * torch.randn(n, 32, generator=stream)
    return (x / x.abs().max() / 0.6).clamp(-1, 1).unsqueeze(1)


def paths(stream: torch.Generator) -> Tensor:
    """Series ``(5000, 8, 2)`` in [-1, 1]: balls that start in one corner and are reflected by the walls of a square."""
    t, n = torch.arange(8.0).view(1, 8, 1), 5000
    start, speed = torch.rand(n, 1, 2, generator=stream) * 0.5, 0.1 + 0.2 * torch.rand(n, 1, 2, generator=stream)
    there = (start + speed * t) % 2.0
    x = torch.where(there > 1.0, 2.0 - there, there) + 0.02 * torch.randn(n, 8, 2, generator=stream)
    return 1.8 * (x - 0.5).clamp(-0.55, 0.55)


def surfaces(stream: torch.Generator) -> Tensor:
    """Rows ``(6000, 10)``: a roll and a bowl in three dimensions, turned into ten, with heavy-tailed noise."""
    fixed, n = torch.Generator().manual_seed(11), 6000
    u, v = torch.rand(2, n, generator=stream).unbind(0)
    angle = 1.5 * math.pi * (1 + 2 * u)
    roll = torch.stack([angle * angle.cos() / 8, 2 * v - 1, angle * angle.sin() / 8], 1)
    bowl = torch.stack([4 * u - 2, 4 * v - 2, (2 * u - 1).square() + (2 * v - 1).square() + 1.5], 1)
    x = torch.where(torch.rand(n, 1, generator=stream) < 0.6, roll, bowl) @ torch.randn(3, 10, generator=fixed)
    heavy = torch.randn(n, 10, generator=stream) / (0.2 + torch.rand(n, 1, generator=stream))
    x = x + 0.05 * heavy
    return (x - x.mean(0)) / x.std(0)


SOUND = {
    "images": images, "ring": ring, "series": series, "vectors": vectors,
    "figures": figures, "waves": waves, "skewed": skewed,
    "tones": tones, "paths": paths, "surfaces": surfaces,
}  # fmt: skip
"""Sound data by name."""
