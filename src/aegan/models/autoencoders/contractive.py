"""Contractive autoencoder: codes that hardly move when the data move, by a penalty on the encoder's Jacobian.

Reference: Rifai et al. 2011, "Contractive auto-encoders: explicit invariance during feature extraction", ICML.

What differs. The paper's one sigmoid layer has tied weights, for otherwise ‖∂z/∂x‖ shrinks at no cost: the codes are
scaled down and the decoder scales them up again. The deep networks here have nothing to tie. Dividing by the spread
of the codes as a whole leaves a way out still, one direction taking all the spread and the others being scaled to
next to nothing. So the penalty is taken on whitened codes, L⁻¹z with LLᵀ the codes' covariance over the batch, and its
gradient flows through L as well: no linear recoding that the decoder could undo lowers it. ``units`` has the other
two. The weight forms, λ‖W‖₁ and λ‖W‖₂² of the encoder, are terms of the loss and thus measured, and a penalty on
the decoder's Jacobian, in the same units, keeps its output from turning abruptly.

A table's values are names, which do not move; their vectors in the encoder do. There the penalty is on the Jacobian
with respect to the vectors, each field's in units of its deviation over the batch, without which longer vectors and a
smaller layer behind them would lower it at no cost.

Why this choice, with figures: docs/contraction.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_choice, require_non_negative
from aegan.errors import ConfigError
from aegan.losses.jacobian import FORMS, jacobian_penalty, weight_l1, weight_l2
from aegan.models.autoencoders.base import AutoencoderConfig, AutoencoderModel
from aegan.nn.gru import differentiable_twice
from aegan.nn.rows import RowTrunk
from aegan.types import Batch, Term

UNITS = ("whitened", "spread", "raw")
RIDGE = 1e-3
"""Added to the covariance of a batch of codes, as a part of its mean variance: a batch may be smaller than a code."""


@dataclass(frozen=True, kw_only=True)
class ContractiveConfig(AutoencoderConfig):
    """Settings of the contractive autoencoder, besides those that every one has.

    Attributes:
        weight: Of ‖∂z/∂x‖²_F of the encoder, summed over codes and values of a sample (over the numbers of its
            values' vectors, in a table); 0 leaves it out.
        units: What the codes are measured in, in both Jacobian penalties: ``whitened`` (unit covariance over the
            batch), ``spread`` (unit mean variance) or ``raw`` (as they are, the paper's penalty).
        form: ``exact``, ``probe`` (an unbiased random estimate, whose cost does not grow with the code), or ``auto``:
            exact for codes of one or two numbers.
        probes: Random vectors a sample, for ``probe``.
        decoder_weight: Of ‖∂x̂/∂z‖²_F of the decoder (of the logits with the ``bernoulli`` and ``categorical`` errors).
        weight_l1: Of the sum of the absolute values of the encoder's weights.
        weight_l2: Of the sum of the squares of the encoder's weights.
    """

    model: ClassVar[str] = "contractive"
    weight: float = 1e-4
    units: str = "whitened"
    form: str = "auto"
    probes: int = 1
    decoder_weight: float = 0.0
    weight_l1: float = 0.0
    weight_l2: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_non_negative(self, "weight", "decoder_weight", "weight_l1", "weight_l2")
        require_choice(self, "form", FORMS)
        if self.probes < 1:
            raise ConfigError(f"probes: a whole number of at least 1 expected, got {self.probes}.")
        require_choice(self, "units", UNITS)
        if self.units != "raw" and self.batch_size < 2 and (self.weight or self.decoder_weight):
            raise ConfigError("batch_size: at least 2 expected for the spread of the codes, got 1. Or set units=raw.")


@final
class Contractive(AutoencoderModel):
    """Contractive autoencoder; see the module's text."""

    Config: ClassVar[type] = ContractiveConfig
    config: ContractiveConfig

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of the one phase, ``autoencode``: those of every autoencoder, and each penalty that has a weight."""
        config, x = self.config, batch["x"]
        given, maps = self._moving(x) if config.weight else (x, self.encoder.trunk.maps(x))
        z = self.encoder.from_maps(maps).float()
        with differentiable_twice(self.decoder, config.decoder_weight > 0):
            out = self.decoder(z)
        terms = self.reconstruction(out, x, maps, batch.get("mask")) | self.classification(maps, batch)
        spread = spread_of(z, config.units) if config.weight or config.decoder_weight else None
        penalty = partial(jacobian_penalty, form=config.form, probes=config.probes)
        if config.weight:
            inverse = None if spread is None else torch.linalg.solve_triangular(spread, _identity(spread), upper=False)
            terms["contraction"] = Term(penalty(z, given, left=inverse), config.weight)
        if config.decoder_weight:
            terms["decoder_contraction"] = Term(penalty(out, z, right=spread), config.decoder_weight)
        if config.weight_l1:
            terms["weight_l1"] = Term(weight_l1(self.encoder), config.weight_l1)
        if config.weight_l2:
            terms["weight_l2"] = Term(weight_l2(self.encoder), config.weight_l2)
        return terms

    def _moving(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What codes are to move little with, and the trunk's features computed from it."""
        trunk = self.encoder.trunk
        if not isinstance(trunk, RowTrunk):
            given = x.detach().requires_grad_(True)
            return given, trunk.maps(given)
        vectors = trunk.embedding(x)
        if not vectors.requires_grad:
            vectors = vectors.detach().requires_grad_(True)
        deviation = (vectors - vectors.mean(0)).square().mean((0, 2), keepdim=True).clamp_min(1e-12).sqrt()
        given = vectors / deviation
        return given, trunk.maps(given * deviation)


def spread_of(z: Tensor, units: str) -> Tensor | None:
    """The matrix L whose inverse takes codes ``(B, D)`` to the units asked for; None for ``raw``.

    Lower triangular: the Cholesky factor of the codes' covariance, or the root of its mean diagonal times the identity.
    """
    if units == "raw":
        return None
    centred = z - z.mean(0)
    level = centred.square().mean().clamp_min(1e-12)
    if units == "spread":
        return level.sqrt() * _identity(z)
    with torch.autocast(z.device.type, enabled=False):  # there is no factor of a matrix in bf16
        # No look at whether there is one: the ridge sees to it, and a device would have to be waited for.
        return torch.linalg.cholesky_ex(centred.T @ centred / len(z) + RIDGE * level * _identity(z)).L


def _identity(like: Tensor) -> Tensor:
    return torch.eye(like.shape[1], dtype=like.dtype, device=like.device)
