"""Where in zip and tar archives the images and labels lie, and reading one of them, from any thread.

Nothing is extracted. A zip's directory says where its members are; a tar's headers are gone through once. A compressed
tar can only be read from its beginning, so it is unpacked once into a temporary file, which vanishes with its index.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import stat
import struct
import tarfile
import tempfile
import threading
import weakref
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from aegan.data.labels import path_key
from aegan.errors import DataError, StorageError

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz", ".tar.zst")
"""What an archive of images may be named; what it is, is seen by its first bytes."""
LARGEST_MEMBER = 1 << 30
"""Bytes; what is larger is no image."""
RAW, DEFLATED, ENCRYPTED = 0, 8, 255  # as zip numbers its methods, and one for what cannot be read
_ROW = struct.Struct("<qqqqqIBBB")
_ROWS = np.dtype(
    [
        *((name, "<i8") for name in ("name", "name_end", "offset", "stored", "size")),
        *(("crc", "<u4"), ("method", "u1"), ("zipped", "u1"), ("suffix", "u1")),
    ]
)
_LOCAL = struct.Struct("<4s22xHH")  # of a zip's header in front of each member: mark, lengths of name and extra field
_COPIED = 16 << 20
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "lzma"}


class Archive:
    """The members of one archive that are wanted, by name, at some 50 bytes and its name each.

    Args:
        path: Zip or tar, compressed or not.
        suffixes: Of the members to index, in lower case. Folders, links and hidden members are left out.
        cache_dir: Folder for what a compressed tar is unpacked to; the system's when None.

    Attributes:
        rows: Where each member lies; sorted naturally by name. Of members of one name the last one counts.
        others: How many members of which suffixes are not wanted.

    Raises:
        DataError: Not an archive, truncated or damaged.
        StorageError: No room to unpack.
    """

    def __init__(self, path: Path, suffixes: Sequence[str], *, cache_dir: str | os.PathLike[str] | None = None) -> None:
        self.path = path
        self.others: Counter[str] = Counter()
        self.suffixes = tuple(suffixes)
        self._names, self._packed = bytearray(), bytearray()
        self._unpacked: BinaryIO | None = None
        self._lock = threading.Lock()
        try:
            self._index(cache_dir)
        except (DataError, StorageError, MemoryError):
            raise
        except PermissionError as error:
            raise DataError(f"{path}: no permission to read it. Mend its permissions.") from error
        except Exception as error:  # damaged files make zipfile, tarfile and zlib raise nearly anything
            raise DataError(self._damaged(" ".join(str(error).split()) or type(error).__name__)) from error
        self.rows = np.frombuffer(bytes(self._packed), dtype=_ROWS)
        del self._packed
        self._sort()

    def _index(self, cache_dir: str | os.PathLike[str] | None) -> None:
        with self.path.open("rb") as file:
            head = file.read(8)
        if not head:
            raise DataError(f"{self.path}: empty file (zero bytes); expected a zip or tar archive. Fetch it again.")
        if head.startswith(b"PK"):
            return self._index_zip()
        if head.startswith(b"\x28\xb5\x2f\xfd"):
            raise DataError(
                f"{self.path}: compressed by zstd, which is not read; expected .tar, .tar.gz or .zip. Decompress it: "
                "unzstd."
            )
        how = next((how for magic, how in _PACKED.items() if head.startswith(magic)), None)
        if how is not None:
            self._unpacked = self._unpack(how, cache_dir)
        with self.opened() as file:
            self._index_tar(file)

    def _index_zip(self) -> None:
        with zipfile.ZipFile(self.path) as archive:
            for info in archive.infolist():
                name = info.filename if "/" in info.filename else info.filename.replace("\\", "/")
                mode = info.external_attr >> 16
                if info.is_dir() or not self._takes(name, plain=not stat.S_ISLNK(mode)):
                    continue
                method = ENCRYPTED if info.flag_bits & 1 else min(info.compress_type, ENCRYPTED - 1)
                self._add(name, info.header_offset, info.compress_size, info.file_size, info.CRC, method, zipped=True)

    def _index_tar(self, file: BinaryIO) -> None:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # pyright: ignore[reportAttributeAccessIssue]  # a kilobyte of each
                if not member.isdir() and self._takes(member.name, plain=member.isreg() and not member.issparse()):
                    self._add(member.name, member.offset_data, member.size, member.size)
            file.seek(archive.offset)
            end = file.read(tarfile.BLOCKSIZE)
            # tarfile takes a header that it cannot read for the end.
            if len(end) < tarfile.BLOCKSIZE:
                raise EOFError(f"ends at byte {archive.offset + len(end):,} without the mark of an archive's end")
            if any(end):
                raise ValueError(f"no header of a member at byte {archive.offset:,}")

    def _takes(self, name: str, *, plain: bool) -> bool:
        if any(part.startswith((".", "__MACOSX")) for part in parts_of(name)):
            return False
        if plain and suffix_of(name) in self.suffixes:
            return True
        self.others[(suffix_of(name) or "(no suffix)") if plain else "(link)"] += 1
        return False

    def _add(
        self, name: str, offset: int, stored: int, size: int, crc: int = 0, method: int = RAW, *, zipped: bool = False
    ) -> None:
        start = len(self._names)
        self._names += name.encode("utf-8", "surrogateescape")
        suffix = self.suffixes.index(suffix_of(name))
        self._packed += _ROW.pack(start, len(self._names), offset, stored, size, crc, method, zipped, suffix)

    def _sort(self) -> None:
        keys = (path_key("/".join(parts_of(self.name(i)))) for i in range(len(self)))
        before, ordered = "", True
        for key in keys:
            if key <= before:
                ordered = False
                break
            before = key
        if ordered:  # without a list of keys
            return
        listed = [path_key("/".join(parts_of(self.name(i)))) for i in range(len(self))]
        order = sorted(range(len(self)), key=listed.__getitem__)
        last = [i for i, after in zip(order, [*order[1:], -1], strict=True) if after < 0 or listed[i] != listed[after]]
        if len(last) < len(order):
            self.others["(replaced by a later member of the same name)"] += len(order) - len(last)
        self.rows = self.rows[last]

    def _unpack(self, how: str, cache_dir: str | os.PathLike[str] | None) -> BinaryIO:
        folder = Path(cache_dir) if cache_dir is not None else Path(tempfile.gettempdir())
        opener: Any = importlib.import_module(how)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            unpacked = cast(BinaryIO, tempfile.TemporaryFile(prefix="aegan-", suffix=".tar", dir=folder, buffering=0))
        except OSError as error:
            raise self._no_room(folder, error) from error
        weakref.finalize(self, unpacked.close)
        with opener.open(self.path, "rb") as packed:
            while block := packed.read(_COPIED):
                try:
                    rest = memoryview(block)
                    while rest:
                        rest = rest[unpacked.write(rest) :]
                except OSError as error:
                    raise self._no_room(folder, error) from error
        unpacked.seek(0)
        return unpacked

    def _no_room(self, folder: Path, error: OSError) -> StorageError:
        return StorageError(
            f"{folder}: cannot unpack {self.path} there ({error.strerror or error}); a compressed tar can only be read "
            "from its beginning. Free some space, set TMPDIR (Python: cache_dir), or give it as .tar or .zip, which "
            "are read where they are."
        )

    def _damaged(self, why: str) -> str:
        form = "zip" if self.path.suffix.lower() == ".zip" else "tar"
        return (
            f"{self.path}: truncated, damaged, or no archive at all ({why[:160]}); expected a whole {form} archive. "
            "Fetch it or write it again."
        )

    @contextlib.contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The file behind the members; for one thread at a time where it is a temporary one."""
        if self._unpacked is None:
            with self.path.open("rb") as file:
                yield file
        else:
            with self._lock:
                yield self._unpacked

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, suffixes: Sequence[str]) -> np.ndarray:
        """Rows of the members with one of the suffixes, in order."""
        wanted = [i for i, suffix in enumerate(self.suffixes) if suffix in suffixes]
        return np.flatnonzero(np.isin(self.rows["suffix"], wanted))

    def name(self, row: int) -> str:
        """Name of a member as it stands in the archive; what is not UTF-8 is replaced."""
        start, end = self.rows["name"][row], self.rows["name_end"][row]
        return self._names[start:end].decode("utf-8", "replace")

    def read(self, row: int, *, most: int | None = None, file: BinaryIO | None = None) -> bytes:
        """A member's bytes, checked against its checksum where the archive has one; or only the first of them.

        Args:
            row: Which member.
            most: Bytes to read at most.
            file: From :meth:`opened`, to read many members in a row.

        Raises:
            DataError: Encrypted, compressed in another way than by deflate, truncated or damaged.
            OSError: The file is gone, or cannot be read.
        """
        _, _, offset, stored, size, crc, method, zipped, _ = self.rows[row].item()
        if method == ENCRYPTED:
            raise DataError("encrypted, and no password is asked for; pack it again without one")
        if method not in (RAW, DEFLATED):
            raise DataError(f"compressed by zip's method {method}; expected stored or deflated: pack it again")
        if size > LARGEST_MEMBER:
            raise DataError(f"{size:,} bytes; expected an image of at most {LARGEST_MEMBER:,}")
        part = most is not None and most < size
        with contextlib.ExitStack() as stack:
            file = file or stack.enter_context(self.opened())
            file.seek(offset)
            if zipped:
                mark, *lengths = _LOCAL.unpack(file.read(_LOCAL.size).ljust(_LOCAL.size, b"\0"))
                if mark != b"PK\3\4":
                    raise DataError("the archive is damaged: no member where its directory says")
                file.seek(sum(lengths), os.SEEK_CUR)
            raw = file.read(min(stored, most) if part and most else stored)
        try:
            data = (
                zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, most if part and most else size + 1)
                if method
                else raw
            )
        except zlib.error as error:
            raise DataError(f"the archive is damaged here ({error})") from error
        if not part and (len(data) != size or (zipped and zlib.crc32(data) != crc)):
            raise DataError("the archive is damaged here (size or checksum differs from its directory)")
        return data


def parts_of(name: str) -> list[str]:
    """Folders and name of a member; steps up and empty ones, of which nothing is ever made, are left out."""
    return [part for part in name.split("/") if part not in ("", ".", "..")]


def suffix_of(name: str) -> str:
    """The last suffix of a path in lower case, with its dot; empty without one."""
    base = name.rsplit("/", 1)[-1]
    return base[base.rindex(".") :].lower() if "." in base else ""


def is_archive(path: Path) -> bool:
    """Whether a file is named like an archive of images."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)
