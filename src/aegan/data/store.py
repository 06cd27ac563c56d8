"""Room for decoded images: memory where they fit, otherwise a file on disk that vanishes with its last user."""

from __future__ import annotations

import errno
import math
import mmap
import os
import tempfile
import weakref
from pathlib import Path

import numpy as np

from aegan.errors import StorageError


def default_memory_limit() -> int:
    """A quarter of the memory this process may use, in bytes."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        total = 8 << 30
    try:
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        pass
    return total // 4


def reserve(
    shape: tuple[int, ...], limit: int, cache_dir: str | os.PathLike[str] | None, what: str = "decoded images"
) -> np.ndarray:
    """A writable uint8 array; a memory map when it would take more than ``limit`` bytes.

    The file behind a map is given its full size at once (a full disk is an error now, not a crash later), and is
    removed at once where the system allows it (the map stays valid), otherwise when the map is collected.

    Args:
        shape: Shape of the array.
        limit: Most bytes to hold in memory.
        cache_dir: Folder for the file; the system's temporary folder when None.
        what: What the array is for, named in the error.

    Raises:
        StorageError: No room, or no permission.
    """
    size = math.prod(shape)
    if size <= limit:
        return np.empty(shape, dtype=np.uint8)
    folder = Path(cache_dir) if cache_dir is not None else Path(tempfile.gettempdir())
    path: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="aegan-", suffix=".pixels", dir=folder)
        path = Path(name)
        try:
            _allocate(handle, size)
        finally:
            os.close(handle)
        array = np.memmap(path, dtype=np.uint8, mode="r+", shape=shape)
    except OSError as error:
        if path is not None:
            path.unlink(missing_ok=True)
        raise StorageError(
            f"{folder}: cannot set aside {size / 2**30:.2f} GiB for {what} ({error.strerror or error}). "
            "Free some space, choose another cache_dir (or set TMPDIR), smaller data, or raise memory_limit."
        ) from error
    _remove_with(array, path)
    return array


def _allocate(handle: int, size: int) -> None:
    """Give the file its full size on disk; a sparse file would kill the process when the disk fills up."""
    allocate = getattr(os, "posix_fallocate", None)
    if allocate is None:
        free = os.statvfs(handle).f_bavail * os.statvfs(handle).f_frsize if hasattr(os, "statvfs") else size
        if free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(handle, size)
    else:
        allocate(handle, 0, size)


def _remove_with(array: np.memmap, path: Path) -> None:
    try:
        path.unlink()
    except OSError:  # Windows keeps a mapped file
        weakref.finalize(array._mmap, path.unlink, missing_ok=True)  # pyright: ignore[reportAttributeAccessIssue]


def release(array: np.ndarray) -> None:
    """Hand the pages of a memory map back: they stay on disk, and in the system's cache while there is room.

    What was written is not lost. Nothing happens to arrays in memory, to maps that are private copies, and where the
    system cannot do it; pages of a map are counted as the process's own until then.
    """
    if isinstance(array, np.memmap) and array.mode in ("r", "r+"):
        _advise(array, "MADV_DONTNEED", 0, None)


def read_ahead(array: np.ndarray, start: int, stop: int) -> None:
    """Ask the system to read the rows from ``start`` to ``stop`` of a memory map from disk, without waiting."""
    if isinstance(array, np.memmap) and array.flags.c_contiguous and len(array):
        row = array.strides[0]
        offset = array.ctypes.data - _address(array) + start * row
        _advise(array, "MADV_WILLNEED", offset, (stop - start) * row)


def _address(array: np.memmap) -> int:
    """Where the map behind an array begins."""
    return np.frombuffer(array._mmap, dtype=np.uint8).ctypes.data  # pyright: ignore[reportAttributeAccessIssue]


def _advise(array: np.memmap, name: str, offset: int, length: int | None) -> None:
    advice = getattr(mmap, name, None)
    mapped = array._mmap  # pyright: ignore[reportAttributeAccessIssue]
    if advice is None or mapped is None or not hasattr(mapped, "madvise"):
        return
    if length is None:
        mapped.madvise(advice)
        return
    begin = offset // mmap.PAGESIZE * mmap.PAGESIZE
    mapped.madvise(advice, begin, min(length + offset - begin, len(mapped) - begin))
