"""A model of text from fit to report: samples, codes, ways between texts, gaps, files, evaluation."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import aegan
from aegan import texts
from aegan.cli.main import main
from aegan.errors import AeganWarning, ConfigError, DataError, RunError
from aegan.metrics.text_evaluation import TextEvaluation
from aegan.models.registry import build
from aegan.nn.decoding import Decoding
from aegan.report import write_text_evaluation
from aegan.report.text import length_figure
from aegan.types import Spec

TINY = {"width": "4", "embedding": "16", "latent_dim": "4", "batch_size": "32", "lr": "1e-2", "dropout": "0"}
HYBRID = {f"autoencoder.{key}": value for key, value in TINY.items()} | {
    "autoencoder.model": "sequence",
    "latent.hidden": "16",
    "latent.depth": "1",
}


def names(n: int = 240) -> list[str]:
    """Syllables that alternate, of two kinds."""
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(["ba", "la", "no"] if i % 2 else ["ki", "te"], rng.integers(2, 4))) for i in range(n)]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> aegan.Estimator:
    folder = tmp_path_factory.mktemp("text")
    source = folder / "names.txt"
    source.write_text("\n".join(names()) + "\n", encoding="utf-8")
    return aegan.fit(source, out=folder / "run", steps=150, settings=TINY, doctor=False)


def test_a_file_becomes_a_run_with_samples_figures_and_a_report(fitted: aegan.Estimator) -> None:
    folder = fitted.run.path
    assert fitted.run.config["model"] == "sequence" and fitted.adapter.spec.kind == "text"
    made = (folder / "samples" / "texts.txt").read_text(encoding="utf-8").splitlines()
    assert len(made) == texts.SHOWN and set("".join(made)) <= set("".join(names()))
    values = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    found = TextEvaluation.from_json(values)
    assert [row.name for row in found.rows] == ["synthetic", "real holdout", "reconstructions"]
    assert len(values["details"]["interpolations"]) == texts.WAYS
    page = (folder / "report.html").read_text(encoding="utf-8")
    for said in ("Made texts", "Self-BLEU-4", "From one text to another", "What a code keeps", "240 texts"):
        assert said in page


def test_samples_depend_on_seed_and_place_and_obey_temperature(fitted: aegan.Estimator) -> None:
    many = fitted.sample(300, seed=3)
    assert many[:70] == fitted.sample(70, seed=3) and many != fitted.sample(300, seed=4)
    cold = fitted.sample(300, seed=3, temperature=0.05)
    assert len(set(cold)) < len(set(many)) and fitted.sample(300, seed=3) == many
    assert len(set(fitted.sample(300, top_p=0.05))) < len(set(many))
    for options in ({"temperature": 0.0}, {"top_p": 1.5}, {"balance": "x"}):
        with pytest.raises(ConfigError, match=next(iter(options))):
            fitted.sample(3, **options)


@pytest.mark.filterwarnings("ignore::aegan.errors.AeganWarning")
def test_augmented_text_has_the_originals_letter_by_letter(fitted: aegan.Estimator, tmp_path: Path) -> None:
    some = [*names(20), "Zürich " * 9]  # characters that were never seen, and more of them than the model has room for
    (tmp_path / "some.txt").write_text("\n".join(some), encoding="utf-8")
    made = fitted.augment(tmp_path / "some.txt", num=4, originals=True, checks=())
    assert made.data[: len(some)] == some and len(made.data) == len(some) + 4
    out = tmp_path / "more.jsonl"
    main(["augment", str(fitted.run.path), str(tmp_path / "some.txt"), "--out", str(out), "--num", "2", "--originals"])
    lines = [json.loads(line)["text"] for line in out.read_text(encoding="utf-8").splitlines()]
    assert lines[: len(some)] == some


@pytest.mark.parametrize("command", ["augment", "reconstruct", "encode"])
def test_a_table_is_refused_without_options_that_are_not_there(
    fitted: aegan.Estimator, tmp_path: Path, capsys: pytest.CaptureFixture, command: str
) -> None:
    pd.DataFrame({"name": names(20)}).to_csv(tmp_path / "names.csv", index=False)
    out = tmp_path / ("codes.npz" if command == "encode" else "more.txt")
    assert main([command, str(fitted.run.path), str(tmp_path / "names.csv"), "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert "a table, where the fitted texts were by themselves" in said and "column NAME" not in said
    assert not out.exists() and ("is a run of text data" in said) == (command == "augment")


def test_codes_and_back_by_every_way_of_decoding(fitted: aegan.Estimator) -> None:
    some = names()[:20]
    codes = fitted.encode(some)
    assert codes.shape == (20, 4) and fitted.reconstruct(some) == fitted.decode(codes)
    assert texts.decode_texts(fitted, codes) == fitted.decode(codes)
    beam = texts.decode_texts(fitted, codes, Decoding(method="beam", beams=4))
    assert len(beam) == 20
    drawn = texts.decode_texts(fitted, codes, Decoding(), seed=1)
    assert (
        drawn == texts.decode_texts(fitted, codes, Decoding(), seed=1) != texts.decode_texts(fitted, codes, Decoding())
    )
    with pytest.raises(DataError, match=r"codes of shape \(N, 4\)"):
        texts.decode_texts(fitted, codes[:, :2])


def test_the_code_is_in_use(fitted: aegan.Estimator) -> None:
    """Which of the two kinds of syllables a name is of has to be in its code."""
    some = names()[:100]
    kind = [text[0] in "bln" for text in some]
    back = [text[:1] in tuple("bln") for text in fitted.reconstruct(some)]
    assert np.mean([a == b for a, b in zip(kind, back, strict=True)]) > 0.8


def test_the_code_of_transformers_is_in_use(tmp_path: Path) -> None:
    some = names()
    settings = TINY | {"encoder": "transformer", "decoder": "transformer"}
    run = aegan.fit(some, out=tmp_path / "run", steps=300, settings=settings, doctor=False, evaluate=False)
    back = [text[:1] in tuple("bln") for text in run.reconstruct(some[:100])]
    assert np.mean([a == (text[0] in "bln") for a, text in zip(back, some, strict=False)]) > 0.8


def test_ways_attributes_and_gaps(fitted: aegan.Estimator) -> None:
    some = names()
    way = texts.interpolate(fitted, some[0], some[1], steps=5)
    assert len(way) == 5 and [way[0], way[-1]] == fitted.reconstruct(some[:2])
    labels = ["b" if text[0] in "bln" else "k" for text in some]
    direction = texts.attribute(fitted, (some, labels), "k", "b")
    others = [text for text, label in zip(some, labels, strict=True) if label == "k"][:30]
    moved = texts.transfer(fitted, others, direction, strength=1.5)
    assert np.mean([text[:1] in tuple("bln") for text in moved]) > 0.5
    filled = texts.infill(fitted, ["ba___ba", "___te", "kite___"], most=4)
    assert filled[0].startswith("ba") and filled[0].endswith("ba")
    assert filled[1].endswith("te") and filled[2].startswith("kite")
    assert filled == texts.infill(fitted, ["ba___ba", "___te", "kite___"], most=4)
    whole = fitted.complete(["kiki", "ba___"])
    assert whole[0] == "kiki" and whole[1].startswith("ba") and "_" not in whole[1]
    for bad, said in (("baba", "0 gaps"), ("a___b___", "2 gaps"), ("ba" * 40 + "___", "expected at most")):
        with pytest.raises(DataError, match=said):
            texts.infill(fitted, [bad])
    with pytest.raises(ConfigError, match="steps is 1"):
        texts.interpolate(fitted, "a", "b", steps=1)
    with pytest.raises(ConfigError, match="no text of class 'x'"):
        texts.attribute(fitted, (some, labels), "k", "x")
    with pytest.raises(DataError, match="text without labels"):
        texts.attribute(fitted, some, "k", "b")


def test_a_loaded_run_is_the_same_and_is_judged_by_new_text(fitted: aegan.Estimator) -> None:
    again = aegan.load(fitted.run.path)
    assert again.sample(20) == fitted.sample(20)
    with pytest.raises(ConfigError, match="does not hold its training data"):
        again.evaluate()
    assert again.evaluate(names()).row("synthetic") is not None


def test_commands(fitted: aegan.Estimator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = str(fitted.run.path), tmp_path / "made.txt"
    assert main(["sample", run, "--num", "40", "--out", str(out), "--temperature", "0.8", "--top-p", "0.9"]) == 0
    assert "40 texts in" in capsys.readouterr().out
    assert out.read_text(encoding="utf-8").splitlines() == fitted.sample(40, temperature=0.8, top_p=0.9)
    source = tmp_path / "real.txt"
    source.write_text("\n".join(names()) + "\n", encoding="utf-8")
    assert main(["encode", run, str(source), "--out", str(tmp_path / "c.npz")]) == 0
    assert main(["decode", run, str(tmp_path / "c.npz"), "--out", str(tmp_path / "d.csv")]) == 0
    assert pd.read_csv(tmp_path / "d.csv")["text"].tolist() == fitted.reconstruct(names())
    (tmp_path / "gaps.txt").write_text("kiki\nba___\n", encoding="utf-8")
    assert main(["complete", run, str(tmp_path / "gaps.txt"), "--out", str(tmp_path / "whole.txt")]) == 0
    assert (tmp_path / "whole.txt").read_text(encoding="utf-8").startswith("kiki\nba")
    made = ["evaluate", str(source), str(out), "--json", str(tmp_path / "e.json"), "--html", str(tmp_path / "e.html")]
    assert main(made) == 0 and "self-BLEU-4" in capsys.readouterr().out
    assert "Made texts" in (tmp_path / "e.html").read_text(encoding="utf-8")
    assert main(["sample", run, "--num", "3", "--out", str(tmp_path / "x.pdf")]) == 1
    assert "cannot write text as .pdf" in capsys.readouterr().err


def test_augmented_texts_are_texts(fitted: aegan.Estimator) -> None:
    made = fitted.augment(names()[:40], num=10, seed=0).data
    assert len(made) >= 10 and all(isinstance(text, str) for text in made)


def test_very_many_samples_are_written_in_shards(fitted: aegan.Estimator, tmp_path: Path) -> None:
    fitted.write_samples(600, tmp_path / "many", shard=256, seed=2)
    parts = sorted((tmp_path / "many").glob("part-*.txt.gz"))
    made = [line for part in parts for line in gzip.decompress(part.read_bytes()).decode("utf-8").splitlines()]
    assert len(parts) == 3 and made == fitted.sample(600, seed=2)


def test_a_column_of_a_table_with_classes_makes_a_conditional_model(tmp_path: Path) -> None:
    some = names(120)
    frame = pd.DataFrame({"said": some, "who": ["b" if text[0] in "bln" else "k" for text in some]})
    model = aegan.fit(
        frame, out=tmp_path / "run", column="said", label="who", model="latent-gan", steps=30, settings=HYBRID,
        doctor=False, evaluate=False,
    )  # fmt: skip
    made = model.sample(8, where={"class": "k"})
    assert model.classes == ("b", "k") and made.columns.tolist() == ["said", "who"] and set(made["who"]) == {"k"}
    assert model.write_samples(2, tmp_path / "two.jsonl").startswith("2 texts in")
    row = json.loads((tmp_path / "two.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert set(row) == {"said", "who"}


def test_the_default_makes_texts_by_class(tmp_path: Path) -> None:
    some = names(240)
    labels = ["b" if text[0] in "bln" else "k" for text in some]
    model = aegan.fit((some, labels), out=tmp_path / "run", steps=150, settings=TINY, doctor=False, evaluate=False)
    for name, first in (("b", "bln"), ("k", "kt")):
        made = model.sample(100, where={"class": name})
        assert np.mean([text[:1] in tuple(first) for text in made]) > 0.8


def test_text_and_its_models_belong_together() -> None:
    text = Spec(kind="text", shape=(6,), likelihood="categorical", vocabulary=9)
    with pytest.raises(ConfigError, match=r"autoencoder\.model=sequence"):
        build("latent-gan", text, {"joint": {"share": 0.0}})
    with pytest.raises(ConfigError, match="form=language has no codes"):
        build("latent-gan", text, {"autoencoder": {"model": "sequence", "form": "language"}})
    with pytest.raises(ConfigError, match="joint.share=0"):
        build("latent-gan", text, {"autoencoder": {"model": "sequence"}})
    with pytest.raises(ConfigError, match="models text, got image data"):
        build("latent-gan", Spec(kind="image", shape=(1, 8, 8)), {"autoencoder": {"model": "sequence"}})
    for settings in ({"form": "verse"}, {"decoder": "abacus"}, {"dropout": 1.0}, {"lr": 0.0}, {"free_bits": -1.0}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            build("sequence", text, settings)
    for settings in ({"noise_decay": 2.0}, {"critic_steps": 0}, {"encoder": "abacus"}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            build("arae", text, settings)


def test_free_bits_keep_the_code_in_use_where_the_full_divergence_empties_it() -> None:
    text = Spec(kind="text", shape=(6,), likelihood="categorical", vocabulary=9)
    model = build("sequence", text, {"width": 2, "embedding": 8, "latent_dim": 4, "free_bits": 0.5}).train()
    x = torch.randint(1, 9, (8, 6))
    x[:, -1] = 0
    terms = model.loss("autoencode", {"x": x})
    # A fresh code tells next to nothing: the divergence is below what is free, and costs nothing.
    assert terms["kl"].weight == 0 and 0 < terms["kl"].value < 4 * 0.5
    assert terms["kl-above-free-bits"].value == 0
    with torch.no_grad():
        model.encoder.head.bias[:4] = 3.0
    terms = model.loss("autoencode", {"x": x})
    torch.testing.assert_close(terms["kl-above-free-bits"].value, terms["kl"].value - 4 * 0.5)
    assert terms["kl-above-free-bits"].weight == pytest.approx(1 / 1000 / 6)
    model.stage_step = 5000
    assert model.loss("autoencode", {"x": x})["kl-above-free-bits"].weight == pytest.approx(1 / 6)


def test_a_report_of_an_evaluation_with_gaps_is_still_a_page(tmp_path: Path) -> None:
    page = write_text_evaluation({"rows": [{"name": "synthetic", "bleu": {"2": None}}]}, tmp_path / "a.html")
    assert "BLEU" in page.read_text(encoding="utf-8")
    assert "nothing to compare" in write_text_evaluation({}, tmp_path / "b.html").read_text(encoding="utf-8")
    assert length_figure({}) is None and length_figure({"synthetic": ["x"]}) is None
    nasty = {"rows": [{"name": "synthetic"}], "details": {"texts": ["<script>alert(1)</script>"]}}
    assert "<script>alert" not in write_text_evaluation(nasty, tmp_path / "c.html").read_text(encoding="utf-8")


def test_a_long_line_is_said_at_fit(tmp_path: Path) -> None:
    with pytest.warns(AeganWarning, match="longer than 5 characters"):
        model = aegan.fit(
            names(60), out=tmp_path / "run", length=5, steps=3, settings=TINY, doctor=False, evaluate=False
        )
    assert "longer ones cut" in model.run.config["source"]["describe"]


def test_a_file_of_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    path.write_bytes("".join(f"café {word}\n" for word in names()).encode("cp1252"))
    with pytest.raises(DataError, match="--encoding cp1252"):
        aegan.fit(path, out=tmp_path / "run", steps=2, settings=TINY, doctor=False, evaluate=False)
    options = {"encoding": "cp1252", "unit": "character"}
    aegan.fit(path, out=tmp_path / "run", steps=2, settings=TINY, doctor=False, evaluate=False, **options)
    assert "é" in json.loads((tmp_path / "run" / "adapter.json").read_text())["units"]["pieces"]


def test_new_texts_are_none_of_the_fitted_ones_and_depend_on_their_number_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    source = ["".join(rng.choice(list("abc"), 4)) for _ in range(60)]
    run = aegan.fit(source, out=tmp_path / "run", steps=60, settings=TINY, doctor=False, evaluate=False)
    plain, new = run.sample(300), aegan.load(tmp_path / "run").sample(300, new=True)
    assert set(plain) & set(source) and not set(new) & set(source)
    same = [a == b for a, b in zip(plain, new, strict=True)]
    assert all(kept == (a not in source) for kept, a in zip(same, plain, strict=True))
    assert run.sample(40, new=True) == new[:40]
    assert main(["sample", str(tmp_path / "run"), "--num", "300", "--new", "--out", str(tmp_path / "new.txt")]) == 0
    assert (tmp_path / "new.txt").read_text(encoding="utf-8").splitlines() == new
    run.write_samples(300, tmp_path / "many", shard=256, new=True)
    parts = [gzip.decompress(part.read_bytes()) for part in sorted((tmp_path / "many").glob("part-*.txt.gz"))]
    assert b"".join(parts).decode("utf-8").splitlines() == new


def test_new_texts_where_there_are_none_or_nobody_knows_are_refused(tmp_path: Path) -> None:
    source = [letter for letter in "ab" for _ in range(20)]
    run = aegan.fit(source, out=tmp_path / "run", steps=60, settings=TINY, doctor=False, evaluate=False)
    with pytest.raises(ConfigError, match="of 10 samples were among the fitted ones each of 100 times"):
        run.sample(10, new=True, temperature=0.1)
    (tmp_path / "run" / "fitted.safetensors").write_bytes(b"no")
    with pytest.raises(RunError, match="fitted.safetensors: cannot be read"):
        run.sample(10, new=True)
    (tmp_path / "run" / "fitted.safetensors").unlink()
    with pytest.raises(ConfigError, match="does not know what it was fitted on"):
        run.sample(10, new=True)
