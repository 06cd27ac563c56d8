"""Columns of every type: exact where they can be, in their own data type and format; JSON, and what is refused."""

import datetime
import decimal
import json
import uuid
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from aegan.data.table import TableAdapter
from aegan.data.table_codecs import Amounts, Choices
from aegan.data.table_ids import find_pattern
from aegan.data.table_ladder import Ladder, pack
from aegan.data.table_write import write_table
from aegan.errors import AeganWarning, ConfigError, DataError
from aegan.types import Spec

N = 600
rng = np.random.default_rng(0)


def gaps(values, share=0.1):
    return [None if gone else value for value, gone in zip(values, rng.random(len(values)) < share, strict=True)]


def stamps(n=N, unit="s", span=10**8):
    return pd.Timestamp("2020-02-03") + pd.to_timedelta(rng.integers(0, span, n), unit)


EXACT = {
    "int8": pd.Series(rng.integers(-100, 100, N), dtype="int8"),
    "int64 wide": pd.Series(rng.integers(-(10**6), 10**6, N)),
    "uint64": pd.Series(rng.integers(0, 50_000, N), dtype="uint64"),
    "Int32 with gaps": pd.Series(gaps(rng.integers(0, 5000, N).tolist()), dtype="Int32"),
    "int with gaps as float": pd.Series(gaps(rng.integers(0, 5000, N).tolist()), dtype="float64"),
    "hundredths": pd.Series(np.round(rng.gamma(2, 50, N), 2)),
    "few floats": pd.Series(rng.choice([0.1, 1 / 3, 1e300, -2.5], N)),
    "Float32": pd.Series(gaps((rng.integers(0, 3000, N) / 10).tolist()), dtype="Float32"),
    "float32": pd.Series(rng.integers(0, 3000, N) / 10, dtype="float32"),
    "quarters": pd.Series(rng.integers(0, 4000, N) * 25),
    "pyarrow int": pd.Series(rng.integers(0, 5000, N), dtype="int64[pyarrow]"),
    "bool": pd.Series(rng.random(N) < 0.3),
    "boolean": pd.Series(gaps((rng.random(N) < 0.3).tolist()), dtype="boolean"),
    "objects of bool": pd.Series(gaps((rng.random(N) < 0.3).tolist()), dtype=object),
    "names": pd.Series(rng.choice(["a", "b", "ccc", ">50K"], N)),
    "names with gaps": pd.Series(gaps(rng.choice(["a", "b"], N).tolist()), dtype=object),
    "string": pd.Series(gaps(rng.choice(["a", "b"], N).tolist()), dtype="string"),
    "string[pyarrow]": pd.Series(gaps(rng.choice(["a", "b"], N).tolist()), dtype="string[pyarrow]"),
    "category": pd.Series(pd.Categorical(rng.choice(["x", "y"], N), categories=["z", "y", "x"], ordered=True)),
    "category of numbers": pd.Series(pd.Categorical(gaps(rng.integers(0, 5, N).tolist()))),
    "dates": pd.Series(stamps().normalize()),
    "datetime64[s]": pd.Series(stamps()).astype("datetime64[s]"),
    "with zone": pd.Series(stamps()).dt.tz_localize("UTC").dt.tz_convert("America/New_York").dt.floor("D"),
    "nanoseconds": pd.Series(pd.to_datetime(rng.choice([1, 10**18 + 7, 10**18], N))),
    "times with gaps": pd.Series(gaps(stamps().to_list())).astype("datetime64[us]"),
    "first of month": pd.Series(rng.choice(pd.date_range("1990", "2020", freq="MS"), N)),
    "end of month": pd.Series(rng.choice(pd.date_range("1990", "2020", freq="ME"), N)),
    "compact dates": pd.Series(stamps().strftime("%Y%m%d").astype("int64")),
    "compact dates with gaps": pd.Series(gaps(stamps().strftime("%Y%m%d").astype("float64").tolist())),
    "compact Int64 with gaps": pd.Series(gaps(stamps().strftime("%Y%m%d").astype("int64").tolist()), dtype="Int64"),
    "compact text": pd.Series(stamps().strftime("%Y%m%d%H%M%S")),
    "compact ISO text": pd.Series(stamps().strftime("%Y%m%dT000000")),
    "python dates": pd.Series([t.date() for t in stamps()], dtype=object),
    "python datetimes": pd.Series([t.to_pydatetime() for t in stamps()], dtype=object),
    "python times": pd.Series([t.time().replace(second=0) for t in stamps()], dtype=object),
    "iso text": pd.Series(stamps().strftime("%Y-%m-%dT%H:%M:%S")),
    "iso text with Z": pd.Series(stamps().strftime("%Y-%m-%dT%H:%M:%SZ")),
    "iso text with offset": pd.Series(stamps().strftime("%Y-%m-%d %H:%M:%S+02:00")),
    "fractions": pd.Series([t.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] for t in stamps(unit="ms", span=10**10)]),
    "German": pd.Series(gaps(stamps().strftime("%d.%m.%Y").tolist()), dtype=object),
    "American": pd.Series([f"{t.month}/{t.day}/{t.year}" for t in stamps()]),
    "Excel": pd.Series([f"{t.month}/{t.day}/{t.year} {t.hour}:{t.minute:02d}" for t in stamps()]),
    "unpadded date": pd.Series([f"{t.day}.{t.month}.{t.year} {t.hour:02d}:{t.minute:02d}" for t in stamps()]),
    "month names": pd.Series(stamps().strftime("%d %b %Y")),
    "month first": pd.Series([f"{t:%b} {t.day} {t.year}" for t in stamps()]),
    "with weekday": pd.Series(stamps().strftime("%a, %d %b %Y %H:%M:%S GMT")),
    "afternoon": pd.Series(stamps().strftime("%m/%d/%Y %I:%M %p")),
    "clock": pd.Series(stamps().strftime("%H:%M")),
    "never": pd.Series(np.where(rng.random(N) < 0.2, "9999-12-31", stamps().strftime("%Y-%m-%d")), dtype=object),
    "Middle Ages": pd.Series([datetime.date(500 + i, 5, 1 + i % 28) for i in range(N)], dtype=object),
    "str": pd.Series(rng.choice(["a", "b"], N), dtype=pd.StringDtype(na_value=np.nan)),
    "arrow string": pd.Series(rng.choice(["a", "b"], N), dtype=pd.ArrowDtype(pa.string())),
    "arrow date": pd.Series([t.date() for t in stamps()], dtype=pd.ArrowDtype(pa.date32())),
    "arrow time": pd.Series(stamps().floor("D"), dtype=pd.ArrowDtype(pa.timestamp("us", tz="UTC"))),
    "timedelta": pd.Series(pd.to_timedelta(rng.integers(0, 10**5, N), "s")),
    "Decimal": pd.Series([decimal.Decimal(int(v)) / 100 for v in rng.integers(0, 10**5, N)], dtype=object),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_round_trip_with_type_and_format(name):
    series = EXACT[name]
    frame = pd.DataFrame({"c": series})
    adapter = TableAdapter().fit(frame)
    x = adapter.to_tensors(frame).fields["x"]
    for other in (adapter, TableAdapter.from_json(json.loads(json.dumps(adapter.to_json())))):
        back = other.from_tensors(x)["c"]
        assert back.dtype == series.dtype
        assert back.isna().tolist() == series.isna().tolist()
        assert back.dropna().tolist() == series.dropna().tolist()
    assert torch.equal(TableAdapter().fit(frame).to_tensors(frame).fields["x"], x)
    sizes = torch.tensor([field.size for field in adapter.spec.fields])
    assert x.dtype == torch.float32 and (x >= 0).all() and (x.floor() < sizes).all()
    assert [field.level for field in adapter.spec.fields] == list(range(len(sizes)))


@pytest.mark.parametrize("name", EXACT)
def test_any_digits_decode_to_a_value_within_the_limits(name):
    frame = pd.DataFrame({"c": EXACT[name]})
    adapter = TableAdapter().fit(frame)
    sizes = torch.tensor([field.size for field in adapter.spec.fields])
    x = torch.rand(300, len(sizes), generator=torch.Generator().manual_seed(0)) * sizes
    back = adapter.from_tensors(x)["c"]
    assert back.dtype == frame["c"].dtype
    assert (
        torch.equal(adapter.to_tensors(pd.DataFrame({"c": back})).fields["x"].floor()[:, 0], x.floor()[:, 0])
        or len(sizes) > 1
    )
    if frame["c"].dtype.kind in "iufM" and back.notna().any():
        assert back.min() >= frame["c"].min() and back.max() <= frame["c"].max()
    assert not adapter.unseen


def test_amounts_have_point_masses_and_stay_within_their_cell():
    values = np.where(rng.random(5000) < 0.6, 0.0, rng.lognormal(5, 2, 5000))
    values[:100] = 777.5
    frame = pd.DataFrame({"c": values})
    adapter = TableAdapter().fit(frame)
    coarse, fine = adapter.spec.fields
    assert coarse.ordered and coarse.size <= 100 and fine.size <= 32
    x = adapter.to_tensors(frame).fields["x"]
    back = adapter.from_tensors(x)["c"].to_numpy()
    assert (back[values == 0] == 0).all() and (back[:100] == 777.5).all()
    np.testing.assert_allclose(back, values, rtol=1e-4)
    assert (x[torch.from_numpy(values == 0), 1] == 0.5).all()
    random = torch.stack([x[:, 0], torch.rand(len(x)) * fine.size], dim=1)
    redrawn = adapter.from_tensors(random)["c"].to_numpy()
    assert (redrawn[values == 0] == 0).all() and redrawn.max() <= values.max()


def test_large_tables_divide_cells_once_more_and_keep_heaped_values():
    values = np.round(rng.normal(0, 0.1, 250_000), 5)
    values[::50] = 0.12345
    codec = Amounts.fit(values, bins=100, decimals=5, missing=False)
    assert len(codec.sizes) == 3
    x, _ = codec.encode(values, np.zeros(len(values), dtype=bool))
    assert (codec.decode(x, codec.leaf(x))[0] == values).all()


def test_rounding_noise_is_no_digit_and_zero_has_no_sign():
    sums = np.cumsum(np.full(400, 0.1))
    assert (sums != sums.round(1)).any()
    frame = pd.DataFrame(
        {"sum": rng.choice(sums, N), "raw": rng.random(N), "zero": np.where(rng.random(N) < 0.2, -0.0, 0)}
    )
    frame["zero"] += rng.integers(0, 300, N)
    frame.loc[:9, "zero"] = -0.0
    adapter = TableAdapter().fit(frame)
    made = adapter.from_tensors(torch.rand(300, len(adapter.spec.fields)) * 8)
    assert made["sum"].tolist() == made["sum"].round(1).tolist() and (made["raw"] != made["raw"].round(9)).all()
    assert not np.signbit(adapter.from_tensors(adapter.to_tensors(frame).fields["x"])["zero"]).any()


def test_few_rows_have_few_bins():
    frame = pd.DataFrame({"c": rng.normal(size=40), "d": np.arange(40) % 7 * 1.5})
    adapter = TableAdapter().fit(frame)
    by_column = {field.column: field for field in reversed(adapter.spec.fields)}
    assert by_column["c"].size <= 8 and by_column["d"].size == 7
    for n in (2, 3, 5):
        small = frame.iloc[:n].reset_index(drop=True)
        adapter = TableAdapter().fit(small)
        np.testing.assert_allclose(adapter.from_tensors(adapter.to_tensors(small).fields["x"]), small)


def test_high_cardinality_is_exact_in_two_small_fields():
    values = np.array([f"customer {i}" for i in (rng.pareto(0.6, 60_000) * 50).astype(int) % 20_000], dtype=object)
    frame = pd.DataFrame({"c": values, "d": rng.integers(0, 3, len(values))})
    adapter = TableAdapter(rules="none").fit(frame)
    first, second, _ = adapter.spec.fields
    distinct = frame["c"].nunique()
    assert distinct > 5000 and max(first.size, second.size) < 128 + 2 * distinct**0.5
    x = adapter.to_tensors(frame).fields["x"]
    assert adapter.from_tensors(x)["c"].tolist() == values.tolist()
    beyond = torch.stack([torch.full((9,), first.size + 5.0), torch.full((9,), second.size + 5.0), torch.zeros(9)], 1)
    assert set(adapter.from_tensors(beyond)["c"]) <= set(values)


def test_unseen_values_are_counted_and_warned_of():
    frame = pd.DataFrame({"a": ["x"] * 500 + ["y"] * 99 + ["z"], "n": [1, 2, 4] * 200, "g": [1.0, None, 2] * 200})
    adapter = TableAdapter(rules="none").fit(frame)
    new = pd.DataFrame({"a": ["x", "new", None], "n": [1, 9, 3], "g": [1, 2, None]})
    with pytest.warns(AeganWarning, match=r"'a' \(2\), 'n' \(2\)"):
        x = adapter.to_tensors(new).fields["x"]
    assert adapter.unseen == {"a": 2, "n": 2}
    assert adapter.from_tensors(x)["a"].tolist() == ["x", "z", "z"] and adapter.from_tensors(x)["n"].tolist() == [
        1,
        4,
        2,
    ]
    with pytest.raises(DataError, match="column 'n' is missing"):
        adapter.to_tensors(new.drop(columns="n"))
    adapter.to_tensors(frame.assign(more=1))


def test_constants_and_empty_columns():
    frame = pd.DataFrame({"a": [7] * 30, "b": ["same"] * 30, "e": [np.nan] * 30, "o": [None] * 30, "v": [1, 2, 3] * 10})
    frame["t"] = pd.Timestamp("2024-01-01")
    with pytest.warns(AeganWarning, match="column '[eo]' holds no value"):
        adapter = TableAdapter().fit(frame)
    assert [field.column for field in adapter.spec.fields] == ["v"]
    back = adapter.from_tensors(adapter.to_tensors(frame).fields["x"])
    pd.testing.assert_frame_equal(back.drop(columns="o"), frame.drop(columns="o"))
    assert back["o"].tolist() == [None] * 30
    with pytest.raises(DataError, match="no column that varies .*a: constant"):
        TableAdapter().fit(frame[["a", "b"]])


def test_identifiers_are_made_anew():
    n = 300
    frame = pd.DataFrame(
        {
            "customer_id": rng.permutation(10**6)[:n],
            "row": np.arange(n),
            "key": [f"AB-{i:05d}-X" for i in range(n)],
            "guid": [str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(n)],
            "plate": ["".join(rng.choice(list("ABCDEFGH"), 3)) + f"{i:03d}" for i in rng.permutation(1000)[:n]],
            "year": np.arange(n) + 1700,
            "v": rng.integers(0, 3, n),
        }
    )
    adapter = TableAdapter().fit(frame)
    assert {field.column for field in adapter.spec.fields} == {"year", "v"}
    x = adapter.to_tensors(frame).fields["x"]
    back = pd.concat([adapter.from_tensors(x), adapter.from_tensors(x, start=n)])
    for name in ("customer_id", "row", "key", "guid", "plate"):
        assert back[name].is_unique and not set(back[name]) & set(frame[name]), name
        assert back[name].dtype == frame[name].dtype
    assert back["key"].iloc[0] == "AB-00300-X" and back["row"].iloc[-1] == 3 * n - 1
    assert all(uuid.UUID(text).version == 4 for text in back["guid"])
    assert back["plate"].str.fullmatch("[A-Z]{3}[0-9]{3}").all()


def test_what_is_no_identifier():
    floats, named = pd.Series(rng.normal(size=50)), pd.Series(["Anna", "Bert", "Carl", "Dora", "Ella"] * 4)
    for name, cells in (("id", floats), ("name", named), ("v", pd.Series(rng.permutation(10**6)[:50]))):
        assert find_pattern(name, cells) is None
    assert find_pattern("paid", pd.Series(rng.permutation(10**6)[:50])) is None
    assert find_pattern("id", pd.Series(range(5))) is None


def test_free_text_is_left_empty_aloud():
    frame = pd.DataFrame(
        {"note": [f"It was the {i}th of its kind, and nobody knew why." for i in range(60)], "v": [0, 1, 2] * 20}
    )
    with pytest.warns(AeganWarning, match="'note' is free text .* stays empty.*'categorical'"):
        adapter = TableAdapter().fit(frame)
    back = adapter.from_tensors(adapter.to_tensors(frame).fields["x"])
    assert back["note"].isna().all() and back["v"].tolist() == frame["v"].tolist()
    assert "note: text, left empty" in adapter.summary
    kept = TableAdapter(columns={"note": "categorical"}).fit(frame)
    assert kept.from_tensors(kept.to_tensors(frame).fields["x"]).equals(frame)


def test_mixed_types_are_named_with_row_and_value(tmp_path):
    cells = [str(i % 50) for i in range(100)]
    cells[41] = "unknown"
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["c,d", *(f"{cell},{i % 3}" for i, cell in enumerate(cells))]))
    with pytest.warns(AeganWarning, match=r"'c' holds numbers, but row 42 \(line 43\) holds 'unknown'.*categories"):
        adapter = TableAdapter().fit(path)
    assert adapter.from_tensors(adapter.to_tensors(path).fields["x"])["c"].tolist() == cells
    with pytest.warns(AeganWarning, match="'c': 1 cells are no numbers and count as missing, the first in row 42"):
        adapter = TableAdapter(columns={"c": "numeric"}).fit(path)
    back = adapter.from_tensors(adapter.to_tensors(path).fields["x"])["c"]
    assert back.isna().sum() == 1 and back[0] == 0.0
    with pytest.warns(AeganWarning, match="'m' mixes types; row 2 holds 'two' .str."):
        adapter = TableAdapter().fit(pd.DataFrame({"m": [1, "two", 3, 3]}))
    assert adapter.from_tensors(adapter.to_tensors({"m": [1, "two", 3]}).fields["x"])["m"].tolist() == [1, "two", 3]


def test_bytes_and_nested_cells(tmp_path):
    frame = pd.DataFrame({"raw": [b"ab", "é".encode()] * 20, "list": [[1], [1, 2]] * 20})
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.warns(AeganWarning, match="'list' holds cells of type ndarray; new rows hold them as text"):
        adapter = TableAdapter().fit(tmp_path / "a.parquet")
    made = adapter.from_tensors(adapter.to_tensors(tmp_path / "a.parquet").fields["x"])
    write_table(made, tmp_path / "b.parquet", form=adapter.form)
    assert pd.read_parquet(tmp_path / "b.parquet")["raw"].tolist() == frame["raw"].tolist()


def test_infinite_numbers():
    frame = pd.DataFrame({"a": [1.0, 2, np.inf, 3], "b": [1, 2, 1, 2]})
    with pytest.raises(DataError, match=r"column 'a' holds an infinite number in row 3.*inf='missing'"):
        TableAdapter().fit(frame)
    adapter = TableAdapter(inf="missing").fit(frame)
    back = adapter.from_tensors(adapter.to_tensors(frame).fields["x"])
    assert back["a"].isna().tolist() == [False, False, True, False]


def test_mixed_time_zones():
    zones = [datetime.UTC, datetime.timezone(datetime.timedelta(hours=2))]
    frame = pd.DataFrame(
        {"t": pd.Series([datetime.datetime(2024, 1, 1 + i, tzinfo=zones[i == 3]) for i in range(9)], dtype=object)}
    )
    with pytest.raises(DataError, match=r"'t' mixes time zones: UTC, and UTC\+02:00 in row 4.*utc=True"):
        TableAdapter().fit(frame)
    texts = [f"2024-01-{i + 1:02d} 10:00:00{'+02:00' if i == 5 else 'Z'}" for i in range(20)]
    with pytest.raises(DataError, match=r"'t' mixes time zones: Z, and \+02:00 in row 6"):
        TableAdapter().fit({"t": texts})


@pytest.mark.parametrize(("zone", "colon", "joint"), [("Europe/Berlin", True, ""), ("America/New_York", False, " ")])
def test_offsets_that_change_with_summer_time_come_back_right(zone, colon, joint):
    times = pd.Series(pd.date_range("2023-01-01 12:00:17", periods=400, freq="1445min", tz="UTC").tz_convert(zone))
    offsets = times.dt.strftime("%z")
    offsets = offsets.str[:3] + ":" + offsets.str[3:] if colon else offsets
    frame = pd.DataFrame({"t": times.dt.strftime("%Y-%m-%dT%H:%M:%S") + joint + offsets, "x": np.arange(400) % 7})
    adapter = TableAdapter().fit(frame)
    again = TableAdapter.from_json(json.loads(json.dumps(adapter.to_json())))
    assert (
        again.from_tensors(again.to_tensors(frame).fields["x"])["t"].str[:10].tolist() == frame["t"].str[:10].tolist()
    )
    look = adapter.columns["t"].look
    values, missing = look.read(frame["t"])
    assert not missing.any() and look.write(values, missing).tolist() == frame["t"].tolist()
    # an hour that is skipped in spring, and one that comes twice in autumn
    odd = {
        "Europe/Berlin": ("2024-03-31T02:30", "2024-10-27T02:30"),
        "America/New_York": ("2024-03-10T02:30", "2024-11-03T01:30"),
    }
    counts = pd.to_datetime(pd.Series(odd[zone])).to_numpy().astype("datetime64[us]").astype(np.int64)
    written = look.write(counts, np.zeros(2, dtype=bool))
    assert pd.to_datetime(written, utc=True).dt.tz_convert(zone).dt.strftime("%H:%M").tolist() == [
        "03:00",
        odd[zone][1][-5:],
    ]


def test_zones_are_kept():
    times = pd.Series(stamps()).dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
    frame = pd.DataFrame({"t": times})
    adapter = TableAdapter().fit(frame)
    back = adapter.from_tensors(adapter.to_tensors(frame).fields["x"])["t"]
    assert back.dtype == times.dtype and (back == times).mean() > 0.99


def test_weekly_rhythm_is_a_field_of_its_own():
    days = pd.date_range("2020-01-01", "2024-01-01")
    frame = pd.DataFrame({"t": days[days.dayofweek < 5]})
    adapter = TableAdapter().fit(frame)
    assert [field.size for field in adapter.spec.fields][-1] == 5
    back = adapter.from_tensors(torch.rand(500, len(adapter.spec.fields)) * 5)
    assert (back["t"].dt.dayofweek < 5).all()


def test_days_that_end_months_and_whole_numbers_that_are_dates():
    ends = pd.date_range("1990-01-31", "2019-12-31", freq="ME")
    frame = pd.DataFrame({"end": rng.choice(ends, N), "day": stamps().strftime("%Y%m%d").astype("int64")})
    adapter = TableAdapter().fit(frame)
    assert [type(column).__name__ for column in adapter.columns.values()] == ["Calendar", "Calendar"]
    sizes = torch.tensor([field.size for field in adapter.spec.fields])
    x = torch.rand(500, len(sizes), generator=torch.Generator().manual_seed(0)) * sizes
    made = adapter.from_tensors(x)
    assert made["end"].dt.is_month_end.all()
    assert pd.to_datetime(made["day"].astype(str), format="%Y%m%d").notna().all()
    where = {"end": "2000-02-15..2001-03", "day": (20210110, 20210309)}
    made = adapter.from_tensors(x, where=where)
    assert made["end"].dt.is_month_end.all() and made["end"].between("2000-02-29", "2001-03-31").all()
    assert made["day"].between(20210110, 20210309).all()
    told = TableAdapter(columns={"day": "numeric"}).fit(frame)
    assert type(told.columns["day"]).__name__ == "Coded"
    codes = pd.DataFrame({"code": np.arange(20_200_101, 20_200_701)[rng.permutation(600)]})
    assert type(TableAdapter().fit(codes.assign(k=frame["end"])).columns["code"]).__name__ != "Calendar"


def test_types_given():
    frame = pd.DataFrame(
        {
            "zip": rng.integers(10**4, 10**5, N),
            "n": [str(i % 7) for i in range(N)],
            "k": rng.permutation(N),
            "w": ["1.2.2024"] * N,
        }
    )
    frame.loc[0, "w"] = "3.12.2024"
    types = {"zip": "categorical", "n": "numeric", "k": "numeric", "w": "datetime:%d.%m.%Y"}
    adapter = TableAdapter(columns=types).fit(frame)
    assert isinstance(adapter.columns["zip"].codecs[0], Choices) and not adapter.spec.fields[0].ordered
    back = adapter.from_tensors(adapter.to_tensors(frame).fields["x"])
    assert back["zip"].equals(frame["zip"]) and back["w"].equals(frame["w"]) and back["k"].equals(frame["k"])
    assert back["n"].tolist() == [float(i % 7) for i in range(N)]
    adapter = TableAdapter(columns={"zip": "id", "k": "drop", "n": "text"}).fit(frame)
    back = adapter.from_tensors(adapter.to_tensors(frame).fields["x"])
    assert back["zip"].min() > frame["zip"].max() and back["k"].isna().all() and back["n"].isna().all()


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ({"agee": "numeric"}, "there is no 'agee'. Did you mean 'age'"),
        ({"age": "numerical"}, "'age' is 'numerical'. Did you mean 'numeric'"),
        ({"name": "numeric"}, "'name' is 'numeric', but none of its values"),
        ({"name": "datetime"}, "'name' is 'datetime', but its values, such as 'a'"),
        ({"x": "id"}, "'x' is 'id', but holds float64"),
    ],
)
def test_types_that_cannot_be(types, message):
    with pytest.raises(ConfigError, match=message):
        TableAdapter(columns=types).fit({"age": [1, 2, 3], "name": ["a", "b", "a"], "x": [0.5, 1.5, 2]})


@pytest.mark.parametrize(
    "options", [{"bins": 4}, {"bins": True}, {"inf": "drop"}, {"memory_limit": -1}, {"rules": "all"}]
)
def test_bad_options(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        TableAdapter(**options)


def test_not_fitted():
    for call in (lambda a: a.to_tensors(None), lambda a: a.from_tensors(torch.zeros(1)), lambda a: a.to_json()):
        with pytest.raises(ConfigError, match="Call fit"):
            call(TableAdapter())


def test_from_tensors_checks():
    adapter = TableAdapter().fit({"a": [1, 2, 3], "b": ["x", "y", "x"]})
    assert adapter.spec == Spec.from_json(adapter.spec.to_json())
    for x, message in (
        (torch.zeros(2, 3), "expected floats"),
        (torch.zeros(2, 2, dtype=torch.int64), "expected floats"),
        (torch.full((1, 2), float("nan")), "NaN"),
    ):
        with pytest.raises(DataError, match=message):
            adapter.from_tensors(x)
    assert adapter.from_tensors(torch.tensor([[-5.0, 99.0]])) == {"a": [1], "b": ["y"]}
    assert adapter.from_tensors(torch.zeros(0, 2)) == {"a": [], "b": []}


def test_damaged_json():
    frame = pd.DataFrame({"a": rng.normal(size=200), "b": rng.choice(["x", "y"], 200), "t": stamps(200)})
    plain = TableAdapter().fit(frame).to_json()
    for change in (
        lambda d: d.pop("rows"),
        lambda d: d.update(adapter="image"),
        lambda d: d["options"].update(bins=-1),
        lambda d: d["columns"].pop(),
        lambda d: d["columns"][0].update(column="other"),
        lambda d: d["columns"][0]["codec"]["low"].pop(),
        lambda d: d["columns"][0]["codec"]["ladder"].update(size=3),
        lambda d: d["columns"][1]["codec"].update(stand_in=9),
        lambda d: d["columns"][1]["look"].update(dtype="nothing"),
        lambda d: d["columns"][2].update(parts=["hour"]),
        lambda d: d["form"].update(container="list"),
        lambda d: d["form"].update(columns=["a", "b"]),
        lambda d: d["spec"].update(shape=[1]),
        lambda d: d["rules"].update(orders=[["a", "z"]]),
        lambda d: d.update(columns=None),
        lambda d: d.update(options=None),
    ):
        data = json.loads(json.dumps(plain))
        change(data)
        with pytest.raises(DataError):
            TableAdapter.from_json(data)
    assert TableAdapter.from_json(plain).to_json() == plain


def test_numbers_never_round_up_to_the_next_index():
    digits = np.array([[3, 31], [0, 255]])
    x = pack(digits, np.array([1.0, 1 - 1e-12]))
    assert (np.floor(x) == digits).all()
    ladder = Ladder(3, [[2, 1, 3], [1, 2, 1, 1, 1, 4]])
    assert ladder.join(ladder.split(np.arange(ladder.leaves))).tolist() == list(range(ladder.leaves))


def test_nothing_is_warned_of_without_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = pd.DataFrame({"a": [1, 2, None] * 20, "b": ["x", "y", "z"] * 20})
        adapter = TableAdapter().fit(frame)
        adapter.to_tensors(frame)
