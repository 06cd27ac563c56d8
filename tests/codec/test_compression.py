"""A run as a codec: what a user compresses, gets back, and gets wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import TINY, bars

import aegan
from aegan.cli.main import main
from aegan.codec import read_codes
from aegan.errors import ConfigError, DataError, StorageError
from aegan.models.autoencoders.vector_quantised import VectorQuantised

SETTINGS = {key: str(value) for key, value in TINY["autoencoder"].items()}
FAST = {"model": "autoencoder", "settings": SETTINGS, "precision": "fp32", "steps": 20, "evaluate": False}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("compression") / "run"
    aegan.fit(bars(64), out=path, **FAST)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Thirty PNGs in the folders `0` and `1`."""
    path = tmp_path_factory.mktemp("pngs")
    for i, (image, label) in enumerate(zip(*bars(30, seed=1), strict=True)):
        (path / str(label)).mkdir(exist_ok=True)
        Image.fromarray(image).save(path / str(label) / f"{i:02d}.png")
    return path


def test_the_dial_and_what_comes_back(run: Path, tmp_path: Path) -> None:
    model, (images, labels) = aegan.load(run), bars(50, seed=2)
    whole = model.reconstruct_tensors(model.adapter.to_tensors(images))
    sizes, errors = [], []
    for error in (0.001, 0.01, 0.1):
        path = tmp_path / f"{error}.aec"
        written = model.compress((images, labels), path, error=error)
        x, y = model.decompress_tensors(path)
        assert y is not None and y.tolist() == labels.tolist()
        assert torch.equal(x, aegan.load(run).decode_tensors(read_codes(path).codes))
        sizes.append(written.size)
        errors.append(float((x - whole).square().mean().sqrt()))
        assert 0.3 * error < errors[-1] < 2 * error
        assert written.size == path.stat().st_size and written.samples == 50 and written.raw == 64
    assert sizes == sorted(sizes, reverse=True) and errors == sorted(errors)
    assert model.decompress(tmp_path / "0.01.aec").dtype == np.uint8


def test_one_sample_and_no_labels(run: Path, tmp_path: Path) -> None:
    model = aegan.load(run)
    image = bars(64)[0][:1]
    model.compress(image, tmp_path / "one.aec")
    x, y = model.decompress_tensors(tmp_path / "one.aec")
    assert y is None and x.shape == (1, 1, 8, 8)
    assert float((x - model.reconstruct_tensors(model.adapter.to_tensors(image))).abs().mean()) < 0.1


def test_a_copy_of_the_run_reads_it_and_another_run_does_not(run: Path, tmp_path: Path) -> None:
    model = aegan.load(run)
    model.compress(bars(10)[0], tmp_path / "a.aec")
    moved = aegan.load(model.save(tmp_path / "moved"))
    assert np.array_equal(moved.decompress(tmp_path / "a.aec"), model.decompress(tmp_path / "a.aec"))
    other = aegan.fit(bars(64), out=tmp_path / "other", **FAST, seed=1)
    with pytest.raises(DataError, match=r"a\.aec.*run 'run', weights \w{16}; this is.*run 'other', weights \w{16}"):
        other.decompress(tmp_path / "a.aec")


def test_refusals(run: Path, tmp_path: Path) -> None:
    model, images = aegan.load(run), bars(10)[0]
    for error in (0, 2, -1, float("nan")):
        with pytest.raises(ConfigError, match="from 1e-06 to 1 expected"):
            model.compress(images, tmp_path / "a.aec", error=error)
    with pytest.raises(ConfigError, match="ending in .aec"):
        model.compress(images, tmp_path / "a.zip")
    with pytest.raises(DataError):
        model.compress(images[:0], tmp_path / "a.aec")
    assert not list(tmp_path.iterdir())
    model.compress(images, tmp_path / "a.aec")
    with pytest.raises(StorageError, match="exists already"):
        model.compress(images, tmp_path / "a.aec")
    model.compress(images[:3], tmp_path / "a.aec", overwrite=True)
    assert len(model.decompress(tmp_path / "a.aec")) == 3


def test_tokens_are_kept_to_the_bit(tmp_path: Path) -> None:
    settings = {"latent_dim": "8", "width": "8", "blocks": "1", "batch_size": "16", "codebook": "16", "code_size": "4"}
    model = aegan.fit(bars(64), **FAST | {"model": "vector-quantised", "settings": settings})
    images = bars(40, seed=3)[0]
    written = model.compress(images, tmp_path / "a.aec")
    data = model.adapter.to_tensors(images)
    assert written.dim == 2 and isinstance(model.model, VectorQuantised)
    tokens = model.model.tokens(data.batch(torch.arange(40))["x"])
    assert np.array_equal(read_codes(tmp_path / "a.aec").integers, tokens.numpy())
    x, _ = model.decompress_tensors(tmp_path / "a.aec")
    assert torch.allclose(x, model.reconstruct_tensors(data), atol=1e-4)
    with pytest.raises(ConfigError, match="whole numbers already"):
        model.compress(images, tmp_path / "b.aec", error=0.1)


def test_the_command_line(run: Path, folder: Path, tmp_path: Path, capsys) -> None:
    codes, back = tmp_path / "codes.aec", tmp_path / "back"
    assert main(["encode", str(run), str(folder), "--out", str(codes), "--error", "0.05"]) == 0
    size = f"30 samples in {codes.stat().st_size:,} bytes"
    printed = capsys.readouterr().out
    assert all(part in printed for part in (size, "bytes a sample", "bits a code value", "than raw"))
    assert main(["decode", str(run), str(codes), "--out", str(back)]) == 0
    assert {p.name: len(list(p.iterdir())) for p in back.iterdir()} == {"0": 15, "1": 15}
    capsys.readouterr()
    cut = tmp_path / "cut.aec"
    cut.write_bytes(codes.read_bytes()[:-3])
    shutil.copy(next(folder.rglob("*.png")), tmp_path / "picture.aec")
    wrong = (
        (["encode", str(run), str(folder), "--out", str(codes)], "exists already"),
        (["encode", str(run), str(folder), "--out", str(tmp_path / "c.npz"), "--error", "0.1"], "only for compressed"),
        (["encode", str(run), str(folder), "--out", str(tmp_path / "c.aec"), "--error", "7"], "from 1e-06 to 1"),
        (["encode", str(run), str(folder), "--out", str(tmp_path / "c.zip")], ".npz (float codes) or .aec"),
        (["decode", str(run), str(cut), "--out", str(tmp_path / "c.npy")], "cut short"),
        (["decode", str(run), str(tmp_path / "picture.aec"), "--out", str(tmp_path / "c.npy")], "not a file of"),
        (["decode", str(run), str(tmp_path / "no.aec"), "--out", str(tmp_path / "c.npy")], "no such file"),
    )
    for arguments, message in wrong:
        assert main(arguments) == 1
        error = capsys.readouterr().err
        assert message in error and error.startswith("aegan: ") and "Traceback" not in error
    assert not list(tmp_path.glob("c.*")) and not list(tmp_path.glob(".*"))
