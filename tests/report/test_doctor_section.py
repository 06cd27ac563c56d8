"""The doctor's section of the report, from events and ``diagnosis.json`` alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.report.report_run import EVIL, full_events, write_events

from aegan.report.doctor import balance, doctor_section, gradient_map, health_timeline, spectrum
from aegan.report.html import render
from aegan.report.reader import read_run

VERDICT = {
    "name": "mode-collapse", "title": "Mode collapse", "where": EVIL, "since": 20, "confidence": 0.9,
    "why": "It serves a part.", "evidence": [{"text": "samples/coverage = 0.2 (< 0.55)"}],
    "remedies": [{"do": "Penalise", "paper": "arXiv 1801.04406", "paste": "--set gamma=3"}],
}  # fmt: skip


def look(step: int) -> dict:
    layers = {f"layer{i}": 10.0**-i for i in range(3)}
    values = {"discriminator/separation": 0.9, "samples/excess": 0.1}
    where = {"step": step, "t": step / 2, "stage": "joint"}
    return {"event": "health", **where, "spectrum": [3.0, 1.0, 0.0], "values": values, "layers": {"generator": layers}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"format_version": 1, "model": "gan"}))
    write_events(tmp_path, [*full_events()[:-1], *(look(10 * i) for i in range(1, 6))])
    (tmp_path / "diagnosis.json").write_text(json.dumps({"verdicts": [VERDICT], "cost": 0.031}))
    return tmp_path


def test_the_section_has_verdict_remedy_and_figures(run: Path) -> None:
    text = doctor_section(read_run(run))
    assert "Mode collapse" in text and "since step 20, 90% sure" in text and "--set gamma=3" in text
    assert "Looking took 3.1%" in text and text.count("data-chart=") == 4
    assert "<script>alert" not in text
    assert 'href="#doctor"' in render(read_run(run))


def test_figures_hold_what_the_events_say() -> None:
    looks = [look(10 * i) for i in range(1, 6)]
    heat = gradient_map(looks, "generator").data[0]
    assert list(heat.x) == [10, 20, 30, 40, 50] and list(heat.z[2]) == pytest.approx([-2.0] * 5)
    bar = health_timeline([VERDICT], 50.0).data[0]
    assert bar.base[0] == 20 and bar.x[0] == 30
    pair = balance(looks)
    assert pair is not None and len(pair.data) == 2
    values = spectrum(looks)
    assert values is not None and values.data[0].y[0] == 3.0 and values.data[2].y[0] is None


def test_runs_without_a_doctor_and_damaged_files(run: Path) -> None:
    write_events(run, full_events())
    (run / "diagnosis.json").unlink()
    assert doctor_section(read_run(run)) == ""
    (run / "diagnosis.json").write_text(json.dumps({"verdicts": [3, {"evidence": 7, "remedies": [1]}], "cost": "x"}))
    write_events(run, [{"event": "health"}, {"event": "health", "layers": 3, "spectrum": 4, "values": 5}])
    assert "?" in doctor_section(read_run(run))
