"""What an evaluation of a table found: plain values with the stamps that say what they can be compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from aegan.metrics.evaluation import HOLDOUT, SYNTHETIC
from aegan.metrics.judged import Judged, lines_of
from aegan.metrics.table_coverage import Coverage, MissingValues, RareCategories
from aegan.metrics.table_detection import Area
from aegan.metrics.table_downstream import Downstream
from aegan.metrics.table_privacy import Privacy

VERSION = 1
"""Version of the JSON form."""


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One set of rows measured against the training rows; None where a figure is undefined or was not asked for.

    Attributes:
        name: ``"synthetic"``, ``"real holdout"`` (what unseen real rows score) or ``"reconstructions"``.
        n: Rows of the set.
        shape_error: Mean error of single columns in percent.
        trend_error: Mean error of pairs of columns in percent.
        detection: Two-sample AUC of gradient boosting with its 95 % interval; .5 is best.
        detection_n: Rows of either side that the classifier saw.
        downstream: A model trained on these rows and tested on the real holdout; in the holdout's own row
            it was trained on the training rows.
        coverage: Fidelity and variety of the rows as points.
        rare: How rare categories are kept.
        missing: How missing values are met.
    """

    name: str
    n: int
    shape_error: float | None
    trend_error: float | None
    detection: Area
    detection_n: int
    downstream: Downstream | None = None
    coverage: Coverage | None = None
    rare: RareCategories | None = None
    missing: MissingValues | None = None

    @property
    def auc(self) -> float:
        """The two-sample AUC."""
        return self.detection.value

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TableRow:
        """Inverse of ``asdict``."""
        values = dict(data)
        for name, sort in _PARTS.items():
            values[name] = values[name] and sort(**values[name])
        if values["downstream"] and values["downstream"].auc_interval:
            task = values["downstream"]
            values["downstream"] = replace(task, auc_interval=tuple(task.auc_interval))
        return cls(**values)


_PARTS = {
    "detection": Area,
    "downstream": Downstream,
    "coverage": Coverage,
    "rare": RareCategories,
    "missing": MissingValues,
}


@dataclass(frozen=True, kw_only=True)
class TableEvaluation(Judged[TableRow]):
    """Result of :func:`aegan.metrics.table.evaluate_table`.

    Attributes:
        rows: One per set of rows, the synthetic one first.
        privacy: What the synthetic rows give away of the training rows; None where not asked for.
        details: What the report draws, see :func:`aegan.metrics.table_details.table_details`.
        stamps: ``columns``, ``reference``, ``counts``, ``target``, ``seed``, ``formulas``, ``versions``: only
            evaluations with equal stamps can be compared.
        notes: What a reader should know about these figures, one sentence each.
    """

    KIND: ClassVar[str] = "table"
    WHAT: ClassVar[str] = "a table"
    ROW: ClassVar[Any] = TableRow
    PARTS: ClassVar[Mapping[str, Any]] = {"privacy": Privacy}
    VERSION: ClassVar[int] = VERSION
    rows: tuple[TableRow, ...]
    privacy: Privacy | None = None
    details: dict[str, Any] = field(default_factory=dict)
    stamps: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_rows(self) -> list[dict[str, str]]:
        """The table as text cells by column heading, for others to render."""
        return [_cells(row) for row in self.rows]

    def headline(self) -> str:
        """One sentence of judgement in plain words."""
        synthetic, floor = self.row(SYNTHETIC), self.row(HOLDOUT)
        if synthetic is None:
            return "No synthetic rows were evaluated."
        parts = [f"Two-sample AUC {synthetic.auc:.3f}"]
        if synthetic.shape_error is not None:
            parts.append(f"column shapes off by {synthetic.shape_error:.2f} %")
        if synthetic.trend_error is not None:
            parts.append(f"pair trends by {synthetic.trend_error:.2f} %")
        text = ", ".join(parts)
        if floor is None:
            text += ", with no real holdout to set it against"
        else:
            beside = (
                f"{floor.auc:.3f}",
                *(f"{v:.2f} %" for v in (floor.shape_error, floor.trend_error) if v is not None),
            )
            text += f" (unseen real rows: {', '.join(beside)})"
        text += f": {_judgement(synthetic, floor, self.privacy)}"
        if self.privacy is not None:
            text += {"copies": "; training rows were copied", "close": "; rows lie close to training rows"}.get(
                self.privacy.status, "; no sign of copying" if self.privacy.status == "clear" else ""
            )
        return text + "."

    def __str__(self) -> str:
        lines = [self.headline(), "", *lines_of(self.to_rows())]
        lines += ["", *_sentences(self.rows)]
        if self.privacy is not None:
            lines.append(f"Privacy: {self.privacy.verdict}")
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines).rstrip("\n")


def defined(value: float) -> float | None:
    """``value``, or None for NaN, which JSON lacks."""
    return None if math.isnan(value) else float(value)


def _cells(row: TableRow) -> dict[str, str]:
    task, points = row.downstream, row.coverage
    cells = {
        "": row.name,
        "n": str(row.n),
        "Shapes %": _number(row.shape_error, 2),
        "Trends %": _number(row.trend_error, 2),
        "AUC": f"{row.auc:.3f} ± {(row.detection.high - row.detection.low) / 2:.3f}",
    }
    if task is not None:
        cells["Task AUC" if task.task == "classification" else "Task R²"] = _number(task.score)
    if points is not None:
        cells |= {"α-precision": _number(points.alpha_precision), "β-recall": _number(points.beta_recall)}
    return cells


def _judgement(synthetic: TableRow, floor: TableRow | None, privacy: Privacy | None) -> str:
    """How well rows can be told apart, in words."""
    found = synthetic.detection
    if found.high < 0.5:
        if privacy is not None and privacy.copies == 0:
            return "closer to the training rows than unseen real rows are, so that the AUC says nothing"
        return "the same rows occur on both sides, so that the AUC says nothing"
    if floor is not None and found.low <= max(0.5, floor.detection.high):
        return "as hard to tell from the training rows as unseen real rows are"
    if found.value < 0.6:
        return "hardly to be told from the training rows"
    if found.value < 0.75:
        return "told from the training rows more often than by chance"
    return "easily told from the training rows" if found.value < 0.95 else "almost every row can be told"


def _sentences(rows: tuple[TableRow, ...]) -> list[str]:
    """Rare categories and missing values in words, real holdout in brackets."""
    first = {row.name: row for row in reversed(rows)}
    synthetic, floor = first.get(SYNTHETIC), first.get(HOLDOUT)
    lines = []
    if synthetic is None:
        return lines
    rare, real = synthetic.rare, floor.rare if floor else None
    if rare is not None and rare.kept is not None and rare.ratio is not None:
        brackets = f" ({real.kept:.1%})" if real is not None and real.kept is not None else ""
        ratio = f" ({real.ratio:.2f})" if real is not None and real.ratio is not None else ""
        lines.append(
            f"Rare categories: {rare.kept:.1%}{brackets} of {rare.categories} occur, "
            f"{rare.ratio:.2f}{ratio} times as often as in training."
        )
    if rare is not None and rare.invented:
        lines.append(f"Made-up categories: {rare.invented:.2%} of the values are in no training row.")
    missing, usual = synthetic.missing, floor.missing if floor else None
    if missing is not None:
        rate = f" ({usual.rate_error:.2f})" if usual else ""
        pattern = f" ({usual.pattern_variation:.3f})" if usual else ""
        lines.append(
            f"Missing values: rates off by {missing.rate_error:.2f}{rate} percentage points, joint patterns by "
            f"{missing.pattern_variation:.3f}{pattern} in total variation."
        )
    return lines


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
