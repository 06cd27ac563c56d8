"""Where samples lie in time, which moves, distances and checks have to know of."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from aegan.augment.latent.neighbours import Stretches
from aegan.data.base import TensorData
from aegan.types import Spec


@dataclass(frozen=True)
class Extent:
    """Of the samples of a source.

    Attributes:
        stretches: Where windows lie in the series that they are cut from; None where samples are cut from nothing.
    """

    stretches: Stretches | None = None

    @classmethod
    def of(cls, spec: Spec, data: TensorData) -> Extent:
        """That of series; of other kinds, nothing."""
        if spec.kind != "series":
            return cls()
        origin = data.fields.get("origin")
        if origin is None:
            return cls()
        group, start = torch.as_tensor(origin[:]).long().unbind(1)
        return cls(stretches=Stretches(group, start, spec.shape[0]))
