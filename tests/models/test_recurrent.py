"""The recurrent model of series: what it learns, conditions, gaps, codes."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import swings
from torch import Tensor

from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.models.autoencoders.recurrent import Recurrent, RecurrentConfig
from aegan.models.base import noise_for
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Field, Spec

SWINGS = Spec(kind="series", shape=(12, 3))
SMALL = {"state": 24, "hidden": 12, "parts": 3, "latent_dim": 6, "width": 8, "batch_size": 32, "lr": 5e-3}


def trained(spec: Spec, data: TensorData, steps: int, **settings: object) -> Recurrent:
    torch.manual_seed(0)
    model = build("recurrent", spec, SMALL | settings)
    Trainer(model, data, TrainConfig(steps=steps, grids=0), Backend("cpu", "fp32")).fit()
    assert isinstance(model, Recurrent)
    return model.eval()


def walks(n: int = 512, steps: int = 12) -> Tensor:
    """A walk that often stands still, its exact double, whole numbers, a constant."""
    generator = torch.Generator().manual_seed(0)
    moves = 0.05 * torch.randn(n, steps, generator=generator)
    still = torch.rand(n, steps, generator=generator) < 0.6
    start = 0.3 * torch.randn(n, 1, generator=generator)
    walk = (start + moves.masked_fill(still, 0.0).cumsum(1)).clamp(-0.9, 0.9)
    whole = (3 * torch.sin(torch.arange(steps) + 6.28 * torch.rand(n, 1, generator=generator))).round() / 4
    return torch.stack([walk, -walk, whole, torch.zeros(n, steps)], 2)


@pytest.fixture(scope="module")
def walker() -> Recurrent:
    x = walks()
    return trained(Spec(kind="series", shape=(12, 4)), TensorData(x=x), 360, gaps_share=0.3, code_share=0.2)


@pytest.fixture(scope="module")
def made(walker: Recurrent) -> Tensor:
    return walker.generate(noise_for(0, 512, walker.noise_dim), None)


def test_copies_constants_and_whole_numbers_come_out_exact(made: Tensor) -> None:
    real = walks()
    assert (made[..., 0] + made[..., 1]).abs().max() < 1e-5
    assert not made[..., 3].any()
    assert set(made[..., 2].unique().tolist()) <= set(real[..., 2].unique().tolist())


def test_a_channel_is_filled_from_its_copy(walker: Recurrent) -> None:
    x = walks()[:4]
    known = torch.zeros_like(x, dtype=torch.bool)
    known[:, 3:, 1] = True
    done = walker.fill(noise_for(0, 4, walker.noise_dim), x.masked_fill(~known, 0.0), known)
    assert torch.allclose(done[:, 3:, 0], x[:, 3:, 0], atol=1e-5) and torch.equal(done[known], x[known])
    assert torch.allclose(done[..., 0], -done[..., 1], atol=1e-5)


def test_what_stands_still_in_the_data_stands_still_in_samples(made: Tensor) -> None:
    still = lambda x: (x[:, 1:, 0] - x[:, :-1, 0]).abs().lt(2e-3).float().mean().item()  # noqa: E731
    assert still(made) == pytest.approx(still(walks()), abs=0.12)


def test_samples_vary_and_move_as_the_data_do(made: Tensor) -> None:
    real = walks()
    assert made[..., 0].std() == pytest.approx(real[..., 0].std().item(), rel=0.2)
    move = lambda x: (x[:, 1:, 0] - x[:, :-1, 0]).square().mean().sqrt().item()  # noqa: E731
    assert move(made) == pytest.approx(move(real), rel=0.25)
    assert bool((made >= -1).all() and (made <= 1).all())


def test_straight_lines_between_hours_stay_straight() -> None:
    generator = torch.Generator().manual_seed(0)
    hours = 0.2 * torch.randn(400, 4, 2, generator=generator).cumsum(1).clamp(-4.0, 4.0)
    part = torch.arange(12)
    share = (part % 4 / 4)[None, :, None]
    x = hours[:, part // 4] * (1 - share) + hours[:, (part // 4 + 1).clamp(max=3)] * share
    x[:, :, 1] += 0.3 * x[:, :, 0]
    model = trained(Spec(kind="series", shape=(12, 2)), TensorData(x=x), 250, gaps_share=0.0, code_share=0.0)
    made = model.generate(noise_for(0, 256, model.noise_dim), None)
    straight = lambda x: (x[:, 2:] - 2 * x[:, 1:-1] + x[:, :-2]).abs().lt(2e-3).float().mean((0, 1))  # noqa: E731
    assert torch.allclose(straight(made), straight(x), atol=0.15), (straight(made), straight(x))
    bent = lambda x: (x[:, 2:] - 2 * x[:, 1:-1] + x[:, :-2]).abs().gt(2e-3)  # noqa: E731
    both = bent(made)
    assert (both[..., 0] == both[..., 1]).float().mean() > 0.85


def test_gaps_are_filled_towards_what_follows_them(walker: Recurrent) -> None:
    x = walks(64)
    known = torch.ones_like(x, dtype=torch.bool)
    known[:, 4:8, :2] = False
    filled = walker.fill(noise_for(0, 64, walker.noise_dim), x, known)
    assert torch.equal(filled[known], x[known])
    ahead = known.clone()
    ahead[:, 8:] = False
    forecast = walker.fill(noise_for(0, 64, walker.noise_dim), x, ahead)
    miss = lambda y: (y[:, 7, 0] - x[:, 7, 0]).abs().mean().item()  # noqa: E731
    assert miss(filled) < 0.7 * miss(forecast)


def test_with_nothing_known_filling_is_sampling(walker: Recurrent, made: Tensor) -> None:
    noise = noise_for(0, 512, walker.noise_dim)
    x = torch.zeros_like(made)
    assert torch.equal(walker.fill(noise, x, torch.zeros_like(x, dtype=torch.bool)), made)


def test_codes_keep_the_shape_of_a_series(walker: Recurrent) -> None:
    x = walks(128)
    z = walker.encode(x)
    error = (walker.decode(z) - x)[..., 0].square().mean()
    wrong = (walker.decode(z.roll(1, 0)) - x)[..., 0].square().mean()
    # A code that were ignored would serve another series as well.
    assert error < 0.3 * x[..., 0].var() and error < 0.3 * wrong


def test_without_their_stages_there_are_no_codes_and_no_gaps() -> None:
    model = build("recurrent", SWINGS, SMALL | {"gaps_share": 0.0, "code_share": 0.0})
    assert isinstance(model, Recurrent)
    assert model.code_dim == 0 and [stage.name for stage in model.stages] == ["steps"]
    known = torch.zeros(2, 12, 3, dtype=torch.bool)
    known[:, 5] = True
    with pytest.raises(ConfigError, match="gaps_share above 0"):
        model.fill(noise_for(0, 2, model.noise_dim), torch.zeros(2, 12, 3), known)
    with pytest.raises(ConfigError, match="below 1 together"):
        RecurrentConfig(gaps_share=0.5, code_share=0.5)


def test_missing_values_are_not_learnt() -> None:
    x = swings(256)
    mask = torch.rand(256, 12, 3, generator=torch.Generator().manual_seed(1)) < 0.7
    spoilt = torch.where(mask, x, torch.full_like(x, 0.95))
    model = trained(SWINGS, TensorData(x=spoilt, mask=mask), 150)
    made = model.generate(noise_for(0, 256, model.noise_dim), None)
    assert (made > 0.9).float().mean() < 0.02
    assert made[..., 0].std() == pytest.approx(x[..., 0].std().item(), rel=0.25)


def test_classes_and_attributes_say_what_comes() -> None:
    fields = (Field(column="length", size=3, ordered=True), Field(column="place", size=4))
    spec = Spec(kind="series", shape=(12, 3), classes=("up", "down"), fields=fields)
    x, y = swings(256), torch.arange(256) % 2
    place = (torch.arange(256) // 2) % 4
    # The class flips the third channel, and a place goes with the class.
    x[..., 2] = torch.where(y[:, None] == 0, 0.5, -0.5) + 0.1 * place[:, None]
    static = torch.stack([(torch.arange(256) % 3) + 0.5, torch.where(y == 0, place // 2, 2 + place // 2) + 0.5], 1)
    model = trained(spec, TensorData(x=x, y=y, static=static), 200)
    noise = noise_for(0, 128, model.noise_dim)
    wanted = torch.arange(128) % 2
    rows, labels = model.draw_labels(noise, wanted)
    assert labels is not None and torch.equal(labels, wanted)
    assert ((rows[:, 1] >= 2) == (wanted == 1)).float().mean() > 0.9
    series = model.generate(noise, wanted, rows)
    assert (series[..., 2].mean(1).sign() == torch.where(wanted == 0, 1, -1)).float().mean() > 0.95
    # The same noise without rows draws the same rows.
    assert torch.equal(series, model.generate(noise, wanted))
    allowed = {1: torch.tensor([False, False, False, True])}
    rows, labels = model.draw_labels(noise, None, allowed)
    assert bool((rows[:, 1].floor() == 3).all()) and labels is not None and labels.float().mean() > 0.9


def test_series_of_256_steps_train_and_stay_in_range() -> None:
    generator = torch.Generator().manual_seed(0)
    phase = 6.28 * torch.rand(48, 1, generator=generator)
    x = (0.8 * torch.sin(phase + torch.arange(256) / 8) + 0.02 * torch.randn(48, 256, generator=generator))[..., None]
    model = trained(
        Spec(kind="series", shape=(256, 1)), TensorData(x=x), 50, gaps_share=0.0, code_share=0.0, lr=1e-2, batch_size=16
    )
    made = model.generate(noise_for(0, 32, model.noise_dim), None)
    late = made[:, 192:, 0]
    assert bool(torch.isfinite(made).all())
    assert late.std() == pytest.approx(x.std().item(), rel=0.35)


@pytest.mark.parametrize(("steps", "series"), [(24, 64), (256, 9), (4096, 4)])
def test_long_series_of_many_channels_are_learnt_from_a_few_a_step(steps: int, series: int) -> None:
    model = build("recurrent", Spec(kind="series", shape=(steps, 28)), {"state": 8, "hidden": 4, "batch_size": 64})
    first = model.stages[0]
    assert first.batch_size == series
    assert first.ema_samples / first.batch_size == pytest.approx(20_000 / 64)


def test_models_that_cannot_draw_attributes_refuse_series_that_have_them() -> None:
    spec = Spec(kind="series", shape=(12, 3), fields=(Field(column="length", size=3),))
    with pytest.raises(ConfigError, match=r"latent-gan does not draw attributes.*\(length\)\. Fit recurrent"):
        build("latent-gan", spec, {})
    build("autoencoder", spec, {"latent_dim": 4})
