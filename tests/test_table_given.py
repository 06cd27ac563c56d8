"""Given cells stay as they are where drawn ones are written among them: rows completed, and rows after originals."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import aegan
from aegan.augmentation.estimators import write_augmented
from aegan.errors import AeganWarning
from aegan.estimator import Estimator

QUICK: dict[str, Any] = {
    "steps": 2,
    "evaluate": False,
    "doctor": False,
    "quiet": True,
    "holdout": 0,
    "rules": "none",
    "settings": {"hidden": "8", "embedding": "4", "layers": "1", "batch_size": "32", "prior_rows": "0"},
}
ROWS = 60


def fit(source: Any, **options: Any) -> Estimator:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeganWarning)
        return aegan.fit(source, **QUICK, **options)


def complete(run: Estimator, source: Path, out: Path) -> Path:
    run.kind.write_completed(run, str(source), str(out), seed=0, overwrite=False)
    return out


def add(run: Estimator, source: Path, out: Path) -> Path:
    write_augmented(run, str(source), str(out), num=5, originals=True, checks=[])
    return out


WRITERS = [complete, add]


@pytest.fixture(scope="module")
def western(tmp_path_factory: pytest.TempPathFactory) -> Estimator:
    """Fitted on Windows-1252, prices of two places, TRUE and FALSE."""
    lines = [f"{k % 7}.{k % 90 + 10};{'TRUE' if k % 3 else 'FALSE'};{['Köln', 'Rome'][k % 2]}" for k in range(ROWS)]
    path = tmp_path_factory.mktemp("western") / "a.csv"
    path.write_bytes("\n".join(["price;flag;town", *lines, ""]).encode("cp1252"))
    return fit(path)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.filterwarnings("ignore::aegan.errors.AeganWarning")
def test_given_text_stays_letter_by_letter(western: Estimator, write: Any, tmp_path: Path) -> None:
    source = tmp_path / "given.csv"
    given = ["3.14159,maybe,Łódź😀", "2.5,TRUE,Rome", "7.0,FALSE,Köln", "1.25,TRUE,Rome"]
    source.write_text("\n".join(["price,flag,town", *given, ",TRUE,Rome", "2.5,,Rome", ""]), encoding="utf-8")
    lines = write(western, source, tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert lines[:5] == ["price,flag,town", *given]
    drawn = [line.split(",")[1] for line in lines[6 if write is complete else 7 :]]
    assert set(drawn) <= {"TRUE", "FALSE"} and len(drawn) == (1 if write is complete else 5)


@pytest.mark.parametrize("write", WRITERS)
def test_the_given_encoding_gives_way_where_it_lacks_letters(write: Any, tmp_path: Path) -> None:
    run = fit(pd.DataFrame({"town": ["Łódź", "Rome"] * 30, "n": [1, 2, 3] * 20}))
    source = tmp_path / "given.csv"
    source.write_bytes("town,n\nKöln,1\n,2\n,2\n,1\nRome,1\n,3\n,2\n".encode("cp1252"))
    with pytest.warns(AeganWarning):
        text = write(run, source, tmp_path / "out.csv").read_bytes()
    assert "Köln,1" in text.decode("utf-8" if "Łódź".encode() in text else "cp1252")


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.filterwarnings("ignore::aegan.errors.AeganWarning")
@pytest.mark.parametrize(
    ("fitted", "given"),
    [
        (pd.Series([1, 2, 3] * 20, dtype="int8"), pd.Series([1000, 2, 1], dtype="int64")),
        (pd.Series([1, 2, 3] * 20, dtype="int8"), pd.Series([1.5, 2, None])),
        (pd.Series([1, 2000, 3] * 20, dtype="int64"), pd.array([7, 2, None], dtype="Int8")),
        (pd.Series([0.5, 1.25, 3] * 20, dtype="float32"), pd.Series([0.1, 2, None])),
        (pd.Series([1, None, 3] * 20, dtype="Int8"), pd.Series([2**60 + 1, 2, 1])),
    ],
)
def test_given_numbers_stay_in_parquet(write: Any, fitted: Any, given: Any, tmp_path: Path) -> None:
    pd.DataFrame({"v": fitted, "g": ["a", "b"] * 30}).to_parquet(tmp_path / "fitted.parquet")
    run = fit(tmp_path / "fitted.parquet")
    pd.DataFrame({"v": given, "g": ["a", None, "b"]}).to_parquet(tmp_path / "given.parquet")
    made = pq.read_table(write(run, tmp_path / "given.parquet", tmp_path / "out.parquet"))["v"].to_pylist()
    kept = [value for value in given if not pd.isna(value)]
    assert made[: len(kept)] == kept
    assert set(made[len(given) :]) <= {None, *fitted.dropna()}


def test_given_numbers_stay_in_polars() -> None:
    polars = pytest.importorskip("polars")
    run = fit(polars.DataFrame({"v": polars.Series([1, 2, 3] * 20, dtype=polars.Int8), "g": ["a", "b"] * 30}))
    given = polars.DataFrame({"v": polars.Series([1000, -2], dtype=polars.Int64), "g": ["a", "b"]})
    with pytest.warns(AeganWarning):
        made = run.augment(given, num=4, originals=True, checks=[]).data
    assert made["v"].to_list()[:2] == [1000, -2]
    wide = fit(polars.DataFrame({"v": [1000, 2000, 3000] * 20, "g": ["a", "b"] * 30}))
    gaps = polars.DataFrame({"v": polars.Series([5, None], dtype=polars.Int8), "g": ["a", "b"]})
    made = wide.complete(gaps)["v"].to_list()
    assert made[0] == 5 and made[1] in (1000, 2000, 3000)


def test_whole_numbers_beyond_floats_stay_before_drawn_gaps() -> None:
    run = fit(pd.DataFrame({"v": [1.0, None, 3.0] * 20, "g": ["a", "b"] * 30}))
    given = pd.DataFrame({"v": np.array([2**60 + 1, 5]), "g": ["a", "b"]})
    with pytest.warns(AeganWarning):
        made = run.augment(given, num=9, originals=True, checks=[]).data
    assert made.v.tolist()[:2] == [2**60 + 1, 5]


def test_columns_that_are_not_learnt_may_be_left_out_of_originals() -> None:
    run = fit(pd.DataFrame({"id": range(100, 100 + ROWS), "v": [1, 2, 3] * 20, "g": ["a", "b"] * 30}))
    given = pd.DataFrame({"v": [1, 2, 3, 1], "g": ["a", "b", "b", "a"]})
    made = run.augment(given, label="g", num=4, originals=True, checks=[]).data
    assert made[:4].equals(given) and list(made.columns) == ["v", "g"] and len(made) == 8
