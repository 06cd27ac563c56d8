"""Evaluate synthetic images against the training set, between a floor and a ceiling.

A distance says little alone. So unseen real images are measured the same way (the floor: what even
perfect samples score at this sample number), and reconstructions, if there are any (the ceiling of a
generator in the latent space: it cannot do better than the decoder it goes through).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from aegan.data.base import TensorData
from aegan.errors import DataError
from aegan.metrics import frechet, kernel
from aegan.metrics._checks import at_least
from aegan.metrics.evaluation import HOLDOUT, RECONSTRUCTIONS, SYNTHETIC, ClassAccuracy, Evaluation, Row
from aegan.metrics.features import Features, as_data, image_batches
from aegan.metrics.memorisation import VERSION as MEMORISATION_VERSION
from aegan.metrics.memorisation import (
    Duplicates,
    Memorisation,
    count_copies,
    count_repeats,
    duplicates,
    memorisation_test,
)
from aegan.metrics.neighbours import neighbour_radii
from aegan.metrics.precision_recall import VERSION as PRDC_VERSION
from aegan.metrics.precision_recall import precision_recall

K = 5
ALPHA = 0.01
KERNEL_SUBSETS = 50
RESAMPLES = 20
BOOTSTRAP_DIM = 512
"""Beyond this many feature dimensions the bootstrap would take minutes, and is left out."""


@dataclass(frozen=True)
class _Set:
    """A sample of one set of images, with what was computed from it once."""

    index: Tensor
    features: Tensor
    digests: list[bytes]


def evaluate_images(
    *,
    train: TensorData,
    synthetic: Tensor | TensorData,
    features: Features,
    holdout: TensorData | None = None,
    reconstructions: Tensor | TensorData | None = None,
    classes: Sequence[str] = (),
    labels: Tensor | None = None,
    seed: int = 0,
    max_samples: int = 10_000,
    prdc_samples: int = 5_000,
    train_samples: int = 60_000,
) -> Evaluation:
    """Measure synthetic images, unseen real ones and reconstructions against the training set.

    All rows use equally many samples, since the Fréchet distance falls as samples grow; a holdout or
    reconstructions of fewer than 2 D (or 256) samples do not pull the others down, and are noted instead.

    Args:
        train: The images that the model was trained on; the reference is a random part of them.
        synthetic: Generated images, floats in [-1, 1] (or uint8), ``(M, C, H, W)``.
        features: The feature space.
        holdout: Real images that neither the model nor the features were trained on.
        reconstructions: Autoencoder reconstructions, best of holdout images (of training images they
            would be paired with the reference and come out too near).
        classes: Class names by index, for the table of conditional samples.
        labels: Class index that each synthetic sample was asked to be, ``(M,)``; by default the ``y`` of
            ``synthetic`` where that is TensorData. Used only if the features come from a classifier.
        seed: Seed of every subset and resample; the global generator is not touched.
        max_samples: Most samples a row and the reference may hold.
        prdc_samples: Most samples for precision, recall, density, coverage and the test for copying.
        train_samples: Most training samples searched for copies.

    Raises:
        DataError: Fewer than seven images in a set, shapes that differ, a wrong scale, labels that do not
            fit, or features that are not finite.
        ConfigError: A sample number below seven.
    """
    for name, value in (("max_samples", max_samples), ("prdc_samples", prdc_samples), ("train_samples", train_samples)):
        at_least(value, K + 2, where="evaluate_images", name=name)
    given = {"train": train, SYNTHETIC: synthetic, HOLDOUT: holdout, RECONSTRUCTIONS: reconstructions}
    data = {name: _checked(value, name) for name, value in given.items() if value is not None}
    _same_shape(data)
    labels = _labels(labels, data[SYNTHETIC])
    generator = torch.Generator().manual_seed(seed)

    reference = _take(data["train"], max(max_samples, train_samples), features, generator)
    n, notes = _common(data, features, max_samples)
    sets = {name: _take(data[name], n, features, generator) for name in data if name != "train"}
    notes += _remarks(data, features, n)

    rows = _rows(sets, reference.features[:max_samples], prdc_samples, seed)
    copying, repeats = _copying(sets, reference, train_samples, prdc_samples, seed)
    accuracies: tuple[ClassAccuracy, ...] = ()
    if features.is_classifier and labels is not None:
        accuracies = _accuracies(features, data, sets, labels, classes)
    stamps = {
        "feature_space": features.name,
        "feature_dim": features.dim,
        "fingerprint": features.about.get("fingerprint"),
        "reference": {
            "set": "train",
            "n": min(len(data["train"]), max_samples),
            "prdc_n": min(len(data["train"]), prdc_samples),
            "of": len(data["train"]),
        },
        "counts": {name: len(s.index) for name, s in sets.items()} | {"train searched": copying.n_train},
        "k": K,
        "alpha": ALPHA,
        "seed": seed,
        "formulas": {
            "frechet": frechet.VERSION,
            "kernel": kernel.VERSION,
            "prdc": PRDC_VERSION,
            "memorisation": MEMORISATION_VERSION,
        },
    }
    return Evaluation(
        rows=rows, memorisation=copying, duplicates=repeats, classes=accuracies, stamps=stamps, notes=tuple(notes)
    )


def _rows(sets: dict[str, _Set], reference: Tensor, prdc_samples: int, seed: int) -> tuple[Row, ...]:
    reference_moments = frechet.moments(reference, name="train")
    near_reference = reference[:prdc_samples]
    radii = neighbour_radii(near_reference, K)
    rows = []
    for name, part in sets.items():
        x = part.features
        own = frechet.moments(x, name=name)
        deviation = None
        if x.shape[1] <= BOOTSTRAP_DIM:
            deviation = frechet.bootstrap_deviation(reference_moments, x, resamples=RESAMPLES, seed=seed)
        mmd = kernel.kernel_distance(reference, x, subsets=KERNEL_SUBSETS, seed=seed)
        prdc = precision_recall(near_reference, x[:prdc_samples], K, real_radii=radii)
        rows.append(
            Row(
                name=name,
                n=len(x),
                frechet=frechet.frechet_from_moments(reference_moments, own),
                frechet_deviation=deviation,
                kernel=mmd.mean,
                kernel_deviation=mmd.std,
                prdc_n=min(len(x), prdc_samples),
                **prdc._asdict(),
            )
        )
    return tuple(rows)


def _copying(
    sets: dict[str, _Set], reference: _Set, train_samples: int, prdc_samples: int, seed: int
) -> tuple[Memorisation, Duplicates]:
    synthetic, holdout = sets[SYNTHETIC], sets.get(HOLDOUT)
    known, pixels = reference.features[:train_samples], reference.digests[:train_samples]
    fake, fake_pixels = synthetic.features[:prdc_samples], synthetic.digests[:prdc_samples]
    real = (holdout or reference).features[:prdc_samples]
    real_pixels = (holdout or reference).digests[:prdc_samples]
    found = memorisation_test(
        known,
        fake,
        real if holdout else None,
        alpha=ALPHA,
        exact_copies=count_copies(fake_pixels, pixels),
        exact_copies_holdout=count_copies(real_pixels, pixels) if holdout else None,
        seed=seed,
    )
    # Indices in the sets as they were passed, not in the samples drawn from them.
    closest = tuple((int(synthetic.index[i]), int(reference.index[j]), d) for i, j, d in found.closest)
    found = replace(found, closest=closest)
    n = min(len(fake), len(real))
    repeats = duplicates(
        fake,
        real,
        alpha=ALPHA,
        exact=count_repeats(fake_pixels[:n]),
        exact_real=count_repeats(real_pixels[:n]),
        seed=seed,
    )
    return found, repeats


def _accuracies(
    features: Features, data: dict[str, TensorData], sets: dict[str, _Set], labels: Tensor, classes: Sequence[str]
) -> tuple[ClassAccuracy, ...]:
    def judged(name: str, wanted: Tensor | None) -> tuple[Tensor, Tensor]:
        if wanted is None or name not in sets:
            return torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.bool)
        index = sets[name].index
        return wanted[index], features.predict(data[name].subset(index)) == wanted[index]

    asked, right = judged(SYNTHETIC, labels)
    real, real_right = judged(HOLDOUT, data[HOLDOUT].labels if HOLDOUT in data else None)
    names = list(classes) or list(features.about.get("classes", ()))
    everything = torch.cat([asked, real])

    def line(name: str, these: Tensor, those: Tensor) -> ClassAccuracy:
        rates = [float(x.double().mean()) if len(x) else None for x in (right[these], real_right[those])]
        return ClassAccuracy(
            name=name, n=int(these.sum()), accuracy=rates[0], real_n=int(those.sum()), real_accuracy=rates[1]
        )

    lines = [line("all", torch.ones_like(right), torch.ones_like(real_right))]
    for c in sorted(set(everything.tolist())):
        lines.append(line(names[c] if 0 <= c < len(names) else str(c), asked == c, real == c))
    return tuple(lines)


def _take(data: TensorData, n: int, features: Features, generator: torch.Generator) -> _Set:
    index = torch.randperm(len(data), generator=generator)[:n]
    part = data.subset(index)
    digests: list[bytes] = []
    for batch in image_batches(part, where="evaluate_images"):
        digests += [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in batch.contiguous().numpy()]
    return _Set(index, features(part), digests)


def _common(data: dict[str, TensorData], features: Features, max_samples: int) -> tuple[int, list[str]]:
    """Samples a row, and a note for each set that is too small to be held to it."""
    n, notes = min(max_samples, len(data[SYNTHETIC])), []
    least = min(n, max(256, 2 * features.dim))
    for name in (HOLDOUT, RECONSTRUCTIONS):
        if name in data and len(data[name]) >= least:
            n = min(n, len(data[name]))
        elif name in data:
            notes.append(
                f"{name}: only {len(data[name])} samples, fewer than the other rows; its Fréchet distance is "
                "inflated by that and not comparable."
            )
    return n, notes


def _remarks(data: dict[str, TensorData], features: Features, n: int) -> list[str]:
    notes = []
    if n < len(data[SYNTHETIC]):
        notes.append(f"{n} of {len(data[SYNTHETIC])} synthetic samples were used, as many as in the other rows.")
    if n < 2 * features.dim:
        notes.append(
            f"{n} samples are few for {features.dim} feature dimensions: Fréchet distances are inflated; "
            "compare only with the other rows."
        )
    if HOLDOUT not in data:
        notes.append("No real holdout was given, so there is no floor and no test for copying.")
    elif min(n, len(data[HOLDOUT])) < 300:
        notes.append(
            f"The test for copying had {min(n, len(data[HOLDOUT]))} holdout samples; with fewer than 300 it can "
            "miss copies that make up 5 % of the synthetic samples."
        )
    return notes


def _checked(value: Tensor | TensorData, name: str) -> TensorData:
    data = as_data(value, where=f"evaluate_images: '{name}'")
    if len(data) < K + 2:
        raise DataError(
            f"evaluate_images: '{name}' holds {len(data)} images; at least {K + 2} expected, and thousands for "
            "figures to rely on."
        )
    return data


def _same_shape(data: dict[str, TensorData]) -> None:
    shapes = {name: tuple(d.fields["x"].shape[1:]) for name, d in data.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise DataError(f"evaluate_images: images of one shape expected, got {listed}. Resize them alike.")


def _labels(labels: Tensor | None, synthetic: TensorData) -> Tensor | None:
    labels = synthetic.labels if labels is None else torch.as_tensor(labels)
    if labels is None:
        return None
    if labels.shape != (len(synthetic),) or labels.is_floating_point():
        raise DataError(
            f"evaluate_images: labels of shape {tuple(labels.shape)} and type {labels.dtype} for {len(synthetic)} "
            f"synthetic images; whole class indices of shape ({len(synthetic)},) expected."
        )
    return labels.long().cpu()
