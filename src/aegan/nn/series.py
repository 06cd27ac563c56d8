"""Encoders and decoders of whole time series ``(B, T, C)``: convolutional, recurrent, and with attention.

Each trunk's ``maps`` are features ``(B, D, T')``, the last one flat ``(B, features)``, so that whatever looks at the
features of an image's encoder looks at these in the same way.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from aegan.nn.gru import kernels
from aegan.nn.init import LEAKY_GAIN, activation, linear

_SHORTEST = 4
"""Steps below which a map is not halved further."""
_MAX_FACTOR = 4
"""Channels grow up to this many times the width."""
_HEAD = 16
"""Least length of an attention head."""


def _conv(inputs: int, outputs: int, kernel: int, *, gain: float = 1.0) -> nn.Conv1d:
    layer = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)
    with torch.no_grad():
        layer.weight.normal_(0.0, 1.0).mul_(gain / math.sqrt(inputs * kernel))
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


class _Block(nn.Module):
    """x + conv(act(conv(act(x)))), the branch starting at zero."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.second = _conv(dim, dim, 3, gain=LEAKY_GAIN), _conv(dim, dim, 3, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(activation(self.first(activation(x))))


class _Lengths:
    """Steps and channels of the maps of series of ``steps`` steps; each level halves the one before."""

    def __init__(self, steps: int, width: int) -> None:
        self.steps = steps
        self.levels = max(0, int(math.log2(max(1, steps / _SHORTEST))))
        self.padded = -(-steps // 2**self.levels) * 2**self.levels
        self.bottom = self.padded // 2**self.levels
        self.dims = [width * min(2**i, _MAX_FACTOR) for i in range(self.levels + 1)]


def _halved(h: Tensor) -> Tensor:
    """``(B, D, T)`` to ``(B, 2 D, T / 2)``: pairs of steps side by side."""
    return h.unflatten(2, (-1, 2)).transpose(2, 3).flatten(1, 2)


def _doubled(h: Tensor) -> Tensor:
    """Inverse of :func:`_halved`."""
    return h.unflatten(1, (-1, 2)).transpose(2, 3).flatten(2)


class SeriesConvTrunk(nn.Module):
    """Residual convolutions over the steps, at ever fewer of them."""

    def __init__(self, shape: tuple[int, ...], *, width: int, blocks: int) -> None:
        super().__init__()
        self.lengths = lengths = _Lengths(shape[0], width)
        levels = []
        for i, dim in enumerate(lengths.dims):
            enter = _conv(2 * lengths.dims[i - 1], dim, 1) if i else _conv(shape[1], dim, 3)
            levels.append(nn.Sequential(enter, *(_Block(dim) for _ in range(blocks))))
        self.levels = nn.ModuleList(levels)
        self.features = lengths.dims[-1] * lengths.bottom

    def maps(self, x: Tensor) -> list[Tensor]:
        """The map of every resolution, finest first, and the last one flat."""
        h = pad(x.transpose(1, 2), (0, self.lengths.padded - self.lengths.steps), mode="replicate")
        maps = []
        for i, level in enumerate(self.levels):
            h = level(_halved(h) if i else h)
            maps.append(h)
        return [*maps, h.flatten(1)]

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x)[-1]


class SeriesRecurrentTrunk(nn.Module):
    """A GRU in both directions; the features are its states' mean and largest values and its last states."""

    def __init__(self, shape: tuple[int, ...], *, width: int, blocks: int) -> None:
        super().__init__()
        hidden = 2 * width
        self.layers = nn.ModuleList(
            nn.GRU(2 * hidden if i else shape[1], hidden, batch_first=True, bidirectional=True) for i in range(blocks)
        )
        self.features = 6 * hidden

    def maps(self, x: Tensor) -> list[Tensor]:
        """The states of every layer, and the features."""
        h, maps, last = x, [], x
        # A penalty on the slope at x is differentiated twice in weights that learn.
        with kernels(self, twice=x.requires_grad and next(self.parameters()).requires_grad):
            for layer in self.layers:
                h, last = layer(h)
                maps.append(h.transpose(1, 2))
        ends = last.transpose(0, 1).flatten(1)
        return [*maps, torch.cat([h.mean(1), h.amax(1), ends], 1)]

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x)[-1]


class _Attention(nn.Module):
    """x + attention, then x + a perceptron at each step; both branches start at zero."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.heads = max(1, dim // _HEAD)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.into, self.out = linear(dim, 3 * dim), linear(dim, dim, gain=0.0)
        self.first, self.second = linear(dim, 2 * dim, gain=LEAKY_GAIN), linear(2 * dim, dim, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            self.into(self.norms[0](x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        )
        # Spelt out: torch's own kernel for a CPU has no second derivative, which penalties need.
        weights = (query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])).softmax(3)
        x = x + self.out((weights @ value).transpose(1, 2).flatten(2))
        return x + self.second(activation(self.first(self.norms[1](x))))


class _Places(nn.Module):
    """A learnt vector for each step, smooth over the steps at first."""

    def __init__(self, steps: int, dim: int) -> None:
        super().__init__()
        waves = torch.arange(steps)[:, None] / steps * torch.pi * torch.arange(1, dim + 1)
        self.vectors = nn.Parameter(torch.cos(waves + 2 * torch.pi * torch.rand(dim)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.vectors


class SeriesAttentionTrunk(nn.Module):
    """Attention over the steps; the features are the last vectors' mean and largest values."""

    def __init__(self, shape: tuple[int, ...], *, width: int, blocks: int) -> None:
        super().__init__()
        dim = _dim(width)
        self.stem, self.places = linear(shape[1], dim), _Places(shape[0], dim)
        self.layers = nn.ModuleList(_Attention(dim) for _ in range(blocks))
        self.features = 2 * dim

    def maps(self, x: Tensor) -> list[Tensor]:
        """The vectors behind every layer, and the features."""
        h, maps = self.places(self.stem(x)), []
        for layer in self.layers:
            h = layer(h)
            maps.append(h.transpose(1, 2))
        return [*maps, torch.cat([h.mean(1), h.amax(1)], 1)]

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x)[-1]


class SeriesEncoder(nn.Module):
    """Series ``(B, T, C)`` to codes ``(B, D)``."""

    def __init__(self, trunk: SeriesTrunk, latent_dim: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = linear(trunk.features, latent_dim)

    def from_maps(self, maps: list[Tensor]) -> Tensor:
        """Codes from the trunk's maps, where those are at hand already."""
        return self.head(activation(maps[-1]))

    def forward(self, x: Tensor) -> Tensor:
        return self.from_maps(self.trunk.maps(x))


class SeriesConvDecoder(nn.Module):
    """Codes ``(B, D)`` to series, by convolutions at ever more steps."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.lengths = lengths = _Lengths(shape[0], width)
        dims = lengths.dims[::-1]
        self.stem = linear(latent_dim, dims[0] * lengths.bottom)
        self.enter = nn.ModuleList(_conv(dims[i], 2 * dims[i + 1], 1) for i in range(len(dims) - 1))
        self.levels = nn.ModuleList(nn.Sequential(*(_Block(dim) for _ in range(blocks))) for dim in dims)
        # A small start: noise of full size in the first series takes many steps to unlearn.
        self.head = _conv(dims[-1], shape[1], 3, gain=0.1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.levels[0](self.stem(z).unflatten(1, (-1, self.lengths.bottom)))
        for enter, level in zip(self.enter, list(self.levels)[1:], strict=True):
            h = level(_doubled(enter(h)))
        return self.head(activation(h))[:, :, : self.lengths.steps].transpose(1, 2)


class SeriesRecurrentDecoder(nn.Module):
    """Codes ``(B, D)`` to series, by a GRU that sees code and place at every step."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, *, width: int, blocks: int) -> None:
        super().__init__()
        dim = 2 * width
        self.stem, self.places = linear(latent_dim, dim), _Places(shape[0], dim)
        self.layers = nn.GRU(dim, dim, num_layers=blocks, batch_first=True, bidirectional=True)
        self.head = linear(2 * dim, shape[1])

    def forward(self, z: Tensor) -> Tensor:
        with kernels(self):
            return self.head(self.layers(self.places(self.stem(z)[:, None]))[0])


class SeriesAttentionDecoder(nn.Module):
    """Codes ``(B, D)`` to series, by attention among places that all see the code."""

    def __init__(self, shape: tuple[int, ...], latent_dim: int, *, width: int, blocks: int) -> None:
        super().__init__()
        dim = _dim(width)
        self.stem, self.places = linear(latent_dim, dim), _Places(shape[0], dim)
        self.mix = linear(dim, dim, gain=LEAKY_GAIN)
        self.layers = nn.Sequential(*(_Attention(dim) for _ in range(blocks)))
        self.head = linear(dim, shape[1], gain=0.1)

    def forward(self, z: Tensor) -> Tensor:
        # Places and code meet in a product too: a sum of both could give each step no code of its own.
        code = self.stem(z)[:, None]
        return self.head(self.layers(self.mix(activation(self.places(code))) + code * self.places.vectors))


SeriesTrunk = SeriesConvTrunk | SeriesRecurrentTrunk | SeriesAttentionTrunk
SeriesDecoder = SeriesConvDecoder | SeriesRecurrentDecoder | SeriesAttentionDecoder
TRUNKS = {
    "convolutional": SeriesConvTrunk,
    "recurrent": SeriesRecurrentTrunk,
    "attention": SeriesAttentionTrunk,
}
DECODERS = {
    "convolutional": SeriesConvDecoder,
    "recurrent": SeriesRecurrentDecoder,
    "attention": SeriesAttentionDecoder,
}
SERIES_NETWORKS = tuple(TRUNKS)


def _dim(width: int) -> int:
    """Length of a step's vector: twice the width, in whole heads."""
    return max(1, 2 * width // _HEAD) * _HEAD
