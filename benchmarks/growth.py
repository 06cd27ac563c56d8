"""How time and memory grow: with rows, columns, pictures, side, steps, characters, codes, processes and messages.

    python benchmarks/growth.py --out RESULTS [--axes rows columns ...] [--docs docs] [--quick]

Each size is measured in a process of its own with one thread: processor seconds of the parts named, and the most memory
held. Passes are run in full by the trainer, and as many samples drawn as there are; what takes less than half a second
is the median of five. Several processes and their messages are timed by the clock on the wall, medians of three. An
exponent is the slope of a straight line through logarithms, over all sizes; ``at the end`` is that between the two
largest, where constant costs weigh least. Finished sizes are kept in RESULTS. With ``--docs`` the table is written into
``scale.md`` between its marks.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from aegan.config import TrainConfig
from aegan.errors import AeganWarning
from aegan.models.base import Model
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Samples, Spec, Stage
from machine import Case, Told, child, columns, kind, peak, steps, typical, write_between
from processes import summing, trained

SMALL = {"autoencoder.width": "4", "joint.width": "4"}
"""Networks of pictures narrow enough for whole passes."""
TOGETHER = (("images, 28x28", "autoencoder"), ("images, 28x28", "joint"), ("table, 20 columns", "fields"))
"""Cases and stages that more processes train."""
MESSAGES = (2**16, 2**20, 2**24, 2**26)
RATE = "steps a s"
LOAD = "load"
"""Keys of what is no cost: a rate by the clock, and the machine's load before a measurement."""
BEGIN, END = "<!-- growth: begin -->", "<!-- growth: end -->"


def rows(size: int) -> Told:
    """A table of 8 columns: read, encoded, a pass of training, drawn, judged."""
    from aegan.data.table import TableAdapter
    from aegan.metrics.table import evaluate_table

    frame = _table(size, 8, 50)
    adapter, told = TableAdapter(), {}
    told["learn columns"] = typical(lambda: adapter.fit(frame))
    told["encode"] = typical(lambda: adapter.to_tensors(frame))
    case, data = Case("table", adapter.spec, samples=512), adapter.to_tensors(frame)
    rows = data.batch(torch.arange(len(data)))["x"]
    model = case.model(as_if=size)
    told |= _passes(model, data)
    told["draw"] = _drawn(case, model.eval(), size)
    told["decode"] = typical(lambda: adapter.from_tensors(rows))
    cut = size * 3 // 4
    parts = frame.iloc[:cut].reset_index(drop=True), frame.iloc[cut:].reset_index(drop=True)
    told["judge"] = typical(lambda: evaluate_table(train=parts[0], synthetic=parts[0], holdout=parts[1], target="n0"))
    return told


def pictures(size: int) -> Told:
    """Pictures of 16x16 in an array: read, a pass of a small model's stages, drawn, judged."""
    from aegan.data import ImageAdapter
    from aegan.metrics import Features, evaluate_images

    x = np.random.default_rng(0).integers(0, 256, (size, 16, 16), np.uint8)
    adapter = ImageAdapter()
    told = {"read": typical(lambda: adapter.fit(x))}
    data = adapter.to_tensors(x)
    case = Case("image", adapter.spec, samples=512)
    model = case.model(None, SMALL, as_if=size)
    told |= _passes(model, data)
    told["draw"] = _drawn(case, model.eval(), size)
    space = Features(lambda batch: batch.flatten(1)[:, :32], name="pixels", dim=32)
    held, train = data.subset(torch.arange(size // 4)), data.subset(torch.arange(size // 4, size))
    made = held.batch(torch.arange(len(held)))["x"]
    told["judge"] = typical(lambda: evaluate_images(train=train, synthetic=made, holdout=held, features=space))
    return told


def wide(size: int) -> Told:
    """Rows of so many columns: a step, a draw of 512."""
    return _stepped(Case("table", columns(size), samples=512))


def read_wide(size: int) -> Told:
    """A table of 2,000 rows and so many columns: types and rules found, encoded."""
    from aegan.data.table import TableAdapter

    frame = _table(2_000, size, 20)
    adapter = TableAdapter()
    return {
        "learn columns": typical(lambda: adapter.fit(frame)),
        "encode": typical(lambda: adapter.to_tensors(frame)),
    }


def names(size: int) -> Told:
    """A column of so many names among 200,000 rows: found out, encoded, and a step on it."""
    import pandas as pd

    from aegan.data.table import TableAdapter

    random = np.random.default_rng(0)
    n = 200_000
    frame = pd.DataFrame({"name": np.char.add("N", random.integers(0, size, n).astype(str)), "n": random.random(n)})
    adapter, told = TableAdapter(), {}
    told["learn columns"] = typical(lambda: adapter.fit(frame))
    told["encode"] = typical(lambda: adapter.to_tensors(frame))
    case = Case("table", adapter.spec, samples=512)
    return told | _stepped(case)


def side(size: int) -> Told:
    """Pictures of this side: a step of each stage of the default model, a draw of 64; per picture."""
    return _stepped(Case("image", Spec(kind="image", shape=(1, size, size)), samples=64), each=True)


def series(size: int) -> Told:
    """Series of so many steps."""
    return _stepped(Case("series", Spec(kind="series", shape=(size, 6)), samples=128))


def text(size: int) -> Told:
    """Texts of so many characters."""
    return _stepped(
        Case("text", Spec(kind="text", shape=(size,), likelihood="categorical", vocabulary=80), samples=128)
    )


def code(size: int) -> Told:
    """Codes of so many numbers, of pictures of 16x16."""
    case = Case("image", Spec(kind="image", shape=(1, 16, 16)), samples=128)
    return _stepped(case, "autoencoder", {"latent_dim": str(size)})


def ranks(processes: int) -> Told:
    """So many processes, a thread each: steps a second by the clock, and memory of the first, of some stages."""
    told: Told = {}
    for name, stage in TOGETHER:
        found = [trained(processes, name, stage, 40) for _ in range(3)]
        told[f"{name}: {stage}, {RATE}"] = statistics.median(one["rate"] for one in found)
        told[f"{name}: {stage}, memory of each"] = statistics.median(one["peak"] for one in found)
    return told


def message(size: int) -> Told:
    """So many bytes of gradients summed between two processes, by the clock."""
    return {"summing": statistics.median(summing([size])[size] for _ in range(3))}


@dataclass(frozen=True)
class Axis:
    """What grows, and over which sizes."""

    title: str
    measure: Callable[[int], Told]
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    alone: bool = True
    """Measured in one process, whose memory is then told."""


AXES = {
    "rows": Axis("rows of a table", rows, (5_000, 15_000, 45_000, 135_000), (400, 800)),
    "pictures": Axis("pictures", pictures, (4_000, 8_000, 16_000, 32_000), (400, 800)),
    "columns": Axis("columns, the model", wide, (8, 16, 32, 64), (2, 4)),
    "read-columns": Axis("columns, the reading", read_wide, (8, 16, 32, 64), (4, 8)),
    "names": Axis("different names", names, (100, 1_000, 10_000, 100_000), (10, 100)),
    "side": Axis("side of a picture", side, (16, 32, 64, 128), (8, 16)),
    "series": Axis("steps of a series", series, (24, 48, 96, 192), (4, 8)),
    "text": Axis("characters of a text", text, (32, 64, 128, 256), (4, 8)),
    "code": Axis("numbers of a code", code, (16, 64, 256, 1024), (4, 8)),
    "ranks": Axis("processes", ranks, (1, 2), (1, 2), alone=False),
    "message": Axis("bytes between two processes", message, MESSAGES, (2**10, 2**12), alone=False),
}


def _table(size: int, number: int, values: int):  # noqa: ANN202
    import pandas as pd

    random = np.random.default_rng(0)
    half = number // 2
    made = {f"n{i}": random.normal(size=size).round(3) for i in range(number - half)}
    made |= {f"c{i}": np.char.add("v", random.integers(0, values, size).astype(str)) for i in range(half)}
    return pd.DataFrame(made)


def _drawn(case: Case, model: Model, number: int) -> float:
    from aegan.models.base import in_blocks, noise_for

    noise = noise_for(0, number, model.noise_dim)
    y = torch.zeros(number, dtype=torch.int64) if case.spec.classes and model.conditional else None
    in_blocks(model.generate, noise[: model.block], None if y is None else y[: model.block], block=model.block)
    return typical(lambda: in_blocks(model.generate, noise, y, block=model.block))


def _passes(model: Model, data: Samples) -> Told:
    """Processor seconds of a pass over the data in each stage (the first two), by the trainer with a run folder.

    What a stage prepares (the codes of all samples), the order, checkpoints and events are in it.
    """
    told: Told = {}
    for stage in [stage for stage in model.stages if stage.share > 0][:2]:

        def run(steps: int, stage: Stage = stage) -> None:
            config = TrainConfig(steps=steps, grids=0, device="cpu", precision="fp32")
            with tempfile.TemporaryDirectory() as folder:
                Trainer(model, data, config, Backend("cpu", "fp32"), folder=Path(folder), stages=(stage,)).fit()

        run(2)  # what is imported and set up once in a process
        count = -(-len(data) // stage.batch_size)
        told[f"train, a pass of {stage.name}"] = typical(lambda run=run, count=count: run(count))
    return told


def _stepped(case: Case, name: str | None = None, settings: dict[str, str] | None = None, each: bool = False) -> Told:
    model, data, told = case.model(name, settings), case.data(), {}
    for stage in model.stages:
        if stage.share > 0:
            one = steps(model, data, stage.name, least=2, seconds=1.0)
            key = f"{stage.name}, a {'picture' if each else 'step'}"
            told[key] = one["step"] / (one["batch"] if each else 1)
    if model.noise_dim:
        told["draw"] = _drawn(case, model.eval(), model.block)
    return told


def exponents(sizes: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Slope of the logarithms over all sizes, and between the last two.

    >>> exponents([1, 2, 4], [3.0, 12.0, 48.0])
    (2.0, 2.0)
    """
    x, y = np.log(np.asarray(sizes, float)), np.log(np.maximum(np.asarray(values, float), 1e-9))
    slope = float(np.polyfit(x, y, 1)[0])
    return round(slope, 2), round(float((y[-1] - y[-2]) / (x[-1] - x[-2])), 2)


def table(found: dict[str, dict[int, Told]]) -> str:
    """Markdown: a row for each part of each axis."""
    lines = [
        "| with | of | smallest to largest | s (memory: MiB) | exponent | at the end |",
        "|---|---|---|---|---|---|",
    ]
    for name, by_size in found.items():
        sizes = sorted(by_size)
        for key in [key for key in by_size[sizes[0]] if key != LOAD]:
            values = [by_size[size][key] for size in sizes]
            over, last = exponents(sizes, values)
            what = "memory" if key == "peak" else key
            shown = " · ".join(f"{v:,.0f}" if v >= 100 else f"{v:.3g}" for v in values)
            cost_of = "memory" not in what and not what.endswith(RATE)
            mark = "**" if last > 1.2 and cost_of else ""
            head = f"| {AXES[name].title} | {what} | {sizes[0]:,} to {sizes[-1]:,} | {shown} "
            lines.append(f"{head}| {over:.2f} | {mark}{last:.2f}{mark} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing; print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--axes", nargs="+", choices=tuple(AXES), default=list(AXES))
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("AXIS", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AeganWarning)
            axis, load = AXES[options.one[0]], os.getloadavg()[0]
            told = axis.measure(int(options.one[1]))
        print(json.dumps(told | ({"peak": peak()} if axis.alone else {}) | {LOAD: load}))
        return
    if options.out is None:
        sys.exit("--out RESULTS expected.")
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, dict[int, Told]] = {}
    for name in options.axes:
        axis = AXES[name]
        for size in axis.quick if options.quick else axis.sizes:
            kept = options.out / f"{name}-{size}.json"
            if not kept.exists():
                kept.write_text(json.dumps(child(__file__, "--one", name, size)))
            found.setdefault(name, {})[size] = json.loads(kept.read_text())
            print(name, size, {k: round(v, 4) for k, v in found[name][size].items()}, flush=True)
    loads = [told.get(LOAD, 0.0) for by_size in found.values() for told in by_size.values()]
    shared = f"one thread a process, load {min(loads):.1f} to {max(loads):.1f} before each"
    text = f"{time.strftime('%Y-%m-%d')}, {kind()}; {shared}.\n\n{table(found)}"
    print(f"\n{text}")
    if options.docs is not None:
        write_between(options.docs / "scale.md", BEGIN, END, text)


if __name__ == "__main__":
    main()
