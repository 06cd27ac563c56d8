"""Which library multiplies: told by the processor, decided by the first step, kept for those that resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.errors import Interrupted
from aegan.models.registry import build
from aegan.train import products
from aegan.train.backend import Backend
from aegan.train.probe import Probe, StepRecord
from aegan.train.products import Products, Work, by_onednn, usable
from aegan.train.trainer import Trainer
from aegan.types import Spec


def setting() -> str:
    backend: Any = torch.backends.mkldnn
    return backend.matmul.fp32_precision


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "usable", lambda: True)


def step(found: Products, number: int, size: int) -> str:
    with found.step(number):
        _ = torch.ones(size, size) @ torch.ones(size, size)
        return setting()


@pytest.mark.usefixtures("everywhere")
def test_large_products_go_to_onednn_from_the_second_step_on_and_small_ones_never() -> None:
    usual, found = setting(), Products("cpu")
    assert [step(found, 0, 256), step(found, 1, 256), step(found, 2, 256)] == [usual, "bf16", "bf16"]
    assert [step(found, 0, 16), step(found, 1, 16)] == [usual, usual]
    assert setting() == usual


@pytest.mark.usefixtures("everywhere")
def test_the_setting_is_put_back_behind_an_error() -> None:
    usual, found = setting(), Products("cpu")
    step(found, 0, 256)
    with pytest.raises(ValueError, match="within"), found.step(1):
        raise ValueError("within")
    assert setting() == usual


def test_products_in_bf16_are_not_counted_and_gradients_are() -> None:
    x = torch.ones(4, 8, requires_grad=True)
    with Work() as work:
        (x @ torch.ones(8, 2)).sum().backward()
        with torch.autocast("cpu", torch.bfloat16):
            _ = x @ torch.ones(8, 512)
        _ = torch.baddbmm(torch.zeros(3, 4, 5), torch.ones(3, 4, 6), torch.ones(3, 6, 5))
    assert work.mean == pytest.approx((4 * 8 * 2 + 4 * 8 * 2 + 3 * 4 * 6 * 5) / 3)


def test_another_maker_keeps_the_usual_library(tmp_path: Path) -> None:
    processor = tmp_path / "cpuinfo"
    processor.write_text("vendor_id\t: GenuineIntel\n")
    assert not usable(processor)
    assert not usable(tmp_path / "missing")


@pytest.mark.skipif(not usable(), reason="the usual library is the one for this processor")
def test_it_is_as_exact_where_it_is_used() -> None:
    a, b = torch.randn(128, 512), torch.randn(512, 128)
    with by_onednn():
        made = a @ b
    assert torch.allclose(made.double(), a.double() @ b.double(), atol=1e-4)


@pytest.mark.usefixtures("everywhere")
def test_a_resumed_stage_goes_on_with_the_library_that_it_had(tmp_path: Path) -> None:
    data = TensorData(x=torch.randn(256, 64))
    settings = {"width": 32, "latent_dim": 16, "batch_size": 256}

    def trainer(folder: Path) -> Trainer:
        folder.mkdir(exist_ok=True)
        torch.manual_seed(0)
        model = build("autoencoder", Spec(kind="vector", shape=(64,)), settings)
        return Trainer(model, data, TrainConfig(steps=6, grids=0), Backend("cpu", "fp32"), folder=folder)

    class StopAt(Probe):
        def on_step(self, trainer: Trainer, record: StepRecord) -> None:
            trainer._stop = trainer.step == 3

    whole = trainer(tmp_path / "whole")
    whole.fit()
    assert whole.backend.products.onednn
    stopped = trainer(tmp_path / "parts")
    stopped.probes.append(StopAt())
    with pytest.raises(Interrupted):
        stopped.fit()
    resumed = trainer(tmp_path / "parts")
    resumed.fit(resume=True)
    assert resumed.backend.products.onednn
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[key])
