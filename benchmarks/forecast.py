"""Do forecasts keep their promise? Coverage and pinball loss of quantiles on time that the model never saw.

    python benchmarks/forecast.py --data DATA --out RESULTS [--seeds 0 1 2] [--budget 10m] [--window 48] [--steps 24]
        [--set lr=0.001 patience=0]

``DATA/appliances_energy`` is one series of 28 channels, a step every ten minutes. The model learns from the first nine
tenths. From ``--origins`` places in the last tenth it continues what came before, and each channel's quantiles are held
against what came. *Pinball loss* is the mean over the levels .05, .25, .5, .75 and .95, in standard deviations of the
channel: lower is better, and a distribution that is too wide loses as one that is too narrow. Beside it: the last value
with changes that training stretches showed over as many steps (*persistence*), and the same with yesterday's value at
that time of day (*yesterday*). Draws and scores are kept in RESULTS and not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

import aegan
from aegan.errors import AeganWarning
from machine import kind
from series import interval, steps_of

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
DAY = 144
TESTED = 0.1
"""Part of the time at the end that is forecast."""


def origins_of(total: int, cut: int, count: int, steps: int) -> list[int]:
    """Places in the tested part, evenly apart, each with ``steps`` steps behind it."""
    return [int(place) for place in np.linspace(cut, total - steps, count)]


def quantiles_of_changes(past: np.ndarray, lag: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Quantiles ``(levels, steps, C)``: ``value`` ``(steps, C)`` with the changes of ``past`` over ``lag`` steps."""
    return np.stack(
        [
            row + np.quantile(past[distance:] - past[:-distance], LEVELS, axis=0)
            for row, distance in zip(value, lag.tolist(), strict=True)
        ],
        axis=1,
    )


def scores(quantiles: np.ndarray, came: np.ndarray, scale: np.ndarray) -> dict[str, float]:
    """Of quantiles ``(N, levels, steps, C)`` and what came ``(N, steps, C)``."""
    levels = np.array(LEVELS)[None, :, None, None]
    off = (came[:, None] - quantiles) / scale
    loss = np.maximum(levels * off, (levels - 1) * off)
    inside = [(quantiles[:, a] <= came) & (came <= quantiles[:, b]) for a, b in ((0, 4), (1, 3))]
    return {
        "pinball": float(loss.mean()),
        "within 90 %": float(inside[0].mean()),
        "within 50 %": float(inside[1].mean()),
    }


def measured(data: Path, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One model's scores beside the two baselines'."""
    steps, _ = steps_of(data, "energy")
    cut = round(len(steps) * (1 - TESTED))
    past, scale = steps[:cut], steps[:cut].std(0)
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeganWarning)
        run = aegan.fit(
            past, kind="series", layout="long", window=options.window, budget=options.budget, seed=seed, holdout=0.0,
            settings=dict(pair.split("=", 1) for pair in options.set), evaluate=False,
        )  # fmt: skip
        took = time.process_time() - began
        origins = origins_of(len(steps), cut, options.origins, options.steps)
        made, still, yesterday = [], [], []
        ahead = np.arange(1, options.steps + 1)
        for origin in origins:
            before = steps[max(0, origin - 2 * options.window) : origin]
            drawn = run.forecast(before, steps=options.steps, num=options.num, seed=seed).samples[0]
            made.append(np.quantile(drawn, LEVELS, axis=0))
            still.append(quantiles_of_changes(past, ahead, np.repeat(steps[origin - 1 : origin], options.steps, 0)))
            days = np.full(options.steps, DAY)
            yesterday.append(quantiles_of_changes(past, days, steps[origin - DAY : origin - DAY + options.steps]))
    came = np.stack([steps[origin : origin + options.steps] for origin in origins])
    rows = {"aegan, recurrent": made, "persistence": still, "yesterday": yesterday}
    return {"cpu": took} | {name: scores(np.stack(found), came, scale) for name, found in rows.items()}


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--window", type=int, default=48)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--origins", type=int, default=80)
    parser.add_argument("--num", type=int, default=200)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of the model")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    runs = []
    for seed in options.seeds:
        parts = (options.window, options.steps, options.budget, *options.set, seed)
        path = options.out / f"forecast-{'-'.join(map(str, parts))}.json"
        if not path.exists():
            path.write_text(json.dumps(measured(options.data, seed, options), indent=1))
        runs.append(json.loads(path.read_text()))
        print(seed, runs[-1], flush=True)
    cpu = statistics.fmean(run["cpu"] for run in runs)
    print(f"\n{time.strftime('%Y-%m-%d')}, {kind()}, {torch.get_num_threads()} threads; {cpu:.0f} processor s a fit\n")
    names = [name for name in runs[0] if name != "cpu"]
    print("| | pinball loss | within 90 % | within 50 % |\n|---|---|---|---|")
    for name in names:
        cells = [interval([run[name][key] for run in runs]) for key in ("pinball", "within 90 %", "within 50 %")]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
