"""What an evaluation of time series found: plain values with the stamps that say what they can be compared with."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aegan.metrics.evaluation import HOLDOUT, SYNTHETIC
from aegan.metrics.judged import Judged, filled, lines_of
from aegan.metrics.series_downstream import SeriesDownstream

VERSION = 1
"""Version of the JSON form."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score of networks that were trained anew with several seeds.

    Attributes:
        value: Mean over the seeds.
        deviation: Standard deviation over the seeds; None for one.
        seeds: Number of seeds.
    """

    value: float
    deviation: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Score:
        """From the score of each seed.

        >>> Score.of([0.25, 0.75]).value
        0.5
        """
        spread = statistics.stdev(values) if len(values) > 1 else None
        return cls(value=statistics.fmean(values), deviation=spread, seeds=len(values))

    def __str__(self) -> str:
        return _number(self.value) if self.deviation is None else f"{self.value:.3f} ± {self.deviation:.3f}"


@dataclass(frozen=True, kw_only=True)
class SeriesRow:
    """One set of series measured against the training series; None where a figure is undefined or was not asked for.

    Attributes:
        name: ``"synthetic"``, ``"real holdout"`` (what unseen real series score) or ``"reconstructions"``.
        n: Series of the set.
        discriminative: ``|0.5 - accuracy|`` of telling the set from the training series, as published.
        discriminative_holdout: The same, tested on real series that the generator never saw; not for the holdout.
        predictive: Mean absolute error on the training series of a network trained on the set, as published; in the
            holdout's own row it was trained on the training series.
        predictive_holdout: The same, tested on the holdout.
        context: Fréchet distance in the features of the encoder.
        marginal: Mean Wasserstein-1 distance of single channels, in standard deviations.
        autocorrelation: Mean absolute error of the autocorrelation.
        cross_correlation: Mean absolute error of the correlation between channels.
        spectral: Mean total variation distance of the power spectra.
        downstream: Classifiers trained on the set and tested on the holdout; in the holdout's own row they were
            trained on the training series.
    """

    name: str
    n: int
    discriminative: Score | None
    discriminative_holdout: Score | None
    predictive: Score | None
    predictive_holdout: Score | None
    context: float | None
    marginal: float | None
    autocorrelation: float | None
    cross_correlation: float | None
    spectral: float | None
    downstream: SeriesDownstream | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SeriesRow:
        """Inverse of ``asdict``."""
        values = dict(data)
        for name in ("discriminative", "discriminative_holdout", "predictive", "predictive_holdout"):
            values[name] = values[name] and Score(**values[name])
        values["downstream"] = values["downstream"] and SeriesDownstream(**values["downstream"])
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class SeriesEvaluation(Judged[SeriesRow]):
    """Result of :func:`aegan.metrics.series.evaluate_series`.

    Attributes:
        rows: One per set of series, the synthetic one first.
        details: What a report draws: by channel the errors of each row, autocorrelations and spectra.
        stamps: ``shape``, ``channels``, ``reference``, ``counts``, ``iterations``, ``repeats``, ``seed``, ``encoder``,
            ``formulas``: only evaluations with equal stamps can be compared.
        notes: What a reader should know about these figures, one sentence each.
    """

    KIND: ClassVar[str] = "series"
    WHAT: ClassVar[str] = "series"
    ROW: ClassVar[Any] = SeriesRow
    VERSION: ClassVar[int] = VERSION
    rows: tuple[SeriesRow, ...]
    details: dict[str, Any] = field(default_factory=dict)
    stamps: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_rows(self) -> list[dict[str, str]]:
        """The table as text cells by column heading, for others to render; columns without a figure are left out."""
        cells = [_cells(row) for row in self.rows]
        return filled(cells)

    def headline(self) -> str:
        """One sentence of judgement in plain words."""
        synthetic, floor = self.row(SYNTHETIC), self.row(HOLDOUT)
        if synthetic is None:
            return "No synthetic series were evaluated."
        parts, beside = [], []
        for words, name in (
            ("discriminative score", "discriminative"),
            ("predictive score", "predictive"),
            ("autocorrelation off by", "autocorrelation"),
        ):
            value = getattr(synthetic, name)
            if value is not None:
                parts.append(f"{words} {_plain(value)}")
                beside.append(_plain(getattr(floor, name)) if floor is not None else "")
        text = ", ".join(parts)
        text = text[:1].upper() + text[1:] if text else "No score was computed"
        if floor is None:
            text += ", with no real holdout to set it against"
        else:
            text += f" (unseen real series: {', '.join(beside)})"
        judged = _judgement(synthetic, floor)
        return f"{text}{': ' if judged else ''}{judged}."

    def __str__(self) -> str:
        lines = [self.headline(), "", *lines_of(self.to_rows())]
        task = next((row.downstream for row in self.rows if row.downstream is not None), None)
        if task is not None:
            lines += ["", f"Classes of the real holdout: the most frequent one is {task.usual:.1%} of it."]
        if self.stamps.get("encoder"):
            lines += ["", f"Context: features of {self.stamps['encoder']}."]
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)


def _cells(row: SeriesRow) -> dict[str, str]:
    task = row.downstream
    return {
        "": row.name,
        "n": str(row.n),
        "Discriminative": _plain(row.discriminative),
        "on holdout": _plain(row.discriminative_holdout),
        "Predictive": _plain(row.predictive),
        "on holdout ": _plain(row.predictive_holdout),
        "Context": _number(row.context),
        "Marginal": _number(row.marginal),
        "Autocorr.": _number(row.autocorrelation),
        "Cross-corr.": _number(row.cross_correlation),
        "Spectral": _number(row.spectral),
        "1-NN %": "–" if task is None else f"{100 * task.neighbour:.1f}",
        "Network %": "–" if task is None else f"{100 * task.network:.1f}",
    }


def _judgement(synthetic: SeriesRow, floor: SeriesRow | None) -> str:
    """What the discriminative score means beside that of unseen real series; empty where there is none."""
    score = synthetic.discriminative
    if score is None:
        return ""
    real = floor.discriminative if floor is not None else None
    margin = 2 * max(score.deviation or 0.0, (real.deviation or 0.0) if real else 0.0, 0.01)
    if real is not None and score.value <= real.value + margin:
        return "as hard to tell from the training series as unseen real series are"
    if score.value > 0.45:
        return "almost every series can be told"
    if score.value > 0.2:
        return "easily told from the training series"
    return "told from the training series more often than by chance" if score.value > margin else "hardly ever told"


def _plain(value: Score | float | None) -> str:
    return str(value) if isinstance(value, Score) else _number(value)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
