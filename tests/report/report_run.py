"""Helpers of the report's tests: events and figures as a run folder holds them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

EVIL = "<script>alert(1)</script>\"'<img src=x onerror=alert(2)>"


def step(i: int, stage: str = "joint") -> dict[str, Any]:
    """One ``step`` event."""
    return {
        "event": "step", "t": i * 0.5, "stage": stage, "step": i, "samples": i * 64, "rate": 128.0, "lr": 3e-4,
        "terms": {"discriminator/adversarial": 1 / (1 + i), "generator/adversarial": 0.7},
        "grad_norm": {"discriminator": 0.3, "generator": 0.1},
    }  # fmt: skip


def write_events(run: Path, events: Iterable[dict[str, Any]], tail: str = "") -> None:
    """Write ``events.jsonl``, with a torn line at its end where asked."""
    (run / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events) + tail)


def full_events() -> list[dict[str, Any]]:
    """The events of a short run that finished."""
    stages = [{"name": "autoencoder", "share": 0.5}, {"name": "joint", "share": 0.5}]
    return [
        {"event": "start", "time": "2026-11-20T20:11:51Z", "version": "0.1.0", "stages": stages},
        *(step(i, "autoencoder" if i < 20 else "joint") for i in range(40)),
        *(
            {"event": "samples", "step": s, "t": s / 2, "stage": "joint", "path": f"samples/step-{s:06d}.png"}
            for s in (10, 30)
        ),
        {"event": "end", "t": 20.0, "step": 40, "reason": "finished"},
    ]


def metrics() -> dict[str, Any]:
    """An evaluation as ``metrics.json`` holds it, with some figures missing."""
    row = {"n": 500, "frechet": 12.3, "frechet_interval": [11.9, 12.8], "kernel": 0.01, "kernel_std": 0.001,
           "precision": 0.9, "recall": 0.8, "density": 1.0, "coverage": 0.8}  # fmt: skip
    return {
        "feature_space": "classifier trained on the labels",
        "headline": "Close to real, a little less varied.",
        "rows": [
            {"name": "synthetic", **row},
            {"name": "real holdout", **row, "frechet": 2.0, "frechet_interval": None},
            {"name": "reconstructions", "n": 500, "frechet": None},
        ],
        "per_class": [{"class": "0", "accuracy": 0.7, "real_accuracy": 0.99, "n": 50}],
        "memorisation": {"verdict": "No sign of copying.", "distance_ratio": 1.04},
    }
