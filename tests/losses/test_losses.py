"""Losses against hand-computed values, penalties against autograd and theory."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from aegan.losses import (
    absolute_error,
    relativistic_discriminator,
    relativistic_generator,
    squared_error,
    zero_centred_gradient,
)


def test_relativistic_pairing_by_hand() -> None:
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 1.0])
    expected = (math.log1p(math.exp(-1.5)) + math.log1p(math.exp(2.0))) / 2
    assert relativistic_discriminator(real, fake).item() == pytest.approx(expected, rel=1e-6)
    assert relativistic_generator(fake, real).item() == pytest.approx(expected, rel=1e-6)


def test_logits_far_apart_stay_finite() -> None:
    real, fake = torch.tensor([1e4], requires_grad=True), torch.tensor([-1e4])
    loss = relativistic_generator(real, fake)
    loss.backward()
    assert math.isfinite(loss.item()) and real.grad is not None and bool(torch.isfinite(real.grad).all())


@pytest.mark.parametrize("shape", [(5, 3), (5, 1, 4, 4), (5, 2, 7)])
def test_penalty_is_half_the_squared_gradient_of_each_sample(shape) -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape[1:]), 8), nn.Softplus(), nn.Linear(8, 1)).double()
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    rows = [torch.autograd.functional.jacobian(lambda v: critic(v[None]).squeeze(), row) for row in x.detach()]
    expected = 0.5 * torch.stack([r.square().sum() for r in rows]).mean()
    assert zero_centred_gradient(critic(x).squeeze(1), x).item() == pytest.approx(expected.item(), rel=1e-6)


def test_penalty_can_be_differentiated_again() -> None:
    torch.manual_seed(0)
    weight = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)

    def penalty(w: torch.Tensor) -> torch.Tensor:
        x = torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3).requires_grad_(True)
        # float64 throughout: the library casts to float32, so the tolerance is that of float32.
        return zero_centred_gradient(torch.tanh(x @ w).sum(1), x)

    (gradient,) = torch.autograd.grad(penalty(weight), weight)
    step = 1e-3
    moved = weight.detach().clone()
    moved[1, 2] += step
    numeric = (penalty(moved) - penalty(weight)).item() / step
    assert gradient[1, 2].item() == pytest.approx(numeric, rel=2e-2, abs=1e-4)


def test_on_the_dirac_gan_the_penalty_makes_training_converge() -> None:
    """Mescheder et al. 2018: without a penalty the Dirac-GAN circles for ever, with R1 and R2 it converges."""

    def distance(gamma: float) -> float:
        theta = torch.tensor([[1.0]], requires_grad=True)
        psi = torch.tensor([[0.5]], requires_grad=True)
        for _ in range(600):
            real, fake = torch.zeros(1, 1, requires_grad=True), theta.detach().clone().requires_grad_(True)
            logits = (real @ psi).squeeze(1), (fake @ psi).squeeze(1)
            loss = relativistic_discriminator(*logits)
            loss = loss + gamma * (zero_centred_gradient(logits[0], real) + zero_centred_gradient(logits[1], fake))
            (psi_gradient,) = torch.autograd.grad(loss, psi)
            generator = relativistic_generator(torch.zeros(1), (theta @ psi).squeeze(1))
            (theta_gradient,) = torch.autograd.grad(generator, theta)
            with torch.no_grad():
                psi -= 0.1 * psi_gradient
                theta -= 0.1 * theta_gradient
        return math.hypot(theta.item(), psi.item())

    assert distance(0.5) < 0.01
    assert distance(0.0) > 0.2


def test_errors_are_means_over_all_values() -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    assert squared_error(a, b).item() == 5.0
    assert absolute_error(a, b).item() == 2.0
