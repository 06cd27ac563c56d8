"""Augmentations: unchanged at p = 0, differentiable, each doing what it says, and the adaptive rule."""

from __future__ import annotations

import pytest
import torch

from aegan.augment import AdaptiveAugment, diff_augment
from aegan.augment.adaptive import PIPELINE
from aegan.augment.transforms import brightness, contrast, cutout, flip, rotation, saturation, scaling, translation
from aegan.errors import ConfigError

ALL = (*PIPELINE, cutout)


@pytest.mark.parametrize("transform", ALL)
@pytest.mark.parametrize("shape", [(6, 1, 8, 8), (6, 3, 9, 14)])
def test_shape_probability_and_gradient(transform, shape) -> None:
    torch.manual_seed(0)
    x = torch.rand(shape, requires_grad=True)
    assert torch.equal(transform(x, 0.0), x)
    out = transform(x, 1.0)
    assert out.shape == x.shape and bool(torch.isfinite(out).all())
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert bool(torch.isfinite(gradient).all())
    half = transform(torch.rand(2000, *shape[1:]), 0.5)
    assert half.shape == (2000, *shape[1:])


def test_a_probability_of_a_quarter_changes_a_quarter() -> None:
    torch.manual_seed(0)
    x = torch.rand(4000, 1, 8, 8)
    changed = (brightness(x, 0.25) != x).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(0.25, abs=0.03)


def test_colour_transforms_keep_what_they_should() -> None:
    torch.manual_seed(0)
    x = torch.rand(50, 3, 8, 8)
    shift = brightness(x) - x
    assert torch.allclose(shift, shift[:, :1, :1, :1].expand_as(shift), atol=1e-6) and shift.abs().max() <= 0.5
    assert torch.allclose(contrast(x).mean((1, 2, 3)), x.mean((1, 2, 3)), atol=1e-6)
    assert torch.allclose(saturation(x).mean(1), x.mean(1), atol=1e-6)
    grey = torch.rand(5, 1, 8, 8)
    assert torch.equal(saturation(grey), grey)


def test_translation_moves_whole_pixels_by_an_eighth_at_most() -> None:
    torch.manual_seed(0)
    x = torch.zeros(300, 1, 16, 16)
    x[:, :, 8, 8] = 1.0
    moved = translation(x)
    assert bool((moved.sum((1, 2, 3)) == 1.0).all())
    where = moved.flatten(1).argmax(1)
    rows, columns = where // 16 - 8, where % 16 - 8
    assert rows.min() == -2 and rows.max() == 2 and columns.min() == -2 and columns.max() == 2


def test_cutout_removes_at_most_a_quarter_and_at_least_a_sixteenth() -> None:
    torch.manual_seed(0)
    removed = (cutout(torch.ones(500, 1, 16, 16)) == 0).float().mean((1, 2, 3))
    assert removed.min() >= 1 / 16 - 0.02 and removed.max() <= 0.25 + 0.04


def test_flip_and_small_warps_keep_a_symmetric_image() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(-1, 1, 8).view(1, 1, 1, 8).expand(400, 1, 8, 8)
    turned = (flip(ramp)[:, 0, 0, 0] > 0).float().mean().item()
    assert turned == pytest.approx(0.5, abs=0.08)
    flat = torch.full((10, 2, 8, 12), 0.3)
    for warp in (scaling, rotation):
        assert torch.allclose(warp(flat), flat, atol=1e-5)


def test_rotation_keeps_the_shape_of_things_in_wide_images() -> None:
    """A disc stays a disc: its extent is the same along both axes, whatever the sides' ratio."""
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(32.0) - 15.5, torch.arange(64.0) - 31.5, indexing="ij")
    disc = ((x.square() + y.square()) < 100).float()[None, None].expand(20, 1, 32, 64)
    # The middle only: what comes in from beyond the short sides is mirrored.
    turned, disc = (image[..., 22:42] for image in (rotation(disc, turn=0.25), disc))
    assert (turned - disc).abs().mean() < 0.05 < 0.3 < disc.mean()


def test_policies() -> None:
    x = torch.rand(4, 3, 8, 8)
    assert torch.equal(diff_augment(x, ()), x)
    with pytest.raises(ConfigError, match="Did you mean 'cutout'"):
        diff_augment(x, ("cutuot",))
    with pytest.raises(ConfigError, match="images"):
        diff_augment(torch.rand(4, 3), ("color",))


def test_adaptive_probability_follows_the_sign_statistic() -> None:
    augment = AdaptiveAugment(images=1000, every=4)
    x = torch.rand(5, 1, 8, 8)
    assert torch.equal(augment(x), x)
    for _ in range(8):
        augment.observe(torch.ones(50))
    assert float(augment.p) == pytest.approx(0.4)
    for _ in range(4):
        augment.observe(torch.tensor([1.0, -1.0]).repeat(25))
    assert float(augment.p) == pytest.approx(0.2)
    for _ in range(100):
        augment.observe(torch.ones(50))
    assert float(augment.p) == pytest.approx(0.8)
    again = AdaptiveAugment(images=1000, every=4)
    again.load_state_dict(augment.state_dict())
    assert float(again.p) == float(augment.p)


def test_adaptive_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="target"):
        AdaptiveAugment(target=1.0)
