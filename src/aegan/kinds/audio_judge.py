"""Runs and data sets of recordings judged, and what a finished run shows: figures, sounds, spectrograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aegan.data.audio import AudioAdapter
from aegan.data.audio_scale import waveform
from aegan.data.audio_source import Recordings
from aegan.data.audio_write import wav_bytes, write_recordings
from aegan.data.base import TensorData
from aegan.data.split import split
from aegan.data.write import make_grid
from aegan.errors import ConfigError, DataError
from aegan.kinds.audio import audio_adapter, recordings_of
from aegan.metrics.audio import evaluate_audio
from aegan.metrics.audio_classifier import AudioFeatures
from aegan.metrics.audio_evaluation import AudioEvaluation
from aegan.storage import write_atomically, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from aegan.estimator import Estimator

SHOWN = 12
"""Samples that the report plays, and reconstructions beside their originals."""
COMPARED_AT_MOST = 2_000
LEARNT_AT_MOST = 10_000
"""Most training recordings that the judging network learns from."""


def real_recordings(adapter: AudioAdapter, data: TensorData, most: int = LEARNT_AT_MOST) -> Recordings:
    """The recordings that a data set was made of, as the model learnt them: at its rate, cut to its length."""
    some = torch.linspace(0, len(data) - 1, min(most, len(data))).long()
    batch = data.batch(some)
    waves = waveform(batch["wave"]).numpy()
    cut = [wave[:, :end].T for wave, end in zip(waves, batch["length"].tolist(), strict=True)]
    labels = {}
    if "y" in batch:
        labels = {name: [values[i] for i in batch["y"].tolist()] for name, values in adapter.spec.labels}
    return Recordings([w[:, 0] if w.shape[1] == 1 else w for w in cut], adapter.fitted().scale.rate, labels)


def evaluate_run(
    estimator: Estimator,
    real: Any = None,
    *,
    num: int | None = None,
    seed: int = 0,
    features: AudioFeatures | None = None,
) -> AudioEvaluation:
    """See :meth:`aegan.estimator.Estimator.evaluate`."""
    adapter = audio_adapter(estimator)
    train, holdout = estimator.train, estimator.holdout
    if real is not None:
        holdout = adapter.to_tensors(real)
        if train is None:
            if len(holdout) < 16:
                raise DataError(f"evaluate: at least 16 real recordings expected, got {len(holdout)}.")
            first, second = split(len(holdout), holdout.labels, holdout=0.5, seed=seed)
            train, holdout = holdout.subset(first), holdout.subset(second)
    if train is None or holdout is None:
        raise ConfigError("evaluate: recordings are judged beside unseen real ones. Give real data: evaluate(real).")
    index = torch.randperm(len(holdout), generator=torch.Generator().manual_seed(seed))[:COMPARED_AT_MOST]
    holdout = holdout.subset(index.sort().values)
    learnt, heard = real_recordings(adapter, train), real_recordings(adapter, holdout)
    count = num or max(len(holdout), 100)
    x, y = estimator.sample_tensors(count, seed=seed)
    reconstructions = None
    if estimator.model.code_dim:
        reconstructions = adapter.from_tensors(estimator.reconstruct_tensors(holdout))
    return evaluate_audio(
        train=learnt,
        synthetic=recordings_of(estimator, x, y),
        holdout=heard,
        reconstructions=reconstructions,
        resynthesis=adapter.from_tensors(holdout.batch(torch.arange(len(holdout)))["x"]),
        features=features,
        seed=seed,
    )


def evaluate_sources(real: Any, synthetic: Any, *, holdout: Any, seed: int, **own: Any) -> AudioEvaluation:
    """See :func:`aegan.evaluate`: any generator's recordings."""
    adapter = AudioAdapter(**own).fit(real)
    reference, made = adapter.to_tensors(real), adapter.to_tensors(synthetic)
    if holdout is not None:
        held = adapter.to_tensors(holdout)
    else:
        kept, apart = split(len(reference), reference.labels, holdout=0.1, seed=seed)
        reference, held = reference.subset(kept), reference.subset(apart)
    return evaluate_audio(
        train=real_recordings(adapter, reference),
        synthetic=real_recordings(adapter, made),
        holdout=real_recordings(adapter, held),
        seed=seed,
    )


def write_audio_results(estimator: Estimator, *, console: bool = False) -> None:
    """``metrics.json``, sounds and spectrograms of a model of recordings that was just fitted."""
    train, folder = estimator.train, estimator.run.path
    if train is None:
        raise ConfigError("write_results: only a model that was just fitted can be judged without data.")
    _sounds(estimator, estimator.holdout if estimator.holdout is not None else train)
    if not estimator.model.noise_dim:
        return
    evaluation = evaluate_run(estimator)
    write_json(folder / "metrics.json", evaluation.to_json())
    if console:
        print(evaluation)


def _sounds(estimator: Estimator, shown: TensorData) -> None:
    """``samples/``: some samples as WAV and spectrograms, and reconstructions after their originals."""
    folder, adapter = estimator.run.path / "samples", audio_adapter(estimator)
    told: dict[str, Any] = {"rate": adapter.fitted().scale.rate, "samples": [], "pairs": []}
    if estimator.model.noise_dim:
        y = _spread(estimator)
        x, y = estimator.sample_tensors(SHOWN, y=y)
        made = recordings_of(estimator, x, y)
        write_recordings(made, folder / "samples.wav", overwrite=True)
        told["samples"] = _files(folder, "sample", made, x)
        _save(x, folder / "grid.png")
    if estimator.model.code_dim:
        some = shown.subset(torch.arange(min(SHOWN // 2, len(shown))))
        real, x = some.batch(torch.arange(len(some)))["x"], estimator.reconstruct_tensors(some)
        first = _files(folder, "real", real_recordings(adapter, some), real)
        second = _files(folder, "reconstruction", recordings_of(estimator, x, some.labels), x)
        told["pairs"] = [list(pair) for pair in zip(first, second, strict=True)]
        _save(torch.stack([real, x], 1).flatten(0, 1), folder / "reconstructions.png")
    write_json(folder / "sounds.json", told)


def _spread(estimator: Estimator) -> Tensor | None:
    """Classes of the samples shown: spread over all there are."""
    k = len(estimator.classes)
    return torch.linspace(0, k - 1, SHOWN).round().long() if k else None


def _files(folder: Path, name: str, recordings: Recordings, x: Tensor) -> list[dict[str, Any]]:
    """Each recording's WAV and the picture of its spectrogram, and what they are called."""
    told = []
    for i, wave in enumerate(recordings):
        sound, picture = f"{name}-{i:02d}.wav", f"{name}-{i:02d}.png"
        content = wav_bytes(wave, recordings.rate)
        write_atomically(folder / sound, lambda path, content=content: path.write_bytes(content))
        _save(x[i : i + 1], folder / picture)
        labels = {label: values[i] for label, values in recordings.labels.items()}
        told.append({"sound": sound, "picture": picture, "labels": labels, "seconds": len(wave) / recordings.rate})
    return told


def _save(x: Tensor, path: Path) -> None:
    """Spectrograms as grey pictures, high bands at the top."""
    pictures = x.mean(1, keepdim=True).flip(2)
    write_atomically(path, lambda p: make_grid(pictures, columns=min(6, len(x)), scale=2).save(p, format="PNG"))
