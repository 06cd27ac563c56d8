"""The grids of samples that are drawn while a run goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from aegan.data import make_grid
from aegan.data.base import TensorData
from aegan.models.base import Model, in_blocks, noise_for
from aegan.nn.constraints import as_it_stands
from aegan.storage import write_atomically
from aegan.train.backend import Backend

GRID = 64
"""Samples in a grid over time."""


def drawer(network: Model, train: TensorData, backend: Backend) -> Callable[[], Tensor]:
    """Draws the grid over time: samples from fixed noise, or reconstructions where there is no generator."""
    classes = network.spec.num_classes if network.conditional else 0

    def draw() -> Tensor:
        if network.noise_dim == 0:
            x = train.batch(torch.arange(min(GRID, len(train))))["x"]
            return in_blocks(lambda b: network.decode(network.encode(b)), x, device=backend.device)
        y = torch.arange(GRID) * classes // GRID if classes else None
        with as_it_stands(network):
            return in_blocks(network.generate, noise_for(0, GRID, network.noise_dim), y, device=backend.device)

    return draw


def write_grid(images: Tensor, path: Path) -> None:
    """Save a grid of images ``(N, C, H, W)`` in [-1, 1]."""
    write_atomically(path, lambda p: make_grid(images.clamp(-1, 1)).save(p, format="PNG"))
