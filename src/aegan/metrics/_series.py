"""Sets of series as metrics see them: values, what is observed, lengths, classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aegan.data.base import TensorData
from aegan.errors import DataError


@dataclass(frozen=True, kw_only=True)
class SeriesSample:
    """Series of one set, padded to one length.

    Attributes:
        x: float32 ``(N, T, C)``, finite; gaps and padding are filled.
        mask: bool ``(N, T, C)``, True where a value was observed.
        length: int64 ``(N,)``.
        y: int64 ``(N,)`` classes, or None.
    """

    x: Tensor
    mask: Tensor
    length: Tensor
    y: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def whole(self) -> bool:
        """Whether every value is observed and every series as long as the longest."""
        return bool(self.mask.all())

    @property
    def steps(self) -> Tensor:
        """Bool ``(N, T)``, True within a series' length."""
        return torch.arange(self.x.shape[1]) < self.length[:, None]

    def take(self, index: Tensor) -> SeriesSample:
        """The series at ``index``."""
        y = None if self.y is None else self.y[index]
        return SeriesSample(x=self.x[index], mask=self.mask[index], length=self.length[index], y=y)

    def scaled(self, low: Tensor, width: Tensor) -> SeriesSample:
        """Values minus ``low``, divided by ``width``, both ``(C,)``."""
        return SeriesSample(x=(self.x - low) / width, mask=self.mask, length=self.length, y=self.y)


def series_sample(value: Any, *, where: str, name: str, least: int = 2) -> SeriesSample:
    """``value`` checked: a TensorData with ``x``, an array or tensor ``(N, T, C)`` or ``(N, T)``, NaN where missing.

    Raises:
        DataError: Another shape, too few series, or fields that do not fit each other; names ``where`` and ``name``.
    """
    if isinstance(value, SeriesSample):
        return value
    fields: dict[str, Any] = dict(value.fields) if isinstance(value, TensorData) else {"x": value}
    try:
        x = torch.as_tensor(np.asarray(fields["x"]) if isinstance(fields["x"], list) else fields["x"]).detach().cpu()
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where}: '{name}' holds no series ({error}); an array (N, T, C) expected.") from error
    x = x.float().unsqueeze(-1) if x.ndim == 2 else x.float()
    if x.ndim != 3 or 0 in x.shape[1:]:
        raise DataError(f"{where}: '{name}' has shape {tuple(x.shape)}; series of shape (N, T, C) expected.")
    if len(x) < least:
        raise DataError(f"{where}: '{name}' holds {len(x)} series; at least {least} expected. Draw or load more.")
    there = torch.isfinite(x)
    mask = torch.as_tensor(fields["mask"]).bool() & there if "mask" in fields else there
    if mask.shape != x.shape:
        raise DataError(f"{where}: the mask of '{name}' is {tuple(mask.shape)}; {tuple(x.shape)} expected.")
    if not mask.any():
        raise DataError(f"{where}: '{name}' holds no value; finite numbers expected.")
    length = torch.as_tensor(fields["length"]).long() if "length" in fields else _lengths(mask)
    y = torch.as_tensor(fields["y"]).long() if fields.get("y") is not None else None
    for part, values in (("length", length), ("y", y)):
        if values is not None and tuple(values.shape) != (len(x),):
            raise DataError(f"{where}: '{name}' has {part} of shape {tuple(values.shape)}; ({len(x)},) expected.")
    return SeriesSample(x=x if bool(there.all()) else _filled(x, there), mask=mask, length=length, y=y)


def series_pair(real: Any, fake: Any, *, where: str, least: int = 2) -> tuple[SeriesSample, SeriesSample]:
    """Both sets checked, also against each other's steps and channels."""
    a = series_sample(real, where=where, name="real", least=least)
    b = series_sample(fake, where=where, name="fake", least=least)
    same_channels(a, b, where=where, names=("real", "fake"))
    return a, b


def same_channels(a: SeriesSample, b: SeriesSample, *, where: str, names: tuple[str, str]) -> None:
    """Raise DataError unless both have as many steps and channels."""
    if a.x.shape[1:] != b.x.shape[1:]:
        raise DataError(
            f"{where}: '{names[0]}' has {a.x.shape[1]} steps of {a.x.shape[2]} channels, '{names[1]}' {b.x.shape[1]} "
            f"of {b.x.shape[2]}; equal numbers expected. Pad to one length, with NaN or a mask where nothing is."
        )


def unit_range(sample: SeriesSample) -> tuple[Tensor, Tensor]:
    """Least value and range ``(C,)`` of what is observed; range 1 for constant channels."""
    inf = torch.full_like(sample.x, torch.inf)
    low = torch.where(sample.mask, sample.x, inf).amin((0, 1))
    high = torch.where(sample.mask, sample.x, -inf).amax((0, 1))
    low, high = torch.where(low.isfinite(), low, 0.0), torch.where(high.isfinite(), high, 1.0)
    width = high - low
    return low, torch.where(width > 0, width, torch.ones_like(width))


def _lengths(mask: Tensor) -> Tensor:
    """Steps up to the last observed one, at least 1."""
    there = mask.any(dim=2)
    places = torch.arange(1, mask.shape[1] + 1)
    return torch.where(there, places, 1).amax(dim=1)


def _filled(x: Tensor, there: Tensor) -> Tensor:
    """Gaps filled with the last value before, else the first one after, else 0."""
    out = x.clone()
    out[~there] = 0.0
    places = torch.where(there, torch.arange(x.shape[1])[None, :, None], -1).cummax(dim=1).values
    first = there.float().argmax(dim=1, keepdim=True).expand_as(places)
    return out.gather(1, torch.where(places >= 0, places, first))
