"""What processes tell each other at the end of a phase: one message, from which all take the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from aegan.train import shards
from aegan.train.shards import Shards

BIG = 2**40 + 1
"""More than a float holds exactly."""


def in_two(monkeypatch: pytest.MonkeyPatch, work: Callable[[Shards, int], Any]) -> tuple[list[Any], list[Tensor]]:
    """What ``work`` returns in each of two processes that sum by turns in this one; and the first one's messages."""
    told: list[list[Tensor]] = [[], []]
    monkeypatch.setattr(shards.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(shards.dist, "get_world_size", lambda: 2)

    def run(rank: int, all_reduce: Callable[[Tensor], object]) -> Any:
        monkeypatch.setattr(shards.dist, "get_rank", lambda: rank)
        monkeypatch.setattr(shards.dist, "all_reduce", all_reduce)
        return work(Shards(1, 0), rank)

    for rank in (0, 1):  # the first time, each only says what it has to say
        run(rank, lambda flat, rank=rank: told[rank].append(flat.clone()))
    heard = [iter(told[1]), iter(told[0])]
    return [run(rank, lambda flat, rank=rank: flat.add_(next(heard[rank]))) for rank in (0, 1)], told[0]


def phase(shard: Shards, rank: int, value: float = 1.0) -> tuple[list[Tensor], list[Tensor], dict[str, float]]:
    """Gradients, buffers and values of a phase in which a process adds ``rank + 1`` to everything."""
    buffers = [
        (torch.zeros(3), True),
        (torch.full((2, 2), 5.0), False),
        (torch.tensor(BIG - 1), False),
        (torch.zeros(2, dtype=torch.bool), False),
        (torch.tensor([0.1, 1e30]), True),
    ]
    gradients = [torch.zeros(2, 3), torch.zeros(())]
    for part, weight in shard.of(torch.arange(8), 0, 0, buffers):
        assert len(part) == 4
        for buffer, _ in buffers[:-1]:
            buffer += (rank + 1) if buffer.dtype != torch.bool else (rank == 0)
        for gradient in gradients:
            gradient += weight * (rank + 1)
    values = shard.join(gradients, buffers, {"a": 0.5 * value, "b": 0.5 * (rank + 1)})
    return gradients, [b for b, _ in buffers], values


def test_gradients_buffers_and_values_are_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    found, messages = in_two(monkeypatch, phase)
    assert len(messages) == 1
    for gradients, buffers, values in found:
        assert all(bool((g == 1.5).all()) for g in gradients)
        assert values == {"a": 1.0, "b": 1.5}
        assert buffers[0].tolist() == [1.5] * 3
        assert buffers[1].tolist() == [[6.0, 6.0]] * 2
        assert int(buffers[2]) == BIG and buffers[2].dtype == torch.int64
        assert buffers[3].tolist() == [True, True]
        assert torch.equal(buffers[4], torch.tensor([0.1, 1e30])), "what does not change stays the same to the bit"


def test_a_value_that_is_not_finite_in_one_is_so_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = in_two(monkeypatch, lambda shard, rank: phase(shard, rank, math.nan if rank else 1.0))
    for _, _, values in found:
        assert math.isnan(values["a"]) and values["b"] == 1.5


@pytest.mark.parametrize("who", [0, 1])
def test_one_that_is_to_stop_stops_all_and_the_first_tells_the_progress(
    monkeypatch: pytest.MonkeyPatch, who: int
) -> None:
    found, messages = in_two(monkeypatch, lambda shard, rank: shard.agree(0.1 + rank, rank == who))
    assert found == [(0.1, True)] * 2 and len(messages) == 1
    found, _ = in_two(monkeypatch, lambda shard, rank: shard.agree(0.1 + rank, False))
    assert found == [(0.1, False)] * 2
