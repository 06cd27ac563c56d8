"""Another value of one label, all else kept: the same word by another speaker, by arithmetic on codes.

A code moves by the difference between the mean codes of the class that it is of and of the class that it shall be of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from aegan.errors import ConfigError, RunError, nearest
from aegan.storage import write_atomically

if TYPE_CHECKING:
    from aegan.estimator import Estimator

MEANS = "classes.safetensors"


def write_means(estimator: Estimator) -> None:
    """Keep the mean code of each class in the run's folder, and how codes vary around them."""
    train, spec = estimator.train, estimator.adapter.spec
    if train is None or train.labels is None or not spec.num_classes or not estimator.model.code_dim:
        return
    z, y = estimator.encode_tensors(train).double(), train.labels
    means = torch.zeros(spec.num_classes, z.shape[1], dtype=torch.float64).index_add_(0, y, z)
    counts = torch.bincount(y, minlength=spec.num_classes)
    means = means / counts.clamp(min=1)[:, None]
    apart = z - means[y]
    within = apart.T @ apart / max(1, len(z) - spec.num_classes)
    content = save({"means": means.float(), "within": within.float(), "counts": counts})
    write_atomically(estimator.run.path / MEANS, lambda path: path.write_bytes(content))


def changed(estimator: Estimator, source: Any, where: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Data ``(N, *shape)``: the recordings with other labels; and the classes ``(N,)`` that they are of then.

    The class that a recording is of comes from its labels or, without, from the mean code that it lies nearest to.

    Raises:
        ConfigError: Unknown labels or values, a run without labels or codes, or a combination that was never heard.
        RunError: The run's folder lacks the mean codes, or they are damaged.
    """
    spec = estimator.adapter.spec
    labels = dict(spec.labels)
    for key, value in where.items():
        if key not in labels:
            raise ConfigError(
                f"--where {key}=…: no such label. {nearest(key, labels) if labels else 'There are none.'}"
            )
        if str(value) not in labels[key]:
            raise ConfigError(f"--where {key}={value}: no such {key}. {nearest(str(value), set(labels[key]))}")
    path = estimator.run.path / MEANS
    try:
        held = load(path.read_bytes())
        means, within, counts = held["means"], held["within"], held["counts"]
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}). Restore it from a copy, or fit anew.") from error
    data = estimator.adapter.to_tensors(source)
    z = estimator.encode_tensors(data)
    own = data.labels if data.labels is not None else nearest_class(z, means, within, counts)
    rows = list(zip(*labels.values(), strict=True))
    index = {row: i for i, row in enumerate(rows)}
    into = []
    for i in own.tolist():
        row = tuple(str(where.get(name, value)) for name, value in zip(labels, rows[i], strict=True))
        if row not in index or not counts[index[row]]:
            told = ", ".join(f"{name}={value}" for name, value in zip(labels, row, strict=True))
            raise ConfigError(f"--where: no training recording was of {told}; its mean code is not known.")
        into.append(index[row])
    return estimator.decode_tensors((z + (means[into] - means[own])).numpy()), torch.tensor(into)


def nearest_class(z: Tensor, means: Tensor, within: Tensor, counts: Tensor) -> Tensor:
    """The class of each code ``(N, D)`` whose mean is nearest in the metric of how codes vary within classes."""
    ridge = 1e-3 * within.diagonal().mean().clamp(min=1e-12) * torch.eye(len(within))
    root = torch.linalg.cholesky(torch.linalg.inv(within + ridge))
    distance = torch.cdist(z @ root, means @ root).masked_fill(counts[None] == 0, float("inf"))
    return distance.argmin(1)
