"""One suite over the adapters: what every one of them promises."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.conftest import bars
from tests.sounds import tones

from aegan.data.base import TensorData
from aegan.data.kinds import ADAPTERS, OPTIONS, adapter_class
from aegan.errors import AeganError, DataError


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"age": rng.integers(18, 90, 60), "city": rng.choice(["Oslo", "Rome", "Bonn"], 60)})


SOURCES: dict[str, Any] = {
    "image": lambda: bars(20),
    "table": table,
    "series": lambda: np.random.default_rng(0).normal(size=(20, 12, 2)),
    "audio": tones,
}
CASES = sorted(set(SOURCES) & set(ADAPTERS))


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[str, Any]:
    return request.param, SOURCES[request.param]()


def test_fitted_it_gives_tensors_as_its_spec_says(case: tuple[str, Any]) -> None:
    kind, source = case
    adapter = adapter_class(kind)().fit(source)
    data = adapter.to_tensors(source)
    assert isinstance(data, TensorData) and adapter.spec.kind == kind and len(adapter.summary) > 10
    x = data.batch(torch.arange(3))["x"]
    assert x.dtype == torch.float32 and tuple(x.shape) == (3, *adapter.spec.shape)
    assert data.labels is None or int(data.labels.max()) < adapter.spec.num_classes
    assert all(len(values) == adapter.spec.num_classes for _, values in adapter.spec.labels)


def test_reading_twice_and_from_json_gives_the_same(case: tuple[str, Any]) -> None:
    kind, source = case
    adapter = adapter_class(kind)().fit(source)
    first = adapter.to_tensors(source)
    again = adapter_class(kind).from_json(json.loads(json.dumps(adapter.to_json())))
    assert again.spec == adapter.spec and again.to_json() == adapter.to_json()
    for other in (adapter, again):
        read = other.to_tensors(source)
        index = torch.arange(len(first))
        assert len(read) == len(first)
        for name, value in first.batch(index).items():
            assert torch.equal(value, read.batch(index)[name]), name


def test_tensors_go_back(case: tuple[str, Any]) -> None:
    kind, source = case
    if kind == "series":
        pytest.skip("what belongs to a whole series comes beside its tensor; tests/data/test_series_adapter.py has it")
    adapter = adapter_class(kind)().fit(source)
    x = adapter.to_tensors(source).batch(torch.arange(4))["x"]
    assert len(adapter.from_tensors(x)) == 4
    if kind != "table":
        with pytest.raises(DataError, match="NaN|infinite|finite"):
            adapter.from_tensors(torch.full_like(x, float("nan")))


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
def test_a_foreign_or_unfitted_one_is_refused(kind: str) -> None:
    with pytest.raises(AeganError):
        adapter_class(kind)().to_json()
    with pytest.raises(AeganError):
        adapter_class(kind).from_json({"adapter": "other"})
    adapter_class(kind)(**OPTIONS[kind])
