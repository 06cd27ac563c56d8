"""Whatever a user calls recordings, opened: names, labels, and a reader of each."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aegan.data.audio_files import read_audio
from aegan.data.audio_labels import Labels, from_csv, from_folders, from_pattern
from aegan.data.kinds import AUDIO_SUFFIXES
from aegan.data.labels import natural_key
from aegan.errors import DataError, nearest

READABLE = "a folder of recordings (WAV, FLAC, OGG), one file, a list of files, or aegan.data.audio_source.Recordings"
QUIET = 1e-4
"""A waveform that never leaves its mean by more is silence (-80 dB of full scale)."""
TRIMMED_BELOW = 40.0
"""What trimming takes for silence: so many dB below the loudest stretch of 20 ms."""


@dataclass
class Recordings:
    """Recordings in memory.

    Attributes:
        waves: Each float ``(S,)``, or ``(S, C)`` with several channels, in [-1, 1].
        rate: Samples a second, Hz.
        labels: By name a value for each recording, as in ``{"digit": ["3", "7"], "speaker": ["theo", "lucas"]}``.

    >>> len(Recordings([np.zeros(80), np.zeros(120)], 8000))
    2
    """

    waves: list[np.ndarray]
    rate: int
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.waves)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.waves)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.waves[index]


@dataclass
class Opened:
    """A source: what its recordings are called and labelled, and how each is read."""

    name: str
    names: list[str]
    read: Callable[[int], tuple[np.ndarray, int]]
    labels: Labels


def open_recordings(
    source: Any,
    *,
    pattern: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    wanted: Sequence[str] | None = None,
    lenient: bool = False,
) -> Opened:
    """Open recordings, wherever they are; nothing is decoded yet.

    Args:
        source: Any of ``READABLE``. A folder is searched recursively; without a pattern or a CSV, its immediate
            sub-folders are the label ``class``.
        pattern: Labels from the files' names; see :func:`~aegan.data.audio_labels.from_pattern`.
        labels: CSV of labels; see :func:`~aegan.data.audio_labels.from_csv`.
        wanted: Which fields or columns are labels.
        lenient: No labels, rather than an error, where not one file name matches the pattern or none is in the CSV.

    Raises:
        DataError: No such path, no recordings, or labels that cannot be told; the files are named.
    """
    if isinstance(source, Recordings):
        return _in_memory(source)
    root: Path | None = None
    if isinstance(source, (str, os.PathLike)):
        path = Path(source).expanduser()
        if path.is_dir():
            root, files = path, _recordings_below(path)
        elif path.is_file():
            files = [path]
        else:
            siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise DataError(f"{path}: no such file or folder. {nearest(path.name, siblings) if siblings else ''}")
    elif isinstance(source, (list, tuple)) and source and all(isinstance(s, (str, os.PathLike)) for s in source):
        files = [Path(s).expanduser() for s in source]
        for path in files:
            if not path.is_file():
                raise DataError(f"{path}: no such file within the list of {len(files)}.")
    else:
        raise DataError(f"cannot read recordings from {type(source).__name__}; expected {READABLE}.")
    where = str(source) if isinstance(source, (str, os.PathLike)) else f"a list of {len(files)} files"
    names = [p.relative_to(root).as_posix() if root else p.as_posix() for p in files]
    return Opened(
        where, names, lambda i: read_audio(files[i]), _labels(names, root, pattern, labels, wanted, where, lenient)
    )


def _labels(
    names: list[str],
    root: Path | None,
    pattern: str | None,
    csv: str | os.PathLike[str] | None,
    wanted: Sequence[str] | None,
    where: str,
    lenient: bool,
) -> Labels:
    if not pattern and csv is None:
        return from_folders(names, where) if root else {}
    tell = (
        (lambda some: from_pattern(pattern, some, wanted, where))
        if pattern
        else (lambda some: from_csv(Path(os.fspath(csv or "")).expanduser(), some, wanted, where))
    )
    if lenient and not any(_told(tell, name) for name in names):
        return {}
    return tell(names)


def _told(tell: Callable[[list[str]], Labels], name: str) -> bool:
    try:
        tell([name])
    except DataError:
        return False
    return True


def _in_memory(source: Recordings) -> Opened:
    if isinstance(source.rate, bool) or not isinstance(source.rate, (int, np.integer)) or source.rate < 1:
        raise DataError(f"Recordings: rate is {source.rate!r}; expected samples a second, such as 16000.")
    labels = {str(name): [str(v) for v in values] for name, values in source.labels.items()}
    for name, values in labels.items():
        if len(values) != len(source):
            raise DataError(f"Recordings: {len(values)} values of {name!r} for {len(source)} recordings.")
    if not len(source):
        raise DataError(f"Recordings: there are none; expected {READABLE}.")

    def read(i: int) -> tuple[np.ndarray, int]:
        wave = np.asarray(source.waves[i])
        if wave.dtype.kind != "f" or wave.ndim not in (1, 2):
            raise DataError(
                f"recording {i}: {wave.dtype} of shape {wave.shape}; expected floats in [-1, 1], (S,) or (S, C)."
            )
        if not len(wave):
            raise DataError(f"recording {i}: of zero length.")
        if not np.isfinite(wave).all():
            raise DataError(f"recording {i}: holds NaN or infinite values.")
        return wave.astype(np.float32).reshape(len(wave), -1), int(source.rate)

    return Opened("recordings", [f"recording {i}" for i in range(len(source))], read, labels)


def _recordings_below(folder: Path) -> list[Path]:
    found: list[Path] = []
    others: Counter[str] = Counter()
    for at, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in names:
            if name.startswith("."):
                continue
            if name.lower().endswith(AUDIO_SUFFIXES):
                found.append(Path(at, name))
            else:
                others[Path(name).suffix.lower() or "(no suffix)"] += 1
    if not found:
        held = ", ".join(f"{n} {suffix}" for suffix, n in others.most_common(8)) or "nothing"
        raise DataError(f"{folder}: no recordings; found {held}; expected {', '.join(AUDIO_SUFFIXES)}.")
    return sorted(found, key=lambda path: [natural_key(part) for part in path.relative_to(folder).parts])


def is_silent(wave: np.ndarray) -> bool:
    """Whether a waveform ``(S, C)`` holds nothing but silence."""
    return float(np.abs(wave - wave.mean(0)).max()) < QUIET


def resampled(wave: np.ndarray, rate: int, into: int) -> np.ndarray:
    """A waveform ``(S, C)`` at another rate, by a polyphase filter."""
    if rate == into:
        return wave
    from scipy.signal import resample_poly

    shared = math.gcd(rate, into)
    return resample_poly(wave, into // shared, rate // shared, axis=0).astype(np.float32)


def mixed(wave: np.ndarray, channels: int) -> np.ndarray:
    """A waveform ``(S, C)`` with so many channels: mixed down to one, or one repeated."""
    if wave.shape[1] == channels:
        return wave
    return np.repeat(wave.mean(1, keepdims=True), channels, axis=1)


def trimmed(wave: np.ndarray, rate: int) -> np.ndarray:
    """A waveform ``(S, C)`` without the silence at both ends."""
    step = max(1, round(0.02 * rate))
    loud = np.square(wave).mean(1)
    power = np.add.reduceat(loud, np.arange(0, len(loud), step)) / step
    heard = np.flatnonzero(power > power.max() * 10 ** (-TRIMMED_BELOW / 10))
    return wave[heard[0] * step : (heard[-1] + 1) * step]
