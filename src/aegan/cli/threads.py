"""How many threads torch gets where a container may use less than the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def allow_threads(root: Path = CGROUP) -> None:
    """Set ``OMP_NUM_THREADS`` to the processors that a container may use, before torch is imported.

    Torch starts a thread for every core that it sees, also where the container's quota is that of two of sixty-four:
    they then wait for each other's turns. What the user or ``torchrun`` has set stays.
    """
    quota = _quota(root)
    if quota is not None and quota < _seen():
        os.environ.setdefault("OMP_NUM_THREADS", str(quota))


def _seen() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quota(root: Path) -> int | None:
    """Processors that the control group allows, rounded up; None where it sets no bound or cannot be read."""
    try:
        if (root / "cpu.max").exists():
            most, period = (root / "cpu.max").read_text().split()
        else:
            most, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        share = float(most) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max": no bound
        return None
    return max(1, math.ceil(share)) if share > 0 else None
