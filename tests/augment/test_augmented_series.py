"""Augmentation of series: windows that share a step, padding, and what belongs to a series besides its steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import aegan
from aegan.augment.latent import neighbours as near
from aegan.augmentation.engine import Augmenter, Labels, Settings
from aegan.augmentation.extent import Extent
from aegan.augmentation.space import Space
from aegan.augmentation.torch_data import AugmentedDataset
from aegan.data.base import TensorData
from aegan.data.series import SeriesAdapter
from aegan.errors import DataError
from aegan.models.registry import build
from aegan.types import Spec

WINDOW = 8
PADDED = Spec(kind="series", shape=(3, 2))


def exact(spec: Spec, *, junk_from: int | None = None) -> Space:
    """Codes that are the values themselves; from step ``junk_from`` on it decodes something else."""

    def decode(z: Tensor) -> Tensor:
        x = z.view(-1, *spec.shape).clone()
        if junk_from is not None:
            x[:, junk_from:] = 50 * x[:, junk_from:].roll(1, 0) - 7
        return x

    network = build("autoencoder", spec, {"latent_dim": 4, "width": 4, "batch_size": 8})
    return Space(
        network,
        spec,
        name="autoencoder",
        encode=lambda data: data.batch(torch.arange(len(data)))["x"].flatten(1),
        decode=decode,
    )


def walk(steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(steps, 2)).cumsum(0)


def windows(*series: np.ndarray) -> tuple[Spec, TensorData]:
    source = series[0] if len(series) == 1 else list(series)
    source, layout = (series[0], "long") if len(series) == 1 else (list(series), "auto")
    adapter = SeriesAdapter(window=WINDOW, stride=1, layout=layout).fit(source)
    return adapter.spec, adapter.to_tensors(source)


def ragged() -> tuple[Spec, TensorData]:
    """Twenty series of 4 to 9 steps."""
    source = [walk(4 + i % 6, i) for i in range(20)]
    adapter = SeriesAdapter().fit(source)
    return adapter.spec, adapter.to_tensors(source)


def sharing(data: TensorData) -> Tensor:
    """Which windows share a step, by the steps themselves."""
    steps = [{(int(s), int(t) + i) for i in range(WINDOW)} for s, t in data.batch(torch.arange(len(data)))["origin"]]
    return torch.tensor([[bool(a & b) for b in steps] for a in steps])


def test_windows_that_share_a_step_are_no_neighbours() -> None:
    _, data = windows(walk(40), walk(30, 1))
    batch = data.batch(torch.arange(len(data)))
    z, shared = batch["x"].flatten(1), sharing(data)
    stretches = near.Stretches(*batch["origin"].unbind(1), size=WINDOW)
    rows = torch.arange(len(data))
    assert torch.equal(stretches.overlap(rows, rows), shared) and not bool(shared[:, 40 - WINDOW + 1 :][0].any())
    found = near.class_neighbours(z, torch.zeros(len(z), dtype=torch.int64), 3, stretches=stretches)
    direct = torch.cdist(z, z, compute_mode="donot_use_mm_for_euclid_dist").masked_fill(shared, torch.inf)
    nearest = direct.topk(3, largest=False)
    assert torch.allclose(found.distance, nearest.values) and bool((found.count == 3).all())
    assert not bool(shared.gather(1, found.index).any())


def test_what_is_missing_of_neighbours_repeats_what_there_is() -> None:
    # Six windows of four steps: the two in the middle share a step with all others.
    z, y = torch.arange(6.0)[:, None], torch.zeros(6, dtype=torch.int64)
    stretches = near.Stretches(torch.zeros(6, dtype=torch.int64), torch.arange(6), size=4)
    found = near.class_neighbours(z, y, 3, stretches=stretches)
    assert found.count.tolist() == [2, 1, 0, 0, 1, 2]
    assert found.index.tolist() == [[4, 5, 4], [5, 5, 5], [2, 2, 2], [3, 3, 3], [0, 0, 0], [1, 0, 1]]
    assert found.distance[0].tolist() == [4.0, 5.0, 4.0] and found.distance[2].tolist() == [0.0, 0.0, 0.0]


def test_strength_is_in_units_of_windows_that_share_no_step() -> None:
    spec, data = windows(walk(90))
    settings = Settings(strength=0.4, operations="gaussian", num=300, neighbours=3, checks=())
    made = Augmenter(exact(spec), data, settings)
    x = data.batch(torch.arange(len(data)))["x"]
    apart = (x[:, None] - x).square().mean((2, 3)).sqrt()
    alone = apart.masked_fill(sharing(data), torch.inf).topk(3, largest=False).values
    assert made.units["gaussian"] == pytest.approx(float(alone.mean()), rel=1e-4)
    # As if every window were a sample by itself, the unit were a step's difference.
    blind = Augmenter(exact(spec), TensorData(x=x), settings)
    assert blind.units["gaussian"] < 0.6 * made.units["gaussian"]
    done = made.make()
    moved = (done.x - x[done.source]).square().mean((1, 2)).sqrt().mean()
    assert float(moved / alone.mean()) == pytest.approx(0.4, rel=0.15)


def test_partners_share_no_step_with_the_source_and_the_bound_of_the_distance_knows_of_it() -> None:
    spec, data = windows(walk(60))
    x, shared = data.batch(torch.arange(len(data)))["x"].flatten(1), sharing(data)
    made = Augmenter(exact(spec), data, Settings(operations="interpolate", num=len(x), checks="distance"))
    done = made.make(tries=1)
    assert done.report["kept"] == len(x)  # half-way to a neighbour is no further than a neighbour
    for row, out in zip(done.source.tolist(), done.x.flatten(1), strict=True):
        ways = x - x[row]
        along = (ways @ (out - x[row])) / ways.square().sum(1).clamp_min(1e-12)
        off = (x[row] + along[:, None] * ways - out).norm(dim=1)
        off[row] = torch.inf
        assert not bool(shared[row, off.argmin()]) and float(off.min()) < 1e-4
    nearest = torch.cdist(x, x).masked_fill(shared, torch.inf).min(1).values
    assert made.checks.bounds["distance"] == pytest.approx(float(nearest.quantile(0.99)), rel=1e-3)


def test_series_too_short_for_windows_that_share_no_step_are_refused_in_words() -> None:
    spec, data = windows(walk(14))
    with pytest.raises(DataError, match="all windows of 8 steps overlap in time.* smaller window"):
        Augmenter(exact(spec), data, Settings())
    # The second class has windows of one stretch alone.
    spec, data = windows(walk(40), walk(12, 1))
    y = data.batch(torch.arange(len(data)))["origin"][:, 0]
    labels = Labels(y=y, names=("long", "short"))
    with pytest.raises(DataError, match="a window of class 'short' overlaps in time .* but interpolate"):
        Augmenter(exact(spec), data, Settings(operations="interpolate", checks=()), labels).make()
    done = Augmenter(exact(spec), data, Settings(checks=()), labels).make()
    own = [name for name, label in zip(done.operation, done.y.tolist(), strict=True) if label]  # type: ignore[union-attr]
    assert own == ["gaussian"] * 5


# --- padding -------------------------------------------------------------------------------------------------


def test_distances_are_of_the_steps_that_both_series_have() -> None:
    a = torch.tensor([[[1.0, 3.0], [2.0, 2.0], [9.0, 9.0]]]).repeat(3, 1, 1)
    apart = Space(exact(PADDED).model, PADDED, name="autoencoder").apart
    assert torch.allclose(apart(a, 0 * a, steps=torch.tensor([1, 2, 3])) ** 2, torch.tensor([5.0, 4.5, 30.0]))
    extent = Extent.of(PADDED, TensorData(x=a, length=torch.tensor([1, 2, 3])))
    rows = torch.arange(3)
    assert extent.steps(rows, rows.flip(0)).tolist() == [1, 2, 1]  # type: ignore[union-attr]
    assert extent.padded(a, rows)[:, :, 0].tolist() == [[1, 1, 1], [1, 2, 2], [1, 2, 9]]
    assert Extent.of(PADDED, TensorData(x=a)).steps(rows) is None


def test_the_unit_counts_no_padding() -> None:
    spec, data = ragged()
    made = Augmenter(exact(spec), data, Settings(operations="gaussian", neighbours=2, checks=()))
    x, length = data.batch(torch.arange(len(data)))["x"], data.fields["length"]
    near_codes = torch.cdist(x.flatten(1), x.flatten(1)).fill_diagonal_(torch.inf).topk(2, largest=False).indices
    apart = []
    for i, row in enumerate(near_codes.tolist()):
        for j in row:
            both = int(min(length[i], length[j]))
            apart.append(float((x[i, :both] - x[j, :both]).square().mean().sqrt()))
    assert made.units["gaussian"] == pytest.approx(np.mean(apart), rel=1e-5)


def test_what_a_model_decodes_beyond_the_end_changes_nothing() -> None:
    spec, data = ragged()
    longest = int(torch.as_tensor(data.fields["length"]).max())
    wide = replace(spec, shape=(longest + 4, 2))
    x = data.batch(torch.arange(len(data)))["x"]
    data = TensorData(x=torch.cat([x, x[:, -1:].expand(-1, 4, -1)], 1), length=data.fields["length"])
    settings = Settings(num=60, strength=0.6, checks=("reconstruction", "distance"))
    clean, junk = (Augmenter(exact(wide, junk_from=start), data, settings) for start in (None, longest))
    assert junk.units == clean.units and junk.sizes == clean.sizes
    assert junk.checks.bounds == clean.checks.bounds
    first, second = clean.make(), junk.make()
    assert torch.equal(first.x, second.x) and torch.equal(first.reached, second.reached)
    for one, source in zip(second.x, second.source.tolist(), strict=True):
        end = int(data.fields["length"][source])
        assert bool((one[end:] == one[end - 1]).all())


# --- the dataset ---------------------------------------------------------------------------------------------


def wards(n: int = 12) -> pd.DataFrame:
    """Series of 5 to 8 steps with an attribute, a class and a missing value."""
    parts = []
    for i in range(n):
        size = 5 + i % 4
        value = walk(size, i)[:, 0].round(3)
        value[2] = np.nan if i == 3 else value[2]
        parts.append(pd.DataFrame({"id": f"p{i}", "day": range(size), "value": value, "ward": "AB"[i % 2]}))
        parts[-1]["ill"] = ("no", "yes")[i % 3 == 0]
    return pd.concat(parts, ignore_index=True)


def test_a_dataset_of_series_gives_their_masks_lengths_and_attributes(tmp_path: Path) -> None:
    options = {"id": "id", "time": "day", "label": "ill", "evaluate": False, "doctor": False, "holdout": 0.0}
    tiny = {"latent_dim": "4", "width": "4", "batch_size": "8"}
    run = aegan.fit(wards(), out=tmp_path, model="autoencoder", kind="series", steps=8, settings=tiny, **options)
    real = run.adapter.to_tensors(wards()).batch(torch.arange(12))
    as_it_is, moved = (AugmentedDataset(run, wards(), share=share, neighbours=3) for share in (0.0, 1.0))
    for name, value in next(iter(torch.utils.data.DataLoader(as_it_is, batch_size=12))).items():
        assert torch.equal(value, real[name]), name
    batch = next(iter(torch.utils.data.DataLoader(moved, batch_size=12)))
    assert set(batch) == {"x", "y", "mask", "length", "static"} == set(moved[0])
    assert all(torch.equal(batch[name], real[name]) for name in ("y", "length", "static"))
    assert not bool((batch["x"] == real["x"]).flatten(1).all(1).any())
    # An augmented series has no gap, and ends where its source does.
    assert torch.equal(batch["mask"][:, :, 0], torch.arange(8) < batch["length"][:, None])
    assert not bool(real["mask"][3, 2]) and bool(batch["mask"][3, 2])
    assert torch.equal(batch["x"][0, 5:], batch["x"][0, 4:5].expand(3, 1))
    mixed = AugmentedDataset(run, wards(), share=0.5, neighbours=3)
    mixed.set_epoch(1)
    half = next(iter(torch.utils.data.DataLoader(mixed, batch_size=12)))
    same = (half["x"] == real["x"]).flatten(1).all(1)
    assert 0 < int(same.sum()) < 12 and torch.equal(half["mask"][same], real["mask"][same])
    assert bool(half["mask"][3, 2]) != bool(same[3])


def test_a_dataset_of_windows_without_attributes_gives_tensors_alone(tmp_path: Path) -> None:
    options = {"layout": "long", "window": WINDOW, "evaluate": False, "doctor": False, "holdout": 0.0}
    tiny = {"latent_dim": "4", "width": "4", "batch_size": "8"}
    run = aegan.fit(walk(40), out=tmp_path, model="autoencoder", kind="series", steps=8, settings=tiny, **options)
    data = AugmentedDataset(run, walk(40), share=1.0)
    assert data[0].shape == (WINDOW, 2) and data.made.extent.stretches is not None
    assert not bool(sharing(data.made.data).gather(1, data.made.movers["mix"].near.index).any())
