"""Train on synthetic series, test on real ones: can what was learnt from them tell the real classes?

Reference: Esteban, Hyland & Rätsch 2017 (arXiv 1706.02633), TSTR. Two classifiers: the nearest neighbour, which sees
how faithful single series are, and a small convolutional network, which sees what can be learnt from all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from aegan.errors import DataError
from aegan.metrics._checks import at_least
from aegan.metrics._series import SeriesSample, same_channels, series_sample

VERSION = 1
"""Raised when a change of the classifiers changes their values; stored with every evaluation."""

ITERATIONS, BATCH, WIDTH = 300, 64, 32


@dataclass(frozen=True, kw_only=True)
class SeriesDownstream:
    """Accuracy on real series of classifiers trained on others.

    Attributes:
        n: Series trained on.
        neighbour: Accuracy of the nearest neighbour.
        network: Accuracy of the small network.
        usual: Accuracy of always naming the test set's most frequent class.
    """

    n: int
    neighbour: float
    network: float
    usual: float


def series_downstream(
    train: Any, test: Any, *, iterations: int = ITERATIONS, max_rows: int | None = None, seed: int = 0
) -> SeriesDownstream:
    """Train both classifiers on ``train`` and test them on ``test``.

    Channels are brought to mean 0 and deviation 1 by ``train``; missing values count as their channel's mean.

    Args:
        train: Labelled series: a TensorData with ``x``, ``y`` and, where needed, ``mask`` and ``length``.
        test: Real ones, alike.
        iterations: Steps of the network's training, batches of 64.
        max_rows: Most series trained on, drawn at random; None: all.
        seed: Seed of subset, weights and batches; no global generator is touched.

    Raises:
        DataError: Sets that do not fit each other, or without classes.
        ConfigError: ``iterations`` or ``max_rows`` out of range.
    """
    where = "series_downstream"
    at_least(iterations, 0, where=where, name="iterations")
    a = series_sample(train, where=where, name="train", least=1)
    b = series_sample(test, where=where, name="test", least=1)
    same_channels(a, b, where=where, names=("train", "test"))
    if a.y is None or b.y is None:
        lacking = "train" if a.y is None else "test"
        raise DataError(f"{where}: '{lacking}' has no classes; y of shape (N,) expected.")
    y, y_test = a.y, b.y
    generator = torch.Generator().manual_seed(seed)
    if max_rows is not None and len(a) > at_least(max_rows, 1, where=where, name="max_rows"):
        chosen = torch.randperm(len(a), generator=generator)[:max_rows]
        a, y = a.take(chosen), y[chosen]
    x, x_test = _standardised(a, b)
    nearest = y[_nearest(x.flatten(1), x_test.flatten(1))]
    net = _trained(x, y, int(max(y.max(), y_test.max())) + 1, iterations, generator)
    with torch.no_grad():
        guess = torch.cat([net(part).argmax(dim=1) for part in x_test.split(1024)])
    return SeriesDownstream(
        n=len(a),
        neighbour=float((nearest == y_test).double().mean()),
        network=float((guess == y_test).double().mean()),
        usual=float(torch.bincount(y_test).max() / len(y_test)),
    )


def _standardised(a: SeriesSample, b: SeriesSample) -> tuple[Tensor, Tensor]:
    mask = a.mask.float()
    count = mask.sum((0, 1)).clamp_min(1)
    mean = (a.x * mask).sum((0, 1)) / count
    deviation = (((a.x - mean) * mask).square().sum((0, 1)) / count).sqrt()
    deviation = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    return tuple((s.x - mean) / deviation * s.mask for s in (a, b))  # pyright: ignore[reportReturnType]


def _nearest(train: Tensor, test: Tensor) -> Tensor:
    """Index of the nearest training series of each test series, Euclidean."""
    return torch.cat([torch.cdist(part, train).argmin(dim=1) for part in test.split(512)])


class _Small(nn.Module):
    """Two convolutions over time, mean and maximum over time, a linear read-out."""

    def __init__(self, channels: int, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.first = nn.utils.skip_init(nn.Conv1d, channels, WIDTH, 7, padding=3)
        self.second = nn.utils.skip_init(nn.Conv1d, WIDTH, WIDTH, 5, padding=2)
        self.read = nn.utils.skip_init(nn.Linear, 2 * WIDTH, classes)
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.kaiming_uniform_(weight, nonlinearity="relu", generator=generator)
            else:
                nn.init.zeros_(weight)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, K)`` of series ``(B, T, C)``."""
        h = functional.relu(self.second(functional.relu(self.first(x.transpose(1, 2)))))
        return self.read(torch.cat([h.mean(dim=2), h.amax(dim=2)], dim=1))


def _trained(x: Tensor, y: Tensor, classes: int, iterations: int, generator: torch.Generator) -> _Small:
    net = _Small(x.shape[2], classes, generator)
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, iterations))
    with torch.enable_grad():
        for _ in range(iterations):
            index = torch.randint(len(x), (BATCH,), generator=generator)
            loss = functional.cross_entropy(net(x[index]), y[index])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return net
