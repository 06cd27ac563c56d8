"""Choose fp32 or bf16 by what is faster on this machine and holds for this model."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING

import torch

from aegan.train.fabric import Backend

if TYPE_CHECKING:
    from aegan.models.base import Model
    from aegan.types import Samples

_FASTER = 1.15
"""bf16 must be this many times faster, so that a noisy clock does not decide."""
_AGREES = 0.05
"""Relative difference allowed between the losses of both precisions."""


def choose_precision(model: Model, data: Samples, device: str, *, repeats: int = 3) -> tuple[str, str]:
    """``("fp32" | "bf16", reason)``, measured on the model's first phase; draws no random numbers.

    The model's weights are not changed: a copy is run.
    """
    stage = model.stages[0]
    phase = stage.phases[0].name
    index = torch.arange(min(stage.batch_size, len(data)))
    seconds, losses = {}, {}
    # fork_rng keeps the run's random stream as it was.
    with torch.random.fork_rng():
        for precision in ("fp32", "bf16"):
            backend = Backend(device, precision)
            trial = backend.place(copy.deepcopy(model))
            batch = {k: v.to(backend.device) for k, v in data.batch(index).items()}
            times = []
            for _ in range(repeats + 1):
                torch.manual_seed(0)
                start = time.perf_counter()
                with backend.autocast():
                    terms = trial.loss(phase, batch)  # type: ignore[operator]
                total = torch.stack([t.value.float() * t.weight for t in terms.values()]).sum()
                total.backward()
                losses[precision] = float(total.detach())
                times.append(time.perf_counter() - start)
            seconds[precision] = min(times[1:])
    ratio = seconds["fp32"] / seconds["bf16"]
    difference = abs(losses["bf16"] - losses["fp32"]) / (abs(losses["fp32"]) + 1e-8)
    if not difference <= _AGREES:
        return "fp32", f"bf16 changes the loss by {difference:.1%}"
    if ratio < _FASTER:
        return "fp32", f"bf16 is {ratio:.2f} times as fast here"
    return "bf16", f"{ratio:.2f} times as fast as fp32 here, loss within {difference:.1%}"
