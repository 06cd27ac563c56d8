"""Labels by name, and the train/holdout split."""

import numpy as np
import pytest
import torch

from aegan.data import split
from aegan.data.labels import encode_labels, map_labels
from aegan.errors import ConfigError, DataError


def test_classes_are_sorted_naturally():
    index, classes = encode_labels(["10", "9", "b", "9"], 4, "x")
    assert classes == ("9", "10", "b")
    assert index.tolist() == [1, 0, 2, 0] and index.dtype == np.int64


@pytest.mark.parametrize("values", [[3, 7, 3], np.array([3.0, 7.0, 3.0]), torch.tensor([[3], [7], [3]])])
def test_whole_numbers_of_any_type_are_the_same_classes(values):
    index, classes = encode_labels(values, 3, "x")
    assert classes == ("3", "7") and index.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([0, 1], "for 3 images"),
        (np.eye(3), "argmax"),
        ([0.5, 1, 2], "label 0 is 0.5"),
        ([0, float("nan"), 1], "label 1"),
        (["a", None, "b"], "label 1 is None"),
        (["a", "", "b"], "label 1 is ''"),
        ([[1], [2, 3], [4]], "one column"),
    ],
)
def test_bad_labels(values, says):
    with pytest.raises(DataError, match=says):
        encode_labels(values, 3, "x")


def test_unknown_class_offers_the_nearest():
    with pytest.raises(DataError, match="'sneeker' was not in .* Did you mean 'sneaker'"):
        map_labels(np.array([0]), ["sneeker"], ["sneaker", "boot"], "x")


def test_split_is_a_partition_stratified_and_reproducible():
    labels = torch.tensor([0] * 600 + [1] * 300 + [2] * 100)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train, held = split(1000, labels, holdout=0.1, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.cat([train, held]).sort().values, torch.arange(1000))
    assert torch.bincount(labels[held]).tolist() == [60, 30, 10]
    again = split(1000, labels, holdout=0.1, seed=3)
    assert torch.equal(train, again[0]) and torch.equal(held, again[1])
    assert not torch.equal(held, split(1000, labels, holdout=0.1, seed=4)[1])


def test_split_small_classes():
    labels = np.array([0] * 30 + [1] * 2 + [2])
    train, held = split(33, labels, seed=0)
    counts = np.bincount(labels[held], minlength=3)
    assert counts[2] == 0 and counts[1] == 1 and counts.sum() == 8
    assert set(labels[train]) == {0, 1, 2}


def test_split_edges():
    assert [len(part) for part in split(2, seed=0)] == [1, 1]
    assert [len(part) for part in split(5, holdout=0.0, seed=0)] == [5, 0]
    assert [len(part) for part in split(4, np.arange(4), seed=0)] == [2, 2]
    assert [len(part) for part in split(10, holdout=0.99, seed=0)] == [1, 9]
    with pytest.raises(ConfigError, match="holdout is 1"):
        split(10, holdout=1.0, seed=0)
    with pytest.raises(DataError, match="at least 2"):
        split(1, seed=0)
    with pytest.raises(DataError, match="expected \\(5,\\)"):
        split(5, np.zeros(4), seed=0)
