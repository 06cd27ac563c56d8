"""Handwritten digits of scikit-learn, split, and the features of a classifier trained on them."""

import sys
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits

from aegan.data.base import TensorData
from aegan.metrics import Features, classifier_features
from aegan.types import Spec

sys.path.insert(0, str(Path(__file__).parent))  # for table_frames, whatever import mode pytest runs in

DIGITS = Spec(kind="image", shape=(1, 8, 8), classes=tuple("0123456789"))


@pytest.fixture(scope="session")
def digits() -> tuple[TensorData, TensorData]:
    raw = load_digits()
    x = torch.from_numpy(raw.images).mul(255 / 16).round().to(torch.uint8).unsqueeze(1)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    data = TensorData(x=x, y=torch.from_numpy(raw.target).long())
    return data.subset(order[:1200]), data.subset(order[1200:])


@pytest.fixture(scope="session")
def features(digits: tuple[TensorData, TensorData]) -> Features:
    return classifier_features(digits[0], DIGITS, digits[1], max_samples_seen=9_000)
