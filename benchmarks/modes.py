"""Mode coverage on the ring and the grid of Gaussians: every GAN loss and every hybrid under one budget.

    python benchmarks/modes.py --out RESULTS.jsonl [--problems ring grid] [--seeds 0 1 2] [--steps 4000]
                               [--methods relativistic ...]

The protocol of PacGAN (arXiv 1712.04086): 100,000 training points; 2,500 samples are judged, each by its nearest mode;
of high quality are those within three standard deviations of it; a mode is covered that has one such sample. Reverse
KL is that of the samples' modes from the uniform distribution, in nats. The budget is a number of gradient steps of
256 points over all of a model's stages, an autoencoder's pretraining counted in, on one thread. Every run is a line of
RESULTS and not repeated; runs that diverge count as they are. ``benchmarks/results/modes.jsonl`` has those of all
methods in docs/modes.md: ``--out`` that file goes on with them.

``--together`` prints what there is of ring and grid in one table, with the seeds that meet the goals, and runs nothing.

``--problems moons spiral checkerboard normal`` are points that are no modes: arcs with a gap, one long curve, squares
that touch at corners, and a correlated normal distribution. What is made of them is judged by how well gradient
boosting tells 2,500 samples from as many new points (AUC; .5: not at all).
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.errors import AeganWarning, NonFiniteError
from aegan.metrics.table_detection import two_sample_auc
from aegan.models.base import in_blocks, noise_for
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec
from machine import kind

TRAINED_ON, JUDGED, BATCH = 100_000, 2_500, 256
FREE = {"r1": 0.0, "r2": 0.0}
SIZE = {"width": 8, "blocks": 2, "batch_size": BATCH}
"""Every network: residual, 64 hidden units."""
GOALS = {"ring": (8, 0.98, 0.02), "grid": (25, 0.97, 0.03)}
"""Modes, share of high quality and reverse KL that a seed has to reach."""
GAN = {"noise_dim": 2, **SIZE}
"""Noise as long as the data, as in PacGAN: with 8 numbers 83 % of the ring's samples were good, with 2 95 % (128 units,
8,000 steps)."""
FALLING = {"penalty": {"r1": 1.0, "r2": 1.0, "final": 0.001}}
SIGNS = {"noise_dim": 16, "signs": 14}
"""As many steady numbers as the data have: with four, five of nine seeds left points between the grid's modes."""
AUTOENCODER = {"latent_dim": 2, **SIZE}
NESTED = {"autoencoder": AUTOENCODER | {"code_noise": 0.02}}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "minimax (saturating)": ("gan", {"loss": "minimax", "penalty": FREE}),
    "non-saturating": ("gan", {"loss": "non-saturating", "penalty": FREE}),
    "least squares": ("gan", {"loss": "least-squares", "penalty": FREE}),
    "hinge": ("gan", {"loss": "hinge", "penalty": FREE}),
    "hinge + spectral norm": ("gan", {"loss": "hinge", "penalty": FREE, "spectral_norm": True}),
    "relativistic": ("gan", {"loss": "relativistic", "penalty": FREE}),
    "relativistic average": ("gan", {"loss": "relativistic-average", "penalty": FREE}),
    "WGAN-GP": ("gan", {"loss": "wasserstein", "penalty": FREE | {"unit": 10.0}}),
    "non-saturating + DRAGAN": ("gan", {"loss": "non-saturating", "penalty": FREE | {"dragan": 10.0}}),
    "non-saturating + R1": ("gan", {"loss": "non-saturating", "penalty": {"r1": 0.1, "r2": 0.0}}),
    "non-saturating, packed by 4": ("gan", {"loss": "non-saturating", "penalty": FREE, "pack": 4}),
    "non-saturating, minibatch stddev": ("gan", {"loss": "non-saturating", "penalty": FREE, "stddev": True}),
    "relativistic + R1 + R2": ("gan", {"penalty": {"r1": 0.1, "r2": 0.1}}),
    "the same, penalties falling": ("gan", FALLING),
    "falling, octaves": ("gan", {**FALLING, "octaves": 3}),
    "falling, signs": ("gan", {**FALLING, **SIGNS}),
    "falling, octaves and signs": ("gan", {**FALLING, **SIGNS, "octaves": 3}),
    "the last, non-saturating": ("gan", {**FALLING, **SIGNS, "octaves": 3, "loss": "non-saturating"}),
    "adversarial autoencoder": ("adversarial-autoencoder", {**NESTED, "hidden": 64}),
    "VAE-GAN": ("vae-gan", AUTOENCODER),
    "latent GAN": (
        "latent-gan",
        {
            **NESTED,
            "noise_dim": 8,
            "latent": {"hidden": 64, "batch_size": BATCH, "gamma": 0.1},
            "joint": {"width": 8, "batch_size": BATCH, "gamma": 0.1},
        },
    ),
    "latent GAN, correcting": (
        "latent-gan",
        {
            "autoencoder": {"model": "variational", **AUTOENCODER},
            "latent": {"hidden": 64, "batch_size": BATCH, "gamma": 0.1, "form": "correcting", "whiten": False},
            "joint": {"width": 8, "batch_size": BATCH, "gamma": 0.1},
        },
    ),
    "denoising GAN, on data": ("denoising-gan", {"space": "data", "noise_dim": 4, "gamma": 0.05, **SIZE}),
    "denoising GAN, on codes": (
        "denoising-gan",
        {"noise_dim": 4, "gamma": 0.05, **SIZE, "autoencoder_share": 0.3, **NESTED},
    ),
    "contractive GAN": (
        "contractive-gan",
        {"autoencoder": AUTOENCODER, "hidden": 64, "adversarial": {"batch_size": BATCH, "gamma": 0.1}},
    ),
    "KL-GAN": (
        "vq-gan",
        {"autoencoder": {"model": "variational", **AUTOENCODER}, "batch_size": BATCH, "gamma": 0.1},
    ),
    "Soft-IntroVAE": ("soft-introvae", AUTOENCODER),
    "BiGAN": ("bigan", {**AUTOENCODER, "gamma": 0.1}),
    "ALI": ("bigan", {**AUTOENCODER, "gamma": 0.1, "stochastic": True}),
    "ALAE": ("alae", {**AUTOENCODER, "gamma": 0.1, "hidden": 64}),
    "MDGAN": ("mdgan", {**AUTOENCODER, "gamma": 0.1}),
    "BEGAN": ("began", AUTOENCODER),
    "EBGAN": ("ebgan", AUTOENCODER),
    "warm-started GAN": ("warm-start-gan", {**NESTED, "batch_size": BATCH, "gamma": 0.1}),
    "variational (no adversary)": ("variational", AUTOENCODER),
    "Wasserstein autoencoder (no adversary)": ("wasserstein", AUTOENCODER),
}


def centres(problem: str) -> tuple[Tensor, float]:
    """Modes ``(M, 2)`` and their standard deviation."""
    if problem == "ring":
        angle = torch.arange(8) * math.pi / 4
        return torch.stack([angle.cos(), angle.sin()], 1), 0.01
    side = torch.arange(-4.0, 5.0, 2.0)
    return torch.cartesian_prod(side, side), 0.05


def points(problem: str, seed: int, n: int = TRAINED_ON) -> Tensor:
    """Points ``(n, 2)``, those of training by default."""
    generator = torch.Generator().manual_seed(seed)
    if problem in SHAPES:
        return SHAPES[problem](torch.rand(n, 2, generator=generator), torch.randn(n, 2, generator=generator))
    modes, deviation = centres(problem)
    which = torch.randint(0, len(modes), (n,), generator=generator)
    return modes[which] + deviation * torch.randn(n, 2, generator=generator)


def _moons(u: Tensor, noise: Tensor) -> Tensor:
    angle, lower = math.pi * u[:, 0], u[:, 1] < 0.5
    arc = torch.stack([torch.where(lower, 1 - angle.cos(), angle.cos()), angle.sin()], 1)
    arc[:, 1] = torch.where(lower, 0.5 - arc[:, 1], arc[:, 1])
    return arc + 0.05 * noise


def _spiral(u: Tensor, noise: Tensor) -> Tensor:
    turn = 3 * math.pi * (0.25 + u[:, 0].sqrt())
    return torch.stack([turn * turn.cos(), turn * turn.sin()], 1) + 0.2 * noise


def _checkerboard(u: Tensor, noise: Tensor) -> Tensor:
    del noise
    x, y = 4 * u[:, 0], 2 * u[:, 1]
    return torch.stack([x, y.floor() * 2 + x.floor() % 2 + y % 1], 1)


def _normal(u: Tensor, noise: Tensor) -> Tensor:
    del u
    return noise @ torch.tensor([[1.0, 0.9], [0.0, 0.44]])


SHAPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "moons": _moons,
    "spiral": _spiral,
    "checkerboard": _checkerboard,
    "normal": _normal,
}
"""Points of uniform ``(N, 2)`` and of normal draws ``(N, 2)``."""


def judged(made: Tensor, problem: str) -> dict[str, float]:
    """Modes covered, share of high quality and reverse KL of samples ``(N, 2)``; of other points the AUC."""
    if problem in SHAPES:
        if not bool(torch.isfinite(made).all()):
            return {"auc": 1.0}
        fresh = points(problem, 999, len(made))
        real, new = (pd.DataFrame({"x": part[:, 0], "y": part[:, 1]}) for part in (fresh.numpy(), made.numpy()))
        return {"auc": two_sample_auc(real, new, kinds={"x": "numeric", "y": "numeric"}).auc}
    modes, deviation = centres(problem)
    if not bool(torch.isfinite(made).all()):
        return {"modes": 0.0, "quality": 0.0, "kl": math.log(len(modes))}
    distance, nearest = torch.cdist(made, modes).min(1)
    good = distance <= 3 * deviation
    share = torch.bincount(nearest, minlength=len(modes)).double() / len(made)
    kl = (share * (share.clamp_min(1e-12) * len(modes)).log()).sum()
    return {"modes": float(len(nearest[good].unique())), "quality": good.double().mean().item(), "kl": kl.item()}


def trained(method: str, problem: str, seed: int, steps: int) -> dict[str, float]:
    """One run, and its figures."""
    x = points(problem, seed)
    mean, scale = x.mean(0), x.std(0)
    name, settings = METHODS[method]
    if name == "gan":
        settings = GAN | settings
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeganWarning)  # two numbers for two numbers is what is asked for here
        model = build(name, Spec(kind="vector", shape=(2,)), settings)
    began = time.process_time()
    try:
        config = TrainConfig(steps=steps, seed=seed, grids=0)
        Trainer(model, TensorData(x=(x - mean) / scale), config, Backend("cpu", "fp32")).fit()
    except NonFiniteError:
        return judged(torch.full((1, 2), math.nan), problem) | {"seconds": time.process_time() - began, "diverged": 1.0}
    seconds = time.process_time() - began
    model.eval()
    made = in_blocks(model.generate, noise_for(seed + 1, JUDGED, model.noise_dim), None)
    return judged(made * scale + mean, problem) | {"seconds": seconds}


def interval(values: list[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (2000, len(values))).mean(1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def main() -> None:
    """Run what is missing and print a table for each problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--problems", nargs="+", choices=("ring", "grid", *SHAPES), default=["ring", "grid"])
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--together", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    kept = _read(options.out)
    if options.together:
        _together(kept, options)
        return
    for problem in options.problems:
        rows = []
        for method in options.methods:
            found = []
            for seed in options.seeds:
                run = {"problem": problem, "method": method, "steps": options.steps, "seed": seed}
                if (key := tuple(run.values())) not in kept:
                    kept[key] = trained(method, problem, seed, options.steps)
                    with options.out.open("a") as file:
                        file.write(json.dumps(run | kept[key] | {"machine": kind()}) + "\n")
                found.append(kept[key])
            rows.append((method, found))
            print(f"{problem}, {method}: {found}", flush=True)
        print(f"\n{time.strftime('%Y-%m-%d')}, {platform.machine()}, one thread, torch {torch.__version__}: {problem},")
        print(f"{options.steps} steps of {BATCH}, {len(options.seeds)} seeds; mean (95 % interval).\n")
        _table(rows)
        print()


def _read(path: Path) -> dict[tuple[object, ...], dict[str, float]]:
    """Finished runs by problem, method, steps and seed."""
    lines = path.read_text().splitlines() if path.exists() else []
    runs = [json.loads(line) for line in lines]
    return {tuple(run[key] for key in ("problem", "method", "steps", "seed")): run for run in runs}


def _together(kept: dict[tuple[object, ...], dict[str, float]], options: argparse.Namespace) -> None:
    """One table of ring and grid, and in how many seeds of each the goals are met."""
    heads = "modes (fewest) | high quality, % | reverse KL | goal met"
    print(f"| method | ring: {heads} | grid: {heads} | processor s |\n{'|---' * 10}|")
    for method in options.methods:
        cells, seconds = [method], 0.0
        for problem, (modes, quality, kl) in GOALS.items():
            places = [(problem, method, options.steps, seed) for seed in options.seeds]
            found = [kept[place] for place in places if place in kept]
            if not found:
                cells += [""] * 4
                continue
            every = [run["modes"] for run in found]
            met = [r for r in found if r["modes"] >= modes and r["quality"] >= quality and r["kl"] <= kl]
            cells.append(f"{np.mean(every):.1f} ({min(every):.0f})")
            for key, factor, digits in (("quality", 100, 1), ("kl", 1, 3)):
                values = [factor * run[key] for run in found]
                low, high = interval(values)
                cells.append(f"{np.mean(values):.{digits}f} ({low:.{digits}f}–{high:.{digits}f})")
            cells.append(f"{len(met)} of {len(found)}")
            seconds = float(np.mean([run["seconds"] for run in found]))
        print(f"| {' | '.join(cells)} | {seconds:.0f} |")


def _table(rows: list[tuple[str, list[dict[str, float]]]]) -> None:
    """The Markdown table of the methods' runs on one problem."""
    every = (("modes", "modes", 1, 1), ("quality", "high quality, %", 100, 1), ("kl", "reverse KL", 1, 3))
    modes = "modes" in rows[0][1][0]
    columns = every if modes else (("auc", "two-sample AUC", 1, 3),)
    heads = ["method", *(head for _, head, _, _ in columns), *["fewest modes"] * modes, "processor s"]
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for method, found in rows:
        cells = [method]
        for key, _, factor, digits in columns:
            values = [factor * run[key] for run in found]
            low, high = interval(values)
            around = f" ({low:.{digits}f}–{high:.{digits}f})" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.{digits}f}{around}")
        if modes:
            cells.append(f"{min(run['modes'] for run in found):.0f}")
        cells.append(f"{np.mean([run['seconds'] for run in found]):.0f}")
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
