"""The array files: NumPy's .npy and .npz, and IDX (MNIST's format), plain or gzipped. Nothing is ever unpickled."""

from __future__ import annotations

import gzip
import math
import re
import struct
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from aegan.data.image_source import listing
from aegan.errors import DataError

IMAGE_KEYS = ("x", "images", "data", "x_train", "arr_0")
LABEL_KEYS = ("y", "labels", "targets", "y_train")
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_IDX_NAME = re.compile(r"idx\d.*ubyte|\.idx\d?$")


def is_idx(path: Path) -> bool:
    """Whether the file is named like an IDX file, ``train-images-idx3-ubyte.gz`` for instance."""
    return bool(_IDX_NAME.search(path.name.removesuffix(".gz")))


def read_npy(path: Path) -> np.ndarray:
    """The array of a ``.npy`` file, memory-mapped read-only.

    Raises:
        DataError: Truncated, corrupt, pickled, or not an ``.npy`` file.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # damaged files make numpy and zlib raise nearly anything
        raise DataError(f"{path}: {_why(error, path)} Save it again with numpy.save.") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError(f"{path}: an .npz archive under an .npy name. Rename it to {path.stem}.npz.")
    return array


def read_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Images and labels of an ``.npz`` file.

    Images are looked for under ``x``, ``images``, ``data``, ``x_train``, ``arr_0``; labels under ``y``, ``labels``,
    ``targets``, ``y_train``. Where there is a ``classes`` array of names, integer labels are indices into it.

    Raises:
        DataError: Truncated, corrupt, pickled, or without images.
    """
    try:
        with path.open("rb") as file:  # numpy leaves the file open when the archive is damaged
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: not an .npz archive but one array. Rename it to {path.stem}.npy.")
            held = archive.files
            key = next((key for key in IMAGE_KEYS if key in held), None)
            if key is None:
                raise DataError(
                    f"{path}: holds the arrays {listing(held) or '(none)'}; expected images under one of "
                    f"{', '.join(IMAGE_KEYS)}. Save with numpy.savez(path, x=images, y=labels)."
                )
            label_key = next((key for key in LABEL_KEYS if key in held), None)
            images = archive[key]
            labels = None if label_key is None else archive[label_key]
            names = archive["classes"] if "classes" in held else None
    except DataError:
        raise
    except Exception as error:  # damaged files make numpy and zlib raise nearly anything
        raise DataError(f"{path}: {_why(error, path)} Save it again with numpy.savez.") from error
    for held_key, array in ((key, images), (label_key, labels)):
        if array is not None and not isinstance(array, np.ndarray):
            raise DataError(f"{path}: {held_key!r} is corrupt, it is no array. Save it again with numpy.savez.")
    return images, _named(labels, names)


def _named(labels: np.ndarray | None, names: Any) -> np.ndarray | None:
    if labels is None or not isinstance(names, np.ndarray) or labels.dtype.kind not in "iu" or names.dtype.kind != "U":
        return labels
    fits = names.ndim == 1 and labels.size > 0 and labels.min() >= 0 and labels.max() < len(names)
    return names[labels] if fits else labels


def read_idx(path: Path) -> np.ndarray:
    """The array of an IDX file, gzipped or not.

    Raises:
        DataError: Truncated, corrupt, too long, or not IDX.
    """
    try:
        opened: Any = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
        with opened as file:
            return _parse_idx(cast(BinaryIO, file), path)
    except DataError:
        raise
    except Exception as error:  # damaged files make numpy and zlib raise nearly anything
        raise DataError(f"{path}: {_why(error, path)} Fetch it again.") from error


def _parse_idx(file: BinaryIO, path: Path) -> np.ndarray:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES or not 1 <= head[3] <= 4:
        fix = "It is gzipped: add .gz to its name." if head.startswith(b"\x1f\x8b") else "Fetch it again."
        raise DataError(
            f"{path}: not an IDX file: it begins with {head.hex(' ') or 'nothing (empty file)'}; expected 00 00, "
            f"a type (08 for bytes) and 1 to 4 axes. {fix}"
        )
    axes = head[3]
    raw_shape = file.read(4 * axes)
    if len(raw_shape) < 4 * axes:
        raise DataError(f"{path}: truncated: it ends inside its header. Fetch it again.")
    shape = struct.unpack(f">{axes}I", raw_shape)
    dtype = np.dtype(_IDX_TYPES[head[2]])
    expected = math.prod(shape) * dtype.itemsize
    body = _read_up_to(file, expected)
    if len(body) < expected:
        raise DataError(
            f"{path}: truncated: the header promises {shape} values, {expected} bytes; got {len(body)}. Fetch it again."
        )
    if file.read(1):
        raise DataError(f"{path}: corrupt: more bytes than the {expected} its header {shape} promises. Fetch it again.")
    return np.frombuffer(body, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _read_up_to(file: BinaryIO, size: int) -> bytearray:
    """At most ``size`` bytes, in pieces, so that a header that lies cannot ask for more memory than there is data."""
    body = bytearray()
    while len(body) < size and (piece := file.read(min(size - len(body), 16 << 20))):
        body += piece
    return body


def read_idx_pair(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Images of an IDX file, and the labels of the file that goes with it, if there is one.

    ``train-images-idx3-ubyte.gz`` goes with ``train-labels-idx1-ubyte.gz``, gzipped or not.

    Raises:
        DataError: One of the files is damaged, ``path`` holds labels, or the lengths differ.
    """
    images = read_idx(path)
    if images.ndim == 1:
        raise DataError(
            f"{path}: holds labels, one number a sample, not images. "
            "Give the file with 'images' and 'idx3' in its name."
        )
    bare = path.name.removesuffix(".gz")
    partner = re.sub(r"idx\d", "idx1", bare.replace("images", "labels"))
    for name in (partner, partner + ".gz"):
        beside = path.with_name(name)
        if partner != bare and beside.is_file():
            labels = read_idx(beside)
            if labels.shape != images.shape[:1]:
                raise DataError(
                    f"{beside}: {labels.shape} labels for {len(images)} images in {path.name}; expected as many. "
                    "The two files do not belong together: fetch both again, or move the labels away."
                )
            return images, labels
    return images, None


def choose_idx(files: list[Path], folder: Path) -> Path:
    """Which IDX file of a folder holds the training images.

    Raises:
        DataError: There is none, or more than one could be meant.
    """
    images = sorted(path for path in files if "labels" not in path.name and "idx1" not in path.name)
    bare = {path.name.removesuffix(".gz"): path for path in reversed(images)}  # x and x.gz are the same data
    train = [path for path in bare.values() if path.name.startswith("train")]
    chosen = train or list(bare.values())
    if len(chosen) == 1:
        return chosen[0]
    found = listing([path.name for path in files])
    raise DataError(
        f"{folder}: IDX files {found}; expected one that holds images, or one whose name starts with 'train'. "
        "Give the path of the file itself."
    )


def _why(error: BaseException, path: Path) -> str:
    text = " ".join(str(error).split())
    if path.is_file() and path.stat().st_size == 0:
        return "empty file (zero bytes)."
    if isinstance(error, PermissionError):
        return "no permission to read it."
    if isinstance(error, MemoryError):
        return f"corrupt, or larger than memory ({text}); large data are read best from .npy."
    if "pickle" in text or "Python objects" in text:
        return "holds Python objects (pickled), which are never loaded because they can run code; expected numbers."
    if isinstance(error, gzip.BadGzipFile):
        return f"not gzip, in spite of its name, or corrupt ({text})."
    if isinstance(error, EOFError) or "greater than file size" in text:
        return f"truncated ({text or 'ends too early'})."
    return f"truncated or corrupt ({text[:160] or type(error).__name__})."
