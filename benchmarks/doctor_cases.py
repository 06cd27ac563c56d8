"""The cases of ``doctor.py``: healthy trainings, and ways to break them on purpose.

Every case is one :class:`Setup`: a small loop, by hand, and what is changed in it. Each way to break a training has two
cases here, on different data; by these the doctor's thresholds were set. ``doctor_looked_at.py`` has two more of each,
on other data and with other networks, which stood apart until rules were mended by them; ``doctor_held_out.py`` has two
that still do: new data and networks, not a new kind of failure.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

DEVELOPMENT, LOOKED_AT, HELD_OUT = "development", "looked-at", "held-out"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """One training, all of it.

    Attributes:
        model: ``gan``, ``vae``, ``vq`` or ``vae-gan``.
        net: ``perceptron``, ``residual``, ``convolutional``, ``recurrent``, ``normalised``, ``wave`` or ``attention``.
        data: Of ``doctor_data.py``.
        count: Samples of it; 0 for all.
        loss: A name of ``aegan.losses.ADVERSARIAL``.
        gamma: Of R1 and R2.
        lr: Of the generator, or of an autoencoder.
        lr_discriminator: Of the discriminator.
        depth: Hidden layers of each network.
        width: Units of each.
        activation: ``leaky``, ``relu``, ``silu``, ``gelu``, ``sigmoid`` or ``tanh``.
        gain: What the initial weights are multiplied with.
        bias: Initial bias of the hidden layers.
        critics: Steps of the discriminator for one of the generator.
        generators: Steps of the generator for one of the discriminator.
        batch: Samples a step.
        noise: Length of the noise.
        norm: BatchNorm in the generator.
        momentum: Of that BatchNorm.
        averaged: Whether the fakes that are looked at come from eval mode.
        bounded: Whether the generator ends in a tanh.
        scale: What the data are multiplied with.
        spoiled: Part of the rows that hold a NaN.
        constant: Columns that are constant.
        repeated: Part of the rows that repeat one row.
        detached: Whether the generator's loss is cut from the generator.
        frozen: Whether the generator's parameters are left out of its optimiser.
        beta: Of the VAE.
        codes: Size of the codebook.
        spread: Range of the initial codes; far from the data they die.
        weight: Of the adversary in ``vae-gan``.
        steps: Of the generator.
        clip: Gradient norm at most; 0 for none.
        instance_noise: Deviation of noise on all that the discriminator sees.
        normalised: Whether codes are looked up by direction.
    """

    model: str = "gan"
    net: str = "perceptron"
    data: str = "ring"
    count: int = 0
    loss: str = "relativistic"
    gamma: float = 1.0
    lr: float = 1e-3
    lr_discriminator: float = 1e-3
    depth: int = 3
    width: int = 64
    activation: str = "leaky"
    gain: float = 1.0
    bias: float = 0.0
    critics: int = 1
    generators: int = 1
    batch: int = 128
    noise: int = 8
    norm: bool = False
    momentum: float = 0.1
    bounded: bool = False
    scale: float = 1.0
    spoiled: float = 0.0
    constant: int = 0
    repeated: float = 0.0
    detached: bool = False
    frozen: bool = False
    beta: float = 0.1
    codes: int = 64
    spread: float = 1.0
    weight: float = 1.0
    steps: int = 800
    clip: float = 0.0
    instance_noise: float = 0.0
    normalised: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case.

    Attributes:
        name: Unique.
        part: ``DEVELOPMENT``, ``LOOKED_AT`` or ``HELD_OUT``.
        setup: What is trained.
        expected: Verdicts that are right; empty for a healthy run.
        mended: What undoes the fault, where the remedy is to do just that (clean data, leave out a detach).
    """

    name: str
    part: str
    setup: Setup
    expected: tuple[str, ...] = ()
    mended: dict[str, Any] = field(default_factory=dict)


RING = Setup(data="ring", gamma=0.1)
VECTORS = Setup(data="vectors", noise=16)
IMAGES = Setup(data="images", noise=16, width=128, bounded=True)
SERIES = Setup(data="series", noise=8)
VAE_VECTORS, VAE_IMAGES = replace(VECTORS, model="vae"), replace(IMAGES, model="vae")
VQ_VECTORS, VQ_IMAGES = replace(VECTORS, model="vq"), replace(IMAGES, model="vq")
BOTH_VECTORS, BOTH_IMAGES = replace(VECTORS, model="vae-gan"), replace(IMAGES, model="vae-gan")

HEALTHY: dict[str, Setup] = {
    "ring": RING,
    "vectors": VECTORS,
    "images": IMAGES,
    "series": SERIES,
    "vectors, non-saturating": replace(VECTORS, loss="non-saturating"),
    "images, hinge": replace(IMAGES, loss="hinge"),
    "series, Wasserstein with R1": replace(SERIES, loss="wasserstein", critics=2),
    "ring, least squares": replace(RING, loss="least-squares"),
    "vectors, BatchNorm": replace(VECTORS, norm=True),
    "images, BatchNorm": replace(IMAGES, norm=True),
    "vectors, VAE": VAE_VECTORS,
    "images, VAE": VAE_IMAGES,
    "images, VQ": VQ_IMAGES,
    "vectors, VQ": VQ_VECTORS,
    "images, VAE-GAN": BOTH_IMAGES,
    "vectors, VAE-GAN": BOTH_VECTORS,
}

FREE = {"gamma": 0.0}
CRITIC = FREE | {"loss": "wasserstein", "critics": 5, "steps": 250}
BROKEN: dict[str, tuple[Setup, Setup, tuple[str, ...], dict[str, Any]]] = {
    # way to break it: two cases, right verdicts, what undoes it
    "sigmoid-deep networks": (
        replace(VECTORS, activation="sigmoid", depth=10),
        replace(IMAGES, activation="sigmoid", depth=8),
        ("vanishing-gradients",),
        {"activation": "leaky", "depth": 3},
    ),
    "initial gain too small": (
        replace(IMAGES, gain=0.05, depth=8, lr=1e-4, lr_discriminator=1e-4),
        replace(VECTORS, gain=0.03, depth=8, lr=1e-4, lr_discriminator=1e-4),
        ("vanishing-gradients",),
        {"gain": 1.0},
    ),
    "initial gain too large": (
        replace(VECTORS, gain=5.0, depth=6),
        replace(SERIES, gain=6.0, depth=6),
        ("exploding-gradients", "not-lipschitz"),
        {"gain": 1.0},
    ),
    "learning rate too high": (
        replace(IMAGES, lr=0.2, lr_discriminator=0.2),
        replace(VECTORS, lr=0.3, lr_discriminator=0.3),
        ("learning-rate-high", "exploding-gradients"),
        {"lr": 1e-3, "lr_discriminator": 1e-3},
    ),
    "learning rate too low": (
        replace(RING, lr=1e-8, lr_discriminator=1e-8),
        replace(VAE_IMAGES, lr=1e-8),
        ("learning-rate-low",),
        {"lr": 1e-3, "lr_discriminator": 1e-3},
    ),
    "saturating loss": (
        replace(VECTORS, loss="minimax", critics=5, lr_discriminator=3e-3, steps=300, **FREE),
        replace(IMAGES, loss="minimax", critics=5, lr=1e-4, lr_discriminator=3e-3, steps=300, **FREE),
        ("vanishing-gradients", "discriminator-strong"),
        {"loss": "relativistic", "gamma": 1.0},
    ),
    "strong critic without a penalty": (
        replace(RING, **CRITIC),
        replace(SERIES, **CRITIC),
        ("not-lipschitz", "discriminator-strong", "exploding-gradients"),
        {"gamma": 1.0},
    ),
    "tiny data set": (
        replace(IMAGES, count=40, gamma=0.01, lr_discriminator=2e-3),
        replace(VECTORS, count=40, gamma=0.01, lr_discriminator=2e-3),
        ("discriminator-overfitting",),
        {"count": 0},
    ),
    "BatchNorm misused": (
        replace(VECTORS, norm=True, momentum=1e-6),
        replace(IMAGES, norm=True, batch=2, gamma=0.1),
        ("batchnorm",),
        {"norm": False, "batch": 128},
    ),
    "frozen generator": (
        replace(IMAGES, frozen=True),
        replace(RING, frozen=True),
        ("no-gradient",),
        {"frozen": False},
    ),
    "mode-dropping targets": (
        replace(RING, loss="non-saturating", generators=20),
        replace(VECTORS, loss="non-saturating", generators=20, gamma=0.1),
        ("mode-collapse", "cycling", "discriminator-weak"),
        {"generators": 1, "gamma": 1.0},
    ),
    "generator that runs ahead": (
        replace(RING, loss="non-saturating", lr=5e-3, lr_discriminator=2e-4, **FREE),
        replace(VECTORS, loss="non-saturating", lr=1e-2, lr_discriminator=2e-4, **FREE),
        ("cycling", "mode-collapse", "discriminator-weak"),
        {"lr": 1e-3, "lr_discriminator": 1e-3},
    ),
    "beta too large": (
        replace(VAE_IMAGES, beta=50.0),
        replace(VAE_VECTORS, beta=50.0),
        ("posterior-collapse",),
        {"beta": 0.1},
    ),
    "dead codebook": (
        replace(VQ_VECTORS, spread=30.0),
        replace(VQ_IMAGES, spread=30.0),
        ("codebook-collapse",),
        {"spread": 1.0},
    ),
    "wrong data range": (
        replace(IMAGES, scale=127.5),
        replace(VECTORS, scale=3.0, bounded=True),
        ("data-problem",),
        {"scale": 1.0, "bounded": False},
    ),
    "NaN in the data": (
        replace(VECTORS, spoiled=0.002),
        replace(IMAGES, spoiled=0.002),
        ("data-problem",),
        {"spoiled": 0.0},
    ),
    "detached graph": (
        replace(RING, detached=True),
        replace(SERIES, detached=True),
        ("no-gradient",),
        {"detached": False},
    ),
    "repeated rows": (
        replace(IMAGES, repeated=0.5),
        replace(SERIES, repeated=0.5),
        ("data-problem",),
        {"repeated": 0.0},
    ),
    "dead rectifiers": (
        replace(VECTORS, activation="relu", bias=-8.0),
        replace(VAE_IMAGES, activation="relu", bias=-8.0),
        ("dead-units",),
        {"bias": 0.0},
    ),
    "penalty too strong": (
        replace(RING, gamma=1e4),
        replace(SERIES, gamma=1e4),
        ("discriminator-weak", "vanishing-gradients"),
        {"gamma": 1.0},
    ),
    "adversary drowned": (
        replace(BOTH_IMAGES, weight=1e-4),
        replace(BOTH_VECTORS, weight=1e-4),
        ("imbalance",),
        {"weight": 1.0},
    ),
}


def cases() -> list[Case]:
    """Those by which thresholds were set, healthy ones first."""
    found = [Case(name=f"healthy: {name}", part=DEVELOPMENT, setup=setup) for name, setup in HEALTHY.items()]
    for name, (*setups, expected, mended) in BROKEN.items():
        found += [broken(name, DEVELOPMENT, setup, expected, mended) for setup in setups]
    return found


def broken(name: str, part: str, setup: Setup, expected: tuple[str, ...], mended: dict[str, Any]) -> Case:
    """One broken case, with its model and data in its name."""
    return Case(name=f"{name} ({setup.model}, {setup.data})", part=part, setup=setup, expected=expected, mended=mended)
