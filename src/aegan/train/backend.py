"""Device and precision of a run."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch

from aegan.errors import ConfigError
from aegan.train.group import local_rank, local_world
from aegan.train.products import Products
from aegan.train.replays import Capture, CudaCapture

if TYPE_CHECKING:
    from torch import nn

    from aegan.types import Batch, Samples

HELD = 0.25
"""Part of a device's free memory that samples may take."""


class Backend:
    """Where and how precisely a run computes.

    Args:
        device: ``cpu`` or ``cuda``; see :func:`resolve_device` for ``auto``.
        precision: ``fp32`` or ``bf16`` (autocast, weights and optimiser stay float32).
        graphs: Capture steady updates and replay them; on CUDA alone, without effect elsewhere.

    Attributes:
        products: Which library multiplies what is left in fp32.
        waits: Whether every update's values are read at once; on a CPU they are there anyway.
        capture: How updates are captured, if they are.
    """

    def __init__(self, device: str, precision: str, graphs: bool = False) -> None:
        self.precision = precision
        self.device = torch.device("cuda", torch.cuda.current_device()) if device == "cuda" else torch.device(device)
        self.products = Products(self.device.type)
        self.waits = self.device.type == "cpu"
        self.capture: Capture | None = CudaCapture(self.device) if graphs and self.device.type == "cuda" else None

    def autocast(self, enabled: bool = True) -> contextlib.AbstractContextManager[Any]:
        """Context of the run's precision; without effect in fp32 or when not ``enabled``."""
        if enabled and self.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def hold(self, data: Samples) -> Samples:
        """Samples kept on the device, where they lie in memory and take at most a quarter of what is free there."""
        on = getattr(data, "on", None)
        if self.device.type == "cpu" or on is None:
            return data
        free = torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else float("inf")
        return on(self.device, HELD * free)

    def send(self, batch: Batch) -> Batch:
        """A batch on the device, without waiting for it to be there."""
        if self.device.type == "cuda":  # what may be swapped out is waited for
            batch = {name: value if value.is_cuda else value.pin_memory() for name, value in batch.items()}
        return {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}

    def place(self, module: nn.Module) -> nn.Module:
        """The module, moved to the device in place."""
        return module.to(self.device)


def resolve_device(device: str) -> str:
    """``cpu`` or ``cuda``; ``auto`` takes CUDA where there is a device for each process that ``torchrun`` started here.

    Of several processes each makes its own device the current one.

    Raises:
        ConfigError: CUDA was asked for and there is none, or there are more processes than devices.
    """
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    processes = local_world()
    if device == "auto":
        device = "cuda" if found >= processes else "cpu"
    if device == "cuda" and not found:
        raise ConfigError("--device cuda: this machine has no CUDA device that torch can use. Use --device cpu.")
    if device == "cuda" and found < processes:
        raise ConfigError(
            f"--device cuda: a CUDA device for each process expected, got {found} for {processes} processes on this "
            f"machine. Start torchrun with --nproc-per-node {found}, or use --device cpu."
        )
    if device == "cuda" and processes > 1:
        torch.cuda.set_device(local_rank())
    return device
