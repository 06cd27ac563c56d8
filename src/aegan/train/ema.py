"""Exponential moving average of weights, with a half-life in samples and a warm start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

RAMP = 0.1
"""The half-life is at most this part of the samples seen, so that early weights are soon forgotten."""


class Ema:
    """Averages of the parameters of ``networks``, in float32 at least; buffers are not averaged.

    Args:
        networks: Name to module.
        half_life: In samples; 0 keeps the average equal to the weights.
    """

    def __init__(self, networks: dict[str, nn.Module], half_life: float) -> None:
        self.half_life = half_life
        self._live: dict[str, nn.Parameter] = {
            f"{name}.{key}": p for name, module in networks.items() for key, p in module.named_parameters()
        }
        # Steps towards the weights are too small for half precision, which would round them all away.
        self.average: dict[str, Tensor] = {
            key: p.detach().to(torch.promote_types(p.dtype, torch.float32), copy=True) for key, p in self._live.items()
        }
        self._own: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self, batch_size: int, seen: int) -> None:
        """Move the averages towards the weights after a step of ``batch_size`` samples, ``seen`` so far."""
        half_life = min(self.half_life, seen * RAMP)
        decay = 0.5 ** (batch_size / half_life) if half_life > 0 else 0.0
        averages = list(self.average.values())
        if averages:
            live = [p.detach().to(a.dtype) for p, a in zip(self._live.values(), averages, strict=True)]
            torch._foreach_lerp_(averages, live, 1.0 - decay)  # pyright: ignore[reportPrivateImportUsage]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the networks hold the averaged weights; afterwards their own again."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def adopt(self) -> None:
        """Make the averaged weights the networks' own."""
        with torch.no_grad():
            for key, p in self._live.items():
                p.copy_(self.average[key])

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by name."""
        return self.average

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put averages back; the names must be the same."""
        with torch.no_grad():
            for key, value in self.average.items():
                value.copy_(state[key])

    @torch.no_grad()
    def _swap(self) -> None:
        for key, p in self._live.items():
            if p.dtype == self.average[key].dtype:
                p.data, self.average[key] = self.average[key], p.data
            elif key in self._own:
                p.data = self._own.pop(key)
            else:
                self._own[key], p.data = p.data, self.average[key].to(p.dtype)
