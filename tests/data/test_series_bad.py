"""Bad input: each is refused or mended, and said."""

import warnings

import numpy as np
import pandas as pd
import pytest

from aegan.data.series import SeriesAdapter
from aegan.data.series_files import SeriesFile, arff_text, read_arff, read_ts, ts_text
from aegan.data.series_roles import Roles
from aegan.data.series_source import open_series
from aegan.data.series_write import write_series
from aegan.errors import AeganWarning, ConfigError, DataError, StorageError


def frame(n=40, freq="h", **columns):
    rng = np.random.default_rng(0)
    out = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=n, freq=freq), "a": rng.random(n)})
    return out.assign(**columns)


def many(ids="xxxxyyyyzzzz", **columns):
    out = frame(len(ids), id=list(ids)).assign(**columns)
    out["when"] = out.groupby("id").cumcount()
    return out


def test_shorter_than_the_window():
    with pytest.raises(DataError, match=r"the series has 40 steps, the window 41; .* Give window=10"):
        SeriesAdapter(window=41).fit(frame())
    adapter = SeriesAdapter(window=10).fit(frame())
    with pytest.raises(DataError, match="the series has 9 steps"):
        adapter.to_tensors(frame(9))


def test_one_window_only():
    with pytest.raises(DataError, match="one window only"):
        SeriesAdapter(window=40).fit(frame())


def test_one_short_series_only():
    with pytest.warns(AeganWarning, match="one series only"), pytest.raises(DataError, match="one window|steps"):
        SeriesAdapter().fit(np.random.default_rng(0).random((1, 2, 3)))


def test_channel_without_values():
    with pytest.warns(AeganWarning, match="channel 'b' holds no value; it stays empty"):
        adapter = SeriesAdapter(window=8, stride=8).fit(frame(b=np.nan))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeganWarning)
        f = adapter.to_tensors(frame(b=np.nan)).fields
    assert not f["mask"][..., 1].any() and (f["x"][..., 1] == 0).all()
    assert adapter.from_tensors(f["x"])["b"].isna().all()


def test_constant_channel():
    adapter = SeriesAdapter(window=8, stride=8).fit(frame(b=7))
    x = adapter.to_tensors(frame(b=7)).fields["x"]
    back = adapter.from_tensors(x)
    assert (x[..., 1] == 0).all() and back["b"].tolist() == [7] * 40 and back["b"].dtype == np.int64
    with pytest.raises(DataError, match="no channel varies"):
        SeriesAdapter(window=8).fit(frame(a=1.5, b=7))
    own = SeriesAdapter(window=8, stride=8, per_series=True).fit(frame(b=7))
    data = own.to_tensors(frame(b=7)).fields
    assert own.from_tensors(data["x"], static=data["static"])["b"].tolist() == [7] * 40


def test_duplicate_stamps():
    twice = frame()
    twice.loc[5, "when"] = twice.loc[4, "when"]
    with pytest.raises(DataError, match=r"2024-01-01 04:00:00 occurs more than once .* id=\.\.\."):
        SeriesAdapter().fit(twice)
    series = many()
    series.loc[5, "when"] = 0
    with pytest.raises(DataError, match="of series 'y' occurs more than once"):
        SeriesAdapter(id="id", time="when").fit(series)


def test_unsorted_stamps_are_sorted_and_said():
    mixed = frame().iloc[[1, 0, *range(2, 40)]]
    with pytest.warns(AeganWarning, match="not in order, first in row 2, 1 times in all; the rows were sorted"):
        opened = open_series(mixed)
    assert opened.values[0][:, 0].tolist() == frame()["a"].tolist()
    interleaved = many().sort_values(["when", "id"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = open_series(interleaved, Roles(id="id", time="when"))
    assert opened.lengths == [4, 4, 4] and opened.values[1][:, 0].tolist() == many()["a"][4:8].tolist()


def test_mixed_frequencies():
    stamps = [
        *pd.date_range("2024-01-01", periods=20, freq="h"),
        *pd.date_range("2024-01-02", periods=20, freq="10min"),
    ]
    with pytest.warns(AeganWarning, match=r"mixed frequencies: steps of 0?0:10:00 \(49%\) and 0?1:00:00"):
        adapter = SeriesAdapter(window=8).fit(frame(when=stamps))
    assert adapter.spec.shape == (8, 2)
    regular = SeriesAdapter(window=8).fit(frame())
    with pytest.raises(DataError, match="do not follow a step every 0?1:00:00"):
        regular.to_tensors(frame(freq="7min"))


def test_unseen_id_and_unseen_class():
    adapter = SeriesAdapter(id="id", time="when", label="kind").fit(many(kind=list("ppppqqqqpppp")))
    assert len(adapter.to_tensors(many("vvvvwwww", kind=list("ppppqqqq")))) == 2, "ids are names, nothing to learn"
    with pytest.raises(DataError, match="class 'r' was not in the data"):
        adapter.to_tensors(many(kind=list("pppprrrrqqqq")))


def test_longer_than_any_fitted():
    adapter = SeriesAdapter(id="id", time="when").fit(many())
    with pytest.raises(DataError, match="series 'x' has 5 steps; the fitted data have at most 4"):
        adapter.to_tensors(many("xxxxxyyyy"))


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"b": "word"}, {}, r"column 'b' holds 'word' in row \d+ and is to be a channel; expected numbers.*label='b'"),
        ({"a": np.inf}, {}, "infinite value at step 1 of channel 'a'"),
        ({"when": "soon"}, {"time": "when"}, "'when' does not hold time stamps of one known form"),
        ({"kind": ["p"] * 39 + [None]}, {"label": "kind"}, "row 40 has no class"),
        ({"id": ["p"] * 39 + [None]}, {"id": "id"}, "row 40 has no 'id'"),
        ({"id": ["p", "q"] * 20, "age": range(40)}, {"id": "id", "static": ["age"]}, "'age' is static, but changes"),
    ],
)
def test_columns_that_cannot_be(columns, options, message):
    with pytest.raises(DataError, match=message):
        SeriesAdapter(**options).fit(frame(**columns))


def test_missing_stamp():
    with pytest.raises(DataError, match="row 4 has no time stamp"):
        SeriesAdapter().fit(frame().assign(when=lambda f: f["when"].where(f.index != 3)))


def test_roles_that_do_not_fit():
    with pytest.raises(ConfigError, match="id: there is no column 'patient'"):
        SeriesAdapter(id="patient").fit(frame())
    with pytest.raises(ConfigError, match="column 'a' is both label and channels"):
        SeriesAdapter(label="a", channels=["a"]).fit(frame())
    adapter = SeriesAdapter(window=8).fit(frame(b=1.0))
    with pytest.raises(DataError, match="there is no column 'b'"):
        adapter.to_tensors(frame())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((0, 4, 2)), "empty"),
        (np.zeros((2, 2, 2, 2)), r"got shape \(2, 2, 2, 2\)"),
        (np.array([["a", "b"]]), "expected numbers"),
        ([], "an empty list"),
        ([np.zeros((3, 2)), np.zeros((3, 1))], "item 1 has 1 channels; expected 2"),
        (pd.DataFrame({"a": []}, index=pd.DatetimeIndex([])), "no rows"),
        (7, "cannot read series from builtins.int"),
        ((np.zeros((3, 4)), [1, 2]), "2 labels"),
        ("nowhere.ts", "no such file"),
    ],
)
def test_sources_that_are_none(source, message):
    with pytest.raises(DataError, match=message):
        open_series(source)


HEAD = "@problemName toy\n@timeStamps false\n@classLabel true up down\n@data\n"


def test_ts_files(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text("#note\n" + HEAD + "1,2,3:4,5,6:up\n7,?:8,9:down\n")
    read = read_ts(path)
    assert read.labels == ["up", "down"] and read.title == "toy" and [len(v) for v in read.values] == [3, 2]
    assert read.values[0].tolist() == [[1, 4], [2, 5], [3, 6]] and np.isnan(read.values[1][1, 0])
    path.write_text(ts_text(read))
    again = read_ts(path)
    assert again.labels == read.labels and all(map(np.array_equal, again.values, read.values, (True, True)))


def test_unequal_lengths_in_ts_are_kept(tmp_path):
    path = tmp_path / "a.ts"
    path.write_text(HEAD + "1,2,3:up\n7,8:down\n4,5,9:up\n")
    adapter = SeriesAdapter().fit(path)
    f = adapter.to_tensors(path).fields
    back = adapter.from_tensors(f["x"], static=f["static"], y=f["y"])
    assert f["length"].tolist() == [3, 2, 3] and back.lengths == [3, 2, 3] and back.classes == ["up", "down", "up"]
    for suffix in (".ts", ".arff", ".npz", ".csv"):
        write_series(back, tmp_path / f"out{suffix}", form=adapter.decoder.form)
    for suffix in (".ts", ".arff"):
        opened = open_series(tmp_path / f"out{suffix}")
        assert opened.classes == back.classes and all(map(np.array_equal, opened.values, back.values))
    assert np.load(tmp_path / "out.npz")["x"].shape == (3, 3, 1)
    assert list(pd.read_csv(tmp_path / "out.csv")) == ["id", "step", "channel 0", "label"]
    with pytest.raises(StorageError, match="exists"):
        write_series(back, tmp_path / "out.ts")
    with pytest.raises(ConfigError, match="cannot write series as .png"):
        write_series(back, tmp_path / "out.png")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty file"),
        (HEAD, "no series"),
        ("@problemName a\n", "no line @data"),
        ("1,2,3:up\n", "expected lines that begin with @"),
        (HEAD + "1,2:3,4:up\n5,6:down\n", "line 6 has 1 dimensions; expected 2, as in line 5"),
        (HEAD + "1,2:3,4,5:up\n", "line 5 has dimensions of 2 and 3 values"),
        (HEAD + "1,two,3:up\n", "line 5, value 2 is 'two'"),
        (HEAD + "1,2,3:sideways\n", "line 5 ends with 'sideways'; expected a colon and one of the classes"),
        (HEAD + "1,2,3:up\n4,5", "line 6 ends with '4,5'"),
        (HEAD.replace("Stamps false", "Stamps true") + "(0,1):up\n", "without time stamps"),
    ],
)
def test_broken_ts_files(tmp_path, text, message):
    (tmp_path / "a.ts").write_text(text)
    with pytest.raises(DataError, match=message):
        SeriesAdapter().fit(tmp_path / "a.ts")


def test_arff_files(tmp_path):
    path = tmp_path / "a.arff"
    path.write_text(
        "%c\n@relation 'toy'\n@attribute t1 numeric\n@attribute t2 REAL\n@attribute c {0,1}\n@data\n1,2,0\n3,?,1\n"
    )
    read = read_arff(path)
    assert read.labels == ["0", "1"] and read.values[0].tolist() == [[1], [2]] and np.isnan(read.values[1][1, 0])
    multi = SeriesFile(values=[np.array([[1.0, 3], [2, 4]]), np.array([[5.0, 7], [6, 8]])], labels=["p", "q"])
    path.write_text(arff_text(multi))
    again = read_arff(path)
    assert again.labels == ["p", "q"] and again.values[1].tolist() == [[5, 7], [6, 8]]
    path.write_text("@relation a\n@attribute t1 numeric\n@attribute c {0,1}\n@data\n1,2,0\n")
    with pytest.raises(DataError, match="line 5 has 3 values; expected 2"):
        read_arff(path)
    path.write_text("@relation a\n@attribute c {0,1}\n@attribute t1 numeric\n@data\n1,2\n")
    with pytest.raises(DataError, match="at most one nominal one at the end"):
        read_arff(path)
