"""PSNR and SSIM against torchmetrics and against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from aegan.errors import ConfigError, DataError
from aegan.metrics import decibels, mean_squared_error, psnr, ssim


def pictures(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Smooth pictures in [-1, 1], and noisy ones."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(*shape[:2], 5, 5, generator=generator) * 2 - 1
    x = torch.nn.functional.interpolate(coarse, shape[2:], mode="bilinear")
    return x, (x + 0.2 * torch.randn(x.shape, generator=generator)).clamp(-1, 1)


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 32, 24), (600, 1, 12, 11)])
@pytest.mark.parametrize("data_range", [2.0, 255.0])
def test_ssim_is_that_of_torchmetrics(shape, data_range: float) -> None:
    x, x_hat = (t.double() * data_range / 2 for t in pictures(*shape))
    # torchmetrics reflects the borders and averages over them too; the paper's windows, and ours, lie inside.
    _, everywhere = structural_similarity_index_measure(
        x_hat, x, sigma=1.5, kernel_size=11, data_range=data_range, reduction="none", return_full_image=True
    )
    inside = everywhere[..., 5:-5, 5:-5].flatten(1).mean(1)
    got = ssim(x, x_hat, data_range=data_range)
    assert got.shape == (shape[0],) and torch.allclose(got, inside, atol=1e-9) and 0.05 < got.mean() < 0.95


def test_psnr_is_that_of_torchmetrics() -> None:
    x, x_hat = pictures(4, 3, 16, 16)
    for a, b, got in zip(x, x_hat, psnr(x, x_hat), strict=True):
        assert got.item() == pytest.approx(peak_signal_noise_ratio(b, a, data_range=2.0).item(), abs=1e-4)


def test_by_hand() -> None:
    x, x_hat = torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    x_hat[1, 0, 0, 0] = 2.0
    assert mean_squared_error(x, x_hat).tolist() == [0.0, 0.25]
    assert psnr(x, x_hat)[0].item() == math.inf
    assert psnr(x, x_hat)[1].item() == pytest.approx(10 * math.log10(16))
    assert decibels(torch.tensor(0.04)).item() == pytest.approx(20)
    # Constant pictures differ in their means alone: (2ab + c1) / (a^2 + b^2 + c1).
    a, b, c = 0.5, -0.25, (0.01 * 2) ** 2
    got = ssim(torch.full((1, 1, 15, 15), a), torch.full((1, 1, 15, 15), b)).item()
    assert got == pytest.approx((2 * a * b + c) / (a * a + b * b + c))


@pytest.mark.parametrize("side", [1, 2, 8, 10])
def test_pictures_smaller_than_the_window(side: int) -> None:
    x, x_hat = pictures(3, 1, side, 20)
    got = ssim(x, x_hat)
    assert got.shape == (3,) and (got < 1).all() and torch.equal(ssim(x, x), torch.ones(3, dtype=torch.float64))


def test_refusals() -> None:
    x = torch.zeros(2, 1, 8, 8)
    for wrong in (torch.zeros(2, 1, 8, 9), torch.zeros(8, 8), x[:0]):
        for function in (ssim, psnr, mean_squared_error):
            with pytest.raises(DataError, match=r"\(B, C, H, W\) expected"):
                function(wrong, wrong if wrong.ndim != 4 or len(wrong) == 0 else x)
    with pytest.raises(DataError, match="'x_hat' holds NaN"):
        ssim(x, x * float("nan"))
    for function in (ssim, psnr):
        with pytest.raises(ConfigError, match="data_range"):
            function(x, x, data_range=0)
