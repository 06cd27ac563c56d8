"""What more processes bring: step times, message sizes, and a projection on paper to 64 GPUs.

    python benchmarks/ranks.py [--cases "images, 28x28" ...] [--docs docs]

Of each stage of the default models: processor seconds of a step with the whole batch and with half of it, which is what
each of two processes computes; bytes of gradients that are summed over the processes in a step; and the time of
summing so many between two processes here (gloo on one machine, clock on the wall). The projection assumes

    t(P) = F / (P · u · R) + K · t_launch + 2 · (P - 1) / P · M / W + 2 · log2(P) · n · t_message

with F operations of a step of the whole batch, R the peak of one GPU, u the part of it that is reached, K kernels of
a step, M bytes and n sums a step, W the bandwidth between GPUs. The batch is kept, so that results are kept.
It stops paying where doubling P makes a step less than 1.25 times as fast.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist

from growth import write_between
from machine import CASES, Case, Told, kind, steps

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


def pays_to(flops: float, size: float, phases: int) -> int:
    """The number of GPUs from which doubling makes a step less than 1.25 times as fast; 64 at most."""
    processes = 1
    while processes < 64:
        now, then = (projected(flops, size, phases, p) for p in (processes, 2 * processes))
        if now / then < 1.25:
            break
        processes *= 2
    return processes


def message(case: Case, stage: str) -> tuple[float, int]:
    """Bytes of gradients summed in a step of a stage, on average, and how many phases it has."""
    model = case.model()
    chosen = next(s for s in model.stages if s.name == stage)
    total = 0.0
    for phase in chosen.phases:
        weights = {id(p): p.numel() for name in phase.networks for p in getattr(model, name).parameters()}
        total += 4 * sum(weights.values()) / phase.every
    return total, len(chosen.phases)


def halved(case: Case, stage: str) -> Told:
    """A step with the whole batch and one with half of it."""
    told: Told = {}
    for part, key in ((1, "whole"), (2, "half")):
        model = case.model()
        chosen = next(s for s in model.stages if s.name == stage)
        chosen = replace(chosen, batch_size=max(2, chosen.batch_size // part))
        found = steps(model, case.data(), stage, least=3, seconds=2.0, chosen=chosen, count_flops=part == 1)
        told |= {key: found["step"]} | ({"flops": found["flops"]} if part == 1 else {})
    return told


def summing(sizes: list[int]) -> dict[int, float]:
    """Seconds of summing so many bytes between two processes of this machine, each the least of five."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
    given = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--sum", *map(str, sizes)]
    running = [
        subprocess.Popen(command, env=given | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True) for rank in (0, 1)
    ]
    told = [one.communicate(timeout=300)[0] for one in running]
    return {int(size): seconds for size, seconds in json.loads(told[0].strip().splitlines()[-1]).items()}


def _sum(sizes: list[int]) -> None:
    dist.init_process_group("gloo")
    found = {}
    for size in sizes:
        flat, times = torch.ones(max(1, size // 4)), []
        for _ in range(5):
            dist.barrier()
            began = time.perf_counter()
            dist.all_reduce(flat)
            times.append(time.perf_counter() - began)
        found[size] = min(times)
    dist.destroy_process_group()
    print(json.dumps(found))


def main() -> None:
    """Measure, project, print; write into ``scale.md`` where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=list(CASES))
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--sum", nargs="+", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.sum:
        _sum(options.sum)
        return
    stages = [(n, s.name) for n in options.cases for s in CASES[n].model().stages if s.share > 0]
    sent = {key: message(CASES[key[0]], key[1]) for key in stages}
    took = summing(sorted({round(size) for size, _ in sent.values()}))
    lines = [
        "| model's stage | a step, s | half its batch, s | MB summed | summing, s | two processes | "
        "64 GPUs: ms a step | pays to |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, stage in stages:
        size, phases = sent[name, stage]
        told = halved(CASES[name], stage)
        two = told["half"] + took[round(size)]
        at_64 = 1e3 * projected(told["flops"], size, phases, 64)
        end, wait = pays_to(told["flops"], size, phases), took[round(size)]
        lines.append(
            f"| {name}: {stage} | {told['whole']:.4f} | {told['half']:.4f} | {size / 1e6:.2f} | {wait:.4f} "
            f"| {told['whole'] / two:.2f} times as fast | {at_64:.2f} | {end} GPU{'s' if end > 1 else ''} |"
        )
        print(lines[-1], flush=True)
    text = f"{time.strftime('%Y-%m-%d')}, {kind()}; one thread a process, the machine shared.\n\n" + "\n".join(lines)
    print(text)
    if options.docs is not None:
        write_between(options.docs / "scale.md", BEGIN, END, text)


if __name__ == "__main__":
    main()
