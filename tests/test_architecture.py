"""Imports run one way, and ``__all__`` is the public API."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import aegan

ROOT = Path(aegan.__file__).parent
# A room may import the rooms named here, and itself; docs/architecture.md explains.
LOW = {"types", "errors", "storage", "streams"}
NETWORKS = LOW | {"data", "nn", "losses", "augment", "config"}
MAY_IMPORT: dict[str, set[str]] = {
    "types": set(),
    "errors": set(),
    "storage": {"errors"},
    "streams": set(),
    "config": {"errors"},
    "data": LOW,
    "nn": LOW,
    "losses": LOW,
    "augment": LOW,
    "conditions": NETWORKS | {"models"},
    "codec": {"errors", "storage"},
    "novelty": {"errors", "storage"},
    "metrics": LOW | {"data"},
    "models": NETWORKS,
    "train": NETWORKS | {"models"},
    "diagnostics": LOW | {"losses", "nn", "metrics", "models"},
    "report": LOW,
    "run": LOW,
    "presets": NETWORKS | {"models"},
}
TOP = {
    "api",
    "estimator",
    "evaluation",
    "fitting",
    "sharding",
    "compression",
    "sklearn",
    "augmentation",
    "tables",
    "series",
    "series_filling",
    "series_judging",
    "series_pictures",
    "series_places",
    "texts",
    "healing",
    "grids",
    "kinds",
    "parts",
    "rl",
    "study",
    "cli",
    "__main__",
    "__init__",
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            if node.module == "aegan":
                found |= {f"aegan.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_imports_run_one_way() -> None:
    for path in ROOT.rglob("*.py"):
        own = room(path)
        used = {m.split(".")[1] for m in imports(path) if m.startswith("aegan.")} - {own}
        if own in TOP:
            assert "cli" not in used or own in ("cli", "__main__"), f"{path} imports the command line"
            continue
        assert used <= MAY_IMPORT[own], f"{path.relative_to(ROOT)} may not import {used - MAY_IMPORT[own]}"


def test_train_and_diagnostics_know_no_concrete_model() -> None:
    for path in [*(ROOT / "train").glob("*.py"), *(ROOT / "diagnostics").glob("*.py")]:
        models = {m for m in imports(path) if m.startswith("aegan.models")}
        assert models <= {"aegan.models.base"}, path


def test_public_names_exist() -> None:
    assert set(aegan.__all__) == {"AeganError", "Estimator", "__version__", "evaluate", "fit", "load"}
    assert all(getattr(aegan, name) is not None for name in aegan.__all__)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, contextlib; from aegan.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "heavy = {'torch', 'numpy', 'pandas', 'pyarrow', 'scipy', 'sklearn', 'aegan.sklearn', 'plotly', 'PIL'}\n"
        "heavy |= {'gymnasium', 'minari', 'aegan.rl'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "fit" in result.stdout
