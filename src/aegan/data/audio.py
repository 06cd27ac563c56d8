"""Recordings to log-mel spectrograms in [-1, 1] and back."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aegan.data.audio_labels import combinations, joined, pattern_fields, varying
from aegan.data.audio_scale import LogMel, block_of
from aegan.data.audio_source import Opened, Recordings, is_silent, mixed, open_recordings, resampled, trimmed
from aegan.data.base import Adapter, TensorData
from aegan.data.griffin_lim import ITERATIONS, griffin_lim
from aegan.data.labels import map_labels
from aegan.data.mel import MelScale
from aegan.data.store import default_memory_limit, reserve
from aegan.errors import AeganWarning, ConfigError, DataError
from aegan.types import Spec

FEWEST_FRAMES = 16
COVERED = 0.975
"""Part of the recordings that the length learnt by default covers whole."""
LONGEST = 4.0
"""Most seconds learnt by default."""
NAMED = 5
SEPARATOR = "/"
"""Between the labels in a class's name."""
OPTIONS = ("rate", "channels", "seconds", "trim", "pattern", "labels", "label_names", "vocoder", "skip_bad")
VOCODERS = ("auto", "griffin-lim", "neural")


class AudioAdapter(Adapter):
    """Recordings to log-mel spectrograms ``(N, C, M, T)`` in [-1, 1], with their waveforms, and back.

    A band of the spectrogram is centred by its mean and scaled so that three standard deviations fill [-1, 1] (as in
    SpecGAN, arXiv 1802.04208). Frames after a recording's end are -1: that is how its length is told.

    Args:
        rate: Hz to resample to; the commonest rate found when None.
        channels: 1 or 2; 2 where at least half of the recordings have two, else 1. Others are mixed down.
        seconds: Longest length learnt; longer recordings are cut. None: what covers 97.5 % of them, at most 4.
        trim: Leave silence at both ends out: what is 40 dB below the loudest 20 ms.
        pattern: Labels from file names, as in ``{digit}_{speaker}_{index}``; without it from sub-folders.
        labels: Labels from a CSV: its first column names the file, every other one is a label.
        label_names: Which of the pattern's fields or the CSV's columns are labels. None: all of them, but for the
            fields ``index``, ``id``, ``take``, ``number``, ``n`` and ``_``.
        vocoder: How waveforms are made of spectrograms: ``griffin-lim``, or ``neural``, which is learnt after the
            model; see :mod:`aegan.models.vocoder`. ``auto`` is what docs/speech.md shows to be better.
        skip_bad: Skip recordings that cannot be used (listed in ``bad``); otherwise they are one error.
        memory_limit: Most bytes of waveforms to hold in memory; beyond, they lie in a temporary file.

    Attributes:
        spec: Kind ``"audio"``, shape ``(C, M, T)``, classes (combinations of labels) and their labels.
        scale: The spectrogram's settings.
        bad: ``(name, reason)`` of the recordings skipped in the latest reading.
        summary: One line on the fitted source.
        to_wave: Log-mel values ``(B, M, T)`` in [-1, 1] to waveforms ``(B, T * hop)``; Griffin–Lim when None.

    Raises:
        ConfigError: An option that cannot work.
    """

    def __init__(
        self,
        *,
        rate: int | None = None,
        channels: int | None = None,
        seconds: float | None = None,
        trim: bool = False,
        pattern: str | None = None,
        labels: str | os.PathLike[str] | None = None,
        label_names: str | Sequence[str] | None = None,
        vocoder: str = "auto",
        skip_bad: bool = False,
        memory_limit: int | None = None,
    ) -> None:
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int) or rate < 1000):
            raise ConfigError(f"--rate {rate}: samples a second expected, 1000 or more, such as 16000.")
        if channels not in (None, 1, 2):
            raise ConfigError(f"--channels {channels}: 1 or 2 expected for recordings.")
        if seconds is not None and not 0 < seconds < 3600:
            raise ConfigError(f"--seconds {seconds}: a length above 0 expected, such as 1.5.")
        if pattern and labels:
            raise ConfigError("--pattern and --labels: give one of them; labels come from names or from a CSV.")
        if pattern:
            pattern_fields(pattern)
        if vocoder not in VOCODERS:
            raise ConfigError(f"--vocoder {vocoder}: one of {', '.join(VOCODERS)} expected.")
        if isinstance(label_names, str):
            label_names = [name.strip() for name in label_names.split(",") if name.strip()]
        self.rate, self.channels, self.seconds, self.trim = rate, channels, seconds, trim
        self.pattern, self.labels = pattern, None if labels is None else os.fspath(labels)
        self.label_names = None if label_names is None else list(label_names)
        self.skip_bad, self.vocoder = skip_bad, vocoder
        self.memory_limit = default_memory_limit() if memory_limit is None else memory_limit
        self.bad: list[tuple[str, str]] = []
        self.form = ""
        self.scaling: LogMel | None = None
        self.to_wave: Callable[[Tensor], Tensor] | None = None
        self._cache: tuple[Any, TensorData] | None = None

    def fit(self, source: Any) -> AudioAdapter:
        """Learn rate, channels, length, scaling and classes from ``source``.

        Raises:
            DataError: Recordings that cannot be read or hold nothing but silence (all are named), fewer than two, or
                labels that cannot be told.
            StorageError: No room for the temporary file.
        """
        opened = self._open(source, lenient=False)
        waves, kept, found, rate, channels = self._decoded(opened, self.rate, self.channels)
        if len(waves) < 2:
            raise DataError(f"{opened.name}: {len(waves)} usable recordings; expected at least 2.")
        lengths = np.array([len(wave) for wave in waves])
        scale = MelScale.of_rate(rate)
        longest = self.seconds or min(LONGEST, float(np.quantile(lengths, COVERED)) / rate)
        frames = max(FEWEST_FRAMES, -(-scale.frames(round(longest * rate)) // 8) * 8)
        fields = self._packed(waves, frames * scale.hop, channels)
        self.scaling = LogMel.fit(scale, fields)
        labels = varying({name: [values[i] for i in kept] for name, values in opened.labels.items()})
        self.spec = Spec(kind="audio", shape=(channels, scale.bands, frames))
        if labels:
            fields["y"], classes = joined(labels, opened.name)
            self.spec = _labelled(self.spec, tuple(labels), classes)
        self.form = "recordings" if isinstance(source, Recordings) else "files"
        self.summary = _summary(opened.name, lengths / rate, found, rate, channels, frames * scale.hop / rate, labels)
        self._cache = (source, self._data(fields))
        return self

    def to_tensors(self, source: Any) -> TensorData:
        """Read ``source`` as the fitted one was.

        Returns:
            ``x`` float32 ``(N, C, M, T)``; ``wave`` int16 ``(N, C, T * hop)``, zeros after the end; ``length`` int64
            ``(N,)``, samples before it; ``y`` int64 ``(N,)`` where both this source and the fitted one are labelled.

        Raises:
            DataError: Unreadable, silent or no recordings, or a combination of labels that the fitted source lacks.
        """
        scaling = self.fitted()
        cached, self._cache = self._cache, None
        if cached is not None and _same(cached[0], source):
            return cached[1]
        opened = self._open(source, lenient=True)
        waves, kept, *_ = self._decoded(opened, scaling.scale.rate, self.spec.shape[0])
        if not waves:
            raise DataError(f"{opened.name}: no usable recording.")
        fields = self._packed(waves, self.spec.shape[2] * scaling.scale.hop, self.spec.shape[0])
        names = [name for name, _ in self.spec.labels]
        if names and all(name in opened.labels for name in names):
            rows = list(zip(*(opened.labels[name] for name in names), strict=True))
            present = [SEPARATOR.join(rows[i]) for i in kept]
            own = sorted(set(present))
            index = np.array([own.index(name) for name in present])
            fields["y"] = map_labels(index, own, self.spec.classes, opened.name)
        return self._data(fields)

    def with_classes_of(self, source: Any) -> tuple[AudioAdapter, Any]:
        """See :meth:`~aegan.data.base.Adapter.with_classes_of`; where no label has two values, they are one class."""
        self.fitted()
        opened = self._open(source, lenient=True)
        if not opened.labels:
            return self, source
        labels, known = varying(opened.labels) or opened.labels, copy(self)
        known.spec = _labelled(self.spec, tuple(labels), combinations(labels))
        return known, source

    def names(self, source: Any) -> list[str] | None:
        """See :meth:`~aegan.data.base.Adapter.names`; below the folder, where the source is one."""
        if isinstance(source, Recordings):
            return None
        skipped = {name for name, _ in self.bad}
        return [name for name in self._open(source, lenient=True).names if name not in skipped]

    def originals(self, source: Any) -> list[np.ndarray]:
        """Waveforms ``(S,)`` or ``(S, C)`` of what :meth:`to_tensors` reads of ``source``, neither cut nor mixed.

        They are as they were where their rate is the fitted one, else resampled to it.
        """
        rate = self.fitted().scale.rate
        waves = [resampled(wave, own, rate) for _, wave, own in self._usable(self._open(source, lenient=True))]
        return [wave[:, 0] if wave.shape[1] == 1 else wave for wave in waves]

    def from_tensors(self, x: Tensor) -> Recordings:
        """Waveforms of spectrograms ``(N, C, M, T)`` in [-1, 1], at the data's rate, each as long as it says.

        Raises:
            DataError: Another shape, or values that are not finite.
        """
        scaling = self.fitted()
        if not x.is_floating_point() or x.ndim != 4 or tuple(x.shape[1:]) != self.spec.shape:
            raise DataError(
                f"from_tensors: got {x.dtype} {tuple(x.shape)}; expected floats of shape (N, *{self.spec.shape})."
            )
        if not torch.isfinite(x).all():
            raise DataError("from_tensors: NaN or infinite values; the model that drew them diverged.")
        waves: list[np.ndarray] = []
        for part in x.float().cpu().split(min(64, block_of(scaling.scale, x.shape[1] * x.shape[3]))):
            part = scaling.ended(part.clamp(-1, 1))
            made = self.waveforms(part)
            for wave, frames in zip(made, scaling.lengths(part).tolist(), strict=True):
                waves.append(_faded(wave[:, : frames * scaling.scale.hop].numpy().T, scaling.scale.rate))
        return Recordings([wave[:, 0] if wave.shape[1] == 1 else wave for wave in waves], scaling.scale.rate)

    @torch.no_grad()
    def waveforms(self, x: Tensor, *, iterations: int = ITERATIONS) -> Tensor:
        """Waveforms ``(B, C, T * hop)`` in [-1, 1] of spectrograms ``(B, C, M, T)``; channel by channel."""
        scaling, flat = self.fitted(), x.flatten(0, 1)
        if self.to_wave is not None:
            wave = self.to_wave(flat)
        else:
            magnitude = scaling.scale.magnitude(scaling.mel(flat))
            wave = griffin_lim(magnitude, scaling.scale, iterations=iterations)
        return wave.clamp(-1, 1).unflatten(0, x.shape[:2])

    def to_json(self) -> dict[str, Any]:
        """Options, spec and scaling as plain JSON values; limits of this machine are left out."""
        scaling = self.fitted()
        plain = self.spec.to_json() | {"shape": list(self.spec.shape)}
        options = {name: getattr(self, name) for name in OPTIONS}
        return {"adapter": "audio", "options": options, "spec": plain, "form": self.form, "scaling": scaling.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AudioAdapter:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: A key is missing or unknown, or a value cannot be.
        """
        keys = ("adapter", "options", "spec", "form", "scaling")
        if not isinstance(data, Mapping) or set(data) != set(keys) or data["adapter"] != "audio":
            got = ", ".join(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
            raise DataError(f"adapter: got {got}; expected 'audio' with the keys {', '.join(keys)}.")
        try:
            adapter = cls(**data["options"])
            adapter.spec = Spec.from_json(data["spec"])
            adapter.scaling, adapter.form = LogMel.from_json(data["scaling"]), str(data["form"])
        except (ConfigError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"adapter: values that do not fit together ({type(error).__name__}: {error}).") from error
        shape, bands = adapter.spec.shape, adapter.scaling.scale.bands
        if adapter.spec.kind != "audio" or len(shape) != 3 or shape[1] != bands:
            raise DataError(
                f"adapter: kind {adapter.spec.kind!r}, shape {shape} for {bands} bands; expected [C, M, T]."
            )
        return adapter

    def fitted(self) -> LogMel:
        """The scaling between waveforms and tensors; ConfigError before :meth:`fit`."""
        if self.scaling is None:
            raise ConfigError("AudioAdapter: not fitted yet. Call fit(source) first, or from_json.")
        return self.scaling

    def _open(self, source: Any, *, lenient: bool) -> Opened:
        options = {"pattern": self.pattern, "labels": self.labels, "wanted": self.label_names}
        return open_recordings(source, **options, lenient=lenient)

    def _usable(self, opened: Opened) -> Iterator[tuple[int, np.ndarray, int]]:
        """Number, waveform ``(S, C)`` and rate of each recording that can be used; ``bad`` says why others cannot."""
        self.bad = []
        for i, name in enumerate(opened.names):
            try:
                wave, own = opened.read(i)
                if is_silent(wave):
                    raise DataError(f"{name}: silence only.")
            except DataError as error:
                self.bad.append((name, str(error)))
            else:
                yield i, wave, own

    def _decoded(
        self, opened: Opened, rate: int | None, channels: int | None
    ) -> tuple[list[np.ndarray], list[int], Counter[int], int, int]:
        """Usable waveforms int16 ``(S, C)``, which they are, the rates found, and the rate and channels taken."""
        raw: list[tuple[np.ndarray, int]] = []
        kept: list[int] = []
        for i, wave, own in self._usable(opened):
            raw.append((_whole(wave if rate is None else resampled(wave, own, rate)), own))
            kept.append(i)
        if self.bad and not (self.skip_bad and kept):
            shown = " ".join(reason for _, reason in self.bad[:NAMED]) + (" …" if len(self.bad) > NAMED else "")
            raise DataError(
                f"{opened.name}: {len(self.bad)} of {len(opened.names)} recordings cannot be used: {shown} Mend or "
                "remove them, or leave them out with --skip-bad."
            )
        rates = Counter(own for _, own in raw)
        into = rate or max(rates, key=lambda r: (rates[r], r))
        doubled = sum(wave.shape[1] == 2 for wave, _ in raw)
        count = channels or (2 if 2 * doubled >= len(raw) else 1)
        lower = [opened.names[i] for i, (_, own) in zip(kept, raw, strict=True) if own < into]
        if lower:
            shown = ", ".join(lower[:NAMED]) + (", …" if len(lower) > NAMED else "")
            warnings.warn(
                f"{opened.name}: {len(lower)} of {len(raw)} recordings have a lower rate than {into} Hz and nothing "
                f"above half of their own: {shown}. Give --rate {min(rates)} to have all alike.",
                AeganWarning,
                stacklevel=3,
            )
        waves = []
        for wave, own in raw:
            wave = wave.astype(np.float32) / 32767.0
            wave = mixed(wave if rate is not None else resampled(wave, own, into), count)
            waves.append(_whole(trimmed(wave, into) if self.trim else wave))
        return waves, kept, rates, into, count

    def _packed(self, waves: Sequence[np.ndarray], samples: int, channels: int) -> dict[str, Any]:
        """Waveforms cut or filled up to one length, and where each ends."""
        shape = (len(waves), channels, 2 * samples)
        packed = reserve(shape, self.memory_limit, None, "waveforms").view(np.int16)
        for row, wave in zip(packed, waves, strict=True):
            row[:] = 0
            row[:, : len(wave)] = wave[:samples].T
        return {"wave": packed, "length": np.array([min(len(wave), samples) for wave in waves], dtype=np.int64)}

    def _data(self, fields: Mapping[str, Any]) -> TensorData:
        scaling, x = self.fitted(), []
        block = block_of(scaling.scale, self.spec.shape[0] * self.spec.shape[2])
        for start in range(0, len(fields["wave"]), block):
            part = slice(start, start + block)
            x.append(scaling.tensors(fields["wave"][part], fields["length"][part]))
        made: dict[str, Any] = {"x": torch.cat(x)}
        for name, value in fields.items():
            made[name] = value if isinstance(value, np.memmap) else torch.from_numpy(value)
        return TensorData(**made)


def _labelled(spec: Spec, names: Sequence[str], classes: Sequence[tuple[str, ...]]) -> Spec:
    """With ``classes``, each of them a value of each of the labels ``names``."""
    told = tuple((name, tuple(values[i] for values in classes)) for i, name in enumerate(names))
    return replace(spec, classes=tuple(SEPARATOR.join(values) for values in classes), labels=told)


def _whole(wave: np.ndarray) -> np.ndarray:
    """Int16 of floats in [-1, 1]; what is beyond is clipped."""
    return (wave.clip(-1, 1) * 32767).round().astype(np.int16)


def _summary(
    name: str,
    seconds: np.ndarray,
    rates: Counter[int],
    rate: int,
    channels: int,
    longest: float,
    labels: Mapping[str, Sequence[str]],
) -> str:
    cut = int((seconds > longest).sum())
    parts = [
        f"{name}: {len(seconds)} recordings of {seconds.min():.2f} to {seconds.max():.2f} s",
        f"{seconds.sum():.0f} s in all",
        f"{rate} Hz"
        + (
            f" (resampled: {', '.join(f'{n} of {r} Hz' for r, n in rates.items() if r != rate)})"
            if set(rates) != {rate}
            else ""
        ),
        "stereo" if channels == 2 else "mono",
        f"learnt up to {longest:.2f} s" + (f", {cut} longer ones are cut" if cut else ""),
    ]
    if labels:
        parts.append("labels: " + ", ".join(f"{label} ({len(set(values))})" for label, values in labels.items()))
    return "; ".join(parts)


def _faded(wave: np.ndarray, rate: int) -> np.ndarray:
    """A waveform ``(S, C)`` whose last 4 ms fall to zero, so that its end does not click."""
    wave, n = wave.copy(), min(len(wave), max(1, rate // 250))
    wave[len(wave) - n :] *= np.linspace(1, 0, n, dtype=np.float32)[:, None]
    return wave


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, (str, os.PathLike)) and isinstance(b, (str, os.PathLike)):
        return os.path.realpath(a) == os.path.realpath(b)
    return a is b
