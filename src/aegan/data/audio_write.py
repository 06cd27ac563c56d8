"""Recordings to WAV files; whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from aegan.data.audio_source import Recordings
from aegan.data.write import check_out_free, folder_names, replace_folder
from aegan.errors import ConfigError, DataError
from aegan.storage import write_atomically

PAUSE = 0.25
"""Seconds between recordings that share a file."""


def write_recordings(
    recordings: Recordings, out: str | os.PathLike[str], *, pattern: str | None = None, overwrite: bool = False
) -> Path:
    """Write recordings as 16-bit WAV in the form that the suffix of ``out`` asks for.

    * no suffix: a folder, a file a recording. With a pattern and its labels, names are made by the pattern (its other
      fields count up). With one label, there is a sub-folder a value; with several and no pattern, a ``labels.csv``.
    * ``.wav``: one file; several recordings follow each other after pauses.

    Args:
        recordings: What to write; values beyond [-1, 1] are clipped.
        out: Where to.
        pattern: As in ``{digit}_{speaker}_{index}``.
        overwrite: Replace what is there. A folder is replaced only if it holds nothing but such files.

    Returns:
        The path written.

    Raises:
        DataError: No recordings.
        ConfigError: Another suffix.
        StorageError: ``out`` exists, the disk is full, or there is no permission.
    """
    out = Path(out).expanduser()
    if not len(recordings):
        raise DataError(f"{out}: no recordings to write.")
    if out.suffix.lower() not in ("", ".wav"):
        raise ConfigError(f"{out}: cannot write recordings as {out.suffix}; expected no suffix (a folder) or .wav.")
    check_out_free(out, folder=out.suffix == "", overwrite=overwrite, kinds=(".wav", ".csv"))
    if out.suffix:
        content = wav_bytes(_one_after_another(recordings), recordings.rate)
        write_atomically(out, lambda path: path.write_bytes(content))
        return out
    names = file_names(len(recordings), recordings.labels, pattern)

    def fill(folder: Path) -> None:
        for name, wave in zip(names, recordings, strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(wav_bytes(wave, recordings.rate))
        if len(recordings.labels) > 1 and not pattern:
            (folder / "labels.csv").write_text(_table(names, recordings.labels), encoding="utf-8")

    replace_folder(out, fill)
    return out


def wav_bytes(wave: np.ndarray, rate: int) -> bytes:
    """A 16-bit WAV file of a waveform ``(S,)`` or ``(S, C)`` in [-1, 1]; one that was read from 16 bits bit by bit."""
    from scipy.io import wavfile

    buffer = io.BytesIO()
    read = np.asarray(wave, dtype=np.float64) * 32768  # readers divide by this, so what they read is whole here
    exact = bool((read == read.round()).all())
    wavfile.write(
        buffer, rate, (read.clip(-32768, 32767) if exact else (np.clip(wave, -1, 1) * 32767).round()).astype(np.int16)
    )
    return buffer.getvalue()


def file_names(count: int, labels: Mapping[str, Sequence[str]], pattern: str | None) -> list[str]:
    """A name for each recording, with forward slashes; no two alike.

    >>> file_names(2, {"digit": ["3", "3"], "speaker": ["theo", "theo"]}, "{digit}_{speaker}_{index}")
    ['3_theo_0.wav', '3_theo_1.wav']
    """
    digits = max(5, len(str(count - 1)))
    numbers = [f"{i:0{digits}d}" for i in range(count)]
    if pattern and labels and set(labels) <= set(re.findall(r"\{(\w+)\}", pattern)):
        names: list[str] = []
        seen: dict[str, int] = {}
        for i in range(count):
            own = {name: _safe(values[i]) for name, values in labels.items()}
            head = re.sub(r"\{(\w+)\}", lambda m: own.get(m[1], "\0"), pattern)  # noqa: B023 - used at once
            seen[head] = seen.get(head, -1) + 1
            names.append(head.replace("\0", str(seen[head])) + ".wav")
        if len(set(names)) == count:
            return names
    if len(labels) == 1:
        values = list(next(iter(labels.values())))
        known = sorted(set(values))
        folders = dict(zip(known, folder_names(known), strict=True))
        return [f"{folders[value]}/{number}.wav" for value, number in zip(values, numbers, strict=True)]
    return [f"{number}.wav" for number in numbers]


def _safe(value: str) -> str:
    return folder_names([value])[0]


def _table(names: Sequence[str], labels: Mapping[str, Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", *labels])
    writer.writerows(zip(names, *labels.values(), strict=True))
    return out.getvalue()


def _one_after_another(recordings: Recordings) -> np.ndarray:
    channels = max(1 if wave.ndim == 1 else wave.shape[1] for wave in recordings)
    pause = np.zeros((round(PAUSE * recordings.rate), channels), dtype=np.float32)
    parts: list[np.ndarray] = []
    for wave in recordings:
        parts += [np.broadcast_to(wave.reshape(len(wave), -1), (len(wave), channels)), pause]
    return np.concatenate(parts[:-1])
