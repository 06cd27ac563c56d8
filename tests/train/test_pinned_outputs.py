"""Draws and codes of a briefly trained model, are those that were stored; losses in bf16 are those of fp32."""

from __future__ import annotations

import pytest
import torch
from tests.contract.test_models import SPECS, data_for, made
from tests.train.test_pinned import PINNED, Sums

from aegan.config import TrainConfig
from aegan.models.base import Model, in_blocks, noise_for
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer

DRAWN: dict[tuple[str, str], tuple[float, float]] = {
    ("latent-gan", "labelled"): (0.014514, 0.018103),
    ("gan", "grey"): (0.060499, 0.077904),
    ("autoregressive", "table"): (2.3717, 1.5432),
    ("recurrent", "series"): (0.36309, 0.49181),
    ("variational", "table"): (2.3519, 1.6243),
    ("sequence", "text"): (2.8555, 2.7044),
}
"""By model and kind: mean size of a drawn value, and of its difference from the same place in the next draw."""
CODES: dict[tuple[str, str], tuple[float, float]] = {
    ("latent-gan", "labelled"): (0.235199, 0.306269),
    ("autoregressive", "table"): (0.50403, 0.534401),
    ("recurrent", "series"): (0.242534, 0.300416),
    ("variational", "table"): (0.153624, 0.179552),
    ("sequence", "text"): (0.329196, 0.178908),
}
"""Mean size of a number of the data's codes, and of its difference from the next sample's."""
N = 64


def trained(name: str, spec: str, precision: str = "fp32") -> tuple[Model, Sums]:
    torch.set_num_threads(1)
    model, sums = made(name, SPECS[spec]), Sums()
    config = TrainConfig(steps=9, seed=0, grids=0)
    Trainer(model, data_for(SPECS[spec]), config, Backend("cpu", precision), probes=[sums]).fit()
    return model.eval(), sums


def sizes(x: torch.Tensor) -> tuple[float, float]:
    x = x.float().flatten(1)
    return x.abs().mean().item(), x.diff(dim=0).abs().mean().item()


def drawn(model: Model) -> tuple[float, float]:
    y = torch.arange(N) % model.spec.num_classes if model.conditional else None
    torch.manual_seed(0)
    return sizes(in_blocks(model.generate, noise_for(0, N, model.noise_dim), y))


def coded(model: Model, spec: str) -> tuple[float, float]:
    return sizes(in_blocks(model.encode, data_for(SPECS[spec]).batch(torch.arange(16))["x"]))


@pytest.mark.parametrize(("name", "spec"), list(DRAWN))
def test_draws_and_codes_are_those_that_were_stored(name: str, spec: str) -> None:
    model, _ = trained(name, spec)
    assert drawn(model) == pytest.approx(DRAWN[name, spec], rel=0.01)
    if (name, spec) in CODES:
        assert coded(model, spec) == pytest.approx(CODES[name, spec], rel=1e-3)


@pytest.mark.parametrize(("name", "spec"), list(PINNED))
def test_losses_in_bf16_are_those_of_fp32_to_its_rounding(name: str, spec: str) -> None:
    assert trained(name, spec, "bf16")[1].sums == pytest.approx(PINNED[name, spec], rel=0.03, abs=1e-3)
