"""``LatentSampler``: scikit-learn's containers, strategies, tables, bad input, and imbalanced-learn's own checks."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

from aegan.errors import ConfigError
from aegan.sklearn import LatentSampler

CHECKS = (
    "check_target_type",
    "check_samplers_one_label",
    "check_samplers_fit",
    "check_samplers_fit_resample",
    "check_samplers_sampling_strategy_fit_resample",
    "check_samplers_sparse",
    "check_samplers_pandas",
    "check_samplers_list",
    "check_samplers_multiclass_ova",
    "check_samplers_preserve_dtype",
    "check_samplers_2d_target",
    "check_sampler_get_feature_names_out",
    "check_sampler_get_feature_names_out_pandas",
)


def numbers(n: int = 50, few: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2)) @ np.array([[1.0, 2, 3, 0], [0, 1, -1, 2]])
    y = np.where(np.arange(n) < n - few, "many", "few")
    x[y == "few"] += 6
    return x * [1, 100, 1, 0.01], y


def test_small_classes_are_filled_near_their_own_samples_after_the_given_ones() -> None:
    x, y = numbers()
    sampler = LatentSampler(steps=200, random_state=0)
    made, labels = sampler.fit_resample(x, y)
    assert np.array_equal(made[:50], x) and labels[:50].tolist() == y.tolist()
    assert pd.Series(labels).value_counts().to_dict() == {"many": 42, "few": 42}
    assert sampler.sampling_strategy_ == {"few": 34} and sampler.report_["kept"] == 34
    new, scale = made[50:] / x.std(0), x.std(0)
    own, other = (np.mean(x[y == name] / scale, axis=0) for name in ("few", "many"))
    assert (np.linalg.norm(new - own, axis=1) < np.linalg.norm(new - other, axis=1)).all()
    again, _ = clone(sampler).fit_resample(x, y)
    assert np.array_equal(made, again)


@pytest.mark.parametrize(
    ("strategy", "added"),
    [
        ("minority", {"c": 22}),
        ("not majority", {"b": 15, "c": 22}),
        ({"c": 5}, {"c": 2}),
        ({"a": 26, "b": 11}, {"a": 1, "b": 1}),
        (lambda y: {"b": 12}, {"b": 2}),
    ],
)
def test_strategies_say_how_many(strategy: Any, added: dict[str, int]) -> None:
    x = np.random.default_rng(0).normal(size=(38, 3))
    y = np.repeat(["a", "b", "c"], [25, 10, 3])
    _, labels = LatentSampler(steps=3, sampling_strategy=strategy, checks=[], random_state=0).fit_resample(x, y)
    assert pd.Series(labels[38:]).value_counts().to_dict() == added


def test_a_ratio_is_met_and_containers_come_back_as_they_were() -> None:
    x, y = numbers()
    made = LatentSampler(steps=3, sampling_strategy=0.5, checks=[], random_state=0)
    frame = pd.DataFrame(x, columns=list("abcd")).astype({"b": int})
    frame["d"] = frame["d"] > frame["d"].quantile(0.8)
    rows, labels = made.fit_resample(frame, pd.Series(y, name="kind"))
    assert not rows["d"].iloc[len(frame) :].all()  # of what is made too
    assert rows.dtypes.equals(frame.dtypes) and labels.name == "kind" and (labels == "few").sum() == 21
    spread, _ = made.fit_resample(sparse.csr_matrix(x), y)
    assert sparse.issparse(spread) and spread.shape == (63, 4)
    lists = made.fit_resample(x.tolist(), y.tolist())
    assert all(isinstance(part, list) for part in lists)


def test_rows_of_names_and_numbers_are_made_by_a_model_of_tables() -> None:
    x, y = numbers(60, 8)
    frame = pd.DataFrame({"amount": x[:, 0].round(2), "name": np.where(y == "few", "red", "blue"), "class": 1})
    frame.loc[::7, "class"] = 2
    settings = {"hidden": 16, "embedding": 4, "layers": 1, "code_share": 0.0}
    sampler = LatentSampler(steps=60, settings=settings, random_state=0)
    made, labels = sampler.fit_resample(frame, y)
    assert made[:60].equals(frame) and made.dtypes.equals(frame.dtypes)
    assert (labels[60:] == "few").all() and len(made) == 104
    assert (made["name"][60:] == "red").mean() > 0.8 and list(sampler.report_["operations"]) == ["resample"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 2.0}, "strength: a number from 0"),
        ({"sampling_strategy": "auot"}, "Did you mean 'auto'"),
        ({"sampling_strategy": {"rare": 10}}, "no class 'rare'"),
        ({"sampling_strategy": {"many": 3}}, "3 samples of class 'many' asked for, but there are 42"),
        ({"sampling_strategy": 0.1}, "there are more of the minority already"),
        ({"sampling_strategy": 1.5}, "a ratio above 0 and at most 1"),
        ({"model": "gan", "steps": 1}, "no autoencoder"),
    ],
)
def test_what_cannot_be_is_refused_in_words(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LatentSampler(**options).fit_resample(*numbers())


def test_whole_numbers_near_the_end_of_their_type_stay_in_it() -> None:
    x, y = numbers()
    frame = pd.DataFrame({"big": np.full(50, 2**63 - 1), "small": np.arange(50, dtype=np.uint8) + 200, "a": x[:, 0]})
    made, _ = LatentSampler(steps=3, checks=[], strength=1.0, random_state=0).fit_resample(frame, y)
    assert made.dtypes.equals(frame.dtypes) and made["big"].min() > 2**62 and made["small"].min() > 150


def test_a_column_that_tells_the_class_may_be_there() -> None:
    x, y = numbers(120, 40)
    odd = np.arange(120) % 2 == 1
    names = np.select([(y == "few") & odd, y == "few", odd], ["c", "d", "a"], "b")
    frame = pd.DataFrame({"z": names, "v": x[:, 0].round(1)})
    settings = {"hidden": 8, "embedding": 4, "layers": 1, "code_share": 0.0}
    _, labels = LatentSampler(steps=3, settings=settings, checks=[], random_state=0).fit_resample(frame, y)
    assert (labels[120:] == "few").all() and len(labels) == 160


def test_odd_targets_and_columns_are_refused_in_words() -> None:
    x, y = numbers()
    days = pd.Series(pd.to_datetime(np.where(y == "few", "2020-01-01", "2021-01-01")))
    for times in (days, days.dt.date):
        with pytest.raises(ValueError, match=r"y: points in time .*; classes expected"):
            LatentSampler(steps=3).fit_resample(x, times)
    frame = pd.DataFrame({("a", "x"): x[:, 0], ("a", "y"): np.where(x[:, 1] > 0, "p", "q")})
    with pytest.raises(ValueError, match="X: columns of 2 levels; names of one level expected"):
        LatentSampler(steps=3).fit_resample(frame, y)


def test_targets_that_cannot_be_balanced_are_refused() -> None:
    x, _ = numbers()
    with pytest.raises(ValueError, match="needs to have more than 1 class"):
        LatentSampler().fit_resample(x, np.zeros(50))
    with pytest.raises(ValueError, match="Unknown label type"):
        LatentSampler().fit_resample(x, np.random.default_rng(0).normal(size=50))
    with pytest.raises(ValueError, match="requires y to be passed"):
        LatentSampler().fit_resample(x, None)
    with pytest.raises(ValueError, match="multilabel"):
        LatentSampler().fit_resample(x, np.ones((50, 3), dtype=int))


@pytest.mark.parametrize("name", CHECKS)
def test_it_passes_the_checks_of_imbalanced_learn(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checks = pytest.importorskip("imblearn.utils.estimator_checks", reason="imbalanced-learn is not installed")
        getattr(checks, name)("LatentSampler", LatentSampler(steps=3, checks=(), random_state=0))


def test_it_takes_its_place_in_a_pipeline_of_imbalanced_learn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = pytest.importorskip("imblearn.pipeline", reason="imbalanced-learn is not installed")
        from sklearn.linear_model import LogisticRegression

        made = pipeline.make_pipeline(LatentSampler(steps=5, random_state=0), LogisticRegression(max_iter=1000))
        assert made.fit(*numbers()).score(*numbers()) > 0.9
