"""One study done in one process, by several and through Ray: the same figures, and how long each takes.

    python benchmarks/launchers.py [--jobs 2] [--steps 1500] [--seeds 4]

Ray is a real one on this machine (`pip install aegan[ray]`); without it that line is left out. Every way runs ``aegan
study`` as a user would, in a folder of its own that is thrown away. Seconds are those of the clock, starting included;
ends with an error where one figure differs from another way's.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import kind

SPEC = """
name = "launchers"
question = "Does the way that runs are started change what they find?"
seeds = {seeds}
threads = 1
budget = {{ steps = {steps} }}
control = "gan"
metrics = ["energy", "quality", "modes", "unhealthy"]

[[models]]
name = "gan"
settings = {{ width = 32, batch_size = 256, noise_dim = 2 }}

[[models]]
name = "latent-gan"
settings = {{ joint.share = 0.0, noise_dim = 8, autoencoder = {{ width = 32, latent_dim = 2, batch_size = 256 }} }}

[[data]]
name = "ring"
source = "ring"
"""


def figures(out: Path) -> dict[str, dict[str, Any]]:
    """How every run ended and what it found, by its model and seed."""
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    return {f"{line['model']}, seed {line['seed']}": {"status": line["status"]} | line["metrics"] for line in lines}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two runs found the same, to the last bit."""
    return one.keys() == other.keys() and all(
        one[k] == other[k] or (isinstance(one[k], float) and math.isnan(one[k]) and math.isnan(other[k])) for k in one
    )


def main() -> None:
    """Run all ways, compare, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=4)
    options = parser.parse_args()
    jobs = str(options.jobs)
    ways = {"one process": ["--jobs", "1"], f"{jobs} processes": ["--jobs", jobs]}
    if importlib.util.find_spec("ray") is None:
        print("Ray is not installed: left out.", file=sys.stderr)
    else:
        ways[f"Ray, {jobs} workers"] = ["--ray", "--jobs", jobs]
    print(f"{kind()}; one thread a run, {2 * options.seeds} runs of {options.steps} steps\n")
    print("| | s | times as fast |\n|---|---|---|")
    first: dict[str, dict[str, Any]] = {}
    took: dict[str, float] = {}
    for name, given in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            spec, out = Path(folder, "spec.toml"), Path(folder, "out")
            spec.write_text(SPEC.format(seeds=options.seeds, steps=options.steps))
            began = time.perf_counter()
            command = [sys.executable, "-m", "aegan", "study", spec, "--out", out, *given]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
            took[name] = time.perf_counter() - began
            found = figures(out)
        first = first or found
        differ = [run for run in first if not same(first[run], found.get(run, {}))]
        if differ:
            sys.exit(f"{name}: other figures than in one process for {', '.join(differ)}: {found}")
        print(f"| {name} | {took[name]:.1f} | {next(iter(took.values())) / took[name]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
