"""Rules on the pair: the balance of both networks, what samples show of it, and codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aegan.diagnostics.health import ENOUGH, above, below, evidence_of, rule, verdict_of
from aegan.diagnostics.history import SMOOTH, History, Stretch, median
from aegan.diagnostics.thresholds import limit
from aegan.diagnostics.verdicts import Evidence, Remedy, Verdict

MOSTLY = 0.7
"""Part of the looks at which a training that cycles is seen to."""


@rule
def overfitting(history: History) -> Iterator[Verdict]:
    """A discriminator that knows its data: by unseen data where there are any, else by how few there are."""
    unseen = above(history, "discriminator/holdout", "holdout")
    few = below(history, "data/distinct", "distinct")
    often = above(history, "data/repeats", "repeats")
    told = history.recent("discriminator/separation")
    unseen = unseen or (above(history, "discriminator/holdout", "holdout_few") if few and often else None)
    if unseen:
        stretch, evidence, _ = unseen
        confidence = 0.55 + 0.43 * min(1.0, stretch.looks / ENOUGH)
        extra = [few[1]] if few else []
        told = verdict_of("discriminator-overfitting", where="discriminator", since=stretch.since,
                          confidence=confidence, evidence=[evidence, *extra])  # fmt: skip
        yield _more_data(told) if few else told
    elif few and often and told is not None and told > 0.8:
        evidence = [few[1], often[1], evidence_of("discriminator/separation", told, 0.8)]
        sure = 0.6 + 0.3 * min(1.0, often[0].looks / ENOUGH)
        yield _more_data(verdict_of("discriminator-overfitting", where="discriminator", since=often[0].since,
                                    confidence=sure, evidence=evidence))  # fmt: skip


def _more_data(verdict: Verdict) -> Verdict:
    """The remedy of more data first: with some hundreds of samples, nothing else goes far."""
    return replace(verdict, remedies=tuple(sorted(verdict.remedies, key=lambda r: "more data" not in r.do)))


@rule
def balance(history: History) -> Iterator[Verdict]:
    """A discriminator that is too strong or too weak for the generator."""
    strong = above(history, "discriminator/separation", "separation_high")
    if strong and strong[0].looks >= ENOUGH // 2 and not _still_learning(history):
        stretch, evidence, _ = strong
        confidence = 0.5 + 0.4 * min(1.0, stretch.looks / (2 * ENOUGH))
        yield verdict_of("discriminator-strong", where="discriminator", since=stretch.since, confidence=confidence,
                         evidence=[evidence, *_distance(history)])  # fmt: skip
    blind = below(history, "discriminator/separation", "separation_low")
    weak = blind or below(history, "discriminator/slope", "flat")
    far = _far(history)
    if weak and far and weak[0].looks >= ENOUGH // 2 and not _still_learning(history):
        confidence = 0.5 + 0.4 * min(1.0, min(weak[0].looks, far.looks) / (2 * ENOUGH))
        told = verdict_of("discriminator-weak", where="discriminator", since=max(weak[0].since, far.since),
                          confidence=confidence, evidence=[weak[1], *_distance(history)])  # fmt: skip
        yield _evened(history, told)
    elif far and (found := _misled(history)):
        stretch, evidence = found
        told = verdict_of("discriminator-weak", where="discriminator", since=max(stretch.since, far.since),
                          confidence=0.8, evidence=[evidence, *_distance(history)])  # fmt: skip
        yield _evened(history, told)


def _misled(history: History) -> tuple[Stretch, Evidence] | None:
    """A discriminator that often rates samples above data, or hardly apart, though the samples are nowhere near.

    Both are facts whether or not the samples come nearer.
    """
    points = history.points("discriminator/separation")
    late = points[len(points) // 2 :]
    if len(late) < ENOUGH:
        return None
    fooled = [step for step, value in late if value < limit("separation_fooled")]
    if len(fooled) >= limit("fooled") * len(late):
        part = len(fooled) / len(late)
        worst = evidence_of("discriminator/separation", min(v for _, v in late), limit("separation_fooled"))
        return Stretch(fooled[0], len(fooled), part), worst
    lost = history.stretch("samples/excess", lambda v: v > limit("lost"))
    gaps = [abs(value) for step, value in history.points("discriminator/gap") if lost and step >= lost.since]
    if lost is not None and len(gaps) >= ENOUGH and median(gaps[-ENOUGH:]) < limit("indecisive"):
        return lost, evidence_of("discriminator/gap", median(gaps[-ENOUGH:]), limit("indecisive"))
    return None


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
                         confidence=min(max(sure, 0.6 if stretch.looks >= 3 else 0.0), 0.93),
                         evidence=[evidence])  # fmt: skip
        return
    narrow = below(history, "samples/spread", "narrow")
    partial = below(history, "samples/coverage", "coverage")
    right = above(history, "samples/precision", "precision")
    sure_different = below(history, "samples/p", "mmd_p")
    # Samples of precision p that leave nothing out reach some p² of the data: each has to meet a real one closely.
    if (
        partial
        and right
        and sure_different
        and partial[1].value < limit("coverage") * min(1.0, right[1].value) ** 2
        and not _spreading(history)
    ):
        looks = min(partial[0].looks, right[0].looks)
        evidence = [partial[1], right[1], sure_different[1]]
    elif alike and sure_different and not _still_learning(history):
        looks, evidence, partial = alike[0].looks, [alike[1], sure_different[1]], alike
    elif narrow and sure_different and not _still_learning(history):
        looks, evidence, partial = narrow[0].looks, [narrow[1], sure_different[1]], narrow
    else:
        return
    if looks >= 3:
        since = max(x[0].since for x in (partial, sure_different) if x is not None)
        yield verdict_of("mode-collapse", where="partial: a part of the data is missing", since=since,
                         confidence=0.5 + 0.4 * min(1.0, looks / ENOUGH), evidence=evidence)  # fmt: skip


@rule
def cycling(history: History) -> Iterator[Verdict]:
    """Samples that move and do not arrive; told by the larger part of the looks, for they come by the data at times."""
    moved = [(step, v > limit("moved")) for step, v in history.points("samples/moved")]
    far = [(step, v > limit("far")) for step, v in history.points("samples/excess")]
    moved, far = moved[len(moved) // 2 :], far[len(far) // 2 :]
    if min(len(moved), len(far)) < ENOUGH or _still_learning(history, within=0.75):
        return
    moving, away = (sum(wrong for _, wrong in values) / len(values) for values in (moved, far))
    if moving >= MOSTLY and away >= MOSTLY:
        value = history.recent("samples/moved", 0.5) or 0.0
        evidence = [evidence_of("samples/moved", value, limit("moved")), *_distance(history)]
        told = verdict_of("cycling", where="generator and discriminator", since=moved[0][0],
                          confidence=0.45 + 0.4 * min(1.0, len(moved) / (2 * ENOUGH)), evidence=evidence)  # fmt: skip
        yield _evened(history, told)


def unexplained(history: History) -> Iterator[Verdict]:
    """For where no rule fires: samples that are far off to the end, and not on their way, are no healthy training."""
    far = above(history, "samples/excess", "astray")
    if far and far[0].looks >= ENOUGH and not _still_learning(history):
        stretch, evidence, _ = far
        sure = 0.5 + 0.3 * min(1.0, stretch.looks / (2 * ENOUGH))
        yield verdict_of("not-converging", where="generator and discriminator", since=stretch.since,
                         confidence=sure, evidence=[evidence])  # fmt: skip


def _evened(history: History, verdict: Verdict) -> Verdict:
    """The verdict with a remedy in front where the generator simply learns much faster than the discriminator."""
    steps = [history.recent(f"{n}/pace") or 0.0 for n in ("discriminator", "generator")]
    moves = [history.recent(f"{n}/update") or 0.0 for n in ("discriminator", "generator")]
    if 0 < steps[0] < 0.5 * steps[1]:
        first = Remedy(do="Step the discriminator as often as the generator", paper="arXiv 1701.07875")
    elif 0 < moves[0] < moves[1] / 10:
        factor = float(f"{min(moves[1] / moves[0], 30.0):.1g}")
        do = f"Take {factor:g} times the discriminator's learning rate: it moves too slowly for the generator"
        first = Remedy(do=do, paper="arXiv 1706.08500", role="lr_discriminator", factor=factor)
    else:
        return verdict
    return replace(verdict, remedies=(first, *verdict.remedies))


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


def _far(history: History) -> Stretch | None:
    """The stretch in which samples lie farther from the data than two halves of the data from one another."""
    return history.stretch("samples/excess", lambda v: v > limit("far"))


def _distance(history: History) -> list[Evidence]:
    value = history.recent("samples/excess")
    return [] if value is None else [evidence_of("samples/excess", value, limit("far"))]


def _still_learning(history: History, within: float = 0.5) -> bool:
    """Whether the samples came nearer to the data in the last part of the run and than at first, or are there.

    Part ``within`` of the last third's looks must be nearer than the middle third's median: half of them, or more where
    the samples come and go.
    """
    values = [value for _, value in history.points("samples/excess")]
    if len(values) < ENOUGH:
        return False
    if (history.recent("samples/excess") or 0.0) < limit("far"):
        return True
    if median(values[-SMOOTH:]) > min(values[:SMOOTH]):
        return False
    quarter = len(values) // 4
    before, last = sorted(values[-2 * quarter : -quarter]), sorted(values[-quarter:])
    return last[int(within * quarter)] < limit("progress") * before[quarter // 2]


def _spreading(history: History) -> bool:
    """Whether samples reach more and more of the data."""
    values = [value for _, value in history.points("samples/coverage")]
    if len(values) < ENOUGH:
        return False
    third = len(values) // 3
    middle, last = sorted(values[third : 2 * third]), sorted(values[-third:])
    return last[third // 2] > 1.2 * middle[third // 2] > 0
