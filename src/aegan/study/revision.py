"""Which sources the figures were made with: a commit, or a hash where there is none."""

from __future__ import annotations

import functools
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import aegan

PACKAGE = Path(aegan.__file__).parent


@functools.cache
def revision(package: Path = PACKAGE) -> dict[str, Any]:
    """Of the package's sources.

    Returns:
        ``commit`` and ``state`` (``clean``, or ``changed`` where the package's files differ from it) where git tracks
        the package; else ``version``. Always but for a clean commit ``sha256``, of all ``.py`` files and their names.
    """
    version: dict[str, Any] = {"version": aegan.__version__}
    # A package that was installed into a folder within somebody's checkout is not part of that.
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") and (commit := _git(package, "rev-parse", "HEAD")):
        if _git(package, "status", "--porcelain", "--", ".") == "":
            return {"commit": commit, "state": "clean"}
        version = {"commit": commit, "state": "changed"}
    return version | {"sha256": sources_hash(package)}


def sources_hash(package: Path) -> str:
    """SHA-256 of all ``.py`` files of a package, with their names, in order."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py"), key=lambda path: path.relative_to(package).as_posix()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _git(folder: Path, *words: str) -> str | None:
    """What git says; None where there is no git, no checkout, or an error."""
    try:
        said = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() if said.returncode == 0 else None
