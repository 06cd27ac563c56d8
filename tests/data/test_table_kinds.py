"""Which sources count as tables, and how the rows of a run's report are read."""

from types import SimpleNamespace

import pandas as pd
import pytest

from aegan.data.kinds import TABLE_SUFFIXES, detect_kind
from aegan.data.table_source import EXCEL, TEXT, open_table
from aegan.report.rows import first_rows


def test_every_suffix_that_is_read_counts_as_a_table():
    assert set(TABLE_SUFFIXES) == {*TEXT, *EXCEL, ".parquet", ".pq"}
    for suffix in (*set(TABLE_SUFFIXES) - {".txt"}, ".dat.gz", ".TAB"):  # what .txt holds decides
        assert detect_kind(f"some{suffix}") == "table"
    assert detect_kind("photo.png") == detect_kind("photos.zip") == "image"


def test_partitioned_parquet_is_a_table(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    for year in (2023, 2024):
        folder = tmp_path / "sales" / f"year={year}" / "month=1"
        folder.mkdir(parents=True)
        frame.to_parquet(folder / "part-0.parquet")
    (tmp_path / "sales" / "_SUCCESS").touch()
    assert detect_kind(tmp_path / "sales") == "table" and len(open_table(tmp_path / "sales")) == 4
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    (tmp_path / "photos" / "cats" / "a.png").touch()
    frame.to_parquet(tmp_path / "photos" / "cats" / "zz.parquet")
    (tmp_path / "photos" / "a.png").touch()
    assert detect_kind(tmp_path / "photos") == detect_kind(tmp_path / "none") == "image"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", None, 7, "no-such"])
def test_rows_of_a_report_are_read_in_the_encoding_of_the_source(tmp_path, encoding):
    written = encoding if encoding in ("utf-8-sig", "utf-16", "cp1252") else "utf-8"
    (tmp_path / "rows.csv").write_text("città;n\nMünchen;1\n", encoding=written)
    style = {"separator": ";", "encoding": encoding}
    run = SimpleNamespace(adapter={"form": {"style": style}}, file=lambda name: tmp_path / "rows.csv")
    shown = first_rows(run)  # pyright: ignore[reportArgumentType]
    if encoding == "no-such":
        assert shown == ""
    else:
        assert "<th>città</th><th>n</th>" in shown and "<td>München</td>" in shown
