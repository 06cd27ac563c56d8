"""``events.jsonl``: one JSON object a line, appended and flushed; a torn last line is tolerated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aegan.storage import explained, write_text


class EventLog:
    """Append-only log of a run.

    Args:
        path: The file; parents must exist.
        keep_to_step: On resuming, drop what was logged after this step, because it is done again.
    """

    def __init__(self, path: Path, *, keep_to_step: int | None = None) -> None:
        self.path = path
        if keep_to_step is not None and path.exists():
            kept = [e for e in read_events(path) if e.get("step", 0) <= keep_to_step and e.get("event") != "end"]
            write_text(path, "".join(json.dumps(e) + "\n" for e in kept))
        with explained(path):
            self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed in close()

    def write(self, event: str, **values: Any) -> None:
        """Append one event."""
        with explained(self.path):
            self._file.write(json.dumps({"event": event, **values}) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with explained(self.path):
            self._file.close()


def read_events(path: Path) -> list[dict[str, Any]]:
    """All whole lines of an event file; lines that are not JSON objects are passed over."""
    events = []
    if not path.exists():
        return events
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events
