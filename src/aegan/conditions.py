"""The classes that meet conditions, and classes drawn as often as in the training data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from aegan.errors import ConfigError, nearest
from aegan.models.base import noise_for
from aegan.types import Spec

_STREAM = 7_919
"""Offset of the seed from which classes are drawn, apart from the noise's own."""


def classes_met(where: Mapping[str, Any] | None, spec: Spec, model: str, told: Sequence[str]) -> list[int] | None:
    """The classes that meet conditions such as ``{"class": "cat"}``; None where there are none.

    Args:
        where: Values by label.
        spec: Of the training data.
        model: The model's name, for messages.
        told: The classes that the model is told; none if it learnt without.

    Raises:
        ConfigError: An unknown label or value, a combination that the training data did not have, or a model that
            was not told the classes.
    """
    if not where:
        return None
    labels = {"class": spec.classes, **dict(spec.labels)}
    for key, value in where.items():
        if key not in labels:
            raise ConfigError(f"--where {key}=…: unknown condition. {nearest(key, labels)}")
        if not spec.classes:
            raise ConfigError(f"--where {key}=…: the model was trained without labels, so classes cannot be asked for.")
        if not told:
            raise ConfigError(
                f"--where {key}=…: {model!r} is not told the classes, so they cannot be asked for. Fit latent-gan or "
                "gan."
            )
        if str(value) not in labels[key]:
            raise ConfigError(f"--where {key}={value}: no such {key}. {nearest(str(value), labels[key])}")
    met = [i for i in range(len(spec.classes)) if all(labels[key][i] == str(v) for key, v in where.items())]
    if not met:
        given = ", ".join(f"{key}={value}" for key, value in where.items())
        raise ConfigError(f"--where {given}: the training data had no sample of this combination.")
    return met


def drawn_classes(num: int, seed: int, counts: Sequence[int], met: Sequence[int] | None, *, start: int = 0) -> Tensor:
    """Classes ``(num,)``, of those in ``met`` if given, as often as ``counts`` says; ``start`` as in ``noise_for``."""
    uniform = torch.special.ndtr(noise_for(seed + _STREAM, num, 1, start=start).squeeze(1).double())
    weights = torch.tensor(counts, dtype=torch.float64)
    chosen = torch.arange(len(weights)) if met is None else torch.tensor(met)
    edges = (weights[chosen] / weights[chosen].sum()).cumsum(0)
    return chosen[torch.searchsorted(edges, uniform, right=True).clamp_(max=len(chosen) - 1)]
