"""What a table covers: typical and rare rows, rare categories, patterns of missing values.

α-precision and β-recall are those of Alaa et al. 2022 (arXiv 2102.08921), integrated over α and β, on the
points of :class:`aegan.metrics.table_embedding.Embedding` in place of a learnt embedding; precision, recall,
density and coverage are those of :func:`aegan.metrics.precision_recall` on the same points. Unseen real rows
score about 1 in α-precision and about .5 in β-recall, which asks for a synthetic row nearer than the nearest
other real one. α is the real rows' own share within each radius, which differs from the paper's where rows are alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from aegan.metrics.neighbours import nearest_neighbours, neighbours_within
from aegan.metrics.precision_recall import precision_recall
from aegan.metrics.table_columns import Table, tables
from aegan.metrics.table_embedding import Embedding

VERSION = 2
"""Raised when a change of the formulas changes their values."""

MOST_ROWS = 5_000
"""Rows of either side whose distances are measured."""

K = 5
LEVELS = 50
"""Values of α and β that the integrals are taken over."""

RARE = 0.01
"""Categories below this share of the training rows are rare."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Fidelity and variety of rows as points; all but density in [0, 1], higher is better.

    Attributes:
        n: Rows of either side.
        alpha_precision: Do synthetic rows lie in the middle of the real ones as often as real rows do?
        beta_recall: Share of the real rows that synthetic ones reach, over growing parts of the synthetic.
        precision: Share of synthetic rows that lie among real ones.
        recall: Share of real rows that lie among synthetic ones.
        density: Precision, with dense regions counting more.
        coverage: Share of the real rows' neighbourhoods that hold a synthetic one.
    """

    n: int
    alpha_precision: float
    beta_recall: float
    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True, kw_only=True)
class RareCategories:
    """Categories below 1 % of the training rows, averaged over the columns that have any.

    Attributes:
        columns: Columns with rare categories; identifiers (values half as many as rows) do not count.
        categories: Rare categories in all of them.
        kept: Share of the rare categories that occur at all.
        kept_expected: The share to expect of as many rows drawn from the training rows.
        ratio: How often rare categories occur, over how often they do in training; 1 is best.
        invented: Share of the values of categorical columns that no training row has.
    """

    columns: int
    categories: int
    kept: float | None
    kept_expected: float | None
    ratio: float | None
    invented: float


@dataclass(frozen=True, kw_only=True)
class MissingValues:
    """How well missing values are met.

    Attributes:
        columns: Columns with missing values on either side.
        rate_error: Mean difference of their missing rates, in percentage points.
        worst_rate_error: The largest one.
        pattern_variation: Total variation distance in [0, 1] between the joint patterns of what is missing.
    """

    columns: int
    rate_error: float
    worst_rate_error: float
    pattern_variation: float


def table_coverage(
    real: pd.DataFrame | Table,
    synthetic: pd.DataFrame | Table,
    *,
    kinds: Mapping[str, str] | None = None,
    max_rows: int = MOST_ROWS,
    seed: int = 0,
) -> Coverage:
    """Fidelity and variety of ``synthetic`` rows, as points in the embedding of ``real`` ones.

    Args:
        real: The reference, usually the training rows.
        synthetic: Rows to compare, with the same columns.
        kinds: Kinds of columns that are not to be inferred.
        max_rows: Most rows of either side.
        seed: Seed of the subsets.

    Raises:
        DataError: Tables that do not fit each other, or fewer than 20 rows.
        ConfigError: ``kinds`` do not fit.
    """
    a, b = tables({"real": real, "synthetic": synthetic}, kinds)
    embed = Embedding.fit(a, seed)
    rng = np.random.default_rng(seed)
    n = min(len(a), len(b), max_rows)
    x, y = embed(a.sample(n, rng)), embed(b.sample(n, rng))
    within = neighbours_within(x, K).distance
    prdc = precision_recall(x, y, K, real_radii=within[:, -1])
    levels = torch.arange(1, LEVELS + 1, dtype=torch.float64) / LEVELS
    real_spread = (x - x.mean(0)).norm(dim=1)
    radii = real_spread.quantile(levels)
    shares = ((y - x.mean(0)).norm(dim=1)[:, None] <= radii).double().mean(0)
    # Not α itself: of rows of a few different values many lie at one distance, real ones as well.
    own = (real_spread[:, None] <= radii).double().mean(0)
    spread = (y - y.mean(0)).norm(dim=1)
    nearest = nearest_neighbours(x, y)
    reached = nearest.distance[:, 0] <= within[:, 0]
    typical = spread[nearest.index[:, 0]][:, None] <= spread.quantile(levels)
    reach = (reached[:, None] & typical).double().mean(0)

    def integrated(curve: torch.Tensor, wanted: torch.Tensor) -> float:
        return float(1 - (curve - wanted).abs().sum() / levels.sum())

    return Coverage(
        n=n, alpha_precision=integrated(shares, own), beta_recall=integrated(reach, levels), **prdc._asdict()
    )


def rare_categories(
    real: pd.DataFrame | Table, synthetic: pd.DataFrame | Table, *, kinds: Mapping[str, str] | None = None
) -> RareCategories | None:
    """Are rare categories kept, and as frequent as they should be? None without categorical columns.

    Args:
        real: The reference, usually the training rows.
        synthetic: Rows to compare.
        kinds: Kinds of columns that are not to be inferred.
    """
    a, b = tables({"real": real, "synthetic": synthetic}, kinds, least=1)
    kept, expected, ratios, count, invented, cells = [], [], [], 0, 0, 0
    for i, size in enumerate(a.sizes):
        if a.kinds[i] != "categorical" or not size:
            continue
        counts = [np.bincount(t.columns[i][t.columns[i] >= 0], minlength=size) for t in (a, b)]
        invented += int(counts[1][counts[0] == 0].sum())
        cells += int(counts[1].sum())
        total, drawn = counts[0].sum(), counts[1].sum()
        rare = (counts[0] > 0) & (counts[0] < RARE * total)
        if not rare.any() or not drawn or (counts[0] > 0).sum() > total / 2:
            continue
        share = counts[0][rare] / total
        count += int(rare.sum())
        kept.append(float((counts[1][rare] > 0).mean()))
        expected.append(float((1 - (1 - share) ** drawn).mean()))
        ratios.append(float(counts[1][rare].sum() / drawn / share.sum()))
    if "categorical" not in a.kinds:
        return None
    mean = {name: float(np.mean(v)) if v else None for name, v in (("k", kept), ("e", expected), ("r", ratios))}
    return RareCategories(
        columns=len(kept),
        categories=count,
        kept=mean["k"],
        kept_expected=mean["e"],
        ratio=mean["r"],
        invented=invented / max(1, cells),
    )


def missing_values(
    real: pd.DataFrame | Table, synthetic: pd.DataFrame | Table, *, kinds: Mapping[str, str] | None = None
) -> MissingValues | None:
    """Are values missing as often, and together with the same others? None where neither side lacks any.

    Args:
        real: The reference, usually the training rows.
        synthetic: Rows to compare.
        kinds: Kinds of columns that are not to be inferred.
    """
    a, b = (t.missing() for t in tables({"real": real, "synthetic": synthetic}, kinds, least=1))
    used = a.any(0) | b.any(0)
    if not used.any():
        return None
    errors = 100 * np.abs(a.mean(0) - b.mean(0))[used]
    packed = np.packbits(np.concatenate([a[:, used], b[:, used]]), axis=1)
    _, pattern = np.unique(packed, axis=0, return_inverse=True)
    pattern = pattern.reshape(-1)
    shares = [np.bincount(p, minlength=pattern.max() + 1) / len(p) for p in (pattern[: len(a)], pattern[len(a) :])]
    return MissingValues(
        columns=int(used.sum()),
        rate_error=float(errors.mean()),
        worst_rate_error=float(errors.max()),
        pattern_variation=float(np.abs(shares[0] - shares[1]).sum() / 2),
    )
