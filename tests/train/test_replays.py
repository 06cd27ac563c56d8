"""Updates that no value is read of, captured and replayed or not, give the weights and losses of those that wait."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.contract.test_models import SPECS, data_for
from tests.contract.test_runs import RUNS, model_of
from tests.tape import Tape

from aegan.config import TrainConfig
from aegan.models.base import Model
from aegan.train.backend import Backend
from aegan.train.probe import Observer, Probe, StepRecord
from aegan.train.trainer import Trainer

FORMS = dict.fromkeys([*RUNS, ("latent-gan", "labelled"), ("gan", "grey"), ("vq-gan", "grey")])
STEPS = 24
CLOSE = {"rtol": 1e-4, "atol": 1e-4}
"""A learning rate in a tensor is a float32, one in a number a float64."""


class Told(Probe):
    """The records, asked when all is over."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        self.records.append(record)


def trained(
    model: Model,
    kind: str,
    *,
    waits: bool,
    tape: Tape | None = None,
    steps: int = STEPS,
    probes: Sequence[Observer] = (),
) -> Trainer:
    backend = Backend("cpu", "fp32")
    backend.waits, backend.capture = waits, tape
    config = TrainConfig(steps=steps, seed=1, grids=0)
    trainer = Trainer(model, data_for(SPECS[kind]), config, backend, probes=probes)
    trainer.fit()
    return trainer


@pytest.mark.parametrize(("name", "kind"), FORMS)
def test_replayed_updates_are_those_that_wait(name: str, kind: str) -> None:
    torch.set_num_threads(1)
    told = [Told(), Told()]
    models, tape = [model_of(name, kind), model_of(name, kind)], Tape()
    trained(models[0], kind, waits=True, probes=[told[0]])
    trained(models[1], kind, waits=False, tape=tape, probes=[told[1]])
    print("STEADY", name, kind, tape.captures, tape.replayed)
    for one, other in zip(told[0].records, told[1].records, strict=True):
        assert other.terms == pytest.approx(one.terms, rel=1e-3, abs=1e-5), one.step
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-3, abs=1e-5), one.step
    for key, value in models[0].state_dict().items():
        torch.testing.assert_close(models[1].state_dict()[key], value, **CLOSE)
