"""Text: aegan's default beside ARAE and a plain language model, on the quality-diversity plane, beside real text.

    python benchmarks/text.py --data DATA --out RESULTS [--sets coco names] [--models default language arae latent-gan]
                              [--budget 10m | --steps N] [--seeds 0] [--num 10000] [--holdout 0.1]

DATA holds ``image_coco_captions/image_coco.txt``, ``image_coco_captions/test_coco.txt`` (Texygen's split) and
``names/names.txt``, a tenth of which, always the same, is set apart as the test set. All models get the same budget. Of
each, as many texts as ``--num`` are drawn at several temperatures and judged against all test lines; the row "real" is
what as many training lines score. ``--holdout`` is the part of the training texts that a fit sets apart, to stop early
by. Rows "…, new" are drawn with ``new=True``: none of the fitted texts. Every run is kept in RESULTS and not repeated;
RESULTS/text.md is made of all.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import aegan
from aegan.errors import AeganWarning
from aegan.metrics.text_evaluation import TextEvaluation, TextRow
from aegan.texts import evaluate_texts, interpolate

TEMPERATURES = {"coco": (0.6, 0.7, 0.8, 0.9, 1.0, 1.1), "names": (0.8, 0.9, 1.0, 1.1, 1.2, 1.3)}
MODELS: dict[str, tuple[str | None, dict[str, str]]] = {
    "default": (None, {}),
    "language": ("sequence", {"form": "language"}),
    "arae": ("arae", {}),
    "latent-gan": ("latent-gan", {}),
}
PUBLISHED = {
    "coco": {
        "real": (0.344, 0.581),
        "MLE": (0.305, 0.583),
        "SeqGAN": (0.294, 0.670),
        "LeakGAN": (0.355, 0.848),
    }
}
"""BLEU-4 and self-BLEU-4 as Texygen reports them (arXiv 1802.01886)."""


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def sets(data: Path, name: str) -> tuple[list[str], list[str]]:
    """Training and test texts."""
    if name == "coco":
        folder = data / "image_coco_captions"
        return lines(folder / "image_coco.txt"), lines(folder / "test_coco.txt")
    every = lines(data / "names" / "names.txt")
    order = np.random.default_rng(0).permutation(len(every)).tolist()
    cut = len(every) // 10
    return [every[i] for i in order[cut:]], [every[i] for i in order[:cut]]


def trained(
    train: list[str], model: str, budget: dict[str, Any], seed: int, holdout: float
) -> tuple[aegan.Estimator, dict[str, float]]:
    """A fitted model and what it took."""
    name, settings = MODELS[model]
    began, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeganWarning)
        fitted = aegan.fit(
            train, model=name, settings=settings, seed=seed, holdout=holdout, evaluate=False, doctor=False, **budget
        )
    return fitted, {"seconds": time.perf_counter() - began, "processor_seconds": time.process_time() - cpu}


def one(
    name: str,
    train: list[str],
    test: list[str],
    model: str,
    budget: dict[str, Any],
    seed: int,
    num: int,
    holdout: float,
) -> dict[str, Any]:
    """A model's figures at every temperature."""
    fitted, took = trained(train, model, budget, seed, holdout)
    found = {}
    for temperature, new in itertools.product(TEMPERATURES[name], (False, True)):
        began = time.process_time()
        evaluation = evaluate_texts(fitted, test, num=num, seed=seed + 1, temperature=temperature, new=new)
        key = f"{temperature}, new" if new else str(temperature)
        found[key] = evaluation.to_json() | {"processor_seconds": time.process_time() - began}
    ways = (
        [interpolate(fitted, a, b) for a, b in zip(test[:10:2], test[1:10:2], strict=True)]
        if fitted.model.code_dim
        else []
    )
    config = fitted.run.config
    return {"took": took, "model": config["model"], "settings": config["model_config"], "found": found, "ways": ways}


def table(results: dict[str, dict[str, Any]], name: str) -> list[str]:
    """One set's results as a Markdown table."""
    heads = [
        "",
        "T",
        "BLEU-2",
        "BLEU-4",
        "self-BLEU-4",
        "new %",
        "repeats %",
        "letters",
        "forward",
        "reverse",
        "tokens right %",
    ]
    out = [f"## {name}", "", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    real: TextRow | None = None
    for model, result in results.items():
        for temperature, plain in result["found"].items():
            evaluation = TextEvaluation.from_json(plain)
            real, rebuilt = evaluation.row("real holdout"), evaluation.row("reconstructions")
            out.append(_row(model, temperature, evaluation.rows[0], None if rebuilt is None else rebuilt.accuracy))
    if real is not None:
        out.append(_row("real", "", real, None))
    for who, (bleu, alike) in PUBLISHED.get(name, {}).items():
        out.append(f"| {who}, published | | | {bleu:.3f} | {alike:.3f} | | | | | | |")
    out.append("")
    for model, result in results.items():
        took = result["took"]
        out.append(
            f"* {model}: {took['processor_seconds']:.0f} processor seconds of training ({took['seconds']:.0f} s)."
        )
        first = next(iter(result["found"].values()))["details"]["texts"][:4]
        out.append(f"  At the lowest temperature: {'; '.join(first)}.")
    return [*out, ""]


def _row(name: str, temperature: str, row: TextRow, accuracy: float | None) -> str:
    def cell(value: float | None, digits: int = 3, scale: float = 1.0) -> str:
        return "–" if value is None else f"{scale * value:.{digits}f}"

    new = None if row.copies is None else 1 - row.copies
    cells = [
        *(name, temperature, cell(row.bleu.get(2)), cell(row.bleu.get(4)), cell(row.self_bleu.get(4))),
        *(cell(new, 1, 100), cell(row.duplicates, 2, 100), cell(row.characters), cell(row.forward, 1)),
        *(cell(row.reverse, 1), cell(accuracy, 1, 100)),
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["coco", "names"], choices=["coco", "names"])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--num", type=int, default=10_000)
    parser.add_argument("--holdout", type=float, default=0.1)
    args = parser.parse_args()
    budget = {"budget": args.budget} if args.steps is None else {"steps": args.steps}
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.sets:
        train, test = sets(args.data, name)
        for model in args.models:
            for seed in args.seeds:
                path = args.out / f"{name}-{model}-{seed}.json"
                if not path.exists():
                    result = one(name, train, test, model, budget, seed, args.num, args.holdout)
                    path.write_text(json.dumps(result | {"budget": budget, "machine": platform.processor()}, indent=1))
                    print(f"{path}: {result['took']}")
    text = [f"# Text ({time.strftime('%Y-%m-%d')}, aegan {aegan.__version__})", ""]
    for name in ("coco", "names"):
        found = {
            p.stem.removeprefix(f"{name}-"): json.loads(p.read_text()) for p in sorted(args.out.glob(f"{name}-*.json"))
        }
        text += table(found, name) if found else []
    (args.out / "text.md").write_text("\n".join(text))
    print("\n".join(text))


if __name__ == "__main__":
    main()
