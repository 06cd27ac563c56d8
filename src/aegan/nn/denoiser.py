"""Denoisers: noisy data and a context to clean data, with every resolution of the input at hand.

The context (noise, time, class) moves the features of every level; without it the same input would always give the same
output.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from aegan.nn.conv import ConvTrunk, ResidualBlock
from aegan.nn.init import activation, conv, linear
from aegan.nn.mlp import ResidualLayer


class ConvDenoiser(nn.Module):
    """Images ``(B, C, H, W)`` and a context ``(B, D)`` to images: a trunk down, and up again with skip connections."""

    def __init__(self, shape: tuple[int, ...], context_dim: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.trunk = ConvTrunk(shape, width=width, blocks=blocks)
        self.geometry = geometry = self.trunk.geometry
        dims = geometry.dims[::-1]
        total = blocks * len(dims)
        self.rise = nn.ModuleList(conv(a, 4 * b, 1) for a, b in zip(dims[:-1], dims[1:], strict=True))
        self.context = nn.ModuleList(linear(context_dim, dim) for dim in dims)
        self.blocks = nn.ModuleList(nn.Sequential(*(ResidualBlock(dim, total) for _ in range(blocks))) for dim in dims)
        # A block would start as the identity, and the context would move a constant: one convolution mixes both.
        self.mix = nn.ModuleList(conv(dim, dim, 3) for dim in dims)
        self.head = conv(dims[-1], geometry.channels * geometry.stem**2, 3, gain=0.5)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        maps = self.trunk.maps(x)[::-1]
        h = maps[0]
        for i, skip in enumerate(maps):
            if i:
                h = nn.functional.pixel_shuffle(self.rise[i - 1](h), 2) + skip
            h = self.blocks[i](self.mix[i](activation(h + self.context[i](context)[:, :, None, None])))
        out = self.head(activation(h))
        return self.geometry.crop(nn.functional.pixel_shuffle(out, self.geometry.stem))


class DenseDenoiser(nn.Module):
    """Vectors ``(B, *shape)`` and a context ``(B, D)`` to vectors."""

    def __init__(self, shape: tuple[int, ...], context_dim: int, *, hidden: int, blocks: int) -> None:
        super().__init__()
        self.shape = shape
        self.stem, self.context = linear(math.prod(shape), hidden), linear(context_dim, hidden)
        self.layers = nn.Sequential(*(ResidualLayer(hidden) for _ in range(blocks + 1)))
        self.head = linear(hidden, math.prod(shape))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        h = self.layers(activation(self.stem(x.flatten(1)) + self.context(context)))
        return self.head(activation(h)).view(-1, *self.shape)
