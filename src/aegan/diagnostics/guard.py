"""What keeps an error of the doctor's own out of the training that it watches."""

from __future__ import annotations

from typing import Any

MOST = 20
"""Errors that are kept."""


class Guard:
    """Looking must never break a training, nor one part of it another."""

    def __init__(self, errors: list[str]) -> None:
        self.errors = errors

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> bool:
        if not isinstance(error, Exception):
            return False
        noted(self.errors, error)
        return True


def noted(errors: list[str], error: Exception) -> None:
    """Keep what went wrong, once each, up to :data:`MOST` of them."""
    text = f"{type(error).__name__}: {error}"
    if text not in errors and len(errors) < MOST:
        errors.append(text)
