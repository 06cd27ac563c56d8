"""At which places in its seasons a series begins: as its time stamps say, else as likely as its values make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from aegan.data.series_seasons import places_of
from aegan.data.series_set import SeriesSet

if TYPE_CHECKING:
    from aegan.estimator import Estimator


def seasonal(model: Any) -> bool:
    """Whether the model draws series that begin at places in seasons."""
    return getattr(model, "seasons", None) is not None


def sampled_places(estimator: Estimator, num: int, *, start: int, steps: int | None) -> Tensor | None:
    """Places ``(num,)`` of samples whose time stamps follow from the fitted ones; None: any, for there are no stamps.

    Args:
        estimator: Of series.
        num: Samples.
        start: Number of the first one.
        steps: Steps of each; None: a window.
    """
    adapter: Any = estimator.adapter
    clock, decoder = adapter.clock, adapter.decoder
    if not seasonal(estimator.model) or clock is None or decoder is None:
        return None
    if decoder.form.layout != "long":
        return torch.zeros(num, dtype=torch.int64)
    first = int(clock.positions(np.array([clock.start, clock.end]))[-1]) + 1
    return first + (start + torch.arange(num)) * (steps or adapter.spec.shape[0])


def begins(estimator: Estimator, opened: SeriesSet) -> list[int] | None:
    """The place of each series' first step; None where no time stamps tell it, or nothing depends on it."""
    adapter: Any = estimator.adapter
    if not seasonal(estimator.model) or adapter.clock is None:
        return None
    places = places_of(opened, adapter.clock)
    return None if places is None else places.tolist()


def drawn_places(
    estimator: Estimator, x: Tensor, known: Tensor, y: int | None, static: Tensor | None, num: int, *, seed: int
) -> Tensor | None:
    """``num`` places at which a series ``(L, C)`` may begin, L at most a window; None of data without seasons.

    Args:
        estimator: Of series.
        x: The series, in [-1, 1].
        known: Bool ``(L, C)``; the others are not read.
        y: Its class.
        static: Its attributes ``(F,)``.
        num: How many; one of them is the likeliest place.
        seed: The same seed draws the same.
    """
    model: Any = estimator.model
    if not seasonal(model):
        return None
    device = estimator.device
    labels = None if y is None else torch.tensor([y], device=device)
    rows = None if static is None else static[None].to(device)
    places, chances = (part.cpu() for part in model.place_chances(x.to(device), known.to(device), labels, rows))
    if num == 1:
        return places[chances.argmax()][None]
    generator = torch.Generator().manual_seed(seed)
    return places[torch.multinomial(chances, num, replacement=True, generator=generator)]


def known_stretch(known: Tensor, window: int) -> slice:
    """The window of a series, bool ``(L, C)``, with the most known values."""
    if len(known) <= window:
        return slice(0, len(known))
    total = torch.cat([torch.zeros(1), known.sum(1).cumsum(0)])
    start = int((total[window:] - total[:-window]).argmax())
    return slice(start, start + window)
