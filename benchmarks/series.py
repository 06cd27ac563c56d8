"""Synthetic time series judged by the published scores, and small labelled sets augmented; one command each.

    python benchmarks/series.py --data DATA --out RESULTS [--sets stocks energy energy-256 ecg200] [--models recurrent]
                                [--seeds 0 1 2] [--scorers 5] [--budget 10m | --steps N] [--num N] [--holdout 0.1]

DATA holds ``timegan_stock``, ``appliances_energy`` and ``ecg200``. Stocks and Energy are cut into windows of 24 (and
256) steps at stride 1, scaled to their range. As published, the generator learns from all windows and is judged on
them: ``--holdout`` keeps stretches of time from it and adds the scores on these. A row beside gives what real series
score against real series. ECG200 is augmented with as many synthetic series again, jittered copies and SMOTE;
two classifiers are tested on its own test set. Every run is kept in RESULTS (its draws, then its scores as JSON) and
not repeated; the tables are printed and written as Markdown. ``cpu`` is processor seconds of fitting, which a busy
machine does not change much.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import aegan
from aegan.data.base import TensorData
from aegan.data.series import SeriesAdapter
from aegan.errors import AeganWarning
from aegan.metrics.series_downstream import series_downstream
from aegan.metrics.series_scores import discriminative_score, predictive_score
from aegan.series import draw
from aegan.series_judging import in_units

WINDOWS = {
    "stocks": ("timegan_stock/stock_data.csv", 24),
    "energy": ("appliances_energy/energydata_complete.csv", 24),
    "energy-256": ("appliances_energy/energydata_complete.csv", 256),
}
MOST = {24: 20_000, 256: 2_000}
"""Windows of either side that are judged, by their length."""
T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}


def steps_of(data: Path, name: str) -> tuple[np.ndarray, int]:
    """All steps ``(T, C)`` of a set, and the length of its windows."""
    file, window = WINDOWS[name]
    frame = pd.read_csv(data / file)
    return frame.drop(columns=[column for column in frame if column == "date"]).to_numpy(np.float64), window


def generated(data: Path, name: str, model: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Fit one model, draw from it, and judge what it drew; the draws are kept, for a scoring that is cut off."""
    kept = options.out / f"{name}-{model}-{seed}.pt"
    if not kept.exists():
        torch.save(drawn(data, name, model, seed, options), kept)
    of = torch.load(kept, weights_only=True)
    return of["took"] | {"n": len(of["train"])} | scores(of["train"], of["fake"], of["held"], options)


def drawn(data: Path, name: str, model: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Fit one model and draw from it: windows of both sides, and what it cost."""
    steps, window = steps_of(data, name)
    began, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeganWarning)
        fitted = aegan.fit(
            steps,
            kind="series",
            model=model,
            window=window,
            layout="long",
            budget=options.budget,
            steps=options.steps,
            seed=seed,
            holdout=options.holdout,
            evaluate=False,
            settings=dict(pair.split("=", 1) for pair in options.set),
        )
    took = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    train = _units(fitted.adapter, fitted.train, options.num or MOST[window], seed)
    cpu = time.process_time()
    made = draw(fitted, len(train), seed=seed)
    took["cpu_draw"] = time.process_time() - cpu
    fake = in_units(fitted.adapter, made)
    held = None if fitted.holdout is None else _units(fitted.adapter, fitted.holdout, len(train), seed)
    return {"took": took, "train": train, "fake": _x(fake), "held": held}


def real(data: Path, name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """What the scores say of real windows against other real windows."""
    steps, window = steps_of(data, name)
    adapter = SeriesAdapter(window=window, layout="long").fit(steps)
    x = _x(in_units(adapter, adapter.to_tensors(steps)))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    half = min(len(x) // 2, options.num or MOST[window])
    return {"n": half} | scores(x[order[:half]], x[order[half : 2 * half]], None, options)


def units_of(data: Path, name: str, most: int | None, seed: int) -> Tensor:
    """Windows ``(N, T, C)`` of a set in its units; at most so many, drawn at random."""
    steps, window = steps_of(data, name)
    adapter = SeriesAdapter(window=window, layout="long").fit(steps)
    return _units(adapter, adapter.to_tensors(steps), most or MOST[window], seed)


def scores(train: Tensor, fake: Tensor, held: Tensor | None, options: argparse.Namespace) -> dict[str, Any]:
    """Both scores with several seeds of their networks; as published, and on a holdout where there is one."""
    out: dict[str, Any] = {"discriminative": [], "predictive": []}
    if held is not None:
        out |= {"discriminative_holdout": [], "predictive_holdout": []}
    first, second = options.iterations
    for seed in range(options.scorers):
        out["discriminative"].append(discriminative_score(train, fake, iterations=first, seed=seed).score)
        out["predictive"].append(predictive_score(train, fake, iterations=second, seed=seed))
        if held is not None:
            found = discriminative_score(train, fake, holdout=held, iterations=first, seed=seed)
            out["discriminative_holdout"].append(found.score)
            out["predictive_holdout"].append(
                predictive_score(held, fake, reference=train, iterations=second, seed=seed)
            )
    return out


def _units(adapter: Any, data: TensorData, most: int, seed: int) -> Tensor:
    index = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:most]
    return _x(in_units(adapter, data.subset(index)))


def _x(data: TensorData | None) -> Tensor:
    if data is None:
        raise ValueError("no series to judge")
    return data.batch(torch.arange(len(data)))["x"]


# --- ECG200 -------------------------------------------------------------------------------------------------


def augmented(data: Path, model: str, seed: int, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Accuracy on the test set of classifiers trained on the training set and what each method adds to it."""
    paths = [data / "ecg200" / f"ECG200_{part}.ts" for part in ("TRAIN", "TEST")]
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeganWarning)
        fitted = aegan.fit(
            paths[0],
            kind="series",
            model=model,
            budget=options.budget,
            steps=options.steps,
            seed=seed,
            holdout=0.0,
            evaluate=False,
            settings=dict(pair.split("=", 1) for pair in options.set),
        )
    cpu = time.process_time() - began
    train, test = (fitted.adapter.to_tensors(path) for path in paths)
    x, y = train.batch(torch.arange(len(train)))["x"], train.labels
    if y is None:
        raise ValueError("ECG200 has classes; none were read")
    made = draw(fitted, len(train), seed=seed)
    rng = np.random.default_rng(seed)
    extra: dict[str, Any] = {
        "real only": None,
        f"+ {model}": (made.x, made.y),
        "+ jittered": (x + 0.05 * x.std() * torch.from_numpy(rng.normal(size=x.shape)).float(), y),
        "+ SMOTE": smote(x, y, rng),
    }
    out: dict[str, dict[str, float]] = {}
    for name, more in extra.items():
        xs = x if more is None else torch.cat([x, more[0]])
        ys = y if more is None else torch.cat([y, more[1]])
        out[name] = accuracies(xs, ys, test, seed)
    if made.y is not None:
        out[f"{model} alone"] = accuracies(made.x, made.y, test, seed)
    out["fit"] = {"cpu": cpu}
    return out


def accuracies(x: Tensor, y: Tensor, test: TensorData, seed: int) -> dict[str, float]:
    """Of both classifiers, trained on ``x`` and ``y``."""
    found = series_downstream(TensorData(x=x, y=y), test, seed=seed)
    return {"1-NN": found.neighbour, "network": found.network}


def smote(x: Tensor, y: Tensor, rng: np.random.Generator, k: int = 5) -> tuple[Tensor, Tensor]:
    """One new series for each: a random point between it and one of its ``k`` nearest of the same class.

    Chawla et al. 2002 (arXiv 1106.1813).
    """
    flat, out = x.flatten(1), torch.empty_like(x)
    for i in range(len(x)):
        same = torch.nonzero(y == y[i]).squeeze(1)
        same = same[same != i]
        near = same[torch.cdist(flat[i : i + 1], flat[same])[0].argsort()[:k]]
        other = near[int(rng.integers(len(near)))]
        out[i] = x[i] + float(rng.random()) * (x[other] - x[i])
    return out, y


# --- tables -------------------------------------------------------------------------------------------------


def interval(values: list[float]) -> str:
    """Mean and half of its 95 % interval by Student's t.

    >>> interval([0.5, 0.7])
    '.600 ± 1.271'
    """
    mean = statistics.fmean(values)
    text = f"{mean:.3f}".removeprefix("0")
    if len(values) < 2:
        return text
    half = T_95.get(len(values), 2.0) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{text} ± {half:.3f}".replace("± 0.", "± .")


def table_of_scores(results: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown: a row a set and model; over all seeds of the model and of the scorers."""
    keys = ("discriminative", "predictive", "discriminative_holdout", "predictive_holdout")
    shown = [key for key in keys if any(key in run for runs in results.values() for run in runs)]
    lines = ["| | n | " + " | ".join(shown) + " | fit, cpu s |", "|---|---|" + "---|" * (len(shown) + 1)]
    for name, runs in results.items():
        cells = [interval([v for run in runs for v in run.get(key, [])]) if key in runs[0] else "–" for key in shown]
        cpu = f"{statistics.fmean(run['cpu'] for run in runs):.0f}" if "cpu" in runs[0] else "–"
        lines.append(f"| {name} | {runs[0]['n']} | " + " | ".join(cells) + f" | {cpu} |")
    return "\n".join(lines)


def table_of_accuracies(runs: list[dict[str, dict[str, float]]]) -> str:
    """Markdown: a row a method."""
    lines = ["| trained on | 1-NN | network |", "|---|---|---|"]
    for name in runs[0]:
        if name != "fit":
            cells = [interval([100 * run[name][key] for run in runs]) for key in ("1-NN", "network")]
            lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=[*WINDOWS, "ecg200"], choices=[*WINDOWS, "ecg200"])
    parser.add_argument("--models", nargs="+", default=["recurrent"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--scorers", type=int, default=5)
    parser.add_argument("--iterations", nargs=2, type=int, default=(2000, 5000), help="of the two scores' networks")
    parser.add_argument("--budget")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--num", type=int, help="windows of either side that are judged")
    parser.add_argument("--holdout", type=float, default=0.0)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    if options.budget is None and options.steps is None:
        options.budget = "10m"
    options.out.mkdir(parents=True, exist_ok=True)
    text = [f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads"]
    scored: dict[str, list[dict[str, Any]]] = {}
    for name in options.sets:
        for seed in options.seeds:
            for model in options.models:
                path = options.out / f"{name}-{model}-{seed}.json"
                work = augmented if name == "ecg200" else None
                if not path.exists():
                    found = (
                        work(options.data, model, seed, options)
                        if work
                        else generated(options.data, name, model, seed, options)
                    )
                    path.write_text(json.dumps(found, indent=1))
                found = json.loads(path.read_text())
                print(name, model, seed, json.dumps(found), flush=True)
                if not work:
                    scored.setdefault(f"{name}, {model}", []).append(found)
        if name == "ecg200":
            for model in options.models:
                runs = [json.loads((options.out / f"ecg200-{model}-{s}.json").read_text()) for s in options.seeds]
                text.append(f"ECG200, {model}\n\n{table_of_accuracies(runs)}")
        else:
            path = options.out / f"{name}-real.json"
            if not path.exists():
                path.write_text(json.dumps(real(options.data, name, 0, options), indent=1))
            scored[f"{name}, real against real"] = [json.loads(path.read_text())]
    if scored:
        text.append(table_of_scores(scored))
    (options.out / "results.md").write_text("\n\n".join(text) + "\n")
    print("\n\n".join(text))


if __name__ == "__main__":
    main()
