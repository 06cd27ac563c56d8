"""Cells of rare types: left empty, widened, by the clock of their zone, loaded again."""

import contextlib
import datetime
import json
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from dateutil import tz

from aegan.data.table import TableAdapter
from aegan.data.table_form import to_arrow
from aegan.data.table_ids import find_pattern
from aegan.errors import AeganWarning, ConfigError, DataError

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


def test_keys_depend_on_their_number_alone() -> None:
    fitted = [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(300)]
    pattern = find_pattern("key", pd.Series(fitted))
    assert pattern is not None and pattern.alphabets
    whole = pattern.make(0, 5000)
    cut = np.concatenate([pattern.make(start, n) for start, n in ((0, 1), (1, 2999), (3000, 2000))])
    assert (whole == cut).all() and len(set(whole)) == 5000 and not set(whole) & set(fitted)
    assert all(uuid.UUID(key).version == 4 for key in whole)
    letters = pd.Series([key[-1] for key in whole]).value_counts()
    assert len(letters) == 16 and letters.min() > 200


TOP = np.iinfo(np.int64).max


@pytest.mark.parametrize(
    ("dtype", "fitted", "first", "widened"),
    [
        ("int8", range(N), 100, "int64"),
        ("Int8", range(N), 100, "Int64"),
        ("uint8[pyarrow]", range(100, 100 + N), 200, "int64[pyarrow]"),
        ("int16", range(N), 100, "int16"),
        ("int32", range(2**31 - N, 2**31), 2**31, "int64"),
        ("uint64", range(2**63, 2**63 + N), 2**63 + N, "uint64"),
        ("uint64", range(2**63 - 1, 2**63 - 1 + 2 * N, 2), 2**63 - 1 + 2 * N, "uint64"),
        ("uint64", range(2**64 - N, 2**64), 0, "uint64"),
        ("int64", [TOP - i for i in range(N)], 0, "int64"),
        ("int64", [3, *range(5, 98), *range(TOP - 5, TOP + 1)], 98, "int64"),
    ],
)
def test_whole_keys_do_not_repeat_at_the_end_of_their_type(dtype: str, fitted: range, first: int, widened: str) -> None:
    cells = pd.Series(list(fitted), dtype=dtype)
    adapter, new = there_and_back(cells, name="user_id")
    assert adapter.columns["user_id"].kind == "id"
    assert new.nunique() == N and not set(new) & set(cells)
    assert int(new.iloc[0]) == first and str(new.dtype) == widened
    part = adapter.from_tensors(torch.zeros(2, adapter.spec.shape[0]), start=N - 2)["user_id"]
    assert part.tolist() == new.tolist()[-2:]


@pytest.mark.parametrize("dtype", ["timestamp[us, tz=Europe/Berlin][pyarrow]", "timestamp[ns, tz=+01:00][pyarrow]"])
def test_arrow_times_keep_the_clock_of_their_zone(dtype: str) -> None:
    times = pd.Series(pd.date_range("2020-01-01", periods=N, freq="D", tz="Europe/Berlin")).astype(dtype)
    times[3] = None
    adapter, back = there_and_back(times)
    assert back.equals(times)
    hit = adapter.satisfies(pd.DataFrame({"c": times}), {"c": "2020-01-01"})
    assert hit.tolist() == [True] + [False] * (N - 1)


ZONES: list[tuple[datetime.tzinfo, str]] = [
    (tz.tzutc(), "UTC"),
    (tz.tzoffset("x", -12600), "UTC-03:30"),
    (datetime.timezone(datetime.timedelta(hours=1), "CET1"), "UTC+01:00"),
    (datetime.UTC, "UTC"),
]
with contextlib.suppress(ImportError):  # pandas from 3 on comes without
    import pytz

    ZONES += [(pytz.FixedOffset(60), "UTC+01:00"), (pytz.timezone("Europe/Berlin"), "Europe/Berlin")]


@pytest.mark.parametrize("objects", [False, True])
@pytest.mark.parametrize(("zone", "name"), ZONES)
def test_zones_of_any_library_are_found_again(zone: datetime.tzinfo, name: str, objects: bool) -> None:
    times = pd.Series(pd.date_range("2020-01-01", periods=N, freq="D", tz=zone))
    cells = pd.Series([time.to_pydatetime() for time in times], dtype=object) if objects else times
    adapter, back = there_and_back(cells)
    assert adapter.columns["c"].look.zone == name  # pyright: ignore[reportAttributeAccessIssue]
    assert back.tolist() == times.tolist()
    assert objects or str(back.dtype) == f"datetime64[ns, {name}]"


def test_a_zone_without_name_is_refused() -> None:
    class Odd(datetime.tzinfo):
        def utcoffset(self, dt: datetime.datetime | None) -> datetime.timedelta | None:
            return None if dt is None else datetime.timedelta(hours=dt.hour % 2)

        def dst(self, dt: datetime.datetime | None) -> datetime.timedelta:
            return datetime.timedelta(0)

    odd = Odd()
    cells = pd.Series([datetime.datetime(2020, 1, 1, i % 24, tzinfo=odd) for i in range(N)], dtype=object)
    with pytest.raises(DataError, match=r"column 'c': times of the zone .* which has no name.*tz_convert"):
        there_and_back(cells)


NESTED: dict[str, tuple[pd.Series, str]] = {
    "list": (pd.Series([[1], [2], None, [2]] * 25, dtype=pd.ArrowDtype(pa.list_(pa.int64()))), "object"),
    "struct": (pd.Series([{"a": 1}, None] * 50, dtype=pd.ArrowDtype(pa.struct([("a", pa.int64())]))), "object"),
    "dictionary": (
        pd.Series(["a", "b", None, "b"] * 25, dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
        "object",
    ),
    "interval": (
        pd.Series(pd.arrays.IntervalArray.from_breaks(range(5)).take([0, 1, -1, 3] * 25, allow_fill=True)),
        "object",
    ),
    "period": (pd.Series(pd.PeriodIndex(["2020-01", "2020-02", "NaT", "2020-02"] * 25, freq="M")), "period[M]"),
}


@pytest.mark.filterwarnings("ignore:.*new rows hold them as text")
@pytest.mark.parametrize("name", NESTED)
def test_cells_that_have_no_name_or_are_not_made_of_text_come_back_as_text(name: str) -> None:
    cells, dtype = NESTED[name]
    _, back = there_and_back(cells)
    assert str(back.dtype) == dtype
    assert back.isna().equals(cells.isna())
    assert back.dropna().map(str).tolist() == cells.dropna().map(str).tolist()
    there_and_back(cells, "drop")


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series(pd.date_range("2020-01-01", periods=N)),
        pd.Series(pd.timedelta_range("1D", periods=N)),
        pd.Series([True, False] * 50),
        pd.Series(pd.arrays.IntervalArray.from_breaks(range(N + 1))),
        pd.Series(pd.period_range("2020-01", periods=N, freq="M")),
    ],
    ids=lambda cells: str(cells.dtype),
)
def test_only_whole_numbers_and_strings_are_keys(cells: pd.Series) -> None:
    with pytest.raises(ConfigError, match=r"'c' is 'id', but holds .*; expected whole numbers or strings.*astype"):
        there_and_back(cells, "id")


WIDE = [2**60 + 1, 2**60 + 2, -(2**53) - 1, 3]
"""Whole numbers that are others as floats."""
HIGH = [2**63 + 1, 2**64 - 1, 2**53 + 1, 3]


@pytest.mark.parametrize("kind", [None, "categorical", "numeric"])
@pytest.mark.parametrize(
    "cells",
    [
        pd.Series(WIDE * 25),
        pd.Series(HIGH * 25, dtype="uint64"),
        pd.Series([*WIDE, None] * 20, dtype="Int64"),
        pd.Series([*HIGH, None] * 20, dtype="UInt64"),
        pd.Series([*WIDE, None] * 20, dtype="int64[pyarrow]"),
        pd.Series([2**60 + 1] * N),
    ],
    ids=lambda cells: str(cells.dtype),
)
def test_whole_numbers_beyond_floats_are_exact(cells: pd.Series, kind: str | None) -> None:
    adapter, back = there_and_back(cells, kind)
    assert back.equals(cells)
    frame = pd.DataFrame({"c": cells, "f": 0.5})
    for value in (cells[0], int(cells[0]) - 1, 3):
        if value in cells.dropna().tolist():
            assert (adapter.satisfies(frame, {"c": value}) == (cells == value).fillna(False)).all()
        else:
            with pytest.raises(ConfigError, match=str(cells[0])):
                adapter.condition({"c": value})
    if cells.nunique() > 1:
        assert (adapter.satisfies(frame, {"c": f">{cells[0]}"}) == (cells > cells[0]).fillna(False)).all()
        assert (adapter.satisfies(frame, {"c": f"<{cells[0]}.5"}) == (cells <= cells[0]).fillna(False)).all()


def test_objects_beyond_floats_are_exact_and_have_gaps() -> None:
    _, back = there_and_back(pd.Series([2**60 + 1, 2**60 + 2, None, 5] * 25, dtype=object))
    assert back.equals(pd.Series([2**60 + 1, 2**60 + 2, None, 5] * 25, dtype="Int64"))


@pytest.mark.parametrize("kind", ["parquet", "polars"])
def test_wide_numbers_with_gaps_are_exact_in_arrow(kind: str, tmp_path: Path) -> None:
    table = pa.table(
        {"c": pa.array([*WIDE, None] * 20), "h": pa.array([*HIGH, None] * 20, pa.uint64()), "f": [0.5] * 100}
    )
    if kind == "polars":
        source = pytest.importorskip("polars").from_arrow(table)
    else:
        pq.write_table(table, source := tmp_path / "t.parquet", row_group_size=7)
    adapter = TableAdapter().fit(source)
    back = adapter.from_tensors(torch.as_tensor(np.asarray(adapter.to_tensors(source).fields["x"])))
    if kind == "polars":
        assert back.equals(source)
    else:
        assert [[None if pd.isna(cell) else int(cell) for cell in back[name]] for name in "ch"] == [
            table[name].to_pylist() for name in "ch"
        ]


def test_wide_amounts_say_that_their_last_digits_are_lost() -> None:
    cells = pd.Series(rng.choice(2**60, 300) + 1)
    with pytest.warns(AeganWarning, match=r"'c' holds whole numbers beyond 2\*\*53 in 300 values.*categorical"):
        _, back = there_and_back(cells)
    assert (back - cells).abs().max() < 2**40
    adapter, back = there_and_back(cells, "categorical")
    assert back.equals(cells)


def test_combinations_of_wide_numbers_are_exact() -> None:
    frame = pd.DataFrame({"a": HIGH * 25, "b": WIDE[::-1] * 25, "c": ["x", "y"] * 50}).astype({"a": "uint64"})
    for rules in ("auto", ["fixed(a, b, c)"]):
        adapter = TableAdapter(rules=rules).fit(frame)
        adapter = TableAdapter.from_json(json.loads(json.dumps(adapter.to_json())))
        x = torch.as_tensor(np.asarray(adapter.to_tensors(frame).fields["x"]))
        assert adapter.from_tensors(x).equals(frame)
        holes = frame.assign(b=frame["b"].astype("Int64").mask(frame["c"] == "x"))
        partial, _ = adapter.to_partial(holes)
        assert (adapter.complete(holes, partial)["b"] == frame["b"]).all()


def test_widened_keys_do_not_wrap_in_arrow_s_narrow_type() -> None:
    schema = pa.schema([("key", pa.int8())])
    wide = to_arrow(pd.DataFrame({"key": [1, 200]}), schema)
    assert wide["key"].to_pylist() == [1, 200] and wide.schema.field("key").type == pa.int64()
    assert to_arrow(pd.DataFrame({"key": [1, 100]}), schema).schema.field("key").type == pa.int8()
