"""Parts of a whole that are gathered as they are made."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import torch
from torch import Tensor

from aegan.data.in_one import in_one
from aegan.models.base import in_blocks


def test_parts_are_let_go_while_the_next_are_made() -> None:
    made: list[weakref.ref[Tensor]] = []

    def parts() -> Iterator[Tensor]:
        for i in range(5):
            assert sum(part() is not None for part in made) <= 1
            part = torch.full((2, 3), float(i))
            made.append(weakref.ref(part))
            yield part
            del part

    whole = in_one(parts(), 10)
    assert torch.equal(whole, torch.arange(5.0).repeat_interleave(2)[:, None].expand(10, 3))


def test_blocks_are_copied_even_if_there_is_one() -> None:
    x = torch.arange(4.0)
    out = in_blocks(lambda part: part, x, block=4)
    out[0] = 9.0
    assert x[0] == 0.0
    assert torch.equal(in_blocks(lambda part: part * 2, x, block=3), 2 * x)
