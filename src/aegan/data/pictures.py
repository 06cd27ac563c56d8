"""Image files and PIL images: what can be known from their headers, and decoding with honest errors."""

from __future__ import annotations

import io
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from aegan.data.form import Form
from aegan.data.image_source import ImageSource
from aegan.errors import DataError

T = TypeVar("T")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
MODES = ("L", "LA", "RGB", "RGBA")
CHUNK, TASK = 512, 16
"""Images that are under way at a time, and in one task of a thread."""
MAX_PIXELS = 89_478_485
"""Larger images are taken for decompression bombs, as Pillow does by default."""
THREADS = min(8, os.cpu_count() or 1)
_SIDEWAYS = {5, 6, 7, 8}  # EXIF orientations that swap width and height
_ORIENTATION = 0x0112


class FileSource(ImageSource):
    """Images whose headers tell size and colours: read once, when first asked for, and kept in 12 bytes each."""

    _headers: np.ndarray | None = None

    @abstractmethod
    def header(self, i: int) -> tuple[int, int, str]:
        """Height, width (after EXIF rotation) and mode of image ``i`` without decoding it.

        Raises:
            DataError: Even the header cannot be read.
        """

    def _scan(self) -> np.ndarray:
        """Height, width and number of the mode of those whose header can be read, int32 ``(M, 3)``."""
        if self._headers is None:

            def facts(i: int) -> tuple[int, int, int]:
                try:
                    height, width, mode = self.header(i)
                except DataError:
                    return (-1, -1, -1)
                return height, width, MODES.index(mode)

            found = np.empty((len(self), 3), dtype=np.int32)
            for i, row in enumerate(in_order(facts, len(self), THREADS if self.threads else 1)):
                found[i] = row
            self._headers = found
        readable = self._headers[self._headers[:, 0] >= 0]
        if not len(readable):
            self.report_bad(self._reasons())
        return readable

    def _reasons(self) -> dict[int, str]:
        reasons = {}
        for i in range(len(self)):
            try:
                self.read(i)
            except DataError as error:
                reasons[i] = str(error)
        return reasons

    @property
    def sizes(self) -> np.ndarray:
        """Height and width after EXIF rotation, from the headers of the readable images, ``(M, 2)``."""
        return self._scan()[:, :2].astype(np.int64)

    @property
    def modes(self) -> frozenset[str]:
        """Colour modes that occur, from the headers."""
        return frozenset(MODES[i] for i in np.unique(self._scan()[:, 2]))

    def _keep(self, kept: Sequence[int]) -> None:
        if self._headers is not None:
            self._headers = self._headers[np.asarray(kept)]


class PictureSource(FileSource):
    """Image files, or PIL images in memory, read one by one.

    Args:
        items: Paths or PIL images.
        name: Folder or type, named in errors.
        skip_bad: Skip unreadable images instead of failing once all were tried.
        root: Paths are shown relative to this in messages.
        note: A remark for :meth:`describe`.
    """

    def __init__(
        self,
        items: Sequence[Path | Image.Image],
        name: str,
        *,
        skip_bad: bool = False,
        root: Path | None = None,
        note: str = "",
    ) -> None:
        self.items = list(items)
        self.root = root
        in_memory = any(isinstance(item, Image.Image) for item in self.items)
        self.threads = not in_memory  # one PIL image must not be loaded by two threads at once
        super().__init__(name, Form(container="pictures" if in_memory else "numpy"), skip_bad=skip_bad, note=note)

    def __len__(self) -> int:
        return len(self.items)

    def header(self, i: int) -> tuple[int, int, str]:
        """See :meth:`FileSource.header`."""
        item = self.items[i]
        return guarded(lambda: _facts(item) if isinstance(item, Image.Image) else header_of(item))

    def read(self, i: int, *, at_least: int | None = None) -> Image.Image:
        """Image ``i``, upright, as L, RGB or RGBA; see :meth:`ImageSource.read`."""
        item = self.items[i]
        return guarded(lambda: plain(item) if isinstance(item, Image.Image) else decode(item, at_least))

    def item_name(self, i: int) -> str:
        """Path of the file, or number of the image in the list."""
        item = self.items[i]
        if isinstance(item, Image.Image):
            return f"image {i}"
        return str(item.relative_to(self.root)) if self.root and item.is_relative_to(self.root) else str(item)

    def _keep(self, kept: Sequence[int]) -> None:
        self.items = [self.items[i] for i in kept]
        super()._keep(kept)


def in_order(work: Callable[[int], T], n: int, threads: int) -> Iterator[T]:
    """What ``work`` returns for every index below ``n``, in order; bounded in memory, and soon done on Ctrl-C."""
    if threads == 1:
        yield from map(work, range(n))
        return

    def some(start: int) -> list[T]:  # a task for each small image would cost more than the image
        return [work(i) for i in range(start, min(n, start + TASK))]

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, n, CHUNK):
            for done in pool.map(some, range(start, min(n, start + CHUNK), TASK)):
                yield from done


def guarded(work: Callable[[], T]) -> T:
    """Run ``work``; whatever Pillow raises on a damaged file becomes one DataError with a short reason."""
    try:
        return work()
    except (MemoryError, DataError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(_too_large()) from error
    except Exception as error:
        raise DataError(_reason(error)) from error


def _too_large() -> str:
    return f"more than {MAX_PIXELS // 1_000_000} million pixels, taken for a decompression bomb; shrink it first"


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image, in spite of its name"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, FileNotFoundError):
        return "no such file (a broken link?)"
    text = " ".join(str(error).split()) or type(error).__name__
    return f"truncated or corrupt ({text[:120]})"


def _open(file: Path | bytes) -> Image.Image:
    if (len(file) if isinstance(file, bytes) else file.stat().st_size) == 0:
        raise DataError("empty file (zero bytes)")
    image = Image.open(io.BytesIO(file) if isinstance(file, bytes) else file)
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise DataError(_too_large())
    return image


def decode(file: Path | bytes, at_least: int | None) -> Image.Image:
    """The image in a file, or in the bytes of one; see :meth:`ImageSource.read`. To be called by :func:`guarded`."""
    with _open(file) as image:
        if at_least is not None and image.format == "JPEG" and image.mode in ("L", "RGB"):
            image.draft(image.mode, (at_least, at_least))
        return plain(image)


def header_of(file: Path | bytes) -> tuple[int, int, str]:
    """Height, width and mode of the image in a file, or in the bytes of one, or in its first bytes."""
    with _open(file) as image:
        return _facts(image)


def plain(image: Image.Image) -> Image.Image:
    """The image upright, with 8 bits a channel, as L, RGB, or RGBA when it has transparency.

    16-bit grey is scaled by 1/257; palettes are expanded; CMYK and others become RGB.

    Raises:
        DataError: 32-bit values beyond 16 bits, or floats.
    """
    image.load()
    if image.getexif().get(_ORIENTATION, 1) != 1:  # it would copy every image
        image = ImageOps.exif_transpose(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_deep(image)
    if image.mode in ("RGB", "RGBA", "L", "1", "P") and "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in ("L", "1"):
        return image.convert("L")
    if image.mode in ("RGB", "RGBA"):
        return image
    return image.convert("RGBA" if image.mode in ("LA", "La", "PA", "RGBa") else "RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise DataError(f"mode {image.mode} with values {values.min():g} to {values.max():g}; convert to 8 or 16 bit")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _facts(image: Image.Image) -> tuple[int, int, str]:
    width, height = image.size
    # Asking a PNG for EXIF it does not announce would decode the whole file.
    if (image.format in ("JPEG", "MPO", "WEBP") or "exif" in image.info) and (
        image.getexif().get(_ORIENTATION) in _SIDEWAYS
    ):
        width, height = height, width
    return height, width, _mode(image)


def _mode(image: Image.Image) -> str:
    alpha = "transparency" in image.info
    if image.mode in ("L", "1", "I", "F") or image.mode.startswith("I;16"):
        return "LA" if alpha else "L"
    if image.mode in ("LA", "La"):
        return "LA"
    if image.mode == "P":
        table = image.palette.tobytes() if image.palette and image.palette.mode == "RGB" else b"\0\1\2"
        grey = table[0::3] == table[1::3] == table[2::3]
        return ("LA" if alpha else "L") if grey else ("RGBA" if alpha else "RGB")
    return "RGBA" if alpha or image.mode in ("RGBA", "RGBa", "PA") else "RGB"
