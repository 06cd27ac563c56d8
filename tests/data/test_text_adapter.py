"""Text in and out again: sources, units, lengths, classes, JSON, files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from aegan.data.kinds import detect_kind
from aegan.data.text import LONGEST, TextAdapter
from aegan.data.text_files import cut_samples
from aegan.data.text_source import TextForm
from aegan.data.text_units import MOST_CHARACTERS, Symbols, choose_unit
from aegan.data.text_write import write_texts
from aegan.errors import ConfigError, DataError, StorageError

SCRIPTS = ["a 🙂 dog  runs", "你好，世界。", "שלום עולם", "x\ty\nz", "e\u0301 ﷺ 👩‍👩‍👧", "", "naïve café\u2028line"]
UNITS = ("character", "byte", "word", "subword")


def fitted(unit: str, texts: list[str]) -> TextAdapter:
    if unit == "subword":
        pytest.importorskip("tokenizers", reason="subwords need the package tokenizers")
    return TextAdapter(unit=unit).fit(texts)


@pytest.mark.parametrize("unit", UNITS)
def test_any_script_comes_back_exactly_also_through_json(unit: str) -> None:
    adapter = fitted(unit, SCRIPTS)
    again = TextAdapter.from_json(json.loads(json.dumps(adapter.to_json())))
    for one in (adapter, again):
        data = one.to_tensors(SCRIPTS)
        assert data.fields["x"].shape == (len(SCRIPTS), *one.spec.shape) and data.fields["x"].dtype == torch.int32
        assert one.from_tensors(data.fields["x"]) == SCRIPTS
    assert again.spec == adapter.spec and again.to_json() == adapter.to_json()


def test_a_text_ends_with_token_0_and_nothing_follows() -> None:
    adapter = TextAdapter().fit(["ab", "b"])
    assert adapter.spec.shape == (3,) and adapter.spec.vocabulary == 4
    assert adapter.to_tensors(["b"]).fields["x"].tolist() == [[2, 0, 0]]


def test_words_carry_their_blank_and_rare_ones_are_spelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegan.data.text_units.MOST_WORDS", 2)
    units = Symbols.fit(["a dog runs", "a dog sits", "a cat"], words=True)
    tokens = units.encode("a dog runs")
    assert units.decode(tokens) == "a dog runs" and len(tokens) == 2 + len(" runs")


def test_characters_beyond_the_vocabulary_are_spelled_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegan.data.text_units.MOST_CHARACTERS", 2)
    adapter = TextAdapter(unit="character").fit(["aab€", "ab世"])
    assert adapter.spec.vocabulary == 2 + 2 + 256
    assert adapter.texts(adapter.to_tensors(["ab世"]).fields["x"]) == ["ab世"]
    assert MOST_CHARACTERS > 2


def test_the_unit_suits_the_data() -> None:
    assert choose_unit(["a man rides a horse .", "the horse is brown and big ."] * 30)[0] == "word"
    assert choose_unit(["emma", "olivia"])[0] == "character"
    assert choose_unit(["今天天气很好我们去公园", "他喜欢读书和写字"] * 10)[0] == "character"
    assert (
        "blanks separate words" in TextAdapter().fit(["a man rides a big horse"] * 9 + ["a dog sits on a mat"]).summary
    )


def test_lengths_are_chosen_and_said() -> None:
    adapter = TextAdapter().fit(["abc", "abcdef"])
    assert adapter.spec.shape == (7,) and "6 at most" in adapter.summary
    with pytest.warns(UserWarning, match="longer than 256 characters"):
        adapter = TextAdapter(unit="character").fit(["ab", "ab" * 500])
    assert adapter.spec.shape == (LONGEST["character"] + 1,) and "1 longer ones cut" in adapter.summary


def test_sources(tmp_path: Path) -> None:
    texts = ["a b", "c", "d e"]
    plain, zipped = tmp_path / "t.txt", tmp_path / "t.txt.gz"
    plain.write_bytes(b"a b\r\nc\r\n\r\n\r\nd e")
    zipped.write_bytes(gzip.compress("a b\nc\nd e\n".encode("utf-8-sig")))
    frame = pd.DataFrame({"text": [*texts, None], "stars": [1, 2, 1, 2]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    for source in (texts, tuple(texts), np.array(texts), plain, str(zipped)):
        adapter = TextAdapter(each="line").fit(source)
        assert adapter.from_tensors(adapter.to_tensors(source).fields["x"]) == texts
    series = TextAdapter().fit(frame["text"])
    back = series.from_tensors(series.to_tensors(frame["text"]).fields["x"])
    assert isinstance(back, pd.Series) and back.name == "text" and back.tolist() == texts
    for source in (frame, tmp_path / "t.csv"):
        table = TextAdapter(column="text", label="stars").fit(source)
        data = table.to_tensors(source)
        assert table.spec.classes == ("1", "2") and data.fields["y"].tolist() == [0, 1, 0]
        made = table.from_tensors(data.fields["x"], y=data.fields["y"])
        assert made["text"].tolist() == texts and made["stars"].tolist() == ["1", "2", "1"]
        assert "1 missing ones passed over" in table.summary
        assert len(table.to_tensors(["a b"])) == 1
    pair = TextAdapter().fit((texts, ["x", "y", "x"]))
    assert pair.spec.classes == ("x", "y") and pair.to_tensors((["c"], ["y"])).fields["y"].tolist() == [1]


def test_paragraphs_stand_between_blank_lines() -> None:
    assert cut_samples("a\nb\n\n\nc\nd\n", "auto") == (["a\nb", "c\nd"], [1, 5], "paragraph")
    assert cut_samples("a\n\nb\n\nc\n", "auto") == (["a", "b", "c"], [1, 3, 5], "line")
    assert cut_samples("a\n" * 50 + "\n" + "a\n" * 50, "auto")[2] == "line"
    assert cut_samples("a\nb\n\nc\n", "line")[0] == ["a", "b", "c"]
    assert cut_samples("a\u2028b\n", "line")[0] == ["a\u2028b"]  # one line to whoever wrote it


def test_text_files_are_told_from_tables(tmp_path: Path) -> None:
    def kind(content: str, name: str = "x.txt") -> str:
        (tmp_path / name).write_text(content, encoding="utf-8")
        return detect_kind(tmp_path / name)

    assert kind("emma\nolivia\nava\n") == "text"
    assert kind("A dog, a cat and a bird.\nNothing here.\nOne, two.\n") == "text"
    assert kind("a,b\n1,2\n3,4\n") == "table" and kind("a\tb\nx\ty\n") == "table"
    assert kind("1 2\n3 4\n5 6\n") == "table" and kind("one\n", "x.csv") == "table"
    assert detect_kind(tmp_path / "missing.txt") == "text"
    assert detect_kind(["a dog", "a cat"]) == "text" and detect_kind(pd.Series(["a", "b"])) == "text"
    assert detect_kind((["a", "b"], [0, 1])) == "text" and detect_kind(np.array(["a"])) == "text"
    (tmp_path / "a.png").write_bytes(b"")
    assert detect_kind(["gone.png", "b.png"]) == "image"
    assert detect_kind([str(tmp_path / "a.png")]) == "image" and detect_kind(np.zeros((2, 4, 4))) == "image"


def test_files_are_written_whole(tmp_path: Path) -> None:
    texts, labels = ["a\nb", 'say "hi"'], ["x", "y"]
    write_texts(texts, tmp_path / "t.txt")
    assert (tmp_path / "t.txt").read_text() == 'a b\nsay "hi"\n'
    write_texts(texts, tmp_path / "p.txt", form=TextForm(container="file", sample="paragraph"))
    assert cut_samples((tmp_path / "p.txt").read_text(), "paragraph")[0] == texts
    write_texts(texts, tmp_path / "t.csv", form=TextForm(column="said", label="who"), labels=labels)
    assert pd.read_csv(tmp_path / "t.csv").to_dict("list") == {"said": texts, "who": labels}
    write_texts(texts, tmp_path / "t.jsonl.gz")
    rows = gzip.decompress((tmp_path / "t.jsonl.gz").read_bytes()).decode().splitlines()
    assert [json.loads(row) for row in rows] == [{"text": text} for text in texts]
    with pytest.raises(StorageError, match="exists already"):
        write_texts(texts, tmp_path / "t.txt")
    with pytest.raises(ConfigError, match=r"cannot write text as \.pdf"):
        write_texts(texts, tmp_path / "t.pdf")
    with pytest.raises(DataError, match="1 labels for 2 texts"):
        write_texts(texts, tmp_path / "u.csv", labels=["x"])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".csv.gz"])
def test_files_of_samples_are_read_again_with_their_labels(tmp_path: Path, suffix: str) -> None:
    texts, labels = ["one", "two, three", "1", "four"], ["a", "b", "a", "b"]
    adapter = TextAdapter().fit((texts, labels))
    path = write_texts(texts, tmp_path / f"made{suffix}", form=adapter.form, labels=labels)
    assert adapter.open(path) == texts
    assert adapter.to_tensors(path).fields["y"].tolist() == [0, 1, 0, 1]
    without = write_texts(texts, tmp_path / f"plain{suffix}", form=adapter.form)
    assert adapter.open(without) == texts and "y" not in adapter.to_tensors(without).fields
