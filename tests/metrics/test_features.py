"""Feature spaces: rounding to 8 bits, evaluation mode, the classifier, saving and loading."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from aegan.data.base import TensorData
from aegan.errors import ConfigError, DataError, RunError, StorageError
from aegan.metrics import (
    Features,
    classifier_features,
    encoder_features,
    load_features,
    module_features,
    save_features,
    to_uint8,
)
from aegan.metrics.classifier import FeatureClassifier
from aegan.types import Spec

DIGITS = Spec(kind="image", shape=(1, 8, 8), classes=tuple("0123456789"))


def test_every_8_bit_value_survives() -> None:
    x = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(TensorData(x=x).batch(torch.arange(256))["x"]), x)


def test_floats_score_like_the_png_saved_from_them() -> None:
    pixels = module_features(nn.Flatten(), "pixels")
    x = torch.rand(20, 3, 4, 4) * 2.1 - 1.05
    saved = to_uint8(x)
    assert torch.equal(pixels(x), pixels(saved))
    assert torch.equal(pixels(x), pixels(TensorData(x=saved)))
    assert not torch.equal(pixels(x), x.flatten(1))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.full((2, 1, 4, 4), 255.0), "reach 255.*in \\[-1, 1\\] expected"),
        (torch.full((2, 1, 4, 4), float("nan")), "NaN"),
        (torch.zeros(2, 4, 4), r"shape \(2, 4, 4\).*unsqueeze"),
        (torch.zeros(0, 1, 4, 4), "no images"),
    ],
)
def test_wrong_images(x: torch.Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        module_features(nn.Flatten(), "pixels")(x)


def test_a_module_is_evaluated_in_eval_mode_without_gradients_and_left_as_it_was() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 5), nn.BatchNorm1d(5).eval())
    features = module_features(module, "net")
    x = torch.rand(600, 1, 4, 4)
    before = torch.get_rng_state()
    out = features(x)
    assert out.shape == (600, 5) and out.dtype == torch.float32 and not out.requires_grad
    assert features.dim == 5
    assert torch.equal(out, features(x)) and torch.equal(out[:7], features(x[:7]))
    assert [m.training for m in module.modules()] == [True, True, True, True, False]
    assert torch.equal(before, torch.get_rng_state())


def test_a_stochastic_encoder_method_is_repeatable() -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def encode(self, x: torch.Tensor) -> torch.Tensor:
            z = self.drop(x).flatten(1)[:, :3]
            return z + torch.randn_like(z)

    encoder = Encoder()
    features = encoder_features(encoder.encode, 3, "encoder of this run (3-d)")
    x = torch.rand(5, 1, 4, 4)
    assert torch.equal(features(x), features(x)) and encoder.training
    noise = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(features(x) - noise, x.flatten(1)[:, :3], atol=0.01)  # no dropout


def test_vectors_with_trailing_ones_are_flattened_and_maps_refused() -> None:
    x = torch.zeros(3, 2, 4, 4)
    assert module_features(nn.AdaptiveAvgPool2d(1), "pooled")(x).shape == (3, 2)
    with pytest.raises(ConfigError, match=r"returned shape \(3, 2, 4, 4\); \(N, D\)"):
        module_features(nn.Identity(), "maps")(x)
    with pytest.raises(ConfigError, match="32 dimensions returned, 7 expected"):
        encoder_features(nn.Flatten(), 7, "wrong")(x)


def test_predict_needs_a_classifier() -> None:
    features = module_features(nn.Flatten(), "pixels")
    assert not features.is_classifier
    with pytest.raises(ConfigError, match="'pixels' is not a classifier"):
        features.predict(torch.zeros(2, 1, 4, 4))


def test_classifier_learns_digits(features: Features, digits) -> None:
    holdout = digits[1]
    accuracy = (features.predict(holdout) == holdout.labels).float().mean()
    assert accuracy > 0.95
    assert features(holdout).shape == (len(holdout), 64) == (len(holdout), features.dim)
    assert f"holdout accuracy {accuracy:.1%}" in features.name and "64-d" in features.name
    assert (features(holdout) < 0).any()  # not after a ReLU


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 31), (2, 32, 32), (3, 64, 48), (1, 128, 128), (1, 3, 2)])
def test_classifier_takes_any_size(shape: tuple[int, int, int]) -> None:
    network = FeatureClassifier(shape, 3)
    x = torch.zeros(2, *shape)
    assert network(x).shape == (2, 3) and network.features(x).shape == (2, 64)


def small(n: int = 80, seed: int = 0) -> TensorData:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 10
    x = torch.randint(0, 255, (n, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return TensorData(x=x, y=y)


def test_same_seed_same_space_and_no_trace_in_the_global_generator() -> None:
    before = torch.get_rng_state()
    a, b, c = (classifier_features(small(), DIGITS, seed=s, max_samples_seen=300) for s in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(a(small()), b(small())) and a.name == b.name
    assert a.about["fingerprint"] == b.about["fingerprint"] != c.about["fingerprint"]
    assert "held-back accuracy" in a.name and a.about["trained_on"] == 72


def test_float_data_train_the_same_classifier_as_bytes() -> None:
    data = small()
    floats = TensorData(x=data.batch(torch.arange(80))["x"], y=data.labels)
    a, b = (classifier_features(d, DIGITS, max_samples_seen=200) for d in (data, floats))
    assert a.about["fingerprint"] == b.about["fingerprint"]


def test_save_and_load_bit_for_bit(features: Features, digits, tmp_path: Path) -> None:
    path = tmp_path / "run" / "features.safetensors"
    save_features(features, path)
    loaded = load_features(path)
    assert (loaded.name, loaded.dim, loaded.about) == (features.name, features.dim, features.about)
    assert torch.equal(loaded(digits[1]), features(digits[1]))
    assert torch.equal(loaded.predict(digits[1]), features.predict(digits[1]))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_files_that_are_not_features(features: Features, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(RunError, match="cannot be read"):
        load_features(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(RunError, match="cannot be read"):
        load_features(path)
    save_file({"w": torch.zeros(1)}, path)
    with pytest.raises(RunError, match="does not hold features"):
        load_features(path)
    newer = {"aegan_features": json.dumps(features.about | {"name": "n", "format": 99})}
    save_file({"w": torch.zeros(1)}, path, metadata=newer)
    with pytest.raises(RunError, match="format 99"):
        load_features(path)
    with pytest.raises(DataError, match="only classifier_features"):
        save_features(module_features(nn.Flatten(), "pixels"), path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a file is in the way"):
        save_features(features, tmp_path / "file" / "x.safetensors")


@pytest.mark.parametrize(
    ("data", "spec", "message"),
    [
        (TensorData(x=small().fields["x"]), DIGITS, "no labels"),
        (small(), Spec(kind="image", shape=(1, 8, 8), classes=("a",)), "1 classes"),
        (small(), Spec(kind="image", shape=(1, 9, 9), classes=DIGITS.classes), re.escape("(1, 8, 8), but the spec")),
        (small(), Spec(kind="image", shape=(1, 8, 8), classes=("a", "b")), "from 0 to 9.*in 0..1"),
    ],
)
def test_data_that_cannot_train_a_classifier(data: TensorData, spec: Spec, message: str) -> None:
    with pytest.raises(DataError, match=message):
        classifier_features(data, spec)


def test_wrong_image_shape_for_a_classifier(features: Features) -> None:
    with pytest.raises(DataError, match=r"\(1, 9, 9\) given, \(1, 8, 8\) expected"):
        features(torch.zeros(2, 1, 9, 9))
