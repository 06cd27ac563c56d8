"""Rules between columns as people write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aegan.errors import ConfigError

FORMS = "'a <= b', 'a >= b', 'fixed(a, b, …)', 'unique(a, …)', 'auto'"


@dataclass(frozen=True, kw_only=True)
class Given:
    """A rule that the user wrote.

    Attributes:
        kind: ``"order"``, ``"fixed"`` or ``"unique"``.
        columns: The lower one first for an order.
        text: As it was written.
    """

    kind: str
    columns: tuple[str, ...]
    text: str


def parse_rules(rules: str | Sequence[str]) -> tuple[bool, list[Given]]:
    """Whether rules are learnt, and those that are given.

    Raises:
        ConfigError: Not of a form that there is.
    """
    if isinstance(rules, str):
        if rules not in ("auto", "none"):
            raise ConfigError(f"rules is {rules!r}; expected 'auto', 'none' or a list of {FORMS}.")
        return rules == "auto", []
    given: list[Given] = []
    for text in rules:
        called = re.fullmatch(r"\s*(fixed|unique)\s*\((.*)\)\s*", str(text))
        if called:
            columns = listed(called.group(2))
            if not all(columns) or (called.group(1) == "fixed" and len(columns) < 2):
                raise ConfigError(f"rules: {text!r} names too few columns; expected one of {FORMS}.")
            given.append(Given(kind=called.group(1), columns=columns, text=text))
        elif text == "auto":
            continue
        elif len(parts := re.split(r"<=|>=", str(text))) == 2 and all(part.strip() for part in parts):
            low, high = (part.strip() for part in (parts if "<=" in text else reversed(parts)))
            given.append(Given(kind="order", columns=(low, high), text=text))
        else:
            raise ConfigError(f"rules: {text!r} is no rule; expected one of {FORMS}.")
    return "auto" in rules, given


def listed(text: str) -> tuple[str, ...]:
    r"""Names between commas; one that holds a comma itself stands in quotes, of either sort.

    >>> listed("a, 'city, state', b")
    ('a', 'city, state', 'b')
    """
    names = re.findall(r"""\s*("[^"]*"|'[^']*'|[^,]*?)\s*,""", text + ",")
    return tuple(name[1:-1] if len(name) > 1 and name[0] in "\"'" and name[0] == name[-1] else name for name in names)


def quoted(name: str) -> str:
    """A name as :func:`listed` reads it."""
    return f'"{name}"' if "," in name else name
