"""Shapes and trends against SDMetrics, and against values by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from table_frames import mixed, shuffled

from aegan.metrics.table_fidelity import table_fidelity


def other(n: int = 500) -> pd.DataFrame:
    frame = mixed(n, seed=7)
    frame["amount"] = frame["amount"] * 1.3 + 0.2
    frame.loc[::9, "job"] = "pilot"
    frame.loc[::13, "label"] = None
    return frame


def test_columns_equal_sdmetrics() -> None:
    single = pytest.importorskip("sdmetrics.single_column")
    real, fake = mixed(), other()
    found = table_fidelity(real, fake)
    for name, error in zip(found.names, found.shapes, strict=True):
        numeric = name in ("amount", "age", "since")
        metric = single.KSComplement if numeric else single.TVComplement
        assert error == pytest.approx(100 * (1 - metric.compute(real[name], fake[name])), abs=1e-9), name


def test_pairs_equal_sdmetrics() -> None:
    pairs = pytest.importorskip("sdmetrics.column_pairs")
    real, fake = mixed(), other()
    found = table_fidelity(real, fake).pairs()
    numeric = ("amount", "age", "since")
    as_numbers = [f.assign(since=f["since"].astype("int64").where(f["since"].notna(), np.nan)) for f in (real, fake)]
    for (a, b), error in found.items():
        left, right = (frame[[a, b]].copy() for frame in as_numbers)
        amounts = [c for c in (a, b) if c in numeric]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if len(amounts) == 2:
                score = pairs.CorrelationSimilarity.compute(left, right)
            else:
                score = pairs.ContingencySimilarity.compute(left, right, continuous_column_names=amounts)
        assert error == pytest.approx(100 * (1 - score), abs=1e-9), (a, b)
    assert len(found) == 15


def test_unseen_category_differs_from_sdmetrics_by_its_regularisation() -> None:
    single = pytest.importorskip("sdmetrics.single_column")
    real, fake = pd.DataFrame({"x": list("aab")}), pd.DataFrame({"x": list("abc")})
    error = table_fidelity(real, fake).shapes[0]
    assert error == pytest.approx(100 / 3, abs=1e-12)
    assert error == pytest.approx(100 * (1 - single.TVComplement.compute(real["x"], fake["x"])), abs=1e-4)


def test_by_hand() -> None:
    real = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "y": ["a", "a", "b", "b"]})
    fake = pd.DataFrame({"x": [0.0, 0.0, 2.0, 9.0], "y": ["a", "a", "a", "b"]})
    found = table_fidelity(real, fake)
    np.testing.assert_allclose(found.shapes, [25, 25])
    # bins of the real column: (0 a) (1 a) (2 b) (3 b) against (0 a) (0 a) (2 a) (9 in the last bin, b)
    assert found.trends[0, 1] == pytest.approx(50)


def test_identical_rows_have_no_error_and_order_does_not_matter() -> None:
    frame = mixed()
    found = table_fidelity(frame, frame.sample(frac=1, random_state=0))
    assert found.shape_error == 0
    assert found.trend_error == pytest.approx(0, abs=1e-10)


def test_shuffled_columns_break_trends_but_not_shapes() -> None:
    frame = mixed()
    found = table_fidelity(frame, shuffled(frame))
    assert found.shape_error == 0
    assert found.trend_error > 10


def test_missing_values_count_in_contingencies_only() -> None:
    real = pd.DataFrame({"x": ["a", "b", None, None] * 5, "y": ["c"] * 20})
    fake = pd.DataFrame({"x": ["a", "b"] * 10, "y": ["c"] * 20})
    found = table_fidelity(real, fake)
    assert found.shapes.tolist() == [0, 0]
    assert found.trends[0, 1] == pytest.approx(50)


def test_undefined_scores() -> None:
    n = 40
    real = pd.DataFrame({"x": range(n), "y": range(n), "constant": 1.0, "empty": np.full(n, np.nan)})
    found = table_fidelity(real, real)
    assert found.trends[0, 1] == pytest.approx(0, abs=1e-10)
    assert np.isnan(found.trends[2]).all() and np.isnan(found.trends[3]).all()
    assert found.shapes[2] == 0 and np.isnan(found.shapes[3])
    assert found.shape_error == 0, "undefined columns are left out of the mean"
    assert np.isnan(table_fidelity(real[["x"]], real[["x"]]).trend_error)


def test_numbers_far_from_zero_and_tiny_ranges() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(300)
    real = pd.DataFrame({"x": 1e9 + x, "y": 1e-9 * (x + rng.standard_normal(300)), "z": rng.choice(["a", "b"], 300)})
    found = table_fidelity(real, shuffled(real))
    expected = np.corrcoef(real["x"], real["y"])[0, 1]
    parts = shuffled(real)
    expected = 50 * abs(expected - np.corrcoef(parts["x"], parts["y"])[0, 1])
    assert found.trends[0, 1] == pytest.approx(expected, abs=1e-6)
    huge = pd.DataFrame({"x": [1e308, -1e308] * 20, "z": ["a", "b"] * 20})
    assert table_fidelity(huge, huge).trend_error == 0


def test_many_categories_are_counted_sparsely() -> None:
    rng = np.random.default_rng(0)
    names = np.array([f"v{i}" for i in range(5000)])
    frame = pd.DataFrame({"a": rng.choice(names, 4000), "b": rng.choice(names, 4000)})
    assert table_fidelity(frame, frame).trend_error == 0
    assert table_fidelity(frame, shuffled(frame)).trend_error > 95
