"""What of the augmented samples is dropped: those that left the manifold, or changed class.

Each check is a number a sample, larger for worse; its bound is what nearly all (:data:`KEPT`) real samples stay within,
*as the model reconstructs them*, since an augmented sample is a decoder's output too:

* ``reconstruction``: how far the autoencoder moves the sample when it sees it again; codes halfway between neighbours
  count as real here, since samples learnt by heart are moved less than anything new;
* ``judge``: minus the logit of the model's discriminator;
* ``distance``: distance of the sample's code to the nearest real one of its class;
* ``class``: whether a classifier that gave the source its class gives the sample another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

CHECKS = ("reconstruction", "judge", "class", "distance")
KEPT = 0.99
SLACK = 1e-6
"""Of a bound, relative: equal values computed twice shall agree."""

Measure = Callable[[Tensor, Tensor], Tensor]
"""Samples ``(B, *shape)`` and the positions of their sources ``(B,)`` to a number each, larger for worse."""
Verdict = Callable[[Tensor, Tensor], Tensor]
"""The same to whether the sample changed class, bool ``(B,)``."""


@dataclass(frozen=True)
class Checks:
    """The checks that can be made.

    Attributes:
        measures: By name.
        bounds: The largest value of each that is kept.
        changed: The check of the class, if any.
    """

    measures: Mapping[str, Measure]
    bounds: Mapping[str, float]
    changed: Verdict | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Which checks are made."""
        return (*self.measures, *(("class",) if self.changed is not None else ()))

    def failed(self, x: Tensor, rows: Tensor) -> dict[str, Tensor]:
        """By check, which of the samples ``(B, *shape)`` of sources ``(B,)`` it drops, bool ``(B,)``."""
        out = {}
        for name, measure in self.measures.items():
            bound = self.bounds[name]
            out[name] = measure(x, rows) > bound + SLACK * abs(bound)
        if self.changed is not None:
            out["class"] = self.changed(x, rows)
        return out


def bound_of(values: Tensor) -> float:
    """What nearly all of the values ``(N,)`` stay within.

    >>> bound_of(torch.arange(101.0))
    99.0
    """
    return float(torch.quantile(values.double(), KEPT))
