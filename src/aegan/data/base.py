"""What every adapter promises, and the in-memory (or memory-mapped) data set they all produce."""

from __future__ import annotations

import math
import mmap
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aegan.data.split import choose, split
from aegan.data.store import read_ahead, release
from aegan.errors import DataError
from aegan.types import Batch, Spec

LISTED = 2_000_000
"""Samples on disk of which a list of numbers may be held in memory."""
BLOCK_BYTES = 1 << 20
"""Bytes of neighbouring rows that are read together where data lie on disk."""
FEW = 256
"""Rows on disk that are copied before their pages are handed back."""
HELD_BYTES = 128 << 20
"""Bytes of rows on disk that are shuffled among each other, and that may be held in memory."""


class Skipped:
    """The numbers below ``n`` without some of them, in memory for those alone.

    Args:
        n: Numbers in all.
        skip: Those left out, int64, ascending.

    >>> Skipped(6, np.array([1, 4]))[np.arange(4)].tolist()
    [0, 2, 3, 5]
    """

    def __init__(self, n: int, skip: np.ndarray) -> None:
        self.n, self.skip = n, skip
        self._before = skip - np.arange(len(skip))

    def __len__(self) -> int:
        return self.n - len(self.skip)

    def __getitem__(self, index: Any) -> np.ndarray:
        wanted = np.arange(*index.indices(len(self))) if isinstance(index, slice) else np.asarray(index)
        return wanted + np.searchsorted(self._before, wanted, side="right")

    def without(self, index: np.ndarray) -> Skipped:
        """The same without the numbers at ``index``."""
        return Skipped(self.n, np.sort(np.concatenate([self.skip, self[index]])))


class Rows:
    """Some rows of an array on disk, read when they are asked for; enough of an array for TensorData."""

    def __init__(self, array: np.ndarray, rows: np.ndarray | Skipped) -> None:
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
        self._mapped = [m for m in map(_map_of, fields.values()) if m is not None]
        self._touched = 0

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))

    def batch(self, index: Tensor) -> Batch:
        """Samples at ``index`` (int64, ``(B,)``), as float32 in [-1, 1] (``x``), int64 (``y``)."""
        out: Batch = {}
        at = index
        for name, value in self.fields.items():
            if isinstance(value, Tensor):
                at = at.to(value.device, non_blocking=True)  # sent once, where all fields are kept there
                part = value[at]
            else:
                part = torch.from_numpy(value[index.cpu().numpy()])
            out[name] = part.float().div_(127.5).sub_(1.0) if part.dtype == torch.uint8 else part
        if self._mapped:
            self._let_go(len(index))
        return out

    @property
    def block(self) -> int:
        """Neighbouring samples that are best read together; 0 for data in memory, where any order is as good."""
        row = sum(m.dtype.itemsize * math.prod(m.shape[1:]) for m in self._mapped)
        return max(1, BLOCK_BYTES // max(1, row)) if self._mapped else 0

    def expect(self, start: int, stop: int) -> None:
        """Samples from ``start`` to ``stop`` will be asked for soon: the system may read them from disk meanwhile."""
        for value in self.fields.values():
            mapped = _map_of(value)
            if mapped is None or stop <= start:
                continue
            first, last = (start, stop - 1)
            if isinstance(value, Rows):
                first, last = (int(value.rows[np.array([i])][0]) for i in (start, stop - 1))
            if last - first < 2 * (stop - start):  # rows that lie together
                read_ahead(mapped, first, last + 1)

    def _let_go(self, samples: int) -> None:
        """Pages of maps that were read count as the process's memory: hand them back now and then."""
        for mapped in self._mapped:
            # A row touches whole pages; those that were touched before are counted again, which does no harm.
            self._touched += samples * max(mmap.PAGESIZE, mapped.dtype.itemsize * math.prod(mapped.shape[1:]))
        if self._touched > HELD_BYTES:
            self._touched = 0
            for mapped in self._mapped:
                release(mapped)

    def without(self, index: Tensor) -> TensorData:
        """All but the samples at ``index``, in memory for these alone where the data are on disk."""
        left = np.sort(index.numpy())
        parts: dict[str, Tensor | np.ndarray | Rows] = {}
        for name, value in self.fields.items():
            if isinstance(value, Rows) and isinstance(value.rows, Skipped):
                parts[name] = Rows(value.array, value.rows.without(left))
            elif isinstance(value, np.memmap):
                parts[name] = Rows(value, Skipped(len(value), left))
            else:
                keep = torch.ones(len(self), dtype=torch.bool).index_fill_(0, index, False)
                parts[name] = TensorData(x=value).subset(keep.nonzero().squeeze(1)).fields["x"]
        return TensorData(**parts)

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

    def first(self, count: int) -> TensorData:
        """The first samples, for who reads them again and again: those on disk copied, unless they are large."""
        count = min(count, len(self))
        bytes_each = sum(v.dtype.itemsize * math.prod(v.shape[1:]) for v in self.fields.values())
        if not self._mapped or count * bytes_each > HELD_BYTES:
            return self
        copied: dict[str, list[Tensor]] = {name: [] for name in self.fields}
        for start in range(0, count, FEW):
            few = slice(start, min(start + FEW, count))
            for name, value in self.fields.items():
                part = value[few]
                copied[name].append(part if isinstance(part, Tensor) else torch.from_numpy(np.array(part)))
            for mapped in self._mapped:  # a row that lies alone brings its neighbours' pages with it
                release(mapped)
        parts = {name: torch.cat(values) for name, values in copied.items()}
        return TensorData(**parts)

    def on(self, device: torch.device, limit: float) -> TensorData:
        """The same samples kept on ``device``, so that batches need not be sent there; itself where they are too large.

        Args:
            device: Any; nothing is done for the CPU, nor for data on disk.
            limit: Bytes that they may take there.
        """
        values = {name: v for name, v in self.fields.items() if isinstance(v, Tensor)}
        if device.type == "cpu" or len(values) < len(self.fields) or sum(v.nbytes for v in values.values()) > limit:
            return self
        return TensorData(**{name: v.to(device) for name, v in values.items()})

    @property
    def labels(self) -> Tensor | None:
        """Class indices ``(N,)`` int64, or None."""
        y = self.fields.get("y")
        return torch.as_tensor(y[:] if isinstance(y, Rows) else y) if y is not None else None


def _map_of(value: Tensor | np.ndarray | Rows) -> np.memmap | None:
    array = value.array if isinstance(value, Rows) else value
    return array if isinstance(array, np.memmap) else None


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

    def with_classes_of(self, source: Any) -> tuple[Adapter, Any]:
        """This adapter, fitted without classes, as one that has those of ``source``; itself it stays as it is.

        Returns:
            An adapter that reads and writes as this one does, and labels besides; this one where ``source`` carries
            none. And what to give its :meth:`to_tensors`: ``source``, or what was opened of it.

        Raises:
            DataError: As :meth:`to_tensors`.
        """
        return self, source

    def names(self, source: Any) -> list[str] | None:
        """File of each sample that :meth:`to_tensors` has just read of ``source``; None where they have none."""
        return None

    def split(self, data: TensorData, *, holdout: float, seed: int) -> tuple[Tensor, Tensor]:
        """Which samples to train on and which to hold out: sorted int64 indices; classes in proportion.

        Raises:
            ConfigError: ``holdout`` out of range.
            DataError: Too few samples.
        """
        return split(len(data), data.labels, holdout=holdout, seed=seed)

    def cut(self, data: TensorData, *, holdout: float, seed: int) -> tuple[TensorData, TensorData]:
        """As :meth:`split`, the two parts themselves; of very many samples on disk without a list of all of them."""
        if data.block and len(data) > LISTED and data.labels is None and type(self).split is Adapter.split:
            held = choose(len(data), holdout=holdout, seed=seed)
            return data.without(held), data.subset(held)
        train, held = self.split(data, holdout=holdout, seed=seed)
        return data.subset(train), data.subset(held)

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything needed to rebuild the fitted adapter, as plain JSON values."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: Mapping[str, Any]) -> Adapter:
        """Inverse of :meth:`to_json`."""
