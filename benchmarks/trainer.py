"""What the generic trainer costs over a hand-written loop with the same networks, losses and optimisers.

    python benchmarks/trainer.py [--steps 60] [--rounds 9]

Both sides run the latent GAN's autoencoder stage, then its joint stage, on random 28x28 images, in alternation,
so that a drift of the machine hits both. Printed is the median ratio of the times with a bootstrap interval.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.memory import keep_freed_memory
from aegan.train.probes import EventProbe, ProgressProbe
from aegan.train.trainer import Trainer
from aegan.types import Spec, Stage

SPEC = Spec(kind="image", shape=(1, 28, 28), classes=tuple("0123456789"))


def loop(stage: Stage, data: TensorData, steps: int, precision: str) -> float:
    """Seconds of a loop as one writes it by hand: batch, loss, backward, step, average; nothing else."""
    torch.manual_seed(0)
    model = build("latent-gan", SPEC, {})
    stage = next(s for s in model.stages if s.name == stage.name)
    model.requires_grad_(False)
    phases = []
    for phase in stage.phases:
        weights = [p for name in phase.networks for p in getattr(model, name).parameters()]
        o = phase.optimizer
        phases.append((phase.name, weights, torch.optim.AdamW(weights, o.lr, o.betas, o.eps, 0.0, fused=True)))
    live = [p for name in stage.ema for p in getattr(model, name).parameters()]
    average = [p.detach().clone() for p in live]
    began = time.perf_counter()
    for step in range(steps):
        model.stage_step = step
        for name, weights, optimizer in phases:
            batch = data.batch(torch.randint(0, len(data), (stage.batch_size,)))
            for p in weights:
                p.requires_grad_(True)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                terms = model.loss(name, batch)
            sum(t.value * t.weight for t in terms.values()).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            for p in weights:
                p.requires_grad_(False)
        with torch.no_grad():
            torch._foreach_lerp_(average, [p.detach() for p in live], 0.01)
    return time.perf_counter() - began


def trainer(stage: Stage, data: TensorData, steps: int, precision: str) -> float:
    """Seconds of the same steps by the trainer, with events on disk and checks of every loss and gradient."""
    torch.manual_seed(0)
    model = build("latent-gan", SPEC, {})
    config = TrainConfig(steps=steps, grids=0)
    with TemporaryDirectory() as folder:
        probes = [EventProbe(), ProgressProbe(quiet=True)]
        run = Trainer(
            model, data, config, Backend("cpu", precision), folder=Path(folder), probes=probes, stages=(stage,)
        )
        run.checkpoint = lambda: None  # timed apart: it comes once a minute
        began = time.perf_counter()
        run.fit()
        return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (10_000, 1, 28, 28), generator=generator, dtype=torch.uint8)
    data = TensorData(x=x, y=torch.randint(0, 10, (10_000,), generator=generator))
    rng = np.random.default_rng(0)
    setting = f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.precision}"
    print(f"{time.strftime('%Y-%m-%d')}, {setting}")
    for stage in [s for s in build("latent-gan", SPEC, {}).stages if s.name != "latent"]:
        for warm in (loop, trainer):
            warm(stage, data, 5, options.precision)
        keep_freed_memory()  # the trainer sets it for the whole process; the loop is to have it as well
        ratios = []
        for round_ in range(options.rounds):
            order = (loop, trainer) if round_ % 2 else (trainer, loop)
            took = {f.__name__: f(stage, data, options.steps, options.precision) for f in order}
            ratios.append(took["trainer"] / took["loop"])
        medians = [np.median(rng.choice(ratios, len(ratios))) for _ in range(2000)]
        low, high = np.quantile(medians, (0.025, 0.975))
        per = took["loop"] / options.steps * 1e3
        print(
            f"{stage.name}: the trainer takes {np.median(ratios) - 1:+.1%} (95 % interval {low - 1:+.1%} to "
            f"{high - 1:+.1%}) over the loop's {per:.1f} ms a step; {options.rounds} rounds of {options.steps} steps"
        )


if __name__ == "__main__":
    main()
