"""What recordings say and who says it: a small network with one head a label, and its features.

It hears waveforms, through a spectrogram of its own (shorter windows, fewer bands than the models'), so that it judges
anybody's recordings, and the way from spectrogram to waveform with them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aegan.data.audio_source import Recordings, mixed, resampled
from aegan.data.labels import natural_key
from aegan.data.mel import MelScale
from aegan.errors import DataError

FEATURE_DIM = 64
BANDS = 40
WINDOW_SECONDS, HOP_SECONDS = 0.032, 0.010
EPOCHS_AT_MOST, SEEN_AT_MOST = 15, 60_000
BATCH = 32
PEAK_LR = 4e-3
FLOOR = 1e-5
COVERED, LONGEST_FRAMES = 0.98, 400
"""Part of the recordings that is heard whole, and most frames that are."""


class _Network(nn.Module):
    """Log-mel values ``(B, 1, M, T)`` to features ``(B, 64)`` before their ReLU, and to logits of each label."""

    def __init__(self, sizes: Sequence[int], bands: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for channels, kernel in ((16, 5), (32, 3), (64, 3), (64, 3)):
            layers += [
                nn.Conv2d(before, channels, kernel, 2, kernel // 2, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            ]
            before = channels
        self.body = nn.Sequential(*layers)
        # Order matters in speech: means over thirds of the recording, and the maximum over all of it.
        flat = 64 * math.ceil(bands / 16) * 4
        self.project = nn.Sequential(nn.Linear(flat, FEATURE_DIM, bias=False), nn.BatchNorm1d(FEATURE_DIM))
        self.heads = nn.ModuleList(nn.Linear(FEATURE_DIM, size) for size in sizes)

    def features(self, x: Tensor) -> Tensor:
        h = self.body(x)
        parts = torch.cat([F.adaptive_avg_pool2d(h, (h.shape[2], 3)), h.amax(3, keepdim=True)], 3)
        return self.project(parts.flatten(1))

    def forward(self, x: Tensor) -> list[Tensor]:
        h = F.relu(self.features(x))
        return [head(h) for head in self.heads]


@dataclass
class AudioFeatures:
    """The network and what it was made for.

    Attributes:
        network: In evaluation mode.
        scale: Its spectrogram.
        frames: Frames that it hears; longer recordings are cut, shorter ones followed by silence.
        labels: Names and values of what it tells.
        accuracy: By label, on recordings that it was not trained on.
        trained_on: Number of recordings.
    """

    network: _Network
    scale: MelScale
    frames: int
    labels: tuple[tuple[str, tuple[str, ...]], ...]
    accuracy: dict[str, float]
    trained_on: int

    @property
    def name(self) -> str:
        """What it is, with its accuracies."""
        told = ", ".join(f"{name} {value:.1%}" for name, value in self.accuracy.items())
        return f"network trained to tell {told} ({FEATURE_DIM}-d, {self.trained_on} recordings, accuracy on others)"

    @property
    def fingerprint(self) -> str:
        """Equal only for equal weights."""
        digest = hashlib.sha256()
        for key, value in sorted(self.network.state_dict().items()):
            digest.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @torch.no_grad()
    def __call__(self, recordings: Recordings) -> Tensor:
        """Features float32 ``(N, 64)``."""
        return torch.cat([self.network.features(part) for part in self._heard(recordings).split(256)])

    @torch.no_grad()
    def predict(self, recordings: Recordings) -> dict[str, list[str]]:
        """The likeliest value of each label for each recording."""
        parts = [self.network(part) for part in self._heard(recordings).split(256)]
        found = [torch.cat([part[i] for part in parts]).argmax(1).tolist() for i in range(len(self.labels))]
        return {name: [values[k] for k in ks] for (name, values), ks in zip(self.labels, found, strict=True)}

    def _heard(self, recordings: Recordings) -> Tensor:
        return spectrograms(recordings, self.scale, self.frames)


def accuracy_of(predicted: Mapping[str, Sequence[str]], asked: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Share of recordings whose label was recognised, for each label that both have."""
    return {
        name: sum(a == b for a, b in zip(values, asked[name], strict=True)) / len(values)
        for name, values in predicted.items()
        if name in asked
    }


def own_scale(rate: int) -> MelScale:
    """The network's spectrogram: windows of about 32 ms, every 10 ms, 40 bands."""
    n_fft = 2 ** max(5, round(math.log2(WINDOW_SECONDS * rate)))
    return MelScale(rate=rate, n_fft=n_fft, hop=round(HOP_SECONDS * rate), bands=min(BANDS, n_fft // 4))


def frames_for(train: Recordings, scale: MelScale) -> int:
    """Frames to hear: a few recordings that are much longer than the others would make all the work longer."""
    longest = float(np.quantile([len(wave) for wave in train], COVERED)) / train.rate
    return min(LONGEST_FRAMES, -(-scale.frames(round(longest * scale.rate)) // 8) * 8)


def spectrograms(recordings: Recordings, scale: MelScale, frames: int) -> Tensor:
    """Log-mel values ``(N, 1, M, frames)``, each recording's level taken out: loudness is not what is said."""
    samples = frames * scale.hop
    waves = torch.zeros(len(recordings), samples)
    for row, wave in zip(waves, recordings, strict=True):
        one = resampled(mixed(wave.reshape(len(wave), -1), 1), recordings.rate, scale.rate)[:samples, 0]
        row[: len(one)] = torch.from_numpy(one.astype("float32"))
    parts = []
    for part in waves.split(128):
        part = part / part.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6)
        # About zero mean and unit variance for sound; silence stays where the floor puts it.
        parts.append((scale.mel(part).clamp(min=FLOOR * 10).log() + 4.0) / 2.5)
    return torch.cat(parts)[:, None]


def train_audio_features(train: Recordings, holdout: Recordings, *, seed: int = 0) -> AudioFeatures:
    """Train the network on labelled recordings.

    The number of steps is fixed by the data's size, never by the clock, and the global random state stays as it was.

    Args:
        train: With labels; it must not hold what the generator's samples are compared with.
        holdout: Real recordings with the same labels, to state the accuracy on.
        seed: Of weights, order and augmentation.

    Raises:
        DataError: No labels, or one value of each.
    """
    told = {name: values for name, values in train.labels.items() if len(set(values)) > 1}
    if not told or len(train) < 8:
        raise DataError(
            f"train_audio_features: {len(train)} recordings with labels {list(train.labels) or 'none'}; at least 8, "
            "with a label of two values or more, expected."
        )
    labels = tuple((name, tuple(sorted(set(values), key=natural_key))) for name, values in told.items())
    targets = [torch.tensor([values.index(v) for v in told[name]]) for name, values in labels]
    scale = own_scale(train.rate)
    frames = frames_for(train, scale)
    x = spectrograms(train, scale, frames)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _Network([len(values) for _, values in labels], scale.bands)
        _train(network, x, targets)
    network.eval().requires_grad_(False)
    made = AudioFeatures(network, scale, frames, labels, {}, len(train))
    made.accuracy = accuracy_of(made.predict(holdout), holdout.labels)
    return made


def _train(network: _Network, x: Tensor, targets: list[Tensor]) -> None:
    """AdamW with a linear rise and fall of the learning rate."""
    batch = min(BATCH, len(x))
    per_epoch = len(x) // batch
    steps = min(EPOCHS_AT_MOST * per_epoch, SEEN_AT_MOST // batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK_LR, weight_decay=0.05)
    network.train()
    order = torch.arange(len(x))
    for step in range(steps):
        at = step % per_epoch * batch
        if at == 0:
            order = torch.randperm(len(x))
        index = order[at : at + batch]
        outputs = network(_augmented(x[index]))
        loss = torch.stack(
            [F.cross_entropy(o, t[index], label_smoothing=0.05) for o, t in zip(outputs, targets, strict=True)]
        ).sum()
        optimizer.param_groups[0]["lr"] = PEAK_LR * min((step + 1) / (0.2 * steps + 1), (steps - step) / (0.8 * steps))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def _augmented(x: Tensor) -> Tensor:
    """Moved in time, with noise, a tilt of the spectrum, and a stretch of bands and one of frames blanked."""
    bands, frames = x.shape[2:]
    shift = int(torch.randint(-frames // 16, frames // 16 + 1, ()))
    x = x.roll(shift, 3) + 0.1 * torch.rand(()) * torch.randn_like(x)
    x = x + 0.3 * torch.randn(len(x), 1, 1, 1) * torch.linspace(-1, 1, bands)[:, None]
    low = x.amin((2, 3), keepdim=True)
    for axis, most in ((2, bands // 6), (3, frames // 8)):
        width = torch.randint(0, most + 1, (len(x), 1, 1, 1))
        start = (torch.rand(len(x), 1, 1, 1) * (x.shape[axis] - width)).long()
        at = torch.arange(x.shape[axis]).view(-1, 1) if axis == 2 else torch.arange(x.shape[axis])
        x = torch.where((at >= start) & (at < start + width), low, x)
    return x
