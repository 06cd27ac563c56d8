"""Texts to .txt, .csv, .tsv or .jsonl; whole or not at all."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from aegan.data.text_source import USUAL, USUAL_LABEL, TextForm
from aegan.errors import ConfigError, DataError, StorageError
from aegan.storage import write_atomically

SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl")


def write_texts(
    texts: Sequence[str],
    out: str | os.PathLike[str],
    *,
    form: TextForm | None = None,
    labels: Sequence[str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write texts in the form that the suffix of ``out`` asks for, in UTF-8; each also with ``.gz``.

    * ``.txt``: a line each; paragraphs, where those were fitted, with a blank line between. Labels are left out. Ends
      of lines within a line become blanks, as do blank lines within a paragraph.
    * ``.csv``, ``.tsv``: a column of the fitted column's name, or ``text``; with labels a second one.
    * ``.jsonl``: an object a line, with the same names.

    Args:
        texts: What to write.
        out: Path.
        form: What the fitted text looked like.
        labels: One each.
        overwrite: Replace an existing file.

    Raises:
        ConfigError: A suffix that is none of these.
        DataError: Not as many labels as texts.
        StorageError: The file exists and ``overwrite`` is off, or it cannot be written.
    """
    path, form = Path(out).expanduser(), form or TextForm()
    zipped = path.suffix.lower() == ".gz"
    suffix = (path.with_suffix("") if zipped else path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"{path}: cannot write text as {suffix or 'a file without suffix'}; expected {', '.join(SUFFIXES)}, also "
            "with .gz."
        )
    if labels is not None and len(labels) != len(texts):
        raise DataError(f"write_texts: {len(labels)} labels for {len(texts)} texts; expected one each.")
    if path.exists() and not overwrite:
        raise StorageError(f"{path}: exists already. Add --overwrite (overwrite=True), or choose another name.")
    whole = _written(suffix, texts, labels, form)
    raw = whole.encode("utf-8", errors="replace")
    write_atomically(path, lambda p: p.write_bytes(gzip.compress(raw, mtime=0) if zipped else raw))
    return path


def _written(suffix: str, texts: Sequence[str], labels: Sequence[str] | None, form: TextForm) -> str:
    if suffix == ".txt":
        if form.sample == "paragraph":
            return "\n\n".join(re.sub(r"\n\s*\n", "\n", text.strip("\n")) for text in texts) + "\n"
        return "".join(re.sub(r"[\r\n]+", " ", text) + "\n" for text in texts)
    names = [form.column or USUAL, *([form.label or USUAL_LABEL] if labels is not None else [])]
    rows = [[text, *([labels[i]] if labels is not None else [])] for i, text in enumerate(texts)]
    if suffix == ".jsonl":
        return "".join(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n" for row in rows)
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n")
    writer.writerows([names, *rows])
    return buffer.getvalue()
