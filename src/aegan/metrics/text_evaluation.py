"""What an evaluation of texts found: plain values with the stamps that say what they can be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aegan.metrics.evaluation import HOLDOUT, SYNTHETIC
from aegan.metrics.judged import Judged, filled, lines_of

VERSION = 1
"""Version of the JSON form."""


@dataclass(frozen=True, kw_only=True)
class TextRow:
    """One set of texts; None where a figure is undefined or was not asked for.

    Attributes:
        name: ``"synthetic"``, ``"real holdout"`` (what real texts score) or ``"reconstructions"``.
        n: Texts of the set.
        bleu: BLEU-n by n, from 0 to 1, against the holdout; higher is better. Of real texts: that of as many training
            texts.
        self_bleu: The same of each text against the others of its set; lower is more varied. Of real texts: alike.
        forward: Perplexity of the set to an n-gram model that read the training texts; lower is more fluent.
        reverse: Perplexity of the holdout to an n-gram model that read the set; lower has more of what there is. Of
            real texts: of one that read as many training texts.
        characters: Total variation distance of runs of three characters from the holdout's, from 0 to 1.
        frechet: Fréchet distance of codes from those of the training texts.
        copies: Share that is a training text, to the character.
        duplicates: Share that came before in the same set.
        accuracy: Share of the holdout's tokens that its reconstructions have in their place.
        exact: Share of the holdout's texts that are reconstructed to the character.
    """

    name: str
    n: int
    bleu: Mapping[int, float] = field(default_factory=dict)
    self_bleu: Mapping[int, float] = field(default_factory=dict)
    forward: float | None = None
    reverse: float | None = None
    characters: float | None = None
    frechet: float | None = None
    copies: float | None = None
    duplicates: float | None = None
    accuracy: float | None = None
    exact: float | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TextRow:
        """Inverse of ``asdict``, through JSON."""
        values = dict(data)
        for name in ("bleu", "self_bleu"):
            values[name] = {int(n): float(value) for n, value in values[name].items()}
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class TextEvaluation(Judged[TextRow]):
    """Result of :func:`aegan.metrics.text.evaluate_text`.

    Attributes:
        rows: One per set of texts, the synthetic one first.
        details: What a report draws: ``texts`` made, lengths, and pairs of originals and reconstructions.
        stamps: ``unit``, ``counts``, ``references``, ``order``, ``seed``, ``encoder``, ``formulas``: only evaluations
            with equal stamps can be compared.
        notes: What a reader should know about these figures, one sentence each.
    """

    KIND: ClassVar[str] = "text"
    WHAT: ClassVar[str] = "text"
    ROW: ClassVar[Any] = TextRow
    VERSION: ClassVar[int] = VERSION
    rows: tuple[TextRow, ...]
    details: dict[str, Any] = field(default_factory=dict)
    stamps: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_rows(self) -> list[dict[str, str]]:
        """The table as text cells by column heading, for others to render; columns without a figure are left out."""
        cells = [_cells(row) for row in self.rows]
        return filled(cells)

    def headline(self) -> str:
        """One sentence of judgement in plain words."""
        made, real = self.row(SYNTHETIC), self.row(HOLDOUT)
        if made is None:
            return "No synthetic texts were evaluated."
        parts, beside = [], []
        for words, name in (("BLEU-4", "bleu"), ("self-BLEU-4", "self_bleu")):
            value, floor = getattr(made, name).get(4), getattr(real, name).get(4) if real is not None else None
            if value is not None:
                parts.append(f"{words} {value:.3f}")
                beside.append("–" if floor is None else f"{floor:.3f}")
        if made.characters is not None:
            parts.append(f"letters off by {made.characters:.3f}")
            beside.append("–" if real is None or real.characters is None else f"{real.characters:.3f}")
        text = ", ".join(parts) or "No score was computed"
        text += ", with no real texts to set them against" if real is None else f" (real texts: {', '.join(beside)})"
        judged = _judgement(made, real)
        return f"{text}{': ' if judged else ''}{judged}."

    def __str__(self) -> str:
        lines = [self.headline(), "", *lines_of(self.to_rows())]
        if self.stamps.get("encoder"):
            lines += ["", f"Codes of {self.stamps['encoder']}."]
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines)


def _cells(row: TextRow) -> dict[str, str]:
    return {
        "": row.name,
        "n": str(row.n),
        **{f"BLEU-{n}": _number(row.bleu.get(n)) for n in (2, 3, 4, 5)},
        **{f"self-{n}": _number(row.self_bleu.get(n)) for n in (2, 3, 4, 5)},
        "Forward": _number(row.forward, 1),
        "Reverse": _number(row.reverse, 1),
        "Letters": _number(row.characters),
        "Codes": _number(row.frechet),
        "Copies %": _percent(row.copies),
        "Repeats %": _percent(row.duplicates),
        "Tokens right %": _percent(row.accuracy),
        "Exact %": _percent(row.exact),
    }


def _judgement(made: TextRow, real: TextRow | None) -> str:
    """What stands out beside real texts, in words; empty where nothing does."""
    said = []
    if real is None:
        return ""
    if made.duplicates is not None and real.duplicates is not None and made.duplicates > 2 * real.duplicates + 0.02:
        said.append(f"{made.duplicates:.1%} of the texts repeat others")
    if made.copies is not None and real.copies is not None and made.copies > 1.5 * real.copies + 0.05:
        said.append(f"{made.copies:.1%} are copies of training texts")
    if made.self_bleu and real.self_bleu:
        if made.self_bleu[4] > real.self_bleu[4] + 0.05:
            said.append("less varied than real texts")
        elif made.bleu and made.bleu[4] >= real.bleu[4] - 0.02:
            said.append("as good and as varied as real texts, by these counts")
    if made.forward is not None and real.forward is not None and made.forward > 1.5 * real.forward:
        said.append("less fluent than real texts")
    return ", ".join(said)


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"
