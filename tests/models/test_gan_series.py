"""GANs in data space on time series."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.conftest import SERIES, TINY, waves

from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.losses import zero_centred_gradient
from aegan.models.base import Model, in_blocks, noise_for
from aegan.models.registry import MODELS, build
from aegan.nn.backbone import discriminator_for
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Field, Spec

OF_DATA = [name for name, entry in MODELS.items() if entry.adversary == "data"]


def train(settings: dict[str, Any], data: TensorData, steps: int, spec: Spec = SERIES) -> Model:
    torch.manual_seed(0)
    model = build("gan", spec, TINY["gan"] | settings)
    Trainer(model, data, TrainConfig(steps=steps, grids=0), Backend("cpu", "fp32")).fit()
    return model.eval()


def energy_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a.flatten(1), b.flatten(1)
    return float(2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean())


def test_sine_waves_are_learnt_in_seconds() -> None:
    spec, real = Spec(kind="series", shape=(24, 2)), waves(512, 24, 2)
    found = []
    for steps in (1, 80):
        model = train({"batch_size": 64}, TensorData(x=real), steps, spec)
        made = in_blocks(model.generate, noise_for(1, 512, model.noise_dim), None)
        found.append(energy_distance(made, waves(512, 24, 2, seed=1)))
    assert found[1] < 0.2 * found[0], found


@pytest.mark.parametrize(
    "settings",
    [
        {"series": "recurrent"},
        {"series": "attention"},
        {"network": "plain"},
        {"pack": 2, "condition": "none"},
        {"condition": "auxiliary", "stddev": True},
        {"spectral_norm": True, "loss": "hinge", "penalty": {"r1": 0, "r2": 0}},
    ],
)
def test_every_network_of_series_trains_and_samples(settings: dict[str, Any]) -> None:
    spec = Spec(kind="series", shape=(10, 3), classes=("a", "b"))
    model = train(settings, TensorData(x=waves(32), y=torch.arange(32) % 2), 2, spec)
    made = model.generate(torch.randn(4, model.noise_dim), torch.tensor([0, 1, 0, 1]))
    assert made.shape == (4, 10, 3) and bool(torch.isfinite(made).all())


@pytest.mark.parametrize(
    ("at_data", "learning", "usual"), [(True, True, False), (True, False, True), (False, True, True)]
)
def test_a_penalty_on_a_recurrent_discriminator_goes_without_cudnn(at_data: bool, learning: bool, usual: bool) -> None:
    judge, seen = discriminator_for(SERIES, width=8, blocks=1, series="recurrent").requires_grad_(learning), []
    gru = next(m for m in judge.modules() if isinstance(m, torch.nn.GRU))
    gru.register_forward_pre_hook(lambda *_: seen.append(torch.backends.cudnn.enabled))
    x = waves(4).requires_grad_(at_data)
    logits = judge(x, None)
    assert seen == [usual] and torch.backends.cudnn.enabled
    if at_data and learning:
        zero_centred_gradient(logits, x).backward()
        assert all(p.grad is not None for p in gru.parameters())


@pytest.mark.parametrize(
    ("name", "phase", "setting"),
    [
        ("contractive", "autoencode", "decoder_weight"),
        ("contractive-gan", "generator", "generator_contraction"),
        ("gan", "generator", "path_weight"),
    ],
)
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_penalty_on_a_recurrent_decoder_goes_without_cudnn(
    name: str, phase: str, setting: str, weight: float
) -> None:
    networks = {"autoencoder": {"series": "recurrent"}} if name == "contractive-gan" else {"series": "recurrent"}
    model, seen = build(name, SERIES, TINY[name] | networks | {setting: weight}), []
    made_by = model.generator if name == "gan" else model.decoder
    gru = next(m for m in made_by.modules() if isinstance(m, torch.nn.GRU))  # type: ignore[union-attr]
    gru.register_forward_pre_hook(lambda *_: seen.append(torch.backends.cudnn.enabled))
    terms = model.loss(phase, {"x": waves(8)})
    assert seen[0] == (not weight) and torch.backends.cudnn.enabled
    sum(term.value for term in terms.values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in gru.parameters())


def test_series_are_packed_step_beside_step() -> None:
    judge, seen = discriminator_for(SERIES, width=8, blocks=1, pack=2), []
    judge.trunk.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x = waves(4)
    assert judge(x, None).shape == (2,)
    assert torch.equal(seen[0], torch.stack([torch.cat([x[0], x[1]], 1), torch.cat([x[2], x[3]], 1)]))


@pytest.mark.parametrize("phase", ["discriminator", "generator"])
def test_values_that_are_missing_are_missing_from_fakes_too(phase: str) -> None:
    torch.manual_seed(0)
    model, seen = build("gan", SERIES, TINY["gan"]), []
    model.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args[0]))  # type: ignore[union-attr]
    mask = torch.rand(8, 10, 3) < 0.7
    terms = model.loss(phase, {"x": waves(8), "mask": mask})
    assert all(bool(torch.isfinite(term.value)) for term in terms.values())
    shown = torch.cat(seen)
    assert shown.shape == (16, 10, 3)
    assert torch.equal(shown != 0, torch.cat([mask, mask]))


@pytest.mark.parametrize("name", ["vae-gan", "warm-start-gan", "bigan", "mdgan", "alae", "soft-introvae", "vq-gan"])
def test_what_is_filled_in_need_not_be_reconstructed(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, SERIES, TINY[name])
    x, phases = waves(8), [phase.name for phase in model.stages[-1].phases]
    phase = next(p for p in reversed(phases) if "reconstruction" in model.loss(p, {"x": x}))
    nothing = torch.zeros(8, 10, 3, dtype=torch.bool)
    assert model.loss(phase, {"x": x})["reconstruction"].value.item() > 0.01
    assert model.loss(phase, {"x": x, "mask": nothing})["reconstruction"].value.item() == 0.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"augmentation": "diff"}, "moves and colours images"),
        ({"augmentation": "ada"}, "augmentation=latent"),
        ({"network": "dcgan"}, "for images, got series data"),
        ({"network": "r3gan"}, "for images, got series data"),
        ({"series": "wavelet"}, "convolutional"),
    ],
)
def test_what_is_not_for_series_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build("gan", SERIES, TINY["gan"] | settings)


@pytest.mark.parametrize("name", [n for n in OF_DATA if "samples" in MODELS[n].gives])
def test_series_of_differing_length_are_refused_with_what_can(name: str) -> None:
    spec = Spec(kind="series", shape=(10, 3), fields=(Field(column="length", size=5, ordered=True),))
    with pytest.raises(ConfigError, match=r"lengths.*\(length\)\. Fit recurrent"):
        build(name, spec, TINY[name])
