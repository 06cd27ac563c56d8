"""Rules: from a history of statistics to verdicts. Nothing here touches a network.

A rule reads smoothed statistics and fires where they have been on the wrong side of a threshold up to the end.
:func:`diagnose` runs them all and puts causes before consequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aegan.diagnostics.catalogue import CATALOGUE
from aegan.diagnostics.history import History, Stretch
from aegan.diagnostics.thresholds import ALARM, limit
from aegan.diagnostics.verdicts import Evidence, Verdict

Rule = Callable[[History], Iterable[Verdict]]
RULES: list[Rule] = []
"""All rules, in the order of their files."""
EPSILON = 1e-30
ENOUGH = 10
"""Values of a statistic that are compared over time at least."""
MEANS = {
    "depth": "the first layer's gradient over the largest",
    "relative": "largest ‖gradient‖/‖weight‖ of a layer",
    "gradient": "norm of the whole gradient",
    "dead": "part of a layer's units without any gradient",
    "update": "part by which one step changes the weights",
    "weight": "length of the weights over their first",
    "travel": "way of the weights over their first length",
    "pace": "part of the steps in which an optimiser moved it",
    "reached": "steps at which a gradient reached it",
    "separation": "chance that a real sample is rated above a fake",
    "gap": "mean logit of real minus fake",
    "holdout": "chance that training data are rated above unseen data",
    "sign": "mean sign of the logits of training data",
    "slope": "steepest ‖∇D‖ times the distance of two real samples",
    "condition": "ln λmax/λmin of the generator's JᵀJ",
    "coverage": "part of the real data near a sample, real data being 1",
    "precision": "samples within the real data, real data being 1",
    "spread": "distance of two samples, over that of two real ones",
    "nearest": "distance to the nearest sample, over the real one",
    "distance": "energy distance to the data",
    "excess": "energy distance to the data, beyond that of two halves of the data",
    "p": "chance that samples and data are one distribution",
    "moved": "way of the samples between looks over their distance to the data",
    "active": "part of the code's dimensions in use",
    "kl": "nats that a code carries",
    "perplexity": "codes in effective use over those attainable",
    "balance": "‖∇reconstruction‖ over ‖∇adversary‖ at the shared layer",
    "constant": "part of the columns with one value only",
    "repeated": "part of a batch's rows that repeat another",
    "distinct": "different real samples seen",
    "repeats": "times that each real sample was seen",
    "scale": "root mean square of the data",
    "outside": "part of the real values outside the generator's range",
    "mode_gap": "difference of samples between train and eval mode, over their spread",
}
"""Statistics in words."""


def rule(function: Rule) -> Rule:
    """Register a rule."""
    RULES.append(function)
    return function


def diagnose(history: History) -> list[Verdict]:
    """Verdicts of a history, causes and the surest first; one verdict ``healthy`` where there is nothing to say.

    None where nothing was seen.

    Args:
        history: Of a whole run; each stage is judged by itself.
    """
    from aegan.diagnostics import pair_rules, rules  # noqa: F401 - registering the rules

    found: dict[tuple[str, str], Verdict] = {}
    for stage in history.stages:
        part = history if len(history.stages) == 1 else history.of(stage)
        for make in RULES:
            for verdict in make(part):
                if verdict.confidence < ALARM:
                    continue
                key = (verdict.name, verdict.where)
                if key not in found or found[key].confidence < verdict.confidence:
                    found[key] = verdict
    if not found:
        last = history.of(history.stages[-1]) if history.stages else history
        healthy = [verdict_of("healthy")] if history.looks else []  # nothing seen is no health
        return [*pair_rules.unexplained(last)] or healthy
    return sorted(found.values(), key=lambda v: (-round(v.confidence - 0.25 * CATALOGUE[v.name].rank, 6), v.since))


def verdict_of(
    name: str,
    *,
    where: str = "",
    since: int = 0,
    confidence: float = 1.0,
    evidence: Iterable[Evidence] = (),
    why: str = "",
) -> Verdict:
    """A verdict with the catalogue's words."""
    entry = CATALOGUE[name]
    return Verdict(
        name=name, title=entry.title, where=where, since=since, confidence=confidence,
        evidence=tuple(evidence), why=f"{why} {entry.why}".strip() if why else entry.why, remedies=entry.remedies,
    )  # fmt: skip


def evidence_of(statistic: str, value: float, threshold: float) -> Evidence:
    """One statistic beside its threshold, with its words."""
    return Evidence(
        statistic=statistic, value=value, threshold=threshold, above=value > threshold,
        means=MEANS.get(statistic.rpartition("/")[2], statistic),
    )  # fmt: skip


def above(history: History, statistic: str, threshold: str) -> tuple[Stretch, Evidence, float] | None:
    """The stretch in which a statistic lies above a threshold, its evidence and the confidence of that alone."""
    bound = limit(threshold)
    stretch = history.stretch(statistic, lambda v: v > bound)
    return stretch and (
        stretch,
        evidence_of(statistic, stretch.value, bound),
        sureness(stretch.value / max(bound, EPSILON), stretch.looks),
    )


def below(history: History, statistic: str, threshold: str) -> tuple[Stretch, Evidence, float] | None:
    """As :func:`above`, for values below."""
    bound = limit(threshold)
    stretch = history.stretch(statistic, lambda v: v < bound)
    return stretch and (
        stretch,
        evidence_of(statistic, stretch.value, bound),
        sureness(bound / max(stretch.value, EPSILON), stretch.looks),
    )


def sureness(excess: float, looks: int) -> float:
    """Confidence in [0, 1) from how far beyond its threshold a statistic is (a factor) and for how many looks.

    >>> round(sureness(1.0, 100), 2), round(sureness(100.0, 100), 2), round(sureness(100.0, 1), 2)
    (0.6, 0.92, 0.27)
    """
    far = 1.0 - 0.4 / max(excess, 1.0) ** 0.35
    return far * (1.0 - 0.5 ** (looks / 2))


def plainly(stretch: Stretch) -> float:
    """Confidence in what is a plain fact of every look."""
    return 0.7 + 0.28 * min(1.0, stretch.looks / ENOUGH)
