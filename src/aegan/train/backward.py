"""From terms to gradients, and the errors that name what was not finite."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from aegan.errors import ConfigError, NonFiniteError
from aegan.models.base import Model
from aegan.types import Phase, Stage, Term


@dataclass(frozen=True)
class Place:
    """Where in the training something happened; errors are raised in its name.

    Attributes:
        stage: Stage.
        phase: Phase.
        step: Number of the step, from 1.
        folder: The run's folder; None without one.
        precision: ``fp32`` or ``bf16``.
    """

    stage: Stage
    phase: Phase
    step: int
    folder: Path | None
    precision: str

    def __str__(self) -> str:
        return f"Stage {self.stage.name!r}, phase {self.phase.name!r}, step {self.step}"

    def check(self, values: Mapping[str, float]) -> None:
        """NonFiniteError where the value of a term is not finite."""
        for name, value in values.items():
            if not math.isfinite(value):
                raise NonFiniteError(
                    f"{self}, term {name!r}: the loss is {value}. {self._advice()} "
                    f"All terms: {', '.join(f'{k}={v:.4g}' for k, v in values.items())}."
                )

    def norm(self, model: Model, gradients: Sequence[Tensor]) -> float:
        """Norm of all gradients together; longer ones than the phase wants are cut to its length.

        Raises:
            NonFiniteError: It is not finite; the message has the parameter's name.
        """
        norm = float(torch.nn.utils.get_total_norm(gradients)) if gradients else 0.0
        if not math.isfinite(norm):
            bad = [
                f"{network}.{name}"
                for network in self.phase.networks
                for name, p in getattr(model, network).named_parameters()
                if p.grad is not None and not bool(torch.isfinite(p.grad).all())
            ]
            self.check_norm(norm, f"parameter {bad[0]!r} and {len(bad) - 1} more" if bad else "their norm overflows")
        most = self.phase.optimizer.clip_norm
        if 0 < most < norm:
            torch._foreach_mul_(list(gradients), most / norm)  # pyright: ignore[reportPrivateImportUsage]
        return norm

    def check_norm(self, norm: float, named: str = "of which parameter was not kept") -> None:
        """NonFiniteError where the gradients' norm is not finite; ``named`` says whose they are."""
        if not math.isfinite(norm):
            raise NonFiniteError(f"{self}: the gradient is not finite ({named}). {self._advice()}")

    def _advice(self) -> str:
        kept = ""
        if self.folder is not None and (self.folder / "state.pt").exists():
            kept = f"The last good checkpoint is kept in {self.folder}. "
        precision = "--precision fp32, " if self.precision == "bf16" else ""
        return (
            f"{kept}Start a new run with a lower learning rate of this stage (`aegan models NAME` lists the settings "
            f"for --set), {precision}or look for bad values in the data."
        )


def values_of(terms: Mapping[str, Term]) -> dict[str, float]:
    """The terms' values, without their weights."""
    return dict(zip(terms, stacked(terms).tolist(), strict=True))


def stacked(terms: Mapping[str, Term]) -> Tensor:
    """The same in a tensor ``(len(terms),)``, float32, where they were computed."""
    return torch.stack([t.value.detach().float() for t in terms.values()])


def backward(terms: Mapping[str, Term], weight: float, place: Place) -> None:
    """Add the gradient of the weighted sum of terms, times ``weight``.

    Raises:
        ConfigError: Every term has the weight 0.
    """
    parts = [t.value * t.weight for t in terms.values() if t.weight]
    total = sum(parts, start=torch.zeros((), device=next(iter(terms.values())).value.device))
    if not total.requires_grad:
        raise ConfigError(
            f"{place}: nothing to learn, for every term has the weight 0 ({', '.join(terms)}). "
            "Give one of them a weight."
        )
    (total if weight == 1.0 else weight * total).backward()


@contextlib.contextmanager
def thawed(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Gradients for these parameters within it."""
    for p in parameters:
        p.requires_grad_(True)
    try:
        yield
    finally:
        for p in parameters:
            p.requires_grad_(False)
