"""What the benchmarks of several processes share: a group of them by gloo on this machine, timed.

``growth.py`` and ``ranks.py`` call :func:`trained`, :func:`together` and :func:`summing`; each process of a group is
this script.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist

from aegan.config import TrainConfig
from aegan.train.backend import Backend
from aegan.train.group import joined
from aegan.train.probe import Probe, StepRecord
from aegan.train.trainer import Trainer
from machine import CASES, Told, peak


def group(processes: int, *arguments: Any) -> Told:
    """What the first of so many processes of this script prints on its last line, a JSON object.

    Raises:
        RuntimeError: One of them failed.
    """
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
    given = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes)}
    given |= {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, *map(str, arguments)]
    running = [
        subprocess.Popen(command, env=given | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(processes)
    ]
    told = [one.communicate(timeout=1_800)[0] for one in running]
    if any(one.returncode for one in running):
        raise RuntimeError(f"{processes} processes, {' '.join(command[2:])}: exit {[o.returncode for o in running]}")
    return json.loads(told[0].strip().splitlines()[-1])


def summing(sizes: Sequence[int]) -> dict[int, float]:
    """Seconds of summing so many bytes between two processes of this machine, each the least of five."""
    return {int(size): seconds for size, seconds in group(2, "--sum", *sizes).items()}


def together(name: str, stage: str, *, count: int, repeats: int) -> dict[int, list[float]]:
    """Steps a second of one process and of two, in turn."""
    found: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(repeats):
        for processes, rates in found.items():
            rates.append(trained(processes, name, stage, count)["rate"])
    return found


def trained(processes: int, name: str, stage: str, count: int) -> Told:
    """Of a case's stage, by so many processes: ``rate``, steps a second; ``peak``, MiB of the first process."""
    return group(processes, "--train", name, stage, count)


class _Wall(Probe):
    """Seconds of the clock from the end of the second step to that of the last."""

    began = took = 0.0

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        """Called after every step, in the first process alone."""
        if trainer.step == 2:
            self.began = time.perf_counter()
        self.took = time.perf_counter() - self.began


def _train(name: str, stage: str, count: int) -> Told:
    """Two steps and then so many of a stage, in this process or the group that it belongs to."""
    case, clock = CASES[name], _Wall()
    model = case.model()
    chosen = next(s for s in model.stages if s.name == stage)
    config = TrainConfig(steps=2 + count, grids=0, device="cpu", precision="fp32")
    with joined():
        Trainer(model, case.data(), config, Backend("cpu", "fp32"), stages=(chosen,), probes=[clock]).fit()
    return {"rate": count / max(clock.took, 1e-9), "peak": peak()}


def _sum(sizes: Sequence[int]) -> dict[int, float]:
    found = {}
    with joined():
        for size in sizes:
            flat, times = torch.ones(max(1, size // 4)), []
            for _ in range(5):
                dist.barrier()
                began = time.perf_counter()
                dist.all_reduce(flat)
                times.append(time.perf_counter() - began)
            found[size] = min(times)
    return found


def main() -> None:
    """One process of a group: measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sum", nargs="+", type=int)
    parser.add_argument("--train", nargs=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.sum:
        print(json.dumps(_sum(options.sum)))
        return
    name, stage, count = options.train
    print(json.dumps(_train(name, stage, int(count))))


if __name__ == "__main__":
    main()
