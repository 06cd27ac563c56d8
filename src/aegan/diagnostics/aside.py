"""Running somebody's networks without leaving a trace in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


@contextlib.contextmanager
def aside(*modules: nn.Module | None) -> Iterator[None]:
    """Buffers (running statistics, spectral norms' vectors), modes and the random state are afterwards as before.

    Gradients must be taken by ``torch.autograd.grad``; ``.grad`` is not looked after.
    """
    known = [m for m in modules if m is not None]
    buffers = [(b, b.detach().clone()) for m in known for b in m.buffers()]
    modes = [(part, part.training) for m in known for part in m.modules()]
    devices = sorted({p.device.index or 0 for m in known for p in m.parameters() if p.device.type == "cuda"})
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)
        for part, mode in modes:
            part.training = mode
