"""The example runs, in a small size."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "cartpole_augment.py"


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    found = runpy.run_path(str(EXAMPLE))["main"](["--quick", "--real", "150", "--ratio", "0.5"])
    shown = capsys.readouterr().out
    assert set(found) == {"real", "real + synthetic"} and "75 synthetic" in shown and "codec" in shown
