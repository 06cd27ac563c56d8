"""Data of studies: toy sets and digits that need no file, or anything that an adapter reads; sub-sampled by seed."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from aegan.data.base import Adapter, TensorData
from aegan.data.kinds import ADAPTERS, detect_kind, new_adapter
from aegan.data.split import split
from aegan.errors import ConfigError, DataError, nearest
from aegan.types import Spec

if TYPE_CHECKING:
    from aegan.study.spec import DataEntry

BUILT_IN = {"digits": "image", "digits-flat": "vector", "ring": "vector", "grid": "vector"}
"""By name: kind. ``digits``: the 1,797 of scikit-learn, 8x8. ``digits-flat``: their 64 values as a vector. ``ring`` and
``grid``: eight and 25 Gaussians in the plane, as in PacGAN (arXiv 1712.04086)."""
TOY_POINTS, TOY_TEST = 20_000, 2_500
"""Training points of a toy set where no n is given, and points that runs on it are judged by."""


@dataclass(frozen=True)
class Modes:
    """Centres ``(M, 2)`` of a toy set, in the units that models see, and their standard deviation."""

    centres: Tensor
    deviation: float


@dataclass(frozen=True)
class StudyData:
    """What one run learns from and is judged by.

    Attributes:
        train: Learnt from.
        test: Never learnt from; the same for every run on these data.
        pool: All that training samples are drawn from; feature spaces are made of it.
        spec: What one sample is.
        adapter: What read it; None for toy sets, digits and pictures taken as vectors.
        modes: Of toy sets.
    """

    train: TensorData
    test: TensorData
    pool: TensorData
    spec: Spec
    adapter: Adapter | None = None
    modes: Modes | None = None


def check_source(source: str, where: str, folder: Path) -> str:
    """The source as it can be opened from anywhere; DataError when there is no such data."""
    if source in BUILT_IN or "://" in source:
        return source
    for path in (folder / source, Path(source)):
        if path.exists():
            return str(path.resolve())
    raise DataError(
        f"{where}: source {source!r}: neither data that aegan brings with it nor a path. {nearest(source, BUILT_IN)}"
    )


def kind_of(source: str, kind: Any, where: str) -> str:
    """The kind of a checked source."""
    if source in BUILT_IN:
        if kind not in (None, BUILT_IN[source]):
            raise ConfigError(f"{where}: kind = {kind!r}: {source} are of kind {BUILT_IN[source]!r}. Leave kind out.")
        return BUILT_IN[source]
    if kind == "vector":
        if (found := detect_kind(source)) != "image":
            raise ConfigError(
                f"{where}: kind = 'vector': the values of pictures can be taken as a vector, {source} holds {found} "
                "data. Leave kind out."
            )
        return kind
    if kind is not None and kind not in ADAPTERS:
        raise ConfigError(f"{where}: kind = {kind!r}: unknown kind of data. {nearest(str(kind), ADAPTERS)}")
    return kind or detect_kind(source)


def load(entry: DataEntry, seed: int) -> StudyData:
    """The data of one run; the same seed draws the same training samples for every model.

    Raises:
        DataError: The data cannot be read, or hold fewer samples than ``n``.
    """
    if entry.source in ("ring", "grid"):
        return _toy(entry, seed)
    data, spec, adapter = _read(entry.source, entry.kind, json.dumps(entry.options, sort_keys=True))
    kept, held = split(len(data), data.labels, holdout=entry.holdout, seed=0)
    pool, test = data.subset(kept), data.subset(held)
    train = pool.subset(_drawn(len(pool), pool.labels, entry, seed))
    if not entry.labels and spec.num_classes:
        spec = spec.unlabelled
        train = TensorData(**{k: v for k, v in train.fields.items() if k != "y"})
    return StudyData(train, test, pool, spec, adapter)


@functools.lru_cache(maxsize=2)
def _read(source: str, kind: str, given: str) -> tuple[TensorData, Spec, Adapter | None]:
    """All samples of a source; runs that follow one another mostly read the same."""
    if source in BUILT_IN:
        return *_digits(source), None
    adapter = new_adapter("image" if kind == "vector" else kind, json.loads(given))
    adapter.fit(source)
    data, spec = adapter.to_tensors(source), adapter.spec
    return (*_as_vectors(data, spec), None) if kind == "vector" else (data, spec, adapter)


def _as_vectors(data: TensorData, spec: Spec) -> tuple[TensorData, Spec]:
    """Pictures as their values from -1 to 1 in one row; what they lose is where a pixel is."""
    x = data.batch(torch.arange(len(data)))["x"].flatten(1)
    fields = {"x": x} if data.labels is None else {"x": x, "y": data.labels}
    return TensorData(**fields), Spec(kind="vector", shape=(x.shape[1],), classes=spec.classes)


def _drawn(count: int, labels: Tensor | None, entry: DataEntry, seed: int) -> Tensor:
    if entry.n is None or entry.n == count:
        return torch.arange(count)
    if entry.n > count:
        raise DataError(
            f"data {entry.name}: n = {entry.n}, but there are {count} samples beside the holdout. Take fewer, or leave "
            "n out for all of them."
        )
    rest, drawn = split(count, labels, holdout=entry.n / count, seed=seed)
    if len(drawn) > entry.n:
        drawn = drawn[: entry.n]
    short = entry.n - len(drawn)
    return torch.cat([drawn, rest[:short]]).sort().values if short else drawn


def _digits(source: str) -> tuple[TensorData, Spec]:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    x = torch.from_numpy(np.rint(pixels.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8))
    y, classes = torch.from_numpy(labels.astype(np.int64)), tuple(str(i) for i in range(10))
    data, spec = TensorData(x=x, y=y), Spec(kind="image", shape=(1, 8, 8), classes=classes)
    return (data, spec) if source == "digits" else _as_vectors(data, spec)


def centres(problem: str) -> tuple[Tensor, float]:
    """Modes ``(M, 2)`` of a toy set and their standard deviation, in its own units."""
    if problem == "ring":
        angle = torch.arange(8) * math.pi / 4
        return torch.stack([angle.cos(), angle.sin()], 1), 0.01
    side = torch.arange(-4.0, 5.0, 2.0)
    return torch.cartesian_prod(side, side), 0.05


def _toy(entry: DataEntry, seed: int) -> StudyData:
    """Points scaled to unit variance, so that networks begin well on both sets alike."""
    modes, deviation = centres(entry.source)
    scale = float(modes.std(unbiased=False))

    def points(count: int, stream: int) -> TensorData:
        generator = torch.Generator().manual_seed(stream)
        which = torch.randint(0, len(modes), (count,), generator=generator)
        return TensorData(x=(modes[which] + deviation * torch.randn(count, 2, generator=generator)) / scale)

    train = points(entry.n or TOY_POINTS, seed)
    spec = Spec(kind="vector", shape=(2,))
    return StudyData(train, points(TOY_TEST, 2**31), train, spec, None, Modes(modes / scale, deviation / scale))
