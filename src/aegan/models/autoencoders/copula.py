"""Rows in which columns are tied together by correlations alone: what few rows say for certain.

References: Sklar 1959 for marginals and a copula apart; Patki et al. 2016, "The Synthetic Data Vault" (IEEE DSAA) for
Gaussian copulas of tables; Ledoit & Wolf 2004 (J. Multivariate Analysis 88) for correlations of few rows. What differs
here: categories without an order get one from the other columns' scores, as in optimal scaling (Gifi 1990), and rows
with values that never come together are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from sklearn.covariance import ledoit_wolf
from torch import Tensor

from aegan.types import Field

TURNS = 3
"""Times that the categories of each column are put in order."""
CLOSEST = 0.995
"""Greatest correlation of two columns."""
EXPECTED = 10.0
"""Rows in which two values would come together by chance, so that it means something if they never do."""
VALUES = 2_000
"""Values at most, the commonest of all fields, whose pairs are looked at."""
TRIES = 4
"""Times that as many rows are drawn as are wanted, to leave out those with such pairs."""


def copula_rows(rows: Tensor, fields: Sequence[Field], count: int, generator: torch.Generator) -> Tensor:
    """Rows of a Gaussian copula fitted to others: each column's values as often, their normal scores correlated.

    Args:
        rows: ``(N, F)`` of values ``k + u``; at least two.
        fields: The ``F`` fields, a column's own beside each other.
        count: Rows to make.
        generator: Of the random numbers.

    Returns:
        Rows ``(count, F)``; a column's fields are always those of one of the ``rows``.
    """
    names = list(dict.fromkeys(field.column for field in fields))
    places = [[j for j, field in enumerate(fields) if field.column == name] for name in names]
    keys = [_key(rows, fields, own) for own in places]
    orders, scores = zip(*(_scored(key, generator) for key in keys), strict=True)
    orders, z = list(orders), torch.stack(scores, 1)
    loose = [c for c, own in enumerate(places) if not all(fields[j].ordered for j in own) and int(keys[c].max()) > 1]
    for c in loose * (TURNS if len(names) > 1 else 0):
        z[:, c] = 0.0  # the order comes from the others
        orders[c], z[:, c] = _scored(_ranks(keys[c], z)[keys[c]], generator)
    half = torch.linalg.cholesky(_correlations(z)).T
    never = _Never(rows, fields)
    kept: list[Tensor] = []
    for _ in range(TRIES):
        normal = torch.randn(count, len(names), generator=generator, dtype=z.dtype) @ half
        chosen = (torch.special.ndtr(normal) * len(rows)).long().clamp_(max=len(rows) - 1)
        made = torch.empty(count, len(fields), dtype=rows.dtype)
        for c, own in enumerate(places):
            made[:, own] = rows[:, own][orders[c][chosen[:, c]]]
        kept.append(made[~never.occurs(made)])
        if sum(map(len, kept)) >= count:
            return torch.cat(kept)[:count]
    # Where hardly any row passes, the correlations describe the table badly; some break a tie then.
    return torch.cat([*kept, made])[:count]


class _Never:
    """Pairs of values of two fields that never come together, though by chance they would: a count of 0 and a sum.

    Args:
        rows: ``(N, F)``.
        fields: The ``F`` fields.
    """

    def __init__(self, rows: Tensor, fields: Sequence[Field]) -> None:
        sizes = torch.tensor([field.size for field in fields])
        self.offsets = sizes.cumsum(0) - sizes
        counts = torch.bincount((rows.long() + self.offsets).flatten(), minlength=int(sizes.sum()))
        often = torch.zeros(len(counts), dtype=torch.bool)
        often[counts.topk(min(VALUES, len(counts))).indices] = True
        often &= counts >= EXPECTED  # rarer values are not expected as often beside any other
        self.number = torch.where(often, often.cumsum(0), 0)
        self.size = int(often.sum()) + 1
        here = self._indicators(rows)
        totals = here.sum(0)
        self.pairs = ((here.T @ here == 0) & (totals[:, None] * totals / len(rows) >= EXPECTED)).float()
        self.pairs[0] = self.pairs[:, 0] = 0.0
        field = torch.repeat_interleave(torch.arange(len(sizes)), sizes)[often]
        self.pairs[1:, 1:] *= field[:, None] != field

    def occurs(self, rows: Tensor) -> Tensor:
        """Whether each row ``(N,)`` has such a pair."""
        if not bool(self.pairs.any()):
            return torch.zeros(len(rows), dtype=torch.bool)
        parts = (self._indicators(part) for part in rows.split(4096))
        return torch.cat([((part @ self.pairs) * part).sum(1) > 0 for part in parts])

    def _indicators(self, rows: Tensor) -> Tensor:
        out = torch.zeros(len(rows), self.size)
        return out.scatter_(1, self.number[rows.long() + self.offsets], 1.0)


def _key(rows: Tensor, fields: Sequence[Field], places: list[int]) -> Tensor:
    """Numbers ``(N,)`` from 0 of a column's values, in the order of its fields, coarse before fine."""
    key = torch.zeros(len(rows), dtype=torch.int64)
    for j in places:
        key = key * fields[j].size + rows[:, j].long()
    return torch.unique(key, return_inverse=True)[1]


def _correlations(z: Tensor) -> Tensor:
    """Of the normal variables behind mean scores ``(N, C)``: positive definite, with ones on the diagonal.

    The scores of a column of few values vary less than the variable behind them, and go less with others than that
    does; to first order by the product of both deviations.
    """
    deviations = z.std(0, correction=0).clamp(1e-3, 1.0)
    matrix = torch.from_numpy(ledoit_wolf((z / deviations).numpy(), assume_centered=True)[0])
    matrix = (matrix / deviations / deviations[:, None]).clamp(-CLOSEST, CLOSEST).fill_diagonal_(1.0)
    values, vectors = torch.linalg.eigh(matrix)
    matrix = vectors * values.clamp_min(1e-3) @ vectors.T
    scale = matrix.diagonal().rsqrt()
    return matrix * scale * scale[:, None]


def _scored(key: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows from the least to the greatest ``(N,)``, equal ones mixed, and the mean score of its value ``(N,)``."""
    order = torch.argsort(key + torch.rand(len(key), generator=generator, dtype=torch.float64) * 0.999)
    place = torch.empty(len(key), dtype=torch.float64)
    place[order] = (torch.arange(len(key), dtype=torch.float64) + 0.5) / len(key)
    scores = torch.zeros(int(key.max()) + 1, dtype=torch.float64).index_add_(0, key, torch.special.ndtri(place))
    return order, (scores / torch.bincount(key, minlength=len(scores)).clamp_min(1))[key]


def _ranks(key: Tensor, others: Tensor) -> Tensor:
    """An order of categories: along the direction in which the means of the other columns' scores differ most."""
    sums = torch.zeros(int(key.max()) + 1, others.shape[1], dtype=others.dtype).index_add_(0, key, others)
    counts = torch.bincount(key, minlength=len(sums))[:, None].double()
    means = sums / counts
    weighted = means * counts.sqrt()
    if len(weighted) < weighted.shape[1]:
        direction = weighted.T @ torch.linalg.eigh(weighted @ weighted.T)[1][:, -1]
    else:
        direction = torch.linalg.eigh(weighted.T @ weighted)[1][:, -1]
    return torch.argsort(torch.argsort(means @ direction))
