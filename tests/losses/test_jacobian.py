"""Penalties on Jacobians against autograd's full Jacobian in float64; the probe against its own interval."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from aegan.errors import ConfigError
from aegan.losses import (
    jacobian,
    jacobian_exact,
    jacobian_one_layer,
    jacobian_penalty,
    jacobian_probe,
    jacobian_singular_values,
    weight_l1,
    weight_l2,
)
from aegan.losses.jacobian import EXACT_UP_TO
from aegan.nn.backbone import decoder_for, encoder_for
from aegan.types import Spec

IMAGE = Spec(kind="image", shape=(1, 8, 8))


def smooth(inputs: int, outputs: int) -> nn.Sequential:
    """A network whose second derivatives are not zero."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, 7), nn.Tanh(), nn.Linear(7, outputs), nn.Sigmoid()).double()


def stirred(network: nn.Module) -> nn.Module:
    """In float64, and with values in the weights that start at zero."""
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return network.double()


def reference(network: nn.Module, x: Tensor) -> Tensor:
    """Autograd's Jacobian of one sample after another, ``(B, D, I)``."""
    rows = [torch.autograd.functional.jacobian(lambda v: network(v[None])[0], one) for one in x.detach()]
    return torch.stack([r.reshape(-1, one.numel()) for r, one in zip(rows, x, strict=True)])


def networks() -> dict[str, tuple[nn.Module, Tensor]]:
    """More inputs than outputs, fewer, and the package's own networks."""
    torch.manual_seed(1)
    size = {"width": 4, "blocks": 1}
    return {
        "wide-in": (smooth(6, 3), torch.randn(4, 6).double()),
        "wide-out": (smooth(2, 5), torch.randn(4, 2).double()),
        "encoder": (stirred(encoder_for(IMAGE, 3, **size)), torch.randn(3, *IMAGE.shape).double()),
        "decoder": (stirred(decoder_for(IMAGE, 2, **size)), torch.randn(3, 2).double()),
    }


@pytest.mark.parametrize("name", ["wide-in", "wide-out", "encoder", "decoder"])
def test_exact_form_and_singular_values_agree_with_autograd(name: str) -> None:
    network, x = networks()[name]
    x.requires_grad_(True)
    expected = reference(network, x)
    torch.testing.assert_close(jacobian(network(x), x), expected, rtol=1e-10, atol=1e-12)
    norm = expected.square().sum((1, 2)).mean()
    torch.testing.assert_close(jacobian_exact(network(x), x), norm, rtol=1e-10, atol=0)
    values = jacobian_singular_values(network(x), x)
    torch.testing.assert_close(values, torch.linalg.svdvals(expected), rtol=1e-8, atol=1e-10)
    assert not values.requires_grad


def test_closed_form_of_one_layer_is_the_exact_form() -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(6, 4).double(), torch.randn(5, 6).double().requires_grad_(True)
    z = torch.sigmoid(layer(x))
    closed = jacobian_one_layer(layer.weight, z * (1 - z))
    torch.testing.assert_close(closed, jacobian_exact(z, x), rtol=1e-12, atol=0)
    ours, theirs = (torch.autograd.grad(v, layer.weight, retain_graph=True)[0] for v in (closed, jacobian_exact(z, x)))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-14)


def ones_probe(out: Tensor, x: Tensor) -> Tensor:
    """The trap: the gradient of the sum of the codes, in which terms cancel."""
    return torch.autograd.grad(out.sum(), x, retain_graph=True)[0].square().flatten(1).sum(1).mean()


def unbiased(probe: Callable[[Tensor, Tensor], Tensor], draws: int = 800, **units: Tensor) -> bool:
    """Whether the exact norm lies within 4 standard errors of the mean of many draws."""
    network, x = networks()["wide-in"]
    x.requires_grad_(True)
    z = network(x)
    torch.manual_seed(0)
    drawn = torch.stack([probe(z, x).detach() for _ in range(draws)])
    expected = jacobian_exact(z, x, **units).detach() if units else reference(network, x).square().sum((1, 2)).mean()
    return bool((drawn.mean() - expected).abs() <= 4.0 * drawn.std() / math.sqrt(draws))


def test_probe_is_unbiased_and_the_gradient_of_the_sum_is_not() -> None:
    assert unbiased(jacobian_probe)
    assert unbiased(lambda out, x: jacobian_probe(out, x, probes=3))
    assert not unbiased(ones_probe)
    assert not unbiased(lambda out, x: 1.1 * jacobian_probe(out, x))  # the interval is narrow enough to tell


def test_more_probes_vary_less() -> None:
    network, x = networks()["wide-in"]
    x.requires_grad_(True)
    z = network(x)
    torch.manual_seed(0)
    one, nine = (torch.stack([jacobian_probe(z, x, probes=n).detach() for _ in range(200)]).var() for n in (1, 9))
    assert 4 < one / nine < 20


@pytest.mark.parametrize("form", [jacobian_exact, lambda out, x: jacobian_probe(out, x, probes=2)])
@pytest.mark.parametrize("sizes", [(3, 2), (2, 3)])
def test_gradient_reaches_the_weights(form, sizes) -> None:
    network = smooth(*sizes)
    x = torch.randn(2, sizes[0]).double().requires_grad_(True)

    def penalty(*weights: Tensor) -> Tensor:
        torch.manual_seed(3)  # the same probes in every call
        names = [name for name, _ in network.named_parameters()]
        return form(torch.func.functional_call(network, dict(zip(names, weights, strict=True)), x), x)

    weights = tuple(p.detach().clone().requires_grad_(True) for p in network.parameters())
    assert torch.autograd.gradcheck(penalty, weights)


def test_auto_is_exact_for_small_codes_and_a_probe_for_large_ones() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 40).requires_grad_(True)
    mix = torch.randn(40, 40)
    for size, exact in ((EXACT_UP_TO, True), (EXACT_UP_TO + 1, False), (30, False)):
        z = torch.tanh(x @ mix[:, :size])
        first, second = (jacobian_penalty(z, x).item() for _ in range(2))
        assert (first == second) is exact
        assert jacobian_penalty(z, x, form="exact").item() == pytest.approx(jacobian_exact(z, x).item(), rel=1e-6)
    # As many probes as codes cost as much as the exact form, which is then taken.
    assert jacobian_penalty(z, x, probes=30).item() == jacobian_penalty(z, x, probes=30).item()


def test_units_of_either_side() -> None:
    network, x = networks()["wide-in"]
    x.requires_grad_(True)
    left, right = torch.randn(2, 3).double(), torch.randn(6, 4).double()
    expected = (left @ reference(network, x) @ right).square().sum((1, 2)).mean()
    torch.testing.assert_close(jacobian_exact(network(x), x, left=left, right=right), expected, rtol=1e-10, atol=0)
    assert unbiased(lambda out, x: jacobian_probe(out, x, left=left, right=right), left=left, right=right)
    assert not unbiased(lambda out, x: jacobian_probe(out, x, left=left), left=left, right=right)


def test_a_sample_does_not_see_the_others() -> None:
    network, x = networks()["wide-in"]
    x.requires_grad_(True)
    alone = x[:1].detach().requires_grad_(True)
    torch.testing.assert_close(jacobian(network(alone), alone), jacobian(network(x), x)[:1])


def test_half_precision_is_summed_in_float32() -> None:
    x = torch.ones(2, 600, dtype=torch.bfloat16, requires_grad=True)
    value = jacobian_exact((x * 1.5).sum(1, keepdim=True), x)
    assert value.dtype == torch.float32 and value.item() == 1350.0


def test_weight_penalties_leave_biases_out() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Conv2d(1, 1, 2))
    for p in network.parameters():
        nn.init.constant_(p, -2.0)
    assert weight_l1(network).item() == 16.0 and weight_l2(network).item() == 32.0
    weight_l2(network).backward()
    assert network[0].bias.grad is None and bool((network[0].weight.grad == -4.0).all())  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x: jacobian_exact(x.detach() * 2, x), "requires_grad_"),
        (lambda x: jacobian_probe(x.detach() * 2, x.detach()), "requires_grad_"),
        (lambda x: jacobian(x.sum(1), x), r"\(B, 1\)"),
        (lambda x: jacobian(x[:2], x), "of the same B"),
        (lambda x: jacobian_probe(x, x, probes=0), "at least 1"),
        (lambda x: jacobian_penalty(x * 2, x, form="exakt"), "'exact'"),
        (lambda x: jacobian_one_layer(torch.ones(2, 3), x), "weight .D, I."),
        (lambda x: jacobian_exact(x * 2, x, left=torch.ones(2, 3)), "left: a matrix with 4 columns"),
        (lambda x: jacobian_probe(x * 2, x, right=torch.ones(3, 4)), "right: a matrix with 4 rows"),
        (lambda x: weight_l1(nn.ReLU()), "no weights"),
    ],
)
def test_errors_say_how_to_mend_it(call, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        call(torch.ones(3, 4, requires_grad=True))
