"""What ``fit`` and ``demo`` print at their end: what was made, how good it is, what to try next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aegan.estimator import Estimator


def print_summary(estimator: Estimator, *, demo: bool = False) -> None:
    """Print the summary of a run that has just been trained."""
    run = estimator.run
    path = run.path
    metrics = path / "metrics.json"
    source = run.config["source"]
    print()
    table = estimator.adapter.spec.kind == "table"
    for number, line in enumerate(str(source["describe"]).splitlines()):
        print(f"{'Learnt from' if number == 0 else '':<13}{line}")
    if metrics.exists():
        headline = json.loads(metrics.read_text(encoding="utf-8")).get("headline")
        if headline:
            print(f"Judgement    {headline}")
    health = path / "health.json"
    if health.exists():
        for finding in json.loads(health.read_text(encoding="utf-8"))["findings"]:
            print(f"Warning      {finding.replace('`', '')}")
    print(f"Run          {path}/")
    shown = ("samples/rows.csv", "some rows") if table else ("samples/grid.png", "samples at a glance")
    for name, what in (("report.html", "open it in a browser"), shown):
        if (path / name).exists():
            print(f"             {path / name}  ({what})")
    print()
    print("Next:")
    if estimator.model.noise_dim:
        where = f" --where class={estimator.classes[-1]}" if estimator.classes else ""
        print(f"  aegan sample {path} --num 1000 --out {'rows.csv' if table else f'new-images{where}'}")
    if table:
        print(f"  aegan complete {path} TABLE-WITH-GAPS --out completed.csv")
    elif demo:
        print("  aegan fit YOUR-IMAGE-FOLDER --out my-run --budget 10m")
    else:
        print(f"  aegan reconstruct {path} SOURCE --out reconstructions.png")
    call = "sample(5)" if estimator.model.noise_dim else f"decode([[0.0] * {estimator.model.code_dim}])"
    print(f'  python -c "import aegan; print(aegan.load({str(path)!r}).{call}.shape)"')
