"""The trainer on failures: bad numbers, full disks, broken probes."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from tests.conftest import TINY, TINY_SET, bars

import aegan
from aegan import storage
from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.errors import NonFiniteError, StorageError
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.backward import Place
from aegan.train.checkpoint import load_state
from aegan.train.events import read_events
from aegan.train.order import BatchOrder
from aegan.train.probe import Probe
from aegan.train.schedule import Budget, lr_scale
from aegan.train.trainer import Trainer
from aegan.types import Optimizer, Phase, Spec, Stage, Term


def trainer(folder: Path | None = None, *, probes=(), steps: int = 12, every: float = 1e9) -> Trainer:
    torch.manual_seed(0)
    spec = Spec(kind="image", shape=(1, 8, 8), classes=("across", "down"))
    pixels, labels = bars(32)
    data = TensorData(x=torch.from_numpy(pixels)[:, None], y=torch.from_numpy(labels))
    model = build("latent-gan", spec, TINY["latent-gan"])
    config = TrainConfig(steps=steps, grids=0, checkpoint_every=every)
    if folder is not None:
        folder.mkdir(exist_ok=True)
    return Trainer(model, data, config, Backend("cpu", "fp32"), folder=folder, probes=probes)


class Poison(Probe):
    """Makes the decoder's weights NaN after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, trainer, record) -> None:
        if record.step == self.step:
            with torch.no_grad():
                trainer.model.autoencoder.decoder.stem.weight[0, 0] = float("nan")


def test_non_finite_loss_names_stage_phase_term_and_step(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run", probes=[Poison(2)], every=1e-9)
    with pytest.raises(NonFiniteError, match=r"'autoencoder', phase 'autoencode', step 3, term 'reconstruction'.*kept"):
        run.fit()
    events = read_events(tmp_path / "run" / "events.jsonl")
    assert [e["event"] for e in events[-2:]] == ["error", "end"] and events[-1]["reason"] == "error"
    state = load_state(tmp_path / "run" / "state.pt")
    assert state is not None and state["step"] == 2


def test_the_last_good_checkpoint_has_no_bad_weights(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run", every=1e-9)
    run.model.autoencoder.decoder.stem.weight.register_hook(lambda g: g * float("nan") if run.step >= 2 else g)
    with pytest.raises(
        NonFiniteError, match=r"step 3: the gradient is not finite \(parameter '.*decoder\.stem\.weight'"
    ):
        run.fit()
    state = load_state(tmp_path / "run" / "state.pt")
    assert state is not None and state["step"] == 2
    assert all(bool(torch.isfinite(v).all()) for v in state["model"].values() if v.is_floating_point())


def test_a_full_disk_stops_with_a_clear_error_and_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "run"
    real = Path.write_bytes
    calls = []

    def full(path, content):
        calls.append(path.name)
        if len(calls) > 8:  # a state and a model each time
            real(path, bytes(content)[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="disk is full"):
        trainer(folder, every=1e-9).fit()
    state = load_state(folder / "state.pt")
    assert state is not None and state["step"] in (3, 4)  # the fourth save, whether or not a stage ended before it
    assert not list(folder.glob(".*tmp"))


def test_atomic_write_keeps_the_old_file_and_leaves_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    storage.write_text(path, "old")

    def broken(p: Path) -> None:
        p.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match="disk is full"):
        storage.write_atomically(path, broken)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_broken_probe_is_switched_off_and_changes_nothing(tmp_path: Path) -> None:
    class Broken(Probe):
        draws = True

        def on_step(self, trainer, record) -> None:
            torch.rand(7)
            if record.step == 3:
                raise ValueError("broken on purpose")

    plain, watched = trainer(), trainer(tmp_path / "run", probes=[Broken()])
    plain.fit()
    watched.fit()
    a, b = plain.model.state_dict(), watched.model.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    events = read_events(tmp_path / "run" / "events.jsonl")
    assert [e["error"] for e in events if e["event"] == "probe-error"] == ["ValueError: broken on purpose"]


def test_read_only_and_blocked_folders(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("here")
    with pytest.raises(StorageError, match="Choose another"):
        aegan.fit(bars(), out=blocked / "run", steps=3, settings=TINY_SET, evaluate=False)


def test_order_is_a_shuffle_of_every_pass_and_wraps() -> None:
    order = BatchOrder(10, 4, seed=1)
    seen = torch.cat([order.index(i) for i in range(5)])
    assert seen[:10].sort().values.tolist() == list(range(10)) == seen[10:].sort().values.tolist()
    assert seen[:10].tolist() != seen[10:].tolist()
    assert torch.equal(BatchOrder(10, 4, seed=1).index(3), order.index(3))
    assert BatchOrder(3, 8, seed=1).index(0).bincount().tolist() in ([3, 3, 2], [3, 2, 3], [2, 3, 3])


def stage(share: float, **more) -> Stage:
    phase = Phase(name="p", networks=(), optimizer=Optimizer(lr=1.0))
    return Stage(name="s", share=share, phases=(phase,), batch_size=1, **more)


def test_budget_in_steps_and_seconds() -> None:
    steps = Budget([stage(1), stage(3)], steps=8, seconds=1)
    assert steps.progress(0, step=1, elapsed=0, start_step=0, start_elapsed=0) == 0.5
    assert steps.progress(1, step=8, elapsed=0, start_step=2, start_elapsed=0) == 1.0
    time = Budget([stage(1), stage(1)], steps=None, seconds=10)
    # A first stage that overran by 2 s leaves 3 s to the second.
    assert time.progress(1, step=9, elapsed=8.5, start_step=5, start_elapsed=7) == 0.5


def test_learning_rate_rises_and_falls() -> None:
    s = stage(1, warmup=0.1, final_lr=0.2)
    assert lr_scale(s, 0.0) < 0.05 and lr_scale(s, 0.1) > 0.9
    assert lr_scale(s, 1.0) == pytest.approx(0.2)


def test_terms_are_recorded_unweighted_and_trained_weighted() -> None:
    run = trainer(steps=2)
    network = run.model.autoencoder
    run.model.loss = lambda phase, batch: {  # type: ignore[method-assign]
        "silent": Term(network.encoder.head.bias.sum() + 7.0, 0.0),
        "loud": Term(network.decoder.stem.bias.sum() + 2.0, 5.0),
    }
    run._open_stage(run.stage)
    record = run._train_step(run.stage, run.data, BatchOrder(32, 4, 0), 0.5)
    assert record.terms == {"autoencode/silent": 7.0, "autoencode/loud": 2.0}
    assert record.grad_norm["autoencode"] == pytest.approx(5.0 * network.decoder.stem.bias.numel() ** 0.5)


@pytest.mark.parametrize(("most", "length"), [(0.0, 5.0), (10.0, 5.0), (1.0, 1.0)])
def test_long_gradients_are_cut_and_their_norm_is_told(most: float, length: float) -> None:
    gradients = [torch.tensor([3.0]), torch.tensor([4.0])]
    phase = Phase(name="p", networks=("n",), optimizer=Optimizer(lr=1.0, clip_norm=most))
    place = Place(stage(1), phase, 1, None, "fp32")
    assert place.norm(trainer(steps=1).model, gradients) == pytest.approx(5.0)
    assert torch.cat(gradients).norm().item() == pytest.approx(length)
    assert float(gradients[1] / gradients[0]) == pytest.approx(4 / 3)
