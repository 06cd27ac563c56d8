"""From results to figures: means with intervals, comparisons with the control, ranks, verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from aegan.study.added import rows as augmented
from aegan.study.added import summed
from aegan.study.spec import StudySpec
from aegan.study.stats import bootstrap_interval, holm, ranks, sign_flip_p, wilcoxon_p
from aegan.study.verdict import verdict

FINISHED = "finished"
Result = Mapping[str, Any]
Pairs = dict[tuple[str, str], list[tuple[float, float]]]
ONE_SEED = (
    "One seed alone: no interval and no test can be had of it, and none is given. Take five or more (`seeds = 5`)."
)
FEW_PAIRS = (
    "Fewer than six pairs a comparison: a two-sided permutation test cannot come below p = 0.05 then, however large "
    "the difference. Take more seeds or initialisations."
)


def summarise(spec: StudySpec, results: Sequence[Result]) -> dict[str, Any]:
    """Everything that tables, plots and the page show, as plain JSON values.

    Means are of the runs that finished. Wherever runs are compared (differences, tests, ranks, verdicts), one that
    failed or diverged has the worst value that any run had on its data.
    """
    table = _Table(spec, results)
    notes = []
    if len(spec.seeds) == 1:
        notes.append(ONE_SEED)
    elif len(spec.seeds) * len(spec.inits) < 6:
        notes.append(FEW_PAIRS)
    missing = len(spec.models) * len(spec.data) * len(spec.seeds) * len(spec.inits) - len(results)
    if missing:
        notes.append(f"{missing} runs of the plan are not done yet; what follows is of the others.")
    groups = [None] if len(spec.inits) == 1 else [None, *spec.inits]
    rows = [row for init in groups for row in _rows(table, init)]
    _correct(rows)
    runs = _runs(spec, results)
    signs = {m.name: m.sign for m in spec.metrics}
    verdicts = [
        verdict(c, table.pairs_of(c.model, c.control, tuple(c.smallest)), signs, alpha=spec.alpha).to_json()
        for c in spec.claims
    ]
    return {
        "name": spec.name,
        "question": spec.question,
        "budget": str(spec.budget),
        "control": spec.control,
        "seeds": list(spec.seeds),
        "inits": list(spec.inits),
        "metrics": [{"name": m.name, "title": m.title, "better": m.better} for m in spec.metrics],
        "models": [m.name for m in spec.models],
        "data": [d.name for d in spec.data],
        "rows": rows,
        "runs": runs,
        "augment": augmented(rows, runs),
        "verdicts": verdicts,
        "notes": notes,
    }


class _Table:
    """Results by data set, initialisation, seed and model."""

    def __init__(self, spec: StudySpec, results: Sequence[Result]) -> None:
        self.spec = spec
        self.of = {(r["data"], r["init"], r["seed"], r["model"]): r for r in results}
        self.signs = {m.name: m.sign for m in spec.metrics}
        self._worst: dict[tuple[str, str], float | None] = {}

    def blocks(self, data: str, init: str | None = None) -> list[tuple[str, str, int]]:
        """Data set, initialisation and seed of the runs that belong together."""
        return [(data, i, s) for i in self.spec.inits if init in (None, i) for s in self.spec.seeds]

    def value(self, block: tuple[str, str, int], model: str, metric: str) -> float | None:
        """A run's figure; None where it has none, is not done, or failed."""
        result = self.of.get((*block, model))
        if result is None or result["status"] != FINISHED:
            return None
        found = result["metrics"].get(metric)
        return None if found is None or not math.isfinite(found) else float(found)

    def compared(self, block: tuple[str, str, int], model: str, metric: str) -> float | None:
        """As :meth:`value`, with the worst value on these data for a run that failed."""
        result = self.of.get((*block, model))
        if result is not None and result["status"] != FINISHED:
            return self.worst(block[0], metric)
        return self.value(block, model, metric)

    def worst(self, data: str, metric: str) -> float | None:
        """Of all runs on these data that finished."""
        if (data, metric) not in self._worst:
            found = [self.value(b, m.name, metric) for b in self.blocks(data) for m in self.spec.models]
            known = [self.signs[metric] * v for v in found if v is not None]
            self._worst[data, metric] = self.signs[metric] * min(known) if known else None
        return self._worst[data, metric]

    def pairs(self, data: str, init: str | None, model: str, control: str, metric: str) -> list[tuple[float, float]]:
        """Values of both arms in every block in which both are known."""
        both = [(self.compared(b, model, metric), self.compared(b, control, metric)) for b in self.blocks(data, init)]
        return [(a, b) for a, b in both if a is not None and b is not None]

    def pairs_of(self, model: str, control: str, metrics: Sequence[str]) -> Pairs:
        """The pairs of every metric and data set, over all initialisations."""
        return {
            (metric, d.name): self.pairs(d.name, None, model, control, metric)
            for metric in metrics
            for d in self.spec.data
        }


def _rows(table: _Table, init: str | None) -> list[dict[str, Any]]:
    """A row for each data set, model and metric; ``init`` None is over all initialisations."""
    spec, rows = table.spec, []
    for data in spec.data:
        blocks = table.blocks(data.name, init)
        for metric in spec.metrics:
            places = _mean_ranks(table, blocks, metric.name)
            for model in spec.models:
                values = [v for b in blocks if (v := table.value(b, model.name, metric.name)) is not None]
                if not values:
                    continue
                row: dict[str, Any] = {
                    "data": data.name, "init": init or "all", "model": model.name, "metric": metric.name,
                    "n": len(values), "mean": sum(values) / len(values), "interval": bootstrap_interval(values),
                    "values": values, "rank": places.get(model.name),
                }  # fmt: skip
                if model.name != spec.control:
                    row |= _against(table, data.name, init, model.name, metric.name)
                rows.append(row)
    return rows


def _against(table: _Table, data: str, init: str | None, model: str, metric: str) -> dict[str, Any]:
    pairs = table.pairs(data, init, model, table.spec.control, metric)
    differences = [table.signs[metric] * (a - b) for a, b in pairs]
    if len(differences) < 2:
        return {"pairs": len(differences)}
    return {
        "pairs": len(differences),
        "improvement": sum(differences) / len(differences),
        "improvement_interval": bootstrap_interval(differences),
        "p": sign_flip_p(differences),
        "p_wilcoxon": wilcoxon_p(differences),
    }


def _correct(rows: list[dict[str, Any]]) -> None:
    """Holm over all data sets and models of a metric, apart for each grouping by initialisation."""
    families: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if "p" in row:
            families.setdefault((row["init"], row["metric"]), []).append(row)
    for family in families.values():
        for row, p in zip(family, holm([r["p"] for r in family]), strict=True):
            row["p_holm"] = p


def _mean_ranks(table: _Table, blocks: Sequence[tuple[str, str, int]], metric: str) -> dict[str, float]:
    """Mean rank of each model over the blocks in which all are known; failed ones rank last."""
    names = [m.name for m in table.spec.models]
    sums, count = dict.fromkeys(names, 0.0), 0
    for block in blocks:
        found = [table.compared(block, name, metric) for name in names]
        if any(v is None for v in found):
            continue
        failed = [table.of[(*block, name)]["status"] != FINISHED for name in names]
        signed = [-math.inf if bad else table.signs[metric] * (v or 0.0) for v, bad in zip(found, failed, strict=True)]
        for name, rank in zip(names, ranks(signed), strict=True):
            sums[name] += rank
        count += 1
    return {name: total / count for name, total in sums.items()} if count else {}


def _runs(spec: StudySpec, results: Sequence[Result]) -> list[dict[str, Any]]:
    """For each data set and model: how many runs, how many failed or diverged, what the doctor said, what it cost.

    Of those that augment, also what came of that.
    """
    rows = []
    for data in spec.data:
        for model in spec.models:
            found = [r for r in results if r["data"] == data.name and r["model"] == model.name]
            said: dict[str, int] = {}
            for result in found:
                for name in dict.fromkeys(result.get("verdicts", ())):
                    said[name] = said.get(name, 0) + 1
            seconds = [r["seconds"] for r in found if "seconds" in r]
            rows.append(
                {
                    "data": data.name,
                    "model": model.name,
                    "runs": len(found),
                    "diverged": sum(r["status"] == "diverged" for r in found),
                    "failed": sum(r["status"] == "failed" for r in found),
                    "seconds": sum(seconds) / len(seconds) if seconds else None,
                    "steps": max((r.get("steps", 0) for r in found), default=0),
                    "doctor": dict(sorted(said.items(), key=lambda item: -item[1])),
                    "augment": summed(found),
                    "messages": sorted({r["message"] for r in found if r.get("message")})[:3],
                }  # fmt: skip
            )
    return rows
