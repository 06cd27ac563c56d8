"""``Estimator.augment`` and the command on real files, with bad input; the dataset, the transform, every model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tests.conftest import OF_TABLES, TABLE, TINY, VARIANTS, bars, rows

import aegan
from aegan.augment.latent.checks import Checks
from aegan.augmentation.engine import Augmenter, Labels, Settings
from aegan.augmentation.movers import NAMES
from aegan.augmentation.space import Space
from aegan.augmentation.torch_data import AugmentedDataset, LatentTransform
from aegan.cli.main import main
from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.data.write import write_images
from aegan.errors import AeganWarning, ConfigError, DataError
from aegan.models.registry import MODELS, build
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec

SPEC = Spec(kind="image", shape=(1, 8, 8), classes=("0", "1"))
TINY_AE = {"latent_dim": "8", "width": "8", "batch_size": "16"}
QUICK = {"evaluate": False, "doctor": False, "holdout": 0.0}


@pytest.fixture(scope="module")
def images() -> tuple[np.ndarray, np.ndarray]:
    return bars(48)


@pytest.fixture(scope="module")
def run(images: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> aegan.Estimator:
    out = tmp_path_factory.mktemp("runs") / "images"
    return aegan.fit(images, out=out, model="autoencoder", steps=60, settings=TINY_AE, **QUICK)


def people(n: int = 60) -> pd.DataFrame:
    """Ages that tell the job, a town, and few of one kind."""
    rng = np.random.default_rng(0)
    kind = np.where(np.arange(n) < n - 8, "many", "few")
    age = np.where(kind == "few", rng.integers(60, 70, n), rng.integers(20, 40, n))
    town = np.where(rng.random(n) < 0.3, None, rng.choice(["Rome", "Oslo", "Bern"], n))
    return pd.DataFrame({"age": age, "town": town, "pay": age * 100 + rng.integers(0, 50, n), "kind": kind})


@pytest.fixture(scope="module")
def table_run(tmp_path_factory: pytest.TempPathFactory) -> aegan.Estimator:
    out = tmp_path_factory.mktemp("runs") / "table"
    # 80 steps are too few to learn from the copula's rows besides.
    settings = {
        "hidden": "16",
        "embedding": "4",
        "layers": "1",
        "code_share": "0.4",
        "prior_rows": "0",
        "batch_size": "32",
    }
    return aegan.fit(people(), out=out, steps=80, settings=settings, target=None, **QUICK)


# --- images --------------------------------------------------------------------------------------------------


def test_strength_is_what_was_asked_for_and_zero_is_the_reconstruction(
    run: aegan.Estimator, images: tuple[np.ndarray, np.ndarray]
) -> None:
    still = run.augment(images, strength=0.0, checks=[])
    assert sorted(still.source) == list(range(48)) and bool((still.strength == 0).all())
    order = torch.from_numpy(still.source)
    # Matrix products round by their place in a block.
    assert torch.allclose(still.x, run.reconstruct_tensors(run.adapter.to_tensors(images))[order], atol=1e-5)
    for strength in (0.3, 1.0):
        made = run.augment(images, num=200, strength=strength, operations="gaussian", checks=[])
        assert made.strength.mean() == pytest.approx(strength, rel=0.2)
    assert made.data.shape == (200, 8, 8) and made.data.dtype == np.uint8
    assert made.labels == [str(images[1][i]) for i in made.source]


@pytest.mark.parametrize("operation", ["gaussian", "extrapolate", "tangent"])
def test_strength_means_the_same_on_data_of_another_scale_spread_and_dimension(operation: str) -> None:
    reached = []
    for scale, size, n in ((1.0, 6, 80), (30.0, 12, 200)):
        generator = torch.Generator().manual_seed(size)
        basis = torch.randn(2, size, generator=generator)
        x = scale * (torch.randn(n, 2, generator=generator) ** 3 @ basis)
        spec = Spec(kind="vector", shape=(size,))
        torch.manual_seed(0)
        network = build("autoencoder", spec, {"latent_dim": 3, "width": 4, "batch_size": 32, "lr": 1e-3 * scale**0.5})
        Trainer(network, TensorData(x=x), TrainConfig(steps=60, grids=0), Backend("cpu", "fp32")).fit()
        space = Space(network.eval(), spec, name="autoencoder")
        settings = Settings(num=400, strength=0.4, operations=operation, checks=())
        made = Augmenter(space, TensorData(x=x), settings).make()
        reached.append(float(made.reached.mean()))
        moved = space.apart(made.x, space.decode(space.encode(TensorData(x=x)))[made.source])
        assert float(moved.mean() / made.reached.mean()) == pytest.approx(made.report["operations"][operation]["unit"])
    assert reached == pytest.approx([0.4, 0.4], rel=0.2)


def test_the_same_seed_makes_the_same_and_another_others(
    run: aegan.Estimator, images: tuple[np.ndarray, np.ndarray]
) -> None:
    first, again, other = (run.augment(images, num=20, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.x, again.x) and first.operation == again.operation
    assert not torch.equal(first.x, other.x)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    run.augment(images, num=5)
    assert torch.equal(torch.rand(2), expected)


def test_a_folder_comes_out_ready_to_train_on_with_originals_and_a_manifest(
    run: aegan.Estimator, images: tuple[np.ndarray, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source = tmp_path / "source"
    write_images(torch.from_numpy(images[0])[:, None], source, labels=images[1], classes=["0", "1"])
    out = tmp_path / "more"
    command = ["augment", str(run.run.path), str(source), "--out", str(out), "--num", "30", "--originals"]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "30 of 30 augmented samples" in told and "dropped by reconstruction" in told
    manifest = json.loads((tmp_path / "more.manifest.json").read_text())
    samples = manifest["samples"]
    assert len(samples) == 78 == len(list(out.rglob("*.png")))
    assert [s["operation"] for s in samples[:48]] == ["original"] * 48 and manifest["originals"] == 48
    assert {s["operation"] for s in samples[48:]} == {"gaussian", "interpolate", "mix"}
    for i in (0, 40, 60):
        file = out / samples[i]["class"] / f"{i:05d}.png"
        assert file.exists()
    files = sorted(path.relative_to(source).as_posix() for path in source.rglob("*.png"))
    assert all(s["file"] == files[s["source"]] and s["file"].startswith(s["class"]) for s in samples)
    folder = run.adapter.to_tensors(source)
    kept = np.asarray(Image.open(out / samples[40]["class"] / "00040.png"))
    assert np.array_equal(kept, folder.fields["x"][40, 0].numpy())
    assert len(run.adapter.to_tensors(out)) == 78
    assert main(command) == 1 and "exists already" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


def test_small_classes_are_filled_and_no_sample_changes_class(run: aegan.Estimator) -> None:
    x, y = bars(60)
    few = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:6]])
    made = run.augment((x[few], y[few]), balance=True, originals=True)
    assert np.bincount([int(label) for label in made.labels or []]).tolist() == [30, 30]
    assert made.report["classes"] == {"0": 0, "1": 24}


def test_the_checks_drop_what_left_the_manifold_and_say_so(
    run: aegan.Estimator, images: tuple[np.ndarray, np.ndarray]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)
    data = run.adapter.to_tensors(images)
    settings = Settings(checks=("reconstruction", "distance", "class"), operations="gaussian")
    labels = Labels(y=data.labels, names=("0", "1"))  # type: ignore[arg-type]
    made = Augmenter(Space.of(run), data, settings, labels)
    strange = torch.from_numpy(noise)[:, None].float() / 127.5 - 1
    failed = made.checks.failed(strange, torch.arange(4))
    assert bool(failed["reconstruction"].all())
    real = data.batch(torch.arange(48))["x"]
    swapped = made.checks.failed(run.reconstruct_tensors(data)[torch.arange(48) ^ 1], torch.arange(48))
    assert swapped["class"].float().mean() > 0.8
    unmoved = made.checks.failed(run.reconstruct_tensors(data), torch.arange(48))
    assert all(failed.float().mean() < 0.1 for failed in unmoved.values()) and len(real) == 48


def test_what_the_checks_drop_is_drawn_again_and_a_shortfall_is_warned_of(
    run: aegan.Estimator, images: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def some(self: Checks, x: torch.Tensor, at: torch.Tensor) -> dict[str, torch.Tensor]:
        calls.append(len(at))
        return {"class": torch.arange(len(at)) % 2 == 0 if len(calls) < 4 else torch.zeros(len(at)).bool()}

    monkeypatch.setattr(Checks, "failed", some)
    monkeypatch.setattr(Checks, "names", ("class",))
    made = run.augment(images, num=10)
    assert len(made) == 10 and made.report["drawn"] > 10 and made.report["dropped"]["class"] > 0
    monkeypatch.setattr(Checks, "failed", lambda self, x, at: {"class": at < 40})
    with pytest.warns(AeganWarning, match=r"of 96 samples; the checks dropped the others in 6 tries \(class"):
        made = run.augment(images, num=96)
    assert 0 < len(made) < 96 and bool((made.source >= 40).all())


# --- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 1.2}, "strength: a number from 0"),
        ({"strength": -0.1}, "strength: a number from 0"),
        ({"strength": float("nan")}, "strength: a number from 0"),
        ({"strength": "much"}, "strength: a number from 0"),
        ({"num": 0}, "num: a whole number of at least 1"),
        ({"neighbours": 0}, "neighbours: a whole number of at least 1"),
        ({"operations": "guassian"}, "Did you mean 'gaussian'"),
        ({"operations": []}, "operations: at least one of"),
        ({"checks": "clas"}, "Did you mean 'class'"),
        ({"checks": "judge"}, "judge cannot be made here"),
        ({"operations": "generate"}, "generate: 'autoencoder' cannot sample"),
        ({"operations": "resample"}, "resample: 'autoencoder' cannot complete rows"),
        ({"label": "kind"}, "--label kind: for tables alone"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    run: aegan.Estimator, images: tuple[np.ndarray, np.ndarray], options: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run.augment(images, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--strength", "2"],
            "strength: a number from 0 (reconstruction) to 1 (as far as real neighbours)",
        ),
        (["--strength", "-0.1"], "got -0.1"),
        (["--strength", "nan"], "got nan"),
        (["--num", "0"], "num: a whole number of at least 1 expected, got 0"),
        (["--operation", "guassian"], "Did you mean 'gaussian'"),
        (["--check", "clas"], "Did you mean 'class'"),
    ],
)
def test_the_command_refuses_in_words_and_leaves_nothing(
    run: aegan.Estimator, options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    pixels, labels = bars(8)
    write_images(torch.from_numpy(pixels)[:, None], source, labels=labels, classes=["0", "1"])
    assert main(["augment", str(run.run.path), str(source), "--out", str(out), *options]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert message in told and "Traceback" not in told
    assert {path.name for path in tmp_path.iterdir()} == {"source"}


def test_a_source_of_another_kind_is_refused_by_that(
    run: aegan.Estimator, table_run: aegan.Estimator, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    people().to_csv(tmp_path / "people.csv", index=False)
    with pytest.raises(DataError, match="is a run of image data, but the source looks like table data"):
        run.augment(tmp_path / "people.csv")
    write_images(torch.zeros(3, 1, 8, 8), tmp_path / "pictures")
    with pytest.raises(DataError, match="is a run of table data, but the source looks like image data"):
        table_run.augment(tmp_path / "pictures")
    out = tmp_path / "out"
    assert main(["augment", str(run.run.path), str(tmp_path / "people.csv"), "--out", str(out)]) == 1
    assert "run of image data" in capsys.readouterr().err and not out.exists()


def test_labels_missing_where_they_are_needed_are_asked_for(
    run: aegan.Estimator, table_run: aegan.Estimator, images: tuple[np.ndarray, np.ndarray]
) -> None:
    with pytest.raises(DataError, match="balance: no labels: the source carries none"):
        run.augment(images[0], balance=True)
    with pytest.raises(DataError, match="balance: no labels: the source carries none"):
        table_run.augment(people(), balance=True)
    with pytest.raises(ConfigError, match=r"--label knd: no such column\. Did you mean 'kind'"):
        table_run.augment(people(), label="knd")
    frame = people()
    frame.loc[[3, 5], "kind"] = None
    with pytest.warns(AeganWarning), pytest.raises(DataError, match=r"no label in 2 of 60 rows, the first of them row"):
        table_run.augment(frame, label="kind")
    assert run.augment(images[0], num=4).labels is None


def test_labels_that_the_run_never_saw_are_refused_by_name(table_run: aegan.Estimator) -> None:
    frame = people()
    frame.loc[[3, 5], "kind"] = "none"
    with pytest.warns(AeganWarning), pytest.raises(DataError, match=r"'kind' has labels .* not have: none \(2 rows\)"):
        table_run.augment(frame, label="kind", balance=True)
    ages = people().assign(age=[20, 90] * 30)
    with pytest.raises(DataError, match=r"'age' has labels that the fitted table does not have: 90 \(30 rows\)"):
        table_run.augment(ages, label="age", num=5)
    towns = people().assign(town="Rome", pay=7)  # amounts of other columns may be anything
    assert set(table_run.augment(towns, label="town", num=5, checks=[]).labels or []) == {"Rome"}


def test_a_class_with_one_sample_is_made_do_with_or_refused(
    run: aegan.Estimator, images: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = images
    one = np.concatenate([np.flatnonzero(y == 0), [1]])
    made = run.augment((x[one], y[one]), balance=True, checks=[])
    assert set(made.operation) == {"gaussian"} and set(made.labels or []) == {"1"} and len(made) == 23
    with pytest.raises(DataError, match=r"class '1' has one sample, but interpolate would need another"):
        run.augment((x[one], y[one]), balance=True, operations="interpolate")
    with pytest.raises(DataError, match="every class has one sample"):
        run.augment((x[:2], y[:2]))
    with pytest.raises(DataError, match="one sample has no neighbour"):
        run.augment(x[:1])


def test_copies_give_no_distance_to_measure_by(run: aegan.Estimator) -> None:
    with pytest.raises(DataError, match="neighbours come out alike"):
        run.augment(np.repeat(bars(2)[0][:1], 4, axis=0))


# --- tables --------------------------------------------------------------------------------------------------


def test_rows_are_balanced_after_the_originals_cell_by_cell(table_run: aegan.Estimator, tmp_path: Path) -> None:
    source, out = tmp_path / "people.csv", tmp_path / "more.csv"
    people().to_csv(source, index=False)
    command = ["augment", str(table_run.run.path), str(source), "--label", "kind", "--balance", "--originals"]
    assert main([*command, "--out", str(out)]) == 0
    made = pd.read_csv(out)
    assert made[:60].equals(pd.read_csv(source)) and made.kind.value_counts().to_dict() == {"many": 52, "few": 52}
    manifest = json.loads((tmp_path / "more.csv.manifest.json").read_text())
    assert [s["class"] for s in manifest["samples"]] == made.kind.tolist()
    assert {s["operation"] for s in manifest["samples"][60:]} == {"resample"}


def test_cells_are_drawn_again_in_the_share_that_the_strength_asks_for(table_run: aegan.Estimator) -> None:
    frame = people()
    still = table_run.augment(frame, label="kind", strength=0.0, checks=[])
    assert still.data.town.isna().sum() == frame.town.isna().sum()
    assert sorted(still.data.kind) == sorted(frame.kind)
    little, much = (
        table_run.augment(frame, label="kind", strength=s, num=300, checks=[], operations="resample")
        for s in (0.2, 0.8)
    )
    assert little.strength.mean() == pytest.approx(0.2, rel=0.25)
    assert much.strength.mean() == pytest.approx(0.8, rel=0.25)
    assert (much.data.kind.to_numpy() == frame.kind.to_numpy()[much.source]).all()


@pytest.mark.parametrize("operation", [name for name in NAMES if name not in ("generate", "resample")])
def test_rows_are_moved_through_their_codes_and_keep_their_label(
    table_run: aegan.Estimator, operation: str, roughly: None
) -> None:
    frame = people()
    made = table_run.augment(frame, label="kind", num=40, operations=operation, checks=["reconstruction"])
    assert (made.data.kind.to_numpy() == frame.kind.to_numpy()[made.source]).all()
    assert list(made.data.columns) == list(frame.columns)


# --- every model ---------------------------------------------------------------------------------------------


def of_every_model() -> list[tuple[str, str]]:
    coded = [name for name in VARIANTS if "codes" in MODELS[VARIANTS[name][0]].gives and "on data" not in name]
    tables = [name for name in (*TINY, *OF_TABLES) if "codes" in MODELS[name].gives and "table" in MODELS[name].kinds]
    return [(name, "image") for name in (*coded, "gan, latent augmentation")] + [(name, "table") for name in tables]


@pytest.fixture
def roughly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes found on a few samples: what is looked at is not the strength."""
    for name in ("CALIBRATED_ON", "DRAWN", "DRAWN_DISCRETE"):
        monkeypatch.setattr(f"aegan.augmentation.engine.{name}", 8)
    monkeypatch.setattr("aegan.augment.latent.strength.HALVINGS", 1)


@pytest.mark.parametrize(("name", "kind"), of_every_model())
def test_every_model_with_codes_augments(name: str, kind: str, roughly: None) -> None:
    spec = SPEC if kind == "image" else replace(TABLE, classes=("a", "b"))
    model, settings = (name, OF_TABLES[name]) if name in OF_TABLES else VARIANTS[name]
    if kind == "table" and model == "latent-gan":
        settings = settings | {"joint": {"share": 0.0}}
    x = torch.from_numpy(bars(24)[0])[:, None] if kind == "image" else rows(24)
    data = TensorData(x=x, y=torch.arange(24) % 2)
    torch.manual_seed(0)
    network = build(model, spec, settings)
    Trainer(network, data, TrainConfig(steps=6, grids=0), Backend("cpu", "fp32")).fit()
    network.eval().requires_grad_(False)
    able = [n for n in NAMES if n != "resample" or Space(network, spec, name=model).completes]
    able = [n for n in able if n != "generate" or (network.noise_dim and network.conditional)]
    # Hardly trained rows may all come out the same.
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    space = Space(network, spec, name=model)
    labels = Labels(y=torch.arange(24) % 2, names=("a", "b"))
    augmenter = Augmenter(space, data, Settings(operations=able, num=len(able)), labels)
    assert "distance" in augmenter.checks.names
    augmenter.checks = Checks({}, {})  # hardly trained models drop nearly all
    made = augmenter.make()
    assert made.x.shape == (len(able), *spec.shape) and bool(torch.isfinite(made.x).all())
    assert set(made.operation) == set(able) and torch.equal(made.y, labels.y[made.source])  # type: ignore[arg-type]


def test_a_model_without_codes_says_what_to_do(images: tuple[np.ndarray, np.ndarray]) -> None:
    network = build("gan", SPEC, TINY["gan"])
    with pytest.raises(ConfigError, match=r"'gan' has no codes to move, nor can it complete rows"):
        Augmenter(Space(network, SPEC, name="gan"), TensorData(x=torch.from_numpy(images[0])[:, None]), Settings())


# --- datasets and transforms ---------------------------------------------------------------------------------


def test_a_dataset_gives_a_share_of_augmented_samples_anew_in_every_epoch(
    run: aegan.Estimator, images: tuple[np.ndarray, np.ndarray]
) -> None:
    data = AugmentedDataset(run, images, share=0.5, strength=0.5)
    loader = torch.utils.data.DataLoader(data, batch_size=16)
    x, y = (torch.cat(part) for part in zip(*loader, strict=True))
    real = run.adapter.to_tensors(images).batch(torch.arange(48))["x"]
    assert y.tolist() == images[1].tolist() and x.shape == real.shape
    same = (x == real).flatten(1).all(1).float().mean()
    assert 0.2 < same < 0.8
    again = torch.cat([part[0] for part in loader])
    data.set_epoch(1)
    other = torch.cat([part[0] for part in loader])
    assert torch.equal(again, x) and not torch.equal(other, x)
    kept = torch.utils.data.DataLoader(data, batch_size=16, num_workers=1, persistent_workers=True)
    for epoch, expected in ((1, other), (0, x)):  # workers that live on hear of it
        data.set_epoch(epoch)
        assert torch.equal(torch.cat([part[0] for part in kept]), expected)
    item, label = data[-1]
    assert item.shape == (1, 8, 8) and int(label) == images[1][-1]
    assert torch.equal(AugmentedDataset(run, images[0], share=0.0)[3], real[3])
    with pytest.raises(ConfigError, match="share: a number from 0 to 1"):
        AugmentedDataset(run, images, share=1.5)


class Same(torch.utils.data.Dataset):
    """One picture four times, each through a transform."""

    def __init__(self, transform: LatentTransform, picture: torch.Tensor) -> None:
        self.transform, self.picture = transform, picture

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(self.picture)


def test_a_transform_takes_and_gives_pictures_arrays_and_tensors(
    run: aegan.Estimator, table_run: aegan.Estimator, images: tuple[np.ndarray, np.ndarray]
) -> None:
    transform = LatentTransform(run, images, strength=0.5)
    picture = transform(Image.fromarray(images[0][0]))
    assert picture.mode == "L" and picture.size == (8, 8)
    whole = torch.from_numpy(images[0][:3])[:, None]
    made = transform(whole)
    assert made.dtype == torch.uint8 and made.shape == whole.shape and not torch.equal(made, whole)
    assert transform(whole.numpy()).dtype == np.uint8
    unit = transform(whole[0].float() / 255)
    assert unit.shape == (1, 8, 8) and 0 <= float(unit.min()) and float(unit.max()) <= 1
    assert torch.equal(LatentTransform(run, images, p=0.0)(whole), whole)
    still = LatentTransform(run, images, strength=0.0)(whole.float() / 255)
    expected = run.reconstruct_tensors(TensorData(x=whole))
    assert torch.allclose(still * 2 - 1, expected, atol=1e-5)
    loader = torch.utils.data.DataLoader(Same(transform, whole[0]), batch_size=None, num_workers=2)
    epochs = [list(loader), list(loader)]
    assert len({part.numpy().tobytes() for epoch in epochs for part in epoch}) == 8  # each worker, each epoch anew
    with pytest.raises(DataError, match=r"an image of shape \(1, 8, 8\) expected"):
        transform(torch.zeros(3, 8, 8))
    with pytest.raises(ConfigError, match="p: a chance from 0 to 1"):
        LatentTransform(run, images, p=2)
    with pytest.raises(ConfigError, match="a run of images expected, got one of table data"):
        LatentTransform(table_run, people())
