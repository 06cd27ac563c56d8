"""Codes on disk: an ``.npz`` without pickle that ``decode`` reads back."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aegan.errors import ConfigError, DataError, StorageError
from aegan.storage import write_atomically

if TYPE_CHECKING:
    from aegan.estimator import Estimator


def write_codes(estimator: Estimator, source: Any, out: Path, *, overwrite: bool) -> Path:
    """Encode ``source`` into ``out``; nothing is written when encoding fails."""
    if out.suffix != ".npz":
        raise ConfigError(f"--out {out}: a file ending in .npz expected.")
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
    return out


def read_codes(path: Path) -> np.ndarray:
    """The array ``codes`` of a file made by ``aegan encode``.

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
            return archive["codes"]
    except DataError:
        raise
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise DataError(f"{path}: cannot be read as codes ({error}). Make it again with `aegan encode`.") from error
