"""Has the generator copied its training data? Distances to the training set, held against a real holdout.

Reference: Meehan et al. 2020 (arXiv 2004.05675), whose C_T is the z-score of a Mann-Whitney test between
the distances holdout → training set and synthetic → training set. Here it is taken over the whole space
(their statistic with one cell). It moves whenever samples lie nearer to the training set as a body, as
those do that crowd around modes; the mark of single copies is told apart by the ratio of the distances to
the nearest and to the second nearest training sample, which only a copy pushes towards 0.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from aegan.errors import ConfigError
from aegan.metrics._checks import Array
from aegan.metrics.neighbours import nearest_neighbours, neighbours_within

VERSION = 1
"""Raised when a change of the formulas changes their values; stored with every evaluation."""


@dataclass(frozen=True, kw_only=True)
class TailShare:
    """Share of synthetic samples below the ``alpha``-quantile of the holdout, with a 95 % interval.

    ``p`` is Fisher's one-sided p-value of so large a share; it keeps small sets from crying wolf.
    """

    share: float
    low: float
    high: float
    p: float

    def exceeds(self, alpha: float) -> bool:
        """Whether the share is beyond chance (interval above ``alpha``, p below .005) and twice ``alpha``."""
        return self.low > alpha and self.p < 0.005 and self.share > 2 * alpha

    def __str__(self) -> str:
        return f"{_percent(self.share)} (95 % interval {_percent(self.low)} to {_percent(self.high)})"


@dataclass(frozen=True, kw_only=True)
class Memorisation:
    """Outcome of :func:`memorisation_test`; everything but the counts is None without a holdout.

    Attributes:
        status: ``"copies"``, ``"close"`` (nearer than a holdout, but without single copies), ``"clear"``
            or ``"untested"`` (no holdout).
        verdict: The same in a sentence.
        n_synthetic: Synthetic samples tested.
        n_train: Training samples searched.
        n_holdout: Holdout samples, 0 without.
        alpha: Share that is expected of a generator that copies nothing.
        exact_copies: Synthetic samples whose pixels equal those of a training sample, or None.
        exact_copies_holdout: The same count for the holdout.
        near: Share of synthetic samples nearer to a training sample than the ``alpha``-quantile of the
            holdout's distances.
        single: The same for the ratio of nearest to second nearest distance.
        z: Mann-Whitney z (C_T with one cell); far below 0 means nearer to the training set than real data.
        p: One-sided p-value of ``z``.
        closest: Up to 16 nearest pairs ``(synthetic index, training index, distance)``.
    """

    status: str
    verdict: str
    n_synthetic: int
    n_train: int
    n_holdout: int
    alpha: float
    exact_copies: int | None
    exact_copies_holdout: int | None
    near: TailShare | None
    single: TailShare | None
    z: float | None
    p: float | None
    closest: tuple[tuple[int, int, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"closest": [list(pair) for pair in self.closest]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Memorisation:
        """Inverse of :meth:`to_json`."""
        values: dict[str, Any] = dict(data)
        for name in ("near", "single"):
            values[name] = None if data[name] is None else TailShare(**data[name])
        values["closest"] = tuple((int(i), int(j), float(d)) for i, j, d in data["closest"])
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Repetition among synthetic samples, with equally many real samples as the baseline.

    Attributes:
        n: Samples on either side.
        exact: Synthetic samples that repeat an earlier one pixel by pixel, or None where not counted.
        exact_real: The same among the real samples.
        near: Share of synthetic samples whose nearest other synthetic sample is closer than the
            ``alpha``-quantile of that distance among real samples; about ``alpha`` is as it should be.
        alpha: The quantile.
    """

    n: int
    exact: int | None
    exact_real: int | None
    near: TailShare
    alpha: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Duplicates:
        """Inverse of :meth:`to_json`."""
        values: dict[str, Any] = {**data, "near": TailShare(**data["near"])}
        return cls(**values)


def memorisation_test(
    train: Array,
    synthetic: Array,
    holdout: Array | None = None,
    *,
    alpha: float = 0.01,
    exact_copies: int | None = None,
    exact_copies_holdout: int | None = None,
    seed: int = 0,
) -> Memorisation:
    """Test whether synthetic samples lie nearer to the training set than unseen real samples do.

    Args:
        train: Features ``(N, D)`` of the training samples that the model saw, N at least 2.
        synthetic: Features ``(M, D)``.
        holdout: Features of real samples that the model never saw; without them there is no test.
        alpha: Tail of the holdout's distances that counts as near, in (0, 0.5).
        exact_copies: From :func:`count_copies`, to be part of the verdict.
        exact_copies_holdout: The same for the holdout.
        seed: Seed of the bootstrap; the global generator is not touched.

    Raises:
        DataError: Too few samples, differing D, or values that are not finite.
        ConfigError: ``alpha`` outside (0, 0.5).
    """
    _check_alpha(alpha, "memorisation_test")
    to_train = nearest_neighbours(synthetic, train, k=2)
    distance = to_train.distance
    order = distance[:, 0].argsort(stable=True)[:16].tolist()
    closest = tuple((i, int(to_train.index[i, 0]), float(distance[i, 0])) for i in order)
    common: dict[str, Any] = {
        "n_synthetic": len(distance),
        "n_train": len(train),
        "alpha": alpha,
        "exact_copies": exact_copies,
        "exact_copies_holdout": exact_copies_holdout,
        "closest": closest,
    }
    if holdout is None:
        status, verdict = _without_holdout(exact_copies, len(distance))
        none: dict[str, Any] = {"near": None, "single": None, "z": None, "p": None}
        return Memorisation(status=status, verdict=verdict, n_holdout=0, **none, **common)
    real = nearest_neighbours(holdout, train, k=2).distance
    near = tail_share(distance[:, 0], real[:, 0], alpha, seed=seed)
    single = tail_share(_ratio(distance), _ratio(real), alpha, seed=seed)
    z, p = mann_whitney(distance[:, 0], real[:, 0])
    copies = _more_copies(exact_copies, len(distance), exact_copies_holdout, len(real))
    status, verdict = _judge(near, single, z, p, alpha, exact_copies, copies)
    return Memorisation(
        status=status, verdict=verdict, n_holdout=len(real), near=near, single=single, z=z, p=p, **common
    )


def duplicates(
    synthetic: Array,
    real: Array,
    *,
    alpha: float = 0.01,
    exact: int | None = None,
    exact_real: int | None = None,
    seed: int = 0,
) -> Duplicates:
    """How often synthetic samples repeat one another, against equally many real samples.

    Args:
        synthetic: Features ``(N, D)``.
        real: Features; the larger set is cut to the length of the smaller, since neighbours draw nearer
            the more samples there are.
        alpha: Tail of the real distances that counts as a near duplicate, in (0, 0.5).
        exact: From :func:`count_repeats`.
        exact_real: The same for the real samples.
        seed: Seed of the bootstrap.
    """
    _check_alpha(alpha, "duplicates")
    n = min(len(synthetic), len(real))
    own = neighbours_within(synthetic[:n]).distance[:, 0]
    baseline = neighbours_within(real[:n]).distance[:, 0]
    near = tail_share(own, baseline, alpha, seed=seed)
    return Duplicates(n=n, exact=exact, exact_real=exact_real, near=near, alpha=alpha)


def tail_share(values: Tensor, real: Tensor, alpha: float, *, resamples: int = 200, seed: int = 0) -> TailShare:
    """Share of ``values`` below the ``alpha``-quantile of ``real``; both are resampled for the interval.

    A value equal to the quantile counts half, so that ties (exact duplicates) do not decide by themselves.
    """
    generator = torch.Generator().manual_seed(seed)

    def share(a: Tensor, b: Tensor) -> Tensor:
        threshold = b.kthvalue(max(1, math.ceil(alpha * len(b)))).values
        return (a < threshold).double().mean() + (a == threshold).double().mean() / 2

    draws = []
    for _ in range(resamples):
        a = values[torch.randint(len(values), (len(values),), generator=generator)]
        b = real[torch.randint(len(real), (len(real),), generator=generator)]
        draws.append(share(a, b))
    low, high = torch.stack(draws).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    found = float(share(values, real))
    p = _fisher(round(found * len(values)), len(values), max(1, math.ceil(alpha * len(real))), len(real))
    return TailShare(share=found, low=float(low), high=float(high), p=p)


def mann_whitney(values: Tensor, real: Tensor) -> tuple[float, float]:
    """z-score (with tie correction) and one-sided p of ``values`` being smaller than ``real``.

    >>> z, p = mann_whitney(torch.arange(20.0), torch.arange(20.0) + 30)
    >>> round(z, 2), p < 1e-6
    (-5.41, True)
    """
    from scipy.stats import norm, rankdata  # half a second to import

    m, n = len(values), len(real)
    pooled = torch.cat([values, real])
    ranks = rankdata(pooled.numpy())
    u = float(ranks[:m].sum()) - m * (m + 1) / 2
    ties = torch.unique(pooled, return_counts=True)[1].double()
    correction = float((ties**3 - ties).sum()) / ((m + n) * (m + n - 1))
    variance = m * n / 12 * (m + n + 1 - correction)
    z = (u - m * n / 2) / math.sqrt(variance) if variance > 0 else 0.0
    return z, float(norm.cdf(z))


def count_copies(queries: list[bytes], reference: list[bytes]) -> int:
    """How many of ``queries`` (pixel digests) occur in ``reference``.

    >>> count_copies([b"a", b"b", b"a"], [b"a"])
    2
    """
    known = set(reference)
    return sum(q in known for q in queries)


def count_repeats(digests: list[bytes]) -> int:
    """How many of ``digests`` repeat an earlier one.

    >>> count_repeats([b"a", b"b", b"a"])
    1
    """
    return len(digests) - len(set(digests))


def _ratio(distance: Tensor) -> Tensor:
    """Nearest over second nearest distance in [0, 1]; 1 where both are 0 (a repeated training sample)."""
    second = distance[:, 1]
    return torch.where(second > 0, distance[:, 0] / second.clamp_min(1e-300), torch.ones_like(second))


def _more_copies(copies: int | None, n: int, copies_real: int | None, n_real: int) -> bool:
    """Whether exact copies are more frequent than in the holdout (Fisher's exact test, p below .001)."""
    if not copies or copies_real is None:
        return False
    return _fisher(copies, n, copies_real, n_real) < 1e-3


def _fisher(hits: int, n: int, hits_real: int, n_real: int) -> float:
    """One-sided p-value of Fisher's exact test that ``hits`` of ``n`` is more than ``hits_real`` of ``n_real``."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(hits - 1, n + n_real, hits + hits_real, n))


def _without_holdout(copies: int | None, n: int) -> tuple[str, str]:
    found = "" if copies is None else f"; {copies} of {n} synthetic samples equal a training sample pixel by pixel"
    return "untested", f"Copying was not tested, for want of a real holdout to compare with{found}."


def _judge(
    near: TailShare, single: TailShare, z: float, p: float, alpha: float, exact: int | None, copies: bool
) -> tuple[str, str]:
    plus = f" {exact} synthetic samples equal a training sample pixel by pixel." if exact else ""
    if single.exceeds(alpha) or copies:
        share = max(single, near, key=lambda s: s.share)
        return "copies", (
            f"Copies training data: {share} of the synthetic samples sit on a training sample more closely "
            f"than {_percent(1 - alpha)} of unseen real samples do; {_percent(alpha)} would be chance.{plus}"
        )
    if near.exceeds(alpha) or (z < -3 and p < 1e-3):
        return "close", (
            f"No single copies stand out, but synthetic samples lie nearer to the training set than unseen real "
            f"ones (z {z:.1f}; {near} in the nearest {_percent(alpha)}): typical of samples that crowd around "
            f"the modes, or of an overfitted generator.{plus}"
        )
    return "clear", (
        f"No sign of copying: {near} of the synthetic samples lie as near to a training sample as the nearest "
        f"{_percent(alpha)} of unseen real ones (z {z:.1f}).{plus}"
    )


def _check_alpha(alpha: float, where: str) -> None:
    if not 0 < alpha < 0.5:
        raise ConfigError(f"{where}: alpha={alpha!r}; a share in (0, 0.5) expected, such as 0.01.")


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"
