"""Which library multiplies matrices of fp32 on a CPU.

PyTorch calls Intel's MKL, which on other makers' processors leaves half of the vector units idle: on an AMD EPYC
(Zen 5) a product of 1,024 x 1,024 runs at 98 GFLOP/s there and at 210 in oneDNN, equally exact. But oneDNN takes longer
to begin, so that products of small matrices are slower in it: each stage's first step is counted, and the others go
where its products gain.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WORTH = 2**20
"""Multiplications in the mean product of a stage from which on oneDNN gains: 12 µs to begin, against 10 a million."""
_EXACT = 3.0
"""Error of a product that is allowed, in those of the usual library: a processor with AMX would round to bf16."""
_PRODUCTS = {"aten::mm": 0, "aten::addmm": 1, "aten::bmm": 0, "aten::baddbmm": 1}
"""Where an operation's first matrix stands among its arguments."""


class Products:
    """Decides for each stage, and switches the library while a step of it is made.

    Attributes:
        onednn: Whether the current stage's products of fp32 go to oneDNN; kept in checkpoints, so that a resumed run
            goes on with the same roundings.
    """

    def __init__(self, device: str) -> None:
        self.onednn = False
        self._usable = device == "cpu" and usable()

    @contextlib.contextmanager
    def step(self, stage_step: int) -> Iterator[None]:
        """One step of a stage; the first one, number 0, is made in the usual library and decides for the others."""
        if not self._usable:
            yield
        elif stage_step == 0:
            with Work() as work:
                yield
            self.onednn = work.mean >= WORTH
        else:
            with by_onednn(self.onednn):
                yield


class Work(TorchDispatchMode):
    """Counts products of fp32 matrices and their multiplications.

    >>> with Work() as work:
    ...     _ = torch.ones(2, 3) @ torch.ones(3, 5)
    >>> work.mean
    30.0
    """

    def __init__(self) -> None:
        super().__init__()
        self._products = self._multiplications = 0

    @property
    def mean(self) -> float:
        """Multiplications of a product; 0 where there was none."""
        return self._multiplications / max(1, self._products)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called by torch for every operation."""
        out = func(*args, **(kwargs or {}))
        first = _PRODUCTS.get(func._overloadpacket._qualified_op_name)
        if first is not None and out.dtype == torch.float32:
            self._products += 1
            self._multiplications += out.numel() * args[first].shape[-1]
        return out


@contextlib.contextmanager
def by_onednn(on: bool = True) -> Iterator[None]:
    """Products of fp32 by oneDNN within it, where ``on``."""
    if not on:
        yield
        return
    matmul: Any = torch.backends.mkldnn.matmul  # pyright: ignore[reportAttributeAccessIssue]
    before, matmul.fp32_precision = matmul.fp32_precision, "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


@functools.cache
def usable(processor: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether oneDNN is the faster library for large products here, and as exact.

    Told by the processor's maker, not by the clock, so that runs on one machine never differ in it. The setting that
    hands products to oneDNN allows it to round to bf16. Without matrix units for that it has no reason to, but the
    error of a product is looked at.
    """
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch.backends.mkl.is_available():
        return False
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.backends.mkldnn, "matmul"):
        return False
    if not processor.exists() or "AuthenticAMD" not in processor.read_text():
        return False
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    with by_onednn():
        error = (a @ b - exact).abs().max()
    return bool(error <= _EXACT * (a @ b - exact).abs().max())
