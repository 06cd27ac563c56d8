"""Which samples are trained on and which are held out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aegan.errors import ConfigError, DataError

FEWEST = 8
"""Least number of samples held out, as far as half of the data allow."""


def split(
    n: int, labels: Tensor | np.ndarray | None = None, *, holdout: float = 0.1, seed: int
) -> tuple[Tensor, Tensor]:
    """Split ``n`` samples at random, class by class where there are labels.

    The holdout has ``holdout * n`` samples, but at least 8 (or half of the data, if that is less). Every class gives
    its proportional part, and at least one while there is room; a class of one sample stays in training.

    Args:
        n: Number of samples.
        labels: Class of each sample, integers ``(n,)``.
        holdout: Part to hold out, 0 <= holdout < 1; 0 holds out nothing.
        seed: The same seed gives the same split; no global random state is touched.

    Returns:
        Sorted int64 indices of the training samples and of the holdout.

    Raises:
        ConfigError: ``holdout`` out of range.
        DataError: Fewer than two samples to split, or labels of another length.

    >>> train, held = split(20, holdout=0.1, seed=0)
    >>> len(train), len(held)
    (12, 8)
    """
    if not 0 <= holdout < 1:
        raise ConfigError(f"split: holdout is {holdout}; expected a part of the data, 0 <= holdout < 1, such as 0.1.")
    if labels is not None and tuple(labels.shape) != (n,):
        raise DataError(f"split: labels of shape {tuple(labels.shape)} for {n} samples; expected ({n},).")
    if holdout == 0:
        return torch.arange(n), torch.empty(0, dtype=torch.int64)
    if n < 2:
        raise DataError(f"split: cannot hold out a part of {n} sample{'' if n == 1 else 's'}; expected at least 2.")
    rng = np.random.default_rng(seed)
    total = min(n - 1, max(round(n * holdout), min(FEWEST, n // 2)))
    if labels is None:
        groups = [np.arange(n)]
    else:
        values = labels.cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
        groups = [np.flatnonzero(values == value) for value in np.unique(values)]
    if all(len(group) == 1 for group in groups):
        groups = [np.arange(n)]  # nothing to stratify by
    counts = _shares(np.array([len(group) for group in groups]), total)
    held = np.concatenate([rng.permutation(group)[:count] for group, count in zip(groups, counts, strict=True)])
    mask = np.zeros(n, dtype=bool)
    mask[held] = True
    return torch.from_numpy(np.flatnonzero(~mask)), torch.from_numpy(np.flatnonzero(mask))


def choose(n: int, *, holdout: float, seed: int) -> Tensor:
    """Sorted int64 indices of a holdout of ``n`` samples without labels, in memory for these alone.

    As many as :func:`split` holds out, but others.
    """
    total = min(n - 1, max(round(n * holdout), min(FEWEST, n // 2)))
    chosen = np.random.default_rng(seed).choice(n, total, replace=False, shuffle=False)
    return torch.from_numpy(np.sort(chosen))


def _shares(sizes: np.ndarray, total: int) -> np.ndarray:
    """How many of each class to hold out: in proportion, largest remainders first, one of each class left over."""
    most = sizes - 1
    total = min(total, int(most.sum()))
    exact = sizes * (total / sizes.sum())
    counts = np.minimum(np.floor(exact).astype(np.int64), most)
    # First a place for each class that has none yet, then by what rounding down took; ties go to the larger class.
    while (left := total - counts.sum()) > 0:
        need = np.where(counts < most, exact - counts + (counts == 0) * sizes.sum(), -np.inf)
        chosen = np.lexsort((-sizes, -need))[:left]
        counts[chosen[need[chosen] > -np.inf]] += 1
    return counts
