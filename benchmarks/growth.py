"""How time and memory grow: with rows, columns, names, pictures' side, series' and texts' length, and the code's size.

    python benchmarks/growth.py --out RESULTS [--axes rows columns ...] [--docs docs] [--quick]

Each size is measured in a process of its own with one thread: processor seconds of the parts named, and the most memory
held. An exponent is the slope of a straight line through logarithms, over all sizes; ``at the end`` is that between
the two largest, where constant costs weigh least. Finished sizes are kept in RESULTS. With ``--docs`` the table is
written into ``scale.md`` between its marks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from aegan.errors import AeganWarning
from aegan.types import Spec
from machine import Case, Told, child, columns, cost, kind, peak, steps

BEGIN, END = "<!-- growth: begin -->", "<!-- growth: end -->"


def rows(size: int) -> Told:
    """A table of 8 columns: read, encoded, a pass of training, drawn, judged."""
    from aegan.data.table import TableAdapter
    from aegan.metrics.table import evaluate_table

    frame = _table(size, 8, 50)
    adapter, told = TableAdapter(), {}
    told["learn columns"] = cost(lambda: adapter.fit(frame))
    told["encode"] = cost(lambda: adapter.to_tensors(frame))
    case = Case("table", adapter.spec, samples=min(size, 512))
    model = case.model(as_if=size)
    one = steps(model, adapter.to_tensors(frame), model.stages[0].name, seconds=2.0)
    told["train, a pass"] = one["step"] * size / one["batch"]
    model.eval()
    told["draw"] = _drawn(case, model, min(size, 8192)) * size / min(size, 8192)
    told["decode"] = cost(lambda: adapter.from_tensors(adapter.to_tensors(frame).fields["x"]))
    cut = size * 3 // 4
    parts = frame.iloc[:cut].reset_index(drop=True), frame.iloc[cut:].reset_index(drop=True)
    told["judge"] = cost(lambda: evaluate_table(train=parts[0], synthetic=parts[0], holdout=parts[1], target="n0"))
    return told


def pictures(size: int) -> Told:
    """Pictures of 16x16 in an array: read, judged."""
    from aegan.data import ImageAdapter
    from aegan.metrics import Features, evaluate_images

    x = np.random.default_rng(0).integers(0, 256, (size, 16, 16), np.uint8)
    adapter = ImageAdapter()
    told = {"read": cost(lambda: adapter.fit(x))}
    data = adapter.to_tensors(x)
    space = Features(lambda batch: batch.flatten(1)[:, :32], name="pixels", dim=32)
    held, train = data.subset(torch.arange(size // 4)), data.subset(torch.arange(size // 4, size))
    made = held.batch(torch.arange(len(held)))["x"]
    told["judge"] = cost(lambda: evaluate_images(train=train, synthetic=made, holdout=held, features=space))
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
        "learn columns": cost(lambda: adapter.fit(frame)),
        "encode": cost(lambda: adapter.to_tensors(frame)),
    }


def names(size: int) -> Told:
    """A column of so many names among 200,000 rows: found out, encoded, and a step on it."""
    import pandas as pd

    from aegan.data.table import TableAdapter

    random = np.random.default_rng(0)
    n = 200_000
    frame = pd.DataFrame({"name": np.char.add("N", random.integers(0, size, n).astype(str)), "n": random.random(n)})
    adapter, told = TableAdapter(), {}
    told["learn columns"] = cost(lambda: adapter.fit(frame))
    told["encode"] = cost(lambda: adapter.to_tensors(frame))
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


@dataclass(frozen=True)
class Axis:
    """What grows, and over which sizes."""

    title: str
    measure: Callable[[int], Told]
    sizes: tuple[int, ...]
    quick: tuple[int, ...]


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
}


def _table(size: int, number: int, values: int):  # noqa: ANN202
    import pandas as pd

    random = np.random.default_rng(0)
    half = number // 2
    made = {f"n{i}": random.normal(size=size).round(3) for i in range(number - half)}
    made |= {f"c{i}": np.char.add("v", random.integers(0, values, size).astype(str)) for i in range(half)}
    return pd.DataFrame(made)


def _drawn(case: Case, model, number: int) -> float:  # noqa: ANN001
    from aegan.models.base import in_blocks, noise_for

    noise = noise_for(0, number, model.noise_dim)
    y = torch.zeros(number, dtype=torch.int64) if case.spec.classes and model.conditional else None
    in_blocks(model.generate, noise[: model.block], None if y is None else y[: model.block], block=model.block)
    return cost(lambda: in_blocks(model.generate, noise, y, block=model.block))


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
        "| with | of | smallest to largest | processor s (memory: MiB) | exponent | at the end |",
        "|---|---|---|---|---|---|",
    ]
    for name, by_size in found.items():
        sizes = sorted(by_size)
        for key in by_size[sizes[0]]:
            values = [by_size[size][key] for size in sizes]
            over, last = exponents(sizes, values)
            what = "memory" if key == "peak" else key
            shown = " · ".join(f"{v:,.0f}" if v >= 100 else f"{v:.3g}" for v in values)
            mark = "**" if last > 1.2 and key != "peak" else ""
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
            told = AXES[options.one[0]].measure(int(options.one[1]))
        print(json.dumps(told | {"peak": peak()}))
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
    text = f"{time.strftime('%Y-%m-%d')}, {kind()}; one thread, the machine shared.\n\n{table(found)}"
    print(f"\n{text}")
    if options.docs is not None:
        write_between(options.docs / "scale.md", BEGIN, END, text)


def write_between(page: Path, begin: str, end: str, text: str) -> None:
    """Put text between two marks of a page; what was there goes."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"{page}: the marks {begin} and {end} expected.")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
