"""Recordings from end to end: fit, samples by label, another speaker, codes, evaluation, report, command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

import aegan
from aegan.cli.main import main
from aegan.data.audio_source import Recordings
from aegan.errors import ConfigError, DataError, RunError
from aegan.kinds import audio_vocoder
from aegan.metrics.audio_evaluation import AudioEvaluation
from aegan.models.vocoder import VocoderConfig
from tests.conftest import TINY_SET
from tests.sounds import RATE, tones, write_tones

SETTINGS = [f"--set={key}={value}" for key, value in TINY_SET.items()]
PATTERN = "{word}_{speaker}_{index}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_tones(tmp_path_factory.mktemp("speech") / "tones", tones(12))


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    out = folder.parent / "run"
    options = ["--out", str(out), "--pattern", PATTERN, "--steps", "40", "--precision", "fp32", "--holdout", "0.3"]
    assert main(["fit", str(folder), *options, *SETTINGS]) == 0
    return out


def test_fit_writes_figures_sounds_and_a_page_that_plays_them(run: Path) -> None:
    metrics = AudioEvaluation.from_json(json.loads((run / "metrics.json").read_text()))
    assert {row.name for row in metrics.rows} == {"synthetic", "real holdout", "reconstructions", "resynthesis"}
    page = (run / "report.html").read_text(encoding="utf-8")
    assert len(re.findall(r'<audio controls[^>]*src="data:audio/wav;base64,UklGR', page)) == 24
    assert "media-src data:" in page and "word %" in page and "original, word" in page
    assert wavfile.read(run / "samples" / "samples.wav")[0] == RATE


def test_samples_by_label(run: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "made"
    assert main(["sample", str(run), "--num", "5", "--out", str(out), "--where", "word=2"]) == 0
    assert "5 samples" in capsys.readouterr().out
    names = sorted(p.name for p in out.iterdir())
    assert len(names) == 5 and all(name.startswith("2_") for name in names)
    assert len({name.split("_")[1] for name in names}) == 2  # speakers by their frequency
    one = aegan.load(run)
    both = one.sample(3, where={"word": "3", "speaker": "bob"}, seed=4)
    assert isinstance(both, Recordings) and both.rate == RATE and both.labels["speaker"] == ["bob"] * 3
    again = one.sample(2, where={"class": "3/bob"}, seed=4)
    assert all(np.array_equal(a, b) for a, b in zip(again, both, strict=False))
    for where, why in (({"word": "9"}, "no such word"), ({"wort": "2"}, "Did you mean 'word'")):
        with pytest.raises(ConfigError, match=why):
            one.sample(1, where=where)


def test_recordings_are_augmented_and_keep_their_labels(run: Path, folder: Path, tmp_path: Path, capsys) -> None:
    made = aegan.load(run).augment(folder, num=6, strength=0.5, checks=[])
    assert isinstance(made.data, Recordings) and len(made.data) == 6 and made.data.rate == RATE
    pairs = zip(made.data.labels["word"], made.data.labels["speaker"], strict=True)
    assert ["/".join(pair) for pair in pairs] == made.labels
    out = tmp_path / "more"
    assert main(["augment", str(run), str(folder), "--out", str(out), "--num", "4", "--originals"]) == 0
    total = len(list(folder.iterdir())) + 4
    assert len(list(out.glob("*.wav"))) == total and "4 augmented samples" in capsys.readouterr().out
    samples = json.loads((tmp_path / "more.manifest.json").read_text())["samples"]
    assert len(samples) == total and all((folder / sample["file"]).exists() for sample in samples)
    written = {path.read_bytes() for path in out.glob("*.wav")}
    assert all(path.read_bytes() in written for path in folder.iterdir())  # the originals, bit by bit


def test_codes_and_files(run: Path, folder: Path, tmp_path: Path) -> None:
    small = tmp_path / "codes.aec"
    assert main(["encode", str(run), str(folder), "--out", str(small), "--error", "0.1"]) == 0
    seconds = sum(map(len, tones(12))) / RATE
    assert small.stat().st_size < 0.1 * 2 * RATE * seconds
    assert main(["decode", str(run), str(small), "--out", str(tmp_path / "back")]) == 0
    assert len(list((tmp_path / "back").rglob("*.wav"))) == 72
    one = aegan.load(run)
    z = one.encode(folder)
    between = one.decode(np.linspace(z[0], z[-1], 4))
    assert len(between) == 4 and between.rate == RATE


def test_another_speaker(run: Path, folder: Path, tmp_path: Path) -> None:
    files = sorted(folder.glob("1_ada_*.wav"))[:3]
    one = aegan.load(run)
    same = one.reconstruct(files, where={"speaker": "ada"})
    other = one.reconstruct(files, where={"speaker": "bob"})
    assert all(np.array_equal(a, b) for a, b in zip(same, one.reconstruct(files), strict=True))
    assert not np.array_equal(same[0], other[0])
    plain = Recordings([wavfile.read(f)[1] / 32768.0 for f in files], RATE)
    assert len(one.reconstruct(plain, where={"speaker": "bob"})) == 3  # the class is told from the code
    for out, where in (("o", ["--where", "speaker=bob"]), ("same", [])):
        assert main(["reconstruct", str(run), str(folder), "--out", str(tmp_path / out), *where]) == 0
        speakers = {path.stem.split("_")[1] for path in (tmp_path / out).rglob("*.wav")}
        assert speakers == ({"bob"} if where else {"ada", "bob"})
    for where, why in (({"speaker": "eve"}, "no such speaker"), ({"age": "3"}, "no such label")):
        with pytest.raises(ConfigError, match=why):
            one.reconstruct(files, where=where)


def test_augmented_recordings(run: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "more"
    assert main(["augment", str(run), str(folder), "--out", str(out), "--num", "6"]) == 0
    assert len(list(out.rglob("*.wav"))) == 6


def test_evaluate_judges_any_recordings(run: Path, folder: Path, tmp_path: Path, capsys) -> None:
    write_tones(tmp_path / "made", tones(3, seed=5))
    options = ["--pattern", PATTERN, "--json", str(tmp_path / "m.json"), "--html", str(tmp_path / "m.html")]
    assert main(["evaluate", str(folder), str(tmp_path / "made"), *options]) == 0
    assert "Fréchet" in capsys.readouterr().out
    assert "Accuracy by value" in (tmp_path / "m.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "m.json").read_text())["kind"] == "audio"
    assert main(["evaluate", str(folder), str(tmp_path / "made")]) == 0
    assert "no labels" in capsys.readouterr().out
    with pytest.raises(DataError, match="at least 16"):
        aegan.load(run).evaluate(sorted(folder.glob("*.wav"))[:4])


def test_a_learnt_vocoder_is_kept_and_used(folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(audio_vocoder, "STEPS", 4)
    monkeypatch.setattr(
        audio_vocoder, "CONFIG", VocoderConfig(width=16, blocks=1, discriminator_width=2, batch_size=8, iterations=4)
    )
    settings = TINY_SET
    one = aegan.fit(
        folder, out=tmp_path / "run", steps=8, settings=settings, precision="fp32", pattern=PATTERN, vocoder="neural",
        evaluate=False,
    )  # fmt: skip
    assert (tmp_path / "run" / "vocoder.safetensors").exists()
    again = aegan.load(tmp_path / "run")
    a, b = one.sample(2, seed=1), again.sample(2, seed=1)
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    again.adapter.to_wave = None  # type: ignore[attr-defined]
    assert not np.array_equal(a[0], again.sample(2, seed=1)[0])
    (tmp_path / "run" / "vocoder.safetensors").write_bytes(b"broken")
    with pytest.raises(RunError, match="vocoder.safetensors: cannot be read"):
        aegan.load(tmp_path / "run")
    # All of the folder is the run's own, so that another may take its place.
    aegan.fit(
        folder, out=tmp_path / "run", steps=2, settings=settings, precision="fp32", pattern=PATTERN, overwrite=True,
        evaluate=False,
    )  # fmt: skip
    assert not (tmp_path / "run" / "vocoder.safetensors").exists()


def test_options_of_recordings_are_for_recordings(folder: Path, tmp_path: Path, capsys) -> None:
    assert main(["fit", str(folder), "--out", str(tmp_path / "r"), "--size", "32"]) == 1
    assert "for image data, and this is audio data" in capsys.readouterr().err
    assert main(["fit", str(folder), "--out", str(tmp_path / "r"), "--pattern", "{a}-{b}"]) == 1
    assert "does not match 72 of 72 files" in capsys.readouterr().err
