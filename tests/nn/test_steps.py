"""Networks of series: whole ones, and the distribution step by step."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import swings
from torch import Tensor

from aegan.nn.backbone import decoder_for, discriminator_for, encoder_for
from aegan.nn.series import SERIES_NETWORKS
from aegan.nn.step_aside import AsideNetwork, random_known
from aegan.nn.step_draw import BEYOND, draw_series
from aegan.nn.step_mixture import LogChance, draw_mixture
from aegan.nn.step_scales import StepScales
from aegan.nn.step_weights import chances, fit_weights
from aegan.nn.steps import StepNetworks
from aegan.types import Spec


def _nets(channels: int = 3, condition: int = 0, lag: int = 0) -> StepNetworks:
    torch.manual_seed(0)
    net = StepNetworks(channels, condition, state=12, hidden=6, layers=1, dropped=0.0, parts=2, spans=(3.0,), lag=lag)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    x = swings(64)[:, :, :channels]
    net.scales.fit(x, torch.ones_like(x, dtype=torch.bool))
    return net.eval()


@pytest.mark.parametrize("network", SERIES_NETWORKS)
@pytest.mark.parametrize("shape", [(2, 1), (13, 3), (64, 2)])
def test_encoders_and_decoders_of_series_fit_any_length(network: str, shape: tuple[int, int]) -> None:
    spec = Spec(kind="series", shape=shape, classes=("a", "b"))
    x = torch.randn(4, *shape)
    encoder = encoder_for(spec, 5, width=8, blocks=1, series=network)
    decoder = decoder_for(spec, 5, width=8, blocks=1, series=network)
    z = encoder(x)
    assert z.shape == (4, 5) and decoder(z).shape == x.shape
    maps = encoder.trunk.maps(x)
    assert maps[-1].shape == (4, encoder.trunk.features) and all(m.ndim == 3 for m in maps[:-1])
    judge = discriminator_for(spec, width=8, blocks=1, series=network)
    assert judge(x, torch.tensor([0, 1, 0, 1])).shape == (4,)


@pytest.mark.parametrize("network", SERIES_NETWORKS)
def test_every_step_of_a_series_reaches_its_code(network: str) -> None:
    torch.manual_seed(0)
    encoder = encoder_for(Spec(kind="series", shape=(13, 2)), 4, width=8, blocks=1, series=network)
    with torch.no_grad():
        for p in encoder.parameters():
            p.add_(0.05 * torch.randn_like(p))
    x = torch.randn(2, 13, 2, requires_grad=True)
    encoder(x).square().sum().backward()
    assert x.grad is not None and bool((x.grad.abs().sum((0, 2)) > 0).all())


def test_the_gradient_of_a_mixtures_chances_is_that_of_their_formula() -> None:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, low, high = draw(4, 3), draw(4, 3) < -1, draw(4, 3) > 1
    logits, centres = draw(4, 3, 5).requires_grad_(), draw(4, 3, 5).requires_grad_()
    widths = (draw(4, 3, 5).abs() + 0.1).requires_grad_()
    cell = torch.tensor([0.1, 0.5, 0.01], dtype=torch.float64)
    chances = lambda *numbers: LogChance.apply(x, *numbers, cell, low, high)  # noqa: E731
    assert torch.autograd.gradcheck(chances, (logits, centres, widths))


def test_the_chances_of_all_cells_sum_to_one() -> None:
    cell = torch.full((9,), 0.25)
    x = torch.linspace(-1, 1, 9)
    logits, centres, widths = torch.randn(3, 1, 4).unbind(0)
    numbers = [t.expand(9, 4) for t in (logits, centres, 0.01 + widths.abs())]
    chances = LogChance.apply(x, *numbers, cell, x <= -0.9, x >= 0.9).exp()
    assert chances.sum().item() == pytest.approx(1.0, abs=1e-5)


def test_draws_of_a_mixture_follow_its_chances() -> None:
    uniform = (torch.arange(20_000) + 0.5) / 20_000
    logits = torch.tensor([0.0, 1.0]).expand(20_000, 2)
    centres, widths = torch.tensor([-1.0, 2.0]).expand(20_000, 2), torch.tensor([0.1, 0.3]).expand(20_000, 2)
    wide = torch.tensor(1e3).expand(20_000)
    x = draw_mixture(uniform, logits, centres, widths, -wide, wide)
    grid = torch.tensor([-1.2, -1.0, 0.5, 2.0, 2.5])
    share = torch.tensor([0.0, 1.0]).softmax(0)
    expected = (share * torch.sigmoid((grid[:, None] - centres[0]) / widths[0])).sum(1)
    assert torch.allclose((x[:, None] < grid).double().mean(0).float(), expected, atol=2e-3)
    # Within bounds the chances keep their ratios.
    low, high = torch.tensor(-1.1).expand(20_000), torch.tensor(2.2).expand(20_000)
    x = draw_mixture(uniform, logits, centres, widths, low, high)
    ends = (share * torch.sigmoid((torch.tensor([[-1.1], [2.2]]) - centres[0]) / widths[0])).sum(1)
    within = (expected[1:4] - ends[0]) / (ends[1] - ends[0])
    assert bool((x >= low).all()) and bool((x <= high).all())
    assert torch.allclose((x[:, None] < grid[1:4]).double().mean(0).float(), within, atol=2e-3)


def test_no_change_is_far_larger_than_any_that_was_observed() -> None:
    net, x = _nets(), swings(64)
    with torch.no_grad():
        net.steps.head_bias.add_(3.0)  # wide parts everywhere
        made = draw_series(net, torch.rand(20, 12, x.shape[2]), None)
    change, real = made[:, 1:] - made[:, :-1], x[:, 1:] - x[:, :-1]
    slack = net.scales.cell
    assert bool((change >= BEYOND * real.amin((0, 1)) - slack).all())
    assert bool((change <= BEYOND * real.amax((0, 1)) + slack).all())
    assert bool((change.abs() > 0.5 * real.abs().amax((0, 1))).any())


def test_the_ends_of_the_range_are_drawn_as_often_as_their_chances_say() -> None:
    torch.manual_seed(0)
    net = StepNetworks(1, 0, state=4, hidden=4, layers=1, dropped=0.0, parts=2).eval()
    x = torch.randint(0, 6, (500, 2, 1)).float() / 5 * (torch.rand(500, 2, 1) < 0.5)
    net.scales.fit(x, torch.ones_like(x, dtype=torch.bool))
    count = 4000
    with torch.no_grad():
        net.steps.head_bias[..., -3:] += 2.0  # widths: much lies beyond the range
        uniform = ((torch.arange(count) + 0.5) / count)[:, None, None].expand(-1, 2, 1)
        for value in (0.0, 1.0):
            series = torch.full((1, 2, 1), value)
            chances = (-net(series, torch.ones(1, 2, 1, dtype=torch.bool), None)).exp()[0, :, 0]
            first = draw_series(net, uniform, None)[:, 0, 0]
            known = torch.tensor([True, False]).view(1, 2, 1).expand(count, -1, -1)
            second = draw_series(net, uniform, None, x=series.expand(count, -1, -1), known=known)[:, 1, 0]
            for drawn, chance in ((first, chances[0]), (second, chances[1])):
                assert chance > 0.05
                share = (drawn - value).abs().lt(1e-4).float().mean().item()
                assert share == pytest.approx(chance.item(), abs=0.01)


@pytest.mark.parametrize("heaped", [False, True])
def test_chances_of_all_values_within_the_range_sum_to_one(heaped: bool) -> None:
    torch.manual_seed(0)
    net = StepNetworks(1, 0, state=4, hidden=4, layers=1, dropped=0.0, parts=2).eval()
    grid = torch.arange(11.0) / 10
    x = grid[torch.randint(0, 11, (2000, 2))][..., None] if heaped else torch.rand(2000, 2, 1)
    net.scales.fit(x, torch.ones_like(x, dtype=torch.bool))
    if not heaped:
        net.scales.heap_low[:], net.scales.heap_high[:] = False, False
        count = round(float((net.scales.high - net.scales.low) / net.scales.cell))
        net.scales.cell[:] = (net.scales.high - net.scales.low) / count
        grid = net.scales.low + net.scales.cell * (torch.arange(count) + 0.5)  # middles of cells
    with torch.no_grad():
        net.steps.head_bias[..., -3:] += 2.0  # much would lie beyond the range
        series = torch.stack([torch.full_like(grid, 0.3), grid], 1)[..., None]
        chances = (-net(series, torch.ones_like(series, dtype=torch.bool), None)).exp()[:, 1, 0]
    assert chances.sum() == pytest.approx(1.0, abs=1e-3)
    assert bool(net.scales.heap_low) == heaped


def test_what_lies_evenly_is_learnt_to_the_ends_of_its_range() -> None:
    torch.manual_seed(0)
    x = torch.rand(2000, 3, 1) * 2 - 1
    net, mask = StepNetworks(1, 0, state=4, hidden=8, layers=1, dropped=0.0, parts=3), torch.ones(2000, 3, 1) > 0
    net.scales.fit(x, mask)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for step in range(400):
        part = slice(step % 4 * 500, step % 4 * 500 + 500)
        optimizer.zero_grad()
        net(x[part], mask[part], None).mean().backward()
        optimizer.step()
    made = draw_series(net.eval(), torch.rand(20_000, 3, 1), None)
    for values in (made[:, 0], made[:, 2]):
        assert values.std() == pytest.approx(3**-0.5, rel=0.02)
        assert (values.abs() > 0.9).float().mean() == pytest.approx(0.1, abs=0.015)
        assert (values.abs() > 0.999).float().mean() < 0.003  # nothing heaps up at the ends


def test_where_few_values_lie_at_an_end_of_the_range_draws_do_not_heap_up_there() -> None:
    torch.manual_seed(0)
    net, x = StepNetworks(1, 0, state=4, hidden=4, layers=1, dropped=0.0, parts=2).eval(), 0.2 * torch.randn(200, 12, 1)
    net.scales.fit(x, torch.ones_like(x, dtype=torch.bool))
    assert not bool(net.scales.heap_low.any() or net.scales.heap_high.any())
    with torch.no_grad():
        net.steps.head_bias[..., -net.steps.head_bias.shape[-1] // 3 :] += 3.0
        net.start.head_bias[..., -net.start.head_bias.shape[-1] // 3 :] += 3.0
        made = draw_series(net, torch.rand(400, 12, 1), None)
    ends = ((made - x.min()).abs() < 1e-4) | ((made - x.max()).abs() < 1e-4)
    assert ends.float().mean() < 0.02
    heaped = x.clamp(min=0.0)
    net.scales.fit(heaped, torch.ones_like(x, dtype=torch.bool))
    assert bool(net.scales.heap_low) and not bool(net.scales.heap_high)
    net.scales.widen(heaped - 1.0, torch.ones_like(x, dtype=torch.bool))  # there is less than where many lay
    assert not bool(net.scales.heap_low)


@pytest.mark.parametrize(("shape", "lag"), [(None, 0), ((20, 4), 5), ((20, 12, 4), 2)])
def test_what_is_drawn_one_value_at_a_time_has_the_chances_it_was_trained_with(shape, lag, monkeypatch) -> None:
    net, x = _nets(condition=4 if shape else 0, lag=lag), swings(20)
    given = None if shape is None else torch.randn(shape)
    seen: list[Tensor] = []
    mixture = net.mixture
    monkeypatch.setattr(net, "mixture", lambda numbers, *rest: seen.append(numbers) or mixture(numbers, *rest))
    with torch.no_grad():
        net(x, torch.ones_like(x, dtype=torch.bool), given)
        first, rest = seen[0], seen[1].unflatten(0, (20, 11))
        seen.clear()
        # The first series is unknown throughout, so that nothing can be read at once; the others are known.
        known = torch.ones_like(x, dtype=torch.bool)
        known[0] = False
        out = draw_series(net, torch.rand(20, 12, 3), given, x=x, known=known)
    assert torch.equal(out[1:], x[1:])
    for c in range(3):
        assert torch.allclose(seen[c][1:], first[1:, c], atol=1e-5)
        for t in range(11):
            assert torch.allclose(seen[3 + 3 * t + c][1:], rest[1:, t, c], atol=1e-4)


def test_behind_a_large_change_the_next_may_be_as_large() -> None:
    net = _nets()
    moved = net.scales.move * torch.tensor([[0.0], [-30.0]])
    near, predicted, straight, mean = net.units(net.steps, moved)
    assert torch.equal(near[0], net.scales.move) and torch.allclose(near[1], 30 * net.scales.move, rtol=1e-3)
    for unit, first in zip((predicted, straight, mean), net.units(net.steps)[1:], strict=True):
        assert torch.equal(unit, first)
    numbers = net.steps.head_bias.squeeze(1)[None].expand(2, -1, -1)
    past = net.scales.mean.expand(2, -1)
    parts = net.mixture(numbers, (past, past, past, past), net.units(net.steps, moved), net.steps)
    assert (parts[2][1, :, 1] > 20 * parts[2][0, :, 1]).all()


def test_networks_see_what_was_a_lag_ago() -> None:
    net = _nets(lag=3)
    x = torch.arange(10.0)[None, :, None].expand(2, -1, 3) ** 2
    seen = net.lagged(x, 0, 9)
    assert seen.shape == (2, 9, 7) and not seen[:, :2].any() and (seen[:, 2:, 6] == 1).all()
    level = (x[:, 2:7] - x[:, 4:9]) / net.scales.std  # of the steps behind those from the fourth on, three steps ago
    assert torch.allclose(seen[:, 4:9, :3], level)
    assert torch.allclose(seen[:, 4, 3:6], torch.asinh((x[:, 2] - x[:, 1]) / net.scales.move))
    assert torch.equal(net.lagged(x[:, :6], 4, 5), seen[:, 4:5])


@pytest.mark.parametrize("lag", [0, 3])
def test_a_value_depends_on_those_before_it_alone(lag: int) -> None:
    net, x = _nets(lag=lag), swings(8)
    mask = torch.ones_like(x, dtype=torch.bool)
    other = x.clone()
    other[:, 7, 1] += 0.1
    with torch.no_grad():
        a, b = net(x, mask, None), net(other, mask, None)
    assert torch.equal(a[:, :7], b[:, :7]) and torch.equal(a[:, 7, 0], b[:, 7, 0])
    assert not torch.equal(a[:, 7, 2], b[:, 7, 2]) and not torch.equal(a[:, 8], b[:, 8])


def test_values_that_were_not_observed_change_nothing() -> None:
    net, x = _nets(), swings(8)
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[:, 4:6, 1] = False
    other = torch.where(mask, x, torch.full_like(x, 0.33))
    with torch.no_grad():
        a, b = net(x, mask, None), net(other, mask, None)
    assert torch.equal(a, b) and not a[:, 4:6, 1].any()


@pytest.mark.parametrize("shape", [None, (4, 2), (4, 12, 2)])
def test_known_prefixes_are_read_at_once_and_step_by_step_alike(shape) -> None:
    net, x = _nets(condition=2 if shape else 0), swings(4)
    given = None if shape is None else torch.randn(shape)
    more = None if given is None else torch.cat([given, given[:1]])
    known = torch.zeros_like(x, dtype=torch.bool)
    known[:, :7] = True
    uniform = torch.rand(4, 12, 3)
    fast = draw_series(net, uniform, given, x=x, known=known)
    mixed = torch.cat([known, torch.zeros_like(known[:1])])
    slow = draw_series(net, torch.cat([uniform, uniform[:1]]), more, x=torch.cat([x, x[:1]]), known=mixed)[:4]
    assert torch.equal(fast[:, :7], x[:, :7]) and torch.allclose(fast, slow, atol=1e-3)


def test_scales_tell_grids_copies_and_constants() -> None:
    generator = torch.Generator().manual_seed(0)
    walk = (0.02 * torch.randn(40, 30, generator=generator)).cumsum(1).clamp(-0.9, 0.9)
    whole = torch.randint(0, 5, (40, 30), generator=generator) / 2.0 - 1.0
    x = torch.stack([walk, whole, walk * 0.5 + 0.1, torch.zeros(40, 30)], 2)
    scales = StepScales(4)
    scales.fit(x, torch.ones_like(x, dtype=torch.bool))
    assert scales.grid.tolist() == [False, True, False, False] and scales.cell[1].item() == pytest.approx(0.5)
    assert scales.snapped(torch.tensor([-0.4, 7.0]), 1).tolist() == [-0.5, 1.0]
    assert scales.snapped(torch.tensor([0.3]), 3).item() == 0.0
    # The third channel follows from the first without an error.
    assert scales.unit[2] <= scales.cell[2] * 1.01 and scales.unit[0] > 5 * scales.cell[0]


def test_scores_tell_values_apart_that_a_long_tail_leaves_together() -> None:
    generator = torch.Generator().manual_seed(0)
    tail = (3 * torch.randn(400, 10, generator=generator)).exp()
    few = torch.randint(0, 3, (400, 10), generator=generator).float()
    x = torch.stack([tail, few, torch.zeros(400, 10)], 2)
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[:, 3] = False
    scales = StepScales(3)
    scales.fit(torch.where(mask, x, 1e9), mask)
    scores = scales.score(x)[mask[:, :, 0]]
    assert torch.allclose(scores[:, 0].std(), torch.tensor(1.0), atol=0.05) and scores[:, 0].abs().max() < 4.5
    assert (scores[:, 0] - torch.log(x[mask[:, :, 0]][:, 0]) / 3).abs().max() < 0.5
    assert len(scores[:, 1].unique()) == 3 and not scores[:, 2].any()
    for c in range(3):
        assert torch.equal(scales.score(x[:, :, c], c), scales.score(x)[:, :, c])
    beyond = torch.full((1, 3), 1e12)
    assert torch.equal(scales.score(beyond), scales.score(scales.high[None]))
    assert StepScales(2).score(torch.randn(4, 2)).isfinite().all()  # nothing was measured yet


def test_copies_are_found_computed_and_let_go_of() -> None:
    x = swings(200)[:, :, :3]
    x = torch.cat([x, 0.5 * x[:, :, 1:2] - 0.25, (10 * x[:, :, 2:3]).round() / 10, -x[:, :, 1:2]], 2)
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[::3, ::5, 1] = mask[1::3, ::4, 3] = False
    scales = StepScales(6)
    scales.fit(x, mask)
    assert scales.copy_of.tolist() == [-1, -1, -1, 1, 2 if scales.grid[4] else -1, 1]
    assert torch.allclose(scales.copied(x[:, :, :3], 3), x[:, :, 3], atol=1e-6)
    assert torch.allclose(scales.copied(x[:, :, :4], 5), x[:, :, 5], atol=1e-6)
    # What is known of a copy is known of its original.
    known = torch.zeros_like(mask)
    known[:, :, 3] = True
    told, known = scales.known_by_copies(torch.where(known, x, 0.0), known)
    assert known[:, :, 1].all() and not known[:, :, 0].any()
    both = mask[:, :, 1] & mask[:, :, 3]
    assert torch.allclose(told[:, :, 1][both], x[:, :, 1][both], atol=1e-6)
    # One step where they differ, and it is none.
    other = x.clone()
    other[0, 7, 5] += 0.1
    scales.widen(other, mask)
    assert scales.copy_of.tolist()[3] == 1 and scales.copy_of.tolist()[5] == -1


def test_few_steps_and_constants_are_no_copies() -> None:
    x = torch.rand(1, 20, 1).repeat(1, 1, 2)
    for many in (x, torch.ones(4, 50, 2)):
        scales = StepScales(2)
        scales.fit(many, torch.ones_like(many, dtype=torch.bool))
        assert scales.copy_of.tolist() == [-1, -1]


def test_copies_are_drawn_as_such_and_values_that_never_stay_do_not() -> None:
    torch.manual_seed(0)
    noise = torch.rand(64, 20, 1) * 2 - 1
    steady = torch.cat([torch.zeros(64, 10, 1), torch.ones(64, 10, 1)], 1)
    x = torch.cat([noise, steady, -0.5 * noise], 2)
    net = StepNetworks(3, 0, state=12, hidden=6, layers=1, dropped=0.0, parts=2).eval()
    net.scales.fit(x, torch.ones_like(x, dtype=torch.bool))
    assert net.scales.stays.tolist() == [False, True, False]
    assert (net(x, torch.ones_like(x, dtype=torch.bool), None)[:, :, 2] == 0).all()
    made = draw_series(net, torch.rand(64, 20, 3), None)
    assert torch.allclose(made[:, :, 2], -0.5 * made[:, :, 0], atol=1e-6)
    within = made[:, 1:, 0].abs() < 0.99
    assert within.any() and (made[:, 1:, 0] != made[:, :-1, 0])[within].all()


def test_a_rare_value_beside_a_frequent_one_is_drawn_as_rarely() -> None:
    torch.manual_seed(0)
    shares = torch.tensor([0.002, 0.3, 0.05, 0.4, 0.248])
    few = torch.multinomial(shares, 40_000, replacement=True).view(4000, 10).float()
    x = torch.stack([few, torch.randn(4000, 10), few * 0.5], 2)
    mask = torch.rand(x.shape) < 0.9
    mask[:, :1] = True
    net = StepNetworks(3, 0, state=4, hidden=4, layers=1, dropped=0.0, parts=2).eval()
    net.scales.fit(x, mask)
    assert [net.scales.few(c) for c in range(3)] == [True, False, False]  # the last one is a copy

    def drawn() -> Tensor:
        made = []
        for t in range(1, 10):
            known = torch.ones(4000, t + 1, 3, dtype=torch.bool)
            known[:, t] = False
            made.append(draw_series(net, torch.rand(4000, t + 1, 3), None, x=x[:, : t + 1], known=known)[:, t, 0])
        return torch.bincount(torch.cat(made).round().long(), minlength=5) / 36_000

    assert drawn()[0] > 0.01
    fit_weights(net, x, mask, None)
    assert net.scales.weighed.tolist() == [True, False, False]
    assert torch.allclose(drawn(), shares, atol=0.01) and drawn()[0] < 0.004
    # From values off the range the nearest end is drawn.
    for past, end in ((-900.0, 0.0), (900.0, 4.0)):
        known = torch.tensor([True, False]).view(1, 2, 1).expand(50, -1, 3)
        made = draw_series(net, torch.rand(50, 2, 3), None, x=torch.full((50, 2, 3), past), known=known)
        assert (made[:, 1, 0] == end).all()
    # A new fit begins anew; channels that are seen at first steps alone have no weights.
    net.scales.fit(x, mask)
    fit_weights(net, x, mask & (torch.arange(10) == 0)[None, :, None], None)
    assert not net.scales.weighed.any() and not net.scales.weights.any()


@pytest.mark.parametrize("heaped", [False, True])
def test_chances_of_values_are_those_of_their_cells(heaped: bool) -> None:
    scales = StepScales(1)
    scales.low[:], scales.high[:], scales.cell[:], scales.grid[:] = -1.0, 1.0, 0.5, True
    scales.heap_low[:], scales.heap_high[:] = heaped, heaped
    parts = torch.randn(7, 4), torch.randn(7, 4), torch.rand(7, 4) + 0.1
    values, ends = torch.linspace(-1, 1, 5)[None].expand(7, -1), torch.tensor([heaped, False, False, False, heaped])
    many = [part[:, None].expand(-1, 5, -1) for part in parts]
    low, high = (ends & (values == end) for end in (-1.0, 1.0))
    expected = LogChance.apply(values, *many, scales.cell, low, high).exp()
    found = chances(scales, 0, parts)
    assert torch.allclose(found.float(), expected, atol=1e-5)
    assert bool((found.sum(1) > 0.9999).all()) == heaped


def test_where_lines_bend_one_channel_is_predicted_from_another() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 300, 12, generator=generator)
    nodes = torch.stack([noise[0], -2.0 * noise[0] + 0.2 * noise[1]], 2).cumsum(1) / 20
    share = (torch.arange(60) % 6 / 6)[None, :, None]
    x = nodes.repeat_interleave(6, 1)[:, :60] * (1 - share) + nodes.repeat_interleave(6, 1)[:, 6:66] * share
    net = StepNetworks(2, 0, state=4, hidden=4, layers=1, dropped=0.0, parts=2)
    net.scales.fit(x, torch.ones_like(x, dtype=torch.bool))
    past, older, now = x[:, 6:-1:6].flatten(0, 1), x[:, 5:-2:6].flatten(0, 1), x[:, 7::6].flatten(0, 1)
    predicted = net._anchors(past, older, past[:, :0], (now - past) / net.scales.move)[1]
    error, bend = (predicted - now)[:, 1], (now - 2.0 * past + older)[:, 1]
    assert error.std() < 0.15 * bend.std()  # 0.1 is what the noise leaves
    assert net.scales.unit[1] < 0.2 * net.scales.move[1]


def test_ranges_take_in_what_was_not_measured() -> None:
    x = swings(40)
    scales = StepScales(3)
    scales.fit(x[:4], torch.ones_like(x[:4], dtype=torch.bool))
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[..., 2] = False
    before = scales.high[2].item()
    scales.widen(torch.cat([x, 2 * x[:1]]), torch.cat([mask, mask[:1]]))
    assert scales.high[0].item() == pytest.approx(max(x[..., 0].max().item(), 2 * x[0, :, 0].max().item()))
    assert scales.high[2].item() == before
    assert len(StepScales.sample(20_000, 256)) == 195 and StepScales.sample(5, 24).tolist() == [0, 1, 2, 3, 4]


def test_moving_averages_are_the_same_all_at_once_and_step_by_step() -> None:
    torch.manual_seed(0)
    x, scales = torch.randn(2, 600, 3).double().cumsum(1), StepScales(3, (4.0, 64.0)).double()
    off, last = scales.off(x), torch.zeros(2, 1, 6).double()
    average = x[:, 0]
    for t in range(1, 600):
        last = scales.off_next(x[:, t : t + 1], x[:, t - 1 : t], last)
        average = average + (x[:, t] - average) / 64.0
    assert torch.allclose(last, off[:, -1:], atol=1e-9)
    assert torch.allclose(off[:, -1, 3:], x[:, -1] - average, atol=1e-9)  # in standard deviations of one


def test_what_is_known_aside_adds_nothing_where_nothing_is_known() -> None:
    net, x = _nets(), swings(6)
    aside = AsideNetwork(net, state=8, width=16)
    with torch.no_grad():
        for p in aside.parameters():
            p.add_(0.1 * torch.randn_like(p))
        mask, known = torch.ones_like(x, dtype=torch.bool), torch.zeros_like(x, dtype=torch.bool)
        assert torch.equal(net(x, mask, None, aside(net.scales, x, known)), net(x, mask, None))
        known[:, 8] = True
        moved = net(x, mask, None, aside(net.scales, x, known)) - net(x, mask, None)
    assert bool(moved[:, :8].abs().amax((0, 2)).gt(0).all()) and not moved[:, 9:].any()


def test_random_known_values_are_observed_ones_and_of_every_sort() -> None:
    torch.manual_seed(0)
    mask = torch.rand(600, 10, 3) < 0.9
    known = random_known(mask)
    assert not (known & ~mask).any()
    unknown = (mask & ~known).float()
    assert 0.15 < unknown.mean() < 0.85
    # Some series know nothing at the end, some nothing at the start, some all of a channel.
    assert bool((known[:, 5:].sum((1, 2)) == 0).any()) and bool((known[:, :5].sum((1, 2)) == 0).any())
    assert bool(((unknown.sum(1) == 0).any(1) & (unknown.sum((1, 2)) > 0)).any())
