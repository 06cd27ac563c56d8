"""Class labels: any column of names or numbers to int64 indices, sorted the way people sort."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from aegan.errors import DataError, nearest


def natural_key(text: str) -> tuple[list[str | int], str]:
    """Sort key that reads runs of digits as numbers.

    >>> sorted(["10", "9", "a2", "a10"], key=natural_key)
    ['9', '10', 'a2', 'a10']
    """
    parts: list[str | int] = [
        int(part) if position % 2 else part.casefold() for position, part in enumerate(re.split(r"(\d+)", text))
    ]
    return parts, text


def path_key(path: str) -> str:
    """One string that sorts a path, part by part, as :func:`natural_key` does: for very many of them.

    >>> sorted(["b/10", "b/9", "a2/1", "a10/1"], key=path_key)
    ['a2/1', 'a10/1', 'b/9', 'b/10']
    """
    # Marks below every printable character: an end sorts before digits, digits before letters.
    return "\0".join(f"{_DIGITS.sub(_numbered, part).casefold()}\1{part}" for part in path.split("/"))


_DIGITS = re.compile(r"\d+")


def _numbered(digits: re.Match[str]) -> str:
    number = digits.group().lstrip("0")
    return f"\2{len(number):04d}{number}"


def encode_labels(values: Any, n: int, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn one label per image into class indices and class names.

    Args:
        values: Integers, whole-valued floats, booleans or strings, ``(n,)`` or ``(n, 1)``.
        n: Number of images.
        where: Named in errors.

    Returns:
        int64 indices ``(n,)`` and the class names: the distinct values as strings, naturally sorted.

    Raises:
        DataError: Wrong shape or length, one-hot rows, missing or fractional values.

    >>> encode_labels([10, 9, 10], 3, "labels")
    (array([1, 0, 1]), ('9', '10'))
    """
    names = label_names(values, n, where)
    classes = tuple(sorted(set(names), key=natural_key))
    index = {name: i for i, name in enumerate(classes)}
    return np.array([index[name] for name in names], dtype=np.int64), classes


def label_names(values: Any, n: int, where: str) -> list[str]:
    """The labels as strings, checked; see :func:`encode_labels`."""
    array = _as_array(values, where)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and len(array) == n:
        raise DataError(
            f"{where}: labels of shape {array.shape} look like one column a class. "
            "Expected one label per image, shape (N,). Use labels.argmax(axis=1)."
        )
    if array.ndim != 1 or len(array) != n:
        raise DataError(f"{where}: got labels of shape {array.shape} for {n} images; expected ({n},), one a image.")
    if array.dtype.kind in "fiub":
        return _number_names(array, where)
    values = array.tolist()
    for i, value in enumerate(values):
        if not isinstance(value, (str, int, np.integer)) or value == "":
            raise DataError(
                f"{where}: label {i} is {value!r} ({type(value).__name__}); expected an integer or a non-empty string. "
                "Leave out images without a label, or leave out the labels altogether."
            )
    return [str(value) for value in values]


def _as_array(values: Any, where: str) -> np.ndarray:
    if isinstance(values, Tensor):
        return values.detach().cpu().numpy()
    try:
        plain = list(values) if isinstance(values, (list, tuple)) else values
        # A list of mixed strings and numbers would silently become strings, None included: keep the objects.
        mixed = isinstance(plain, list) and len({type(value) for value in plain}) > 1
        return np.array(plain, dtype=object) if mixed else np.asarray(plain)
    except ValueError as error:
        raise DataError(f"{where}: labels cannot be read as one column: {error}. Expected shape (N,).") from error


def _number_names(array: np.ndarray, where: str) -> list[str]:
    if array.dtype.kind == "f":
        wrong = np.flatnonzero(~np.isfinite(array) | (array != np.rint(array)))
        if len(wrong):
            raise DataError(
                f"{where}: label {wrong[0]} is {array[wrong[0]]}; expected class numbers or names "
                "(a measured quantity is not a class). Round or bin it first, or leave out the labels."
            )
        array = array.astype(np.int64)
    return [str(value) for value in array.tolist()]


def map_labels(labels: np.ndarray, classes: Sequence[str], known: Sequence[str], where: str) -> np.ndarray:
    """Class indices of another source, carried over by class name.

    Args:
        labels: int64 indices into ``classes``, ``(N,)``.
        classes: Class names of this source.
        known: Class names the adapter was fitted with.
        where: Named in errors.

    Returns:
        int64 indices into ``known``, ``(N,)``.

    Raises:
        DataError: A class that was not there when the adapter was fitted.

    >>> map_labels(np.array([0, 1]), ["b", "c"], ["a", "b", "c"], "holdout")
    array([1, 2])
    """
    position = {name: i for i, name in enumerate(known)}
    for name in classes:
        if name not in position:
            raise DataError(
                f"{where}: class {name!r} was not in the data the model was fitted on. {nearest(name, known)} "
                "Rename the class, leave its images out, or give the images without labels."
            )
    table = np.array([position[name] for name in classes], dtype=np.int64)
    return table[labels]
