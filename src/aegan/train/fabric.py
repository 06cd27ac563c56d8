"""Device and precision, through Lightning Fabric. The only file that imports it."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, cast

import torch

from aegan.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn


class Backend:
    """Where and how precisely a run computes.

    Args:
        device: ``cpu`` or ``cuda``; see :func:`resolve_device` for ``auto``.
        precision: ``fp32`` or ``bf16`` (autocast, weights and optimiser stay float32).
    """

    def __init__(self, device: str, precision: str) -> None:
        from lightning_fabric import Fabric  # over a second to import, hence here

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
        logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
        self.precision = precision
        accelerator = "gpu" if device == "cuda" else "cpu"
        mode = "bf16-mixed" if precision == "bf16" else "32-true"
        self._fabric = Fabric(accelerator=accelerator, devices=1, precision=cast("Any", mode))

    @property
    def device(self) -> torch.device:
        """The torch device."""
        return self._fabric.device

    def autocast(self, enabled: bool = True) -> contextlib.AbstractContextManager[Any]:
        """Context of the run's precision; without effect in fp32 or when not ``enabled``."""
        return self._fabric.autocast() if enabled else contextlib.nullcontext()

    def place(self, module: nn.Module) -> nn.Module:
        """The module, moved to the device in place."""
        return module.to(self.device)


def resolve_device(device: str) -> str:
    """``cpu`` or ``cuda``; ``auto`` takes CUDA where there is one.

    Raises:
        ConfigError: CUDA was asked for and there is none.
    """
    available = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if available else "cpu"
    if device == "cuda" and not available:
        raise ConfigError("--device cuda: this machine has no CUDA device that torch can use. Use --device cpu.")
    return device
