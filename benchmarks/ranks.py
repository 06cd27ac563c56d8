"""What more processes bring: steps a second of one and of two processes, and a projection on paper to 64 GPUs.

    python benchmarks/ranks.py [--cases "images, 28x28" ...] [--stages autoencoder ...] [--docs docs]
                               [--seconds 4] [--repeats 3]

Of each stage of the default models, **measured**: steps a second of one process with the whole batch, and of two that
train together (gloo on one machine, a thread each), by the trainer with all that it agrees on in every step. Both by
the clock on the wall, in turn, median (least-most) of the repeats, so two cores must be free. **Computed** beside it:
processor seconds of the whole batch over those of half of it and of summing the gradients, which leaves out waiting
and agreeing. **On paper**, for GPUs, on which groups are refused so far:

    t(P) = F / (P · u · R) + K · t_launch + 2 · (P - 1) / P · M / W + 2 · log2(P) · n · t_message

with F operations of a step of the whole batch, R the peak of one GPU, u the part of it that is reached, K kernels of
a step, M bytes and n sums a step, W the bandwidth between GPUs. The batch is kept, so that results are kept; with two
samples a process at least, it allows half as many processes as it has samples. It stops paying where doubling P makes
a step less than 1.25 times as fast.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from aegan.types import Spec
from machine import CASES, Case, Flops, Told, kind, spread, steps, write_between
from processes import summing, together

BEGIN, END = "<!-- ranks: begin -->", "<!-- ranks: end -->"
PEAK, USED, BANDWIDTH, LAUNCH, MESSAGE, KERNELS = 400e12, 0.2, 100e9, 5e-6, 10e-6, 400
"""Assumed of a GPU, none of it measured: bf16 peak, part of it, bytes a second, seconds a kernel and a message, kernels
a phase."""


def projected(flops: float, size: float, phases: int, processes: int) -> float:
    """Seconds of a step on so many GPUs, by the formula above.

    >>> projected(1e12, 0.0, 1, 1) > projected(1e12, 0.0, 1, 2)
    True
    """
    compute = flops / (processes * USED * PEAK) + phases * KERNELS * LAUNCH
    if processes == 1:
        return compute
    summed = 2 * (processes - 1) / processes * size / BANDWIDTH
    return compute + summed + 2 * math.log2(processes) * phases * MESSAGE


def allowed(batch: int) -> list[int]:
    """Numbers of GPUs, doubled up to 64, that a batch can be cut for: two samples each at least.

    >>> allowed(32)
    [1, 2, 4, 8, 16]
    """
    return [p for p in (1, 2, 4, 8, 16, 32, 64) if p == 1 or 2 * p <= batch]


def pays_to(flops: float, size: float, phases: int, batch: int) -> int:
    """The number of GPUs from which doubling makes a step less than 1.25 times as fast; the most allowed at most."""
    numbers = allowed(batch)
    for now, then in zip(numbers, numbers[1:], strict=False):
        if projected(flops, size, phases, now) / projected(flops, size, phases, then) < 1.25:
            return now
    return numbers[-1]


def over_gpus(flops: float, size: float, phases: int, batch: int) -> str:
    """Markdown: a step's time over the number of GPUs, how many times as fast, and where that stops paying."""
    numbers, end = allowed(batch), pays_to(flops, size, phases, batch)
    lines = ["| GPUs | ms a step | times as fast as one | of so many | |", "|---|---|---|---|---|"]
    one = projected(flops, size, phases, 1)
    for p in numbers:
        took = projected(flops, size, phases, p)
        mark = "pays to here" if p == end else ""
        lines.append(f"| {p} | {1e3 * took:.1f} | {one / took:.1f} | {one / took / p:.0%} | {mark} |")
    return "\n".join(lines)


LARGE = Case("image", Spec(kind="image", shape=(3, 128, 128)), samples=4)
LARGE_SETTINGS, LARGE_BATCH = {"autoencoder.width": "128", "joint.width": "128"}, 256
"""Pictures, networks four times as wide as the default and a batch for which several GPUs are worth it, on paper."""


def large(stage: str) -> tuple[float, float, int]:
    """Operations of a step of the large case, counted here on two samples; bytes of gradients; phases."""
    model = LARGE.model(None, LARGE_SETTINGS)
    chosen, batch, total = next(s for s in model.stages if s.name == stage), LARGE.data().batch(torch.arange(2)), 0
    for phase in chosen.phases:
        model.requires_grad_(False)
        for name in phase.networks:
            getattr(model, name).requires_grad_(True)
        with Flops() as counter:
            torch.stack([t.value * t.weight for t in model.loss(phase.name, batch).values()]).sum().backward()
        total += counter.total / phase.every
    size, phases = sent(model, stage)
    return total * LARGE_BATCH / 2, size, phases


def sent(model: Any, stage: str) -> tuple[float, int]:
    """Bytes of gradients summed in a step of a stage, on average, and how many phases it has."""
    chosen = next(s for s in model.stages if s.name == stage)
    total = 0.0
    for phase in chosen.phases:
        weights = {id(p): p.numel() for name in phase.networks for p in getattr(model, name).parameters()}
        total += 4 * sum(weights.values()) / phase.every
    return total, len(chosen.phases)


def halved(case: Case, stage: str, *, seconds: float = 2.0) -> Told:
    """Processor seconds of a step with the whole batch and of one with half of it; its operations and samples."""
    told: Told = {}
    for part, key in ((1, "whole"), (2, "half")):
        model = case.model()
        chosen = next(s for s in model.stages if s.name == stage)
        chosen = replace(chosen, batch_size=max(2, chosen.batch_size // part))
        found = steps(model, case.data(), stage, least=3, seconds=seconds, chosen=chosen, count_flops=part == 1)
        told |= {key: found["step"]} | ({k: found[k] for k in ("flops", "batch")} if part == 1 else {})
    return told


def measured(stages: Sequence[tuple[str, str]], *, seconds: float, repeats: int) -> str:
    """Markdown of the stages."""
    size = {key: sent(CASES[key[0]].model(), key[1]) for key in stages}
    took = summing(sorted({round(bytes_) for bytes_, _ in size.values()}))
    head = ("model's stage", "batch", "one process, steps a s", "two, steps a s", "times as fast", "computed: times")
    lines = [
        f"| {' | '.join(head)} | MB summed | on paper, one GPU: ms a step | the most allowed | pays to |",
        f"|{'---|' * 10}",
    ]
    for name, stage in stages:
        (bytes_, phases), told = size[name, stage], halved(CASES[name], stage, seconds=seconds / 2)
        count = max(4, min(200, int(seconds / told["whole"])))
        rates = together(name, stage, count=count, repeats=repeats)
        times = spread([two / one for one, two in zip(rates[1], rates[2], strict=True)])
        batch = int(told["batch"])
        paper, most = (told["flops"], bytes_, phases), allowed(batch)[-1]
        lines.append(
            f"| {name}: {stage} | {batch} | {spread(rates[1])} | {spread(rates[2])} | {times} "
            f"| {told['whole'] / (told['half'] + took[round(bytes_)]):.2f} | {bytes_ / 1e6:.2f} "
            f"| {1e3 * projected(*paper, 1):.2f} | {most} GPUs: {1e3 * projected(*paper, most):.2f} ms "
            f"| {pays_to(*paper, batch)} |"
        )
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    """Measure, project, print; write into ``scale.md`` where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=list(CASES))
    parser.add_argument("--stages", nargs="+", help="names of stages; all without")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--docs", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    stages = [(n, s.name) for n in options.cases for s in CASES[n].model().stages if s.share > 0]
    stages = [(n, s) for n, s in stages if options.stages is None or s in options.stages]
    table = measured(stages, seconds=options.seconds, repeats=options.repeats)
    paper = [
        f"\nOn paper, pictures of 128x128 in colour with networks of width 128 and a batch of {LARGE_BATCH}, the "
        f"{stage} stage ({large(stage)[0] / 1e12:.1f} TFLOP a step, {large(stage)[1] / 1e6:.0f} MB summed):\n\n"
        + over_gpus(*large(stage), LARGE_BATCH)
        for stage in ("autoencoder", "joint")
    ]
    text = (
        f"{time.strftime('%Y-%m-%d')}, {kind()}; one thread a process, {options.repeats} repeats, load {load:.1f} "
        f"before.\n\n{table}"
    )
    print(text, *paper, sep="\n")
    if options.docs is not None:
        write_between(options.docs / "scale.md", BEGIN, END, text)


if __name__ == "__main__":
    main()
