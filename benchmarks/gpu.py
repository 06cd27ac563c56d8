"""The default models on a GPU: steps and samples a second in three ways, and the part of its bf16 rate.

    python benchmarks/gpu.py [--cases "images, 28x28" ...] [--batch 512] [--seconds 5] [--repeats 3] [--device cuda]

Each stage is trained by the trainer with updates that are *waited* for (every value is read in its step, as a plain
loop that prints its loss does), carried out *call by call* with values read together, and *replayed* as CUDA graphs.
Seconds are those of the clock, the device waited for at both ends, behind steps in which everything is made and
captured; of several repeats the median (least–most). ``--batch`` takes batches of this size in every stage; its
default one otherwise. The part of the rate is that of matrix products and convolutions, forward and backward, beside
a product of two square bf16 matrices of 8,192. With ``--device cpu`` the first two ways are measured, for a try.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import time
from typing import Any

import torch

from aegan.config import TrainConfig
from aegan.models.base import Model
from aegan.train.backend import Backend
from aegan.train.probe import Probe, StepRecord
from aegan.train.trainer import Trainer
from aegan.types import Spec, Stage
from machine import CASES, Case, Flops, kind, spread

WAYS = ("waited", "call by call", "replayed")
CIFAR = "relativistic GAN, 32x32 in colour"
FIRST = 24
"""Steps that are not timed: every kind of update is captured in them."""
MORE = {CIFAR: (Case("image", Spec(kind="image", shape=(3, 32, 32))), "gan")}


class Span(Probe):
    """Seconds of the clock from the end of one step to that of the last, the device being done at both."""

    def __init__(self, first: int, device: torch.device) -> None:
        self.first, self.device = first, device
        self.began = self.took = 0.0

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        """Called after every step."""
        if record.step == self.first:
            self.began = self._now()

    def on_end(self, trainer: Trainer, reason: str) -> None:
        """Called after the last."""
        self.took = self._now() - self.began

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def backend_of(way: str, device: str, precision: str) -> Backend:
    """A backend that carries updates out in this way."""
    backend = Backend(device, precision, graphs=way == "replayed")
    backend.waits = way == "waited"
    return backend


def took(model: Model, data: Any, stage: Stage, backend: Backend, count: int, first: int = FIRST) -> float:
    """Seconds of so many steps of a stage behind the first ones."""
    config = TrainConfig(steps=first + count, grids=0)
    span = Span(first, backend.device)
    Trainer(model, data, config, backend, stages=(stage,), probes=[span]).fit()
    return span.took


def flops(model: Model, data: Any, stage: Stage, backend: Backend) -> float:
    """Operations of a step, in the mean of sixteen; what comes before the first step belongs to none."""
    counted = []
    for number in (2, 18):
        with Flops() as counter:
            Trainer(model, data, TrainConfig(steps=number, grids=0), backend, stages=(stage,)).fit()
        counted.append(counter.total)
    return (counted[1] - counted[0]) / 16


def matrix_rate(device: torch.device, size: int = 8192) -> float:
    """Operations a second of products of bf16 matrices, the best of five."""
    a = torch.randn(size, size, device=device).bfloat16()
    best = 0.0
    for _ in range(6):  # the first makes what is made but once
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        began = time.perf_counter()
        for _ in range(4):
            torch.mm(a, a)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 8 * size**3 / (time.perf_counter() - began))
    return best


def measured(
    case: Case, name: str | None, stage: Stage, device: str, precision: str, seconds: float, repeats: int
) -> dict[str, list[float]]:
    """Steps a second by way, and the operations of a step (``flops``)."""
    data, found = case.data(), {}
    for way in WAYS if device == "cuda" else WAYS[:2]:
        backend = backend_of(way, device, precision)
        count = max(4, int(4 * seconds / max(took(case.model(name), data, stage, backend, 4), 1e-6)))
        found[way] = [count / took(case.model(name), data, stage, backend, count) for _ in range(repeats)]
    return found | {"flops": [flops(case.model(name), data, stage, backend_of("waited", device, precision))]}


def line(title: str, stage: Stage, found: dict[str, list[float]], rate: float) -> str:
    """A row of the table.

    >>> stage = Stage(name="s", share=1.0, phases=(), batch_size=10)
    >>> line("m", stage, {"waited": [2.0], "call by call": [4.0], "flops": [5.0]}, 100.0)
    '| m: s | 10 | 2.00 | 4.00 | 2.0 times |  |  | 40 | 20% |'
    """
    steps = {way: statistics.median(found[way]) for way in WAYS if way in found}
    best, cells = max(steps.values()), [spread(found["waited"])]
    for way in WAYS[1:]:
        there = way in steps
        cells += [spread(found[way]), f"{steps[way] / steps['waited']:.1f} times"] if there else ["", ""]
    share = best * found["flops"][0] / rate
    batch = stage.batch_size
    return f"| {title}: {stage.name} | {batch} | {' | '.join(cells)} | {best * batch:,.0f} | {share:.0%} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = (*CASES, *MORE)
    parser.add_argument("--cases", nargs="+", choices=known, default=list(known))
    parser.add_argument("--batch", type=int)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--matrix", type=int, default=8192, help="side of the matrices of the device's rate")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu.py: no CUDA device that torch can use was found. Try it with --device cpu.")
    rate = matrix_rate(Backend(options.device, "bf16").device, options.matrix)
    about = f"{kind()}; {options.device}, {options.precision}; the bf16 rate is {rate / 1e12:.3g} TFLOP/s."
    print(f"{time.strftime('%Y-%m-%d')}, {about}\n")
    head = ("model's stage", "batch", "waited, steps a s", "call by call", "as fast", "replayed", "as fast")
    print(f"| {' | '.join(head)} | samples a s | of the rate |\n|{'---|' * 9}")
    for title in options.cases:
        case, name = MORE[title] if title in MORE else (CASES[title], None)
        for stage in case.model(name).stages:
            if stage.share <= 0:
                continue
            stage = dataclasses.replace(stage, batch_size=options.batch or stage.batch_size)
            found = measured(case, name, stage, options.device, options.precision, options.seconds, options.repeats)
            print(line(title, stage, found, rate), flush=True)


if __name__ == "__main__":
    main()
