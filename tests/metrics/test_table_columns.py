"""Kinds, codes and what is refused."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from table_frames import mixed

from aegan.errors import ConfigError, DataError
from aegan.metrics.table_columns import Encoder, column_kinds, tables


def test_kinds() -> None:
    frame = pd.DataFrame(
        {
            "float": [1.5, None],
            "whole": pd.array([1, None], dtype="Int64"),
            "text": ["a", None],
            "bool": [True, False],
            "nullable bool": pd.array([True, None], dtype="boolean"),
            "category": pd.Categorical([1, 2]),
            "date": pd.to_datetime(["2024-01-01", None]),
            "zone": pd.to_datetime(["2024-01-01", None]).tz_localize("Europe/Berlin"),
            "span": pd.to_timedelta([1, None], unit="h"),
            "decimal": [Decimal("1.5"), None],
            "objects": [1, "a"],
            "empty": [None, None],
        }
    )
    numeric = {"float", "whole", "date", "zone", "span", "decimal"}
    assert column_kinds(frame) == {c: "numeric" if c in numeric else "categorical" for c in frame}
    table = tables({"frame": frame}, least=1)[0]
    assert table.column("date")[0] == 1_704_067_200 and np.isnan(table.column("date")[1])
    assert table.column("zone")[0] == 1_704_067_200 - 3600, "time zones are told apart"
    assert table.column("span")[0] == 3600 and table.column("decimal")[0] == 1.5
    assert table.column("text").tolist() == [0, -1] and table.column("empty").tolist() == [-1, -1]


def test_codes_follow_frequency_and_are_common() -> None:
    a = pd.DataFrame({"x": ["b", "a", "b", None]})
    b = pd.DataFrame({"x": ["new", "a"]})
    encoder = Encoder.fit({"a": a, "b": b})
    assert encoder.values["x"].tolist() == ["b", "a", "new"]
    assert encoder.encode(a).column("x").tolist() == [0, 1, 0, -1]
    assert encoder.encode(b).column("x").tolist() == [2, 1]
    x, categorical = encoder.encode(a).matrix()
    assert categorical.tolist() == [True]
    np.testing.assert_array_equal(x[:, 0], [0, 1, 0, np.nan])


def test_many_categories_become_ranks() -> None:
    table = tables({"a": pd.DataFrame({"x": [f"v{i}" for i in range(256)]})})[0]
    assert not table.matrix()[1][0]
    assert len(np.unique(table.matrix()[0])) == 256


def test_odd_values() -> None:
    frame = pd.DataFrame({"x": [1.0, np.inf, -np.inf, 2.0], "y": [[1], [1], {"a": 1}, None]})
    encoder = Encoder.fit({"odd": frame})
    assert any("2 infinite values of 'odd'" in note for note in encoder.notes)
    table = encoder.encode(frame)
    np.testing.assert_array_equal(table.column("x"), [1, np.nan, np.nan, 2])
    assert table.column("y").tolist() == [0, 0, 1, -1]


def test_dates_read_back_as_text() -> None:
    frame = mixed(50)
    text = frame.assign(since=frame["since"].astype(str).replace("NaT", None))
    a, b = tables({"a": frame, "b": text})
    np.testing.assert_array_equal(a.column("since"), b.column("since"))


def test_order_and_extra_columns_are_noted() -> None:
    frame = mixed(30)
    other = frame[frame.columns[::-1]]
    encoder = Encoder.fit({"train": frame, "synthetic": other, "holdout": frame.assign(more=1)})
    assert any("another order" in note and "'synthetic'" in note for note in encoder.notes)
    assert any("'more'" in note for note in encoder.notes)
    a, b = encoder.encode(frame), encoder.encode(other)
    assert all(np.array_equal(x, y, equal_nan=True) for x, y in zip(a.columns, b.columns, strict=True))


def test_types_that_cannot_match_are_noted() -> None:
    frame = pd.DataFrame({"x": ["1", "2"]})
    encoder = Encoder.fit({"train": frame, "synthetic": pd.DataFrame({"x": [1, 2]})})
    assert any("of one type" in note for note in encoder.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop(columns=["job", "age"]), "lacks the columns 'age', 'job' of 'train'"),
        (lambda f: f.rename(columns={"job": "Job"}), "has 'Job' instead"),
        (lambda f: pd.concat([f, f[["age"]]], axis=1), "'age' more than once"),
        (lambda f: f[[]], "no columns"),
        (lambda f: f.to_numpy(), "pandas DataFrame expected"),
        (lambda f: f.head(3), "holds 3 rows; at least 20"),
        (lambda f: f.assign(age="old"), "column 'age' is numeric in the reference"),
    ],
)
def test_what_does_not_fit_is_named(change, words: str) -> None:
    frame = mixed(40)
    with pytest.raises(DataError, match=words):
        tables({"train": frame, "synthetic": change(frame)})


def test_wrong_kinds() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'age'"):
        column_kinds(mixed(5), {"agee": "numeric"})
    with pytest.raises(ConfigError, match="'numeric' or 'categorical'"):
        column_kinds(mixed(5), {"age": "number"})
