"""The rules themselves: gradients and learning rates, data, the game of the two networks, samples, codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aegan.diagnostics.health import (
    EPSILON,
    above,
    below,
    evidence_of,
    rule,
    sureness,
    verdict_of,
)
from aegan.diagnostics.history import SMOOTH, History, Stretch
from aegan.diagnostics.thresholds import limit
from aegan.diagnostics.verdicts import Evidence, Verdict

USUAL_UPDATE = 4e-3
"""‖ΔW‖/‖W‖ a step of healthy runs of Adam, by which a better learning rate is reckoned."""
ENOUGH = 10
"""Values of a statistic that are compared over time at least."""


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
            yield verdict_of("data-problem", where=where, since=stretch.since, confidence=_told(stretch),
                             evidence=[evidence])  # fmt: skip
    for test, name in ((above, "scale_high"), (below, "scale_low")):
        found = test(history, "data/scale", name)
        if found:
            stretch, evidence, _ = found
            yield verdict_of("data-problem", where="wrong scale", since=stretch.since, confidence=_told(stretch),
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
            yield verdict_of("no-gradient", where=network, since=stretch.since, confidence=_told(stretch),
                             evidence=[evidence])  # fmt: skip
        elif silent is not None and silent.looks >= ENOUGH // 2:
            evidence = evidence_of(f"{network}/gradient", 0.0, 0.0)
            yield verdict_of("no-gradient", where=network, since=silent.since, confidence=_told(silent),
                             evidence=[evidence])  # fmt: skip


def _cut(history: History, network: str) -> bool:
    """Whether a network without gradient never had one, though the other one has, and would pass some on."""
    ever = any(value > 0 for _, value in history.points(f"{network}/gradient"))
    others = [n for n in history.networks("gradient") if n != network]
    passed = history.recent("discriminator/slope_fake")
    alive = not others or any((history.recent(f"{n}/gradient") or 0.0) > 0 for n in others)
    return not ever and alive and (network == "discriminator" or passed is None or passed > 0)


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
        if small and still and small[0].looks >= ENOUGH and not _stopped(history, network):
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
        cut = history.recent(f"{network}/gradient") == 0.0 and _cut(history, network)
        if sure and not cut and (history.recent(f"{network}/reached") or 1.0) >= limit("reached"):
            best = max(sure, key=lambda x: x[2])
            place = "the first layers" if shallow and best is shallow else "all layers"
            yield verdict_of("vanishing-gradients", where=f"{network}, {place}", since=best[0].since,
                             confidence=best[2], evidence=[e for _, e, _ in sure])  # fmt: skip
        huge = above(history, f"{network}/relative", "relative_high")
        grown = _ratio(history, f"{network}/gradient", "grown", rising=True)
        if (history.recent(f"{network}/relative") or 0.0) < limit("grown_to"):
            grown = None  # up from nothing is not too much
        sure = [x for x in (huge, grown) if x is not None]
        if sure:
            best = max(sure, key=lambda x: x[2])
            yield verdict_of("exploding-gradients", where=network, since=best[0].since, confidence=best[2],
                             evidence=[e for _, e, _ in sure])  # fmt: skip


@rule
def dead_units(history: History) -> Iterator[Verdict]:
    """Rectifiers that never pass a gradient."""
    for network in history.networks("dead"):
        found = above(history, f"{network}/dead", "dead")
        if found:
            stretch, evidence, _ = found
            yield verdict_of("dead-units", where=network, since=stretch.since,
                             confidence=0.6 + 0.35 * min(1.0, stretch.looks / ENOUGH), evidence=[evidence])  # fmt: skip


@rule
def batchnorm(history: History) -> Iterator[Verdict]:
    """Samples of train and eval mode that differ."""
    found = above(history, "generator/mode_gap", "mode_gap")
    if found:
        stretch, evidence, sure = found
        yield verdict_of("batchnorm", where="generator", since=stretch.since, confidence=max(sure, 0.7),
                         evidence=[evidence])  # fmt: skip


@rule
def overfitting(history: History) -> Iterator[Verdict]:
    """A discriminator that knows its data: by unseen data where there are any, else by how few there are."""
    unseen = above(history, "discriminator/holdout", "holdout")
    few = below(history, "data/distinct", "distinct")
    often = above(history, "data/repeats", "repeats")
    told = history.recent("discriminator/separation")
    if unseen:
        stretch, evidence, _ = unseen
        confidence = 0.55 + 0.43 * min(1.0, stretch.looks / ENOUGH)
        extra = [few[1]] if few else []
        yield verdict_of("discriminator-overfitting", where="discriminator", since=stretch.since,
                         confidence=confidence, evidence=[evidence, *extra])  # fmt: skip
    elif few and often and told is not None and told > 0.8:
        evidence = [few[1], often[1], evidence_of("discriminator/separation", told, 0.8)]
        yield verdict_of("discriminator-overfitting", where="discriminator", since=often[0].since,
                         confidence=0.6 + 0.3 * min(1.0, often[0].looks / ENOUGH), evidence=evidence)  # fmt: skip


@rule
def balance(history: History) -> Iterator[Verdict]:
    """A discriminator that is too strong or too weak for the generator."""
    strong = above(history, "discriminator/separation", "separation_high")
    if strong and strong[0].looks >= ENOUGH // 2 and not _still_learning(history):
        stretch, evidence, _ = strong
        confidence = 0.5 + 0.4 * min(1.0, stretch.looks / (2 * ENOUGH))
        yield verdict_of("discriminator-strong", where="discriminator", since=stretch.since, confidence=confidence,
                         evidence=[evidence, *_distance(history)])  # fmt: skip
    weak = below(history, "discriminator/separation", "separation_low")
    far = _far(history)
    if weak and far and weak[0].looks >= ENOUGH // 2 and not _still_learning(history):
        confidence = 0.5 + 0.4 * min(1.0, min(weak[0].looks, far.looks) / (2 * ENOUGH))
        yield verdict_of("discriminator-weak", where="discriminator", since=max(weak[0].since, far.since),
                         confidence=confidence, evidence=[weak[1], *_distance(history)])  # fmt: skip


@rule
def lipschitz(history: History) -> Iterator[Verdict]:
    """Logits that change too steeply, and ever more so."""
    found = above(history, "discriminator/slope", "slope")
    now, before = history.recent("discriminator/slope"), history.early("discriminator/slope")
    if found and now is not None and before is not None and now > limit("slope_grown") * before:
        stretch, evidence, sure = found
        yield verdict_of("not-lipschitz", where="discriminator", since=stretch.since, confidence=sure,
                         evidence=[evidence])  # fmt: skip


@rule
def conditioning(history: History) -> Iterator[Verdict]:
    """A generator that ignores directions of its noise."""
    found = above(history, "generator/condition", "condition")
    if found and found[0].looks >= 3:
        stretch, evidence, _ = found
        yield verdict_of("generator-ill-conditioned", where="generator", since=stretch.since,
                         confidence=0.5 + 0.3 * min(1.0, stretch.looks / ENOUGH), evidence=[evidence])  # fmt: skip


@rule
def mode_collapse(history: History) -> Iterator[Verdict]:
    """Full: all samples alike. Partial: samples that look right, and cover a part of the data."""
    point = below(history, "samples/spread", "spread")
    alike = below(history, "samples/nearest", "nearest")
    if point and (history.recent("samples/p") or 0.0) < limit("mmd_p"):
        stretch, evidence, sure = point
        yield verdict_of("mode-collapse", where="full: the samples are all alike", since=stretch.since,
                         confidence=max(sure, 0.6 if stretch.looks >= 3 else 0.0), evidence=[evidence])  # fmt: skip
        return
    partial = below(history, "samples/coverage", "coverage")
    right = above(history, "samples/precision", "precision")
    sure_different = below(history, "samples/p", "mmd_p")
    if partial and right and sure_different and not _spreading(history):
        looks = min(partial[0].looks, right[0].looks)
        evidence = [partial[1], right[1], sure_different[1]]
    elif alike and sure_different and not _still_learning(history):
        looks, evidence = alike[0].looks, [alike[1], sure_different[1]]
    else:
        return
    if looks >= 3:
        since = max(x[0].since for x in (partial or alike, sure_different) if x is not None)
        yield verdict_of("mode-collapse", where="partial: a part of the data is missing", since=since,
                         confidence=0.5 + 0.4 * min(1.0, looks / ENOUGH), evidence=evidence)  # fmt: skip


@rule
def cycling(history: History) -> Iterator[Verdict]:
    """Samples that move and do not arrive."""
    moved = above(history, "samples/moved", "moved")
    far = _far(history)
    if moved and far and min(moved[0].looks, far.looks) >= ENOUGH and not _still_learning(history):
        looks = min(moved[0].looks, far.looks)
        yield verdict_of("cycling", where="generator and discriminator", since=max(moved[0].since, far.since),
                         confidence=0.45 + 0.4 * min(1.0, looks / (3 * ENOUGH)),
                         evidence=[moved[1], *_distance(history)])  # fmt: skip


@rule
def codes(history: History) -> Iterator[Verdict]:
    """Posterior and codebook collapse, and the balance of two losses."""
    idle, empty = below(history, "encoder/active", "active"), below(history, "encoder/kl", "kl")
    found = idle or empty
    if found:
        evidence = [x[1] for x in (idle, empty) if x is not None]
        yield verdict_of("posterior-collapse", where="encoder", since=found[0].since,
                         confidence=0.6 + 0.38 * min(1.0, found[0].looks / ENOUGH), evidence=evidence)  # fmt: skip
    few = below(history, "encoder/perplexity", "perplexity")
    if few:
        yield verdict_of("codebook-collapse", where="codebook", since=few[0].since,
                         confidence=0.6 + 0.38 * min(1.0, few[0].looks / ENOUGH), evidence=[few[1]])  # fmt: skip
    for test, name, which in ((above, "balance_high", "the adversary"), (below, "balance_low", "the reconstruction")):
        found = test(history, "decoder/balance", name)
        if found:
            stretch, evidence, sure = found
            yield verdict_of("imbalance", where=f"{which} is drowned", since=stretch.since, confidence=sure,
                             evidence=[evidence])  # fmt: skip
    note = history.first_note("finding")
    if note is not None:
        step, text = note
        name = "codebook-collapse" if "codebook" in text.lower() else "posterior-collapse"
        if "collapse" in text.lower():
            yield verdict_of(name, since=step, confidence=0.9, where="codes", why=text)


def _far(history: History) -> Stretch | None:
    """The stretch in which samples lie farther from the data than two halves of the data from one another."""
    return history.stretch("samples/excess", lambda v: v > limit("far"))


def _distance(history: History) -> list[Evidence]:
    value = history.recent("samples/excess")
    return [] if value is None else [evidence_of("samples/excess", value, limit("far"))]


def _still_learning(history: History) -> bool:
    """Whether the samples came nearer to the data in the last part of the run, or are there."""
    values = [value for _, value in history.points("samples/excess")]
    if len(values) < ENOUGH:
        return False
    if (history.recent("samples/excess") or 0.0) < limit("far"):
        return True
    third = len(values) // 3
    middle, last = sorted(values[third : 2 * third]), sorted(values[-third:])
    return last[third // 2] < limit("progress") * middle[third // 2]


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


def _spreading(history: History) -> bool:
    """Whether samples reach more and more of the data."""
    values = [value for _, value in history.points("samples/coverage")]
    if len(values) < ENOUGH:
        return False
    third = len(values) // 3
    middle, last = sorted(values[third : 2 * third]), sorted(values[-third:])
    return last[third // 2] > 1.2 * middle[third // 2] > 0


def _told(stretch: Stretch) -> float:
    """Confidence in what is a plain fact of every look."""
    return 0.7 + 0.28 * min(1.0, stretch.looks / ENOUGH)
