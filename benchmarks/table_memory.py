"""Peak memory of a large table with a column of 100,000 names: a million rows made, learnt and drawn.

    python benchmarks/table_memory.py [--rows 1000000] [--names 100000] [--steps 300] [--limit 2.0]

Fitting and sampling run in a process each; what is printed is the most that it held of the machine's memory at
any time, Python and torch included. Ends with an error when that is above ``--limit`` GiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd


def make(path: Path, rows: int, names: int) -> None:
    """Orders: a product among many, most of them rare, a price that follows from it, dates, and small columns."""
    random = np.random.default_rng(0)
    product = np.minimum(random.zipf(1.2, rows) - 1, names * 10) % names
    product[:names] = np.arange(names)  # every name occurs
    day = 86_400
    frame = pd.DataFrame(
        {
            "product": np.char.add("P", product.astype(str)),
            "price": np.round(random.lognormal(3, 1, rows) * (1 + product % 7), 2),
            "quantity": random.poisson(3, rows),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 365 * day, rows), unit="s"),
            "region": random.choice(list("abcdefgh"), rows),
            "regular": random.random(rows) < 0.1,
        }
    )
    frame.sample(frac=1.0, random_state=0).to_parquet(path, index=False)


def work(part: str, folder: Path, rows: int, steps: int) -> None:
    """One part, in this process; its figures as JSON on the last line."""
    import aegan

    began, cpu = time.perf_counter(), time.process_time()
    told: dict[str, float] = {}
    if part == "fit":
        aegan.fit(folder / "orders.parquet", out=folder / "run", steps=steps, evaluate=False, holdout=0.0)
    else:
        made = aegan.load(folder / "run").sample(rows)
        told["names"] = float(made["product"].nunique())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps(told | {"s": time.perf_counter() - began, "cpu": time.process_time() - cpu, "gib": peak}))


def main() -> None:
    """Make the table, run the parts, print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--names", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--limit", type=float, default=2.0)
    parser.add_argument("--part", choices=("fit", "sample"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        work(options.part, options.folder, options.rows, options.steps)
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "orders.parquet", options.rows, options.names)
        print(f"{options.rows:,} rows, {options.names:,} names, {options.steps} steps\n")
        print("| | peak, GiB | processor, s | seconds |\n|---|---|---|---|")
        above = False
        for part in ("fit", "sample"):
            arguments = ["--part", part, "--folder", folder, "--rows", str(options.rows), "--steps", str(options.steps)]
            done = subprocess.run(
                [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True
            ).stdout
            found = json.loads(done.strip().splitlines()[-1])
            print(f"| {part} | {found['gib']:.2f} | {found['cpu']:.0f} | {found['s']:.0f} |", flush=True)
            above |= found["gib"] > options.limit
    sys.exit(f"above {options.limit} GiB" if above else 0)


if __name__ == "__main__":
    main()
