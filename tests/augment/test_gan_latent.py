"""``gan`` with ``augmentation=latent``: both forms, other data, exact resume, settings out of range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import TINY, TINY_AUTOENCODER, bars
from tests.contract.test_runs import _Kill, _KillAt

from aegan.augment.adaptive import AdaptiveAugment
from aegan.augment.latent.training import LatentAugment
from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.errors import ConfigError, DataError
from aegan.models.base import Model, in_blocks, noise_for
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.probe import Probe
from aegan.train.trainer import Trainer
from aegan.types import Spec

IMAGES = Spec(kind="image", shape=(1, 8, 8), classes=("across", "down"))
LATENT = TINY["gan"] | {"augmentation": "latent", "ada_images": 64, "latent": {"autoencoder": TINY_AUTOENCODER}}


def settings(**own: Any) -> dict[str, Any]:
    return LATENT | {"latent": LATENT["latent"] | own}


def data(spec: Spec = IMAGES) -> TensorData:
    if spec.kind == "vector":
        return TensorData(x=torch.randn(32, *spec.shape, generator=torch.Generator().manual_seed(0)))
    pixels, labels = bars(32)
    return TensorData(x=torch.from_numpy(pixels)[:, None], y=torch.from_numpy(labels))


def train(
    own: dict[str, Any], spec: Spec = IMAGES, steps: int = 20, folder: Path | None = None, *probes: Probe, **fit: Any
) -> Model:
    torch.manual_seed(0)
    model = build("gan", spec, own)
    config = TrainConfig(steps=steps, grids=0, checkpoint_every=1e-9)
    if folder is not None:
        folder.mkdir(exist_ok=True)
    Trainer(model, data(spec), config, Backend("cpu", "fp32"), folder=folder, probes=probes).fit(**fit)
    return model.eval()


@pytest.mark.parametrize(
    ("own", "spec"),
    [
        (settings(on="both"), IMAGES),
        (settings() | {"loss": "hinge"}, IMAGES),
        (settings() | {"condition": "none"}, IMAGES),
        (settings(autoencoder=TINY_AUTOENCODER | {"model": "variational"}), Spec(kind="vector", shape=(9,))),
    ],
)
def test_it_trains_samples_and_has_the_autoencoders_codes(own: dict[str, Any], spec: Spec) -> None:
    model = train(own, spec)
    made = in_blocks(model.generate, noise_for(0, 4, model.noise_dim), torch.arange(4) % 2 if spec.classes else None)
    assert made.shape == (4, *spec.shape) and bool(torch.isfinite(made).all())
    x = data(spec).batch(torch.arange(4))["x"]
    assert model.code_dim == 8 and model.decode(model.encode(x)).shape == x.shape
    latent = model.get_submodule("state.latent")
    factor, size = latent.get_buffer("factor"), latent.get_buffer("size")
    assert bool((factor.abs().sum((1, 2)) > 0).all()) and float(size) > 0 and int(latent.get_buffer("measured")) > 0


FAR = TensorData(x=6 + 0.3 * torch.randn(32, 9, generator=torch.Generator().manual_seed(0)))
"""So far from what an untrained generator makes that a discriminator separates them at once."""
HASTY = {"ada_images": 200.0, "lr_generator": 1e-5, "lr_discriminator": 1e-2}


def separated(own: dict[str, Any], spec: Spec, samples: TensorData) -> tuple[Model, list[float]]:
    """A model trained for a few steps, and the share of augmented samples whenever some were shown."""
    torch.manual_seed(0)
    model = build("gan", spec, own | HASTY)
    augment = model.get_submodule(f"state.{own['augmentation']}")
    assert isinstance(augment, (AdaptiveAugment, LatentAugment))
    seen: list[float] = []
    augment.register_forward_pre_hook(lambda module, x: seen.append(float(augment.p)))
    Trainer(model, samples, TrainConfig(steps=32, grids=0), Backend("cpu", "fp32")).fit()
    return model, [*seen, float(augment.p)]


@pytest.mark.parametrize("loss", ["relativistic", "hinge"])
@pytest.mark.parametrize(("on", "leak"), [("both", 0.25), ("real", 1.0)])
def test_the_share_rises_while_the_discriminator_is_ahead(
    loss: str, on: str, leak: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[int] = []
    move = LatentAugment.moved

    def counted(self: LatentAugment, x: torch.Tensor, *args: Any) -> torch.Tensor:
        moved.append(len(x))
        return move(self, x, *args)

    monkeypatch.setattr(LatentAugment, "moved", counted)
    own = settings(on=on, leak=leak, most=0.4) | {"loss": loss}
    model, shares = separated(own, Spec(kind="vector", shape=(9,)), FAR)
    assert shares[0] == 0.0 and max(shares) == pytest.approx(0.4) and shares[-1] > 0  # 0.4 at most
    assert len(set(shares)) > 2 and sum(moved) > 16  # so many were augmented, none only to measure a leak
    assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())


def test_a_leak_holds_the_share_down_however_far_the_discriminator_is_ahead() -> None:
    model, shares = separated(settings(on="real"), Spec(kind="vector", shape=(9,)), FAR)
    latent = model.get_submodule("state.latent")
    assert isinstance(latent, LatentAugment) and latent.leak > latent.limit and set(shares) == {0.0}


@pytest.mark.parametrize("loss", ["relativistic", "hinge"])
def test_the_chance_of_adaptive_transforms_rises_in_training(loss: str) -> None:
    _, shares = separated(TINY["gan"] | {"augmentation": "ada", "loss": loss}, IMAGES, data())
    assert shares[0] == 0.0 and max(shares) == pytest.approx(0.8) and shares[-1] > 0
    assert len(set(shares)) > 2  # step by step, and images were shown with it above 0


def test_an_interrupted_run_ends_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    whole = train(LATENT, steps=16, folder=tmp_path / "whole")
    with pytest.raises(_Kill):
        train(LATENT, IMAGES, 16, tmp_path / "killed", _KillAt(11))
    resumed = train(LATENT, steps=16, folder=tmp_path / "killed", resume=True).state_dict()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.state_dict().items())


def test_without_it_a_gan_is_what_it_was() -> None:
    model = build("gan", IMAGES, TINY["gan"])
    assert not any("latent" in name or "autoencoder" in name for name in model.state_dict())
    assert [stage.name for stage in model.stages] == ["adversarial"] and model.code_dim == 0


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"strength": 1.5}, r"latent\.strength: a number from 0 to 1"),
        ({"most": 1.0}, r"latent\.most: above 0 and below 1"),
        ({"leak": -0.1}, r"latent\.leak: a number from 0 to 1"),
        ({"on": "fakes"}, "on"),
        ({"autoencoder_share": 1.0}, r"latent\.autoencoder_share: between 0 and 1"),
    ],
)
def test_settings_out_of_range_are_refused(own: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build("gan", IMAGES, settings(**own))


def test_classes_of_one_sample_alone_are_refused_when_their_turn_comes() -> None:
    torch.manual_seed(0)
    model = build("gan", IMAGES, LATENT)
    few = data().subset(torch.arange(2))
    with pytest.raises(DataError, match="every class has one sample"):
        model.prepare("adversarial", few, lambda part: torch.randn(len(part), 8))
