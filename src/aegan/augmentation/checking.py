"""The checks of augmented samples that a model and a source allow, with their bounds on real ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from aegan.augment.latent.checks import CHECKS, Checks, Measure, Verdict, bound_of
from aegan.augment.latent.neighbours import part_of, separations, too_close
from aegan.augment.latent.operations import nearest_labels
from aegan.augmentation.extent import Extent
from aegan.augmentation.movers import CodeMover, Mover
from aegan.augmentation.space import Space
from aegan.data.base import TensorData
from aegan.errors import ConfigError

VOTES = 5
"""Neighbours that vote on a sample's class, where there is no better classifier."""
SEEN_AT_MOST = 50_000
"""Samples that vote, and of a class those that distances are taken to; of more, a random part."""
AT_ONCE = 1024
NEEDS = {
    "reconstruction": "a model with codes",
    "judge": "a model with a discriminator of data, and labels where it is told the classes",
    "class": "labels of two classes or more, and of a table whose label is not drawn again, nothing",
}

Classify = Callable[[Tensor], Tensor]
"""Samples ``(B, *shape)`` to classes ``(B,)``."""


def checks_for(
    space: Space,
    data: TensorData,
    extent: Extent,
    mover: Mover,
    y: Tensor | None,
    fields: list[int],
    rows: Tensor,
    *,
    asked: tuple[str, ...] | None,
    classify: Classify | None = None,
) -> Checks:
    """The checks, each with its bound.

    Args:
        space: The model.
        data: The source.
        extent: Where its samples lie in time, and their lengths.
        mover: Any of the operations; of codes, if one is.
        y: Classes of the source ``(N,)``.
        fields: Places of the samples that say the class.
        rows: Real samples that the bounds are taken from; none the only one of its class.
        asked: Names; None for all that can be made.
        classify: Tells the class of a sample; by default the nearest codes vote.

    Raises:
        ConfigError: A check that was asked for and cannot be made.
    """
    wanted = CHECKS if asked is None else asked
    known = torch.zeros(len(data), dtype=torch.int64) if y is None else y
    measures: dict[str, Measure] = {}
    if isinstance(mover, CodeMover) and "reconstruction" in wanted:
        measures["reconstruction"] = lambda x, at: space.apart(
            space.decode(_codes(space, x)), x, steps=extent.steps(at)
        )
    if "judge" in wanted and space.judges and not (space.model.conditional and y is None):
        measures["judge"] = lambda x, at: -space.judge(x, known[at])
    if "distance" in wanted:
        measures["distance"] = _distance(space, data, extent, mover, known)
    changed = _changed(space, data, extent, mover, y, fields, classify) if "class" in wanted else None
    for name in asked or ():
        if name not in measures and not (name == "class" and changed is not None):
            raise ConfigError(f"checks: {name} cannot be made here: it needs {NEEDS[name]}. Leave it out.")
    base = mover.base(rows)
    bounds = {name: bound_of(measure(base, rows)) for name, measure in measures.items() if name != "distance"}
    if "reconstruction" in measures and isinstance(mover, CodeMover):
        # Samples that were learnt by heart are reconstructed better than any new one; codes between them were not.
        bounds["reconstruction"] = max(
            bounds["reconstruction"], bound_of(measures["reconstruction"](mover.between(rows), rows))
        )
    if "distance" in measures:
        bounds["distance"] = bound_of(_distance(space, data, extent, mover, known, others=True)(base, rows))
    return Checks(measures, bounds, changed)


def _codes(space: Space, x: Tensor) -> Tensor:
    return space.encode(TensorData(x=x))


def _distance(
    space: Space, data: TensorData, extent: Extent, mover: Mover, y: Tensor, *, others: bool = False
) -> Measure:
    """To the nearest real sample of the class, of ``others`` but the source and what shares a step with it.

    It is one of codes, or how many values differ.
    """
    coded = isinstance(mover, CodeMover)
    real = mover.codes.z if isinstance(mover, CodeMover) else data.batch(torch.arange(len(data)))["x"]

    def measure(x: Tensor, rows: Tensor) -> Tensor:
        made, out = _codes(space, x) if coded else x, torch.empty(len(x))
        for label in y[rows].unique():
            own = (y[rows] == label).nonzero().squeeze(1)
            members = part_of((y == label).nonzero().squeeze(1), SEEN_AT_MOST)
            apart = separations(made[own], real[members], differing=not coded)
            if others:
                apart[too_close(rows[own], members, extent.stretches)] = torch.inf
            out[own] = apart.min(1).values
        return out

    return measure


def _changed(
    space: Space,
    data: TensorData,
    extent: Extent,
    mover: Mover,
    y: Tensor | None,
    fields: list[int],
    classify: Classify | None,
) -> Verdict | None:
    """Whether a sample is given another class than its source, where the source's was known."""
    if y is None or int((torch.bincount(y) > 0).sum()) < 2 or not isinstance(mover, CodeMover):
        return None  # when cells are drawn again, the label's is not
    if fields:
        # The model decodes the label with the row.
        return lambda x, rows: (x[:, fields].floor() != data.batch(rows)["x"][:, fields].floor()).any(1)
    z = mover.codes.z
    if classify is not None:
        told = torch.cat([classify(data.batch(part)["x"]) for part in torch.arange(len(data)).split(AT_ONCE)])
        right = told == y
        return lambda x, rows: (classify(x) != y[rows]) & right[rows]
    among = part_of(torch.arange(len(z)), SEEN_AT_MOST)
    voters = z[among], y[among], VOTES
    right = nearest_labels(z, *voters, among=among, stretches=extent.stretches, itself=True) == y

    def changed(x: Tensor, rows: Tensor) -> Tensor:
        told = nearest_labels(_codes(space, x), *voters, rows=rows, among=among, stretches=extent.stretches)
        return (told != y[rows]) & right[rows]

    return changed
