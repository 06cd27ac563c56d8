"""A batch cut into shards: over the processes of a group, and within each, one after the other.

Gradients, running statistics and recorded values are averaged over the shards, each weighted by its samples. A shard's
random numbers depend on seed, step, phase and shard alone, so that two processes do to rounding what one process does
with two shards (Goyal et al. 2017, arXiv 1706.02677, for the averaging). What a loss measures over its batch (a
discrepancy, a spread) it measures over its shard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from aegan.errors import ConfigError

_PRIMES = (1_000_003, 8_191, 127)


class Shards:
    """Which shards are this process's, and how their results become one.

    Args:
        accumulate: Shards that each process takes in turn.
        seed: The run's.

    Attributes:
        rank: This process, from 0; a group is found where ``torch.distributed`` was initialised.
        world: Processes.
        total: Shards in all; with 1 nothing is done and the global stream of random numbers is used.
    """

    def __init__(self, accumulate: int, seed: int) -> None:
        together = dist.is_available() and dist.is_initialized()
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
        self.accumulate, self.seed, self.total = accumulate, seed, self.world * accumulate
        self._start: list[Tensor] = []
        self._ends: list[list[Tensor]] = []

    def of(self, index: Tensor, step: int, phase: int, buffers: Sequence[Tensor]) -> Iterator[tuple[Tensor, float]]:
        """This process's parts of a batch's ``index`` and the weight of each; the weights of all processes sum to 1.

        Every part begins with the ``buffers`` as they are now, and with random numbers of its own.

        Raises:
            ConfigError: More shards than samples.
        """
        if self.total == 1:
            yield index, 1.0
            return
        if len(index) < self.total:
            raise ConfigError(
                f"A batch of {len(index)} cannot be cut into {self.total} shards ({self.world} processes, "
                f"accumulate={self.accumulate}). Raise the batch size, or use fewer."
            )
        parts = index.tensor_split(self.total)
        self._start, self._ends = [b.detach().clone() for b in buffers], []
        for shard in range(self.rank * self.accumulate, (self.rank + 1) * self.accumulate):
            place = zip(_PRIMES, (step, phase, shard), strict=True)
            torch.manual_seed((self.seed * 7_919 + sum(p * (value + 1) for p, value in place)) % (2**63))
            for buffer, value in zip(buffers, self._start, strict=True):
                buffer.copy_(value)
            yield parts[shard], len(parts[shard]) / len(index)
            self._ends.append([b.detach().clone() for b in buffers])

    @torch.no_grad()
    def join(
        self, gradients: Sequence[Tensor], buffers: Sequence[Tensor], values: dict[str, float]
    ) -> dict[str, float]:
        """Sum weighted gradients in place over the processes, average the buffers, and return the values' sums."""
        if self.total == 1:
            return values
        for i, buffer in enumerate(buffers):
            if buffer.is_floating_point():
                buffer.copy_(torch.stack([end[i] for end in self._ends]).sum(0) / self.total)
                self._sum([buffer])
            else:
                buffer.copy_(self._ends[0][i])
                if self.world > 1:
                    dist.broadcast(buffer, 0)
        self._sum(list(gradients))
        if self.world == 1:
            return values
        sums = torch.tensor(list(values.values()), dtype=torch.float64)
        dist.all_reduce(sums)
        return dict(zip(values, sums.tolist(), strict=True))

    def agree(self, value: float) -> float:
        """The first process's ``value``, in all of them: clocks and signals differ, decisions must not."""
        if self.world == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64)
        dist.broadcast(told, 0)
        return float(told)

    def _sum(self, tensors: list[Tensor]) -> None:
        """Sum over the processes in place, in one message."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([t.flatten() for t in tensors])
        dist.all_reduce(flat)
        for t, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            t.copy_(part.view_as(t))
