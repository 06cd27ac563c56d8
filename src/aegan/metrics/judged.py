"""What the evaluations of all kinds of data but images have alike: rows by name, JSON and back, a table in text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Generic, Self, TypeVar

from aegan.errors import DataError

R = TypeVar("R")


class Judged(Generic[R]):
    """Base of the frozen dataclasses that ``evaluate_table``, ``evaluate_series`` and their like return.

    Attributes:
        KIND: Kind of data, as in ``Spec.kind``.
        WHAT: What is judged, in words, for messages.
        ROW: Dataclass of a row; its ``from_json`` is used where it has one.
        PARTS: Further fields, by name, and the class that each is of: with ``to_json`` and ``from_json``. None is kept.
        VERSION: Of the JSON form.
        rows: One per set of samples, the synthetic one first.
        details: What a report draws.
        stamps: Only evaluations with equal stamps can be compared.
        notes: What a reader should know about these figures, one sentence each.
    """

    KIND: ClassVar[str]
    WHAT: ClassVar[str]
    ROW: ClassVar[Any]
    PARTS: ClassVar[Mapping[str, Any]] = {}
    VERSION: ClassVar[int]
    rows: tuple[R, ...]
    details: dict[str, Any]
    stamps: dict[str, Any]
    notes: tuple[str, ...]

    def row(self, name: str) -> R | None:
        """The row of that name, or None."""
        return next((row for row in self.rows if getattr(row, "name", None) == name), None)

    def headline(self) -> str:
        """One sentence of judgement in plain words."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        parts = {name: getattr(self, name) for name in self.PARTS}
        return {
            "version": self.VERSION,
            "kind": self.KIND,
            "headline": self.headline(),
            "rows": [asdict(row) for row in self.rows],  # type: ignore[call-overload]
            **{name: part and part.to_json() for name, part in parts.items()},
            "details": self.details,
            "stamps": self.stamps,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: Not what :meth:`to_json` returned, or from a newer version.
        """
        read = getattr(cls.ROW, "from_json", None) or (lambda row: cls.ROW(**row))
        try:
            if data["kind"] != cls.KIND:
                raise KeyError(f"kind {data['kind']!r}")
            if data["version"] > cls.VERSION:
                newer = f"version {data['version']}; at most {cls.VERSION} expected. Update aegan."
                raise DataError(f"{cls.__name__}.from_json: {newer}")
            values: dict[str, Any] = {
                "rows": tuple(read(row) for row in data["rows"]),
                **{name: data[name] and part.from_json(data[name]) for name, part in cls.PARTS.items()},
                "details": dict(data["details"]),
                "stamps": dict(data["stamps"]),
                "notes": tuple(data["notes"]),
            }
            return cls(**values)
        except (AttributeError, KeyError, TypeError) as error:
            raise DataError(
                f"{cls.__name__}.from_json: not an evaluation of {cls.WHAT} ({type(error).__name__}: {error}); the "
                f"value of {cls.__name__}.to_json expected. Evaluate anew."
            ) from error


def filled(cells: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """A table's cells by heading without the columns in which no row has a figure."""
    kept = [head for head in (cells[0] if cells else ()) if any(cell[head] != "–" for cell in cells)]
    return [{head: cell[head] for head in kept} for cell in cells]


def lines_of(cells: Sequence[Mapping[str, str]]) -> list[str]:
    """A table's cells as aligned lines of text, the headings first; names on the left, figures on the right."""
    if not cells:
        return []
    heads = list(cells[0])
    width = {head: max(len(head), *(len(cell[head]) for cell in cells)) for head in heads}
    table: list[Mapping[str, str]] = [dict(zip(heads, heads, strict=True)), *cells]
    return ["  ".join(line[h].ljust(width[h]) if h == "" else line[h].rjust(width[h]) for h in heads) for line in table]
