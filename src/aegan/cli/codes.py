"""Codes on disk that ``decode`` reads back: an ``.npz`` without pickle, or compressed (see :mod:`aegan.codec`)."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from aegan.codec import SUFFIX
from aegan.errors import ConfigError, DataError, StorageError
from aegan.storage import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

    from aegan.estimator import Estimator


def check_out(out: Path, error: float | None) -> None:
    """Refuse a suffix that is no form of codes, and ``--error`` for one that does not round."""
    if out.suffix not in (".npz", SUFFIX):
        raise ConfigError(f"--out {out}: a file ending in .npz (float codes) or {SUFFIX} (compressed) expected.")
    if error is not None and out.suffix != SUFFIX:
        raise ConfigError(f"--error {error:g}: only for compressed codes. Give --out a name ending in {SUFFIX}.")


def write_codes(estimator: Estimator, source: Any, out: Path, *, error: float | None = None, overwrite: bool) -> str:
    """Encode ``source`` into ``out`` and say what was made; nothing is written when encoding fails."""
    check_out(out, error)
    if out.suffix == SUFFIX:
        return str(estimator.compress(source, out, error=error, overwrite=overwrite))
    if out.exists() and not overwrite:
        raise StorageError(f"--out {out}: exists already. Add --overwrite, or choose another name.")
    data = estimator.adapter.to_tensors(source)
    arrays: dict[str, Any] = {"codes": estimator.encode_tensors(data).numpy()}
    if data.labels is not None:
        arrays["y"] = data.labels.numpy()
        arrays["classes"] = np.array(estimator.adapter.spec.classes)

    def write(path: Path) -> None:
        with open(path, "wb") as handle:
            np.savez(handle, **arrays)

    write_atomically(out, write)
    return f"codes in {out}"


def decode_file(estimator: Estimator, path: Path) -> tuple[Tensor, Tensor | None]:
    """Data in [-1, 1] of either kind of file, and the classes that a compressed one keeps."""
    if path.suffix == SUFFIX:
        return estimator.decompress_tensors(path)
    codes, labels = read_codes(path, estimator.adapter.spec.classes)
    return estimator.decode_tensors(codes), labels


def read_codes(path: Path, classes: Sequence[str] = ()) -> tuple[np.ndarray, Tensor | None]:
    """The array ``codes`` of a file made by ``aegan encode``, and its ``y`` where that is of these classes.

    Raises:
        DataError: Missing, damaged, or something else.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file. `aegan encode RUN SOURCE --out {path}` makes one.")
    try:
        # Our own handle: numpy leaves its one open when the archive is damaged.
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as archive:
            if not hasattr(archive, "files") or "codes" not in archive.files:
                raise DataError(f"{path}: no array named 'codes'. Expected a file made by `aegan encode`.")
            codes, own = archive["codes"], {"y", "classes"} <= set(archive.files)
            if not (own and classes and archive["classes"].tolist() == list(classes)):
                return codes, None
            y = archive["y"]
            known = y.shape == codes.shape[:1] and np.isin(y, np.arange(len(classes))).all()
            return codes, torch.from_numpy(y) if known else None
    except DataError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise DataError(f"{path}: cannot be read as codes ({error}). Make it again with `aegan encode`.") from error
