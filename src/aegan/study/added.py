"""What augmentation did in a study's runs: numbers of samples, the autoencoder's error, shares and leaks of GANs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from aegan.augmentation.space import Space
from aegan.data.base import TensorData
from aegan.models.base import Model
from aegan.models.gans.state import State
from aegan.types import Spec

MEASURED = 1000
"""Samples that an autoencoder's error is measured on, at most."""
NUMBERS = ("asked", "made", "filled", "drawn", "strength", "error", "p", "leak")
"""Of a run's ``augment``: their means over runs are kept."""
QUALITY = ("frechet", "downstream")
"""Figures that stand beside them, where a study has them."""


def error_of(space: Space, data: TensorData, *, held: bool) -> dict[str, Any]:
    """How far reconstructions lie from data: the mean distance of :mod:`aegan.augment.latent.strength`.

    That is the root mean square of the differences in a sample, or the share of its values that differ where values
    are names.

    Args:
        space: The autoencoder.
        data: The first :data:`MEASURED` of them are reconstructed.
        held: Whether it learnt from none of them.
    """
    some = data.subset(torch.arange(min(MEASURED, len(data))))
    x = some.batch(torch.arange(len(some)))["x"]
    apart = space.apart(space.decode(space.encode(some)).float(), x.float())
    return {"error": float(f"{float(apart.mean()):.5g}"), "error_on": "held-out" if held else "training"}


def of_network(network: Model, spec: Spec, data: TensorData) -> dict[str, Any]:
    """The share ``p`` that a trained GAN's augmentation reached, of latent also ``leak`` and ``error``; else nothing.

    Args:
        network: Any model.
        spec: What its data are.
        data: Held-out samples.
    """
    state = next((m for m in network.modules() if isinstance(m, State)), None)
    if state is None:
        return {}
    if state.ada is not None:
        return {"p": round(float(state.ada.p), 5)}
    if state.latent is None:
        return {}
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad():
        error = error_of(Space(network, spec, name="gan", device=device), data, held=True)
    return {"p": round(state.latent.p, 5), "leak": round(state.latent.leak, 5), **error}


def summed(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over runs of what they recorded; empty where none did."""
    found = [r["augment"] for r in results if r.get("augment")]
    if not found:
        return {}
    out: dict[str, Any] = {}
    for key in NUMBERS:
        values = [float(a[key]) for a in found if a.get(key) is not None]
        if values:
            out[key] = sum(values) / len(values)
    checks = dict.fromkeys(name for a in found for name in a.get("dropped", ()))
    out["dropped"] = {name: sum(a.get("dropped", {}).get(name, 0) for a in found) / len(found) for name in checks}
    out["error_on"] = next((a["error_on"] for a in found if "error_on" in a), "")
    return out


def rows(found: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each arm on data that any arm augments: its numbers, seconds, and the means of :data:`QUALITY`.

    Args:
        found: Rows of the summary.
        runs: Its ``runs``.
    """
    means = {(r["data"], r["model"], r["metric"]): r["mean"] for r in found if r["init"] == "all"}
    augmented = {r["data"] for r in runs if r["augment"]}
    return [
        {"data": r["data"], "model": r["model"], "seconds": r["seconds"], **r["augment"]}
        | {name: means[key] for name in QUALITY if (key := (r["data"], r["model"], name)) in means}
        for r in runs
        if r["data"] in augmented
    ]
