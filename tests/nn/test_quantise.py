"""Quantisers: nearest points by brute force, straight-through gradients, running means, restarts."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn.functional import normalize

from aegan.nn.quantise import Codebook, FiniteScalar


def _codebook(size: int = 16, group: int = 4, **options) -> Codebook:
    torch.manual_seed(0)
    return Codebook(size, group, **options)


@pytest.mark.parametrize("quantiser", [_codebook(), FiniteScalar((5, 4, 3, 2))])
def test_codes_go_to_the_nearest_point_and_stay_there(quantiser) -> None:
    torch.manual_seed(1)
    z = quantiser.bound(torch.randn(30, 12))
    tokens = quantiser.tokens(z)
    assert tokens.shape == (30, 3) and tokens.dtype == torch.int64
    every = quantiser.from_tokens(torch.arange(quantiser.size)[:, None])
    nearest = torch.cdist(z.reshape(-1, 4), every).argmin(1)
    assert torch.equal(tokens.flatten(), nearest)
    quantised = quantiser(z)
    assert torch.allclose(quantised, quantiser.from_tokens(tokens), atol=1e-6)
    assert torch.equal(quantiser.tokens(quantised), tokens)


@pytest.mark.parametrize("quantiser", [_codebook(), FiniteScalar((5, 4, 3, 2))])
def test_gradients_pass_straight_through(quantiser) -> None:
    z = torch.randn(2, 8, requires_grad=True)
    direction = torch.randn(2, 8)
    (quantiser(z) * direction).sum().backward()
    assert z.grad is not None and torch.equal(z.grad, direction)


def test_finite_scalar_points_are_the_whole_grid() -> None:
    quantiser = FiniteScalar((3, 2))
    points = {tuple(p) for p in quantiser.from_tokens(torch.arange(6)[:, None]).tolist()}
    assert points == set(itertools.product((-1.0, 0.0, 1.0), (-1.0, 1.0)))


def test_a_codebook_is_the_running_mean_of_what_it_stands_for() -> None:
    quantiser = _codebook(size=2, group=2, decay=0.75, restart=False)
    east, north = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    quantiser.observe(torch.cat([east, north]))
    assert {tuple(p) for p in quantiser.points.round(decimals=5).tolist()} == {(1.0, 0.0), (0.0, 1.0)}
    # Four steps take in a full weight of a quarter: the mean moves by that part towards the new vector.
    tilted = normalize(torch.tensor([[0.8, 0.6]]))
    for step in (2, 3, 4, 5):
        rate = max(1 / step, 0.25)
        before = quantiser.sums[int(quantiser.tokens(tilted))].clone()
        quantiser.observe(torch.cat([tilted, north]))
        after = quantiser.sums[int(quantiser.tokens(tilted))]
        assert torch.allclose(after, before + rate * (tilted[0] - before), atol=1e-6)
    assert torch.allclose(quantiser.points.norm(dim=1), torch.ones(2))


def test_dead_points_start_again_and_without_restarts_stay_dead() -> None:
    torch.manual_seed(0)
    clusters = normalize(torch.randn(8, 4))
    usage = {}
    for restart in (False, True):
        quantiser = _codebook(size=8, group=4, restart=restart)
        # A bad beginning: all points but one in the same place.
        quantiser.steps += 1
        quantiser.points.copy_(normalize(-clusters.mean(0, keepdim=True)).expand(8, 4))
        quantiser.points[0].neg_()
        for _ in range(60):
            quantiser.observe(normalize(clusters.repeat(8, 1) + 0.02 * torch.randn(64, 4)))
        usage[restart] = quantiser.usage().item()
        assert quantiser.perplexity() > 4 if restart else quantiser.perplexity() < 4
    assert usage[False] < 0.5 < 0.8 < usage[True]


def test_more_points_than_the_first_batch_has_vectors() -> None:
    quantiser = _codebook(size=16, group=4)
    quantiser.observe(torch.randn(2, 8))
    assert bool(torch.isfinite(quantiser.points).all())
    assert torch.allclose(quantiser.points.norm(dim=1), torch.ones(16), atol=1e-5)


def test_bfloat16_does_not_change_the_nearest_point() -> None:
    quantiser = _codebook(size=64, group=8)
    z = torch.randn(50, 16)
    with torch.autocast("cpu", torch.bfloat16):
        tokens = quantiser.tokens(z)
    assert torch.equal(tokens, quantiser.tokens(z))
