"""What the doctor measures, to TensorBoard or Weights & Biases: ``Doctor(..., on_look=tensorboard("runs/doctor"))``."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aegan.diagnostics.history import Look
from aegan.errors import ConfigError

Writer = Callable[[Look], None]


def tensorboard(folder: str | Path | None = None, *, writer: Any = None) -> Writer:
    """Writes every statistic as a scalar ``doctor/network/statistic``.

    Args:
        folder: Log folder of a new ``SummaryWriter``.
        writer: An open one instead.

    Raises:
        ConfigError: TensorBoard is not installed.
    """
    if writer is None:
        module = _needed("torch.utils.tensorboard", "tensorboard")
        writer = module.SummaryWriter(None if folder is None else str(folder))

    def write(look: Look) -> None:
        for name, value in look.values.items():
            writer.add_scalar(f"doctor/{name}", value, look.step)

    return write


def wandb(run: Any = None) -> Writer:
    """Writes every statistic to a Weights & Biases run.

    Args:
        run: An open run; the current one, or a new one, when None.

    Raises:
        ConfigError: Weights & Biases is not installed.
    """
    if run is None:
        module = _needed("wandb", "wandb")
        run = module.run or module.init()

    def write(look: Look) -> None:
        run.log({f"doctor/{name}": value for name, value in look.values.items()} | {"doctor/step": look.step})

    return write


def _needed(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{package}: not installed. Install it with `pip install {package}`, or leave this writer out."
        ) from error
