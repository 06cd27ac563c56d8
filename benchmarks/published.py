"""Figures of papers, repeated: trains on MNIST and prints what came out beside what was published.

    python benchmarks/published.py --data DIR [--only vae codebooks] [--vae-steps 20000] [--seed 0]

DIR holds the four IDX files of MNIST. Images are taken as vectors of 784 values and the networks are dense.

* ``vae``: a variational autoencoder on dynamically binarised MNIST (each pixel is drawn anew, with its brightness as
  its probability, whenever it is seen; test images once). Networks as in "Importance weighted autoencoders"
  (arXiv 1509.00519): 50 dimensions, layers of 200 units, Bernoulli pixels. Figures: the importance-weighted
  log-likelihood and the active units.
* ``codebooks``: a learnt codebook with and without restarts of dead codes, and finite scalar quantisation, of 1,000
  codes and 8 positions each. Figure: how many codes the test images use.

Every figure has a tolerance, stated here and not changed after the fact; the table says plainly whether it was met.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
from torch import Tensor

from aegan.config import TrainConfig
from aegan.data import ImageAdapter
from aegan.data.base import TensorData
from aegan.models.autoencoders.collapse import codebook_statistics, posterior_statistics
from aegan.models.autoencoders.likelihood import elbo, log_likelihood
from aegan.models.autoencoders.variational import Variational
from aegan.models.autoencoders.vector_quantised import VectorQuantised
from aegan.models.base import Model
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.probe import Probe, StepRecord
from aegan.train.trainer import Trainer
from aegan.types import Batch, Samples, Spec

SPEC = Spec(kind="vector", shape=(784,), likelihood="bernoulli")
CODES, POSITIONS = 1000, 8


class Binarised:
    """Pixels drawn anew each time: 1 with the pixel's brightness as its probability, else -1."""

    def __init__(self, brightness: Tensor) -> None:
        self.brightness = brightness

    def __len__(self) -> int:
        return len(self.brightness)

    def batch(self, index: Tensor) -> Batch:
        """A fresh draw of the pixels at ``index``."""
        p = self.brightness[index]
        return {"x": (torch.rand_like(p) < p).float() * 2.0 - 1.0}


class Clock(Probe):
    """A line now and then: a long training should say that it is alive."""

    def __init__(self, every: int) -> None:
        self.every = every

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        """Print the terms of every so many steps."""
        if record.step % self.every == 0:
            terms = ", ".join(f"{name.split('/')[1]} {value:.4g}" for name, value in record.terms.items())
            print(f"  step {record.step}, {record.elapsed:.0f} s: {terms}", flush=True)


def main() -> None:
    """Train, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=("vae", "codebooks"), default=["vae", "codebooks"])
    parser.add_argument("--vae-steps", type=int, default=20_000)
    parser.add_argument("--codebook-steps", type=int, default=1_000)
    parser.add_argument("--importance", type=int, default=5000, help="importance samples a test image")
    parser.add_argument("--scored", type=int, default=1000, help="test images scored with them")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    train, test = (_brightness(options.data, name) for name in ("train-images", "t10k-images"))
    rows: list[tuple[str, str, str, str, bool]] = []
    if "vae" in options.only:
        rows += vae(train, test, options)
    if "codebooks" in options.only:
        rows += codebooks(train, test, options.codebook_steps, options.seed)
    print(f"\n{time.strftime('%Y-%m-%d')}, torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    print("| figure | here | published | tolerance | met |")
    print("|---|---|---|---|---|")
    for name, here, published, tolerance, met in rows:
        print(f"| {name} | {here} | {published} | {tolerance} | {'yes' if met else '**no**'} |")


def vae(train: Tensor, test: Tensor, options: argparse.Namespace) -> list[tuple[str, str, str, str, bool]]:
    """Likelihood and active units of the variational autoencoder."""
    settings = {"latent_dim": 50, "width": 25, "blocks": 1, "batch_size": 128, "lr": 2e-3}
    model = _trained("variational", settings, Binarised(train), options.vae_steps, options.seed)
    assert isinstance(model, Variational)
    torch.manual_seed(0)
    x = Binarised(test).batch(torch.arange(len(test)))["x"]
    began = time.perf_counter()
    bound = elbo(model, x, samples=10).mean().item()
    # Evenly spread: MNIST's first test images are easier than its last.
    some = x[:: max(1, len(x) // options.scored)][: options.scored]
    scores = log_likelihood(model, some, samples=options.importance)
    nats, error = -scores.mean().item(), scores.std().item() / math.sqrt(len(scores))
    with torch.no_grad():
        found = posterior_statistics(*model.posterior(x[:2000]))
        spread = model.posterior(x)[0].var(0)
    active = int((spread > 0.01).sum())
    print(
        f"  negative ELBO {-bound:.2f} nats on {len(x):,} test images; KL {sum(found.kl):.2f}; "
        f"mutual information {found.mutual_information:.2f} (of at most {math.log(2000):.2f}); "
        f"scored in {time.perf_counter() - began:.0f} s"
    )
    return [
        (
            f"negative log-likelihood of binary MNIST, nats (K = {options.importance:,}, {len(scores):,} test "
            f"images, {options.vae_steps:,} steps of 128)",
            f"{nats:.2f} ± {error:.2f}",
            "86.76 (arXiv 1509.00519), 89.78 (pythae's own)",
            "85.8 to 90.8",
            85.8 <= nats <= 90.8,
        ),
        ("active units of 50", str(active), "19 (arXiv 1509.00519)", "± 4", abs(active - 19) <= 4),
    ]


def codebooks(train: Tensor, test: Tensor, steps: int, seed: int) -> list[tuple[str, str, str, str, bool]]:
    """Part of the codes in use, for three ways of quantising."""
    data, x = TensorData(x=train * 2.0 - 1.0), test * 2.0 - 1.0
    common = {"width": 25, "blocks": 1, "batch_size": 128}
    learnt = {**common, "latent_dim": 8 * POSITIONS, "codebook": CODES}
    cases = {
        "without restarts": {**learnt, "restart": False},
        "with restarts": learnt,
        "fsq": {**common, "latent_dim": 4 * POSITIONS, "quantiser": "fsq", "levels": (8, 5, 5, 5)},
    }
    dead, used = {}, {}
    for name, settings in cases.items():
        model = _trained("vector-quantised", settings, data, steps, seed)
        assert isinstance(model, VectorQuantised)
        with torch.no_grad():
            found = codebook_statistics(model.tokens(x), CODES)
            error = (model.decode(model.encode(x)) - x).square().mean().item()
        dead[name], used[name] = 100 * (1 - found.usage), found.perplexity
        print(f"  {name}: usage {found.usage:.1%}, perplexity {found.perplexity:.0f}, squared error {error:.4f}")
    source = "vector-quantize-pytorch, issue 205"
    figures = [
        ("without restarts", f"40 to 90 % ({source})", "40 to 90 %", 40 <= dead["without restarts"] <= 90),
        ("with restarts", f"close to 0 % ({source})", "at most 2 %", dead["with restarts"] <= 2),
        ("fsq", "about 0 % without any tricks (arXiv 2309.15505)", "at most 2 %", dead["fsq"] <= 2),
    ]
    return [
        (
            f"unused codes of {CODES:,}, {name} ({steps:,} steps of 128)",
            f"{dead[name]:.1f} % (perplexity {used[name]:.0f})",
            published,
            tolerance,
            met,
        )
        for name, published, tolerance, met in figures
    ]


def _trained(name: str, settings: dict, data: Samples, steps: int, seed: int) -> Model:
    torch.manual_seed(seed)
    model = build(name, SPEC, settings)
    print(f"{name}, {sum(p.numel() for p in model.parameters()):,} parameters: {settings}", flush=True)
    began, cpu = time.perf_counter(), time.process_time()
    config = TrainConfig(steps=steps, seed=seed, grids=0)
    Trainer(model, data, config, Backend("cpu", "fp32"), probes=[Clock(max(1, steps // 10))]).fit()
    print(f"  trained in {time.perf_counter() - began:.0f} s ({time.process_time() - cpu:.0f} s of CPU)", flush=True)
    return model.eval()


def _brightness(folder: Path, name: str) -> Tensor:
    (path,) = sorted(folder.glob(f"{name}*"))[:1] or [folder / f"{name}-idx3-ubyte.gz"]
    pixels = ImageAdapter().fit(str(path)).to_tensors(str(path)).fields["x"]
    return torch.as_tensor(pixels[:]).reshape(len(pixels), -1).float() / 255.0


if __name__ == "__main__":
    main()
