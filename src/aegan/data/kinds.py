"""Which kind of data a source is, told at a glance, and which adapter reads that kind."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aegan.data.base import Adapter
from aegan.errors import AeganWarning, ConfigError, DataError, nearest
from aegan.types import Spec

ADAPTERS = {
    "image": "aegan.data.image:ImageAdapter",
    "table": "aegan.data.table:TableAdapter",
    "series": "aegan.data.series:SeriesAdapter",
    "audio": "aegan.data.audio:AudioAdapter",
    "text": "aegan.data.text:TextAdapter",
}
"""By kind of data: ``module:Class``, imported when needed."""
OPTIONS: dict[str, dict[str, Any]] = {
    "image": {"size": None, "resize": "crop", "channels": None, "skip_bad": False},
    "table": {"columns": None, "rules": "auto", "inf": "error"},
    "series": {
        "id": None,
        "time": None,
        "label": None,
        "static": None,
        "channels": None,
        "layout": "auto",
        "window": None,
        "stride": None,
        "scaling": "minmax",
        "per_series": False,
        "irregular": "channel",
        "seasons": None,
    },
    "audio": {
        "rate": None,
        "channels": None,
        "seconds": None,
        "trim": False,
        "pattern": None,
        "labels": None,
        "label_names": None,
        "vocoder": "auto",
        "skip_bad": False,
    },
    "text": {
        "column": None,
        "label": None,
        "each": "auto",
        "unit": "auto",
        "length": None,
        "encoding": "utf-8",
    },
}
"""Options of ``fit`` that go to the adapter of each kind, with what they are when nobody sets them."""
SERIES_SUFFIXES = (".ts", ".arff")
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au")
"""Recordings; all but WAV need soundfile."""
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".tab", ".dat", ".parquet", ".pq", ".xlsx", ".xls", ".xlsm")
"""All that ``open_table`` reads; each but Parquet and Excel also with ``.gz``."""
MOST_COLUMNS = 256
"""Longer rows of an array are flattened images or codes, for which the models of tables are not made."""
LONG_ROWS = 16
"""Rows of so many numbers may be images (of 4 x 4 pixels) or series as well."""


def adapter_class(kind: str) -> type[Adapter]:
    """The adapter of a kind.

    Raises:
        ConfigError: No such kind; with the nearest one.
    """
    if kind not in ADAPTERS:
        raise ConfigError(f"--kind {kind}: unknown kind of data. {nearest(kind, ADAPTERS)}")
    module, _, name = ADAPTERS[kind].partition(":")
    return getattr(importlib.import_module(module), name)


def new_adapter(kind: str, options: Mapping[str, Any]) -> Adapter:
    """The kind's adapter with those of the options of ``fit`` that are for it.

    Raises:
        ConfigError: No such kind or option, or an option of another kind that is not left as it was.
    """
    made = adapter_class(kind)
    return made(**own_options(kind, options, OPTIONS, "fit"))


def own_options(
    kind: str, options: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]], where: str
) -> dict[str, Any]:
    """The options of a kind, all of them, when those of every kind may have been passed.

    Args:
        kind: Kind of data.
        options: Given, by name.
        known: By kind and name, what an option is when nobody sets it.
        where: Door that took them, for messages.

    Raises:
        ConfigError: An unknown option, or one of another kind that is not left as it was.
    """
    own = known.get(kind, {})
    for name, value in options.items():
        others = {k: theirs[name] for k, theirs in known.items() if name in theirs}
        if not others:
            raise ConfigError(f"{where}: unknown option {name!r}. {nearest(name, own)}")
        if name not in own and value is not None and value not in others.values():
            raise ConfigError(
                f"--{name.replace('_', '-')}: for {' and '.join(others)} data, and this is {kind} data. "
                "Leave it out, or say with --kind what the source is."
            )
    return {name: options.get(name, default) for name, default in own.items()}


def refuse_run(source: Any) -> None:
    """DataError where ``source`` is a run's folder, whose pictures and tables are no data."""
    if not isinstance(source, (str, os.PathLike)) or "://" in str(source):
        return
    path = Path(source).expanduser()
    if (path / "config.json").is_file() and (path / "adapter.json").is_file():
        raise DataError(
            f"{path}: a run's folder, but data expected. `aegan sample {path} --out new` makes samples of it, which "
            "can be given."
        )


def detect_kind(source: Any) -> str:
    """The kind of data that ``source`` is.

    Frames with time stamps as their index, ``.ts`` and ``.arff`` are series. Other frames, dicts of columns, databases
    and files with a table's suffix are tables, also a folder with ``.parquet`` files, in partitions or not. Recordings
    are WAV, FLAC and OGG files and folders of them. Strings in a list, an array or a pandas Series are text, and so is
    a ``.txt`` file unless it holds separated values. Arrays ``(N, D)`` of numbers, D up to 256, are tables too, but for
    those of bytes, and so are ``.npy`` files of such. Everything else is taken for images.

    >>> detect_kind("customers.csv"), detect_kind("photos/"), detect_kind("ECG200_TRAIN.ts"), detect_kind("hello.wav")
    ('table', 'image', 'series', 'audio')
    """
    from aegan.data.text_files import looks_like_table
    from aegan.data.text_source import is_text

    refuse_run(source)
    if type(source).__name__ == "Recordings" or _are_recordings(source):
        return "audio"
    if not isinstance(source, (str, os.PathLike)) and is_text(source):
        return "text"
    if getattr(getattr(source, "index", None), "inferred_type", "") in ("datetime64", "period"):
        return "series"  # without importing pandas
    if is_rows(source):
        _say_table(getattr(source, "shape", (0, 0)), "the array")
        return "table"
    if isinstance(source, dict) or type(source).__module__.split(".")[0] in ("pandas", "polars"):
        return "table"
    if isinstance(source, (str, os.PathLike)):
        if isinstance(source, str) and "://" in source:
            return "table"
        path = Path(source)
        suffix = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()
        if suffix in SERIES_SUFFIXES:
            return "series"
        if suffix == ".txt":
            return "table" if looks_like_table(path) else "text"
        if suffix in TABLE_SUFFIXES:
            return "table"
        if suffix == ".npy" and (rows := _rows_of(path)) is not None:
            _say_table(rows.shape, str(path))
            return "table"
        if suffix in AUDIO_SUFFIXES:
            return "audio"
        if path.is_dir():
            return _kind_of_folder(path)
    return "image"


def other_kind(source: Any, spec: Spec) -> str | None:
    """The kind that a source looks like which could not be read as ``spec`` asks; None where it may be of its kind.

    That is more than :func:`detect_kind` says: a table or an array may hold series, a frame with time stamps may be a
    table, arrays ``(N, T, C)`` are hardly images, and a file that is not there tells nothing.

    >>> from aegan.types import Spec
    >>> other_kind(np.zeros((9, 24, 2)), Spec(kind="image", shape=(1, 8, 8)))
    'series'
    """
    path = _path_of(source)
    if path is not None and not path.exists():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeganWarning)  # how rows are read was said when they were
        found = detect_kind(source)
    array = _array_of(source)
    if found == "image" and array is not None and _hardly_images(*array, spec):
        found = "series"
    frame = type(source).__module__.split(".")[0] in ("pandas", "polars")
    inside = path.rglob("*") if spec.kind == "audio" and path is not None and path.is_dir() else ()
    may_be_own = {
        "series": found == "table" or array is not None,
        "table": found == "series" and frame,
        "audio": any(file.suffix.lower() in AUDIO_SUFFIXES for file in inside),
    }
    return None if found == spec.kind or may_be_own.get(spec.kind, False) else found


def _path_of(source: Any) -> Path | None:
    """The path that a source is; None of addresses and of what is in memory."""
    return Path(source).expanduser() if isinstance(source, (str, os.PathLike)) and "://" not in str(source) else None


def _array_of(source: Any) -> tuple[tuple[int, ...], str] | None:
    """Shape and data type of the numbers that a source is or holds, without its labels; of a list as if stacked."""
    if isinstance(source, tuple) and len(source) == 2:
        source = source[0]
    path = _path_of(source)
    if path is not None and path.suffix.lower() in (".npy", ".npz"):
        try:
            loaded = np.load(path, mmap_mode="r", allow_pickle=False)
            source = loaded if isinstance(loaded, np.ndarray) else loaded["x"]
        except Exception:  # damaged files make numpy raise nearly anything
            return None
    first: Any = source[0] if isinstance(source, list) and source else source
    if type(first).__module__.split(".")[0] not in ("numpy", "torch") or not hasattr(first, "dtype"):
        return None
    dtype = str(first.dtype).removeprefix("torch.")
    shape = tuple(first.shape) if first is source else (len(source), *first.shape)
    return (shape, dtype) if dtype.startswith(("float", "int", "uint", "bfloat", "bool")) else None


def _hardly_images(shape: tuple[int, ...], dtype: str, spec: Spec) -> bool:
    """Whether an array ``(N, T, C)`` is none of pictures: no bytes, neither square nor of the size of ``spec``."""
    if len(shape) != 3 or dtype in ("uint8", "bool") or shape[1] == shape[2]:
        return False
    return spec.kind != "image" or shape[1:] != tuple(spec.shape[1:])


def is_rows(source: Any) -> bool:
    """Whether an array or a tensor is one of rows ``(N, D)`` of numbers rather than of images."""
    shape, dtype = getattr(source, "shape", ()), str(getattr(source, "dtype", "")).removeprefix("torch.")
    if type(source).__module__.split(".")[0] not in ("numpy", "torch") or len(shape) != 2:
        return False
    return 0 < shape[1] <= MOST_COLUMNS and dtype.startswith(("float", "int", "uint", "bfloat")) and dtype != "uint8"


def _rows_of(path: Path) -> np.ndarray | None:
    """An ``.npy`` file's array, where it is one of rows; damaged files are left to who reads them."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception:  # damaged files make numpy raise nearly anything
        return None
    return array if is_rows(array) else None


def _say_table(shape: tuple[int, ...], name: str) -> None:
    """Warn where long rows are taken for those of a table, though they may be flattened images or series."""
    if shape[1] < LONG_ROWS:
        return
    side = round(shape[1] ** 0.5)
    square = f"{side}, {side}" if side * side == shape[1] else "height, width"
    warnings.warn(
        f"{name} of shape {tuple(shape)} is read as a table of {shape[1]} columns. If each row is a flattened image, "
        f'give x.reshape(-1, {square}); if each is a series, kind="series"; kind="table" silences this.',
        AeganWarning,
        stacklevel=4,
    )


def _are_recordings(source: Any) -> bool:
    """Whether a source is a list of files with recordings."""
    return (
        isinstance(source, (list, tuple))
        and bool(source)
        and all(isinstance(s, (str, os.PathLike)) and str(s).lower().endswith(AUDIO_SUFFIXES) for s in source)
    )


def _kind_of_folder(folder: Path) -> str:
    """By the first files, below the folder, that are of one kind for sure."""
    from aegan.data.sources import IMAGE_SUFFIXES  # the readers of images are needed for folders alone

    for _, folders, files in os.walk(folder):
        folders.sort()
        if any(name.endswith(".parquet") for name in files):
            return "table"
        names = [name.lower() for name in files if not name.startswith(".")]
        if any(name.endswith(IMAGE_SUFFIXES) for name in names):
            return "image"
        if any(name.endswith(AUDIO_SUFFIXES) for name in names):
            return "audio"
    return "image"
