"""Updates that are captured once and replayed: a network of small matrices waits for no kernel to be started.

Reference: NVIDIA's CUDA graphs, by ``torch.cuda.graph``. A capture holds addresses and numbers, so only what a model
calls steady (:meth:`aegan.models.base.Model.steady`) is captured: updates of one key and of batches of one form run the
same operations with the same numbers. What does change goes through tensors at fixed addresses: the batch, the learning
rate, the weights. Random numbers are drawn anew in each replay.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from aegan.types import Batch

Outcome = tuple[tuple[str, ...], Tensor]
"""Names of terms, and their values with the gradient's norm behind them, on the device."""
Work = Callable[[Batch], Outcome]
EAGER = 2
"""Updates of a key that are carried out call by call before one is captured: they make what is made but once."""
MOST = 16
"""Captures that are kept; each holds the memory of its intermediate results."""


class Capture(Protocol):
    """How a device captures."""

    def aside(self, work: Callable[[], Outcome]) -> Outcome:
        """Do the work where it will be captured, which some of its parts remember."""
        ...

    def __call__(self, work: Callable[[], Outcome]) -> tuple[Outcome, Callable[[], None]]:
        """Where the work's outcome will be, and what does it. Nothing of it has been done yet."""
        ...


class CudaCapture:
    """By CUDA graphs, on a stream of its own.

    Args:
        device: A CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)

    def aside(self, work: Callable[[], Outcome]) -> Outcome:
        """Do the work on the stream, between what is before and behind it."""
        here = torch.cuda.current_stream()
        self.stream.wait_stream(here)
        with torch.cuda.stream(self.stream):
            names, values = work()
        here.wait_stream(self.stream)
        values.record_stream(here)
        return names, values

    def __call__(self, work: Callable[[], Outcome]) -> tuple[Outcome, Callable[[], None]]:
        """Capture; other threads, such as one that reads ahead, may go on."""
        graph = torch.cuda.CUDAGraph()
        # The outer context puts the stream back where the end of a failed capture raises.
        with (
            torch.cuda.stream(self.stream),
            torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"),
        ):
            outcome = work()
        return outcome, graph.replay


@dataclass
class _Captured:
    """A capture, and the tensors that it reads."""

    batch: Batch
    lr: Tensor
    outcome: Outcome
    replay: Callable[[], None]


class Replays:
    """The updates of a stage, by key and form of the batch: call by call at first, replayed from then on.

    Args:
        capture: The device's.
        log: Told why a capture failed; after one nothing is captured any more.
    """

    def __init__(self, capture: Capture, log: Callable[[str], None]) -> None:
        self.capture, self.log = capture, log
        self._seen: dict[Hashable, int] = {}
        self._captured: dict[Hashable, _Captured] = {}
        self._failed = False

    def __call__(
        self,
        name: str,
        key: Hashable,
        batch: Batch,
        optimizer: torch.optim.Optimizer,
        lr: float,
        work: Work,
        allowed: Callable[[], bool],
    ) -> Outcome:
        """Carry ``work`` out on ``batch``.

        Args:
            name: The phase's.
            key: The model's, of what the work does at this step.
            batch: On the device.
            optimizer: The phase's.
            lr: Its learning rate.
            work: The update.
            allowed: Asked where the update is about to be replayed; with False it is carried out call by call.
        """
        lr = torch.tensor(lr, dtype=torch.float32).item()  # as a replay has it, whichever way this update is taken
        key = (name, key, tuple((field, value.shape, value.dtype) for field, value in batch.items()))
        seen = self._seen[key] = self._seen.get(key, 0) + 1
        may = key in self._captured or (seen > EAGER and not self._failed and len(self._captured) < MOST)
        held = None
        if may and allowed():
            held = self._captured.get(key) or self._of(name, key, batch, optimizer, lr, work)
        if held is None:
            _set_lr(optimizer, lr)
            return self.capture.aside(lambda: work(batch))
        with torch.no_grad():  # a loss may have made leaves of what it was given
            for field, value in batch.items():
                held.batch[field].copy_(value)
            held.lr.fill_(lr)
        held.replay()
        names, values = held.outcome
        return names, values.clone()

    def _of(
        self, name: str, key: Hashable, batch: Batch, optimizer: torch.optim.Optimizer, lr: float, work: Work
    ) -> _Captured | None:
        """The capture of an update, or None where it failed."""
        own = {field: value.clone() for field, value in batch.items()}
        rate = torch.full((), lr, device=next(iter(batch.values())).device)
        was = [group["capturable"] for group in optimizer.param_groups]
        _set_lr(optimizer, rate)
        try:
            for group in optimizer.param_groups:
                group["capturable"] = True
            outcome, replay = self.capture(lambda: work(own))
        except RuntimeError as error:
            self._failed = True
            optimizer.zero_grad(set_to_none=True)
            cause = error.__context__ or error  # the end of a capture that has failed raises as well
            self.log(f"{name}: {next(iter(str(cause).splitlines()), type(cause).__name__)}")
            return None
        finally:
            for group, before in zip(optimizer.param_groups, was, strict=True):
                group["capturable"] = before
            _set_lr(optimizer, lr)
        self._captured[key] = _Captured(own, rate, outcome, replay)
        return self._captured[key]


def _set_lr(optimizer: torch.optim.Optimizer, lr: float | Tensor) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
