"""The page of a table's evaluation: what it says, that it is well formed, and that nothing can break it."""

from __future__ import annotations

import errno
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_run import EVIL

from aegan.errors import StorageError
from aegan.metrics.table import evaluate_table
from aegan.report import table_figures
from aegan.report.table import table_sections, write_table_evaluation

VOID = {"meta", "link", "img", "br", "input"}


class Balanced(HTMLParser):
    """Raises on a tag that closes another one, and collects the text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += "" if self.open and self.open[-1] in ("script", "style") else data + " "


def rows(seed: int, n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    frame = pd.DataFrame({"amount": x, "count": rng.poisson(3, n), "kind": np.where(x > 0, "up", "down")})
    frame["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta((30 * x).round(), unit="D")
    frame.loc[rng.random(n) < 0.1, "kind"] = None
    frame.loc[rng.random(n) < 0.1, "amount"] = np.nan
    return frame


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    fake = rows(2).assign(amount=lambda f: f["amount"] + 2)
    found = evaluate_table(train=rows(1), synthetic=fake, holdout=rows(3))
    return json.loads(json.dumps(found.to_json()))


def test_page(data: dict[str, Any], tmp_path: Path) -> None:
    path = write_table_evaluation(data, tmp_path / "table.html")
    html = path.read_text()
    text = " ".join(Balanced(html).text.split())
    for words in (
        data["headline"], "How good it is", "Where the classifier sees the difference", "Column by column",
        "Pair by pair", "Does it give training rows away?", "real holdout", "Two-sample AUC", "Downstream AUC",
        "Missing rates off by", data["privacy"]["verdict"], "The downstream task predicts “kind”", "n = 200",
    ):  # fmt: skip
        assert words in text, words
    assert all(note in text for note in data["notes"])
    assert "Rare categories kept" not in text, "there are none"
    assert "nan" not in text.lower().split()


def test_headline_table_shows_both_rows(data: dict[str, Any]) -> None:
    html = table_sections(data)
    fake, real = data["rows"]
    assert f">{fake['shape_error']:.3g}" in html.replace('<td class="main">', ">")
    assert f"<td>{real['trend_error']:.3g}" in html
    assert html.count('<td class="main">') == html.count("<td>") - 1 - _settings(html)


def _settings(html: str) -> int:
    return html[html.index("<details>") : html.index("</details>")].count("<td>")


def test_marginals_hold_the_shares(data: dict[str, Any]) -> None:
    columns = {column["name"]: column for column in data["details"]["columns"]}
    bars, line = table_figures.marginal(columns["amount"]).data
    shares = columns["amount"]["histogram"]["shares"]
    assert list(bars["y"]) == shares["train"]
    assert list(line["y"]) == [0, *shares["synthetic"], shares["synthetic"][-1], 0]
    assert len(line["x"]) == len(line["y"]) and "% off" in table_figures.marginal(columns["amount"]).layout.title.text
    assert table_figures.marginal(columns["amount"]).layout.xaxis.title.text.startswith("missing: ")
    real, fake = table_figures.marginal(columns["kind"]).data
    assert list(real["x"])[:-1] == columns["kind"]["histogram"]["shares"]["train"]
    assert real["x"][-1] == columns["kind"]["missing"]["train"] > 0, "missing values are a bar of their own"
    day = table_figures.marginal(columns["day"])
    assert day.layout.xaxis.type == "date" and day.data[0]["x"][0] > 1.6e12, "in milliseconds"


def test_pairs_share_one_scale(data: dict[str, Any]) -> None:
    pairs = data["details"]["pairs"]
    fake, real = (table_figures.pair_errors(pairs, name) for name in ("synthetic", "real holdout"))
    assert fake.data[0]["zmax"] == real.data[0]["zmax"] >= max(v for row in pairs["synthetic"] for v in row if v)
    assert fake.data[0]["z"][0][0] is None and fake.data[0]["z"][0][1] == pairs["synthetic"][0][1]
    assert list(fake.layout.xaxis.ticktext) == pairs["columns"]


def test_many_columns_keep_the_worst() -> None:
    n = 50
    matrix = [[None if i == j else float(max(i, j)) for j in range(n)] for i in range(n)]
    pairs = {"columns": [f"c{i}" for i in range(n)], "synthetic": matrix}
    shown = table_figures.pair_errors(pairs).layout.xaxis.ticktext
    assert list(shown) == [f"c{i}" for i in range(20, 50)]
    columns = [{"name": f"c{i}", "error": {"synthetic": i}} for i in range(n)]
    assert [c["name"] for c in table_figures.worst(columns, 2)] == ["c48", "c49"]


def test_importances_are_sorted_and_ringed(data: dict[str, Any]) -> None:
    figure = table_figures.importances(data["details"]["columns"])
    assert figure is not None
    assert figure.layout.yaxis.ticktext[0] == "amount"
    assert list(figure.data[0]["x"]) == sorted(figure.data[0]["x"], reverse=True)
    assert len(figure.data[1]["x"]) == 4
    assert table_figures.importances([{"name": "x"}]) is None


def test_names_cannot_smuggle_anything_in(data: dict[str, Any], tmp_path: Path) -> None:
    text = json.dumps(data).replace('"amount"', json.dumps(EVIL)).replace('"up"', json.dumps(EVIL))
    html = write_table_evaluation(json.loads(text) | {"headline": EVIL}, tmp_path / "evil.html").read_text()
    Balanced(html)
    assert "<script>alert" not in html and "<img src=x" not in html


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"rows": None, "details": 3, "privacy": []},
        {"rows": [{}], "details": {"columns": [{}, 7, None], "pairs": {"columns": [1, 2]}}, "privacy": {"n": "x"}},
        {"rows": [{"name": "synthetic", "detection": None, "n": "x"}], "notes": [1], "stamps": {"reference": 4}},
        {"details": {"columns": [{"histogram": {"edges": [0, 1, 2], "shares": {"train": [1], "synthetic": None}}}]}},
        {"details": {"columns": [{"histogram": {"labels": ["a", None], "shares": {"train": ["x", 1]}}}]}},
        {"details": {"pairs": {"columns": ["a", "b"], "synthetic": [[1], None]}}},
    ],
)
def test_nothing_breaks_the_page(broken: dict[str, Any], tmp_path: Path) -> None:
    Balanced(write_table_evaluation(broken, tmp_path / "broken.html").read_text())


def test_without_holdout(tmp_path: Path) -> None:
    found = evaluate_table(train=rows(1)[["kind"]], synthetic=rows(2)[["kind"]]).to_json()
    text = Balanced(write_table_evaluation(found, tmp_path / "one.html").read_text()).text
    assert "Pair by pair" not in text and "Privacy was not tested" in text


def test_a_full_disk_leaves_the_old_page(data: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(StorageError, match="disk is full"):
        write_table_evaluation(data, path)
    assert path.read_text() == "old"
