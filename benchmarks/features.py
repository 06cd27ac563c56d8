"""Linear probe: what a linear classifier makes of codes, of principal components and of the raw columns.

    python benchmarks/features.py --out RESULTS                                  # scikit-learn's digits
    python benchmarks/features.py --out RESULTS --data DIR --models autoencoder denoising sparse

DIR holds the four IDX files of Fashion-MNIST (or MNIST). Autoencoders see no label, and all have the same processor
time: each model's time a step is measured first, and the number of steps follows from it. Every result is kept in
RESULTS and used again by the next call, so that an interrupted benchmark goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aegan.data import ImageAdapter
from aegan.models.registry import MODELS
from aegan.sklearn import AutoencoderTransformer

FAMILY = [name for name, entry in MODELS.items() if entry.family == "autoencoder"]
DIM = {"digits": 16, "images": 32}
PROBED = 10_000
"""Training images that the probe sees; the autoencoder sees all of them."""
C = 0.1
PLAIN = {"autoencoder": {"feature_weight": 0.0}}


class Split(NamedTuple):
    """Rows for the features, rows with labels for the probe, and rows to judge it by."""

    fit: np.ndarray
    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--data", type=Path, help="folder with IDX files; without it, scikit-learn's digits")
    parser.add_argument("--models", nargs="+", default=FAMILY, choices=FAMILY)
    parser.add_argument("--seeds", nargs="+", type=int, help="default: 0 to 4 for digits, 0 to 2 for images")
    parser.add_argument("--seconds", type=float, help="processor time of each training; default: 10 and 60")
    options = parser.parse_args()
    data = "images" if options.data else "digits"
    seeds = options.seeds or list(range(3 if options.data else 5))
    seconds = options.seconds or (60.0 if options.data else 10.0)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"features-{data}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for seed in seeds:
        split = digits(seed) if options.data is None else images(options.data, seed)
        for method in ["raw", "PCA", *options.models]:
            key = f"{method} {seed}"
            if key in found:
                continue
            steps = 0 if method in ("raw", "PCA") else found.get(f"{method} steps")
            if steps is None:
                steps = found[f"{method} steps"] = steps_in(seconds, method, DIM[data], split.fit)
            right = probe(features(method, DIM[data], steps, seed, split), split)
            found[key] = "".join("01"[int(one)] for one in right)
            path.write_text(json.dumps(found, indent=1))
            print(f"{data}, {key}: {right.mean():.4f} ({steps} steps)", flush=True)
    table(found, ["raw", "PCA", *options.models], seeds, data, seconds)


def digits(seed: int) -> Split:
    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.3, stratify=y, random_state=seed)
    return Split(train_x, train_x, train_y, test_x, test_y)


def images(folder: Path, seed: int) -> Split:
    adapter = ImageAdapter().fit(str(folder))
    train, test = (adapter.to_tensors(str(source)) for source in (folder, next(folder.glob("t10k-images*"))))
    rows = [np.asarray(part.fields["x"]).reshape(len(part), -1).astype(np.float32) for part in (train, test)]
    y, test_y = (np.asarray(part.labels) for part in (train, test))
    some = np.random.default_rng(seed).permutation(len(y))[:PROBED]
    return Split(rows[0], rows[0][some], y[some], rows[1], test_y)


def coder(model: str, dim: int, steps: int, seed: int) -> AutoencoderTransformer:
    return AutoencoderTransformer(
        model, latent_dim=dim, width=32, steps=steps, scale="range", settings=PLAIN.get(model), random_state=seed
    )


def steps_in(seconds: float, model: str, dim: int, x: np.ndarray) -> int:
    """Steps that fit into so much processor time, the start not counted."""
    spent = []
    for steps in (5, 5, 65):
        began = time.process_time()
        coder(model, dim, steps, 0).fit(x)
        spent.append(time.process_time() - began)
    return max(1, round(seconds * 60 / max(spent[2] - spent[1], 1e-3)))


def features(method: str, dim: int, steps: int, seed: int, split: Split) -> tuple[np.ndarray, np.ndarray]:
    if method == "raw":
        return split.x, split.test_x
    made = PCA(dim, random_state=seed) if method == "PCA" else coder(method, dim, steps, seed)
    made.fit(split.fit)
    return made.transform(split.x), made.transform(split.test_x)


def probe(made: tuple[np.ndarray, np.ndarray], split: Split) -> np.ndarray:
    """Whether each test row is told right, by a linear classifier on standardised features."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=2000))
    return classifier.fit(made[0], split.y).predict(made[1]) == split.test_y


def table(found: dict[str, Any], methods: list[str], seeds: list[int], data: str, seconds: float) -> None:
    """Accuracy in percent, and its difference from PCA's on the same rows; seeds and rows are resampled."""
    right = {m: np.array([[int(c) for c in found[f"{m} {seed}"]] for seed in seeds]) for m in methods}
    rng = np.random.default_rng(0)
    draws: dict[str, list[float]] = {m: [] for m in methods}
    for _ in range(2000):
        seed = rng.integers(len(seeds), size=len(seeds))
        row = rng.integers(right["raw"].shape[1], size=right["raw"].shape[1])
        for m in methods:
            draws[m].append(100 * right[m][seed].mean(0)[row].mean())
    name = "digits" if data == "digits" else "images"
    print(f"\n{name}: codes of {DIM[data]}, {len(seeds)} seeds, {seconds:g} s of processor time a training\n")
    print("| features | steps | accuracy, % | 95 % interval | minus PCA | 95 % interval |\n|---|---|---|---|---|---|")
    for m in methods:
        value, gap = 100 * right[m].mean(), 100 * (right[m].mean() - right["PCA"].mean())
        cells = [m, str(found.get(f"{m} steps", "")), f"{value:.1f}", interval(np.array(draws[m]))]
        cells += ["", ""] if m == "PCA" else [f"{gap:+.1f}", interval(np.array(draws[m]) - draws["PCA"], sign="+")]
        print(f"| {' | '.join(cells)} |")


def interval(values: np.ndarray, sign: str = "") -> str:
    low, high = np.percentile(values, [2.5, 97.5])
    return f"{low:{sign}.1f} to {high:{sign}.1f}"


if __name__ == "__main__":
    main()
