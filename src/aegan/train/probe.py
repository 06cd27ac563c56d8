"""Probes observe a training and can never change or break it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from aegan.train.trainer import Trainer
    from aegan.types import Phase


@dataclass
class StepRecord:
    """What one step did.

    Attributes:
        stage: Name of the stage.
        step: Steps done in the run, this one included.
        samples: Samples seen in the run.
        elapsed: Training seconds, earlier sessions of a resumed run included.
        progress: Part of the run that is over, in [0, 1].
        stage_progress: Part of the stage that is over, in [0, 1].
        lr: Learning rate of each phase that ran.
        fetch: Where values lie on a device still: reads those of all steps so far. Whoever asks for them waits for the
            device; ask about once a second, not in every step.
    """

    stage: str
    step: int
    samples: int
    elapsed: float
    progress: float
    stage_progress: float
    lr: dict[str, float] = field(default_factory=dict)
    fetch: Callable[[], None] | None = field(default=None, repr=False, compare=False)
    _terms: dict[str, float] = field(default_factory=dict)
    _grad_norm: dict[str, float] = field(default_factory=dict)

    @property
    def terms(self) -> dict[str, float]:
        """Unweighted value of each term, ``phase/term``."""
        if self.fetch is not None:
            self.fetch()
        return self._terms

    @property
    def grad_norm(self) -> dict[str, float]:
        """Global gradient norm of each phase."""
        if self.fetch is not None:
            self.fetch()
        return self._grad_norm

    def note(self, phase: str, values: Mapping[str, float], norm: float) -> None:
        """Add what a phase's update gave."""
        self._terms |= {f"{phase}/{name}": value for name, value in values.items()}
        self._grad_norm[phase] = norm


class Observer(Protocol):
    """What the trainer calls: the methods of :class:`Probe`, for observers of rooms that do not know this one."""

    def on_start(self, trainer: Any) -> None:
        """As :meth:`Probe.on_start`; likewise the others."""

    def on_stage(self, trainer: Any, stage: str) -> None:
        """When a stage begins."""

    def on_step(self, trainer: Any, record: Any) -> None:
        """After every step."""

    def on_end(self, trainer: Any, reason: str) -> None:
        """After the last step."""


class Probe:
    """Base of the trainer's probes; every method may be left out.

    Probes run without gradients and inside a fork of the random state. One that raises is switched off, and
    the error is written to the events. Errors of storage are passed on: a full disk must be heard of.
    """

    def on_start(self, trainer: Trainer) -> None:
        """Before the first step of this session."""

    def on_stage(self, trainer: Trainer, stage: str) -> None:
        """When a stage begins, or goes on after a resume."""

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        """After every step."""

    def replays(self, trainer: Trainer, phase: Phase) -> bool:
        """Whether an update may be replayed (:mod:`aegan.train.replays`): no optimiser's step is called then.

        Asked before each, and True taken for the news that it will be; with False it is carried out call by call.
        """
        return True

    def on_end(self, trainer: Trainer, reason: str) -> None:
        """After the last step, or when the run stops: ``finished``, ``interrupted`` or ``error``."""
