"""Evaluation of runs and of data sets: which feature space, which reference rows, which files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aegan.config import TrainConfig
from aegan.data import ImageAdapter, make_grid, split
from aegan.data.base import TensorData
from aegan.errors import AeganError, ConfigError, DataError
from aegan.metrics import (
    Evaluation,
    Features,
    classifier_features,
    encoder_features,
    evaluate_images,
    load_features,
    module_features,
    nearest_neighbours,
    save_features,
)
from aegan.models.base import in_blocks
from aegan.models.registry import build
from aegan.storage import write_atomically, write_json
from aegan.streams import borrowed
from aegan.types import Spec

if TYPE_CHECKING:
    from aegan.estimator import Estimator

SAMPLES_AT_MOST, SAMPLES_AT_LEAST = 10_000, 100
SHOWN = 12
"""Samples beside their neighbours, and images beside their reconstructions, in the report."""
HEALTH_AT_MOST = 1_024
"""Held-out samples that a model sees to judge its own codes."""
_AUTOENCODER_STEPS = 600


def evaluate_run(
    estimator: Estimator,
    real: Any = None,
    *,
    features: Features | torch.nn.Module | None = None,
    num: int | None = None,
    seed: int = 0,
) -> Evaluation:
    """See :meth:`aegan.estimator.Estimator.evaluate`."""
    train, holdout = estimator.train, estimator.holdout
    if real is not None:
        data = estimator.adapter.to_tensors(real)
        if train is None:
            if len(data) < 4:
                raise DataError(f"evaluate: at least 4 real samples expected, got {len(data)}.")
            train_index, held_index = split(len(data), data.labels, holdout=0.5, seed=seed)
            train, holdout = data.subset(train_index), data.subset(held_index)
        else:
            holdout = data
    if train is None:
        raise ConfigError("evaluate: a loaded run does not hold its training data. Give real data: evaluate(real).")
    space = _given(features) or run_features(estimator, train, holdout)
    # As many samples as the rows beside them have: every figure here depends on their number.
    count = num or min(SAMPLES_AT_MOST, len(train) if holdout is None else max(len(holdout), SAMPLES_AT_LEAST))
    synthetic, y = estimator.sample_tensors(count, seed=seed)
    shown = holdout if holdout is not None else train
    reconstructions = None
    if estimator.model.code_dim:
        index = torch.randperm(len(shown), generator=torch.Generator().manual_seed(seed))[:SAMPLES_AT_MOST]
        reconstructions = estimator.reconstruct_tensors(shown.subset(index.sort().values))
    return evaluate_images(
        train=train,
        synthetic=synthetic,
        holdout=holdout,
        reconstructions=reconstructions,
        features=space,
        classes=estimator.adapter.spec.classes,
        labels=y,
        seed=seed,
    )


def run_features(estimator: Estimator, train: TensorData, holdout: TensorData | None) -> Features:
    """The run's feature space: a classifier on its labels, kept in the folder; else its own autoencoder.

    A model without an encoder is judged by a small autoencoder trained on its data, anew in every call.
    """
    path = estimator.run.path / "features.safetensors"
    spec = estimator.adapter.spec
    if path.exists():
        return load_features(path, device=estimator.device)
    if spec.num_classes and train.labels is not None:
        features = _classifier(train, spec, holdout, device=estimator.device)
        save_features(features, path)
        return features
    if not estimator.model.code_dim:
        return autoencoder_features(train, spec, estimator.run.config["train"]["seed"])
    name = f"the run's own autoencoder ({estimator.model.code_dim}-d codes)"
    return encoder_features(_blockwise(estimator.model.encode), estimator.model.code_dim, name, device=estimator.device)


def evaluate_sources(
    adapter: ImageAdapter,
    real: Any,
    synthetic: Any,
    *,
    holdout: Any = None,
    features: Features | torch.nn.Module | str | Path | None = None,
    seed: int = 0,
) -> Evaluation:
    """Judge any synthetic data against real ones.

    Args:
        adapter: Not yet fitted; holds the options for reading.
        real: Real data, the reference.
        synthetic: Synthetic data of the same kind; resized like the real ones.
        holdout: Further real data, for the real-vs-real floor; a tenth of ``real`` is set apart without.
        features: A feature space, a module that maps images in [-1, 1] to ``(N, D)`` (an Inception network, say),
            or a run folder whose own space is taken. By default a classifier trained on the labels of ``real``
            or, without labels, a small autoencoder trained on ``real``.
        seed: Seed of subsets and networks.
    """
    adapter.fit(real)
    reference = adapter.to_tensors(real)
    made = adapter.to_tensors(synthetic)
    if holdout is not None:
        held = adapter.to_tensors(holdout)
    else:
        kept, set_apart = split(len(reference), reference.labels, holdout=0.1, seed=seed)
        reference, held = reference.subset(kept), reference.subset(set_apart)
    if isinstance(features, (str, Path)):
        space = _features_of_run(Path(features), adapter.spec)
    elif features is not None:
        space = _given(features)
    elif adapter.spec.num_classes and reference.labels is not None:
        space = _classifier(reference, adapter.spec, held if held.labels is not None else None, seed=seed)
    else:
        space = autoencoder_features(reference, adapter.spec, seed)
    return evaluate_images(
        train=reference,
        synthetic=made,
        holdout=held,
        reconstructions=None,
        features=space,
        classes=adapter.spec.classes,
        labels=made.labels,
        seed=seed,
    )


def write_results(estimator: Estimator, *, console: bool = False, target: str | None = "auto") -> None:
    """Judge a fitted model and write ``metrics.json``, samples and ``report.html`` into its folder."""
    from aegan.diagnostics.run import add_found
    from aegan.healing import accepts_of
    from aegan.report import write_report

    if estimator.train is None:
        raise ConfigError("write_results: only a model that was just fitted can be judged without data.")
    _health(estimator, estimator.holdout if estimator.holdout is not None else estimator.train)
    estimator.kind.write_results(estimator, console=console, target=target)
    add_found(estimator.run.path, accepts=accepts_of(estimator.run.path))
    write_report(estimator.run.path)


def write_image_results(estimator: Estimator, *, console: bool = False) -> None:
    """``metrics.json`` and the pictures of a model of images that was just fitted."""
    folder, train = estimator.run.path, estimator.train
    if train is None:
        raise ConfigError("write_results: only a model that was just fitted can be judged without data.")
    _pictures(estimator, train, estimator.holdout if estimator.holdout is not None else train)
    if estimator.model.noise_dim:
        evaluation = evaluate_run(estimator)
        write_json(folder / "metrics.json", evaluation.to_json())
        _neighbours(estimator, train, estimator.holdout)
        if console:
            print(evaluation)


def _pictures(estimator: Estimator, train: TensorData, shown: TensorData) -> None:
    folder, classes = estimator.run.path / "samples", len(estimator.classes)
    if estimator.model.code_dim:
        real = shown.batch(torch.arange(min(SHOWN, len(shown))))["x"]
        made = estimator.reconstruct_tensors(TensorData(x=real))
        _save(torch.stack([real, made], 1).flatten(0, 1), folder / "reconstructions.png", columns=8)
    if estimator.model.noise_dim:
        rows = min(classes, 20) if classes else 8
        y = torch.arange(rows).repeat_interleave(10) if classes else None
        samples, _ = estimator.sample_tensors(rows * 10, y=y)
        _save(samples, folder / "grid.png", columns=10)


def _health(estimator: Estimator, shown: TensorData) -> None:
    """``health.json``: what the model says about itself, where it has something to say."""
    x = shown.batch(torch.arange(min(HEALTH_AT_MOST, len(shown))))["x"].to(estimator.device)
    with torch.no_grad(), borrowed():
        torch.manual_seed(0)
        health = estimator.model.health(x)
    if health.figures or health.findings:
        values = {"figures": dict(health.figures), "findings": list(health.findings)}
        write_json(estimator.run.path / "health.json", values)


def _neighbours(estimator: Estimator, train: TensorData, holdout: TensorData | None) -> None:
    """A sample a row, followed by the five training images nearest to it in the feature space."""
    samples, _ = estimator.sample_tensors(SHOWN)
    features = run_features(estimator, train, holdout)
    found = nearest_neighbours(features(samples), features(train), k=5).index
    rows = [torch.cat([s[None], train.batch(i)["x"]]) for s, i in zip(samples, found, strict=True)]
    _save(torch.cat(rows), estimator.run.path / "samples" / "neighbours.png", columns=6)


def _save(images: Tensor, path: Path, *, columns: int) -> None:
    write_atomically(path, lambda p: make_grid(images, columns).save(p, format="PNG"))


def _given(features: Features | torch.nn.Module | None) -> Any:
    return module_features(features, type(features).__name__) if isinstance(features, torch.nn.Module) else features


def _classifier(train: TensorData, spec: Spec, holdout: TensorData | None, **options: Any) -> Features:
    """The labels' classifier; large images are shown to it less often, so that it takes about as long."""
    pixels = math.prod(spec.shape[1:])
    seen = min(200_000, max(40_000, 200_000 * 1024 // pixels))
    return classifier_features(train, spec, holdout, max_samples_seen=seen, **options)


def _features_of_run(path: Path, spec: Spec) -> Features:
    from aegan.api import load

    estimator = load(path)
    if estimator.adapter.spec.shape != spec.shape:
        raise ConfigError(
            f"--features {path}: that run sees images of shape {estimator.adapter.spec.shape}, these have {spec.shape}."
        )
    if not (path / "features.safetensors").exists() and not estimator.model.code_dim:
        raise AeganError(f"--features {path}: that run has neither a classifier nor an encoder.")
    return run_features(estimator, TensorData(x=torch.zeros(1, *spec.shape)), None)


def autoencoder_features(data: TensorData, spec: Spec, seed: int) -> Features:
    """Codes of a small autoencoder trained on the real data, for data without labels."""
    from aegan.train.backend import Backend
    from aegan.train.trainer import Trainer

    unlabelled = Spec(kind=spec.kind, shape=spec.shape)
    with borrowed():
        torch.manual_seed(seed)
        size = {"latent_dim": min(64, math.prod(spec.shape) // 2), "width": 16, "blocks": 1, "batch_size": 64}
        network = build("autoencoder", unlabelled, size)
    config = TrainConfig(steps=_AUTOENCODER_STEPS, seed=seed, device="cpu", precision="fp32", grids=0)
    Trainer(network, TensorData(x=data.fields["x"]), config, Backend("cpu", "fp32")).fit()
    network.eval()
    name = f"a small autoencoder trained on the real data ({network.code_dim}-d, {_AUTOENCODER_STEPS} steps)"
    return encoder_features(_blockwise(network.encode), network.code_dim, name)


def _blockwise(encode: Any) -> Any:
    return lambda x: in_blocks(encode, x, device=x.device)
