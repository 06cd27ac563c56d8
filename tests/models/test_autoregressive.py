"""The autoregressive model of tables on distributions that are known."""

from __future__ import annotations

import pytest
import torch

from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.models.autoencoders.autoregressive import Autoregressive, AutoregressiveConfig
from aegan.models.base import in_blocks, noise_for
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Field, Spec

FIELDS = (Field(column="a", size=2), Field(column="b", size=4), Field(column="c", size=2))
SPEC = Spec(kind="table", shape=(3,), likelihood="categorical", fields=FIELDS)
TINY = {"embedding": 4, "hidden": 16, "layers": 1, "batch_size": 64, "latent_dim": 4, "lr": 1e-2, "dropout": 0.0}


def table(n: int = 2_000) -> torch.Tensor:
    """b is 0 or 1 with a = 0, else 2 or 3; c is the parity of b nine times of ten."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randint(0, 2, (n,), generator=generator)
    b = 2 * a + torch.randint(0, 2, (n,), generator=generator)
    flip = (torch.rand(n, generator=generator) < 0.1).long()
    return torch.stack([a, b, (b + flip) % 2], 1).float() + 0.5


@pytest.fixture(scope="module")
def model() -> Autoregressive:
    torch.manual_seed(0)
    made = Autoregressive(SPEC, AutoregressiveConfig(**TINY, code_share=0.5))
    Trainer(made, TensorData(x=table()), TrainConfig(steps=500, grids=0), Backend("cpu", "fp32")).fit()
    return made.eval()


def drawn(model: Autoregressive, n: int, seed: int = 1) -> torch.Tensor:
    return in_blocks(model.generate, noise_for(seed, n, model.noise_dim), None, block=model.block).long()


def test_learns_what_belongs_together(model: Autoregressive) -> None:
    made = drawn(model, 4_000)
    assert ((made[:, 1] // 2) == made[:, 0]).float().mean() > 0.98
    assert (made[:, 1] % 2 == made[:, 2]).float().mean() == pytest.approx(0.9, abs=0.03)


def test_a_sample_depends_on_its_seed_and_number_alone(model: Autoregressive) -> None:
    assert bool((drawn(model, 10) == drawn(model, 5_000)[:10]).all())


def test_completes_backwards(model: Autoregressive) -> None:
    """The later column is known; the earlier ones have to follow from it."""
    x = torch.full((400, 3), 0.5)
    x[:, 1] = torch.arange(400) % 4 + 0.5
    known = torch.zeros(400, 3, dtype=torch.bool)
    known[:, 1] = True
    with torch.no_grad():
        made = model.complete(noise_for(0, 400, 4), x, known, {})
    assert bool((made[:, 1] == x[:, 1]).all())
    assert ((made[:, 0].long()) == (torch.arange(400) % 4) // 2).float().mean() > 0.97


def test_conditions_on_several_columns_are_weighed_together(model: Autoregressive) -> None:
    """b within {0, 3} and c = 1: of the two, 3 fits nine times as often. Column by column it would be half."""
    allowed = {1: torch.tensor([True, False, False, True]), 2: torch.tensor([False, True])}
    with torch.no_grad():
        none = torch.zeros(4_000, 3)
        made = model.complete(noise_for(3, 4_000, 4), none, none.bool(), allowed).long()
    assert set(made[:, 1].tolist()) <= {0, 3} and set(made[:, 2].tolist()) == {1}
    assert (made[:, 1] == 3).float().mean() == pytest.approx(0.9, abs=0.04)
    assert (made[:, 0] == made[:, 1] // 2).float().mean() > 0.97


def test_the_place_within_the_one_cell_that_is_allowed_is_drawn(model: Autoregressive) -> None:
    allowed = {1: torch.tensor([False, False, True, False])}
    with torch.no_grad():
        none = torch.zeros(500, 3)
        made = model.complete(noise_for(3, 500, 4), none, none.bool(), allowed)[:, 1]
    assert bool((made.long() == 2).all())
    assert made.frac().mean() == pytest.approx(0.5, abs=0.06) and made.frac().std() == pytest.approx(0.29, abs=0.03)


def test_rows_with_different_gaps_are_completed_each_in_its_own_way(model: Autoregressive) -> None:
    x = table(64)
    known = torch.rand(64, 3, generator=torch.Generator().manual_seed(0)) < 0.5
    with torch.no_grad():
        made = model.complete(noise_for(0, 64, 4), x, known, {})
    assert bool((made == x)[known].all())
    assert bool(((made >= 0) & (made.long() < torch.tensor([2, 4, 2]))).all())


def test_codes_reconstruct_and_the_second_stage_leaves_the_rows_alone(model: Autoregressive) -> None:
    x = table(512)
    with torch.no_grad():
        back = model.decode(model.encode(x))
    assert (back.long() == x.long()).float().mean() > 0.9
    phases = {stage.name: stage.phases[0].networks for stage in model.stages}
    assert phases == {"fields": ("networks",), "code": ("encoder", "shift")}


def test_without_a_code_there_is_no_encoder() -> None:
    made = Autoregressive(SPEC, AutoregressiveConfig(**TINY, code_share=0.0))
    assert made.code_dim == 0 and [stage.name for stage in made.stages] == ["fields"]
    with pytest.raises(ConfigError, match="no encoder"):
        made.encode(table(2))


@pytest.mark.parametrize("bad", [{"dropout": 1.0}, {"ordered": 2.0}, {"hidden": 0}, {"lr": 0.0}, {"beta": -1.0}])
def test_refuses_settings_that_cannot_work(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        AutoregressiveConfig(**bad)  # pyright: ignore[reportArgumentType]
