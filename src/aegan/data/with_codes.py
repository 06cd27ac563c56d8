"""Samples that carry their codes."""

from __future__ import annotations

import torch
from torch import Tensor

from aegan.data.base import TensorData
from aegan.types import Batch, Samples


class WithCodes:
    """A data set whose batches carry their codes as ``z``.

    Args:
        data: The samples.
        z: Their codes ``(N, D)``, in their order.
    """

    def __init__(self, data: Samples, z: Tensor) -> None:
        self.data, self.z = data, z

    def __len__(self) -> int:
        return len(self.data)

    def batch(self, index: Tensor) -> Batch:
        """As the samples' own, with ``z`` ``(B, D)``."""
        return {**self.data.batch(index), "z": self.z[index.to(self.z.device, non_blocking=True)]}

    def on(self, device: torch.device, limit: float) -> Samples:
        """As :meth:`TensorData.on`, codes included."""
        if not isinstance(self.data, TensorData):
            return self
        data = self.data.on(device, limit - self.z.nbytes)
        return self if data is self.data else WithCodes(data, self.z.to(device))
