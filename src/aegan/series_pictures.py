"""What a report draws of time series: bands of real and made ones, their main directions, a few of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aegan.series import draw, series_adapter
from aegan.series_judging import in_units, judged_part
from aegan.storage import write_json

if TYPE_CHECKING:
    from aegan.data.base import TensorData
    from aegan.estimator import Estimator

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
CHANNELS, SHOWN, POINTS, STEPS = 6, 5, 400, 512
"""Most channels, series of each side, points of the overlay, and steps that are drawn."""


def write_pictures(estimator: Estimator, path: Path) -> None:
    """Numbers of the figures as JSON; real series are the holdout's where there is one."""
    adapter = series_adapter(estimator)
    held = estimator.holdout if estimator.holdout is not None and len(estimator.holdout) >= 20 else estimator.train
    real = in_units(adapter, judged_part(held, 0))
    made = in_units(adapter, draw(estimator, min(1000, max(100, len(held or []))), seed=0))
    if real is None or made is None:
        return
    write_json(path, pictures(real, made, list(adapter.channels)))


def pictures(real: TensorData, made: TensorData, channels: list[str]) -> dict[str, Any]:
    """Bands, examples and the overlay of two sets of series, as plain values."""
    sets = {"real": _missing(real), "made": _missing(made)}
    steps = sets["real"].shape[1]
    kept = torch.linspace(0, steps - 1, min(steps, STEPS)).round().long()
    bands = {}
    for name, x in sets.items():
        levels = torch.tensor(LEVELS)
        bands[name] = [
            _plain(torch.nanquantile(x[:, kept, c], levels, dim=0)) for c in range(min(len(channels), CHANNELS))
        ]
    examples = {
        name: [_plain(x[:SHOWN, kept, c]) for c in range(min(len(channels), CHANNELS))] for name, x in sets.items()
    }
    return {
        "levels": list(LEVELS),
        "steps": kept.tolist(),
        "channels": channels[:CHANNELS],
        "bands": bands,
        "examples": examples,
        "overlay": overlay(sets["real"], sets["made"]),
    }


def overlay(real: Tensor, made: Tensor) -> dict[str, Any]:
    """Both sets along the two main directions of the real one, ``(N, 2)`` each, and their share of variance."""
    flat = real.nan_to_num(0.0).flatten(1).double()
    mean, std = flat.mean(0), flat.std(0).clamp(min=1e-12)
    scaled = (flat - mean) / std
    _, values, directions = torch.svd_lowrank(scaled, q=min(6, *scaled.shape))
    share = values[:2].square().sum() / scaled.square().sum().clamp(min=1e-12)
    points = {
        "real": scaled[:POINTS] @ directions[:, :2],
        "made": ((made[:POINTS].nan_to_num(0.0).flatten(1).double() - mean) / std) @ directions[:, :2],
    }
    return {name: _plain(at) for name, at in points.items()} | {"share": round(float(share), 4)}


def _missing(data: TensorData) -> Tensor:
    fields = data.batch(torch.arange(len(data)))
    x = fields["x"].clone()
    if "mask" in fields:
        x[~fields["mask"]] = torch.nan
    return x


def _plain(values: Tensor) -> list[list[float | None]]:
    """Four digits are enough to draw."""
    return [[None if v != v else float(f"{v:.4g}") for v in row] for row in values.tolist()]
