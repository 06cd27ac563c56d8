"""Recordings: samples into WAV files, judged by what is heard; another speaker for the same words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from aegan.data.audio import AudioAdapter
from aegan.data.audio_source import Recordings
from aegan.data.audio_write import write_recordings
from aegan.errors import ConfigError
from aegan.kinds.base import Kind

if TYPE_CHECKING:
    from torch import Tensor

    from aegan.augmentation.result import Augmented
    from aegan.data.base import TensorData
    from aegan.estimator import Estimator


class AudioKind(Kind):
    """See :class:`~aegan.kinds.base.Kind`."""

    name = "audio"
    bounded = True
    shown = ("samples/samples.wav", "samples, one after another")
    example = "new-recordings"
    look = "rate"

    def sample(
        self, estimator: Estimator, num: int, *, seed: int, where: Mapping[str, Any] | None, spread: float, **own: Any
    ) -> Recordings:
        x, y = estimator.sample_tensors(num, seed=seed, where=where, spread=spread)
        return recordings_of(estimator, x, y)

    def write_samples(
        self,
        estimator: Estimator,
        num: int,
        out: str,
        *,
        seed: int,
        where: Mapping[str, Any] | None,
        spread: float,
        overwrite: bool,
        **own: Any,
    ) -> str:
        made = self.sample(estimator, num, seed=seed, where=where, spread=spread)
        return _written(estimator, made, out, "samples", overwrite)

    def write_tensors(
        self, estimator: Estimator, x: Tensor, out: str, *, labels: Tensor | None, what: str, overwrite: bool
    ) -> str:
        return _written(estimator, recordings_of(estimator, x, labels), out, what or "recordings", overwrite)

    def augmented(
        self,
        estimator: Estimator,
        source: Any,
        x: Tensor,
        y: Tensor | None,
        *,
        data: TensorData,
        index: Tensor,
        originals: int,
    ) -> Any:
        if not originals:
            return recordings_of(estimator, x, y)
        # Their waveforms are there: what their spectrograms would give sounds worse and ends where learning ends.
        adapter = audio_adapter(estimator)
        waves = adapter.originals(source)
        if len(x) > originals:
            waves += adapter.from_tensors(x[originals:]).waves
        return Recordings(waves, adapter.fitted().scale.rate, _labels(estimator, y))

    def write_augmented(
        self, estimator: Estimator, made: Augmented, out: str, *, overwrite: bool, source: Any = None
    ) -> str:
        return _written(estimator, made.data, out, "samples", overwrite)

    def reconstruct(
        self, estimator: Estimator, source: Any, *, where: Mapping[str, Any] | None
    ) -> tuple[Tensor, Tensor | None]:
        from aegan.kinds.audio_change import changed

        if where:
            return changed(estimator, source, where)
        data = estimator.adapter.to_tensors(source)
        return estimator.reconstruct_tensors(data), data.labels

    def finish(self, estimator: Estimator) -> None:
        from aegan.kinds.audio_change import write_means
        from aegan.kinds.audio_vocoder import attach, train_vocoder, wanted

        write_means(estimator)
        if wanted(estimator):
            train_vocoder(estimator)
        attach(estimator)

    def opened(self, estimator: Estimator) -> None:
        from aegan.kinds.audio_vocoder import attach

        attach(estimator)

    def evaluate(
        self, estimator: Estimator, real: Any, *, features: Any, num: int | None, seed: int, **own: Any
    ) -> Any:
        from aegan.kinds.audio_judge import evaluate_run

        if features is not None:
            raise ConfigError("evaluate: recordings are judged by a network of their own; leave features out.")
        return evaluate_run(estimator, real, num=num, seed=seed)

    def evaluate_sources(self, real: Any, synthetic: Any, *, holdout: Any, seed: int, **own: Any) -> Any:
        from aegan.kinds.audio_judge import evaluate_sources

        return evaluate_sources(real, synthetic, holdout=holdout, seed=seed, **own)

    def write_evaluation(self, values: Mapping[str, Any], path: Any) -> Any:
        from aegan.report.sound import write_sound_evaluation

        return write_sound_evaluation(values, path)

    def write_results(self, estimator: Estimator, *, console: bool, target: str | None) -> None:
        from aegan.kinds.audio_judge import write_audio_results

        write_audio_results(estimator, console=console)

    def raw_bytes(self, data: TensorData) -> int:
        return round(2 * data.fields["wave"].shape[1] * float(np.mean(np.asarray(data.fields["length"][:]))))

    def next_steps(self, estimator: Estimator) -> list[str]:
        run, labels = estimator.run.path, estimator.adapter.spec.labels
        steps = [f"aegan reconstruct {run} SOURCE --out reconstructions"]
        if len(labels) > 1:
            name, values = labels[-1]
            steps.append(f"aegan reconstruct {run} SOURCE --out changed --where {name}={values[0]}")
        return steps


def audio_adapter(estimator: Estimator) -> AudioAdapter:
    """The estimator's adapter, which is one of recordings."""
    adapter = estimator.adapter
    if not isinstance(adapter, AudioAdapter):
        raise ConfigError(f"{estimator.run.path}: a run of {adapter.spec.kind} data; expected recordings.")
    return adapter


def recordings_of(estimator: Estimator, x: Tensor, y: Tensor | None) -> Recordings:
    """Waveforms of spectrograms ``(N, C, M, T)``, with the labels of classes ``(N,)``."""
    made = audio_adapter(estimator).from_tensors(x)
    return Recordings(made.waves, made.rate, _labels(estimator, y))


def _labels(estimator: Estimator, y: Tensor | None) -> dict[str, list[str]]:
    """By name the label of each of classes ``(N,)``; none without them."""
    if y is None:
        return {}
    return {name: [values[i] for i in y.tolist()] for name, values in estimator.adapter.spec.labels}


def _written(estimator: Estimator, made: Recordings, out: str, what: str, overwrite: bool) -> str:
    pattern = audio_adapter(estimator).pattern
    path = write_recordings(made, out, pattern=pattern, overwrite=overwrite)
    seconds = sum(len(wave) for wave in made) / made.rate
    return f"{len(made)} {what} ({seconds:.1f} s, {made.rate} Hz) in {path}"
