"""Coverage, rare categories, missing values and privacy, on data with a known answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from table_frames import mixed, shuffled

from aegan.metrics.table_columns import tables
from aegan.metrics.table_coverage import missing_values, rare_categories, table_coverage
from aegan.metrics.table_embedding import Embedding, row_digests
from aegan.metrics.table_privacy import Privacy, share_interval, table_privacy


def test_distances_by_hand() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 2.0, np.nan], "y": ["a", "b", None, "a"]})
    table = tables({"t": frame}, least=1)[0]
    points = Embedding.fit(table)(table)
    squared = torch.cdist(points, points).square()
    # ranks among (1, 2, 2): 1/6, 4/6, 4/6; a missing amount stands at .5 and differs by 1
    expected = {(0, 1): 0.25 + 1, (1, 2): 0 + 1, (0, 3): (1 / 2 - 1 / 6) ** 2 + 1 + 0}
    for (i, j), value in expected.items():
        assert float(squared[i, j]) == pytest.approx(value, abs=1e-6)


def test_long_lists_of_categories_stay_small_and_apart() -> None:
    frame = pd.DataFrame({"x": [f"v{i}" for i in range(3000)]})
    points = Embedding.fit(table := tables({"t": frame})[0])(table)
    assert points.shape == (3000, 32)
    assert torch.pdist(points[:500]).square().mean() == pytest.approx(1, abs=0.02)
    assert torch.pdist(points[:500]).min() > 0.4


def test_digests_tell_rows_apart() -> None:
    frame = pd.DataFrame({"x": [0.0, -0.0, 1.0, np.nan, np.nan], "y": ["a", "a", "a", None, None]})
    table = tables({"t": frame}, least=1)[0]
    a = row_digests(table)
    assert a[0] == a[1] and a[3] == a[4] and len(set(a.tolist())) == 3
    swapped = tables({"t": pd.DataFrame({"x": [1.0, 2.0], "y": [2.0, 1.0]})}, least=1)[0]
    assert len(set(row_digests(swapped).tolist())) == 2, "values belong to columns"


def test_coverage_of_equal_and_of_broken_tables() -> None:
    real, same = mixed(800, 1), mixed(800, 2)
    found, broken = table_coverage(real, same), table_coverage(real, shuffled(same))
    assert found.alpha_precision > 0.94 and 0.4 < found.beta_recall < 0.65
    assert found.density == pytest.approx(1, abs=0.12) and found.coverage > 0.93
    assert broken.beta_recall < found.beta_recall - 0.1 and broken.precision < found.precision - 0.1
    one = table_coverage(real, pd.concat([same.iloc[[0]]] * 800))
    assert one.alpha_precision < 0.3 and one.beta_recall < 0.05
    assert table_coverage(real, same) == found


def test_rows_of_few_values_lie_where_such_rows_lie() -> None:
    rng = np.random.default_rng(0)
    real, same, turned = (
        pd.DataFrame({"a": rng.choice(["x", "y"], 1000, p=p)}) for p in ([0.7, 0.3], [0.7, 0.3], [0.1, 0.9])
    )
    assert table_coverage(real, same).alpha_precision > 0.93 > 0.6 > table_coverage(real, turned).alpha_precision


def test_rare_categories_by_hand() -> None:
    real = pd.DataFrame({"x": ["a"] * 990 + ["b"] * 5 + ["c"] * 5, "n": range(1000)})
    fake = pd.DataFrame({"x": ["a"] * 988 + ["b"] * 10 + ["new"] * 2, "n": range(1000)})
    found = rare_categories(real, fake)
    assert found is not None
    assert (found.columns, found.categories, found.kept, found.ratio) == (1, 2, 0.5, pytest.approx(1.0))
    assert found.kept_expected == pytest.approx(1 - 0.995**1000)
    assert found.invented == pytest.approx(0.002)
    assert rare_categories(real[["n"]], fake[["n"]]) is None
    keys = pd.DataFrame({"x": [f"k{i}" for i in range(1000)]})
    assert (found := rare_categories(keys, keys)) is not None and found.kept is None, "identifiers do not count"


def test_missing_values_by_hand() -> None:
    real = pd.DataFrame({"x": [1.0, None] * 10, "y": [1.0, None] * 10, "z": range(20)})
    fake = pd.DataFrame({"x": [1.0, None] * 10, "y": [None, 1.0] * 10, "z": range(20)})
    found = missing_values(real, fake)
    assert found is not None and (found.columns, found.rate_error, found.pattern_variation) == (2, 0, 1)
    found = missing_values(real, real.assign(y=1.0))
    assert found is not None
    assert (found.rate_error, found.worst_rate_error, found.pattern_variation) == (25, 50, 0.5)
    assert missing_values(real[["z"]], fake[["z"]]) is None


def test_unseen_rows_give_nothing_away() -> None:
    found = table_privacy(mixed(900, 1), mixed(900, 2), mixed(900, 3))
    assert found.status == "clear" and found.copies <= 2, "rows that lack most values may coincide"
    assert found.closer is not None and found.closer.low < 0.5 < found.closer.high
    assert found.membership is not None and found.membership.low < 0.5 < found.membership.high
    assert found.tail_ratio == pytest.approx(1, abs=0.2)
    assert found == table_privacy(mixed(900, 1), mixed(900, 2), mixed(900, 3))
    assert Privacy.from_json(found.to_json()) == found


def test_few_rows_to_compare_with_are_no_alarm() -> None:
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame(rng.normal(size=(n, 8)).round(2), columns=list("abcdefgh")) for n in (600, 600, 60) * 24]
    found = [table_privacy(*frames[i : i + 3], seed=i) for i in range(0, len(frames), 3)]
    spread = np.std([one.closer.value for one in found if one.closer is not None])
    told = np.mean([one.closer.high - one.closer.low for one in found if one.closer is not None]) / 2
    assert 0.75 * 1.96 * spread < told < 1.5 * 1.96 * spread
    assert sum(one.status == "close" for one in found) <= 3


def test_copies_are_found() -> None:
    train, holdout = mixed(900, 1), mixed(900, 3)
    some = pd.concat([mixed(800, 2), train.head(40)])
    found = table_privacy(train, some, holdout)
    assert found.status == "copies" and found.copies == 40
    everything = table_privacy(train, train.sample(frac=1, random_state=0), holdout)
    assert everything.copies == 900 and everything.tail == 0 and everything.tail_ratio == 0
    assert everything.membership is not None and everything.membership.value > 0.95
    assert everything.closer is not None and everything.closer.value > 0.95


def test_near_copies_are_found() -> None:
    train, holdout = mixed(900, 1), mixed(900, 3)
    near = train.assign(amount=train["amount"] + 1e-3, age=train["age"] + 1)
    found = table_privacy(train, near, holdout)
    assert found.copies == 0 and found.status == "close"
    assert found.membership is not None and found.membership.low > 0.8
    assert found.closer is not None and found.closer.low > 0.8


def test_rows_that_everyone_shares_are_no_copies() -> None:
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame({"x": rng.choice(["a", "b"], 300), "y": rng.integers(0, 3, 300)}) for _ in range(3)]
    found = table_privacy(*frames)
    assert found.status == "clear" and found.copies == found.copies_holdout == 300


def test_without_holdout_only_copies_are_counted() -> None:
    frame = mixed(100)
    found = table_privacy(frame, frame)
    assert found.status == "untested" and found.copies == 100 and found.closer is None
    assert "100 of 100" in found.verdict and Privacy.from_json(found.to_json()) == found


def test_interval_of_a_share() -> None:
    found = share_interval(0, 10)
    assert (found.value, found.low) == (0, 0) and found.high == pytest.approx(0.2775, abs=1e-4)
