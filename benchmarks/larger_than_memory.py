"""Tables, pictures and archives larger than memory: the most memory held, and the throughput beside data in memory.

    python benchmarks/larger_than_memory.py --folder DIR [--gigabytes 20] [--columns 40] [--pictures 1000000]
                                            [--side 28] [--limit 2.0] [--parts table images zip tar folder] [--whole]

A Parquet table of that many decimal gigabytes of values as numbers of eight bytes (half amounts, half names) and a
``.npy`` file of pictures are made in DIR, and as many PNGs of ten classes in the folders of a zip, or in a tar with a
``.cls`` beside each, or (100,000 of them) as files in folders. A process with one thread learns what the columns are,
encodes the rows into a file, cuts a holdout off and trains the default model's first stage for ``--steps`` steps, as
``aegan fit`` does, with no more than 256 MiB of encoded data in memory; then, for comparison, the same network on
100,000 of the samples held in memory. Another process reads as many and trains on them alone; files in folders are read
only. Printed are processor seconds of reading, the peaks (Python, torch and networks included), steps a processor
second and a second of the clock, of all steps and of the second half, and each as a part of that of the samples in
memory; the goal of 80 % is for all. ``--whole`` trains all stages, for the peak: between them all samples are encoded,
which counts into the rates, so they are compared with nothing. Ends with an error where a peak is above ``--limit``
GiB. What is in DIR already is used again.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from aegan.config import TrainConfig
from aegan.data import ImageAdapter
from aegan.data.base import Adapter, TensorData
from aegan.data.table import TableAdapter
from aegan.fitting import set_apart
from aegan.train.backend import Backend
from aegan.train.probe import Probe, StepRecord
from aegan.train.trainer import Trainer
from machine import Case, Told, child, kind, peak

GROUP = 131_072
HELD = 256 << 20
"""Bytes of encoded data in memory."""
PART = 100_000
"""Samples of the side in memory, and of the folder."""
CLASSES = 10


NAMES = {
    "table": "table.parquet",
    "images": "pictures.npy",
    "zip": "pictures.zip",
    "tar": "pictures.tar",
    "folder": "pictures",
}


def make_table(path: Path, gigabytes: float, number: int) -> int:
    """Row groups one by one; returns the rows."""
    rows = int(gigabytes * 1e9 / (8 * number))
    if path.exists():
        return pq.ParquetFile(path).metadata.num_rows
    random, half = np.random.default_rng(0), number // 2
    names = np.char.add("v", np.arange(200).astype(str))
    partial = path.with_suffix(".partial")
    writer = None
    for start in range(0, rows, GROUP):
        n = min(GROUP, rows - start)
        made = {f"n{i}": random.normal(i, 1 + i, n).round(2) for i in range(number - half)}
        made |= {f"c{i}": pa.array(names[random.integers(0, 5 + 5 * i, n)]) for i in range(half)}
        block = pa.table(made)
        writer = writer or pq.ParquetWriter(partial, block.schema)
        writer.write_table(block)
    if writer is not None:
        writer.close()
    partial.rename(path)
    return rows


def make_pictures(path: Path, number: int, side: int) -> None:
    """Blurred noise, some thousand pictures at a time."""
    if path.exists():
        return
    random, partial = np.random.default_rng(0), path.with_suffix(".partial")
    array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=(number, side, side))
    for start in range(0, number, 10_000):
        stop = min(number, start + 10_000)
        array[start:stop] = random.integers(0, 256, (stop - start, side, side), np.uint8)
        array.flush()
    del array
    partial.rename(path)


def make_packed(form: str, path: Path, pictures: Path) -> None:
    """As many PNGs as there are pictures, of the first ten thousand again and again, packed or as files."""
    if path.exists():
        return
    array, contents, partial = np.load(pictures, mmap_mode="r"), [], path.with_name(f"{path.name}.partial")
    for pixels in array[:10_000]:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        contents.append(buffer.getvalue())
    if form == "folder":
        for c in range(CLASSES):
            (partial / f"c{c}").mkdir(parents=True, exist_ok=True)
        for i in range(min(PART, len(array))):
            (partial / f"c{i % CLASSES}" / f"{i:09d}.png").write_bytes(contents[i % len(contents)])
    elif form == "zip":
        with zipfile.ZipFile(partial, "w") as zipped:
            for i in range(len(array)):
                zipped.writestr(f"c{i % CLASSES}/{i:09d}.png", contents[i % len(contents)])
    else:
        with tarfile.open(partial, "w") as packed:
            for i in range(len(array)):
                for name, content in (("png", contents[i % len(contents)]), ("cls", b"%d" % (i % CLASSES))):
                    entry = tarfile.TarInfo(f"{i:09d}.{name}")
                    entry.size = len(content)
                    packed.addfile(entry, io.BytesIO(content))
                packed.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
    partial.rename(path)


class _Clock(Probe):
    """Times the steps after the first ten, all of them and the second half of ``count``."""

    cpu = wall = 0.0

    def __init__(self, count: int) -> None:
        self.half, self.later = 10 + count // 2, 0.0

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        """Called after every step."""
        if trainer.step == 10:
            self.began = (time.process_time(), time.perf_counter())
        if trainer.step > 10:
            self.cpu, self.wall = time.process_time() - self.began[0], time.perf_counter() - self.began[1]
        if trainer.step == self.half:
            self.later = self.wall


def trained(case: Case, adapter: Adapter, data: TensorData, count: int, whole: bool) -> Told:
    """The first stage or all of them for so many steps, as ``fit`` sets data apart and takes them."""
    model, clock = case.model(as_if=len(data)), _Clock(count)
    learnt, _ = adapter.cut(data, holdout=min(0.1, 10_000 / len(data)), seed=0)
    learnt, validation = set_apart(model, learnt, 0, adapter)
    stages = model.stages if whole else model.stages[:1]
    config = TrainConfig(steps=count + 10, grids=0, device="cpu", precision="fp32")
    Trainer(model, learnt, config, Backend("cpu", "fp32"), stages=stages, probes=[clock], validation=validation).fit()
    later = (count + 10 - clock.half) / (clock.wall - clock.later)
    return {"cpu_rate": count / clock.cpu, "rate": count / clock.wall, "later": later, "batch": stages[0].batch_size}


def one(part: str, where: str, path: Path, count: int, whole: bool) -> Told:
    """One side, in this process."""
    limit = HELD if where == "disk" else 1 << 40
    began, cpu = time.perf_counter(), time.process_time()
    if part == "table":
        adapter: Adapter = TableAdapter(memory_limit=limit)
        source: object = path
        if where == "memory":
            source = next(pq.ParquetFile(path).iter_batches(PART)).to_pandas()
    else:
        adapter = ImageAdapter(memory_limit=limit)
        source = path
        if where == "memory":
            array = np.array(np.load(path.with_name(NAMES["images"]), mmap_mode="r")[:PART])
            source = array if part == "images" else (array, np.arange(len(array)) % CLASSES)
    adapter.fit(source)
    data = adapter.to_tensors(source)
    read = {"read": time.process_time() - cpu, "read_wall": time.perf_counter() - began, "n": float(len(data))}
    read |= {"block": float(data.block)}
    if part == "folder":
        return read | {"peak": peak() / 1024}
    case = Case("table" if part == "table" else "image", adapter.spec)
    told = read | trained(case, adapter, data, count, whole) | {"peak": peak() / 1024}
    if where == "disk" and not whole:
        # Columns learnt from more rows make another network, so the rate is compared with that of this one.
        held = TensorData(**{k: torch.from_numpy(np.array(v[:PART])) for k, v in data.fields.items()})
        beside = trained(case, adapter, held, count, whole)
        told |= {f"{name}_beside": beside[name] for name in ("cpu_rate", "rate", "later")}
    return told


def row(name: str, told: Told) -> str:
    """A line of the table; throughput beside that of the same samples in memory by processor time and by the clock.

    >>> beside = dict(cpu_rate_beside=5, rate_beside=6, later_beside=6)
    >>> row("a", dict(n=9, read=1, peak=1, cpu_rate=4, rate=3, later=5.4) | beside)
    '| a | 9 | 1 | 1.00 | 4.00 | 80% | 3.00 | 50% | 5.40 | 90% |'
    """
    rates = [
        f"{told[own]:.2f} | {told[own] / told[own + '_beside']:.0%}"
        if own + "_beside" in told
        else f"{told[own]:.2f} | "
        for own in ("cpu_rate", "rate", "later")
    ]
    return f"| {name} | {told['n']:,.0f} | {told['read']:,.0f} | {told['peak']:.2f} | {' | '.join(rates)} |"


def main() -> None:
    """Make the data, train on both sides, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--gigabytes", type=float, default=20.0)
    parser.add_argument("--columns", type=int, default=40)
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--limit", type=float, default=2.0)
    parser.add_argument("--parts", nargs="+", choices=tuple(NAMES), default=["table", "images"])
    parser.add_argument("--whole", action="store_true", help="all stages of the default model, not the first alone")
    parser.add_argument("--one", nargs=2, metavar=("PART", "WHERE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    paths = {part: options.folder / name for part, name in NAMES.items()}
    if options.one:
        print(json.dumps(one(*options.one, paths[options.one[0]], options.steps, options.whole)))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    pixels = options.pictures * options.side**2
    sizes = {"table": options.gigabytes * 1e9, "images": pixels, "zip": 2 * pixels, "tar": 3 * pixels, "folder": pixels}
    needed, free = 4 * sum(sizes[part] for part in options.parts), shutil.disk_usage(options.folder).free
    if needed > free:
        sys.exit(f"{options.folder}: {needed / 1e9:.1f} GB may be needed, {free / 1e9:.1f} are free.")
    print(f"{time.strftime('%Y-%m-%d')}, {kind()}; one thread.\n")
    print(
        "| | samples | read, s | peak, GiB | steps a processor s | of memory's "
        "| steps a s | of memory's | second half, steps a s | of memory's |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    above, asked = [], ["--steps", options.steps, *(["--whole"] if options.whole else [])]
    for part in options.parts:
        if part == "table":
            make_table(paths["table"], options.gigabytes, options.columns)
        else:
            make_pictures(paths["images"], options.pictures, options.side)
        if part in ("zip", "tar", "folder"):
            make_packed(part, paths[part], paths["images"])
        found = {
            where: child(__file__, "--folder", options.folder, *asked, "--one", part, where)
            for where in (("disk",) if part == "folder" else ("disk", "memory"))
        }
        for where, told in found.items():
            if part == "folder":
                print(
                    f"| folder | {told['n']:,.0f} | {told['read']:,.0f} | {told['peak']:.2f} | | | | | | |", flush=True
                )
                continue
            print(row(f"{part}, {where}", told), flush=True)
        above += [part] if found["disk"]["peak"] > options.limit else []
    sys.exit(f"above {options.limit} GiB: {', '.join(above)}" if above else 0)


if __name__ == "__main__":
    main()
