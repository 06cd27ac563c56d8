"""Residual multilayer perceptrons over flat vectors: trunk, encoder and decoder.

The same interface as the convolutional networks of :mod:`aegan.nn.conv`, for data that have no grid.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from aegan.nn.init import activation, linear
from aegan.nn.mlp import ResidualLayer
from aegan.nn.octaves import Octaves


class DenseTrunk(nn.Module):
    """Data ``(B, *shape)`` to features ``(B, hidden)``; shared by encoder and discriminator.

    ``octaves`` are those of :class:`~aegan.nn.octaves.Octaves`; 0 for none.
    """

    def __init__(self, shape: tuple[int, ...], *, hidden: int, blocks: int, octaves: int = 0) -> None:
        super().__init__()
        self.octaves = Octaves(octaves) if octaves else None
        values = math.prod(shape)
        self.stem = linear(values if self.octaves is None else self.octaves.widened(values), hidden)
        self.layers = nn.ModuleList(ResidualLayer(hidden) for _ in range(blocks))
        self.features = hidden

    def maps(self, x: Tensor) -> list[Tensor]:
        """The features after every layer, first layer first."""
        x = x.flatten(1)
        h = self.stem(x if self.octaves is None else self.octaves(x))
        maps = []
        for layer in self.layers:
            h = layer(h)
            maps.append(h)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x)[-1]


class DenseEncoder(nn.Module):
    """Data ``(B, *shape)`` to codes ``(B, D)``."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, *, hidden: int, blocks: int) -> None:
        super().__init__()
        self.trunk = DenseTrunk(shape, hidden=hidden, blocks=blocks)
        self.head = linear(hidden, latent_dim)

    def from_maps(self, maps: list[Tensor]) -> Tensor:
        """Codes from the trunk's features, where those are at hand already."""
        return self.head(activation(maps[-1]))

    def forward(self, x: Tensor) -> Tensor:
        return self.from_maps(self.trunk.maps(x))


class DenseDecoder(nn.Module):
    """Codes ``(B, D)`` to data ``(B, *shape)``."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, *, hidden: int, blocks: int) -> None:
        super().__init__()
        self.shape = shape
        self.stem = linear(latent_dim, hidden)
        self.layers = nn.Sequential(*(ResidualLayer(hidden) for _ in range(blocks)))
        self.head = linear(hidden, math.prod(shape))

    def forward(self, z: Tensor) -> Tensor:
        return self.head(activation(self.layers(self.stem(z)))).view(-1, *self.shape)
