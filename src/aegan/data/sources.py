"""Whatever a user calls images, opened as one :class:`~aegan.data.image_source.ImageSource`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from aegan.data.archive_index import is_archive
from aegan.data.archive_source import ArchiveSource, listed
from aegan.data.array_files import choose_idx, is_idx, read_idx_pair, read_npy, read_npz
from aegan.data.form import Form
from aegan.data.image_source import ArraySource, ImageSource, MixedSource, label_by_folders
from aegan.data.labels import path_key
from aegan.data.pictures import IMAGE_SUFFIXES, PictureSource
from aegan.errors import DataError, nearest

READABLE = (
    "a folder or an archive (.zip, .tar, .tar.gz) of images (PNG, JPEG, WebP, BMP, GIF), an IDX file, .npy, .npz, "
    "a NumPy array, a torch tensor, a list of images, or a pair (images, labels)"
)


Cache = str | os.PathLike[str] | None


def open_source(
    source: Any, *, skip_bad: bool = False, like: Form | None = None, cache_dir: Cache = None
) -> ImageSource:
    """Open images, wherever they are; nothing is decoded yet.

    * **Folder**, searched recursively. Images in its immediate sub-folders are labelled by these; images only at the
      top, or only deeper, carry no labels. Hidden files and other suffixes are ignored. A folder with IDX files means
      its ``train-*`` pair.
    * **IDX file** (``.gz`` or not); ``*-images-idx3-*`` finds its ``*-labels-idx1-*`` beside it.
    * **.npy** (memory-mapped) and **.npz** (``x`` and ``y``; see :func:`~aegan.data.array_files.read_npz`).
    * **Array or tensor**, axis order and range as told in :mod:`aegan.data.form`; list of PIL images, arrays or paths.
    * ``(images, labels)``; labels are integers or strings.

    Args:
        source: One of these, or an ``ImageSource``, which is returned as it is.
        skip_bad: Skip unreadable images, counted in ``bad``; otherwise they are one error after all were tried.
        like: Form of the data an adapter was fitted on; settles doubt about an array's layout and range.
        cache_dir: Folder for what a compressed tar is unpacked to; the system's temporary folder when None.

    Raises:
        DataError: No such path, nothing readable in it, a damaged file, or an array that does not hold images.
    """
    if isinstance(source, ImageSource):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _open_path(Path(source).expanduser(), skip_bad, like, cache_dir)
    if isinstance(source, tuple) and len(source) == 2 and not _is_picture_list(source):
        opened = open_source(source[0], skip_bad=skip_bad, like=like, cache_dir=cache_dir)
        opened.set_labels(source[1])
        return opened
    if isinstance(source, Tensor):
        return _open_tensor(source, "tensor", like)
    if isinstance(source, np.ndarray):
        return ArraySource(source, "array", like=like)
    if isinstance(source, Image.Image):
        return PictureSource([source], "image")
    if isinstance(source, (list, tuple)):
        return _open_list(source, skip_bad, like, cache_dir)
    raise DataError(f"cannot read images from {type(source).__module__}.{type(source).__name__}; expected {READABLE}.")


def _is_picture_list(items: Sequence[Any]) -> bool:
    return all(isinstance(item, (Image.Image, os.PathLike)) for item in items)


def _open_tensor(tensor: Tensor, name: str, like: Form | None) -> ArraySource:
    dtype = str(tensor.dtype).removeprefix("torch.")
    if tensor.layout != torch.strided or tensor.is_complex() or tensor.is_quantized:
        raise DataError(f"{name}: a {tensor.layout} {dtype} tensor; expected a dense one of uint8, bool or floats.")
    return ArraySource(_as_numpy(tensor), name, container="torch", dtype=dtype, like=like)


def _as_numpy(tensor: Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _open_list(items: Sequence[Any], skip_bad: bool, like: Form | None, cache_dir: Cache) -> ImageSource:
    if not items:
        raise DataError(f"an empty list; expected {READABLE}.")
    if all(isinstance(item, (str, os.PathLike)) for item in items):
        paths = [Path(item).expanduser() for item in items]
        for path in paths:
            if not path.is_file():
                raise DataError(_missing(path) if not path.exists() else f"{path}: a folder within a list of files.")
        if all(map(is_archive, paths)):
            return ArchiveSource(paths, "list of archives", skip_bad=skip_bad, cache_dir=cache_dir)
        return PictureSource(paths, "list of files", skip_bad=skip_bad)
    if all(isinstance(item, Image.Image) for item in items):
        return PictureSource(list(items), "list of images", skip_bad=skip_bad)
    for i, item in enumerate(items):
        if not isinstance(item, (np.ndarray, Tensor)):
            raise DataError(
                f"list: item {i} is {type(item).__name__}, item 0 is {type(items[0]).__name__}; "
                "expected only PIL images, only arrays, or only paths."
            )
    arrays = [_as_numpy(item) if isinstance(item, Tensor) else item for item in items]
    if len({(array.shape, array.dtype) for array in arrays}) == 1:
        return ArraySource(np.stack(arrays), "list of arrays", container="arrays", like=like)
    return MixedSource(arrays, "list of arrays", like=like)


def _open_path(path: Path, skip_bad: bool, like: Form | None, cache_dir: Cache) -> ImageSource:
    if path.is_dir():
        return _open_folder(path, skip_bad, like, cache_dir)
    if not path.exists():
        raise DataError(_missing(path))
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return PictureSource([path], str(path), skip_bad=skip_bad)
    if is_archive(path):
        return ArchiveSource([path], str(path), skip_bad=skip_bad, cache_dir=cache_dir)
    labels = None
    if suffix == ".npy":
        images = read_npy(path)
    elif suffix == ".npz":
        images, labels = read_npz(path)
    elif is_idx(path):
        images, labels = read_idx_pair(path)
    else:
        raise DataError(f"{path}: suffix {suffix or '(none)'} is not one that holds images; expected {READABLE}.")
    source = ArraySource(images, str(path), like=like)
    if labels is not None:
        source.set_labels(labels)
    return source


def _missing(path: Path) -> str:
    folder, name = path.parent, path.name
    while not folder.is_dir() and folder != folder.parent:
        folder, name = folder.parent, folder.name
    try:
        siblings = [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError:
        siblings = []
    where = f"{folder.resolve()} has no {name!r}. " + (nearest(name, siblings) if siblings else "It is empty.")
    url = " Addresses are not fetched: download the data first." if "://" in str(path) or ":/" in str(path) else ""
    return f"{path}: no such file or folder. {where}{url}"


def _open_folder(folder: Path, skip_bad: bool, like: Form | None, cache_dir: Cache) -> ImageSource:
    def in_folder(path: Path) -> str:
        return path_key(path.relative_to(folder).as_posix())

    files = _walk(folder)
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    others = [path for path in files if path.suffix.lower() not in IMAGE_SUFFIXES]
    if not images:
        idx = [path for path in others if is_idx(path) and path.parent == folder]
        if idx:
            return _open_path(choose_idx(idx, folder), skip_bad, like, cache_dir)
        archives = sorted(filter(is_archive, others), key=in_folder)
        if archives:
            return ArchiveSource(archives, str(folder), skip_bad=skip_bad, root=folder, cache_dir=cache_dir)
        raise DataError(_nothing_in(folder, others))
    images.sort(key=in_folder)
    note = f"ignored: {_suffixes(others)}" if others else ""
    source = PictureSource(images, str(folder), skip_bad=skip_bad, root=folder, note=note)
    label_by_folders(source, [path.relative_to(folder).parts[:-1] for path in images])
    return source


def _walk(folder: Path) -> list[Path]:
    """All files below, not hidden; linked folders are followed, each once."""

    def fail(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot list this folder ({error.strerror}). Mend its permissions.")

    files, seen = [], set()
    for root, folders, names in os.walk(folder, followlinks=True, onerror=fail):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        files += [Path(root, name) for name in names if not name.startswith(".")]
    return files


def _suffixes(files: Sequence[Path]) -> str:
    return listed(path.suffix.lower() or "(no suffix)" for path in files)


def _nothing_in(folder: Path, others: Sequence[Path]) -> str:
    if not others:
        images = f"images ({', '.join(IMAGE_SUFFIXES)})"
        return f"{folder}: an empty folder; expected {images} or recordings in it or in its sub-folders."
    arrays = sorted(path for path in others if path.suffix.lower() in (".npy", ".npz"))
    hint = f" Give the array file itself, for instance {arrays[0]}." if arrays else " Convert to PNG."
    return f"{folder}: no images; found {_suffixes(others)}; expected {', '.join(IMAGE_SUFFIXES)} or IDX files.{hint}"
