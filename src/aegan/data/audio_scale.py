"""Between waveforms and what the networks see: log-mel values in [-1, 1], and -1 after the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aegan.data.mel import MelScale

RANGE = 80.0
"""Decibels below the data's loudest value at which the logarithm is floored."""
SPREAD = 3.0
"""Standard deviations of a band that fill [-1, 1]."""
NARROWEST = 1.0
"""Least standard deviation of a band, in dB."""
LARGEST = 20_000_000
"""Values of complex spectrograms that are computed at once."""


@dataclass(frozen=True)
class LogMel:
    """The scaling of log-mel values, fitted on the training data.

    Attributes:
        scale: The spectrogram's settings.
        floor: Least value in dB of full scale; what is below is raised to it.
        mean: Of each band, in dB.
        std: Of each band, in dB.
        quiet: Mean value in [-1, 1] that 99 of 100 frames of sound exceed; what lies halfway to -1 is past the end.
    """

    scale: MelScale
    floor: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    quiet: float

    @classmethod
    def fit(cls, scale: MelScale, fields: Mapping[str, Any]) -> LogMel:
        """From waveforms int16 ``wave`` (N, C, T * hop) and their lengths in samples, ``length`` (N,)."""
        wave = fields["wave"]
        block = block_of(scale, wave.shape[1] * wave.shape[2] // scale.hop)
        blocks = [slice(at, at + block) for at in range(0, len(wave), block)]
        peak = max(float(decibels(scale.mel(waveform(fields["wave"][b]))).max()) for b in blocks)
        floor = peak - RANGE
        count, total, square = 0, torch.zeros(scale.bands).double(), torch.zeros(scale.bands).double()
        for b in blocks:
            values, heard = _frames(scale, fields, b, floor)
            values = values[heard].double()
            count, total, square = count + len(values), total + values.sum(0), square + values.square().sum(0)
        mean = total / count
        std = (square / count - mean.square()).clamp(min=0).sqrt().clamp(min=NARROWEST)
        made = cls(scale, floor, tuple(mean.tolist()), tuple(std.tolist()), -1.0)
        means = []
        for b in blocks:
            values, heard = _frames(scale, fields, b, floor)
            scaled = ((values - mean.float()) / (SPREAD * std.float())).clamp(-1, 1)
            means.append(scaled.mean(-1)[heard])
        quiet = float(np.quantile(torch.cat(means).numpy(), 0.01))
        return cls(scale, floor, made.mean, made.std, quiet)

    def tensors(self, wave: np.ndarray, length: np.ndarray) -> Tensor:
        """Values ``(N, C, M, T)`` in [-1, 1] of waveforms int16 ``(N, C, T * hop)`` ending after ``length`` samples."""
        x = self.scaled(self.scale.mel(waveform(wave)))
        ends = torch.from_numpy(-(-np.asarray(length) // self.scale.hop))
        past = torch.arange(x.shape[-1]) >= ends[:, None]
        return x.masked_fill(past[:, None, None], -1.0)

    def scaled(self, mel: Tensor) -> Tensor:
        """Values in [-1, 1] of mel magnitudes ``(..., M, T)``."""
        mean, std = self._of(mel)
        return ((decibels(mel).clamp(min=self.floor) - mean) / (SPREAD * std)).clamp(-1, 1)

    def mel(self, x: Tensor) -> Tensor:
        """Mel magnitudes of values ``(..., M, T)`` in [-1, 1]; none past the end."""
        mean, std = self._of(x)
        level = (x * SPREAD * std + mean).clamp(min=self.floor)
        past = (x <= -1).all(-2, keepdim=True)
        return torch.pow(10.0, level / 20.0).masked_fill(past, 0.0)

    def lengths(self, x: Tensor) -> Tensor:
        """Frames before the end, int64 ``(N,)``, at least one, of values ``(N, C, M, T)``.

        Frames of sound lie above a threshold and those past the end below; the end is where they are told apart best.
        """
        level = x.flatten(1, 2).mean(1)
        threshold = max(-0.99, (self.quiet - 1.0) / 2.0)
        return (level - threshold).cumsum(1).argmax(1) + 1

    def ended(self, x: Tensor) -> Tensor:
        """The same values with -1 in all frames past the end."""
        past = torch.arange(x.shape[-1]) >= self.lengths(x)[:, None]
        return x.masked_fill(past[:, None, None], -1.0)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LogMel:
        """Inverse of :meth:`to_json`."""
        scale = MelScale(**{name: int(value) for name, value in data["scale"].items()})
        mean, std = (tuple(float(v) for v in data[name]) for name in ("mean", "std"))
        if len(mean) != scale.bands or len(std) != scale.bands or min(std) <= 0:
            raise ValueError(f"a mean and a deviation above 0 for each of {scale.bands} bands expected")
        return cls(scale, float(data["floor"]), mean, std, float(data["quiet"]))

    def _of(self, like: Tensor) -> tuple[Tensor, Tensor]:
        return (torch.tensor(values).to(like)[:, None] for values in (self.mean, self.std))  # type: ignore[return-value]


def block_of(scale: MelScale, frames: int) -> int:
    """How many recordings of so many frames, over all channels, are treated at once."""
    return max(1, min(256, LARGEST // (frames * (scale.n_fft // 2 + 1))))


def decibels(mel: Tensor) -> Tensor:
    """20 log10 of magnitudes."""
    return 20.0 * torch.log10(mel.clamp(min=1e-8))


def waveform(wave: np.ndarray | Tensor) -> Tensor:
    """Float32 in [-1, 1] of int16."""
    return torch.as_tensor(np.asarray(wave) if isinstance(wave, np.ndarray) else wave).float() / 32767.0


def _frames(scale: MelScale, fields: Mapping[str, Any], block: slice, floor: float) -> tuple[Tensor, Tensor]:
    """Frames in dB ``(n, C, T, M)``, and which of them are sound, bool ``(n, C, T)``."""
    values = decibels(scale.mel(waveform(fields["wave"][block]))).clamp(min=floor).transpose(2, 3)
    ends = torch.from_numpy(-(-fields["length"][block] // scale.hop))
    heard = torch.arange(values.shape[2]) < ends[:, None]
    return values, heard[:, None].expand(values.shape[:3])
