"""The two-sample test and the downstream task, against scikit-learn and on data with a known answer."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, roc_auc_score
from table_frames import mixed, shuffled

from aegan.errors import ConfigError, DataError
from aegan.metrics.table_columns import tables
from aegan.metrics.table_detection import area, two_sample_auc
from aegan.metrics.table_downstream import _auc, _f1, default_target, downstream


def test_area_equals_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 200).astype(float) + 1, rng.integers(0, 9, 150).astype(float)
    found = area(a, b)
    labels = np.r_[np.ones(200), np.zeros(150)]
    assert found.value == pytest.approx(roc_auc_score(labels, np.r_[a, b]), abs=1e-12)
    draws = [
        roc_auc_score(labels, np.r_[rng.choice(a, 200), rng.choice(b, 150)])
        for _ in range(150)
    ]  # fmt: skip
    assert (found.high - found.low) / 3.92 == pytest.approx(np.std(draws), rel=0.15)


def test_rows_of_one_distribution_cannot_be_told() -> None:
    found = two_sample_auc(mixed(800, 1), mixed(800, 2))
    assert found.area.low < 0.5 < found.area.high
    assert found.n == 800 and found.importance == {}


def test_shuffled_columns_are_seen_and_the_column_is_named() -> None:
    real = mixed(800, 1)
    assert two_sample_auc(real, shuffled(mixed(800, 2))).auc > 0.8
    wrong = mixed(800, 2).assign(age=lambda f: f["age"] + 15)
    found = two_sample_auc(real, wrong, importance=True)
    assert found.auc > 0.7
    assert max(found.importance, key=found.importance.__getitem__) == "age"
    assert set(found.importance) == set(real)


def test_new_values_of_long_lists_do_not_give_real_rows_away() -> None:
    rng = np.random.default_rng(0)
    draws = [pd.DataFrame({"key": [f"k{i}" for i in rng.zipf(1.3, 4000) % 9999]}) for _ in range(2)]
    assert two_sample_auc(*draws).auc == pytest.approx(0.5, abs=0.03)
    made_up = draws[1].assign(key=[f"new{i}" for i in range(4000)])
    assert two_sample_auc(draws[0], made_up).auc > 0.8


def test_copies_push_the_area_below_one_half() -> None:
    frame = mixed(400)
    assert two_sample_auc(frame, frame).area.high < 0.5


def test_same_seed_same_figure() -> None:
    a, b = mixed(300, 1), mixed(300, 2)
    assert two_sample_auc(a, b, importance=True) == two_sample_auc(a, b, importance=True)
    assert two_sample_auc(a, b).auc != two_sample_auc(a, b, seed=1).auc


def test_nothing_to_tell_rows_by() -> None:
    frame = pd.DataFrame({"x": [1.0] * 300, "y": [None] * 300})
    assert two_sample_auc(frame, frame).auc == 0.5
    missing = frame.assign(x=[1.0] * 150 + [np.nan] * 150)
    assert two_sample_auc(frame, missing).auc == pytest.approx(0.75)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="folds"):
        two_sample_auc(mixed(30), mixed(30), folds=1)


def test_no_warning_leaks() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        two_sample_auc(mixed(60), mixed(60), importance=True)
        downstream(mixed(60), mixed(60), target="job")


def test_classification_of_two_classes() -> None:
    train, test = mixed(600, 1), mixed(400, 2)
    real = downstream(train, test, target="label")
    broken = downstream(shuffled(train), test, target="label")
    assert real.task == "classification" and real.auc is not None and broken.auc is not None
    assert real.auc > 0.85 and abs(broken.auc - 0.5) < 0.15
    assert real.auc_interval is not None and real.auc_interval[0] < real.auc < real.auc_interval[1]
    assert real.score == real.auc and real.n == 600 and real.n_test == 400


def test_several_classes_as_scikit_learn_counts_them() -> None:
    rng = np.random.default_rng(0)
    probability = rng.dirichlet(np.ones(4), 300)
    y = rng.integers(0, 4, 300)
    auc, interval = _auc(probability, y)
    assert interval is None
    assert auc == pytest.approx(roc_auc_score(y, probability, multi_class="ovr"), abs=1e-12)
    assert _f1(probability.argmax(1), y) == pytest.approx(f1_score(y, probability.argmax(1), average="macro"))


def test_classes_that_one_side_lacks() -> None:
    train, test = mixed(300, 1), mixed(300, 2)
    lacking = train[train["job"] != "driver"]
    found = downstream(lacking, test, target="job", reference=train)
    assert found.auc is not None and 0.5 < found.auc < 1
    one = downstream(train.assign(label="yes"), test, target="label", reference=train)
    assert one.auc == 0.5
    made_up = downstream(train.assign(label="maybe"), test, target="label", reference=train)
    assert made_up.auc == 0.5 and made_up.f1 == 0


def test_regression() -> None:
    train, test = mixed(600, 1), mixed(400, 2)
    found = downstream(train, test, target="age")
    assert found.task == "regression" and found.r2 is not None and found.rmse is not None
    assert 0.6 < found.r2 < 1 and found.score == found.r2
    spread = test["age"].std(ddof=0)
    assert found.rmse == pytest.approx(spread * np.sqrt(1 - found.r2))


def test_numbers_with_two_values_are_classes() -> None:
    train, test = (mixed(300, s).assign(label=lambda f: (f["label"] == "yes") * 1.0) for s in (1, 2))
    noisy = train.assign(label=train["label"] + 0.01)
    found = downstream(noisy, test, target="label", reference=train)
    assert found.task == "classification" and found.auc is not None and found.auc > 0.8


def test_default_target() -> None:
    frame = mixed(100)
    assert default_target(tables({"t": frame})[0]) == "label"
    assert default_target(tables({"t": frame.drop(columns="label")})[0]) == "member"
    assert default_target(tables({"t": frame[["amount", "age"]]})[0]) is None
    assert default_target(tables({"t": frame.assign(flag=[0, 1] * 50)})[0]) == "flag"


def test_targets_that_cannot_be() -> None:
    frame = mixed(100)
    with pytest.raises(DataError, match="Did you mean 'label'"):
        downstream(frame, frame, target="lable")
    with pytest.raises(DataError, match="only column"):
        downstream(frame[["label"]], frame[["label"]], target="label")
    with pytest.raises(DataError, match="100 classes; at most 50"):
        downstream(frame.assign(key=[f"k{i}" for i in range(100)]), frame.assign(key=[f"k{i}" for i in range(100)]),
                   target="key")  # fmt: skip
    with pytest.raises(DataError, match="0 rows with a 'label'"):
        downstream(frame.assign(label=None), frame, target="label")
