"""Features of a small classifier, trained on the data's own labels.

Made for images that Inception was never meant for (small, grey, medical, scientific): a network that knows
the data's classes gives distances a meaning there. Its blind spot is variation within a class.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from aegan.data.base import TensorData
from aegan.errors import DataError, RunError
from aegan.metrics.features import Features, as_data, to_uint8
from aegan.storage import write_atomically
from aegan.types import Spec

FEATURE_DIM = 64
FORMAT = 1
WIDTH = 24
EPOCHS_AT_MOST = 20
PEAK_LR = 4e-3
HOLDOUT_AT_MOST = 10_000


class FeatureClassifier(nn.Module):
    """Strided convolutions down to a map of about 4x4, 64 features without ReLU, then a linear head.

    The features are taken before the ReLU (after batch normalisation), where they are nearest to the
    Gaussians that the Fréchet distance takes them for.

    Args:
        shape: ``(C, H, W)`` of the images.
        classes: Number of classes K.
    """

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        channels, *size = shape
        layers: list[nn.Module] = []

        def block(into: int, kernel: int, strides: list[int]) -> None:
            nonlocal channels
            layers.append(nn.Conv2d(channels, into, kernel, (strides[0], strides[1]), kernel // 2, bias=False))
            layers.extend([nn.BatchNorm2d(into), nn.ReLU(inplace=True)])
            channels = into
            size[:] = [math.ceil(s / stride) for s, stride in zip(size, strides, strict=True)]

        block(WIDTH, 7 if max(size) >= 64 else 5, [4 if s >= 64 else 2 if s >= 16 else 1 for s in size])
        while max(size) > 16:
            block(WIDTH, 3, [2 if s > 16 else 1 for s in size])
        block(2 * WIDTH, 3, [2 if s >= 4 else 1 for s in size])
        block(2 * WIDTH, 3, [1, 1])
        pool = (min(2, size[0]), min(2, size[1]))
        layers.append(nn.MaxPool2d(pool))
        flat = channels * (size[0] // pool[0]) * (size[1] // pool[1])
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.project = nn.Sequential(nn.Linear(flat, FEATURE_DIM, bias=False), nn.BatchNorm1d(FEATURE_DIM))
        self.head = nn.Linear(FEATURE_DIM, classes)

    def features(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` in [-1, 1] to features ``(B, 64)``."""
        return self.project(self.body(x.contiguous(memory_format=torch.channels_last)))

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` in [-1, 1] to class logits ``(B, K)``."""
        return self.head(F.relu(self.features(x)))


def classifier_features(
    train: TensorData,
    spec: Spec,
    holdout: TensorData | None = None,
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    max_samples_seen: int = 200_000,
) -> Features:
    """Train a small classifier on labelled images and return its 64-d features.

    The number of steps is fixed by the data's size and ``max_samples_seen`` (at most 20 epochs), never by
    the clock, and the global random state is left as it was: one seed gives one space on one machine's CPU.

    Args:
        train: Images ``x`` (N, C, H, W) with class indices ``y``.
        spec: The data's spec; ``shape`` and ``classes`` are read.
        holdout: Labelled images to measure accuracy on; without (or without labels) a tenth of ``train``
            is held back for that.
        seed: Seed of the weights and of the order of samples.
        device: Where to train and, later, to compute features.
        max_samples_seen: Samples shown in training, counted over all epochs.

    Raises:
        DataError: No labels, fewer than two classes, labels out of range, or images of another shape.
    """
    where = "classifier_features"
    labels = _labels(as_data(train, where=where), spec, where)
    generator = torch.Generator().manual_seed(seed)
    if holdout is None or holdout.labels is None:
        order = torch.randperm(len(train), generator=generator)
        held = max(1, len(train) // 10)
        measured, learnt, source = train.subset(order[:held]), order[held:], "held-back"
    else:
        _labels(as_data(holdout, where=where), spec, where)
        measured, learnt, source = holdout, torch.arange(len(train)), "holdout"
        if len(holdout) > HOLDOUT_AT_MOST:
            measured = holdout.subset(torch.randperm(len(holdout), generator=generator)[:HOLDOUT_AT_MOST])
    device = torch.device(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        network = FeatureClassifier(tuple(spec.shape), spec.num_classes).to(device)
        _train(network, train, labels, learnt, generator, max_samples_seen)
    about = {
        "kind": "classifier",
        "format": FORMAT,
        "shape": list(spec.shape),
        "classes": list(spec.classes),
        "trained_on": len(learnt),
        "seed": seed,
        "fingerprint": _fingerprint(network),
    }
    features = _wrap(network, "", about, device)
    accuracy = float((features.predict(measured) == measured.labels).double().mean())
    features.about["accuracy"] = accuracy
    features.name = (
        f"classifier trained on the labels ({FEATURE_DIM}-d, {len(learnt)} samples, {source} accuracy {accuracy:.1%})"
    )
    return features


def save_features(features: Features, path: str | Path) -> None:
    """Write classifier features to one safetensors file (weights, and a JSON description), atomically.

    Raises:
        DataError: Not features that :func:`classifier_features` or :func:`load_features` returned.
        StorageError: The file cannot be written.
    """
    network = features.classify
    if not isinstance(network, FeatureClassifier):
        raise DataError(
            f"save_features: '{features.name}' cannot be saved; only classifier_features can. "
            "Keep the module of other features in a file of your own."
        )
    path = Path(path)
    described = json.dumps(features.about | {"name": features.name})
    state = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    content = save(state, metadata={"aegan_features": described})
    write_atomically(path, lambda p: p.write_bytes(content))


def load_features(path: str | Path, *, device: str | torch.device = "cpu") -> Features:
    """Read features that :func:`save_features` wrote; they give bit for bit the same values.

    Raises:
        RunError: The file is missing, damaged, foreign, or of a newer format.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise RunError(f"load_features: {path} cannot be read as safetensors ({error}).") from error
    try:
        about = json.loads(metadata["aegan_features"])
        name, number = about.pop("name"), about["format"]
        if number > FORMAT:
            raise RunError(f"load_features: {path} has format {number}; {FORMAT} at most expected. Update aegan.")
        network = FeatureClassifier(tuple(about["shape"]), len(about["classes"]))
        network.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RunError(
            f"load_features: {path} does not hold features saved by aegan ({type(error).__name__}: {error}). "
            "Write it anew with save_features."
        ) from error
    device = torch.device(device)
    return _wrap(network.to(device), name, about, device)


def _wrap(network: FeatureClassifier, name: str, about: dict, device: torch.device) -> Features:
    # One memory layout always: another one rounds differently in the last bit.
    network.to(memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
    shape = tuple(about["shape"])
    return Features(
        network.features, name=name, dim=FEATURE_DIM, shape=shape, device=device, classify=network, about=about
    )


def _labels(data: TensorData, spec: Spec, where: str) -> Tensor:
    labels, shape = data.labels, tuple(data.fields["x"].shape[1:])
    if labels is None or spec.num_classes < 2:
        raise DataError(
            f"{where}: the data carry {'no labels' if labels is None else f'{spec.num_classes} classes'}; "
            "labels of two classes or more expected. Use encoder_features or module_features instead."
        )
    if shape != tuple(spec.shape):
        raise DataError(f"{where}: images of shape {shape}, but the spec says {tuple(spec.shape)}.")
    if len(labels) < 4 or int(labels.min()) < 0 or int(labels.max()) >= spec.num_classes:
        got = f"labels from {int(labels.min())} to {int(labels.max())}" if len(labels) >= 4 else f"{len(labels)} labels"
        raise DataError(f"{where}: {got}; at least 4 labels in 0..{spec.num_classes - 1} expected.")
    return labels.long()


def _train(
    network: FeatureClassifier, data: TensorData, labels: Tensor, learnt: Tensor, generator: torch.Generator, seen: int
) -> None:
    """AdamW with a linear rise and fall of the learning rate, over a fixed number of whole batches."""
    batch = min(256 if len(learnt) >= 20_000 else 64, len(learnt))
    steps = max(1, min(seen, EPOCHS_AT_MOST * len(learnt)) // batch)
    per_epoch = len(learnt) // batch
    device = next(network.parameters()).device
    images = TensorData(x=data.fields["x"])
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK_LR, weight_decay=0.05)
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    order = learnt
    for step in range(steps):
        if step % per_epoch == 0:
            order = learnt[torch.randperm(len(learnt), generator=generator)]
        at = step % per_epoch * batch
        index = order[at : at + batch]
        x = to_uint8(images.batch(index)["x"], where="classifier_features").to(device).float().div_(127.5).sub_(1.0)
        loss = F.cross_entropy(network(x), labels[index].to(device))
        optimizer.param_groups[0]["lr"] = PEAK_LR * min((step + 1) / (0.2 * steps + 1), (steps - step) / (0.8 * steps))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def _fingerprint(network: nn.Module) -> str:
    """First 16 hexadecimal digits of the SHA-256 of all weights: equal only for equal spaces."""
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
