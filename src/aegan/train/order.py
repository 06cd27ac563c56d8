"""The order of the data: a pure function of seed and draw, so that a resumed run needs no stored state."""

from __future__ import annotations

import torch
from torch import Tensor


class BatchOrder:
    """Shuffled passes over ``n`` samples, cut into batches of ``batch_size`` across the passes' ends.

    Args:
        n: Samples in the data set.
        batch_size: Samples a batch; may exceed ``n``.
        seed: Pass ``e`` is shuffled by ``(seed, e)`` alone.
    """

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        self.n, self.batch_size, self.seed = n, batch_size, seed
        self._passes: dict[int, Tensor] = {}

    def index(self, draw: int) -> Tensor:
        """Indices ``(batch_size,)`` int64 of batch number ``draw``."""
        start, end = draw * self.batch_size, (draw + 1) * self.batch_size
        parts = []
        while start < end:
            number, offset = divmod(start, self.n)
            take = min(self.n - offset, end - start)
            parts.append(self._pass(number)[offset : offset + take])
            start += take
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _pass(self, number: int) -> Tensor:
        if number not in self._passes:
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % (2**63))
            # A batch spans two passes at most unless it is larger than the data; older ones can go.
            self._passes = {k: v for k, v in self._passes.items() if k >= number - 1}
            self._passes[number] = torch.randperm(self.n, generator=generator)
        return self._passes[number]
