"""Conditions that meet rules and ranges: nothing piles up, nothing breaks, and any form of writing them works."""

import numpy as np
import pandas as pd
import pytest
import torch

from aegan.data.table import TableAdapter
from aegan.errors import ConfigError


def drawn(adapter, n=2000, where=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    allowed = adapter.condition(where) if where else {}
    columns = []
    for i, field in enumerate(adapter.spec.fields):
        places = allowed.get(i, torch.ones(field.size, dtype=torch.bool)).nonzero()[:, 0]
        k = places[torch.randint(len(places), (n,), generator=generator)]
        columns.append(k + 0.999 * torch.rand(n, generator=generator))
    return torch.stack(columns, 1)


@pytest.fixture(scope="module")
def stays():
    rng = np.random.default_rng(0)
    start = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 900, 1000), "D")
    return pd.DataFrame(
        {
            "start": start,
            "end": start + pd.to_timedelta(rng.integers(0, 30, 1000), "D"),
            "day": pd.Timestamp("2024-03-01") + pd.to_timedelta(rng.integers(0, 31, 1000), "D"),
            "price": np.round(rng.gamma(2, 20, 1000), 2),
        }
    )


def test_rows_that_would_be_moved_are_told_apart(stays):
    adapter = TableAdapter().fit(stays)
    assert adapter.columns["end"].kind == "gap"
    where = {"end": "2023-01", "price": ">=20"}
    assert adapter.inexact(where)
    x = drawn(adapter, 6000, where)
    hit = adapter.hits(x, where)
    assert 100 < hit.sum() < 5000
    rows = adapter.from_tensors(x, where=where)
    assert adapter.satisfies(rows, where).all()
    kept = adapter.from_tensors(x[torch.from_numpy(hit)], where=where)
    assert kept.equals(rows[hit].reset_index(drop=True))
    assert kept["end"].value_counts(normalize=True).max() < 0.1 < rows["end"].value_counts(normalize=True).max()
    free = adapter.from_tensors(x[torch.from_numpy(hit)])
    assert free["end"].equals(kept["end"])


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"price": "20.005..20.1"}, False),
        ({"end": "present"}, False),
        ({"end": ">=1990"}, False),
        ({"day": "2024-03-05..2024-03-07"}, False),
        ({"start": ">=1990"}, False),
        ({"start": "2021-01-11..2021-01-24"}, False),
        ({"start": "2021-01-11..2021-01-23"}, True),
        ({"end": "<=2022"}, True),
    ],
    ids=str,
)
def test_exact_conditions(stays, where, expected):
    adapter = TableAdapter().fit(stays)
    assert adapter.inexact(where) is expected
    if not expected:
        assert adapter.hits(drawn(adapter, where=where), where).all()


def test_moved_dates_stay_dates(stays):
    adapter = TableAdapter().fit(stays)
    where = {"end": "2023-01"}
    rows = adapter.from_tensors(drawn(adapter), where=where)
    assert (rows["end"] == rows["end"].dt.normalize()).all() and adapter.satisfies(rows, where).all()
    with pytest.raises(ConfigError, match="cannot be; the column runs from"):
        adapter.condition({"end": "2023-01-02 03:00..2023-01-02 04:00"})
    rng = np.random.default_rng(0)
    low = rng.integers(0, 3000, 1000) * 10
    frame = pd.DataFrame({"low": low, "high": low + rng.integers(0, 30, 1000) * 10})
    adapter = TableAdapter().fit(frame)
    assert adapter.columns["high"].kind == "gap"
    rows = adapter.from_tensors(drawn(adapter), where={"high": "995.5..1234"})
    assert (rows["high"] % 10 == 0).all() and rows["high"].between(1000, 1230).all()


def pairs(values, seed=0):
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 40, 2000)
    high = np.array(values)[np.searchsorted(values, low)]
    up = rng.integers(0, 3, 2000)
    high = np.array(values)[np.minimum(np.searchsorted(values, high) + up, len(values) - 1)]
    return pd.DataFrame({"lo": low, "hi": high, "top": high + rng.integers(0, 9, 2000)})


@pytest.mark.parametrize(
    "where",
    [
        {"hi": "20..33"},
        {"hi": "20..33", "lo": ">=27"},
        {"top": "..31"},
        {"top": "20..33", "hi": "21..29"},
        {"hi": "<=12|40..44"},
        {"hi": "<=12|46..48", "lo": ">=10"},
    ],
    ids=str,
)
def test_orders_hold_under_conditions(where):
    frame = pairs(list(range(0, 46, 5)))
    adapter = TableAdapter(rules=["lo <= hi", "hi <= top"]).fit(frame)
    rows = adapter.from_tensors(drawn(adapter, where=where), where=where)
    assert adapter.satisfies(rows, where).all()
    assert (rows["lo"] <= rows["hi"]).all() and (rows["hi"] <= rows["top"]).all()
    anywhere = adapter.from_tensors(drawn(adapter), where=where)
    assert (anywhere["lo"] <= anywhere["hi"]).all() and (anywhere["hi"] <= anywhere["top"]).all()
    assert adapter.satisfies(anywhere, where).all()


def test_an_order_of_amounts_under_a_condition_between_its_values():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 5000, 3000)
    high = -(-(low + rng.pareto(1.5, 3000) * 700) // 50) * 50
    adapter = TableAdapter(rules=["lo <= hi"]).fit(pd.DataFrame({"lo": low, "hi": high}))
    where = {"hi": "1000..1049"}
    rows = adapter.from_tensors(drawn(adapter), where=where)
    assert (rows["lo"] <= rows["hi"]).all() and set(rows["hi"]) == {1000.0}


def test_conditions_in_python():
    frame = pd.DataFrame({0: ["a|b", "c", "b", "a"] * 10, 1: range(1, 41), "n": [5, 10, 20, 30] * 10})
    adapter = TableAdapter(rules="none", columns={"1": "numeric"}).fit(frame)

    def rows(where):
        return np.flatnonzero(adapter.satisfies(frame, where)).tolist()

    assert rows({0: "c"}) == rows({"0": "c"}) == list(range(1, 40, 4))
    assert adapter.condition({0: "c"})[0].sum() == 1
    made = adapter.from_tensors(drawn(adapter, where={0: "c"}), where={0: "c"})
    assert set(made[0]) == {"c"}
    either = sorted([*range(0, 40, 4), *range(1, 40, 4)])
    for names in (["a|b", "c"], ("a|b", "c"), {"a|b", "c"}, np.array(["a|b", "c"]), pd.Series(["a|b", "c"])):
        assert rows({0: names}) == either
    assert rows({0: (name for name in ["a|b", "c"])}) == either
    assert rows({0: "a|b"}) == list(range(0, 40, 4)) and rows({0: "b|c"}) == rows({0: ["b", "c"]})
    with pytest.raises(ConfigError, match=r"no value 'b\|c'. A list holds one value each: \['b', 'c'\]"):
        adapter.condition({0: ["b|c", "a"]})
    assert rows({1: (38, None)}) == [37, 38, 39] and rows({1: (None, 2)}) == [0, 1]
    assert rows({1: [(None, 1), 5, ">=40"]}) == [0, 4, 39] and rows({1: np.array([3, 4])}) == [2, 3]
    assert rows({"1": range(3, 5)}) == [2, 3] and rows({1: np.int64(3)}) == rows({1: np.array(3)}) == [2]
    assert rows({"n": (10, 20)}) == rows({"n": "10..20"}) and rows({"n": (5, 20, 10)}) == rows({"n": "..20"})
    for empty in ([], "", set()):
        with pytest.raises(ConfigError, match="column '?[0n]'? (got no alternative|got ''|has no value '')"):
            adapter.condition({"n": empty})


@pytest.mark.parametrize("nothing", ["", " ", "nat", "NaT", pd.NaT, ">=nat", "nat..2024-03-02"])
def test_no_time_at_all_is_no_condition_on_times(stays, nothing):
    adapter = TableAdapter().fit(stays)
    with pytest.raises(ConfigError, match=r"where: column 'day' got .*; expected for instance 2024-01-01"):
        adapter.condition({"day": nothing})
