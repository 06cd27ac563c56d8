"""The injected-failure suite: does the doctor find what was broken, leave the healthy alone, and do its remedies work?

    python benchmarks/doctor.py --out RESULTS [--seeds 0 1 …] [--part development] [--cases "beta" …] [--recover]

Each case of ``doctor_cases.py``, ``doctor_looked_at.py`` and ``doctor_held_out.py`` is a small training, broken on
purpose (or not), by hand, watched by :class:`aegan.diagnostics.Doctor` at fifty looks. Right is a broken run one of
whose right verdicts is among the first two, and a healthy run without any. *Development* cases were used to set the
thresholds, *looked-at* ones stood apart until rules were mended by them, *held-out* ones still do. With ``--recover``
the first remedy of the first verdict is applied and the run repeated: it recovered if none of the right verdicts is
left among the first two and its distance to unseen data is at most thrice that of the healthy run of the same data and
model. Every run is kept in RESULTS and not repeated. ``--cost`` measures what looking costs instead, with the adaptive
schedule.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import re
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from aegan.diagnostics import History, Look, Remedy, Verdict, diagnose
from doctor_cases import DEVELOPMENT, HEALTHY, HELD_OUT, LOOKED_AT, Case, Setup, cases
from doctor_held_out import held_out
from doctor_looked_at import looked_at
from doctor_loops import Loop

PARTS = [DEVELOPMENT, LOOKED_AT, HELD_OUT]
FLOOR = {"gan": 0.05, "vae": 0.4, "vq": 0.6, "vae-gan": 0.5}
"""Distances below this count as recovered whatever the healthy run had."""


def measured(case: Case, seed: int, setup: Setup) -> dict[str, Any]:
    """One run as it is kept."""
    loop = Loop(setup, seed)
    found = loop.run()
    looks = [look.to_json() for look in loop.doctor.history.looks]
    return found | {"case": case.name, "seed": seed, "errors": loop.doctor.errors, "looks": looks}


def changed(setup: Setup, case: Case, verdicts: list[Verdict]) -> dict[str, Any]:
    """What the first remedy of the first verdict changes in the setup; nothing where it changes nothing here."""
    first = verdicts[0]
    if first.name in ("data-problem", "no-gradient"):
        return dict(case.mended) if first.name in case.expected else {}
    if not first.remedies:
        return {}
    if first.name in ("learning-rate-high", "learning-rate-low"):
        return rates(setup, [v for v in verdicts if v.name == first.name])
    for remedy in first.remedies:  # the first that changes anything here
        change = {key: value for key, value in change_of(remedy, setup, first).items() if getattr(setup, key) != value}
        if change:
            return change
    return {}


def rates(setup: Setup, verdicts: list[Verdict]) -> dict[str, Any]:
    """Learning rates as the verdicts on each network say."""
    made = {}
    for verdict in verdicts:
        which = "lr_discriminator" if verdict.where == "discriminator" else "lr"
        made[which] = getattr(setup, which) * verdict.remedies[0].factor
    if list(made) == ["lr_discriminator"] and setup.lr == setup.lr_discriminator:
        made["lr"] = made["lr_discriminator"]  # both were said to learn at one rate
    return made


def change_of(remedy: Remedy, setup: Setup, verdict: Verdict) -> dict[str, Any]:
    """What one remedy means in these loops; empty where it means nothing here."""
    if remedy.role in ("gamma", "beta", "lr_discriminator"):
        now = getattr(setup, remedy.role)
        return {remedy.role: max(now * remedy.factor, remedy.least) if remedy.factor > 1 else now * remedy.factor}
    if remedy.role == "loss":
        return {"loss": remedy.value}
    if remedy.role == "network":
        return {"norm": False} if verdict.name == "batchnorm" else {"activation": "leaky"}
    if verdict.name == "imbalance":
        ratio = next((e.value for e in verdict.evidence if e.statistic == "decoder/balance"), 1.0)
        return {"weight": setup.weight * min(ratio, 1e4)}
    for words, change in (
        ("as often as the generator", {"generators": 1}),
        ("more data", {"count": 0}),
        ("Augment", {"instance_noise": 0.3}),
        ("few dimensions", {"normalised": True}),
        ("initial weights", {"gain": 1.0, "bias": 0.0}),
    ):
        if words in remedy.do:
            return change
    return {}


def kept(folder: Path, case: Case, seed: int, *, setup: Setup, suffix: str = "") -> dict[str, Any]:
    """A run, from the folder where it is there."""
    path = folder / f"{re.sub(r'[^a-z0-9]+', '-', case.name.lower())}-{seed}{suffix}.json"
    if not path.exists():
        path.write_text(json.dumps(measured(case, seed, setup)))
    run = json.loads(path.read_text())
    # Looks are kept and verdicts made anew, so that rules can be changed without training again.
    verdicts = diagnose(History(Look.from_json(look) for look in run.pop("looks")))
    told = [[v.name, v.where, v.since, round(v.confidence, 3)] for v in verdicts]
    return run | {
        "part": case.part,
        "expected": list(case.expected),
        "verdicts": told,
        "change": changed(setup, case, verdicts),
    }


def right(run: Mapping[str, Any]) -> bool:
    """Whether the verdict is right."""
    first = [v[0] for v in run["verdicts"][:2]]
    return any(name in run["expected"] for name in first) if run["expected"] else first == ["healthy"]


def recovered(run: Mapping[str, Any], setup: Setup, healthy: Mapping[tuple[str, str], float]) -> bool:
    """Whether a repeated run is well."""
    bound = max(FLOOR[setup.model], 3 * healthy.get((setup.model, setup.data), 0.0))
    return not any(v[0] in run["expected"] for v in run["verdicts"][:2]) and run["distance"] <= bound


def table(runs: list[dict[str, Any]], title: str) -> None:
    """The confusion matrix of one part: what was broken, what was said first, and whether that was right."""
    print(f"\n### {title}\n\n| case | right | first verdict | second |\n|---|---|---|---|")
    for name in dict.fromkeys(r["case"] for r in runs):
        mine = [r for r in runs if r["case"] == name]
        columns = []
        for place in (0, 1):
            said = [r["verdicts"][place][0] for r in mine if len(r["verdicts"]) > place]
            counted = sorted(((said.count(v), v) for v in set(said)), reverse=True)
            columns.append(", ".join(f"{v} ×{n}" for n, v in counted))
        print(f"| {name} | {sum(map(right, mine))}/{len(mine)} | {columns[0]} | {columns[1]} |")
    broken, healthy = [r for r in runs if r["expected"]], [r for r in runs if not r["expected"]]
    for group, what in (
        (broken, "failures with the right verdict among the first two"),
        (healthy, "healthy runs without an alarm"),
    ):
        if group:
            print(f"\n{what}: {sum(map(right, group))} of {len(group)} ({sum(map(right, group)) / len(group):.1%})")


CHUNK = 25
"""Steps that the watched and the unwatched training take in turn."""


def in_turn(setup: Setup, seed: int, first: bool) -> tuple[dict[bool, float], float, int]:
    """Processor seconds of a training with a doctor (True) and without, by turns; what it tells of its cost; its looks.

    Whatever else the machine does hits both alike. Hooks on optimisers are the process's, so they are taken away while
    the other one has its turn. Which one is made ``first`` moves the figures by up to a tenth, by where their tensors
    come to lie.
    """
    loops = {watched: Loop(setup, seed, watched=watched, every=None) for watched in (first, not first)}
    steps = {watched: loop.steps() for watched, loop in loops.items()}
    seconds = dict.fromkeys(steps, 0.0)
    for turn in range(setup.steps // CHUNK):
        for watched in (True, False) if turn % 2 else (False, True):
            if turn and watched:
                loops[True].doctor.watch()
            elif turn:
                loops[True].doctor.close()
            began, clock = time.process_time(), time.perf_counter()
            for _ in itertools.islice(steps[watched], CHUNK):
                pass
            seconds[watched] += time.process_time() - began
            if not watched and turn:
                loops[True].doctor.schedule.leave_out(time.perf_counter() - clock)
    doctor = loops[True].doctor
    return seconds, doctor.cost, len(doctor.history.looks)


def cost(seeds: list[int]) -> None:
    """What looking costs with the adaptive schedule: told by itself, and beside the same training without it."""
    print("| case | told by itself | looks | processor time with | without | more |\n|---|---|---|---|---|---|")
    for name in ("ring", "images", "images, VAE"):
        for seed in seeds:
            found = [in_turn(replace(HEALTHY[name], steps=3000), seed, first) for first in (True, False)]
            told, looks = (statistics.mean(run[place] for run in found) for place in (1, 2))
            with_it, without = (sum(seconds[watched] for seconds, *_ in found) for watched in (True, False))
            print(
                f"| {name} | {told:.1%} | {looks:.0f} | {with_it:.1f} | {without:.1f} "
                f"| {with_it / without - 1.0:.1%} |",
                flush=True,
            )


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--part", choices=(DEVELOPMENT, LOOKED_AT, HELD_OUT), nargs="+", default=PARTS)
    parser.add_argument("--cases", nargs="+", default=[""], help="parts of the names")
    parser.add_argument("--recover", action="store_true")
    parser.add_argument("--cost", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.cost:
        cost(options.seeds)
        return
    if options.out is None:
        parser.error("--out: a folder for the results is needed")
    options.out.mkdir(parents=True, exist_ok=True)
    every = (*cases(), *looked_at(), *held_out())
    chosen = [c for c in every if c.part in options.part and any(p in c.name for p in options.cases)]
    runs, distances, again = [], {}, []
    for case in chosen:
        for seed in options.seeds:
            run = kept(options.out, case, seed, setup=case.setup)
            runs.append(run)
            print(f"{'right' if right(run) else 'WRONG'}  {case.name} {seed}: {run['verdicts'][:3]}", flush=True)
            if not case.expected:
                distances.setdefault((case.setup.model, case.setup.data), []).append(run["distance"])
            elif options.recover and run["change"]:
                repeated = kept(options.out, case, seed, setup=replace(case.setup, **run["change"]), suffix="-remedied")
                again.append((case, run, repeated))
                print(
                    f"       then {run['change']}: {repeated['distance']:.3g}, {repeated['verdicts'][:2]}", flush=True
                )
    print(
        f"\n{time.strftime('%Y-%m-%d')}, {platform.machine()}, one thread, torch {torch.__version__}, "
        f"seeds {options.seeds}"
    )
    for part in PARTS:
        if mine := [r for r in runs if r["part"] == part]:
            table(mine, part)
    if again:
        healthy = {key: statistics.median(values) for key, values in distances.items()}
        done = [recovered(r, case.setup, healthy) for case, _, r in again]
        print(
            "\n### first remedy applied\n\n"
            "| case | change | recovered | distance before | after |\n|---|---|---|---|---|"
        )
        for (case, before, after), ok in zip(again, done, strict=True):
            change = ", ".join(
                f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in before["change"].items()
            )
            print(
                f"| {case.name} | {change} | {'yes' if ok else 'no'} | {before['distance']:.3g} "
                f"| {after['distance']:.3g} |"
            )
        print(f"\nrecovered after the first remedy: {sum(done)} of {len(done)} ({sum(done) / len(done):.1%})")


if __name__ == "__main__":
    main()
