"""Divergences against hand-computed values and torch.distributions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from aegan.losses import above_free_bits, gaussian_kl


def test_gaussian_kl_by_hand() -> None:
    # Per dimension ½(µ² + σ² - 1 - log σ²): (½, 0) and (0, ½(4 - 1 - log 4)); the mean over the two samples.
    mu = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    logvar = torch.tensor([[0.0, 0.0], [0.0, math.log(4.0)]])
    expected = [0.25, 0.25 * (3.0 - math.log(4.0))]
    assert gaussian_kl(mu, logvar, reduce=False).tolist() == pytest.approx(expected, rel=1e-6)
    assert gaussian_kl(mu, logvar).item() == pytest.approx(sum(expected), rel=1e-6)


def test_gaussian_kl_agrees_with_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    mu, logvar = torch.randn(50, 7, generator=generator), torch.randn(50, 7, generator=generator)
    reference = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0))
    assert torch.allclose(gaussian_kl(mu, logvar, reduce=False), reference.mean(0), rtol=1e-5)
    assert gaussian_kl(mu, logvar).item() == pytest.approx(reference.sum(1).mean().item(), rel=1e-5)


def test_free_bits_cost_nothing_and_have_no_gradient() -> None:
    kl = torch.tensor([0.1, 0.5, 3.0], requires_grad=True)
    loss = above_free_bits(kl, 0.5)
    loss.backward()
    assert loss.item() == pytest.approx(2.5)
    assert kl.grad is not None and kl.grad[0] == 0 and kl.grad[2] == 1
    assert above_free_bits(kl, 0.0).item() == pytest.approx(3.6)
