"""Labels of recordings: from folders, from file names by a pattern, or from a CSV; several at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from aegan.data.labels import natural_key
from aegan.errors import ConfigError, DataError, nearest

NO_LABELS = ("index", "id", "take", "number", "n", "_")
"""Names of a pattern's fields that tell recordings apart, and are no labels unless asked for."""
SHOWN = 5
Labels = dict[str, list[str]]


def pattern_fields(pattern: str) -> list[str]:
    """Names of the fields in a pattern such as ``{digit}_{speaker}_{index}``.

    Raises:
        ConfigError: No field, a field twice, fields without a text between them, or braces that do not match.
    """
    names = re.findall(r"\{([A-Za-z_]\w*)\}", pattern)
    rest = re.sub(r"\{[A-Za-z_]\w*\}", "\0", pattern)
    twice = sorted({name for name in names if names.count(name) > 1 and name != "_"})
    fault = (
        "it names no field"
        if not names
        else "braces that hold no name"
        if "{" in rest or "}" in rest
        else f"the field {twice[0]!r} is there twice"
        if twice
        else "two fields with nothing between them"
        if "\0\0" in rest
        else ""
    )
    if fault:
        raise ConfigError(f"--pattern {pattern!r}: {fault}. Expected one such as '{{digit}}_{{speaker}}_{{index}}'.")
    return names


def from_pattern(pattern: str, names: Sequence[str], wanted: Sequence[str] | None, where: str) -> Labels:
    """Labels from file names.

    Args:
        pattern: Fields in braces, other text as it is. Compared with the name without its suffix; a pattern with
            slashes also with the folders below the source.
        names: Paths below the source, with forward slashes.
        wanted: Fields that are labels; None: all but those of ``NO_LABELS``.
        where: Named in errors.

    Raises:
        DataError: Files that the pattern does not match; five of them are named.
        ConfigError: A pattern without fields, or a wanted field that is not in it.

    >>> from_pattern("{digit}_{speaker}_{index}", ["3_theo_0.wav"], None, "recordings")
    {'digit': ['3'], 'speaker': ['theo']}
    """
    fields = pattern_fields(pattern)
    parts = re.split(r"(\{[A-Za-z_]\w*\})", pattern)
    regex = "".join(f"({'[^/]+?'})" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    depth = pattern.count("/") + 1
    matches, odd = [], []
    for name in names:
        path = Path(name).with_suffix("")
        found = re.fullmatch(regex, "/".join(path.parts[-depth:]))
        matches.append(found.groups() if found else ())
        if found is None:
            odd.append(name)
    if odd:
        shown = ", ".join(odd[:SHOWN]) + (", …" if len(odd) > SHOWN else "")
        raise DataError(
            f"{where}: --pattern {pattern!r} does not match {len(odd)} of {len(names)} files: {shown}. Rename or move "
            "them away, or give a pattern that matches every file."
        )
    chosen = _chosen([f for f in fields if f not in NO_LABELS] if wanted is None else wanted, fields, "--pattern")
    return {name: [str(match[fields.index(name)]) for match in matches] for name in chosen}


def from_csv(path: Path, names: Sequence[str], wanted: Sequence[str] | None, where: str) -> Labels:
    """Labels from a CSV whose first column holds the files' names, and each other one a label.

    Args:
        path: The CSV, with a header. Names are paths below the source, or the last part of them; suffixes may lack.
        names: As in :func:`from_pattern`.
        wanted: Columns that are labels; None: all but the first.
        where: Named in errors.

    Raises:
        DataError: Not readable as such, or recordings that it has no row for; five of them are named.
        ConfigError: A wanted column that is not there.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"--labels {path}: cannot be read as a CSV ({error}).") from error
    if frame.shape[1] < 2 or not len(frame):
        raise DataError(
            f"--labels {path}: got {len(frame)} rows of {frame.shape[1]} columns; expected a header, then a row a "
            "recording: its file's name, then its labels."
        )
    columns = [str(c) for c in frame.columns]
    chosen = _chosen(columns[1:] if wanted is None else wanted, columns[1:], f"--labels {path}")
    row = {str(name).replace("\\", "/").removeprefix("./"): i for i, name in enumerate(frame.iloc[:, 0])}
    row |= {Path(name).with_suffix("").as_posix(): i for name, i in row.items()}
    found = [row.get(n, row.get(Path(n).name, row.get(_bare(n), row.get(Path(_bare(n)).name)))) for n in names]
    missing = [name for name, i in zip(names, found, strict=True) if i is None]
    if missing:
        shown = ", ".join(missing[:SHOWN]) + (", …" if len(missing) > SHOWN else "")
        raise DataError(
            f"--labels {path}: no row for {len(missing)} of {len(names)} recordings of {where}: {shown}. Its first "
            f"column, {columns[0]!r}, should hold the files' names; the first there is {frame.iloc[0, 0]!r}."
        )
    labels = {c: [str(frame.iloc[i][c]).strip() for i in found if i is not None] for c in chosen}
    for column, values in labels.items():
        if "" in values:
            raise DataError(f"--labels {path}: no {column!r} for {names[values.index('')]}. Fill the cell in.")
    return labels


def from_folders(names: Sequence[str], where: str) -> Labels:
    """The immediate sub-folders as the label ``class``; none where all lies at the top.

    Raises:
        DataError: Some at the top, some in sub-folders.
    """
    depth = [name.count("/") for name in names]
    if max(depth) == 0:
        return {}
    if min(depth) == 0:
        loose = names[depth.index(0)]
        raise DataError(
            f"{where}: {depth.count(0)} recordings lie at the top ({loose}, …) and {len(names) - depth.count(0)} in "
            "sub-folders; expected either, because sub-folders are read as classes. Move the loose ones, or tell "
            "labels by --pattern or --labels."
        )
    return {"class": [name.split("/")[0] for name in names]}


def joined(labels: Mapping[str, Sequence[str]], where: str) -> tuple[np.ndarray, tuple[tuple[str, ...], ...]]:
    """One class a combination of values that occurs.

    Returns:
        int64 classes ``(N,)``, and the values of each class, in the order of ``labels``; naturally sorted.

    Raises:
        DataError: So many combinations that hardly two recordings share one.
    """
    rows, classes = list(zip(*labels.values(), strict=True)), combinations(labels)
    if len(classes) > max(1, len(rows) // 2):
        counts = ", ".join(f"{len(set(values))} of {name}" for name, values in labels.items())
        raise DataError(
            f"{where}: {len(classes)} combinations of labels ({counts}) for {len(rows)} recordings; expected two "
            "recordings or more of each on average. Leave out labels with --label-names, such as one that numbers "
            "the recordings."
        )
    index = {row: i for i, row in enumerate(classes)}
    return np.array([index[row] for row in rows], dtype=np.int64), classes


def combinations(labels: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """The combinations of values that occur, naturally sorted.

    >>> combinations({"digit": ["10", "9", "9"], "speaker": ["theo", "theo", "theo"]})
    (('9', 'theo'), ('10', 'theo'))
    """
    rows = set(zip(*labels.values(), strict=True))
    return tuple(sorted(rows, key=lambda row: [natural_key(value) for value in row]))


def varying(labels: Mapping[str, Sequence[str]]) -> Labels:
    """The labels of more than one value: one says nothing that a model could be conditioned on."""
    return {name: list(values) for name, values in labels.items() if len(set(values)) > 1}


def _bare(name: str) -> str:
    return Path(name).with_suffix("").as_posix()


def _chosen(wanted: Sequence[str], known: Sequence[str], where: str) -> list[str]:
    for name in wanted:
        if name not in known:
            raise ConfigError(f"--label-names {name}: not in {where}. {nearest(name, known)}")
    return list(wanted)
