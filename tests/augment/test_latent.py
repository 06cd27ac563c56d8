"""Moves in code space, what strength means, and the augmentation of a discriminator's real data."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from aegan.augment.latent import neighbours as near
from aegan.augment.latent.checks import Checks
from aegan.augment.latent.neighbours import Stretches
from aegan.augment.latent.operations import OPERATIONS, Codes, nearest_labels
from aegan.augment.latent.strength import apart, calibrated, seeded
from aegan.augment.latent.training import LatentAugment
from aegan.augmentation.plan import assigned, planned
from aegan.errors import ConfigError, DataError


def two_classes(n: int = 40, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Two lines in five dimensions, far apart; codes differ within a class along its line alone."""
    place = torch.linspace(0, 1, n // 2)[:, None]
    a = torch.cat([place, torch.zeros(n // 2, 4)], 1)
    b = torch.cat([torch.full((n // 2, 1), 50.0), place, torch.zeros(n // 2, 3)], 1)
    return scale * torch.cat([a, b]), torch.arange(n) // (n // 2)


def codes_of(z: Tensor, y: Tensor, k: int = 5) -> Codes:
    response = torch.zeros(z.shape[1], z.shape[1])
    response[2, 2] = 4.0
    return Codes(
        z,
        y,
        near.class_neighbours(z, y, k),
        tangents=lambda rows: response.expand(len(rows), -1, -1),
        generated=lambda rows, g: z[rows] + 1.0,
    )


def test_neighbours_are_of_the_class_and_not_the_sample_itself() -> None:
    z, y = two_classes()
    found = near.class_neighbours(z, y, 3)
    assert bool((y[found.index] == y[:, None]).all()) and bool((found.index != torch.arange(40)[:, None]).all())
    assert found.index[0].tolist() == [1, 2, 3]
    direct = (z[found.index] - z[:, None]).norm(dim=2)
    assert torch.allclose(direct, found.distance, atol=1e-5) and bool((found.count == 3).all())


def test_a_large_class_is_searched_in_part_and_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    z, y = two_classes(60)
    whole = near.class_neighbours(z, y, 4)
    monkeypatch.setattr(near, "CHUNK_VALUES", 100)
    assert torch.equal(near.class_neighbours(z, y, 4).index, whole.index)
    monkeypatch.setattr(near, "REFERENCE_AT_MOST", 10)
    part = near.class_neighbours(z, y, 4)
    assert len(part.index.unique()) <= 20 and bool((part.index != torch.arange(60)[:, None]).all())


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_move_starts_at_the_code_and_grows_with_the_size(name: str) -> None:
    codes, rows = codes_of(*two_classes()), torch.arange(40)
    move = OPERATIONS[name](codes, rows, seeded(1))
    assert torch.equal(move.applied(codes.z, 0.0), codes.z)
    near_by, far = ((move.applied(codes.z, s) - codes.z).norm(dim=1).mean() for s in (0.1, 0.4))
    assert 0 < near_by < far


@pytest.mark.parametrize("name", ["gaussian", "interpolate", "extrapolate", "mix"])
def test_moves_of_neighbours_stay_in_the_directions_in_which_the_class_differs(name: str) -> None:
    codes, rows = codes_of(*two_classes()), torch.arange(40)
    moved = OPERATIONS[name](codes, rows, seeded(1)).applied(codes.z, 0.7) - codes.z
    assert bool((moved[:20, 1:] == 0).all()) and bool((moved[20:, [0, 2, 3, 4]].abs() < 1e-5).all())


def test_interpolation_stays_between_two_samples_and_is_half_way_at_most() -> None:
    codes, rows = codes_of(*two_classes()), torch.arange(40)
    move = OPERATIONS["interpolate"](codes, rows, seeded(2))
    assert torch.allclose(move.applied(codes.z, 1e9), codes.z + 0.5 * move.direction)


def test_gaussian_noise_has_the_covariance_of_the_neighbourhood() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(6, 3, generator=generator)
    codes = Codes(z, torch.zeros(6, dtype=torch.int64), near.class_neighbours(z, torch.zeros(6), 5))
    draws = OPERATIONS["gaussian"](codes, torch.zeros(200_000, dtype=torch.int64), generator).direction
    assert torch.allclose(draws.T.cov(), z.T.cov(), atol=0.02)


def test_tangents_are_the_directions_that_the_encoder_answers_to() -> None:
    codes, rows = codes_of(*two_classes()), torch.arange(40)
    direction = OPERATIONS["tangent"](codes, rows, seeded(3)).direction
    assert bool((direction[:, 2].abs() > 0).all()) and bool((direction[:, [0, 1, 3, 4]].abs() < 1e-6).all())


def test_the_only_sample_of_a_class_borrows_how_others_differ() -> None:
    z, y = two_classes()
    y[-1], z[-1] = 2, 200.0
    codes = codes_of(z, y)
    moved = OPERATIONS["gaussian"](codes, torch.tensor([39]), seeded(1)).direction
    assert bool((moved[0, 2:].abs() < 1e-5).all()) and float(moved.norm()) > 0


def test_no_class_of_two_samples_is_refused() -> None:
    z = torch.randn(3, 5, generator=seeded(0))
    with pytest.raises(DataError, match="every class has one sample"):
        OPERATIONS["gaussian"](codes_of(z, torch.arange(3)), torch.arange(3), seeded(1))


def test_calibration_finds_the_size_also_of_steps_and_of_what_cannot_be_reached() -> None:
    assert calibrated(0.0, lambda size: 1 / 0) == (0.0, 0.0)
    size, got = calibrated(0.3, lambda size: 0.01 * size**2)
    assert abs(got - 0.3) < 0.01
    assert calibrated(0.5, lambda size: float(size > 0.2))[1] in (0.0, 1.0)
    size, got = calibrated(0.9, lambda size: min(size, 0.45))
    assert 0.44 < got <= 0.45 and size <= 0.5


def test_distances_are_root_mean_squares_or_shares_of_values() -> None:
    assert apart(torch.zeros(1, 2, 2), torch.tensor([[[1.0, 1.0], [1.0, 5.0]]])).item() == pytest.approx(7**0.5)
    assert apart(torch.tensor([[0.1, 1.1]]), torch.tensor([[0.9, 2.0]]), differing=True).item() == 0.5


def test_a_check_drops_what_lies_beyond_its_bound_and_no_more() -> None:
    checks = Checks({"far": lambda x, rows: x[:, 0]}, {"far": 1.0}, changed=lambda x, rows: x[:, 1] > 0)
    failed = checks.failed(torch.tensor([[1.0, 0.0], [1.1, 0.0], [0.0, 1.0]]), torch.arange(3))
    assert failed["far"].tolist() == [False, True, False] and failed["class"].tolist() == [False, False, True]


def test_the_nearest_codes_vote() -> None:
    z, y = two_classes()
    assert torch.equal(nearest_labels(z, z, y, 3, itself=True), y)
    assert nearest_labels(torch.tensor([[49.0, 0, 0, 0, 0]]), z, y, 3).tolist() == [1]


def test_windows_that_overlap_the_source_have_no_vote() -> None:
    z, y = torch.tensor([[0.0], [0.1], [0.2], [1.0], [1.1], [1.2]]), torch.tensor([0, 0, 0, 1, 1, 1])
    first = Stretches(torch.tensor([0, 0, 0, 1, 2, 3]), torch.tensor([0, 1, 2, 0, 0, 0]), size=4)
    made, rows = torch.tensor([[0.3]]), torch.tensor([0])
    assert nearest_labels(made, z, y, 3).tolist() == [0]
    assert nearest_labels(made, z, y, 3, rows=rows).tolist() == [0]  # the same codes of samples cut from nothing
    assert nearest_labels(made, z, y, 3, rows=rows, stretches=first).tolist() == [1]
    assert nearest_labels(z, z, y, 3, stretches=first, itself=True).tolist() == [1, 1, 1, 1, 1, 1]
    whole = Stretches(torch.zeros(6, dtype=torch.int64), torch.arange(6), size=9)
    assert nearest_labels(z, z, y, 3, stretches=whole, itself=True).tolist() == [-1] * 6


# --- the plan ------------------------------------------------------------------------------------------------


def test_sources_are_used_equally_often_and_small_classes_are_filled_first() -> None:
    y = torch.tensor([0] * 6 + [1] * 3 + [2])
    counts = torch.bincount(planned(y, 25, balance=False, seed=0), minlength=10)
    assert counts.sum() == 25 and int(counts.max() - counts.min()) == 1
    assert torch.bincount(y[planned(y, None, balance=True, seed=0)], minlength=3).tolist() == [0, 3, 5]
    assert torch.bincount(y[planned(y, 3, balance=True, seed=0)], minlength=3).tolist() == [0, 1, 2]
    assert torch.bincount(y[planned(y, 11, balance=True, seed=0)], minlength=3).tolist() == [1, 4, 6]
    assert torch.bincount(y[planned(y, None, balance=False, seed=0, counts={1: 4})], minlength=3).tolist() == [0, 4, 0]


def test_a_class_with_one_sample_gets_what_needs_no_neighbour_or_is_refused_by_name() -> None:
    rows, single = torch.tensor([0, 1, 2, 2]), torch.tensor([False, False, True])
    y = torch.tensor([0, 0, 1])
    assert assigned(rows, single, ("mix", "gaussian"), ("a", "b"), y) == ["mix", "gaussian", "gaussian", "gaussian"]
    with pytest.raises(DataError, match=r"class 'b' has one sample, but mix would need another.*let gaussian be"):
        assigned(rows, single, ("mix",), ("a", "b"), y)


# --- within training -----------------------------------------------------------------------------------------


def identity(x: Tensor) -> Tensor:
    return x


def fitted(**options: float) -> LatentAugment:
    z, y = two_classes()
    made = LatentAugment(5, 2, images=8, every=1, **options)  # type: ignore[arg-type]
    made.fit(z, y, identity)
    return made


def test_the_moves_of_a_class_have_its_mean_local_covariance_and_the_strength_asked_for() -> None:
    z, y = two_classes()
    moves, generator = fitted(strength=0.4), torch.random.get_rng_state()
    torch.manual_seed(0)
    moved = moves.moved(z.repeat(200, 1), y.repeat(200), identity, identity)
    torch.random.set_rng_state(generator)
    step = (moved - z.repeat(200, 1))[:, :2]
    assert float(step[y.repeat(200) == 0, 1].abs().max()) < 1e-4 < float(step[y.repeat(200) == 0, 0].abs().max())
    unit = apart(z[:, None].expand(-1, 5, -1).flatten(0, 1), z[near.class_neighbours(z, y, 5).index].flatten(0, 1))
    assert float(apart(moved, z.repeat(200, 1)).mean() / unit.mean()) == pytest.approx(0.4, rel=0.15)


def test_the_share_grows_while_the_discriminator_is_ahead_and_never_beyond_its_bound() -> None:
    augment = fitted(most=0.5, leak=1.0)
    x, y = two_classes()
    for _ in range(10):
        augment.observe(torch.ones(4), x, x, y, identity, identity)
    assert augment.p == 0.5
    shown = augment(x, y, identity, identity)
    changed = (shown != x).any(1).float().mean()
    assert 0.2 < float(changed) < 0.8
    for _ in range(10):
        augment.observe(-torch.ones(4), x, x, y, identity, identity)
    assert augment.p == 0.0 and augment(x, y, identity, identity) is x


def lossy(x: Tensor) -> Tensor:
    """What an autoencoder loses here: the last value."""
    return torch.cat([x[:, :-1], torch.zeros(len(x), 1)], 1)


def test_fakes_that_take_after_augmented_samples_are_found_out_and_the_share_falls() -> None:
    z, y = two_classes()
    x = z.clone()
    x[:, -1] = torch.randn(40, generator=seeded(0))
    honest, leaking = (LatentAugment(5, 2, images=8, every=1, leak=0.25) for _ in range(2))
    for augment, fake in ((honest, x.flip(0)), (leaking, lossy(x))):
        augment.fit(lossy(x), y, identity)
        for _ in range(30):
            augment.observe(torch.ones(4), x, fake, y, lossy, lossy)
    assert honest.leak < 0.25 and honest.p == 0.5
    assert leaking.leak == 1.0 and leaking.p == 0.0


def test_gradients_pass_through_to_what_is_augmented() -> None:
    augment, (x, y) = fitted(), two_classes()
    augment.share.p.fill_(1.0)
    x.requires_grad_(True)
    augment(x, y, identity, identity).sum().backward()
    assert x.grad is not None and bool((x.grad != 0).all())


def test_settings_out_of_range_and_classes_of_one_sample_alone_are_refused() -> None:
    with pytest.raises(ConfigError, match="strength and leak from 0 to 1"):
        LatentAugment(5, 0, strength=1.5)
    with pytest.raises(DataError, match="every class has one sample"):
        LatentAugment(2, 3).fit(torch.randn(3, 2), torch.arange(3), identity)
    with pytest.raises(DataError, match="neighbours come out alike"):
        LatentAugment(2, 0).fit(torch.zeros(4, 2), None, identity)
