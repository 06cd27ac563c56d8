"""What contraction.py measures of a trained autoencoder, and intervals over seeds.

Codes have no unit of their own, so two are used. In units of *spread* the codes are divided by one number, the root of
their mean variance. *Whitened* codes have unit covariance: no linear recoding of the codes, undone by the decoder,
changes a figure taken in these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from aegan.losses import jacobian
from aegan.models.autoencoders.base import AutoencoderModel
from aegan.models.base import in_blocks


@dataclass(frozen=True)
class Sizes:
    """How many points each figure is taken from.

    Attributes:
        jacobians: Whole Jacobians.
        codes: Test samples whose codes and reconstructions are judged.
        noisy: Of these, with noise on them.
        probe_train: The linear probe's training samples.
        probe_test: Its test samples.
    """

    jacobians: int = 256
    codes: int = 10_000
    noisy: int = 2000
    probe_train: int = 10_000
    probe_test: int = 10_000


SMALL = Sizes(jacobians=64, codes=2000, noisy=500, probe_train=3000, probe_test=5000)


def encoded(model: AutoencoderModel, x: Tensor) -> Tensor:
    """Codes of many samples."""
    with torch.no_grad():
        return in_blocks(model.encode, x)


def jacobians(model: AutoencoderModel, x: Tensor) -> Tensor:
    """The encoder's Jacobians at ``x``, ``(N, D, I)``."""
    parts = []
    for chunk in x.split(64):
        given = chunk.clone().requires_grad_(True)
        parts.append(jacobian(model.encode(given), given).detach())
    return torch.cat(parts)


def participation(energies: Tensor) -> Tensor:
    """(Σe)²/Σe² over the last axis: how many of the energies matter, from 1 to their number."""
    return energies.sum(-1).square() / energies.square().sum(-1)


def measured(
    model: AutoencoderModel,
    test: Tensor,
    off: dict[str, Tensor],
    noises: tuple[float, ...],
    sizes: Sizes,
    tangents: Tensor | None = None,
) -> dict[str, float | list[float]]:
    """Every figure that needs no labels.

    Args:
        model: Trained.
        test: Unseen data ``(N, *shape)``.
        off: Points off the manifold, by name.
        noises: Standard deviations of the noise that robustness is measured at.
        sizes: How many points.
        tangents: Unit tangents ``(N, I)`` of the curve at ``test``, where they are known.
    """
    test = test[: sizes.codes]
    z = encoded(model, test)
    centred = z - z.mean(0)
    covariance = centred.T @ centred / (len(z) - 1)
    spread = covariance.diagonal().mean().sqrt()
    # A direction that carries less than a millionth of the spread counts as switched off, not as infinitely frail.
    floor = 1e-6 * spread**2 * torch.eye(z.shape[1])
    whiten = torch.linalg.inv(torch.linalg.cholesky(covariance + floor))
    with torch.no_grad():
        x_hat = in_blocks(model.decode, z)
    found: dict[str, float | list[float]] = {
        "reconstruction error": (x_hat - test).square().mean().item(),
        "spread": spread.item(),
        "dimension of codes": participation(torch.linalg.eigvalsh(covariance)).item(),
    }
    at = {name: x[: sizes.jacobians] for name, x in ({"on": test} | off).items()}
    norms = {}
    for name, points in at.items():
        whole = jacobians(model, points)
        values = torch.linalg.svdvals(whole / spread)
        found[f"singular values {name}"] = values.mean(0).tolist()
        norms[name] = values.square().sum(1).mean().item()
        found[f"norm {name}"] = norms[name]
        found[f"whitened norm {name}"] = (whiten @ whole).square().sum((1, 2)).mean().item()
        found[f"dimension of Jacobian {name}"] = participation(values.square()).mean().item()
        if name == "on":
            found["raw norm"] = norms[name] * spread.item() ** 2
            if tangents is not None:
                along = (whole @ tangents[: len(whole), :, None]).square().sum((1, 2))
                found["tangent share"] = (along / whole.square().sum((1, 2))).mean().item()
                white = whiten @ whole
                along = (white @ tangents[: len(whole), :, None]).square().sum((1, 2))
                found["whitened tangent share"] = (along / white.square().sum((1, 2))).mean().item()
    found["off over on"] = norms[next(iter(off))] / norms["on"]
    found |= robustness(model, test[: sizes.noisy], z[: sizes.noisy], noises, spread, whiten)
    return found


def robustness(
    model: AutoencoderModel, x: Tensor, z: Tensor, noises: tuple[float, ...], spread: Tensor, whiten: Tensor
) -> dict[str, list[float]]:
    """How far codes and reconstructions move under noise on the data, one figure a noise.

    ``shift``: root mean square displacement of codes, in units of spread, a unit. ``whitened shift``: the same of
    whitened codes. ``passed on``: displacement of the reconstruction over that of the data.
    """
    generator = torch.Generator().manual_seed(7)
    shift, white, passed = [], [], []
    with torch.no_grad():
        x_hat = in_blocks(model.decode, z)
        for noise in noises:
            moved = x + noise * torch.randn(x.shape, generator=generator)
            z_moved = encoded(model, moved)
            shift.append(((z_moved - z) / spread).square().mean().sqrt().item())
            white.append(((z_moved - z) @ whiten.T).square().mean().sqrt().item())
            change = in_blocks(model.decode, z_moved) - x_hat
            passed.append((change.square().mean() / (moved - x).square().mean()).sqrt().item())
    return {"shift": shift, "whitened shift": white, "passed on": passed}


def linear_probe(
    model: AutoencoderModel, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], noise: float, sizes: Sizes
) -> dict[str, float]:
    """Accuracy of a logistic regression on standardised codes, on clean test data and on some with noise."""
    z = encoded(model, train[0])
    mean, scale = z.mean(0), z.std(0).clamp_min(1e-9)
    probe = LogisticRegression(max_iter=300).fit(((z - mean) / scale).numpy(), train[1].numpy())
    x, y = (t[: sizes.probe_test] for t in test)
    some = x[: sizes.noisy]
    noisy = some + noise * torch.randn(some.shape, generator=torch.Generator().manual_seed(8))

    def accuracy(x: Tensor, y: Tensor) -> float:
        return float(probe.score(((encoded(model, x) - mean) / scale).numpy(), y.numpy()))

    return {"linear probe": accuracy(x, y), "linear probe, noisy": accuracy(noisy, y[: sizes.noisy])}


def interval(values: list[float], draws: int = 2000) -> tuple[float, float, float]:
    """Mean over seeds, and its 95 % percentile bootstrap interval."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (draws, len(values))).mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(np.mean(values)), float(low), float(high)
