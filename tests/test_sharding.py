"""Samples in shards: the same whatever the number of processes, taken up where it stopped, never mixed."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import aegan
from aegan.cli.main import main
from aegan.errors import ConfigError, StorageError
from aegan.estimator import Estimator
from aegan.models.base import noise_at, noise_for
from tests.conftest import bars

TABLE = {"embedding": "4", "hidden": "8", "layers": "1", "code_share": "0.0", "patience": "0"}
IMAGES = {"width": "4", "noise_dim": "4", "batch_size": "16"}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Estimator:
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"city": random.choice(["a", "b", "c"], 400), "pay": random.normal(3000, 400, 400).round(2)})
    rows["key"] = [f"K{i:05d}" for i in range(400)]
    return aegan.fit(rows, out=tmp_path_factory.mktemp("t") / "run", steps=20, evaluate=False, settings=TABLE)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Estimator:
    return aegan.fit(
        bars(64), out=tmp_path_factory.mktemp("i") / "run", model="gan", steps=3, evaluate=False, settings=IMAGES
    )


def read(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(p) for p in sorted(folder.glob("part-*.parquet"))], ignore_index=True)


def test_noise_of_any_rows_is_that_of_the_whole() -> None:
    whole, rows = noise_for(3, 1000, 5), torch.tensor([0, 63, 64, 65, 640, 999])
    assert torch.equal(noise_at(3, rows, 5), whole[rows])
    assert torch.equal(noise_for(3, 100, 5, start=130), whole[130:230])
    assert noise_for(3, 0, 5).shape == (0, 5)


def test_the_union_is_one_draw_whatever_the_number_of_processes(
    table: Estimator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    num = 3 * table.model.block - 100
    table.write_samples(num, tmp_path / "one", shard=1, seed=4)
    for world, folder in ((2, "two"), (3, "three")):
        for rank in range(world):
            monkeypatch.setenv("RANK", str(rank))
            monkeypatch.setenv("WORLD_SIZE", str(world))
            table.write_samples(num, tmp_path / folder, shard=table.model.block, seed=4)
    one = read(tmp_path / "one")
    assert len(one) == num and one["key"].is_unique
    assert all(read(tmp_path / folder).equals(one) for folder in ("two", "three"))
    pd.testing.assert_frame_equal(one, table.sample(num, seed=4))


def test_conditions_hold_in_every_shard(table: Estimator, tmp_path: Path) -> None:
    block = table.model.block
    table.write_samples(block + 50, tmp_path / "made", shard=block, where={"city": "b", "pay": "2900..3100"})
    made = read(tmp_path / "made")
    assert set(made["city"]) == {"b"} and made["pay"].between(2900, 3100).all()
    pd.testing.assert_frame_equal(made, table.sample(block + 50, where={"city": "b", "pay": "2900..3100"}))


def test_what_was_stopped_is_taken_up(table: Estimator, tmp_path: Path) -> None:
    folder, num = tmp_path / "made", 2 * table.model.block
    table.write_samples(num, folder, shard=1)
    parts = sorted(folder.glob("part-*"))
    kept, before = parts[0].stat().st_mtime_ns, parts[1].read_bytes()
    parts[1].unlink()
    (folder / f".{parts[1].name}.99.tmp").write_bytes(before[:10])  # as a killed process leaves it
    assert table.write_samples(num, folder, shard=1).startswith("1 files made, 1 were there")
    assert parts[0].stat().st_mtime_ns == kept and parts[1].read_bytes() == before


def test_images_go_to_archives(images: Estimator, tmp_path: Path) -> None:
    num = images.model.block + 3
    images.write_samples(num, tmp_path / "made", shard=1, where={"class": "1"})
    members = []
    for part in sorted((tmp_path / "made").glob("*.tar")):
        with tarfile.open(part) as archive:
            members += archive.getnames()
            last = archive.extractfile(archive.getmembers()[-1])
            assert last is not None and last.read() == b"1"
    assert members == [f"{i:09d}.{end}" for i in range(num) for end in ("png", "cls")]


def test_other_parts_are_not_mixed_in(table: Estimator, images: Estimator, tmp_path: Path) -> None:
    table.write_samples(10, tmp_path / "made", shard=1)
    with pytest.raises(StorageError, match="other num, seed"):
        table.write_samples(11, tmp_path / "made", shard=1, seed=2)
    with pytest.raises(StorageError, match="weights"):
        images.write_samples(10, tmp_path / "made", shard=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(StorageError, match="holds something else"):
        table.write_samples(10, tmp_path / "mine", shard=1)
    (tmp_path / "made" / "plan.json").write_text("{")
    with pytest.raises(StorageError, match="damaged"):
        table.write_samples(10, tmp_path / "made", shard=1)


def test_bad_sizes_and_ranks_are_refused(table: Estimator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="--shard 0"):
        table.write_samples(10, tmp_path / "made", shard=0)
    for rank, world in (("2", "2"), ("x", "2")):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", world)
        with pytest.raises(ConfigError, match="WORLD_SIZE"):
            table.write_samples(10, tmp_path / "made", shard=1)


def test_the_command_takes_large_numbers(table: Estimator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "made"
    assert main(["sample", str(table.run.path), "--num", "5e3", "--shard", "1e3", "--out", str(out)]) == 0
    assert "part-000001-of-000002.parquet: samples 4,096 to 5,000" in capsys.readouterr().out
    assert len(read(out)) == 5000
