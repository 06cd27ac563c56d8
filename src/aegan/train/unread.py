"""Updates that no value is read of: the host goes on while a device computes, and reads many steps' values together.

What is not finite cannot stop a step whose loss nobody has seen. The fused optimiser leaves its weights as they are
then, as it does for a scaler of gradients that overflowed, and the error is raised when the values are read.
"""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aegan.errors import AeganWarning, NonFiniteError
from aegan.models.base import Model
from aegan.train.backend import Backend
from aegan.train.backward import backward, stacked, thawed
from aegan.train.private import PrivateSteps
from aegan.train.replays import Outcome, Replays
from aegan.train.shards import Shards
from aegan.train.update import Update, Updates
from aegan.types import Batch, Phase

MOST = 200
"""Updates whose values may wait to be read."""
LONGEST = 1.0
"""Seconds that they may wait."""
AHEAD = 16
"""Updates that the host may be ahead of the device."""


@dataclass(frozen=True)
class _Waiting:
    update: Update
    names: Sequence[str]
    values: Tensor


def updates_for(
    model: Model,
    backend: Backend,
    shards: Shards,
    private: PrivateSteps | None,
    *,
    replayed: Callable[[Phase], bool],
    log: Callable[[str], None],
) -> Updates | UnreadUpdates:
    """How updates are carried out: waited for on a CPU, where batches are cut, and where noise is added to gradients.

    The arguments are those of the two classes.
    """
    if backend.waits or shards.total > 1 or private is not None:
        return Updates(model, backend, shards, private)
    return UnreadUpdates(model, backend, replayed, log)


def tell_of_graphs(backend: Backend, shards: Shards, private: PrivateSteps | None) -> None:
    """A warning where graphs were asked for and there will be none."""
    if backend.capture is None or shards.total > 1 or private is not None:
        expected = "a CUDA device, one process, accumulate=1 and no private training expected"
        warnings.warn(f"graphs: {expected}; nothing is captured, the result is the same.", AeganWarning, stacklevel=3)


class UnreadUpdates:
    """Updates whose values stay on the device until a probe asks for them, or enough have come together.

    Args:
        model: Networks and losses.
        backend: Device, precision, and whether updates are captured and replayed.
        replayed: Told of an update that would be replayed; False where somebody wants to see its gradients.
        log: Told of captures that failed, by a message.
    """

    def __init__(
        self, model: Model, backend: Backend, replayed: Callable[[Phase], bool], log: Callable[[str], None]
    ) -> None:
        self.model, self.backend, self.replayed = model, backend, replayed
        self.replays = None if backend.capture is None else Replays(backend.capture, log)
        self._waiting: list[_Waiting] = []
        self._error: NonFiniteError | None = None
        self._read_at = time.monotonic()
        self._marks: deque[torch.cuda.Event] = deque()

    def __call__(self, update: Update) -> None:
        """Carry it out, without waiting for it.

        Raises:
            NonFiniteError: A loss or gradient of this update or of an earlier one was not finite. The weights are.
        """
        self._raise()
        phase = update.phase
        batch = self.model.ready(phase.name, self.backend.send(update.data.batch(update.index)))

        def work(batch: Batch) -> Outcome:
            with thawed(update.parameters):
                return self._carried_out(update, batch)

        key = None if self.replays is None else self.model.steady(phase.name, batch)
        if self.replays is None or key is None:
            for group in update.optimizer.param_groups:
                group["lr"] = update.lr
            names, values = work(batch)
        else:
            names, values = self.replays(
                phase.name, key, batch, update.optimizer, update.lr, work, lambda: self.replayed(phase)
            )
        update.record.fetch = self.read
        self._waiting.append(_Waiting(update, names, values))
        self._not_too_far()
        if len(self._waiting) >= MOST or time.monotonic() - self._read_at >= LONGEST:
            self.flush()

    def flush(self) -> None:
        """Wait for the device, and note what it found.

        Raises:
            NonFiniteError: A loss or gradient of an update was not finite.
        """
        self.read()
        self._raise()

    def _raise(self) -> None:
        """The error that was found, if any, and a probe had read."""
        if self._error is not None:
            raise self._error

    def _not_too_far(self) -> None:
        """Wait for the update of some time ago, so that clock, signals and budget are those of the device."""
        if self.backend.device.type != "cuda":
            return
        mark = torch.cuda.Event()
        mark.record()
        self._marks.append(mark)
        if len(self._marks) > AHEAD:
            self._marks.popleft().synchronize()

    def read(self) -> None:
        """As :meth:`flush`; an error waits until that is called."""
        waiting, self._waiting = self._waiting, []
        self._read_at = time.monotonic()
        if not waiting:
            return
        found = torch.cat([w.values for w in waiting]).tolist()
        for one in waiting:
            *values, norm = found[: len(one.names) + 1]
            del found[: len(one.names) + 1]
            told = dict(zip(one.names, values, strict=True))
            one.update.record.fetch = None
            one.update.note(told, norm)
            try:
                one.update.place.check(told)
                one.update.place.check_norm(norm)
            except NonFiniteError as error:
                self._error = self._error or error

    def _carried_out(self, update: Update, batch: Batch) -> Outcome:
        """Loss, gradients and the optimiser's step; no value is read on the way."""
        optimizer, most = update.optimizer, update.phase.optimizer.clip_norm
        with self.backend.autocast(update.stage.autocast):
            terms = self.model.loss(update.phase.name, batch)
        values = stacked(terms)
        backward(terms, 1.0, update.place)
        with torch.no_grad():
            gradients = [p.grad for p in update.parameters if p.grad is not None]
            norm = torch.nn.utils.get_total_norm(gradients) if gradients else values.new_zeros(())
            if most > 0 and gradients:
                torch._foreach_mul_(gradients, (most / norm).clamp(max=1.0))  # pyright: ignore[reportPrivateImportUsage]
            left_out = ~(values.isfinite().all() & norm.isfinite())
            if update.phase.skips:
                left_out = left_out | (norm == 0)
            optimizer.found_inf = left_out.float()  # pyright: ignore[reportAttributeAccessIssue]
            try:
                optimizer.step()
            finally:
                del optimizer.found_inf  # pyright: ignore[reportAttributeAccessIssue]
            optimizer.zero_grad(set_to_none=True)
            return tuple(terms), torch.cat([values, norm.float()[None]])
