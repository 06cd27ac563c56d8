"""The trainer's own probes: events on disk, a live progress line, sample grids over time."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from aegan.streams import borrowed
from aegan.train.probe import Probe, StepRecord

if TYPE_CHECKING:
    from torch import Tensor

    from aegan.train.trainer import Trainer


class EventProbe(Probe):
    """Writes the mean of every term and gradient norm since the last line, about once in ``every`` seconds."""

    def __init__(self, every: float = 1.0) -> None:
        self.every = every
        self._clear(0, 0.0)

    def on_start(self, trainer: Trainer) -> None:
        self._clear(trainer.samples, trainer.elapsed)

    def on_stage(self, trainer: Trainer, stage: str) -> None:
        if trainer.events is not None:
            trainer.events.write("stage", stage=stage, step=trainer.step, t=round(trainer._now(), 2))
        self._clear(trainer.samples, trainer._now())

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        if trainer.events is None:
            return
        self._records.append(record)  # their values are asked for together: a device may have them still
        if record.elapsed - self._since < self.every:
            return
        rate = (record.samples - self._samples) / max(record.elapsed - self._since, 1e-9)
        trainer.events.write(
            "step",
            t=round(record.elapsed, 2),
            stage=record.stage,
            step=record.step,
            samples=record.samples,
            rate=round(rate, 1),
            lr=max(record.lr.values(), default=0.0),
            terms=_means([r.terms for r in self._records]),
            grad_norm=_means([r.grad_norm for r in self._records]),
        )
        self._clear(record.samples, record.elapsed)

    def _clear(self, samples: int, since: float) -> None:
        self._samples, self._since = samples, since
        self._records: list[StepRecord] = []


class ProgressProbe(Probe):
    """A live line with stage, rate, time left and key figures; a few plain lines when not on a terminal.

    Args:
        console: A rich console; by default one on standard error.
        quiet: Print nothing at all.
    """

    def __init__(self, console: Any = None, *, quiet: bool = False) -> None:
        self.console, self.quiet = console, quiet
        self._progress: Any = None
        self._task: Any = None
        self._shown = 0.0
        self._rate = 0.0
        self._last = (0, 0.0)

    def on_start(self, trainer: Trainer) -> None:
        if self.quiet:
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        self.console = self.console or Console(file=sys.stderr)
        self._last = (trainer.samples, trainer.elapsed)
        if not self.console.is_terminal:
            return
        head = "[bold]{task.fields[stage]:<11}[/] {task.percentage:>3.0f}% {task.fields[eta]:>7} left"
        columns = (
            TextColumn(head, table_column=Column(min_width=29, no_wrap=True)),
            BarColumn(bar_width=12, table_column=Column(min_width=12)),
            TextColumn("{task.fields[rate]:>5.0f}/s", table_column=Column(min_width=7, no_wrap=True)),
            # The figures give way on a narrow terminal, nothing else does.
            TextColumn("[dim]{task.fields[figures]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        )
        self._progress = Progress(*columns, console=self.console, refresh_per_second=4, transient=True, expand=True)
        self._task = self._progress.add_task("fit", total=1.0, stage="", eta="", rate=0.0, figures="")
        self._progress.start()

    def on_stage(self, trainer: Trainer, stage: str) -> None:
        names = [s.name for s in trainer.stages]
        self._last = (trainer.samples, trainer._now())
        if not self.quiet and self._progress is None:
            now = int(trainer._now())
            self.console.print(f"[{clock(now)}] stage {names.index(stage) + 1} of {len(names)}: {stage}", markup=False)

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        if self._progress is None or time.monotonic() - self._shown < 0.25:
            return
        self._shown = time.monotonic()
        rate = (record.samples - self._last[0]) / max(record.elapsed - self._last[1], 1e-9)
        left = record.elapsed * (1 - record.progress) / max(record.progress, 1e-6)
        if not trainer.budget.in_steps:
            left = trainer.budget.total - record.elapsed
        short = {name: name.rsplit("/", 1)[-1][:12] for name in record.terms}
        figures = "  ".join(f"{short[name]} {value:.2g}" for name, value in list(record.terms.items())[:4])
        self._progress.update(
            self._task,
            completed=record.progress,
            stage=record.stage,
            eta=clock(int(max(left, 0))),
            rate=rate,
            figures=figures,
        )

    def on_end(self, trainer: Trainer, reason: str) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
        if not self.quiet and self.console is not None:
            self.console.print(
                f"[{clock(int(trainer.elapsed))}] {reason} after {trainer.step:,} steps, {trainer.samples:,} samples",
                markup=False,
            )


class GridProbe(Probe):
    """Draws samples from fixed noise, ``count`` times over the run, always with the averaged weights.

    Args:
        count: Grids over the whole run.
        draw: Makes the picture's tensor from the model; called with the averaged weights in place.
        write: Saves that tensor to a path below the run folder.
    """

    def __init__(self, count: int, draw: Callable[[], Tensor], write: Callable[[Tensor, Any], None]) -> None:
        self.count, self.draw, self.write = count, draw, write
        self._next = 0.0

    def on_start(self, trainer: Trainer) -> None:
        step = trainer.budget.overall(step=trainer.step, elapsed=trainer.elapsed)
        self._next = 0.0 if step == 0 else (int(step * self.count) + 1) / self.count

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        if self.count == 0 or trainer.folder is None or record.progress < self._next:
            return
        self._next = (int(record.progress * self.count) + 1) / self.count
        name = f"samples/step-{record.step:07d}.png"
        # A fork of the random state for those few steps alone; the trainer would make one in every step.
        with torch.no_grad(), borrowed(), trainer.ema.applied():
            picture = self.draw()
        self.write(picture, trainer.folder / name)
        if trainer.events is not None:
            trainer.events.write("samples", step=record.step, t=round(record.elapsed, 2), stage=record.stage, path=name)


def clock(seconds: int) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``.

    >>> clock(3671), clock(59)
    ('1:01:11', '0:59')
    """
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _means(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each name over the steps that have it, with six digits."""
    values: dict[str, list[float]] = defaultdict(list)
    for one in found:
        for name, value in one.items():
            values[name].append(value)
    return {name: float(f"{sum(v) / len(v):.6g}") for name, v in values.items()}
