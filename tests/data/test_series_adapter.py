"""Series to tensors and back, in every form they come in."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from aegan.data.kinds import adapter_class
from aegan.data.series import SeriesAdapter
from aegan.data.series_set import SeriesSet
from aegan.errors import AeganWarning, ConfigError, DataError

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data sets are not here")


def walk(n, seed=0, channels=2):
    return np.random.default_rng(seed).standard_normal((n, channels)).cumsum(0)


def hourly(n=60, **columns):
    frame = pd.DataFrame(walk(n).round(2), columns=["a", "b"], index=pd.date_range("2024-01-01", periods=n, freq="h"))
    return frame.assign(**columns)


def patients(n=12):
    rows = [
        {
            "pid": f"P{i:03d}",
            "when": pd.Timestamp("2024-01-01") + pd.Timedelta(hours=t),
            "age": 40 + i,
            "sex": "mf"[i % 2],
        }
        | {"ill": i % 3 == 0, "pulse": 60 + (7 * i + 3 * t) % 11, "temp": 36 + (i * t % 20) / 10}
        for i in range(n)
        for t in range(5 + i % 4)
    ]
    return pd.DataFrame(rows)


def round_trip(source, **options):
    """Fit, go through JSON, encode and decode."""
    adapter = SeriesAdapter(**options).fit(source)
    data = adapter.to_tensors(source)
    adapter = SeriesAdapter.from_json(json.loads(json.dumps(adapter.to_json(), allow_nan=False)))
    f = data.fields
    back = adapter.from_tensors(f["x"], static=f.get("static"), y=f.get("y"), mask=f.get("mask"))
    return adapter, f, back


def test_long_frame_comes_back_with_stamps_continued():
    frame = hourly()
    adapter, f, back = round_trip(frame, window=12, stride=12)
    assert adapter.spec.kind == "series" and adapter.spec.shape == (12, 2) and adapter.spec.fields == ()
    assert f["x"].dtype == torch.float32 and f["x"].abs().max() == 1 and set(f) == {"x", "origin"}
    np.testing.assert_allclose(back.to_numpy(), frame.to_numpy(), atol=1e-9)
    assert back.index.equals(pd.date_range(frame.index[-1] + pd.Timedelta(hours=1), periods=60, freq="h"))
    assert back.index.freqstr == "h" and list(back.columns) == ["a", "b"]
    later = adapter.from_tensors(f["x"][:1], start=2, begin=pd.Timestamp("2030-01-01"))
    assert later.index[0] == pd.Timestamp("2030-01-01")
    assert adapter.from_tensors(f["x"][:1], start=2).index[0] == frame.index[-1] + pd.Timedelta(hours=25)


def test_windows_overlap_in_training_alone():
    adapter, f, back = round_trip(hourly(20), window=8)
    assert f["x"].shape == (13, 8, 2) and f["origin"][:, 1].tolist() == list(range(13))
    assert len(back) == 13 * 8 and back.index.is_unique and adapter.stride == 1


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_keep_names_types_and_format(tmp_path, suffix):
    from aegan.data.series_write import write_series

    when = pd.date_range("2024-03-01", periods=40, freq="D")
    frame = pd.DataFrame(
        {"n": np.arange(40), "day": when, "x": (np.arange(40) / 8).round(2), "on": np.arange(40) % 3 == 0}
    )
    path = tmp_path / f"in.{suffix}"
    frame.assign(day=when.strftime("%d.%m.%Y")).to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    adapter, _, back = round_trip(path, window=10, stride=10)
    assert list(back.columns) == ["n", "day", "x", "on"] and adapter.channels == ("n", "x", "on")
    assert back["n"].tolist() == frame["n"].tolist() and back["on"].dtype == bool
    assert back["on"].tolist() == frame["on"].tolist() and back["x"].tolist() == frame["x"].tolist()
    write_series(back, tmp_path / f"out.{suffix}", form=adapter.decoder.form)
    again = SeriesAdapter(window=10, stride=10).fit(tmp_path / f"out.{suffix}")
    assert again.clock.step == adapter.clock.step and again.channels == adapter.channels
    if suffix == "csv":
        assert (tmp_path / "out.csv").read_text().splitlines()[1].split(",")[1] == "10.04.2024"
    else:
        assert back.dtypes.equals(frame.dtypes)


def test_parquet_with_an_unnamed_index(tmp_path):
    hourly().to_parquet(tmp_path / "a.parquet")
    _, _, back = round_trip(tmp_path / "a.parquet", window=12, stride=12)
    assert isinstance(back.index, pd.DatetimeIndex) and back.shape == (60, 2)


def test_many_series_with_attributes_classes_and_lengths():
    frame = patients()
    adapter, f, back = round_trip(frame, id="pid", label="ill")
    assert adapter.spec.shape == (8, 2) and adapter.spec.classes == ("False", "True")
    assert [field.column for field in adapter.spec.fields] == ["length", "age", "sex"]
    assert f["length"].tolist() == [5 + i % 4 for i in range(12)] and f["static"].shape == (12, 3)
    assert f["mask"][0, :5].all() and not f["mask"][0, 5:].any()
    assert (f["x"][0, 5:] == f["x"][0, 4]).all(), "padding holds the last value"
    pd.testing.assert_frame_equal(back.drop(columns="pid"), frame.drop(columns="pid"))
    assert back["pid"].unique().tolist() == [f"P{i:03d}" for i in range(12, 24)], "new names"
    assert adapter.from_tensors(f["x"], static=f["static"], start=5)["pid"][0] == "P017"


def test_conditions_on_attributes():
    adapter, f, _ = round_trip(patients(), id="pid", label="ill")
    allowed = adapter.condition({"length": "7..8", "sex": "f"})
    assert allowed[0].tolist() == [False, False, True, True] and allowed[2].sum() == 1
    back = adapter.from_tensors(f["x"], static=f["static"], where={"sex": "f", "length": ">=7"})
    assert set(back["sex"]) == {"f"} and back.groupby("pid").size().min() >= 7


def test_per_series_scaling_keeps_the_amplitude():
    frame = patients()
    frame["pulse"] = frame["pulse"] * (1 + frame["age"])
    adapter, f, back = round_trip(frame, id="pid", label="ill", per_series=True)
    for row, length in zip(f["x"], f["length"], strict=True):
        assert row[:length, 0].min() == -1 and row[:length, 0].max() == 1
    assert "pulse: half range" in [field.column for field in adapter.spec.fields]
    pd.testing.assert_frame_equal(back.drop(columns="pid"), frame.drop(columns="pid"))
    amounts = adapter.amounts(f["x"], f["static"])
    assert amounts[3, 0, 0] == pytest.approx(frame.loc[frame.pid == "P003", "pulse"].iloc[0], rel=1e-4)


def test_irregular_time_becomes_a_channel():
    frame = patients()
    frame["when"] += pd.to_timedelta(np.random.default_rng(0).integers(0, 50, len(frame)), "m")
    adapter, f, back = round_trip(frame, id="pid", label="ill")
    assert adapter.spec.shape == (8, 3) and adapter.clock.step is None and not f["mask"][:, 0, 2].any()
    for (_, a), (_, b) in zip(frame.groupby("pid"), back.groupby("pid"), strict=True):
        assert (a["when"].diff().dropna().tolist()) == b["when"].diff().dropna().tolist()
    plain = SeriesAdapter(id="pid", label="ill", irregular="ignore").fit(frame)
    assert plain.spec.shape == (8, 2)


def test_missing_values_are_masked_and_interpolated():
    frame = hourly()
    frame.iloc[3:5, 0] = np.nan
    adapter, f, back = round_trip(frame, window=12, stride=12)
    assert (~f["mask"]).sum() == 2 and not f["mask"][0, 3:5, 0].any()
    x = f["x"][0, :, 0]
    assert torch.allclose(x[3] - x[2], x[4] - x[3], atol=1e-6) and torch.allclose(x[4] - x[3], x[5] - x[4], atol=1e-6)
    assert back["a"].isna().tolist() == frame["a"].isna().tolist()
    assert adapter.from_tensors(f["x"])["a"].notna().all()


def test_steps_that_a_grid_has_and_the_data_have_not():
    frame = hourly().drop(hourly().index[[7, 20, 21]])
    adapter, f, back = round_trip(frame, window=12, stride=12)
    assert adapter.clock.step and f["x"].shape == (5, 12, 2) and (~f["mask"]).any(2).sum() == 3
    assert back.dropna().shape == frame.shape and len(back) == 60


@pytest.mark.parametrize("freq", ["MS", "B", "QE", "YS"])
def test_calendars_go_on(freq):
    index = pd.date_range("2001-01-01", periods=24, freq=freq)
    frame = pd.DataFrame({"x": walk(24)[:, 0]}, index=index)
    adapter, _, back = round_trip(frame, window=6, stride=6)
    assert adapter.clock.freq == freq or freq == "B"
    assert back.index.equals(pd.date_range(index[-1], periods=25, freq=freq)[1:])


def test_time_zones_and_periods():
    frame = hourly(24 * 10).set_index(pd.date_range("2024-03-25", periods=240, freq="h", tz="Europe/Rome"))
    adapter, _, back = round_trip(frame, window=24, stride=24)
    assert adapter.clock.step == 3600e6 and str(back.index.tz) == "Europe/Rome"
    assert back.index[0] == frame.index[-1] + pd.Timedelta(hours=1)
    monthly = pd.DataFrame({"x": walk(48)[:, 0]}, index=pd.period_range("2000-01", periods=48, freq="M"))
    _, _, back = round_trip(monthly, window=12, stride=12)
    assert str(back.index[0]) == "2004-01" and back.index.freqstr == "M"


@pytest.mark.parametrize("shape", [(6, 10, 3), (6, 10)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_arrays(shape, dtype):
    x = (np.random.default_rng(0).standard_normal(shape) * 50).astype(dtype)
    adapter, f, back = round_trip(x)
    assert f["x"].shape == (6, 10, shape[2] if len(shape) == 3 else 1) and set(f) == {"x"}
    assert back.dtype == x.dtype and back.shape == x.shape
    np.testing.assert_allclose(back, x, atol=1e-4)
    labels = np.array(["up", "down"] * 3)
    adapter, f, (back, names) = round_trip((x, labels))
    assert adapter.spec.classes == ("down", "up") and names.tolist() == labels.tolist()
    tensor = round_trip(torch.from_numpy(x))[2]
    assert isinstance(tensor, torch.Tensor) and tensor.dtype == torch.from_numpy(x).dtype


def test_arrays_of_one_long_series_and_lists():
    x = walk(40)
    np.testing.assert_allclose(round_trip(x[:, 0], window=8, stride=8)[2], x[:, 0], atol=1e-6)
    np.testing.assert_allclose(round_trip(x, window=8, stride=8, layout="long")[2], x, atol=1e-6)
    items = [walk(n, n) for n in (4, 7, 5)]
    adapter, f, back = round_trip(items)
    assert adapter.spec.shape == (7, 2) and f["length"].tolist() == [4, 7, 5]
    for a, b in zip(items, back, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    ragged = np.full((3, 7, 2), np.nan)
    for row, item in zip(ragged, items, strict=True):
        row[: len(item)] = item
    adapter, f, back = round_trip(ragged)
    assert f["length"].tolist() == [4, 7, 5]
    np.testing.assert_allclose(back, ragged, atol=1e-5)


def test_wide_frames():
    frame = pd.DataFrame(walk(8, channels=5).round(1), columns=[f"t{i}" for i in range(5)])
    frame["kind"] = list("aabbaabb")
    frame.loc[2, ["t3", "t4"]] = np.nan
    adapter, f, back = round_trip(frame, layout="wide", label="kind")
    assert adapter.spec.shape == (5, 1) and f["length"].tolist() == [5, 5, 3, 5, 5, 5, 5, 5]
    pd.testing.assert_frame_equal(back, frame)


def test_robust_scaling_has_resolution_for_the_bulk():
    x = np.random.default_rng(0).standard_normal(2000)
    x[5] = 1e6
    robust = SeriesAdapter(window=20, scaling="robust").fit(x)
    plain = SeriesAdapter(window=20).fit(x)
    assert robust.to_tensors(x).fields["x"].std() > 1000 * plain.to_tensors(x).fields["x"][10:].std()
    back = robust.from_tensors(robust.to_tensors(x).fields["x"][::20])
    np.testing.assert_allclose(back[:1980], x[:1980], rtol=2e-4, atol=1e-4)


def test_windows_are_chosen_from_the_data():
    assert SeriesAdapter().fit(hourly(500)).window == 24
    assert SeriesAdapter().fit(hourly(40)).window == 10
    daily = hourly(400).set_index(pd.date_range("2020-01-01", periods=400, freq="D"))
    adapter = SeriesAdapter().fit(daily)
    assert adapter.window == 28 and "chosen from the data" in adapter.summary and "every 1 day" in adapter.summary


def test_many_series_can_be_cut_into_windows():
    adapter, f, back = round_trip(patients(), id="pid", label="ill", window=5, stride=3)
    assert adapter.spec.shape == (5, 2) and len(f["x"]) == 15 and "length" not in f
    assert f["origin"][3:5].tolist() == [[3, 0], [3, 3]] and back["pid"].nunique() == 15


def test_classes_that_change_along_one_series():
    frame = hourly(60, state=["rest"] * 30 + ["run"] * 30)
    adapter, f, back = round_trip(frame, label="state", window=10, stride=10)
    assert f["y"].tolist() == [0, 0, 0, 1, 1, 1] and back["state"].tolist() == frame["state"].tolist()
    without = adapter.to_tensors(frame.drop(columns="state"))
    assert "y" not in without.fields


@pytest.mark.parametrize("seed", range(3))
def test_holdout_shares_no_step(seed):
    adapter = SeriesAdapter(window=10).fit(walk(600)[:, 0])
    data = adapter.to_tensors(walk(600)[:, 0])
    train, held = adapter.split(data, holdout=0.2, seed=seed)
    steps = [{int(s) + t for s in data.fields["origin"][i, 1] for t in range(10)} for i in (train, held)]
    assert not steps[0] & steps[1] and 0.1 < len(steps[1]) / 600 < 0.3 and len(steps[0]) > 300
    assert torch.equal(held, adapter.split(data, holdout=0.2, seed=seed)[1])
    assert len(adapter.split(data, holdout=0, seed=0)[1]) == 0
    with pytest.raises(ConfigError, match="holdout is 1.5"):
        adapter.split(data, holdout=1.5, seed=0)


def test_reading_others_with_the_fitted_scale():
    adapter = SeriesAdapter(window=10).fit(np.arange(100.0))
    x = adapter.to_tensors(np.arange(95.0, 120.0)).fields["x"]
    assert x.max() > 1.3
    assert adapter.from_tensors(x).max() == 99, "nothing leaves the observed range"


@pytest.mark.parametrize("key", ["spec", "form", "clock", "scaler", "decoder", "table"])
def test_damaged_json(key):
    plain = SeriesAdapter(id="pid", label="ill").fit(patients()).to_json()
    for wrong in ({key: 7}, {key: {}}):
        with pytest.raises(DataError, match="adapter|form"):
            SeriesAdapter.from_json(plain | wrong)
    with pytest.raises(DataError, match="expected the keys"):
        SeriesAdapter.from_json({})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 1}, "window is 1"),
        ({"stride": 0}, "stride is 0"),
        ({"scaling": "log"}, "scaling is 'log'; expected one of minmax, robust"),
        ({"irregular": "no"}, "irregular is 'no'"),
        ({"layout": "tall"}, "layout is 'tall'"),
        ({"static": "age"}, r"expected a list of columns, \['age'\]"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        SeriesAdapter(**options)


def test_tensors_that_cannot_be():
    adapter = SeriesAdapter(id="pid", label="ill").fit(patients())
    f = adapter.to_tensors(patients()).fields
    with pytest.raises(DataError, match=r"expected floats \(N, 8, 2\)"):
        adapter.from_tensors(torch.zeros(2, 7, 2))
    with pytest.raises(DataError, match="NaN or infinite"):
        adapter.from_tensors(torch.full((2, 8, 2), torch.nan), static=f["static"][:2])
    with pytest.raises(DataError, match="static is missing"):
        adapter.from_tensors(f["x"])
    with pytest.raises(ConfigError, match="begin is 'soon'"):
        adapter.from_tensors(f["x"], static=f["static"], begin="soon")
    with pytest.raises(ConfigError, match="not fitted"):
        SeriesAdapter().to_tensors(patients())


@needs_data
def test_stocks_and_energy():
    adapter, f, back = round_trip(SHARED / "timegan_stock" / "stock_data.csv", window=24, stride=24)
    frame = pd.read_csv(SHARED / "timegan_stock" / "stock_data.csv")
    assert back.dtypes.equals(frame.dtypes) and f["x"].shape == (153, 24, 6)
    np.testing.assert_allclose(back, frame.iloc[: len(back)], rtol=2e-4)
    adapter = SeriesAdapter(window=24, stride=24).fit(SHARED / "appliances_energy" / "energydata_complete.csv")
    assert adapter.spec.shape == (24, 28) and adapter.clock.describe() == "a step every 00:10:00"


@needs_data
def test_ecg():
    adapter, f, back = round_trip(SHARED / "ecg200" / "ECG200_TRAIN.ts")
    assert isinstance(back, SeriesSet) and f["x"].shape == (100, 96, 1) and sorted(adapter.spec.classes) == ["-1", "1"]
    assert "y" in adapter.to_tensors(SHARED / "ecg200" / "ECG200_TEST.ts").fields
    assert adapter_class("series") is SeriesAdapter


def test_one_series_only_is_cut_into_windows():
    with pytest.warns(AeganWarning, match="one series only; it is cut into windows"):
        adapter = SeriesAdapter().fit(walk(80)[None])
    assert adapter.spec.shape == (20, 2)
