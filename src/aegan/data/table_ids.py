"""Identifiers: recognised with caution, never learnt, made anew so that none of the fitted ones occurs again."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from aegan.errors import DataError

FEWEST = 20
"""Least number of rows that can show that a column is unique on purpose."""
LONGEST = 40
_NAMED = re.compile(
    r"(^|[_\-. ])(id|ids|key|uuid|guid|no|nr|num|number|index|idx|rownum|rownames|row)$|^Unnamed: 0$", re.I
)
_NAMED_CAMEL = re.compile(r"[a-z](Id|ID|Key|No|Nr|Number)$")
_NUMBERED = re.compile(r"^(\D*)(\d+)(\D*)$")
_CLASSES = (string.digits, string.digits + "abcdef", string.digits + "ABCDEF", string.ascii_lowercase,
            string.ascii_uppercase, string.digits + string.ascii_lowercase, string.digits + string.ascii_uppercase,
            string.ascii_letters, string.digits + string.ascii_letters)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """How identifiers are made.

    Either ``prefix``, a running number and ``suffix``; or, with ``alphabets``, one character from each of them, the
    first few taken from ``free``: beginnings that no fitted identifier has.

    Attributes:
        start: First running number.
        step: Between running numbers.
        width: Digits that a running number is filled up to with zeros; 0 for none.
        prefix: Before the number.
        suffix: Behind it.
        text: Whether identifiers are strings.
        alphabets: Characters at each place.
        free: Unused choices for the first places that vary.
    """

    start: int = 0
    step: int = 1
    width: int = 0
    prefix: str = ""
    suffix: str = ""
    text: bool = False
    alphabets: tuple[str, ...] = ()
    free: tuple[str, ...] = ()

    def make(self, start: int, n: int) -> np.ndarray:
        """Identifiers ``start`` to ``start + n - 1``, all different from each other and from the fitted ones."""
        if self.alphabets:
            return self._scrambled(start, n)
        first = self.start + self.step * start
        kind = np.int64 if first + self.step * n < 2**63 else np.uint64
        numbers = np.array(first, dtype=kind) + np.array(self.step, dtype=kind) * np.arange(n, dtype=kind)
        if not self.text:
            return numbers
        out = np.empty(n, dtype=object)
        out[:] = [f"{self.prefix}{number:0{self.width}d}{self.suffix}" for number in numbers.tolist()]
        return out

    def _scrambled(self, start: int, n: int) -> np.ndarray:
        """The number of each, mixed so that neighbours look unrelated, written in the alphabets."""
        varying = [i for i, alphabet in enumerate(self.alphabets) if len(alphabet) > 1]
        first = len(self.free[0])
        tail = varying[first:]
        size = len(self.free)
        used = 0
        while used < len(tail) and size * len(self.alphabets[tail[used]]) < 2**31:
            size *= len(self.alphabets[tail[used]])
            used += 1
        stride = next(s for s in range(int(size * 0.618) | 1, 2 * size + 3, 2) if math.gcd(s, size) == 1)
        rows = np.arange(start, start + n, dtype=np.int64)
        number = (rows % size * stride + 12345) % size
        chars = np.empty((n, len(self.alphabets)), dtype="U1")
        for i, alphabet in enumerate(self.alphabets):
            chars[:, i] = alphabet[0]
        heads = np.array([list(head) for head in self.free], dtype="U1")
        chars[:, varying[:first]] = heads[number % len(self.free)]
        number //= len(self.free)
        for i in tail[:used]:
            letters = np.array(list(self.alphabets[i]), dtype="U1")
            chars[:, i] = letters[number % len(letters)]
            number //= len(letters)
        for i in tail[used:]:
            letters = np.array(list(self.alphabets[i]), dtype="U1")
            chars[:, i] = letters[_mixed(rows, i) % np.uint64(len(letters))]
        return np.ascontiguousarray(chars).view(f"U{len(self.alphabets)}")[:, 0].astype(object)

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any, where: str) -> Pattern:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: A key is missing or unknown, or a value cannot be.
        """
        try:
            if not isinstance(data, Mapping):
                raise TypeError("an object is expected")
            options = dict(data)
            options["alphabets"], options["free"] = tuple(options["alphabets"]), tuple(options["free"])
            pattern = cls(**options)
            pattern.make(0, 1)
        except (KeyError, TypeError, ValueError, IndexError, StopIteration) as error:
            raise DataError(f"{where}: {error!r}; the file is damaged.") from error
        return pattern


def _mixed(rows: np.ndarray, place: int) -> np.ndarray:
    """A hash of each row's number and a place (splitmix64), so that keys do not depend on how a draw is cut."""
    x = (rows.astype(np.uint64) << np.uint64(6)) + np.uint64(place)  # a key has at most LONGEST = 40 places
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def find_pattern(name: str, cells: pd.Series, *, forced: bool = False) -> Pattern | None:
    """The pattern of an identifier; None where the column does not look like one.

    Args:
        name: Of the column; one such as ``customer_id`` counts for whole numbers.
        cells: All of them, none missing: whole numbers or strings.
        forced: The user says that it is an identifier.
    """
    if not forced and (len(cells) < FEWEST or not cells.is_unique):
        return None
    if cells.dtype.kind in "iu":
        return _whole_numbers(name, cells, forced)
    if cells.dtype.kind == "f":
        return None
    texts = [str(cell) for cell in cells]
    if max(map(len, texts)) > LONGEST:
        return None
    found = [_NUMBERED.match(text) for text in texts]
    if all(found):
        parts = [match.groups() for match in found if match]
        if len({(prefix, suffix) for prefix, _, suffix in parts}) == 1:
            prefix, number, suffix = parts[0]
            width = len(number) if len({len(digits) for _, digits, _ in parts}) == 1 else 0
            top = max(int(digits) for _, digits, _ in parts)
            if top < 2**62:
                return Pattern(start=top + 1, width=width, prefix=prefix, suffix=suffix, text=True)
    pattern = _places(texts)
    return Pattern(start=1, prefix=f"{name}-", text=True) if pattern is None and forced else pattern


def _whole_numbers(name: str, cells: pd.Series, forced: bool) -> Pattern | None:
    unsigned = cells.dtype.kind == "u"
    values = np.sort(cells.to_numpy(dtype=np.uint64 if unsigned else np.int64))
    gaps = np.diff(values.astype(np.uint64))  # as such the difference of any two fits
    steps = np.unique(gaps) if len(values) > 1 else np.ones(1, dtype=np.uint64)
    named = bool(_NAMED.search(name) or _NAMED_CAMEL.search(name))
    counted = len(steps) == 1 and steps[0] == 1 and values[0] in (0, 1)
    if not (forced or named or counted):
        return None
    step = int(steps[0]) if len(steps) == 1 and steps[0] > 0 else 1
    top = int(values[-1])
    if (2**64 if unsigned else 2**63) - top < step * 2**32:  # nothing left behind the last: in the widest gap
        below, widest = int(values[0]), int(gaps.max(initial=0))
        return Pattern(start=0) if below > widest else Pattern(start=int(values[gaps.argmax()]) + 1)
    return Pattern(start=top + step, step=step)


def _places(texts: list[str]) -> Pattern | None:
    """Strings of one length, with the same kind of character at each place, some of them digits."""
    length = len(texts[0])
    if length < 3 or any(len(text) != length for text in texts) or any(" " in text for text in texts):
        return None
    columns = [sorted(set(column)) for column in zip(*texts, strict=True)]
    alphabets = []
    for chars in columns:
        if len(chars) == 1 or (len(texts) >= 200 and len(chars) <= 4):
            alphabets.append("".join(chars))
            continue
        kind = next((one for one in _CLASSES if set(chars) <= set(one)), None)
        if kind is None:
            return None
        alphabets.append(kind)
    varying = [i for i, alphabet in enumerate(alphabets) if len(alphabet) > 1]
    digits = any(set(columns[i]) & set(string.digits) for i in varying)
    if not digits or math.prod(len(alphabets[i]) for i in varying) < 1000 * len(texts):
        return None
    for first in range(1, len(varying) + 1):
        space = math.prod(len(alphabets[i]) for i in varying[:first])
        if space < min(20 * len(texts), 10**7) and first < len(varying):
            continue
        used = {"".join(text[i] for i in varying[:first]) for text in texts}
        rng, free = np.random.default_rng(0), set()
        for _ in range(20_000):
            head = "".join(alphabets[i][rng.integers(len(alphabets[i]))] for i in varying[:first])
            if head not in used:
                free.add(head)
            if len(free) == 1000:
                break
        if free:
            return Pattern(text=True, alphabets=tuple(alphabets), free=tuple(sorted(free)))
    return None
