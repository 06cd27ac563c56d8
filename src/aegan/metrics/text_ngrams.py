"""Texts as rows of tokens, and the runs of n tokens in them, all as numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aegan.errors import ConfigError

UNITS = ("word", "character")
_WORDS = re.compile(r"\w+|[^\w\s]")


def choose_unit(texts: Sequence[str]) -> str:
    """``"word"`` where blanks part most texts into four or more, else ``"character"``.

    >>> choose_unit(["a dog in the park"]), choose_unit(["emma"])
    ('word', 'character')
    """
    counts = sorted(len(text.split()) for text in texts[:10_000])
    return "word" if counts and counts[len(counts) // 2] >= 4 else "character"


def tokens_of(text: str, unit: str) -> list[str]:
    """The words and signs of a text, or its characters.

    >>> tokens_of("A dog's bed.", "word")
    ['A', 'dog', "'", 's', 'bed', '.']

    Raises:
        ConfigError: Another unit.
    """
    if unit not in UNITS:
        raise ConfigError(f"unit is {unit!r}; expected one of {', '.join(UNITS)}.")
    return _WORDS.findall(text) if unit == "word" else list(text)


@dataclass(frozen=True)
class Corpus:
    """Texts one after the other.

    Attributes:
        tokens: int64 ``(M,)``.
        owner: Which text a token is of, int64 ``(M,)``.
        lengths: Tokens of each text, int64 ``(N,)``.
    """

    tokens: np.ndarray
    owner: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)


def corpora(*sets: Sequence[Sequence[str]]) -> list[Corpus]:
    """Sets of tokenised texts as numbers, the same for the same token in all of them."""
    index: dict[str, int] = {}
    made = []
    for texts in sets:
        flat = np.array([index.setdefault(token, len(index)) for text in texts for token in text], dtype=np.int64)
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        made.append(Corpus(flat, np.repeat(np.arange(len(lengths)), lengths), lengths))
    return made


def runs(sets: Sequence[Corpus], longest: int) -> Iterator[list[tuple[np.ndarray, np.ndarray]]]:
    """For n from 1 to ``longest``: of each corpus the texts and the numbers of its runs of n tokens, ``(R,)`` each.

    The same run has the same number in every corpus.
    """
    size = 1 + max((int(c.tokens.max()) for c in sets if len(c.tokens)), default=0)
    place = [np.arange(len(c.tokens)) for c in sets]
    number = [c.tokens for c in sets]
    for n in range(1, longest + 1):
        if n > 1:
            # A run goes on by one token where that belongs to the same text.
            kept = [p[p + n - 1 < len(c.tokens)] for p, c in zip(place, sets, strict=True)]
            same = [c.owner[p] == c.owner[p + n - 1] for p, c in zip(kept, sets, strict=True)]
            number = [v[: len(p)][s] for v, p, s in zip(number, kept, same, strict=True)]
            place = [p[s] for p, s in zip(kept, same, strict=True)]
            number = [v * size + c.tokens[p + n - 1] for v, p, c in zip(number, place, sets, strict=True)]
        found = np.unique(np.concatenate(number), return_inverse=True)[1]
        number = np.split(found, np.cumsum([len(v) for v in number])[:-1])
        yield [(c.owner[p], v) for c, p, v in zip(sets, place, number, strict=True)]


def character_distance(first: Sequence[str], second: Sequence[str], n: int = 3) -> float:
    """Total variation distance between the frequencies of runs of ``n`` characters, begin and end marked, from 0 to 1.

    >>> round(character_distance(["ab"], ["ac"]), 4)  # of ^^a, ^ab, ab$ the first is shared
    0.6667
    """
    pad = ["\x02"] * (n - 1), ["\x03"]
    sets = corpora(*([[*pad[0], *text, *pad[1]] for text in texts] for texts in (first, second)))
    counts = [v for _, v in list(runs(sets, n))[-1]]
    size = 1 + max(int(v.max()) for v in counts)
    p, q = (np.bincount(v, minlength=size) / len(v) for v in counts)
    return float(np.abs(p - q).sum() / 2)
