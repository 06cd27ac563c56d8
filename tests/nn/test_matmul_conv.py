"""Convolutions as matrix products: the same network to rounding, forward and backward."""

from __future__ import annotations

import copy
from unittest.mock import patch

import pytest
import torch
from torch import nn

from aegan.nn.matmul_conv import Gather, MatmulConv2d, MatmulConvTranspose2d, Scatter, with_matmul_convolutions

LAYERS = [
    (nn.Conv2d(3, 5, 4, 2, padding=1), (2, 3, 7, 7)),
    (nn.Conv2d(3, 5, (3, 2), (1, 2), padding=(0, 1), bias=False), (2, 3, 4, 5)),
    (nn.Conv2d(3, 5, 3, padding=1), (2, 3, 20, 20)),
    (nn.ConvTranspose2d(4, 3, 3, 2, padding=1), (2, 4, 4, 4)),
    (nn.ConvTranspose2d(4, 3, 3, 2, padding=1, output_padding=1, bias=False), (2, 4, 5, 3)),
    (nn.ConvTranspose2d(4, 3, (4, 3), (2, 1), padding=(1, 0)), (2, 4, 3, 6)),
    (nn.ConvTranspose2d(4, 3, 4, 2, padding=1), (2, 4, 12, 12)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_values_and_gradients_are_those_of_the_usual_kernels(layer: nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    usual = copy.deepcopy(layer).double()
    changed = with_matmul_convolutions(nn.Sequential(copy.deepcopy(layer).double()))
    assert isinstance(changed[0], (MatmulConv2d, MatmulConvTranspose2d))
    inputs = [torch.randn(shape, dtype=torch.float64).requires_grad_(True)]
    inputs.append(inputs[0].detach().clone().requires_grad_(True))
    outputs = usual(inputs[0]), changed(inputs[1])
    assert torch.allclose(*outputs, atol=1e-12)
    weight = torch.randn_like(outputs[0])
    for out in outputs:
        (out * weight).sum().backward()
    assert torch.allclose(inputs[0].grad, inputs[1].grad, atol=1e-12)
    for p, q in zip(usual.parameters(), changed.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, atol=1e-11)


def test_gradients_of_gradients_are_those_of_the_usual_kernels() -> None:
    torch.manual_seed(0)
    usual = nn.Sequential(nn.Conv2d(2, 3, 4, 2, 1), nn.Tanh(), nn.ConvTranspose2d(3, 1, 3, 2, 1, 1), nn.Tanh()).double()
    changed = with_matmul_convolutions(copy.deepcopy(usual))
    x = torch.randn(2, 2, 6, 6, dtype=torch.float64)
    found = []
    for network in (usual, changed):
        asked = x.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(network(asked).sum(), asked, create_graph=True)
        gradient.square().sum().backward()
        found.append([p.grad for p in network.parameters() if p.grad is not None])
    assert len(found[0]) == len(found[1]) == 4
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_in_fp32_the_usual_kernels_are_taken_but_for_the_smallest_maps(
    layer: nn.Module, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = with_matmul_convolutions(nn.Sequential(copy.deepcopy(layer)))
    for product in (Gather, Scatter):
        monkeypatch.setattr(product, "apply", lambda *_: pytest.fail("the usual kernel is faster here"))
    x = torch.randn(shape)
    assert torch.allclose(changed(x), layer(x), atol=1e-5)


def test_the_smallest_maps_are_products_in_fp32_too() -> None:
    layer = nn.Conv2d(8, 5, 4, 2, padding=1)
    changed = with_matmul_convolutions(copy.deepcopy(layer))
    x = torch.randn(2, 8, 3, 3)
    with patch.object(Gather, "apply", side_effect=Gather.apply) as product:
        assert torch.allclose(changed(x), layer(x), atol=1e-5)
    product.assert_called_once()


def test_names_and_weights_stay_and_other_layers_are_left_alone() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 3, padding="same"), nn.Conv2d(4, 2, 3))
    before = copy.deepcopy(network.state_dict())
    with_matmul_convolutions(network)
    assert [type(layer) for layer in network] == [nn.Conv2d, nn.Conv2d, MatmulConv2d]
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
