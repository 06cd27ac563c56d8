"""What differential privacy costs: Adult at several ε, judged like the other tables.

    python benchmarks/private_tables.py --data DATA --out RESULTS [--epsilons 1 3 10] [--steps 1000] [--seeds 0]

The public table is 3,000 of the test rows; the others judge. Every run is kept in RESULTS. The batches and the
noise are not seeded, so a repetition gives other figures of the same size.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import aegan
from aegan.errors import AeganWarning
from tables import cells, figures, tables

PUBLIC = 3_000


def main() -> None:
    """Run what is missing and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epsilons", type=float, nargs="+", default=[1.0, 3.0, 10.0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    train, test = tables(options.data, "adult")
    public, held = test.iloc[:PUBLIC], test.iloc[PUBLIC:]
    print("| ε | noise | processor, s | shapes, % | trends, % | two-sample AUC | task AUC |")
    print("|---|---|---|---|---|---|---|")
    for epsilon in options.epsilons:
        found = []
        for seed in options.seeds:
            kept = options.out / f"adult-{epsilon:g}-{options.steps}-{seed}.json"
            if not kept.exists():
                cpu = time.process_time()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", AeganWarning)
                    fitted = aegan.fit(train, private=epsilon, public=public, steps=options.steps, seed=seed)
                cost = {"cpu": time.process_time() - cpu, "noise": fitted.run.config["private"]["noise"]}
                made = fitted.sample(len(train), seed=seed + 1)
                kept.write_text(json.dumps(cost | figures(train, held, made, "income", seed)))
            found.append(json.loads(kept.read_text()))
        print(f"| {epsilon:g} | {cells(found, ('noise', 'cpu', 'shape', 'trend', 'auc', 'task'))} |", flush=True)


if __name__ == "__main__":
    main()
