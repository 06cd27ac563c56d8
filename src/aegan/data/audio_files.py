"""Recordings in files: WAV by itself, FLAC, OGG and others through soundfile (``pip install aegan[audio]``)."""

from __future__ import annotations

import importlib.util
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from aegan.errors import DataError


def has_soundfile() -> bool:
    """Whether the package soundfile, of the extra ``audio``, is there."""
    return importlib.util.find_spec("soundfile") is not None


def read_audio(path: Path) -> tuple[np.ndarray, int]:
    """Waveform float32 ``(S, C)`` in [-1, 1] and its rate in Hz.

    Raises:
        DataError: Missing, empty, damaged, not a recording, or a format that needs soundfile.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if not content:
        raise DataError(f"{path}: an empty file; expected a recording.")
    wave, rate = _by_soundfile(path, content) if has_soundfile() else _by_scipy(path, content)
    if wave.shape[0] == 0:
        raise DataError(f"{path}: a recording of zero length.")
    if rate < 1:
        raise DataError(f"{path}: a sampling rate of {rate} Hz; expected one above 0.")
    if not np.isfinite(wave).all():
        raise DataError(f"{path}: holds NaN or infinite values.")
    return wave, int(rate)


def _by_soundfile(path: Path, content: bytes) -> tuple[np.ndarray, int]:
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            promised, rate = file.frames, file.samplerate
            wave = file.read(dtype="float32", always_2d=True)
    except (RuntimeError, ValueError, TypeError) as error:  # soundfile's own error is a RuntimeError
        raise DataError(f"{path}: damaged, or not a recording ({str(error).rstrip('.')}).") from error
    if path.suffix.lower() == ".wav":
        promised = _promised(content, promised)
    if 0 < len(wave) < promised:
        raise DataError(f"{path}: damaged: its header promises {promised} samples, {len(wave)} are there.")
    return wave, rate


def _promised(content: bytes, frames: int) -> int:
    """Frames by a plain WAV file's own header: libsndfile shortens a truncated one without a word."""
    at, bytes_a_frame = 12, 0
    if content[:4] != b"RIFF":
        return frames
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        if name == b"fmt ":
            bytes_a_frame = int.from_bytes(content[at + 20 : at + 22], "little")
        if name == b"data":
            # Streams are written with a length of zero or as many as 32 bits hold, for lack of a better one.
            unknown = size == 0 or size >= 0x7FFFFF00 or not bytes_a_frame
            return frames if unknown else max(frames, size // bytes_a_frame)
        at += 8 + size + size % 2
    return frames


def _by_scipy(path: Path, content: bytes) -> tuple[np.ndarray, int]:
    from scipy.io import wavfile

    if path.suffix.lower() != ".wav":
        raise DataError(
            f"{path}: {path.suffix or 'such'} files need the package soundfile. pip install 'aegan[audio]', or convert "
            "them to WAV."
        )
    try:
        with warnings.catch_warnings():
            # Chunks that it does not know are none of ours; an end that is missing is.
            warnings.filterwarnings("ignore", message=".*not understood.*")
            warnings.filterwarnings("error", message=".*EOF.*")
            rate, wave = wavfile.read(io.BytesIO(content))
    except Exception as error:  # struct.error, ValueError, EOFError, … by what is wrong with the bytes
        raise DataError(f"{path}: damaged, or not a WAV file ({str(error).rstrip('.')}).") from error
    return _floats(wave[:, None] if wave.ndim == 1 else wave, path), rate


def _floats(wave: np.ndarray, where: Any) -> np.ndarray:
    """Samples of any WAV type as float32 in [-1, 1]."""
    if wave.dtype.kind == "f":
        return wave.astype(np.float32)
    if wave.dtype == np.uint8:
        return (wave.astype(np.float32) - 128.0) / 128.0
    if wave.dtype.kind == "i":
        return (wave.astype(np.float64) / float(np.iinfo(wave.dtype).max + 1)).astype(np.float32)
    raise DataError(f"{where}: samples of type {wave.dtype}; expected integers or floats.")
