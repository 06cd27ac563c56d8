"""Channels to [-1, 1] and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aegan.errors import DataError

SCALINGS = ("minmax", "robust")
FARTHEST = 1e6
"""What values far off the fitted range are cut to."""


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """One invertible map a channel, fitted on observed values.

    * ``"minmax"``: linear, least value to -1, greatest to 1.
    * ``"robust"``: ``arsinh((v - median) / (IQR / 1.349))``, divided by its largest magnitude. The bulk of the values
      keeps its resolution when a few lie far out, and no value is cut off.

    A constant channel is 0 throughout and comes back as its value; one without values comes back as NaN.

    Attributes:
        method: ``"minmax"`` or ``"robust"``.
        centre: What becomes 0, by channel.
        width: What 1 stands for before ``reach``, by channel; 0 for constant channels.
        reach: Largest magnitude, by channel; 1 for ``"minmax"``.
    """

    method: str
    centre: tuple[float | None, ...]
    width: tuple[float, ...]
    reach: tuple[float, ...]

    @classmethod
    def fit(cls, values: np.ndarray, method: str) -> Scaler:
        """Learn from ``(T, C)`` values, NaN where missing.

        >>> Scaler.fit(np.array([[0.0], [4.0]]), "minmax").encode(np.array([[1.0]])).tolist()
        [[-0.5]]
        """
        parts = [_fit_one(column[np.isfinite(column)], method) for column in values.T]
        centre, width, reach = zip(*parts, strict=True)
        return cls(method=method, centre=centre, width=width, reach=reach)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Values ``(..., C)`` as float32; fitted ones in [-1, 1], others may lie beyond."""
        centre, width, reach = self._arrays()
        safe = np.where(width > 0, width, 1.0)
        scaled = (values - np.nan_to_num(centre)) / safe
        if self.method == "robust":
            scaled = np.arcsinh(scaled) / reach
        return np.where(width > 0, scaled, 0.0).clip(-FARTHEST, FARTHEST).astype(np.float32)

    def decode(self, x: np.ndarray) -> np.ndarray:
        """Inverse of :meth:`encode` as float64; ``x`` is cut to [-1, 1] first."""
        centre, width, reach = self._arrays()
        scaled = np.clip(x.astype(np.float64), -1.0, 1.0)
        if self.method == "robust":
            scaled = np.sinh(scaled * reach)
        return centre + scaled * width

    def part(self, n: int) -> Scaler:
        """The scaler of the first ``n`` channels, or of the last ``-n``."""
        cut = slice(n) if n >= 0 else slice(n, None)
        return Scaler(method=self.method, centre=self.centre[cut], width=self.width[cut], reach=self.reach[cut])

    def _arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        centre = np.array([np.nan if c is None else c for c in self.centre], dtype=np.float64)
        return centre, np.array(self.width, dtype=np.float64), np.array(self.reach, dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scaler:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: A key is missing or unknown, or lengths differ.
        """
        try:
            scaler = cls(
                method=data["method"],
                centre=tuple(data["centre"]),
                width=tuple(data["width"]),
                reach=tuple(data["reach"]),
            )
            if scaler.method not in SCALINGS or not len(scaler.centre) == len(scaler.width) == len(scaler.reach):
                raise ValueError(f"method {scaler.method!r}, or parts of differing length")
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"adapter scaler: {error!r}; the file is damaged, or from another version.") from error
        return scaler


def _fit_one(values: np.ndarray, method: str) -> tuple[float | None, float, float]:
    if len(values) == 0:
        return None, 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if low == high:
        return low, 0.0, 1.0
    if method == "minmax":
        return low / 2 + high / 2, high / 2 - low / 2, 1.0
    lower, centre, upper = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    width = (upper - lower) / 1.349 or float(values.std())
    return centre, width, float(np.abs(np.arcsinh((np.array([low, high]) - centre) / width)).max())


def amplitudes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre and half range ``(N, C)`` of each channel of each sample ``(N, T, C)``; NaN where nothing is observed."""
    there = np.isfinite(values)
    low = np.where(there, values, np.inf).min(axis=1)
    high = np.where(there, values, -np.inf).max(axis=1)
    empty = ~there.any(axis=1)
    low, high = np.where(empty, np.nan, low), np.where(empty, np.nan, high)
    return low / 2 + high / 2, high / 2 - low / 2
