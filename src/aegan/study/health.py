"""Figures of the training itself, from a run's events: the doctor's looks at the generator's gradients and samples.

A *generator* is what an adversarial stage trains beside its discriminators. Of several networks (a generator of codes
and the decoder behind it) the worst counts in each look.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from aegan.data.base import TensorData
from aegan.diagnostics.aside import aside
from aegan.diagnostics.collapse import flattened
from aegan.diagnostics.history import Look
from aegan.diagnostics.measure import ROWS, different, sample_values
from aegan.diagnostics.run import read_looks
from aegan.diagnostics.thresholds import limit
from aegan.errors import ConfigError
from aegan.models.base import Model
from aegan.types import Stage

SPIKE = 10.0
"""Times the stage's median that a gradient's norm has to reach to be called exploding."""
POINTS = 60
"""Points of a curve at most."""
NEAR = "far"
"""The doctor's threshold below which samples count as near the data."""


def generators(stages: Sequence[Stage]) -> dict[str, list[str]]:
    """Networks that each adversarial stage trains against a discriminator, by the stage's name."""
    found = {}
    for stage in stages:
        against = [p for p in stage.phases if _judges(p.name) or any(_judges(n) for n in p.networks)]
        names = dict.fromkeys(n for p in stage.phases if p not in against for n in p.networks)
        if against and names:
            found[stage.name] = list(names)
    return found


def untrained(model: Model, data: TensorData, seed: int) -> float | None:
    """Distance from the data of what untrained networks make, as the doctor measures it; None where nothing is drawn.

    It stands for the part of the budget in which a run has no samples yet.
    """
    if not model.noise_dim or len(data) < 2:
        return None
    with aside(model), torch.no_grad():
        torch.manual_seed(seed)
        rows = torch.randint(0, len(data), (2 * ROWS,)) if len(data) > 2 * ROWS else torch.randperm(len(data))
        batch = data.batch(rows)
        count = min(ROWS, len(rows) // 2)
        y = batch["y"][:count] if model.conditional and "y" in batch else None
        try:
            fake = model.eval().generate(torch.randn(count, model.noise_dim), y)
        except ConfigError:  # a model that draws nothing
            return None
        return sample_values(different(flattened(batch["x"])), flattened(fake), None, 0).get("samples/excess")


def figures(
    path: Path, networks: Mapping[str, Sequence[str]], total: int, *, start: float | None = None, before: int = 0
) -> dict[str, float]:
    """Figures of one run; see :data:`aegan.study.metrics.METRICS`.

    Args:
        path: The run's ``events.jsonl``.
        networks: See :func:`generators`.
        total: Steps of the whole run.
        start: See :func:`untrained`.
        before: Steps of the budget that were taken before the run, to make its data.
    """
    looks = read_looks(path)
    against = [look for look in looks if look.stage in networks]
    return of_gradients(against, networks) | of_jacobian(against) | of_samples(looks, total, start=start, before=before)


def of_gradients(looks: Sequence[Look], networks: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Vanishing, exploding, balance over depth, scale, signal and turning of the generator's gradients."""
    rows = [[(n, _of(look, n)) for n in networks[look.stage] if f"{n}/gradient" in look.values] for look in looks]
    rows = [row for row in rows if row]
    if not rows:
        return {}
    names = dict.fromkeys(n for row in rows for n, _ in row)
    typical = {n: float(np.median([v["gradient"] for row in rows for m, v in row if m == n])) for n in names}
    vanish = [any(_vanishes(v) for _, v in row) for row in rows]
    explode = [any(_explodes(v, typical[n]) for n, v in row) for row in rows]
    found = {
        "vanishing": float(np.mean(vanish)),
        "exploding": float(np.mean(explode)),
        "unhealthy": float(np.mean(np.logical_or(vanish, explode))),
    }
    ratio = [max((abs(math.log10(v["first_last"])) for _, v in row if v.get("first_last", 0) > 0), default=None)
             for row in rows]  # fmt: skip
    known = [r for r in ratio if r is not None]
    if known:
        found["imbalance"] = float(np.median(known))
    spreads = []
    for name in typical:
        norms = [v["gradient"] for row in rows for n, v in row if n == name and v["gradient"] > 0]
        if len(norms) > 2:
            spreads.append(float(np.std(np.log10(norms), ddof=1)))
    if spreads:
        found["gradient_spread"] = max(spreads)
    for key in ("signal", "turn"):
        values = [min(v[key] for _, v in row if key in v) for row in rows if any(key in v for _, v in row)]
        if values:
            found[key] = float(np.median(values))
    return found


def of_jacobian(looks: Sequence[Look]) -> dict[str, float]:
    """Condition of the map from noise to samples, where it was looked at: its median over adversarial stages."""
    values = [look.values["generator/condition"] for look in looks if "generator/condition" in look.values]
    return {"condition": float(np.median(values))} if values else {}


def of_samples(looks: Sequence[Look], total: int, *, start: float | None = None, before: int = 0) -> dict[str, float]:
    """When samples came near the data, how far they were on the whole, how unsteadily they moved: :func:`figures`."""
    known = [(look.step, look.values) for look in looks if "samples/distance" in look.values]
    if not known or total < 1:
        return {}
    steps = (before + np.array([s for s, _ in known])) / (before + total)
    excess = np.array([v.get("samples/excess", max(v["samples/distance"], 0.0)) for _, v in known])
    smooth = np.array([np.median(excess[max(0, i - 1) : i + 2]) for i in range(len(excess))])
    near = np.flatnonzero(smooth < limit(NEAR))
    # Until there are samples at all, a run is as far from the data as it was before any training.
    first = excess[0] if start is None else start
    edges, values = np.concatenate([[0.0], steps, [1.0]]), np.concatenate([[first], excess])
    found = {
        "reached": float(steps[near[0]]) if len(near) else 1.0,
        "distance_mean": float(np.sum(np.diff(edges) * values)),
    }
    late = np.array([v["samples/distance"] for (_, v), s in zip(known, steps, strict=True) if s >= 0.5])
    if len(late) > 2 and float(np.abs(late).mean()) > 0:
        found["wobble"] = float(np.abs(np.diff(late)).mean() / np.abs(late).mean())
    return found


def curves(
    path: Path, networks: Mapping[str, Sequence[str]], total: int, *, before: int = 0
) -> dict[str, list[list[float]]]:
    """For plots: parts of the budget with the samples' ``distance`` from the data, and the generator's ``gradient``."""
    looks, whole = read_looks(path), before + total
    distance = [
        [(before + look.step) / whole, look.values["samples/excess"]]
        for look in looks
        if "samples/excess" in look.values
    ]
    gradient = [
        [(before + look.step) / whole, max(found)]
        for look in looks
        if (found := [look.values[k] for n in networks.get(look.stage, ()) if (k := f"{n}/gradient") in look.values])
    ]
    return {"distance": _thinned(distance), "gradient": _thinned(gradient)}


def _thinned(points: list[list[float]]) -> list[list[float]]:
    kept = points[:: max(1, -(-len(points) // POINTS))]
    return [[float(f"{a:.4g}"), float(f"{b:.4g}")] for a, b in kept]


def _judges(name: str) -> bool:
    return "discriminator" in name or "critic" in name


def _of(look: Look, network: str) -> dict[str, float]:
    start = f"{network}/"
    return {k.removeprefix(start): v for k, v in look.values.items() if k.startswith(start)}


def _vanishes(values: Mapping[str, float]) -> bool:
    shallow = values.get("depth", 1.0) < limit("depth")
    return values["gradient"] == 0 or shallow or values.get("relative", 1.0) < limit("relative_low")


def _explodes(values: Mapping[str, float], usual: float) -> bool:
    return values.get("relative", 0.0) > limit("relative_high") or values["gradient"] > SPIKE * usual
