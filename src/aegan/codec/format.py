"""The file of compressed codes: magic, version, lengths, digest, JSON header, grid, coded integers.

::

    8 bytes   magic
    2, 4, 8   version, length of the header, length of the payload (little-endian)
    16        BLAKE2b over all the rest, magic and lengths included
    header    JSON: run, model, fingerprint of the weights, counts, shape, classes, check of the integers
    payload   grid (4 bytes a dimension), then the integers and, as a last column, the labels

The digest tells a damaged file; it is no signature. What is read is checked all the same before it is used.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aegan.codec.entropy import decode_columns, encode_columns
from aegan.codec.quantise import Grid
from aegan.errors import DataError, StorageError
from aegan.storage import write_atomically

SUFFIX = ".aec"
MAGIC = b"\x8fAEC\r\n\x1a\n"
VERSION = 1
CODER = "constriction-range-24"
MOST_VALUES = 2**31
"""Values in a file at most, so that a crafted header cannot ask for all memory there is."""
_FRONT = struct.Struct("<8sHIQ")
_START = _FRONT.size + 16
_AGAIN = "Make it again with `aegan encode`, or restore it from a copy."


@dataclass(frozen=True)
class CodesFile:
    """What a file of compressed codes holds.

    Attributes:
        integers: int64 ``(N, D)``.
        grid: What the integers stand for.
        labels: Class indices int64 ``(N,)``, or None.
        about: Where the codes come from, JSON values: ``run`` (folder name), ``model``, ``weights`` (fingerprint),
            ``shape`` (of a sample), ``classes``, ``error``.
    """

    integers: np.ndarray
    grid: Grid
    labels: np.ndarray | None
    about: dict[str, Any]

    @property
    def codes(self) -> np.ndarray:
        """Codes float32 ``(N, D)``, as near as the grid allows."""
        return self.grid.dequantise(self.integers)


@dataclass(frozen=True)
class Written:
    """A file of compressed codes that was written, and its size.

    Attributes:
        path: The file.
        size: Bytes on disk, everything included.
        samples: Samples in it.
        dim: Values of a code.
        raw: Bytes of a sample as plain values (a byte a value for images).

    >>> print(Written(Path("a.aec"), 1000, 100, 16, 784))
    a.aec: 100 samples in 1,000 bytes: 10.0 bytes a sample, 5.00 bits a code value, 78.4 times smaller than raw
    """

    path: Path
    size: int
    samples: int
    dim: int
    raw: int

    @property
    def bytes_a_sample(self) -> float:
        """All bytes, divided by the samples."""
        return self.size / self.samples

    @property
    def bits_a_value(self) -> float:
        """All bits, divided by the values of all codes."""
        return 8 * self.size / (self.samples * self.dim)

    @property
    def ratio(self) -> float:
        """Raw bytes of the data over bytes on disk."""
        return self.raw * self.samples / self.size

    def __str__(self) -> str:
        times = f"{self.ratio:.1f} times smaller" if self.ratio >= 1 else f"{1 / self.ratio:.1f} times larger"
        return (
            f"{self.path}: {self.samples:,} sample{'s' * (self.samples != 1)} in {self.size:,} bytes: "
            f"{self.bytes_a_sample:.1f} bytes a sample, {self.bits_a_value:.2f} bits a code value, {times} than raw"
        )


def write_codes(
    path: Path,
    codes: np.ndarray,
    grid: Grid,
    *,
    about: Mapping[str, Any],
    raw: int,
    labels: np.ndarray | None = None,
    overwrite: bool = False,
) -> Written:
    """Round, code, read back, compare, and only then put the file in place.

    Args:
        path: File to make.
        codes: ``(N, D)``, finite.
        grid: What to round to.
        about: See :class:`CodesFile`.
        raw: Bytes of one sample as plain values.
        labels: Class indices ``(N,)``, kept as they are.
        overwrite: Replace what is there.

    Raises:
        DataError: Codes or labels of another shape, or not finite.
        StorageError: ``path`` exists, the disk is full, or what was written does not read back.
    """
    if path.is_dir():
        raise StorageError(f"{path}: is a folder; a file ending in {SUFFIX} expected. Choose another name.")
    if path.exists() and not overwrite:
        raise StorageError(
            f"{path}: exists already. Choose another name, or overwrite it: --overwrite (Python: overwrite=True)."
        )
    integers = grid.quantise(codes)
    if labels is not None and np.shape(labels) != (len(integers),):
        raise DataError(f"labels: one for each of the {len(integers)} codes expected, got shape {np.shape(labels)}.")
    content = pack(CodesFile(integers, grid, labels, dict(about)))
    back = unpack(content, path)
    kept = back.labels is None if labels is None else back.labels is not None and np.array_equal(back.labels, labels)
    if not (kept and np.array_equal(back.integers, integers) and np.array_equal(back.codes, grid.dequantise(integers))):
        raise StorageError(f"{path}: the codes do not read back as they were written, so nothing was written.")
    write_atomically(path, lambda p: p.write_bytes(content))
    return Written(path, len(content), len(integers), integers.shape[1], raw)


def read_codes(path: Path) -> CodesFile:
    """Read and check a file made by :func:`write_codes`.

    Raises:
        DataError: Missing, foreign, newer, cut short or damaged; the message says which.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file. `aegan encode RUN SOURCE --out {path}` makes one.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}). Check the path and its rights."
        ) from error
    return unpack(content, path)


def pack(file: CodesFile) -> bytes:
    """The whole content of a file."""
    n, dim = file.integers.shape
    table = file.integers if file.labels is None else np.column_stack([file.integers, file.labels])
    payload = file.grid.to_bytes() + encode_columns(table)
    header = {"n": n, "dim": dim, "labels": file.labels is not None, "coder": CODER, "check": _check(table)}
    text = json.dumps(header | file.about, ensure_ascii=False, separators=(",", ":")).encode()
    front = _FRONT.pack(MAGIC, VERSION, len(text), len(payload))
    return front + _digest(front, text, payload) + text + payload


def unpack(content: bytes, path: Path) -> CodesFile:
    """Inverse of :func:`pack`; ``path`` is for the messages of a DataError."""
    if content[: len(MAGIC)] != MAGIC:
        if not content or not MAGIC.startswith(content[: len(MAGIC)]):
            raise DataError(f"{path}: not a file of compressed codes (it does not begin like one). Expected a {SUFFIX} "
                            "file made by `aegan encode`.")  # fmt: skip
    if len(content) < _START:
        raise DataError(f"{path}: cut short: {len(content)} bytes, at least {_START} expected. {_AGAIN}")
    _, version, length, size = _FRONT.unpack_from(content)
    if version > VERSION:
        raise DataError(
            f"{path}: written in format {version}; this aegan reads up to {VERSION}. Update with `pip install "
            "--upgrade aegan`. If aegan is new, the file is damaged."
        )
    if len(content) != _START + length + size:
        what = "cut short" if len(content) < _START + length + size else "longer than it should be"
        raise DataError(f"{path}: {what}: {len(content)} bytes, {_START + length + size} expected. {_AGAIN}")
    text, payload = content[_START : _START + length], content[_START + length :]
    if _digest(content[: _FRONT.size], text, payload) != content[_FRONT.size : _START]:
        raise DataError(f"{path}: damaged: the checksum does not match. {_AGAIN}")
    try:
        return _parse(json.loads(text), payload)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: was not written by aegan, or was changed: {error}. {_AGAIN}") from error


def _parse(header: dict[str, Any], payload: bytes) -> CodesFile:
    n, dim, labelled = header.pop("n"), header.pop("dim"), header.pop("labels")
    coder, check = header.pop("coder"), header.pop("check")
    if coder != CODER:
        raise ValueError(f"coder {coder!r}, this aegan knows {CODER!r}; it may be from a newer one")
    if not all(type(v) is int and v >= 1 for v in (n, dim)) or n * dim > MOST_VALUES or type(labelled) is not bool:
        raise ValueError(f"{n!r} codes of {dim!r} values cannot be")
    if not all(isinstance(header.get(k), str) for k in ("run", "model", "weights")):
        raise ValueError("the header does not say which run the codes belong to")
    classes = header.get("classes", [])
    if not (isinstance(classes, list) and all(isinstance(c, str) for c in classes)):
        raise ValueError("the header's classes are not a list of names")
    if len(payload) < 4 * dim:
        raise ValueError("no room for the grid")
    grid = Grid.from_bytes(payload[: 4 * dim])
    table = decode_columns(payload[4 * dim :], n, dim + labelled)
    if _check(table) != check:
        raise ValueError("the integers are not those that were written (another version of constriction, perhaps)")
    return CodesFile(table[:, :dim], grid, table[:, dim] if labelled else None, header)


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _check(table: np.ndarray) -> int:
    """CRC-32 of the integers themselves: tells a coder that decodes soundly, but something else."""
    return zlib.crc32(np.ascontiguousarray(table, "<i8").tobytes())
