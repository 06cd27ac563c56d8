"""Rows drawn together: what is alike is computed once, and nothing depends on how many rows are drawn, or by whom."""

from __future__ import annotations

import pytest
import torch

from aegan.models.base import in_blocks
from aegan.nn import autoregressive, drawing
from aegan.nn.autoregressive import FieldNetworks
from aegan.types import Field

FIELDS = (
    Field(column="wide", size=60, ordered=True, entropy=4.0),
    Field(column="sure", size=9, entropy=0.1),
    Field(column="two", size=3, level=0, ordered=True, entropy=1.0),
    Field(column="two", size=5, level=1, ordered=True, entropy=1.0),
)


@pytest.fixture(scope="module")
def networks() -> FieldNetworks:
    torch.manual_seed(0)
    made = FieldNetworks(FIELDS, embedding=4, hidden=16, layers=2, dropped=0.0).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made.requires_grad_(False)


def uniform(count: int) -> torch.Tensor:
    return torch.rand(count, len(FIELDS), generator=torch.Generator().manual_seed(1))


def test_columns_that_leave_least_choice_come_first(networks: FieldNetworks) -> None:
    assert networks.order().tolist() == [1, 2, 3, 0]
    unknown = [Field(column=f.column, size=f.size, level=f.level) for f in FIELDS]
    by_size = FieldNetworks(unknown, embedding=4, hidden=8, layers=1, dropped=0.0)
    assert by_size.order().tolist() == [1, 2, 3, 0]


def test_drawing_alike_rows_once_draws_the_same(networks: FieldNetworks, monkeypatch: pytest.MonkeyPatch) -> None:
    chances = uniform(3_000)
    fast = networks.draw(chances, networks.order())
    monkeypatch.setattr(autoregressive, "steady", lambda device: False)
    plain = networks.draw(chances, networks.order())
    assert (fast.long() == plain.long()).float().mean() > 0.9999  # sums in another order: a cell in a million differs
    inside = [j for j, step in enumerate(FIELDS) if step.column != "sure" and j != 2]
    same = (fast.long() == plain.long()).all(1)
    torch.testing.assert_close(fast[same][:, inside], plain[same][:, inside], atol=1e-3, rtol=0.0)


@pytest.mark.skipif(not drawing.steady("cpu"), reason="this machine's products depend on how many rows there are")
@pytest.mark.parametrize(("block", "threads"), [(1, 1), (7, 1), (500, 2), (3_000, 1)])
def test_no_row_depends_on_the_others(networks: FieldNetworks, block: int, threads: int) -> None:
    chances = uniform(3_000)
    whole = networks.draw(chances, networks.order())
    count = 40 if block == 1 else 3_000
    parts = in_blocks(
        lambda u: networks.draw(u, networks.order()), chances[:count], block=block, fill=False, threads=threads
    )
    assert torch.equal(parts, whole[:count])


def test_side_by_side_leaves_the_number_of_threads(networks: FieldNetworks) -> None:
    before = torch.get_num_threads()
    in_blocks(lambda x: x + 1, torch.zeros(10, 2), block=3, fill=False, threads=2)
    assert torch.get_num_threads() == before


def test_chances_at_the_ends(networks: FieldNetworks) -> None:
    ends = networks.draw(torch.tensor([[0.0] * 4, [1.0] * 4]), networks.order())
    sizes = torch.tensor([field.size for field in FIELDS])
    assert bool(((ends >= 0) & (ends.long() < sizes)).all())
    assert ends[0].long().tolist() == [0, 0, 0, 0] and ends[1].long().tolist() == (sizes - 1).tolist()


def test_only_processors_are_steady() -> None:
    assert not drawing.steady("cuda")


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch was built without oneDNN")
def test_the_other_product_is_the_same_product() -> None:
    generator = torch.Generator().manual_seed(0)
    bias, x, weight = (torch.randn(*shape, generator=generator) for shape in ((1, 5), (33, 7), (7, 5)))
    torch.testing.assert_close(drawing._onednn(bias, x, weight), torch.addmm(bias, x, weight))
