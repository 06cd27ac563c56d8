"""Choose fp32 or bf16 by what is faster on this machine and holds for this model."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from aegan.streams import borrowed
from aegan.train.backend import Backend

if TYPE_CHECKING:
    from aegan.models.base import Model
    from aegan.types import Batch, Samples

_FASTER = 1.15
"""bf16 must be this many times faster, so that a noisy clock does not decide."""
_AGREES = 0.05
"""Relative difference allowed between the losses of both precisions."""
_AT_LEAST, _AT_MOST = 0.5, 20
"""Seconds that both are measured where more than the least number of turns fit, and turns at most."""


def choose_precision(model: Model, data: Samples, device: str, *, repeats: int = 3) -> tuple[str, str]:
    """``("fp32" | "bf16", reason)``, measured on the model's first phase; draws no random numbers.

    Both take turns, ``repeats`` times at least and, where a turn is short, for half a second: the shortest time of each
    counts, so that other programs do not decide. The model's weights are not changed: copies are run.
    """
    stage = model.stages[0]
    phase = stage.phases[0].name
    index = torch.arange(min(stage.batch_size, len(data)))
    trials = {}
    for precision in ("fp32", "bf16"):
        backend = Backend(device, precision)
        batch = {k: v.to(backend.device) for k, v in data.batch(index).items()}
        trial = copy.deepcopy(model)
        backend.place(trial)
        trials[precision] = _Trial(backend, trial, batch, phase)
    with borrowed():
        for trial in trials.values():
            trial.turn()  # warms up
            trial.seconds = float("inf")
        turns, began = 0, time.perf_counter()
        while turns < repeats or (time.perf_counter() - began < _AT_LEAST and turns < _AT_MOST):
            for trial in trials.values():
                trial.turn()
            turns += 1
    fp32, bf16 = trials["fp32"], trials["bf16"]
    ratio = fp32.seconds / bf16.seconds
    difference = abs(bf16.loss - fp32.loss) / (abs(fp32.loss) + 1e-8)
    if not difference <= _AGREES:
        return "fp32", f"bf16 changes the loss by {difference:.1%}"
    if ratio < _FASTER:
        return "fp32", f"bf16 is {ratio:.2f} times as fast here"
    return "bf16", f"{ratio:.2f} times as fast as fp32 here, loss within {difference:.1%}"


@dataclass
class _Trial:
    """A model in one precision: its last loss and its shortest turn."""

    backend: Backend
    model: Model
    batch: Batch
    phase: str
    loss: float = float("nan")
    seconds: float = float("inf")

    def turn(self) -> None:
        """A loss and its gradients."""
        torch.manual_seed(0)
        start = time.perf_counter()
        with self.backend.autocast():
            terms = self.model.loss(self.phase, self.batch)
        total = torch.stack([t.value.float() * t.weight for t in terms.values()]).sum()
        total.backward()
        self.loss = float(total.detach())
        self.seconds = min(self.seconds, time.perf_counter() - start)
