"""Vocoder: log-mel spectrograms to waveforms; a network's magnitudes, the phases by fast Griffin–Lim.

What is lost between waveform and mel spectrogram is mostly how a band's energy lies on its lines, the harmonics of a
voice; magnitudes that no waveform has cost Griffin–Lim its quality. So the network makes magnitudes. It learns them
from recordings first, then as a GAN: its waveform, by the last and differentiable steps of Griffin–Lim, against
discriminators of complex spectrograms of several resolutions, with least-squares, mel and feature losses.

References: discriminators and weights of the losses after Kumar et al. 2023 (DAC, arXiv 2306.06546); learning what
Griffin–Lim needs after Masuyama et al. 2019 (arXiv 1903.03971). Phases from a network alone take days of training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_at_least_one, require_non_negative
from aegan.data.griffin_lim import griffin_lim
from aegan.data.mel import TINY, MelScale
from aegan.losses import ADVERSARIAL
from aegan.models.base import Model
from aegan.nn.vocoder import Discriminators, MagnitudeNet
from aegan.types import Batch, Optimizer, Phase, Spec, Stage, Term

if TYPE_CHECKING:
    from aegan.data.audio_scale import LogMel

CROP_SECONDS = 0.4
"""Length of the stretch of each recording that a step of training hears."""
CONSISTENT = 3
"""Steps that fit the network's magnitudes to the mel spectrogram that was given."""
LOWEST = -60.0
"""Magnitudes are compared down to so many dB below a recording's loudest line."""


@dataclass(frozen=True, kw_only=True)
class VocoderConfig:
    """Settings of the vocoder.

    Attributes:
        width: Channels of the network.
        blocks: Its residual blocks.
        discriminator_width: Channels of the discriminators' first maps.
        magnitude_share: Part of the budget for magnitudes alone.
        magnitude_weight: Weight of the error of log magnitudes (in units of 20 dB).
        mel_weight: Weight of the error of log-mel values of the waveform (in units of 20 dB).
        feature_weight: Weight of the error in the discriminators' maps.
        adversarial_weight: Weight of the least-squares loss.
        before: Griffin–Lim's steps before the differentiable ones, in training.
        through: Its differentiable steps.
        iterations: Its steps for a finished waveform.
        batch_size: Recordings a step.
        lr: Peak learning rate of the magnitudes; the adversarial stage takes a fifth of it.
        lr_discriminator: Peak learning rate of the discriminators.
    """

    width: int = 160
    blocks: int = 4
    discriminator_width: int = 8
    magnitude_share: float = 0.7
    magnitude_weight: float = 5.0
    mel_weight: float = 15.0
    feature_weight: float = 2.0
    adversarial_weight: float = 1.0
    before: int = 8
    through: int = 2
    iterations: int = 32
    batch_size: int = 16
    lr: float = 2e-3
    lr_discriminator: float = 4e-4

    def __post_init__(self) -> None:
        require_at_least_one(self, "width", "blocks", "discriminator_width", "batch_size", "through", "iterations")
        require_non_negative(self, "magnitude_weight", "mel_weight", "feature_weight", "adversarial_weight")


@final
class Vocoder(Model):
    """See the module's text. It is made with the scaling of the spectrograms that it is for; batches need ``wave``."""

    Config: ClassVar[type] = VocoderConfig
    config: VocoderConfig
    kinds: ClassVar[tuple[str, ...]] = ("audio",)

    def __init__(self, spec: Spec, config: VocoderConfig, scaling: LogMel) -> None:
        super().__init__(spec, config)
        self.scaling, self.scale = scaling, scaling.scale
        lines = self.scale.n_fft // 2 + 1
        self.generator = MagnitudeNet(self.scale.bands, lines, width=config.width, blocks=config.blocks)
        sizes = tuple(max(32, self.scale.n_fft // k) for k in (1, 2, 4))
        self.discriminator = Discriminators(sizes, width=config.discriminator_width)
        # A window reaches so many frames beyond a cut.
        self.edge = -(-self.scale.n_fft // (2 * self.scale.hop))
        stretch = round(CROP_SECONDS * self.scale.rate / self.scale.hop) + 2 * self.edge
        self.crop = min(spec.shape[2], max(4 * self.edge, stretch))
        self.finer = MelScale(
            rate=self.scale.rate,
            n_fft=self.scale.n_fft // 4,
            hop=max(1, self.scale.n_fft // 16),
            bands=max(4, self.scale.bands // 4),
        )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Magnitudes alone, then ``discriminate`` and ``vocode`` against each other."""
        c, own = self.config, ("generator",)
        slow = Optimizer(lr=c.lr / 5, betas=(0.8, 0.99))
        return (
            Stage(
                name="magnitudes",
                share=c.magnitude_share,
                phases=(Phase(name="magnitudes", networks=own, optimizer=Optimizer(lr=c.lr)),),
                batch_size=c.batch_size,
                ema=own,
                ema_samples=1_000.0,
            ),
            Stage(
                name="vocoder",
                share=1 - c.magnitude_share,
                phases=(
                    Phase(
                        name="discriminate",
                        networks=("discriminator",),
                        optimizer=Optimizer(lr=c.lr_discriminator, betas=(0.8, 0.99)),
                    ),
                    Phase(name="vocode", networks=own, optimizer=slow),
                ),
                batch_size=c.batch_size,
                ema=own,
                ema_samples=1_000.0,
                autocast=False,
            ),
        )

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``magnitudes``, ``discriminate`` or ``vocode``; ``batch`` holds ``x``, ``wave`` and ``length``."""
        x, target, real = self._cropped(batch)
        c, least_squares = self.config, ADVERSARIAL["least-squares"]
        if phase == "magnitudes":
            return {"magnitude": Term(self._magnitude_error(self.magnitudes(x), target), c.magnitude_weight)}
        rms = real.square().mean(1, keepdim=True).sqrt().clamp(min=1e-4)
        if phase == "discriminate":
            with torch.no_grad():
                fake = self._differentiable(self.magnitudes(x))
            verdicts = self.discriminator(torch.cat([real, fake]) / rms.repeat(2, 1))
            terms = [least_squares.discriminator(*logits.chunk(2)) for logits, _ in verdicts]
            return {"adversarial": Term(torch.stack(terms).mean())}
        magnitude = self.magnitudes(x)
        fake = self._differentiable(magnitude)
        with torch.no_grad():
            real_verdicts = self.discriminator(real / rms)
        verdicts = self.discriminator(fake / rms)
        pairs = list(zip(verdicts, real_verdicts, strict=True))
        adversarial = torch.stack([least_squares.generator(r[0], f[0]) for f, r in pairs]).mean()
        maps = [(a - b).abs().mean() / b.abs().mean() for f, r in pairs for a, b in zip(f[1], r[1], strict=True)]
        return {
            "magnitude": Term(self._magnitude_error(magnitude, target), c.magnitude_weight),
            "mel": Term(self._mel_error(fake, real, rms), c.mel_weight),
            "features": Term(torch.stack(maps).mean(), c.feature_weight),
            "adversarial": Term(adversarial, c.adversarial_weight),
        }

    def magnitudes(self, x: Tensor) -> Tensor:
        """Magnitudes ``(B, lines, T)`` of log-mel values ``(B, M, T)`` in [-1, 1]."""
        mel = self.scaling.mel(x).float()
        filters = self.scale.filters(mel)
        # A band's value on each of its lines: where the network starts.
        spread = (filters.T @ mel) / filters.sum(0).clamp(min=TINY)[:, None]
        out = spread * self.generator(x).float().clamp(-8, 8).exp()
        for _ in range(CONSISTENT):
            ratio = mel / (filters @ out + TINY)
            out = out * (filters.T @ ratio) / filters.sum(0).clamp(min=TINY)[:, None]
        return out

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Waveforms ``(B, T * hop)`` of log-mel values ``(B, M, T)`` in [-1, 1]."""
        return griffin_lim(self.magnitudes(x), self.scale, iterations=self.config.iterations)

    def _differentiable(self, magnitude: Tensor) -> Tensor:
        """The waveform with gradients from the last of Griffin–Lim's steps alone; without what the cut spoils."""
        with torch.no_grad():
            begun = self.scale.spectrum(griffin_lim(magnitude, self.scale, iterations=self.config.before))
        point = torch.polar(magnitude, begun.angle())
        for _ in range(self.config.through - 1):
            consistent = self.scale.spectrum(self.scale.wave(point))
            point = magnitude * consistent / (consistent.abs() + TINY)
        return self._inner(self.scale.wave(point))

    def _inner(self, wave: Tensor) -> Tensor:
        edge = self.edge * self.scale.hop
        return wave[:, edge : wave.shape[1] - edge]

    def _cropped(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """A stretch of each recording and channel: values ``(B, M, t)``, magnitudes ``(B, lines, t)``, waveform."""
        x, wave, hop = batch["x"].flatten(0, 1), batch["wave"].flatten(0, 1).float() / 32767.0, self.scale.hop
        ends = (batch["length"].float() / hop).ceil().repeat_interleave(batch["x"].shape[1])
        start = (torch.rand(len(x), device=x.device) * (ends - self.crop + 1).clamp(min=1)).long()
        start = start.clamp(max=x.shape[2] - self.crop)
        frames = start[:, None] + torch.arange(self.crop, device=x.device)
        samples = start[:, None] * hop + torch.arange(self.crop * hop, device=x.device)
        x = x.gather(2, frames[:, None].expand(-1, x.shape[1], -1))
        target = self.scale.spectrum(wave).abs()
        target = target.gather(2, frames[:, None].expand(-1, target.shape[1], -1))
        return x, target, self._inner(wave.gather(1, samples))

    def _magnitude_error(self, magnitude: Tensor, target: Tensor) -> Tensor:
        floor = target.amax((1, 2), keepdim=True).clamp(min=1e-6) * 10 ** (LOWEST / 20)
        return _logarithmic(magnitude, target, floor)

    def _mel_error(self, fake: Tensor, real: Tensor, rms: Tensor) -> Tensor:
        errors = []
        for scale in (self.scale, self.finer):
            cut = real.shape[1] // scale.hop * scale.hop
            errors.append(
                _logarithmic(scale.mel(fake[:, :cut]), scale.mel(real[:, :cut]), rms[:, :, None] * 10 ** (LOWEST / 20))
            )
        return torch.stack(errors).mean()


def _logarithmic(made: Tensor, target: Tensor, floor: Tensor) -> Tensor:
    """Mean absolute error of log10 of what lies above a floor."""
    return ((made + floor).log() - (target + floor).log()).abs().mean() / math.log(10)
