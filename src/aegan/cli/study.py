"""``aegan study``: the plan printed, the study run, its verdicts shown."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import tyro

from aegan.cli.options import Flag


def study(
    spec: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="SPEC")]],
    /,
    *,
    out: Path = Path("study"),
    jobs: int = 1,
    ray: Flag[bool] = False,
    resume: Flag[bool] = False,
    dry_run: Flag[bool] = False,
) -> None:
    """Compare models on data over seeds under one equal budget, as the TOML file SPEC says; with intervals and tests.

    Args:
        spec: What to compare; see docs/studies.md.
        out: Folder for runs, results, tables and report.
        jobs: Runs at a time, each in a process with the spec's threads.
        ray: Do the runs through Ray: on the cluster of RAY_ADDRESS, else --jobs at a time here.
        resume: Go on in --out: what is finished is kept, what was half-written is done again.
        dry_run: Print the plan and how long it will take, and run nothing.
    """
    from aegan.study import run

    if dry_run:
        _print_plan(spec, jobs)
        return
    done = run(spec, out=out, jobs=jobs, ray=ray, resume=resume, tell=lambda line: print(line, flush=True))
    for verdict in done.summary["verdicts"]:
        print(f"{verdict['claim']}: {verdict['verdict']} ({verdict['why']})")
    for note in done.summary["notes"]:
        print(note)
    print(f"table in {out / 'table.md'}, figures in {out / 'table.csv'}, report in {out / 'report.html'}")


def _print_plan(path: Path, jobs: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from aegan.report.page import duration
    from aegan.study.plan import plan, threads_fit
    from aegan.study.reading import read_spec

    spec, _ = read_spec(path)
    arms = plan(spec)
    table = Table(box=None)
    for name in ("model", "data", "training samples", "weights", "stages", "runs", "a run"):
        table.add_column(name, overflow="fold")
    for arm in arms:
        stages = ", ".join(f"{name} {share:.0%}" for name, share in arm.stages)
        each = f"about {duration(arm.seconds)}"
        table.add_row(arm.model, arm.data, f"{arm.n:,}", f"{arm.weights:,}", stages, str(arm.runs), each)
    # A file or a pipe has no width; 80 columns would break names in two.
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    total = sum(arm.runs * (arm.seconds or 0.0) for arm in arms)
    runs = sum(arm.runs for arm in arms)
    print(
        f"{spec.name}: {runs} runs of {spec.budget}. Training takes about {duration(total / jobs)} with --jobs {jobs}; "
        "judging comes on top."
    )
    if note := threads_fit(spec, jobs):
        print(note)
