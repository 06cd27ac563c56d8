"""Discriminative and predictive score: two small recurrent networks judge synthetic series.

Reference: Yoon, Jarrett & van der Schaar, *Time-series Generative Adversarial Networks*, NeurIPS 2019, and the code its
authors published; every paper since uses these two scores. Networks, initial weights, optimiser, iterations and batch
are those of that code: a GRU of half as many hidden units as channels, 2000 and 5000 iterations of Adam at 1e-3 on
batches of 128. It differs in one thing: the reset gate is applied behind the matrix product, as everywhere in PyTorch.

The published protocol judges on the real series that the generator was trained on, and with overlapping windows those
that judge share most steps with those that were trained on. Both functions therefore also take a true holdout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from aegan.errors import DataError
from aegan.metrics._checks import at_least
from aegan.metrics._series import SeriesSample, same_channels, series_pair, series_sample, unit_range

VERSION = 1
"""Raised when a change of the protocol changes its values; stored with every evaluation."""

DISCRIMINATIVE_ITERATIONS, PREDICTIVE_ITERATIONS, BATCH = 2000, 5000, 128
TEST_SHARE = 0.2
"""Part of either set on which the discriminator is tested, without a holdout."""


@dataclass(frozen=True, kw_only=True)
class Discriminative:
    """What :func:`discriminative_score` found.

    Attributes:
        score: ``|0.5 - accuracy|``, from 0 (best) to 0.5.
        accuracy: Mean of the two that follow.
        real: Share of real series taken for real.
        fake: Share of synthetic series taken for synthetic.
        n: Series tested on either side.
    """

    score: float
    accuracy: float
    real: float
    fake: float
    n: int


def discriminative_score(
    real: Any,
    fake: Any,
    *,
    holdout: Any = None,
    iterations: int = DISCRIMINATIVE_ITERATIONS,
    batch: int = BATCH,
    seed: int = 0,
) -> Discriminative:
    """How well a recurrent classifier tells synthetic series from real ones.

    Values are brought to [0, 1] by the range of ``real``, channel by channel.

    Args:
        real: Real series ``(N, T, C)``, NaN where missing, or a TensorData with ``x`` and, where needed, ``mask`` and
            ``length``.
        fake: Synthetic series, alike.
        holdout: Real series that the generator never saw, to test on; None: a fifth of ``real``, as published.
        iterations: Steps of training.
        batch: Series of either set a step.
        seed: Seed of split, weights and batches; no global generator is touched.

    Raises:
        DataError: Sets that do not fit each other, or fewer than 5 series.
        ConfigError: ``iterations`` or ``batch`` out of range.
    """
    where = "discriminative_score"
    at_least(iterations, 0, where=where, name="iterations")
    at_least(batch, 1, where=where, name="batch")
    a, b = series_pair(real, fake, where=where, least=5)
    generator = torch.Generator().manual_seed(seed)
    held = None if holdout is None else series_sample(holdout, where=where, name="holdout", least=1)
    low, width = unit_range(a)
    a, b = a.scaled(low, width), b.scaled(low, width)
    train_b, test_b = _divided(b, generator)
    if held is None:
        train_a, test_a = _divided(a, generator)
    else:
        same_channels(a, held, where=where, names=("real", "holdout"))
        train_a, test_a = a, held.scaled(low, width)
    net = Recurrent(a.x.shape[2], max(1, a.x.shape[2] // 2), generator)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    target = torch.cat([torch.ones(min(batch, len(train_a))), torch.zeros(min(batch, len(train_b)))])
    with torch.enable_grad():
        for _ in range(iterations):
            x, length = _joint(_drawn(train_a, batch, generator), _drawn(train_b, batch, generator))
            # The published loss is the sum of both sides' means.
            weight = torch.where(target > 0, 1 / target.sum(), 1 / (len(target) - target.sum()))
            loss = functional.binary_cross_entropy_with_logits(net.last(x, length), target, weight, reduction="sum")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
    right_a = float((_in_blocks(net.last, test_a) > 0).double().mean())
    right_b = float((_in_blocks(net.last, test_b) <= 0).double().mean())
    accuracy = (right_a + right_b) / 2
    return Discriminative(
        score=abs(0.5 - accuracy), accuracy=accuracy, real=right_a, fake=right_b, n=min(len(test_a), len(test_b))
    )


def predictive_score(
    real: Any,
    fake: Any,
    *,
    iterations: int = PREDICTIVE_ITERATIONS,
    batch: int = BATCH,
    reference: Any = None,
    seed: int = 0,
) -> float:
    """Mean absolute error on real series of a recurrent network that was trained on synthetic ones.

    The network sees all channels but the last up to a step, and predicts the last channel at the step after. A single
    channel is predicted from itself. Values are brought to [0, 1], so that the score is in parts of the range.

    Args:
        real: Real series ``(N, T, C)`` to test on, as for :func:`discriminative_score`: those of training as
            published, or a true holdout.
        fake: Synthetic series to train on; real ones give what can be reached.
        iterations: Steps of training.
        batch: Series a step.
        reference: Series whose range becomes [0, 1]; None: ``real``.
        seed: Seed of weights and batches; no global generator is touched.

    Raises:
        DataError: Sets that do not fit each other, fewer than two steps, or nothing observed to predict.
        ConfigError: ``iterations`` or ``batch`` out of range.
    """
    where = "predictive_score"
    at_least(iterations, 0, where=where, name="iterations")
    at_least(batch, 1, where=where, name="batch")
    a, b = series_pair(real, fake, where=where, least=1)
    if a.x.shape[1] < 2:
        raise DataError(f"{where}: series of one step; at least two expected.")
    low, width = unit_range(a if reference is None else series_sample(reference, where=where, name="reference"))
    a, b = a.scaled(low, width), b.scaled(low, width)
    if not a.mask[:, 1:, -1].any() or not b.mask[:, 1:, -1].any():
        raise DataError(f"{where}: the last channel holds no value behind the first step; nothing can be predicted.")
    generator = torch.Generator().manual_seed(seed)
    channels = a.x.shape[2]
    net = Recurrent(max(1, channels - 1), max(1, channels // 2), generator)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    with torch.enable_grad():
        for _ in range(iterations):
            loss = _absolute_error(net, _drawn(b, batch, generator)).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        errors = [_absolute_error(net, a.take(index)) for index in torch.arange(len(a)).split(2048)]
    return float(torch.cat(errors).double().mean())


class Recurrent(nn.Module):
    """A GRU and a linear read-out to one number, with TensorFlow's initial weights, as published.

    Args:
        channels: Numbers that are seen a step.
        hidden: Units of the state.
        generator: Source of the initial weights.
    """

    def __init__(self, channels: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.gru = nn.GRU(channels, hidden, batch_first=True, device="meta").to_empty(device="cpu")
        self.read = nn.Linear(hidden, 1, device="meta").to_empty(device="cpu")
        gates, candidate = math.sqrt(6 / (channels + 3 * hidden)), math.sqrt(6 / (channels + 2 * hidden))
        with torch.no_grad():
            for name, part in self.gru.named_parameters():
                if name.startswith("weight"):
                    part[: 2 * hidden].uniform_(-gates, gates, generator=generator)
                    part[2 * hidden :].uniform_(-candidate, candidate, generator=generator)
                else:
                    part.zero_()
                    part[: 2 * hidden] = 1.0 if name.startswith("bias_ih") else 0.0
            limit = math.sqrt(6 / (hidden + 1))
            nn.init.uniform_(self.read.weight, -limit, limit, generator=generator)
            nn.init.zeros_(self.read.bias)

    def last(self, x: Tensor, length: Tensor) -> Tensor:
        """Logit ``(B,)`` from the state after the last step of each series."""
        states = self.gru(x)[0]
        return self.read(states[torch.arange(len(x)), length.clamp_min(1) - 1]).squeeze(1)

    def every(self, x: Tensor) -> Tensor:
        """A number in (0, 1) at each step, ``(B, T)``."""
        return self.read(self.gru(x)[0]).squeeze(2).sigmoid()


def _absolute_error(net: Recurrent, part: SeriesSample) -> Tensor:
    """Mean error of each series that has something to predict, ``(B,)``."""
    seen = part.x[:, :-1, :-1] if part.x.shape[2] > 1 else part.x[:, :-1]
    there = part.mask[:, 1:, -1].float()
    error = ((net.every(seen) - part.x[:, 1:, -1]).abs() * there).sum(dim=1)
    count = there.sum(dim=1)
    return error[count > 0] / count[count > 0]


def _divided(sample: SeriesSample, generator: torch.Generator) -> tuple[SeriesSample, SeriesSample]:
    """Four fifths to train on, and the rest."""
    order = torch.randperm(len(sample), generator=generator)
    train = int(len(sample) * (1 - TEST_SHARE))
    return sample.take(order[:train]), sample.take(order[train:])


def _drawn(sample: SeriesSample, batch: int, generator: torch.Generator) -> SeriesSample:
    """A batch without repetition, all of a set that is smaller."""
    return sample.take(torch.randperm(len(sample), generator=generator)[:batch])


def _joint(a: SeriesSample, b: SeriesSample) -> tuple[Tensor, Tensor]:
    return torch.cat([a.x, b.x]), torch.cat([a.length, b.length])


def _in_blocks(net: Any, sample: SeriesSample) -> Tensor:
    with torch.no_grad():
        parts = [sample.take(index) for index in torch.arange(len(sample)).split(2048)]
        return torch.cat([net(part.x, part.length) for part in parts])
