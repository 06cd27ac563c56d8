"""How far pictures are from their originals: PSNR and SSIM, one value a picture.

Reference: Wang, Bovik, Sheikh & Simoncelli 2004, "Image quality assessment: from error visibility to structural
similarity", with its Gaussian window of 11x11, sigma 1.5, and constants 0.01 and 0.03.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from aegan.errors import ConfigError, DataError

WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03


def mean_squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """Squared error of each picture, averaged over its values: float64 ``(B,)`` of two ``(B, C, H, W)``."""
    x, x_hat = _pair(x, x_hat, "mean_squared_error")
    return (x - x_hat).square().flatten(1).mean(1)


def psnr(x: Tensor, x_hat: Tensor, *, data_range: float = 2.0) -> Tensor:
    """Peak signal-to-noise ratio of each picture in dB, float64 ``(B,)``; infinite where nothing differs.

    For one figure over a data set that is sure to be finite, take :func:`mean_squared_error`, average, and use
    :func:`decibels`.

    Args:
        x: Originals ``(B, C, H, W)``.
        x_hat: What is judged, of the same shape.
        data_range: Largest less smallest value there can be: 2 for [-1, 1], 255 for uint8 values.

    Raises:
        DataError: Other shapes, no picture, or values that are not finite.

    >>> psnr(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.2)).item().__round__(4)
    20.0
    """
    return decibels(mean_squared_error(x, x_hat), data_range=data_range)


def decibels(error: Tensor, *, data_range: float = 2.0) -> Tensor:
    """PSNR in dB of mean squared errors of any shape, float64."""
    if not data_range > 0:
        raise ConfigError(f"data_range: a number above 0 expected (2 for values in [-1, 1]), got {data_range}.")
    return 10 * torch.log10(data_range**2 / error.double())


def ssim(x: Tensor, x_hat: Tensor, *, data_range: float = 2.0) -> Tensor:
    """Structural similarity of each picture, float64 ``(B,)``, at most 1; the mean over its channels.

    The window is moved over every position at which it lies wholly inside the picture, as in the paper's own program
    (some others reflect the borders and come to slightly other values). A picture with a side shorter
    than 11 gets the largest odd window that fits, the same sigma.

    Args:
        x: Originals ``(B, C, H, W)``.
        x_hat: What is judged, of the same shape.
        data_range: Largest less smallest value there can be: 2 for [-1, 1], 255 for uint8 values.

    Raises:
        DataError: Other shapes, no picture, or values that are not finite.

    >>> x = torch.rand(2, 3, 16, 16)
    >>> ssim(x, x).tolist()
    [1.0, 1.0]
    """
    x, x_hat = _pair(x, x_hat, "ssim")
    if not data_range > 0:
        raise ConfigError(f"data_range: a number above 0 expected (2 for values in [-1, 1]), got {data_range}.")
    size = min(WINDOW, *x.shape[2:])
    window = _window(size - 1 + size % 2).to(x.device)
    parts = [_ssim_block(a, b, window, data_range) for a, b in zip(x.split(512), x_hat.split(512), strict=True)]
    return torch.cat(parts)


def _ssim_block(x: Tensor, x_hat: Tensor, window: Tensor, data_range: float) -> Tensor:
    count, channels, height, width = x.shape
    a, b = (t.reshape(count * channels, 1, height, width) for t in (x, x_hat))
    moments = torch.cat([a, b, a * a, b * b, a * b])
    blurred = conv2d(conv2d(moments, window[None, None, :, None]), window[None, None, None, :])
    mean_a, mean_b, square_a, square_b, product = blurred.split(count * channels)
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    both = mean_a * mean_b
    means = mean_a.square() + mean_b.square()
    variances = square_a + square_b - means
    similar = (2 * both + c1) * (2 * (product - both) + c2) / ((means + c1) * (variances + c2))
    return similar.reshape(count, -1).mean(1)


def _window(size: int) -> Tensor:
    """Gaussian float64 ``(size,)`` that sums to 1."""
    at = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-(at**2) / (2 * SIGMA**2))
    return weights / weights.sum()


def _pair(x: Tensor, x_hat: Tensor, where: str) -> tuple[Tensor, Tensor]:
    if x.ndim != 4 or x.shape != x_hat.shape or 0 in x.shape:
        raise DataError(
            f"{where}: two batches of one shape (B, C, H, W) expected, got {tuple(x.shape)} and {tuple(x_hat.shape)}."
        )
    for name, value in (("x", x), ("x_hat", x_hat)):
        if not torch.isfinite(value).all():
            raise DataError(f"{where}: '{name}' holds NaN or infinite values; finite pictures expected.")
    return x.detach().double(), x_hat.detach().double()
