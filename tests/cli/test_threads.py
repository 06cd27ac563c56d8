"""Threads by what a container may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aegan.cli import threads


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_seen", lambda: 64)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("text", "expected"),
    [("200000 100000", "2"), ("150000 100000", "2"), ("5000 100000", "1"), ("max 100000", None), ("what", None)],
)
def test_the_quota_of_a_container_bounds_the_threads(tmp_path: Path, text: str, expected: str | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    threads.allow_threads(tmp_path)
    assert os.environ.pop("OMP_NUM_THREADS", None) == expected


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("quota", "expected"), [("300000", "3"), ("-1", None), ("99999999", None)])
def test_older_control_groups_are_read_and_no_bound_is_none(tmp_path: Path, quota: str, expected: str | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    threads.allow_threads(tmp_path)
    assert os.environ.pop("OMP_NUM_THREADS", None) == expected


@pytest.mark.usefixtures("machine")
def test_what_was_set_stays_and_no_control_group_sets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads.allow_threads(tmp_path)
    assert "OMP_NUM_THREADS" not in os.environ
    (tmp_path / "cpu.max").write_text("200000 100000")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    threads.allow_threads(tmp_path)
    assert os.environ["OMP_NUM_THREADS"] == "5"
