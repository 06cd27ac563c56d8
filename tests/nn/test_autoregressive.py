"""Networks that predict each field from those before it: what sees what, and that draws are draws."""

from __future__ import annotations

import math

import pytest
import torch

from aegan.nn.autoregressive import FieldNetworks
from aegan.types import Field

FIELDS = (
    Field(column="a", size=3),
    Field(column="b", size=4, ordered=True),
    Field(column="b", size=2, level=1, ordered=True),
    Field(column="c", size=5),
)


def networks(seed: int = 0) -> FieldNetworks:
    torch.manual_seed(seed)
    made = FieldNetworks(FIELDS, embedding=4, hidden=8, layers=2, dropped=0.0).double().eval()
    with torch.no_grad():  # heads and second layers start at zero, where everything looks alike
        for p in made.parameters():
            p.add_(0.5 * torch.randn_like(p))
    return made


def rows(n: int) -> torch.Tensor:
    return torch.stack([torch.randint(0, f.size, (n,)) for f in FIELDS], 1) + 0.5


@pytest.mark.parametrize("columns", [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
def test_a_field_sees_those_before_it_and_no_others(columns: list[int]) -> None:
    net, x = networks(), rows(6)
    order = net.order(torch.tensor(columns))
    place = torch.argsort(order)
    plain = net(x, order)
    for i, field in enumerate(FIELDS):
        other = x.clone()
        other[:, i] = (other[:, i] + 1) % field.size
        changed = (net(other, order) != plain).any(0)
        for j in range(len(FIELDS)):
            if j != i:
                assert bool(changed[j]) == bool(place[i] < place[j]), (i, j)


def test_a_column_keeps_its_fields_together_coarse_first() -> None:
    assert networks().order(torch.tensor([2, 1, 0])).tolist() == [3, 1, 2, 0]


def test_probabilities_of_all_rows_sum_to_one_in_every_order() -> None:
    net = networks()
    every = torch.cartesian_prod(*(torch.arange(f.size) for f in FIELDS)) + 0.5
    for columns in ([0, 1, 2], [2, 1, 0]):
        nll = net(every, net.order(torch.tensor(columns))).sum(1)
        assert (-nll).exp().sum().item() == pytest.approx(1.0)


def test_drawn_rows_are_as_frequent_as_the_likelihood_says() -> None:
    net, order = networks(), networks().order()
    generator = torch.Generator().manual_seed(0)
    made = net.float().draw(torch.rand(40_000, 4, generator=generator), order)
    assert bool((made.long() == networks().embedding.index(made)).all())
    first = made[:, 0].long().bincount(minlength=3) / len(made)
    every = torch.cartesian_prod(*(torch.arange(f.size) for f in FIELDS)) + 0.5
    share = (-net(every, order).sum(1)).exp()
    for k in range(3):
        assert first[k].item() == pytest.approx(share[every[:, 0].long() == k].sum().item(), abs=0.01)
    pair = (made[:, 0].long() == 1) & (made[:, 3].long() == 2)
    told = share[(every[:, 0].long() == 1) & (every[:, 3].long() == 2)].sum().item()
    assert pair.float().mean().item() == pytest.approx(told, abs=0.01)


def test_known_values_stay_and_sets_are_obeyed() -> None:
    net = networks().float()
    x = rows(50).float()
    known = torch.rand(50, 4) < 0.3
    known[:, 3] = False
    allowed = {3: torch.tensor([False, True, False, False, True])}
    made, weight = net.fill(torch.rand(50, 4), x, known, [3, 0, 1, 2], allowed)
    assert bool((made == x)[known].all())
    assert set(made[:, 3].long().tolist()) <= {1, 4}
    assert bool((weight < 0).all())  # the logarithm of a probability


def test_the_likeliest_row_is_likelier_than_drawn_ones_field_by_field() -> None:
    net = networks().float()
    order = net.order()
    best = net.draw(None, order, shift=torch.zeros(1, 4, 8))
    first = net(best, order)[:, 0]
    others = torch.tensor([[k + 0.5, 0.5, 0.5, 0.5] for k in range(3)])
    assert first.item() == pytest.approx(net(others, order)[:, 0].min().item())


def test_a_fresh_network_finds_every_value_equally_likely() -> None:
    torch.manual_seed(0)
    net = FieldNetworks(FIELDS, embedding=4, hidden=8, layers=1, dropped=0.1)
    nll = net(rows(3), net.order())
    assert torch.allclose(nll, torch.tensor([math.log(f.size) for f in FIELDS]).expand(3, -1), atol=1e-5)


def test_filling_in_table_order_is_drawing() -> None:
    net, uniform = networks().float(), torch.rand(200, 4)
    none = torch.zeros(200, 4)
    made, weight = net.fill(uniform, none, none.bool(), net.order().tolist(), {})
    assert bool((made.long() == net.draw(uniform, net.order()).long()).all()) and not bool(weight.any())


def test_filling_knows_what_comes_later_in_the_table() -> None:
    """Given c, the shares of a are those of the joint distribution over the order c, a."""
    net = networks()
    x = torch.tensor([[0.5, 0.5, 0.5, 2.5]]).repeat(20_000, 1)
    known = torch.tensor([False, False, False, True]).expand(20_000, 4)
    uniform = torch.rand(20_000, 4, generator=torch.Generator().manual_seed(1))
    made, _ = net.float().fill(uniform, x, known, [0, 1, 2], {})
    probe = torch.tensor([[k + 0.5, 0.5, 0.5, 2.5] for k in range(3)], dtype=torch.float64)
    told = (-networks()(probe, networks().order(torch.tensor([2, 0, 1])))[:, 0]).exp()
    share = made[:, 0].long().bincount(minlength=3) / 20_000
    assert torch.allclose(share, told.float(), atol=0.015)
