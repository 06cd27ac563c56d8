"""Text that cannot be learnt, and what is said of it."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aegan.data.text import TextAdapter
from aegan.data.text_source import open_text
from aegan.errors import AeganWarning, ConfigError, DataError


def written(folder: Path, raw: bytes, name: str = "t.txt") -> Path:
    (folder / name).write_bytes(raw)
    return folder / name


@pytest.mark.parametrize("raw", [b"", b"\n \n\r\n"])
def test_an_empty_file(tmp_path: Path, raw: bytes) -> None:
    with pytest.raises(DataError, match="an empty file; expected a sample a line"):
        TextAdapter().fit(written(tmp_path, raw))


def test_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"one line only \(5 characters\); expected at least two samples"):
        TextAdapter().fit(written(tmp_path, b"hello\n"))
    with pytest.raises(DataError, match="2 lines, all the same"):
        TextAdapter().fit(written(tmp_path, b"hello\nhello\n"))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\x89PNG\r\n\x1a\n....", "a PNG image, not text"),
        (b"%PDF-1.7\nabc", "a PDF, not text"),
        (b"abc\n\x00\x01def", "a zero byte at byte 5"),
        (bytes(range(1, 9)) * 50, "control characters"),
    ],
)
def test_binary_data_posing_as_text(tmp_path: Path, raw: bytes, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        TextAdapter().fit(written(tmp_path, raw))
    with pytest.raises(DataError, match=re.escape(said)):
        TextAdapter().fit(written(tmp_path, gzip.compress(raw), "t.txt.gz"))


def test_invalid_utf8_is_named_by_its_place(tmp_path: Path) -> None:
    path = written(tmp_path, "eins\nzwei\nfünf und Käse\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"line 3, byte 2 of it \(byte 12 of the file\) is 0xfc, which is not UTF-8"):
        TextAdapter().fit(path)
    adapter = TextAdapter(encoding="cp1252").fit(path)
    assert adapter.texts(adapter.to_tensors(path).fields["x"])[2] == "fünf und Käse"
    with pytest.raises(DataError, match="encoding 'klingon' is unknown"):
        TextAdapter(encoding="klingon").fit(path)


def test_a_damaged_archive_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    whole = gzip.compress(b"a\nb\n" * 100)
    with pytest.raises(DataError, match="a damaged gzip file"):
        TextAdapter().fit(written(tmp_path, whole[:-9], "t.txt.gz"))
    with pytest.raises(DataError, match="no such file"):
        TextAdapter().fit(tmp_path / "none.txt")
    with pytest.raises(DataError, match="a folder; expected a text file"):
        TextAdapter().fit(tmp_path)


def test_longer_texts_are_cut_and_named(tmp_path: Path) -> None:
    adapter = TextAdapter().fit(["abc", "ab"])
    path = written(tmp_path, b"a\nabcab\nabca\n")
    with pytest.warns(AeganWarning, match=r"2 of 3 texts are longer than 3 characters and are cut; line 2 has 5"):
        data = adapter.to_tensors(path)
    assert adapter.texts(data.fields["x"]) == ["a", "abc", "abc"]
    with pytest.warns(AeganWarning, match="--length 4"):
        assert TextAdapter(length=2).fit(["abcd", "c"]).spec.shape == (3,)


def test_an_unseen_character_is_named_and_becomes_unknown() -> None:
    adapter = TextAdapter().fit(["abc", "cab"])
    said = r"2 characters in 1 texts .* sample 2, character 2: '€' \(U\+20AC, EURO SIGN\)"
    with pytest.warns(AeganWarning, match=said):
        data = adapter.to_tensors(["abc", "a€€"])
    assert adapter.texts(data.fields["x"]) == ["abc", "a��"]
    every = TextAdapter(unit="byte").fit(["abc", "€"])
    assert every.texts(every.to_tensors(["世"]).fields["x"]) == ["世"]  # bytes know no unseen ones


def test_what_is_no_text() -> None:
    with pytest.raises(DataError, match=r"sample 2 is 3 \(int\); expected a string"):
        TextAdapter().fit(["a", 3])
    with pytest.raises(DataError, match="an empty list"):
        TextAdapter().fit([])
    with pytest.raises(DataError, match="cannot read ndarray"):
        TextAdapter().fit(np.zeros((2, 2)))
    with pytest.raises(DataError, match="nothing but empty strings|all the same"):
        TextAdapter().fit(["", ""])
    with pytest.raises(DataError, match="1 labels for 2 texts"):
        TextAdapter().fit((["a", "b"], ["x"]))
    with pytest.raises(DataError, match="label 2 is None"):
        TextAdapter().fit((["a", "b"], ["x", None]))


def test_columns_that_are_not_there_or_no_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a", "b"], "n": [1, 2]})
    with pytest.raises(ConfigError, match=r"--text-column txt: no such column\. Did you mean 'text'"):
        TextAdapter(column="txt").fit(frame)
    with pytest.raises(DataError, match="column 'n' holds int64, not text"):
        TextAdapter(column="n").fit(frame)
    with pytest.raises(ConfigError, match="label=n: a table's column"):
        TextAdapter(label="n").fit(frame)
    frame.to_csv(tmp_path / "t.csv")
    with pytest.raises(ConfigError, match="a table; say which of its columns is the text"):
        TextAdapter().fit(tmp_path / "t.csv")


def test_options_that_cannot_work_and_tokens_that_are_none() -> None:
    for options, said in (
        ({"unit": "verse"}, "unit is 'verse'"),
        ({"length": 0}, "length is 0"),
        ({"each": "page"}, "is"),
    ):
        with pytest.raises(ConfigError, match=said):
            TextAdapter(**options).fit(["a", "b"])
    adapter = TextAdapter().fit(["ab", "b"])
    x = adapter.to_tensors(["ab"]).fields["x"]
    with pytest.raises(DataError, match=r"tokens of shape \(N, 3\) expected"):
        adapter.texts(x[:, :2])
    with pytest.raises(DataError, match="tokens from 0 to 3 expected"):
        adapter.texts(x + 9)
    with pytest.raises(ConfigError, match="not fitted yet"):
        TextAdapter().to_tensors(["a"])


@pytest.mark.parametrize(
    "change", [{"adapter": "image"}, {"units": {"kind": "rune"}}, {"form": {}}, {"spec": {}}, {"x": 1}]
)
def test_a_damaged_adapter_is_refused(change: dict) -> None:
    with pytest.raises(DataError, match="adapter"):
        TextAdapter.from_json(TextAdapter().fit(["ab", "b"]).to_json() | change)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n\n{"text": \n', "line 3 is no JSON"),
        ('{"text": "a"}\n["b"]\n', r"line 2 holds \['b'\]; expected a JSON object"),
        ('{"txt": "a"}\n', "--text-column text: no such column"),
        ('{"text": "a"}\n{"text": 3}\n', "column 'text'"),
    ],
)
def test_files_of_objects_are_refused_by_the_line(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises((ConfigError, DataError), match=message):
        open_text(path)
