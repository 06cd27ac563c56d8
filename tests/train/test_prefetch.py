"""Data on disk read ahead by a thread: the same batches and weights to the bit, and no thread is left."""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import TINY
from tests.train.test_resume import Kill, KillAt, SignalAt, same_weights

from aegan.config import PrivateConfig, TrainConfig
from aegan.data import base
from aegan.data.base import TensorData
from aegan.data.store import reserve
from aegan.errors import Interrupted, NonFiniteError
from aegan.models.base import Model
from aegan.models.registry import build
from aegan.train import trainer as trainer_module
from aegan.train.backend import Backend
from aegan.train.order import BatchOrder, BlockOrder, Order, due, order_of
from aegan.train.prefetch import AHEAD, THREAD, Prefetch, prefetched
from aegan.train.private import PrivateSteps
from aegan.train.shards import Shards
from aegan.train.trainer import Trainer
from aegan.types import Batch, Optimizer, Phase, Samples, Spec, Stage

N = 300
SPEC = Spec(kind="image", shape=(1, 8, 8))


def reading() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith(THREAD)]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not reading()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "BLOCK_BYTES", 128)  # two pictures: 300 are more than a window of blocks


class Watched(TensorData):
    """Notes what is read and by which thread."""

    def __init__(self, **fields: np.ndarray) -> None:
        super().__init__(**fields)
        self.read: list[torch.Tensor] = []
        self.threads: set[str] = set()
        self.fails_at = -1

    def batch(self, index: torch.Tensor) -> Batch:
        if len(self.read) == self.fails_at:
            raise OSError("the disk is gone")
        self.read.append(index)
        self.threads.add(threading.current_thread().name)
        return super().batch(index)


def pixels() -> np.ndarray:
    array = reserve((N, 1, 8, 8), 0, None)
    array[:] = np.random.default_rng(0).integers(0, 256, array.shape, np.uint8)
    return array


def stage(*every: int) -> Stage:
    phases = [Phase(name=f"p{i}", networks=(), optimizer=Optimizer(lr=1.0), every=e) for i, e in enumerate(every)]
    return Stage(name="s", share=1.0, phases=tuple(phases), batch_size=20)


def model_of(name: str) -> Model:
    torch.manual_seed(0)
    return build(name, SPEC, TINY[name])


def run(data: TensorData, name: str = "autoencoder", *, resume: bool = False, **more) -> Trainer:
    settings = {k: more.pop(k) for k in ("accumulate", "checkpoint_every") if k in more}
    config = TrainConfig(steps=24, seed=3, grids=0, **settings)
    made = Trainer(model_of(name), data, config, Backend("cpu", "fp32"), **more)
    made.fit(resume=resume)
    return made


@contextlib.contextmanager
def as_they_are(data: Samples, order: Order, *_: object) -> Iterator[tuple[Samples, Order]]:
    """In place of ``prefetched``: the training reads."""
    yield data, order


def same(a: Trainer, b: Trainer) -> bool:
    first, second = a.model.state_dict(), b.model.state_dict()
    return all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("begin", [0, 7])
def test_batches_are_those_of_the_order(accumulate: int, begin: int) -> None:
    data, phases, shards = Watched(x=pixels()), stage(1, 3, 2), Shards(accumulate, seed=1)
    plain = TensorData(x=data.fields["x"])
    order, told = order_of(plain, 20, 5), order_of(data, 20, 5)
    assert isinstance(told, BlockOrder)
    with prefetched(data, told, phases, begin, shards.parts) as (samples, ahead):
        assert samples is ahead and len(samples) == N
        for step in range(begin, begin + 60):  # four passes
            for number, draw, phase in due(phases, step):
                assert step % phase.every == 0 and draw == 3 * step + number
                index, expected = ahead.index(draw), order.index(draw)
                assert torch.equal(index, expected)
                for part, _ in shards.of(index, step, number, ()):
                    assert torch.equal(samples.batch(part)["x"], plain.batch(part)["x"])
        assert len(reading()) == 1
    assert len(data.threads) == 1 and data.threads.pop().startswith(THREAD)


def test_due_leaves_out_the_draws_of_other_phases() -> None:
    assert [(number, draw) for step in range(3) for number, draw, _ in due(stage(1, 2), step)] == [
        (0, 0),
        (1, 1),
        (0, 2),
        (0, 4),
        (1, 5),
    ]


def test_no_more_is_read_than_a_few_batches_ahead() -> None:
    data = Watched(x=pixels())
    with Prefetch(data, order_of(data, 10, 0), itertools.count(), lambda index: [index]) as ahead:
        for draw in range(5):
            ahead.batch(ahead.index(draw))
        ahead.index(5)
    assert 6 <= len(data.read) <= 5 + AHEAD


def test_another_draw_or_part_than_foretold_is_refused() -> None:
    data = Watched(x=pixels())
    with Prefetch(data, order_of(data, 10, 0), itertools.count(), lambda index: index.tensor_split(2)) as ahead:
        index = ahead.index(0)
        with pytest.raises(RuntimeError, match=r"draw 1 was asked for, 0 expected"):
            ahead.index(1)
        with pytest.raises(RuntimeError, match=r"5 samples .* not the next 5 of a batch of 10"):
            ahead.batch(index[5:])


def test_data_in_memory_and_private_training_are_as_they_were() -> None:
    memory, disk = TensorData(x=torch.zeros(N, 1, 8, 8)), TensorData(x=pixels())
    random = PrivateSteps(PrivateConfig(epsilon=1.0, delta=1e-5, noise=1.0, rate=0.1, bound=1.0), N)
    for data, order in ((memory, BatchOrder(N, 20, 0)), (disk, random)):
        with prefetched(data, order, stage(1), 0, Shards(1, 0).parts) as (samples, ahead):
            assert samples is data and ahead is order and not reading()


@pytest.mark.parametrize(("name", "accumulate"), [("autoencoder", 1), ("autoencoder", 2), ("gan", 1)])
def test_weights_are_the_same_with_and_without_the_thread(
    name: str, accumulate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Watched(x=pixels())
    read_ahead = run(data, name, accumulate=accumulate)
    assert any(thread.startswith(THREAD) for thread in data.threads)
    monkeypatch.setattr(trainer_module, "prefetched", as_they_are)
    data.threads.clear()
    assert same(read_ahead, run(data, name, accumulate=accumulate))
    assert data.threads == {threading.current_thread().name}


@pytest.mark.parametrize("step", [1, 11, 23])
def test_killed_and_resumed_on_disk_equals_uninterrupted(tmp_path: Path, step: int) -> None:
    data = TensorData(x=pixels())
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    run(data, "gan", folder=tmp_path / "whole")
    with pytest.raises(Kill):
        run(data, "gan", folder=tmp_path / "killed", checkpoint_every=1e-9, probes=[KillAt(step)])
    assert not reading()
    run(data, "gan", folder=tmp_path / "killed", resume=True)
    assert same_weights(tmp_path / "whole", tmp_path / "killed")


def test_an_error_of_the_disk_comes_up_in_the_training() -> None:
    data = Watched(x=pixels())
    data.fails_at = 7
    with pytest.raises(OSError, match="the disk is gone") as raised:
        run(data)
    assert [entry.name for entry in raised.traceback if entry.path == Path(__file__)][-1] == "batch"
    assert not reading()


def test_ctrl_c_and_bad_numbers_end_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Watched(x=pixels())
    with pytest.raises(Interrupted):
        run(data, probes=[SignalAt(5, signal.SIGINT)])
    assert not reading()
    monkeypatch.setattr(TensorData, "batch", lambda self, index: {"x": torch.full((len(index), 1, 8, 8), torch.nan)})
    with pytest.raises(NonFiniteError):
        run(data)
    assert not reading()


def test_the_training_goes_on_while_the_thread_waits_for_the_disk() -> None:
    data, may, goes_on = Watched(x=pixels()), threading.Event(), []
    real = data.batch

    def slow(index: torch.Tensor) -> Batch:
        if data.read:
            assert may.wait(30)
        return real(index)

    data.batch = slow  # type: ignore[method-assign]
    with Prefetch(data, order_of(data, 10, 0), itertools.count(), lambda index: [index]) as ahead:
        ahead.batch(ahead.index(0))
        goes_on.append(len(data.read))
        may.set()
        ahead.batch(ahead.index(1))
    assert goes_on == [1]


LATE = """
import itertools, threading
import torch
from aegan.train.order import BatchOrder
from aegan.train.prefetch import Prefetch

class Data:
    def __len__(self):
        return 6
    def batch(self, index):
        return {"x": index}

def train():
    threading.main_thread().join()
    with Prefetch(Data(), BatchOrder(6, 3, 0), itertools.count(), lambda index: [index]) as ahead:
        print(sorted(torch.cat([ahead.batch(ahead.index(draw))["x"] for draw in (0, 1)]).tolist()))

threading.Thread(target=train).start()
"""


def test_a_training_in_a_thread_outlives_the_main_thread() -> None:
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, timeout=300)
    assert (done.stdout.strip(), done.returncode) == ("[0, 1, 2, 3, 4, 5]", 0), done.stderr
    assert not done.stderr
