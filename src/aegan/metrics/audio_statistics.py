"""Features of recordings without labels: how loud each band is, how much that varies, and how long it lasts."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from aegan.data.audio_source import Recordings
from aegan.data.mel import MelScale
from aegan.metrics.audio_classifier import frames_for, own_scale, spectrograms


class BandStatistics:
    """Mean and deviation of each band over a recording, and its length, in deviations of the training recordings'.

    The same doors as :class:`~aegan.metrics.audio_classifier.AudioFeatures`, without labels. Nothing is learnt: what is
    said, sung or called is not told apart, only what it sounds like on average.

    Args:
        train: The real recordings that set the scale.
    """

    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __init__(self, train: Recordings) -> None:
        self.scale: MelScale = own_scale(train.rate)
        self.frames = frames_for(train, self.scale)
        raw = self._raw(train)
        self.mean, self.std = raw.mean(0), raw.std(0).clamp(min=1e-3)
        self.name = f"mean and deviation of {self.scale.bands} mel bands, and length ({raw.shape[1]}-d, no labels)"

    @property
    def fingerprint(self) -> str:
        """Equal only for equal scales."""
        return hashlib.sha256(torch.cat([self.mean, self.std]).numpy().tobytes()).hexdigest()[:16]

    def __call__(self, recordings: Recordings) -> Tensor:
        """Features float32 ``(N, 2 M + 1)``."""
        return (self._raw(recordings) - self.mean) / self.std

    def predict(self, recordings: Recordings) -> dict[str, list[str]]:
        """Nothing is told."""
        return {}

    def _raw(self, recordings: Recordings) -> Tensor:
        x = spectrograms(recordings, self.scale, self.frames)[:, 0]
        seconds = torch.tensor([len(wave) / recordings.rate for wave in recordings])
        return torch.cat([x.mean(2), x.std(2), seconds.clamp(min=1e-3).log()[:, None]], 1)
