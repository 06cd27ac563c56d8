"""What contraction does to an autoencoder's codes, against plain and denoising ones at equal budget.

    python benchmarks/contraction.py --data DIR --out RESULTS [--seeds 0 1 2] [--seconds 45] [--curve-seconds 10]

DIR holds the four IDX files of Fashion-MNIST; without it only the curve is done: a spiral in a plane of 16 dimensions,
with a little noise. Every model has the same networks and the same seconds of processor time on one thread. How many
steps fit is measured first, with the models in alternation, and kept; ``--steps`` gives every model the same number
instead. Finished results are kept in RESULTS and used again. Written there: results.json, tables.md and the plots.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from aegan.config import TrainConfig
from aegan.data import ImageAdapter
from aegan.data.base import TensorData
from aegan.models.autoencoders.base import AutoencoderModel
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec
from contraction_measures import SMALL, Sizes, interval, linear_probe, measured
from line_plot import Line, line_plot

PLAIN = {"code_noise": 0.0, "code_weight": 0.0, "feature_weight": 0.0, "class_weight": 0.0}
NO_JACOBIAN = {"weight": 0.0}


@dataclass(frozen=True)
class Task:
    """Data, networks and methods of one half of the study.

    Attributes:
        settings: Of every method, the networks' sizes above all.
        methods: Name to model and settings.
        noises: That robustness is measured at; the denoising model is trained with the middle one.
        figures: Rows of the table: title, key and, of a list, which entry.
    """

    name: str
    spec: Spec
    train: TensorData
    test: Tensor
    off: dict[str, Tensor]
    settings: dict[str, int]
    methods: dict[str, tuple[str, dict[str, object]]]
    noises: tuple[float, ...]
    figures: tuple[tuple[str, str, int | None], ...]
    tangents: Tensor | None = None
    test_labels: Tensor | None = None


def methods(noise: float, weight: float, l2: float) -> dict[str, tuple[str, dict[str, object]]]:
    """The methods; ``weight`` is λ of the Jacobian penalty, and the other units of codes are tried at ten times it."""
    return {
        "plain": ("autoencoder", {**PLAIN}),
        "denoising": ("denoising", {"amount": noise}),
        "contractive": ("contractive", {"weight": weight}),
        "contractive, 10λ": ("contractive", {"weight": 10 * weight}),
        "in spread, 10λ": ("contractive", {"weight": 10 * weight, "units": "spread"}),
        "raw, 10λ": ("contractive", {"weight": 10 * weight, "units": "raw"}),
        "weights, L2": ("contractive", {**NO_JACOBIAN, "weight_l2": l2}),
    }


FIGURES: tuple[tuple[str, str, int | None], ...] = (
    ("steps", "steps", None),
    ("reconstruction error, per value", "reconstruction error", None),
    ("spread of codes", "spread", None),
    ("‖J‖² in the codes' own units", "raw norm", None),
    ("‖J‖² in units of spread", "norm on", None),
    ("‖J‖² of whitened codes", "whitened norm on", None),
    ("the same, off the manifold", "whitened norm noisy", None),
    ("largest singular value, on", "singular values on", 0),
    ("largest singular value, off", "singular values noisy", 0),
    ("effective dimension of J, on", "dimension of Jacobian on", None),
    ("effective dimension of J, off", "dimension of Jacobian noisy", None),
    ("effective dimension of codes", "dimension of codes", None),
    ("shift of codes under noise", "shift", 1),
    ("shift of whitened codes", "whitened shift", 1),
    ("noise passed on to the reconstruction", "passed on", 1),
)


def curve() -> Task:
    """A spiral of one and a half turns in a random plane of 16 dimensions, radius 0.2 to 1, noise 0.02."""
    generator = torch.Generator().manual_seed(0)
    plane = torch.linalg.qr(torch.randn(16, 2, generator=generator)).Q

    def points(n: int) -> tuple[Tensor, Tensor]:
        t = torch.rand(n, generator=generator)
        radius, angle = 0.2 + 0.8 * t, 3 * math.pi * t
        ray = torch.stack([angle.cos(), angle.sin()], 1)
        turn = torch.stack([-angle.sin(), angle.cos()], 1)
        tangent = 0.8 * ray + 3 * math.pi * radius[:, None] * turn
        x = radius[:, None] * ray @ plane.T + 0.02 * torch.randn(n, 16, generator=generator)
        return x, torch.nn.functional.normalize(tangent @ plane.T, dim=1)

    train, (test, tangents) = points(4000)[0], points(1000)
    return Task(
        name="curve",
        spec=Spec(kind="vector", shape=(16,)),
        train=TensorData(x=train),
        test=test,
        off={"noisy": test + 0.2 * torch.randn(test.shape, generator=generator)},
        settings={"latent_dim": 2, "width": 8, "blocks": 2, "batch_size": 128},
        methods=methods(0.1, 1e-4, 1e-4),
        noises=(0.02, 0.1, 0.2),
        figures=(
            *FIGURES,
            ("energy of J along the tangent", "tangent share", None),
            ("the same, whitened", "whitened tangent share", None),
        ),
        tangents=tangents,
    )


def fashion(folder: Path) -> Task:
    """Fashion-MNIST at 28x28; off the manifold are test images with noise, and uniform noise."""
    adapter = ImageAdapter().fit(str(folder))
    train = adapter.to_tensors(str(folder))
    held = adapter.to_tensors(str(next(iter(sorted(folder.glob("t10k-images*"))))))
    test = held.batch(torch.arange(len(held)))
    generator = torch.Generator().manual_seed(0)
    some = test["x"][:256]
    return Task(
        name="fashion",
        spec=cast("Spec", adapter.spec),
        train=train,
        test=test["x"],
        off={
            "noisy": some + 0.6 * torch.randn(some.shape, generator=generator),
            "noise": torch.rand(some.shape, generator=generator) * 2 - 1,
        },
        settings={"latent_dim": 32, "width": 16, "blocks": 1, "batch_size": 64},
        methods=methods(0.3, 1e-4, 1e-4),
        noises=(0.1, 0.3, 0.6),
        figures=(
            *FIGURES,
            ("largest singular value, on uniform noise", "singular values noise", 0),
            ("accuracy of a linear probe", "linear probe", None),
            ("the same on noisy images", "linear probe, noisy", None),
        ),
        test_labels=test["y"],
    )


def made(task: Task, method: str, seed: int) -> AutoencoderModel:
    """A fresh model."""
    name, settings = task.methods[method]
    torch.manual_seed(seed)
    return cast("AutoencoderModel", build(name, task.spec, {**task.settings, **settings}))


def steps_that_fit(task: Task, names: list[str], seconds: float, rounds: int = 5, each: int = 8) -> dict[str, int]:
    """Steps of each method in ``seconds`` of processor time: the fastest of alternating rounds, as others disturb."""
    models = {name: made(task, name, 0) for name in names}
    best = dict.fromkeys(names, math.inf)
    for round_ in range(rounds + 1):
        for name, model in models.items():
            trainer = Trainer(model, task.train, TrainConfig(steps=each, grids=0), Backend("cpu", "fp32"))
            began = time.process_time()
            trainer.fit()
            if round_:  # the first warms up
                best[name] = min(best[name], (time.process_time() - began) / each)
    return {name: max(1, round(seconds / took)) for name, took in best.items()}


def trained_and_measured(
    task: Task, method: str, seed: int, steps: int, sizes: Sizes
) -> dict[str, float | list[float]]:
    """One run."""
    model = made(task, method, seed)
    Trainer(model, task.train, TrainConfig(steps=steps, seed=seed, grids=0), Backend("cpu", "fp32")).fit()
    model.requires_grad_(False).eval()
    torch.manual_seed(seed)
    found = measured(model, task.test, task.off, task.noises, sizes, task.tangents) | {"steps": steps}
    if task.test_labels is not None:
        index = torch.randperm(len(task.train), generator=torch.Generator().manual_seed(seed))
        some = task.train.batch(index[: sizes.probe_train])
        found |= linear_probe(model, (some["x"], some["y"]), (task.test, task.test_labels), task.noises[1], sizes)
    return found


def study(task: Task, options: argparse.Namespace, seconds: float) -> dict[str, list[dict]]:
    """Every method and seed that is not there yet; results by method, a list over seeds."""
    kept = options.out / f"{task.name}.json"
    state = json.loads(kept.read_text()) if kept.exists() else {"seconds": seconds, "steps": {}, "runs": {}}
    names = [name for name in task.methods if not options.methods or name in options.methods]
    if missing := [name for name in names if name not in state["steps"]]:
        state["steps"] |= (
            dict.fromkeys(missing, options.steps) if options.steps else steps_that_fit(task, missing, seconds)
        )
    for seed in options.seeds:
        for name in names:
            if (key := f"{name}/{seed}") not in state["runs"]:
                state["runs"][key] = trained_and_measured(
                    task, name, seed, state["steps"][name], SMALL if options.small else Sizes()
                )
                kept.write_text(json.dumps(state, indent=1))
                print(f"{task.name}, {key}: done", flush=True)
    return {name: [state["runs"][f"{name}/{seed}"] for seed in options.seeds] for name in names}


def table(task: Task, runs: dict[str, list[dict]]) -> str:
    """A Markdown table: mean over seeds and its 95 % bootstrap interval."""
    lines = ["| | " + " | ".join(runs) + " |", "|---" * (len(runs) + 1) + "|"]
    for title, key, entry in task.figures:
        cells = []
        for found in runs.values():
            values = [run[key] if entry is None else run[key][entry] for run in found]
            mean, low, high = interval(values)
            cells.append(f"{mean:,.0f}" if key == "steps" else f"{mean:.3g} ({low:.3g}–{high:.3g})")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def lines_of(runs: dict[str, list[dict]], key: str, x: Callable[[int], list[float]], **style: bool) -> list[Line]:
    """One line a method, with the band of its interval."""
    found = []
    for colour, (name, results) in enumerate(runs.items()):
        columns = list(zip(*(run[key] for run in results), strict=True))
        mean, low, high = (list(v) for v in zip(*(interval(list(c)) for c in columns), strict=True))
        found.append(Line(name, x(len(mean)), mean, low, high, colour, **style))
    return found


def plots(task: Task, runs: dict[str, list[dict]], out: Path) -> None:
    """Spectra on and off the manifold, and robustness."""
    count: Callable[[int], list[float]] = lambda n: [float(i + 1) for i in range(n)]  # noqa: E731
    if task.settings["latent_dim"] > 2:
        for where, title in (
            ("on", "on the manifold: test images"),
            ("noisy", "off it: test images with noise of 0.6"),
        ):
            lines = lines_of(runs, f"singular values {where}", count)
            path = out / f"contraction-{task.name}-spectrum-{where}.svg"
            line_plot(path, f"Singular values {title}", "number", "value, codes in units of spread", lines, log=True)
    noises: Callable[[int], list[float]] = lambda n: list(task.noises)  # noqa: E731
    for key in ("whitened shift", "passed on"):
        title = {"whitened shift": "How far whitened codes move", "passed on": "Noise passed on to the reconstruction"}
        label = {"whitened shift": "root mean square, a unit", "passed on": "part of the data's displacement"}
        path = out / f"contraction-{task.name}-{key.replace(' ', '-')}.svg"
        line_plot(path, title[key], "standard deviation of the noise", label[key], lines_of(runs, key, noises))


def main() -> None:
    """Train, measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with Fashion-MNIST")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, default=45.0, help="processor time of a model on Fashion-MNIST")
    parser.add_argument("--curve-seconds", type=float, default=10.0, help="processor time of a model on the curve")
    parser.add_argument("--steps", type=int, help="steps of every model, instead of seconds")
    parser.add_argument("--methods", nargs="+", help="some of the methods only")
    parser.add_argument("--small", action="store_true", help="measure at fewer points")
    parser.add_argument("--no-curve", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    tasks: list[tuple[Task, float]] = [] if options.no_curve else [(curve(), options.curve_seconds)]
    if options.data:
        tasks.append((fashion(options.data), options.seconds))
    text = [f"torch {torch.__version__}, one thread, fp32; mean over seeds {options.seeds} (95 % bootstrap interval)"]
    for task, seconds in tasks:
        runs = study(task, options, seconds)
        plots(task, runs, options.out)
        text += ["", f"## {task.name}", "", table(task, runs)]
    (options.out / "tables.md").write_text("\n".join(text) + "\n")
    print("\n".join(text))


if __name__ == "__main__":
    main()
