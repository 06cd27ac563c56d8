"""A batch cut into shards: over the processes of a group, and within each, one after the other.

Gradients, running statistics and recorded values are averaged over the shards, each weighted by its samples; counters,
and state that jumps (a codebook's), are the first shard's. A shard's
random numbers depend on seed, step, phase and shard alone, so that two processes do to rounding what one process does
with two shards (Goyal et al. 2017, arXiv 1706.02677, for the averaging). What a loss measures over its batch (a
discrepancy, a spread) it measures over its shard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from aegan.errors import ConfigError

Buffers = Sequence[tuple[Tensor, bool]]
"""Buffers, and whether their change is averaged over the shards; of the others the first shard's is taken."""
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
        self._weights: list[float] = []
        self._device = torch.device("cpu")

    def check(self, batch_sizes: Sequence[int], device: torch.device) -> None:
        """Refuse what cannot be cut, before anything is trained.

        Raises:
            ConfigError: A batch of fewer than two samples a shard.
        """
        self._device = device
        if self.total > 1 and min(batch_sizes) < 2 * self.total:
            raise ConfigError(
                f"A batch of {min(batch_sizes)} cannot be cut into {self.total} shards ({self.world} processes, "
                f"accumulate={self.accumulate}): at least two samples each are needed. Raise that stage's batch size, "
                "or use fewer."
            )

    def parts(self, index: Tensor) -> Sequence[Tensor]:
        """This process's parts of a batch's ``index``; all of it where nothing is cut."""
        if self.total == 1:
            return (index,)
        return index.tensor_split(self.total)[self.rank * self.accumulate : (self.rank + 1) * self.accumulate]

    def of(self, index: Tensor, step: int, phase: int, buffers: Buffers) -> Iterator[tuple[Tensor, float]]:
        """This process's parts of a batch's ``index`` and the weight of each; the weights of all processes sum to 1.

        Every part begins with the ``buffers`` as they are now, and with random numbers of its own.
        """
        if self.total == 1:
            yield index, 1.0
            return
        self._start, self._ends, self._weights = [b.detach().clone() for b, _ in buffers], [], []
        for shard, part in enumerate(self.parts(index), self.rank * self.accumulate):
            place = zip(_PRIMES, (step, phase, shard), strict=True)
            torch.manual_seed((self.seed * 7_919 + sum(p * (value + 1) for p, value in place)) % (2**63))
            for (buffer, _), value in zip(buffers, self._start, strict=True):
                buffer.copy_(value)
            self._weights.append(len(part) / len(index))
            yield part, self._weights[-1]
            self._ends.append([b.detach().clone() for b, _ in buffers])

    @torch.no_grad()
    def join(self, gradients: Sequence[Tensor], buffers: Buffers, values: dict[str, float]) -> dict[str, float]:
        """Sum weighted gradients in place over the processes, average the buffers, and return the values' sums.

        All of it goes in one message. Values come from float32 losses and are summed in float32 between processes.
        """
        if self.total == 1:
            return values
        own = [self._own(i, averaged) for i, (_, averaged) in enumerate(buffers)]
        sums = torch.tensor(list(values.values()), dtype=torch.float32, device=self._device)
        if self.world > 1:
            # What the first process alone has to say is exact as a sum with zeros; integers go as bytes.
            told = [_floats(o) for o in own]
            for part, (_, averaged) in zip(told, buffers, strict=True):
                if self.rank and not averaged:
                    part.zero_()
            _sum([*gradients, *told, sums])
            for one, part in zip(own, told, strict=True):
                one.copy_(_restored(part, one))
            values = dict(zip(values, sums.tolist(), strict=True))
        for (buffer, averaged), start, one in zip(buffers, self._start, own, strict=True):
            buffer.copy_(start + one if averaged else one)
        return values

    def _own(self, i: int, averaged: bool) -> Tensor:
        """This process's part of the change of buffer ``i``, or its first shard's value where it is not averaged."""
        if not averaged:
            return self._ends[0][i].clone()
        # The change is averaged, so that what does not change stays the same to the bit.
        change = torch.zeros_like(self._start[i])
        for weight, end in zip(self._weights, self._ends, strict=True):
            change += weight * (end[i] - self._start[i])
        return change

    @torch.no_grad()
    def agree_on(self, module: nn.Module) -> None:
        """Weights and buffers of the first process, in all of them."""
        if self.world > 1:
            for tensor in module.state_dict().values():
                dist.broadcast(tensor, 0)

    def agree(self, progress: float, stop: bool) -> tuple[float, bool]:
        """The first process's progress, and whether any is to stop: clocks and signals differ, decisions must not."""
        if self.world == 1:
            return progress, stop
        told = torch.tensor([0.0 if self.rank else progress, float(stop)], dtype=torch.float64)
        dist.all_reduce(told)
        return float(told[0]), bool(told[1])


def _sum(tensors: Sequence[Tensor]) -> None:
    """Sum over the processes in place, in one message a type of number."""
    for dtype in dict.fromkeys(t.dtype for t in tensors):
        alike = [t for t in tensors if t.dtype == dtype]
        flat = torch.cat([t.flatten() for t in alike])
        dist.all_reduce(flat)
        for t, part in zip(alike, flat.split([t.numel() for t in alike]), strict=True):
            t.copy_(part.view_as(t))


def _floats(tensor: Tensor) -> Tensor:
    """A copy of floats; of anything else its bytes, each as a float32, which holds them exactly."""
    return tensor.clone() if tensor.is_floating_point() else tensor.flatten().view(torch.uint8).float()


def _restored(floats: Tensor, like: Tensor) -> Tensor:
    """What ``_floats`` made of a tensor ``like`` this one."""
    return floats if like.is_floating_point() else floats.to(torch.uint8).view(like.dtype).view_as(like)


def buffers_of(modules: Sequence[nn.Module]) -> Buffers:
    """Buffers of ``modules``; those of a module that says ``averaged = False``, and integers, are not averaged."""
    found = []
    for module in modules:
        for part in module.modules():
            averaged = getattr(part, "averaged", True)
            found += [(b, averaged and b.is_floating_point()) for b in part.buffers(recurse=False)]
    return found
