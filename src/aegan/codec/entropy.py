"""Lossless coding of integers, column by column: a range coder with each column's own table of counts.

The coder is that of constriction (Bamler 2022, arXiv 2201.01741). The tables are whole numbers that travel with the
data, so the reader has the writer's model to the bit and recomputes nothing. A table lists only the integers that
occur: an outlier, however far, costs one entry. Columns with hardly any repetition (a very fine grid) are split into
high bits, which have a table, and low bits, which are as good as random and are stored as they are.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

LIMIT = 2**20
"""Entries of a table at most."""
CHUNK = 16
"""Low bits coded at a time."""


def encode_columns(integers: np.ndarray) -> bytes:
    """Bytes of int64 ``(N, C)`` with N at least 1; :func:`decode_columns` gives it back to the bit."""
    coder, tables = _library().queue.RangeEncoder(), []
    for column in np.asarray(integers, np.int64).T:
        shift, symbols, counts = _table(column)
        tables += [shift, len(symbols), _zigzag(int(symbols[0])), *np.diff(symbols).tolist(), *counts.tolist()]
        if len(symbols) > 1:
            coder.encode(np.searchsorted(symbols, column >> shift).astype(np.int32), _model(counts))
        for start, width in _chunks(shift):
            coder.encode((column >> start & (1 << width) - 1).astype(np.int32), _uniform(width))
    plain = _varints(tables)
    packed = zlib.compress(plain, 9)
    return struct.pack("<II", len(plain), len(packed)) + packed + coder.get_compressed().astype("<u4").tobytes()


def decode_columns(content: bytes, rows: int, columns: int) -> np.ndarray:
    """Inverse of :func:`encode_columns`.

    Raises:
        ValueError: These bytes do not hold that many rows and columns.
    """
    if len(content) < 8:
        raise ValueError("no room for the tables")
    size, packed = struct.unpack_from("<II", content)
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(content[8 : 8 + packed], size)
    except zlib.error as error:
        raise ValueError(f"the tables cannot be unpacked ({error})") from error
    words = content[8 + packed :]
    if len(plain) != size or len(words) % 4:
        raise ValueError("the tables or the coded data are cut short")
    numbers, out = _numbers(plain), np.empty((rows, columns), np.int64)
    coder = _library().queue.RangeDecoder(np.frombuffer(words, "<u4").astype(np.uint32))
    try:
        for c in range(columns):
            shift, symbols, counts = _read_table(numbers, rows)
            index = coder.decode(_model(counts), rows) if len(symbols) > 1 else np.zeros(rows, np.int32)
            out[:, c] = symbols[index] << shift
            for start, width in _chunks(shift):
                out[:, c] |= coder.decode(_uniform(width), rows).astype(np.int64) << start
    except (StopIteration, RuntimeError, OverflowError, AssertionError) as error:
        raise ValueError(f"the coded data do not fit their tables ({error})") from error
    if next(numbers, None) is not None or not coder.maybe_exhausted():
        raise ValueError("there are more data than the tables tell of")
    return out


def _table(column: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Low bits to split off, the distinct high parts, and how often each occurs; the choice of fewest bytes."""
    values, counts = np.unique(column, return_counts=True)
    best: tuple[float, int, np.ndarray, np.ndarray] | None = None
    for shift in range(int(values[-1] - values[0]).bit_length() + 1):
        if best is not None and len(column) * shift > best[0]:
            break
        high = values >> shift
        first = np.flatnonzero(np.diff(high, prepend=high[0] - 1))
        symbols, number = high[first], np.add.reduceat(counts, first)
        if len(symbols) > LIMIT:
            continue
        table = 8 * (_varint_bytes(np.diff(symbols)) + _varint_bytes(number))
        cost = float((number * np.log2(len(column) / number)).sum()) + len(column) * shift + table
        if best is None or cost < best[0]:
            best = (cost, shift, symbols, number)
    if best is None:  # shifted by its whole range, a column has at most two values
        raise RuntimeError(f"codec: no table of at most {LIMIT} entries was found; this is a bug of aegan.")
    return best[1:]


def _read_table(numbers: Iterator[int], rows: int) -> tuple[int, np.ndarray, np.ndarray]:
    shift, length, first = next(numbers), next(numbers), next(numbers)
    if shift > 62 or not 1 <= length <= min(LIMIT, rows):
        raise ValueError(f"a table of {length} entries and {shift} low bits cannot be")
    gaps = [next(numbers) for _ in range(length - 1)]
    counts = np.array([next(numbers) for _ in range(length)], np.int64)
    symbols = np.cumsum(np.array([-(first >> 1) - 1 if first & 1 else first >> 1, *gaps], np.int64))
    if int(counts.sum()) != rows or counts.min() < 1 or min(gaps, default=1) < 1:
        raise ValueError(f"a table of {int(counts.sum())} values for {rows} rows")
    return shift, symbols, counts


def _library() -> Any:
    import constriction

    return constriction.stream  # type: ignore[attr-defined]  # compiled, without declared types


def _model(counts: np.ndarray) -> Any:
    # Counts are exact in float64, and constriction makes 24-bit whole numbers of them in a fixed order of IEEE
    # operations; `perfect=False` names one of its two ways, whose result may not change between its versions.
    return _library().model.Categorical(counts.astype(np.float64), lazy=False, perfect=False)


def _uniform(width: int) -> Any:
    return _library().model.Uniform(1 << width)


def _chunks(shift: int) -> Iterator[tuple[int, int]]:
    for start in range(0, shift, CHUNK):
        yield start, min(CHUNK, shift - start)


def _zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _varint_bytes(values: np.ndarray) -> int:
    """Bytes that positive whole numbers take as varints, seven bits each; those of less than 63 bits."""
    return len(values) + sum(int(np.count_nonzero(values >> bits)) for bits in (7, 14, 21, 28, 35, 42, 49, 56))


def _varints(values: list[int]) -> bytes:
    out = bytearray()
    for value in values:
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        out.append(value)
    return bytes(out)


def _numbers(content: bytes) -> Iterator[int]:
    value = bits = 0
    for byte in content:
        value |= (byte & 127) << bits
        bits += 7
        if byte < 128:
            yield value
            value = bits = 0
        elif bits > 70:
            raise ValueError("a number of more than 70 bits in a table")
