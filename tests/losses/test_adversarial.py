"""Every adversarial loss against hand-computed values and theory, and the penalties beside R1 and R2."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from aegan.errors import ConfigError
from aegan.losses import (
    ADVERSARIAL,
    around,
    between,
    clip_weights,
    jacobian_clamp,
    lecam,
    path_length,
    unit_gradient,
    zero_centred_gradient,
)

REAL, FAKE = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 1.5])


def sp(v: float) -> float:
    return math.log1p(math.exp(v))


def mean(*values: float) -> float:
    return sum(values) / len(values)


CROSS_ENTROPY = mean(sp(-2), sp(1)) + mean(sp(0.5), sp(1.5))
BY_HAND = {
    "minimax": (CROSS_ENTROPY, -mean(sp(0.5), sp(1.5))),
    "non-saturating": (CROSS_ENTROPY, mean(sp(-0.5), sp(-1.5))),
    "least-squares": (0.5 * (mean(1, 4) + mean(0.25, 2.25)), 0.5 * mean(0.25, 0.25)),
    "hinge": (mean(0, 2) + mean(1.5, 2.5), -1.0),
    "wasserstein": (1.0 - 0.5, -1.0),
    "relativistic": (mean(sp(-1.5), sp(2.5)), mean(sp(1.5), sp(-2.5))),
    "relativistic-average": (
        mean(sp(1 - 2), sp(1 + 1)) + mean(sp(0.5 - 0.5), sp(1.5 - 0.5)),
        mean(sp(0.5 - 0.5), sp(0.5 - 1.5)) + mean(sp(2 - 1), sp(-1 - 1)),
    ),
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_values_by_hand(name: str) -> None:
    loss, (discriminator, generator) = ADVERSARIAL[name], BY_HAND[name]
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(discriminator, rel=1e-5)
    assert loss.generator(REAL, FAKE).item() == pytest.approx(generator, rel=1e-5)


MIRRORED = ("minimax", "non-saturating", "hinge")
ABSOLUTE = (*MIRRORED, "least-squares")
LEVEL = {
    "minimax": 0.0,
    "non-saturating": 0.0,
    "least-squares": 0.5,
    "hinge": 0.0,
    "wasserstein": 0.5 * (0.5 + 1.0),
    "relativistic": 1.0,
    "relativistic-average": 1.0,
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_real_logits_count_from_the_losss_level(name: str) -> None:
    real, fake = REAL.clone().requires_grad_(True), FAKE.clone().requires_grad_(True)
    ahead = ADVERSARIAL[name].ahead(real, fake)
    assert ahead.tolist() == [2.0 - LEVEL[name], -1.0 - LEVEL[name]]
    assert not ahead.requires_grad


@pytest.mark.parametrize("name", MIRRORED)
def test_a_level_of_zero_leaves_logits_as_they_are_to_the_bit(name: str) -> None:
    real = torch.randn(1000)
    assert torch.equal(ADVERSARIAL[name].ahead(real, torch.randn(1000)).view(torch.int32), real.view(torch.int32))


@pytest.mark.parametrize(("name", "centre"), [*((name, LEVEL[name]) for name in ABSOLUTE), ("wasserstein", -7.0)])
def test_equally_good_discriminators_are_equally_far_ahead(name: str, centre: float) -> None:
    """Wherever its logits have their level, and that of a critic is anywhere."""
    spread = torch.tensor([-3.0, -1.0, 1.0, 3.0])
    for gap, signs in ((0.0, 0.0), (4.0, 0.5), (10.0, 1.0)):
        real, fake = centre + spread + gap / 2, centre + spread - gap / 2
        assert ADVERSARIAL[name].ahead(real, fake).sign().mean().item() == signs


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_generator_wants_higher_logits_and_the_discriminator_lower_ones_for_fakes(name: str) -> None:
    fake = torch.zeros(3, requires_grad=True)
    real = torch.full((3,), 0.5)
    (up,) = torch.autograd.grad(ADVERSARIAL[name].generator(real, fake), fake)
    (down,) = torch.autograd.grad(ADVERSARIAL[name].discriminator(real, fake + 0.1), fake)
    assert bool((up < 0).all()) and bool((down > 0).all())


def test_only_the_saturating_loss_vanishes_where_the_discriminator_is_sure() -> None:
    slopes = {}
    for name, loss in ADVERSARIAL.items():
        fake = torch.full((1,), -20.0, requires_grad=True)
        (slope,) = torch.autograd.grad(loss.generator(torch.full((1,), 20.0), fake), fake)
        slopes[name] = abs(slope.item())
    assert slopes.pop("minimax") < 1e-6
    assert min(slopes.values()) > 0.4


def linear_critic(weight: torch.Tensor) -> nn.Module:
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.copy_(weight[None])
    return layer


def test_unit_gradient_is_zero_for_a_slope_of_one_and_known_elsewhere() -> None:
    x = torch.randn(5, 2, requires_grad=True)
    one, five = linear_critic(torch.tensor([0.6, 0.8])), linear_critic(torch.tensor([3.0, 4.0]))
    assert unit_gradient(one(x).squeeze(1), x).item() == pytest.approx(0.0, abs=1e-9)
    assert unit_gradient(five(x).squeeze(1), x).item() == pytest.approx(16.0, rel=1e-5)


def test_unit_gradient_of_a_flat_critic_has_a_finite_gradient() -> None:
    critic, x = linear_critic(torch.zeros(2)), torch.randn(5, 2, requires_grad=True)
    unit_gradient(critic(x).squeeze(1), x).backward()
    assert critic.weight.grad is not None and bool(torch.isfinite(critic.weight.grad).all())


def test_points_between_lie_on_their_own_segments() -> None:
    real, fake = torch.zeros(50, 3, 2), torch.ones(50, 3, 2)
    x = between(real, fake)
    assert x.requires_grad and bool((x == x[:, :1, :1]).all())
    assert 0 <= x.min() < 0.3 and 0.7 < x.max() <= 1


def test_points_around_stay_within_half_a_standard_deviation() -> None:
    real = torch.randn(200, 4)
    moved = around(real) - real
    assert 0 <= moved.min() and moved.max() <= 0.5 * real.std() and moved.max() > 0.4 * real.std()


def test_lecam_by_hand() -> None:
    assert lecam(REAL, FAKE, 1.0, 0.0).item() == pytest.approx(mean(4, 0) + mean(0.25, 0))


def test_weights_are_clipped_and_a_senseless_bound_refused() -> None:
    layer = nn.Linear(8, 8)
    clip_weights(layer, 0.02)
    assert all(p.abs().max() <= 0.02 for p in layer.parameters())
    with pytest.raises(ConfigError, match="above 0"):
        clip_weights(layer, 0.0)


@pytest.mark.parametrize(("scale", "expected"), [(0.25, 0.75**2), (5.0, 0.0), (23.0, 9.0)])
def test_jacobian_clamp_penalises_slopes_outside_the_band(scale: float, expected: float) -> None:
    noise = torch.randn(6, 3, dtype=torch.float64)
    assert jacobian_clamp(lambda z: scale * z, noise).item() == pytest.approx(expected, abs=1e-3)


def test_path_length_of_a_scaled_isometry_is_the_scale() -> None:
    torch.manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(64, 64))[0]
    w = torch.randn(500, 64, requires_grad=True)
    made = 3.0 * w @ rotation
    penalty, length = path_length(made, w, 3.0)
    assert length.item() == pytest.approx(3.0, rel=0.02)
    assert penalty.item() == pytest.approx(9.0 * 0.5 / 64, rel=0.3)  # the variance of a chi variable is about 1/2


def test_penalties_depend_on_the_critic_alone_and_can_be_differentiated_again() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(3, 8), nn.Softplus(), nn.Linear(8, 1)).double()
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    for penalty in (zero_centred_gradient, unit_gradient):
        (gradient,) = torch.autograd.grad(penalty(critic(x).squeeze(1), x), critic[0].weight)
        assert gradient.abs().sum() > 0
