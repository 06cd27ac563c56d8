"""Images to uint8 tensors and back."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aegan.data.base import Adapter, TensorData
from aegan.data.form import CHANNELS, Form
from aegan.data.image_source import ArraySource, ImageSource
from aegan.data.labels import map_labels
from aegan.data.pictures import CHUNK, THREADS, FileSource, in_order
from aegan.data.resize import RESIZE, SMALLEST_SIDE, choose_size, fit_picture
from aegan.data.sources import open_source
from aegan.data.store import default_memory_limit, release, reserve
from aegan.errors import ConfigError, DataError
from aegan.types import Spec


class ImageAdapter(Adapter):
    """Folders, archives, files, arrays and lists of images to uint8 ``(N, C, H, W)`` and back.

    Args:
        size: Side, or ``(height, width)``, of the images a model sees, at least 8. None: see
            :func:`~aegan.data.resize.choose_size`.
        resize: ``"crop"``, ``"pad"`` or ``"stretch"``; see :func:`~aegan.data.resize.fit_picture`.
        channels: 1, 3 or 4. None takes the richest found: 1 when all is grey, 3 with any colour, 4 with any
            transparency.
        skip_bad: Skip unreadable images (listed in ``bad``); otherwise they are one error after all were tried.
        memory_limit: Most bytes of decoded images to hold in memory; beyond, they lie in a temporary file. None: a
            quarter of the machine's memory. A larger ``.npy`` file of uint8 that needs no change is used in place.
        cache_dir: Folder for that temporary file, and for the one that a compressed tar is unpacked to; the system's
            when None.

    Attributes:
        spec: Kind ``"image"``, shape ``(C, H, W)``, classes; set by :meth:`fit`.
        form: How the fitted source was written down.
        bad: ``(path, reason)`` of the images skipped in the latest reading.
        summary: One line on the fitted source.

    Raises:
        ConfigError: An option that cannot work.

    >>> pixels = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
    >>> adapter = ImageAdapter().fit(pixels)
    >>> adapter.spec.shape, adapter.to_tensors(pixels).fields["x"].shape
    ((1, 8, 8), torch.Size([2, 1, 8, 8]))
    """

    def __init__(
        self,
        *,
        size: int | tuple[int, int] | None = None,
        resize: str = "crop",
        channels: int | None = None,
        skip_bad: bool = False,
        memory_limit: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.size = _checked_size(size)
        if resize not in RESIZE:
            raise ConfigError(f"ImageAdapter: resize is {resize!r}; expected one of {', '.join(RESIZE)}.")
        if channels is not None and (isinstance(channels, bool) or channels not in CHANNELS):
            raise ConfigError(f"ImageAdapter: channels is {channels!r}; expected 1 (grey), 3 (RGB), 4 (RGBA) or None.")
        if memory_limit is not None and memory_limit < 0:
            raise ConfigError(f"ImageAdapter: memory_limit is {memory_limit}; expected bytes, 0 or more, or None.")
        self.resize = resize
        self.channels = channels
        self.skip_bad = skip_bad
        self.memory_limit = default_memory_limit() if memory_limit is None else memory_limit
        self.cache_dir = cache_dir
        self.form: Form | None = None
        self.bad: list[tuple[str, str]] = []
        self.summary = ""
        self._cache: tuple[Any, TensorData] | None = None

    def fit(self, source: Any) -> ImageAdapter:
        """Learn size, channels and classes from ``source`` (see :func:`~aegan.data.sources.open_source`).

        The images are decoded once and kept for the call of :meth:`to_tensors` on the same source that follows.

        Raises:
            DataError: Unreadable, fewer than two images, all of them identical, or smaller than 8 pixels.
            StorageError: No room for the temporary file.
        """
        opened = open_source(source, skip_bad=self.skip_bad, cache_dir=self.cache_dir)
        _need(opened, 2)
        size, channels = self._target(opened)
        x = self._decode(opened, size, channels)
        _need(opened, 2)
        if (without_bad := self._target(opened)) != (size, channels):  # what was skipped had a say in it
            size, channels = without_bad
            x = self._decode(opened, size, channels)
        modes = opened.modes
        if self.channels is None and channels == 4 and _opaque(x):
            channels = 1 if modes <= {"L", "LA"} else 3
            x = x[:, :channels]
        if _constant(x):
            raise DataError(
                f"{opened.name}: all {len(x)} images are identical at {size[1]}×{size[0]} pixels; there is nothing to "
                "learn. Expected different images: check the path or the array, or a larger size."
            )
        # One class says nothing that a model could be conditioned on.
        classes = opened.classes if len(opened.classes) > 1 else ()
        self.spec = Spec(kind="image", shape=(channels, *size), classes=classes)
        self.form = opened.form
        self.summary = opened.describe()
        y = opened.labels if classes else None
        self._cache = (source, _data(x, y))
        return self

    def to_tensors(self, source: Any) -> TensorData:
        """Read ``source`` at the fitted size and channels.

        Returns:
            ``x`` uint8 ``(N, C, H, W)``; ``y`` int64 ``(N,)`` when both this source and the fitted one are labelled,
            its classes matched by name.

        Raises:
            DataError: Unreadable, empty, or with a class that the fitted source does not have.
            StorageError: No room for the temporary file.
        """
        spec, form = self._fitted()
        cached, self._cache = self._cache, None
        if cached is not None and _same_source(cached[0], source):
            return cached[1]
        opened = open_source(source, skip_bad=self.skip_bad, like=form, cache_dir=self.cache_dir)
        _need(opened, 1)
        x = self._decode(opened, (spec.shape[1], spec.shape[2]), spec.shape[0])
        y = None
        if opened.labels is not None and spec.classes:
            y = map_labels(opened.labels, opened.classes, spec.classes, opened.name)
        return _data(x, y)

    def with_classes_of(self, source: Any) -> tuple[ImageAdapter, Any]:
        """See :meth:`~aegan.data.base.Adapter.with_classes_of`; a single class is one, too."""
        spec, form = self._fitted()
        opened = open_source(source, skip_bad=self.skip_bad, like=form, cache_dir=self.cache_dir)
        if opened.labels is None:
            return self, opened
        known = copy(self)
        known.spec = replace(spec, classes=opened.classes)
        return known, opened

    def names(self, source: Any) -> list[str] | None:
        """See :meth:`~aegan.data.base.Adapter.names`; below the folder or the archive, where the source is one."""
        first = source
        while isinstance(first, (list, tuple)) and first:
            first = first[0]
        if not isinstance(first, (str, os.PathLike, FileSource)):  # arrays would be looked through for their range
            return None
        opened = open_source(source, skip_bad=self.skip_bad, like=self.form, cache_dir=self.cache_dir)
        if not isinstance(opened, FileSource) or opened.form.container == "pictures":
            return None
        skipped = {name for name, _ in self.bad}
        return [name for name in map(opened.item_name, range(len(opened))) if name not in skipped]

    def from_tensors(self, x: Tensor) -> Any:
        """Network output as the kind of thing ``fit`` was given.

        Args:
            x: Float in [-1, 1], ``(N, C, H, W)``; values beyond are clipped.

        Returns:
            An array, tensor or list with the layout, data type and range of the fitted one; for folders and files
            a uint8 array ``(N, H, W)`` when grey, else ``(N, H, W, C)``.

        Raises:
            DataError: Another shape, or values that are not finite.
        """
        spec, form = self._fitted()
        if not x.is_floating_point() or x.ndim != 4 or tuple(x.shape[1:]) != spec.shape:
            raise DataError(
                f"from_tensors: got {x.dtype} {tuple(x.shape)}; expected floats of shape (N, *{spec.shape})."
            )
        if not torch.isfinite(x).all():
            raise DataError("from_tensors: the images hold NaN or infinite values; the model that drew them diverged.")
        return form.write(x)

    def to_json(self) -> dict[str, Any]:
        """Options, spec and form as plain JSON values; limits of this machine are left out."""
        spec, form = self._fitted()
        size = list(self.size) if self.size else None
        options = {"size": size, "resize": self.resize, "channels": self.channels, "skip_bad": self.skip_bad}
        plain = spec.to_json() | {"shape": list(spec.shape), "classes": list(spec.classes)}
        return {"adapter": "image", "options": options, "spec": plain, "form": form.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ImageAdapter:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: A key is missing or unknown, or a value cannot be.
        """
        _check_keys(data, ("adapter", "options", "spec", "form"), "adapter")
        if data["adapter"] != "image":
            raise DataError(f"adapter: kind {data['adapter']!r}; expected 'image'.")
        _check_keys(data["options"], ("size", "resize", "channels", "skip_bad"), "adapter options")
        _check_keys(data["spec"], ("kind", "shape", "likelihood", "classes"), "adapter spec")
        options, spec = dict(data["options"]), data["spec"]
        if isinstance(options["size"], list):
            options["size"] = tuple(options["size"])
        try:
            adapter = cls(**options)
        except ConfigError as error:
            raise DataError(f"adapter options: {error}") from error
        shape, classes = spec["shape"], spec["classes"]
        if spec["kind"] != "image" or not _is_shape(shape):
            raise DataError(f"adapter spec: got kind {spec['kind']!r}, shape {shape!r}; expected 'image', [C, H, W].")
        if not isinstance(classes, (list, tuple)) or not all(isinstance(name, str) for name in classes):
            raise DataError(f"adapter spec: classes is {classes!r}; expected a list of names.")
        adapter.spec = Spec.from_json(spec)
        adapter.form = Form.from_json(data["form"])
        return adapter

    def _fitted(self) -> tuple[Spec, Form]:
        if self.form is None:
            raise ConfigError("ImageAdapter: not fitted yet. Call fit(source) first, or from_json.")
        return self.spec, self.form

    def _target(self, source: ImageSource) -> tuple[tuple[int, int], int]:
        """Size and channels that the options, or else the headers, ask for."""
        size = self.size or choose_size(source.sizes, source.name)
        modes = source.modes
        return size, self.channels or (4 if modes & {"LA", "RGBA"} else 3 if "RGB" in modes else 1)

    def _decode(self, source: ImageSource, size: tuple[int, int], channels: int) -> np.ndarray:
        """All readable images as uint8 ``(N, C, H, W)``, in order; ``source`` drops the others."""
        self.bad = source.bad
        if isinstance(source, ArraySource) and source.shape == (channels, *size):
            x = self._copy(source)
        else:
            x = reserve((len(source), channels, *size), self.memory_limit, self.cache_dir)
            # JPEG decodes at 1/2, 1/4 or 1/8 for a fraction of the time; twice the target leaves Lanczos its work.
            at_least = 2 * max(size)

            def place(i: int) -> str | None:
                try:
                    x[i] = fit_picture(source.read(i, at_least=at_least), size, self.resize, channels)
                    if i % (8 * CHUNK) == 0:
                        release(x)
                except DataError as error:
                    return str(error)
                return None

            done = in_order(place, len(source), THREADS if source.threads else 1)
            reasons = {i: reason for i, reason in enumerate(done) if reason is not None}
            source.report_bad(reasons)
            x = _without(x, reasons)
        return x

    def _copy(self, source: ArraySource) -> np.ndarray:
        """An array that needs no resizing: as it is when plain and large, otherwise copied in blocks."""
        shape = (len(source), *source.shape)
        if source.is_plain and np.prod(shape, dtype=np.int64) > self.memory_limit:
            view = source.channels_first(source.array).view()
            view.flags.writeable = False
            return view
        x = reserve(shape, self.memory_limit, self.cache_dir)
        for start in range(0, len(source), source.step):
            x[start : start + source.step] = source.block(start, start + source.step)
            release(source.array)
            release(x)
        return x


def _checked_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    pair = (size, size) if isinstance(size, int) else size
    if (
        not isinstance(pair, (tuple, list))
        or len(pair) != 2
        or not all(isinstance(side, int) and not isinstance(side, bool) and side >= SMALLEST_SIDE for side in pair)
    ):
        raise ConfigError(
            f"ImageAdapter: size is {size!r}; expected one number or (height, width), each at least {SMALLEST_SIDE}."
        )
    return pair[0], pair[1]


def _need(source: ImageSource, least: int) -> None:
    if len(source) < least:
        raise DataError(
            f"{source.name}: got {len(source)} image{'' if len(source) == 1 else 's'}; expected at least {least}. "
            "Give a folder or an array with more images."
        )


def _without(x: np.ndarray, rows: Mapping[int, str]) -> np.ndarray:
    """Close the gaps that unreadable images left, in place."""
    if not rows:
        return x
    to = 0
    for i in range(len(x)):
        if i not in rows:
            x[to] = x[i]
            to += 1
    return x[:to]


def _opaque(x: np.ndarray) -> bool:
    return all((part[:, 3] == 255).all() for part in _chunks(x))


def _constant(x: np.ndarray) -> bool:
    return all((part == x[0]).all() for part in _chunks(x))


def _chunks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Some images at a time; pages of a memory map are handed back behind each."""
    for start in range(0, len(x), CHUNK):
        yield x[start : start + CHUNK]
        release(x)


def _data(x: np.ndarray, y: np.ndarray | None) -> TensorData:
    """Arrays in memory become tensors; memory maps and views of the user's arrays stay read-only arrays."""
    fields: dict[str, Any] = {}
    if isinstance(x, np.memmap) or not x.flags.writeable:
        x = x.view()
        x.flags.writeable = False
        fields["x"] = x
    else:
        fields["x"] = torch.from_numpy(np.ascontiguousarray(x))
    if y is not None:
        fields["y"] = torch.from_numpy(y)
    return TensorData(**fields)


def _same_source(a: Any, b: Any) -> bool:
    if isinstance(a, (str, os.PathLike)) and isinstance(b, (str, os.PathLike)):
        return os.path.realpath(a) == os.path.realpath(b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(_same_source(one, other) for one, other in zip(a, b, strict=True))
    return a is b


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, (list, tuple))
        and len(shape) == 3
        and all(isinstance(side, int) and side > 0 for side in shape)
        and shape[0] in CHANNELS
    )


def _check_keys(data: Any, keys: tuple[str, ...], where: str) -> None:
    if not isinstance(data, Mapping):
        raise DataError(f"{where}: got {type(data).__name__}; expected an object with {', '.join(keys)}.")
    missing, odd = [key for key in keys if key not in data], [key for key in data if key not in keys]
    if missing or odd:
        raise DataError(
            f"{where}: missing {', '.join(missing) or 'nothing'}; unknown {', '.join(map(str, odd)) or 'nothing'}. "
            f"Expected the keys {', '.join(keys)}."
        )
