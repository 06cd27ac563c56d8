"""Where a range of amounts is cut: spans of about equal weight, and values that are frequent enough to stand alone."""

from __future__ import annotations

from typing import Any

import numpy as np

NOISE = 64
"""So many times the distance of neighbouring floats may a value lie beside a decimal number and count as that."""
FAINT = 1e-4
"""Most that may be of the distance of neighbouring decimal numbers, lest other floats are taken for them."""
CELLS = (32, 8)
"""Most cells that a bin is divided into, and that such a cell is divided into."""


def divide(counts: np.ndarray, parts: int, *, least: int) -> list[tuple[int, int]]:
    """Cut sorted distinct values into at most ``parts`` spans of about equal weight; frequent values stand alone.

    Args:
        counts: Rows of each distinct value.
        parts: Most spans.
        least: Fewest rows of a value that stands alone.

    Returns:
        Spans ``(i, j)`` of values ``i`` to ``j - 1``, together all of them.

    >>> divide(np.array([1, 1, 50, 1, 1, 1, 1, 1]), 4, least=2)
    [(0, 2), (2, 3), (3, 6), (6, 8)]
    """
    n = len(counts)
    if n <= parts:
        return [(i, i + 1) for i in range(n)]
    heavy = np.flatnonzero(counts >= max(least, counts.sum() / (2 * parts)))
    most = (parts - 1) // 2
    if len(heavy) > most:
        heavy = np.sort(heavy[np.argsort(-counts[heavy], kind="stable")[:most]])
    edges = [0, *(edge for i in heavy for edge in (i, i + 1)), n]
    gaps = [(i, j) for i, j in zip(edges[::2], edges[1::2], strict=True) if i < j]
    weights = np.array([counts[i:j].sum() for i, j in gaps], dtype=np.float64)
    spare = parts - len(heavy) - len(gaps)
    exact = weights / max(weights.sum(), 1) * spare
    shares = 1 + np.floor(exact).astype(int)
    shares[np.argsort(np.floor(exact) - exact, kind="stable")[: spare - int(np.floor(exact).sum())]] += 1
    spans = [(int(i), int(i) + 1) for i in heavy]
    for (i, j), share in zip(gaps, shares, strict=True):
        spans += _quantiles(counts, int(i), int(j), int(share))
    return sorted(spans)


def _quantiles(counts: np.ndarray, i: int, j: int, parts: int) -> list[tuple[int, int]]:
    if j - i <= parts:
        return [(k, k + 1) for k in range(i, j)]
    reached = np.cumsum(counts[i:j])
    cuts = np.searchsorted(reached, reached[-1] * np.arange(1, parts) / parts) + 1
    edges = np.unique(np.concatenate([[0], cuts, [j - i]])) + i
    return [(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True) if a < b]


def finer(counts: np.ndarray, span: tuple[int, int], parts: int) -> list[tuple[int, int]]:
    """A span divided again, into no more cells than there are rows to tell them from noise."""
    i, j = span
    if j - i == 1:
        return [span]
    rows = int(counts[i:j].sum())
    parts = min(parts, max(1, rows // 5))
    return [(i + a, i + b) for a, b in divide(counts[i:j], parts, least=3)]


def decimals_of(values: np.ndarray, dtype: Any = np.float64) -> int | None:
    """Digits behind the point that all values have at most; None for more than 9.

    What sums and products of floats leave in the last digits, as in ``0.30000000000000004``, does not count.

    >>> decimals_of(np.array([1.5, 2.25])), decimals_of(np.array([3.0])), decimals_of(np.array([1 / 3]))
    (2, 0, None)
    >>> decimals_of(np.array([0.1 + 0.2, 7.4220000000000015]))
    3
    """
    if len(values) == 0:
        return 0
    narrow = values.astype(dtype)
    for places in range(10):
        if np.abs(values).max() * 10.0**places >= 2**53:
            return None
        rounded = (np.rint(values * 10.0**places) / 10.0**places).astype(dtype)
        if (rounded == narrow).all():
            return places
        noise = NOISE * np.spacing(np.abs(narrow))
        if (noise * 10.0**places < FAINT).all() and (np.abs(rounded - narrow) <= noise).all():
            return places
    return None
