"""What the benchmarks of speed share: the machine's kind and matrix rate, work done in a process of its own, and flops.

    python benchmarks/machine.py --arithmetic       # each default model's rate beside the machine's

Costs are counted in processor seconds (user and system), which another program on the machine changes less than the
clock on the wall; caches and memory are shared all the same. Peaks of memory are those of the whole process, Python
and torch included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from aegan import presets
from aegan.config import TrainConfig, override, to_json
from aegan.config import from_json as config_from
from aegan.data.base import TensorData
from aegan.models.base import Model
from aegan.models.registry import build, entry
from aegan.train.backend import Backend
from aegan.train.precision import choose_precision
from aegan.train.probe import Probe, StepRecord
from aegan.train.products import by_onednn, usable
from aegan.train.trainer import Trainer
from aegan.types import Field, Spec, Stage

Told = dict[str, float]


def kind() -> str:
    """The machine in words, without its name: processor, cores, memory, what of bf16 it has, torch."""
    model, flags = platform.machine(), ""
    if Path("/proc/cpuinfo").exists():
        lines = dict(
            [part.strip() for part in line.split(":", 1)]
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if ":" in line
        )
        model, flags = lines.get("model name", model), lines.get("flags", "")
    names = {"amx_bf16": "AMX bf16", "avx512_bf16": "AVX-512 bf16"}
    bf16 = ", ".join(text for flag, text in names.items() if flag in flags.split()) or "no bf16 units"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {bf16}{gpu}; torch {torch.__version__}"


def peak() -> float:
    """The most memory that this process held so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def cost(work: Callable[[], Any]) -> float:
    """Processor seconds of ``work``."""
    began = time.process_time()
    work()
    return time.process_time() - began


def typical(work: Callable[[], Any]) -> float:
    """Processor seconds of ``work``: below .5 s the median of five, since one alone may be an outlier."""
    took = cost(work)
    return took if took >= 0.5 else statistics.median([took, *(cost(work) for _ in range(4))])


def child(
    script: str | Path, *arguments: Any, python: str | Path = sys.executable, timeout: float | None = None
) -> Told:
    """The JSON object on the last line that a script prints, run with one thread in a process of its own.

    Raises:
        RuntimeError: It ended with an error; what it said last is in the message.
    """
    environment = os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    done = subprocess.run(
        [str(python), str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=timeout,
    )
    if done.returncode:
        raise RuntimeError(f"{Path(script).name} {arguments}: rc {done.returncode}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def matrix_rate(dtype: torch.dtype = torch.float32, *, size: int = 1024, seconds: float = 2.0) -> float:
    """Floating-point operations a processor second of products of square matrices: the best of several short runs.

    Products of fp32 by the faster library (:mod:`aegan.train.products`).
    """
    a, b = (torch.randn(size, size, generator=torch.Generator().manual_seed(i)).to(dtype) for i in (0, 1))
    out = torch.empty_like(a)
    torch.mm(a, b, out=out)
    best, began = 0.0, time.perf_counter()
    with by_onednn(usable()):
        while time.perf_counter() - began < seconds:
            took = cost(lambda: [torch.mm(a, b, out=out) for _ in range(8)])
            best = max(best, 8 * 2 * size**3 / max(took, 1e-9))
    return best


class Flops(TorchDispatchMode):
    """Operations of matrix products and convolutions within it, by :mod:`torch.utils.flop_counter`'s formulas.

    ``FlopCounterMode`` itself follows modules through the graph, which second derivatives (R1) do not let it.

    >>> with Flops() as counter:
    ...     _ = torch.ones(2, 3) @ torch.ones(3, 5)
    >>> counter.total
    60
    """

    total = convolutions = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called by torch for every operation."""
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            count = formula(*args, **(kwargs or {}), out_val=out)
            self.total += count
            self.convolutions += count if "convolution" in func.name() else 0
        return out


@dataclass(frozen=True)
class Case:
    """A default model on data of one shape, random: what is measured is cost, not what is learnt."""

    kind: str
    spec: Spec
    samples: int = 600

    def data(self) -> TensorData:
        """Random samples of the spec."""
        generator = torch.Generator().manual_seed(0)
        n, shape = self.samples, self.spec.shape
        if self.kind == "table":
            sizes = torch.tensor([field.size for field in self.spec.fields])
            x = (torch.rand(n, *shape, generator=generator) * sizes).floor() + 0.5
        elif self.kind == "text":
            x = torch.randint(2, self.spec.vocabulary, (n, *shape), generator=generator)
            x[:, -1] = 0
        elif self.kind == "series":
            x = torch.rand(n, *shape, generator=generator).mul_(2).sub_(1)
        else:
            x = torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8)
        if not self.spec.classes:
            return TensorData(x=x)
        return TensorData(x=x, y=torch.randint(0, len(self.spec.classes), (n,), generator=generator))

    def model(self, name: str | None = None, settings: Mapping[str, str] | None = None, as_if: int = 50_000) -> Model:
        """The default of the kind, or another model, with the presets of ``as_if`` samples; the same weights always."""
        name = name or presets.default_model(self.kind)
        config = config_from(entry(name).load().Config, presets.settings(name, self.spec, as_if))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return build(name, self.spec, to_json(override(config, settings or {})))


def columns(number: int, size: int = 20) -> Spec:
    """Rows of ``number`` columns of ``size`` values each."""
    fields = tuple(Field(column=f"c{i}", size=size) for i in range(number))
    return Spec(kind="table", shape=(number,), likelihood="categorical", fields=fields)


CASES = {
    "images, 28x28": Case("image", Spec(kind="image", shape=(1, 28, 28), classes=tuple("0123456789"))),
    "table, 20 columns": Case("table", columns(20)),
    "series, 24 steps of 6": Case("series", Spec(kind="series", shape=(24, 6))),
    "text, 64 characters": Case("text", Spec(kind="text", shape=(64,), likelihood="categorical", vocabulary=80)),
    "sound, 64 bands of 64 frames": Case("audio", Spec(kind="audio", shape=(1, 64, 64), classes=tuple("0123456789"))),
}
"""One of each kind of data; of sound the shape of half a second."""


class Clock(Probe):
    """Processor seconds from the end of the second step to that of the last."""

    began = took = 0.0

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        """Called after every step."""
        if trainer.step == 2:
            self.began = time.process_time()
        self.took = time.process_time() - self.began


def steps(
    model: Model,
    data: TensorData,
    stage: str,
    *,
    least: int = 4,
    seconds: float = 4.0,
    chosen: Stage | None = None,
    precision: str = "fp32",
    count_flops: bool = False,
) -> Told:
    """Cost of one step of a stage by the trainer, in processor seconds; its floating-point operations where asked for.

    ``convolutions``: operations a second of the clock of these alone, as torch's profiler times them.

    At least so many steps, and as many as fit the seconds, are timed, after two that are not; ``chosen`` is the stage
    in another form.
    """
    chosen = chosen or next(s for s in model.stages if s.name == stage)
    backend, clock = Backend("cpu", precision), Clock()

    def run(number: int) -> None:
        config = TrainConfig(steps=number, grids=0, device="cpu", precision=precision)
        Trainer(model, data, config, backend, stages=(chosen,), probes=[clock]).fit()

    run(4)
    count = max(least, min(200, int(seconds / max(clock.took / 2, 1e-6))))
    run(2 + count)
    told = {"step": max(clock.took, 1e-9) / count, "batch": float(chosen.batch_size)}
    if not count_flops:
        return told
    counted, spent = [], []
    for number in (2, 18):
        with Flops() as counter:
            run(number)
        counted.append(counter)
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            run(number)
        spent.append(sum(e.self_cpu_time_total for e in profiled.key_averages() if "convolution" in e.key) / 1e6)
    # What comes before the first step, such as the codes of all samples, is in both and belongs to neither.
    flops = (counted[1].total - counted[0].total) / 16
    convolutions = counted[1].convolutions - counted[0].convolutions
    return told | {"flops": flops, "convolutions": convolutions / (spent[1] - spent[0]) if convolutions else 0.0}


def arithmetic(names: Iterable[str] = tuple(CASES), *, least: int = 4, seconds: float = 4.0) -> dict[str, Told]:
    """Of every stage of the default models: samples and operations a processor second, and the part of the matrix rate.

    What is counted are the operations of matrix products and convolutions, forward and backward, as
    :class:`Flops` counts them; all else (activations, optimiser, averages) is cost
    without operations here, so that the share is below what the processor really does. The precision is the one that
    ``fit`` chooses for the model on this machine, the matrix rate beside it that of the same precision.
    """
    found: dict[str, Told] = {}
    for name in names:
        case = CASES[name]
        model, data = case.model(), case.data()
        precision, _ = choose_precision(model, data, "cpu")
        for stage in model.stages:
            if stage.share <= 0:
                continue
            low = precision == "bf16" and stage.autocast
            dtype = torch.bfloat16 if low else torch.float32
            # The rate beside it is measured at the same time, since a shared machine's moves.
            before = matrix_rate(dtype, seconds=0.3)
            given = {"least": least, "seconds": seconds, "precision": precision}
            told = steps(model, data, stage.name, **given, count_flops=True)
            rate = max(before, matrix_rate(dtype, seconds=0.3))
            achieved = told["flops"] / told["step"]
            found[f"{name}: {stage.name}"] = told | {
                "samples": told["batch"] / told["step"],
                "rate": achieved,
                "matrix": rate,
                "share": achieved / rate,
                "bf16": float(low),
            }
    return found


def arithmetic_table(found: Mapping[str, Told]) -> str:
    """Markdown of :func:`arithmetic`."""
    head = ("model's stage", "precision", "samples a s", "MFLOP a sample", "GFLOP/s", "of the matrix rate")
    lines = [f"| {' | '.join(head)} | its convolutions alone |", f"|{'---|' * 7}"]
    for name, told in found.items():
        per = told["flops"] / told["batch"] / 1e6
        rates = f"{told['rate'] / 1e9:.1f} of {told['matrix'] / 1e9:.0f} | {told['share']:.0%}"
        precision = "bf16" if told.get("bf16") else "fp32"
        alone = f"{told['convolutions'] / told['matrix']:.0%}" if told["convolutions"] else ""
        lines.append(f"| {name} | {precision} | {told['samples']:,.0f} | {per:,.2f} | {rates} | {alone} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Median (least–most).

    >>> spread([1.0, 3.0, 2.0])
    '2.00 (1.00–3.00)'
    """
    middle = statistics.median(values)
    digits = 0 if middle >= 100 else 1 if middle >= 10 else 2 if middle >= 0.1 else 4
    low, high = (f"{v:,.{digits}f}" for v in (min(values), max(values)))
    return f"{middle:,.{digits}f}" + (f" ({low}–{high})" if len(values) > 1 else "")


def write_between(page: Path, begin: str, end: str, text: str) -> None:
    """Put text between two marks of a page; what was there goes."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"{page}: the marks {begin} and {end} expected.")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arithmetic", action="store_true")
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{time.strftime('%Y-%m-%d')}: {kind()}\n")
    rates = {str(dtype): f"{matrix_rate(dtype) / 1e9:.1f} GFLOP/s" for dtype in (torch.float32, torch.bfloat16)}
    print(rates)
    if options.arithmetic:
        print(arithmetic_table(arithmetic(seconds=options.seconds)))


if __name__ == "__main__":
    main()
