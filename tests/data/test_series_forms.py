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
