"""The GRU's own gradients beside PyTorch's."""

from __future__ import annotations

import pytest
import torch

from aegan.nn.gru import run
from aegan.nn.stepwise import Stepwise


@pytest.mark.parametrize(("steps", "layers"), [(1, 1), (7, 3)])
def test_values_and_gradients_are_pytorchs(steps: int, layers: int) -> None:
    torch.manual_seed(0)
    gru = torch.nn.GRU(3, 5, layers, batch_first=True)
    x, weight = torch.randn(4, steps, 3), torch.randn(4, steps, 5)
    found = []
    for function in (run, lambda g, v: g(v)[0]):
        leaf = x.clone().requires_grad_(True)
        out = function(gru, leaf)
        found.append([out, *torch.autograd.grad((out * weight).sum(), [leaf, *gru.parameters()])])
    for own, other in zip(*found, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)


def test_gradients_are_those_of_differences() -> None:
    torch.manual_seed(0)
    gru = torch.nn.GRU(2, 3, 1, batch_first=True).double()
    x = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *_: run(gru, x), (x, *gru.parameters()))


def test_data_without_gradients_and_frozen_weights_pass() -> None:
    gru = torch.nn.GRU(2, 3, 2, batch_first=True).requires_grad_(False)
    x = torch.randn(2, 4, 2, requires_grad=True)
    assert torch.autograd.grad(run(gru, x).sum(), x)[0].shape == x.shape
    with torch.no_grad():
        assert torch.equal(run(gru, x), gru(x)[0])
    gru.eval()
    (first,) = torch.autograd.grad(run(gru, x).square().sum(), x, create_graph=True)
    first.sum().backward()  # second derivatives are PyTorch's


def test_it_computes_in_float32_where_precision_is_cast() -> None:
    gru = torch.nn.GRU(2, 3, 1, batch_first=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert run(gru, torch.randn(2, 4, 2)).dtype == torch.float32


def test_a_fresh_network_keeps_what_it_holds_and_is_small() -> None:
    torch.manual_seed(0)
    network = Stepwise(6, 24, 3, 24)
    bias = torch.cat([network.gru.bias_ih_l2, network.gru.bias_hh_l2]).view(6, 24)
    assert bias.mean(1).tolist() == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    gates, candidate = network.gru.weight_ih_l0.detach().split([48, 24])
    for part, limit in ((gates, (6 / 78) ** 0.5), (candidate, (6 / 54) ** 0.5)):
        assert 0.9 * limit < float(part.abs().max()) <= limit
