"""Augmentation with a fitted model: from the user's source to data in the same form."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from aegan.augmentation.engine import Augmenter, Settings
from aegan.augmentation.result import ORIGINAL, Augmented, manifest_path
from aegan.augmentation.space import Space
from aegan.data.base import TensorData
from aegan.data.kinds import other_kind
from aegan.data.table_source import open_table
from aegan.data.text import TextAdapter
from aegan.errors import ConfigError, DataError, StorageError

if TYPE_CHECKING:
    from aegan.estimator import Estimator


def augment(
    estimator: Estimator, source: Any, *, label: str | None = None, originals: bool = False, **settings: Any
) -> Augmented:
    """See :meth:`aegan.Estimator.augment`."""
    return _augmented(estimator, source, label=label, originals=originals, **settings)[1]


def _augmented(
    estimator: Estimator, source: Any, *, label: str | None = None, originals: bool = False, **settings: Any
) -> tuple[Estimator, Augmented]:
    """What :func:`augment` makes, and the estimator that can write it: see :func:`_read`."""
    asked = Settings(**settings)
    estimator, made_by = _opened(estimator, source, asked, label=label)
    data, labels = made_by.data, made_by.labels
    made = made_by.make()
    if not len(made.source) and not originals:
        raise DataError(
            "augment: nothing was made: "
            + ("the classes are of equal size already; give --num." if asked.balance else "the checks dropped all.")
        )
    x, y, index, operation, reached = made.x, made.y, made.source, list(made.operation), made.reached
    if originals:
        everything = torch.arange(len(data))
        x = torch.cat([data.batch(everything)["x"].float(), x])
        y = None if y is None else torch.cat([made_by.y, y])
        index = torch.cat([everything, index])
        operation = [ORIGINAL] * len(data) + operation
        reached = torch.cat([torch.zeros(len(data)), reached])
    return estimator, Augmented(
        data=estimator.kind.augmented(
            estimator, source, x, y, data=data, index=index, originals=len(data) if originals else 0
        ),
        x=x,
        y=y,
        classes=() if labels is None else labels.names,
        source=index.numpy(),
        files=_files(estimator, source, len(data), index),
        operation=tuple(operation),
        strength=reached.numpy().astype(np.float64),
        report={"run": str(estimator.run.path), **made.report, "originals": len(data) if originals else 0},
    )


def _files(estimator: Estimator, source: Any, count: int, index: Tensor) -> tuple[str, ...] | None:
    """The files of the samples at ``index`` ``(M,)`` of a source of ``count``."""
    names = estimator.adapter.names(source)
    if names is None or len(names) != count:  # better none than wrong ones, where files came or went meanwhile
        return None
    return tuple(names[i] for i in index.tolist())


def augmenter(
    estimator: Estimator,
    source: Any,
    settings: Settings,
    *,
    space: Space | None = None,
    label: str | None = None,
    labelled: bool = True,
) -> Augmenter:
    """The run's :class:`~aegan.augmentation.engine.Augmenter` for a source; ``labelled`` False forgets its labels."""
    return _opened(estimator, source, settings, space=space, label=label, labelled=labelled)[1]


def _opened(
    estimator: Estimator,
    source: Any,
    settings: Settings,
    *,
    space: Space | None = None,
    label: str | None = None,
    labelled: bool = True,
) -> tuple[Estimator, Augmenter]:
    """As :func:`augmenter`, after the estimator of :func:`_read`."""
    space, kind = space or Space.of(estimator), estimator.kind
    reader, data = _read(estimator, source, labelled=labelled)
    labels = kind.labels_of(reader, source, data, label) if labelled else None
    # The run's classifier knows the run's classes alone.
    asks = labels is not None and not labels.fields and reader is estimator
    classify = kind.classifier(estimator) if asks else None
    return reader, Augmenter(space, data, settings, labels, classify=classify)


def _read(estimator: Estimator, source: Any, *, labelled: bool) -> tuple[Estimator, TensorData]:
    """The source as tensors, with its labels; a source that is of another kind is refused by that.

    A run without classes takes up those of the source: the estimator that comes back is the run's own but for them. The
    model is not told them.
    """
    adapter = estimator.adapter
    own = adapter.spec.kind
    try:
        if adapter.spec.classes or not labelled:
            return estimator, adapter.to_tensors(source)
        known, opened = adapter.with_classes_of(source)
        data = known.to_tensors(opened)
    except DataError as error:
        found = other_kind(source, adapter.spec)
        if found is None or (isinstance(adapter, TextAdapter) and _has_text(adapter, source)):
            raise
        raise DataError(
            f"augment: {estimator.run.path} is a run of {own} data, but the source looks like {found} data "
            f"({error}). Give {own} data, or a run that was fitted on such a source."
        ) from error
    if known is adapter:
        return estimator, data
    reader = copy(estimator)
    reader.adapter = known
    return reader, data


def _has_text(adapter: TextAdapter, source: Any) -> bool:
    """Whether a source is a table with the column that text was fitted on; with it, it is text."""
    column = adapter.options["column"]
    try:
        return column is not None and column in open_table(source).form.names
    except DataError:
        return False


def write_augmented(estimator: Estimator, source: Any, out: str, *, overwrite: bool = False, **options: Any) -> str:
    """Augment into a file or folder, with the manifest beside it; returns what was made, in words.

    Raises:
        StorageError: ``out`` or its manifest exists and not ``overwrite``, or the disk is full.
    """
    manifest = manifest_path(out)
    if manifest.exists() and not overwrite:
        raise StorageError(f"{manifest}: exists already. Add --overwrite, or choose another --out.")
    if not out:
        raise ConfigError("--out: a name expected, got none.")
    estimator, done = _augmented(estimator, source, **options)
    written = estimator.kind.write_augmented(estimator, done, out, overwrite=overwrite, source=source)
    return f"{done}\n{written}\nmanifest in {done.write_manifest(manifest)}"
