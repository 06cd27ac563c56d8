"""A fitted model as a codec: data to a file of compressed codes and back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from aegan.codec import SUFFIX, Grid, Written, check_error, fit_grid, read_codes, sensitivity, write_codes
from aegan.errors import ConfigError, DataError
from aegan.models.base import in_blocks
from aegan.train.checkpoint import checksum

if TYPE_CHECKING:
    from typing import Any

    from aegan.data.base import TensorData
    from aegan.estimator import Estimator


ERROR = 0.03
"""Root mean squared error that rounding adds when the user says nothing: small beside an autoencoder's own."""


def compress(estimator: Estimator, source: Any, path: Path, *, error: float | None, overwrite: bool) -> Written:
    """See :meth:`aegan.estimator.Estimator.compress`."""
    if path.suffix != SUFFIX:
        raise ConfigError(f"{path}: a file ending in {SUFFIX} expected.")
    spec, run, model = estimator.adapter.spec, estimator.run, estimator.model
    if spec.discrete:
        raise ConfigError(
            "compress: names and tokens (tables, text) have no error that rounding could add to. Encode them to .npz."
        )
    if model.code_dim == 0:
        raise ConfigError(f"A model of kind {run.config['model']!r} has no codes to compress with. Fit an autoencoder.")
    discrete = hasattr(model, "tokens")
    if discrete and error is not None:
        raise ConfigError(f"error={error}: codes of {run.config['model']!r} are whole numbers already. Leave it out.")
    error, values = ERROR if error is None else error, math.prod(spec.shape)
    check_error(error)
    data = estimator.adapter.to_tensors(source)
    if discrete:
        codes = _tokens(estimator, data)
        grid = Grid(np.zeros(codes.shape[1]), np.ones(codes.shape[1]))
    else:
        codes = estimator.encode_tensors(data).numpy()
        heeded = sensitivity(lambda z: estimator.decode_tensors(z).numpy(), codes)
        grid = fit_grid(codes, heeded, error=error, values=values)
    labels = data.labels
    about = {
        "run": run.path.resolve().name,
        "model": run.config["model"],
        "weights": fingerprint(estimator),
        "shape": list(spec.shape),
        **({"tokens": True} if discrete else {"error": error}),
        **({} if labels is None else {"classes": list(spec.classes)}),
    }
    return write_codes(
        path,
        codes,
        grid,
        about=about,
        raw=estimator.kind.raw_bytes(data),
        labels=None if labels is None else labels.numpy(),
        overwrite=overwrite,
    )


def decompress(estimator: Estimator, path: Path) -> tuple[Tensor, Tensor | None]:
    """See :meth:`aegan.estimator.Estimator.decompress_tensors`."""
    file, own = read_codes(path), fingerprint(estimator)
    if file.about["weights"] != own:
        raise DataError(
            f"{path}: compressed with the {file.about['model']} of run {file.about['run']!r}, weights "
            f"{file.about['weights']}; this is the {estimator.run.config['model']} of run "
            f"{estimator.run.path.resolve().name!r}, weights {own}. Decode it with the run it was made with: codes "
            "mean nothing to other weights, not even to those of the same run trained further."
        )
    labels, classes = file.labels, estimator.adapter.spec.classes
    if labels is not None:
        known = ((labels >= 0) & (labels < len(classes))).all()
        if tuple(file.about.get("classes", ())) != classes or not known:
            raise DataError(f"{path}: its classes are not those of {estimator.run.path}. Make the file again.")
    codes: Any = file.codes
    if file.about.get("tokens"):
        from_tokens: Any = estimator.model.from_tokens
        codes = in_blocks(from_tokens, torch.from_numpy(file.integers), device=estimator.device)
    return estimator.decode_tensors(codes), None if labels is None else torch.from_numpy(labels)


def _tokens(estimator: Estimator, data: TensorData) -> np.ndarray:
    """Tokens int64 ``(N, positions)`` of a vector-quantised model."""
    tokens: Any = estimator.model.tokens
    blocks = torch.arange(len(data)).split(1024)
    parts = [in_blocks(tokens, data.batch(index)["x"], device=estimator.device) for index in blocks]
    return torch.cat(parts).long().numpy()


def fingerprint(estimator: Estimator) -> str:
    """Sixteen digits of a hash over weights, settings and adapter; the same wherever the run is loaded."""
    return checksum(estimator.model.state_dict(), estimator.run.identity)[:16]
