"""The GAN's settings: each named GAN trains, wrong pairings are refused with the reason, and a toy is learnt."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import aegan
from aegan.config import TrainConfig, from_json, override
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.losses import ADVERSARIAL, between
from aegan.losses.pairing import check_discriminator
from aegan.models.base import Model, in_blocks, noise_for
from aegan.models.gans.gan import GAN, GANConfig
from aegan.models.gans.penalty import PenaltyConfig, penalty_terms
from aegan.models.registry import build
from aegan.nn.constraints import spectrally_normalised
from aegan.nn.discriminator import Discriminator
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec
from tests.conftest import TINY, bars

IMAGES = Spec(kind="image", shape=(3, 8, 8), classes=("a", "b"))
FREE = {"r1": 0, "r2": 0}
VARIANTS: dict[str, dict[str, Any]] = {
    **{f"loss {name}": {"loss": name} for name in ADVERSARIAL},
    "wgan-gp": {"loss": "wasserstein", "penalty": FREE | {"unit": 10}, "discriminator_steps": 3},
    "sn-gan": {"loss": "hinge", "penalty": FREE, "spectral_norm": True},
    "clipped": {"loss": "wasserstein", "penalty": FREE, "clip": 0.01},
    "dragan": {"loss": "non-saturating", "penalty": FREE | {"dragan": 10}},
    "zero-centred between": {"penalty": FREE | {"between": 5}},
    "lecam": {"loss": "hinge", "penalty": FREE | {"lecam": 0.01}},
    "lazy": {"penalty": {"every": 4}},
    "auxiliary": {"condition": "auxiliary"},
    "packed": {"condition": "none", "pack": 2},
    "stddev": {"stddev": True},
    "instance noise": {"instance_noise": 0.2, "instance_noise_steps": 3},
    "smoothed": {"loss": "non-saturating", "label_smoothing": 0.1},
    "diff": {"augmentation": "diff"},
    "ada": {"augmentation": "ada", "ada_images": 100},
    "plain": {"network": "plain"},
    "r3gan": {"network": "r3gan"},
    "dcgan": {"network": "dcgan", "loss": "non-saturating", "penalty": FREE},
    "clamped": {"jacobian_weight": 0.1},
    "path length": {"path_weight": 2.0, "path_every": 2},
    "falling": {"penalty": {"final": 0.01, "between": 1}},
    "signs": {"signs": 2},
}


def train(settings: dict[str, Any], spec: Spec, data: TensorData, steps: int) -> Model:
    torch.manual_seed(0)
    model = build("gan", spec, TINY["gan"] | settings)
    Trainer(model, data, TrainConfig(steps=steps, grids=0), Backend("cpu", "fp32")).fit()
    return model.eval()


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_trains_and_samples(name: str) -> None:
    x = torch.randint(0, 256, (32, *IMAGES.shape), dtype=torch.uint8)
    before = build("gan", IMAGES, TINY["gan"] | VARIANTS[name])
    model = train(VARIANTS[name], IMAGES, TensorData(x=x, y=torch.arange(32) % 2), 6)
    made = in_blocks(model.generate, noise_for(0, 4, model.noise_dim), torch.tensor([0, 1, 0, 1]))
    assert made.shape == (4, *IMAGES.shape) and bool(torch.isfinite(made).all())
    assert any(not torch.equal(p, q) for p, q in zip(before.parameters(), model.parameters(), strict=True))


PENALTIES = ("r1", "r2", "unit", "between", "dragan", "lecam")


def published() -> dict[str, str]:
    """Names and settings of the table in the documentation."""
    text = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")
    rows = text.split("| published as | paper | settings |")[1].split("\n\n")[0].splitlines()[2:]
    return {cells[1].strip(): cells[3].strip(" `") for cells in (row.split("|") for row in rows)}


@pytest.mark.parametrize("name", published())
def test_published_gans_of_the_documentation_are_settings(name: str) -> None:
    settings = dict(part.split("=", 1) for part in published()[name].split())
    config = override(from_json(GANConfig, TINY["gan"]), settings)
    torch.manual_seed(0)
    model = GAN(Spec(kind="image", shape=(3, 16, 16), classes=("a", "b")), config)
    batch, terms = {"x": torch.rand(16, 3, 16, 16), "y": torch.arange(16) % 2}, {}
    for phase in ("discriminator", "generator"):
        terms |= model.loss(phase, batch)
    assert all(bool(term.value.isfinite()) for term in terms.values())
    for key in PENALTIES:
        assert (key in terms) == bool(getattr(config.penalty, key))
    assert ("path-length" in terms) == ("path_weight" in settings)
    assert ("jacobian" in terms) == ("jacobian_weight" in settings)
    assert ("class" in terms) == (settings.get("condition") == "auxiliary")


def test_the_documentation_has_every_loss_and_penalty() -> None:
    given = {word for settings in published().values() for word in settings.split()}
    assert {word.removeprefix("loss=") for word in given if word.startswith("loss=")} == ADVERSARIAL.keys()
    names = {word.split("=")[0] for word in given if not word.endswith("=0")}
    assert {f"penalty.{key}" for key in PENALTIES} <= names


def test_the_generators_phase_leaves_power_iterations_alone() -> None:
    model = build("gan", IMAGES, TINY["gan"] | VARIANTS["sn-gan"])
    before = {k: v.clone() for k, v in model.named_buffers()}
    model.loss("generator", {"x": torch.rand(16, *IMAGES.shape), "y": torch.arange(16) % 2})
    assert all(torch.equal(v, before[k]) for k, v in model.named_buffers())


def test_batch_norm_does_not_go_with_a_gradient_penalty() -> None:
    with pytest.raises(ConfigError, match="BatchNorm2d in the discriminator"):
        build("gan", Spec(kind="image", shape=(1, 16, 16)), TINY["gan"] | {"network": "dcgan"})


def test_batch_norm_learns_statistics_in_its_own_phase_alone() -> None:
    images = Spec(kind="image", shape=(3, 16, 16), classes=("a", "b"))
    model = build("gan", images, TINY["gan"] | VARIANTS["dcgan"])
    for phase, own in (("generator", "generator."), ("discriminator", ("discriminator.", "state."))):
        before = {k: v.clone() for k, v in model.named_buffers()}
        model.loss(phase, {"x": torch.rand(16, *images.shape), "y": torch.arange(16) % 2})
        moved = {k for k, v in model.named_buffers() if not torch.equal(v, before[k])}
        assert moved and all(k.startswith(own) for k in moved)


def test_spectral_norm_bounds_every_layer() -> None:
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Linear(6, 9), nn.Linear(9, 4))
    with torch.no_grad():
        layer[0].weight.mul_(7.0)
        layer[1].weight.zero_()
    spectrally_normalised(layer)
    for _ in range(50):
        layer(torch.randn(2, 6))
    for part in layer:
        assert torch.linalg.matrix_norm(part.weight, 2).item() == pytest.approx(1.0, rel=1e-3)


def test_spectral_norm_bounds_the_classes_embedding() -> None:
    """With as many steps of power iteration as it takes, no class can be judged more steeply than another is."""
    torch.manual_seed(0)
    spec = Spec(kind="vector", shape=(3,), classes=("a", "b", "c"))
    judge = build("gan", spec, TINY["gan"] | VARIANTS["sn-gan"]).get_submodule("discriminator")
    embedding = judge.get_submodule("embedding")
    with torch.no_grad():
        embedding.get_parameter("parametrizations.weight.original").mul_(30.0)
    for _ in range(50):
        judge(torch.randn(4, 3), torch.tensor([0, 1, 2, 0]))
    assert torch.linalg.matrix_norm(embedding(torch.arange(3)), 2).item() == pytest.approx(1.0, rel=1e-2)


def test_a_spectrally_normalised_gan_of_before_loads_with_its_free_embedding() -> None:
    torch.manual_seed(0)
    model, weight = build("gan", IMAGES, TINY["gan"] | VARIANTS["sn-gan"]).eval(), torch.randn(2, 32)
    name = "discriminator.embedding."
    saved = {k: v for k, v in model.state_dict().items() if not k.startswith(name)} | {f"{name}weight": weight}
    for again in (copy.deepcopy(model), build("gan", IMAGES, TINY["gan"] | VARIANTS["sn-gan"]).eval()):
        again.load_state_dict(saved)
        assert torch.equal(again.get_submodule("discriminator.embedding")(torch.arange(2)), weight)
        assert again.state_dict().keys() == saved.keys()
        assert all(torch.equal(v, saved[k]) for k, v in again.state_dict().items())


def test_packing_shows_samples_together() -> None:
    seen = []

    class Trunk(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return x.flatten(1)

    x = torch.arange(8.0).reshape(4, 2)
    assert Discriminator(Trunk(), 4, 0, hidden=3, pack=2)(x, None).shape == (2,)
    assert torch.equal(seen[0], torch.tensor([[0.0, 1, 2, 3], [4, 5, 6, 7]]))


@pytest.mark.parametrize("pack", [1, 2, 4])
def test_penalties_take_a_pack_for_one_point(pack: int) -> None:
    """A linear critic of packs has one slope everywhere; its norm is chosen to be 3."""
    torch.manual_seed(0)
    slope = torch.randn(5 * pack)
    slope *= 3.0 / slope.norm()
    judge = lambda x: x.reshape(-1, 5 * pack) @ slope  # noqa: E731
    real, fake = torch.randn(8, 5, requires_grad=True), torch.randn(8, 5, requires_grad=True)
    settings = PenaltyConfig(r1=1, r2=1, unit=1, between=1, dragan=1)
    terms = penalty_terms(settings, judge, real, fake, judge(torch.cat([real, fake])), progress=0.0)
    values = {name: term.value.item() for name, term in terms.items()}
    assert values == pytest.approx({"r1": 4.5, "r2": 4.5, "unit": 4.0, "between": 4.5, "dragan": 4.0}, rel=1e-5)
    alone = penalty_terms(PenaltyConfig(r2=0), judge, real, fake, judge(torch.cat([real, fake])), progress=0.0)
    assert alone["r1"].value.item() == pytest.approx(4.5, rel=1e-5)
    at = between(torch.zeros(8, 5), torch.ones(8, 5), pack=pack).reshape(8 // pack, -1)
    assert bool((at == at[:, :1]).all()) and len(at[:, 0].unique()) == 8 // pack


def test_the_stddev_feature_sees_a_collapse() -> None:
    torch.manual_seed(0)
    judge = Discriminator(nn.Flatten(), 3, 0, hidden=8, stddev=True)
    sample = torch.randn(1, 3)
    varied = sample + torch.tensor([[1.0], [-1.0], [1.0], [-1.0], [0.0]]) * torch.ones(5, 3)
    assert not torch.isclose(judge(sample.expand(5, 3), None)[0], judge(varied, None)[4])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "hinje"}, "Did you mean 'hinge'"),
        ({"loss": "wasserstein", "penalty": FREE}, "no lower bound"),
        ({"loss": "hinge", "label_smoothing": 0.1}, "no labels in it to smooth"),
        ({"network": "deep"}, "network"),
        ({"pack": 2}, "samples of several classes"),
        ({"pack": 3, "condition": "none"}, "no multiple"),
        ({"penalty": {"r1": -1}}, "penalty.r1"),
        ({"penalty": {"every": 0}}, "penalty.every"),
        ({"label_smoothing": 0.7, "loss": "minimax"}, "below 0.5"),
        ({"noise_dim": 0}, "noise_dim"),
        ({"condition": "wrong"}, "condition"),
        ({"penalty": {"final": 0}}, "penalty.final"),
        ({"penalty": {"final": 2}}, "penalty.final"),
        ({"signs": -1}, "signs"),
        ({"signs": 999}, "at most noise_dim"),
        ({"path_weight": -1}, "path_weight"),
        ({"path_every": 0}, "path_every"),
        ({"octaves": 3}, "residual networks of vectors"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build("gan", IMAGES, TINY["gan"] | settings)


@pytest.mark.parametrize("condition", ["projection", "auxiliary"])
def test_judging_real_and_fake_in_one_pass_changes_no_term(condition: str) -> None:
    torch.manual_seed(0)
    model = build("gan", IMAGES, TINY["gan"] | {"condition": condition})
    batch = {"x": torch.rand(6, *IMAGES.shape), "y": torch.arange(6) % 2}
    found = []
    for model.separately in (False, True):
        torch.manual_seed(1)
        found.append({k: t.value.item() * t.weight for k, t in model.loss("discriminator", dict(batch)).items()})
    assert found[0].keys() == found[1].keys() >= {"adversarial", "r1", "r2"}
    assert all(found[0][k] == pytest.approx(found[1][k], rel=1e-5) for k in found[0])


def test_path_lengths_are_held_to_their_running_mean() -> None:
    torch.manual_seed(0)
    settings = TINY["gan"] | {"path_weight": 2.0, "path_every": 3, "discriminator_steps": 2, "noise_dim": 2}
    model = build("gan", Spec(kind="vector", shape=(4,)), settings)
    weight = torch.diag(torch.tensor([3.0, 3.0]))

    class Scaled(nn.Module):
        """The noise three times as large, twice over."""

        def forward(self, noise: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
            return torch.cat([noise @ weight, noise @ weight], 1)

    model.generator = Scaled()
    paths, found = model.get_submodule("paths"), []
    paths.mean.fill_(2.0)  # type: ignore[union-attr,operator]
    for model.stage_step in (0, 2, 4, 6):
        terms = model.loss("generator", {"x": torch.randn(4096, 4)})
        found.append("path-length" in terms)
    # Every third of the generator's steps, which are every second one of the trainer's.
    assert found == [True, False, False, True]
    assert terms["path-length"].weight == 6.0
    # Jᵀy of y ~ N(0, I)/2 in four values is 3 (y1 + y3, y2 + y4): each of variance 9/2. Its length is Rayleigh's.
    scale = (9 / 2) ** 0.5
    length, square = scale * (math.pi / 2) ** 0.5, 2 * scale**2
    mean = 2.0 + 0.01 * (length - 2.0)
    assert terms["path-length"].value.item() == pytest.approx(square - 2 * mean * length + mean**2, rel=0.05)
    assert paths.mean.item() == pytest.approx(mean + 0.01 * (length - mean), rel=0.01)  # type: ignore[union-attr,operator]


def test_falling_penalties_keep_their_last_weight_for_the_second_half() -> None:
    settings = {"penalty": {"r1": 2.0, "r2": 1.0, "between": 3.0, "dragan": 5.0, "every": 1, "final": 0.01}}
    model = build("gan", Spec(kind="vector", shape=(2,)), TINY["gan"] | settings)
    weights = {}
    for model.stage_progress in (0.0, 0.25, 0.5, 0.9):
        terms = model.loss("discriminator", {"x": torch.randn(8, 2)})
        weights[model.stage_progress] = [terms[k].weight for k in ("r1", "r2", "between", "dragan")]
    assert weights[0.0] == [2.0, 1.0, 3.0, 5.0]
    assert weights[0.25] == pytest.approx([0.2, 0.1, 0.3, 5.0])
    assert weights[0.5] == weights[0.9] == pytest.approx([0.02, 0.01, 0.03, 5.0])


def test_the_trainer_tells_how_much_of_a_stage_is_over() -> None:
    seen = []
    model = build("gan", Spec(kind="vector", shape=(2,)), TINY["gan"])
    inner = model.loss
    model.loss = lambda phase, batch: seen.append(model.stage_progress) or inner(phase, batch)  # type: ignore[method-assign]
    Trainer(model, TensorData(x=torch.randn(32, 2)), TrainConfig(steps=4, grids=0), Backend("cpu", "fp32")).fit()
    assert seen == [0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75]


@pytest.mark.parametrize(
    ("loss", "level"),
    [("non-saturating", 0.0), ("hinge", 0.0), ("relativistic", -50.0), ("relativistic", 50.0)]
    + [("relativistic-average", -50.0), ("relativistic-average", 50.0)]
    + [("least-squares", 0.5), ("wasserstein", -50.0), ("wasserstein", 50.0)],
)
@pytest.mark.parametrize("apart", [1.0, 0.0])
def test_the_share_of_ada_follows_how_far_the_discriminator_is_ahead(loss: str, level: float, apart: float) -> None:
    torch.manual_seed(0)
    free = {"loss": loss, "penalty": FREE, "augmentation": "ada", "ada_images": 1000}
    free |= {"clip": 0.01} if loss == "wasserstein" else {}
    model = build("gan", IMAGES, TINY["gan"] | free)
    share = model.get_buffer("state.ada.p").fill_(0.4)
    # Logits without a level of their own, from data that the discriminator can tell apart or cannot.
    model._judge = lambda x, y: (level + x.flatten(1).mean(1), x.new_empty(0))  # type: ignore[assignment]
    model.generate = lambda noise, y: torch.randn(len(noise), *IMAGES.shape) - apart  # type: ignore[method-assign]
    for _ in range(8):
        model.loss("discriminator", {"x": torch.randn(16, *IMAGES.shape) + apart, "y": torch.arange(16) % 2})
    assert share.item() == pytest.approx(0.4 + (1 if apart else -1) * 8 * 16 / 1000)


@pytest.mark.parametrize("loss", ["relativistic", "relativistic-average"])
def test_lecam_is_refused_with_losses_whose_logits_have_no_level(loss: str, tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=r"penalty\.lecam.*differences of logits.*loss=hinge"):
        settings = {"loss": loss, "penalty.lecam": "0.1", "condition": "none"}
        aegan.fit(bars(80)[0], out=tmp_path / "run", model="gan", steps=4, settings=settings, precision="fp32")
    assert not (tmp_path / "run").exists()
    # A run that was begun before is loaded and gone on with.
    x = TensorData(x=torch.randint(0, 256, (32, *IMAGES.shape), dtype=torch.uint8), y=torch.arange(32) % 2)
    train({"loss": loss, "penalty": {"lecam": 0.1}}, IMAGES, x, 2)


def test_image_augmentation_of_vectors_is_refused() -> None:
    with pytest.raises(ConfigError, match="instance_noise"):
        build("gan", Spec(kind="vector", shape=(2,)), TINY["gan"] | {"augmentation": "diff"})


@pytest.mark.parametrize(
    ("layers", "penalty", "message"),
    [
        ([nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)], True, "BatchNorm1d"),
        ([nn.Linear(2, 1), nn.Sigmoid()], False, "raw logits"),
        ([nn.Linear(2, 1), nn.Sigmoid(), nn.Flatten()], False, "ends in Sigmoid"),
        ([nn.Linear(2, 1), nn.Sequential(nn.LogSigmoid(), nn.Sequential()), nn.Identity()], False, "in LogSigmoid"),
    ],
)
def test_wrong_pairings_in_anyones_loop(layers: list[nn.Module], penalty: bool, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_discriminator(nn.Sequential(*layers), gradient_penalty=penalty)


def test_a_sigmoid_that_is_not_the_last_to_change_values_is_allowed() -> None:
    check_discriminator(nn.Sequential(nn.Sigmoid(), nn.Linear(2, 1), nn.Flatten()), gradient_penalty=False)


def test_batchnorm_without_a_gradient_penalty_is_allowed() -> None:
    layers = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    check_discriminator(layers, gradient_penalty=False)


def test_a_ring_of_eight_is_learnt_in_seconds() -> None:
    generator = torch.Generator().manual_seed(0)
    angle = torch.randint(0, 8, (4000,), generator=generator) * math.pi / 4
    x = torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(4000, 2, generator=generator)
    settings = {"noise_dim": 4, "width": 8, "blocks": 2, "batch_size": 256, "lr_generator": 2e-3}
    settings |= {"lr_discriminator": 2e-3, "penalty": {"r1": 0.1, "r2": 0.1}}
    model = train(settings, Spec(kind="vector", shape=(2,)), TensorData(x=x), 900)
    made = in_blocks(model.generate, noise_for(1, 2000, 4), None)
    centres = torch.stack([torch.arange(8) * math.pi / 4, torch.zeros(8)], 1)
    centres = torch.stack([centres[:, 0].cos(), centres[:, 0].sin()], 1)
    distance, mode = torch.cdist(made, centres).min(1)
    good = distance < 0.2
    assert len(mode[good].unique()) == 8
    assert good.float().mean() > 0.5


def test_a_gan_runs_end_to_end_and_says_that_it_cannot_encode(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("aegan.evaluation._AUTOENCODER_STEPS", 5)
    pixels, _ = bars(80)
    settings = {"noise_dim": "8", "width": "8", "blocks": "1", "batch_size": "16"}
    model = aegan.fit(pixels, out=tmp_path / "run", model="gan", steps=4, settings=settings)
    assert (tmp_path / "run" / "report.html").exists() and (tmp_path / "run" / "metrics.json").exists()
    assert not (tmp_path / "run" / "samples" / "reconstructions.png").exists()
    with pytest.raises(ConfigError, match="Use an autoencoder or a hybrid"):
        model.encode(pixels)
