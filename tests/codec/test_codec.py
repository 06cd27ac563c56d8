"""Compressed codes: what is written comes back to the bit, what is not such a file is refused by name."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from aegan.codec import CodesFile, Grid, decode_columns, encode_columns, fit_grid, read_codes, sensitivity, write_codes
from aegan.codec import format as codec_format
from aegan.errors import AeganError, ConfigError, DataError, StorageError

ABOUT = {"run": "run", "model": "autoencoder", "weights": "0123456789abcdef", "classes": ["a", "é"]}


def gaussian(n: int, columns: int, scale: float = 3.0, seed: int = 0) -> np.ndarray:
    return np.rint(np.random.default_rng(seed).normal(size=(n, columns)) * scale).astype(np.int64)


def outliers() -> np.ndarray:
    z = gaussian(50, 3)
    z[7] = 2**30, -(2**30), 12345
    return z


TABLES = {
    "one value": np.array([[-7]]),
    "one row": gaussian(1, 40),
    "one column": gaussian(200, 1),
    "constant": np.full((30, 4), -5),
    "constant but one": np.column_stack([np.full(30, 3), gaussian(30, 1)[:, 0], np.zeros(30, int)]),
    "two rows": np.array([[0, 1], [1, 0]]),
    "outliers": outliers(),
    "all different": gaussian(300, 2, scale=1e8),
    "farthest": np.array([[-(2**31)], [2**31]]),
    "many": gaussian(3000, 5),
    "no column": np.zeros((4, 0), int),
}


@pytest.mark.parametrize("name", TABLES)
def test_integers_come_back_to_the_bit(name: str) -> None:
    table = TABLES[name]
    back = decode_columns(encode_columns(table), *table.shape)
    assert back.dtype == np.int64 and np.array_equal(back, table)


def test_the_coder_comes_near_the_entropy() -> None:
    table = gaussian(20_000, 2)
    entropy = 0.0
    for column in table.T:
        counts = np.unique(column, return_counts=True)[1]
        entropy += float((counts * np.log2(len(column) / counts)).sum()) / 8
    assert entropy < len(encode_columns(table)) < 1.02 * entropy + 8
    fine = gaussian(1000, 2, scale=1e6)  # hardly a value twice: 22 bits of entropy each, a table would cost more
    assert len(encode_columns(fine)) < 1000 * 2 * 23 / 8


def test_bytes_of_another_shape_are_refused() -> None:
    content = encode_columns(gaussian(50, 3))
    for rows, columns in ((50, 2), (50, 4), (49, 3), (51, 3)):
        with pytest.raises(ValueError, match="table|tell|fit|cannot be"):
            decode_columns(content, rows, columns)


def test_the_grid_is_finer_where_the_decoder_heeds_more() -> None:
    weights = np.array([[4.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    codes = np.random.default_rng(0).normal(size=(500, 3)) + [0, 0, 9]
    heeded = sensitivity(lambda z: z @ weights, codes)
    assert heeded[:2] == pytest.approx([4, 1], rel=1e-3) and heeded[2] < 0.01
    grid = fit_grid(codes, heeded, error=0.05, values=3)
    back = grid.dequantise(grid.quantise(codes))
    assert np.abs(back - codes).max(0)[:2] == pytest.approx(grid.spacing[:2] / 2, rel=0.05)
    error = np.sqrt((((back - codes) @ weights) ** 2).mean())
    assert 0.7 * 0.05 < error < 0.05  # the third dimension says nothing: two of three carry an error
    assert (grid.spacing.view(np.uint32) & 0xFFFF == 0).all()


def test_a_grid_is_what_travels_in_two_bytes() -> None:
    grid = Grid(np.array([0.1, -3e-8]), np.array([0.4, 1e-44]))
    back = Grid.from_bytes(grid.to_bytes())
    assert np.array_equal(back.offset, grid.offset) and np.array_equal(back.spacing, grid.spacing)
    assert grid.spacing[0] == pytest.approx(0.4, rel=0.01) and (grid.spacing > 0).all() and len(grid.to_bytes()) == 8


@pytest.mark.parametrize("constant", [0.0, 1.0])
def test_a_decoder_that_heeds_nothing_and_codes_that_never_change(constant: float) -> None:
    codes = np.full((3, 2), constant)
    grid = fit_grid(codes, sensitivity(lambda z: np.zeros((len(z), 5)), codes), error=0.1, values=5)
    assert grid.dequantise(grid.quantise(codes)) == pytest.approx(codes)


@pytest.mark.parametrize("error", [0, -0.1, 1.5, 1e-9, float("nan"), float("inf"), "0.1", True])
def test_an_error_out_of_range(error) -> None:
    with pytest.raises(ConfigError, match="from 1e-06 to 1 expected"):
        fit_grid(np.zeros((2, 2)), np.ones(2), error=error, values=4)


def test_codes_that_cannot_be_rounded() -> None:
    grid = Grid(np.zeros(2, np.float32), np.full(2, 2.0**-20, np.float32))
    for wrong in (np.zeros((0, 2)), np.zeros((3, 3)), np.zeros(2), np.array([[0, np.nan]]), np.array([[np.inf, 0]])):
        with pytest.raises(DataError, match="codes"):
            grid.quantise(wrong)
    with pytest.raises(ConfigError, match="Allow a larger error"):
        grid.quantise(np.array([[0.0, 1e6]]))


GRID = Grid(np.array([0.5, -1], np.float32), np.array([0.25, 2], np.float32))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    labels = np.arange(40) % 2
    write_codes(tmp_path / "a.aec", gaussian(40, 2) + 0.1, GRID, about=ABOUT, raw=64, labels=labels)
    return tmp_path / "a.aec"


def test_a_file_holds_codes_labels_and_where_they_are_from(file: Path) -> None:
    read = read_codes(file)
    codes = gaussian(40, 2) + 0.1
    assert np.array_equal(read.integers, GRID.quantise(codes)) and read.codes.dtype == np.float32
    assert (np.abs(read.codes - codes) <= GRID.spacing / 2 + 1e-6).all()
    assert read.labels is not None and np.array_equal(read.labels, np.arange(40) % 2)
    assert read.about == ABOUT


def test_sizes_are_those_on_disk(tmp_path: Path) -> None:
    written = write_codes(tmp_path / "b.aec", gaussian(40, 2), GRID, about=ABOUT, raw=64)
    assert written.size == (tmp_path / "b.aec").stat().st_size
    assert written.bytes_a_sample == written.size / 40 and written.bits_a_value == written.size / 10
    assert written.ratio == 64 * 40 / written.size and "40 samples" in str(written)
    assert read_codes(tmp_path / "b.aec").labels is None


def test_any_flipped_byte_and_any_cut_is_refused(file: Path) -> None:
    content = file.read_bytes()
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(DataError):
            codec_format.unpack(bytes(damaged), file)
    for length in range(len(content)):
        with pytest.raises(DataError, match="cut short|does not begin"):
            codec_format.unpack(content[:length], file)
    with pytest.raises(DataError, match="longer than it should be"):
        codec_format.unpack(content + b"\0", file)
    with pytest.raises(DataError, match="damaged: the checksum"):
        codec_format.unpack(content[:-1] + bytes([content[-1] ^ 1]), file)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 an npz", b"\x89PNG\r\n\x1a\n", b"text"])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.aec").write_bytes(content)
    with pytest.raises(DataError, match="x.aec: not a file of compressed codes.*Expected a .aec file"):
        read_codes(tmp_path / "x.aec")


def test_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_codes(tmp_path / "none.aec")
    with pytest.raises(DataError, match="cannot be read"):
        read_codes(tmp_path)
    with pytest.raises(StorageError, match="is a folder"):
        write_codes(tmp_path, gaussian(4, 2), GRID, about=ABOUT, raw=1, overwrite=True)


def test_a_newer_version_is_refused(file: Path, monkeypatch) -> None:
    monkeypatch.setattr(codec_format, "VERSION", 2)
    newer = codec_format.pack(read_codes(file))
    monkeypatch.undo()
    file.write_bytes(newer)
    with pytest.raises(DataError, match="format 2; this aegan reads up to 1"):
        read_codes(file)


CRAFTED = {
    "another coder": {"coder": "huffman"},
    "too many": {"n": 2**40},
    "no sample": {"n": 0},
    "wrong count": {"n": 41},
    "a float": {"n": 40.0},
    "wrong dim": {"dim": 1},
    "too many dims": {"dim": 2**20},
    "no labels": {"labels": False},
    "other integers": {"check": 1},
    "no run": {"weights": None},
    "classes": {"classes": "ab"},
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_header_that_lies_is_refused_though_its_checksum_holds(file: Path, name: str) -> None:
    content = file.read_bytes()
    front, start = codec_format._FRONT, codec_format._START
    magic, version, length, size = front.unpack_from(content)
    header = json.loads(content[start : start + length]) | CRAFTED[name]
    text, payload = json.dumps(header).encode(), content[start + length :]
    head = front.pack(magic, version, len(text), size)
    file.write_bytes(head + codec_format._digest(head, text, payload) + text + payload)
    with pytest.raises(DataError, match="was not written by aegan, or was changed"):
        read_codes(file)


def test_an_existing_file_is_kept(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(StorageError, match="exists already.*--overwrite"):
        write_codes(file, gaussian(4, 2), GRID, about=ABOUT, raw=1)
    with pytest.raises(DataError, match="labels: one for each of the 4"):
        write_codes(file, gaussian(4, 2), GRID, about=ABOUT, raw=1, labels=np.zeros(3, int), overwrite=True)
    assert file.read_bytes() == before
    write_codes(file, gaussian(4, 2), GRID, about=ABOUT, raw=1, overwrite=True)
    assert len(read_codes(file).integers) == 4


def test_a_full_disk_leaves_the_old_file(file: Path, monkeypatch) -> None:
    before = file.read_bytes()

    def full(path: Path, content: bytes) -> int:
        with open(path, "wb") as handle:
            handle.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="disk is full"):
        write_codes(file, gaussian(4, 2), GRID, about=ABOUT, raw=1, overwrite=True)
    assert file.read_bytes() == before and list(file.parent.iterdir()) == [file]


def test_what_does_not_read_back_is_not_written(tmp_path: Path, monkeypatch) -> None:
    def wrong(*_) -> CodesFile:
        return CodesFile(gaussian(4, 2) + 1, GRID, None, ABOUT)

    monkeypatch.setattr(codec_format, "unpack", wrong)
    with pytest.raises(AeganError, match="do not read back"):
        write_codes(tmp_path / "a.aec", gaussian(4, 2), GRID, about=ABOUT, raw=1)
    assert not list(tmp_path.iterdir())
