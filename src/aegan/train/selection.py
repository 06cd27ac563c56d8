"""Which weights of a stage are kept: those that held-out samples liked best, and when to stop looking."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from aegan.models.base import Model
from aegan.streams import borrowed
from aegan.train.ema import Ema
from aegan.types import Samples, Stage

EVERY = 100
"""Steps between two looks at the held-out samples, at most; a stage of few steps is looked at more often."""
MOST = 4_096
"""Held-out samples that are looked at."""
LONGER = 1.5
"""A stage goes on for this many times the steps of its best look, and its patience, before it settles."""
SETTLING_LR = (0.5, 0.02)
"""Factors on the learning rate at the beginning and at the end of settling."""


class Selection:
    """Keeps the best averages of one stage by the loss of its first phase on held-out samples.

    When nothing better has come for long, the stage settles: half as many steps again at a learning rate that falls to
    next to nothing. If that brings nothing better either, it goes back to the best averages and settles from there for
    as many steps as these took. Then it is over. Without, the best of a long budget would be weights of a high learning
    rate: what looks like overfitting is often no more than its noise.

    Random numbers of the loss are the same in every look, and the global stream is left as it was.
    """

    def __init__(self, stage: Stage, samples: Samples | None) -> None:
        self.stage, self.samples = stage, samples if stage.patience else None
        self.best, self.best_step, self.looked = math.inf, 0, 0
        self.weights: dict[str, Tensor] = {}
        self.settling, self._length, self._tries = 0, EVERY, 0

    @property
    def on(self) -> bool:
        """Whether this stage selects at all."""
        return self.samples is not None and len(self.samples) > 0

    def due(self, step: int) -> bool:
        """Whether step number ``step`` of the stage is one to look after."""
        return self.on and step >= self.looked + min(EVERY, 10 + step // 10)

    def lost(self, step: int) -> bool:
        """Whether it has been long enough without anything better to settle, or to settle once more."""
        if not self.on or not self.weights:
            return False
        if self.settling:
            return self._tries == 1 and step >= self.settling + self._length and self.best_step <= self.settling
        return step > LONGER * self.best_step + self.stage.patience

    def settle(self, ema: Ema, step: int) -> None:
        """Settle from the present weights; where that has been tried, from the best averages."""
        if self.settling:
            self.adopt(ema)
            ema.adopt()
        self._length = max(EVERY, self.best_step if self.settling else step // 2)
        self.settling, self._tries = step, self._tries + 1

    def over(self, step: int) -> bool:
        """Whether the stage has settled."""
        return bool(self.settling) and step >= self.settling + self._length and not self.lost(step)

    def lr_scale(self, step: int) -> float:
        """Factor on the learning rate: 1 until the stage settles."""
        if not self.settling:
            return 1.0
        first, last = SETTLING_LR
        part = min(1.0, (step - self.settling) / self._length)
        return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * part))

    @torch.no_grad()
    def look(self, model: Model, ema: Ema, step: int, batch: Callable[[Samples, Tensor], dict[str, Tensor]]) -> float:
        """The loss of the averaged weights; they are kept if it is the lowest so far."""
        if self.samples is None:
            return math.inf
        self.looked = step
        phase, training = self.stage.phases[0], model.training
        count, sizes, found = min(MOST, len(self.samples)), [], []
        model.eval()
        with ema.applied(), borrowed():
            torch.manual_seed(0)
            for index in torch.arange(count).split(self.stage.batch_size):
                terms = model.loss(phase.name, batch(self.samples, index))
                sizes.append(len(index))
                found.append(torch.as_tensor(sum(t.value.detach().float() * t.weight for t in terms.values())))
        model.train(training)
        # Read at once: a device is waited for but once.
        loss = sum(size * value for size, value in zip(sizes, torch.stack(found).tolist(), strict=True)) / count
        if loss < self.best:
            self.best, self.best_step = loss, step
            self.weights = {key: value.clone() for key, value in ema.average.items()}
        return loss

    def adopt(self, ema: Ema) -> None:
        """Put the best averages in place of the last ones."""
        if self.weights:
            ema.load_state_dict(self.weights)

    @contextmanager
    def applied(self, ema: Ema) -> Iterator[None]:
        """Within the block the networks hold the best averages, or the last ones where nothing is selected."""
        own = ema.average
        if self.weights:
            ema.average = dict(self.weights)
        try:
            with ema.applied():
                yield
        finally:
            ema.average = own

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        state = {"best": self.best, "best_step": self.best_step, "looked": self.looked, "weights": self.weights}
        return state | {"settling": self.settling, "length": self._length, "tries": self._tries}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        self.best, self.best_step, self.looked = state["best"], state["best_step"], state["looked"]
        self.weights = state["weights"]
        self.settling, self._length = state.get("settling", 0), state.get("length", EVERY)
        self._tries = state.get("tries", 0)
