"""Where a run stands: stages cut from one budget of steps or seconds, and the learning rate over a stage."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from aegan.types import Stage


class Budget:
    """One budget over all stages, in steps or in seconds; the stages' shares are normalised.

    Args:
        stages: The model's stages.
        steps: Total steps, or None.
        seconds: Total seconds, used when ``steps`` is None.
    """

    def __init__(self, stages: Sequence[Stage], *, steps: int | None, seconds: float) -> None:
        total = sum(stage.share for stage in stages)
        ends = [s / total for s in itertools.accumulate(stage.share for stage in stages)]
        self.in_steps = steps is not None
        self.total: float = seconds if steps is None else steps
        self._ends = [end * self.total for end in ends]
        if steps is not None:
            self._ends = [float(round(end)) for end in self._ends]
            self._ends[-1] = float(steps)

    def progress(self, stage: int, *, step: int, elapsed: float, start_step: int, start_elapsed: float) -> float:
        """Part of stage number ``stage`` that is over; 1 or more means that it is finished.

        ``start_step`` and ``start_elapsed`` are where the stage began. A stage that began late ends on time; one that
        began early, because the one before ended early, takes its own share and no more.
        """
        now, start = (step, start_step) if self.in_steps else (elapsed, start_elapsed)
        share = self._ends[stage] - (self._ends[stage - 1] if stage else 0.0)
        length = min(self._ends[stage] - start, share)
        return 1.0 if length <= 0 else (now - start) / length

    def overall(self, *, step: int, elapsed: float) -> float:
        """Part of the whole run that is over, in [0, 1]."""
        return min(1.0, (step if self.in_steps else elapsed) / self.total)


def lr_scale(stage: Stage, progress: float) -> float:
    """Factor on the peak learning rate: linear warm-up, then a cosine down to ``stage.final_lr``."""
    progress = min(max(progress, 0.0), 1.0)
    cosine = stage.final_lr + (1.0 - stage.final_lr) * 0.5 * (1.0 + math.cos(math.pi * progress))
    ramp = 1.0 if stage.warmup <= 0 else min(1.0, (progress + 1e-3) / stage.warmup)
    return cosine * ramp
