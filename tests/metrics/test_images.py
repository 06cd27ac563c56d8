"""evaluate_images as a whole, on scikit-learn's digits, and the Evaluation it returns."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from aegan.data.base import TensorData
from aegan.errors import ConfigError, DataError
from aegan.metrics import (
    Evaluation,
    Features,
    evaluate_images,
    frechet_distance,
    images,
    kernel_distance,
    module_features,
    precision_recall,
)


@pytest.fixture(scope="module", autouse=True)
def fewer_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "KERNEL_SUBSETS", 8)
        patch.setattr(images, "RESAMPLES", 8)
        yield


def floats(data: TensorData) -> torch.Tensor:
    return data.batch(torch.arange(len(data)))["x"]


def noisy(x: torch.Tensor, amount: float) -> torch.Tensor:
    return (x + amount * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)


@pytest.fixture(scope="module")
def evaluation(features: Features, digits) -> Evaluation:
    train, holdout = digits
    first, second = holdout.subset(torch.arange(300)), holdout.subset(torch.arange(300, 597))
    return evaluate_images(
        train=train,
        synthetic=noisy(floats(first), 0.3),
        labels=first.labels,
        holdout=second,
        reconstructions=noisy(floats(second), 0.1),
        features=features,
        classes=tuple("0123456789"),
    )


def test_rows_are_ordered_and_of_equal_sample_number(evaluation: Evaluation) -> None:
    assert [row.name for row in evaluation.rows] == ["synthetic", "real holdout", "reconstructions"]
    synthetic, floor, ceiling = evaluation.rows
    assert {row.n for row in evaluation.rows} == {297}
    assert floor.frechet < ceiling.frechet < synthetic.frechet
    assert floor.kernel < synthetic.kernel
    assert floor.precision > synthetic.precision
    low, high = synthetic.frechet_interval or (0, 0)
    assert low < synthetic.frechet < high


def test_conditional_accuracy(evaluation: Evaluation) -> None:
    everything, *single = evaluation.classes
    assert everything.name == "all" and [c.name for c in single] == list("0123456789")
    assert everything.n == sum(c.n for c in single) == 297 == everything.real_n
    assert everything.accuracy is not None and everything.real_accuracy is not None
    assert everything.real_accuracy > 0.93
    assert everything.accuracy == pytest.approx(sum(c.n * (c.accuracy or 0) for c in single) / 297)


def test_stamps_and_text(evaluation: Evaluation, features: Features) -> None:
    stamps = evaluation.stamps
    assert stamps["feature_space"] == features.name and stamps["fingerprint"] == features.about["fingerprint"]
    assert stamps["reference"]["n"] == 1200 and stamps["k"] == 5
    assert stamps["counts"]["synthetic"] == 297
    headline, text = evaluation.headline(), str(evaluation)
    assert "Fréchet distance" in headline and "floor of" in headline and "ceiling of" in headline
    assert "FID" not in text and features.name in text and evaluation.memorisation.verdict in text
    assert [cells[""] for cells in evaluation.to_rows()] == [row.name for row in evaluation.rows]


def test_json_round_trip(evaluation: Evaluation) -> None:
    plain = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert Evaluation.from_json(plain) == evaluation
    with pytest.raises(DataError, match="version 99"):
        Evaluation.from_json(plain | {"version": 99})
    with pytest.raises(DataError, match="not an evaluation"):
        Evaluation.from_json({"version": 1})


def test_values_are_those_of_the_single_metrics(digits) -> None:
    train, holdout = digits
    pixels = module_features(nn.Flatten(), "pixels")
    fake = noisy(floats(holdout), 0.2)
    got = evaluate_images(train=train, synthetic=fake, features=pixels).rows[0]
    real, x = pixels(train), pixels(fake)
    assert got.frechet == pytest.approx(frechet_distance(real, x))
    expected = precision_recall(real, x)
    assert (got.precision, got.recall, got.density, got.coverage) == pytest.approx(expected)
    assert got.kernel == pytest.approx(kernel_distance(real, x, subsets=8, subset_size=597).mean, rel=0.1)


def test_copies_are_flagged_with_their_sources(features: Features, digits) -> None:
    train, holdout = digits
    synthetic = noisy(floats(holdout.subset(torch.arange(300))), 0.2)
    synthetic[:60] = floats(train)[500:560]
    found = evaluate_images(
        train=train, synthetic=synthetic, holdout=holdout.subset(torch.arange(300, 597)), features=features
    )
    assert found.memorisation.status == "copies"
    assert found.memorisation.exact_copies is not None and found.memorisation.exact_copies >= 58  # 297 of 300 used
    assert all(j == i + 500 for i, j, d in found.memorisation.closest if d == 0)
    assert "training data was copied" in found.headline()


def test_real_holdout_as_synthetic_passes(features: Features, digits) -> None:
    train, holdout = digits
    found = evaluate_images(
        train=train,
        synthetic=holdout.subset(torch.arange(297)),
        holdout=holdout.subset(torch.arange(300, 597)),
        features=features,
    )
    assert found.memorisation.status == "clear"
    assert found.row("synthetic").frechet < 2 * found.row("real holdout").frechet
    assert found.classes[0].accuracy is not None  # labels are taken from the data


def test_collapse_shows_as_repetition(features: Features, digits) -> None:
    train, holdout = digits
    found = evaluate_images(train=train, synthetic=floats(holdout)[:20].repeat(20, 1, 1, 1), features=features)
    assert found.duplicates is not None
    assert found.duplicates.exact == 380 and (found.duplicates.exact_real or 0) < 10
    assert found.memorisation.status == "untested"
    assert any("No real holdout" in note for note in found.notes)


def test_same_seed_same_result_and_the_global_generator_is_untouched(features: Features, digits) -> None:
    train, holdout = digits
    before = torch.get_rng_state()
    a, b, c = (
        evaluate_images(
            train=train, synthetic=holdout, features=features, max_samples=200, prdc_samples=100, seed=seed
        ).to_json()
        for seed in (0, 0, 1)
    )
    assert a == b and a["rows"] != c["rows"]
    assert torch.equal(before, torch.get_rng_state())


def test_data_on_disk_give_the_values_of_data_in_memory(features: Features, digits, tmp_path) -> None:
    train, holdout = digits
    np.save(tmp_path / "x.npy", train.fields["x"].numpy())
    mapped = TensorData(x=np.load(tmp_path / "x.npy", mmap_mode="r"), y=train.labels)
    a, b = (evaluate_images(train=t, synthetic=holdout, features=features).to_json() for t in (train, mapped))
    assert a == b


def test_a_tiny_holdout_is_noted_and_does_not_shrink_the_rest(features: Features, digits) -> None:
    train, holdout = digits
    found = evaluate_images(train=train, synthetic=holdout, holdout=holdout.subset(torch.arange(30)), features=features)
    assert [row.n for row in found.rows] == [597, 30]
    assert any("only 30 samples" in note for note in found.notes)
    assert any("had 30 holdout samples" in note for note in found.notes)


def test_fid_only_for_inception(digits) -> None:
    train, holdout = digits
    named = module_features(nn.Flatten(), "Inception-v3 pool3 (2048-d, ImageNet)")
    found = evaluate_images(train=train, synthetic=holdout, features=named)
    assert found.headline().startswith("FID ") and "FID" in found.to_rows()[0]


def test_wrong_input(features: Features, digits) -> None:
    train, holdout = digits

    def evaluate(**changed):
        return evaluate_images(**({"train": train, "synthetic": holdout, "features": features} | changed))

    with pytest.raises(DataError, match=r"train \(1, 8, 8\), synthetic \(1, 9, 9\)"):
        evaluate(synthetic=torch.zeros(10, 1, 9, 9))
    with pytest.raises(DataError, match="'synthetic' holds 3 images; at least 7"):
        evaluate(synthetic=torch.zeros(3, 1, 8, 8))
    with pytest.raises(DataError, match=r"labels of shape \(3,\)"):
        evaluate(labels=torch.zeros(3, dtype=torch.long))
    with pytest.raises(DataError, match="reach 255"):
        evaluate(synthetic=torch.full((10, 1, 8, 8), 255.0))
    with pytest.raises(ConfigError, match="prdc_samples=2"):
        evaluate(prdc_samples=2)
