"""Small tables with and without the copula's rows: what a few hundred rows are worth.

    python benchmarks/small_tables.py --out RESULTS [--data DATA] [--sets wine breast_cancer diabetes adult-500 ...]
                                      [--seeds 0 1 2] [--budget 40s]

The first three come with scikit-learn; ``adult-N`` and ``shoppers-N`` are N rows of the tables in DATA. A quarter of
the rows is kept for the evaluation; all others train, and as many are drawn. Everything is judged against the training
rows, as the unseen rows are. Every run is kept in RESULTS and not repeated.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn.datasets

import aegan
from aegan.data.table_source import open_table
from aegan.errors import AeganWarning
from aegan.metrics.table import evaluate_table

BUNDLED = ("wine", "breast_cancer", "diabetes")
FILES = {"adult": "adult/adult.csv", "shoppers": "online_shoppers/online_shoppers_intention.csv"}
ARMS: dict[str, dict[str, str]] = {"without": {"prior_rows": "0"}, "default": {}}
KEYS = ("cpu", "shape", "trend", "auc", "task")


def rows_of(name: str, data: Path | None, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training rows and those kept for the evaluation, in an order of the seed."""
    if name in BUNDLED:
        frame = getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame
    else:
        table, _, count = name.partition("-")
        if data is None or table not in FILES:
            raise SystemExit(f"{name}: expected one of {', '.join(BUNDLED)}, or adult-N or shoppers-N with --data.")
        frame = open_table(data / FILES[table]).frame().sample(int(count), random_state=seed)
    frame = frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)
    cut = len(frame) // 4
    return frame.iloc[cut:].reset_index(drop=True), frame.iloc[:cut].reset_index(drop=True)


def judged(name: str, arm: str, data: Path | None, seed: int, budget: str) -> dict[str, dict[str, float]]:
    """One fit: figures of its rows and of the unseen ones."""
    train, test = rows_of(name, data, seed)
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeganWarning)
        fitted = aegan.fit(train, budget=budget, seed=seed, holdout=0.0, evaluate=False, settings=ARMS[arm])
        cpu = time.process_time() - began
        made = fitted.sample(len(train), seed=seed + 1)
        found = evaluate_table(
            train=train, synthetic=made[train.columns], holdout=test, target=str(train.columns[-1]), seed=seed
        )
    out = {}
    for key in ("synthetic", "real holdout"):
        row = found.row(key)
        if row is None:
            continue
        task = row.downstream
        worth = None if task is None else task.r2 if task.auc is None else task.auc
        out[key] = {"shape": row.shape_error, "trend": row.trend_error, "auc": row.auc} | {
            "task": float("nan") if worth is None else worth,
            "cpu": cpu,
        }
    return out


def cell(values: list[float], key: str) -> str:
    """Mean, least and most."""
    digits = {"cpu": 0, "shape": 1, "trend": 1}.get(key, 3)
    return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(BUNDLED))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budget", default="40s")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    lines = [
        "| table | | processor, s | shapes, % | trends, % | two-sample AUC | task |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in options.sets:
        found: dict[str, list[dict[str, dict[str, float]]]] = {}
        for arm in ARMS:
            for seed in options.seeds:
                kept = options.out / f"{name}-{arm}-{options.budget}-{seed}.json"
                if not kept.exists():
                    kept.write_text(json.dumps(judged(name, arm, options.data, seed, options.budget)))
                found.setdefault(arm, []).append(json.loads(kept.read_text()))
                print(name, arm, seed, found[arm][-1], flush=True)
        for label, arm, row in (
            ("without", "without", "synthetic"),
            ("with (default)", "default", "synthetic"),
            ("unseen rows", "default", "real holdout"),
        ):
            cells = [cell([run[row][key] for run in found[arm]], key) for key in KEYS]
            lines.append(f"| {name} | {label} | {' | '.join(cells)} |")
    print(f"\n{time.strftime('%Y-%m-%d')}, {platform.machine()}, {len(options.seeds)} seeds, mean (least–most)\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
