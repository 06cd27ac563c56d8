"""The checks that a discriminator and the run's own classifier make, and samples that a GAN makes of a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import TINY, TINY_SET, bars

import aegan
from aegan.augment.latent import operations
from aegan.augment.latent.operations import generate
from aegan.augmentation import checking
from aegan.augmentation.engine import Augmenter, Labels, Settings
from aegan.augmentation.estimators import augmenter
from aegan.augmentation.movers import CodeMover
from aegan.augmentation.space import Space
from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.errors import ConfigError, DataError
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec

SPEC = Spec(kind="image", shape=(1, 8, 8), classes=("0", "1"))
EVERYTHING = torch.arange(48)


@pytest.fixture(scope="module")
def source() -> tuple[np.ndarray, np.ndarray]:
    return bars(48)


@pytest.fixture(scope="module")
def run(source: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> aegan.Estimator:
    """A GAN of codes that is told the classes, evaluated, so that a classifier lies beside it."""
    out = tmp_path_factory.mktemp("runs") / "judged"
    options = {"precision": "fp32", "doctor": False, "holdout": 0.0}
    return aegan.fit(source, out=out, model="latent-gan", steps=150, settings=TINY_SET, **options)


# --- the discriminator ---------------------------------------------------------------------------------------


def test_the_discriminator_drops_noise_and_keeps_what_was_not_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, y = bars(64)
    data, labels = TensorData(x=torch.from_numpy(pixels)[:, None], y=torch.from_numpy(y)), torch.from_numpy(y)
    torch.manual_seed(0)
    network = build("warm-start-gan", SPEC, TINY["warm-start-gan"] | {"lr_discriminator": 5e-3, "lr_generator": 3e-3})
    Trainer(network, data, TrainConfig(steps=150, grids=0), Backend("cpu", "fp32")).fit()
    space = Space(network.eval().requires_grad_(False), SPEC, name="warm-start-gan")
    settings = Settings(checks="judge", operations="gaussian", num=64)
    made_by = Augmenter(space, data, settings, Labels(y=labels, names=SPEC.classes))
    assert made_by.checks.names == ("judge",)
    noise = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert made_by.checks.failed(noise, torch.arange(64))["judge"].float().mean() > 0.8
    unmoved = space.decode(space.encode(data))
    assert made_by.checks.failed(unmoved, torch.arange(64))["judge"].float().mean() < 0.05

    def spoilt(self: CodeMover, rows: torch.Tensor, size: float, generator: torch.Generator) -> torch.Tensor:
        return torch.where((rows < 8)[:, None, None, None], noise[rows], unmoved[rows])

    monkeypatch.setattr(CodeMover, "moved", spoilt)
    made = made_by.make()
    assert 5 < made.report["dropped"]["judge"] < 20 and made.report["drawn"] > 64
    assert len(made.source) == 64 and not bool(made_by.checks.failed(made.x, made.source)["judge"].any())


# --- the run's classifier ------------------------------------------------------------------------------------


def test_the_class_is_told_by_the_classifier_that_came_with_the_run(
    run: aegan.Estimator, source: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def vote(*args: object, **options: object) -> torch.Tensor:
        raise AssertionError("neighbours voted, though the run has a classifier")

    monkeypatch.setattr(checking, "nearest_labels", vote)
    assert (run.run.path / "features.safetensors").exists()
    made_by = augmenter(run, source, Settings(checks="class", operations="gaussian"))
    x = run.adapter.to_tensors(source).batch(EVERYTHING)["x"]
    assert made_by.checks.failed(x[EVERYTHING ^ 1], EVERYTHING)["class"].float().mean() > 0.9
    assert made_by.checks.failed(x, EVERYTHING)["class"].float().mean() == 0
    assert len(run.augment(source, num=12)) == 12


def test_samples_of_sources_whose_class_it_does_not_know_are_kept(
    run: aegan.Estimator, source: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = source
    swapped = augmenter(run, (x, 1 - y), Settings(checks="class", operations="gaussian"))
    real = run.adapter.to_tensors(source).batch(EVERYTHING)["x"]
    # Told 1 where the source says 0: it was wrong about the source, so it may not judge what is made of it.
    assert not bool(swapped.checks.failed(real, EVERYTHING)["class"].any())


def test_without_a_classifier_the_nearest_codes_vote(
    run: aegan.Estimator, source: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    voted: list[int] = []
    vote = checking.nearest_labels

    def counted(query: torch.Tensor, *args: torch.Tensor | int, **options: bool) -> torch.Tensor:
        voted.append(len(query))
        return vote(query, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(checking, "nearest_labels", counted)
    monkeypatch.setattr(type(run.kind), "classifier", lambda self, estimator: None)
    augmenter(run, source, Settings(checks="class", operations="gaussian"))
    assert voted == [48]


def test_of_many_samples_a_part_votes_and_is_measured_to(
    run: aegan.Estimator, source: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    apart = checking.separations

    def counted(a: torch.Tensor, b: torch.Tensor, **options: bool) -> torch.Tensor:
        sizes.append(len(b))
        return apart(a, b, **options)

    monkeypatch.setattr(checking, "SEEN_AT_MOST", 20)
    monkeypatch.setattr(checking, "separations", counted)
    monkeypatch.setattr(operations, "separations", counted)
    monkeypatch.setattr(type(run.kind), "classifier", lambda self, estimator: None)
    made_by = augmenter(run, source, Settings(checks=("class", "distance"), operations="gaussian"))
    x = run.adapter.to_tensors(source).batch(EVERYTHING)["x"]
    failed = made_by.checks.failed(x[EVERYTHING ^ 1], EVERYTHING)
    assert max(sizes) == 20 and failed["class"].float().mean() > 0.5
    assert made_by.checks.failed(x, EVERYTHING)["class"].float().mean() == 0


# --- samples of the GAN --------------------------------------------------------------------------------------


def test_samples_go_towards_what_the_gan_makes_of_their_class(
    run: aegan.Estimator, source: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    space = Space.of(run)
    noise = torch.randn(200, run.model.noise_dim, generator=torch.Generator().manual_seed(0))
    of_class = [space.sample_codes(noise, torch.full((200,), c)) for c in (0, 1)]
    assert float((of_class[0] - of_class[1]).square().mean()) > 1e-3  # the generator heeds what it is told
    asked: list[torch.Tensor] = []
    sample_codes = Space.sample_codes

    def told(self: Space, noise: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        assert y is not None
        asked.append(y)
        return sample_codes(self, noise, y)

    monkeypatch.setattr(Space, "sample_codes", told)
    ones = (source[0], np.ones(48, dtype=np.int64))
    made = run.augment(ones, num=30, operations="generate", checks=[], strength=0.4)
    assert {int(label) for part in asked for label in part} == {1} and set(made.labels or []) == {"1"}
    both = run.augment(source, num=60, operations="generate", checks=[], strength=0.4)
    assert both.labels == [str(source[1][i]) for i in both.source] and set(both.operation) == {"generate"}
    assert both.strength.mean() == pytest.approx(0.4, rel=0.25) and bool(torch.isfinite(both.x).all())


def test_moves_towards_generated_codes_end_at_the_nearest_candidate_at_most(
    run: aegan.Estimator, source: tuple[np.ndarray, np.ndarray]
) -> None:
    made_by = augmenter(run, source, Settings(operations="generate", checks=()))
    mover = made_by.movers["generate"]
    assert isinstance(mover, CodeMover)
    z, drawn = mover.codes.z, torch.zeros(4 * 6, run.model.code_dim)
    drawn[2 * 6 : 3 * 6] = z[:6] + 0.1  # the third candidate of each is the nearest
    drawn[:6], drawn[6:12], drawn[18:] = z[:6] + 3, z[:6] - 2, z[:6] + 5
    codes = type(mover.codes)(z, torch.zeros(48, dtype=torch.int64), mover.codes.near, generated=lambda r, g: drawn)
    move = generate(codes, torch.arange(6), torch.Generator().manual_seed(0))
    torch.testing.assert_close(move.applied(z[:6], 1e9), z[:6] + 0.1)


def test_generated_samples_need_the_classes_that_the_gan_is_told(
    run: aegan.Estimator, source: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="'latent-gan' samples by class, but the source carries no labels"):
        run.augment(source[0], operations="generate")
    options = {"precision": "fp32", "doctor": False, "evaluate": False}
    plain = aegan.fit(source[0], out=tmp_path / "run", model="latent-gan", steps=9, settings=TINY_SET, **options)
    assert not plain.model.conditional
    made = plain.augment(source[0], operations="generate", checks=[], num=5)  # it was fitted without labels
    assert len(made) == 5 and made.labels is None
    with pytest.raises(ConfigError, match="'latent-gan' is not told the classes.* or leave the labels out"):
        plain.augment(source, operations="generate", checks=[], num=5)  # which are the source's to keep
