"""What the discriminator says of small batches, put together over looks until it can be judged by."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

FEW = 32
"""Samples on each side from which a look tells of the discriminator by itself: of one, all or none are told apart."""


class Pooled:
    """Means over the latest looks, as many as have 32 samples a side between them.

    Not over kept samples, asked about at one look: labels and conditions that a judge holds are those of the batch at
    hand, and a network that is trained on one sample at a time may have no memory for 32.
    """

    def __init__(self) -> None:
        self._looks: dict[str, deque[tuple[float, int]]] = {}

    def values(self, found: Mapping[str, float], rows: int) -> dict[str, float]:
        """A look's values as they are to be told: those that too few samples were seen for are left out.

        Args:
            found: By name.
            rows: Samples on each side, 1 at least.
        """
        told = {}
        for name, value in found.items():
            looks = self._looks.setdefault(name, deque())
            looks.append((value, rows))
            total = sum(count for _, count in looks)
            while total - looks[0][1] >= FEW:
                total -= looks.popleft()[1]
            if total >= FEW:
                told[name] = sum(v * count for v, count in looks) / total if len(looks) > 1 else value
        return told
