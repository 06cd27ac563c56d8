"""``fit(heal=True)``: act on a sure verdict, by its first remedy that can be changed while a run goes on.

A run is healed by stopping it, writing the changed setting into ``config.json`` and going on from the last checkpoint
that the doctor found healthy; from new weights where there was none. What is then in the folder is a run like any
other: it can be resumed exactly, and says in ``config.json`` (``healed``) and in its events what was done.
"""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aegan.config import from_json, override, to_json
from aegan.data.kinds import adapter_class
from aegan.diagnostics.probe import DoctorProbe
from aegan.diagnostics.verdicts import Remedy, Verdict
from aegan.errors import AeganError, AeganWarning, ConfigError
from aegan.models.registry import build, entry
from aegan.run import RunFolder
from aegan.storage import write_atomically, write_json
from aegan.streams import borrowed
from aegan.train.checkpoint import load_state, save_state
from aegan.train.events import EventLog
from aegan.types import Spec

SURE = 0.8
"""Confidence from which a verdict is acted upon."""
AT_MOST = 2
"""Times that one run is healed."""
LOOKS = 10
"""Looks between two consultations."""
HEALABLE = (
    "gamma", "gamma_fake", "lr", "lr_generator", "lr_discriminator", "beta", "free_bits", "loss", "instance_noise",
    "ema_samples", "anchor", "jacobian_weight",
)  # fmt: skip
"""Kinds of settings that leave the networks as they are; the others need a new run."""
HEALTHY = "healthy.pt"
"""The last state that the doctor found healthy."""


@dataclass(frozen=True)
class Change:
    """One setting that is changed, and why."""

    verdict: str
    where: str
    confidence: float
    since: int
    step: int
    setting: str
    value: str
    was: str


class Healer:
    """Consults the doctor while a run goes on; an observer of the trainer.

    Args:
        doctor: Watches the same run; it must come before this one among the trainer's probes.
        run: The run's folder.

    Attributes:
        change: What is to be done; the run has then been asked to stop.
    """

    draws = False

    def __init__(self, doctor: DoctorProbe, run: RunFolder) -> None:
        self.doctor, self.run = doctor, run
        self.change: Change | None = None
        self._consulted = 0
        self._saved = 0.0

    def on_start(self, trainer: Any) -> None:
        """Nothing is known yet."""

    def on_stage(self, trainer: Any, stage: str) -> None:
        """A new stage, and new looks."""

    def on_step(self, trainer: Any, record: Any) -> None:
        """Every few looks: keep a healthy checkpoint, or ask the run to stop for a change."""
        looks = len(self.doctor.history.looks)
        if (
            self.change is not None
            or looks < self._consulted + LOOKS
            or len(self.run.config.get("healed", [])) >= AT_MOST
        ):
            return
        self._consulted = looks
        first = self.doctor.verdicts()[0]
        if first.name == "healthy":
            self._keep(trainer)
        elif first.confidence >= SURE:
            self.change = change_for(first, self.run.config, trainer.step)
            if self.change is not None:  # a stop that somebody else asked for stays one
                trainer._stop = True

    def on_end(self, trainer: Any, reason: str) -> None:
        """A run that came to its end needs no way back."""
        if reason == "finished":
            with contextlib.suppress(OSError):
                (self.run.path / HEALTHY).unlink(missing_ok=True)

    def apply(self) -> tuple[RunFolder, bool]:
        """Write the change into the run, and go back.

        The time already used counts on, so that a budget in seconds is kept; with new weights it begins anew.

        Returns:
            The run as it is now, and whether there is a state to go on from.
        """
        change, path = self.change, self.run.path
        if change is None:
            raise ConfigError("heal: nothing to change. Healer.change is None.")
        config = dict(self.run.config)
        config["model_config"] = changed(self.run.config, change.setting, change.value)
        config["healed"] = [*config.get("healed", []), asdict(change)]
        healthy, now = load_state(path / HEALTHY), load_state(path / "state.pt")
        back = healthy is not None and healthy["step"] <= change.since
        if back and healthy is not None:
            save_state(path / "state.pt", healthy | {"elapsed": now["elapsed"] if now else healthy["elapsed"]})
        else:
            for name in ("state.pt", "model.safetensors", "events.jsonl", HEALTHY):
                (path / name).unlink(missing_ok=True)
        write_json(path / "config.json", config)
        step = healthy["step"] if back and healthy is not None else 0
        log = EventLog(path / "events.jsonl", keep_to_step=step)
        log.write("heal", **asdict(change) | {"step": step, "at": change.step})
        log.close()
        return RunFolder.open(path), back

    def _keep(self, trainer: Any) -> None:
        """Copy the newest checkpoint, which was written while all was well, unless it is kept already."""
        state = self.run.path / "state.pt"
        if state.exists() and (written := state.stat().st_mtime) > self._saved:
            write_atomically(self.run.path / HEALTHY, lambda p: shutil.copyfile(state, p))
            self._saved = written


def change_for(verdict: Verdict, config: dict[str, Any], step: int) -> Change | None:
    """The first remedy that changes a setting of this run and leaves its networks alone; None where there is none."""
    for remedy in verdict.remedies:
        found = _setting(remedy, config["model_config"])
        if found is None:
            continue
        name, value = found
        try:
            changed(config, name, value)
        except ConfigError:  # does not go with the other settings
            continue
        was: Any = config["model_config"]
        for key in name.split("."):
            was = was[key]
        return Change(
            verdict.name, verdict.where, round(verdict.confidence, 3), verdict.since, step, name, value, str(was)
        )
    return None


def changed(config: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    """The model's settings with one of them changed; ConfigError where they do not go together."""
    made = from_json(entry(config["model"]).load().Config, config["model_config"])
    return to_json(override(made, {name: value}))


def accepts(model: str, settings: Mapping[str, Any], spec: Spec) -> Callable[[str, str], bool]:
    """Whether a setting can be changed to a value, for a model with these settings and data of this spec."""

    def able(name: str, value: str) -> bool:
        try:
            made = changed({"model": model, "model_config": settings}, name, value)
            with borrowed(), warnings.catch_warnings():
                warnings.simplefilter("ignore", AeganWarning)  # said when the run began
                build(model, spec, made).check_new()
        except ConfigError:
            return False
        return True

    return able


def accepts_of(path: Path) -> Callable[[str, str], bool] | None:
    """The same for a run's folder; None where its files do not tell."""
    with contextlib.suppress(AeganError, KeyError, TypeError, ValueError):
        run = RunFolder.open(path)
        spec = adapter_class(run.adapter["adapter"]).from_json(run.adapter).spec
        entry(run.config["model"])
        return accepts(run.config["model"], run.config["model_config"], spec)
    return None


def _setting(remedy: Remedy, settings: dict[str, Any]) -> tuple[str, str] | None:
    return remedy.setting(settings) if remedy.role in HEALABLE else None
