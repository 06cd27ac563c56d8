"""A column's values numbered in order, and the digits, coarse to fine, by which a model reaches them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aegan.errors import DataError

MIDDLE = 0.5


class Ladder:
    """Numbers of leaves to digits and back, as a tree whose levels are a table's fields.

    Args:
        size: Nodes of the coarsest level.
        counts: For each finer level, how many children each node of the level above has, at least 1.

    Attributes:
        sizes: Values of each level's digit.
        leaves: Number of leaves.

    >>> ladder = Ladder(2, [[1, 3]])
    >>> ladder.sizes, ladder.leaves, ladder.split(np.array([0, 3])).tolist()
    ((2, 3), 4, [[0, 0], [1, 2]])
    >>> ladder.join(np.array([[0, 2], [1, 2]])).tolist()
    [0, 3]
    """

    def __init__(self, size: int, counts: Sequence[Sequence[int] | np.ndarray] = ()) -> None:
        self.counts = [np.asarray(count, dtype=np.int64) for count in counts]
        self.starts = [np.cumsum(count) - count for count in self.counts]
        self.parents = [np.repeat(np.arange(len(count)), count) for count in self.counts]
        self.size = size
        self.sizes = (size, *(int(count.max()) for count in self.counts))
        self.leaves = int(self.counts[-1].sum()) if self.counts else size

    def split(self, leaf: np.ndarray) -> np.ndarray:
        """Digits ``(N, levels)`` int64 of leaves ``(N,)``."""
        digits = []
        for starts, parents in zip(reversed(self.starts), reversed(self.parents), strict=True):
            parent = parents[leaf]
            digits.append(leaf - starts[parent])
            leaf = parent
        return np.stack([leaf, *reversed(digits)], axis=1)

    def join(self, digits: np.ndarray) -> np.ndarray:
        """Leaves ``(N,)`` of digits ``(N, levels)``; a digit beyond what its node has is taken for the last."""
        node = np.clip(digits[:, 0], 0, self.size - 1)
        for level, (starts, counts) in enumerate(zip(self.starts, self.counts, strict=True), start=1):
            node = starts[node] + np.minimum(digits[:, level], counts[node] - 1)
        return node

    def masks(self, allowed: np.ndarray) -> list[np.ndarray]:
        """For each level, which digits an allowed leaf has; ``allowed`` is bool ``(leaves,)``."""
        digits = self.split(np.flatnonzero(allowed))
        out = []
        for level, size in enumerate(self.sizes):
            mask = np.zeros(size, dtype=bool)
            mask[digits[:, level]] = True
            out.append(mask)
        return out

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return {"size": self.size, "counts": [count.tolist() for count in self.counts]}

    @classmethod
    def from_json(cls, data: Any, where: str) -> Ladder:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: Not numbers of children that fit together.
        """
        try:
            size, counts = data["size"], [np.asarray(count, dtype=np.int64) for count in data["counts"]]
            nodes = size
            for count in counts:
                if count.shape != (nodes,) or count.min() < 1:
                    raise ValueError
                nodes = int(count.sum())
            if not isinstance(size, int) or size < 1:
                raise ValueError
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{where}: the levels of values do not fit together; the file is damaged.") from error
        return cls(size, counts)


def nearest_allowed(allowed: np.ndarray) -> np.ndarray:
    """For each leaf the nearest allowed one, itself where it is; ``allowed`` bool with at least one True.

    >>> nearest_allowed(np.array([False, True, False, False, True])).tolist()
    [1, 1, 1, 4, 4]
    """
    places = np.flatnonzero(allowed)
    leaves = np.arange(len(allowed))
    right = np.clip(np.searchsorted(places, leaves), 0, len(places) - 1)
    left = np.maximum(right - 1, 0)
    nearer_left = np.abs(leaves - places[left]) <= np.abs(places[right] - leaves)
    return np.where(allowed, leaves, np.where(nearer_left, places[left], places[right]))


def pack(digits: np.ndarray, within: np.ndarray | None = None) -> np.ndarray:
    """Digits as float32 ``k + u``: u is 0.5, and ``within`` (in [0, 1]) in the last level; never rounds up to k + 1."""
    x = digits.astype(np.float32) + np.float32(MIDDLE)
    if within is not None:
        last = digits[:, -1]
        exact = (last + within).astype(np.float32)
        below = np.nextafter((last + 1).astype(np.float32), np.float32(0))
        x[:, -1] = np.minimum(exact, below)
    return x
