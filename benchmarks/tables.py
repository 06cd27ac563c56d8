"""Synthetic tables: aegan's default beside CTGAN and TVAE, in one run, on the same rows and judged alike.

    python benchmarks/tables.py --data DATA --out RESULTS [--sets adult shoppers] [--seeds 0 1 2] [--budget 180s]
                                [--peer-python V/bin/python]

DATA holds ``adult/adult.csv``, ``adult/adult-test.csv`` and ``online_shoppers/online_shoppers_intention.csv``. Peers
live in an environment of their own (``pip install ctgan pyarrow``) and run at their published defaults, 300 epochs;
without ``--peer-python`` they are left out. All train on every training row; as many rows are drawn; the test rows are
seen by the evaluation alone. Every run is kept in RESULTS and not repeated. The machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import aegan
from aegan.data.table_source import open_table
from aegan.errors import AeganWarning
from aegan.metrics.table import evaluate_table

PEER = Path(__file__).parent / "peers" / "ctgan_tables.py"
TARGET = {"adult": "income", "shoppers": "Revenue"}
VARIANTS: dict[str, dict[str, Any]] = {"aegan": {}}


def tables(data: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and test rows, missing cells as such."""
    if name == "adult":
        train = open_table(data / "adult" / "adult.csv").frame()
        test = pd.read_csv(  # it has no header
            data / "adult" / "adult-test.csv",
            names=list(train.columns),
            skipinitialspace=True,
            na_values="?",
            comment="|",
        )
        test["income"] = test["income"].str.rstrip(".")
        return train, test
    rows = open_table(data / "online_shoppers" / "online_shoppers_intention.csv").frame()
    order = np.random.default_rng(0).permutation(len(rows))
    cut = len(rows) // 10
    return rows.iloc[order[cut:]].reset_index(drop=True), rows.iloc[order[:cut]].reset_index(drop=True)


def own(train: pd.DataFrame, seed: int, budget: str, settings: dict[str, Any]) -> tuple[pd.DataFrame, dict[str, float]]:
    """Rows of aegan's default, and how long it took."""
    began, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeganWarning)
        fitted = aegan.fit(train, budget=budget, seed=seed, holdout=0.0, evaluate=False, settings=settings)
    fit, cpu = time.perf_counter() - began, time.process_time() - cpu
    began = time.perf_counter()
    rows = fitted.sample(len(train), seed=seed + 1)
    return rows, {"fit": fit, "cpu": cpu, "rate": len(train) / (time.perf_counter() - began)}


def peer(
    python: Path, name: str, train: pd.DataFrame, seed: int, folder: Path
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Rows of a peer, from a process of its own."""
    source, made, told = folder / "train.parquet", folder / "made.parquet", folder / "told.json"
    train.to_parquet(source)
    subprocess.run([python, PEER, name, source, made, told, str(seed)], check=True)
    return pd.read_parquet(made), json.loads(told.read_text())


def figures(train: pd.DataFrame, test: pd.DataFrame, rows: pd.DataFrame, target: str, seed: int) -> dict[str, float]:
    """What the rows score, and what the test rows do."""
    found = evaluate_table(train=train, synthetic=rows[train.columns], holdout=test, target=target, seed=seed)
    values: dict[str, float] = {}
    if found.privacy is not None and found.privacy.closer is not None and found.privacy.membership is not None:
        near = found.privacy
        values |= {"closer": near.closer.value, "membership": near.membership.value, "copies": near.copies}
    for prefix, row in (("", found.row("synthetic")), ("real_", found.row("real holdout"))):
        if row is None:
            continue
        task = row.downstream
        values |= {
            f"{prefix}shape": row.shape_error,
            f"{prefix}trend": row.trend_error,
            f"{prefix}auc": row.auc,
            f"{prefix}task": float("nan") if task is None else task.auc,
        }
    return values


def main() -> None:
    """Run what is missing and print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=tuple(TARGET), default=list(TARGET))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budget", default="180s")
    parser.add_argument("--peers", nargs="+", choices=("ctgan", "tvae"), default=["ctgan", "tvae"])
    parser.add_argument("--peer-python", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    methods = [*VARIANTS, *(options.peers if options.peer_python else [])]
    for name in options.sets:
        train, test = tables(options.data, name)
        rows = []
        for method in methods:
            found = []
            for seed in options.seeds:
                kept = (
                    options.out / f"{name}-{method}-{options.budget if method in VARIANTS else 'default'}-{seed}.json"
                )
                if not kept.exists():
                    if method in VARIANTS:
                        made, cost = own(train, seed, options.budget, VARIANTS[method])
                    else:
                        made, cost = peer(options.peer_python, method, train, seed, options.out)
                    kept.write_text(json.dumps(cost | figures(train, test, made, TARGET[name], seed)))
                found.append(json.loads(kept.read_text()))
                print(f"{name}, {method}, seed {seed}: {found[-1]}", flush=True)
            rows.append((method, found))
        print(f"\n{time.strftime('%Y-%m-%d')}, {platform.machine()}: {name}, {len(train)} rows, mean (least–most) of")
        print(f"{len(options.seeds)} seeds.\n")
        print("| | fit, s | processor, s | shapes, % | trends, % | two-sample AUC | task AUC | rows a second |")
        print("|---|---|---|---|---|---|---|---|")
        for method, found in rows:
            print(f"| {method} | {cells(found, ('fit', 'cpu', 'shape', 'trend', 'auc', 'task', 'rate'))} |")
        real = [{key.removeprefix("real_"): value for key, value in run.items()} for run in rows[0][1]]
        print(f"| real test rows | – | – | {cells(real, ('shape', 'trend', 'auc', 'task'))} | – |\n")


def cells(runs: list[dict[str, float]], keys: tuple[str, ...]) -> str:
    """Mean, least and most of each figure."""
    digits = {"noise": 2, "fit": 0, "cpu": 0, "shape": 2, "trend": 2, "auc": 3, "task": 3, "rate": 0}
    out = []
    for key in keys:
        values = [run[key] for run in runs]
        out.append(
            f"{np.mean(values):,.{digits[key]}f} ({min(values):,.{digits[key]}f}–{max(values):,.{digits[key]}f})"
        )
    return " | ".join(out)


if __name__ == "__main__":
    main()
