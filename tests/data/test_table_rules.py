"""Rules that every row keeps, conditions that it meets, gaps that are filled."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from aegan.data.table import TableAdapter
from aegan.data.table_bound import Gap
from aegan.errors import ConfigError, DataError

N = 1000


def drawn(adapter, n=2000, where=None, seed=0):
    """Rows of random digits, within what a condition allows."""
    generator = torch.Generator().manual_seed(seed)
    masks = adapter.condition(where) if where else {}
    columns = []
    for i, field in enumerate(adapter.spec.fields):
        allowed = masks.get(i, torch.ones(field.size, dtype=torch.bool)).nonzero()[:, 0]
        k = allowed[torch.randint(len(allowed), (n,), generator=generator)]
        columns.append(k + 0.999 * torch.rand(n, generator=generator))
    return torch.stack(columns, 1)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    city = rng.choice(["Rome", "Milan", "Oslo", "Bergen", "Turku"], N)
    start = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 900, N), "D")
    low = rng.integers(0, 3000, N)
    frame = pd.DataFrame(
        {
            "city": city,
            "country": pd.Series(city).map({"Rome": "IT", "Milan": "IT", "Oslo": "NO", "Bergen": "NO", "Turku": None}),
            "start": start,
            "end": start + pd.to_timedelta(rng.integers(0, 30, N), "D"),
            "low": low,
            "high": low + (rng.pareto(1.5, N) * 700).astype(int),
            "price": np.round(rng.gamma(2, 20, N), 2),
            "age": rng.integers(18, 90, N),
            "income": rng.choice(["<=50K", ">50K"], N),
            "score": np.where(rng.random(N) < 0.2, np.nan, rng.normal(0, 1, N)),
        }
    )
    frame["age"] = frame["age"].where(frame["age"] % 10 != 5, frame["age"] + 1)
    return frame


@pytest.fixture(scope="module")
def adapter(table):
    return TableAdapter().fit(table)


def test_rules_are_learnt(adapter):
    assert adapter.rules.told == (("city", "country"),)
    assert adapter.rules.orders == (("start", "end"), ("low", "high"))
    assert not [field for field in adapter.spec.fields if field.column == "country"]
    assert adapter.columns["end"].kind == "gap" and adapter.columns["high"].kind == "coded"
    assert "rules: start <= end; low <= high; city tells country" in adapter.summary
    assert TableAdapter(rules="none").fit({"a": [1, 2] * 50, "b": ["x", "y"] * 50}).rules.describe() == []


def test_round_trip_under_rules(adapter, table):
    back = adapter.from_tensors(adapter.to_tensors(table).fields["x"])
    exact = table.drop(columns=["score"])
    pd.testing.assert_frame_equal(back[exact.columns], exact)
    again = TableAdapter.from_json(json.loads(json.dumps(adapter.to_json())))
    pd.testing.assert_frame_equal(again.from_tensors(drawn(adapter)), adapter.from_tensors(drawn(adapter)))


def test_every_row_keeps_the_rules(adapter, table):
    rows = adapter.from_tensors(drawn(adapter, 5000))
    pairs = set(map(tuple, table[["city", "country"]].fillna("-").to_numpy()))
    assert set(map(tuple, rows[["city", "country"]].fillna("-").to_numpy())) == pairs
    assert (rows["start"] <= rows["end"]).all() and (rows["low"] <= rows["high"]).all()
    for name in ("start", "end", "low", "high", "price", "score"):
        assert rows[name].min() >= table[name].min() and rows[name].max() <= table[name].max()


def test_dependence_needs_evidence():
    rng = np.random.default_rng(1)
    names = [f"v{i}" for i in range(40)] * 2
    assert not TableAdapter().fit({"a": names, "b": rng.choice(["x", "y"], 80).tolist()}).rules.told
    rare = ["x"] * 399 + ["y"]
    assert not TableAdapter().fit({"a": list("ab") * 199 + ["a", "c"], "b": rare}).rules.told


def test_equal_columns_are_one():
    values = np.random.default_rng(0).normal(size=300)
    frame = pd.DataFrame({"a": values, "b": values, "c": values + 1})
    adapter = TableAdapter().fit(frame)
    assert adapter.columns["b"].describe() == "the same as a"
    rows = adapter.from_tensors(drawn(adapter))
    assert (rows["a"] == rows["b"]).all()
    rows = adapter.from_tensors(drawn(adapter, where={"b": "0..1"}), where={"b": "0..1"})
    assert rows["a"].between(0, 1).all()
    again = TableAdapter.from_json(adapter.to_json())
    assert again.from_tensors(drawn(adapter)).equals(adapter.from_tensors(drawn(adapter)))


def test_given_rules(table):
    rules = ["low <= high", "end >= start", "fixed(city, income)", "unique(low, price, high)"]
    frame = table[~((table["city"] == "Oslo") & (table["income"] == ">50K"))].reset_index(drop=True)
    adapter = TableAdapter(rules=rules).fit(frame)
    assert adapter.rules.orders == (("low", "high"), ("start", "end")) and adapter.rules.told == ()
    assert adapter.rules.unique == (("low", "price", "high"),) and adapter.rules.fixed == (("city", "income"),)
    rows = adapter.from_tensors(drawn(adapter))
    assert set(zip(rows["city"], rows["income"], strict=True)) == set(zip(frame["city"], frame["income"], strict=True))
    back = adapter.from_tensors(adapter.to_tensors(frame).fields["x"])
    assert back["city"].equals(frame["city"]) and back["income"].equals(frame["income"])
    assert TableAdapter(rules=["auto", "low <= high"]).fit(table).rules.told == (("city", "country"),)


def test_given_names_that_hold_commas_stand_in_quotes():
    frame = pd.DataFrame({"city, state": ["a", "b", "a"] * 30, "country": ["x", "y", "z"] * 30, "driver's": range(90)})
    for rule in ("fixed('city, state', country)", 'fixed("city, state", country)'):
        adapter = TableAdapter(rules=[rule, "unique(driver's, country)"]).fit(frame)
        assert adapter.rules.fixed == (("city, state", "country"),)
        assert adapter.rules.unique == (("driver's", "country"),)
    assert adapter.rules.describe()[0] == 'fixed("city, state", country)'
    assert TableAdapter(rules=adapter.rules.describe()).fit(frame).rules == adapter.rules
    for rule in ("fixed('city, state')", "fixed(country,)", "fixed()"):
        with pytest.raises(ConfigError, match="names too few columns"):
            TableAdapter(rules=[rule])


def test_closely_tied_columns_are_learnt_as_gaps():
    rng = np.random.default_rng(0)
    begin = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 300 * 86400, 900), unit="s")
    end = begin + pd.to_timedelta(rng.integers(60, 7200, 900), unit="s")
    low = rng.gamma(2, 50, 900).round(2)
    frame = pd.DataFrame({"begin": begin, "end": end, "low": low, "high": (low + rng.gamma(2, 40, 900)).round(2)})
    adapter = TableAdapter().fit(frame)
    assert set(adapter.rules.orders) == {("begin", "end"), ("low", "high")}
    assert isinstance(adapter.columns["end"], Gap) and not isinstance(adapter.columns["high"], Gap)
    sizes = torch.tensor([field.size for field in adapter.spec.fields])
    made = adapter.from_tensors(torch.rand(500, len(sizes), generator=torch.Generator().manual_seed(0)) * sizes)
    gaps = (made["end"] - made["begin"]).dt.total_seconds()
    assert gaps.between(60, 7200).mean() > 0.99 and (made["end"] <= end.max()).all()
    back = adapter.from_tensors(adapter.to_tensors(frame).fields["x"])
    assert ((back["end"] - frame["end"]).abs() <= pd.Timedelta("2s")).all()


def test_chains_of_bounds():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 1000, 500)
    b = a + rng.integers(0, 900, 500)
    c = b + rng.integers(0, 900, 500)
    frame = pd.DataFrame({"c": c, "b": b / 10, "a": a / 10})
    frame["c"] = np.ceil(frame["c"] / 10).astype(int)
    adapter = TableAdapter(rules=["b <= c", "a <= b"]).fit(frame)
    assert adapter.rules.orders == (("a", "b"), ("b", "c"))
    rows = adapter.from_tensors(drawn(adapter))
    assert (rows["a"] <= rows["b"]).all() and (rows["b"] <= rows["c"]).all() and rows["c"].dtype == np.int64
    where = {"c": "20..40|90..100"}
    rows = adapter.from_tensors(drawn(adapter, where=where), where=where)
    assert adapter.satisfies(rows, where).all() and (rows["a"] <= rows["b"]).all() and (rows["b"] <= rows["c"]).all()


@pytest.mark.parametrize(
    ("rules", "error", "message"),
    [
        ("some", ConfigError, "rules is 'some'"),
        (["low < high"], ConfigError, "'low < high' is no rule; expected one of 'a <= b'"),
        (["fixed(city)"], ConfigError, "too few columns"),
        (["low <= hihg"], ConfigError, "no column 'hihg'. Did you mean 'high'"),
        (["low <= city"], ConfigError, "column 'city' is 5 values; expected numbers or times"),
        (["low <= start"], ConfigError, "cannot be compared"),
        (
            ["high <= low"],
            DataError,
            r"'high <= low' does not hold in \d+ rows, the first row \d+: high is \d+, low is",
        ),
        (["age <= low", "low <= age"], DataError, "does not hold"),
        (["unique(city)"], DataError, r"'unique\(city\)' does not hold in 995 rows"),
    ],
)
def test_rules_that_cannot_be(table, rules, error, message):
    with pytest.raises(error, match=message):
        TableAdapter(rules=rules).fit(table)


@pytest.mark.parametrize(
    "where",
    [
        {"income": ">50K"},
        {"city": "Rome|Oslo"},
        {"city": ["Rome", "Oslo"], "income": "<=50K"},
        {"country": "IT"},
        {"country": "missing"},
        {"country": "NO", "city": "Bergen|Rome"},
        {"age": "30..40"},
        {"age": 30},
        {"age": (30, 40), "price": ">=100"},
        {"age": "<20|>80"},
        {"price": "20.005..20.1"},
        {"price": "<3"},
        {"score": "missing"},
        {"score": "0.1..0.2|missing"},
        {"score": "present"},
        {"score": ">1.5", "low": "..100"},
        {"start": "2021-03"},
        {"start": "2021-03-05..2021-03-09"},
        {"end": "2022-01-10"},
        {"end": "<=2021-02-01", "start": ">=2021-01-15"},
        {"high": "500..600"},
        {"low": ">=2000", "high": "<=2100|5000..6000"},
    ],
    ids=str,
)
def test_every_row_meets_the_conditions(adapter, where):
    rows = adapter.from_tensors(drawn(adapter, where=where), where=where)
    assert adapter.satisfies(rows, where).all()
    assert (rows["start"] <= rows["end"]).all() and (rows["low"] <= rows["high"]).all()
    anywhere = adapter.from_tensors(drawn(adapter), where=where)
    assert adapter.satisfies(anywhere, where).all()


def test_conditions_mean_what_they_say(adapter, table):
    for where, expected in (
        ({"age": ">80|<20"}, (table["age"] > 80) | (table["age"] < 20)),
        ({"start": "2021-03"}, table["start"].dt.strftime("%Y-%m") == "2021-03"),
        ({"score": "missing"}, table["score"].isna()),
        ({"country": "IT|missing"}, table["country"].isin(["IT"]) | table["country"].isna()),
        ({"price": "10..20", "income": ">50K"}, table["price"].between(10, 20) & (table["income"] == ">50K")),
    ):
        assert adapter.satisfies(table, where).tolist() == expected.tolist()


def test_ranges_are_filled_rather_than_piled_up_at_their_ends(adapter):
    where = {"score": "0.1..0.2"}
    values = adapter.from_tensors(drawn(adapter, where=where), where=where)["score"]
    assert values.nunique() > 1900 and ((values == 0.1) | (values == 0.2)).mean() < 0.01


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"incom": ">50K"}, "no column 'incom'. Did you mean 'income'"),
        ({"income": ">50"}, "column 'income' has no value '>50'. Did you mean '>50K'"),
        ({"city": "missing"}, "column 'city' has no missing values"),
        ({"age": "missing"}, "column 'age' has no missing values"),
        ({"age": "young"}, "column 'age' got 'young'; expected for instance 30..40"),
        ({"age": "40..30"}, "got '40..30'"),
        ({"age": "200..300"}, "age='200..300' cannot be; .* 18"),
        ({"age": 35}, "age='35' cannot be"),
        ({"price": ">=1e9"}, r"price='>=1e9' cannot be; the column runs from \S+ to \S+"),
        ({"start": "2030"}, "start='2030' cannot be; the column runs from 2021-01-01 to"),
        ({"start": "soon"}, "got 'soon'; expected for instance 2024-01-01..2024-02-01"),
        ({"city": "Rome", "country": "NO"}, "city='Rome' and country='NO' cannot be met together"),
        ({"low": ">=2000", "high": "<=100"}, "cannot be"),
    ],
    ids=str,
)
def test_conditions_that_cannot_be_met(adapter, where, message):
    with pytest.raises(ConfigError, match=message):
        adapter.condition(where)


def test_conditions_on_columns_that_are_not_learnt():
    frame = pd.DataFrame({"id": range(1, 61), "same": ["x"] * 60, "v": [1, 2, 3] * 20, "b": [True, False, True] * 20})
    adapter = TableAdapter(rules="none").fit(frame)
    assert adapter.condition({"same": "x"}) == {}
    assert adapter.condition({"b": "yes"})[1].sum() == 1 and adapter.condition({"b": False})[1].sum() == 1
    with pytest.raises(ConfigError, match="same='y'|no value 'y'"):
        adapter.condition({"same": "y"})
    with pytest.raises(ConfigError, match="column 'id' is not learnt .identifier"):
        adapter.condition({"id": 3})


def test_conditions_on_large_categories():
    names = np.array([f"n{i % 5000}" for i in range(20_000)])
    adapter = TableAdapter().fit(pd.DataFrame({"c": names, "v": np.arange(20_000) % 3}))
    where = {"c": "n17|n4800|n3000"}
    rows = adapter.from_tensors(drawn(adapter, where=where), where=where)
    assert set(rows["c"]) == {"n17", "n4800", "n3000"}


def test_partial_rows(adapter, table):
    rng = np.random.default_rng(3)
    partial = table.copy()
    for name in partial.columns:
        partial.loc[rng.random(N) < 0.3, name] = None
    x, known = adapter.to_partial(partial)
    assert x.shape == known.shape == (N, adapter.spec.shape[0])
    price = [i for i, field in enumerate(adapter.spec.fields) if field.column == "price"]
    assert (known[:, price[0]].numpy() == partial["price"].notna().to_numpy()).all()
    only_turku = table["city"].isin(["Turku"]).to_numpy() & partial["city"].isna().to_numpy()
    assert only_turku.any()
    whole = adapter.complete(partial, drawn(adapter, N))
    was_there = partial.notna()
    for name in partial.columns:
        assert whole[name][was_there[name]].equals(partial[name][was_there[name]]), name
        assert whole[name].dtype == partial[name].dtype
    assert whole.drop(columns=["country", "score"]).notna().all().all()
    told = {"Rome": "IT", "Milan": "IT", "Oslo": "NO", "Bergen": "NO"}
    agree = whole["city"].map(told)
    assert (agree[was_there["country"]] == whole["country"][was_there["country"]]).all()
    assert (whole["start"] <= whole["end"]).all() and (whole["low"] <= whole["high"]).all()
    with pytest.raises(DataError, match="3 drawn rows for a table of 1000"):
        adapter.complete(partial, drawn(adapter, 3))


def test_a_value_that_can_only_be_one_is_known():
    frame = pd.DataFrame({"code": ["a", "b", "c"] * 100, "name": ["Anna", "Bert", "Carl"] * 100, "v": [1.5, 2.5] * 150})
    adapter = TableAdapter().fit(frame)
    assert adapter.rules.told == (("code", "name"),)
    partial = pd.DataFrame({"code": [None, "a", None], "name": ["Carl", None, None], "v": [1.5, None, 2.5]})
    x, known = adapter.to_partial(partial)
    assert known.tolist() == [[True, True], [True, False], [False, True]]
    whole = adapter.complete(partial, drawn(adapter, 3))
    assert whole["code"].tolist()[:2] == ["c", "a"] and whole["name"].tolist()[:2] == ["Carl", "Anna"]
    assert adapter.complete(frame, drawn(adapter, 300)).equals(frame)


def test_combinations_are_completed_to_some_that_occur():
    frame = pd.DataFrame({"a": ["x", "x", "y", "z"] * 50, "b": [1, 2, 3, 1] * 50, "v": [0, 1] * 100})
    adapter = TableAdapter(rules=["fixed(a, b)"]).fit(frame)
    partial = pd.DataFrame({"a": ["x", None, None], "b": [None, 3, None], "v": [0, 1, 0]})
    whole = adapter.complete(partial, drawn(adapter, 3))
    pairs = set(zip(frame["a"], frame["b"], strict=True))
    assert set(zip(whole["a"], whole["b"].astype(int), strict=True)) <= pairs and whole["a"][1] == "y"


def test_present_masks(adapter):
    masks = adapter.present()
    names = {adapter.spec.fields[i].column for i in masks}
    assert names == {"score"}
    assert all(mask.sum() == adapter.spec.fields[i].size - 1 for i, mask in masks.items())
