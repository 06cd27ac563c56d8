"""What adversarial models share: settings, the discriminator's terms, and a stage of two phases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from aegan.config import require_at_least_one, require_non_negative
from aegan.losses import ADVERSARIAL, zero_centred_gradient
from aegan.types import Optimizer, Phase, Stage, Term

Judge = Callable[[Tensor], Tensor]
"""Samples ``(B, ...)`` to logits ``(B,)``."""


class Size(TypedDict):
    """The dials of a network's size."""

    width: int
    blocks: int


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """How an adversarial stage is trained.

    Attributes:
        gamma: Weight of R1 and R2, the zero-centred gradient penalties of the discriminator.
        batch_size: Samples a step.
        lr: Peak learning rate of all but the discriminator.
        lr_discriminator: Peak learning rate of the discriminator.
        ema_samples: Half-life of the weights' average, in samples.
    """

    gamma: float = 1.0
    batch_size: int = 64
    lr: float = 1e-3
    lr_discriminator: float = 1e-3
    ema_samples: float = 10_000.0

    def __post_init__(self) -> None:
        require_at_least_one(self, "batch_size")
        require_non_negative(self, "gamma", "lr", "lr_discriminator", "ema_samples")

    def stage(
        self,
        *phases: tuple[str, tuple[str, ...]],
        ema: tuple[str, ...],
        name: str = "adversarial",
        share: float = 1.0,
    ) -> Stage:
        """A stage of phases, each a name and its networks; those called ``discriminator`` learn at their own rate."""
        made = tuple(
            Phase(
                name=phase,
                networks=networks,
                optimizer=adam(self.lr_discriminator if phase.endswith("discriminator") else self.lr),
            )
            for phase, networks in phases
        )
        return Stage(
            name=name,
            share=share,
            phases=made,
            batch_size=self.batch_size,
            ema=ema,
            ema_samples=self.ema_samples,
        )


@dataclass(frozen=True, kw_only=True)
class SizedConfig(AdversarialConfig):
    """The same, and the sizes of networks of its own.

    Attributes:
        latent_dim: Length of a code, and of the noise.
        width: Channels of the finest feature map (coarser ones have up to four times as many), or an eighth of the
            hidden units where data have no grid.
        blocks: Residual blocks at each resolution.
    """

    latent_dim: int = 64
    width: int = 32
    blocks: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least_one(self, "latent_dim", "width", "blocks")

    @property
    def size(self) -> Size:
        """Width and blocks, as the functions of :mod:`aegan.nn.backbone` take them."""
        return Size(width=self.width, blocks=self.blocks)


def adam(lr: float) -> Optimizer:
    """Adam for adversaries: no momentum of gradients that turn about."""
    return Optimizer(lr=lr, betas=(0.0, 0.99))


def noise_like(x: Tensor, dim: int) -> Tensor:
    """Normal noise ``(B, dim)``, a row for each sample of ``x``."""
    return torch.randn(len(x), dim, device=x.device)


def discriminator_terms(
    judge: Judge,
    real: Tensor,
    fake: Tensor,
    *,
    gamma: float,
    loss: str = "relativistic",
    every: int = 1,
    step: int = 0,
) -> dict[str, Term]:
    """Terms ``adversarial``, ``r1`` and ``r2`` of a discriminator.

    Args:
        judge: The discriminator.
        real: ``(B, ...)``; becomes a leaf that gradients are taken at.
        fake: ``(B, ...)``, paired with ``real``, without a graph.
        gamma: Weight of both penalties; 0 leaves them out.
        loss: A name of ``ADVERSARIAL``.
        every: The penalties are taken on every such step, and as many times as strong (lazy regularisation,
            arXiv 1912.04958).
        step: The current one.
    """
    adversarial = ADVERSARIAL[loss].discriminator
    if not gamma or step % every:
        return {"adversarial": Term(adversarial(judge(real), judge(fake)))}
    real, fake = real.detach().requires_grad_(True), fake.detach().requires_grad_(True)
    real_logits, fake_logits = judge(real), judge(fake)
    return {
        "adversarial": Term(adversarial(real_logits, fake_logits)),
        "r1": Term(zero_centred_gradient(real_logits, real), gamma * every),
        "r2": Term(zero_centred_gradient(fake_logits, fake), gamma * every),
    }


def generator_term(judge: Judge, real: Tensor, fake: Tensor, *, loss: str = "relativistic") -> Tensor:
    """The generator's loss for ``fake`` ``(B, ...)``, which has a graph, beside ``real``, which needs none."""
    with torch.no_grad():
        real_logits = judge(real)
    return ADVERSARIAL[loss].generator(real_logits, judge(fake))
