"""Small recordings to test with: tones whose pitch is the word and whose overtones are the speaker."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aegan.data.audio_source import Recordings
from aegan.data.audio_write import wav_bytes

RATE = 4000
PITCH = {"1": 220.0, "2": 440.0, "3": 880.0}
OVERTONES = {"ada": (1.0, 0.0), "bob": (0.4, 0.6)}


def tone(word: str, speaker: str, rng: np.random.Generator, rate: int = RATE, seconds: float = 0.2) -> np.ndarray:
    """One recording, float32 ``(S,)``, of varying length, level and phase."""
    t = np.arange(round(rate * seconds * rng.uniform(0.7, 1.0))) / rate
    first, third = OVERTONES[speaker]
    pitch = PITCH[word] * rng.uniform(0.97, 1.03)
    phase = rng.uniform(0, 2 * np.pi, 2)
    wave = first * np.sin(2 * np.pi * pitch * t + phase[0]) + third * np.sin(4 * np.pi * pitch * t + phase[1])
    wave = wave * np.minimum(1, 20 * t) * rng.uniform(0.2, 0.6) + 0.005 * rng.standard_normal(len(t))
    return wave.astype(np.float32)


def tones(each: int = 8, seed: int = 0, rate: int = RATE) -> Recordings:
    """``each`` recordings of every word by every speaker."""
    rng = np.random.default_rng(seed)
    rows = [(word, speaker) for word in PITCH for speaker in OVERTONES for _ in range(each)]
    waves = [tone(word, speaker, rng, rate) for word, speaker in rows]
    return Recordings(waves, rate, {"word": [r[0] for r in rows], "speaker": [r[1] for r in rows]})


def write_tones(folder: Path, recordings: Recordings) -> Path:
    """As ``{word}_{speaker}_{index}.wav``."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, wave in enumerate(recordings):
        name = f"{recordings.labels['word'][i]}_{recordings.labels['speaker'][i]}_{i}.wav"
        (folder / name).write_bytes(wav_bytes(wave, recordings.rate))
    return folder
