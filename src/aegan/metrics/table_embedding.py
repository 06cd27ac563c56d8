"""Rows of a table as points, so that the distance between two rows means something for mixed columns.

The squared distance is Gower's (1971) with squares in place of absolute values: a sum over columns, each at
most 1. An amount counts as its rank among the reference's values in [0, 1] (equal values share their mean
rank), a category as the same or another, a missing value as different from all that are there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aegan.metrics.table_columns import Table

VERSION = 1
"""Raised when a change of the embedding changes distances."""

ONE_HOT = 64
"""Columns with more categories get a random unit vector for each; two of them differ by 1 on average."""

RANDOM_DIM = 32


@dataclass(frozen=True, eq=False)
class Embedding:
    """Turns tables of one encoder into points.

    Attributes:
        sorted: The reference's amounts of each numeric column in order, by the column's index.
        vectors: Point of each category, float32 ``(K + 1, d)``, the last for missing, by the column's index.
    """

    sorted: dict[int, np.ndarray]
    vectors: dict[int, np.ndarray]

    @classmethod
    def fit(cls, reference: Table, seed: int = 0) -> Embedding:
        """Learn ranks from ``reference`` and draw the vectors of long lists of categories."""
        rng = np.random.default_rng(seed)
        ranked, vectors = {}, {}
        for i, (kind, column) in enumerate(zip(reference.kinds, reference.columns, strict=True)):
            if kind == "numeric":
                ranked[i] = np.sort(column[~np.isnan(column)])
                continue
            count = reference.sizes[i] + 1
            if count <= ONE_HOT + 1:
                vectors[i] = np.eye(count, dtype=np.float32) * math.sqrt(0.5)
                continue
            drawn = rng.standard_normal((count, RANDOM_DIM), dtype=np.float32)
            vectors[i] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True) * np.float32(math.sqrt(0.5))
        return cls(sorted=ranked, vectors=vectors)

    def __call__(self, table: Table) -> Tensor:
        """Points of ``table``, float64 ``(N, D)``."""
        parts = []
        for i, column in enumerate(table.columns):
            if i in self.vectors:
                parts.append(self.vectors[i][column])  # code -1, missing, is the last vector
                continue
            values, missing = self.sorted[i], np.isnan(column)
            ranks = np.searchsorted(values, column, "left") + np.searchsorted(values, column, "right")
            rank = np.where(missing, 0.5, ranks / max(1, 2 * len(values)))
            parts.append(np.stack([rank, missing.astype(np.float64)], axis=1))
        return torch.from_numpy(np.concatenate(parts, axis=1).astype(np.float64))


def row_digests(table: Table) -> np.ndarray:
    """A 64-bit digest of every row, uint64 ``(N,)``; equal rows have equal ones, missing values are equal."""
    state = np.zeros(len(table), dtype=np.uint64)
    for column in table.columns:
        values = np.where(np.isnan(column), np.nan, column) + 0.0 if column.dtype.kind == "f" else column
        state = _mixed(state * np.uint64(0x9E3779B97F4A7C15) + _mixed(np.ascontiguousarray(values).view(np.uint64)))
    return state


def _mixed(bits: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: every bit of the input moves half of the output's."""
    bits = (bits + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
