"""Every hybrid, and a GAN without an autoencoder, on Fashion-MNIST (or other pictures) under one wall-clock budget.

    python benchmarks/hybrids.py --data DIR --out RESULTS --minutes 10 [--models vae-gan ...] [--test DIR]
                                 [--size 32] [--device cuda]

Each model has its defaults and the same minutes, an autoencoder's pretraining counted in. Models that know classes are
told them. Scored as in images.py: 10,000 samples against all training images in the features of a small classifier;
for models with codes also the accuracy of a linear probe on them (test images) and the squared error of
reconstructions. Runs are kept in RESULTS and not repeated; those that diverge are listed as that. DIR holds the four
IDX files of Fashion-MNIST or MNIST. With ``--test`` both may be any labelled pictures that aegan reads, such as
CIFAR-10 as folders of PNGs by class. ``--device cuda`` trains on a GPU and judges on the CPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from aegan.config import TrainConfig
from aegan.data import ImageAdapter
from aegan.data.base import TensorData
from aegan.errors import NonFiniteError
from aegan.metrics import Features, classifier_features, load_features, save_features
from aegan.models.base import Model, in_blocks, noise_for
from aegan.models.registry import MODELS, build
from aegan.train.backend import Backend
from aegan.train.precision import choose_precision
from aegan.train.trainer import Trainer
from images import FIGURES, NUM, as_bytes, cell, figures, test_images
from machine import kind

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name, entry in MODELS.items() if entry.family != "autoencoder"},
    "vq-gan": ("vq-gan", {"autoencoder": {"model": "variational"}}),
    "latent-gan, no joint stage": ("latent-gan", {"joint": {"share": 0.0}}),
    "latent-gan, correcting": (
        "latent-gan",
        {"autoencoder": {"model": "variational"}, "latent": {"form": "correcting", "whiten": False}},
    ),
    "denoising-gan on data": ("denoising-gan", {"space": "data"}),
    "gan, one block": ("gan", {"blocks": 1}),
    "variational (no adversary)": ("variational", {}),
}
PROBED = 10_000
"""Training images that the linear probe is fitted on."""


def trained(case: str, seed: int, options: argparse.Namespace, train: TensorData, test: TensorData) -> dict[str, Any]:
    """One run: samples and codes judged."""
    name, settings = CASES[case]
    torch.manual_seed(seed)
    model = build(name, options.spec, settings)
    precision, _ = choose_precision(model, train, options.device)
    config = TrainConfig(budget=60 * options.minutes, seed=seed, grids=0)
    trainer = Trainer(model, train, config, Backend(options.device, precision))
    try:
        trainer.fit()
    except NonFiniteError as error:
        return {"diverged": str(error)}
    model.cpu().eval()
    found: dict[str, Any] = {"seen": trainer.samples, "steps": trainer.step, "computed in": precision}
    if model.noise_dim:
        y = torch.arange(NUM) % options.spec.num_classes if model.conditional else None
        made = torch.cat(
            [
                in_blocks(model.generate, noise_for(seed * 100 + part, 1000, model.noise_dim), _part(y, part))
                for part in range(NUM // 1000)
            ]
        )
        images = torch.from_numpy(as_bytes(made.clamp_(-1, 1)))
        found |= figures(images, {"classifier": options.features}, {"classifier": options.reference})["classifier"]
    if model.code_dim:
        found |= codes(model, train, test)
    return found


def _part(y: Tensor | None, part: int) -> Tensor | None:
    return None if y is None else y[1000 * part : 1000 * (part + 1)]


def codes(model: Model, train: TensorData, test: TensorData) -> dict[str, float]:
    """Accuracy of a linear probe on codes, and the squared error of a value in [-1, 1]."""
    some = train.batch(torch.arange(min(PROBED, len(train))))
    seen = test.batch(torch.arange(len(test)))
    z, z_test = in_blocks(model.encode, some["x"]), in_blocks(model.encode, seen["x"])
    mean, scale = z.mean(0), z.std(0).clamp_min(1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly converged is enough for a probe
        probe = LogisticRegression(max_iter=200).fit(((z - mean) / scale).numpy(), some["y"].numpy())
    error = (in_blocks(model.decode, z_test).clamp_(-1, 1) - seen["x"]).square().mean().item()
    return {"probe": float(probe.score(((z_test - mean) / scale).numpy(), seen["y"].numpy())), "error": error}


def main() -> None:
    """Run what is missing and print the table, best distance first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--models", nargs="+", choices=tuple(CASES), default=list(CASES))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--test", help="test pictures; without it the t10k files in --data")
    parser.add_argument("--size", type=int, help="side in pixels; without it as the pictures are")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    adapter = ImageAdapter(size=options.size).fit(str(options.data))
    train = adapter.to_tensors(str(options.data))
    test = adapter.to_tensors(options.test or test_images(options.data))
    kept = options.out / "features.safetensors"
    if not kept.exists():
        save_features(classifier_features(train, adapter.spec, test), kept)
    options.spec, features = adapter.spec, load_features(kept)
    options.features, options.reference = features, features(train)
    rows: dict[str, list[dict[str, Any]]] = {}
    for case in options.models:
        for seed in options.seeds:
            path = options.out / f"{case.replace(' ', '_').replace(',', '')}-{options.minutes:g}-{seed}.json"
            if not path.exists():
                path.write_text(json.dumps(trained(case, seed, options, train, test)))
            rows.setdefault(case, []).append(json.loads(path.read_text()))
            print(case, seed, rows[case][-1], flush=True)
    report(rows, options, features)


def report(rows: dict[str, list[dict[str, Any]]], options: argparse.Namespace, features: Features) -> None:
    """Print the table."""
    print(
        f"\n{time.strftime('%Y-%m-%d')}, {kind()}, {options.device}, {torch.get_num_threads()} threads, {NUM} samples,"
    )
    print(f"{options.minutes:g} minutes of training each. Features: {features.name}.\n")
    keys = (*FIGURES, "probe", "error", "seen")
    print("| model | seeds | Fréchet | precision | recall | density | coverage | linear probe | error | images seen |")
    print("|---|---|---|---|---|---|---|---|---|---|")

    def order(item: tuple[str, list[dict[str, Any]]]) -> float:
        return statistics.mean(run.get("frechet", float("inf")) for run in item[1])

    for case, found in sorted(rows.items(), key=order):
        good = [run for run in found if "diverged" not in run]
        cells = [cell([run[key] for run in good]) if good and key in good[0] else "" for key in keys]
        note = f" ({len(found) - len(good)} diverged)" if len(good) < len(found) else ""
        print(f"| {case}{note} | {len(found)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
