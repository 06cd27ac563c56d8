"""Where samples lie in time, which moves, distances and checks have to know of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aegan.augment.latent.neighbours import Stretches
from aegan.data.base import TensorData
from aegan.types import Spec


@dataclass(frozen=True)
class Extent:
    """Of the samples of a source.

    Attributes:
        stretches: Where windows lie in the series that they are cut from; None where samples are cut from nothing.
        length: Steps of each, int64 ``(N,)``, beyond which the last value is repeated as padding; None where all are of
            one length.
    """

    stretches: Stretches | None = None
    length: Tensor | None = None

    @classmethod
    def of(cls, spec: Spec, data: TensorData) -> Extent:
        """That of series; of other kinds, nothing."""
        if spec.kind != "series":
            return cls()
        origin, length = data.fields.get("origin"), data.fields.get("length")
        stretches = None
        if origin is not None:
            group, start = torch.as_tensor(origin[:]).long().unbind(1)
            stretches = Stretches(group, start, spec.shape[0])
        return cls(stretches, None if length is None else torch.as_tensor(length[:]).long().clamp_min(1))

    def steps(self, rows: Tensor, others: Tensor | None = None) -> Tensor | None:
        """Steps that count in a distance of the samples at ``rows`` and ``others`` ``(B,)``: those that both have."""
        if self.length is None:
            return None
        own = self.length[rows]
        return own if others is None else torch.minimum(own, self.length[others])

    def padded(self, x: Tensor, rows: Tensor) -> Tensor:
        """Decoded samples ``(B, T, C)`` of those at ``rows``, with padding as real ones have it.

        A model sees padding too: what it decodes there shall neither move a code when it is encoded again nor be learnt
        from.
        """
        if self.length is None:
            return x
        last = self.length[rows, None] - 1
        at = torch.arange(x.shape[1]).minimum(last)
        return x.gather(1, at[..., None].expand_as(x))
