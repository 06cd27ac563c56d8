"""The family of autoencoders as a whole: bad settings, every member within latent-gan, a code that is no code."""

from __future__ import annotations

import typing
from typing import Any

import pytest
import torch
from tests.conftest import TINY

from aegan.config import TrainConfig, from_json, override, to_json
from aegan.data.base import TensorData
from aegan.errors import AeganWarning, ConfigError
from aegan.models.autoencoders.family import AnyAutoencoder, autoencoder_of
from aegan.models.hybrids.latent_gan import LatentGAN, LatentGANConfig
from aegan.models.registry import MODELS, build
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec

FAMILY = [name for name, entry in MODELS.items() if entry.family == "autoencoder" and "vector" in entry.kinds]
VECTOR = Spec(kind="vector", shape=(9,))


def config_of(name: str, **settings: Any) -> Any:
    return from_json(MODELS[name].load().Config, settings, where=name)


def latent_gan_with(name: str) -> LatentGANConfig:
    stages = {key: value for key, value in TINY["latent-gan"].items() if key != "autoencoder"}
    return from_json(LatentGANConfig, {**stages, "autoencoder": {"model": name, **TINY[name]}})


def test_the_registry_and_the_union_of_the_hybrids_name_the_same_members() -> None:
    assert {member.model for member in typing.get_args(AnyAutoencoder)} == {*FAMILY, "sequence"}


SHARED = [
    ("latent_dim", 0, "at least 1 expected, got 0"),
    ("width", 0, "at least 1"),
    ("blocks", -1, "at least 1"),
    ("batch_size", 0, "at least 1"),
    ("lr", 0.0, "above 0"),
    ("lr", float("inf"), "above 0"),
    ("feature_weight", -0.1, "at least 0"),
    ("class_weight", -1.0, "at least 0"),
    ("error", "sqared", "Did you mean 'squared'"),
    ("latent_dims", 8, "Did you mean 'latent_dim'"),
    ("latent_dim", "many", "a value of type int expected"),
]
OWN = [
    ("autoencoder", {"code_noise": -0.1}, "code_noise: a number of at least 0"),
    ("autoencoder", {"code_weight": float("inf")}, "code_weight: a number of at least 0"),
    ("denoising", {"corruption": "maskin"}, "Did you mean 'masking'"),
    ("denoising", {"amount": -0.1}, "amount: a number of at least 0"),
    ("denoising", {"corruption": "masking", "amount": 1.1}, "0 to 1, expected, got 1.1"),
    ("denoising", {"corruption": "salt-and-pepper", "amount": 2.0}, "0 to 1, expected, got 2.0"),
    ("sparse", {"penalty": "l2"}, "Known: l1, rate"),
    ("sparse", {"weight": -1.0}, "weight: a number of at least 0"),
    ("sparse", {"rate": 1.0}, "between 0 and 1"),
    ("wasserstein", {"kernel": "rbff"}, "Did you mean 'rbf'"),
    ("wasserstein", {"weight": -1.0}, "weight: a number of at least 0"),
    ("wasserstein", {"batch_size": 1}, "at least 2"),
]


@pytest.mark.parametrize("name", FAMILY)
def test_shared_settings_that_cannot_work_are_refused_by_every_member(name: str) -> None:
    for setting, value, message in SHARED:
        with pytest.raises(ConfigError, match=message):
            config_of(name, **{setting: value})


@pytest.mark.parametrize(("name", "settings", "message"), OWN)
def test_own_settings_that_cannot_work_are_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of(name, **settings)


def test_gaussian_noise_may_be_stronger_than_one() -> None:
    assert config_of("denoising", amount=2.0).amount == 2.0


def test_latent_gan_refuses_an_autoencoder_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'denoising'"):
        override(LatentGANConfig(), {"autoencoder.model": "denoisng"})
    with pytest.raises(ConfigError, match="unknown setting 'autoencoder.code_noise'"):
        override(LatentGANConfig(), {"autoencoder.model": "denoising", "autoencoder.code_noise": "0"})


def test_another_member_keeps_the_shared_settings_that_were_changed() -> None:
    changed = override(LatentGANConfig(), {"autoencoder.width": "7", "autoencoder.latent_dim": "5"})
    config = override(changed, {"autoencoder.amount": "0.5", "autoencoder.model": "denoising"}).autoencoder
    assert (config.model, config.width, config.latent_dim) == ("denoising", 7, 5)
    assert config.amount == 0.5  # type: ignore[union-attr]
    own = config_of("denoising")
    assert (config.lr, config.feature_weight) == (own.lr, own.feature_weight)


@pytest.mark.parametrize("name", FAMILY)
def test_latent_gan_with_every_member_survives_json(name: str) -> None:
    config = latent_gan_with(name)
    assert to_json(config)["autoencoder"]["model"] == name
    assert from_json(LatentGANConfig, to_json(config)) == config


@pytest.mark.parametrize("name", FAMILY)
def test_latent_gan_trains_with_every_member(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    data = TensorData(x=torch.randn(32, 9, generator=generator))
    torch.manual_seed(0)
    model = LatentGAN(VECTOR, latent_gan_with(name))
    assert type(model.autoencoder) is MODELS[name].load()
    Trainer(model, data, TrainConfig(steps=6, grids=0), Backend("cpu", "fp32")).fit()
    with torch.no_grad():
        samples = model.eval().generate(torch.randn(4, model.noise_dim, generator=generator), None)
    assert samples.shape == (4, 9) and bool(torch.isfinite(samples).all())


def test_a_plain_code_as_long_as_the_data_is_warned_of() -> None:
    with pytest.warns(AeganWarning, match="latent_dim=9 for 9 input values: nothing is compressed"):
        build("autoencoder", VECTOR, {**TINY["autoencoder"], "latent_dim": 9})
    with pytest.warns(AeganWarning, match="Use a smaller latent_dim"):
        autoencoder_of(VECTOR, config_of("autoencoder", **{**TINY["autoencoder"], "latent_dim": 12}))
    # One value less, or another way of not copying: nothing to say (warnings are errors here).
    build("autoencoder", VECTOR, {**TINY["autoencoder"], "latent_dim": 8})
    for name in ("denoising", "sparse", "contractive"):
        build(name, VECTOR, {**TINY[name], "latent_dim": 12})


def test_a_hybrids_own_defaults_of_its_autoencoder_survive_settings_for_other_fields() -> None:
    spec = Spec(kind="vector", shape=(40,))
    kept = build("adversarial-autoencoder", spec, {"autoencoder": {"width": 4}}).config.autoencoder
    assert (kept.width, kept.latent_dim, kept.code_noise) == (4, 16, 0.0)
    other = build("adversarial-autoencoder", spec, {"autoencoder": {"model": "sparse", "width": 4}}).config.autoencoder
    assert (other.model, other.width, other.latent_dim) == ("sparse", 4, 256)
