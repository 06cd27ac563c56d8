"""R3GAN's block and networks, by the paper."""

from __future__ import annotations

import math
from typing import TypeVar

import pytest
import torch
from torch.nn.functional import interpolate

from aegan.losses import zero_centred_gradient
from aegan.nn.backbone import discriminator_for, generator_for
from aegan.nn.init import LEAKY_GAIN
from aegan.nn.r3gan import Halve, R3Block, R3Decoder, R3Trunk
from aegan.types import Spec

M = TypeVar("M", bound=torch.nn.Module)
SPEC = Spec(kind="image", shape=(3, 13, 18), classes=("a", "b"))


def stirred(module: M) -> M:
    """With weights that are not zero anywhere."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return module


@pytest.mark.parametrize("dim", [8, 24, 32])
def test_a_block_is_the_identity_at_the_start_and_as_large_as_the_formula_says(dim: int) -> None:
    block, x = R3Block(dim, 4), torch.randn(2, dim, 5, 6)
    assert torch.equal(block(x), x)
    group = {8: 16, 24: 16, 32: 16}[dim]
    # Two 1x1 convolutions between d and 2 d channels; 2 d channels of 3x3 over a group's; two biases of 2 d.
    assert sum(p.numel() for p in block.parameters()) == 4 * dim**2 + 18 * dim * group + 4 * dim
    assert block.mix.groups == 2 * dim // group


def test_odd_widths_have_smaller_groups() -> None:
    assert R3Block(5, 1).mix.groups == 5


def test_the_first_layers_shrink_with_the_networks_depth() -> None:
    torch.manual_seed(0)
    block = R3Block(64, 16)
    expected = LEAKY_GAIN * 16**-0.25
    assert block.widen.weight.std().item() * math.sqrt(64) == pytest.approx(expected, rel=0.05)
    assert block.mix.weight.std().item() * math.sqrt(9 * 16) == pytest.approx(expected, rel=0.05)
    assert not block.narrow.weight.any() and not block.widen.bias.any()  # type: ignore[union-attr]


def test_the_branch_is_the_papers_written_out() -> None:
    torch.manual_seed(0)
    block, x = stirred(R3Block(4, 1)), torch.randn(1, 4, 1, 1)
    leaky = lambda v: torch.where(v > 0, v, 0.2 * v)  # noqa: E731
    # On a map of one pixel only the middle of the 3x3 kernel counts; 8 channels make one group.
    own = dict(block.named_parameters())
    h = leaky(own["widen.weight"][:, :, 0, 0] @ x[0, :, 0, 0] + own["widen.bias"])
    h = leaky(own["mix.weight"][:, :, 1, 1] @ h + own["mix.bias"])
    torch.testing.assert_close(block(x)[0, :, 0, 0], x[0, :, 0, 0] + block.narrow.weight[:, :, 0, 0] @ h)


def test_halving_is_the_transpose_of_bilinear_doubling() -> None:
    x, y = torch.randn(1, 1, 8, 8), torch.zeros(1, 1, 4, 4)
    y[..., 1:3, 1:3] = torch.randn(2, 2)  # away from the edge, where the two repeat the map differently
    doubled = interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
    assert (Halve()(x) * y).sum().item() == pytest.approx((x * doubled).sum().item() / 4, abs=1e-5)
    assert torch.allclose(Halve()(torch.ones(1, 2, 6, 4)), torch.ones(1, 2, 3, 2))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 13, 18), (1, 64, 40)])
def test_any_size_from_eight_pixels(shape: tuple[int, ...]) -> None:
    trunk, decoder = R3Trunk(shape, width=8, blocks=1), R3Decoder(shape, 5, width=8, blocks=1)
    made = decoder(torch.randn(2, 5))
    assert made.shape == (2, *shape)
    assert trunk(made).shape == (2, trunk.features)
    assert [m.shape[1] for m in trunk.maps(made)][:2] == [8, 16]


def test_gradients_reach_every_weight_also_through_the_penalty() -> None:
    torch.manual_seed(0)
    judge = stirred(discriminator_for(SPEC, width=8, blocks=2, network="r3gan"))
    maker = stirred(generator_for(SPEC, 4, width=8, blocks=2, network="r3gan"))
    y = torch.tensor([0, 1, 0])
    judge(maker(torch.randn(3, 4), y), y).sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in [*maker.parameters(), *judge.parameters()])
    judge.zero_grad()
    x = torch.randn(3, *SPEC.shape, requires_grad=True)
    zero_centred_gradient(judge(x, y), x).backward()
    # In a network of straight pieces biases move no slope; every other weight does.
    lacking = {k for k, p in judge.named_parameters() if p.grad is None or not p.grad.any()}
    assert all(name.endswith("bias") for name in lacking)


def test_the_penalty_can_be_differentiated_exactly() -> None:
    torch.manual_seed(0)
    trunk = stirred(R3Trunk((1, 8, 8), width=2, blocks=1)).double()
    x = torch.randn(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda at: trunk(at).sin().sum(), x)


def test_bf16_agrees_with_fp32() -> None:
    torch.manual_seed(0)
    judge, maker = (
        stirred(discriminator_for(SPEC, width=8, blocks=1, network="r3gan")),
        stirred(generator_for(SPEC, 4, width=8, blocks=1, network="r3gan")),
    )
    y, noise, found = torch.tensor([0, 1, 0]), torch.randn(3, 4), []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            x = maker(noise, y).float().detach().requires_grad_()
            penalty = zero_centred_gradient(judge(x, y), x)
        judge.zero_grad()
        penalty.backward()
        found.append((x.detach(), penalty.item()))
    (x, penalty), (rough, rough_penalty) = found
    assert (x - rough).abs().max() < 0.05 * x.abs().max()
    assert rough_penalty == pytest.approx(penalty, rel=0.1)
