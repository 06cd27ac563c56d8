"""Does a claim hold? Rules that were fixed before looking, on paired differences and a smallest effect of interest.

For each metric of a claim and each data set, the differences of the runs that share seed and initialisation are taken,
improvements counted positive. With their mean, the careful 95 % interval (see
:func:`aegan.study.stats.careful_interval`), the sign-flip test's p after Holm over all of the claim's comparisons, and
the smallest difference δ that matters:

* **better**: the mean is δ or more, the interval lies above 0, and p is below α;
* **worse**: the same downwards;
* **no difference that matters**: the interval lies within (-δ, δ);
* **undecided**: anything else, and anything with one pair alone.

A claim **holds** where every comparison is better; it **holds when** … where some are; it **does not hold** where none
is better and one is worse, or all are without a difference that matters; else it is **undecided**.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aegan.study.spec import Claim, smallest_of
from aegan.study.stats import Interval, careful_interval, holm, sign_flip_p

BETTER, WORSE, SAME, UNDECIDED = "better", "worse", "no difference that matters", "undecided"
HOLDS, HOLDS_WHEN, FAILS = "holds", "holds when", "does not hold"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One metric on one data set.

    Attributes:
        metric: Its name.
        data: The data set's.
        pairs: Runs of both arms with the same seed and initialisation.
        difference: Mean improvement over the control, in the metric's units.
        interval: Of it, 95 %; None with fewer than two pairs.
        smallest: The difference that matters, in the same units.
        p: After Holm.
        judgement: See the module's text.
    """

    metric: str
    data: str
    pairs: int
    difference: float
    interval: Interval | None
    smallest: float
    p: float | None
    judgement: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of a claim."""

    claim: str
    text: str
    model: str
    control: str
    verdict: str
    why: str
    comparisons: tuple[Comparison, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def judgement(
    difference: float, interval: Interval | None, smallest: float, p: float | None, alpha: float = 0.05
) -> str:
    """One comparison by the rules above.

    >>> judgement(0.3, (0.1, 0.5), 0.2, 0.01), judgement(0.3, (-0.1, 0.7), 0.2, 0.2)
    ('better', 'undecided')
    >>> judgement(0.01, (-0.1, 0.1), 0.2, 0.9), judgement(-0.3, (-0.5, -0.1), 0.2, 0.01)
    ('no difference that matters', 'worse')
    """
    if interval is None:
        return UNDECIDED
    low, high = interval
    sure = p is not None and p < alpha
    if low > 0 and difference >= smallest and sure:
        return BETTER
    if high < 0 and -difference >= smallest and sure:
        return WORSE
    return SAME if -smallest < low and high < smallest else UNDECIDED


def verdict(
    claim: Claim,
    pairs: Mapping[tuple[str, str], Sequence[tuple[float, float]]],
    signs: Mapping[str, float],
    *,
    alpha: float = 0.05,
) -> Verdict:
    """The verdict on a claim.

    Args:
        claim: With its smallest differences.
        pairs: By metric and data set, the values of model and control of each pair of runs.
        signs: By metric, 1 where higher is better, else -1.
        alpha: Level of the tests.
    """
    rows = []
    for (metric, data), found in pairs.items():
        if metric not in claim.smallest or (claim.data and data not in claim.data) or not found:
            continue
        improved = [signs[metric] * (a - b) for a, b in found]
        control = sum(b for _, b in found) / len(found)
        smallest = smallest_of(claim.smallest[metric], control)
        rows.append((metric, data, improved, smallest))
    corrected = holm([sign_flip_p(improved) for _, _, improved, _ in rows])
    comparisons = []
    for (metric, data, improved, smallest), p in zip(rows, corrected, strict=True):
        mean, interval = sum(improved) / len(improved), careful_interval(improved)
        comparisons.append(
            Comparison(
                metric=metric,
                data=data,
                pairs=len(improved),
                difference=mean,
                interval=interval,
                smallest=smallest,
                p=p,
                judgement=judgement(mean, interval, smallest, p, alpha),
            )  # fmt: skip
        )
    word, why = overall(comparisons)
    return Verdict(
        claim=claim.name, text=claim.text, model=claim.model, control=claim.control, verdict=word, why=why,
        comparisons=tuple(comparisons),
    )  # fmt: skip


def overall(comparisons: Sequence[Comparison]) -> tuple[str, str]:
    """The claim's verdict from its comparisons, and a sentence that says which ones."""

    def named(judged: str) -> str:
        return ", ".join(f"{c.metric} on {c.data}" for c in comparisons if c.judgement == judged)

    if not comparisons:
        return UNDECIDED, "Nothing was measured."
    found = {c.judgement for c in comparisons}
    rest = "; ".join(f"{word}: {named(word)}" for word in (WORSE, SAME, UNDECIDED) if word in found)
    if found == {BETTER}:
        return HOLDS, f"Better at all {len(comparisons)} comparisons."
    if BETTER in found:
        return HOLDS_WHEN, f"better: {named(BETTER)}; {rest}"
    if WORSE in found or found == {SAME}:
        return FAILS, rest
    return UNDECIDED, rest
