"""Rows with gaps that are odd: columns left out, names never seen, other containers."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from aegan.data.table import TableAdapter
from aegan.data.table_source import open_table
from aegan.errors import AeganWarning


def frame_of(n=100):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "id": range(1, n + 1),
            "same": ["x"] * n,
            "city": rng.choice(["Rome", "Oslo", "Turku"], n),
            "note": [f"a long text number {i} that nobody reads, {i * i} times and more" for i in range(n)],
            "v": rng.integers(0, 5, n),
        }
    )


@pytest.fixture(scope="module")
def adapter():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeganWarning)
        return TableAdapter(rules="none").fit(frame_of())


def any_rows(adapter, n):
    sizes = torch.tensor([field.size for field in adapter.spec.fields])
    return torch.rand(n, len(sizes), generator=torch.Generator().manual_seed(0)) * sizes * 0.999


def test_columns_that_are_not_learnt_may_be_left_out(adapter):
    partial = pd.DataFrame({"v": [1, None, 3], "city": ["Rome", "Oslo", None], "more": [1, 2, 3]})
    x, _ = adapter.to_partial(partial)
    whole = adapter.complete(partial, any_rows(adapter, len(x)))
    assert list(whole.columns) == ["v", "city", "more"]
    assert whole.notna().all().all() and whole["city"][:2].tolist() == ["Rome", "Oslo"]


def test_names_never_seen_stay_and_are_not_known(adapter):
    partial = pd.DataFrame({"city": ["Rome", "Paris", None, "Paris"], "v": [1, 2, 3, 99]})
    with pytest.warns(AeganWarning, match=r"names that the fitted table does not have, in column 'city' \(2\); these"):
        _, known = adapter.to_partial(partial)
    assert known.tolist() == [[True, True], [False, True], [False, True], [False, True]]
    whole = adapter.complete(partial, any_rows(adapter, 4))
    assert whole["city"][[0, 1, 3]].tolist() == ["Rome", "Paris", "Paris"] and whole["v"].tolist() == [1, 2, 3, 99]


def test_a_combination_never_seen_stays():
    frame = pd.DataFrame({"a": ["x", "x", "y", "z"] * 50, "b": [1, 2, 3, 1] * 50, "v": [0, 1] * 100})
    adapter = TableAdapter(rules=["fixed(a, b)"]).fit(frame)
    partial = pd.DataFrame({"a": ["x", "z"], "b": [1, 3], "v": [0, None]})
    with pytest.warns(AeganWarning, match=r"in column 'a' \(1\)"):
        _, known = adapter.to_partial(partial)
    assert known[:, 0].tolist() == [True, False]
    whole = adapter.complete(partial, any_rows(adapter, 2))
    assert whole["a"].tolist() == ["x", "z"] and whole["b"].tolist() == [1, 3]


def test_completed_rows_come_back_as_what_was_given(adapter):
    data = {"city": ["Rome", None, "Oslo"], "v": [None, 2, 3]}
    drawn = any_rows(adapter, 3)
    for source in (data, open_table(data)):
        whole = adapter.complete(source, drawn)
        assert isinstance(whole, dict) and list(whole) == ["city", "v"]
        assert whole["city"][0] == "Rome" and whole["city"][1] in ("Rome", "Oslo", "Turku") and whole["v"][1:] == [2, 3]
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(data, schema={"city": polars.String, "v": polars.Int16})
    for source in (frame, open_table(frame)):
        whole = adapter.complete(source, drawn)
        assert isinstance(whole, polars.DataFrame) and whole.schema == frame.schema
        assert whole.null_count().row(0) == (0, 0) and whole["v"][1:].to_list() == [2, 3]


def gaps_of(column, given):
    """Rows of a column of that kind, completed from ones that lack (most of) it."""
    frame = pd.DataFrame({"c": column, "v": [0, 1, 2, 3] * 20})
    adapter = TableAdapter(rules="none").fit(frame)
    partial = pd.DataFrame({"c": given, "v": [0] * len(given)})
    return adapter.complete(partial, any_rows(adapter, len(given)))["c"]


@pytest.mark.filterwarnings("ignore::aegan.errors.AeganWarning")
@pytest.mark.parametrize(
    "column",
    [["01234", "00777"] * 40, [True, False] * 40, [1, 2, 7, 8] * 20, pd.date_range("2020", periods=80), [0.5, 1] * 40],
)
@pytest.mark.parametrize("nothing", [np.nan, None])
def test_a_column_without_values_takes_on_the_fitted_type(column, nothing):
    filled, fitted = gaps_of(column, [nothing] * 6), pd.Series(column)
    assert filled.dtype == fitted.dtype and filled.notna().all()
    assert set(map(type, filled)) == set(map(type, fitted))


@pytest.mark.filterwarnings("ignore::aegan.errors.AeganWarning")
def test_drawn_codes_among_given_numbers_keep_their_zeros():
    assert set(gaps_of(["01234", "00777"] * 40, [90210.0, np.nan])[1:]) <= {"01234", "00777"}
    whole = gaps_of(["1234", "5.5"] * 40, [90210.0, np.nan, np.nan])
    assert whole.dtype == np.float64 and set(whole[1:]) <= {1234.0, 5.5}
    small = gaps_of([1000, 2000] * 40, pd.array([7, None], dtype="Int8"))
    assert small[0] == 7 and small[1] in (1000, 2000)
    assert gaps_of([0.1, 0.7] * 40, pd.Series([2, None], dtype="float32")).dtype == np.float32


def test_a_dropped_column_leaves_no_value_behind():
    frame = pd.DataFrame(
        {"c": pd.Categorical(["secret", "hidden"] * 20), "t": ["private", "own"] * 20, "v": [1, 2] * 20}
    )
    adapter = TableAdapter(columns={"c": "drop", "t": "drop"}, rules="none").fit(frame)
    stored = json.dumps(adapter.to_json())
    assert not [word for word in ("secret", "hidden", "private", "own") if f'"{word}"' in stored]
    again = TableAdapter.from_json(json.loads(stored)).from_tensors(any_rows(adapter, 3))
    assert again["c"].dtype == "category" and again[["c", "t"]].isna().all().all()
