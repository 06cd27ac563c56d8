"""fit, load, sample, encode, decode, evaluate: what a user does, and what a user does wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import aegan
from aegan.errors import ConfigError, DataError, RunError, RunExistsError
from aegan.fitting import seconds
from aegan.train.checkpoint import load_model, save_model
from tests.conftest import TINY_SET, bars

FAST = {"settings": TINY_SET, "precision": "fp32", "steps": 24}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished, judged run."""
    path = tmp_path_factory.mktemp("api") / "run"
    aegan.fit(bars(128), out=path, **FAST)
    return path


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def test_a_run_holds_what_the_design_says(run: Path) -> None:
    names = {p.name for p in run.iterdir()}
    files = "config.json adapter.json model.safetensors state.pt events.jsonl metrics.json report.html samples"
    assert set(files.split()) <= names
    assert {"grid.png", "reconstructions.png", "neighbours.png"} <= {p.name for p in (run / "samples").iterdir()}
    rows = {row["name"] for row in json.loads((run / "metrics.json").read_text())["rows"]}
    assert rows == {"synthetic", "real holdout", "reconstructions"}
    assert not list(run.glob(".*tmp"))


def test_samples_are_seeded_and_do_not_depend_on_how_many(run: Path) -> None:
    model = aegan.load(run)
    many, few = model.sample(150, seed=7), model.sample(10, seed=7)
    assert many.shape == (150, 8, 8) and many.dtype == np.uint8
    assert np.array_equal(many[:10], few)
    assert not np.array_equal(model.sample(10, seed=8), few)
    images, classes = model.sample_tensors(150, seed=7)
    again, few_classes = model.sample_tensors(10, seed=7)
    assert classes is not None and few_classes is not None and torch.equal(classes[:10], few_classes)
    assert set(classes.tolist()) == {0, 1} and torch.equal(images[:10], again)


def test_class_conditions(run: Path) -> None:
    model = aegan.load(run)
    _, classes = model.sample_tensors(5, where={"class": "1"})
    assert classes is not None and classes.tolist() == [1] * 5
    with pytest.raises(ConfigError, match="class=7: no such class"):
        model.sample(1, where={"class": 7})
    with pytest.raises(ConfigError, match="Did you mean 'class'"):
        model.sample(1, where={"clas": 1})


def test_spread_scales_the_variety(run: Path) -> None:
    model = aegan.load(run)
    near, far = (model.sample_tensors(60, where={"class": "1"}, spread=s)[0].std(0).mean() for s in (0.2, 1.5))
    assert near < far
    for spread in (0, -1, 2.5):
        with pytest.raises(ConfigError, match="spread"):
            model.sample(1, spread=spread)


@pytest.mark.parametrize("num", [0, -3, 1.5, True])
def test_num_must_be_a_positive_whole_number(run: Path, num) -> None:
    with pytest.raises(ConfigError, match="at least 1 expected"):
        aegan.load(run).sample(num)


def test_encode_decode_reconstruct(run: Path) -> None:
    model = aegan.load(run)
    images = bars(70)[0]
    z = model.encode(images)
    assert z.shape == (70, 8) and z.dtype == np.float32
    assert np.array_equal(model.decode(z), model.reconstruct(images))
    assert np.array_equal(model.encode(images[:3]), z[:3])
    for bad in (z[:, :5], z[0], "codes", np.full((2, 8), np.nan), z[:0]):
        with pytest.raises(DataError, match="decode"):
            model.decode(bad)


def test_fit_gives_back_the_form_it_was_given() -> None:
    floats = torch.from_numpy(bars(64)[0]).float()[:, None] / 255
    model = aegan.fit(floats, **(FAST | {"settings": TINY_SET | {"joint.share": "0"}}), evaluate=False)
    sample = model.sample(3)
    assert isinstance(sample, torch.Tensor) and sample.shape == (3, 1, 8, 8)
    assert sample.dtype == torch.float32 and 0 <= float(sample.min()) and float(sample.max()) <= 1
    with pytest.raises(ConfigError, match="without labels"):
        model.sample(1, where={"class": "1"})


def test_an_unsaved_model_leaves_nothing_behind_and_save_keeps_it(tmp_path: Path) -> None:
    model = aegan.fit(bars(), **FAST, evaluate=False)
    folder = model.run.path
    kept = model.save(tmp_path / "kept")
    expected = model.sample(4)
    model._temporary()
    assert not folder.exists()
    assert np.array_equal(aegan.load(kept).sample(4), expected)
    with pytest.raises(RunExistsError):
        model.save(kept)


def test_evaluate_runs_and_sources(run: Path) -> None:
    model = aegan.load(run)
    with pytest.raises(ConfigError, match="Give real data"):
        model.evaluate()
    result = model.evaluate(bars(80, seed=5))
    assert {r.name for r in result.rows} == {"synthetic", "real holdout", "reconstructions"}
    real, fake = bars(200, seed=1), bars(120, seed=2)
    good = aegan.evaluate(real, fake)
    noise = np.random.default_rng(0).integers(0, 256, (120, 8, 8), dtype=np.uint8)
    bad = aegan.evaluate(real, noise)
    assert good.row("synthetic").frechet < 0.2 * bad.row("synthetic").frechet
    assert aegan.evaluate(real[0], fake[0], features=run).stamps["feature_space"].startswith("classifier")


def test_any_module_can_be_the_feature_space(run: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 5))
    assert aegan.load(run).evaluate(bars(80, seed=5), features=network).stamps["feature_dim"] == 5
    assert aegan.evaluate(bars(60), bars(60, seed=2), features=network).stamps["feature_dim"] == 5


def test_without_labels_the_features_are_an_autoencoders(monkeypatch) -> None:
    monkeypatch.setattr("aegan.evaluation._AUTOENCODER_STEPS", 5)
    result = aegan.evaluate(bars(60)[0], bars(60, seed=3)[0])
    assert "autoencoder" in result.stamps["feature_space"]


def test_an_existing_run_is_not_overwritten_by_accident(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunExistsError, match="--resume .* --overwrite"):
        aegan.fit(bars(), out=run, **FAST)
    (tmp_path / "thesis.doc").write_text("years of work")
    with pytest.raises(RunExistsError, match="other files"):
        aegan.fit(bars(), out=tmp_path, overwrite=True, **FAST)
    assert (tmp_path / "thesis.doc").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "latent-gna"}, "Did you mean 'latent-gan'"),
        ({"settings": {"joint.gama": "1"}}, "Did you mean 'joint.gamma'"),
        ({"settings": {"gamma": "1"}}, "'latent.gamma' or 'joint.gamma'"),
        ({"settings": {"joint.gamma": "much"}}, "type float expected"),
        ({"settings": {"autoencoder.latent_dim": "0"}}, "at least 1"),
        ({"kind": "imgae"}, "Did you mean 'image'"),
        ({"budget": "soon"}, "90s, 5m or 1h"),
        ({"budget": 0}, "above zero"),
        ({"steps": 0}, "at least 1"),
        ({"seed": -1}, "at least 0"),
        ({"device": "gpu"}, "Known: auto, cpu, cuda"),
        ({"precision": "fp8"}, "Known: auto, bf16, fp32"),
        ({"holdout": 1.5}, "holdout"),
        ({"steps": 3, "budget": 4}, "one of them"),
    ],
)
def test_wrong_options_are_named_before_anything_is_written(tmp_path: Path, options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        aegan.fit(bars(), out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_where_there_is_none() -> None:
    with pytest.raises(ConfigError, match="Use --device cpu"):
        aegan.fit(bars(), device="cuda", **FAST)


def test_too_small_images() -> None:
    with pytest.raises(DataError, match="8"):
        aegan.fit(np.random.default_rng(0).integers(0, 256, (9, 6, 6), dtype=np.uint8), **FAST)


def test_a_run_trained_on_a_gpu_loads_on_a_cpu(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["train"]["device"] = "cuda"
    (copy / "config.json").write_text(json.dumps(config))
    assert aegan.load(copy, device="cpu").sample(2).shape == (2, 8, 8)


@pytest.mark.parametrize("missing", ["config.json", "adapter.json", "model.safetensors"])
def test_incomplete_runs(copy: Path, missing: str) -> None:
    (copy / missing).unlink()
    with pytest.raises(RunError, match=missing):
        aegan.load(copy)


def test_not_a_run(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunError, match="run folder"):
            aegan.load(path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match="cannot be read as JSON"):
        aegan.load(tmp_path)


def test_weights_of_other_networks_are_refused_with_the_version_that_made_them(copy: Path) -> None:
    one = aegan.load(copy)
    tensors, status = load_model(copy / "model.safetensors", one.run.identity)
    tensors.pop(next(iter(tensors)))
    save_model(copy / "model.safetensors", tensors, one.run.identity, status)
    with pytest.raises(RunError, match=r"not the weights of .* made by aegan \d.* fit again"):
        aegan.load(copy)


def test_a_newer_version(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["format_version"] = 99
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match="newer aegan"):
        aegan.load(copy)


@pytest.mark.parametrize("file", ["config.json", "adapter.json"])
def test_tampered_settings(copy: Path, file: str) -> None:
    value = json.loads((copy / file).read_text())
    if file == "config.json":
        value["model_config"]["joint"]["gamma"] = 99.0
    else:
        value["spec"]["classes"] = ["one", "two"]
    (copy / file).write_text(json.dumps(value))
    with pytest.raises(RunError, match="checksum"):
        aegan.load(copy)


def test_tampered_truncated_and_foreign_weights(copy: Path) -> None:
    path = copy / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + bytes(8 * [7]))
    with pytest.raises(RunError, match="checksum"):
        aegan.load(copy)
    for damaged in (whole[: len(whole) // 2], b"", b"not a model at all"):
        path.write_bytes(damaged)
        with pytest.raises(RunError, match="damaged or incomplete"):
            aegan.load(copy)
    save_file({"w": torch.zeros(2)}, path)
    with pytest.raises(RunError, match="not written by aegan"):
        aegan.load(copy)


def test_a_run_stopped_before_it_could_sample(copy: Path) -> None:
    path = copy / "model.safetensors"
    with safe_open(path, framework="pt") as handle:
        metadata, tensors = handle.metadata(), {k: handle.get_tensor(k) for k in handle.keys()}  # noqa: SIM118
    metadata["status"] = json.dumps({"finished": False, "stage": "autoencoder", "stage_index": 0})
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(RunError, match="before there was anything to sample"):
        aegan.load(copy)


def test_no_file_of_a_run_can_carry_code(run: Path) -> None:
    from aegan.run import RunFolder

    tensors, status = load_model(run / "model.safetensors", RunFolder.open(run).identity)
    assert status["finished"] and all(isinstance(t, torch.Tensor) for t in tensors.values())
    assert isinstance(torch.load(run / "state.pt", weights_only=True), dict)


def test_times() -> None:
    assert [seconds(t) for t in ("90s", "5m", "1.5h", "20", "5min", 3)] == [90, 300, 5400, 20, 300, 3]


def test_training_of_few_series_ends_early_and_of_many_does_not() -> None:
    from aegan.models.registry import build
    from aegan.presets import settings
    from aegan.types import Spec

    spec = Spec(kind="series", shape=(24, 3))
    few, many = (build("recurrent", spec, settings("recurrent", spec, n)).stages for n in (400, 4_000))
    assert all(stage.patience for stage in few) and not any(stage.patience for stage in many)


def test_presets_fit_the_size_of_the_images() -> None:
    from aegan.models.registry import MODELS, build
    from aegan.presets import settings
    from aegan.types import Spec

    for name in (n for n, found in MODELS.items() if "image" in found.kinds):
        for side in (8, 28, 64):
            spec = Spec(kind="image", shape=(3, side, side))
            model, plain = build(name, spec, settings(name, spec, 100)), build(name, spec, {})
            for ours, default in ((model.code_dim, plain.code_dim), (model.noise_dim, plain.noise_dim)):
                if name == "denoising-gan" and ours == model.noise_dim:
                    continue  # the draws of all its steps
                assert ours <= 32 if side == 8 else ours == default, name
    assert settings("latent-gan", Spec(kind="image", shape=(1, 64, 64)), 100)["autoencoder"]["batch_size"] == 32
