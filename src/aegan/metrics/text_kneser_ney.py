"""A small n-gram language model, interpolated Kneser-Ney: how likely texts are to one who has read others.

References: Kneser & Ney 1995; Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling",
whose interpolated form with one discount an order this is.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from aegan.errors import ConfigError, DataError

ORDER = 4
VERSION = 1
"""Raised when a change of the formula changes its values; stored with every evaluation."""
_BEGIN, _END, _UNKNOWN = 0, 1, 2


class KneserNey:
    """Probabilities of tokens given the ``order - 1`` before them.

    Args:
        texts: Tokenised texts to read.
        order: Longest run of tokens that is counted.
        kinds: Kinds of token that there are, those never read among them, each of which is as likely as the others; to
            compare models of several sets of texts it has to be the same, or a set of few words would have few to
            choose from. None: those read and one more.

    Raises:
        DataError: No texts.
        ConfigError: ``order`` below 1.

    >>> model = KneserNey([["a", "b"], ["a", "c"]], order=2)
    >>> round(sum(model.probability(["a"], token) for token in ["a", "b", "c", None, "?"]), 6)
    1.0
    """

    def __init__(self, texts: Sequence[Sequence[str]], *, order: int = ORDER, kinds: int | None = None) -> None:
        if not texts:
            raise DataError("KneserNey: no texts; expected at least one.")
        if order < 1:
            raise ConfigError(f"KneserNey: order is {order}; expected at least 1.")
        self.order = order
        self.index: dict[str, int] = {}
        counts: Counter[tuple[int, ...]] = Counter()
        for text in texts:
            row = self._row(text, learn=True)
            counts.update(zip(*(row[i:] for i in range(order)), strict=False))
        self.size = max(len(self.index) + 1, kinds or 0) + 1  # with the end
        self._levels = []
        for _ in range(order):
            self._levels.append(_level(counts))
            # In how many ways a shorter run goes on to the left, rather than how often it occurs.
            counts = Counter(run[1:] for run in counts)
        self._levels.reverse()

    def _row(self, text: Sequence[str], learn: bool = False) -> list[int]:
        row = [_BEGIN] * (self.order - 1)
        for token in text:
            if learn:
                row.append(self.index.setdefault(token, len(self.index) + 3))
            else:
                row.append(self.index.get(token, _UNKNOWN))
        return [*row, _END]

    def probability(self, before: Sequence[str], token: str | None) -> float:
        """Of ``token`` (None: the end) after ``before``, the text's begin if that is shorter than the order."""
        row = self._row(before)[:-1] + [_END if token is None else self.index.get(token, _UNKNOWN)]
        return self._probability(tuple(row[len(row) - self.order :]))

    def _probability(self, run: tuple[int, ...]) -> float:
        value = 1.0 / self.size
        for n, (discount, follow, context) in enumerate(self._levels, start=1):
            part = run[len(run) - n :]
            found = context.get(part[:-1])
            if found is not None:
                total, kinds = found
                value = (max(follow.get(part, 0) - discount, 0.0) + discount * kinds * value) / total
        return value

    def nats(self, texts: Sequence[Sequence[str]]) -> float:
        """Mean nats a token, ends included.

        Raises:
            DataError: No texts.
        """
        if not texts:
            raise DataError("KneserNey: no texts to judge; expected at least one.")
        known: dict[tuple[int, ...], float] = {}
        total, count = 0.0, 0
        for text in texts:
            row = self._row(text)
            for run in zip(*(row[i:] for i in range(self.order)), strict=False):
                if run not in known:
                    known[run] = -math.log(self._probability(run))
                total += known[run]
                count += 1
        return total / count

    def perplexity(self, texts: Sequence[Sequence[str]]) -> float:
        """Exponential of :meth:`nats`."""
        return math.exp(self.nats(texts))


Level = tuple[float, "Counter[tuple[int, ...]]", dict[tuple[int, ...], tuple[int, int]]]


def _level(counts: Counter[tuple[int, ...]]) -> Level:
    """Discount, counts, and by context their sum and the kinds of token that follow it."""
    sums: dict[tuple[int, ...], list[int]] = defaultdict(lambda: [0, 0])
    once = twice = 0
    for run, count in counts.items():
        # No run predicts a begin.
        if run[-1] == _BEGIN:
            continue
        entry = sums[run[:-1]]
        entry[0] += count
        entry[1] += 1
        once += count == 1
        twice += count == 2
    discount = once / (once + 2 * twice) if once and twice else 0.5
    return discount, counts, {context: (total, kinds) for context, (total, kinds) in sums.items()}
