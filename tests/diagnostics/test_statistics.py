"""Statistics against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from aegan.diagnostics.aside import aside
from aegan.diagnostics.balance import compared, input_slopes, separation, spectral_norms
from aegan.diagnostics.collapse import birthday, energy_distance, flattened, mmd_p, perplexity, variety
from aegan.diagnostics.data import data_facts, outside
from aegan.diagnostics.gradients import (
    cosine,
    depth_ratio,
    first_last,
    first_non_finite,
    layer_gradients,
    norms,
    signal_to_noise,
    silent_units,
    update_ratios,
)
from aegan.diagnostics.jacobian import generator_spectrum, participation


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def chain(*weights: float) -> nn.Sequential:
    """y = w3 w2 w1 x, one number each: the gradient of weight i is y's product without it."""
    network = nn.Sequential(*(nn.Linear(1, 1, bias=False) for _ in weights))
    for layer, weight in zip(network, weights, strict=True):
        nn.init.constant_(layer.weight, weight)  # type: ignore[arg-type]
    return network


def test_gradient_norms_and_ratios_of_a_known_chain() -> None:
    network = chain(10.0, 0.1, 2.0)
    network(torch.ones(1, 1)).sum().backward()
    found = layer_gradients(network)
    assert [layer.gradient for layer in found.values()] == pytest.approx([0.2, 20.0, 1.0])
    assert [layer.relative for layer in found.values()] == pytest.approx([0.02, 200.0, 0.5])
    assert first_last(found) == pytest.approx(0.2)
    assert depth_ratio(found) == pytest.approx(0.01)
    assert depth_ratio(found, largest=200.0) == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(1e4, torch.float16), (3e4, torch.bfloat16), (1e30, torch.float32), (1e200, torch.float64)],
)
def test_norms_are_finite_where_the_values_are(value: float, dtype: torch.dtype) -> None:
    x = torch.full((10_000,), value, dtype=dtype)
    assert norms([x, torch.ones(4)]) == pytest.approx([100 * float(x[0]), 2.0], rel=1e-5)
    x[7] = float("inf")
    assert norms([x, None]) == [math.inf]


def test_cosine_signal_and_updates() -> None:
    assert cosine(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.0])) == pytest.approx(0.5**0.5)
    assert cosine(torch.zeros(2), torch.ones(2)) is None and cosine(torch.ones(2), torch.ones(3)) is None
    # Mean 2, variance 2 of two values: (4 - 2/2) / 2.
    assert signal_to_noise(torch.tensor([[1.0], [3.0]])) == pytest.approx(1.5)
    noise = torch.randn(64, 500, generator=stream())
    assert signal_to_noise(noise) < 0.05 < signal_to_noise(noise + 1.0)
    assert update_ratios([torch.zeros(2)], [torch.tensor([3e-3, 4e-3])]) == pytest.approx([5.0])


def test_silent_units_are_those_behind_a_closed_rectifier() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    with torch.no_grad():
        network[0].bias.copy_(torch.tensor([5.0, -50.0, 5.0]))  # type: ignore[union-attr, operator]
    network(torch.rand(8, 2, generator=stream())).sum().backward()
    assert silent_units(network)["0"].tolist() == [False, True, False]


def test_the_place_of_a_value_that_is_not_finite() -> None:
    x = torch.zeros(2, 3)
    assert first_non_finite({"x": x}) is None
    x[1, 2] = float("nan")
    assert first_non_finite({"fine": torch.ones(1), "x": x}) == "x[1, 2] is nan"


def test_separation_slopes_and_spectral_norms() -> None:
    assert separation(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0])) == 1.0
    assert separation(torch.zeros(4), torch.zeros(4)) == 0.5
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[3.0, 4.0]])
    assert input_slopes(layer, torch.zeros(3, 2)).tolist() == pytest.approx([5.0] * 3)
    assert spectral_norms(layer)["weight"] == pytest.approx(5.0)
    wide = nn.Linear(600, 600, bias=False)
    nn.init.eye_(wide.weight)
    wide.weight.data[0, 0] = 7.0
    assert spectral_norms(wide, iterations=30)["weight"] == pytest.approx(7.0, rel=1e-3)


def test_balance_of_two_terms() -> None:
    weight = nn.Parameter(torch.ones(2))
    assert compared(30.0 * weight.sum(), -2.0 * weight.sum(), [weight]) == (pytest.approx(15.0), pytest.approx(-1.0))
    assert weight.grad is None
    assert compared(weight.sum(), 0.0 * weight.sum(), [weight]) is None


def test_jacobian_singular_values_of_a_linear_map() -> None:
    matrix = torch.tensor([[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = generator_spectrum(lambda z: z @ matrix, torch.zeros(4, 2))
    assert found is not None and found.values == pytest.approx((3.0, 1.0))
    assert found.condition == pytest.approx(math.log(9.0)) and found.rank == pytest.approx(100 / 82)
    long = generator_spectrum(lambda z: 2.0 * z, torch.zeros(2, 200))
    assert long is not None and len(long.values) == 128 and long.values[0] == pytest.approx(2.0, rel=1e-4)
    assert generator_spectrum(lambda z: torch.zeros(len(z), 3), torch.zeros(2, 2)) is None
    by_sign = generator_spectrum(lambda z: z[:, :2] * torch.tensor([3.0, 1.0]) + z[:, 2:].sign(), torch.ones(4, 4))
    assert by_sign is not None and by_sign.values == pytest.approx((3.0, 1.0))
    assert participation(torch.tensor([2.0, 2.0, 0.0])) == pytest.approx(2.0)


def test_the_jacobian_of_attention() -> None:
    weight = torch.randn(3, 40, generator=stream())

    def generate(z: torch.Tensor) -> torch.Tensor:
        tokens = (z @ weight).view(len(z), 1, 5, 8)
        return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens).flatten(1)

    found = generator_spectrum(generate, torch.randn(4, 3, generator=stream(1)))
    assert found is not None and len(found.values) == 3 and found.values[0] > 0


def test_variety_of_good_missing_and_identical_samples() -> None:
    angle = torch.randint(0, 8, (1536,), generator=stream()) * math.pi / 4
    x = torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(1536, 2, generator=stream(1))
    real, other, good = x[:256], x[256:512], x[512:768]
    fine = variety(real, other, good)
    assert fine is not None and fine.coverage > 0.85 and fine.precision > 0.9 and fine.p > 0.05
    half = variety(real, other, x[768:][x[768:, 0] > 0.2][:256])
    assert half is not None and half.coverage < 0.6 and half.precision > 0.9 and half.p < 0.01
    point = variety(real, other, 0.001 * x[768:1024])
    assert point is not None and point.spread < 0.01
    assert variety(real[:10], other, good) is None and variety(real, other, torch.full((256, 2), math.nan)) is None


def test_samples_far_from_zero_are_compared_as_those_near_it() -> None:
    x = torch.randn(3, 256, 2, generator=stream())
    near = variety(*x)
    for away in (1000.0, 5000.0):
        far = variety(*(x + away))
        assert near is not None and far is not None and far == pytest.approx(near, rel=0.05, abs=1e-4)
        exact = energy_distance(x[0].double(), x[2].double())
        assert energy_distance(x[0] + away, x[2] + away) == pytest.approx(exact, abs=1e-4)


def test_distances_of_long_samples_are_kept_to_about_a_tenth() -> None:
    stream = torch.Generator().manual_seed(3)
    x = torch.randn(12, 3, 220, 220, generator=stream) * torch.linspace(0.2, 3, 12).view(-1, 1, 1, 1)
    rows = flattened(x)
    assert rows.shape == (12, 64) and torch.allclose(rows[:5], flattened(x[:5]), atol=1e-4)
    ratio = torch.pdist(rows) / torch.pdist(x.flatten(1))
    assert abs(float(ratio.mean()) - 1) < 0.1 and float(ratio.std()) < 0.2


def test_birthday_support_of_fifty_samples() -> None:
    real = torch.randn(256, 4, generator=stream())
    again = torch.randn(50, 4, generator=stream(1))[torch.randint(0, 50, (256,), generator=stream(2))]
    assert 25 < birthday(real, again) < 75
    assert birthday(real, torch.randn(256, 4, generator=stream(3))) == math.inf


def test_distances_and_their_p_value() -> None:
    assert energy_distance(torch.zeros(3, 1), torch.full((3, 1), 2.0)) == pytest.approx(4.0)
    a, b = torch.randn(100, 2, generator=stream()), torch.randn(100, 2, generator=stream(1))
    assert mmd_p(a, b) > 0.05 and mmd_p(a, b + 1.0) == pytest.approx(1 / 201)


def test_codes_and_data() -> None:
    assert perplexity(torch.zeros(100, dtype=torch.long), 64) < 0.05
    assert perplexity(torch.arange(64).repeat(20), 64) == pytest.approx(1.0, rel=0.01)
    facts = data_facts(torch.cat([torch.zeros(8, 2), torch.arange(16.0).view(8, 2)]))
    assert facts.repeated == pytest.approx(7 / 16) and facts.constant == 0.0 and facts.high == 15.0
    assert outside(torch.tensor([[0.0, 2.0, -0.5, 1.01]]), -1.0, 1.0) == 0.25


def test_aside_puts_everything_back() -> None:
    network = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    before, state = {k: v.clone() for k, v in network.state_dict().items()}, torch.get_rng_state()
    with aside(network):
        network.eval()
        network.train()
        network(torch.randn(8, 2))
        network[1].eval()
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state) and network[1].training
