"""Waveforms to log-mel spectrograms and back to magnitudes.

Magnitudes are divided by the window's sum, so that a full-scale sine reads about 0.5 whatever the window. The mel scale
is O'Shaughnessy's, 2595 log10(1 + f / 700); filters are triangles of unit sum.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

WINDOW_SECONDS, HOP_SECONDS = 0.064, 0.012
TINY = 1e-10


@dataclass(frozen=True, kw_only=True)
class MelScale:
    """How a waveform becomes a mel spectrogram.

    Attributes:
        rate: Samples a second, Hz.
        n_fft: Length of the Hann window and of its Fourier transform, in samples.
        hop: Samples from one frame to the next.
        bands: Mel bands ``M``, from 0 Hz to half the rate.

    >>> MelScale.of_rate(8000)
    MelScale(rate=8000, n_fft=512, hop=96, bands=64)
    """

    rate: int
    n_fft: int
    hop: int
    bands: int

    @classmethod
    def of_rate(cls, rate: int) -> MelScale:
        """Windows of about 64 ms, a frame every 12 ms, 64 bands below 12 kHz, 96 below 32 kHz, 128 above."""
        n_fft = 2 ** max(5, round(math.log2(WINDOW_SECONDS * rate)))
        bands = 64 if rate < 12_000 else 96 if rate < 32_000 else 128
        # Below some 1.5 kHz there are fewer lines than bands.
        return cls(rate=rate, n_fft=n_fft, hop=max(1, round(HOP_SECONDS * rate)), bands=min(bands, n_fft // 4))

    def frames(self, samples: int) -> int:
        """Frames that ``samples`` of a waveform fill."""
        return -(-samples // self.hop)

    def spectrum(self, wave: Tensor) -> Tensor:
        """Complex spectrogram ``(..., n_fft / 2 + 1, T)`` of waveforms ``(..., T * hop)``, centred at the hops."""
        flat = wave.reshape(-1, wave.shape[-1])
        # Zeros at both ends: a reflected one would be sound that was never recorded.
        out = torch.stft(flat, self.n_fft, self.hop, window=self.window(wave), pad_mode="constant", return_complex=True)
        out = out[..., : wave.shape[-1] // self.hop] / (self.n_fft / 2)
        return out.reshape(*wave.shape[:-1], *out.shape[1:])

    def wave(self, spectrum: Tensor) -> Tensor:
        """Waveforms ``(B, T * hop)`` nearest to complex spectrograms ``(B, n_fft / 2 + 1, T)``."""
        length, window = spectrum.shape[-1] * self.hop, self.window(spectrum.real)
        return torch.istft(spectrum * (self.n_fft / 2), self.n_fft, self.hop, window=window, length=length)

    def window(self, like: Tensor) -> Tensor:
        """The Hann window, of the type and on the device of ``like``."""
        return torch.hann_window(self.n_fft, dtype=like.dtype, device=like.device)

    def mel(self, wave: Tensor) -> Tensor:
        """Mel magnitudes ``(..., M, T)`` of waveforms ``(..., T * hop)``."""
        # The square root has no slope at zero.
        spectrum = self.spectrum(wave)
        magnitude = (spectrum.real.square() + spectrum.imag.square() + TINY**2).sqrt()
        return self.filters(wave) @ magnitude

    def filters(self, like: Tensor) -> Tensor:
        """The filters ``(M, n_fft / 2 + 1)``, each summing to 1, of the type and on the device of ``like``."""
        return filterbank(self.rate, self.n_fft, self.bands).to(like)

    def magnitude(self, mel: Tensor, *, steps: int = 50) -> Tensor:
        """Non-negative magnitudes ``(..., n_fft / 2 + 1, T)`` whose mel magnitudes are nearest to ``mel``.

        The pseudo-inverse, clipped, then multiplicative updates of least squares (Lee & Seung 2001).
        """
        filters = self.filters(mel)
        inverse = torch.linalg.pinv(filters.double()).to(mel)
        # What is not positive would stay zero for ever.
        out = (inverse @ mel).clamp(min=1e-3 * mel.mean(dim=-2, keepdim=True) + TINY)
        numerator, gram = filters.T @ mel, filters.T @ filters
        for _ in range(steps):
            out = out * numerator / (gram @ out + TINY)
        return out


@functools.lru_cache(maxsize=8)
def filterbank(rate: int, n_fft: int, bands: int) -> Tensor:
    """Triangular filters ``(bands, n_fft / 2 + 1)`` on the mel scale, each summing to 1."""
    top = 2595.0 * math.log10(1.0 + rate / 2 / 700.0)
    edges = 700.0 * (10.0 ** (torch.linspace(0.0, top, bands + 2, dtype=torch.float64) / 2595.0) - 1.0)
    lines = torch.linspace(0.0, rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = torch.minimum((lines - low) / (mid - low), (high - lines) / (high - mid)).clamp(min=0.0)
    # A triangle that falls between two lines takes the nearest one.
    empty = filters.sum(1) <= 0
    filters[empty, (lines - mid).abs().argmin(1)[empty]] = 1.0
    return filters / filters.sum(1, keepdim=True)
