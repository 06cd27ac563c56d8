"""A study's folder: the spec as it was given, one folder a run, results in one file; safe to be killed at any time.

A run counts as done when its ``result.json``, which is written last and at once, is there and belongs to it. Whatever
else lies in ``runs`` is half-written, and is done again.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import socket
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from aegan import __version__
from aegan.errors import ConfigError, RunError, RunExistsError
from aegan.storage import explained, write_json, write_text
from aegan.study.job import read_result, started
from aegan.study.revision import revision
from aegan.study.spec import Job, StudySpec, jobs_of

FORMAT = 1
STUDY, SPEC, RESULTS, LOCK = "study.json", "spec.toml", "results.jsonl", "lock"
_OWN = {STUDY, SPEC, RESULTS, LOCK, "runs", "features", "summary.json", "table.md", "table.csv", "report.html"}


class StudyFolder:
    """The files of one study.

    Attributes:
        path: The folder.
        spec: The study.
        jobs: Its runs, in order.
    """

    def __init__(self, path: Path, spec: StudySpec) -> None:
        self.path, self.spec, self.jobs = path, spec, jobs_of(spec)

    @classmethod
    def open(cls, path: Path, spec: StudySpec, text: str, *, resume: bool) -> StudyFolder:
        """Make the folder, or go on in one that holds this study, or a part of it.

        Raises:
            RunExistsError: The folder holds this study and ``resume`` was not asked for, or foreign files.
            ConfigError: It holds another study.
        """
        folder = cls(path, spec)
        if path.exists() and not path.is_dir():
            raise RunExistsError(f"--out {path}: a file is in the way. Choose another folder.")
        names = {c.name for c in path.iterdir() if not c.name.startswith(".")} if path.exists() else set()
        if foreign := sorted(names - _OWN):
            shown = ", ".join(foreign[:5])
            raise RunExistsError(f"--out {path}: the folder holds other files ({shown}). Choose a new or empty folder.")
        before = _read(path / STUDY) if STUDY in names else None
        if before is not None:
            _same(before, spec, folder.jobs, path)
            if not resume:
                raise RunExistsError(
                    f"--out {path}: there is a study already. Add --resume to go on with it (finished runs are kept), "
                    "or choose another folder."
                )
        elif "runs" in names or RESULTS in names:
            raise RunError(f"{path}: {STUDY} is missing, so what its runs are of is not known. Choose another folder.")
        about = {
            "format": FORMAT, "spec": spec.to_json(), "keys": [j.key for j in folder.jobs], "made": made(),
            "revisions": folder._revisions(before or {}),
        }  # fmt: skip
        write_text(path / SPEC, text)
        write_json(path / STUDY, about)
        return folder

    def _revisions(self, before: dict[str, Any]) -> list[dict[str, Any]]:
        """All that runs were made with, oldest first, when it is gone on with."""
        found, now = list(before.get("revisions", ())), revision()
        if now not in found and (not found or self.open_jobs()[0]):  # tables alone may be made anew
            found.append(now)
        return found

    def results(self) -> list[dict[str, Any]]:
        """Results of the runs that are done, in the order of the plan."""
        found = (read_result(self.path / "runs" / job.folder, job) for job in self.jobs)
        return [r for r in found if r is not None]

    def open_jobs(self) -> tuple[list[Job], int]:
        """Runs to do, and how many of these lie about half-written."""
        runs = self.path / "runs"
        missing = [job for job in self.jobs if read_result(runs / job.folder, job) is None]
        return missing, sum(started(runs / job.folder) for job in missing)

    def write_results(self) -> list[dict[str, Any]]:
        """Put all results into ``results.jsonl``, at once."""
        results = self.results()
        write_text(self.path / RESULTS, "".join(json.dumps(r) + "\n" for r in results))
        return results

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from working on the same study; a dead one's lock is no hindrance.

        Raises:
            RunError: Another process is at work.
        """
        path, own = self.path / LOCK, f"{socket.gethostname()} {os.getpid()}"
        if path.exists():
            host, _, pid = path.read_text(encoding="utf-8").partition(" ")
            if host == socket.gethostname() and pid.isdigit() and int(pid) != os.getpid() and _alive(int(pid)):
                raise RunError(
                    f"{self.path}: process {pid} is at work on this study. Wait for it, or stop it; where that is "
                    f"another program, which came by the number later, delete {path}."
                )
        with explained(path):
            path.write_text(own, encoding="utf-8")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def made() -> dict[str, Any]:
    """When, where and with what: what is needed to repeat figures, beside the spec."""
    packages = {}
    for name in ("torch", "numpy", "scipy", "scikit-learn"):
        with contextlib.suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "aegan": __version__,
        "revision": revision(),
        "python": platform.python_version(),
        "packages": packages,
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system()},
        "command": " ".join(["aegan", *sys.argv[1:]]) if Path(sys.argv[0]).name == "aegan" else "",
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _same(before: dict[str, Any], spec: StudySpec, jobs: Sequence[Job], path: Path) -> None:
    """Refuse a folder whose runs are not all among the study's: they would be compared with others than theirs."""
    if set(before.get("keys", ())) <= {job.key for job in jobs}:
        return
    then, now = before.get("spec", {}), spec.to_json()
    differ = sorted(k for k in now if then.get(k) != now[k] and k not in ("question", "claims", "metrics", "control"))
    if not differ:  # a figure that needs looks of its own
        differ = ["metrics ('condition')"]
    raise ConfigError(
        f"--out {path}: the folder holds another study ({then.get('name', '?')!r}): {', '.join(differ)} differ. "
        "Models, data and seeds may be added to a study, nothing else may change. Choose another folder."
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read as JSON ({error}). Restore it from a copy, or start anew.") from error
    if not isinstance(value, dict) or value.get("format", 0) > FORMAT:
        raise RunError(f"{path}: not a study that this version can read. Update aegan, or choose another folder.")
    return value


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
