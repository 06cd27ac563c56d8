"""Losses, penalties and remedies in loops of other kinds: half precision, logits of patches, tight data."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from aegan.augment import AdaptiveAugment, diff_augment
from aegan.augment.transforms import rotation, scaling
from aegan.errors import ConfigError
from aegan.losses import ADVERSARIAL, relativistic_discriminator
from aegan.losses.divergence import mmd
from aegan.losses.jacobian import jacobian
from aegan.losses.pairing import check_discriminator
from aegan.losses.penalties import between, unit_gradient
from aegan.metrics.precision_recall import precision_recall
from aegan.nn.constraints import spectrally_normalised
from aegan.train.ema import Ema

HALVES = (torch.float16, torch.bfloat16)


@pytest.mark.parametrize("dtype", HALVES)
def test_the_average_of_half_precision_weights_moves_as_that_of_float32(dtype: torch.dtype) -> None:
    layers = [nn.Linear(1, 1, bias=False).to(d) for d in (torch.float32, dtype)]
    averages = [Ema({"layer": layer}, 50_000) for layer in layers]
    for layer, ema in zip(layers, averages, strict=True):
        layer.weight.data.fill_(1.0)
        ema.load_state_dict({"layer.weight": layer.weight})
        layer.weight.data.fill_(1.25)
        for _ in range(3000):
            ema.update(64, 10**7)
    full, half = (float(ema.average["layer.weight"]) for ema in averages)
    assert half == pytest.approx(full) and 1.2 < full < 1.24
    with averages[1].applied():
        assert layers[1].weight.dtype == dtype and float(layers[1].weight.detach()) == pytest.approx(full, abs=4e-3)
    assert float(layers[1].weight.detach()) == 1.25 and float(averages[1].average["layer.weight"]) == half
    averages[1].adopt()
    assert layers[1].weight.dtype == dtype and float(layers[1].weight.detach()) < 1.24


@pytest.mark.parametrize("dtype", (*HALVES, torch.float64))
def test_points_between_are_of_the_data_s_type(dtype: torch.dtype) -> None:
    x = between(torch.zeros(4, 3, dtype=dtype), torch.ones(4, 3, dtype=torch.float16))
    assert x.dtype == dtype and bool(((x >= 0) & (x <= 1)).all())
    assert float(unit_gradient(2 * x.sum(1), x)) == pytest.approx((2 * 3**0.5 - 1) ** 2, rel=1e-2)


def test_what_cannot_be_paired_is_refused() -> None:
    with pytest.raises(ConfigError, match="one shape"):
        between(torch.zeros(4, 3), torch.zeros(5, 3))
    with pytest.raises(ConfigError, match="multiple of pack=3"):
        between(torch.zeros(4, 3), torch.zeros(4, 3), pack=3)
    with pytest.raises(ConfigError, match=r"\(64, 1\) and \(64,\)"):
        relativistic_discriminator(torch.zeros(64, 1), torch.zeros(64))
    with pytest.raises(ConfigError, match="two draws"):
        mmd(torch.zeros(1, 2), torch.zeros(3, 2))
    with pytest.raises(ConfigError, match="whole number"):
        precision_recall(torch.rand(9, 2), torch.rand(9, 2), k=float("nan"))  # type: ignore[arg-type]


def test_least_squares_of_large_half_precision_logits_are_finite() -> None:
    logits = torch.full((4,), 300.0, dtype=torch.float16)
    loss = ADVERSARIAL["least-squares"]
    assert float(loss.discriminator(logits, logits)) == pytest.approx(0.5 * (299.0**2 + 300.0**2))
    assert float(loss.generator(logits, logits)) == pytest.approx(0.5 * 299.0**2)


@pytest.mark.parametrize("sizes", [(2, 3), (3, 2)])
def test_a_jacobian_of_what_was_not_computed_from_x_is_refused(sizes: tuple[int, int]) -> None:
    x, other = (torch.randn(3, sizes[i], requires_grad=True) for i in (0, 1))
    with pytest.raises(ConfigError, match="not in its graph"):
        jacobian(2 * other, x)


@pytest.mark.parametrize(
    "layer",
    [nn.Conv3d(1, 2, 3), nn.ConvTranspose1d(2, 3, 3), nn.ConvTranspose2d(2, 3, 3), nn.Conv2d(1, 2, 3), nn.Linear(2, 3)],
)
def test_every_layer_with_a_weight_is_spectrally_normalised(layer: nn.Module) -> None:
    with torch.no_grad():
        layer.weight.mul_(50)  # type: ignore[operator,union-attr]
    spectrally_normalised(nn.Sequential(layer))
    for _ in range(30):
        weight: Tensor = layer.weight  # type: ignore[assignment]
    axis = 1 if "Transpose" in type(layer).__name__ else 0
    assert float(torch.linalg.matrix_norm(weight.detach().movedim(axis, 0).flatten(1), 2)) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("dtype", (*HALVES, torch.float64))
@pytest.mark.parametrize("change", [diff_augment, scaling, rotation, AdaptiveAugment(images=1).eval()])
def test_augmented_pictures_keep_their_type(change: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    if isinstance(change, AdaptiveAugment):
        change.p.fill_(0.8)
    assert change(torch.rand(4, 3, 8, 8, dtype=dtype)).dtype == dtype


def test_patches_of_an_image_count_as_one() -> None:
    augment = AdaptiveAugment(images=1000, every=1)
    logits = torch.ones(8, 1, 4, 4)
    logits[:, :, :2] = -1
    logits[:, :, 0, 0] = 1  # r = 2 / 16, far below the target of .6
    augment.p.fill_(0.5)
    augment.observe(logits)
    assert float(augment.p) < 0.5


def test_a_sigmoid_before_dropout_is_still_the_last() -> None:
    with pytest.raises(ConfigError, match="Sigmoid"):
        check_discriminator(nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), nn.Dropout(0.1)), gradient_penalty=False)


@pytest.mark.parametrize("spread", [1e-4, 1e-3, 0.1])
def test_balls_of_tight_and_distant_clusters_are_told_exactly(spread: float) -> None:
    stream = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [1e3, 0.0], [0.0, 1e3]], dtype=torch.float64).repeat(100, 1)
    real, fake = (
        centres + size * spread * torch.randn(300, 2, dtype=torch.float64, generator=stream) for size in (1, 10)
    )
    own = torch.cdist(real, real, compute_mode="donot_use_mm_for_euclid_dist").topk(6, largest=False).values[:, -1]
    inside = torch.cdist(fake, real, compute_mode="donot_use_mm_for_euclid_dist") <= own
    found = precision_recall(real, fake, k=5)
    assert found.precision == pytest.approx(float(inside.any(1).double().mean()), abs=1e-9)
    assert found.density == pytest.approx(float(inside.double().sum()) / (5 * 300), abs=1e-9)
    same = precision_recall(real, real, k=5)
    assert same.precision == same.recall == same.coverage == 1.0
