"""torch's global streams of random numbers, borrowed and given back."""

from __future__ import annotations

import contextlib
from typing import Any

import torch


def borrowed() -> contextlib.AbstractContextManager[Any]:
    """Within it anything may be drawn and seeded; afterwards the streams are as they were.

    Those of the CPU and, once CUDA is in use, of its current device, on which a run computes. torch would look after
    every device by default: that starts them all, and warns of it where there are several.

    >>> before = torch.get_rng_state()
    >>> with borrowed():
    ...     _ = torch.rand(3)
    >>> torch.equal(torch.get_rng_state(), before)
    True
    """
    return torch.random.fork_rng(devices=[torch.cuda.current_device()] if torch.cuda.is_initialized() else [])
