"""A run that is healed: stopped, changed, taken back to where all was well, and finished."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import aegan
from aegan import fitting
from aegan.config import to_json
from aegan.diagnostics.health import verdict_of
from aegan.diagnostics.history import History, Look
from aegan.diagnostics.probe import DoctorProbe
from aegan.errors import Interrupted
from aegan.healing import HEALTHY, Healer, change_for
from aegan.models.gans.gan import GANConfig
from aegan.train.events import read_events
from tests.conftest import bars

TINY_GAN = {"noise_dim": "8", "width": "8", "blocks": "1", "batch_size": "16"}


def fit(folder: Path, **more) -> aegan.Estimator:
    common = {"steps": 30, "model": "gan", "precision": "fp32", "evaluate": False, "checkpoint_every": 1e-9}
    return aegan.fit(bars(), out=folder, settings=TINY_GAN, **common | more)


@pytest.fixture
def sick_from(monkeypatch):
    """Make the doctor say that the discriminator is not Lipschitz, from a step on and until γ is changed."""

    def install(step: int, since: int) -> None:
        def verdicts(self: DoctorProbe):
            sick = self.history.looks[-1].step >= step and self.settings["penalty"]["r1"] == 1.0
            return [verdict_of("not-lipschitz", since=since, confidence=0.95) if sick else verdict_of("healthy")]

        monkeypatch.setattr("aegan.storage.os.fsync", lambda handle: None)  # a checkpoint every step
        monkeypatch.setattr(DoctorProbe, "verdicts", verdicts)
        for asked in ("_judged", "_samples", "_jacobian", "_terms"):  # gradients are enough for a look
            monkeypatch.setattr(DoctorProbe, asked, lambda self, trainer: {})
        monkeypatch.setattr(fitting, "DoctorProbe", functools.partial(DoctorProbe, every=1))

    return install


def test_a_run_is_changed_and_goes_on_from_its_healthy_state(tmp_path: Path, sick_from) -> None:
    sick_from(step=16, since=13)
    run = tmp_path / "run"
    fit(run, heal=True)
    config = json.loads((run / "config.json").read_text())
    assert config["model_config"]["penalty"]["r1"] == 3.0
    (healed,) = config["healed"]
    assert (healed["verdict"], healed["setting"], healed["was"]) == ("not-lipschitz", "penalty.r1", "1.0")
    events = read_events(run / "events.jsonl")
    (told,) = [e for e in events if e["event"] == "heal"]
    back = next(e for e in events if e["event"] == "resume")
    assert told["step"] == back["step"] and 0 < back["step"] <= 13 < told["at"]
    assert events[-1]["reason"] == "finished" and events[-1]["step"] == 30 and not (run / HEALTHY).exists()
    assert aegan.load(run).sample(2).shape == (2, 8, 8)


def test_a_run_that_was_never_well_begins_anew(tmp_path: Path, sick_from) -> None:
    sick_from(step=1, since=1)
    fit(tmp_path / "run", heal=True)
    events = read_events(tmp_path / "run" / "events.jsonl")
    assert [e["event"] for e in events[:2]] == ["heal", "start"] and events[-1]["step"] == 30


def test_without_the_option_nothing_is_changed(tmp_path: Path, sick_from) -> None:
    sick_from(step=1, since=1)
    fit(tmp_path / "run", steps=15)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["model_config"]["penalty"]["r1"] == 1.0 and "healed" not in config


def test_only_settings_that_leave_the_networks_alone() -> None:
    config = {"model": "gan", "model_config": to_json(GANConfig(loss="hinge"))}
    vanishing = change_for(verdict_of("vanishing-gradients"), config, 10)
    assert vanishing is not None and (vanishing.setting, vanishing.value) == ("loss", "relativistic")
    assert change_for(verdict_of("batchnorm"), config, 10) is None
    assert change_for(verdict_of("data-problem"), config, 10) is None


def test_a_verdict_without_a_remedy_does_not_take_back_a_stop(tmp_path: Path) -> None:
    class Doctor:
        history = History(Look(step=i) for i in range(20))
        verdicts = staticmethod(lambda: [verdict_of("data-problem")])

    trainer = SimpleNamespace(_stop=True, step=5)  # Ctrl-C came in this very step
    run = SimpleNamespace(config={"model": "gan", "model_config": {}}, path=tmp_path)
    healer = Healer(Doctor(), run)  # type: ignore[arg-type]
    healer.on_step(trainer, None)
    assert healer.change is None and trainer._stop


def test_an_interruption_by_the_user_stays_one(tmp_path: Path) -> None:
    class Stop:
        def __getattr__(self, name: str):
            return lambda trainer, *_: setattr(trainer, "_stop", name == "on_step")

    with pytest.raises(Interrupted):
        fit(tmp_path / "run", heal=True, probes=[Stop()])
