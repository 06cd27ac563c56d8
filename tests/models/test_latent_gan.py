"""What the latent GAN does besides its stages: the noise's scale, and its discriminator of codes in the joint stage."""

from __future__ import annotations

import copy

import pytest
import torch
from tests.conftest import TINY

from aegan.data.base import TensorData
from aegan.models.base import noise_for
from aegan.models.registry import build
from aegan.types import Spec

SPEC = Spec(kind="vector", shape=(6,), classes=("a", "b"))


def made(**joint: float):
    torch.manual_seed(0)
    settings = copy.deepcopy(TINY["latent-gan"])
    settings["autoencoder"]["latent_dim"] = 4
    settings["joint"] |= joint
    return build("latent-gan", SPEC, settings)


@pytest.fixture
def data() -> TensorData:
    generator = torch.Generator().manual_seed(1)
    return TensorData(x=torch.randn(500, 6, generator=generator), y=torch.arange(500) % 2)


@pytest.mark.parametrize(
    ("factor", "expected"), [(1.0, 1.0), (0.9, 1 / 0.9), (1.05, 1 / 1.05), (0.5, 1.25), (2.0, 0.9)]
)
def test_the_noise_is_scaled_until_codes_vary_as_real_ones_do(data: TensorData, factor: float, expected: float) -> None:
    model = made()
    with torch.no_grad():
        z = model.encode(data.batch(torch.arange(500))["x"])
        model.whitening.fit(z)
    # A generator whose codes have `factor` times the deviation of whitened real ones, whatever the class.
    model.generator.forward = lambda noise, y: factor * noise[:, :4]
    state = torch.get_rng_state()
    with torch.no_grad():
        model.finish(data)
    assert torch.equal(torch.get_rng_state(), state)
    assert float(model.spread) == pytest.approx(expected, rel=0.04)
    noise = noise_for(0, 5, model.noise_dim)
    wanted = model.decode(model.whitening.inverse(factor * float(model.spread) * noise[:, :4]))
    assert torch.allclose(model.generate(noise, torch.zeros(5, dtype=torch.int64)), wanted, atol=1e-5)


def test_one_sample_leaves_the_scale_alone(data: TensorData) -> None:
    model = made()
    with torch.no_grad():
        model.finish(data.subset(torch.tensor([0])))
    assert float(model.spread) == 1.0


@pytest.mark.parametrize("weight", [2.0, 0.0])
def test_the_joint_stage_goes_on_with_the_discriminator_of_codes(data: TensorData, weight: float) -> None:
    model, beside = made(latent_weight=weight), weight > 0
    assert ("latent_discriminator" in model.stages[-1].phases[0].networks) == beside
    prepared = model.prepare("joint", data, lambda s: model.encode(s.batch(torch.arange(len(s)))["x"]))
    batch = prepared.batch(torch.arange(16))
    assert ("z" in batch) == beside
    terms = model.loss("discriminator", dict(batch)) | model.loss("generator", dict(batch))
    assert ({"latent-adversarial", "latent-r1", "latent-r2"} <= set(terms)) == beside
    assert all(bool(torch.isfinite(t.value)) for t in terms.values())
    if beside:
        assert terms["latent-adversarial"].weight == weight


def test_without_a_joint_stage_there_is_no_discriminator_of_data_and_old_weights_that_have_one_load() -> None:
    now, before = made(share=0.0), made(share=0.6).state_dict()
    assert not any(name.startswith("discriminator.") for name in now.state_dict())
    with torch.no_grad():
        for value in now.parameters():
            value.zero_()
    names = list(before)
    for model in (now, copy.deepcopy(now)):
        model.load_state_dict(before)
        assert list(before) == names  # what was given stays as it was
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(RuntimeError, match="latent_discriminator"):
        now.load_state_dict({k: v for k, v in before.items() if not k.startswith("latent_discriminator")})
    with pytest.raises(RuntimeError, match="discriminator"):
        made(share=0.6).load_state_dict(now.state_dict())
