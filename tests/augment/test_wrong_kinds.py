"""What ``augment`` says of a source that is not of its run's kind, or that is and cannot be read."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.sounds import tones, write_tones

from aegan.augmentation.engine import Settings
from aegan.augmentation.estimators import augmenter
from aegan.data.base import Adapter
from aegan.data.kinds import new_adapter, other_kind
from aegan.data.write import write_images
from aegan.errors import DataError
from aegan.types import Spec


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sources")
    hours = pd.date_range("2024-01-01", periods=60, freq="h")
    series = pd.DataFrame({"time": hours, "load": np.sin(np.arange(60)), "wind": np.cos(np.arange(60))})
    frames = {
        "table": pd.DataFrame({"age": [1, 2, 3, 4] * 5, "town": ["Rome", "Oslo"] * 10}),
        "reviews": pd.DataFrame({"review": [f"it is {i} good" for i in range(20)], "stars": ["1", "2"] * 10}),
        "series": series,
        "misnamed": series.rename(columns={"load": "lode"}),
    }
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    (folder / "text.txt").write_text("\n".join(f"some words {i}" for i in range(20)))
    write_images(torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1, folder / "image")
    write_tones(folder / "audio", tones(1))
    array = np.random.default_rng(0).normal(0, 3, (20, 30, 2))
    np.save(folder / "array.npy", array)
    np.savez(folder / "array.npz", x=array, y=np.arange(20) % 2)
    files = {path.stem if path.suffix != ".npz" else "npz": path for path in folder.iterdir()}
    return files | {
        "in memory": array,
        "with labels": (array, np.arange(20) % 2),
        "list": list(array),
        "tensor": torch.from_numpy(array),
        "frame": series.set_index("time"),
        "missing": folder / "nothing",
        "missing.csv": folder / "nothing.csv",
    }


@pytest.fixture(scope="module")
def adapters(sources: dict[str, Any]) -> dict[str, Adapter]:
    made = {kind: new_adapter(kind, {}).fit(sources[kind]) for kind in ("image", "table", "audio", "text")}
    made["series"] = new_adapter("series", {"window": 8}).fit(sources["series"])
    made["column"] = new_adapter("text", {"column": "review", "label": "stars"}).fit(sources["reviews"])
    return made


def refused(adapter: Adapter, source: Any) -> str:
    """What is said, on one line."""
    run: Any = SimpleNamespace(adapter=adapter, run=SimpleNamespace(path="RUN"), kind=None)
    space: Any = SimpleNamespace()
    with pytest.raises(DataError) as caught:
        augmenter(run, source, Settings(), space=space)
    return str(caught.value)


OTHERS = {
    "image": {"table": "table", "series": "table", "audio": "audio", "text": "text", "frame": "series"}
    | dict.fromkeys(("array", "npz", "in memory", "with labels", "list", "tensor"), "series"),
    "table": {"image": "image", "audio": "audio", "text": "text", "in memory": "series"},
    "series": {"image": "image", "audio": "audio", "text": "text"},
    "audio": {"image": "image", "table": "table", "text": "text", "array": "series", "frame": "series"},
    "text": {"image": "image", "table": "table", "reviews": "table", "audio": "audio", "array": "series"},
    "column": {"image": "image", "table": "table", "series": "table", "audio": "audio", "frame": "series"},
}


@pytest.mark.parametrize(
    ("run", "source", "found"), [(run, *pair) for run, others in OTHERS.items() for pair in others.items()]
)
def test_a_source_of_another_kind_is_told_so(
    adapters: dict[str, Adapter], sources: dict[str, Any], run: str, source: str, found: str
) -> None:
    said = refused(adapters[run], sources[source])
    own = adapters[run].spec.kind
    assert said.startswith(f"augment: RUN is a run of {own} data, but the source looks like {found} data (")
    assert said.endswith(f"Give {own} data, or a run that was fitted on such a source.")
    assert not re.search(r"--(column|label)\b", said)  # options of fit, or of another meaning, here


@pytest.mark.parametrize(
    ("run", "source", "message"),
    [
        ("series", "misnamed", "there is no column 'load'. Did you mean 'lode'?"),
        ("series", "table", "there is no column 'time'"),
        ("table", "series", "column 'age' is missing"),
        ("table", "frame", "column 'age' is missing"),
        *((run, "missing", "no such file") for run in OTHERS),
        *((run, "missing.csv", "no such file") for run in OTHERS),
    ],
)
def test_a_source_that_may_be_of_the_kind_is_told_what_is_wrong_with_it(
    adapters: dict[str, Adapter], sources: dict[str, Any], run: str, source: str, message: str
) -> None:
    said = refused(adapters[run], sources[source])
    assert message in said and "looks like" not in said


def test_what_is_wrong_with_text_of_a_table_is_said_of_the_text(adapters: dict[str, Adapter], tmp_path: Path) -> None:
    frame = pd.DataFrame({"review": ["good", "it is good"], "stars": ["1", "9"]})
    said = refused(adapters["column"], frame)
    assert "'9'" in said and "looks like" not in said
    frame[["review"]].to_csv(tmp_path / "plain.csv", index=False)
    assert "y" not in adapters["column"].to_tensors(tmp_path / "plain.csv").fields


def test_recordings_beside_pictures_are_recordings(adapters: dict[str, Adapter], tmp_path: Path) -> None:
    write_images(torch.zeros(2, 1, 8, 8), tmp_path / "both")
    (tmp_path / "both" / "broken.wav").write_bytes(b"RIFF")
    said = refused(adapters["audio"], tmp_path / "both")
    assert "broken.wav" in said and "looks like" not in said


def test_arrays_that_may_be_pictures_are_not_taken_for_series() -> None:
    spec = Spec(kind="image", shape=(1, 8, 6))
    assert other_kind(np.full((4, 8, 6), np.nan), spec) is None  # of the run's size
    assert other_kind(np.full((4, 9, 9), 999.0), spec) is None  # square
    assert other_kind(np.zeros((4, 30, 2), dtype=np.uint8), spec) is None  # bytes
    assert other_kind(np.zeros((4, 30, 2), dtype=np.int64), spec) == "series"
