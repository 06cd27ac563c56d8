"""Whether ``torch.compile`` pays on this machine, for every stage of the default models.

    python benchmarks/compiled.py --out RESULTS [--cases "images, 28x28" ...] [--stages joint ...]
                                  [--ways loss network] [--precisions auto] [--seconds 3] [--docs docs] [--kept]

Trained by the trainer, with the optimiser, averages and penalties of the stage, in the precision that it would choose
(``auto``) or in those named. ``loss``: the whole loss is compiled; ``network``: of the networks that the stage calls
the largest that can be compiled, alone. Each is measured in a process of its own with an empty compiler cache:
processor seconds that the first steps cost more than eager ones (the compiler's and its children's), of a step in
either way, in turn, medians of three, and the steps after which compiling has paid for itself. ``breaks`` are the
places at which the compiler gives up and begins anew. What cannot be compiled says so in its row. Finished rows are
kept in RESULTS; ``--kept`` prints and writes these without measuring what is missing. With ``--docs`` the table is
written into ``benchmarks.md`` between its marks.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aegan.config import TrainConfig
from aegan.models.base import Model
from aegan.train.backend import Backend
from aegan.train.precision import choose_precision
from aegan.train.trainer import Trainer
from aegan.types import Stage
from machine import CASES, Case, Clock, child, kind, write_between

BEGIN, END = "<!-- compiled: begin -->", "<!-- compiled: end -->"
WAYS = ("loss", "network")
FIRST = 12
"""Steps in which everything is compiled that a stage needs: penalties come in every fourth."""
TRIED = 3
"""Networks that are tried, the largest first, until one can be compiled."""
Row = dict[str, Any]


def spent() -> float:
    """Processor seconds of this process and its children."""
    found = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in found)


def train(case: Case, model: Model, stage: Stage, precision: str, count: int) -> float:
    """Processor seconds of a step of a stage by the trainer, of so many behind the first two."""
    clock, config = Clock(), TrainConfig(steps=2 + count, grids=0, device="cpu", precision=precision)
    Trainer(model, case.data(), config, Backend("cpu", precision), stages=(stage,), probes=[clock]).fit()
    return clock.took / count


def first_steps(case: Case, model: Model, stage: Stage, precision: str) -> float:
    """Processor seconds of the first steps of a stage."""
    began = spent()
    train(case, model, stage, precision, FIRST - 2)
    return spent() - began


def called(model: Model, work: Callable[[], Any]) -> list[str]:
    """Names of the modules that the model's losses call as such in ``work``, the one with most weights first.

    What lies within another that is called comes behind it, having fewer weights. The model itself is none.
    """
    names: dict[str, int] = {}
    hooks, loss, within = [], model.loss, False

    def watched(*args: Any) -> Any:
        nonlocal within
        within = True
        try:
            return loss(*args)
        finally:
            within = False

    for name, module in model.named_modules():
        weights = sum(p.numel() for p in module.parameters())
        if name and weights and not isinstance(module, nn.ModuleList | nn.ModuleDict):

            def seen(*_: Any, name: str = name, weights: int = weights) -> None:
                names.update({name: weights} if within else {})

            hooks.append(module.register_forward_pre_hook(seen))
    model.loss = watched  # pyright: ignore[reportAttributeAccessIssue]
    work()
    del model.loss
    for hook in hooks:
        hook.remove()
    return sorted(names, key=lambda name: -names[name])


def reason(error: Exception) -> str:
    r"""What an error says first, short enough for a row.

    >>> reason(RuntimeError("torch.compile does not support double backward. See | more\nTrace"))
    'torch.compile does not support double backward'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    first = next((line for line in lines if " error: " in line), lines[0])  # what a C++ compiler says of the code
    return first.split(" error: ")[-1].split(". ")[0].replace("|", "/")[:120]


def compiled_after_first(model: Model, loss: Callable[..., Any]) -> None:
    """Lets a model's loss be ``loss``, of which nothing is compiled in the first step of a stage.

    The trainer counts products in that step by a dispatch mode, under which the compiler passes code over for good.
    """

    def either(*args: Any) -> Any:
        with torch.compiler.set_stance("default" if model.stage_step else "force_eager"):
            return loss(*args)

    model.loss = either  # pyright: ignore[reportAttributeAccessIssue]


def compiled(case: Case, stage: Stage, precision: str, way: str) -> tuple[Model, float, Row]:
    """A model of which the loss or a network was compiled, the cost of its first steps, and what was compiled.

    Raises:
        RuntimeError: Nothing of it could be compiled; the message says why.
    """
    from torch._dynamo.utils import counters

    plain = case.model()
    names = called(plain, lambda: first_steps(case, plain, stage, precision)) if way == "network" else ["loss"]
    failures = []
    for name in names[:TRIED]:
        torch._dynamo.reset()
        counters.clear()
        model = case.model()
        if way == "network":
            model.get_submodule(name).compile()
        compiled_after_first(model, torch.compile(model.loss) if way == "loss" else model.loss)
        try:
            took = first_steps(case, model, stage, precision)
        except Exception as error:  # whatever the compiler raises belongs into the row
            print(name, error, file=sys.stderr)
            failures.append(f"{name}: {reason(error)}")
            continue
        graphs = int(counters["stats"]["unique_graphs"])
        if not graphs:
            failures.append(f"{name}: the compiler passed it over")
            continue
        return model, took, {"what": name, "graphs": graphs, "breaks": sum(counters["graph_break"].values())}
    raise RuntimeError("; ".join(failures))


def measured(name: str, stage_name: str, way: str, precision: str, seconds: float) -> Row:
    """A row: costs, or ``failed`` with the reason."""
    case = CASES[name]
    stage = next(s for s in case.model().stages if s.name == stage_name)
    plain = case.model()
    if precision == "auto":
        precision = choose_precision(case.model(), case.data(), "cpu")[0]
    row: Row = {"case": name, "stage": stage_name, "way": way, "precision": precision}
    eager_first = first_steps(case, plain, stage, precision)
    try:
        model, took, found = compiled(case, stage, precision, way)
        costs: dict[str, list[float]] = {"eager": [], "compiled": []}
        count = max(4, min(100, int(seconds / 3 / (eager_first / FIRST))))
        for _ in range(3):
            for key, one in (("eager", plain), ("compiled", model)):
                costs[key].append(train(case, one, stage, precision, count))
    except Exception as error:  # a case that cannot be compiled must not end the benchmark
        return row | {"failed": str(error) if isinstance(error, RuntimeError) else reason(error)}
    middle = {key: statistics.median(values) for key, values in costs.items()}
    return row | found | middle | {"compiling": max(0.0, took - eager_first)}


def pays(row: Row) -> str:
    """After how many steps compiling has paid for itself.

    >>> pays({"compiling": 10.0, "eager": 0.3, "compiled": 0.2}), pays({"compiling": 1.0, "eager": 1, "compiled": 1})
    ('100 steps', 'never')
    """
    gain = row["eager"] - row["compiled"]
    return f"{row['compiling'] / gain:,.0f} steps" if gain > 0 else "never"


def table(rows: list[Row]) -> str:
    """Markdown: a line for each row."""
    head = ("model's stage", "compiled", "graphs, breaks", "compiling, s", "eager, s a step", "compiled, s a step")
    lines = [f"| {' | '.join(head)} | as fast | pays after |", f"|{'---|' * 8}"]
    for row in rows:
        start = f"| {row['case']}: {row['stage']}, {row['precision']} | "
        if "failed" in row:
            lines.append(f"{start}{row['way']} | cannot be compiled: {row['failed']} | | | | | never |")
            continue
        what = "the loss" if row["way"] == "loss" else f"`{row['what']}`"
        costs = f"{row['compiling']:.0f} | {row['eager']:.4f} | {row['compiled']:.4f}"
        ratio = f"{row['eager'] / row['compiled']:.2f} times"
        lines.append(f"{start}{what} | {row['graphs']}, {row['breaks']} | {costs} | {ratio} | {pays(row)} |")
    return "\n".join(lines)


def alone(name: str, stage: str, way: str, precision: str, seconds: float) -> Row:
    """:func:`measured` in a process of its own, with an empty compiler cache, the compiler working in that process."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ |= {"TORCHINDUCTOR_CACHE_DIR": cache, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        return child(__file__, "--one", name, stage, way, precision, "--seconds", seconds)


def main() -> None:
    """Measure what is missing; print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=list(CASES))
    parser.add_argument("--stages", nargs="+", help="names of stages; all without")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--precisions", nargs="+", choices=("auto", "fp32", "bf16"), default=["auto"])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--kept", action="store_true")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one:
        warnings.simplefilter("ignore")
        logging.getLogger("torch").setLevel(logging.CRITICAL)
        name, stage, way, precision = options.one
        print(json.dumps(measured(name, stage, way, precision, options.seconds)))
        return
    if options.out is None:
        sys.exit("--out RESULTS expected.")
    options.out.mkdir(parents=True, exist_ok=True)
    stages = [(n, s.name) for n in options.cases for s in CASES[n].model().stages if s.share > 0]
    stages = [(n, s) for n, s in stages if options.stages is None or s in options.stages]
    rows, missing = [], 0
    ways: list[tuple[str, str]] = list(itertools.product(options.precisions, options.ways))
    for (name, stage), (precision, way) in itertools.product(stages, ways):
        kept = options.out / f"{name}-{stage}-{precision}-{way}.json".replace(" ", "_")
        if not kept.exists() and options.kept:
            missing += 1
            continue
        if not kept.exists():
            kept.write_text(json.dumps(alone(name, stage, way, precision, options.seconds)))
        rows.append(json.loads(kept.read_text()))
        print(table(rows[-1:]).splitlines()[-1], flush=True)
    text = f"{time.strftime('%Y-%m-%d')}, {kind()}; one thread, the machine shared; {missing} rows missing."
    text = f"{text}\n\n{table(rows)}"
    print(f"\n{text}")
    if options.docs is not None:
        write_between(options.docs / "benchmarks.md", BEGIN, END, text)


if __name__ == "__main__":
    main()
