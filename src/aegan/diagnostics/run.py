"""Verdicts on a run folder, from its files alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aegan.diagnostics.health import diagnose, verdict_of
from aegan.diagnostics.history import History, Look, whole
from aegan.diagnostics.verdicts import Accepts, Verdict, report_text, without_refused
from aegan.errors import RunError
from aegan.storage import write_json

UNWATCHED = (
    "The run holds no `health` events: it was trained without the doctor, or stopped before its first look. "
    "What follows is from its other files."
)


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What a run's files say.

    Attributes:
        verdicts: Causes and the surest first.
        settings: The model's settings, nested.
        looks: How often the doctor looked.
        cost: Part of the training's time that looking took; None where it is not known.
        notes: What could not be known.
    """

    verdicts: tuple[Verdict, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    looks: int = 0
    cost: float | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "verdicts": [v.to_json(self.settings) for v in self.verdicts],
            "looks": self.looks,
            "cost": self.cost,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        text = report_text(list(self.verdicts), self.settings, cost=self.cost)
        return "\n".join([*(note.replace("`", "") for note in self.notes), text])


def diagnose_run(path: Path | str, *, accepts: Accepts | None = None) -> Diagnosis:
    """Judge a run by ``config.json``, ``events.jsonl``, ``health.json`` and ``metrics.json``.

    Args:
        path: A run folder; the run may be unfinished, interrupted or failed.
        accepts: Whether its model takes a setting; all are taken for granted when None.

    Raises:
        RunError: Not a run folder.
    """
    path = Path(path)
    config = _object(path / "config.json")
    if not config:
        raise RunError(
            f"{path}: not a run folder: config.json is missing, empty or cannot be read. Give a folder made by "
            "`aegan fit`."
        )
    events = _events(path / "events.jsonl")
    looks = [Look.from_json(e) for e in _standing(events)]
    found = [v for v in diagnose(History(looks)) if v.name != "healthy"] if looks else []
    found = _from_error(events) + found + _from_health(_object(path / "health.json"), looks)
    found += _from_metrics(_object(path / "metrics.json"))
    named: dict[tuple[str, str], Verdict] = {}
    for verdict in found:
        named.setdefault((verdict.name, "" if "collapse" in verdict.name else verdict.where), verdict)
    settings = config.get("model_config")
    settings = settings if isinstance(settings, Mapping) else {}
    cost = next((e["cost"] for e in reversed(events) if isinstance(e.get("cost"), float)), None)
    return Diagnosis(
        verdicts=tuple(without_refused(named.values(), settings, accepts))
        or ((verdict_of("healthy"),) if looks else ()),
        settings=settings,
        looks=len(looks),
        cost=cost,
        notes=() if looks else (UNWATCHED,),
    )


def add_found(path: Path, *, accepts: Accepts | None = None) -> None:
    """Put into a run's ``diagnosis.json`` what ``health.json`` and ``metrics.json`` say, which came after it."""
    written = _object(path / "diagnosis.json")
    if written is None:
        return
    told = written.get("verdicts")
    before = [v for v in told if isinstance(v, dict)] if isinstance(told, list) else []
    named = {v.get("name") for v in before}
    later = [
        v for v in diagnose_run(path, accepts=accepts).to_json()["verdicts"] if v["name"] not in {*named, "healthy"}
    ]
    if later:
        kept = [v for v in before if v.get("name") != "healthy"]
        write_json(path / "diagnosis.json", written | {"verdicts": [*kept, *later]})


def read_looks(path: Path) -> list[Look]:
    """The looks in an ``events.jsonl``; none where there is no such file."""
    return [Look.from_json(event) for event in _standing(_events(path))]


def _standing(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """``health`` events without those that a resume took back."""
    kept: list[dict[str, Any]] = []
    for event in events:
        if event.get("event") == "start":
            kept = []
        elif event.get("event") == "resume" and isinstance(event.get("step"), int):
            kept = [e for e in kept if whole(e.get("step")) <= event["step"]]
        elif event.get("event") == "health":
            kept.append(event)
    return kept


def _from_error(events: list[dict[str, Any]]) -> list[Verdict]:
    """A run that stopped at a value that is not finite."""
    last = next((e for e in reversed(events) if e.get("event") in ("error", "resume", "start")), {})
    message = str(last.get("message") or "")
    if last.get("event") != "error" or not any(word in message for word in ("nan", "inf", "not finite")):
        return []
    where = message.split(": ", 1)[0]
    step = last.get("step")
    told = verdict_of("non-finite", where=where, since=step if isinstance(step, int) else 0, confidence=0.99)
    if "discriminator" in where:  # its learning rate is the one to lower
        roles = {"lr": "lr_discriminator", "lr_generator": "lr_discriminator"}
        told = replace(told, remedies=tuple(replace(r, role=roles.get(r.role, r.role)) for r in told.remedies))
    return [told]


def _from_health(data: dict[str, Any] | None, looks: list[Look]) -> list[Verdict]:
    """Collapses that the model itself named (``Model.health``)."""
    texts = (data or {}).get("findings")
    found = []
    for text in texts if isinstance(texts, list) else []:
        for word, name in (("codebook collapse", "codebook-collapse"), ("posterior collapse", "posterior-collapse")):
            if word in str(text).lower():
                since = looks[-1].step if looks else 0
                found.append(verdict_of(name, where="codes", since=since, confidence=0.9, why=str(text)))
    return found


def _from_metrics(data: dict[str, Any] | None) -> list[Verdict]:
    """Copies of training data, by the evaluation's test."""
    test = (data or {}).get("memorisation")
    if not isinstance(test, dict) or test.get("status") != "copies":
        return []
    return [verdict_of("memorisation", where="samples", confidence=0.9, why=str(test.get("verdict") or ""))]


def _object(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _events(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            found.append(event)
    return found
