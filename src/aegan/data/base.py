"""What every adapter promises, and the in-memory (or memory-mapped) data set they all produce."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aegan.data.split import split
from aegan.errors import DataError
from aegan.types import Batch, Spec


class Rows:
    """Some rows of an array on disk, read when they are asked for; enough of an array for TensorData."""

    def __init__(self, array: np.ndarray, rows: np.ndarray) -> None:
        self.array, self.rows = array, rows
        self.shape, self.dtype = (len(rows), *array.shape[1:]), array.dtype

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.array[self.rows[index]]


class TensorData:
    """Named arrays of one length, indexed in whole batches (``aegan.types.Samples``).

    Arrays are tensors in memory or read-only ``numpy.memmap`` on disk; ``uint8`` data are turned into
    float32 in [-1, 1] when a batch is taken, so that images cost one byte a value.

    Args:
        **fields: ``x`` (N, ...) uint8 or float32; optionally ``y`` (N,) int64, ``z`` (N, D) float32.

    Raises:
        DataError: The fields differ in length, or there are none.

    >>> data = TensorData(x=torch.zeros(3, 1, 2, 2, dtype=torch.uint8))
    >>> data.batch(torch.tensor([0]))["x"].min().item()
    -1.0
    """

    def __init__(self, **fields: Tensor | np.ndarray | Rows) -> None:
        lengths = {name: len(value) for name, value in fields.items()}
        if len(set(lengths.values())) != 1:
            raise DataError(f"TensorData: fields of one length expected, got {lengths or 'no field at all'}.")
        self.fields: dict[str, Tensor | np.ndarray | Rows] = dict(fields)

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))

    def batch(self, index: Tensor) -> Batch:
        """Samples at ``index`` (int64, ``(B,)``), as float32 in [-1, 1] (``x``), int64 (``y``)."""
        out: Batch = {}
        for name, value in self.fields.items():
            if isinstance(value, Tensor):
                part = value[index.to(value.device)]
            else:
                part = torch.from_numpy(value[index.cpu().numpy()])
            out[name] = part.float().div_(127.5).sub_(1.0) if part.dtype == torch.uint8 else part
        return out

    def subset(self, index: Tensor) -> TensorData:
        """The samples at ``index``: copied when in memory, still on disk when they are a memory map."""
        parts: dict[str, Tensor | np.ndarray | Rows] = {}
        for name, value in self.fields.items():
            if isinstance(value, Tensor):
                parts[name] = value[index]
            elif isinstance(value, Rows):
                parts[name] = Rows(value.array, value.rows[index.numpy()])
            elif isinstance(value, np.memmap):
                parts[name] = Rows(value, index.numpy())
            else:
                parts[name] = torch.from_numpy(value[index.numpy()])
        return TensorData(**parts)

    @property
    def labels(self) -> Tensor | None:
        """Class indices ``(N,)`` int64, or None."""
        y = self.fields.get("y")
        return torch.as_tensor(y[:] if isinstance(y, Rows) else y) if y is not None else None


class Adapter(ABC):
    """Raw data to tensors and back; the only place that knows a file format.

    An adapter is fitted once, on the training source, and holds the :class:`~aegan.types.Spec`.
    """

    spec: Spec
    summary: str = ""

    @abstractmethod
    def fit(self, source: Any) -> Adapter:
        """Learn sizes, channels and classes from ``source``; returns itself."""

    @abstractmethod
    def to_tensors(self, source: Any) -> TensorData:
        """Read ``source`` the way the fitted spec asks for."""

    @abstractmethod
    def from_tensors(self, x: Tensor) -> Any:
        """Turn network output ``x`` back into the kind of thing that ``fit`` was given."""

    def split(self, data: TensorData, *, holdout: float, seed: int) -> tuple[Tensor, Tensor]:
        """Which samples to train on and which to hold out: sorted int64 indices; classes in proportion.

        Raises:
            ConfigError: ``holdout`` out of range.
            DataError: Too few samples.
        """
        return split(len(data), data.labels, holdout=holdout, seed=seed)

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything needed to rebuild the fitted adapter, as plain JSON values."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: Mapping[str, Any]) -> Adapter:
        """Inverse of :meth:`to_json`."""
