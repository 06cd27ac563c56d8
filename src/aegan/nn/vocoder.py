"""Networks between mel spectrograms and waveforms: a maker of magnitudes, and discriminators of several resolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aegan.nn.init import LEAKY_GAIN, activation, linear


class FrameBlock(nn.Module):
    """x + linear(act(linear(conv(x)))) over frames; each channel convolved by itself, the branch starting at zero.

    After ConvNeXt (arXiv 2201.03545), in one dimension and without normalisation.
    """

    def __init__(self, dim: int, kernel: int = 7, factor: int = 2) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.wide = linear(dim, factor * dim, gain=LEAKY_GAIN)
        self.narrow = linear(factor * dim, dim, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        h = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return x + self.narrow(activation(self.wide(h)))


class MagnitudeNet(nn.Module):
    """Log-mel values ``(B, M, T)`` to factors of the spectrogram's lines, as logarithms ``(B, lines, T)``.

    Args:
        bands: Mel bands M.
        lines: Lines of the spectrum.
        width: Channels.
        blocks: Residual blocks.
    """

    def __init__(self, bands: int, lines: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv1d(bands, width, 5, padding=2)
        self.blocks = nn.Sequential(*(FrameBlock(width) for _ in range(blocks)))
        # At first it changes nothing.
        self.out = linear(width, lines, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        h = self.blocks(self.stem(x).transpose(1, 2))
        return self.out(activation(h)).transpose(1, 2)


class SpectrumDiscriminator(nn.Module):
    """Waveforms ``(B, S)`` to a map of logits and the maps before it, through one complex spectrogram.

    The spectrogram's two parts are channels, and magnitudes are drawn to the power 0.3, so that the quiet lines count.

    Args:
        n_fft: Length of the window; frames are a quarter of it apart.
        width: Channels.
    """

    def __init__(self, n_fft: int, *, width: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        steps = [(2, width, (1, 2)), (width, 2 * width, (2, 2)), (2 * width, 2 * width, (2, 2))]
        self.layers = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(nn.Conv2d(i, o, (3, 5), stride, (1, 2))) for i, o, stride in steps
        )
        self.logit = nn.utils.parametrizations.weight_norm(nn.Conv2d(2 * width, 1, 3, padding=1))

    def forward(self, wave: Tensor) -> tuple[Tensor, list[Tensor]]:
        window = torch.hann_window(self.n_fft, device=wave.device)
        out = torch.stft(
            wave, self.n_fft, self.n_fft // 4, window=window, pad_mode="constant", return_complex=True
        ).transpose(1, 2)
        parts = torch.stack([out.real, out.imag], 1) / self.n_fft**0.5
        h = parts * (parts.square().sum(1, keepdim=True) + 1e-6) ** -0.35
        maps = []
        for layer in self.layers:
            h = activation(layer(h))
            maps.append(h)
        return self.logit(h), maps


class Discriminators(nn.Module):
    """One :class:`SpectrumDiscriminator` a resolution."""

    def __init__(self, sizes: tuple[int, ...], *, width: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(SpectrumDiscriminator(size, width=width) for size in sizes)

    def forward(self, wave: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        return [member(wave) for member in self.members]
