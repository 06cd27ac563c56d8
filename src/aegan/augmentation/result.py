"""What an augmentation gives back: the data, where each sample came from, and what was dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from aegan.storage import write_json

ORIGINAL = "original"
"""Operation of a sample that was passed through."""


@dataclass(frozen=True, kw_only=True)
class Augmented:
    """Augmented data, after the originals where those were asked for.

    Attributes:
        data: In the form that ``fit`` was given.
        x: The same as tensors, ``(M, *shape)``; originals too are as the model has them here.
        y: Class indices int64 ``(M,)``, or None.
        classes: Class names by index; empty without labels.
        source: Position in the source of what each sample was made of, int64 ``(M,)``.
        files: Where the source's samples lie in files of their own, as images and recordings may: the file of each
            sample's source, ``(M,)`` names below the source's folder; else None.
        operation: What was done, ``(M,)`` names; ``"original"`` for those passed through.
        strength: How far each went from its unmoved source, in the units of ``strength``; 0 for originals.
        report: Counts by operation, check and class, and all that was asked for.
    """

    data: Any
    x: Tensor
    y: Tensor | None
    classes: tuple[str, ...]
    source: np.ndarray
    operation: tuple[str, ...]
    strength: np.ndarray
    files: tuple[str, ...] | None = None
    report: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.source)

    @property
    def labels(self) -> list[str] | None:
        """The class name of each sample, or None without labels."""
        return None if self.y is None else [self.classes[i] for i in self.y.tolist()]

    def manifest(self) -> dict[str, Any]:
        """The report and, for each sample in order, its source (and its file), operation, strength and class."""
        nothing = [None] * len(self)
        labels, files = self.labels or nothing, self.files or nothing
        rows = zip(self.source.tolist(), files, self.operation, self.strength.tolist(), labels, strict=True)
        samples = [
            {"source": source}
            | ({} if file is None else {"file": file})
            | {"operation": operation, "strength": round(strength, 4)}
            | ({} if label is None else {"class": label})
            for source, file, operation, strength, label in rows
        ]
        return self.report | {"samples": samples}

    def write_manifest(self, path: Path) -> Path:
        """The manifest as JSON, atomically."""
        write_json(path, self.manifest())
        return path

    def __str__(self) -> str:
        report = self.report
        done = ", ".join(
            f"{name} {about['samples']}" + ("" if about["strength"] is None else f" (strength {about['strength']:.2f})")
            for name, about in report["operations"].items()
        )
        dropped = ", ".join(f"{name} {count}" for name, count in report["dropped"].items())
        lines = [f"{report['kept']} of {report['asked']} augmented samples: {done}"]
        if dropped:
            lines.append(f"drawn {report['drawn']}, dropped by {dropped}")
        if "classes" in report:
            lines.append("classes: " + ", ".join(f"{name} {count}" for name, count in report["classes"].items()))
        return "\n".join(lines)


def manifest_path(out: str) -> Path:
    """Where the manifest of what is at ``out`` goes: beside it; for a database, into the working folder.

    >>> manifest_path("more/images").as_posix(), manifest_path("sqlite:///shop.db::made").as_posix()
    ('more/images.manifest.json', 'made.manifest.json')
    """
    if "://" in out:
        return Path(out.rpartition("::")[2].rpartition("/")[2] + ".manifest.json")
    path = Path(out).expanduser()
    return path.with_name(path.name + ".manifest.json")
