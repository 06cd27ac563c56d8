"""Keep freed memory in the process, so that every step does not ask the system for the same pages again."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h
_NEVER_TRIM, _LARGEST = 2**31 - 1, 2**30


def keep_freed_memory() -> bool:
    """Tell glibc's allocator not to hand freed memory back; True where that worked.

    A step of a convolutional network frees and takes tens of megabytes again. glibc returns such blocks to the
    system, and the faults of fresh pages then cost 5 to 10 % of a step (benchmarks/trainer.py). The process keeps
    its largest size from then on, as it does on a GPU. Nothing happens where the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER_TRIM))
