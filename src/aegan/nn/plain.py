"""Networks without residual branches: the convolutional ones of DCGAN, and plain multilayer perceptrons.

Reference: Radford et al. 2016, "DCGAN" (arXiv 1511.06434): strided 4x4 convolutions, leaky ReLU in the discriminator,
ReLU and transposed convolutions in the generator, weights from N(0, .02²), BatchNorm in both where it is asked for.
On a CPU a transposed convolution is slower than the residual networks' pixel shuffle. Interfaces as in
:mod:`aegan.nn.conv` and :mod:`aegan.nn.dense`; ``blocks`` counts a perceptron's hidden layers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from aegan.nn.conv import Geometry
from aegan.nn.init import LEAK, LEAKY_GAIN, linear

_STD = 0.02
_MAX_FACTOR = 8
"""Channels grow up to this many times the width."""


class PlainConvTrunk(nn.Module):
    """Images ``(B, C, H, W)`` to a feature map: a strided convolution for each halving of the sides."""

    def __init__(self, shape: tuple[int, ...], *, width: int, normalised: bool = False) -> None:
        super().__init__()
        self.geometry = geometry = Geometry(shape, width)
        dims = [geometry.channels, *_channels(geometry, width)]
        levels = []
        for i, (inputs, outputs) in enumerate(zip(dims[:-1], dims[1:], strict=True)):
            norm = [nn.BatchNorm2d(outputs)] if normalised and i else []
            levels.append(nn.Sequential(_started(nn.Conv2d(inputs, outputs, 4, 2, 1)), *norm, nn.LeakyReLU(LEAK)))
        self.levels = nn.ModuleList(levels)
        self.features = dims[-1] * geometry.bottom[0] * geometry.bottom[1]

    def maps(self, x: Tensor) -> list[Tensor]:
        """The feature map of every resolution, finest first."""
        h, maps = self.geometry.pad(x), []
        for level in self.levels:
            h = level(h)
            maps.append(h)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x)[-1]


class PlainConvDecoder(nn.Module):
    """Codes ``(B, D)`` to images ``(B, C, H, W)`` in [-1, 1]."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, *, width: int, normalised: bool = False) -> None:
        super().__init__()
        self.geometry = geometry = Geometry(shape, width)
        dims = [*_channels(geometry, width)[::-1], geometry.channels]
        self.bottom = (dims[0], *geometry.bottom)
        self.stem = linear(latent_dim, math.prod(self.bottom))
        layers: list[nn.Module] = []
        for inputs, outputs in zip(dims[:-1], dims[1:], strict=True):
            layers += [nn.BatchNorm2d(inputs)] if normalised else []
            layers += [nn.ReLU(), _started(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1))]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.geometry.crop(self.layers(self.stem(z).view(-1, *self.bottom))))


class PlainDenseTrunk(nn.Module):
    """Data ``(B, *shape)`` to features ``(B, hidden)`` by layers of one width."""

    def __init__(self, shape: tuple[int, ...], *, hidden: int, blocks: int) -> None:
        super().__init__()
        widths = [math.prod(shape), *[hidden] * (blocks + 1)]
        self.layers = nn.ModuleList(
            nn.Sequential(linear(a, b, gain=LEAKY_GAIN), nn.LeakyReLU(LEAK))
            for a, b in zip(widths[:-1], widths[1:], strict=True)
        )
        self.features = hidden

    def maps(self, x: Tensor) -> list[Tensor]:
        """The features after every layer, first layer first."""
        h, maps = x.flatten(1), []
        for layer in self.layers:
            h = layer(h)
            maps.append(h)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x)[-1]


class PlainDenseDecoder(nn.Module):
    """Codes ``(B, D)`` to data ``(B, *shape)`` by layers of one width."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, *, hidden: int, blocks: int) -> None:
        super().__init__()
        self.shape = shape
        self.trunk = PlainDenseTrunk((latent_dim,), hidden=hidden, blocks=blocks)
        self.head = linear(hidden, math.prod(shape))

    def forward(self, z: Tensor) -> Tensor:
        return self.head(self.trunk(z)).view(-1, *self.shape)


def _channels(geometry: Geometry, width: int) -> list[int]:
    return [width * min(2**i, _MAX_FACTOR) for i in range(geometry.levels)]


def _started(layer: nn.Conv2d | nn.ConvTranspose2d) -> nn.Module:
    nn.init.normal_(layer.weight, std=_STD)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
