"""Reads a run folder as it lies on disk, however far its training came.

Nothing here trusts the folder: lines that are torn, keys that are missing and paths that point
outside it are skipped and told to the reader of the report, never raised.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aegan.errors import RunError

FORMAT_VERSION = 1
"""Newest ``format_version`` of ``config.json`` that this reader knows."""


@dataclass
class RunFolder:
    """The readable content of a run folder.

    Attributes:
        path: The folder.
        config: ``config.json``.
        adapter: ``adapter.json``; empty when it is not there.
        events: Events in order, those that a resume took back removed.
        metrics: ``metrics.json``; ``None`` when it is not there or cannot be read.
        health: ``health.json``, what the model says about itself; ``None`` as above.
        diagnosis: ``diagnosis.json``, the doctor's verdicts; ``None`` as above.
        notices: Sentences about what could not be read.
    """

    path: Path
    config: dict[str, Any]
    adapter: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, Any] | None = None
    health: dict[str, Any] | None = None
    diagnosis: dict[str, Any] | None = None
    notices: list[str] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Events of one kind, in order."""
        return [event for event in self.events if event.get("event") == kind]

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The ``step`` events, in order."""
        return self.of("step")

    @property
    def state(self) -> str:
        """How the run stands: ``"finished"``, ``"interrupted"``, ``"failed"`` or ``"unfinished"``."""
        for event in reversed(self.events):
            if event.get("event") == "end":
                reason = event.get("reason")
                return "finished" if reason is None else reason if reason in ("finished", "interrupted") else "failed"
            if event.get("event") == "error":
                return "failed"
            if event.get("event") in ("start", "resume", "step"):
                break
        return "unfinished"

    @property
    def codes_only(self) -> bool:
        """Whether the run finished with reconstructions but no samples, as a model without a generator does."""
        pictures = [self.file(f"samples/{name}.png") is not None for name in ("grid", "reconstructions")]
        return self.state == "finished" and self.metrics is None and pictures == [False, True]

    @property
    def seconds(self) -> float | None:
        """Training time in seconds, by the newest event that tells it."""
        times = (number(event.get("t")) for event in reversed(self.events))
        return next((t for t in times if t is not None), None)

    def last(self, key: str) -> Any:
        """Newest value of ``key`` in any event, or ``None``."""
        return next((e[key] for e in reversed(self.events) if e.get(key) is not None), None)

    def file(self, name: object) -> Path | None:
        """A file of this folder, or ``None`` when it is missing or lies outside the folder."""
        if not isinstance(name, str) or "\0" in name:
            return None
        root = self.path.resolve()
        try:
            path = (root / name).resolve()
            return path if path.is_relative_to(root) and path.is_file() else None
        except OSError:
            return None


def read_run(path: Path | str) -> RunFolder:
    """Read a run folder.

    Args:
        path: The folder that ``aegan fit --out`` wrote.

    Returns:
        What could be read, with a notice for each thing that could not.

    Raises:
        RunError: It is no run folder, or its ``config.json`` cannot be read.
    """
    path = Path(path)
    if not path.is_dir():
        raise RunError(f"{path}: there is no such folder. Give the folder that `aegan fit --out` wrote.")
    if not (path / "config.json").is_file():
        raise RunError(
            f"{path}: this is not a run folder, for it holds no config.json. "
            "Give the folder that `aegan fit --out` wrote."
        )
    notices: list[str] = []
    config = _object(path / "config.json", notices)
    if config is None:
        raise RunError(
            f"{path / 'config.json'}: expected a JSON object. "
            "The file was damaged or edited; restore it, or fit again into a new folder."
        )
    version = config.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        notices.append(
            f"The run was written in format {version}, and this report reads format {FORMAT_VERSION}: "
            "upgrade aegan to be sure that nothing is missing."
        )
    return RunFolder(
        path=path,
        config=config,
        adapter=_object(path / "adapter.json", notices) or {},
        events=_events(path / "events.jsonl", notices),
        metrics=_object(path / "metrics.json", notices, optional=True),
        health=_object(path / "health.json", notices, optional=True),
        diagnosis=_object(path / "diagnosis.json", notices, optional=True),
        notices=notices,
    )


def number(value: object) -> float | None:
    """``value`` as a finite float, or ``None`` for anything else.

    >>> number(2), number("2"), number(float("nan")), number(True)
    (2.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 else None  # false for NaN too


def _object(path: Path, notices: list[str], *, optional: bool = False) -> dict[str, Any] | None:
    """A file's JSON object, or ``None`` with a notice."""
    try:
        data = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        if not optional:
            notices.append(f"{path.name} is missing.")
        return None
    except (OSError, ValueError, RecursionError) as error:
        notices.append(f"{path.name} could not be read: {error}.")
        return None
    if not isinstance(data, dict):
        notices.append(f"{path.name} does not hold a JSON object.")
        return None
    return data


def _events(path: Path, notices: list[str]) -> list[dict[str, Any]]:
    """Events in order; torn lines are counted, and steps that a resume repeats are dropped."""
    events: list[dict[str, Any]] = []
    torn = 0
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if not line.strip():
                    continue
                try:
                    event = json.loads(line)
                except (ValueError, RecursionError):
                    torn += 1
                    continue
                if isinstance(event, dict):
                    _append(events, event)
                else:
                    torn += 1
    except OSError as error:
        notices.append(f"events.jsonl could not be read: {error.strerror}.")
    if torn:
        notices.append(f"{torn} line{'s' if torn > 1 else ''} of events.jsonl could not be read and was skipped.")
    return events


def _append(events: list[dict[str, Any]], event: dict[str, Any]) -> None:
    """Add an event; a resume takes back the steps after the checkpoint it started from."""
    start = number(event.get("step"))
    if event.get("event") == "resume" and start is not None:
        kinds = ("step", "samples", "stage")
        events[:] = [e for e in events if e.get("event") not in kinds or (number(e.get("step")) or 0.0) <= start]
    events.append(event)


def inner(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A mapping within a mapping; an empty one where there is none."""
    value = mapping.get(key)
    return value if isinstance(value, Mapping) else {}
