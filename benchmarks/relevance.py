"""Which measure of a column's relevance tells columns that hang together from columns of noise?

    python benchmarks/relevance.py

Ten columns hang together, twenty are noise; all have units of their own. The ten are either bent mixtures of three
hidden factors, or cosines and sines of multiples of one angle, which no correlation sees; with a little noise.
Printed for each measure is the area under the ROC curve (1: every informative column above every noise column; .5: by
chance; 0: the wrong way round), the mean over seeds, and what scikit-learn's SelectFromModel keeps by the measure that
aegan uses.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from aegan.errors import AeganWarning
from aegan.losses.jacobian import jacobian
from aegan.sklearn import AutoencoderTransformer

INFORMATIVE, NOISE, FACTORS, ROWS = 10, 20, 3, 256
CASES = [("mixtures", model, dim, 600, 400) for model in ("autoencoder", "denoising", "sparse") for dim in (3, 10, 29)]
CASES += [("mixtures", "autoencoder", 10, rows, 400) for rows in (200, 60)]
CASES += [
    ("angle", model, dim, 1000, 1000) for model, dim in (("autoencoder", 3), ("autoencoder", 10), ("denoising", 3))
]
"""Data, model, length of code, rows and steps."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    warnings.simplefilter("ignore", AeganWarning)
    print("| data | model | code | rows | ∂z/∂x | ∂x̂/∂x, others | correlations | relevance | of 10 | of 20 noise |")
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for data, model, dim, rows, steps in CASES:
        found = np.mean([figures(data, model, dim, rows, steps, seed) for seed in options.seeds], axis=0)
        cells = [*(f"{value:.2f}" for value in found[:4]), *(f"{value:.1f}" for value in found[4:])]
        print(f"| {data} | {model} | {dim} | {rows} | {' | '.join(cells)} |", flush=True)


def figures(data: str, model: str, dim: int, rows: int, steps: int, seed: int) -> list[float]:
    x, informative = columns(data, rows, seed)
    settings = {"amount": 0.5} if model == "denoising" else None
    coder = AutoencoderTransformer(model, latent_dim=dim, steps=steps, settings=settings, random_state=seed).fit(x)
    unit = torch.from_numpy(((x - coder.offset_) / coder.scale_)[:ROWS].astype(np.float32)).requires_grad_(True)
    z = coder.network_.encode(unit)
    x_hat = coder.network_.decode(z)
    of_codes = jacobian(z, unit) / z.detach().std(0).clamp(min=1e-6)[:, None]
    of_others = jacobian(x_hat, unit) * (1 - torch.eye(x.shape[1]))
    correlations = np.square(np.corrcoef(x.T)).sum(0)
    measures = [of_codes.square().sum(1).mean(0), of_others.square().sum(1).mean(0), correlations]
    measures.append(coder.feature_importances_)
    kept = coder.feature_importances_ >= coder.feature_importances_.mean()
    areas = [float(roc_auc_score(informative, np.asarray(measure))) for measure in measures]
    return [*areas, float(kept[informative].sum()), float(kept[~informative].sum())]


def columns(data: str, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows ``(N, 30)``, and which columns are informative."""
    rng = np.random.default_rng(seed)
    if data == "angle":
        angles = rng.uniform(0, 2 * np.pi, (rows, 1)) * np.arange(1, INFORMATIVE // 2 + 1)
        signal = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    else:
        bent = np.tanh(rng.normal(size=(rows, FACTORS)) @ rng.normal(size=(FACTORS, 16)))
        signal = bent @ rng.normal(size=(16, INFORMATIVE))
    signal = signal / signal.std(0) + 0.2 * rng.normal(size=(rows, INFORMATIVE))
    x = np.concatenate([signal, rng.normal(size=(rows, NOISE))], axis=1) * rng.uniform(0.1, 10, INFORMATIVE + NOISE)
    order = rng.permutation(INFORMATIVE + NOISE)
    return x[:, order], (np.arange(INFORMATIVE + NOISE) < INFORMATIVE)[order]


if __name__ == "__main__":
    main()
