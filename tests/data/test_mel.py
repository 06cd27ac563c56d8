"""Spectrograms and waveforms: against scipy, against formulas, and there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import get_window

from aegan.data.griffin_lim import griffin_lim
from aegan.data.mel import MelScale, filterbank

SCALE = MelScale(rate=4000, n_fft=256, hop=48, bands=40)


def waves(n: int = 3, frames: int = 30) -> torch.Tensor:
    t = torch.arange(frames * SCALE.hop) / SCALE.rate
    pitch = torch.tensor([220.0, 500.0, 950.0])[:n, None]
    return 0.5 * torch.sin(2 * torch.pi * pitch * t) * torch.hann_window(len(t))


def test_spectrum_is_the_windowed_fourier_transform() -> None:
    wave = waves(1)
    spectrum = SCALE.spectrum(wave)
    assert spectrum.shape == (1, 129, 30)
    padded = np.pad(wave[0].numpy().astype(np.float64), 128)
    for frame in (0, 7, 29):
        part = padded[frame * 48 : frame * 48 + 256] * get_window("hann", 256)
        expected = np.fft.rfft(part) / 128
        assert np.allclose(spectrum[0, :, frame].numpy(), expected, atol=1e-5)


def test_a_full_sine_reads_half_in_its_band() -> None:
    t = torch.arange(60 * SCALE.hop) / SCALE.rate
    wave = torch.sin(2 * torch.pi * 1000.0 * t)[None]
    # 1000 Hz is a line of the transform; half of its energy lies at -1000 Hz.
    assert SCALE.spectrum(wave).abs()[0, 64, 30].item() == pytest.approx(0.5, rel=1e-3)


def test_filters_are_triangles_on_the_mel_scale() -> None:
    filters = filterbank(4000, 256, 40)
    assert filters.shape == (40, 129)
    assert torch.allclose(filters.sum(1), torch.ones(40, dtype=torch.float64)) and bool((filters >= 0).all())
    mel = lambda hertz: 2595 * np.log10(1 + hertz / 700)  # noqa: E731
    centre = (filters @ torch.linspace(0, 2000, 129, dtype=torch.float64)).numpy()
    steps = np.diff(mel(centre[20:]))
    assert np.allclose(steps, mel(2000) / 41, rtol=0.15)


def test_waveform_there_and_back() -> None:
    wave = waves()
    assert torch.allclose(SCALE.wave(SCALE.spectrum(wave)), wave, atol=1e-4)


def test_magnitudes_are_those_of_the_mel_values() -> None:
    mel = SCALE.mel(waves())
    magnitude = SCALE.magnitude(mel)
    assert bool((magnitude >= 0).all())
    assert float((SCALE.filters(mel) @ magnitude - mel).norm() / mel.norm()) < 0.02


def test_fast_griffin_lim_converges_faster_than_the_plain_one_and_hits_the_magnitudes() -> None:
    target = SCALE.spectrum(waves()).abs()
    error = [
        float(
            (SCALE.spectrum(griffin_lim(target, SCALE, iterations=32, momentum=m)).abs() - target).norm()
            / target.norm()
        )
        for m in (0.0, 0.99)
    ]
    assert error[1] < error[0] and error[1] < 0.1


def test_a_waveform_depends_on_its_own_magnitudes_alone() -> None:
    target = SCALE.spectrum(waves()).abs()
    together = griffin_lim(target, SCALE, iterations=4)
    assert torch.allclose(together[1:2], griffin_lim(target[1:2], SCALE, iterations=4), atol=1e-5)


@pytest.mark.parametrize(
    ("rate", "expected"), [(8000, (512, 96, 64)), (16000, (1024, 192, 96)), (44100, (2048, 529, 128))]
)
def test_settings_follow_the_rate(rate: int, expected: tuple[int, int, int]) -> None:
    scale = MelScale.of_rate(rate)
    assert (scale.n_fft, scale.hop, scale.bands) == expected
    assert bool((filterbank(rate, scale.n_fft, scale.bands).sum(1) > 0.99).all())
