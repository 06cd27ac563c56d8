"""What an evaluation of a table found: plain values with the stamps that say what they can be compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from aegan.errors import DataError
from aegan.metrics.evaluation import HOLDOUT, SYNTHETIC
from aegan.metrics.table_downstream import Downstream

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
        auc: Two-sample AUC of gradient boosting; .5 is best.
        auc_low: Lower end of its 95 % interval.
        auc_high: Upper end.
        auc_n: Rows of either side that the classifier saw.
        downstream: A model trained on these rows and tested on the real holdout; in the holdout's own row
            it was trained on the training rows.
    """

    name: str
    n: int
    shape_error: float | None
    trend_error: float | None
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    auc_n: int
    downstream: Downstream | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TableRow:
        """Inverse of ``asdict``."""
        values = dict(data)
        found = values.get("downstream")
        if found is not None:
            interval = found["auc_interval"]
            values["downstream"] = Downstream(**{**found, "auc_interval": interval and tuple(interval)})
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class TableEvaluation:
    """Result of :func:`aegan.metrics.table.evaluate_table`.

    Attributes:
        rows: One per set of rows, the synthetic one first.
        stamps: ``columns``, ``reference``, ``counts``, ``target``, ``seed``, ``formulas``, ``versions``: only
            evaluations with equal stamps can be compared.
        notes: What a reader should know about these figures, one sentence each.
    """

    rows: tuple[TableRow, ...]
    stamps: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def row(self, name: str) -> TableRow | None:
        """The row of that name, or None."""
        return next((row for row in self.rows if row.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "version": VERSION,
            "kind": "table",
            "headline": self.headline(),
            "rows": [asdict(row) for row in self.rows],
            "stamps": self.stamps,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TableEvaluation:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: Not what :meth:`to_json` returned, or from a newer version.
        """
        try:
            if data["kind"] != "table":
                raise KeyError(f"kind {data['kind']!r}")
            if data["version"] > VERSION:
                raise DataError(
                    f"TableEvaluation.from_json: version {data['version']}; at most {VERSION} expected. Update aegan."
                )
            return cls(
                rows=tuple(TableRow.from_json(row) for row in data["rows"]),
                stamps=dict(data["stamps"]),
                notes=tuple(data["notes"]),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise DataError(
                f"TableEvaluation.from_json: not an evaluation of a table ({type(error).__name__}: {error}); "
                "the value of TableEvaluation.to_json expected. Evaluate anew."
            ) from error

    def to_rows(self) -> list[dict[str, str]]:
        """The table as text cells by column heading, for others to render."""
        return [_cells(row) for row in self.rows]

    def headline(self) -> str:
        """One sentence of judgement in plain words."""
        synthetic, floor = self.row(SYNTHETIC), self.row(HOLDOUT)
        if synthetic is None:
            return "No synthetic rows were evaluated."
        parts = [f"Two-sample AUC {_fraction(synthetic.auc)}{_beside(floor, 'auc', _fraction)}"]
        parts.append(f"column shapes off by {_percent(synthetic.shape_error)}{_beside(floor, 'shape_error', _percent)}")
        if synthetic.trend_error is not None:
            parts.append(f"pair trends by {_percent(synthetic.trend_error)}{_beside(floor, 'trend_error', _percent)}")
        text = ", ".join(parts)
        if floor is None:
            text += ", with no real holdout to set it against"
        return text + "."

    def __str__(self) -> str:
        cells = self.to_rows()
        lines = [self.headline(), ""]
        if cells:
            heads = list(cells[0])
            width = {h: max(len(h), *(len(c[h]) for c in cells)) for h in heads}
            for line in [dict(zip(heads, heads, strict=True)), *cells]:
                lines.append("  ".join(line[h].ljust(width[h]) if h == "" else line[h].rjust(width[h]) for h in heads))
        lines += ["", *(f"Note: {note}" for note in self.notes)]
        return "\n".join(lines).rstrip("\n")


def defined(value: float) -> float | None:
    """``value``, or None for NaN, which JSON lacks."""
    return None if math.isnan(value) else float(value)


def _cells(row: TableRow) -> dict[str, str]:
    cells = {
        "": row.name,
        "n": str(row.n),
        "Shapes %": _number(row.shape_error),
        "Trends %": _number(row.trend_error),
        "AUC": _fraction(row.auc),
    }
    task = row.downstream
    if task is not None:
        cells["Task " + ("AUC" if task.task == "classification" else "R²")] = _fraction(task.score)
    return cells


def _beside(floor: TableRow | None, name: str, form) -> str:  # noqa: ANN001
    value = None if floor is None else getattr(floor, name)
    return "" if value is None else f" (unseen real rows {form(value)})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _fraction(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "an unknown amount" if value is None else f"{value:.2f} %"
