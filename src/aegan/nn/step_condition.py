"""What a series is given, its class and attributes, as one vector for the networks of its steps."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from aegan.errors import ConfigError
from aegan.nn.fields import FieldEmbedding
from aegan.nn.init import class_embedding, linear
from aegan.types import Field

_FIELD = 8
"""Length of the vector of one attribute."""


class StepCondition(nn.Module):
    """Classes ``(B,)`` and rows of attributes ``(B, F)`` to a vector ``(B, dim)``.

    Args:
        classes: How many there are; 0: none.
        fields: The attributes; none if empty.
        dim: Length of the vector.
    """

    def __init__(self, classes: int, fields: Sequence[Field], dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.classes = class_embedding(classes, dim) if classes else None
        self.fields = FieldEmbedding(fields, _FIELD) if fields else None
        self.mix = linear(_FIELD * len(fields), dim) if fields else None

    def forward(self, y: Tensor | None, static: Tensor | None) -> Tensor:
        """The vector; ConfigError where neither is given."""
        out: Tensor | None = None
        if self.classes is not None and y is not None:
            # Rows of the embedding are short; the factor gives each number unit variance.
            out = self.classes(y) * self.dim**0.5
        if self.fields is not None and self.mix is not None and static is not None:
            mixed = self.mix(self.fields(static).flatten(1))
            out = mixed if out is None else out + mixed
        if out is None:
            raise ConfigError("These series have classes or attributes; expected them beside the series.")
        return out
