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
    for number, line in enumerate(str(source["describe"]).splitlines()):
        print(f"{'Learnt from' if number == 0 else '':<13}{line}")
    reason = run.config.get("precision_reason")  # runs of older versions have none
    if reason:
        print(f"Precision    {run.config['train']['precision']}: {reason}")
    if metrics.exists():
        headline = json.loads(metrics.read_text(encoding="utf-8")).get("headline")
        if headline:
            print(f"Judgement    {headline}")
    promised = run.config.get("private")
    if promised is not None:
        kept = f"({promised['epsilon']:g}, {promised['delta']:.2g})-differentially private"
        print(f"Private      {kept}. Not judged: figures on these rows would give away")
        print("             what the noise hides. Where you may see them: aegan evaluate SOURCE MADE")
    health = path / "health.json"
    if health.exists():
        for finding in json.loads(health.read_text(encoding="utf-8"))["findings"]:
            print(f"Warning      {finding.replace('`', '')}")
    print(f"Run          {path}/")
    for name, what in (("report.html", "open it in a browser"), estimator.kind.shown):
        if (path / name).exists():
            print(f"             {path / name}  ({what})")
    print()
    print("Next:")
    if estimator.model.noise_dim:
        name, values = next(iter(estimator.adapter.spec.labels), ("class", estimator.classes))
        where = f" --where {name}={values[-1]}" if estimator.classes else ""
        print(f"  aegan sample {path} --num 1000 --out {estimator.kind.example}{where}")
    own = ["aegan fit YOUR-IMAGE-FOLDER --out my-run --budget 10m"] if demo else estimator.kind.next_steps(estimator)
    for line in own:
        print(f"  {line}")
    look = f".{estimator.kind.look}" if estimator.kind.look else ""
    call = "sample(5)" if estimator.model.noise_dim else f"decode([[0.0] * {estimator.model.code_dim}])"
    print(f'  python -c "import aegan; print(aegan.load({str(path)!r}).{call}{look})"')
