"""A study of two models on the ring that takes a second."""

from __future__ import annotations

from typing import Any

SIZE = {"width": 4, "blocks": 1, "batch_size": 8}


def tiny(**changes: Any) -> dict[str, Any]:
    """Plain values of a spec."""
    return {
        "name": "tiny",
        "seeds": 2,
        "budget": {"steps": 3},
        "samples": 60,
        "look_every": 1,
        "metrics": ["energy", "quality"],
        "models": [
            {"name": "gan", "settings": SIZE | {"noise_dim": 2}},
            {"name": "ebgan", "settings": SIZE | {"latent_dim": 2}},
        ],
        "data": [{"name": "ring", "source": "ring", "n": 40}],
    } | changes
