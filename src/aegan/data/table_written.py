"""Numbers written as people do: currencies, percent, units, thousands set apart, negative amounts in parentheses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from aegan.data.table_frames import make_dtype
from aegan.data.table_looks import Look, Read

_GROUPS = (",", ".", "'", "’", " ", "\u00a0", "\u202f")
_STYLES = (*((group, "," if group == "." else ".") for group in _GROUPS),
           *((group, ",") for group in (" ", "\u00a0", "\u202f", "'")), ("", "."), ("", ","))  # fmt: skip
"""What sets thousands apart, and the decimal sign."""
_PARTS = re.compile(r"^(\(?)([+-]?)(\D*?)([+-]?)(\d(?:[\d.,'’ \u00a0\u202f]*\d)?)(\D*?)(\)?)$")
_CODES = ("USD", "EUR", "GBP", "CHF", "JPY", "CNY", "SEK", "NOK", "DKK", "PLN", "CZK", "INR", "AUD", "CAD", "BRL", "Rs",
          "Rs.", "R", "kr", "kr.", "Fr", "Fr.", "zł", "Kč")  # fmt: skip
_SIGNS = ("", "%", "‰", "°", "°C", "°F")
MOST = 1e15
"""Amounts beyond are codes rather than numbers: a float does not hold all of their digits."""


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How numbers are written.

    Attributes:
        before: Before the digits, such as ``$``.
        after: Behind them, such as ``%`` or `` kg``.
        group: What sets thousands apart; empty for nothing.
        point: The decimal sign.
        places: Digits behind it; None where these vary.
        minus: Where a minus stands: ``"first"``, before ``before``; ``"digits"``, behind that; or ``"parentheses"``.
    """

    before: str = ""
    after: str = ""
    group: str = ""
    point: str = "."
    places: int | None = 0
    minus: str = "first"

    def read(self, text: str) -> float:
        """The number of a text in this writing; NaN for any other."""
        found = _PARTS.match(text.strip())
        if found is None:
            return np.nan
        opening, first, before, second, digits, after, closing = found.groups()
        if before != self.before or after != self.after or bool(opening) != bool(closing) or (first and second):
            return np.nan
        digits = digits.replace(self.group, "") if self.group else digits
        try:
            value = float(digits.replace(self.point, ".", 1))
        except ValueError:
            return np.nan
        return -value if opening or "-" in (first, second) else value

    def write(self, value: float) -> str:
        """Inverse of :meth:`read`."""
        size = abs(value)
        digits = f"{size:,.{self.places}f}" if self.places is not None else f"{size:,.9f}".rstrip("0").rstrip(".")
        digits = digits.replace(",", "\0").replace(".", self.point).replace("\0", self.group)
        negative = value < 0 and any(digit in "123456789" for digit in digits)
        if negative and self.minus == "parentheses":
            return f"({self.before}{digits}{self.after})"
        minus = "-" if negative else ""
        first, second = (minus, "") if self.minus != "digits" else ("", minus)
        return f"{first}{self.before}{second}{digits}{self.after}"


def find_writing(texts: pd.Series) -> Writing | None:
    """The one writing that all of the distinct ``texts`` are in and come back in; None where there is none."""
    found = [_PARTS.match(str(text).strip()) for text in texts.iloc[:200]]
    if not found or any(one is None for one in found):
        return None
    parts = [one.groups() for one in found if one is not None]
    around = {(before, after) for _, _, before, _, _, after, _ in parts}
    if len(around) != 1:
        return None
    before, after = around.pop()
    if not (_is_currency(before) or not before) or not _is_unit(after):
        return None
    digits = [part[4] for part in parts]
    if not before and not after and len({len(one.lstrip("0")) for one in digits}) == 1:
        return None  # telephone numbers and codes have one length
    signs = {bool(part[0]) * "parentheses" or bool(part[3]) * "digits" or "first" for part in parts if _minus(part)}
    for group, point in _STYLES:
        if group and not any(group in one for one in digits):
            continue
        places = {len(one.partition(point)[2]) for one in digits}
        made = Writing(
            before=before,
            after=after,
            group=group,
            point=point,
            places=places.pop() if len(places) == 1 else None,
            minus=next(iter(signs), "first"),
        )
        if _decorated(made) and all(_comes_back(made, str(text)) for text in texts):
            return made
    return None


def _minus(part: tuple[str, ...]) -> bool:
    return bool(part[0]) or "-" in (part[1], part[3])


def _decorated(writing: Writing) -> bool:
    """Whether it differs from a plain number; bare digits are codes or numbers that are read already."""
    decimals = writing.point == "," and writing.places != 0
    return bool(writing.before or writing.after or writing.group) or decimals or writing.minus == "parentheses"


def _comes_back(writing: Writing, text: str) -> bool:
    value = writing.read(text)
    return bool(abs(value) < MOST) and writing.write(value) == text.strip()


def _is_currency(text: str) -> bool:
    bare = text.strip()
    signs = [unicodedata.category(c) == "Sc" for c in bare]
    as_in_us = len(bare) <= 3 and any(signs) and all(s or c.isupper() for s, c in zip(signs, bare, strict=True))
    return bare in _CODES or as_in_us


def _is_unit(text: str) -> bool:
    bare = text.strip()
    if bare in _SIGNS or _is_currency(bare):
        return True
    # Set apart, since letters right behind digits make a code.
    return text[0] in " \u00a0\u202f" and len(bare) <= 8 and re.sub("[/²³.]", "", bare).isalpha()


@dataclass(frozen=True, kw_only=True)
class WrittenLook(Look):
    """Text that holds amounts as float64.

    Attributes:
        writing: How the numbers are written.
    """

    kind: ClassVar[str] = "written"
    writing: Writing

    @property
    def decimals(self) -> int | None:
        """Digits behind the point that the column has; None where these vary."""
        return self.writing.places

    def read(self, series: pd.Series) -> Read:
        """The numbers; what is not written so is missing."""
        codes, texts = pd.factorize(series.astype(object))
        values = np.array([self.writing.read(str(text)) for text in texts] + [np.nan])
        values = values[np.where(codes < 0, len(texts), codes)]
        missing = ~np.isfinite(values)
        return np.where(missing, 0.0, values), missing

    def write(self, values: np.ndarray, missing: np.ndarray) -> pd.Series:
        """Text in the same writing."""
        codes, amounts = pd.factorize(np.asarray(values, dtype=np.float64))
        texts = np.array([self.writing.write(amount) for amount in amounts.tolist()] + [np.nan], dtype=object)
        return pd.Series(texts[np.where(missing, len(amounts), codes)], dtype=make_dtype(self.dtype))

    def parse(self, text: Any) -> tuple[float, float]:
        """One number, plain or written as in the column."""
        try:
            value = float(text)
        except (TypeError, ValueError):
            value = self.writing.read(str(text))
        if not np.isfinite(value):
            raise ValueError(text)
        return value, value

    def show(self, value: Any) -> str:
        """As it is written."""
        return self.writing.write(float(value))

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return {"look": self.kind, "dtype": self.dtype, "writing": asdict(self.writing)}


def writing_from_json(data: Mapping[str, Any]) -> Writing:
    """Inverse of ``asdict``.

    Raises:
        TypeError: A key that there is not.
        ValueError: A value that cannot be.
    """
    made = Writing(**data)
    texts = (made.before, made.after, made.group, made.point, made.minus)
    if not all(isinstance(text, str) for text in texts) or not (made.places is None or 0 <= made.places <= 20):
        raise ValueError(f"writing {dict(data)!r}")
    return made
