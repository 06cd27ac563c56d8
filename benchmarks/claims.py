"""Put a study into the documentation: its results, its tables, and curves as SVG.

    python benchmarks/claims.py STUDY docs/claims
    python benchmarks/claims.py STUDY docs/claims --curves gan latent "warm start"  # curves of these arms alone

STUDY is a folder that `aegan study` made. Three files and a picture for each data set go to the second folder, named
after the first: NAME.jsonl, NAME.csv, NAME.md and NAME-DATA.svg, the samples' energy distance from the data over the
budget, mean over the runs with their range (of six arms or fewer). Where arms augment, pictures of their quality over
the augmenting autoencoder's error and over a run's seconds join them: NAME-DATA-METRIC-error.svg and
NAME-DATA-METRIC-seconds.svg.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from line_plot import Line, line_plot

AGAINST = {"error": "error of the augmenting autoencoder, held-out", "seconds": "seconds of a run, all told"}
QUALITY = {"frechet": "Fréchet distance", "downstream": "accuracy of a classifier that learnt from samples"}
POINTS = np.linspace(0.02, 1.0, 50)


def curve(results: list[dict[str, Any]], name: str, colour: int) -> Line | None:
    """Mean and range over runs, from where all of them have samples."""
    found = [np.array(r["distance"]) for r in results if r["model"] == name and len(r.get("distance", ())) > 1]
    if not found:
        return None
    begin = max(points[0, 0] for points in found)
    x = POINTS[POINTS >= begin]
    rows = np.array([np.interp(x, points[:, 0], points[:, 1]) for points in found]).clip(1e-3)
    return Line(name, x.tolist(), rows.mean(0).tolist(), rows.min(0).tolist(), rows.max(0).tolist(), colour)


def quality(results: list[dict[str, Any]], name: str, metric: str, against: str, colour: int) -> Line | None:
    """A dot for each run of an arm that augments: its figure over its autoencoder's error, or its seconds."""
    own = [r for r in results if r["model"] == name and r.get("augment") and metric in r["metrics"]]
    pairs = [(r["augment"] if against == "error" else r, r["metrics"][metric]) for r in own]
    found = [(float(x[against]), float(y)) for x, y in pairs if x.get(against) is not None]
    if not found:
        return None
    x, y = map(list, zip(*found, strict=True))
    return Line(name, x, y, y, y, colour, points=True)


def draw_quality(results: list[dict[str, Any]], models: list[str], path: Path, data: str) -> None:
    """The pictures of one data set, beside ``path``; none where no arm augments."""
    for metric, title in QUALITY.items():
        for against, label in AGAINST.items():
            found = [quality(results, model, metric, against, i) for i, model in enumerate(models)]
            lines = [line for line in found if line is not None]
            if lines:
                to = path.with_name(f"{path.name}-{metric}-{against}.svg")
                low, high = (f(y for line in lines for y in line.y) for f in (min, max))
                # One run that went astray would press all others into a line.
                log = low > 0 and high > 50 * low
                line_plot(to, f"{title}, {data}", label, title, lines, log=log, floor=0.95 * low)


def main() -> None:
    """Copy and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("docs", type=Path)
    parser.add_argument("--curves", nargs="+", metavar="ARM", help="arms whose curves are drawn; all by default")
    options = parser.parse_args()
    name, out = options.study.resolve().name, options.docs
    out.mkdir(parents=True, exist_ok=True)
    for file, suffix in (("results.jsonl", "jsonl"), ("table.csv", "csv"), ("table.md", "md")):
        shutil.copyfile(options.study / file, out / f"{name}.{suffix}")
    summary = json.loads((options.study / "summary.json").read_text())
    models = summary["models"]
    if unknown := sorted(set(options.curves or ()) - set(models)):
        parser.error(f"--curves: the study has no arm {', '.join(unknown)}; it has {', '.join(models)}.")
    results = [json.loads(line) for line in (options.study / "results.jsonl").read_text().splitlines()]
    for data in summary["data"]:
        own = [r for r in results if r["data"] == data]
        lines = [line for i, model in enumerate(options.curves or models) if (line := curve(own, model, i)) is not None]
        title = f"Distance of samples from the data, {data}"
        line_plot(
            out / f"{name}-{data}.svg", title, "part of the budget, pretraining counted in", "energy distance", lines,
            log=True, floor=1e-3,
        )  # fmt: skip
        draw_quality(own, models, out / f"{name}-{data}", data)


if __name__ == "__main__":
    main()
