"""Convolutional trunk, encoder and decoder for images of any size from 8x8.

Residual blocks without normalisation, and pixel (un)shuffle with a 1x1 convolution for every change of
resolution: transposed and strided convolutions are slow on a CPU, these are plain matrix products.
Images whose sides are not multiples of the down-sampling factor are padded by their edge and cropped back.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from aegan.nn.init import LEAKY_GAIN, activation, conv, linear

MIN_SIDE = 8
"""Smallest image side the networks take, in pixels."""
_SMALLEST_MAP = 4
_MAX_FACTOR = 4
"""Channels grow up to this many times the width."""


class Geometry:
    """Sizes of the feature maps for images ``(C, H, W)`` at a given width.

    The map is halved while both sides stay at 4 or more. Above 16 pixels the stem makes the first halving itself,
    above 40 pixels the first two: at full resolution the cost of a step would lie there, and on a CPU the number of
    steps decides.
    """

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        self.channels, self.height, self.width = shape
        side = min(self.height, self.width)
        self.levels = max(1, int(math.log2(side / _SMALLEST_MAP)))
        factor = 2**self.levels
        self.padded = (-(-self.height // factor) * factor, -(-self.width // factor) * factor)
        self.bottom = (self.padded[0] // factor, self.padded[1] // factor)
        self.stem = 1 if side <= 16 else 2 if side <= 40 else 4
        first = self.stem.bit_length() - 1
        self.dims = [width * min(2**i, _MAX_FACTOR) for i in range(self.levels - first + 1)]

    def pad(self, x: Tensor) -> Tensor:
        """Pad ``(B, C, H, W)`` at the right and bottom edge to the padded size."""
        right, bottom = self.padded[1] - self.width, self.padded[0] - self.height
        return nn.functional.pad(x, (0, right, 0, bottom), mode="replicate") if right or bottom else x

    def crop(self, x: Tensor) -> Tensor:
        """Undo :meth:`pad`."""
        return x[..., : self.height, : self.width]


class ResidualBlock(nn.Module):
    """x + conv(act(conv(act(x)))), the branch starting at zero."""

    def __init__(self, dim: int, depth: int) -> None:
        super().__init__()
        self.first = conv(dim, dim, 3, gain=LEAKY_GAIN * depth**-0.25)
        self.second = conv(dim, dim, 3, gain=0.0, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(activation(self.first(activation(x))))


class ConvTrunk(nn.Module):
    """Images ``(B, C, H, W)`` to a feature map ``(B, dim, h, w)``; shared by encoder and discriminator."""

    def __init__(self, shape: tuple[int, ...], *, width: int, blocks: int) -> None:
        super().__init__()
        self.geometry = geometry = Geometry(shape, width)
        dims, total = geometry.dims, blocks * len(geometry.dims)
        levels = []
        for i, dim in enumerate(dims):
            layers: list[nn.Module] = [nn.PixelUnshuffle(2 if i else geometry.stem)]
            layers.append(conv(4 * dims[i - 1], dim, 1) if i else conv(geometry.channels * geometry.stem**2, dim, 3))
            levels.append(nn.Sequential(*layers, *(ResidualBlock(dim, total) for _ in range(blocks))))
        self.levels = nn.ModuleList(levels)
        self.features = dims[-1] * geometry.bottom[0] * geometry.bottom[1]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def maps(self, x: Tensor) -> list[Tensor]:
        """The feature map of every resolution, finest first."""
        h, maps = self.geometry.pad(x).contiguous(memory_format=torch.channels_last), []
        for level in self.levels:
            h = level(h)
            maps.append(h)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x)[-1]


class ConvEncoder(nn.Module):
    """Images ``(B, C, H, W)`` in [-1, 1] to codes ``(B, D)``."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.trunk = ConvTrunk(shape, width=width, blocks=blocks)
        self.head = linear(self.trunk.features, latent_dim)

    def from_maps(self, maps: list[Tensor]) -> Tensor:
        """Codes from the trunk's maps, where those are at hand already."""
        return self.head(activation(maps[-1]).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.from_maps(self.trunk.maps(x))


class ConvDecoder(nn.Module):
    """Codes ``(B, D)`` to images ``(B, C, H, W)``; no tanh, so the values may leave [-1, 1] a little."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.geometry = geometry = Geometry(shape, width)
        dims = geometry.dims[::-1]
        total = blocks * len(dims)
        self.bottom = (dims[0], *geometry.bottom)
        self.stem = linear(latent_dim, math.prod(self.bottom))
        layers: list[nn.Module] = []
        for i, dim in enumerate(dims):
            if i:
                layers += [conv(dims[i - 1], 4 * dim, 1), nn.PixelShuffle(2)]
            layers += [ResidualBlock(dim, total) for _ in range(blocks)]
        # A small start: noise of full size in the first images takes many steps to unlearn.
        layers += [nn.LeakyReLU(0.2), conv(dims[-1], geometry.channels * geometry.stem**2, 3, gain=0.1)]
        if geometry.stem > 1:
            layers.append(nn.PixelShuffle(geometry.stem))
        self.layers = nn.Sequential(*layers)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, z: Tensor) -> Tensor:
        x = self.stem(z).view(-1, *self.bottom).contiguous(memory_format=torch.channels_last)
        return self.geometry.crop(self.layers(x))
