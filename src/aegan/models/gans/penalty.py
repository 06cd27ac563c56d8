"""The penalties of a GAN's discriminator: their settings, and their terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from aegan.config import require_non_negative
from aegan.errors import ConfigError
from aegan.losses import around, between, unit_gradient, zero_centred_gradient, zero_centred_gradients
from aegan.types import Term

FALLEN_AT = 0.5
"""Progress at which falling penalties have their final weight; the learning rate falls mostly after it."""


@dataclass(frozen=True, kw_only=True)
class PenaltyConfig:
    """Weights of the discriminator's penalties; 0 leaves one out.

    Attributes:
        r1: γ of γ/2·E‖∇D‖² on real data (arXiv 1801.04406).
        r2: The same on fakes.
        unit: λ of λ·E(‖∇D‖ - 1)² between real and fake (WGAN-GP, arXiv 1704.00028).
        between: γ of the zero-centred penalty between real and fake (arXiv 1902.03984).
        dragan: λ of λ·E(‖∇D‖ - 1)² around real data (arXiv 1705.07215).
        lecam: Weight of the LeCam regulariser on logits (arXiv 2104.03310); not with a relativistic loss.
        every: Gradient penalties are taken on every such step, with this many times the weight.
        final: The zero-centred ones fall evenly on a logarithmic scale to this share of their weight, and keep it for
            the second half of the training. Large ones bring all modes in; small ones let the discriminator see how
            narrow these are. R3GAN lowers γ likewise.
    """

    r1: float = 1.0
    r2: float = 1.0
    unit: float = 0.0
    between: float = 0.0
    dragan: float = 0.0
    lecam: float = 0.0
    every: int = 1
    final: float = 1.0

    def __post_init__(self) -> None:
        require_non_negative(self, "r1", "r2", "unit", "between", "dragan", "lecam", where="penalty.")
        if self.every < 1:
            raise ConfigError(f"penalty.every: at least 1 expected, got {self.every}.")
        if not 0 < self.final <= 1:
            raise ConfigError(f"penalty.final: above 0 and at most 1 expected, got {self.final}.")

    @property
    def on_gradients(self) -> bool:
        """Whether any penalty is on the discriminator's input gradient."""
        return bool(self.r1 or self.r2 or self.unit or self.between or self.dragan)


def penalty_terms(
    config: PenaltyConfig,
    judge: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    logits: Tensor,
    *,
    progress: float,
) -> dict[str, Term]:
    """Terms of the gradient penalties that have a weight.

    Args:
        config: Their settings.
        judge: Data ``(B, *shape)`` to logits ``(B / pack,)``.
        real: ``(B, *shape)``; requires gradients where there is R1.
        fake: The same where there is R2.
        logits: ``(2 B / pack,)``, those of both. What is judged as one pack is one point to the penalties.
        progress: Share of the training that is over.
    """
    left, terms = config.every * config.final ** min(1.0, progress / FALLEN_AT), {}
    pack = 2 * len(real) // len(logits)
    wanted = {"r1": (real, config.r1), "r2": (fake, config.r2)}
    wanted = {name: found for name, found in wanted.items() if found[1]}
    if wanted:
        values = zero_centred_gradients(logits, *(leaf for leaf, _ in wanted.values()), pack=pack)
        for (name, (_, weight)), value in zip(wanted.items(), values, strict=True):
            terms[name] = Term(value, weight * left)
    for name, weight, points, measure in (
        ("unit", config.every * config.unit, lambda: between(real, fake, pack=pack), unit_gradient),
        ("between", left * config.between, lambda: between(real, fake, pack=pack), zero_centred_gradient),
        ("dragan", config.every * config.dragan, lambda: around(real), unit_gradient),
    ):
        if weight:
            at = points()
            terms[name] = Term(measure(judge(at), at, pack=pack), weight)
    return terms
