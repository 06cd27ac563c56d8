"""Names, constants, writers and other forms of series."""

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch

from aegan.data.series import SeriesAdapter
from aegan.data.series_scale import Scaler
from aegan.data.series_source import open_series
from aegan.data.series_windows import default_stride
from aegan.data.series_write import write_series
from aegan.errors import AeganWarning, ConfigError, DataError


def many(ids, **columns):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.repeat(ids, 4), "t": list(range(4)) * len(ids), "x": rng.random(4 * len(ids))})
    return frame.assign(**columns)


def back_of(adapter, source):
    f = adapter.to_tensors(source).fields
    adapter = SeriesAdapter.from_json(json.loads(json.dumps(adapter.to_json())))
    return adapter.from_tensors(f["x"], static=f.get("static"), y=f.get("y"))


@pytest.mark.parametrize(
    ("ids", "new"),
    [
        ([1, 2, 3], [4, 5, 6]),
        (["a07", "a08", "a09"], ["a10", "a11", "a12"]),
        ([1.5, 2.5, 3.5], ["new-1", "new-2", "new-3"]),
    ],
)
def test_new_names(ids, new):
    source = many(ids)
    back = back_of(SeriesAdapter(id="id").fit(source), source)
    assert back["id"].unique().tolist() == new and not set(back["id"]) & set(ids)


def test_constant_attributes_come_back():
    source = many([1, 2, 3], site="Rome", level=3, since=pd.Timestamp("2020-01-02"), none=np.nan)
    adapter = SeriesAdapter(id="id", time="t", static=["site", "level", "since", "none"]).fit(source)
    assert adapter.spec.fields == () and adapter.table is None
    pd.testing.assert_frame_equal(back_of(adapter, source).drop(columns="id"), source.drop(columns="id"))


def test_a_users_column_called_length():
    source = many([1, 2, 3], length=np.repeat([5, 6, 7], 4)).drop(index=3)
    adapter = SeriesAdapter(id="id").fit(source)
    assert [field.column for field in adapter.spec.fields] == ["(length)", "length"]
    back = back_of(adapter, source)
    assert back["length"].tolist() == source["length"].tolist() and len(back) == 11


def test_a_date_of_birth_is_an_attribute_and_decimals_are_numbers():
    born = np.repeat(pd.to_datetime(["1990-01-01", "1991-05-06", "1980-02-03"]), 4)
    source = many([1, 2, 3], x=[Decimal(i) / 4 for i in range(12)]).assign(born=born)[["born", "id", "t", "x"]]
    adapter = SeriesAdapter(id="id").fit(source)
    back = back_of(adapter, source)
    assert adapter.decoder.form.static == ("born",) and back["born"].tolist() == source["born"].tolist()
    assert back["x"].tolist() == source["x"].tolist() and isinstance(back["x"][0], Decimal)


def test_missing_attributes():
    source = many([1, 2, 3], age=np.repeat([5, np.nan, 7], 4))
    adapter = SeriesAdapter(id="id", static=["age"]).fit(source)
    assert back_of(adapter, source)["age"].isna().tolist() == source["age"].isna().tolist()


def test_multi_index_and_series():
    frame = many([1, 2, 3])
    back = back_of(SeriesAdapter(id="id").fit(frame.set_index(["id", "t"])), frame)
    assert list(back.columns) == ["id", "t", "x"]
    one = pd.Series(np.arange(20.0), index=pd.date_range("2024", periods=20, freq="D"), name="load")
    assert list(back_of(SeriesAdapter(window=5, stride=5).fit(one), one).columns) == ["load"]


def test_frames_with_an_index_are_written_with_it(tmp_path):
    frame = pd.DataFrame({"x": np.arange(20) / 4}, index=pd.date_range("2024", periods=20, freq="h", name="when"))
    adapter = SeriesAdapter(window=5, stride=5).fit(frame)
    back = back_of(adapter, frame)
    for suffix in ("csv", "parquet"):
        write_series(back, tmp_path / f"a.{suffix}", form=adapter.decoder.form)
        opened = open_series(tmp_path / f"a.{suffix}")
        assert opened.values[0][:, 0].tolist() == frame["x"].tolist() and opened.clock.step == adapter.clock.step
    assert (tmp_path / "a.csv").read_text().startswith("when,x\n2024-01-01 20:00:00,0.0")


def test_arrays_are_written(tmp_path):
    x = np.random.default_rng(0).random((4, 6, 2)).astype(np.float32)
    for suffix in ("npy", "npz", "ts", "arff", "csv"):
        write_series(x, tmp_path / f"a.{suffix}")
    for suffix in ("npy", "npz", "ts", "arff"):
        np.testing.assert_allclose(np.array(open_series(tmp_path / f"a.{suffix}").values), x, rtol=1e-6)
    again = SeriesAdapter(id="id", time="step").fit(tmp_path / "a.csv")
    assert again.spec.shape == (6, 2)
    write_series((x, list("abab")), tmp_path / "b.npz")
    assert np.load(tmp_path / "b.npz")["y"].tolist() == list("abab")


def test_scaler_by_hand():
    values = np.array([[0.0, 5.0, np.nan], [4.0, 5.0, np.nan], [1.0, 5.0, np.nan]])
    plain = Scaler.fit(values, "minmax")
    assert plain.encode(values)[:, 0].tolist() == [-1, 1, -0.5] and (plain.encode(values)[:, 1] == 0).all()
    back = plain.decode(plain.encode(values))
    assert back[:, :2].tolist() == values[:, :2].tolist() and np.isnan(back[:, 2]).all()
    assert plain.decode(np.array([[3.0, 0, 0]]))[0, 0] == 4
    robust = Scaler.fit(values, "robust")
    width = (2.5 - 0.5) / 1.349
    assert robust.encode(values)[0, 0] == pytest.approx(np.arcsinh(-1 / width) / np.arcsinh(3 / width))
    np.testing.assert_allclose(robust.decode(robust.encode(values))[:, :2], values[:, :2], atol=1e-6)


def test_stride_keeps_windows_small():
    assert default_stride([1000], 24, 6) == 1
    assert default_stride([20_000], 256, 28) == 3


def test_windows_without_a_value_are_left_out():
    x = np.arange(40.0)
    x[10:20] = np.nan
    adapter = SeriesAdapter(window=5, stride=5).fit(x)
    assert adapter.to_tensors(x).fields["origin"][:, 1].tolist() == [0, 5, 20, 25, 30, 35]


def test_same_tensors_after_the_cache():
    x = np.random.default_rng(0).random((5, 8, 2))
    adapter = SeriesAdapter().fit(x)
    assert torch.equal(adapter.to_tensors(x).fields["x"], adapter.to_tensors(x).fields["x"])


def test_values_that_repeat_come_back_as_they_are_and_others_freely() -> None:
    """Thirds are no round decimals; a sensor's steps of them are kept, and numbers that never repeat are not bound."""
    rng = np.random.default_rng(0)
    steps = np.stack([rng.integers(0, 40, 900) / 3.0, rng.normal(size=900)], 1)
    adapter = SeriesAdapter(window=10, layout="long").fit(steps)
    decoder = adapter.decoder
    assert decoder is not None
    assert decoder.form.repeated == (tuple(np.unique(steps[:, 0]).tolist()), ())
    for fitted in (adapter, SeriesAdapter.from_json(json.loads(json.dumps(adapter.to_json())))):
        made = fitted.from_tensors(2.0 * torch.rand(20, 10, 2, generator=torch.Generator().manual_seed(0)) - 1.0)
        assert np.isin(made[:, 0], steps[:, 0]).all() and len(np.unique(made[:, 0])) > 30
        assert not np.isin(made[:, 1], steps[:, 1]).any()
    assert decoder.form.numbers(np.array([[np.nan, 0.0], [0.1, 0.0], [-9.0, 0.0], [99.0, 0.0]]))[:, 0] == pytest.approx(
        [np.nan, 0.0, 0.0, 13.0], nan_ok=True
    )


def test_a_first_column_without_a_name_is_the_index(tmp_path):
    path = tmp_path / "a.csv"
    frame = pd.DataFrame({"x": np.arange(20) / 4}, index=pd.date_range("2024", periods=20, freq="D"))
    frame.to_csv(path)  # as pandas writes an index without a name
    adapter = SeriesAdapter(window=5, stride=5).fit(path)
    assert adapter.clock.describe() == "a step every 1 days" and adapter.channels == ("x",)
    assert back_of(adapter, path)["index"].iloc[0] == "2024-01-21"
    frame.reset_index(names="when").to_csv(path)  # row numbers beside the stamps
    adapter = SeriesAdapter(window=5, stride=5).fit(path)
    assert adapter.channels == ("x",) and list(back_of(adapter, path).columns) == ["when", "x"]
    frame.to_excel(tmp_path / "a.xlsx")
    assert SeriesAdapter(window=5).fit(tmp_path / "a.xlsx").channels == ("x",)


@pytest.mark.parametrize(
    ("pattern", "first"), [("%Y-%m", "1951-01"), ("%Y %b", "1951 Jan"), ("%b-%y", "Jan-51"), ("%m/%Y", "01/1951")]
)
def test_months_without_a_day_are_time(pattern, first):
    start = "1949-01" if pattern != "%b-%y" else "2049-01"
    months = pd.date_range(start, periods=24, freq="MS")
    frame = pd.DataFrame({"month": months.strftime(pattern).astype(object), "x": np.arange(24.0)})
    adapter = SeriesAdapter(window=6, stride=6).fit(frame)
    assert adapter.clock.freq == "MS" and back_of(adapter, frame)["month"].iloc[0] == first


def test_text_whose_offset_changes_with_summer_time(tmp_path):
    path = tmp_path / "a.csv"
    stamps = pd.date_range("2024-03-30", periods=48, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"x": np.arange(48.0)}, index=stamps)
    frame.to_csv(path, index_label="when")
    adapter = SeriesAdapter(window=12, stride=12).fit(path)
    back = back_of(adapter, path)
    write_series(back, tmp_path / "b.csv", form=adapter.decoder.form)
    assert adapter.clock.step == 3600 * 1e6
    assert (tmp_path / "b.csv").read_text().startswith("when,x\n2024-04-01 01:00:00+02:00,0.0\n")
    winter = tmp_path / "c.csv"
    frame[:20].to_csv(winter, index_label="when")  # one offset alone, read by the fitted zone
    assert adapter.open(winter).times[0].tolist() == adapter.open(path).times[0][:20].tolist()


def test_offsets_of_no_zone_are_taken_in_utc():
    texts = [f"2024-03-{d:02d} {9 + d % 2:02d}:00:00+{d % 2:02d}:00" for d in range(1, 29)]
    frame = pd.DataFrame({"when": texts, "x": np.arange(28.0)})
    with pytest.warns(AeganWarning, match=r"are those of no one time zone; the stamps are taken, and written, in UTC"):
        adapter = SeriesAdapter(window=4, stride=4).fit(frame)
    assert str(back_of(adapter, frame)["when"].iloc[0]) == "2024-03-29 09:00:00+00:00"


@pytest.mark.parametrize(
    ("first", "freq", "days", "after"),
    [
        ("2021-01-01", "MS", 14, ["2023-01-15", "2023-02-15", "2023-03-15"]),
        ("2022-11-30", "QE-NOV", 0, ["2028-11-30", "2029-02-28", "2029-05-31"]),
        ("2022-04-01", "YS-APR", 0, ["2046-04-01", "2047-04-01", "2048-04-01"]),
        ("2022-06-30", "YE-JUN", 0, ["2046-06-30", "2047-06-30", "2048-06-30"]),
    ],
)
def test_calendars_that_begin_elsewhere(first, freq, days, after):
    stamps = pd.date_range(first, periods=24, freq=freq) + pd.Timedelta(days=days)
    frame = pd.DataFrame({"x": np.arange(24.0)}, index=stamps)
    adapter = SeriesAdapter(window=6, stride=6).fit(frame)
    assert adapter.clock.regular and adapter.spec.shape == (6, 1)
    assert back_of(adapter, frame).index[:3].strftime("%Y-%m-%d").tolist() == after
    assert len(adapter.open(frame.drop(frame.index[3])).values[0]) == 24
    assert SeriesAdapter().fit(frame).window == 6


def test_wide_frames_with_names(tmp_path):
    frame = pd.DataFrame({"who": ["a1", "a2", "a3"], "1": [1.0, 2, 3], "2": [4.0, 5, 6]})
    back = back_of(SeriesAdapter(layout="wide", id="who").fit(frame), frame)
    assert list(back.columns) == ["who", "1", "2"] and back["2"].tolist() == [4, 5, 6]
    assert not set(back["who"]) & set(frame["who"])
    with pytest.raises(ConfigError, match="'who' in a wide layout, where each column is a step"):
        SeriesAdapter(layout="wide", time="who").fit(frame)


def test_zero_has_no_sign():
    frame = pd.DataFrame({"x": [-0.02, 0.0, 0.01, 0.0, 0.02, -0.01, 0.0, 0.01]})
    adapter = SeriesAdapter(window=4, stride=4).fit(frame)
    x = torch.full((1, 4, 1), -1e-4)
    assert not np.signbit(adapter.from_tensors(x)["x"].to_numpy()).any()


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_a_frame_with_an_index_and_its_csv_are_the_same(tmp_path, zone):
    stamps = pd.date_range("2024-03-30", periods=48, freq="h", tz=zone)
    frame = pd.DataFrame({"x": np.arange(48.0)}, index=stamps)
    frame.to_csv(tmp_path / "a.csv")
    adapter = SeriesAdapter(window=12).fit(frame)
    opened = adapter.open(tmp_path / "a.csv")
    assert opened.times[0].tolist() == adapter.open(frame).times[0].tolist()
    frame.reset_index(drop=True).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match="or a column of its stamps"):
        adapter.open(tmp_path / "b.csv")


def test_amounts_to_be_predicted_are_no_classes(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text("@problemName a\n@targetlabel true\n@data\n1,2,3:0.25\n2,3,5:0.5\n0,1,1:0.75\n")
    with pytest.warns(AeganWarning, match=r"are amounts, such as 0.25, and no classes; they are left out"):
        adapter = SeriesAdapter().fit(path)
    assert adapter.spec.classes == () and adapter.spec.shape == (3, 1)
