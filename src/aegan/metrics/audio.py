"""Evaluate generated recordings against real ones, by waveform: anybody's, through whatever vocoder they came.

A network that knows the labels (what is said, who says it) judges whether these can be recognised, and gives the
features for distances. It is trained on the real training recordings, and its accuracy on others is stated. Unseen
real recordings are measured the same way, and real ones that went through spectrogram and vocoder or the autoencoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from aegan.data.audio_source import Recordings
from aegan.errors import DataError
from aegan.metrics.audio_classifier import AudioFeatures, accuracy_of, own_scale, spectrograms, train_audio_features
from aegan.metrics.audio_evaluation import RESYNTHESIS, AudioEvaluation, AudioRow
from aegan.metrics.audio_statistics import BandStatistics
from aegan.metrics.evaluation import HOLDOUT, RECONSTRUCTIONS, SYNTHETIC
from aegan.metrics.frechet import frechet_distance
from aegan.metrics.memorisation import memorisation_test
from aegan.metrics.precision_recall import precision_recall

K = 5
FORMULAS = 1
"""Version of what the figures mean."""
PER_CLASS = 40
"""Most recordings of each combination of labels that are compared with each other for diversity."""
DYNAMICS = 80.0
"""Decibels below a recording's loudest value that count in a mel distance."""


def evaluate_audio(
    *,
    train: Recordings,
    synthetic: Recordings,
    holdout: Recordings,
    reconstructions: Recordings | None = None,
    resynthesis: Recordings | None = None,
    features: AudioFeatures | BandStatistics | None = None,
    seed: int = 0,
) -> AudioEvaluation:
    """Measure synthetic recordings, unseen real ones and what these become on the way, against the training ones.

    Distances fall as samples grow: the rows have as many recordings as the smaller of holdout and synthetic set.

    Args:
        train: What the model was trained on, with labels.
        synthetic: Generated recordings, with the labels that were asked for.
        holdout: Real recordings that nothing here was trained on, with labels.
        reconstructions: The holdout through the autoencoder and back to waveforms, in its order.
        resynthesis: The holdout to spectrograms and back to waveforms, in its order.
        features: A network trained before; by default one is trained on ``train`` now, in about a minute. Without
            labels, the features are statistics of the bands.
        seed: Of the network and of every subset; the global random state stays as it was.

    Raises:
        DataError: Fewer than seven recordings in a set, or sets made from the holdout of another length.
    """
    sets = {SYNTHETIC: synthetic, HOLDOUT: holdout, RECONSTRUCTIONS: reconstructions, RESYNTHESIS: resynthesis}
    given = {name: recordings for name, recordings in sets.items() if recordings is not None}
    for name, recordings in {"train": train, **given}.items():
        if len(recordings) < K + 2:
            raise DataError(f"evaluate_audio: {name!r} holds {len(recordings)} recordings; at least {K + 2} expected.")
        if name in (RECONSTRUCTIONS, RESYNTHESIS) and len(recordings) != len(holdout):
            raise DataError(f"evaluate_audio: {len(recordings)} {name} of {len(holdout)} recordings of the holdout.")
    space = features or features_of(train, holdout, seed=seed)
    names = [name for name, _ in space.labels]
    given |= {
        name: Recordings(recordings.waves, recordings.rate, holdout.labels)
        for name, recordings in given.items()
        if name in (RECONSTRUCTIONS, RESYNTHESIS)
    }
    n = min(len(holdout), len(synthetic))
    stream = torch.Generator().manual_seed(seed)
    own = diversity(train, space, names)
    real = space(train)
    rows, told = [], {}
    for name, recordings in given.items():
        found = space(recordings)
        predicted = space.predict(recordings)
        told[name] = (predicted, recordings.labels)
        chosen = torch.randperm(len(found), generator=stream)[:n]
        near = precision_recall(real, found[chosen], k=K)
        varied = diversity(recordings, space, names)
        rows.append(
            AudioRow(
                name=name,
                n=len(recordings),
                frechet=frechet_distance(real, found[chosen]),
                accuracy=accuracy_of(predicted, recordings.labels),
                precision=near.precision,
                recall=near.recall,
                coverage=near.coverage,
                diversity=varied / own if own and varied is not None else None,
                mel_distance=mel_distance(holdout, recordings) if name in (RECONSTRUCTIONS, RESYNTHESIS) else None,
            )
        )
    coarse = {name: _coarse(recordings, space) for name, recordings in {"train": train, **given}.items()}
    stamps = {
        "feature_space": space.name,
        "fingerprint": space.fingerprint,
        "rate": space.scale.rate,
        "counts": {"train": len(train), **{name: len(recordings) for name, recordings in given.items()}, "compared": n},
        "k": K,
        "seed": seed,
        "formulas": FORMULAS,
    }
    notes = []
    if n < 256:
        notes.append(f"Only {n} recordings are compared; distances rest on few, so look at the floor beside them.")
    if names and not synthetic.labels:
        notes.append(
            f"The synthetic recordings have no {' and '.join(names)}, so how well that is recognised is not measured. "
            "Of files, labels are in names that fit the pattern or in sub-folders."
        )
    return AudioEvaluation(
        rows=tuple(rows),
        memorisation=memorisation_test(coarse["train"], coarse[SYNTHETIC], coarse[HOLDOUT], seed=seed),
        details={"classes": _by_value(space, told)},
        stamps=stamps,
        notes=tuple(notes),
    )


def features_of(train: Recordings, holdout: Recordings, *, seed: int = 0) -> AudioFeatures | BandStatistics:
    """A network that learns the labels; statistics of the bands where there are none to learn."""
    told = [name for name, values in train.labels.items() if len(set(values)) > 1 and name in holdout.labels]
    return train_audio_features(train, holdout, seed=seed) if told else BandStatistics(train)


def mel_distance(real: Recordings, made: Recordings) -> float:
    """Mean absolute difference of log-mel values of paired recordings, in dB, over the longer of the two.

    Spectrograms have windows of 32 ms and 40 bands, other than the models'; values more than 80 dB below the loudest of
    the real recording do not count.
    """
    scale, total, frames = own_scale(real.rate), 0.0, 0
    for a, b in zip(real, made, strict=True):
        a, b = (torch.as_tensor(wave, dtype=torch.float32).reshape(len(wave), -1).mean(1) for wave in (a, b))
        n = scale.frames(max(len(a), len(b)))
        left, right = (20 * scale.mel(F.pad(w, (0, n * scale.hop - len(w)))).clamp(min=1e-8).log10() for w in (a, b))
        floor = left.max() - DYNAMICS
        total += float((left.clamp(min=floor) - right.clamp(min=floor)).abs().mean(0).sum())
        frames += n
    return total / frames


def diversity(recordings: Recordings, space: AudioFeatures | BandStatistics, names: Sequence[str]) -> float | None:
    """Mean difference in dB between the spectrograms of two recordings with the same labels, averaged over these.

    None where no two have the same labels. Without names, any two count.
    """
    if not all(name in recordings.labels for name in names):
        return None
    x = spectrograms(recordings, space.scale, space.frames).flatten(1)
    groups: dict[tuple[str, ...], list[int]] = {}
    for i in range(len(recordings)):
        groups.setdefault(tuple(recordings.labels[name][i] for name in names), []).append(i)
    means = []
    for members in groups.values():
        spread = torch.linspace(0, len(members) - 1, min(len(members), PER_CLASS)).long()
        part = x[torch.tensor(members)[spread]]
        if len(part) > 1:
            means.append(float(torch.pdist(part, p=1).mean()) / x.shape[1])
    return sum(means) / len(means) if means else None


def _coarse(recordings: Recordings, space: AudioFeatures | BandStatistics) -> Tensor:
    """Spectrograms at a quarter of their resolution, ``(N, D)``: where a copy shows, whatever is said."""
    return F.avg_pool2d(spectrograms(recordings, space.scale, space.frames), 4).flatten(1)


def _by_value(
    space: AudioFeatures | BandStatistics,
    told: Mapping[str, tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]],
) -> dict[str, Any]:
    """By label and value: accuracy of each set whose labels are known."""
    found: dict[str, Any] = {}
    for label, values in space.labels:
        rows = []
        for value in values:
            row: dict[str, Any] = {"value": value}
            for name, (predicted, asked) in told.items():
                if label in asked:
                    hits = [p == value for p, a in zip(predicted[label], asked[label], strict=True) if a == value]
                    row[name] = sum(hits) / len(hits) if hits else None
            rows.append(row)
        found[label] = rows
    return found
