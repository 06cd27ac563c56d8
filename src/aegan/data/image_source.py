"""What every source of images offers, and the two that hold arrays; pictures and files are in ``pictures``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from aegan.data.form import CHANNELS, Form, find_layout, find_range, to_uint8
from aegan.data.labels import encode_labels
from aegan.errors import DataError

MODE_OF = {1: "L", 3: "RGB", 4: "RGBA"}
BLOCK_BYTES = 64 << 20


class ImageSource(ABC):
    """Images to be read one by one, with what can be known of them beforehand.

    Attributes:
        name: Path or type, named in errors.
        form: How to write samples so that they look like the source.
        labels: int64 class indices ``(N,)``, or None.
        classes: Class names, naturally sorted; empty without labels.
        bad: ``(path, reason)`` of the images that could not be read, filled while decoding.
        skip_bad: Whether unreadable images are skipped; otherwise they are an error, once all were tried.
        threads: Whether :meth:`read` may be called from several threads.
        note: A remark for :meth:`describe`, for instance on files that were ignored.
    """

    threads = False

    def __init__(self, name: str, form: Form, *, skip_bad: bool = False, note: str = "") -> None:
        self.name = name
        self.form = form
        self.labels: np.ndarray | None = None
        self.classes: tuple[str, ...] = ()
        self.bad: list[tuple[str, str]] = []
        self.skip_bad = skip_bad
        self.note = note

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def sizes(self) -> np.ndarray:
        """Height and width of the images whose header can be read, int64 ``(M, 2)``, ``M`` at most ``N``."""

    @property
    @abstractmethod
    def modes(self) -> frozenset[str]:
        """Which of ``L``, ``LA``, ``RGB``, ``RGBA`` occur, judged without decoding."""

    @abstractmethod
    def read(self, i: int, *, at_least: int | None = None) -> Image.Image:
        """Image ``i`` as a PIL image of mode L, RGB or RGBA.

        Args:
            i: Index below ``len(self)``.
            at_least: Both sides may be decoded smaller than stored, down to this (a speed-up for JPEG).

        Raises:
            DataError: The image cannot be read.
        """

    @abstractmethod
    def item_name(self, i: int) -> str:
        """Path or number of image ``i``, for messages."""

    def set_labels(self, values: Any) -> None:
        """Attach one label per image (see :func:`aegan.data.labels.encode_labels`)."""
        self.labels, self.classes = encode_labels(values, len(self), self.name)

    def report_bad(self, reasons: Mapping[int, str]) -> None:
        """Record unreadable images and drop them, or raise one error that lists them.

        Raises:
            DataError: There are some and ``skip_bad`` is off, or none can be read.
        """
        if not reasons:
            return
        self.bad += [(self.item_name(i), reasons[i]) for i in sorted(reasons)]
        listed = "\n".join(f"  {path}: {reason}" for path, reason in self.bad[:20])
        more = f"\n  … and {len(self.bad) - 20} more" if len(self.bad) > 20 else ""
        if len(reasons) == len(self):
            raise DataError(f"{self.name}: none of the {len(self)} images can be read:\n{listed}{more}")
        if not self.skip_bad:
            raise DataError(
                f"{self.name}: {len(reasons)} of {len(self)} images cannot be read:\n{listed}{more}\n"
                "Repair or remove them, or go on without them: --skip-bad (Python: skip_bad=True)."
            )
        kept = [i for i in range(len(self)) if i not in reasons]
        names = None if self.labels is None else [self.classes[self.labels[i]] for i in kept]
        self._keep(kept)
        if names is not None:
            self.set_labels(names)

    @abstractmethod
    def _keep(self, kept: Sequence[int]) -> None: ...

    def describe(self) -> str:
        """One line: how many images of what sizes and colours, which classes, what was left out."""
        sizes = self.sizes
        (low, narrow), (high, wide) = sizes.min(axis=0), sizes.max(axis=0)
        size = f"{wide}×{high}" if (low, narrow) == (high, wide) else f"{narrow}×{low} to {wide}×{high}"
        parts = [f"{len(self)} images", f"{size} pixels", "/".join(sorted(self.modes))]
        if self.labels is not None:
            shown = ", ".join(self.classes[:10]) + (", …" if len(self.classes) > 10 else "")
            parts.append(f"{len(self.classes)} classes ({shown})")
        if self.bad:
            parts.append(f"{len(self.bad)} unreadable and skipped")
        return ", ".join(parts + ([self.note] if self.note else []))


def label_by_folders(source: ImageSource, folders: Sequence[Sequence[str]]) -> None:
    """Label images by the folders that they lie in: those of the first level are the classes.

    Args:
        source: Its labels are set, unless all images lie at the top or all lie deeper; ``note`` says so then.
        folders: Of each image, from the top.

    Raises:
        DataError: Some images lie at the top and some in folders.
    """
    depths = [len(path) for path in folders]
    if 1 not in depths:
        if max(depths) > 1:
            reason = "no labels: images lie deeper than the immediate sub-folders"
            source.note = "; ".join(filter(None, [source.note, reason]))
        return
    if 0 in depths:
        loose = source.item_name(depths.index(0)).rsplit("/", 1)[-1]
        raise DataError(
            f"{source.name}: {depths.count(0)} images lie at the top ({loose}, …) and {len(depths) - depths.count(0)} "
            "in sub-folders; expected either, because sub-folders are read as classes. Move the loose ones away or "
            "into a class."
        )
    source.set_labels([path[0] for path in folders])


class ArraySource(ImageSource):
    """Images of one size in one array, in memory or memory-mapped.

    Args:
        array: ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)``; see :mod:`aegan.data.form`.
        name: Named in errors.
        container: ``"numpy"``, ``"torch"`` or ``"arrays"``, what samples shall be returned as.
        dtype: Name of the data type to return, when it is not the array's own (bfloat16).
        like: Form of the data an adapter was fitted on, to settle doubt about layout and range.

    Raises:
        DataError: Not an array of images, or values that are NaN, infinite or out of range.
    """

    threads = True

    def __init__(
        self, array: np.ndarray, name: str, *, container: str = "numpy", dtype: str = "", like: Form | None = None
    ) -> None:
        known = None if like is None else like.layout
        self.array = array
        self.layout = find_layout(array.shape, name, torch_order=container == "torch", like=known)
        self.range = find_range(self._raw_blocks, array.dtype, name, like=like)
        super().__init__(
            name, Form(container=container, layout=self.layout, dtype=dtype or str(array.dtype), range=self.range)
        )

    def __len__(self) -> int:
        return len(self.array)

    def _raw_blocks(self) -> Iterator[np.ndarray]:
        step = self.step
        for start in range(0, len(self.array), step):
            yield self.array[start : start + step]

    @property
    def step(self) -> int:
        """Images in a block of about 64 MiB."""
        return max(1, BLOCK_BYTES // max(1, self.array[:1].nbytes))

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(C, H, W)`` of every image."""
        c, h, w = self.channels_first(self.array[:1]).shape[1:]
        return c, h, w

    @property
    def sizes(self) -> np.ndarray:
        """Height and width of the images, ``(N, 2)``."""
        return np.broadcast_to(np.array(self.shape[1:], dtype=np.int64), (len(self), 2))

    @property
    def modes(self) -> frozenset[str]:
        """The one mode that fits the number of channels."""
        return frozenset([MODE_OF[self.shape[0]]])

    @property
    def is_plain(self) -> bool:
        """Whether the array already holds uint8 in 0..255, to be used without change."""
        return self.array.dtype == np.uint8 and self.range == "byte"

    def channels_first(self, part: np.ndarray) -> np.ndarray:
        """A view of ``part`` (rows of the array) as ``(n, C, H, W)``."""
        if self.layout == "NHW":
            return part[:, None]
        return part.transpose(0, 3, 1, 2) if self.layout == "NHWC" else part

    def block(self, start: int, stop: int) -> np.ndarray:
        """Images ``start`` to ``stop`` as uint8 ``(n, C, H, W)``."""
        return self.channels_first(to_uint8(self.array[start:stop], self.range))

    def read(self, i: int, *, at_least: int | None = None) -> Image.Image:
        """Image ``i`` as a PIL image."""
        return picture(self.block(i, i + 1)[0].transpose(1, 2, 0))

    def item_name(self, i: int) -> str:
        """Number of the image."""
        return f"image {i}"

    def _keep(self, kept: Sequence[int]) -> None:
        self.array = self.array[np.asarray(kept)]


class MixedSource(ImageSource):
    """A list of arrays of different sizes, each ``(H, W)``, ``(H, W, C)`` or ``(C, H, W)``, of one data type.

    Args:
        arrays: The images.
        name: Named in errors.
        like: Form of the data an adapter was fitted on.

    Raises:
        DataError: Different data types, or anything that :class:`ArraySource` refuses.
    """

    threads = True

    def __init__(self, arrays: Sequence[np.ndarray], name: str, *, like: Form | None = None) -> None:
        for i, array in enumerate(arrays):
            if array.dtype != arrays[0].dtype:
                raise DataError(
                    f"{name}: image {i} is {array.dtype}, image 0 is {arrays[0].dtype}; expected one data type. "
                    "Convert with x.astype."
                )
        self.arrays = [_channels_last(array, f"{name}: image {i}") for i, array in enumerate(arrays)]
        dtype = arrays[0].dtype
        self.range = find_range(lambda: (array[None] for array in self.arrays), dtype, name, like=like)
        super().__init__(name, Form(container="arrays", layout="auto", dtype=str(dtype), range=self.range))

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def sizes(self) -> np.ndarray:
        """Height and width of each image, ``(N, 2)``."""
        return np.array([array.shape[:2] for array in self.arrays], dtype=np.int64)

    @property
    def modes(self) -> frozenset[str]:
        """The modes that fit the numbers of channels."""
        return frozenset(MODE_OF[array.shape[2]] for array in self.arrays)

    def read(self, i: int, *, at_least: int | None = None) -> Image.Image:
        """Image ``i`` as a PIL image."""
        return picture(to_uint8(self.arrays[i], self.range))

    def item_name(self, i: int) -> str:
        """Number of the image."""
        return f"image {i}"

    def _keep(self, kept: Sequence[int]) -> None:
        self.arrays = [self.arrays[i] for i in kept]


def _channels_last(array: np.ndarray, where: str) -> np.ndarray:
    if array.size and array.ndim == 2:
        return array[:, :, None]
    if array.size and array.ndim == 3:
        if array.shape[2] in CHANNELS:
            return array
        if array.shape[0] in CHANNELS:
            return array.transpose(1, 2, 0)
    raise DataError(f"{where}: got shape {array.shape}; expected (H, W), (H, W, C) or (C, H, W) with C = 1, 3 or 4.")


def picture(array: np.ndarray) -> Image.Image:
    """A PIL image from uint8 ``(H, W, C)``."""
    return Image.fromarray(np.ascontiguousarray(array[:, :, 0] if array.shape[2] == 1 else array))


def listing(names: Collection[str], most: int = 12) -> str:
    """The names joined by commas, shortened when there are many."""
    shown = list(names)[:most]
    return ", ".join(shown) + (f", … ({len(names)} in all)" if len(names) > most else "")
