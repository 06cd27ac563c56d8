"""Values of a table's fields as vectors: the first layer of every network that sees rows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aegan.types import Field


class FieldEmbedding(nn.Module):
    """Rows ``(B, F)`` of values ``k + u`` (see :class:`~aegan.types.Field`) to vectors ``(B, F, dim)``, without ``u``.

    The values of an ordered field start as a smooth curve rather than each by itself: neighbouring amounts mean nearly
    the same, and in a small table many of them occur but once.
    """

    offsets: Tensor
    largest: Tensor

    def __init__(self, fields: Sequence[Field], dim: int) -> None:
        super().__init__()
        sizes = [field.size for field in fields]
        self.dim = dim
        self.values = nn.Embedding(sum(sizes), dim)
        self.register_buffer("offsets", torch.tensor([0, *itertools.accumulate(sizes)][:-1]), persistent=False)
        self.register_buffer("largest", torch.tensor(sizes) - 1, persistent=False)
        with torch.no_grad():
            for field, part in zip(fields, self.values.weight.split(sizes), strict=True):
                part.normal_()
                if field.ordered:
                    part.copy_(_smooth(part))

    def index(self, x: Tensor) -> Tensor:
        """Values ``(B, F)`` as int64 from 0; whatever lies outside a field is taken to its nearest value."""
        return x.long().clamp_(min=0).minimum(self.largest)

    def forward(self, x: Tensor) -> Tensor:
        return self.values(self.index(x) + self.offsets)


def _smooth(rows: Tensor) -> Tensor:
    """A curve through random directions at as many waves as dimensions, and a little of the rows' own noise."""
    size, dim = rows.shape
    place = torch.arange(size) / max(1, size - 1)
    waves = torch.cos(torch.pi * place[:, None] * (torch.arange(dim) + 1) / 2 + 2 * torch.pi * torch.rand(dim))
    return waves * 2**0.5 + 0.3 * rows
