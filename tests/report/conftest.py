"""A small run folder, made by hand, that every test of the report may damage."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # for report_run, whatever import mode pytest runs in

from report_run import full_events, metrics, write_events  # noqa: E402


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with everything a run can hold."""
    folder = tmp_path / "run"
    (folder / "samples").mkdir(parents=True)
    config = {
        "format_version": 1, "aegan_version": "0.1.0", "model": "latent-gan",
        "model_config": {"autoencoder": {"latent_dim": 8}, "autoencoder_share": 0.3, "joint": {"gamma": 0.3}},
        "train": {"steps": None, "budget": 600.0, "seed": 0, "precision": "bf16", "device": "cpu"},
        "precision_reason": "1.5 times as fast as fp32 here",
        "source": {
            "describe": "2000 images, 8×8 pixels, L, 2 classes (cat, dog)", "n": 2000, "skipped": 3, "holdout": 0.1,
            "class_counts": [900, 1100],
        },
    }  # fmt: skip
    spec = {"kind": "image", "shape": [1, 8, 8], "likelihood": "gaussian", "classes": ["cat", "dog"]}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "adapter.json").write_text(json.dumps({"adapter": "image", "spec": spec}))
    (folder / "metrics.json").write_text(json.dumps(metrics()))
    write_events(folder, full_events())
    noise = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)
    for name in ("grid", "reconstructions", "neighbours", "step-000010", "step-000030"):
        Image.fromarray(noise).save(folder / "samples" / f"{name}.png")
    return folder
