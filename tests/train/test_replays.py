"""Updates that no value is read of, captured and replayed or not, give the weights and losses of those that wait."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.contract.test_models import SPECS, data_for
from tests.contract.test_runs import RUNS, model_of
from tests.tape import Tape
from torch import Tensor

from aegan.config import TrainConfig
from aegan.diagnostics.probe import DoctorProbe
from aegan.errors import AeganWarning, NonFiniteError
from aegan.models.base import Model
from aegan.train.backend import Backend
from aegan.train.backward import Place
from aegan.train.events import read_events
from aegan.train.probe import Probe, StepRecord
from aegan.train.probes import EventProbe
from aegan.train.replays import MOST, Outcome
from aegan.train.trainer import Trainer
from aegan.types import Optimizer, Phase, Term

FORMS = dict.fromkeys([*RUNS, ("latent-gan", "labelled"), ("gan", "grey"), ("vq-gan", "grey")])
STEPS = 24
NEVER_STEADY = (
    "vector-quantised",
    "sequence",
    "sequence, denoising",
    "sequence, language",
    "adversarial-autoencoder of text",
    "gan, ada",
)
"""Forms no phase of which is steady."""
CLOSE = {"rtol": 1e-4, "atol": 1e-4}
"""A learning rate in a tensor is a float32, one in a number a float64."""


class Told(Probe):
    """The records, asked when all is over."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        self.records.append(record)


def trained(
    model: Model, kind: str, *, waits: bool, tape: Tape | None = None, steps: int = STEPS, **given: Any
) -> Trainer:
    backend = Backend("cpu", "fp32")
    backend.waits, backend.capture = waits, tape
    config = TrainConfig(steps=steps, seed=1, grids=0)
    trainer = Trainer(model, data_for(SPECS[kind]), config, backend, **given)
    trainer.fit()
    return trainer


class Never(Told):
    """Lets nothing be replayed."""

    def replays(self, trainer: Trainer, phase: Phase) -> bool:
        return False


@pytest.mark.parametrize(("name", "kind"), FORMS)
def test_replayed_updates_are_those_made_call_by_call(name: str, kind: str) -> None:
    torch.set_num_threads(1)
    told, tapes = [Never(), Told()], [Tape(), Tape()]
    models = [model_of(name, kind), model_of(name, kind)]
    for model, probe, tape in zip(models, told, tapes, strict=True):
        trained(model, kind, waits=False, tape=tape, probes=[probe])
    assert tapes[0].replayed == 0 and (name in NEVER_STEADY) == (tapes[1].replayed == 0)
    for one, other in zip(told[0].records, told[1].records, strict=True):
        assert (other.terms, other.grad_norm, other.lr) == (one.terms, one.grad_norm, one.lr), one.step
    for key, value in models[0].state_dict().items():
        assert torch.equal(models[1].state_dict()[key], value), key


@pytest.mark.parametrize("name", ["gan", "timegan", "autoregressive", "latent-gan"])
def test_unread_updates_are_those_that_wait(name: str) -> None:
    kind = next(kind for one, kind in FORMS if one == name)
    told = [Told(), Told()]
    models = [model_of(name, kind), model_of(name, kind)]
    for model, probe, waits in zip(models, told, (True, False), strict=True):
        trained(model, kind, waits=waits, probes=[probe])
    for one, other in zip(told[0].records, told[1].records, strict=True):
        assert other.terms == pytest.approx(one.terms, rel=1e-4, abs=1e-6), one.step
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-4, abs=1e-6), one.step
        assert other.lr == one.lr
    torch.testing.assert_close(flat(models[0]), flat(models[1]), **CLOSE)


def autoencoder() -> Model:
    return model_of("autoencoder", "vector")


def bad_from(model: Model, step: int) -> Model:
    """The model, whose loss is not a number in one step."""
    own = model.loss

    def loss(phase: str, batch: Any) -> dict[str, Term]:
        terms = own(phase, batch)
        return terms | {"code": Term(terms["code"].value * float("nan"), 1.0)} if model.stage_step == step else terms

    model.loss = loss  # pyright: ignore[reportAttributeAccessIssue]
    return model


def test_what_is_not_finite_moves_no_weight_and_is_told_when_it_is_read(tmp_path: Path) -> None:
    model, reference = bad_from(autoencoder(), 5), autoencoder()
    with pytest.raises(NonFiniteError, match=r"step 6, term 'code': the loss is nan"):
        trained(model, "vector", waits=False, steps=9, folder=tmp_path)
    assert all(bool(p.isfinite().all()) for p in model.parameters())
    assert not (tmp_path / "state.pt").exists()  # nothing is kept of what has not been looked at
    with pytest.raises(NonFiniteError):
        trained(bad_from(reference, 5), "vector", waits=True, steps=9)
    events = read_events(tmp_path / "events.jsonl")
    assert [e["event"] for e in events][-2:] == ["error", "end"]


def test_a_gradient_that_is_not_finite_is_told_as_one() -> None:
    place = Place(autoencoder().stages[0], autoencoder().stages[0].phases[0], 7, None, "fp32")
    with pytest.raises(NonFiniteError, match=r"step 7: the gradient is not finite \(of which parameter was not kept"):
        place.check_norm(float("inf"))


def altered(model: Model, **phase: Any) -> Model:
    """The model with other settings of its one phase; its loss is 0 times itself in every second step."""
    stage = model.stages[0]
    made = dataclasses.replace(stage, phases=(dataclasses.replace(stage.phases[0], **phase),))
    own = model.loss

    def loss(name: str, batch: Any) -> dict[str, Term]:
        return {k: Term(t.value * (model.stage_step % 2), t.weight) for k, t in own(name, batch).items()}

    type(model)._of_test = made  # pyright: ignore[reportAttributeAccessIssue]
    model.loss = loss  # pyright: ignore[reportAttributeAccessIssue]
    return model


def flat(model: Model) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("skips", [True, False])
def test_gradients_are_cut_and_empty_steps_left_out_as_when_they_are_waited_for(skips: bool) -> None:
    weights = []
    for waits in (True, False):
        model = altered(autoencoder(), skips=skips, optimizer=Optimizer(lr=1e-2, clip_norm=0.05))
        stages = [type(model)._of_test]  # pyright: ignore[reportAttributeAccessIssue]
        trained(model, "vector", waits=waits, steps=9, stages=stages)
        weights.append(flat(model))
    torch.testing.assert_close(*weights, **CLOSE)
    assert float((weights[0] - flat(autoencoder())).norm()) > 0.01


class Refuses(Tape):
    """A device that captures nothing."""

    def __call__(self, work: Callable[[], Outcome]) -> tuple[Outcome, Callable[[], None]]:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")


def test_what_cannot_be_captured_goes_on_call_by_call(tmp_path: Path) -> None:
    models = [autoencoder(), autoencoder()]
    trained(models[0], "vector", waits=False)
    trained(models[1], "vector", waits=False, tape=Refuses(), folder=tmp_path)
    torch.testing.assert_close(flat(models[0]), flat(models[1]), **CLOSE)
    told = [e["why"] for e in read_events(tmp_path / "events.jsonl") if e["event"] == "not-replayed"]
    assert told == ["autoencode: operation not permitted when stream is capturing"]


def test_of_keys_without_end_some_are_captured() -> None:
    model, tape = autoencoder(), Tape()
    model.steady = lambda phase, batch: model.stage_step // 4  # pyright: ignore[reportAttributeAccessIssue]
    trained(model, "vector", waits=False, tape=tape, steps=4 * MOST + 12)
    assert tape.captures == MOST


def test_the_doctor_sees_gradients_between_replays(tmp_path: Path) -> None:
    model, tape, doctor = model_of("gan", "labelled-vector"), Tape(), DoctorProbe(every={"gradients": 5})
    trained(model, "labelled-vector", waits=False, tape=tape, probes=[doctor], steps=40)
    looks = [look for look in doctor.history.looks if "generator/gradient" in look.values]
    assert len(looks) == 8 and tape.replayed >= 2 * 40 - 2 * 8 - 2 * 2
    assert all(look.values["generator/pace"] == look.values["generator/reached"] == 1.0 for look in looks[1:])
    assert not doctor.errors and doctor.verdicts()[0].name != "frozen"


def test_events_have_the_means_of_all_steps(tmp_path: Path) -> None:
    found = []
    for waits in (True, False):
        folder = tmp_path / str(waits)
        folder.mkdir()
        trained(autoencoder(), "vector", waits=waits, folder=folder, probes=[EventProbe(every=0.0)])
        found.append([e for e in read_events(folder / "events.jsonl") if e["event"] == "step"])
    assert len(found[0]) == len(found[1]) == STEPS
    for one, other in zip(*found, strict=True):
        assert other["terms"] == pytest.approx(one["terms"], rel=1e-4)
        assert other["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4)


def test_graphs_are_for_cuda_alone() -> None:
    assert Backend("cpu", "fp32", graphs=True).capture is None


def test_an_operation_that_reads_is_no_tape() -> None:
    def work() -> Outcome:
        return (), torch.full((), float(torch.ones(2).sum()))

    with pytest.raises(RuntimeError, match="read on the host"):
        Tape()(work)


def test_graphs_without_a_gpu_say_so_and_change_nothing() -> None:
    weights = []
    for graphs in (False, True):
        model = autoencoder()
        config = TrainConfig(steps=3, grids=0, graphs=graphs)
        data = data_for(SPECS["vector"])
        with pytest.warns(AeganWarning, match="a CUDA device") if graphs else contextlib.nullcontext():
            Trainer(model, data, config, Backend("cpu", "fp32", config.graphs)).fit()
        weights.append(flat(model))
    assert torch.equal(*weights)


class Asks(Probe):
    """Reads every record at once, as a progress line does four times a second."""

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        assert record.terms


def test_an_error_that_a_probe_has_read_stops_the_next_step(tmp_path: Path) -> None:
    model = bad_from(autoencoder(), 5)
    with pytest.raises(NonFiniteError, match="step 6"):
        trained(model, "vector", waits=False, steps=50, probes=[Asks()], folder=tmp_path)
    assert [e["step"] for e in read_events(tmp_path / "events.jsonl") if e["event"] == "end"] == [6]


def test_what_is_not_finite_is_told_of_a_stopped_run_without_a_folder() -> None:
    class Stops(Probe):
        def on_step(self, trainer: Trainer, record: StepRecord) -> None:
            trainer._stop = record.step == 8

    with pytest.raises(NonFiniteError, match="step 6"):
        trained(bad_from(autoencoder(), 5), "vector", waits=False, steps=50, probes=[Stops()])


def test_which_updates_are_replayed_changes_no_bit() -> None:
    class Some(Probe):
        def replays(self, trainer: Trainer, phase: Phase) -> bool:
            return trainer.step % 3 == 0

    weights = []
    for probes in ([], [Some()]):
        model = autoencoder()
        trained(model, "vector", waits=False, tape=Tape(), probes=probes)
        weights.append(flat(model))
    assert torch.equal(*weights)
