"""Do synthetic rows give away training rows? Always with unseen real rows as the measure of what is usual.

Three looks at it. *Exact copies*: synthetic rows equal to a training row. *Distance to the closest record*:
synthetic rows should lie as near to unseen real rows as to training rows. *Membership inference*: whoever holds
the synthetic rows should not be able to tell training rows from unseen ones by how near a synthetic row lies.
These are attacks of the plainest kind; that they fail is no proof of privacy, which only differentially private
training gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from aegan.metrics.neighbours import nearest_neighbours
from aegan.metrics.table_columns import Table, tables
from aegan.metrics.table_detection import Z95, Area, area
from aegan.metrics.table_embedding import Embedding, row_digests

VERSION = 2
"""Raised when a change of the formulas changes their values."""

QUERIES = 5_000
"""Rows whose nearest neighbours are searched for."""

SEARCHED = 10_000
"""Rows among which they are searched."""

TAIL = 0.05
"""Quantile of the distances that is compared."""

MARGIN = 0.03
"""How far above .5 a share or an AUC has to be, besides its interval, to be called close."""


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """What :func:`table_privacy` found; everything but the copies is None without a holdout.

    Attributes:
        status: ``"copies"``, ``"close"``, ``"clear"`` or ``"untested"`` (no holdout).
        verdict: The same in a sentence.
        n_synthetic: Synthetic rows searched for exact copies.
        n_train: Training rows searched.
        n_holdout: Unseen real rows, 0 without.
        copies: Synthetic rows equal to a training row.
        copies_holdout: Unseen real rows equal to a training row.
        closer: Share of synthetic rows nearer to a training row than to an unseen one; .5 is best, ties
            counting half. The interval is the wider of Wilson's and of what the choice of the rows that are
            compared with leaves open: a few of them are nearest to many synthetic rows.
        n_queries: Rows behind ``closer``, the quantiles and the attack.
        n_searched: Rows of either side that they were compared with.
        tail: 5 % quantile of the distances of synthetic rows to training rows.
        tail_holdout: The same of unseen real rows.
        membership: AUC of telling training rows from unseen ones by their distance to the nearest synthetic
            row; .5 is best.
    """

    status: str
    verdict: str
    n_synthetic: int
    n_train: int
    n_holdout: int
    copies: int
    copies_holdout: int | None = None
    closer: Area | None = None
    n_queries: int | None = None
    n_searched: int | None = None
    tail: float | None = None
    tail_holdout: float | None = None
    membership: Area | None = None

    @property
    def tail_ratio(self) -> float | None:
        """``tail`` over ``tail_holdout``: well below 1 means nearer than usual; None where that is 0."""
        return self.tail / self.tail_holdout if self.tail is not None and self.tail_holdout else None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Privacy:
        """Inverse of :meth:`to_json`."""
        values = dict(data)
        for name in ("closer", "membership"):
            values[name] = data[name] and Area(**data[name])
        return cls(**values)


def table_privacy(
    train: pd.DataFrame | Table,
    synthetic: pd.DataFrame | Table,
    holdout: pd.DataFrame | Table | None = None,
    *,
    kinds: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Privacy:
    """Look for training rows that the synthetic ones give away.

    Exact copies are counted among all rows; distances between random subsets, equally many training and
    unseen rows, since neighbours draw nearer the more rows there are.

    Args:
        train: The rows that the model was trained on.
        synthetic: Generated rows with the same columns.
        holdout: Real rows that the model never saw; without them only exact copies are counted.
        kinds: Kinds of columns that are not to be inferred.
        seed: Seed of the subsets.

    Raises:
        DataError: Tables that do not fit each other, or fewer than 20 rows.
        ConfigError: ``kinds`` do not fit.
    """
    given = {"train": train, "synthetic": synthetic} | ({} if holdout is None else {"holdout": holdout})
    coded = tables(given, kinds)
    digests = [row_digests(table) for table in coded]
    copies = int(np.isin(digests[1], digests[0]).sum())
    counts: dict[str, Any] = {"n_synthetic": len(coded[1]), "n_train": len(coded[0]), "copies": copies}
    if len(coded) == 2:
        verdict = (
            f"Privacy was not tested, for want of a real holdout to compare with; {copies} of {len(coded[1])} "
            "synthetic rows equal a training row."
        )
        return Privacy(status="untested", verdict=verdict, n_holdout=0, **counts)
    copies_holdout = int(np.isin(digests[2], digests[0]).sum())
    found = _distances(coded[0], coded[1], coded[2], seed)
    status, verdict = _judge(copies, len(coded[1]), copies_holdout, len(coded[2]), found["closer"], found["membership"])
    return Privacy(
        status=status, verdict=verdict, n_holdout=len(coded[2]), copies_holdout=copies_holdout, **counts, **found
    )


def share_interval(hits: float, n: int) -> Area:
    """A share of ``n`` with Wilson's 95 % interval.

    >>> found = share_interval(50, 100)
    >>> round(found.low, 3), round(found.high, 3)
    (0.404, 0.596)
    """
    p, z2 = hits / n, Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return Area(value=p, low=max(0.0, middle - half), high=min(1.0, middle + half))


def _distances(train: Table, synthetic: Table, holdout: Table, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    embed = Embedding.fit(train, seed)
    searched = min(len(train), len(holdout), SEARCHED)
    seen, unseen = embed(train.sample(searched, rng)), embed(holdout.sample(searched, rng))
    made = embed(synthetic.sample(SEARCHED, rng))
    order = rng.permutation(len(made))[: min(len(made), QUERIES)]
    asked = made[order]
    nearest = [nearest_neighbours(asked, points) for points in (seen, unseen)]
    to_train, to_holdout = (found.distance[:, 0].numpy() for found in nearest)
    at_train, at_holdout = (found.index[:, 0].numpy() for found in nearest)
    tie = np.isclose(to_train, to_holdout, rtol=1e-9, atol=1e-12)
    hits = float((~tie & (to_train < to_holdout)).sum() + tie.sum() / 2)
    first = np.where(tie, 0.5, to_train < to_holdout)
    wins = np.concatenate([np.bincount(at_train, first, searched), np.bincount(at_holdout, 1 - first, searched)])
    few = min(searched, QUERIES)
    members, others = (points[rng.permutation(searched)[:few]] for points in (seen, unseen))
    near = [nearest_neighbours(points, made).distance[:, 0].numpy() for points in (members, others)]
    usual = nearest_neighbours(others, seen).distance[:, 0].numpy()
    return {
        "closer": _widened(share_interval(hits, len(asked)), wins),
        "n_queries": len(asked),
        "n_searched": searched,
        "tail": float(np.quantile(to_train, TAIL)),
        "tail_holdout": float(np.quantile(usual, TAIL)),
        "membership": area(-near[0].round(12), -near[1].round(12)),
    }


def _widened(share: Area, wins: np.ndarray) -> Area:
    """The interval made at least as wide as a random half of the compared rows has it.

    Were training and unseen rows drawn alike, either kind would be any half of them, and the share that of the
    ``wins`` of this half: how many synthetic rows each row is nearest to.
    """
    m = len(wins)
    half = Z95 * math.sqrt(m / (m - 1) * ((wins - wins.mean()) ** 2).sum()) / (2 * wins.sum())
    low, high = min(share.low, share.value - half), max(share.high, share.value + half)
    return Area(value=share.value, low=max(0.0, low), high=min(1.0, high))


def _judge(copies: int, n: int, copies_holdout: int, n_holdout: int, closer: Area, attack: Area) -> tuple[str, str]:
    from scipy.stats import hypergeom

    of = f"{copies} of {n} synthetic rows equal a training row, {copies_holdout} of {n_holdout} unseen real rows do"
    chance = float(hypergeom.sf(copies - 1, n + n_holdout, copies + copies_holdout, n))
    if copies and chance < 1e-3 and copies / n > 2 * copies_holdout / n_holdout:
        return "copies", f"Copies training rows: {of}."
    told = f"{closer.value:.1%} of the synthetic rows are nearer to a training row than to an unseen one"
    guess = f"membership is guessed with an AUC of {attack.value:.3f}"
    if any(found.low > 0.5 and found.value > 0.5 + MARGIN for found in (closer, attack)):
        return "close", f"Synthetic rows lie nearer to the training rows than chance: {told}, and {guess}; {of}."
    return "clear", f"No sign that training rows are given away: {told} (50 % is chance), {guess} (.5 is chance); {of}."
