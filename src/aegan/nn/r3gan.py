"""R3GAN's networks: inverted bottlenecks with grouped convolutions, bilinear resampling, and no normalisation.

Reference: Huang et al. 2024, "The GAN is dead; long live the GAN!" (arXiv 2501.05441). A block widens its map by a 1x1
convolution, mixes neighbours by a grouped 3x3 one and narrows it by another 1x1; a bias and a leaky ReLU stand before
each of the latter two. Every block is the identity at the start, and its first two layers shrink with the number of
blocks (Fixup, arXiv 1901.09321). The generator starts from a learnt 4x4 map whose channels the noise scales; the
discriminator ends with a convolution as large as its coarsest map, channel by channel.

What differs: the maps' channels grow to four times the width, where the paper names each; the coarsest map has the
data's proportions; a block where groups of 16 channels do not come out even has the largest ones below that do; and the
discriminator's logit comes from a hidden layer, as with every trunk here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, pad

from aegan.nn.conv import Geometry
from aegan.nn.init import LEAKY_GAIN, activation, conv, linear

EXPANSION = 2
"""Channels within a block for each of its map's."""
GROUP = 16
"""Channels of a group, at most."""
_MAX_FACTOR = 4
"""Channels of a map grow up to this many times the width."""


class R3Block(nn.Module):
    """x + a branch of 1x1, grouped 3x3 and 1x1 convolutions, which starts at zero.

    Args:
        dim: Channels of the map.
        depth: Blocks of the whole network, by which the branch's first layers shrink.
    """

    def __init__(self, dim: int, depth: int) -> None:
        super().__init__()
        inner, gain = EXPANSION * dim, LEAKY_GAIN * depth**-0.25
        # The bias before each activation is that of the convolution before it.
        self.widen = conv(dim, inner, 1, gain=gain)
        self.mix = conv(inner, inner, 3, gain=gain, groups=inner // math.gcd(inner, GROUP))
        self.narrow = conv(inner, dim, 1, gain=0.0, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(activation(self.mix(activation(self.widen(x)))))


class Halve(nn.Module):
    """Maps ``(B, D, H, W)`` to ``(B, D, H / 2, W / 2)`` by the tent filter, the transpose of bilinear doubling."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        tent = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8.0
        self.register_buffer("kernel", torch.outer(tent, tent), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel.to(x.dtype).expand(x.shape[1], 1, -1, -1)
        return conv2d(pad(x, (1, 1, 1, 1), mode="replicate"), kernel, stride=2, groups=x.shape[1])


class Double(nn.Module):
    """Maps ``(B, D, H, W)`` to ``(B, D, 2 H, 2 W)``, interpolated bilinearly."""

    def forward(self, x: Tensor) -> Tensor:
        return interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class R3Trunk(nn.Module):
    """Images ``(B, C, H, W)`` to features ``(B, D)``."""

    def __init__(self, shape: tuple[int, ...], *, width: int, blocks: int) -> None:
        super().__init__()
        self.geometry = geometry = Geometry(shape, width)
        dims = _channels(geometry, width)
        levels = []
        for i, dim in enumerate(dims):
            enter = [Halve(), *_matched(dims[i - 1], dim)] if i else [conv(geometry.channels, dim, 1, bias=False)]
            levels.append(nn.Sequential(*enter, *(R3Block(dim, blocks * len(dims)) for _ in range(blocks))))
        self.levels = nn.ModuleList(levels)
        self.basis = nn.Conv2d(dims[-1], dims[-1], geometry.bottom, groups=dims[-1], bias=False)
        nn.init.normal_(self.basis.weight, std=math.prod(geometry.bottom) ** -0.5)
        self.features = dims[-1]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def maps(self, x: Tensor) -> list[Tensor]:
        """The feature map of every resolution, finest first, and the features."""
        h, maps = self.geometry.pad(x).contiguous(memory_format=torch.channels_last), []
        for level in self.levels:
            h = level(h)
            maps.append(h)
        return [*maps, self.basis(h).flatten(1)]

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x)[-1]


class R3Decoder(nn.Module):
    """Codes ``(B, D)`` to images ``(B, C, H, W)``; no tanh, so the values may leave [-1, 1] a little."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.geometry = geometry = Geometry(shape, width)
        dims = _channels(geometry, width)[::-1]
        self.basis = nn.Parameter(torch.randn(dims[0], *geometry.bottom))
        self.stem = linear(latent_dim, dims[0])
        layers: list[nn.Module] = []
        for i, dim in enumerate(dims):
            layers += [*_matched(dims[i - 1], dim), Double()] if i else []
            layers += [R3Block(dim, blocks * len(dims)) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers, conv(dims[-1], geometry.channels, 1, bias=False))
        self.layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, z: Tensor) -> Tensor:
        x = self.basis * self.stem(z)[:, :, None, None]
        return self.geometry.crop(self.layers(x.contiguous(memory_format=torch.channels_last)))


def _channels(geometry: Geometry, width: int) -> list[int]:
    return [width * min(2**i, _MAX_FACTOR) for i in range(geometry.levels + 1)]


def _matched(inputs: int, outputs: int) -> list[nn.Module]:
    """A 1x1 convolution where the channels change."""
    return [] if inputs == outputs else [conv(inputs, outputs, 1, bias=False)]
