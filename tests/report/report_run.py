"""Helpers of the report's tests: events and figures as a run folder holds them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from aegan.metrics import ClassAccuracy, Evaluation, Row, duplicates, memorisation_test

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


def evaluation() -> Evaluation:
    """A genuine evaluation, its rows with chosen values, so that its schema is always the metrics room's."""
    generator = torch.Generator().manual_seed(0)
    train, held, fake = (torch.randn(n, 4, generator=generator) for n in (1800, 200, 500))
    common: dict[str, Any] = {
        "n": 500, "frechet_deviation": 0.25, "kernel": 0.01, "kernel_deviation": 0.001, "prdc_n": 400,
        "precision": 0.9, "recall": 0.8, "density": 1.0, "coverage": 0.8,
    }  # fmt: skip
    return Evaluation(
        rows=(
            Row(name="synthetic", frechet=12.3, **common),
            Row(name="real holdout", frechet=2.0, **common | {"n": 200, "frechet_deviation": None}),
            Row(name="reconstructions", frechet=8.0, **common | {"kernel": -0.02}),
        ),
        memorisation=memorisation_test(train, fake, held, exact_copies=1, exact_copies_holdout=0),
        duplicates=duplicates(fake, held, exact=2, exact_real=0),
        classes=tuple(
            ClassAccuracy(name=name, n=n, accuracy=accuracy, real_n=100, real_accuracy=0.99)
            for name, n, accuracy in (("all", 500, 0.82), ("cat", 250, 0.7), ("dog", 250, 0.94))
        ),
        stamps={
            "feature_space": "classifier trained on the labels",
            "reference": {"set": "train", "n": 1800, "prdc_n": 1800, "of": 1800},
            "counts": {"synthetic": 500}, "k": 5, "alpha": 0.01, "seed": 0, "formulas": {"frechet": 1},
        },
        notes=("real holdout: only 200 samples.",),
    )  # fmt: skip


def metrics() -> dict[str, Any]:
    """That evaluation as ``metrics.json`` holds it."""
    return json.loads(json.dumps(evaluation().to_json()))
