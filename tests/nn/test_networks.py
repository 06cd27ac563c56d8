"""Geometry, whitening, averages and the choice of precision."""

from __future__ import annotations

import math

import pytest
import torch
from tests.conftest import TINY
from torch import nn

from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.models.registry import build
from aegan.nn.backbone import discriminator_for
from aegan.nn.conv import ConvDecoder, ConvEncoder, Geometry
from aegan.nn.generator import Generator
from aegan.nn.mlp import LatentGenerator, Whitening
from aegan.nn.octaves import Octaves
from aegan.train import precision
from aegan.train.ema import Ema
from aegan.train.memory import keep_freed_memory
from aegan.train.precision import choose_precision
from aegan.types import Spec


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 17), (1, 28, 28), (4, 33, 20), (3, 64, 48), (3, 128, 128)])
def test_any_size_from_eight_pixels(shape) -> None:
    encoder, decoder = ConvEncoder(shape, 6, width=4, blocks=1), ConvDecoder(shape, 6, width=4, blocks=1)
    x = torch.rand(2, *shape)
    assert decoder(encoder(x)).shape == x.shape
    assert min(Geometry(shape, 4).bottom) >= 4
    spec = Spec(kind="image", shape=shape, classes=("a", "b", "c"))
    logits = discriminator_for(spec, width=4, blocks=1)(x, torch.tensor([0, 2]))
    assert logits.shape == (2,) and logits.dtype == torch.float32


def test_images_below_the_minimum_are_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="--size"):
        build("latent-gan", Spec(kind="image", shape=(1, 7, 12)), TINY["latent-gan"])


def test_models_refuse_other_kinds_of_data() -> None:
    with pytest.raises(ConfigError, match=r"models image[\w, ]+, got table"):
        build("gan", Spec(kind="table", shape=(5,)), {})


def test_fresh_networks_are_well_scaled_at_any_depth() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 1, 28, 28)
    for blocks in (1, 6):
        z = ConvEncoder((1, 28, 28), 16, width=16, blocks=blocks)(x)
        assert 0.2 < z.std().item() < 5


def test_whitening_gives_unit_covariance_and_inverts() -> None:
    torch.manual_seed(0)
    z = torch.randn(4000, 5) @ torch.randn(5, 5) + 3
    whitening = Whitening(5)
    whitening.fit(z)
    w = whitening(z)
    assert torch.allclose(torch.cov(w.T), torch.eye(5), atol=1e-3) and w.mean(0).abs().max() < 1e-4
    assert torch.allclose(whitening.inverse(w), z, atol=1e-4)


def test_whitening_of_very_many_codes_is_that_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    z = torch.randn(1000, 5) @ torch.randn(5, 5) + 3
    at_once, in_parts = Whitening(5), Whitening(5)
    at_once.fit(z)
    monkeypatch.setattr("aegan.nn.mlp._AT_ONCE", 300)
    in_parts.fit(z)
    assert torch.allclose(in_parts.mean, at_once.mean, atol=1e-6)
    assert torch.allclose(in_parts(z) @ in_parts(z).T, at_once(z) @ at_once(z).T, atol=1e-3)


def test_whitening_of_a_constant_direction_stays_finite() -> None:
    z = torch.randn(100, 3)
    z[:, 1] = 2.0
    whitening = Whitening(3)
    whitening.fit(z)
    assert bool(torch.isfinite(whitening.inverse(whitening(z))).all())
    assert torch.allclose(whitening.inverse(whitening(z)), z, atol=1e-3)


def test_the_class_changes_the_code() -> None:
    torch.manual_seed(0)
    generator = LatentGenerator(4, 6, 2, hidden=8, depth=1)
    noise = torch.randn(1, 4)
    assert not torch.equal(generator(noise, torch.tensor([0])), generator(noise, torch.tensor([1])))


def test_ema_half_life_swap_and_adopt() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    ema = Ema({"layer": layer}, half_life=100.0)
    nn.init.ones_(layer.weight)
    ema.update(100, seen=10**9)
    assert ema.average["layer.weight"].item() == pytest.approx(0.5)
    with ema.applied():
        assert layer.weight.item() == pytest.approx(0.5)
    assert layer.weight.item() == 1.0 and ema.average["layer.weight"].item() == pytest.approx(0.5)
    ema.adopt()
    assert layer.weight.item() == pytest.approx(0.5)


def test_ema_forgets_the_start_quickly() -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    ema = Ema({"layer": layer}, half_life=1e6)
    nn.init.ones_(layer.weight)
    for i in range(1, 101):
        ema.update(10, seen=10 * i)
    assert ema.average["layer.weight"].item() > 0.99


def test_octaves_double_from_one_radian() -> None:
    octaves, x = Octaves(3), torch.tensor([[0.5, -1.0]])
    made = octaves(x)
    expected = [0.5, -1.0]
    for wave in (math.sin, math.cos):
        expected += [wave(k * v) for k in (1, 2, 4) for v in (0.5, -1.0)]
    assert made.shape == (1, octaves.widened(2)) and made[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("classes", [0, 2])
def test_of_the_last_values_of_noise_signs_alone_count(classes: int) -> None:
    torch.manual_seed(0)
    generator = Generator(nn.Linear(4 if not classes else 8, 3), 4, classes, signs=2)
    y = torch.zeros(1, dtype=torch.int64) if classes else None
    noise = torch.tensor([[0.3, -2.0, 0.1, -0.7]])
    made = generator(noise, y)
    assert torch.equal(made, generator(noise * torch.tensor([1.0, 1.0, 9.0, 0.2]), y))
    assert not torch.allclose(made, generator(noise * torch.tensor([1.0, 1.0, -1.0, 1.0]), y))
    assert not torch.allclose(made, generator(noise * torch.tensor([1.5, 1.0, 1.0, 1.0]), y))


def test_precision_is_chosen_without_touching_model_or_random_state() -> None:
    torch.manual_seed(3)
    model = build("autoencoder", Spec(kind="image", shape=(1, 8, 8)), TINY["autoencoder"])
    before = {k: v.clone() for k, v in model.state_dict().items()}
    data = TensorData(x=torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8))
    state = torch.get_rng_state()
    chosen, reason = choose_precision(model, data, "cpu", repeats=1)
    assert chosen in ("fp32", "bf16") and reason
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("loss", "seconds", "chosen", "reason"),
    [
        (1.2, 0.1, "fp32", "bf16 changes the loss by 20.0%"),
        (float("nan"), 0.1, "fp32", "bf16 changes the loss by nan%"),
        (1.01, 0.9, "fp32", "bf16 is 1.11 times as fast here"),
        (1.01, 0.5, "bf16", "2.00 times as fast as fp32 here, loss within 1.0%"),
    ],
)
def test_bf16_is_refused_where_it_is_wrong_or_no_faster(
    loss: float, seconds: float, chosen: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turn(trial: precision._Trial) -> None:
        low = trial.backend.precision == "bf16"
        trial.loss, trial.seconds = (loss, seconds) if low else (1.0, 1.0)

    monkeypatch.setattr(precision._Trial, "turn", turn)
    monkeypatch.setattr(precision, "_AT_LEAST", 0.0)
    model = build("autoencoder", Spec(kind="image", shape=(1, 8, 8)), TINY["autoencoder"])
    data = TensorData(x=torch.zeros(20, 1, 8, 8, dtype=torch.uint8))
    assert choose_precision(model, data, "cpu", repeats=1) == (chosen, reason)


def test_the_allocators_setting_changes_no_number(monkeypatch) -> None:
    torch.manual_seed(0)
    x, w = torch.randn(200, 300), torch.randn(300, 100)
    before = x @ w
    assert keep_freed_memory() in (True, False)
    assert torch.equal(x @ w, before)
    monkeypatch.setattr("sys.platform", "darwin")
    assert keep_freed_memory() is False
