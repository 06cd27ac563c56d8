"""Data on disk: pages are handed back, parts are taken without lists, and a pass sees every sample once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import aegan
from aegan.data import base
from aegan.data.base import Rows, Skipped, TensorData
from aegan.data.split import choose, split
from aegan.data.store import read_ahead, release, reserve
from aegan.data.table import TableAdapter
from aegan.errors import StorageError
from aegan.fitting import set_apart
from aegan.models.registry import build
from aegan.train.order import WINDOW, BatchOrder, BlockOrder, order_of


def resident() -> int:
    """Bytes of this process's memory that are pages of files."""
    return int(Path("/proc/self/statm").read_text().split()[2]) * os.sysconf("SC_PAGE_SIZE")


def on_disk(n: int = 1000, width: int = 3) -> np.ndarray:
    array = reserve((n, 4 * width), 0, None).view(np.float32)
    array[:] = np.arange(n * width, dtype=np.float32).reshape(n, width)
    return array


def test_pages_are_handed_back_and_nothing_is_lost() -> None:
    array = reserve((48, 1 << 20), 0, None)
    array[:] = 7
    before = resident()
    release(array)
    assert before - resident() > 40 << 20
    read_ahead(array, 3, 5)
    assert (array[::7] == 7).all()
    release(np.ones(3))  # nothing to do
    read_ahead(np.ones(3), 0, 1)


def test_batches_hold_no_more_than_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "HELD_BYTES", 4 << 20)
    array = reserve((64, 1 << 20), 0, None)
    data = TensorData(x=array)
    before = resident()
    for i in range(64):
        data.batch(torch.tensor([i]))
    assert resident() - before < 16 << 20


def test_numbers_without_some() -> None:
    numbers = Skipped(10, np.array([0, 3, 9]))
    assert numbers[:].tolist() == [1, 2, 4, 5, 6, 7, 8] and len(numbers) == 7
    assert numbers.without(np.array([1, 6]))[:].tolist() == [1, 4, 5, 6, 7]


def test_parts_of_data_on_disk_stay_there() -> None:
    data = TensorData(x=on_disk(), y=torch.arange(1000))
    part = data.without(torch.tensor([0, 500])).without(torch.tensor([0]))
    assert isinstance(part.fields["x"], Rows) and len(part) == 997
    assert part.batch(torch.tensor([0, 996]))["x"][:, 0].tolist() == [6.0, 2997.0]
    assert part.batch(torch.tensor([0, 498]))["y"].tolist() == [2, 501]
    assert part.subset(torch.tensor([498])).batch(torch.tensor([0]))["x"][0, 0] == 3 * 501


def test_a_cut_without_lists_is_a_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "LISTED", 100)
    adapter = TableAdapter().fit(pd.DataFrame({"a": range(20), "b": list("ab") * 10}))
    train, held = adapter.cut(TensorData(x=on_disk()), holdout=0.1, seed=3)
    assert len(held) == 100 and isinstance(train.fields["x"], Rows) and isinstance(train.fields["x"].rows, Skipped)
    both = torch.cat([part.batch(torch.arange(len(part)))["x"][:, 0] for part in (train, held)])
    assert both.sort().values.tolist() == list(range(0, 3000, 3))
    in_memory = TensorData(x=torch.zeros(1000, 3))
    assert len(adapter.cut(in_memory, holdout=0.1, seed=3)[0]) == len(split(1000, holdout=0.1, seed=3)[0])
    assert choose(50, holdout=0.1, seed=0).tolist() == choose(50, holdout=0.1, seed=0).tolist()


@pytest.mark.parametrize(("n", "batch", "block", "window"), [(103, 10, 7, 4), (64, 64, 8, 8), (50, 120, 9, 2)])
def test_a_pass_by_blocks_sees_each_sample_once(n: int, batch: int, block: int, window: int) -> None:
    asked: list[tuple[int, int]] = []
    order = BlockOrder(n, batch, 5, block=block, window=window, expect=lambda *span: asked.append(span))
    drawn = torch.cat([order.index(i) for i in range(3 * n // batch + 2)])
    for number in range(3):
        assert drawn[number * n : (number + 1) * n].sort().values.tolist() == list(range(n))
    assert not torch.equal(drawn[:n], drawn[n : 2 * n])
    late = BlockOrder(n, batch, 5, block=block, window=window)  # a resumed run begins anywhere
    assert torch.equal(late.index(1), drawn[batch : 2 * batch])
    assert asked and all(0 <= start < stop <= n for start, stop in asked)
    assert len((drawn[: min(block * window, n) - block] // block).unique()) <= window


def test_what_a_run_begins_with_is_foretold_and_nothing_twice() -> None:
    asked: list[int] = []
    order = BlockOrder(60, 6, 0, block=5, window=4, expect=lambda start, stop: asked.extend(range(start, stop)))
    first = [order.index(step) for step in range(7, 10)]  # gone on with: in the middle of the third window, to its end
    assert set(torch.cat(first).tolist()) <= set(asked)
    before = len(asked)
    assert before == 40  # its own window and the next
    order.index(10)
    assert len(asked) == before + 20


def test_which_order() -> None:
    assert isinstance(order_of(TensorData(x=torch.zeros(1000, 3)), 10, 0), BatchOrder)
    assert isinstance(order_of(TensorData(x=on_disk()), 10, 0), BatchOrder)  # one window holds it all
    large = TensorData(x=reserve((WINDOW + 1, 1 << 20), 0, None))
    assert large.block == 1 and isinstance(order_of(large, 10, 0), BlockOrder)


def test_a_table_on_disk_trains_and_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "LISTED", 100)
    monkeypatch.setattr(base, "BLOCK_BYTES", 32)
    monkeypatch.setattr("aegan.tables.JUDGED", 300)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"amount": rng.normal(size=1500).round(2), "name": rng.choice(list("abc"), 1500)})
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=200)
    options = {"steps": 4, "doctor": False, "settings": {"hidden": "8", "embedding": "4"}}
    monkeypatch.setattr("aegan.data.table.default_memory_limit", lambda: 0)
    model = aegan.fit(tmp_path / "rows.parquet", **options)
    assert model.train is not None and model.train.block == 2
    assert len(model.sample(5)) == 5 and (model.run.path / "metrics.json").exists()


def test_no_room_is_said_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StorageError, match="cannot set aside 0.00 GiB for encoded rows"):
        reserve((10, 10), 0, tmp_path, "encoded rows")
    assert not list(tmp_path.iterdir())


def test_what_is_read_again_and_again_is_copied_to_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    array, index = on_disk(), torch.tensor([0, 39, 7])
    for data in (TensorData(x=array), TensorData(x=array, y=np.arange(1000)), TensorData(x=array).without(index)):
        few = data.first(40)
        assert data.block and not few.block and len(few) == 40 and len(data.first(5000)) == len(data)
        there = data.batch(index)
        assert all(torch.equal(value, there[name]) for name, value in few.batch(index).items())
    held = TensorData(x=torch.zeros(5, 2))
    assert held.first(3) is held
    monkeypatch.setattr(base, "HELD_BYTES", 1000)
    large = TensorData(x=array)
    assert large.first(40 * 3) is large


def test_held_out_rows_on_disk_are_looked_at_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    adapter = TableAdapter(memory_limit=0)
    frame = pd.DataFrame({"a": rng.normal(size=400), "b": rng.choice(list("xyz"), 400)})
    data = adapter.fit(frame).to_tensors(frame)
    learnt, looked_at = set_apart(build("autoregressive", adapter.spec, {}), data, 0, adapter)
    assert data.block and learnt.block and looked_at is not None and not looked_at.block


def test_samples_are_kept_on_a_device_only_where_they_fit() -> None:
    data, there = TensorData(x=torch.zeros(100, 3), y=torch.zeros(100)), torch.device("meta")
    kept = data.on(there, 1600)
    assert len(kept) == 100 and all(v.device == there for v in kept.fields.values() if isinstance(v, torch.Tensor))
    assert data.on(there, 1599) is data and data.on(torch.device("cpu"), 1e9) is data
    mapped = TensorData(x=on_disk())
    assert mapped.on(there, 1e9) is mapped
