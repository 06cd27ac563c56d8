"""The held-out cases of ``doctor.py``: other networks and other data than those by which rules were made.

Convolutional networks on waves, attention on series, residual ones with LayerNorm on rows that lie on surfaces; two
cases for each way to break a training. How badly each is broken was set by the distance of its samples from the data,
in runs without a doctor.
"""

from __future__ import annotations

from dataclasses import replace

from doctor_cases import BROKEN, CRITIC, FREE, HELD_OUT, Case, Setup, broken

TONES = Setup(net="wave", data="tones", noise=12, width=16, bounded=True, batch=64, steps=500)
PATHS = Setup(
    net="attention", data="paths", noise=8, width=24, depth=1, activation="gelu", bounded=True, gamma=0.1, batch=64,
    lr=5e-4, lr_discriminator=5e-4, steps=400,
)  # fmt: skip
SURFACES = Setup(net="normalised", data="surfaces", noise=10, width=64, activation="silu", batch=64, steps=600)
VAE = {
    "tones": replace(TONES, model="vae"),
    "paths": replace(PATHS, model="vae", lr=3e-3, beta=0.02),
    "surfaces": replace(SURFACES, model="vae"),
}
VQ = {name: replace(setup, model="vq") for name, setup in VAE.items()}
BOTH = {name: replace(setup, model="vae-gan") for name, setup in VAE.items()}

HEALTHY: dict[str, Setup] = {
    "tones": TONES,
    "paths": PATHS,
    "surfaces": SURFACES,
    "tones, hinge": replace(TONES, loss="hinge"),
    "surfaces, non-saturating": replace(SURFACES, loss="non-saturating"),
    "paths, non-saturating": replace(PATHS, loss="non-saturating"),
    "tones, BatchNorm": replace(TONES, norm=True),
    "surfaces, hinge": replace(SURFACES, loss="hinge"),
    "surfaces, two critics": replace(SURFACES, critics=2),
    "tones, VAE": VAE["tones"],
    "paths, VAE": VAE["paths"],
    "surfaces, VAE": VAE["surfaces"],
    "tones, VQ": VQ["tones"],
    "surfaces, VQ": VQ["surfaces"],
    "paths, VAE-GAN": BOTH["paths"],
    "surfaces, VAE-GAN": BOTH["surfaces"],
}

PLAIN = replace(SURFACES, net="perceptron", activation="leaky")
SLOW = {"lr": 1e-4, "lr_discriminator": 1e-4}
CASES: dict[str, tuple[Setup, Setup]] = {
    "sigmoid-deep networks": (
        replace(TONES, activation="sigmoid", depth=9),
        replace(PLAIN, activation="sigmoid", depth=10),
    ),
    "initial gain too small": (
        replace(TONES, gain=0.04, depth=8, **SLOW),
        replace(PLAIN, gain=0.04, depth=9, **SLOW),
    ),
    "initial gain too large": (replace(TONES, gain=4.0, depth=7), replace(PATHS, gain=6.0, depth=2)),
    "learning rate too high": (
        replace(PATHS, lr=0.2, lr_discriminator=0.2),
        replace(TONES, lr=0.2, lr_discriminator=0.2),
    ),
    "learning rate too low": (
        replace(VAE["tones"], lr=1e-8),
        replace(SURFACES, lr=1e-8, lr_discriminator=1e-8),
    ),
    "saturating loss": (
        replace(SURFACES, loss="minimax", critics=5, lr=1e-4, lr_discriminator=3e-3, steps=300, **FREE),
        replace(TONES, loss="minimax", critics=5, lr=1e-4, lr_discriminator=3e-3, steps=200, **FREE),
    ),
    "strong critic without a penalty": (
        replace(TONES, lr_discriminator=1e-2, **CRITIC),
        replace(PATHS, lr_discriminator=5e-3, **CRITIC),
    ),
    "tiny data set": (
        replace(TONES, count=40, gamma=0.01, lr_discriminator=2e-3),
        replace(SURFACES, count=40, gamma=0.01, lr_discriminator=2e-3),
    ),
    "BatchNorm misused": (
        replace(TONES, norm=True, momentum=1e-6),
        replace(SURFACES, norm=True, batch=2, gamma=0.1),
    ),
    "frozen generator": (replace(PATHS, frozen=True), replace(SURFACES, frozen=True)),
    "mode-dropping targets": (
        replace(SURFACES, loss="non-saturating", generators=20, gamma=0.1),
        replace(PATHS, loss="non-saturating", generators=20, gamma=0.1),
    ),
    "generator that runs ahead": (
        replace(SURFACES, loss="non-saturating", lr=1e-2, lr_discriminator=2e-4, **FREE),
        replace(TONES, loss="non-saturating", lr=1e-2, lr_discriminator=2e-4, **FREE),
    ),
    "beta too large": (replace(VAE["paths"], beta=50.0), replace(VAE["surfaces"], beta=50.0)),
    "dead codebook": (replace(VQ["tones"], spread=30.0), replace(VQ["surfaces"], spread=30.0)),
    "wrong data range": (replace(TONES, scale=127.5), replace(SURFACES, scale=3.0, bounded=True)),
    "NaN in the data": (replace(PATHS, spoiled=0.002), replace(TONES, spoiled=0.002)),
    "detached graph": (replace(TONES, detached=True), replace(PATHS, detached=True)),
    "repeated rows": (replace(PATHS, repeated=0.5), replace(SURFACES, repeated=0.5)),
    "dead rectifiers": (
        replace(TONES, activation="relu", bias=-8.0),
        replace(PLAIN, activation="relu", bias=-8.0),
    ),
    "penalty too strong": (replace(TONES, gamma=1e4), replace(PATHS, gamma=1e4)),
    "adversary drowned": (replace(BOTH["paths"], weight=1e-4), replace(BOTH["surfaces"], weight=1e-4)),
}


def held_out() -> list[Case]:
    """All of them, healthy ones first."""
    found = [Case(name=f"healthy: {name}", part=HELD_OUT, setup=setup) for name, setup in HEALTHY.items()]
    for name, setups in CASES.items():
        expected, mended = BROKEN[name][-2:]
        found += [broken(name, HELD_OUT, setup, expected, mended) for setup in setups]
    return found
