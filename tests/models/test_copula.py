"""Rows of a Gaussian copula: marginals and correlations kept, and few rows learnt with their help."""

from __future__ import annotations

import torch
from torch import Tensor

from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.models.autoencoders.copula import copula_rows
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Field, Spec

DIGITS = (Field(column="a", size=4, ordered=True), Field(column="a", size=4, level=1, ordered=True))
NAMES = (Field(column="b", size=5),)
FIELDS = (*DIGITS, *NAMES, Field(column="c", size=2, ordered=True))


def correlated(count: int, seed: int) -> Tensor:
    """An amount in two digits, five names that go with it in a mixed order, and a coin."""
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(count, generator=g)
    amount = (torch.special.ndtr(z) * 16).long().clamp_(max=15)
    ranked = (torch.special.ndtr(0.9 * z + 0.436 * torch.randn(count, generator=g)) * 5).long().clamp_(max=4)
    name = torch.tensor([3, 0, 4, 1, 2])[ranked]
    coin = torch.randint(0, 2, (count,), generator=g)
    return torch.stack([amount // 4, amount % 4, name, coin], 1) + 0.5


def table(rows: Tensor) -> Tensor:
    """How often each name comes with each amount, as shares ``(16, 5)``."""
    k = rows.long()
    key = (k[:, 0] * 4 + k[:, 1]) * 5 + k[:, 2]
    return torch.bincount(key, minlength=80).view(16, 5).double() / len(rows)


def test_marginals_and_ties_come_back_and_names_find_their_order() -> None:
    rows = correlated(4000, 0)
    made = copula_rows(rows, FIELDS, 20_000, torch.Generator().manual_seed(1))
    there, got = table(rows), table(made)
    assert (there.sum(1) - got.sum(1)).abs().max() < 0.01
    assert (there.sum(0) - got.sum(0)).abs().max() < 0.02
    apart = (there.sum(1)[:, None] * there.sum(0) - there).abs().sum()
    assert apart > 0.8
    assert (there - got).abs().sum() < 0.15 * apart
    assert abs(float(torch.corrcoef(torch.stack([made[:, 0], made[:, 3]]))[0, 1])) < 0.06


def test_values_that_never_come_together_do_not() -> None:
    rows = correlated(1000, 0)
    rows[:, 3] = (rows[:, 2] > 3).float() + 0.5  # the coin goes by the name
    made = copula_rows(rows, FIELDS, 5000, torch.Generator().manual_seed(1))
    assert len(made) == 5000
    assert bool(((made[:, 2] > 3) == (made[:, 3] > 1)).all())


def test_the_same_rows_make_the_same_and_constant_columns_do_no_harm() -> None:
    rows = correlated(20, 0)
    rows[:, 3] = 0.5
    first, second = (copula_rows(rows, FIELDS, 50, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert bool((first[:, 3] == 0.5).all())
    one = copula_rows(rows[:, :2], DIGITS, 50, torch.Generator().manual_seed(3))
    assert set(map(tuple, one.tolist())) <= set(map(tuple, rows[:, :2].tolist()))


def test_few_rows_are_learnt_better_with_the_prior() -> None:
    g = torch.Generator().manual_seed(0)
    mixing = torch.randn(6, 6, generator=g)
    names = [Field(column=f"c{i}", size=12, ordered=True) for i in range(6)]

    def drawn(count: int) -> Tensor:
        z = torch.randn(count, 6, generator=g) @ mixing
        return (torch.special.ndtr(z / mixing.square().sum(0).sqrt()) * 12).floor().clamp(max=11) + 0.5

    spec = Spec(kind="table", shape=(6,), likelihood="categorical", fields=tuple(names))
    rows, unseen = drawn(80), drawn(1000)
    loss = {}
    for prior in (0, 500):
        settings = {"hidden": 32, "code_share": 0.0, "batch_size": 64, "prior_rows": prior, "dropout": 0.0}
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = build("autoregressive", spec, settings)
        Trainer(model, TensorData(x=rows), TrainConfig(steps=120, seed=0, grids=0), Backend("cpu", "fp32")).fit()
        loss[prior] = -model.eval().health(unseen).figures["log_likelihood"]
    assert loss[500] < loss[0] - 1.0
