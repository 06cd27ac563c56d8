"""Originals among augmented data, and the files that they came from."""

from __future__ import annotations

import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile
from tests.sounds import RATE, tone, tones, write_tones

from aegan.augmentation.result import ORIGINAL, Augmented
from aegan.data.audio import AudioAdapter
from aegan.data.audio_source import Recordings, resampled
from aegan.data.audio_write import wav_bytes
from aegan.data.image import ImageAdapter
from aegan.data.write import write_images
from aegan.kinds.audio import AudioKind

PATTERN = "{word}_{speaker}_{index}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve tones, one that is twice as long as the others, one in stereo, and one of twice the rate."""
    made = write_tones(tmp_path_factory.mktemp("speech") / "tones", tones(2))
    rng = np.random.default_rng(1)
    both = np.stack([tone("1", "ada", rng, seconds=0.2), tone("1", "ada", np.random.default_rng(1), seconds=0.2)], 1)
    for name, wave, rate in (
        ("2_bob_long", tone("2", "bob", rng, seconds=0.6), RATE),
        ("1_ada_stereo", both * np.array([1.0, -0.5]), RATE),
        ("3_ada_fine", tone("3", "ada", rng, rate=2 * RATE), 2 * RATE),
    ):
        (made / f"{name}.wav").write_bytes(wav_bytes(wave, rate))
    return made


@pytest.fixture(scope="module")
def adapter(folder: Path) -> AudioAdapter:
    return AudioAdapter(seconds=0.2, pattern=PATTERN).fit(folder)


def with_originals(adapter: AudioAdapter, source: Any) -> Recordings:
    """The source's samples, and after them two that were made of the first two."""
    data = adapter.to_tensors(source)
    index = torch.cat([torch.arange(len(data)), torch.arange(2)])
    fields = data.batch(index)
    run: Any = SimpleNamespace(adapter=adapter)
    return AudioKind().augmented(run, source, fields["x"], fields.get("y"), data=data, index=index, originals=len(data))


def test_recordings_of_the_runs_rate_pass_through_bit_by_bit(
    adapter: AudioAdapter, folder: Path, tmp_path: Path
) -> None:
    made = with_originals(adapter, folder)
    names = adapter.names(folder)
    assert names is not None and len(names) == 15 and len(made) == 17 and made.rate == RATE
    run: Any = SimpleNamespace(adapter=adapter)
    augmented: Any = SimpleNamespace(data=made)
    AudioKind().write_augmented(run, augmented, str(tmp_path / "out"), overwrite=False)
    written = {path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for name, wave, word in zip(names, made, made.labels["word"], strict=False):
        rate, own = wavfile.read(folder / name)
        assert name.startswith(word)
        if rate == RATE:
            assert wave.shape == own.shape and np.array_equal(wave * 32768, own)
            assert (folder / name).read_bytes() in written
        else:
            assert "fine" in name
            assert np.allclose(wave, resampled(own[:, None] / np.float32(32768), rate, RATE)[:, 0])
    assert not np.array_equal(made[0], made[15][: len(made[0])])  # what was made is from its spectrogram


def test_recordings_in_memory_pass_through_and_have_no_files(adapter: AudioAdapter) -> None:
    source = tones(1, seed=3)
    made = with_originals(adapter, source)
    assert all(np.array_equal(own, wave) for own, wave in zip(source, made, strict=False)) and len(made) == 8
    assert adapter.names(source) is None


def test_originals_and_names_leave_out_what_could_not_be_read(folder: Path, tmp_path: Path) -> None:
    some = write_tones(tmp_path / "some", tones(1))
    (some / "1_ada_00.wav").write_bytes(b"RIFF")
    (some / "2_ada_1.wav").write_bytes(wav_bytes(np.zeros(800), RATE))
    adapter = AudioAdapter(seconds=0.2, pattern=PATTERN, skip_bad=True).fit(folder)
    data = adapter.to_tensors(some)
    names = adapter.names(some)
    assert names is not None and len(names) == len(data) == len(adapter.originals(some)) == 6
    for name, wave in zip(names, adapter.originals(some), strict=True):
        assert np.array_equal(wave * 32768, wavfile.read(some / name)[1])


def test_sixteen_bits_are_written_as_they_were_read(tmp_path: Path) -> None:
    every = np.arange(-32768, 32768, dtype=np.int16)
    wavfile.write(tmp_path / "every.wav", RATE, every)
    assert wav_bytes(every / np.float32(32768), RATE) == (tmp_path / "every.wav").read_bytes()


def test_images_in_files_are_named_and_others_are_not(tmp_path: Path) -> None:
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    folder = write_images(x, tmp_path / "images", labels=torch.arange(6) % 2, classes=["a", "b"])
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.relative_to(folder).as_posix())
    (folder / "a" / "00001.png").write_bytes(b"none")
    adapter = ImageAdapter(skip_bad=True).fit(folder)
    for source, count in ((folder, 6), (tmp_path / "images.zip", 6), (sorted(folder.rglob("0000[2-5].png")), 4)):
        read = adapter.to_tensors(source).fields["x"]
        names = adapter.names(source)
        assert names is not None and len(names) == len(read) == count
        for name, pixels in zip(names, read[:], strict=True):
            assert np.array_equal(np.asarray(Image.open(folder / name)), np.asarray(pixels[0]))
    assert adapter.names((source, ["a"] * count)) == names
    array = np.asarray(read[:, 0])
    assert adapter.names(array) is None and adapter.names((array, ["a"] * count)) is None
    assert adapter.names([Image.fromarray(one) for one in array]) is None


def test_the_manifest_has_the_file_beside_the_index() -> None:
    parts = {"data": None, "x": torch.zeros(2, 1), "y": None, "classes": (), "source": np.array([1, 1])}
    parts |= {"operation": (ORIGINAL, "mix"), "strength": np.array([0.0, 0.5])}
    named = Augmented(**parts, files=("b.png", "b.png")).manifest()["samples"]
    assert named[1] == {"source": 1, "file": "b.png", "operation": "mix", "strength": 0.5}
    assert list(named[0]) == ["source", "file", "operation", "strength"]
    assert all("file" not in sample for sample in Augmented(**parts).manifest()["samples"])
