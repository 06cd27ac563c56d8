"""Differentially private training: norms, cut gradients, noise, batches, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import aegan
from aegan.config import PrivateConfig, TrainConfig
from aegan.data.base import TensorData
from aegan.errors import ConfigError, DataError, Interrupted
from aegan.models.autoencoders.autoregressive import Autoregressive, AutoregressiveConfig
from aegan.models.registry import build
from aegan.nn.autoregressive import FieldNetworks, gradient_norms
from aegan.train.backend import Backend
from aegan.train.private import PrivateSteps, private_config
from aegan.train.trainer import Trainer
from aegan.types import Field, Spec

FIELDS = (
    Field(column="city", size=3),
    Field(column="pay", size=4, ordered=True),
    Field(column="pay", size=5, level=1, ordered=True),
    Field(column="sex", size=2),
)
SPEC = Spec(kind="table", shape=(4,), likelihood="categorical", fields=FIELDS)


def rows(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.tensor([field.size for field in FIELDS])
    return (torch.rand(count, 4, generator=generator) * sizes).floor() + 0.5


def networks(dropped: float = 0.0) -> FieldNetworks:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = FieldNetworks(FIELDS, embedding=3, hidden=6, layers=2, dropped=dropped)
        for p in made.parameters():
            torch.nn.init.normal_(p, std=0.4)
    return made


@pytest.mark.parametrize("columns", [None, torch.tensor([2, 0, 1])])
def test_norms_are_those_of_each_rows_gradient(columns: torch.Tensor | None) -> None:
    made, x, taps = networks(), rows(9), []
    order = made.order(columns)
    found = gradient_norms(made(x, order, taps=taps).sum(1), taps)
    for i in range(len(x)):
        made.zero_grad()
        made(x[i : i + 1], order).sum().backward()
        squares = sum(float(p.grad.square().sum()) for p in made.parameters() if p.grad is not None)
        assert float(found[i]) == pytest.approx(squares**0.5, rel=1e-4)


def test_no_row_moves_the_weights_by_more_than_the_bound() -> None:
    config = AutoregressiveConfig(embedding=3, hidden=6, dropout=0.0, patience=0, code_share=0.0, ordered=1.0)
    model = build("autoregressive", SPEC, {"embedding": 3, "hidden": 6, "dropout": 0.0, "patience": 0, "code_share": 0})
    assert isinstance(model, Autoregressive) and model.config.hidden == config.hidden

    def gradient(x: torch.Tensor) -> torch.Tensor:
        model.zero_grad()
        torch.manual_seed(0)
        model.private_loss("fields", {"x": x}, 0.01, 4.0)["reconstruction"].value.backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    x = rows(16)
    change = gradient(x) - gradient(x[:-1])
    assert float(change.norm()) <= 0.01 / 4.0 * 1.001
    assert float(change.norm()) > 0.5 * 0.01 / 4.0, "an uncut row would be found in a bound this small"
    assert float(gradient(x[:0]).abs().max()) == 0.0


def test_noise_has_the_scale_that_was_reckoned() -> None:
    steps = PrivateSteps(PrivateConfig(epsilon=1.0, delta=1e-5, noise=2.0, rate=0.1, bound=0.5), 1000)
    gradient = torch.zeros(200, 500)
    steps.disturb([gradient])
    assert gradient.std().item() == pytest.approx(2.0 * 0.5 / 100.0, rel=0.02)
    again = torch.zeros(200, 500)
    PrivateSteps(steps.config, 1000).disturb([again])
    assert not torch.equal(gradient, again), "noise that can be repeated can be taken away"


def test_batches_are_drawn_sample_by_sample() -> None:
    steps = PrivateSteps(PrivateConfig(epsilon=1.0, delta=1e-5, noise=1.0, rate=0.2), 500)
    sizes = np.array([len(steps.index(i)) for i in range(400)])
    assert sizes.mean() == pytest.approx(100, abs=3)
    assert sizes.std() == pytest.approx((500 * 0.2 * 0.8) ** 0.5, rel=0.2)


def test_noise_follows_the_promise() -> None:
    pytest.importorskip("opacus")
    options = {"samples": 10_000, "batch_size": 500, "steps": 200, "bound": 1.0}
    strong = private_config(0.5, None, **options)
    weak = private_config(5.0, None, **options)
    assert strong.noise > weak.noise > 0.3
    assert strong.delta == 1e-5 and strong.rate == 0.05
    # One full batch is the Gaussian mechanism: its σ from Balle and Wang 2018 at ε=1, δ=1e-5 is 3.73.
    once = private_config(1.0, 1e-5, samples=1000, batch_size=1000, steps=1, bound=1.0)
    assert 3.7 < once.noise < 4.4


@pytest.mark.parametrize(
    ("epsilon", "delta", "samples", "message"),
    [
        (0.0, None, 1000, "ε above 0"),
        (float("nan"), None, 1000, "ε above 0"),
        (1.0, 0.01, 1000, "giving away a whole row"),
        (1.0, None, 20, "at least 100 rows"),
    ],
)
def test_empty_promises_are_refused(epsilon: float, delta: float | None, samples: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        private_config(epsilon, delta, samples=samples, batch_size=10, steps=10, bound=1.0)


def test_models_that_learn_otherwise_are_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be trained privately"):
        build("autoencoder", Spec(kind="vector", shape=(4,)), {"latent_dim": 2}).private_loss(
            "autoencoder", {}, 1.0, 1.0
        )
    config = TrainConfig(steps=2, device="cpu", precision="fp32", accumulate=2)
    steps = PrivateSteps(PrivateConfig(epsilon=1.0, delta=1e-5, noise=1.0, rate=0.5), 40)
    model = build("autoregressive", SPEC, {"code_share": 0.0, "batch_size": 8})
    with pytest.raises(ConfigError, match="accumulate=1"):
        Trainer(model, TensorData(x=rows(40)), config, Backend("cpu", "fp32"), private=steps)


def frame(count: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    sex = random.choice(["f", "m"], count)
    return pd.DataFrame({"sex": sex, "height": np.where(sex == "f", 165, 178) + random.integers(-9, 10, count)})


def test_a_private_fit_keeps_and_tells_its_promise(tmp_path: Path) -> None:
    pytest.importorskip("opacus")
    secret, public = frame(600, 0), frame(300, 1)
    secret.loc[0, "height"] = 999
    out = tmp_path / "run"
    model = aegan.fit(secret, out=out, private=4.0, public=public, steps=60)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert config["private"]["epsilon"] == 4.0 and config["private"]["delta"] == 1e-5
    assert config["source"]["fingerprint"] is None and config["source"]["holdout"] == 0.0
    everything = "".join(p.read_text(encoding="utf-8") for p in (out / "adapter.json", out / "events.jsonl"))
    assert "999" not in everything, "the adapter has learnt from a private row"
    assert '"terms": {"' not in everything, "a loss was recorded"
    assert not (out / "metrics.json").exists() and not (out / "diagnosis.json").exists()
    made = model.sample(400)
    assert list(made.columns) == ["sex", "height"] and made["height"].max() <= public["height"].max()
    assert set(made["sex"]) == {"f", "m"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"private": 2.0, "steps": 5}, "needs --public"),
        ({"private": 2.0, "public": frame(300, 1)}, "--steps expected"),
        ({"private": 2.0, "public": frame(300, 1), "steps": 5, "model": "autoencoder"}, "cannot be trained privately"),
        (
            {"private": 2.0, "public": frame(300, 1), "steps": 5, "settings": {"patience": "9"}},
            "without patience expected",
        ),
        ({"public": frame(300, 1), "steps": 5}, "only with --private"),
    ],
)
def test_what_would_break_the_promise_is_refused(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        aegan.fit(frame(600, 0), out=tmp_path / "run", evaluate=False, **options)
    assert not (tmp_path / "run").exists()


def test_the_private_table_is_no_public_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    frame(600, 0).to_csv(path, index=False)
    with pytest.raises(ConfigError, match="the private table itself"):
        aegan.fit(path, out=tmp_path / "run", private=2.0, public=str(path), steps=5)


def test_an_interrupted_private_run_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("opacus")
    secret, public, out = frame(600, 0), frame(300, 1), tmp_path / "run"

    class Stop:
        def on_start(self, trainer: Trainer) -> None: ...
        def on_stage(self, trainer: Trainer, stage: str) -> None: ...
        def on_end(self, trainer: Trainer, reason: str) -> None: ...
        def on_step(self, trainer: Trainer, record: object) -> None:
            if trainer.step == 3:
                trainer._stop = True

    with pytest.raises(Interrupted):
        aegan.fit(secret, out=out, private=4.0, public=public, steps=6, probes=[Stop()])
    with pytest.raises(DataError, match="not those"):
        aegan.fit(secret[:-1], out=out, resume=True)
    model = aegan.fit(secret, out=out, resume=True)
    assert model.run.config["private"]["epsilon"] == 4.0
    assert not (out / "metrics.json").exists()


def test_images_are_refused(tmp_path: Path) -> None:
    images = np.zeros((200, 8, 8), dtype=np.uint8)
    with pytest.raises(ConfigError, match="for tables alone"):
        aegan.fit(images, out=tmp_path / "run", private=2.0, public=images, steps=5)
