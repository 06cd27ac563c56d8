"""Recordings: what is read, what becomes of it, and every bad input by name."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from tests.sounds import PITCH, RATE, tone, tones, write_tones

from aegan.data import audio_files
from aegan.data.audio import AudioAdapter
from aegan.data.audio_files import read_audio
from aegan.data.audio_labels import from_csv, from_folders, from_pattern, joined, pattern_fields
from aegan.data.audio_source import Recordings
from aegan.data.audio_write import file_names, wav_bytes, write_recordings
from aegan.data.kinds import detect_kind
from aegan.errors import AeganWarning, ConfigError, DataError, StorageError

PATTERN = "{word}_{speaker}_{index}"
with_soundfile = pytest.mark.skipif(importlib.util.find_spec("soundfile") is None, reason="needs soundfile")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_tones(tmp_path_factory.mktemp("audio") / "tones", tones())


@pytest.fixture(scope="module")
def adapter(folder: Path) -> AudioAdapter:
    return AudioAdapter(pattern=PATTERN).fit(folder)


def test_folder_to_tensors(folder: Path, adapter: AudioAdapter) -> None:
    data = adapter.to_tensors(folder)
    x = data.fields["x"]
    assert adapter.spec.kind == "audio" and adapter.spec.shape == tuple(x.shape[1:]) and len(x) == 48
    assert x.dtype == torch.float32 and float(x.min()) == -1.0 and float(x.max()) <= 1.0
    assert adapter.spec.num_classes == 6 and adapter.spec.classes[0] == "1/ada"
    assert dict(adapter.spec.labels) == {
        "word": ("1", "1", "2", "2", "3", "3"),
        "speaker": ("ada", "bob", "ada", "bob", "ada", "bob"),
    }
    assert "48 recordings" in adapter.summary and "word (3)" in adapter.summary
    assert data.fields["wave"].dtype == torch.int16
    sound = x[x > -1]
    assert abs(float(sound.mean())) < 0.2 and 0.2 < float(sound.std()) < 0.45  # a third, less what is clipped


def test_frames_after_the_end_are_silent_and_the_length_comes_back(folder: Path, adapter: AudioAdapter) -> None:
    data, hop = adapter.to_tensors(folder), adapter.fitted().scale.hop
    x, length = data.fields["x"], data.fields["length"]
    ends = -(-length // hop)
    for row, end in zip(x, ends.tolist(), strict=True):
        assert bool((row[..., end:] == -1).all())
    assert bool((adapter.fitted().lengths(x) - ends).abs().max() <= 1)
    made = adapter.from_tensors(x)
    assert made.rate == RATE and [len(w) for w in made] == (hop * adapter.fitted().lengths(x)).tolist()


def test_pitch_survives_spectrogram_and_back(folder: Path, adapter: AudioAdapter) -> None:
    data = adapter.to_tensors(folder)
    made = adapter.from_tensors(data.fields["x"])
    words = [adapter.spec.labels[0][1][k] for k in data.fields["y"].tolist()]
    speakers = [adapter.spec.labels[1][1][k] for k in data.fields["y"].tolist()]
    for wave, word, speaker in zip(made, words, speakers, strict=True):
        if speaker == "ada":
            heard = np.abs(np.fft.rfft(wave, 4096)).argmax() * RATE / 4096
            assert abs(heard / PITCH[word] - 1) < 0.1


def test_json_round_trip(folder: Path, adapter: AudioAdapter) -> None:
    plain = json.loads(json.dumps(adapter.to_json()))
    again = AudioAdapter.from_json(plain)
    assert again.to_json() == adapter.to_json()
    a, b = adapter.to_tensors(folder).fields, again.to_tensors(folder).fields
    assert all(torch.equal(a[name], b[name]) for name in ("x", "y", "wave", "length"))
    for broken in ({}, plain | {"more": 1}, plain | {"adapter": "image"}, plain | {"scaling": {}}):
        with pytest.raises(DataError, match="adapter"):
            AudioAdapter.from_json(broken)


def test_recordings_in_memory_are_the_same_as_files(folder: Path, adapter: AudioAdapter) -> None:
    given = tones()
    own = AudioAdapter().fit(given)
    assert own.spec == adapter.spec
    read = adapter.to_tensors([folder / n for n in (f"1_ada_{i}.wav" for i in range(3))])
    direct = own.to_tensors(Recordings(given.waves[:3], RATE, {k: v[:3] for k, v in given.labels.items()}))
    assert torch.allclose(read.fields["x"], direct.fields["x"], atol=0.05)
    assert torch.equal(read.fields["y"], direct.fields["y"])


def test_other_sources_may_have_no_labels_or_unknown_ones(folder: Path, adapter: AudioAdapter, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    (tmp_path / "hello.wav").write_bytes(wav_bytes(tone("1", "ada", rng), RATE))
    assert adapter.to_tensors(tmp_path).labels is None
    (tmp_path / "1_carl_0.wav").write_bytes(wav_bytes(tone("1", "ada", rng), RATE))
    with pytest.raises(DataError, match=r"does not match 1 of 2 files: hello.wav"):
        adapter.to_tensors(tmp_path)
    (tmp_path / "hello.wav").unlink()
    with pytest.raises(DataError, match="'1/carl' was not in the data"):
        adapter.to_tensors(tmp_path)


def test_silence_is_trimmed_when_asked(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    quiet = np.zeros(RATE // 2, dtype=np.float32)
    waves = [np.concatenate([quiet, tone("1", "ada", rng), quiet]) for _ in range(4)]
    plain, trimmed = AudioAdapter().fit(Recordings(waves, RATE)), AudioAdapter(trim=True).fit(Recordings(waves, RATE))
    assert trimmed.spec.shape[2] < plain.spec.shape[2] // 3


def test_longer_recordings_are_cut_and_it_is_said() -> None:
    adapter = AudioAdapter(seconds=0.1).fit(tones())
    assert "longer ones are cut" in adapter.summary
    assert adapter.spec.shape[2] * adapter.fitted().scale.hop / RATE < 0.2


# --- formats ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "float32"])
def test_wav_of_every_type_reads_alike_with_and_without_soundfile(tmp_path: Path, kind: str, monkeypatch) -> None:
    wave = tone("2", "bob", np.random.default_rng(0))
    whole = {"uint8": lambda w: np.round(w * 127 + 128), "int16": lambda w: w * 32767, "int32": lambda w: w * 2**31}
    wavfile.write(tmp_path / "a.wav", RATE, whole.get(kind, lambda w: w)(wave).astype(kind))
    by_any, rate = read_audio(tmp_path / "a.wav")
    monkeypatch.setattr(audio_files, "has_soundfile", lambda: False)
    by_scipy, _ = read_audio(tmp_path / "a.wav")
    assert rate == RATE and np.allclose(by_any, by_scipy, atol=1e-4)
    assert np.allclose(by_scipy[:, 0], wave, atol=0.01)


@with_soundfile
@pytest.mark.parametrize("suffix", [".flac", ".ogg"])
def test_flac_and_ogg(tmp_path: Path, suffix: str) -> None:
    import soundfile

    recordings = tones(2, rate=8000)
    for i, wave in enumerate(recordings):
        soundfile.write(tmp_path / f"{i}{suffix}", wave, 8000)
    assert detect_kind(tmp_path) == "audio"
    assert AudioAdapter().fit(tmp_path).fitted().scale.rate == 8000


def test_formats_that_need_soundfile_say_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(audio_files, "has_soundfile", lambda: False)
    (tmp_path / "a.flac").write_bytes(b"fLaC")
    with pytest.raises(DataError, match=r"needs? the package soundfile.*aegan\[audio\]"):
        read_audio(tmp_path / "a.flac")


def test_stereo_at_44100_hz(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(4):
        left, right = (tone(word, "ada", rng, 44100, 0.3) for word in ("1", "2"))
        n = min(len(left), len(right))
        wavfile.write(tmp_path / f"{i}.wav", 44100, np.stack([left[:n], 0.5 * right[:n]], 1))
    adapter = AudioAdapter().fit(tmp_path)
    assert adapter.spec.shape[:2] == (2, 128) and "stereo" in adapter.summary and not adapter.spec.classes
    made = adapter.from_tensors(adapter.to_tensors(tmp_path).fields["x"][:2])
    assert made.rate == 44100 and made[0].ndim == 2 and made[0].shape[1] == 2
    power = np.square(made[0]).mean(0)
    assert power[0] > 2 * power[1]
    assert AudioAdapter(channels=1, rate=8000).fit(tmp_path).spec.shape[:2] == (1, 64)


# --- labels -------------------------------------------------------------------------------------------------


def test_labels_from_pattern() -> None:
    assert from_pattern("{s}/{d}-{take}", ["x/theo/3-1.wav"], None, "here") == {"s": ["theo"], "d": ["3"]}
    assert from_pattern("{a}_{index}", ["q_7.wav"], ["index"], "here") == {"index": ["7"]}
    for wrong, why in (
        ("plain", "names no field"),
        ("{a}{b}", "nothing between"),
        ("{a}_{a}", "twice"),
        ("{1}_{a}", "hold"),
    ):
        with pytest.raises(ConfigError, match=why):
            pattern_fields(wrong)
    with pytest.raises(ConfigError, match="Did you mean 'digit'"):
        from_pattern("{digit}_{index}", ["3_0.wav"], ["digits"], "here")


def test_a_pattern_that_does_not_match_names_the_files(folder: Path, tmp_path: Path) -> None:
    write_tones(tmp_path, tones(2))
    (tmp_path / "notes about it.wav").write_bytes((folder / "1_ada_0.wav").read_bytes())
    with pytest.raises(DataError, match=r"does not match 1 of 13 files: notes about it\.wav"):
        AudioAdapter(pattern=PATTERN).fit(tmp_path)


def test_labels_from_a_csv(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,word,age\na.wav,1,20\nsub/b,2,30\n", encoding="utf-8")
    assert from_csv(table, ["a.wav", "sub/b.wav"], ["word"], "here") == {"word": ["1", "2"]}
    with pytest.raises(DataError, match=r"no row for 1 of 2 recordings of here: c\.wav"):
        from_csv(table, ["a.wav", "c.wav"], None, "here")
    table.write_text("file,word\na.wav,\n", encoding="utf-8")
    with pytest.raises(DataError, match="no 'word' for a.wav"):
        from_csv(table, ["a.wav"], None, "here")
    table.write_text("file\na.wav\n", encoding="utf-8")
    with pytest.raises(DataError, match="1 rows of 1 columns"):
        from_csv(table, ["a.wav"], None, "here")


def test_labels_from_folders() -> None:
    assert from_folders(["cat/1.wav", "dog/2.wav"], "here") == {"class": ["cat", "dog"]}
    assert from_folders(["1.wav"], "here") == {}
    with pytest.raises(DataError, match="1 recordings lie at the top"):
        from_folders(["cat/1.wav", "2.wav"], "here")


def test_labels_that_number_the_recordings_are_refused() -> None:
    with pytest.raises(DataError, match="4 combinations of labels"):
        joined({"word": ["1", "1", "2", "2"], "take": ["1", "2", "1", "2"]}, "here")


# --- bad input ----------------------------------------------------------------------------------------------


def bad(folder: Path, name: str, content: bytes) -> Path:
    write_tones(folder, tones(2))
    (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("by", ["soundfile", "scipy"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "an empty file"),
        (b"this is no sound at all", "damaged, or not a"),
        (wav_bytes(np.zeros(0, dtype=np.float32), RATE), "zero length|damaged"),
        (wav_bytes(np.ones(4000, dtype=np.float32), RATE)[:3000], "damaged"),
        (wav_bytes(np.zeros(800, dtype=np.float32), RATE), "silence only"),
        (wav_bytes(np.full(800, 0.25, dtype=np.float32), RATE), "silence only"),
    ],
    ids=["empty", "text", "zero-length", "truncated", "silence", "constant"],
)
def test_unusable_recordings_are_named(tmp_path: Path, content: bytes, why: str, by: str, monkeypatch) -> None:
    if by == "scipy":
        monkeypatch.setattr(audio_files, "has_soundfile", lambda: False)
    elif importlib.util.find_spec("soundfile") is None:
        pytest.skip("needs soundfile")
    source = bad(tmp_path, "9_eve_0.wav", content)
    with pytest.raises(DataError, match=rf"1 of 13 recordings cannot be used: .*9_eve_0\.wav: .*({why})"):
        AudioAdapter(pattern=PATTERN).fit(source)
    adapter = AudioAdapter(pattern=PATTERN, skip_bad=True).fit(source)
    assert len(adapter.to_tensors(source)) == 12 and adapter.bad[0][0] == "9_eve_0.wav"
    assert "9/eve" not in adapter.spec.classes


def test_mixed_rates_become_the_commonest_and_it_is_said(tmp_path: Path) -> None:
    write_tones(tmp_path, tones(2))
    (tmp_path / "1_ada_90.wav").write_bytes(wav_bytes(tone("1", "ada", np.random.default_rng(0), 8000), 8000))
    adapter = AudioAdapter(pattern=PATTERN).fit(tmp_path)
    assert adapter.fitted().scale.rate == RATE and "resampled: 1 of 8000 Hz" in adapter.summary
    (tmp_path / "1_ada_91.wav").write_bytes(wav_bytes(tone("1", "ada", np.random.default_rng(1), 2000), 2000))
    with pytest.warns(AeganWarning, match=r"1 of 14 recordings have a lower rate than 4000 Hz .*: 1_ada_91\.wav"):
        AudioAdapter(pattern=PATTERN).fit(tmp_path)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no recordings; found nothing"):
        AudioAdapter().fit(tmp_path)
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(DataError, match=r"found 1 \.txt"):
        AudioAdapter().fit(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        AudioAdapter().fit(tmp_path / "nowhere")
    with pytest.raises(DataError, match="cannot read recordings from int"):
        AudioAdapter().fit(3)
    with pytest.raises(DataError, match="expected at least 2"):
        AudioAdapter().fit(Recordings([tone("1", "ada", np.random.default_rng(0))], RATE))


def test_recordings_are_checked() -> None:
    good = tone("1", "ada", np.random.default_rng(0))
    for waves, why in (
        ([good, good[:0]], "zero length"),
        ([good, good * np.nan], "NaN"),
        ([good, np.arange(9)], "floats"),
    ):
        with pytest.raises(DataError, match=f"recording 1: .*{why}"):
            AudioAdapter().fit(Recordings(waves, RATE))
    with pytest.raises(DataError, match="rate is 0"):
        AudioAdapter().fit(Recordings([good, good], 0))
    with pytest.raises(DataError, match="1 values of 'word' for 2"):
        AudioAdapter().fit(Recordings([good, good], RATE, {"word": ["1"]}))


@pytest.mark.parametrize(
    "options",
    [
        {"rate": 5},
        {"channels": 3},
        {"seconds": 0},
        {"pattern": "x"},
        {"vocoder": "wave"},
        {"pattern": "{a}", "labels": "l"},
    ],
)
def test_options_that_cannot_work(options: dict) -> None:
    with pytest.raises(ConfigError, match="--"):
        AudioAdapter(**options)


def test_tensors_are_checked(adapter: AudioAdapter) -> None:
    with pytest.raises(DataError, match="expected floats of shape"):
        adapter.from_tensors(torch.zeros(1, 1, 3, 3))
    with pytest.raises(DataError, match="NaN"):
        adapter.from_tensors(torch.full((1, *adapter.spec.shape), float("nan")))
    with pytest.raises(ConfigError, match="not fitted"):
        AudioAdapter().to_tensors("x")


# --- writing ------------------------------------------------------------------------------------------------


def test_names_follow_the_pattern_and_are_read_back(tmp_path: Path) -> None:
    made = tones(2)
    write_recordings(made, tmp_path / "out", pattern=PATTERN)
    adapter = AudioAdapter(pattern=PATTERN).fit(tmp_path / "out")
    assert len(adapter.to_tensors(tmp_path / "out")) == 12 and adapter.spec.num_classes == 6
    assert file_names(2, {"class": ["a/b", "a_b"]}, None) == ["a_b/00000.wav", "a_b-1/00001.wav"]
    with pytest.raises(StorageError, match="not empty"):
        write_recordings(made, tmp_path / "out")
    write_recordings(made, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "labels.csv").read_text().splitlines()[:2] == ["file,word,speaker", "00000.wav,1,ada"]
    again = AudioAdapter(labels=tmp_path / "out" / "labels.csv").fit(tmp_path / "out")
    assert again.spec.num_classes == 6


def test_one_file_holds_all_with_pauses(tmp_path: Path) -> None:
    made = tones(1)
    rate, wave = wavfile.read(write_recordings(made, tmp_path / "all.wav"))
    assert rate == RATE and len(wave) == sum(map(len, made)) + 5 * round(0.25 * RATE)
    with pytest.raises(ConfigError, match=r"as \.mp3"):
        write_recordings(made, tmp_path / "all.mp3")
