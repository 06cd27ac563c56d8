"""Codes to integers on a uniform grid and back; how wide the grid of each dimension is.

At high rate the best uniform quantiser of a vector puts the same error, measured in the *data*, into every
dimension (Gersho & Gray 1992, "Vector quantization and signal compression", chapter 8). So the grid of a dimension
is the wider, the less the decoder's output moves with it, whatever the codes' own scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aegan.errors import ConfigError, DataError

PROBES = 32
"""Codes at which the decoder's sensitivity is measured."""
LARGEST = 2**30
"""Largest integer of a quantised code."""


@dataclass(frozen=True)
class Grid:
    """Code = offset + integer · spacing, in each dimension.

    Whatever is given is cut to float32 whose lower 16 bits are zero, so that it travels in two bytes and means the
    same number everywhere.

    Attributes:
        offset: ``(D,)`` float32.
        spacing: ``(D,)`` float32, above 0.
    """

    offset: np.ndarray
    spacing: np.ndarray

    def __post_init__(self) -> None:
        for name in ("offset", "spacing"):
            object.__setattr__(self, name, _short(np.asarray(getattr(self, name), np.float64)))

    def quantise(self, codes: np.ndarray) -> np.ndarray:
        """Nearest integers int64 ``(N, D)`` of codes ``(N, D)``.

        Raises:
            DataError: Not such codes, or not finite.
            ConfigError: The grid is too fine for them.
        """
        z = np.asarray(codes, np.float64)
        if z.ndim != 2 or z.shape[1] != len(self.spacing) or len(z) == 0:
            raise DataError(f"codes: shape (N, {len(self.spacing)}) with N at least 1 expected, got {z.shape}.")
        bad = np.flatnonzero(~np.isfinite(z).all(1))
        if len(bad):
            raise DataError(f"codes: {len(bad)} hold NaN or infinity, the first at row {bad[0]}.")
        scaled = (z - self.offset) / self.spacing
        if np.abs(scaled).max() > LARGEST:
            raise ConfigError(
                f"The grid of the codes is too fine: a value lies {np.abs(scaled).max():.3g} steps from the middle, "
                f"at most {LARGEST} can be kept. Allow a larger error."
            )
        return np.rint(scaled).astype(np.int64)

    def dequantise(self, integers: np.ndarray) -> np.ndarray:
        """Codes float32 ``(N, D)``."""
        return (self.offset + np.asarray(integers, np.float64) * self.spacing).astype(np.float32)

    def to_bytes(self) -> bytes:
        """Four bytes a dimension."""
        both = np.concatenate([self.offset, self.spacing]).astype("<f4")
        return (both.view("<u4") >> 16).astype("<u2").tobytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Grid:
        """Inverse of :meth:`to_bytes`; ValueError when a number is not finite or a spacing not above 0."""
        both = (np.frombuffer(content, "<u2").astype("<u4") << 16).view("<f4").astype(np.float32)
        offset, spacing = np.split(both, 2)
        if not (np.isfinite(both).all() and (spacing > 0).all()):
            raise ValueError("the grid holds a number that cannot be")
        return cls(offset, spacing)


def check_error(error: float) -> None:
    """ConfigError unless ``error`` is a number that :func:`fit_grid` takes."""
    if isinstance(error, bool) or not isinstance(error, (int, float)) or not 1e-6 <= error <= 1:
        raise ConfigError(
            f"error: a number from 1e-06 to 1 expected, such as 0.03 (larger: smaller files), got {error!r}."
        )


def fit_grid(codes: np.ndarray, sensitivities: np.ndarray, *, error: float, values: int) -> Grid:
    """The grid on which rounding adds about ``error`` to the decoded data.

    Args:
        codes: ``(N, D)``; their mean becomes the offset.
        sensitivities: ``(D,)``, from :func:`sensitivity`.
        error: Root mean squared error that rounding adds to a value of the data, to first order; in the data's
            units, so 0.02 is 1 % of the range of data in [-1, 1].
        values: Values in one sample of the data, such as 784 for 28x28 grey images.

    Raises:
        ConfigError: ``error`` is not a number above 0 and at most 1.

    >>> import numpy as np
    >>> grid = fit_grid(np.zeros((3, 2)), np.array([1.0, 2.0]), error=0.5, values=2)
    >>> (grid.spacing / grid.spacing[1]).tolist()
    [2.0, 1.0]
    """
    check_error(error)
    # A uniform error within one step has a twelfth of the step's square as its variance.
    spacing = error * math.sqrt(12 * values / len(sensitivities)) / np.asarray(sensitivities, np.float64)
    return Grid(np.asarray(codes, np.float64).mean(0), spacing)


def sensitivity(decode: Callable[[np.ndarray], np.ndarray], codes: np.ndarray) -> np.ndarray:
    """How far the decoded sample moves (Euclidean norm) for a unit step in each dimension, ``(D,)`` float64.

    Central differences of a tenth of the dimension's deviation at up to 32 of ``codes``; root mean square over them.
    A dimension that the decoder hardly heeds counts as a thousandth of the others.

    Args:
        decode: Codes float32 ``(N, D)`` to data ``(N, ...)``.
        codes: ``(N, D)``, finite.

    >>> import numpy as np
    >>> sensitivity(lambda z: z * np.array([3.0, 1.0]), np.eye(2)).round(3).tolist()
    [3.0, 1.0]
    """
    z = np.asarray(codes, np.float32)
    deviation = z.std(0, dtype=np.float64)
    typical = math.sqrt((deviation**2).mean()) or math.sqrt((z.astype(np.float64) ** 2).mean()) or 1.0
    steps = 0.1 * np.maximum(deviation, 0.1 * typical)
    at = z[np.linspace(0, len(z) - 1, min(PROBES, len(z))).round().astype(int)]
    found = np.empty(z.shape[1])
    for d, step in enumerate(steps):
        shift = np.zeros(z.shape[1], np.float32)
        shift[d] = step
        up, down = np.split(np.asarray(decode(np.concatenate([at + shift, at - shift])), np.float64), 2)
        change = (up - down).reshape(len(at), -1) / (2 * float(shift[d]))
        found[d] = math.sqrt((change**2).sum(1).mean())
    typical = math.sqrt((found**2).mean())
    if not (typical > 0 and math.isfinite(typical)):
        return 1.0 / np.where(deviation > 0, deviation, 1.0)  # nothing to go by but the codes themselves
    return np.maximum(found, 1e-3 * typical)


def _short(values: np.ndarray) -> np.ndarray:
    """float32 with the lower 16 bits cut; never down to 0."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    short = bits.view(np.float32)
    return np.where((short == 0) & (values > 0), np.float32(2.0**-100), short)
