"""How an array of images is written down: axis order, data type and range of values.

The form is found by looking at the data and kept, so that what a model draws can be written the same way.

Axis order: three axes are ``(N, H, W)``. Of four, the one with 1, 3 or 4 entries holds the channels:
``(N, H, W, C)`` or ``(N, C, H, W)``. When both could, NumPy arrays are read channels-last and torch tensors
channels-first.

Range: booleans and integers that are only 0 or 1 are ``binary``; uint8 is ``byte``; other integers are ``byte``
when they stay within 0..255 and ``wide`` (0..65535) when uint16 goes beyond. Floats are ``unit`` (0..1), else
``signed`` (-1..1), else ``byte`` (0..255, reaching at least 128).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aegan.data.kinds import MOST_COLUMNS
from aegan.errors import DataError

CHANNELS = (1, 3, 4)
CONTAINERS = ("numpy", "torch", "arrays", "pictures")
LAYOUTS = ("NHW", "NHWC", "NCHW", "auto")
RANGES: dict[str, tuple[float, float]] = {
    "unit": (0, 1),
    "signed": (-1, 1),
    "byte": (0, 255),
    "wide": (0, 65535),
    "binary": (0, 1),
}
TOLERANCE = 1e-3
"""How far floats may overstep their range (rounding, float16) before it is an error, as a part of the range."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What the fitted source looked like, so that samples can be returned alike.

    Attributes:
        container: ``"numpy"`` array, ``"torch"`` tensor, list of ``"arrays"``, list of PIL ``"pictures"``.
        layout: ``"NHW"``, ``"NHWC"``, ``"NCHW"``, or ``"auto"``: NHW when grey, otherwise NHWC.
        dtype: Name of the NumPy or torch data type.
        range: A key of :data:`RANGES`.
    """

    container: str = "numpy"
    layout: str = "auto"
    dtype: str = "uint8"
    range: str = "byte"

    def to_json(self) -> dict[str, str]:
        """Plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Form:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: A key is missing or unknown, or a value is not one of those allowed.
        """
        if not isinstance(data, Mapping) or set(data) != {"container", "layout", "dtype", "range"}:
            raise DataError(f"adapter form: expected the keys container, layout, dtype, range; got {data!r}.")
        allowed = {"container": CONTAINERS, "layout": LAYOUTS, "range": tuple(RANGES)}
        for key, known in allowed.items():
            if data[key] not in known:
                raise DataError(f"adapter form: {key} is {data[key]!r}; expected one of {', '.join(known)}.")
        form = cls(**data)
        if not isinstance(form.dtype, str) or not _dtype_known(form):
            raise DataError(f"adapter form: dtype is {form.dtype!r}; expected a boolean, integer or float type.")
        return form

    def write(self, x: Tensor) -> Any:
        """Network output as the kind of thing that was read.

        Args:
            x: Float in [-1, 1] (values beyond are clipped), ``(N, C, H, W)``.

        Returns:
            Array, tensor or list in this container, layout, data type and range.
        """
        values = _to_range(x.detach().cpu().float(), self.range)
        axes = self.layout
        if axes == "auto" or (axes == "NHW" and x.shape[1] != 1):
            axes = "NHW" if x.shape[1] == 1 else ("NCHW" if self.container == "torch" else "NHWC")
        values = values[:, 0] if axes == "NHW" else values.permute(0, 2, 3, 1) if axes == "NHWC" else values
        values = values.contiguous()
        if self.container == "torch":
            return values.to(getattr(torch, self.dtype))
        array = values.numpy().astype(np.dtype(self.dtype))
        if self.container == "arrays":
            return list(array)
        if self.container == "pictures":
            from PIL import Image

            return [Image.fromarray(one) for one in array]
        return array


def _dtype_known(form: Form) -> bool:
    if form.container == "torch":
        return isinstance(getattr(torch, form.dtype, None), torch.dtype)
    try:
        return np.dtype(form.dtype).kind in "buif"
    except TypeError:
        return False


def _to_range(x: Tensor, name: str) -> Tensor:
    x = x.clamp(-1, 1)
    if name == "signed":
        return x
    if name == "unit":
        return (x + 1) / 2
    if name == "binary":
        return (x > 0).float()
    return ((x + 1) * (127.5 if name == "byte" else 32767.5)).round()


def to_uint8(values: np.ndarray, name: str) -> np.ndarray:
    """Values of the range called ``name`` as uint8, 0..255, of the same shape; rounded, clipped.

    >>> to_uint8(np.array([0.0, 0.5, 1.0]), "unit").tolist()
    [0, 128, 255]
    """
    if name == "binary":
        return (values != 0).astype(np.uint8) * np.uint8(255)
    if name == "wide":
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if values.dtype == np.uint8:
        return values
    low, high = RANGES[name]
    scaled = (values.astype(np.float32) - low) * (255 / (high - low))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def find_layout(shape: tuple[int, ...], where: str, *, torch_order: bool = False, like: str | None = None) -> str:
    """Axis order of an array of images, from its shape (rules at the top of this file).

    Args:
        shape: Shape of the whole array.
        where: Named in errors.
        torch_order: Settle doubt in favour of channels-first.
        like: Layout that another array had; settles doubt before ``torch_order``.

    Returns:
        ``"NHW"``, ``"NHWC"`` or ``"NCHW"``.

    Raises:
        DataError: The shape cannot be that of an array of images.

    >>> find_layout((100, 3, 32, 32), "x"), find_layout((100, 28, 28), "x")
    ('NCHW', 'NHW')
    """
    expected = "expected (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1, 3 or 4"
    if 0 in shape:
        raise DataError(f"{where}: an empty array of shape {shape}; {expected}.")
    if len(shape) == 2:
        side = round(shape[1] ** 0.5)
        square = f"x.reshape(-1, {side}, {side})" if side * side == shape[1] else "x.reshape(-1, height, width)"
        raise DataError(
            f"{where}: got shape {shape}; {expected}. If each row is a flattened image, give {square}; rows of at most "
            f"{MOST_COLUMNS} numbers that are no bytes, without labels or with them as a column, "
            "are read as a table."
        )
    if len(shape) == 3:
        if shape[2] in CHANNELS:
            raise DataError(
                f"{where}: shape {shape} looks like one image with {shape[2]} channels; {expected}, N at least 2. "
                "Stack several images with np.stack."
            )
        return "NHW"
    if len(shape) != 4:
        raise DataError(f"{where}: got {len(shape)} axes, shape {shape}; {expected}.")
    last, first = shape[3] in CHANNELS, shape[1] in CHANNELS
    if last and first:
        return like if like in ("NHWC", "NCHW") else "NCHW" if torch_order else "NHWC"
    if last or first:
        return "NHWC" if last else "NCHW"
    if 2 in (shape[1], shape[3]):
        drop = "x[..., 0]" if shape[3] == 2 else "x[:, 0]"
        raise DataError(
            f"{where}: shape {shape} has two channels (grey and alpha?); {expected}. "
            f"Keep the grey channel, {drop}, or repeat it three times before alpha."
        )
    raise DataError(f"{where}: got shape {shape}; {expected}.")


def find_range(
    blocks: Callable[[], Iterable[np.ndarray]], dtype: np.dtype, where: str, *, like: Form | None = None
) -> str:
    """Range of values of an array of images, found by reading all of them once.

    Args:
        blocks: Called for an iterator over arrays ``(n, ...)`` that together hold all samples in order.
        dtype: Their data type.
        where: Named in errors.
        like: Form of the data an adapter was fitted on; its range is taken where the values allow it.

    Returns:
        A key of :data:`RANGES`.

    Raises:
        DataError: NaN, infinite or out of range values, or a data type that holds no images.
    """
    if dtype.kind == "b":
        return "binary"
    if dtype.kind not in "uif":
        raise DataError(
            f"{where}: got data type {dtype}; expected uint8, bool, uint16, or floats in [0, 1], [-1, 1] or [0, 255]. "
            "Convert with x.astype(np.uint8) or x.astype(np.float32)."
        )
    same = like is not None and (like.dtype == str(dtype) or (dtype.kind == "f" and "float" in like.dtype))
    if dtype == np.uint8:
        if same and like is not None and like.range == "byte":
            return "byte"
        return "byte" if any(block.max() > 1 for block in blocks()) else "binary"
    low, high = _extremes(blocks(), where)
    if same and like is not None and len(_outside(low, high, like.range)) == 0:
        return like.range
    return _float_range(low, high, where) if dtype.kind == "f" else _integer_range(low, high, dtype, where)


def _extremes(blocks: Iterable[np.ndarray], where: str) -> tuple[np.ndarray, np.ndarray]:
    lows, highs, done = [], [], 0
    for block in blocks:
        flat = block.reshape(len(block), -1)
        low, high = flat.min(axis=1).astype(np.float64), flat.max(axis=1).astype(np.float64)
        wrong = np.flatnonzero(~np.isfinite(low) | ~np.isfinite(high))
        if len(wrong):
            i = int(wrong[0])
            what = "NaN" if np.isnan(flat[i]).any() else "infinite values"
            raise DataError(
                f"{where}: image {done + i} holds {what}; expected finite values. "
                "Leave such images out, or fill the gaps with np.nan_to_num."
            )
        lows.append(low)
        highs.append(high)
        done += len(block)
    return np.concatenate(lows), np.concatenate(highs)


def _outside(low: np.ndarray, high: np.ndarray, name: str) -> np.ndarray:
    bottom, top = RANGES[name]
    slack = (top - bottom) * TOLERANCE
    return np.flatnonzero((low < bottom - slack) | (high > top + slack))


def _float_range(low: np.ndarray, high: np.ndarray, where: str) -> str:
    for name in ("unit", "signed"):
        if len(_outside(low, high, name)) == 0:
            return name
    in_byte = len(_outside(low, high, "byte")) == 0
    if in_byte and high.max() >= 128:
        return "byte"
    outside = {name: _outside(low, high, name) for name in (("unit", "signed") if in_byte else RANGES_OF_FLOATS)}
    first = int(min(outside.values(), key=len)[0])
    bottom, top = float(low.min()), float(high.max())
    mend = f"x / {top:g}" if bottom >= 0 else f"(x - {bottom:g}) / {top - bottom:g}"
    raise DataError(
        f"{where}: floats run from {bottom:g} to {top:g}; image {first} is the first out of range "
        f"({low[first]:g} to {high[first]:g}). Expected [0, 1], [-1, 1], or [0, 255] reaching at least 128. "
        f"Scale them, for instance {mend}; if only a few values overstep, np.clip; "
        "if they are dark bytes, x.astype(np.uint8)."
    )


RANGES_OF_FLOATS = ("unit", "signed", "byte")


def _integer_range(low: np.ndarray, high: np.ndarray, dtype: np.dtype, where: str) -> str:
    if len(_outside(low, high, "binary")) == 0:
        return "binary"
    bottom, top = int(low.min()), int(high.max())
    if dtype == np.uint16 and top > 255:
        if top >= 8192:
            return "wide"
        raise DataError(
            f"{where}: uint16 values reach only {top} of 65535 and would be read as nearly black. "
            f"Scale them, for instance (x / {top}).astype(np.float32)."
        )
    wrong = np.flatnonzero((low < 0) | (high > 255))
    if len(wrong):
        i = int(wrong[0])
        raise DataError(
            f"{where}: image {i} holds {dtype} values from {low[i]:g} to {high[i]:g} (all images: {bottom} to {top}); "
            "expected integers in 0..255, or uint16. Scale to floats in [0, 1], or clip and use x.astype(np.uint8)."
        )
    if top < 128:
        raise DataError(
            f"{where}: {dtype} values reach only {top} of 255 and would be read as dark. "
            f"Scale them, for instance x / {top}; if they are meant to be dark, give x.astype(np.uint8)."
        )
    return "byte"
