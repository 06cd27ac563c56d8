"""Tables wherever they are, and whatever is wrong with them."""

import datetime
import decimal
import gzip
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from aegan.data import table_source
from aegan.data.kinds import detect_kind
from aegan.data.table import TableAdapter
from aegan.data.table_form import import_extra
from aegan.data.table_source import open_table
from aegan.data.table_write import write_table
from aegan.errors import AeganWarning, ConfigError, DataError, StorageError

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data sets are not here")

ROWS = "n,name,flag,x\n1,Ann,True,0.5\n2,Bob,False,\n3,Ann,True,1.25\n"


def put(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_csv_is_read_with_types(tmp_path):
    frame = open_table(put(tmp_path / "a.csv", ROWS)).frame()
    assert frame.dtypes.astype(str).tolist() == ["int64", "object", "bool", "float64"]
    assert frame["name"].tolist() == ["Ann", "Bob", "Ann"] and np.isnan(frame["x"][1])


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separator_is_found(tmp_path, separator):
    text = f'a{separator}b\n1{separator}"x,;|\ty"\n2{separator}z\n'
    source = open_table(put(tmp_path / "a.csv", text))
    assert source.form.style.separator == separator
    assert source.frame()["b"].tolist() == ["x,;|\ty", "z"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path, encoding):
    source = open_table(put(tmp_path / "a.csv", "città,n\nMünchen,1\nRoma,2\n", encoding))
    assert source.form.columns == ("città", "n") and source.frame()["città"][0] == "München"
    assert source.form.style.encoding == encoding


def test_another_encoding_is_said_aloud(tmp_path):
    with pytest.warns(AeganWarning, match="line 3 is not UTF-8; .*Windows-1252"):
        frame = open_table(put(tmp_path / "a.csv", "city,n\nRoma,1\nMünchen,2\n", "cp1252")).frame()
    assert frame["city"][1] == "München"


def test_gzip_and_tsv_and_semicolon_with_decimal_comma(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    assert len(open_table(tmp_path / "a.csv.gz")) == 3
    assert open_table(put(tmp_path / "a.tsv", "a\tb\n1,5\t2\n3\t4\n")).frame()["a"].tolist() == ["1,5", "3"]
    source = open_table(put(tmp_path / "b.csv", "a;b\n1,5;2\n-3,25;4\n"))
    assert source.frame()["a"].tolist() == [1.5, -3.25] and source.form.style.decimal == ","


def test_spaces_missing_tokens_and_codes(tmp_path):
    text = 'a, b, c,zip\n 1, "x, y", ?,01234\n 2, NA, 2,56789\n 3, None, 3,00001\n'
    frame = open_table(put(tmp_path / "a.csv", text)).frame()
    assert list(frame.columns) == ["a", "b", "c", "zip"] and frame["a"].dtype == np.int64
    assert frame["b"].isna().tolist() == [False, True, True] and frame["b"][0] == "x, y"
    assert frame["c"].dtype == np.float64 and frame["zip"].tolist() == ["01234", "56789", "00001"]


def test_formats_come_back(tmp_path):
    rows = ["31.01.2024;1,50;0;yes", "01.02.2024;20,00;2,5;no", "15.02.2024;3,25;?;yes", "31.01.2024;1,50;0;yes"]
    text = "\n".join(["when;price;size;ok", *rows, ""])
    path = put(tmp_path / "a.csv", text)
    adapter = TableAdapter(rules="none").fit(path)
    back = adapter.from_tensors(adapter.to_tensors(path).fields["x"])
    assert str(back["price"].dtype) == "float64"
    write_table(back, tmp_path / "b.csv", form=adapter.form)
    assert (tmp_path / "b.csv").read_text() == text


def test_booleans_keep_their_words(tmp_path):
    path = put(tmp_path / "a.csv", "a,b\nTRUE,1\nFALSE,2\nTRUE,3\n")
    adapter = TableAdapter().fit(path)
    back = adapter.from_tensors(adapter.to_tensors(path).fields["x"])
    assert back["a"].dtype == bool
    write_table(back, tmp_path / "b.csv", form=adapter.form)
    assert (tmp_path / "b.csv").read_text() == path.read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty file"),
        ("\n \n", "an empty file"),
        ("a,b\n", "column names, but no rows"),
        ("a,b,a\n1,2,3\n", "'a' occurs twice .columns 1, 3."),
        ("a,,c\n1,2,3\n", "column 2 has no name"),
        (",1.5\n1,2\n", "index=False.*may lack a header"),
        ("a,b\n1,2\n3\n", "line 3 has 1 values; expected 2"),
        ("a,b\n1,2\n\n3,4,5\n", "line 4 has 3 values; expected 2"),
        ("a,b,c\n1,2,3\n1,2,4\n\n1,2\n", "line 5 has 2 values; expected 3"),
        ("\n\r\n\na,b\n1,2\n3,4,5\n", "line 6 has 3 values; expected 2"),
        ('a,b\n"1\n\n2",2\n3,4,5\n', "line 5 has 3 values; expected 2"),
        ('a;b\n"x;y";2\n1;2\n"x;z";3;4\n', "line 4 has 3 values; expected 2"),
        ("25, Private, 0, 0, 40\n38, Private, 0, 0, 50\n", "'0' occurs twice .*may lack a header: begin it with"),
        ("1.5,,2\n2.5,1,2\n", "column 2 has no name.*may lack a header"),
    ],
)
def test_bad_text(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        open_table(put(tmp_path / "a.csv", text))


def test_row_names_without_a_name(tmp_path):
    rows = pd.DataFrame({"a": range(5, 105), "b": list("xy") * 50}).sample(frac=1, random_state=0).iloc[:60]
    rows.to_csv(tmp_path / "a.csv")
    adapter = TableAdapter().fit(tmp_path / "a.csv")
    made = adapter.from_tensors(adapter.to_tensors(tmp_path / "a.csv").fields["x"])
    assert list(made.columns) == ["Unnamed: 0", "a", "b"]
    assert not set(made["Unnamed: 0"]) & set(rows.index) and made["a"].tolist() == rows["a"].tolist()
    write_table(made, tmp_path / "b.csv", form=adapter.form)
    assert (tmp_path / "b.csv").read_text().startswith(",a,b\n")
    assert open_table(tmp_path / "b.csv").frame().equals(made)
    rows.to_excel(tmp_path / "a.xlsx")
    assert open_table(tmp_path / "a.xlsx").form.columns == ("Unnamed: 0", "a", "b")


def test_spaces_within_quotes_stay(tmp_path):
    cells = ['{"a": 1, "b": ["x", "y"]}', 'said, "yes"\n, "no"', "plain", ', ""']
    pd.DataFrame({"n": range(4), "cell": cells}).to_csv(tmp_path / "a.csv", index=False)
    assert open_table(tmp_path / "a.csv").frame()["cell"].tolist() == cells
    text = 'n, cell\n1, "{""a"": 1, ""b"": 2}"\n2,  "x, ""y"""\n'
    assert open_table(put(tmp_path / "b.csv", text)).frame()["cell"].tolist() == ['{"a": 1, "b": 2}', 'x, "y"']


def test_names_that_occur_twice_are_no_missing_header(tmp_path):
    with pytest.raises(DataError, match="rename one of them.$"):
        open_table(put(tmp_path / "a.csv", "a,b,a\n1,2,3\n"))


def test_binary_posing_as_csv(tmp_path):
    for content in (b"PK\x03\x04" + bytes(100), bytes(range(256)) * 10, b"\x1f\x8bxx"):
        (tmp_path / "a.csv").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.csv: (a zip or Excel file|binary data|a damaged gzip)"):
            open_table(tmp_path / "a.csv")


def test_missing_and_foreign_files(tmp_path):
    put(tmp_path / "customers.csv", ROWS)
    with pytest.raises(DataError, match=r"no such file or folder. Did you mean 'customers.csv'"):
        open_table(tmp_path / "custmers.csv")
    put(tmp_path / "a.docx", "x")
    with pytest.raises(DataError, match=r"suffix \.docx"):
        open_table(tmp_path / "a.docx")
    with pytest.raises(DataError, match="a folder without .parquet files"):
        open_table(tmp_path)
    put(tmp_path / "a.parquet", "x")
    with pytest.raises(DataError, match="not a Parquet file"):
        open_table(tmp_path / "a.parquet")
    put(tmp_path / "a.xlsx", "x")
    with pytest.raises(DataError, match="not an Excel file"):
        open_table(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match="cannot read a table from builtins.int"):
        open_table(3)


def test_one_row_and_one_column(tmp_path):
    with pytest.raises(DataError, match="got one row; expected at least two"):
        TableAdapter().fit(put(tmp_path / "a.csv", "a,b\n1,2\n"))
    adapter = TableAdapter().fit(put(tmp_path / "b.csv", "a\n1\n2\n2\n"))
    assert adapter.from_tensors(adapter.to_tensors(tmp_path / "b.csv").fields["x"])["a"].tolist() == [1, 2, 2]


def test_frames_of_pandas_with_odd_columns():
    with pytest.raises(DataError, match="'a' occurs twice"):
        open_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="no rows"):
        open_table(pd.DataFrame({"a": []}))
    with pytest.raises(DataError, match="expected columns of one length"):
        open_table({"a": [1, 2], "b": [1]})
    frame = pd.DataFrame(np.array([[1.5, 2], [3.5, 2], [1.5, 4]]), columns=[0, 7], index=[5, 6, 7])
    adapter = TableAdapter().fit(frame)
    back = adapter.from_tensors(adapter.to_tensors(frame).fields["x"])
    assert list(back.columns) == [0, 7] and back.equals(frame.reset_index(drop=True))


def test_dict_of_columns_comes_back_as_one():
    data = {"a": [1, 2, 2], "b": ["x", "y", "x"]}
    adapter = TableAdapter().fit(data)
    assert adapter.from_tensors(adapter.to_tensors(data).fields["x"]) == data


def test_polars_round_trip():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {
            "i": polars.Series([1, None, 3, 4], dtype=polars.Int16),
            "s": ["a", "b", None, "a"],
            "t": polars.Series([0, 86_400_000_000, 5, None]).cast(polars.Datetime("us", "UTC")),
            "c": polars.Series(["u", "v", "u", "u"], dtype=polars.Categorical),
            "f": polars.Series([0.5, 0.25, 0.5, 1], dtype=polars.Float32),
            "d": polars.Series([0, 1, 1, 2]).cast(polars.Date),
        }
    )
    adapter = TableAdapter().fit(frame)
    back = adapter.from_tensors(adapter.to_tensors(frame).fields["x"])
    assert back.schema == frame.schema
    assert back.equals(frame)


def test_an_extra_that_is_not_installed_is_named():
    with pytest.raises(ConfigError, match=r"pip install 'aegan\[tables\]'"):
        import_extra("a_package_that_is_not_there")


def frame_of(n=3000):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "i": rng.integers(0, 10_000, n),
            "s": rng.choice(["a", "b", "c"], n),
            "t": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**7, n), "s"),
            "n": pd.array(np.where(rng.random(n) < 0.1, None, rng.integers(0, 5, n)), dtype="Int64"),
        }
    )


def test_parquet_is_read_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr(table_source, "BLOCK", 700)
    frame = frame_of()
    frame.to_parquet(tmp_path / "one.parquet", row_group_size=1000)
    whole, blocked = TableAdapter().fit(frame), TableAdapter().fit(tmp_path / "one.parquet")
    x = blocked.to_tensors(tmp_path / "one.parquet").fields["x"]
    np.testing.assert_array_equal(x, whole.to_tensors(frame).fields["x"])
    back = blocked.from_tensors(x)
    assert (back.dtypes == frame.dtypes).all()
    write_table(back, tmp_path / "two.parquet", form=blocked.form)
    assert pq.read_schema(tmp_path / "two.parquet").types == pq.read_schema(tmp_path / "one.parquet").types


def test_folder_of_parquet_and_sampling(tmp_path, monkeypatch):
    monkeypatch.setattr(table_source, "SAMPLE", 1000)
    monkeypatch.setattr("aegan.data.table.SAMPLE", 1000)
    frame = frame_of()
    frame["s"] = np.where(np.arange(len(frame)) == 2999, "once", frame["s"])
    for i in range(3):
        frame.iloc[1000 * i : 1000 * i + 1000].to_parquet(tmp_path / f"{i}.parquet")
    adapter = TableAdapter().fit(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeganWarning)
        data = adapter.to_tensors(tmp_path)
    assert len(data) == 3000 and "s" not in adapter.unseen
    assert adapter.from_tensors(data.fields["x"])["s"].tolist() == frame["s"].tolist()
    pd.DataFrame({"other": [1]}).to_parquet(tmp_path / "3.parquet")
    with pytest.raises(DataError, match=r"3\.parquet: columns \['other'\]; expected"):
        open_table(tmp_path)


@pytest.mark.parametrize("kind", ["parquet", "pandas"])
def test_missing_cells_outside_the_sample_are_known(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(table_source, "SAMPLE", 300)
    monkeypatch.setattr("aegan.data.table.SAMPLE", 300)
    frame = frame_of()
    outside = np.setdiff1d(np.arange(3000), table_source._chosen(3000))[:40]
    frame["few"] = np.arange(3000) % 5 + 0.5
    frame["wide"] = np.random.default_rng(1).gamma(2, 20, 3000).round(2)
    frame["same"] = 1.5
    frame["c"] = pd.Categorical(np.where(np.arange(3000) == outside[3], "once", frame["s"]))
    frame["early"] = frame["t"]
    frame["late"] = frame["t"] + pd.to_timedelta(np.arange(3000) % 7, "D")
    holed = [name for name in frame if name not in ("i", "early")]
    for name in holed:
        frame.loc[outside[:2], name] = None
    source = frame
    if kind == "parquet":
        frame.to_parquet(tmp_path / "a.parquet")
        source = tmp_path / "a.parquet"
    adapter = TableAdapter(rules=["early <= late"]).fit(source)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        data = adapter.to_tensors(source)
    assert set(adapter.unseen) <= {"t", "early", "late"}, adapter.unseen  # dates before the first or after the last
    for one in heard:
        assert "values outside the 300 rows that types and values were learnt from" in str(one.message)
    back = adapter.from_tensors(data.fields["x"])
    for name in holed:
        assert back[name].isna().equals(frame[name].isna()), name
    assert back["c"].astype(object).equals(frame["c"].astype(object))
    with pytest.warns(AeganWarning, match="values that the fitted table does not have, in column 's'"):
        adapter.to_tensors(frame.assign(s="new"))


def test_encoded_rows_beyond_the_memory_limit_lie_on_disk(tmp_path):
    frame = frame_of(500)
    adapter = TableAdapter(memory_limit=0, cache_dir=tmp_path).fit(frame)
    data = adapter.to_tensors(frame)
    assert isinstance(data.fields["x"], np.memmap)
    other = TableAdapter().fit(frame).to_tensors(frame)
    np.testing.assert_array_equal(np.asarray(data.fields["x"]), other.fields["x"].numpy())


def test_excel(tmp_path):
    pytest.importorskip("openpyxl")
    frame = pd.DataFrame(
        {"a": [1, 2, 2], "b": ["x", None, "y"], "t": pd.to_datetime(["2024-01-01", "2024-01-02", None])}
    )
    write_table(frame, tmp_path / "a.xlsx")
    adapter = TableAdapter().fit(tmp_path / "a.xlsx")
    back = adapter.from_tensors(adapter.to_tensors(tmp_path / "a.xlsx").fields["x"])
    assert back["a"].tolist() == [1, 2, 2] and back["b"].isna().tolist() == [False, True, False]
    assert back["t"].dtype.kind == "M" and back["t"][0] == frame["t"][0]


def test_database(tmp_path):
    pytest.importorskip("sqlalchemy")
    url = f"sqlite:///{tmp_path}/shop.db"
    frame = pd.DataFrame({"a": [1, 2, 2], "b": ["x", "z", "y"]})
    write_table(frame, f"{url}::orders")
    assert open_table(url).frame().equals(frame)
    assert open_table(f"{url}::orders").frame().equals(frame)
    assert open_table(f"{url}::SELECT a FROM orders WHERE b = 'z'").frame()["a"].tolist() == [2]
    with pytest.raises(DataError, match="no table 'order'. Did you mean 'orders'"):
        open_table(f"{url}::order")
    with pytest.raises(DataError, match="no such database file"):
        open_table(f"sqlite:///{tmp_path}/none.db::orders")
    with pytest.raises(StorageError, match="the table exists"):
        write_table(frame, f"{url}::orders")


def test_writing(tmp_path):
    frame = pd.DataFrame({"a": [1.5, 2.0], "b": ["x", "é"]})
    for name in ("a.csv", "a.csv.gz", "a.tsv", "a.parquet"):
        path = write_table(frame, tmp_path / name)
        assert open_table(path).frame().equals(frame)
        with pytest.raises(StorageError, match="the file exists"):
            write_table(frame, path)
        write_table(frame, path, overwrite=True)
    with pytest.raises(ConfigError, match=r"cannot write a table as \.json"):
        write_table(frame, tmp_path / "a.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "a.csv.gz", "a.parquet", "a.tsv"]


def test_what_a_database_cannot_hold_is_refused_and_the_old_table_stays(tmp_path):
    pytest.importorskip("sqlalchemy")
    old = pd.DataFrame({"a": [1, 2]})
    url = f"sqlite:///{tmp_path}/shop.db"
    write_table(old, f"{url}::t")
    for cells, message in [
        (pd.Series([2**64 - 1, 1], dtype="uint64"), "'a' is of uint64"),
        (pd.Series([1j, 2]), "'a' is of complex128"),
        (pd.Series([decimal.Decimal("1.5")] * 2), "Decimal"),
        (pd.Series([2**70, 1], dtype=object), "::t: "),
        (pd.Series(["b", "\ud800"]), "::t: "),
    ]:
        with pytest.raises(StorageError, match=message):
            write_table(pd.DataFrame({"a": cells}), f"{url}::t", overwrite=True)
        assert open_table(url).frame().equals(old)
    write_table(pd.DataFrame({"a": pd.Series([3, 4], dtype="uint64")}), f"{url}::t", overwrite=True)
    assert open_table(url).frame()["a"].tolist() == [3, 4]


def test_an_address_shows_no_password(tmp_path, monkeypatch):
    alchemy = pytest.importorskip("sqlalchemy")
    frame = pd.DataFrame({"a": [1, 2]})
    with pytest.raises(StorageError, match="nothing://me@host/db::t: Can't load plugin") as caught:
        write_table(frame, "nothing://me:SECRET@host/db::t")
    assert "SECRET" not in str(caught.value)
    with pytest.raises(ConfigError, match="expected the name of a table") as caught:
        write_table(frame, "postgresql://me:SECRET@host/db")
    assert "SECRET" not in str(caught.value)
    made = alchemy.create_engine

    def without_driver(address):
        raise ModuleNotFoundError("No module named 'psycopg2'")

    monkeypatch.setattr(alchemy, "create_engine", without_driver)
    with pytest.raises(StorageError, match="postgresql://me@host/db::t: its driver is not installed .*psycopg2"):
        write_table(frame, "postgresql://me:SECRET@host/db::t")
    monkeypatch.setattr(alchemy, "create_engine", lambda address: made(f"sqlite:///{tmp_path}/a.db"))
    assert write_table(frame, "postgresql://me:SECRET@host/db::t") == "postgresql://me@host/db::t"


def test_what_a_sheet_cannot_hold_is_refused(tmp_path):
    pytest.importorskip("openpyxl")
    path = tmp_path / "a.xlsx"
    for frame, message in [
        (pd.DataFrame({"a": np.zeros(1_048_576, dtype="int8")}), "1048576 rows of 1 columns; a sheet holds 1048575"),
        (pd.DataFrame({"a": ["b", "c\x0bd"]}), "column 'a', row 2: .*no control characters"),
        (pd.DataFrame({"a\x0b": [1, 2]}), "its name: .*no control characters"),
        (pd.DataFrame({"a": ["b", "c" * 32_768]}), "at most 32767 letters"),
    ]:
        with pytest.raises(StorageError, match=message):
            write_table(frame, path)
        assert not path.exists()
    times = [datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC), datetime.datetime(2024, 1, 3)]
    write_table(pd.DataFrame({"a": pd.Series(times, dtype=object)}), path)
    assert open_table(path).frame()["a"][0] == "2024-01-02T00:00:00+00:00"


def test_cells_of_several_types_are_text_in_parquet(tmp_path):
    frame = pd.DataFrame({"a": [1, "1", True, None], "b": [1, 2, 3, 4], "c": [1j, 2, 3, 4], "d": [10**30, 1, 2, 3]})
    with pytest.warns(AeganWarning, match="column 'a', 'c', 'd': cells of several types; written as text"):
        path = write_table(frame, tmp_path / "a.parquet")
    back = open_table(path).frame()
    assert back["a"].tolist() == ["1", "1", "True", None] and back["b"].tolist() == [1, 2, 3, 4]
    assert back["d"].tolist() == [str(10**30), "1", "2", "3"]
    with pytest.raises(StorageError, match="column 'a': cells that Arrow and Parquet have no type for"):
        write_table(pd.DataFrame({"a": ["\ud800", "b"]}), tmp_path / "b.parquet")
    assert not (tmp_path / "b.parquet").exists()


@needs_data
@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("adult/adult.csv", 32561, 15),
        ("online_shoppers/online_shoppers_intention.csv", 12330, 18),
        ("titanic_penguins/titanic.csv", 891, 15),
        ("titanic_penguins/penguins.csv", 344, 7),
    ],
)
def test_real_tables_come_back(name, rows, columns):
    frame = open_table(SHARED / name).frame()
    assert frame.shape == (rows, columns)
    assert frame.dtypes.equals(pd.read_csv(SHARED / name, sep=None, engine="python", skipinitialspace=True).dtypes)
    adapter = TableAdapter().fit(SHARED / name)
    back = adapter.from_tensors(adapter.to_tensors(SHARED / name).fields["x"])
    assert back.dtypes.equals(frame.dtypes) and back.isna().equals(frame.isna())
    for column in frame:
        if frame[column].dtype != float:
            assert back[column].equals(frame[column]), column
        else:
            far = (back[column] - frame[column]).abs().max()
            assert far <= 0.02 * (frame[column].max() - frame[column].min()), column


def _rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([rng.normal(size=60), rng.integers(0, 4, 60)], 1).astype(np.float32)


def test_numbers_are_written_as_an_array(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, np.nan], "c": pd.array([3, None], dtype="Int64")})
    write_table(frame[["a"]], tmp_path / "whole.npy")
    assert np.load(tmp_path / "whole.npy").dtype == np.int64
    write_table(frame, tmp_path / "rows.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), [[1, 0.5, 3], [2, np.nan, np.nan]])
    with pytest.raises(ConfigError, match=r"words.npy: an .npy file holds numbers alone, and d holds others"):
        write_table(frame.assign(d="x"), tmp_path / "words.npy")
    assert not (tmp_path / "words.npy").exists()


def test_arrays_of_rows_are_tables_and_come_back_as_arrays(tmp_path):
    rows = _rows()
    np.save(tmp_path / "rows.npy", rows)
    for source in (rows, torch.from_numpy(rows), rows.astype(np.int64), tmp_path / "rows.npy"):
        assert detect_kind(source) == "table"
    for source in (rows.astype(np.uint8), np.zeros((9, 300)), np.zeros((9, 4, 4)), rows > 0, tmp_path / "none.npy"):
        assert detect_kind(source) == "image"
    (tmp_path / "broken.npy").write_bytes(b"\x93NUMPY")
    assert detect_kind(tmp_path / "broken.npy") == "image"
    with pytest.raises(DataError, match=r"broken\.npy: .*Save it again"):
        open_table(tmp_path / "broken.npy")
    with pytest.warns(AeganWarning, match=r"\(9, 64\) is read as a table of 64 columns.*-1, 8, 8"):
        assert detect_kind(np.zeros((9, 64))) == "table"
    adapter = TableAdapter().fit(rows)
    back = TableAdapter.from_json(json.loads(json.dumps(adapter.to_json()))).from_tensors(
        adapter.to_tensors(rows).fields["x"]
    )
    assert isinstance(back, np.ndarray) and back.dtype == np.float32 and back.shape == rows.shape
    assert np.array_equal(back[:, 1], rows[:, 1])
    frame = open_table(tmp_path / "rows.npy").frame()
    assert list(frame.columns) == ["0", "1"] and np.array_equal(frame.to_numpy(), rows)
    np.save(tmp_path / "images.npy", np.zeros((5, 8, 8)))
    with pytest.raises(DataError, match=r"an array of shape \(5, 8, 8\)"):
        open_table(tmp_path / "images.npy")
