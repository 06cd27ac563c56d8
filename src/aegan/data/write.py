"""Images to a folder of PNGs, one grid, .npy or .npz; whole or not at all."""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from aegan.data.form import CHANNELS
from aegan.errors import ConfigError, DataError, StorageError
from aegan.storage import explained, write_atomically

CELL = 56
"""Smallest side of a grid's cell in pixels; smaller images are enlarged by a whole factor."""
MAX_GRID_PIXELS = 100_000_000


def write_images(
    images: Tensor,
    out: str | os.PathLike[str],
    *,
    labels: Tensor | np.ndarray | Sequence[int] | None = None,
    classes: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Write images in the form that the suffix of ``out`` asks for.

    * no suffix: a folder of ``00000.png``, …; with labels in one sub-folder a class;
    * ``.png``: one grid; with labels one row a class;
    * ``.npy``: uint8 ``(N, H, W)`` when grey, else ``(N, H, W, C)``;
    * ``.npz``: the same as ``x``, labels as ``y``, class names as ``classes``.

    Everything is written beside ``out`` first and then moved into place: a failure leaves nothing behind.

    Args:
        images: Float in [-1, 1] (values beyond are clipped), ``(N, C, H, W)``, C = 1, 3 or 4.
        out: Where to.
        labels: Class index of each image, ``(N,)``.
        classes: Class names by index; the indices themselves when empty.
        overwrite: Replace what is there. A folder is replaced only if it holds nothing but PNG files.

    Returns:
        The path written.

    Raises:
        DataError: Not such images or labels.
        ConfigError: A suffix that is not one of these, or too many images for one grid.
        StorageError: ``out`` exists, the disk is full, or there is no permission.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_images(torch.zeros(4, 1, 8, 8), Path(folder) / "samples.npy").name
    'samples.npy'
    """
    out = Path(out).expanduser()
    suffix = out.suffix.lower()
    if suffix not in ("", ".png", ".npy", ".npz"):
        raise ConfigError(
            f"{out}: cannot write images as {suffix}; expected no suffix (a folder of PNGs), .png (one grid), "
            ".npy or .npz."
        )
    pixels = pixels_of(images)
    index = None if labels is None else _checked_labels(labels, len(pixels), classes)
    names = tuple(classes) or tuple(map(str, range(int(index.max()) + 1 if index is not None else 0)))
    check_out_free(out, folder=suffix == "", overwrite=overwrite)
    if suffix == "":
        replace_folder(out, lambda folder: _write_folder(folder, pixels, index, names))
    elif suffix == ".png":
        grid = make_grid(pixels) if index is None else make_grid(*_by_class(pixels, index))
        _replace_file(out, lambda file: grid.save(file, format="PNG"))
    else:
        x = _plain_array(pixels)
        if suffix == ".npy":
            _replace_file(out, lambda file: np.save(file, x))
        else:
            arrays: dict[str, Any] = {"x": x}
            if index is not None:
                arrays |= {"y": index, "classes": np.array(names, dtype=np.str_)}
            _replace_file(out, lambda file: np.savez_compressed(file, **arrays))
    return out


def pixels_of(images: Tensor | np.ndarray) -> np.ndarray:
    """uint8 ``(N, C, H, W)`` of images given as uint8, or as floats in [-1, 1] (values beyond are clipped).

    Raises:
        DataError: Another shape or data type, no image, or values that are not finite.
    """
    tensor = torch.as_tensor(images).detach().cpu()
    if tensor.ndim != 4 or tensor.shape[1] not in CHANNELS or 0 in tensor.shape:
        raise DataError(f"images: got shape {tuple(tensor.shape)}; expected (N, C, H, W) with C = 1, 3 or 4, N >= 1.")
    if tensor.dtype == torch.uint8:
        return tensor.numpy()
    if not tensor.is_floating_point():
        raise DataError(f"images: got {tensor.dtype}; expected floats in [-1, 1], or uint8.")
    wrong = (~torch.isfinite(tensor)).flatten(1).any(dim=1).nonzero()
    if len(wrong):
        raise DataError(f"images: image {int(wrong[0])} holds NaN or infinite values; expected floats in [-1, 1].")
    return tensor.float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8).numpy()


def make_grid(
    images: Tensor | np.ndarray, columns: int | None = None, *, pad: int = 2, scale: int | None = None
) -> Image.Image:
    """Lay images out in rows on white (transparent where they have alpha).

    Args:
        images: uint8 or float in [-1, 1], ``(N, C, H, W)``.
        columns: Images a row; near-square when None.
        pad: Pixels between and around cells.
        scale: Whole factor to enlarge by, nearest neighbour. None: so that cells have at least 56 pixels a side.

    Returns:
        PIL image of mode L, RGB or RGBA.

    Raises:
        DataError: Not such images.
        ConfigError: ``columns``, ``pad`` or ``scale`` below 1 (0 for ``pad``), or a grid beyond 100 million pixels.

    >>> make_grid(torch.zeros(4, 1, 8, 8), pad=2).size
    (118, 118)
    """
    pixels = pixels_of(images)
    n, c, h, w = pixels.shape
    if columns is None:
        columns = int(min(n, math.ceil(math.sqrt(n * h / w))))
    if scale is None:
        scale = max(1, math.ceil(CELL / min(h, w)))
    if columns < 1 or pad < 0 or scale < 1:
        raise ConfigError(f"make_grid: columns={columns}, pad={pad}, scale={scale}; expected at least 1, 0 and 1.")
    rows = math.ceil(n / columns)
    height, width = pad + rows * (h * scale + pad), pad + columns * (w * scale + pad)
    if height * width > MAX_GRID_PIXELS:
        raise ConfigError(
            f"make_grid: {n} images make a grid of {width}×{height} pixels, more than "
            f"{MAX_GRID_PIXELS // 10**6} million. Draw fewer, or write a folder (a path without suffix) or .npz."
        )
    grid = np.full((height, width, c), 255, dtype=np.uint8)
    grid[:, :, 3:] = 0
    for i in range(n):
        top, left = pad + i // columns * (h * scale + pad), pad + i % columns * (w * scale + pad)
        cell = pixels[i].transpose(1, 2, 0).repeat(scale, axis=0).repeat(scale, axis=1)
        grid[top : top + h * scale, left : left + w * scale] = cell
    return Image.fromarray(grid[:, :, 0] if c == 1 else grid)


def _by_class(pixels: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, int]:
    """Images reordered to one row a class, short rows filled with white, and the length of a row."""
    rows = [np.flatnonzero(index == value) for value in np.unique(index)]
    columns = max(map(len, rows))
    if len(rows) * columns * pixels[0, 0].size > MAX_GRID_PIXELS:
        raise ConfigError(f"a grid of {len(rows)} classes × {columns} images is too large. Draw fewer, or write .npz.")
    cells = np.full((len(rows), columns, *pixels.shape[1:]), 255, dtype=np.uint8)
    cells[:, :, 3:] = 0
    for row, members in enumerate(rows):
        cells[row, : len(members)] = pixels[members]
    return cells.reshape(-1, *pixels.shape[1:]), columns


def _plain_array(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels[:, 0] if pixels.shape[1] == 1 else pixels.transpose(0, 2, 3, 1))


def _checked_labels(labels: Tensor | np.ndarray | Sequence[int], n: int, classes: Sequence[str]) -> np.ndarray:
    index = np.asarray(labels.detach().cpu() if isinstance(labels, Tensor) else labels)
    if index.shape != (n,) or index.dtype.kind not in "iu":
        raise DataError(f"labels: got {index.dtype} {index.shape}; expected one integer for each of the {n} images.")
    if index.min() < 0 or (classes and index.max() >= len(classes)):
        raise DataError(f"labels: run from {index.min()} to {index.max()}; expected 0 to {len(classes) - 1}.")
    return index.astype(np.int64)


def _write_folder(folder: Path, pixels: np.ndarray, index: np.ndarray | None, names: Sequence[str]) -> None:
    digits = max(5, len(str(len(pixels) - 1)))
    places = [folder] * len(pixels)
    if index is not None:
        folders = folder_names(names)
        for value in np.unique(index):
            (folder / folders[value]).mkdir()
        places = [folder / folders[value] for value in index]
    for i, (array, place) in enumerate(zip(_plain_array(pixels), places, strict=True)):
        Image.fromarray(array).save(place / f"{i:0{digits}d}.png")


def folder_names(classes: Sequence[str]) -> list[str]:
    """A safe and distinct folder name for each class: no separators, no leading dot, never empty.

    >>> folder_names(["cat", "../etc", "a/b", "a_b"])
    ['cat', '_etc', 'a_b', 'a_b-3']
    """
    names: list[str] = []
    for i, name in enumerate(classes):
        safe = re.sub(r"[^\w.\- ]", "_", name).strip(". ")[:100] or "_"
        names.append(safe if safe not in names else f"{safe}-{i}")
    return names


def check_out_free(out: Path, *, folder: bool, overwrite: bool, kinds: tuple[str, ...] = (".png",)) -> None:
    """Refuse to replace what is at ``out`` unasked, or a folder with other files than those of suffixes ``kinds``."""
    if not out.exists() or (folder and out.is_dir() and not any(out.iterdir())):
        return
    if folder != out.is_dir():
        kind = "a folder" if out.is_dir() else "a file"
        raise StorageError(
            f"{out}: is {kind}; this name (its suffix decides) would be written as the other. Choose another."
        )
    if not overwrite:
        what = "the folder is not empty" if folder else "the file exists"
        raise StorageError(
            f"{out}: {what}. Choose another name, or overwrite it: --overwrite (Python: overwrite=True)."
        )
    if folder:
        foreign = next(
            (p for p in out.rglob("*") if p.is_symlink() or (p.suffix not in kinds and not p.is_dir())), None
        )
        if foreign is not None:
            made = " and ".join(kind[1:].upper() for kind in kinds)
            raise StorageError(
                f"{out}: not overwritten, because it holds more than {made} files ({foreign}). Choose another name, "
                "or remove the folder yourself."
            )


def _replace_file(out: Path, write: Callable) -> None:
    def fill(path: Path) -> None:
        with open(path, "wb") as file:
            write(file)

    write_atomically(out, fill)


def replace_folder(out: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a new folder beside ``out``, then put it in its place."""
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name[:40]}.", suffix=".tmp", dir=out.parent))
        try:
            new, old = work / "new", work / "old"
            new.mkdir()
            write(new)
            if out.exists():
                os.replace(out, old)
            try:
                os.replace(new, out)
            except OSError:
                if old.exists():
                    os.replace(old, out)
                raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
