"""Studies: many runs under one equal budget, compared with intervals, paired tests and verdicts.

>>> sorted(__all__)
['Study', 'run']
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aegan.errors import ConfigError, Interrupted

__all__ = ["Study", "run"]


@dataclass(frozen=True)
class Study:
    """A study that was run.

    Attributes:
        path: Its folder.
        results: One a finished, diverged or failed run, as in ``results.jsonl``.
        summary: Means, intervals, comparisons, ranks and verdicts, as in ``summary.json``.
    """

    path: Path
    results: list[dict[str, Any]]
    summary: dict[str, Any]

    def to_markdown(self) -> str:
        """Verdicts and tables, as in ``table.md``."""
        from aegan.study.table import markdown

        return markdown(self.summary)


def run(
    spec: str | Path | Mapping[str, Any],
    *,
    out: str | Path,
    jobs: int = 1,
    ray: bool = False,
    resume: bool = False,
    tell: Callable[[str], None] = lambda line: None,
) -> Study:
    """Run a study, or go on with one.

    Args:
        spec: A TOML file, or the values of one; see docs/studies.md.
        out: The study's folder.
        jobs: Processes at a time, each with the spec's threads.
        ray: Do the runs through Ray, ``jobs`` at a time on a local one.
        resume: Go on in ``out``: what is finished is kept, what is half-written is done again.
        tell: Is given a line of progress now and then.

    Raises:
        ConfigError: The spec cannot work; found before anything runs.
        DataError: Unknown data, or too few of them.
        Interrupted: Ctrl-C or SIGTERM; all finished runs are kept, tables are written of them.
    """
    import tomllib

    from aegan.study import plan, pool
    from aegan.study.folder import StudyFolder
    from aegan.study.reading import read_spec, spec_of

    if jobs < 1:
        raise ConfigError(f"--jobs {jobs}: at least 1 expected.")
    if isinstance(spec, Mapping):
        read, text = spec_of(spec), _as_toml(spec)
        spec_of(tomllib.loads(text))  # what is kept can be run again
    else:
        read, text = read_spec(spec)
    folder = StudyFolder.open(Path(out), read, text, resume=resume)
    with folder.locked():
        todo, torn = folder.open_jobs()
        if todo:
            plan.check(read)
        for line in (_begin(folder, todo, torn), plan.threads_fit(read, jobs)):
            if line:
                tell(line)
        count = len(folder.jobs) - len(todo)

        def done(job: Any, result: Mapping[str, Any]) -> None:
            nonlocal count
            count += 1
            folder.write_results()
            message = f": {result['message']}" if result["message"] else ""
            tell(f"{count} of {len(folder.jobs)}: {job}: {result['status']}{message}")

        try:
            if ray:
                pool.run_on_ray(todo, folder.path, done, workers=jobs)
            elif jobs == 1:
                pool.run_here(todo, folder.path, done)
            else:
                pool.run_in_processes(todo, folder.path, done, workers=jobs)
        except Interrupted as error:
            left = len(folder.open_jobs()[0])
            _write(folder)
            raise Interrupted(f"{error} {len(folder.jobs) - left} of {len(folder.jobs)} runs are done.") from None
        return _write(folder)


def _begin(folder: Any, todo: list[Any], torn: int) -> str:
    kept = len(folder.jobs) - len(todo)
    parts = [f"{folder.spec.name}: {len(folder.jobs)} runs of {folder.spec.budget}"]
    if kept:
        parts.append(f"{kept} are done")
    if torn:
        parts.append(f"{torn} half-written and done again")
    return ", ".join(parts) + "."


def _write(folder: Any) -> Study:
    """Results, summary, tables and page, each at once, from the finished runs."""
    from aegan.report.study import write_study
    from aegan.storage import write_json, write_text
    from aegan.study.summary import summarise
    from aegan.study.table import as_csv, markdown

    results = folder.write_results()
    summary = summarise(folder.spec, results)
    write_json(folder.path / "summary.json", summary)
    write_text(folder.path / "table.md", markdown(summary))
    write_text(folder.path / "table.csv", as_csv(summary))
    write_study(folder.path)
    return Study(folder.path, results, summary)


def _as_toml(values: Mapping[str, Any]) -> str:
    """Plain values as TOML, with every table inline."""
    import json

    def text(value: Any) -> str:
        if isinstance(value, Mapping):
            return "{ " + ", ".join(f"{json.dumps(str(k))} = {text(v)}" for k, v in value.items()) + " }"
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join(map(text, value)) + "]"
        if isinstance(value, (bool, int, float, str)):
            return json.dumps(value)
        raise ConfigError(f"study: a value of type {type(value).__name__} cannot be kept in a spec: {value!r}.")

    return "".join(f"{key} = {text(value)}\n" for key, value in values.items() if value is not None)
