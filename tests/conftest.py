"""Shared fixtures: tiny images and tiny settings, so that whole runs take a second."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aegan.models.registry import MODELS
from aegan.types import Field, Spec

collect_ignore = ["pretend.py", "other_device.py"]
"""Looking for doctests imports what it looks at, and these put a device into the process."""

torch.set_num_threads(1)  # tiny networks; two threads would only wait for each other

TINY_AUTOENCODER = {"latent_dim": 8, "width": 8, "blocks": 1, "batch_size": 16}
TINY_OWN = {"vector-quantised": {"code_size": 4, "codebook": 16}}
"""What a member of the family needs besides."""
TINY = {
    **{
        name: TINY_AUTOENCODER | TINY_OWN.get(name, {})
        for name, entry in MODELS.items()
        if entry.family == "autoencoder" and name not in ("autoregressive", "recurrent", "sequence")
    },
    "gan": {"noise_dim": 8, "width": 8, "blocks": 1, "batch_size": 16},
    "adversarial-autoencoder": {"autoencoder": TINY_AUTOENCODER, "hidden": 16, "depth": 1},
    "vae-gan": TINY_AUTOENCODER,
    "warm-start-gan": {"autoencoder": TINY_AUTOENCODER, "batch_size": 16, "penalty_every": 2},
    "latent-gan": {
        "autoencoder": TINY_AUTOENCODER,
        "noise_dim": 8,
        "latent": {"hidden": 16, "depth": 1, "batch_size": 16},
        "joint": {"width": 8, "batch_size": 8, "penalty_every": 2},
    },
}
_OWN_NETWORKS = {"latent_dim": 8, "width": 8, "blocks": 1, "batch_size": 16}
TINY |= {
    **{name: _OWN_NETWORKS for name in ("soft-introvae", "bigan", "mdgan", "began", "ebgan")},
    "alae": _OWN_NETWORKS | {"hidden": 16, "depth": 1},
    "denoising-gan": {
        "width": 8,
        "blocks": 1,
        "batch_size": 16,
        "steps": 2,
        "noise_dim": 4,
        "autoencoder": TINY_AUTOENCODER,
    },
    "vq-gan": {
        "autoencoder": {"model": "vector-quantised", **TINY_AUTOENCODER, **TINY_OWN["vector-quantised"]},
        "batch_size": 16,
        "penalty_every": 2,
    },
    "contractive-gan": {
        "autoencoder": TINY_AUTOENCODER,
        "hidden": 16,
        "depth": 1,
        "adversarial": {"batch_size": 16},
    },
}
VARIANTS = {
    **{name: (name, settings) for name, settings in TINY.items()},
    "latent-gan, correcting": (
        "latent-gan",
        TINY["latent-gan"]
        | {
            "autoencoder": {"model": "variational", **TINY_AUTOENCODER},
            "latent": {
                "hidden": 16,
                "depth": 1,
                "batch_size": 16,
                "form": "correcting",
                "whiten": False,
                "penalty_every": 2,
            },
        },
    ),
    "denoising-gan on data": ("denoising-gan", TINY["denoising-gan"] | {"space": "data"}),
    "vq-gan, variational": (
        "vq-gan",
        TINY["vq-gan"] | {"autoencoder": {"model": "variational", **TINY_AUTOENCODER}},
    ),
    "gan, plain": ("gan", TINY["gan"] | {"network": "plain"}),
    "gan, path length": ("gan", TINY["gan"] | {"path_weight": 2.0, "path_every": 2}),
    "gan, latent augmentation": (
        "gan",
        TINY["gan"]
        | {
            "augmentation": "latent",
            "ada_images": 64,
            "latent": {"autoencoder": TINY_AUTOENCODER, "autoencoder_share": 0.6},
        },
    ),
    "bigan, stochastic": ("bigan", TINY["bigan"] | {"stochastic": True}),
}
"""What the contract suite is run on: every model as it comes, and forms that are other models in all but name."""
OF_TABLES = {"autoregressive": {"embedding": 4, "hidden": 8, "layers": 1, "code_share": 0.5, "batch_size": 16}}
"""Models of tables alone."""
OF_SERIES = {
    "timegan": {"hidden": 8, "layers": 2, "batch_size": 16, "lr": 1e-2},
    "recurrent": {"state": 16, "hidden": 8, "parts": 2, "latent_dim": 8, "width": 8, "batch_size": 16, "lr": 5e-3},
}
"""Models of series alone."""
SERIES = Spec(kind="series", shape=(10, 3))
TINY_SEQUENCE = {"latent_dim": 8, "width": 4, "embedding": 8, "batch_size": 16, "dropout": 0.1, "lr": 1e-2}
_OF_CODES = {"autoencoder": {"model": "sequence", **TINY_SEQUENCE}}
_ATTENTIVE = {"encoder": "transformer", "decoder": "transformer"}
OF_TEXTS = {
    "sequence": ("sequence", TINY_SEQUENCE),
    "sequence, denoising": (
        "sequence",
        TINY_SEQUENCE | _ATTENTIVE | {"form": "denoising", "code_noise": 0.2, "beta": 0.1},
    ),
    "sequence, language": ("sequence", TINY_SEQUENCE | {"form": "language"}),
    "arae": (
        "arae",
        {
            **{"latent_dim": 8, "width": 4, "embedding": 8, "dropout": 0.1, "lr": 1e-2, "batch_size": 16},
            **{"hidden": 16, "noise_dim": 4, "critic_steps": 2},
        },
    ),
    "latent-gan of text": (
        "latent-gan",
        _OF_CODES
        | {
            "latent": {"hidden": 16, "depth": 1, "batch_size": 16, "form": "correcting", "whiten": False},
            "joint": {"share": 0.0},
        },
    ),
    "adversarial-autoencoder of text": ("adversarial-autoencoder", _OF_CODES | {"hidden": 16, "depth": 1}),
    "denoising-gan of text": (
        "denoising-gan",
        _OF_CODES | {"width": 8, "blocks": 1, "batch_size": 16, "steps": 2, "noise_dim": 4},
    ),
}
"""Models of text, and what others need for it."""
TEXT = Spec(kind="text", shape=(8,), likelihood="categorical", vocabulary=10)
FIELDS = (
    Field(column="trade", size=4),
    Field(column="city", size=7),
    Field(column="member", size=2),
    Field(column="income", size=5, ordered=True),
    Field(column="income", size=6, level=1, ordered=True),
)
TABLE = Spec(kind="table", shape=(len(FIELDS),), likelihood="categorical", fields=FIELDS)
TINY_SET = {
    "autoencoder.latent_dim": "8",
    "autoencoder.width": "8",
    "autoencoder.blocks": "1",
    "noise_dim": "8",
    "latent.hidden": "16",
    "joint.width": "8",
    "autoencoder.batch_size": "16",
    "latent.batch_size": "16",
    "joint.batch_size": "8",
}
"""The same for ``fit(settings=...)``."""


def bars(n: int = 64, side: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two classes a child can tell apart: bright horizontal or vertical bars, with a little noise."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 40, (n, side, side), dtype=np.uint8)
    labels = np.arange(n) % 2
    for image, label in zip(images, labels, strict=True):
        at = rng.integers(0, side - 2)
        if label:
            image[:, at : at + 2] += 200
        else:
            image[at : at + 2] += 200
    return images, labels


def rows(n: int = 64, seed: int = 0) -> torch.Tensor:
    """Rows of ``TABLE`` in which most of what is in a row follows from two of its values."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.tensor([field.size for field in FIELDS])
    trade = torch.multinomial(torch.tensor([0.4, 0.3, 0.2, 0.1]), n, replacement=True, generator=generator)
    member = (torch.rand(n, generator=generator) < 0.4).long()
    values = torch.stack([trade, trade + 3 * member, member, (trade + member) % 5, (2 * trade + member) % 6], 1)
    other = (torch.rand(n, len(FIELDS), generator=generator) * sizes).long()
    values = torch.where(torch.rand(n, len(FIELDS), generator=generator) < 0.05, other, values)
    return values + torch.rand(n, len(FIELDS), generator=generator).clamp_(max=0.99)


def waves(n: int = 64, steps: int = 10, channels: int = 3, seed: int = 0) -> torch.Tensor:
    """Series in [-1, 1]: sines whose phase and height differ from one to the next, the same in every channel."""
    generator = torch.Generator().manual_seed(seed)
    phase, height = torch.rand(2, n, 1, 1, generator=generator)
    at = torch.arange(steps)[:, None] + 2.0 * torch.arange(channels)
    return (0.3 + 0.7 * height) * torch.sin(0.5 * at + 6.283 * phase)


def swings(n: int = 64, steps: int = 12, seed: int = 0) -> torch.Tensor:
    """Series ``(n, steps, 3)`` in [-1, 1]: a wave of random phase, the same with noise, and its sign."""
    generator = torch.Generator().manual_seed(seed)
    phase = 6.28 * torch.rand(n, 1, generator=generator)
    wave = torch.sin(phase + 0.6 * torch.arange(steps))
    noisy = 0.7 * wave + 0.05 * torch.randn(n, steps, generator=generator)
    return torch.stack([0.8 * wave, noisy.clamp(-1, 1), 0.5 * wave.sign()], 2)


def tokens(n: int = 64, seed: int = 0) -> torch.Tensor:
    """Texts of ``TEXT``: one of a few beginnings decides what goes on, of which lengths there are several."""
    generator = torch.Generator().manual_seed(seed)
    first = 1 + torch.randint(0, 6, (n, 1), generator=generator)
    length = torch.randint(3, 8, (n, 1), generator=generator)
    place = torch.arange(8)
    texts = 2 + (first + place * (1 + first % 2)) % 8
    return torch.where(place < length, texts, 0).int()


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    return bars()
