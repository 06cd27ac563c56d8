"""Texts beside real ones: quality, variety, fluency, copies, codes, reconstructions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from aegan.errors import ConfigError, DataError
from aegan.metrics import text_bleu, text_kneser_ney
from aegan.metrics.evaluation import HOLDOUT, SYNTHETIC
from aegan.metrics.frechet import frechet_distance
from aegan.metrics.text_bleu import bleu, self_bleu
from aegan.metrics.text_evaluation import TextEvaluation, TextRow
from aegan.metrics.text_kneser_ney import ORDER, KneserNey
from aegan.metrics.text_ngrams import UNITS, character_distance, choose_unit, tokens_of

REFERENCES = 10_000
"""Texts of each side of an evaluation at most."""
LEAST = 20
"""Texts of each side at least."""
SHOWN = 60
"""Made texts that are kept for the report."""

Encode = Callable[[Sequence[str]], np.ndarray]
"""Texts to codes ``(N, D)``."""


def evaluate_text(
    train: Sequence[str],
    synthetic: Sequence[str],
    holdout: Sequence[str],
    *,
    pairs: Sequence[tuple[str, str]] = (),
    encode: Encode | None = None,
    encoder: str = "",
    unit: str = "auto",
    order: int = ORDER,
    references: int = REFERENCES,
    seed: int = 0,
) -> TextEvaluation:
    """Judge made texts beside real ones.

    Every figure of the row "real holdout" is what real texts score in the place of made ones: training texts, as many
    as there are made ones, against the holdout; the holdout against the training texts for ``copies`` and ``forward``.

    Args:
        train: What the generator learnt.
        synthetic: What it made.
        holdout: Real texts that it has not seen.
        pairs: Held-out texts, each beside its reconstruction.
        encode: Texts to codes, for the Fréchet distance.
        encoder: What ``encode`` is, in words.
        unit: Tokens are ``"word"`` or ``"character"``; ``"auto"``: see
            :func:`~aegan.metrics.text_ngrams.choose_unit`.
        order: Of the n-gram models.
        references: Most texts of each side; both BLEUs grow with their number.
        seed: Which texts, where there are more.

    Raises:
        DataError: Fewer than 20 texts on a side.
        ConfigError: Another unit.
    """
    if unit not in ("auto", *UNITS):
        raise ConfigError(f"unit is {unit!r}; expected one of auto, {', '.join(UNITS)}.")
    for name, texts in (("training", train), ("made", synthetic), ("held-out", holdout)):
        if len(texts) < LEAST:
            raise DataError(f"evaluate_text: {len(texts)} {name} texts; expected at least {LEAST}.")
    unit = choose_unit(train) if unit == "auto" else unit
    made, test = _some(synthetic, references, seed), _some(holdout, references, seed)
    count = min(len(made), len(train))
    made, real = made[:count], _some(train, count, seed)
    judge = _Judge(train, test, unit, order, encode)
    rows = [judge.row(SYNTHETIC, made, made), judge.row(HOLDOUT, real, test)]
    details: dict[str, Any] = {"texts": list(made[:SHOWN])}
    if pairs:
        rows.append(_rebuilt(pairs, unit))
        details["pairs"] = [list(pair) for pair in pairs[:SHOWN]]
    details["lengths"] = {name: _lengths(texts, unit) for name, texts in ((SYNTHETIC, made), (HOLDOUT, test))}
    stamps = {
        "unit": unit,
        "counts": {"train": len(train), "synthetic": len(made), "holdout": len(test)},
        "references": len(test),
        "order": order,
        "seed": seed,
        "encoder": encoder if encode is not None else "",
        "formulas": {"bleu": text_bleu.VERSION, "kneser_ney": text_kneser_ney.VERSION},
    }
    notes = []
    if len(test) < 1_000:
        notes.append(f"Only {len(test)} held-out texts: BLEU is low and rough with so few references.")
    return TextEvaluation(rows=tuple(rows), details=details, stamps=stamps, notes=tuple(notes))


class _Judge:
    """What all rows are measured against."""

    def __init__(self, train: Sequence[str], test: Sequence[str], unit: str, order: int, encode: Encode | None) -> None:
        self.known, self.test, self.unit, self.order, self.encode = set(train), test, unit, order, encode
        self.references = self._cut(test)
        read = self._cut(_some(train, REFERENCES, 0))
        self.kinds = len({token for text in (*read, *self.references) for token in text})
        self.reader = KneserNey(read, order=order, kinds=self.kinds)
        self.codes = None if encode is None else encode(_some(train, REFERENCES, 0))

    def _cut(self, texts: Sequence[str]) -> list[list[str]]:
        return [tokens_of(text, self.unit) for text in texts]

    def row(self, name: str, made: Sequence[str], unseen: Sequence[str]) -> TextRow:
        """``made`` is compared with the holdout, ``unseen`` with the training texts."""
        tokens = self._cut(made)
        return TextRow(
            name=name,
            n=len(made),
            bleu=bleu(tokens, self.references),
            self_bleu=self_bleu(tokens),
            forward=self.reader.perplexity(self._cut(unseen)),
            reverse=KneserNey(tokens, order=self.order, kinds=self.kinds).perplexity(self.references),
            characters=character_distance(made, self.test),
            frechet=None if self.encode is None or self.codes is None else _distance(self.codes, self.encode(unseen)),
            copies=float(np.mean([text in self.known for text in unseen])),
            duplicates=1.0 - len(set(made)) / len(made),
        )


def _distance(real: np.ndarray, made: np.ndarray) -> float:
    return frechet_distance(real, made)


def _rebuilt(pairs: Sequence[tuple[str, str]], unit: str) -> TextRow:
    right = total = 0
    for original, made in pairs:
        one, other = tokens_of(original, unit), tokens_of(made, unit)
        right += sum(a == b for a, b in zip(one, other, strict=False))
        total += max(len(one), len(other))
    same = float(np.mean([a == b for a, b in pairs]))
    return TextRow(name="reconstructions", n=len(pairs), accuracy=right / max(1, total), exact=same)


def _some(texts: Sequence[str], count: int, seed: int) -> list[str]:
    """At most ``count`` of the texts, in a random order."""
    order = np.random.default_rng(seed).permutation(len(texts))[:count]
    return [texts[int(i)] for i in order]


def _lengths(texts: Sequence[str], unit: str) -> list[int]:
    """How many texts have 0, 1, 2, … tokens."""
    return np.bincount([len(tokens_of(text, unit)) for text in texts]).tolist()
