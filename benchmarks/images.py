"""Fashion-MNIST, the same minutes on the same cores: aegan beside pythae, scored in one feature space.

    python benchmarks/images.py --data DIR --out RESULTS --minutes 10 --seeds 0 1 \
        --peer-python PEER_ENV/bin/python

DIR holds the four IDX files of Fashion-MNIST (or MNIST). Both sides train on all 60,000 training images. The
test images are seen by the feature classifier's accuracy figure and by the real-vs-real row alone. Every result
is kept in RESULTS and used again by the next call, so that an interrupted benchmark goes on; the machine should
have nothing else to do. See peers/README.md for the peer's environment.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import aegan
from aegan.data import ImageAdapter
from aegan.data.base import TensorData
from aegan.metrics import (
    Features,
    classifier_features,
    frechet_distance,
    load_features,
    precision_recall,
    save_features,
)

PEERS = ("ae", "vae", "rae", "aae", "vaegan")
NUM = 10_000
NEIGHBOURS = 5_000
FIGURES = ("frechet", "precision", "recall", "density", "coverage")


def main() -> None:
    """Train what is not there yet, score everything, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--peer-seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--peer-python", type=Path, help="Python of the environment that has pythae")
    parser.add_argument("--threads", type=int, help="of both sides; with 1, --minutes 20 is as much as 10 on two cores")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        ours(options, seed)
    if options.peer_python is not None:
        for name in options.peers:
            for seed in options.peer_seeds:
                peer(options, name, seed)
    score(options)


def ours(options: argparse.Namespace, seed: int) -> None:
    """``aegan fit`` with its defaults, as a user would type it, then 10,000 samples and the reconstructions."""
    archive = options.out / f"aegan-{seed}.npz"
    if archive.exists():
        return
    run = options.out / f"aegan-{seed}"
    began = time.perf_counter()
    command = [sys.executable, "-m", "aegan.cli.main", "fit", str(options.data), "--out", str(run), "--overwrite"]
    command += ["--budget", f"{options.minutes}m", "--seed", str(seed), "--holdout", "0", "--no-evaluate"]
    subprocess.run(command, check=True, env=_environment(options))
    print(f"aegan seed {seed}: {time.perf_counter() - began:.0f} s of wall clock, start and end included", flush=True)
    model = aegan.load(run, device="cpu")
    x, y = model.sample_tensors(NUM, seed=seed)
    test = model.adapter.to_tensors(test_images(options.data))
    scale = float(getattr(model.model, "spread", 1.0))
    unscaled, _ = model.sample_tensors(NUM, seed=seed, spread=1 / scale)
    reconstructed = as_bytes(model.reconstruct_tensors(test))
    np.savez(archive, x=as_bytes(x), y=np.asarray(y), x_unscaled=as_bytes(unscaled), x_rec=reconstructed, scale=scale)


def peer(options: argparse.Namespace, name: str, seed: int) -> None:
    """One pythae model, in its own environment."""
    archive = options.out / f"pythae-{name}-{seed}.npz"
    if archive.exists():
        return
    script = Path(__file__).parent / "peers" / "pythae_images.py"
    command = [str(options.peer_python), str(script), "--data", str(options.data), "--model", name]
    command += ["--budget", str(60 * options.minutes), "--clock", "wall", "--num", str(NUM), "--seed", str(seed)]
    if options.threads:
        command += ["--threads", str(options.threads)]
    done = subprocess.run([*command, "--out", str(archive)], check=True, stdout=subprocess.PIPE, text=True)
    archive.with_suffix(".json").write_text(done.stdout)


def score(options: argparse.Namespace) -> None:
    """Score every archive against the training set; print one row a method, mean and range over seeds."""
    adapter = ImageAdapter().fit(str(options.data))
    train, test = adapter.to_tensors(str(options.data)), adapter.to_tensors(test_images(options.data))
    kept = options.out / "features.safetensors"
    if not kept.exists():
        save_features(classifier_features(train, adapter.spec, test), kept)
    spaces = {"classifier": load_features(kept), "pixels": principal_pixels(train)}
    reference = {name: features(train) for name, features in spaces.items()}
    rows: dict[str, list[dict[str, dict[str, float]]]] = {}
    for archive in sorted(options.out.glob("*.npz")):
        method = archive.stem.rsplit("-", 1)[0]
        with np.load(archive) as arrays:
            for key in [k for k in arrays.files if k.startswith("x")]:
                images = torch.from_numpy(arrays[key])
                images = images if images.ndim == 4 else images[:, None]
                names = {"x": "", "x_rec": " (reconstructions)", "x_unscaled": " (noise as in training)"}
                suffix = names.get(key, f" + {key[2:]}")
                rows.setdefault(method + suffix, []).append(figures(images, spaces, reference))
    rows["real test set"] = [figures(torch.as_tensor(test.fields["x"]), spaces, reference)]
    (options.out / "table.json").write_text(json.dumps(rows, indent=2))
    print(
        f"\n{time.strftime('%Y-%m-%d')}, {platform.machine()}, {torch.get_num_threads()} threads, {NUM} samples a row,"
    )
    print(f"{options.minutes:g} minutes of training each. Features: {spaces['classifier'].name}.")
    print("Fréchet (pixels): in the 64 principal components of the pixels, a space no label has touched.\n")
    print("| method | seeds | Fréchet | precision | recall | density | coverage | Fréchet (pixels) |")
    print("|---|---|---|---|---|---|---|---|")
    for name, found in sorted(
        rows.items(), key=lambda item: statistics.mean(r["classifier"]["frechet"] for r in item[1])
    ):
        cells = [cell([r["classifier"][f] for r in found]) for f in FIGURES]
        cells.append(cell([r["pixels"]["frechet"] for r in found]))
        print(f"| {name} | {len(found)} | {' | '.join(cells)} |")


def principal_pixels(train: TensorData) -> Features:
    """The 64 principal components of the training pixels."""
    x = train.batch(torch.arange(len(train)))["x"].flatten(1)
    mean = x.mean(0)
    _, _, directions = torch.svd_lowrank(x - mean, q=64, niter=4)
    project: Callable[[Tensor], Tensor] = lambda batch: (batch.flatten(1) - mean) @ directions  # noqa: E731
    return Features(project, name="64 principal components of the pixels", dim=64)


def figures(images: Tensor, spaces: dict[str, Features], reference: dict[str, Tensor]) -> dict[str, dict[str, float]]:
    """The Fréchet distance to all training images; the neighbour figures of 5,000 against 5,000."""
    found = {}
    for name, features in spaces.items():
        made, real = features(images), reference[name]
        generator = torch.Generator().manual_seed(0)
        few = min(NEIGHBOURS, len(real), len(made))
        some = [x[torch.randperm(len(x), generator=generator)[:few]] for x in (real, made)]
        found[name] = {"frechet": frechet_distance(real, made), **precision_recall(*some)._asdict()}
    return found


def cell(values: list[float]) -> str:
    digits = 1 if max(values) >= 10 else 3 if max(values) < 2 else 2
    text = f"{statistics.mean(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def _environment(options: argparse.Namespace) -> dict[str, str]:
    return os.environ | ({"OMP_NUM_THREADS": str(options.threads)} if options.threads else {})


def as_bytes(x: Tensor) -> np.ndarray:
    return x.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).numpy()


def test_images(folder: Path) -> str:
    found = sorted(folder.glob("t10k-images*"))
    if not found:
        sys.exit(f"{folder}: t10k-images-idx3-ubyte(.gz) not found. --data needs the four IDX files.")
    return str(found[0])


if __name__ == "__main__":
    main()
