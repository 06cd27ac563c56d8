"""Cells of rare types: left empty, widened, by the clock of their zone, loaded again."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from aegan.data.table import TableAdapter

N = 100
rng = np.random.default_rng(0)


def there_and_back(cells: pd.Series, kind: str | None = None, name: str = "c") -> tuple[TableAdapter, pd.Series]:
    """A fitted adapter that went through JSON, and the cells after coding."""
    frame = pd.DataFrame({name: cells, "f": np.linspace(0, 1, len(cells))})
    adapter = TableAdapter(columns={name: kind} if kind else {}).fit(frame)
    adapter = TableAdapter.from_json(json.loads(json.dumps(adapter.to_json())))
    x = adapter.to_tensors(frame).fields["x"]
    return adapter, adapter.from_tensors(torch.as_tensor(np.asarray(x)))[name]


@pytest.mark.parametrize("kind", ["drop", "text"])
@pytest.mark.parametrize("dtype", ["bool", "boolean", "bool[pyarrow]"])
def test_truths_that_are_not_learnt_stay_empty(kind: str, dtype: str) -> None:
    _, back = there_and_back(pd.Series([True, False] * 50, dtype=dtype), kind)
    assert back.isna().all()
