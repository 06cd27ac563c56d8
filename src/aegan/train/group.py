"""Several processes that train one model: joined where ``torchrun`` started them, parted when the work is done."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from aegan.errors import ConfigError, RunError

T = TypeVar("T")
PATIENCE = timedelta(hours=2)
"""How long a process waits for the others, who may be reading other parts of the data."""


def world() -> int:
    """Processes that ``torchrun`` started; 1 without it.

    Raises:
        ConfigError: ``WORLD_SIZE`` of the environment is no number.
    """
    said = os.environ.get("WORLD_SIZE", "1")
    if not said.isdigit() or int(said) < 1:
        raise ConfigError(f"WORLD_SIZE={said} in the environment: a number of processes expected, as torchrun sets it.")
    return int(said)


def local_world() -> int:
    """Processes that ``torchrun`` started on this machine; 1 without it."""
    said = os.environ.get("LOCAL_WORLD_SIZE", "1") if world() > 1 else "1"
    return int(said) if said.isdigit() else 1


def local_rank() -> int:
    """This process's number among those of this machine."""
    said = os.environ.get("LOCAL_RANK", "0") if world() > 1 else "0"
    return int(said) if said.isdigit() else 0


def restarted() -> bool:
    """Whether ``torchrun --max-restarts`` started this process anew after a failure."""
    said = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return said.isdigit() and int(said) > 0


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Within it the processes of ``torchrun`` are a group; alone, or in a group already, nothing is done.

    Every process that was not stopped by an error waits for the others before it leaves.

    Raises:
        RunError: Another process ended before its own work was done.
    """
    if world() == 1 or not dist.is_available() or dist.is_initialized():
        yield
        return
    # The first optimiser imports this module. If a group existed then, defaults of its functions would hold that group
    # for ever, and the group's threads would meet the end of the interpreter, which aborts the process.
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    try:
        yield
        _wait_for_all()
    except RuntimeError as error:
        # As what it says of a process that is gone, or silent.
        if "gloo" not in str(error) and not isinstance(error, dist.DistError):
            raise
        raise _left_alone("was told nothing more by another one, which ended before it was done") from error
    finally:
        dist.destroy_process_group()


def _wait_for_all() -> None:
    """Return when every process is here: the first keeps the store, and a message may still be under way."""
    try:
        dist.barrier()
    except RuntimeError as error:
        raise _left_alone("is done, but another one ended before it was") from error


def _left_alone(how: str) -> RunError:
    return RunError(
        f"Process {dist.get_rank()} of {dist.get_world_size()} {how}; its message tells why. Start the group again "
        "with --resume: it goes on from the last checkpoint."
    )


def first_then_others(first: Callable[[], T], others: Callable[[], T]) -> T:
    """What the first process does alone, then what the others do; where the first fails, all do.

    Raises:
        RunError: In the others, where the first failed; its own error tells why.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return first()
    done = torch.zeros(1)
    if dist.get_rank() == 0:
        try:
            result = first()
            done.fill_(1.0)
        finally:
            dist.broadcast(done, 0)
        return result
    dist.broadcast(done, 0)
    if not done.item():
        raise RunError("The first process of the group could not begin; its message tells why.")
    return others()
