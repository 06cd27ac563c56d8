"""Which sources a study was run with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import aegan
from aegan.study import folder, run
from aegan.study.revision import revision, sources_hash
from tests.study.tiny import tiny


def git(where: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *words], cwd=where, check=True, capture_output=True, text=True).stdout.strip()


def package(where: Path) -> Path:
    path = where / "src" / "p"
    (path / "sub").mkdir(parents=True)
    (path / "__init__.py").write_text("")
    (path / "sub" / "a.py").write_text("1\n")
    return path


def test_a_checkout_gives_its_commit_and_whether_the_package_was_changed(tmp_path: Path) -> None:
    path = package(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "notes.txt").write_text("no part of the package")
    assert revision.__wrapped__(path) == {"commit": commit, "state": "clean"}
    (path / "sub" / "a.py").write_text("2\n")
    assert revision.__wrapped__(path) == {"commit": commit, "state": "changed", "sha256": sources_hash(path)}


def test_without_a_checkout_there_are_a_version_and_a_hash_of_the_sources(tmp_path: Path) -> None:
    path = package(tmp_path)
    found = revision.__wrapped__(path)
    assert found == {"version": aegan.__version__, "sha256": sources_hash(path)}
    git(tmp_path, "init", "-q")  # an installed package that lies in somebody's checkout
    assert revision.__wrapped__(path) == found
    (path / "sub" / "a.py").rename(path / "sub" / "b.py")
    assert revision.__wrapped__(path)["sha256"] != found["sha256"]


def test_a_study_keeps_all_revisions_that_its_runs_were_made_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, now = tmp_path / "out", {"commit": "c0ffee", "state": "clean"}
    run(tiny(seeds=1), out=out)
    first = json.loads((out / folder.STUDY).read_text())
    assert first["revisions"] == [revision()] == [first["made"]["revision"]]
    shown = revision().get("commit") or revision()["sha256"]
    page = (out / "report.html").read_text()
    assert shown in page and "compare them with care" not in page
    monkeypatch.setattr(folder, "revision", lambda: now)
    run(tiny(seeds=1), out=out, resume=True)  # nothing is run
    assert json.loads((out / folder.STUDY).read_text())["revisions"] == [revision()]
    run(tiny(seeds=2), out=out, resume=True)
    assert json.loads((out / folder.STUDY).read_text())["revisions"] == [revision(), now]
    page = (out / "report.html").read_text()
    assert "commit <code>c0ffee</code> (clean)" in page and "compare them with care" in page
