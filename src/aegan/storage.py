"""Atomic writes, and disk errors that say what to do. Every file aegan leaves on disk goes through here."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aegan.errors import StorageError

_REASONS = {
    errno.ENOSPC: "the disk is full. Free some space, or choose another folder",
    errno.EDQUOT: "the disk quota is used up. Free some space, or choose another folder",
    errno.EROFS: "the file system is read-only. Choose another folder",
    errno.EACCES: "permission denied. Choose a folder that you may write to",
    errno.EPERM: "permission denied. Choose a folder that you may write to",
    errno.ENOTDIR: "a part of the path is a file, not a folder. Choose another path",
    errno.EEXIST: "a file is in the way. Choose another path",
    errno.ENAMETOOLONG: "the name is too long. Choose a shorter one",
}


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` while writing ``path`` into a :class:`StorageError` that says what to do."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, f"{error.strerror or error}. Choose another path")
        raise StorageError(f"Cannot write {path}: {reason}. What was there before is unchanged.") from error


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then put it in place in one step.

    A reader, a crash or a full disk sees the old file or the new one, never a part of one.

    Raises:
        StorageError: The disk is full, or the folder cannot be written; ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write(temporary)
            with open(temporary, "rb") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def exchange(new: Path, path: Path, old: Path) -> None:
    """Put the folder ``new`` in the place of ``path``, which is moved to ``old`` and removed after that.

    Where ``new`` cannot be moved, what was at ``path`` is put back.

    Raises:
        OSError: A folder cannot be moved.
    """
    was = path.exists()
    if was:  # otherwise an interrupted exchange may have left all that there is in ``old``
        shutil.rmtree(old, ignore_errors=True)
        os.rename(path, old)
    try:
        os.rename(new, path)
    except OSError:
        if was:
            os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)
