"""Networks over rows of fields: trunk, encoder and decoder of tables; and rows from the decoder's distributions.

The same interface as :mod:`aegan.nn.dense`. A row's values enter as vectors, one for each, and leave as the logits of
all values of each field.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aegan.nn.fields import FieldEmbedding
from aegan.nn.init import activation, linear
from aegan.nn.mlp import ResidualLayer
from aegan.types import Field

EMBEDDING = 16
"""Length of a value's vector."""
ABSENT = -1e4
"""Logit beyond a field's own values: no probability in any precision, and no infinity to make NaN of."""


class RowTrunk(nn.Module):
    """Rows ``(B, F)`` to features ``(B, hidden)``."""

    def __init__(self, fields: Sequence[Field], *, hidden: int, blocks: int) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(fields, EMBEDDING)
        self.stem = linear(len(fields) * EMBEDDING, hidden)
        self.layers = nn.ModuleList(ResidualLayer(hidden) for _ in range(blocks))
        self.features = hidden

    def maps(self, x: Tensor) -> list[Tensor]:
        """The features after every layer, first layer first; also of the values' vectors ``(B, F, EMBEDDING)``."""
        h = self.stem((x if x.ndim == 3 else self.embedding(x)).flatten(1))
        maps = []
        for layer in self.layers:
            h = layer(h)
            maps.append(h)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x)[-1]


class RowEncoder(nn.Module):
    """Rows ``(B, F)`` to codes ``(B, D)``."""

    def __init__(self, fields: Sequence[Field], latent_dim: int, *, hidden: int, blocks: int) -> None:
        super().__init__()
        self.trunk = RowTrunk(fields, hidden=hidden, blocks=blocks)
        self.head = linear(hidden, latent_dim)

    def from_maps(self, maps: list[Tensor]) -> Tensor:
        """Codes from the trunk's features, where those are at hand already."""
        return self.head(activation(maps[-1]))

    def forward(self, x: Tensor) -> Tensor:
        return self.from_maps(self.trunk.maps(x))


class RowHeads(nn.Module):
    """Codes ``(B, D)`` to logits ``(B, F, V)``, V values of the largest field; :data:`ABSENT` beyond a field's own.

    The last layer has an output for each value there is, so that one large field does not make the others dear.
    """

    places: Tensor

    def __init__(self, fields: Sequence[Field], latent_dim: int, *, hidden: int, blocks: int) -> None:
        super().__init__()
        largest = max(field.size for field in fields)
        self.shape = (len(fields), largest)
        self.stem = linear(latent_dim, hidden)
        self.layers = nn.Sequential(*(ResidualLayer(hidden) for _ in range(blocks)))
        # Values start nearly equally likely.
        self.head = linear(hidden, sum(field.size for field in fields), gain=0.1)
        places = torch.cat([i * largest + torch.arange(field.size) for i, field in enumerate(fields)])
        self.register_buffer("places", places, persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        own = self.head(activation(self.layers(self.stem(z))))
        padded = own.new_full((len(own), self.shape[0] * self.shape[1]), ABSENT)
        return padded.index_copy(1, self.places, own).view(-1, *self.shape)


def likeliest(logits: Tensor) -> Tensor:
    """The most likely value of each field, in its middle.

    Args:
        logits: ``(B, F, V)``.

    Returns:
        Rows ``(B, F)`` float32.

    >>> likeliest(torch.tensor([[[0.0, 2.0, 1.0]]])).tolist()
    [[1.5]]
    """
    return logits.argmax(2) + 0.5


def drawn(logits: Tensor, noise: Tensor) -> Tensor:
    """Values drawn from each field's distribution by its inverse; what is left of the chance is the place within.

    Args:
        logits: ``(B, F, V)``.
        noise: Standard normal, ``(B, F)``; its quantiles are the chances, so more of it is a later value.

    Returns:
        Rows ``(B, F)`` float32 of ``k + u``, u in [0, 1).

    >>> drawn(torch.zeros(1, 1, 2), torch.zeros(1, 1)).tolist(), drawn(torch.zeros(1, 1, 2), -torch.ones(1, 1)).item()
    ([[1.0]], 0.31731051206588745)
    """
    return from_chances(logits.double(), torch.special.ndtr(noise.double()))


def from_chances(logits: Tensor, chance: Tensor) -> Tensor:
    """Values ``k + u`` by the inverse of the cumulative probabilities, in the precision of ``logits``.

    Args:
        logits: ``(..., V)``.
        chance: Numbers of [0, 1], ``(...)``; what is left of one within its value's probability is ``u``.

    Returns:
        ``(...)`` float32.
    """
    return from_ends(logits.softmax(-1).cumsum(-1), chance)


def from_ends(ends: Tensor, chance: Tensor) -> Tensor:
    """As :func:`from_chances`, from cumulative probabilities ``(..., V)``."""
    # The last end is 1 but for rounding. Below it there is always a value that is not impossible; at it, none.
    last = ends[..., -1:]
    target = torch.minimum(chance[..., None] * last, torch.nextafter(last, torch.zeros_like(last)))
    k = torch.searchsorted(ends, target, right=True).clamp_(max=ends.shape[-1] - 1)
    high = ends.gather(-1, k)
    low = torch.where(k > 0, ends.gather(-1, (k - 1).clamp_(min=0)), 0.0)
    within = ((target - low) / (high - low).clamp_min(1e-30)).clamp_(0.0, 1.0)
    value = (k + within).float()
    # Rounded, a place at the very end would be the next value's.
    return torch.minimum(value, torch.nextafter((k + 1).float(), value.new_zeros(()))).squeeze(-1)
