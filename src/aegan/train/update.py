"""A phase's update: its loss on a batch, the gradients, the optimiser's step; its values are read at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aegan.models.base import Model
from aegan.train.backend import Backend
from aegan.train.backward import Place, backward, thawed, values_of
from aegan.train.private import PrivateSteps
from aegan.train.probe import StepRecord
from aegan.train.shards import Buffers, Shards, buffers_of
from aegan.types import Batch, Phase, Samples, Stage, Term


@dataclass(frozen=True, kw_only=True)
class Update:
    """What one update needs to know.

    Attributes:
        stage: The stage, for its precision.
        phase: The phase.
        number: Of the phase within the stage.
        step: Steps done in the run before this one.
        index: Which samples the batch has, int64 ``(B,)``.
        data: The samples.
        parameters: Weights that learn.
        optimizer: Theirs.
        lr: Learning rate of this step.
        place: For errors.
        record: Where values and the gradient's norm are noted.
    """

    stage: Stage
    phase: Phase
    number: int
    step: int
    index: Tensor
    data: Samples
    parameters: Sequence[Tensor]
    optimizer: torch.optim.Optimizer
    lr: float
    place: Place
    record: StepRecord

    def note(self, values: dict[str, float], norm: float) -> None:
        """Into the record: values by term, and the gradient's norm."""
        self.record.note(self.phase.name, values, norm)


class Updates:
    """Updates that wait for their values: a loss that is not finite is found before it can do harm.

    Args:
        model: Networks and losses.
        backend: Device and precision.
        shards: How batches are cut.
        private: Batches and noise of a differentially private training.
    """

    def __init__(self, model: Model, backend: Backend, shards: Shards, private: PrivateSteps | None) -> None:
        self.model, self.backend, self.shards, self.private = model, backend, shards, private

    def __call__(self, update: Update) -> None:
        """Carry it out.

        Raises:
            NonFiniteError: A loss or gradient was not finite.
        """
        phase, place, optimizer, values = update.phase, update.place, update.optimizer, {}
        for group in optimizer.param_groups:
            group["lr"] = update.lr
        with thawed(update.parameters):
            buffers = self._cut_buffers(phase)
            for part, weight in self.shards.of(update.index, update.step, update.number, buffers):
                batch = self.backend.send(update.data.batch(part))
                with self.backend.autocast(update.stage.autocast):
                    terms = self._terms(phase.name, batch)
                found = values_of(terms)
                if self.shards.world == 1:
                    place.check(found)
                backward(terms, weight, place)
                for name, value in found.items():
                    values[name] = values.get(name, 0.0) + weight * value
            gradients = [p.grad for p in update.parameters if p.grad is not None]
            values = self.shards.join(gradients, buffers, values)
            if self.shards.world > 1:  # all processes stop, or none
                place.check(values)
            if self.private is not None:
                self.private.disturb(gradients)
                values = {}  # a loss would tell of the samples what the noise hides
            norm = place.norm(self.model, gradients)
            if norm > 0 or not phase.skips:
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        update.note(values, norm)

    def flush(self) -> None:
        """Nothing is waited for."""

    def _terms(self, phase: str, batch: Batch) -> dict[str, Term]:
        if self.private is None:
            return self.model.loss(phase, batch)
        return self.model.private_loss(phase, batch, self.private.config.bound, self.private.expected)

    def _cut_buffers(self, phase: Phase) -> Buffers:
        """The phase's buffers, where batches are cut; looking for them takes time in every step."""
        return buffers_of([getattr(self.model, n) for n in phase.networks]) if self.shards.total > 1 else ()
