"""Stacked-MNIST: three digits as the channels of one picture, 1,000 modes; how many does a model keep?

    python benchmarks/stacked_mnist.py --data DIR --out RESULTS --minutes 20 [--seeds 0 1 2] [--methods latent-gan ...]

The protocol of PacGAN (arXiv 1712.04086): 128,000 stacks of digits of MNIST's training set; 26,000 samples, each
channel read by a digit classifier; a mode is covered that has a sample, and the divergence is that of the samples'
modes from the uniform distribution, in nats. DIR holds MNIST's four IDX files. The classifier is trained on the
training digits; its accuracy is printed. Every model has the same minutes, an autoencoder's pretraining counted in,
and no labels. The row `real` is 26,000 stacks of test digits. Finished runs are kept in RESULTS and not repeated.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aegan.config import TrainConfig
from aegan.data import ImageAdapter
from aegan.data.base import TensorData
from aegan.errors import NonFiniteError
from aegan.metrics import Features, classifier_features, load_features, save_features
from aegan.models.base import in_blocks, noise_for
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec

TRAINED_ON, JUDGED, MODES = 128_000, 26_000, 1_000
FREE = {"r1": 0.0, "r2": 0.0}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "latent-gan": ("latent-gan", {}),
    "latent-gan, no joint stage": (
        "latent-gan",
        {"autoencoder_share": 0.35, "latent": {"share": 0.65}, "joint": {"share": 0.0}},
    ),
    "warm-start-gan": ("warm-start-gan", {}),
    "contractive-gan": ("contractive-gan", {}),
    "denoising-gan": ("denoising-gan", {}),
    "vae-gan": ("vae-gan", {}),
    "mdgan": ("mdgan", {}),
    "relativistic + R1 + R2": ("gan", {"blocks": 1}),
    "non-saturating + R1": ("gan", {"blocks": 1, "loss": "non-saturating", "penalty": {"r1": 1.0, "r2": 0.0}}),
    "non-saturating": ("gan", {"blocks": 1, "loss": "non-saturating", "penalty": FREE}),
    "non-saturating, packed by 2": ("gan", {"blocks": 1, "loss": "non-saturating", "penalty": FREE, "pack": 2}),
}
PUBLISHED = (("DCGAN", "99", "3.40"), ("VEEGAN", "150", "2.95"), ("PacDCGAN2", "1000", "0.06"))
"""Of the papers, whose networks and budgets are others."""


def stacks(digits: TensorData, number: int, seed: int) -> TensorData:
    """``number`` pictures of three digits each, ``(number, 3, 28, 28)`` uint8."""
    x = torch.as_tensor(digits.fields["x"])
    index = torch.randint(0, len(x), (number, 3), generator=torch.Generator().manual_seed(seed))
    return TensorData(x=x[index, 0])


def judged(images: Tensor, reader: Features) -> dict[str, float]:
    """Modes and divergence of pictures ``(N, 3, 28, 28)``."""
    digits = [reader.predict(images[:, channel : channel + 1]) for channel in range(3)]
    code = 100 * digits[0] + 10 * digits[1] + digits[2]
    share = torch.bincount(code, minlength=MODES).double() / len(code)
    kl = (share * (share.clamp_min(1e-12) * MODES).log()).sum()
    return {"modes": float((share > 0).sum()), "kl": kl.item()}


def trained(
    method: str, seed: int, options: argparse.Namespace, digits: TensorData, reader: Features
) -> dict[str, Any]:
    """One run and its figures."""
    data = stacks(digits, TRAINED_ON, 0)
    name, settings = METHODS[method]
    torch.manual_seed(seed)
    model = build(name, Spec(kind="image", shape=(3, 28, 28)), settings)
    config = TrainConfig(budget=60 * options.minutes, seed=seed, grids=0)
    trainer = Trainer(model, data, config, Backend("cpu", options.precision))
    try:
        trainer.fit()
    except NonFiniteError:
        return {"modes": 0.0, "kl": math.log(MODES), "diverged": True}
    model.eval()
    made = in_blocks(model.generate, noise_for(seed + 1, JUDGED, model.noise_dim), None).clamp_(-1, 1)
    return judged(made, reader) | {"samples_seen": trainer.samples, "steps": trainer.step}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    adapter = ImageAdapter().fit(str(options.data))
    digits = adapter.to_tensors(str(options.data))
    test_files = [str(options.data / f"t10k-{part}-ubyte.gz") for part in ("images-idx3",)]
    test = adapter.to_tensors(test_files[0])
    kept = options.out / "reader.safetensors"
    if not kept.exists():
        save_features(classifier_features(digits, adapter.spec, test), kept)
    reader = load_features(kept)
    rows: dict[str, list[dict[str, Any]]] = {}
    for method in options.methods:
        for seed in options.seeds:
            path = options.out / f"{method.replace(' ', '_')}-{options.minutes:g}-{seed}.json"
            if not path.exists():
                path.write_text(json.dumps(trained(method, seed, options, digits, reader)))
            rows.setdefault(method, []).append(json.loads(path.read_text()))
            print(method, seed, rows[method][-1], flush=True)
    real = judged(stacks(test, JUDGED, 1).batch(torch.arange(JUDGED))["x"], reader)
    print(
        f"\n{time.strftime('%Y-%m-%d')}, {platform.machine()}, {torch.get_num_threads()} threads, {options.precision},"
    )
    print(f"{options.minutes:g} minutes each; digits read by: {reader.name}\n")
    print("| method | seeds | modes of 1,000 | fewest | KL (nats) | stacks seen |")
    print("|---|---|---|---|---|---|")
    print(f"| real | | {real['modes']:.0f} | | {real['kl']:.3f} | |")
    for method, found in rows.items():
        modes, kl = [r["modes"] for r in found], [r["kl"] for r in found]
        seen = statistics.mean(r.get("samples_seen", 0) for r in found)
        print(
            f"| {method} | {len(found)} | {statistics.mean(modes):.1f} | {min(modes):.0f} | "
            f"{statistics.mean(kl):.3f} ({min(kl):.3f}–{max(kl):.3f}) | {seen:,.0f} |"
        )
    for name, modes, kl in PUBLISHED:
        print(f"| {name}, published | | {modes} | | {kl} | |")


if __name__ == "__main__":
    main()
