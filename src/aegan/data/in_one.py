"""Many parts as one tensor."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def in_one(parts: Iterable[Tensor], total: int) -> Tensor:
    """Parts ``(B, ...)`` one after the other in a tensor ``(total, ...)``, whose memory is taken with the first.

    Parts that waited for the last would each lie behind the large memory of its making, and hold it.

    >>> in_one((torch.full((2,), i) for i in range(2)), 4).tolist()
    [0, 0, 1, 1]
    """
    whole, start = torch.empty(0), 0
    for part in parts:
        whole = part.new_empty(total, *part.shape[1:]) if start == 0 else whole
        whole[start : start + len(part)] = part
        start += len(part)
    return whole
