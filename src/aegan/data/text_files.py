"""Files of text: bytes to characters, and characters to samples; what is no text is refused by its place."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from pathlib import Path

from aegan.errors import DataError

KNOWN = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a zip, Word or Excel file",
    b"PAR1": "Parquet",
    b"RIFF": "a WAV, AVI or WebP file",
    b"\x7fELF": "a program",
    b"SQLite": "a database",
}
"""First bytes of what is no text, however it is named."""
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
PARAGRAPH = 20
"""Lines of a paragraph at most, on average, where nobody said that samples are paragraphs."""
SAMPLES = ("auto", "line", "paragraph")


def read_characters(path: Path, encoding: str = "utf-8") -> str:
    r"""The characters of a file, gzipped or not; ends of lines become ``\n``.

    Raises:
        DataError: Missing, empty, binary, a damaged gzip file, or bytes that the encoding lacks, by their place.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file. Give the path of a text file.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: a folder; expected a text file. Give one of its files.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}). Mend its permissions.") from error
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: a damaged gzip file ({error}). Copy or download it again.") from error
    if not raw.strip():
        raise DataError(f"{path}: an empty file; expected a sample a line, or paragraphs with blank lines between.")
    marked = next((name for mark, name in MARKS if raw.startswith(mark)), None)
    if marked is None:
        _refuse_binary(raw, path)
    try:
        text = raw.decode(marked or encoding)
    except UnicodeDecodeError as error:
        raise DataError(_misplaced(raw, error, path, marked or encoding)) from error
    except LookupError as error:
        raise DataError(
            f"{path}: encoding {encoding!r} is unknown; expected a name such as utf-8 or cp1252."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _refuse_binary(raw: bytes, path: Path) -> None:
    what = next((name for mark, name in KNOWN.items() if raw.startswith(mark)), None)
    start = raw[:100_000]
    if what is None and b"\x00" in start:
        what = f"binary data (a zero byte at byte {start.index(0) + 1})"
    if what is None and sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in start) > len(start) / 50:
        what = "binary data (control characters)"
    if what is not None:
        raise DataError(f"{path}: {what}, not text; expected characters in UTF-8. Give the text itself, or --kind.")


def _misplaced(raw: bytes, error: UnicodeDecodeError, path: Path, encoding: str) -> str:
    """Where the bytes are that the encoding does not have, and what to do."""
    at = error.start
    line = raw.count(b"\n", 0, at) + 1
    column = at - (raw.rfind(b"\n", 0, at) + 1) + 1
    shown = raw[max(0, at - 20) : at + 10].decode("ascii", errors="backslashreplace").replace("\n", "\\n")
    return (
        f"{path}: line {line}, byte {column} of it (byte {at + 1} of the file) is {raw[at]:#04x}, which is not "
        f"{encoding.upper()}: …{shown}…. Save the file as UTF-8, for instance with `iconv -f CP1252 -t UTF-8`, or "
        "say encoding=... (on the command line --encoding cp1252)."
    )


def cut_samples(text: str, sample: str) -> tuple[list[str], list[int], str]:
    r"""Samples of a file's characters, the line that each begins on (from 1), and what a sample is.

    A sample is a line. With ``"auto"`` it is a paragraph where blank lines stand between blocks of several lines.
    Lines are ended by ``\n`` alone: what else Unicode counts as one is a part of the text. Blank ones are passed over.

    >>> cut_samples("a\nb\n\nc\nd\n", "auto")
    (['a\nb', 'c\nd'], [1, 4], 'paragraph')
    """
    lines = text.removesuffix("\n").split("\n")
    if sample == "auto":
        blocks = [block for block in re.split(r"\n[ \t]*(?:\n[ \t]*)+", text.strip("\n")) if block.strip()]
        longer = sum("\n" in block for block in blocks)
        # A stray blank line among a thousand makes no paragraphs.
        short = sum(block.count("\n") + 1 for block in blocks) <= PARAGRAPH * len(blocks)
        sample = "paragraph" if len(blocks) > 1 and longer > len(blocks) / 3 and short else "line"
    if sample == "line":
        kept = [i for i, line in enumerate(lines) if line.strip()]
        return [lines[i] for i in kept], [i + 1 for i in kept], sample
    samples: list[str] = []
    starts: list[int] = []
    block: list[str] = []
    for i, line in enumerate([*lines, ""]):
        if line.strip():
            block.append(line)
        elif block:
            samples.append("\n".join(block))
            starts.append(i - len(block) + 1)
            block = []
    return samples, starts, sample


def looks_like_table(path: Path) -> bool:
    """Whether a file of text holds separated values: as many separators on every line, or nothing but numbers.

    Whatever cannot be read is taken for text, whose reader says why.
    """
    try:
        opened = gzip.open(path) if path.suffix.lower() == ".gz" else open(path, "rb")
        with opened as handle:
            head = handle.read(65_536)
    except (OSError, EOFError, zlib.error):
        return False
    encoding = "utf-16" if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    whole = head.decode(encoding, errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    lines = [line for line in whole.split("\n") if line.strip()]
    if len(head) == 65_536:
        lines = lines[:-1]  # the last one is cut
    if len(lines) < 2:
        return False
    for separator in "\t;|,":
        counts = [line.count(separator) for line in lines]
        common = max(set(counts), key=counts.count)
        # Quoted cells may hold a separator; prose has now one comma and now three.
        if common and counts.count(common) >= 0.9 * len(counts):
            return True
    return all(_is_number(cell) for line in lines[1:] for cell in line.split())


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
