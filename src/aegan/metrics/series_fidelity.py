"""How series are distributed, follow themselves, move together and oscillate, compared by statistics alone.

All errors are 0 for equal sets. They take real and synthetic series ``(N, T, C)``, NaN where missing, or TensorData
with ``x`` and, where needed, ``mask`` and ``length``; missing values and padding do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aegan.metrics._checks import at_least
from aegan.metrics._series import SeriesSample, series_pair

VERSION = 1
"""Raised when a change of the formulas changes their values; stored with every evaluation."""

MOST_LAGS = 64
CROSS_LAGS = 8
QUANTILES = 4096


@dataclass(frozen=True, kw_only=True)
class SeriesError:
    """One kind of error.

    Attributes:
        value: Mean over the channels, or over the pairs of channels; None where no channel has one.
        channels: By channel; None where it is undefined.
    """

    value: float | None
    channels: tuple[float | None, ...]


def marginal_error(real: Any, fake: Any) -> SeriesError:
    """Wasserstein-1 distance of each channel's values over all steps, in standard deviations of the real ones.

    A channel that is constant in ``real`` is measured in its own unit.

    Raises:
        DataError: Sets that do not fit each other.

    >>> marginal_error(torch.tensor([[0.0, 2.0], [0.0, 2.0]]), torch.tensor([[1.0, 3.0], [1.0, 3.0]])).value
    1.0
    """
    a, b = series_pair(real, fake, where="marginal_error", least=1)
    found: list[float | None] = []
    for channel in range(a.x.shape[2]):
        one, other = (s.x[..., channel][s.mask[..., channel]].double() for s in (a, b))
        if not len(one) or not len(other):
            found.append(None)
            continue
        scale = float(one.std(correction=0))
        found.append(_wasserstein(one, other) / (scale if scale > 0 else 1.0))
    return _mean(found)


def autocorrelation_error(real: Any, fake: Any, *, max_lag: int | None = None) -> SeriesError:
    """Mean absolute difference of each channel's autocorrelation over the lags from 1 on.

    The autocorrelation is that of the pooled series: one mean and one variance a channel over all series and steps, as
    in Ni et al. 2020 (arXiv 2006.05421). A constant channel has autocorrelation 0.

    Args:
        real: Real series.
        fake: Synthetic series.
        max_lag: Largest lag; None: ``T - 1``, at most 64.

    Raises:
        DataError: Sets that do not fit each other.
        ConfigError: ``max_lag`` below 1.
    """
    a, b = series_pair(real, fake, where="autocorrelation_error", least=1)
    lags = _lags(a, max_lag, MOST_LAGS, "autocorrelation_error", 1)
    if not lags:
        return SeriesError(value=None, channels=(None,) * a.x.shape[2])
    gap = (autocorrelation(a, lags) - autocorrelation(b, lags)).abs().nanmean(dim=0)
    return _mean([None if v != v else v for v in gap.tolist()])


def autocorrelation(sample: SeriesSample, lags: list[int]) -> Tensor:
    """Pooled autocorrelation, float64 ``(len(lags), C)``; NaN where no pair of steps is observed."""
    z, mask = _standard(sample)
    rows = []
    for lag in lags:
        both = mask[:, lag:] * mask[:, : mask.shape[1] - lag]
        rows.append((z[:, lag:] * z[:, : z.shape[1] - lag]).sum((0, 1)) / both.sum((0, 1)))
    return torch.stack(rows)


def cross_correlation_error(real: Any, fake: Any, *, max_lag: int | None = None) -> SeriesError:
    """Mean absolute difference of the correlation between each two channels, one being up to ``max_lag`` steps behind.

    Args:
        real: Real series.
        fake: Synthetic series.
        max_lag: Largest lag; None: ``T - 1``, at most 8; 0: at the same step only.

    Returns:
        The mean over all pairs and lags; by channel, over the pairs that it is in. None with one channel.

    Raises:
        DataError: Sets that do not fit each other.
        ConfigError: ``max_lag`` below 0.
    """
    a, b = series_pair(real, fake, where="cross_correlation_error", least=1)
    count = a.x.shape[2]
    if count < 2:
        return SeriesError(value=None, channels=(None,) * count)
    lags = _lags(a, max_lag, CROSS_LAGS, "cross_correlation_error", 0)
    gap = torch.zeros(count, count, dtype=torch.float64)
    defined = torch.zeros_like(gap)
    for lag in lags:
        one = (_crossed(a, lag) - _crossed(b, lag)).abs()
        gap += one.nan_to_num(0.0)
        defined += one.isfinite()
    off = ~torch.eye(count, dtype=torch.bool)
    gap, defined = (gap + gap.T) * off, (defined + defined.T) * off
    total = float(defined.sum())
    by_channel = [float(g) / float(d) if d > 0 else None for g, d in zip(gap.sum(1), defined.sum(1), strict=True)]
    return SeriesError(value=float(gap.sum()) / total if total else None, channels=tuple(by_channel))


def _crossed(sample: SeriesSample, lag: int) -> Tensor:
    """Correlation ``(C, C)`` of channel i with channel j ``lag`` steps before."""
    z, mask = _standard(sample)
    channels, steps = z.shape[2], z.shape[1] - lag
    later, earlier = z[:, lag:].reshape(-1, channels), z[:, :steps].reshape(-1, channels)
    pairs = mask[:, lag:].reshape(-1, channels).T @ mask[:, :steps].reshape(-1, channels)
    return later.T @ earlier / pairs


def spectral_error(real: Any, fake: Any) -> SeriesError:
    """Total variation distance of each channel's mean power spectrum, its sum being 1; from 0 to 1.

    Each series is taken without its mean, and without the frequency 0; shorter ones are padded with zeros. A channel
    that is constant on one side only has error 1.

    Raises:
        DataError: Sets that do not fit each other.
    """
    a, b = series_pair(real, fake, where="spectral_error", least=1)
    p, q = power_spectrum(a), power_spectrum(b)
    return _mean((0.5 * (p - q).abs().sum(dim=0) + 0.5 * (p.sum(0) - q.sum(0)).abs()).tolist())


def power_spectrum(sample: SeriesSample) -> Tensor:
    """Mean power at the frequencies 1/T, 2/T, … up to 1/2, float64 ``(T // 2, C)``; each channel sums to 1, or to 0."""
    inside = sample.steps[..., None]
    x = sample.x.double() * inside
    centred = (x - x.sum(1, keepdim=True) / sample.length[:, None, None]) * inside
    power = torch.fft.rfft(centred, dim=1).abs().square()[:, 1:]
    mean = (power / sample.length[:, None, None]).mean(dim=0)
    total = mean.sum(dim=0)
    noise = 1e-10 * (x.square().sum(1) / sample.length[:, None]).mean(0) * sample.x.shape[1]
    return torch.where(total > noise, mean / total.clamp_min(1e-300), torch.zeros_like(mean))


def _standard(sample: SeriesSample) -> tuple[Tensor, Tensor]:
    """Values less their channel's mean, by its deviation, 0 where missing; and the mask as numbers."""
    mask = sample.mask.double()
    x, count = sample.x.double() * mask, mask.sum((0, 1)).clamp_min(1)
    centred = (sample.x.double() - x.sum((0, 1)) / count) * mask
    deviation = (centred.square().sum((0, 1)) / count).sqrt()
    level = x.abs().amax((0, 1)).clamp_min(1e-300)
    return torch.where(deviation > 1e-7 * level, centred / deviation.clamp_min(1e-300), 0.0), mask


def _lags(sample: SeriesSample, most: int | None, default: int, where: str, least: int) -> list[int]:
    if most is not None:
        at_least(most, least, where=where, name="max_lag")
    last = min(sample.x.shape[1] - 1, default if most is None else most)
    return list(range(least, last + 1))


def _wasserstein(a: Tensor, b: Tensor) -> float:
    """Area between the two quantile functions; exact for equal numbers, else on 4096 quantiles at least."""
    if len(a) != len(b):
        n = max(QUANTILES, min(len(a), len(b)))
        at = (torch.arange(n, dtype=torch.float64) + 0.5) / n
        a, b = (s.sort().values[(at * len(s)).long().clamp_max(len(s) - 1)] for s in (a, b))
        return float((a - b).abs().mean())
    return float((a.sort().values - b.sort().values).abs().mean())


def _mean(values: list[float | None]) -> SeriesError:
    known = [v for v in values if v is not None]
    return SeriesError(value=sum(known) / len(known) if known else None, channels=tuple(values))
