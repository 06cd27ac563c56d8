"""Losses of a few steps at a fixed seed are those that were stored: what makes a step faster may not change it."""

from __future__ import annotations

import pytest
import torch
from tests.contract.test_models import SPECS, data_for, made

from aegan.config import TrainConfig
from aegan.train.backend import Backend
from aegan.train.probe import Probe, StepRecord
from aegan.train.trainer import Trainer

PINNED: dict[tuple[str, str], dict[str, float]] = {
    ("latent-gan", "labelled"): {
        "autoencode/reconstruction": 0.9543996,
        "autoencode/features": 9.97209,
        "autoencode/class": 2.127704,
        "autoencode/code": 2.504158,
        "latent-discriminator/adversarial": 0.5533746,
        "latent-discriminator/r1": 0.5485518,
        "latent-discriminator/r2": 0.9809771,
        "latent-generator/adversarial": 0.8059956,
        "discriminator/adversarial": 4.220848,
        "discriminator/r1": 1.505722,
        "discriminator/r2": 1.541034,
        "discriminator/latent-adversarial": 4.229852,
        "discriminator/latent-r1": 3.103143,
        "discriminator/latent-r2": 4.217176,
        "generator/adversarial": 3.040844,
        "generator/latent-adversarial": 4.560962,
        "generator/reconstruction": 1.567292,
        "generator/features": 14.16433,
    },
    ("gan", "grey"): {
        "discriminator/adversarial": 5.464714,
        "discriminator/r1": 1.796027,
        "discriminator/r2": 1.770457,
        "generator/adversarial": 7.441312,
    },
    ("autoregressive", "table"): {
        "fields/reconstruction": 29.6662,
        "code/reconstruction": 36.99448,
        "code/kl": 32.16752,
    },
    ("recurrent", "series"): {
        "steps/reconstruction": 11.49470,
        "gaps/reconstruction": 1.509863,
        "code/reconstruction": 0.2465715,
    },
    ("variational", "table"): {
        "autoencode/reconstruction": 65.06337,
        "autoencode/kl": 12.27551,
    },
    ("sequence", "text"): {
        "autoencode/reconstruction": 119.3966,
        "autoencode/kl": 6.567527,
        "autoencode/kl-above-free-bits": 0,
    },
}
"""By model and kind of data: sums over nine steps of each term. Another torch may round differently: hence 1e-3."""


class Sums(Probe):
    """Adds up the terms."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        for name, value in record.terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value


def losses(name: str, spec: str) -> dict[str, float]:
    torch.set_num_threads(1)
    probe = Sums()
    config = TrainConfig(steps=9, seed=0, grids=0)
    Trainer(made(name, SPECS[spec]), data_for(SPECS[spec]), config, Backend("cpu", "fp32"), probes=[probe]).fit()
    return probe.sums


@pytest.mark.parametrize(("name", "spec"), list(PINNED))
def test_losses_are_those_that_were_stored(name: str, spec: str) -> None:
    assert losses(name, spec) == pytest.approx(PINNED[name, spec], rel=1e-3, abs=1e-5)
