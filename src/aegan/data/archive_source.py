"""Images in zip and tar archives, read where they lie; labels from folders, or from members beside, as WebDataset's."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from aegan.data.archive_index import ARCHIVE_SUFFIXES, Archive, parts_of
from aegan.data.form import Form
from aegan.data.image_source import label_by_folders
from aegan.data.pictures import IMAGE_SUFFIXES, FileSource, decode, guarded, header_of
from aegan.errors import DataError

LABEL_SUFFIXES = (".cls", ".json")
LABEL_KEYS = ("class", "cls", "label")
"""Where in a ``.json`` member beside an image its label is looked for."""
HEAD = 1 << 16
"""Bytes of a member that nearly always hold an image's header."""
LARGEST_LABEL = 1 << 20
NESTED = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst")


class ArchiveSource(FileSource):
    """The images in archives, sorted naturally: by archive, then by folder and name.

    Labels are those of the ``.cls`` or ``.json`` members of the same name up to its first dot, where there are any,
    else the folders inside, as for folders on disk. A folder around everything that has the archive's name, or that
    holds folders, is passed over.

    Args:
        paths: One archive or more.
        name: Path of the archive or of the folder that holds them, named in errors.
        skip_bad: Skip unreadable images instead of failing once all were tried.
        root: Archives are shown relative to this in messages.
        cache_dir: Folder for what a compressed tar is unpacked to; the system's when None.

    Raises:
        DataError: A damaged archive, none with an image, labels that cannot be read or beside some of the images only.
        StorageError: No room to unpack a compressed tar.
    """

    threads = True

    def __init__(
        self,
        paths: Sequence[Path],
        name: str,
        *,
        skip_bad: bool = False,
        root: Path | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.archives = [Archive(path, IMAGE_SUFFIXES + LABEL_SUFFIXES, cache_dir=cache_dir) for path in paths]
        self.root = root
        self._index = np.empty((0, 2), dtype=np.int64)  # archive and row of each image
        super().__init__(name, Form(), skip_bad=skip_bad)
        images = [archive.of(IMAGE_SUFFIXES) for archive in self.archives]
        others = Counter[str]()
        for archive in self.archives:
            others.update(archive.others)
        if not any(map(len, images)):
            raise DataError(self._nothing(others))
        empty = [archive.path.name for archive, rows in zip(self.archives, images, strict=True) if not len(rows)]
        notes = [f"ignored: {listed(others)}"] if others else []
        notes += [f"without images: {', '.join(empty[:4])}{', …' if len(empty) > 4 else ''}"] if empty else []
        self.note = "; ".join(notes)
        self._index = np.concatenate(
            [np.column_stack([np.full(len(rows), i), rows]) for i, rows in enumerate(images)]
        ).astype(np.int64)
        labels = self._labels_beside(images)
        if labels is None:
            label_by_folders(self, self._folders())
        else:
            self.set_labels(labels)

    def __len__(self) -> int:
        return len(self._index)

    def header(self, i: int) -> tuple[int, int, str]:
        """Height, width and mode from a member's first bytes, or from all of it where these are not enough."""
        try:
            return guarded(lambda: header_of(self._bytes(i, HEAD)))
        except DataError:
            return guarded(lambda: header_of(self._bytes(i)))

    def read(self, i: int, *, at_least: int | None = None) -> Image.Image:
        """Image ``i``, upright, as L, RGB or RGBA; see :meth:`ImageSource.read`."""
        return guarded(lambda: decode(self._bytes(i), at_least))

    def item_name(self, i: int) -> str:
        """Name of the member, behind the path of its archive where there are several."""
        archive, row = self._at(i)
        name = archive.name(row)
        return name if len(self.archives) == 1 else f"{self._shown(archive)}/{name}"

    def _bytes(self, i: int, most: int | None = None) -> bytes:
        archive, row = self._at(i)
        return archive.read(row, most=most)

    def _at(self, i: int) -> tuple[Archive, int]:
        which, row = self._index[i]
        return self.archives[which], int(row)

    def _shown(self, archive: Archive) -> str:
        path = archive.path
        return str(path.relative_to(self.root)) if self.root and path.is_relative_to(self.root) else str(path)

    def _keep(self, kept: Sequence[int]) -> None:
        self._index = self._index[np.asarray(kept)]
        super()._keep(kept)

    def _names(self) -> Iterator[tuple[int, str]]:
        """Number of the archive and name of the member of every image."""
        for which, row in self._index:
            yield int(which), self.archives[which].name(row)

    def _nothing(self, others: Counter[str]) -> str:
        count = f"{len(self.archives)} archives" if len(self.archives) > 1 else "archive"
        expected = f"expected images ({', '.join(IMAGE_SUFFIXES)})"
        if not others:
            return f"{self.name}: an empty {count.removesuffix('s')}; {expected} in it. Write or fetch it again."
        hint = "Convert to PNG."
        if any(suffix in NESTED for suffix in others):
            hint = "Archives within an archive are not opened: unpack the outer one and give the folder."
        elif set(others) & {".csv", ".parquet", ".wav", ".flac", ".mp3", ".ogg", ".npy", ".npz", ".txt"}:
            hint = "Of archives only images are read: unpack it and give the folder or the file."
        return f"{self.name}: no images in the {count}; found {listed(others)}; {expected}. {hint}"

    def _folders(self) -> list[tuple[str, ...]]:
        """Folders around each image within its archive, those that are around all of them passed over."""
        known: dict[str, tuple[str, ...]] = {}  # a million images share a few
        found = []
        for _, name in self._names():
            folder = name.rpartition("/")[0]
            if folder not in known:
                known[folder] = tuple(parts_of(folder))
            found.append(known[folder])
        skip, deepest = 0, max(map(len, known.values()))
        stem = _stem(self.archives[0].path.name) if len(self.archives) == 1 else ""
        while len({path[skip : skip + 1] for path in known.values()}) == 1 and deepest > skip:
            shared = next(iter(known.values()))[skip]
            if deepest <= skip + 1 and not (skip == 0 and shared == stem):
                break
            skip += 1
        cut = {path: path[skip:] for path in known.values()}
        return [cut[path] for path in found] if skip else found

    def _labels_beside(self, images: Sequence[np.ndarray]) -> list[str] | None:
        """The label of every image from the members beside it; None where there are none."""
        labels: list[str | None] = []
        suffixes: Counter[str] = Counter()
        for archive, rows in zip(self.archives, images, strict=True):
            beside: dict[str, str] = {}
            with archive.opened() as file:
                for row, suffix in _labelling(archive):
                    value = self._label(archive, row, suffix, file)
                    if value is not None:
                        beside[_key(archive.name(row))] = sys.intern(value)
                        suffixes[suffix] += 1
            labels += [beside.get(_key(archive.name(row))) for row in rows.tolist()] if beside else [None] * len(rows)
        without = sum(label is None for label in labels)
        if without == len(labels):
            return None
        if without:
            missing = self.item_name(labels.index(None))
            raise DataError(
                f"{self.name}: {without} of {len(labels)} images have no label beside them ({missing}, …), the others "
                f"have one in {' or '.join(sorted(suffixes))}; expected a label beside every image or beside none. "
                "Add the missing ones, or pack the images without them."
            )
        return [label for label in labels if label is not None]

    def _label(self, archive: Archive, row: int, suffix: str, file: BinaryIO) -> str | None:
        where = f"{self._shown(archive)}/{archive.name(row)}"
        expected = f"expected a class in at most {LARGEST_LABEL:,} bytes of UTF-8"
        expected += f" JSON under one of {', '.join(LABEL_KEYS)}" if suffix == ".json" else ""
        mend = f"{expected}. Write it again, or pack the images without their {suffix} members."
        try:
            if archive.rows["size"][row] > LARGEST_LABEL:
                raise DataError(f"{archive.rows['size'][row]:,} bytes")
            text = archive.read(row, file=file).decode("utf-8").strip()
            value: Any = json.loads(text) if suffix == ".json" else text
        except (DataError, OSError, ValueError, RecursionError) as error:
            raise DataError(f"{where}: cannot be read as a label ({str(error)[:120]}); {mend}") from error
        if isinstance(value, dict):
            value = next((value[key] for key in LABEL_KEYS if key in value), None)
            if value is None:  # what else is known of the image
                return None
        elif suffix == ".json" and not isinstance(value, (int, str)):
            return None
        if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
            raise DataError(f"{where}: the label is {str(value)[:60]!r} ({type(value).__name__}); {mend}")
        return str(value)


def _labelling(archive: Archive) -> Iterator[tuple[int, str]]:
    """Rows of the ``.cls`` members; of the ``.json`` members in an archive without any."""
    for suffix in LABEL_SUFFIXES:
        rows = archive.of((suffix,)).tolist()
        yield from ((row, suffix) for row in rows)
        if rows:
            return


def _stem(name: str) -> str:
    return next((name[: -len(s)] for s in sorted(ARCHIVE_SUFFIXES, key=len)[::-1] if name.lower().endswith(s)), name)


def _key(name: str) -> str:
    """What the members of one sample share: folder, and name up to its first dot."""
    folder, _, base = name.rpartition("/")
    return f"{folder}/{base.split('.', 1)[0]}"


def listed(suffixes: Iterable[str] | Counter[str]) -> str:
    """How many of which suffix, the most frequent first."""
    return ", ".join(f"{count} {suffix}" for suffix, count in Counter(suffixes).most_common(8))
