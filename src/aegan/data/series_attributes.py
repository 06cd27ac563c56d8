"""What belongs to whole series, as the rows that a model learns and draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from aegan.data import series_samples as samples
from aegan.data.series_set import SeriesSet
from aegan.errors import DataError

if TYPE_CHECKING:
    from aegan.data.series import SeriesAdapter


def attributes_of(adapter: SeriesAdapter, opened: SeriesSet) -> Tensor | None:
    """Attributes and lengths ``(N, F)`` of whole series as the adapter codes them; None where nothing varies.

    Raises:
        DataError: An attribute is missing.
    """
    decoder = adapter.decoder
    if adapter.table is None or decoder is None:
        return None
    count = len(opened)
    done = samples.Encoded(
        x=np.empty((count, 0, 0), np.float32),
        mask=np.empty((count, 0, 0), bool),
        lengths=np.array(opened.lengths, dtype=np.int64),
        owner=np.arange(count),
        starts=np.zeros(count, dtype=np.int64),
    )
    frame = samples.attributes(opened, done, adapter.channels, lengths=decoder.variable, static=decoder.form.static)
    return adapter.table.to_tensors(frame).fields["x"]  # type: ignore[return-value]


def lengths_of(adapter: SeriesAdapter, static: Tensor) -> Tensor:
    """Lengths int64 ``(N,)`` that rows of attributes ``(N, F)`` give; that of the window where all are as long."""
    decoder = adapter.decoder
    if adapter.table is None or decoder is None or not decoder.variable:
        return torch.full((len(static),), adapter.spec.shape[0])
    table = adapter.table.from_tensors(static)
    name = samples.free_name(samples.LENGTH, decoder.form.static)
    if name not in table:
        raise DataError(f"no column {name!r} among the attributes; the adapter is from another version.")
    return torch.from_numpy(np.clip(table[name].to_numpy(np.int64), 1, adapter.spec.shape[0]))
