"""Gradients that a training step averages over its shards, with noise that belongs to a sample and not to a shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from aegan.config import TrainConfig
from aegan.models.base import Model
from aegan.train.backend import Backend
from aegan.train.shards import Buffers
from aegan.train.trainer import Trainer
from aegan.types import Samples

BATCH = 59
"""Uneven in two, three and four shards."""


class Still(TorchDispatchMode):
    """A sample's random numbers depend on its place in the whole batch and on the draws before it alone.

    What is drawn in another number than the shard's samples is the same in every shard; nothing is shuffled.
    """

    def __init__(self) -> None:
        super().__init__()
        self.begin(0, BATCH)

    def begin(self, first: int, number: int) -> None:
        """Samples ``first`` to ``first + number`` of the batch are a shard."""
        self.rows, self.draws = torch.arange(first, first + number), 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        out = func(*args, **(kwargs or {}))
        if name == "randperm":
            return torch.arange(len(out))
        kind = name.removesuffix("_").removesuffix("_like")
        if kind not in ("rand", "uniform", "randn", "normal", "randint", "bernoulli"):
            return out
        self.draws += 1
        generator = torch.Generator().manual_seed(self.draws)
        axis = list(out.shape).index(len(self.rows)) if len(self.rows) in out.shape else None
        shape = [BATCH if i == axis else size for i, size in enumerate(out.shape)]
        drawn = (torch.randn if kind in ("randn", "normal") else torch.rand)(shape, generator=generator)
        drawn = drawn if axis is None else drawn.index_select(axis, self.rows)
        if name == "bernoulli_":
            drawn = drawn < args[1]
        elif name == "bernoulli":
            drawn = drawn < args[0]
        elif name == "uniform_" and len(args) > 1:
            drawn = args[1] + (args[2] - args[1]) * drawn
        elif kind == "randint":
            low, high = (args[0], args[1]) if isinstance(args[1], int) else (0, args[0])
            drawn = (low + (high - low) * drawn).floor()
        return out.copy_(drawn)


class Keeps(torch.optim.SGD):
    """Leaves the weights as they are, so that every phase begins with the same."""

    def step(self, closure: Any = None) -> None:
        """Nothing."""


def gradients(
    model: Model, data: Samples, accumulate: int = 1, alone: tuple[int, int] | None = None
) -> dict[str, list[Tensor]]:
    """Averaged gradients of each phase, in a step of each stage with batches of ``BATCH``; weights and buffers stay.

    ``alone``: of these samples of the batch, from which to which, as if there were no others.
    """
    stages = [replace(stage, share=1.0, batch_size=BATCH) for stage in model.stages]
    config = TrainConfig(steps=len(stages), seed=3, grids=0, accumulate=accumulate)
    trainer, still, found = Trainer(model, data, config, Backend("cpu", "fp32"), stages=stages), Still(), {}
    of, join, phases = trainer.shards.of, trainer.shards.join, [p.name for s in stages for p in s.phases]
    before: list[Tensor] = []

    def placed(index: Tensor, step: int, phase: int, buffers: Buffers) -> Iterator[tuple[Tensor, float]]:
        before[:] = [b.clone() for b in model.buffers()]
        if alone is not None:
            still.begin(alone[0], alone[1] - alone[0])
            yield index[alone[0] : alone[1]], 1.0
            return
        sizes = [len(part) for part in index.tensor_split(trainer.shards.total)]
        shard = trainer.shards.rank * accumulate
        for part, weight in of(index, step, phase, buffers):
            still.begin(sum(sizes[:shard]), sizes[shard])
            yield part, weight
            shard += 1

    def joined(parts: Sequence[Tensor], buffers: Buffers, values: dict[str, float]) -> dict[str, float]:
        values = join(parts, buffers, values)
        found[phases[len(found)]] = [part.clone() for part in parts]
        for buffer, value in zip(model.buffers(), before, strict=True):
            buffer.copy_(value)
        return values

    trainer.shards.of, trainer.shards.join = placed, joined  # type: ignore[method-assign]
    trainer._optimizer = lambda phase: Keeps(trainer._of_phase[phase.name], lr=0.0)  # type: ignore[method-assign]
    with still:
        trainer.fit()
    return found


def furthest(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The distance between two gradients, as a part of the second's length."""
    gaps = torch.stack([(a.double() - b.double()).norm() for a, b in zip(found, expected, strict=True)])
    return float(gaps.norm() / torch.stack([b.double().norm() for b in expected]).norm().clamp(min=1e-12))
