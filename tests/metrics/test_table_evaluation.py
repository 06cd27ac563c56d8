"""The evaluation of a table as a whole: rows, JSON, words, degenerate tables, and Adult where it is at hand."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from table_frames import mixed, shuffled

from aegan.errors import DataError
from aegan.metrics.table import TableEvaluation, evaluate_table
from aegan.metrics.table_details import histogram_edges

ADULT = Path(__file__).resolve().parents[3] / "shared" / "data" / "adult"


@pytest.fixture(scope="module")
def found() -> TableEvaluation:
    return evaluate_table(train=mixed(500, 1), synthetic=shuffled(mixed(500, 2)), holdout=mixed(400, 3))


def test_rows_stand_beside_the_holdout(found: TableEvaluation) -> None:
    fake, real = found.rows
    assert (fake.name, real.name) == ("synthetic", "real holdout")
    assert fake.trend_error is not None and real.trend_error is not None
    assert fake.trend_error > 2 * real.trend_error and fake.auc > 0.75 > real.auc
    assert fake.downstream is not None and real.downstream is not None
    assert fake.downstream.n == real.downstream.n == 500, "trained on equally many rows"
    assert real.downstream.score > fake.downstream.score + 0.2  # type: ignore[operator]
    assert found.stamps["target"] == "label" and any("'label'" in note for note in found.notes)


def test_json_round_trip(found: TableEvaluation) -> None:
    text = json.dumps(found.to_json(), allow_nan=False)
    assert TableEvaluation.from_json(json.loads(text)) == found
    with pytest.raises(DataError, match="Update aegan"):
        TableEvaluation.from_json(found.to_json() | {"version": 99})
    for wrong in ({}, {"kind": "table", "version": 1}, found.to_json() | {"kind": "image"}):
        with pytest.raises(DataError, match="Evaluate anew"):
            TableEvaluation.from_json(wrong)


def test_words(found: TableEvaluation) -> None:
    text = str(found)
    assert text.startswith(found.headline()) and "told" in found.headline() and "no sign of copying" in text
    for word in ("Shapes %", "Trends %", "AUC", "Task AUC", "real holdout", "Missing values", "Privacy:"):
        assert word in text
    same = evaluate_table(train=mixed(400, 1), synthetic=mixed(400, 2), holdout=mixed(400, 3))
    assert "as hard to tell from the training rows as unseen real rows are" in same.headline()


def test_same_seed_same_evaluation(found: TableEvaluation) -> None:
    again = evaluate_table(train=mixed(500, 1), synthetic=shuffled(mixed(500, 2)), holdout=mixed(400, 3))
    assert again == found


def test_details(found: TableEvaluation) -> None:
    columns = {c["name"]: c for c in found.details["columns"]}
    assert list(columns) == list(mixed(1)) and columns["since"]["date"] and not columns["age"]["date"]
    for column in columns.values():
        for name in ("train", "synthetic", "real holdout"):
            total = sum(column["histogram"]["shares"][name]) + column["missing"][name]
            assert total == pytest.approx(1, abs=1e-4), (column["name"], name)
    assert columns["label"]["histogram"]["labels"] and len(columns["age"]["histogram"]["edges"]) <= 32
    matrix = found.details["pairs"]["synthetic"]
    assert matrix[0][0] is None and matrix[0][1] == matrix[1][0] > 0


def test_bins_of_whole_numbers_are_whole() -> None:
    edges = histogram_edges(np.arange(1000.0))
    assert set(np.diff(edges)) == {34} and edges[0] % 1 == 0.5
    assert histogram_edges(np.array([np.nan])).tolist() == [0, 1]
    assert histogram_edges(np.array([2.5])).tolist() == [2, 3]


def test_without_holdout_target_or_privacy() -> None:
    found = evaluate_table(train=mixed(100), synthetic=mixed(100, 2), privacy=False)
    assert len(found.rows) == 1 and found.rows[0].downstream is None and found.privacy is None
    assert "no real holdout" in found.headline() and any("No real holdout" in note for note in found.notes)
    found = evaluate_table(train=mixed(100), synthetic=mixed(100, 2), holdout=mixed(100, 3), target=None)
    assert all(row.downstream is None for row in found.rows) and "Task" not in str(found)
    assert TableEvaluation.from_json(found.to_json()) == found


def test_reconstructions_are_a_row() -> None:
    found = evaluate_table(
        train=mixed(100), synthetic=mixed(100, 2), holdout=mixed(90, 3), reconstructions=mixed(90, 3)
    )
    assert [row.name for row in found.rows] == ["synthetic", "real holdout", "reconstructions"]
    assert found.rows[1].shape_error == found.rows[2].shape_error


def test_copies_are_told_in_words() -> None:
    train = mixed(300)
    found = evaluate_table(train=train, synthetic=train, holdout=mixed(300, 3), target=None)
    assert "training rows were copied" in found.headline() and "AUC says nothing" in found.headline()
    assert any("AUC lies below .5" in note for note in found.notes)


def test_too_even_frequencies_are_no_copies() -> None:
    rng = np.random.default_rng(0)
    place, x = rng.integers(0, 150, 900), rng.normal(size=900)
    train, rows = (
        pd.DataFrame({"place": place.astype(float), "x": values}) for values in (x, rng.permutation(x) + 1e-6)
    )
    other = pd.DataFrame({"place": rng.integers(0, 150, 900).astype(float), "x": rng.normal(size=900)})
    found = evaluate_table(train=train, synthetic=rows, holdout=other, target=None)
    assert found.rows[0].detection.high < 0.5 and found.privacy is not None and found.privacy.copies == 0
    assert "closer to the training rows than unseen real rows" in found.headline()
    assert any("AUC lies below .5" in note and "values come as often" in note for note in found.notes)


@pytest.mark.parametrize("columns", [["age"], ["job"], ["label", "age"]])
def test_few_columns(columns: list[str]) -> None:
    found = evaluate_table(train=mixed(60)[columns], synthetic=mixed(60, 2)[columns], holdout=mixed(60, 3)[columns])
    assert found.rows[0].shape_error is not None and (found.rows[0].trend_error is None) == (len(columns) == 1)
    assert str(found)


def test_constant_and_empty_columns() -> None:
    frames = [mixed(60, s).assign(constant=1, empty=np.nan, nothing=None, same="x") for s in (1, 2, 3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate_table(train=frames[0], synthetic=frames[1].assign(age=50), holdout=frames[2])
    assert any("constant, empty, nothing, same" in note for note in found.notes)
    assert any("undefined" in note and "'age'" in note for note in found.notes)
    assert json.dumps(found.to_json(), allow_nan=False)


def test_wide_tables_keep_the_worst_columns() -> None:
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame(rng.standard_normal((60, 70))) for _ in range(2)]
    frames[1][69] += 3
    found = evaluate_table(train=frames[0], synthetic=frames[1])
    assert len(found.details["columns"]) == 60 and found.details["of"] == 70
    assert found.details["columns"][-1]["name"] == "69"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"synthetic": mixed(19)}, "'synthetic' holds 19 rows; at least 20"),
        ({"holdout": mixed(40).drop(columns="age")}, "'holdout' lacks the column 'age'"),
        ({"target": "lable"}, "Did you mean 'label'"),
    ],
)
def test_what_cannot_be(change: dict, words: str) -> None:
    with pytest.raises(DataError, match=words):
        evaluate_table(**{"train": mixed(40), "synthetic": mixed(40, 2), "holdout": mixed(40, 3)} | change)


@pytest.mark.skipif(not ADULT.is_dir(), reason="no Adult data beside the checkout")
def test_adult_test_set_scores_the_published_floor() -> None:
    from aegan.metrics.table_fidelity import table_fidelity

    train = pd.read_csv(ADULT / "adult.csv", skipinitialspace=True)
    test = pd.read_csv(ADULT / "adult-test.csv", skipinitialspace=True, header=None, names=list(train))
    found = table_fidelity(train, test.assign(income=test["income"].str.rstrip(".")))
    assert found.shape_error == pytest.approx(0.633, abs=1e-3)
    assert found.trend_error == pytest.approx(1.567, abs=1e-3)
