"""Rules on data, gradients and learning rates: what can go wrong in one network alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aegan.diagnostics.health import ENOUGH, EPSILON, above, below, evidence_of, plainly, rule, sureness, verdict_of
from aegan.diagnostics.history import SMOOTH, History, Stretch, median
from aegan.diagnostics.thresholds import limit
from aegan.diagnostics.verdicts import Evidence, Verdict

USUAL_UPDATE = 4e-3
"""‖ΔW‖/‖W‖ a step of healthy runs of Adam, by which a better learning rate is reckoned."""


@rule
def non_finite(history: History) -> Iterator[Verdict]:
    """NaN and infinity, by the place where they were first seen."""
    found = history.first_note("non-finite")
    if found is not None:
        step, where = found
        name = "data-problem" if where.startswith("real") else "non-finite"
        yield verdict_of(name, where=where, since=step, confidence=0.99, why=f"{where}.")


@rule
def data(history: History) -> Iterator[Verdict]:
    """Constant columns, repeated rows, a wrong range."""
    for name, test, where in (
        ("constant", above, "constant columns"),
        ("repeated", above, "repeated rows"),
        ("outside", above, "values outside the generator's range"),
    ):
        found = test(history, f"data/{name}", name)
        if found:
            stretch, evidence, _ = found
            yield verdict_of("data-problem", where=where, since=stretch.since, confidence=plainly(stretch),
                             evidence=[evidence])  # fmt: skip
    for test, name in ((above, "scale_high"), (below, "scale_low")):
        found = test(history, "data/scale", name)
        if found:
            stretch, evidence, _ = found
            yield verdict_of("data-problem", where="wrong scale", since=stretch.since, confidence=plainly(stretch),
                             evidence=[evidence])  # fmt: skip


@rule
def no_gradient(history: History) -> Iterator[Verdict]:
    """A network that no step reaches, or only with zeros."""
    for network in history.networks("reached"):
        found = below(history, f"{network}/reached", "reached")
        silent = history.stretch(f"{network}/gradient", lambda v: v == 0.0)
        if silent is not None and not _cut(history, network):
            silent = None  # it died, or what comes after it did
        if found and found[0].looks >= ENOUGH // 2:
            stretch, evidence, _ = found
            yield verdict_of("no-gradient", where=network, since=stretch.since, confidence=plainly(stretch),
                             evidence=[evidence])  # fmt: skip
        elif silent is not None and silent.looks >= ENOUGH // 2:
            evidence = evidence_of(f"{network}/gradient", 0.0, 0.0)
            yield verdict_of("no-gradient", where=network, since=silent.since, confidence=plainly(silent),
                             evidence=[evidence])  # fmt: skip


def _cut(history: History, network: str) -> bool:
    """Whether a network without gradient never had one, though the other one has, and would pass some on."""
    ever = any(value > 0 for _, value in history.points(f"{network}/gradient"))
    others = [n for n in history.networks("gradient") if n != network]
    passed = history.recent("discriminator/slope_fake")
    alive = not others or any((history.recent(f"{n}/gradient") or 0.0) > 0 and not _numb(history, n) for n in others)
    return not ever and alive and (network == "discriminator" or passed is None or passed > 0)


def _numb(history: History, network: str) -> Stretch | None:
    """The stretch in which biases alone had a gradient: nothing but zeros came to any weight."""
    if not (history.recent(f"{network}/gradient") or 0.0):
        return None
    found = history.stretch(f"{network}/relative", lambda v: v == 0.0)
    return found if found is not None and found.looks >= ENOUGH // 2 else None


@rule
def learning_rate(history: History) -> Iterator[Verdict]:
    """Steps too large, or too small to go anywhere."""
    for network in history.networks("update"):
        large = above(history, f"{network}/update", "update_high")
        grown = above(history, f"{network}/weight", "weight_grown")
        leapt = _leapt(history, network)
        sure = [x for x in (large, grown, leapt) if x is not None]
        if sure:
            confidence = 1.0
            for _, _, c in sure:
                confidence *= 1.0 - c
            told = verdict_of("learning-rate-high", where=network, since=min(s.since for s, _, _ in sure),
                              confidence=1.0 - confidence, evidence=[e for _, e, _ in sure])  # fmt: skip
            step = max(e.value for _, e, _ in sure if e.statistic.endswith("update")) if large or leapt else 0.0
            yield _at_rate(told, network, USUAL_UPDATE / step if step else 0.1, most=0.3)
        small = below(history, f"{network}/update", "update_low")
        still = below(history, f"{network}/travel", "travel_low")
        # Adam divides by what gradients were: after one that was enormous no step moves anything.
        shaken = any(v > limit("relative_high") for _, v in history.points(f"{network}/relative"))
        if small and still and small[0].looks >= ENOUGH and not shaken and not _stopped(history, network):
            told = verdict_of("learning-rate-low", where=network, since=small[0].since,
                              confidence=min(small[2], 0.95), evidence=[small[1], still[1]])  # fmt: skip
            yield _at_rate(told, network, USUAL_UPDATE / max(small[0].value, EPSILON), most=1e6)


def _at_rate(verdict: Verdict, network: str, factor: float, *, most: float) -> Verdict:
    """The verdict with its first remedy turned into the change that brings a step's size to the usual."""
    factor = float(f"{min(max(factor, 1e-4), most):.1g}")
    role = "lr_discriminator" if network == "discriminator" else "lr_generator" if network == "generator" else "lr"
    first = replace(verdict.remedies[0], do=f"Take {factor:g} times the learning rate", factor=factor, role=role)
    return replace(verdict, remedies=(first, *verdict.remedies[1:]))


def _leapt(history: History, network: str) -> tuple[Stretch, Evidence, float] | None:
    """The first steps replaced the weights: a look says so, and the weights stay that far from where they began."""
    steps = [(s, v) for s, v in history.points(f"{network}/update")[:SMOOTH] if v > limit("leap")]
    gone = history.early(f"{network}/travel")
    if not steps or gone is None or gone < limit("leap_travel"):
        return None
    stretch = Stretch(steps[0][0], len(steps), steps[0][1])
    return stretch, evidence_of(f"{network}/update", stretch.value, limit("leap")), 0.9


def _stopped(history: History, network: str) -> bool:
    """Whether it is rather the gradient that is missing."""
    return (history.recent(f"{network}/relative") or 0.0) < limit("relative_low")


@rule
def gradients(history: History) -> Iterator[Verdict]:
    """Vanishing and exploding, over depth and over time."""
    for network in history.networks("relative"):
        shallow = below(history, f"{network}/depth", "depth")
        tiny = below(history, f"{network}/relative", "relative_low")
        faded = _ratio(history, f"{network}/gradient", "faded", rising=False)
        sure = [x for x in (shallow, tiny, faded) if x is not None]
        if all(value == 0 for _, value in history.points(f"{network}/gradient")):
            continue  # cut, or dead from the start
        if _numb(history, network):
            continue  # dead units, which are told as that
        cut = history.recent(f"{network}/gradient") == 0.0 and _cut(history, network)
        if sure and not cut and (history.recent(f"{network}/reached") or 1.0) >= limit("reached"):
            best = max(sure, key=lambda x: x[2])
            place = "the first layers" if shallow and best is shallow else "all layers"
            yield verdict_of("vanishing-gradients", where=f"{network}, {place}", since=best[0].since,
                             confidence=best[2], evidence=[e for _, e, _ in sure])  # fmt: skip
        elif (earlier := _earlier(history, f"{network}/depth", "depth")) is not None:
            stretch, evidence = earlier
            place = f"{network}, the first layers, until step {stretch.since}"
            yield verdict_of("vanishing-gradients", where=place, since=0, confidence=0.9, evidence=[evidence])
        huge = above(history, f"{network}/relative", "relative_high")
        if network in ("encoder", "decoder") and (history.early(f"{network}/relative") or 0) < limit("relative_high"):
            huge = None  # a likelihood that grows sharp has ever longer gradients, which Adam does not mind
        grown = _ratio(history, f"{network}/gradient", "grown", rising=True)
        if (history.recent(f"{network}/relative") or 0.0) < limit("grown_to"):
            grown = None  # up from nothing is not too much
        sure = [x for x in (huge, grown) if x is not None]
        if sure:
            best = max(sure, key=lambda x: x[2])
            yield verdict_of("exploding-gradients", where=network, since=best[0].since, confidence=best[2],
                             evidence=[e for _, e, _ in sure])  # fmt: skip


def _earlier(history: History, statistic: str, threshold: str) -> tuple[Stretch, Evidence] | None:
    """A beginning in which a statistic was below its threshold, long enough to be why samples are still far off.

    Returns:
        A stretch whose ``since`` is the step at which it *ended*.
    """
    points, bound = history.points(statistic), limit(threshold)
    low = [(step, value) for step, value in points if value < bound]
    if len(low) < max(ENOUGH // 2, limit("lost_time") * len(points)) or points[0][1] >= bound:
        return None
    if (history.recent("samples/excess") or 0.0) < limit("far"):
        return None  # it got over it
    worst = median([value for _, value in low])
    return Stretch(low[-1][0], len(low), worst), evidence_of(statistic, worst, bound)


@rule
def dead_units(history: History) -> Iterator[Verdict]:
    """Rectifiers that never pass a gradient: many of a layer, or all of a network from the start."""
    for network in history.networks("gradient"):
        found = above(history, f"{network}/dead", "dead")
        silent = history.stretch(f"{network}/gradient", lambda v: v == 0.0)
        ever = any(value > 0 for _, value in history.points(f"{network}/gradient"))
        numb = _numb(history, network)
        if found:
            stretch, evidence, _ = found
        elif numb is not None:
            stretch, evidence = numb, evidence_of(f"{network}/relative", 0.0, 0.0)
        elif silent is not None and silent.looks >= ENOUGH // 2 and not ever and not _cut(history, network):
            stretch, evidence = silent, evidence_of(f"{network}/gradient", 0.0, 0.0)
        else:
            continue
        told = verdict_of("dead-units", where=network, since=stretch.since,
                          confidence=0.6 + 0.39 * min(1.0, stretch.looks / ENOUGH), evidence=[evidence])  # fmt: skip
        # Units that were dead when the run began were born so.
        born = stretch.since <= history.points(f"{network}/gradient")[0][0]
        yield replace(told, remedies=told.remedies[::-1]) if born else told


@rule
def batchnorm(history: History) -> Iterator[Verdict]:
    """Samples of train and eval mode that differ."""
    found = above(history, "generator/mode_gap", "mode_gap")
    if found:
        stretch, evidence, sure = found
        yield verdict_of("batchnorm", where="generator", since=stretch.since, confidence=max(sure, 0.7),
                         evidence=[evidence])  # fmt: skip


def _ratio(history: History, statistic: str, threshold: str, *, rising: bool) -> tuple[Stretch, Evidence, float] | None:
    """The end over the beginning, as :func:`above` and :func:`below` tell it."""
    before, points = history.early(statistic), history.points(statistic)
    if not before or len(points) < ENOUGH:
        return None
    bound = limit(threshold)
    stretch = history.stretch(statistic, lambda v: v > bound * before if rising else v < bound * before)
    if stretch is None or stretch.looks < ENOUGH // 2:
        return None
    ratio = stretch.value / before
    excess = ratio / bound if rising else bound / max(ratio, EPSILON)
    return stretch, evidence_of(statistic, stretch.value, bound * before), sureness(excess, stretch.looks)
