"""What ``bench.py`` measures in a process of its own: one part and side a call, one JSON line.

python benchmarks/bench_parts.py rates images [--seed 0] [--quick]
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from aegan.errors import AeganWarning
from aegan.models.base import in_blocks, noise_for
from aegan.train.checkpoint import save_model
from aegan.types import Spec
from machine import CASES, Case, Told, arithmetic, child, cost, peak, steps

IMPORTS = {
    "aegan": ("import aegan", "import aegan.api, aegan.fitting, aegan.models.hybrids.latent_gan"),
    "pythae": ("import pythae", "import pythae.models, pythae.trainers, pythae.pipelines, pythae.samplers"),
    "ctgan": ("import ctgan", "from ctgan import CTGAN"),
}
LIMIT = 600.0
"""Processor seconds after which a quality counts as not reached."""
SHAPES, TRENDS, FRECHET = 3.0, 5.0, 10.0
DISCRIMINATIVE, PREDICTIVE = 0.102, 0.038
"""What TimeGAN's paper prints for Stocks."""
GOOD = 0.9


def start(options: argparse.Namespace) -> Told:
    """Processor seconds of imports in a fresh interpreter: the least of three; memory behind the larger."""
    python = sys.executable if options.side == "aegan" else str(options.peer_python)

    def run(*command: str) -> float:
        times = []
        for _ in range(1 if options.quick else 3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([python, *command], check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return min(times)

    alone, ready = IMPORTS[options.side]
    told = {"import": run("-c", alone), "ready": run("-c", ready)}
    told["peak"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    if options.side == "aegan":
        told["help"] = run("-m", "aegan.cli.main", "--help")
    return told


def loops(options: argparse.Namespace) -> Told:
    """The default image model's stages by the trainer, or by a plain eager fp32 loop; pictures a processor second.

    The trainer has the precision that it chooses by measurement on this machine.
    """
    from aegan.train.precision import choose_precision
    from trainer import loop, trainer

    case = CASES["images, 28x28"]
    data, work, precision = case.data(), {"aegan": trainer, "plain loop": loop}[options.side], "fp32"
    if options.side == "aegan":
        precision, _ = choose_precision(case.model(), data, "cpu")
    count, told = 2 if options.quick else 12, {}
    for stage in [stage for stage in case.model().stages if stage.name != "latent"]:
        work(stage, data, 2, precision)
        once = cost(lambda stage=stage: work(stage, data, 1, precision))
        many = cost(lambda stage=stage: work(stage, data, 1 + count, precision))
        told[stage.name] = count * stage.batch_size / max(many - once, 1e-9)
    return told | {"peak": peak()}


def timegan(options: argparse.Namespace) -> Told:
    """Processor seconds a step of ``timegan``'s stages."""
    case = Case("series", Spec(kind="series", shape=(24, 6)))
    model, data = case.model("timegan"), case.data()
    seconds = 0.1 if options.quick else 4.0
    return {s.name: steps(model, data, s.name, seconds=seconds)["step"] for s in model.stages} | {"peak": peak()}


def modes(options: argparse.Namespace) -> Told:
    """Processor seconds of the first run, each twice as long as the last, that covers the ring."""
    from modes import trained

    def attempt(budget: float) -> Told:
        return trained(options.side, "ring", options.seed, int(budget))

    return ladder(attempt, 100 if options.quick else 500, lambda t: t["modes"] >= 8 and t["quality"] >= GOOD, options)


def tables_quality(options: argparse.Namespace) -> Told:
    """Processor seconds of the first fit, each twice as long as the last, whose rows are near enough to Adult's."""
    import aegan
    from aegan.data.table_source import open_table
    from aegan.metrics.table_fidelity import table_fidelity

    train = open_table(options.data / "adult.csv").frame()
    train = train.head(2_000) if options.quick else train

    def of_peer(budget: float) -> tuple[object, Told]:
        import pandas as pd

        peer = Path(__file__).parent / "peers" / "ctgan_tables.py"
        with tempfile.TemporaryDirectory() as folder:
            source, made, told = (Path(folder) / name for name in ("train.parquet", "made.parquet", "told.json"))
            train.to_parquet(source)
            command = [options.peer_python, peer, options.side, source, made, told, options.seed, int(budget)]
            subprocess.run([str(part) for part in command], check=True, capture_output=True)
            found = json.loads(told.read_text())
            return pd.read_parquet(made), {"seconds": found["cpu"], "sample": found["rate"], "peak": found["peak"]}

    def of_own(budget: float) -> tuple[object, Told]:
        began = time.process_time()
        fitted = aegan.fit(train, steps=int(budget), seed=options.seed, holdout=0.0, evaluate=False, doctor=False)
        took = time.process_time() - began
        began = time.process_time()
        rows = fitted.sample(len(train), seed=options.seed + 1)
        return rows, {"seconds": took, "sample": len(train) / (time.process_time() - began), "peak": peak()}

    def attempt(budget: float) -> Told:
        rows, told = (of_own if options.side == "aegan" else of_peer)(budget)
        found = table_fidelity(train, rows[train.columns])
        return told | {"shapes": found.shape_error, "trends": found.trend_error}

    first = (50 if options.quick else 100) if options.side == "aegan" else (1 if options.quick else 10)
    return ladder(attempt, first, lambda t: t["shapes"] <= SHAPES and t["trends"] <= TRENDS, options)


def images_quality(options: argparse.Namespace) -> Told:
    """Processor seconds of the first training, each twice as long as the last, whose samples are near enough."""
    import aegan
    from aegan.data import ImageAdapter
    from aegan.data.base import TensorData
    from aegan.metrics import classifier_features, frechet_distance

    source = str(options.data)
    adapter = ImageAdapter().fit(source)
    train = adapter.to_tensors(source)
    number = 500 if options.quick else 5_000
    real = train.subset(torch.arange(2_000)) if options.quick else train
    with torch.random.fork_rng():
        torch.manual_seed(0)
        features = classifier_features(real, adapter.spec, None)
    reference = features(real)

    def attempt(budget: float) -> Told:
        if options.side == "pythae":
            import numpy as np

            peer = Path(__file__).parent / "peers" / "pythae_images.py"
            with tempfile.TemporaryDirectory() as folder:
                made = Path(folder) / "made.npz"
                given = ["--data", source, "--model", "ae", "--budget", budget, "--clock", "cpu", "--threads", 1]
                command = [options.peer_python, peer, *given, "--num", number, "--seed", options.seed, "--out", made]
                subprocess.run([str(part) for part in command], check=True, capture_output=True)
                with np.load(made) as arrays:
                    x = torch.from_numpy(arrays["x_gmm"])[:, None]
            return {"seconds": budget, "frechet": frechet_distance(reference, features(x))}
        began = time.process_time()
        fitted = aegan.fit(source, budget=budget, seed=options.seed, holdout=0.0, evaluate=False, doctor=False)
        took = time.process_time() - began
        x, _ = fitted.sample_tensors(number, seed=options.seed)
        x = x.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        return {"seconds": took, "frechet": frechet_distance(reference, features(TensorData(x=x)))}

    return ladder(attempt, 5 if options.quick else 60, lambda told: told["frechet"] <= FRECHET, options)


def series_quality(options: argparse.Namespace) -> Told:
    """Processor seconds of the first training, each twice as long as the last, with TimeGAN's published scores."""
    from series import drawn, scores, units_of

    folder, quick = options.data.parent, options.quick
    asked = argparse.Namespace(steps=None, holdout=0.0, num=400 if quick else None, set=[])
    judges = argparse.Namespace(scorers=1 if quick else 3, iterations=(50, 50) if quick else (2000, 5000))

    def of_peer(budget: float) -> tuple[torch.Tensor, torch.Tensor, Told]:
        real = units_of(folder, "stocks", asked.num, options.seed)
        with tempfile.TemporaryDirectory() as place:
            windows, made = Path(place) / "windows.pt", Path(place) / "made.pt"
            torch.save(real, windows)
            given = ["--windows", windows, "--made", made, "--iterations", int(budget), "--seed", options.seed]
            told = child(Path(__file__).parent / "peers" / "timegan_loop.py", *given)
            return real, torch.load(made, weights_only=True), told

    def of_own(budget: float) -> tuple[torch.Tensor, torch.Tensor, Told]:
        asked.budget = budget
        of = drawn(folder, "stocks", options.side, options.seed, asked)
        took = of["took"]
        told = {"seconds": took["cpu"], "sample": len(of["fake"]) / took["cpu_draw"], "peak": peak()}
        return of["train"], of["fake"], told

    def attempt(budget: float) -> Told:
        real, made, told = (of_peer if options.side == "loop" else of_own)(budget)
        found = scores(real, made, None, judges)
        return told | {key: statistics.fmean(found[key]) for key in ("discriminative", "predictive")}

    def good(told: Told) -> bool:
        return told["discriminative"] <= DISCRIMINATIVE and told["predictive"] <= PREDICTIVE

    first = (1 if quick else 30) if options.side == "loop" else (5 if quick else 10)
    return ladder(attempt, first, good, options)


def ladder(
    attempt: Callable[[float], Told], first: float, good: Callable[[Told], bool], options: argparse.Namespace
) -> Told:
    """The first of attempts, each with twice the budget of the last, that is good; else the last within the limit.

    ``reached`` is 1 or 0; each attempt begins anew, so that what is reported is one training of that length.
    """
    budget, spent, told = first, 0.0, {}
    limit = 1.0 if options.quick else options.limit
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AeganWarning)
            told = attempt(budget)
        if good(told):
            return told | {"reached": 1.0, "budget": budget}
        spent = told["seconds"]
        if 2 * spent > limit:
            return told | {"reached": 0.0, "budget": budget}
        budget *= 2


def rates(options: argparse.Namespace) -> Told:
    """Samples and codes a processor second of a default model with untrained weights; its size on disk in MiB."""
    case = next(case for name, case in CASES.items() if name.startswith(options.side))
    model, count = case.model().eval(), 2 if options.quick else 20
    n = count * model.block
    noise = noise_for(0, n, model.noise_dim)
    y = torch.arange(n) % len(case.spec.classes) if case.spec.classes and model.conditional else None
    told: Told = {}
    if model.noise_dim:
        in_blocks(model.generate, noise[: model.block], None if y is None else y[: model.block], block=model.block)
        took = cost(lambda: in_blocks(model.generate, noise, y, block=model.block))
        told["sample"] = n / took
    if model.code_dim:
        x = case.data().batch(torch.arange(n) % case.samples)["x"]
        in_blocks(model.encode, x[: model.block], block=model.block)
        told["encode"] = n / cost(lambda: in_blocks(model.encode, x, block=model.block))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_model(path, model.state_dict(), {}, {})
        told["size"] = path.stat().st_size / 2**20
    return told | {"peak": peak()}


def arithmetic_part(options: argparse.Namespace) -> dict[str, Told]:
    """See :func:`machine.arithmetic`."""
    return arithmetic(least=1 if options.quick else 4, seconds=0.1 if options.quick else 4.0)


MEASURED = {
    "start": start,
    "loops": loops,
    "timegan": timegan,
    "modes": modes,
    "tables_quality": tables_quality,
    "images_quality": images_quality,
    "series_quality": series_quality,
    "rates": rates,
    "arithmetic": arithmetic_part,
}


def main() -> None:
    """Measure one and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=tuple(MEASURED))
    parser.add_argument("side", nargs="?", default="aegan")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--limit", type=float, default=LIMIT)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    told = MEASURED[options.part](options)
    print(json.dumps(told, default=lambda value: None if math.isnan(value) else float(value)))


if __name__ == "__main__":
    main()
