"""What an evaluation of recordings found: plain values with the stamps that say what they can be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aegan.metrics.evaluation import HOLDOUT, RECONSTRUCTIONS, SYNTHETIC
from aegan.metrics.judged import Judged, filled, lines_of
from aegan.metrics.memorisation import Memorisation

VERSION = 1
"""Version of the JSON form."""
RESYNTHESIS = "resynthesis"
"""Real holdout to spectrograms and back to waveforms: what the vocoder alone does."""


@dataclass(frozen=True, kw_only=True)
class AudioRow:
    """One set of recordings measured against the training recordings; None where a figure is undefined.

    Attributes:
        name: ``"synthetic"``, ``"real holdout"`` (the floor), ``"reconstructions"`` (what the autoencoder allows) or
            ``"resynthesis"`` (what the vocoder allows).
        n: Recordings of the set.
        frechet: Fréchet distance in the features of the network that tells the labels.
        accuracy: By label, the share of recordings whose label the network recognises.
        precision: Share of the set that looks like the training recordings.
        recall: Share of the training recordings that the set reaches.
        coverage: Share of the training recordings' neighbourhoods that hold one of the set.
        diversity: Mean difference of two recordings of the same labels, in dB of their spectrograms, as a part of the
            training recordings' own.
        mel_distance: Mean difference from the recording that each was made of, in dB of their spectrograms.
    """

    name: str
    n: int
    frechet: float
    accuracy: dict[str, float]
    precision: float
    recall: float
    coverage: float
    diversity: float | None
    mel_distance: float | None = None


@dataclass(frozen=True, kw_only=True)
class AudioEvaluation(Judged[AudioRow]):
    """Result of :func:`aegan.metrics.audio.evaluate_audio`.

    Attributes:
        rows: One per set of recordings, the synthetic one first.
        memorisation: Test for copied training recordings, on coarse spectrograms.
        details: What a report draws: ``classes``, by label and value the accuracy of synthetic and of real recordings.
        stamps: ``feature_space``, ``fingerprint``, ``rate``, ``counts``, ``seed``, ``formulas``: only evaluations with
            equal stamps can be compared.
        notes: What a reader should know about these figures, one sentence each.
    """

    KIND: ClassVar[str] = "audio"
    WHAT: ClassVar[str] = "recordings"
    ROW: ClassVar[Any] = AudioRow
    PARTS: ClassVar[Mapping[str, Any]] = {"memorisation": Memorisation}
    VERSION: ClassVar[int] = VERSION
    rows: tuple[AudioRow, ...]
    memorisation: Memorisation
    details: dict[str, Any] = field(default_factory=dict)
    stamps: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_rows(self) -> list[dict[str, str]]:
        """The table as text cells by column heading, for others to render; columns without a figure are left out."""
        labels = list(dict.fromkeys(label for row in self.rows for label in row.accuracy))
        cells = [
            {
                "": row.name,
                "n": str(row.n),
                "Fréchet": _number(row.frechet),
                **{f"{label} %": _percent(row.accuracy.get(label)) for label in labels},
                "Precision": _number(row.precision),
                "Recall": _number(row.recall),
                "Coverage": _number(row.coverage),
                "Diversity": _number(row.diversity),
                "Mel, dB": _number(row.mel_distance),
            }
            for row in self.rows
        ]
        return filled(cells)

    def headline(self) -> str:
        """One sentence of judgement in plain words."""
        made, floor, ceiling = self.row(SYNTHETIC), self.row(HOLDOUT), self.row(RECONSTRUCTIONS)
        if made is None:
            return "No synthetic recordings were evaluated."
        real = floor.accuracy if floor is not None else {}
        told = [
            f"{label} recognised in {value:.1%}" + (f" ({real[label]:.1%} of real ones)" if label in real else "")
            for label, value in made.accuracy.items()
        ]
        beside = [f"unseen real recordings {_number(floor.frechet)}"] if floor is not None else []
        if ceiling is not None:
            beside.append(f"reconstructions {_number(ceiling.frechet)}")
        told.append(f"Fréchet distance {_number(made.frechet)}" + (f" ({', '.join(beside)})" if beside else ""))
        if made.diversity is not None:
            told.append(f"within a class {made.diversity:.0%} as varied as real ones")
        copied = {"copies": "training recordings were copied", "close": "samples lie close to the training recordings"}
        if self.memorisation.status in copied:
            told.append(copied[self.memorisation.status])
        text = "; ".join(told)
        return f"{text[:1].upper()}{text[1:]}."

    def __str__(self) -> str:
        lines = [self.headline(), "", *lines_of(self.to_rows())]
        lines += ["", f"Copying: {self.memorisation.verdict}", f"Features: {self.stamps.get('feature_space')}."]
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
