"""Prototype."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from aegan.config import require_at_least_one, require_non_negative
from aegan.errors import ConfigError
from aegan.models.base import Model
from aegan.nn.step_draw import draw_series
from aegan.nn.steps import StepNetworks
from aegan.types import Batch, Optimizer, Phase, Samples, Spec, Stage, Term


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    state: int = 128
    hidden: int = 32
    layers: int = 1
    parts: int = 4
    dropout: float = 0.1
    patience: int = 1000
    batch_size: int = 64
    lr: float = 2e-3


@final
class Recurrent(Model):
    Config: ClassVar[type] = RecurrentConfig
    kinds: ClassVar[tuple[str, ...]] = ("series",)
    block: ClassVar[int] = 1024
    config: RecurrentConfig

    def __init__(self, spec: Spec, config: RecurrentConfig) -> None:
        super().__init__(spec, config)
        self.noise_dim = self.draw_dim = spec.shape[0] * spec.shape[1]
        self.steps = StepNetworks(spec.shape[1], 0, state=config.state, hidden=config.hidden, layers=config.layers, dropped=config.dropout, parts=config.parts)

    @property
    def stages(self) -> tuple[Stage, ...]:
        config = self.config
        phase = Phase(name="steps", networks=("steps",), optimizer=Optimizer(lr=config.lr, betas=(0.9, 0.99)))
        return (Stage(name="steps", share=1.0, phases=(phase,), ema=("steps",), batch_size=config.batch_size, ema_samples=20_000.0, patience=config.patience),)

    def prepare(self, stage: str, data: Samples, encode: Callable[[Samples], Tensor]) -> Samples:
        if stage == "steps":
            batch = data.batch(torch.arange(len(data)))
            self.steps.scales.fit(batch["x"].cpu(), batch.get("mask", torch.ones_like(batch["x"], dtype=torch.bool)).cpu())
        return data

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        x = batch["x"]
        mask = batch.get("mask", torch.ones_like(x, dtype=torch.bool))
        nll = self.steps(x, mask, None)
        return {"reconstruction": Term(nll.sum() / mask.sum()), "start": Term(nll[:, 0].mean(), 0.0)}

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        return draw_series(self.steps, torch.special.ndtr(noise).view(-1, *self.spec.shape), None)
