"""How the samples of a study's run are judged: alike for every run on the same data, whatever model made them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aegan.data.base import TensorData
from aegan.diagnostics.collapse import energy_distance
from aegan.errors import AeganError
from aegan.evaluation import autoencoder_features
from aegan.metrics import (
    Features,
    classifier_features,
    frechet_distance,
    load_features,
    memorisation_test,
    precision_recall,
    save_features,
)
from aegan.metrics.precision_recall import PRDC
from aegan.models.base import Model, in_blocks, noise_for

if TYPE_CHECKING:
    from aegan.study.sources import Modes, StudyData

NEIGHBOURS = 2_000
"""Samples at most for figures by nearest neighbours."""
SEEN = 40_000
"""Images that the classifier is shown whose features images are judged in."""


def space_of(data: StudyData, path: Path) -> Features | None:
    """The feature space of a data set's runs, kept at ``path``; None for vectors, which are judged as they are.

    A classifier trained on all labelled samples but the test ones; of images without labels a small autoencoder's
    codes, the same for all models.
    """
    labels = data.pool.labels
    if data.spec.kind != "image":
        return None
    if labels is None:
        return autoencoder_features(data.pool, data.spec, 0)
    if path.exists():
        return load_features(path)
    classes = tuple(map(str, range(int(labels.max()) + 1)))
    known = type(data.spec)(kind="image", shape=data.spec.shape, classes=data.spec.classes or classes)
    features = classifier_features(data.pool, known, data.test, max_samples_seen=SEEN)
    save_features(features, path)
    return features


def judge(model: Model, data: StudyData, space: Features | None, *, count: int, seed: int) -> dict[str, float]:
    """Figures of ``count`` samples of a trained model, for images and vectors; see :data:`aegan.study.metrics.METRICS`.

    Returns:
        NaN and infinite figures are left in: a run that gives them has diverged.
    """
    made, y = samples(model, data, count, seed)
    if not bool(torch.isfinite(made).all()):
        return {"frechet": math.nan}
    real, fake, known = (_features(x, space) for x in (data.test, made, data.train))
    found = {"frechet": frechet_distance(real, fake)}
    a, b = real[:NEIGHBOURS].float(), fake[:NEIGHBOURS].float()
    found["energy"] = energy_distance(a, b)
    found |= _fractions(precision_recall(a[: len(b)], b[: len(a)], 5))
    if len(known) >= 20:
        near = memorisation_test(known, b, a, seed=seed).near
        found |= {} if near is None else {"near": near.share}
    if y is not None and space is not None and space.is_classifier:
        found["accuracy"] = float((space.predict(made) == y).double().mean())
    if y is not None and data.test.labels is not None:
        found["downstream"] = downstream(made, y, data.test)
    if data.modes is not None:
        found |= of_modes(made, data.modes)
    return found


def samples(model: Model, data: StudyData, count: int, seed: int) -> tuple[Tensor, Tensor | None]:
    """``count`` samples and their classes, each class as often as in the training data."""
    labels, y = data.train.labels, None
    if model.conditional and labels is not None:
        generator = torch.Generator().manual_seed(seed)
        y = labels[torch.randint(0, len(labels), (count,), generator=generator)]
    model.eval()
    device = next(model.parameters()).device
    made = in_blocks(model.generate, noise_for(seed, count, model.noise_dim), y, device=device)
    return (made.clamp(-1, 1) if data.spec.kind == "image" else made), y


def of_modes(made: Tensor, modes: Modes) -> dict[str, float]:
    """Modes covered, share of high quality and reverse KL in nats of samples ``(N, 2)`` (arXiv 1712.04086)."""
    distance, nearest = torch.cdist(made, modes.centres).min(1)
    good = distance <= 3 * modes.deviation
    share = torch.bincount(nearest, minlength=len(modes.centres)).double() / len(made)
    kl = float((share * (share.clamp_min(1e-12) * len(modes.centres)).log()).sum())
    return {"modes": float(len(nearest[good].unique())), "quality": float(good.double().mean()), "kl": kl}


def downstream(made: Tensor, y: Tensor, test: TensorData) -> float:
    """Accuracy on unseen real samples of a linear classifier that learnt from generated ones."""
    from sklearn.linear_model import LogisticRegression

    if len(y.unique()) < 2 or test.labels is None:
        return math.nan
    x = test.batch(torch.arange(len(test)))["x"].flatten(1)
    learnt = LogisticRegression(max_iter=100, tol=1e-2).fit(made.flatten(1).numpy(), y.numpy())
    return float(learnt.score(x.numpy(), test.labels.numpy()))


def by_estimator(estimator: Any, count: int, seed: int) -> dict[str, float]:
    """Figures of any other kind of data, from its own evaluation: every number of the row of synthetic data."""
    try:
        values = estimator.evaluate(num=count, seed=seed).to_json()
    except AeganError as error:
        raise type(error)(f"judging: {error}") from error
    rows = values.get("rows", ())
    row = next((r for r in rows if r.get("name") == "synthetic"), rows[0] if rows else values)
    return _numbers(row)


def _numbers(values: Any, prefix: str = "") -> dict[str, float]:
    found: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found[f"{prefix}{key}"] = float(value)
    # An area under a curve goes by its test's name.
    return found | {k.removesuffix(".value"): v for k, v in found.items() if k.endswith(".value")}


def _fractions(found: PRDC) -> dict[str, float]:
    return {name: float(value) for name, value in found._asdict().items()}


def _features(x: Tensor | TensorData, space: Features | None) -> Tensor:
    """Features ``(N, D)``; vectors are their own."""
    if space is not None:
        return space(x)
    return (x if isinstance(x, Tensor) else x.batch(torch.arange(len(x)))["x"]).flatten(1).float()
