"""Runs that were fitted without classes keep the labels of the sources that they augment, of every kind of data."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.conftest import TINY_SET, bars, waves
from tests.sounds import RATE, tones

import aegan
from aegan.augmentation.engine import Settings
from aegan.augmentation.estimators import augmenter
from aegan.augmentation.torch_data import AugmentedDataset, LatentTransform
from aegan.cli.main import main
from aegan.data.audio import AudioAdapter
from aegan.data.audio_source import Recordings
from aegan.data.audio_write import write_recordings
from aegan.data.base import Adapter
from aegan.data.image import ImageAdapter
from aegan.data.kinds import new_adapter
from aegan.data.series import SeriesAdapter
from aegan.data.text import TextAdapter
from aegan.data.write import write_images
from aegan.errors import AeganWarning, DataError

QUICK = {"evaluate": False, "doctor": False, "holdout": 0.0, "precision": "fp32"}
PLAIN = {"latent_dim": "8", "width": "8", "batch_size": "16"}
SEQUENCE = {"width": "4", "embedding": "16", "latent_dim": "4", "batch_size": "32", "lr": "1e-2", "dropout": "0"}
FITS: dict[str, dict[str, Any]] = {
    "image": {"model": "autoencoder", "settings": PLAIN, "steps": 30},
    "text": {"settings": SEQUENCE, "steps": 120},
    "audio": {"settings": TINY_SET, "steps": 20},
    "series": {"model": "autoencoder", "settings": PLAIN, "steps": 30},
}
FEW = {"settings": PLAIN | {"latent_dim": "4"}, "steps": 4}
NAMES = {"image": ("9", "10"), "text": ("dry", "wet"), "audio": ("low", "high"), "series": ("down", "up")}
"""Of the classes of even and odd samples; two of them are not in the order of letters."""
SIZE = 36


def plain(kind: str) -> Any:
    """An array, texts, series or recordings without labels."""
    if kind == "image":
        return bars(SIZE)[0]
    if kind == "series":
        return waves(SIZE).numpy()
    if kind == "audio":
        some = tones(6)
        # Word by word as they are; every other one shall be of the same class.
        return Recordings([some[i // 2 + SIZE // 2 * (i % 2)] for i in range(SIZE)], RATE)
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(["ki", "te"] if i % 2 else ["ba", "la", "no"], rng.integers(2, 4))) for i in range(SIZE)]


def labelled(kind: str, keep: slice = slice(None)) -> tuple[Any, list[str]]:
    """The same with labels, and these."""
    names = [NAMES[kind][i % 2] for i in range(SIZE)][keep]
    some = plain(kind)
    if kind == "audio":
        return Recordings(some.waves[keep], RATE, {"pitch": names}), names
    return (some[keep], names), names


def on_disk(kind: str, folder: Path) -> tuple[Path, list[str]]:
    """The same in files of the form that carries labels."""
    source, names = labelled(kind)
    if kind == "image":
        y = torch.arange(SIZE) % 2
        pixels = torch.from_numpy(source[0])[:, None].float() / 127.5 - 1
        made = write_images(pixels, folder / "source", labels=y, classes=NAMES[kind])
        return made, sorted(names, key=int)  # read folder by folder
    if kind == "audio":
        return write_recordings(source, folder / "source"), sorted(names)
    if kind == "series":
        np.savez(folder / "source.npz", x=source[0], y=np.array(names))
        return folder / "source.npz", names
    pd.DataFrame({"text": source[0], "label": names}).to_csv(folder / "source.csv", index=False)
    return folder / "source.csv", names


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Kind to a run without classes, each made when it is first asked for."""
    made: dict[str, aegan.Estimator] = {}

    def of(kind: str) -> aegan.Estimator:
        if kind not in made:
            out = tmp_path_factory.mktemp(kind) / "run"
            made[kind] = aegan.fit(plain(kind), kind=kind, out=out, **FITS[kind], **QUICK)
            assert made[kind].adapter.spec.classes == ()
        return made[kind]

    return of


@pytest.mark.parametrize("kind", FITS)
def test_labels_that_the_run_never_saw_are_kept(kind: str, runs: Any) -> None:
    run, (source, names) = runs(kind), labelled(kind)
    before = json.dumps(run.adapter.to_json())
    made = run.augment(source, num=8, checks=[], originals=True)
    assert made.classes == new_adapter(kind, {}).fit(source).spec.classes and set(made.classes) == set(NAMES[kind])
    assert made.labels == [names[i] for i in made.source] and made.labels[:SIZE] == names
    assert made.report["classes"] == dict(Counter(made.labels[SIZE:]))
    assert [sample["class"] for sample in made.manifest()["samples"]] == made.labels
    if kind == "audio":
        assert made.data.labels == {"pitch": made.labels}
    if kind == "series":
        assert made.data[1].tolist() == made.labels
    # The run is as it was, and without labels nothing is new.
    assert json.dumps(run.adapter.to_json()) == before and run.classes == ()
    assert run.adapter.to_tensors(source).labels is None
    assert run.augment(plain(kind), num=4, checks=[]).labels is None
    with pytest.raises(DataError, match="balance: no labels: the source carries none"):
        run.augment(plain(kind), balance=True)


@pytest.mark.parametrize("kind", FITS)
def test_neighbours_and_checks_go_by_the_labels_of_the_source(kind: str, runs: Any) -> None:
    run, some = runs(kind), plain(kind)
    names = np.random.default_rng(1).permutation(labelled(kind)[1]).tolist()  # that the codes say nothing of
    source = Recordings(some.waves, RATE, {"pitch": names}) if kind == "audio" else (some, names)
    with_labels, without = (augmenter(run, one, Settings()) for one in (source, some))
    y = with_labels.y[:, None]
    assert bool((with_labels.y[with_labels.movers["mix"].near.index] == y).all())
    assert not bool((with_labels.y[without.movers["mix"].near.index] == y).all())
    assert "class" in with_labels.checks.names and "class" not in without.checks.names
    assert not with_labels.space.model.conditional


@pytest.mark.parametrize("kind", FITS)
def test_balance_fills_the_classes_of_the_source(kind: str, runs: Any) -> None:
    source, names = labelled(kind, slice(0, 24))
    few = [i for i, name in enumerate(names) if name == NAMES[kind][0] or i < 8]
    if kind == "audio":
        source = Recordings([source.waves[i] for i in few], RATE, {"pitch": [names[i] for i in few]})
    else:
        source = ([source[0][i] for i in few], [names[i] for i in few])
    made = runs(kind).augment(source, balance=True, originals=True, checks=[])
    assert Counter(made.labels) == dict.fromkeys(NAMES[kind], 12) and len(made) == 24


WRITTEN = [
    ("image", "more"),
    ("image", "more.npz"),
    ("text", "more.csv"),
    ("text", "more.jsonl"),
    ("audio", "more"),
    ("series", "more.npz"),
    ("series", "more.csv"),
    ("series", "more.ts"),
]


@pytest.mark.parametrize(("kind", "name"), WRITTEN)
def test_the_command_writes_labels_that_others_read(kind: str, name: str, runs: Any, tmp_path: Path) -> None:
    source, names = on_disk(kind, tmp_path)
    out = tmp_path / name
    command = ["augment", str(runs(kind).run.path), str(source), "--out", str(out), "--num", "6", "--originals"]
    assert main([*command, "--check", "none"]) == 0
    wanted = [sample["class"] for sample in json.loads((tmp_path / f"{name}.manifest.json").read_text())["samples"]]
    assert len(wanted) == SIZE + 6 and wanted[:SIZE] == names
    if out.is_dir():
        assert {path.name for path in out.iterdir()} == set(NAMES[kind])
        told = [path.parent.name for path in out.rglob("*.*")]
    elif out.suffix == ".npz":
        told = np.load(out)["y"].astype(str).tolist()
        told = [NAMES[kind][int(one)] for one in told] if told[0].isdigit() and told[0] in "01" else told
    elif out.suffix == ".ts":
        told = [line.rpartition(":")[2] for line in out.read_text().splitlines() if line[:1] not in ("@", "#", "")]
    elif kind == "series":
        told = pd.read_csv(out).groupby("id").label.first().tolist()
    else:
        told = (pd.read_csv(out) if out.suffix == ".csv" else pd.read_json(out, lines=True)).label.tolist()
    assert (sorted(told) == sorted(wanted)) if out.is_dir() else (told == wanted)


def test_a_dataset_has_the_labels_and_a_transform_does_not_ask_for_them(runs: Any) -> None:
    run, (source, names) = runs("image"), labelled("image")
    data = AugmentedDataset(run, source, share=0.5)
    x, y = next(iter(torch.utils.data.DataLoader(data, batch_size=SIZE)))
    assert x.shape == (SIZE, 1, 8, 8) and [data.classes[i] for i in y.tolist()] == names
    assert LatentTransform(run, source)(torch.zeros(1, 8, 8)).shape == (1, 8, 8)


def test_a_run_with_classes_refuses_others_as_before() -> None:
    for kind in FITS:
        source, names = labelled(kind)
        adapter = new_adapter(kind, {}).fit(source)
        run: Any = SimpleNamespace(adapter=adapter, run=SimpleNamespace(path="RUN"), kind=None)
        other = ["new", *names[1:]]
        unknown = Recordings(source.waves, RATE, {"pitch": other}) if kind == "audio" else (source[0], other)
        with pytest.raises(DataError, match="class 'new' was not in the data the model was fitted on"):
            augmenter(run, unknown, Settings(), space=SimpleNamespace())  # type: ignore[arg-type]


# --- forms ---------------------------------------------------------------------------------------------------


def classes_of(adapter: Adapter, source: Any) -> tuple[Any, list[str]]:
    """The adapter that knows the classes of a source, and the label of each sample it reads."""
    known, opened = adapter.with_classes_of(source)
    y = known.to_tensors(opened).labels
    assert y is not None and adapter.spec.classes == ()
    return known, [known.spec.classes[i] for i in y.tolist()]


def test_a_single_class_is_kept(tmp_path: Path) -> None:
    images = write_images(torch.zeros(3, 1, 8, 8), tmp_path / "cats", labels=torch.zeros(3).long(), classes=["cat"])
    assert classes_of(ImageAdapter().fit(plain("image")), images)[1] == ["cat"] * 3
    audio, adapter = plain("audio"), AudioAdapter().fit(plain("audio"))
    assert classes_of(adapter, Recordings(audio.waves[:3], RATE, {"who": ["ada"] * 3}))[1] == ["ada"] * 3
    # As fit does, what does not vary is no part of a class beside what does.
    both = Recordings(audio.waves[:3], RATE, {"who": ["ada"] * 3, "word": ["2", "1", "10"]})
    known, told = classes_of(adapter, both)
    assert told == ["2", "1", "10"] and known.spec.labels == (("word", ("1", "2", "10")),)


@pytest.mark.parametrize("column", ["text", "review"])
def test_labels_of_texts_are_in_the_column_of_their_usual_name(column: str, tmp_path: Path) -> None:
    some, names = plain("text"), labelled("text")[1]
    frame = pd.DataFrame({column: some, "label": names})
    frame.loc[3, "label"] = None
    kept = [name for i, name in enumerate(names) if i != 3]
    table = TextAdapter(column=column).fit(frame)
    with pytest.warns(AeganWarning, match="frame: 1 rows have no text or no label and are passed over"):
        known, told = classes_of(table, frame)
    assert told == kept and known.open(frame) == [text for i, text in enumerate(some) if i != 3]
    made = known.from_tensors(known.to_tensors(frame).fields["x"], y=known.to_tensors(frame).labels)
    assert made.label.tolist() == kept and list(made) == [column, "label"]
    if column == "text":
        frame.to_csv(tmp_path / "texts.csv", index=False)
        with pytest.warns(AeganWarning, match="texts.csv: 1 rows have no text or no label"):
            assert classes_of(TextAdapter().fit(some), tmp_path / "texts.csv")[1] == kept
    assert table.with_classes_of(frame[[column]])[0] is table


def test_a_column_of_texts_that_is_called_label_is_not_taken_for_one() -> None:
    frame = pd.DataFrame({"label": plain("text")})
    adapter = TextAdapter(column="label").fit(frame)
    assert adapter.with_classes_of(frame)[0] is adapter
    known, told = classes_of(adapter, labelled("text")[0])
    made = known.from_tensors(known.to_tensors(labelled("text")[0]).fields["x"], y=torch.arange(SIZE) % 2)
    assert made.label.tolist() == plain("text") and made["class"].tolist() == told


def frames() -> dict[str, tuple[dict[str, Any], Any]]:
    """Frames of six series of five steps without classes, and the options that they are read with."""
    x = waves(6, steps=5)[:, :, 0].numpy().round(3)
    long = pd.DataFrame({"who": np.repeat(np.arange(6), 5), "day": np.tile(np.arange(5), 6), "value": x.ravel()})
    return {
        "long": ({"id": "who", "time": "day"}, long),
        "a column called label": ({"id": "who", "time": "day"}, long.rename(columns={"value": "label"})),
        "columns": ({"id": "who", "time": "day"}, long.to_dict("list")),
        "wide": ({"layout": "wide"}, pd.DataFrame(x)),
    }


@pytest.mark.parametrize("name", frames())
def test_frames_of_series_get_a_column_of_labels(name: str) -> None:
    options, frame = frames()[name]
    adapter, names = SeriesAdapter(**options).fit(frame), ["b", "a"] * 3
    known, opened = adapter.with_classes_of((frame, names))
    data = known.to_tensors(opened)
    made = pd.DataFrame(known.from_tensors(torch.as_tensor(data.fields["x"]), y=data.labels))
    label = "(label)" if "called" in name else "label"
    assert data.labels is not None and known.spec.classes == ("a", "b") and adapter.spec.classes == ()
    assert data.labels.tolist() == [1, 0] * 3 and list(made) == [*pd.DataFrame(frame), label]
    assert made[label].tolist() == (names if name == "wide" else np.repeat(names, 5).tolist())


def test_the_windows_of_one_series_are_of_its_class(tmp_path: Path) -> None:
    walk = np.random.default_rng(0).normal(size=60).cumsum()
    run = aegan.fit(walk, kind="series", window=8, out=tmp_path / "run", **FITS["series"] | FEW, **QUICK)
    made = run.augment((walk, ["a"]), num=4, checks=[])
    assert made.labels == ["a"] * 4 and made.data[0].shape == (32,)
    np.savez(tmp_path / "walk.npz", x=walk, y=np.array(["a"]))
    for name in ("more.npz", "more.csv"):
        command = ["augment", str(run.run.path), str(tmp_path / "walk.npz"), "--out", str(tmp_path / name)]
        assert main([*command, "--num", "4", "--check", "none"]) == 0
    assert np.load(tmp_path / "more.npz")["y"].tolist() == ["a"] * 4
    assert pd.read_csv(tmp_path / "more.csv").label.tolist() == ["a"] * 32
