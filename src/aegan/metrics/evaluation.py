"""What an evaluation of images found: plain values with the stamps that say what they can be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from aegan.errors import DataError
from aegan.metrics.memorisation import Duplicates, Memorisation

VERSION = 1
"""Version of the JSON form."""

SYNTHETIC, HOLDOUT, RECONSTRUCTIONS = "synthetic", "real holdout", "reconstructions"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One set of images measured against the reference.

    Attributes:
        name: ``"synthetic"``, ``"real holdout"`` (the floor) or ``"reconstructions"`` (the ceiling).
        n: Samples behind the Fréchet and kernel distances.
        frechet: Fréchet distance in the feature space.
        frechet_deviation: Its bootstrap standard deviation, or None where not computed.
        kernel: Kernel distance (unbiased squared MMD), mean over subsets.
        kernel_deviation: Standard deviation over the subsets.
        prdc_n: Samples behind the four values that follow.
        precision: Share of these samples that look like the reference.
        recall: Share of the reference that these samples reach.
        density: Precision, with dense regions counting more.
        coverage: Share of the reference's neighbourhoods that hold one of these samples.
    """

    name: str
    n: int
    frechet: float
    frechet_deviation: float | None
    kernel: float
    kernel_deviation: float
    prdc_n: int
    precision: float
    recall: float
    density: float
    coverage: float

    @property
    def frechet_interval(self) -> tuple[float, float] | None:
        """95 % interval of the Fréchet distance at this sample number, or None."""
        if self.frechet_deviation is None:
            return None
        half = 1.96 * self.frechet_deviation
        return max(0.0, self.frechet - half), self.frechet + half


@dataclass(frozen=True, kw_only=True)
class ClassAccuracy:
    """How often the classifier sees the class that was asked for; None where there were no samples."""

    name: str
    n: int
    accuracy: float | None
    real_n: int
    real_accuracy: float | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Result of :func:`aegan.metrics.evaluate_images`.

    Attributes:
        rows: One per set of images, the synthetic one first.
        memorisation: Test for copied training samples.
        duplicates: Repetition among the synthetic samples, against real ones.
        classes: Accuracy over all classes first (named "all"), then by class; empty if not conditional.
        stamps: ``feature_space``, ``reference``, ``counts``, ``k``, ``seed``, ``formulas``: only
            evaluations with equal stamps can be compared.
        notes: What a reader should know about these figures, one sentence each.
    """

    rows: tuple[Row, ...]
    memorisation: Memorisation
    duplicates: Duplicates | None = None
    classes: tuple[ClassAccuracy, ...] = ()
    stamps: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def row(self, name: str) -> Row | None:
        """The row of that name, or None."""
        return next((row for row in self.rows if row.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "version": VERSION,
            "headline": self.headline(),
            "rows": [asdict(row) for row in self.rows],
            "memorisation": self.memorisation.to_json(),
            "duplicates": self.duplicates and self.duplicates.to_json(),
            "classes": [asdict(c) for c in self.classes],
            "stamps": self.stamps,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evaluation:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: Not what :meth:`to_json` returned, or from a newer version.
        """
        try:
            if data["version"] > VERSION:
                raise DataError(
                    f"Evaluation.from_json: version {data['version']}; at most {VERSION} expected. Update aegan."
                )
            return cls(
                rows=tuple(Row(**row) for row in data["rows"]),
                memorisation=Memorisation.from_json(data["memorisation"]),
                duplicates=data["duplicates"] and Duplicates.from_json(data["duplicates"]),
                classes=tuple(ClassAccuracy(**c) for c in data["classes"]),
                stamps=dict(data["stamps"]),
                notes=tuple(data["notes"]),
            )
        except (KeyError, TypeError) as error:
            raise DataError(
                f"Evaluation.from_json: not an evaluation ({type(error).__name__}: {error}); "
                "the value of Evaluation.to_json expected. Evaluate anew."
            ) from error

    def to_rows(self) -> list[dict[str, str]]:
        """The table as text cells by column heading, for others to render."""
        return [
            {
                "": row.name,
                "n": str(row.n),
                self.distance_name: _with_deviation(row.frechet, row.frechet_deviation),
                "Kernel x1000": _with_deviation(1000 * row.kernel, 1000 * row.kernel_deviation),
                "Precision": f"{row.precision:.3f}",
                "Recall": f"{row.recall:.3f}",
                "Density": f"{row.density:.3f}",
                "Coverage": f"{row.coverage:.3f}",
            }
            for row in self.rows
        ]

    @property
    def distance_name(self) -> str:
        """``"FID"`` only in a feature space named after Inception, else ``"Fréchet"``."""
        return "FID" if "inception" in str(self.stamps.get("feature_space", "")).lower() else "Fréchet"

    def headline(self) -> str:
        """One sentence of judgement in plain words."""
        synthetic, floor, ceiling = self.row(SYNTHETIC), self.row(HOLDOUT), self.row(RECONSTRUCTIONS)
        if synthetic is None:
            return "No synthetic samples were evaluated."
        name = "FID" if self.distance_name == "FID" else "Fréchet distance"
        text = f"{name} {_short(synthetic.frechet)}"
        bounds = []
        if floor:
            bounds.append(f"a floor of {_short(floor.frechet)} (unseen real images)")
        if ceiling:
            bounds.append(f"a ceiling of {_short(ceiling.frechet)} (reconstructions)")
        text += f" against {' and '.join(bounds)}" if bounds else ", with no real holdout to set it against"
        judgement = _judgement(synthetic, floor, ceiling)
        if judgement:
            text += f": {judgement}"
        copying = {"copies": "training data was copied", "close": "samples lie close to the training data"}
        if self.memorisation.status in copying:
            text += f"; {copying[self.memorisation.status]}"
        elif self.memorisation.status == "clear":
            text += "; no sign of copying"
        return text + "."

    def __str__(self) -> str:
        cells = self.to_rows()
        lines = [self.headline(), ""]
        if cells:
            heads = list(cells[0])
            width = {h: max(len(h), *(len(c[h]) for c in cells)) for h in heads}
            for line in [dict(zip(heads, heads, strict=True)), *cells]:
                lines.append("  ".join(line[h].ljust(width[h]) if h == "" else line[h].rjust(width[h]) for h in heads))
        lines += ["", f"Copying: {self.memorisation.verdict}"]
        if self.duplicates:
            d = self.duplicates
            exact = "" if d.exact is None else f"; {d.exact} exact repeats, {d.exact_real} among as many real images"
            lines.append(f"Repetition: {d.near} near duplicates, {100 * d.alpha:.3g} % is usual{exact}.")
        if self.classes:
            lines.append("Class asked for was recognised (real holdout in brackets):")
            lines += [f"  {c.name}: {_rate(c.accuracy)} ({_rate(c.real_accuracy)})" for c in self.classes]
        lines.append(f"Features: {self.stamps.get('feature_space', 'unknown')}.")
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)


def _judgement(synthetic: Row, floor: Row | None, ceiling: Row | None) -> str:
    """What stands out, from the distances and from recall next to precision; empty without a floor."""
    if floor is None:
        return ""
    excess = synthetic.frechet - floor.frechet
    margin = 2 * max(synthetic.frechet_deviation or 0.0, floor.frechet_deviation or 0.0, 0.02 * floor.frechet)
    if excess <= margin:
        return "as near to the training data as unseen real images are"
    parts = []
    if ceiling is not None:
        share = (ceiling.frechet - floor.frechet) / excess
        if share > 1:
            parts.append("nearer to the data than the autoencoder's own reconstructions")
        elif share > 0.5:
            parts.append("most of the gap is the decoder's, not the generator's")
        elif share < 0.2:
            parts.append("almost all of the gap is the generator's")
        else:
            parts.append(f"the decoder accounts for {share:.0%} of the gap")
    precision, recall = synthetic.precision / max(floor.precision, 1e-9), synthetic.recall / max(floor.recall, 1e-9)
    if recall < 0.8 * precision:
        parts.append(f"variety falls short (recall {synthetic.recall:.2f}, real {floor.recall:.2f})")
    elif precision < 0.8 * recall:
        parts.append(f"quality falls short (precision {synthetic.precision:.2f}, real {floor.precision:.2f})")
    return ", ".join(parts)


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _with_deviation(value: float, deviation: float | None) -> str:
    return _short(value) if deviation is None else f"{_short(value)} ± {deviation:.2g}"


def _rate(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"
