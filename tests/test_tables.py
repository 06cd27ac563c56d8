"""Tables from end to end: fit, sample, conditions, completion, evaluation, and the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import aegan
from aegan.cli.main import main
from aegan.errors import AeganError, ConfigError, DataError
from aegan.estimator import Estimator

SETTINGS = {"hidden": "16", "embedding": "4", "layers": "1", "batch_size": "64", "lr": "0.01", "latent_dim": "4"}


def people(n: int = 600, seed: int = 0) -> pd.DataFrame:
    """Adults: income follows from schooling, some ages are missing, a number tells the rows apart."""
    rng = np.random.default_rng(seed)
    school = rng.choice(["none", "some", "much"], n, p=[0.5, 0.3, 0.2])
    years = pd.Series(school).map({"none": 4, "some": 9, "much": 15})
    age = np.round(rng.normal(45, 12, n)).clip(18, 90)
    age[rng.random(n) < 0.1] = np.nan
    rich = rng.random(n) < np.where(school == "much", 0.9, 0.1)
    return pd.DataFrame(
        {
            "id": np.arange(1_000, 1_000 + n),
            "age": age,
            "school": school,
            "years": years,
            "paid": np.round(rng.lognormal(3, 1, n), 2),
            "rich": rich,
        }
    )


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Estimator:
    return aegan.fit(people(), out=tmp_path_factory.mktemp("table") / "run", steps=250, settings=SETTINGS)


def test_rows_come_in_the_form_that_was_given(fitted: Estimator) -> None:
    real, made = people(), fitted.sample(300)
    assert list(made.columns) == list(real.columns) and (made.dtypes == real.dtypes).all()
    assert not set(made["id"]) & set(real["id"]) and made["id"].is_unique
    assert (made["school"].map({"none": 4, "some": 9, "much": 15}) == made["years"]).all()  # a rule that was learnt
    assert made["age"].isna().any() and made["age"].min() >= 18
    much = made["school"] == "much"
    assert made["rich"][much].mean() > made["rich"][~much].mean() + 0.3


def test_a_loaded_run_draws_the_same(fitted: Estimator) -> None:
    again = aegan.load(fitted.run.path)
    pd.testing.assert_frame_equal(again.sample(20, seed=3), fitted.sample(20, seed=3))
    pd.testing.assert_frame_equal(again.sample(200, seed=3).head(20), fitted.sample(20, seed=3))


def test_parts_of_one_draw_are_put_together(fitted: Estimator) -> None:
    whole = fitted.sample(120, seed=3)
    parts = pd.concat([fitted.sample(50, seed=3), fitted.sample(70, seed=3, first=50)], ignore_index=True)
    pd.testing.assert_frame_equal(parts, whole)
    assert parts["id"].is_unique
    with pytest.raises(ConfigError, match="first"):
        fitted.sample(5, first=-1)


def test_every_row_meets_the_conditions(fitted: Estimator) -> None:
    made = fitted.sample(200, where={"age": "30..40", "school": "much|some", "paid": ">=50"})
    assert made["age"].between(30, 40).all() and made["school"].isin(["much", "some"]).all()
    assert (made["paid"] >= 50).all()
    dependent = fitted.sample(50, where={"years": "15"})
    assert (dependent["school"] == "much").all()
    assert fitted.sample(20, where={"age": "missing"})["age"].isna().all()


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"school": "mcuh"}, "much"),
        ({"agee": "3"}, "age"),
        ({"age": "200..300"}, "runs from 18 to"),
        ({"school": "much", "years": "4"}, "years|school"),
    ],
)
def test_impossible_conditions_say_which(fitted: Estimator, where: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fitted.sample(5, where=where)


def test_balanced_rows(fitted: Estimator) -> None:
    made = fitted.sample(90, balance="school")
    assert made["school"].value_counts().tolist() == [30, 30, 30]
    with pytest.raises(ConfigError, match="school"):
        fitted.sample(9, balance="years")  # follows from school
    with pytest.raises(ConfigError, match="few values"):
        fitted.sample(9, balance="paid")


def test_gaps_are_filled_and_nothing_else_is_touched(fitted: Estimator) -> None:
    rows = people(40, seed=5)
    rows.loc[:9, "school"] = np.nan
    whole = fitted.complete(rows)
    assert whole["age"].notna().all() and whole["school"].notna().all()
    for name in rows:
        there = rows[name].notna()
        assert (whole[name][there] == rows[name][there]).all(), name
    # What is told by the years has to follow from them.
    assert (whole["school"].map({"none": 4, "some": 9, "much": 15}) == rows["years"]).all()


def test_codes(fitted: Estimator) -> None:
    rows = people(30)
    assert fitted.encode(rows).shape == (30, 4)
    assert list(fitted.reconstruct(rows).columns) == list(rows.columns)


def test_the_run_holds_figures_and_a_report(fitted: Estimator) -> None:
    folder = fitted.run.path
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "Made rows" in text and "told by school" in text and "600 rows of 6 columns" in text
    assert (folder / "metrics.json").exists() and len(pd.read_csv(folder / "samples" / "rows.csv")) == 1_000
    result = fitted.evaluate(people(200, seed=9), num=200)
    assert result.row("synthetic").auc is not None and "Shapes" in str(result)  # pyright: ignore[reportOptionalMemberAccess]


def test_what_tables_have_not(fitted: Estimator) -> None:
    with pytest.raises(ConfigError, match="spread"):
        fitted.sample(5, spread=1.1)
    with pytest.raises(ConfigError, match=r"\.npz"):
        fitted.compress(people(10), "codes.aec")
    with pytest.raises(ConfigError, match="image"):
        aegan.fit(people(), size=32)
    with pytest.raises(ConfigError, match="vae-gan"):
        aegan.fit(people(), model="vae-gan", steps=5)


def test_resume_goes_on_exactly(tmp_path: Path) -> None:
    small = {**SETTINGS, "hidden": "8"}
    options = {"steps": 40, "settings": small, "evaluate": False}
    whole = aegan.fit(people(200), out=tmp_path / "whole", **options)  # type: ignore[arg-type]
    again = aegan.fit(people(200), out=tmp_path / "whole", resume=True, steps=40, evaluate=False)
    pd.testing.assert_frame_equal(whole.sample(10), again.sample(10))
    with pytest.raises(DataError, match="not those"):
        aegan.fit(people(200, seed=1), out=tmp_path / "whole", resume=True, steps=40, evaluate=False)


def test_resume_with_another_way_to_read_the_source_is_refused(tmp_path: Path) -> None:
    options = {"settings": {**SETTINGS, "hidden": "8"}, "evaluate": False, "steps": 20, "out": tmp_path / "run"}
    aegan.fit(people(200), columns={"years": "categorical"}, **options)  # type: ignore[arg-type]
    again = {**options, "settings": {}, "resume": True}
    aegan.fit(people(200), columns={"years": "categorical"}, **again)  # type: ignore[arg-type]
    aegan.fit(people(200), **again)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="columns is .*'numeric'.*'categorical'"):
        aegan.fit(people(200), columns={"years": "numeric"}, **again)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="rules is 'none'.*'auto'"):
        aegan.fit(people(200), rules="none", **again)  # type: ignore[arg-type]


def test_the_target_can_be_said(fitted: Estimator) -> None:
    task = fitted.evaluate(people(200, seed=9), num=200, target="school").row("synthetic").downstream
    assert task is not None and task.target == "school"
    assert fitted.evaluate(people(200, seed=9), num=200, target=None).row("synthetic").downstream is None
    with pytest.raises(DataError, match="school"):
        fitted.evaluate(people(200, seed=9), target="shcool")
    with pytest.raises(ConfigError, match="unknown option"):
        fitted.evaluate(people(200, seed=9), tagret="school")


def test_other_models_meet_conditions_by_trying(tmp_path: Path) -> None:
    made = aegan.fit(
        people(200),
        model="variational",
        steps=60,
        evaluate=False,
        settings={"width": "4", "latent_dim": "4", "batch_size": "64"},
    )
    rows = made.sample(30, where={"school": "none"})
    assert len(rows) == 30 and (rows["school"] == "none").all()
    with pytest.raises(ConfigError, match="autoregressive"):
        made.complete(people(5))
    with pytest.raises(ConfigError, match="autoregressive"):
        made.sample(5, balance="school")


def test_rules_that_hold_between_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = [(a, b) for a in range(30) for b in range(30)]
    chosen = rng.permutation(len(pairs))[:300]
    rows = pd.DataFrame([pairs[i] for i in chosen], columns=["shop", "day"])
    rows["sales"] = rng.poisson(20, 300)
    made = aegan.fit(rows, rules=["unique(shop, day)"], steps=20, evaluate=False, settings=SETTINGS).sample(250)
    assert not made.duplicated(["shop", "day"]).any()


def test_ranges_are_drawn_in_proportion() -> None:
    """Amounts within a range that cuts cells are spread as the data are, not heaped at its ends."""
    rows = pd.DataFrame({"paid": np.random.default_rng(0).gamma(2.0, 500.0, 3_000), "x": ["a", "b", "c"] * 1_000})
    fitted = aegan.fit(rows, steps=150, evaluate=False, settings=SETTINGS)
    made = fitted.sample(1_000, where={"paid": "1000..1500"})["paid"]
    assert made.between(1_000, 1_500).all()
    ends = ((made < 1_010) | (made > 1_490)).mean()
    assert ends < 0.09  # a twenty-fifth of the range, where the density hardly changes


def test_keys_and_text_are_not_judged() -> None:
    rows = people(300)
    fitted = aegan.fit(rows, steps=60, settings=SETTINGS)
    result = fitted.evaluate(people(200, seed=4))
    shapes = {str(entry) for entry in result.to_json()["details"]}
    assert "id" not in str(sorted(shapes)) or result.row("real holdout") is not None
    held = result.row("real holdout")
    assert held is not None and held.shape_error < 20


def test_a_target_that_is_not_there_is_refused_before_training() -> None:
    with pytest.raises(ConfigError, match="rich"):
        aegan.fit(people(100), target="ritch", steps=10**9)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "people.csv"
    rows = people(300)
    rows.to_csv(source, index=False, sep=";")
    run = str(tmp_path / "run")
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    main(
        ["fit", str(source), "--out", run, "--steps", "40", "--column", "years=categorical", "--no-evaluate", *settings]
    )
    assert "told by school" in capsys.readouterr().out
    assert main(["sample", run, "--num", "5", "--out", "x.csv", "--where", "age=>=30", "--where", "age=<40"])
    assert "was given before" in capsys.readouterr().err
    out = tmp_path / "made.csv"
    main(["sample", run, "--num", "50", "--out", str(out), "--where", "school=much", "--where", "age=20..60"])
    made = pd.read_csv(out, sep=";")
    assert len(made) == 50 and (made["school"] == "much").all() and made["age"].between(20, 60).all()
    main(["complete", run, str(source), "--out", str(tmp_path / "whole.parquet")])
    assert pd.read_parquet(tmp_path / "whole.parquet").notna().all().all()
    main(["evaluate", str(source), str(out), "--json", str(tmp_path / "e.json"), "--html", str(tmp_path / "e.html")])
    assert "AUC" in capsys.readouterr().out
    main(["encode", run, str(source), "--out", str(tmp_path / "codes.npz")])
    main(["decode", run, str(tmp_path / "codes.npz"), "--out", str(tmp_path / "back.csv")])
    assert len(pd.read_csv(tmp_path / "back.csv", sep=";")) == 300


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "empty"), ("a,b\n", "no rows"), ("a,b\n1,2\n", "one row"), ("a,a\n1,2\n3,4\n", "twice")],
)
def test_bad_tables_leave_nothing_behind(tmp_path: Path, text: str, message: str) -> None:
    source = tmp_path / "bad.csv"
    source.write_text(text)
    with pytest.raises(AeganError, match=message):
        aegan.fit(source, out=tmp_path / "run", steps=5)
    assert not (tmp_path / "run").exists()


def test_unknown_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown kind"):
        aegan.fit(people(50), kind="smell", out=tmp_path / "run", steps=5)
    assert not (tmp_path / "run").exists()


def test_written_amounts_of_any_two_tables_are_judged_as_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = []
    for i in range(2):
        amounts = rng.lognormal(6, 1, 400)
        frame = pd.DataFrame({"price": [f"${a:,.2f}" for a in amounts], "size": (amounts / 10).round(1)})
        paths.append(tmp_path / f"{i}.csv")
        frame.to_csv(paths[-1], index=False)
    found = aegan.evaluate(*paths, kind="table")
    row = found.row("synthetic")
    # As names no price would come twice, and no two prices would lie near each other.
    assert row.shape_error < 12 and row.trend_error < 10


def test_keys_and_dates_of_any_two_tables_tell_nothing_apart(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = []
    for i in range(2):
        days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, 500), unit="D")
        frame = pd.DataFrame({"order_id": np.arange(500) + 500 * i, "day": [f"{t:%b} {t.day} {t.year}" for t in days]})
        frame["amount"] = (days.dayofyear + rng.normal(0, 5, 500)).round(2)
        frame["note"] = [f"order {k} of client {rng.integers(10**6)}, with a word on it" for k in frame["order_id"]]
        paths.append(tmp_path / f"{i}.csv")
        frame.to_csv(paths[-1], index=False)
    found = aegan.evaluate(*paths, kind="table")
    row = found.row("synthetic")
    assert row.detection.value < 0.6 and row.shape_error < 12 and row.trend_error < 10
    assert found.notes[-1] == "Keys and free text were not judged: order_id, note."
    with pytest.raises(ConfigError, match="--target note: a key or free text"):
        aegan.evaluate(*paths, kind="table", target="note")
    frame[["order_id"]].to_csv(tmp_path / "keys.csv", index=False)
    assert aegan.evaluate(tmp_path / "keys.csv", tmp_path / "keys.csv", kind="table").rows
