"""BLEU against references, and self-BLEU: how alike the texts of a set are.

References: Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation"; Chen & Cherry 2014
for the smoothing (their first); Zhu et al. 2018, "Texygen" (arXiv 1802.01886) for self-BLEU and for the protocol: every
text against all references at once, and the mean over texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aegan.errors import DataError
from aegan.metrics.text_ngrams import Corpus, corpora, runs

ORDERS = (2, 3, 4, 5)
EPSILON = 0.1
"""Takes the place of a count of 0."""
VERSION = 1
"""Raised when a change of the formula changes its values; stored with every evaluation."""


def bleu(texts: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[int, float]:
    """BLEU-n of tokenised texts against all ``references``, their mean, for each n of :data:`ORDERS`.

    More references make it larger: compare only values with as many.

    Raises:
        DataError: No texts, or no references.

    >>> round(bleu([["a", "dog", "runs"]], [["a", "dog", "sleeps"]])[2], 4)
    0.5774
    """
    if not texts or not references:
        raise DataError(f"bleu: {len(texts)} texts and {len(references)} references; expected at least one of each.")
    hypotheses, given = corpora(texts, references)
    precisions = []
    for (owner, number), (theirs, reference) in runs([hypotheses, given], max(ORDERS)):
        size = 1 + max((int(v.max()) for v in (number, reference) if len(v)), default=0)
        most = np.zeros(size, dtype=np.int64)
        _, one, count = _counted(theirs, reference, size)
        np.maximum.at(most, one, count)
        text, one, count = _counted(owner, number, size)
        precisions.append(_sums(text, np.minimum(count, most[one]), len(hypotheses)))
    return _scores(hypotheses, precisions, _closest(hypotheses.lengths, given.lengths))


def self_bleu(texts: Sequence[Sequence[str]]) -> dict[int, float]:
    """BLEU-n of each text against all the others, the mean, for each n of :data:`ORDERS`; 1 where all are the same.

    A larger set has the larger values: compare only sets of one size.

    Raises:
        DataError: Fewer than two texts.

    >>> self_bleu([["a", "b"], ["a", "b"]])[2]
    1.0
    """
    if len(texts) < 2:
        raise DataError(f"self_bleu: {len(texts)} texts; expected at least two.")
    own = corpora(texts)[0]
    precisions = []
    for ((owner, number),) in runs([own], max(ORDERS)):
        size = 1 + (int(number.max()) if len(number) else 0)
        text, one, count = _counted(owner, number, size)
        # The largest count of a run in any text and, where a text has that itself, in any other.
        order = np.lexsort((-count, one))
        ranked, start = one[order], np.ones(len(one), dtype=bool)
        start[1:] = ranked[1:] != ranked[:-1]
        first = np.flatnonzero(start)
        most, holder, second = np.zeros(size, np.int64), np.full(size, -1), np.zeros(size, np.int64)
        most[ranked[first]], holder[ranked[first]] = count[order][first], text[order][first]
        after = first + 1
        after = after[(after < len(one)) & ~start[np.minimum(after, len(one) - 1)]]
        second[ranked[after]] = count[order][after]
        others = np.where(holder[one] == text, second[one], most[one])
        precisions.append(_sums(text, np.minimum(count, others), len(own)))
    return _scores(own, precisions, _closest(own.lengths, own.lengths, leave_out=True))


def _counted(owner: np.ndarray, number: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texts, their distinct runs, and how often each occurs in it."""
    pairs, count = np.unique(owner * size + number, return_counts=True)
    return pairs // size, pairs % size, count


def _sums(text: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(text, weights=values, minlength=count)


def _closest(lengths: np.ndarray, references: np.ndarray, leave_out: bool = False) -> np.ndarray:
    """The reference length nearest to each text's, the shorter of two."""
    known, counts = np.unique(references, return_counts=True)
    found = {}
    for length in np.unique(lengths).tolist():
        rest = known[counts > 1] if leave_out else known
        if length not in rest:
            rest = known[known != length] if leave_out else known
        rest = np.concatenate([rest[rest == length], known[known != length]])
        found[length] = int(rest[np.lexsort((rest, np.abs(rest - length)))[0]])
    return np.array([found[length] for length in lengths.tolist()])


def _scores(texts: Corpus, matched: list[np.ndarray], closest: np.ndarray) -> dict[int, float]:
    logs = np.zeros((len(matched), len(texts)))
    for n, right in enumerate(matched, start=1):
        total = np.maximum(texts.lengths - n + 1, 1)
        logs[n - 1] = np.log(np.where(right > 0, right, EPSILON) / total)
    short = np.minimum(0.0, 1.0 - closest / np.maximum(texts.lengths, 1))
    none = matched[0] == 0
    return {n: float(np.where(none, 0.0, np.exp(short + logs[:n].mean(0))).mean()) for n in ORDERS}
