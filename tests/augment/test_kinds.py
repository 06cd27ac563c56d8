"""Augmentation of every kind of data: what strength does, and files of it that are read back with their labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.conftest import TINY_SET, bars, waves
from tests.sounds import tones, write_tones

import aegan
from aegan.cli.main import main
from aegan.data.write import write_images

QUICK = {"evaluate": False, "doctor": False, "holdout": 0.0, "precision": "fp32"}
SEQUENCE = {"width": "4", "embedding": "16", "latent_dim": "4", "batch_size": "32", "lr": "1e-2", "dropout": "0"}
PLAIN = {"latent_dim": "8", "width": "8", "batch_size": "16"}
ROWS = {"hidden": "16", "embedding": "4", "layers": "1", "code_share": "0.4", "prior_rows": "0", "batch_size": "32"}
FITS: dict[str, dict[str, Any]] = {
    "image": {"model": "autoencoder", "settings": PLAIN, "steps": 60},
    "text": {"settings": SEQUENCE, "steps": 250, "column": "text", "label": "sort"},
    "audio": {"settings": TINY_SET, "steps": 40, "pattern": "{word}_{speaker}_{index}"},
    "series": {"model": "autoencoder", "settings": PLAIN, "steps": 60},
    "long": {
        "model": "autoencoder",
        "settings": PLAIN,
        "steps": 60,
        **{"kind": "series", "id": "who", "time": "day", "label": "sort"},
    },
    "table": {"settings": ROWS, "steps": 80, "target": None},
}


def written(kind: str, folder: Path) -> Path:
    """A labelled source of a kind on disk."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, y = np.random.default_rng(0), np.arange(48) % 2
    if kind == "image":
        pixels, labels = bars(48)
        return write_images(torch.from_numpy(pixels)[:, None], folder / "source", labels=labels, classes=["0", "1"])
    if kind == "audio":
        return write_tones(folder / "source", tones(5))
    if kind == "series":
        x = waves(48).numpy()
        x[:, :, 1] = np.where(y == 1, 0.5, -0.5)[:, None] + 0.2 * x[:, :, 1]
        np.savez(folder / "source.npz", x=x, y=np.array(["down", "up"])[y])
        return folder / "source.npz"
    if kind == "long":
        at = {"who": np.repeat(np.arange(48), 10), "day": np.tile(np.arange(10), 48), "sort": np.repeat(y, 10)}
        frame = pd.DataFrame(at | {"value": np.round(waves(48)[:, :, 0].flatten().numpy() + at["sort"], 3)})
    elif kind == "text":
        some = ["".join(rng.choice(["ba", "la", "no"] if i else ["ki", "te"], rng.integers(2, 4))) for i in y]
        frame = pd.DataFrame({"text": some, "sort": np.array(["dry", "wet"])[y]})
    else:
        age = np.where(y == 1, rng.integers(60, 70, 48), rng.integers(20, 40, 48))
        frame = pd.DataFrame({"age": age, "pay": age * 100 + rng.integers(0, 50, 48), "sort": np.array(["a", "b"])[y]})
    frame.to_csv(folder / "source.csv", index=False)
    return folder / "source.csv"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Kind to source and run, each made when it is first asked for."""
    made: dict[str, tuple[Path, aegan.Estimator]] = {}

    def of(kind: str) -> tuple[Path, aegan.Estimator]:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            source = written(kind, folder)
            made[kind] = source, aegan.fit(source, out=folder / "run", **({"kind": kind} | FITS[kind]), **QUICK)
        return made[kind]

    return of


@pytest.mark.parametrize("kind", ["text", "audio", "series"])
def test_the_distance_from_the_source_grows_with_the_strength(kind: str, runs: Any) -> None:
    source, run = runs(kind)
    data = run.adapter.to_tensors(source)
    base = run.reconstruct_tensors(data).float()
    moved = []
    for strength in (0.0, 0.4, 1.0):
        made = run.augment(source, num=100, strength=strength, operations="gaussian", checks=[])
        x, own = made.x.flatten(1).float(), base[made.source].flatten(1)
        apart = (x.floor() != own.floor()).float() if kind == "text" else (x - own).square()
        moved.append(float(apart.mean()))
        assert made.strength.mean() == pytest.approx(strength, rel=0.25)
    assert moved[0] == pytest.approx(0, abs=1e-9) and 0 < 1.5 * moved[1] < moved[2]


READ_BACK = [
    ("image", "more"),
    ("image", "more.npz"),
    ("text", "more.csv"),
    ("text", "more.jsonl"),
    ("audio", "more"),
    ("series", "more.npz"),
    ("long", "more.csv"),
    ("series", "more.ts"),
    ("table", "more.csv"),
    ("table", "more.parquet"),
]


@pytest.mark.parametrize(("kind", "name"), READ_BACK)
def test_what_is_written_is_read_back_with_its_labels(kind: str, name: str, runs: Any, tmp_path: Path) -> None:
    source, run = runs(kind)
    out = tmp_path / name
    command = ["augment", str(run.run.path), str(source), "--out", str(out), "--num", "9", "--originals"]
    label = ["--label", "sort"] if kind == "table" else []
    assert main([*command, "--check", "none", *label]) == 0
    samples = json.loads((tmp_path / f"{name}.manifest.json").read_text())["samples"]
    data = run.adapter.to_tensors(out)
    before = run.adapter.to_tensors(source)
    assert len(data) == len(before) + 9 == len(samples)
    own = run.kind.labels_of(run, out, data, "sort" if kind == "table" else None)
    assert own is not None
    told = [own.names[i] for i in own.y.tolist()]
    wanted = [s["class"] for s in samples]
    # Folders are read by name, so in another order.
    assert (sorted(told) == sorted(wanted)) if out.is_dir() else (told == wanted)
    if not out.is_dir():
        first = data.batch(torch.arange(len(before)))["x"].float()
        expected = before.batch(torch.arange(len(before)))["x"].float()
        if kind == "table":
            first, expected = first.floor(), expected.floor()
        torch.testing.assert_close(first, expected, atol=1e-3, rtol=0)
