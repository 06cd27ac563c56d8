"""Running somebody's networks without leaving a trace in them."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn


@contextlib.contextmanager
def aside(*modules: nn.Module | None) -> Iterator[None]:
    """Buffers (running statistics, spectral norms' vectors), modes and random states are afterwards as before.

    Buffers are not written at all: copies stand in for them, so that a graph that is still to go back through them can.
    ``SyncBatchNorm`` is in eval mode inside, for it would wait for other processes, and modules that were compiled in
    place run as they are written, for other shapes and modes would be compiled anew. Autocast is off. Gradients must be
    taken by ``torch.autograd.grad``; ``.grad`` is not looked after.
    """
    known = [m for m in modules if m is not None]
    parts = list(dict.fromkeys(part for m in known for part in m.modules()))
    modes = [(part, part.training) for part in parts]
    devices = sorted({p.device.index or 0 for m in known for p in m.parameters() if p.device.type == "cuda"})
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - whose networks draw from it, may
    compiled = [(part, made) for part in parts if (made := getattr(part, "_compiled_call_impl", None)) is not None]
    kept = _swapped(parts)
    try:
        for part in parts:
            if isinstance(part, nn.SyncBatchNorm):
                part.training = False
        for part, _ in compiled:
            part._compiled_call_impl = None
        with contextlib.ExitStack() as inside:
            for kind in {"cpu", *(p.device.type for m in known for p in m.parameters())}:
                inside.enter_context(torch.autocast(kind, enabled=False))
            inside.enter_context(torch.random.fork_rng(devices=devices))
            yield
    finally:
        for part, name, buffer in kept:
            part._buffers[name] = buffer
        for part, mode in modes:
            part.training = mode
        for part, made in compiled:
            part._compiled_call_impl = made
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _swapped(parts: list[nn.Module]) -> list[tuple[nn.Module, str, Tensor]]:
    """Put copies in the place of all buffers; returns the places with what was there."""
    copies: dict[int, Tensor] = {}
    kept = []
    for part in parts:
        for name, buffer in part._buffers.items():
            if buffer is not None:
                kept.append((part, name, buffer))
                copies.setdefault(id(buffer), buffer.detach().clone())
    for part, name, buffer in kept:
        part._buffers[name] = copies[id(buffer)]
    return kept
