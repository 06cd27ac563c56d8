"""A collapse reaches the user: ``health.json``, the report and what ``fit`` prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import aegan
from aegan.cli.summary import print_summary
from aegan.report.health import figures, findings, health_section
from tests.conftest import bars

TINY_SET = {"latent_dim": "8", "width": "8", "blocks": "1", "batch_size": "16"}


def _fit(path: Path, model: str, **settings: str) -> aegan.Estimator:
    # The doctor looks as often as the clock allows, and on a slow machine finds such a collapse, too.
    return aegan.fit(
        bars(128), out=path, model=model, steps=40, precision="fp32", holdout=0.25, doctor=False,
        settings={**TINY_SET, **settings},
    )  # fmt: skip


def test_a_collapse_is_written_reported_and_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    estimator = _fit(tmp_path / "run", "variational", beta="1000")
    health = json.loads((tmp_path / "run" / "health.json").read_text())
    assert health["findings"][0].startswith("Posterior collapse")
    assert {"elbo", "log_likelihood", "active_units"} <= set(health["figures"])
    report = (tmp_path / "run" / "report.html").read_text()
    assert report.count("Posterior collapse") == 2  # beside the figures, and among what to try next
    assert "evidence lower bound" in report
    print_summary(estimator)
    assert "Warning      Posterior collapse" in capsys.readouterr().out
    # The folder is still a run's own, which may be saved and replaced.
    estimator.save(tmp_path / "copy")
    assert (tmp_path / "copy" / "health.json").exists()
    _fit(tmp_path / "codes", "vector-quantised")
    figures = json.loads((tmp_path / "codes" / "health.json").read_text())["figures"]
    # The preset made the codebook small enough for these few samples.
    assert figures["codes"] == 16 and 0 < figures["usage"] <= 1


def test_a_model_with_nothing_to_say_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    estimator = _fit(tmp_path / "run", "sparse")
    print_summary(estimator)
    told = capsys.readouterr().out
    assert "Precision    fp32: as asked for" in told and "Warning" not in told
    assert not (tmp_path / "run" / "health.json").exists()
    assert "The codes</h2>" not in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("data", [None, {}, {"findings": 3, "figures": []}, {"findings": [1], "figures": {"a": "b"}}])
def test_a_damaged_file_says_nothing(data) -> None:
    assert findings(data) == [] and figures(data) == {} and health_section(data) == ""


def test_what_stands_in_the_file_is_escaped() -> None:
    section = health_section({"findings": ["<script>"], "figures": {"<b>": 1.0}})
    assert "<script>" not in section and "<b>" not in section
