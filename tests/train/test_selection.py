"""Stages that keep the weights held-out samples like best."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.models.autoencoders.autoregressive import Autoregressive, AutoregressiveConfig
from aegan.train.backend import Backend
from aegan.train.selection import Selection
from aegan.train.trainer import Trainer
from aegan.types import Field, Spec

FIELDS = tuple(Field(column=str(i), size=6) for i in range(6))
SPEC = Spec(kind="table", shape=(6,), likelihood="categorical", fields=FIELDS)


def noise(n: int, seed: int) -> TensorData:
    """Rows in which nothing can be learnt beyond the first values' shares: every further step overfits."""
    generator = torch.Generator().manual_seed(seed)
    return TensorData(x=torch.randint(0, 6, (n, 6), generator=generator).float() + 0.5)


def trainer(tmp: Path | None, *, steps: int, patience: int, seed: int = 0, lr: float = 1e-2) -> Trainer:
    torch.manual_seed(0)
    config = AutoregressiveConfig(
        embedding=8, hidden=32, layers=1, batch_size=32, dropout=0.0, code_share=0.0, patience=patience, lr=lr
    )
    model = Autoregressive(SPEC, config)
    if tmp is not None:
        tmp.mkdir(exist_ok=True)
    return Trainer(
        model,
        noise(64, 1),
        TrainConfig(steps=steps, seed=seed, grids=0, checkpoint_every=1e9),
        Backend("cpu", "fp32"),
        folder=tmp,
        validation=noise(200, 2),
    )


def held_out_loss(model: Autoregressive) -> float:
    model.eval()
    with torch.no_grad():
        x = noise(200, 2).fields["x"]
        return float(model.networks(x, model.networks.order()).sum(1).mean())  # pyright: ignore[reportArgumentType]


def test_overfitting_is_undone_and_the_stage_ends_early(tmp_path: Path) -> None:
    kept = trainer(tmp_path / "run", steps=400, patience=60)
    kept.fit()
    last = trainer(None, steps=400, patience=0)
    last.fit()
    assert kept.step < 400
    assert held_out_loss(kept.model) < held_out_loss(last.model) - 1.0  # pyright: ignore[reportArgumentType]
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    looks = [e for e in events if e["event"] == "validation"]
    assert len(looks) > 3
    assert min(looks, key=lambda e: e["loss"])["step"] == looks[-1]["best_step"]
    # Once from the present weights, once from the best.
    assert [e["event"] for e in events].count("settling") == 2


def repeating(n: int, seed: int) -> TensorData:
    """Rows whose values mostly equal the one before."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 6, (n, 6), generator=generator)
    for i in range(1, 6):
        x[:, i] = torch.where(torch.rand(n, generator=generator) < 0.7, x[:, i - 1], x[:, i])
    return TensorData(x=x.float() + 0.5)


def test_settling_brings_weights_that_held_out_samples_like_better(tmp_path: Path) -> None:
    """A high learning rate in a budget so long that it would not fall."""
    made = trainer(tmp_path / "run", steps=50_000, patience=30, lr=3e-2)
    made.data, made.validation = repeating(1_000, 1), repeating(500, 2)
    made.fit()
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    settling = min(e["step"] for e in events if e["event"] == "settling")
    looks = [e for e in events if e["event"] == "validation"]
    before = [e["loss"] for e in looks if e["step"] <= settling]
    assert min(e["loss"] for e in looks) < min(before) - 0.002
    assert max(e["step"] for e in looks) == looks[-1]["step"] < 10_000


def test_looking_changes_nothing_but_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Same random numbers, same weights, whether somebody looks or not."""
    monkeypatch.setattr(Selection, "adopt", lambda self, ema: None)
    one, other = trainer(None, steps=30, patience=10_000), trainer(None, steps=30, patience=10_000)
    other.validation = None
    one.fit()
    other.fit()
    assert one.selection.weights and not other.selection.weights
    for (name, a), b in zip(one.model.state_dict().items(), other.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_resumes_with_what_was_best(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole", steps=150, patience=1_000)
    whole.fit()
    first = trainer(tmp_path / "cut", steps=150, patience=1_000)

    class Stop:
        draws = False

        def on_start(self, trainer: Trainer) -> None: ...
        def on_stage(self, trainer: Trainer, name: str) -> None: ...
        def on_end(self, trainer: Trainer, reason: str) -> None: ...
        def on_step(self, trainer: Trainer, record: object) -> None:
            trainer._stop = trainer.step == 90

    first.probes.append(Stop())  # pyright: ignore[reportArgumentType]
    with pytest.raises(BaseException, match="Stopped"):
        first.fit()
    second = trainer(tmp_path / "cut", steps=150, patience=1_000)
    second.fit(resume=True)
    for (name, a), b in zip(whole.model.state_dict().items(), second.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_when_to_look_and_when_to_stop() -> None:
    stage = trainer(None, steps=10, patience=100).stages[0]
    selection = Selection(stage, noise(10, 0))
    assert not selection.due(10) and selection.due(11)
    selection.looked = selection.best_step = 1_000
    assert not selection.due(1_099) and selection.due(1_100)
    selection.weights = {"w": torch.zeros(1)}
    assert not selection.lost(1_600) and selection.lost(1_601) and not selection.over(10_000)
    ema = trainer(None, steps=10, patience=100).ema
    selection.weights = {"w": torch.zeros(1)}
    selection.settle(ema, 1_600)
    assert selection.lr_scale(1_600) > 10 * selection.lr_scale(2_400) > 0
    assert not selection.over(2_399) and not selection.over(2_400) and selection.lost(2_400)
    selection.best_step = 2_300  # settling has brought something
    assert selection.over(2_400) and not selection.lost(2_400)
    selection.best_step, selection.weights = 1_000, {}
    selection.settle(ema, 2_400)
    selection.weights = {"w": torch.zeros(1)}
    assert not selection.over(3_399) and selection.over(3_400)
    assert not Selection(stage, None).on
