"""Images in a tar archive as WebDataset reads them: ``000000123.png`` and beside it ``000000123.cls``."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from aegan.data.write import pixels_of
from aegan.storage import write_atomically


def write_archive(
    images: Tensor, path: Path, *, labels: Tensor | None = None, classes: Sequence[str] = (), start: int = 0
) -> None:
    """Write images ``(N, C, H, W)`` in [-1, 1] into one archive, the same bytes for the same images.

    Args:
        images: Float; values beyond [-1, 1] are clipped.
        path: File to make.
        labels: Class index of each image, ``(N,)``.
        classes: Class names by index; the index itself is written where there are none.
        start: Number of the first image; the names of the members go on from it.

    Raises:
        StorageError: The disk is full, or there is no permission.
    """

    def write(temporary: Path) -> None:
        with tarfile.open(temporary, "w") as archive:
            for i, pixels in enumerate(pixels_of(images).transpose(0, 2, 3, 1)):
                name = f"{start + i:09d}"
                buffer = io.BytesIO()
                Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, format="PNG")
                _add(archive, f"{name}.png", buffer.getvalue())
                if labels is not None:
                    label = int(labels[i])
                    _add(archive, f"{name}.cls", (classes[label] if classes else str(label)).encode())

    write_atomically(path, write)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
