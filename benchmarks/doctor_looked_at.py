"""Cases of ``doctor.py`` that stood apart, until rules were mended by what they showed.

Convolutional networks on images, recurrent ones on series, residual ones on skewed rows; two cases for each way to
break a training. How badly each is broken was set by the distance of its samples from the data, without looking at a
verdict.
"""

from __future__ import annotations

from dataclasses import replace

from doctor_cases import BROKEN, CRITIC, FREE, LOOKED_AT, Case, Setup, broken

FIGURES = Setup(net="convolutional", data="figures", noise=16, width=16, bounded=True, batch=64, steps=400)
WAVES = Setup(net="recurrent", data="waves", noise=8, width=48, depth=2, batch=64, lr=2e-3, steps=600)
SKEWED = Setup(net="residual", data="skewed", noise=12, width=96)
VAE = {
    name: replace(setup, model="vae") for name, setup in (("figures", FIGURES), ("waves", WAVES), ("skewed", SKEWED))
}
VQ = {name: replace(setup, model="vq") for name, setup in VAE.items()}
BOTH = {name: replace(setup, model="vae-gan") for name, setup in VAE.items()}

HEALTHY: dict[str, Setup] = {
    "figures": FIGURES,
    "waves": WAVES,
    "skewed": SKEWED,
    "figures, non-saturating": replace(FIGURES, loss="non-saturating"),
    "skewed, hinge": replace(SKEWED, loss="hinge"),
    "waves, least squares": replace(WAVES, loss="least-squares"),
    "figures, BatchNorm": replace(FIGURES, norm=True),
    "skewed, Wasserstein with R1": replace(SKEWED, loss="wasserstein", critics=2),
    "figures, VAE": VAE["figures"],
    "waves, VAE": VAE["waves"],
    "skewed, VAE": VAE["skewed"],
    "figures, VQ": VQ["figures"],
    "skewed, VQ": VQ["skewed"],
    "figures, VAE-GAN": BOTH["figures"],
    "waves, VAE-GAN": BOTH["waves"],
    "skewed, VAE-GAN": BOTH["skewed"],
}

PLAIN = replace(SKEWED, net="perceptron")
SLOW = {"lr": 1e-4, "lr_discriminator": 1e-4}
CASES: dict[str, tuple[Setup, Setup]] = {
    "sigmoid-deep networks": (
        replace(FIGURES, activation="sigmoid", depth=8),
        replace(WAVES, activation="sigmoid", depth=8),
    ),
    "initial gain too small": (
        replace(PLAIN, gain=0.04, depth=10, **SLOW),
        replace(FIGURES, gain=0.05, depth=6, **SLOW),
    ),
    "initial gain too large": (replace(FIGURES, gain=4.0, depth=6), replace(WAVES, gain=6.0, depth=5)),
    "learning rate too high": (
        replace(WAVES, lr=0.3, lr_discriminator=0.3),
        replace(SKEWED, lr=0.2, lr_discriminator=0.2),
    ),
    "learning rate too low": (
        replace(VAE["figures"], lr=1e-8),
        replace(WAVES, lr=1e-8, lr_discriminator=1e-8),
    ),
    "saturating loss": (
        replace(SKEWED, loss="minimax", critics=5, lr_discriminator=3e-3, steps=300, **FREE),
        replace(FIGURES, loss="minimax", critics=5, lr_discriminator=3e-3, steps=200, **FREE),
    ),
    "strong critic without a penalty": (replace(FIGURES, **CRITIC), replace(SKEWED, **CRITIC)),
    "tiny data set": (
        replace(FIGURES, count=40, gamma=0.01, lr_discriminator=2e-3),
        replace(WAVES, count=40, gamma=0.01, lr_discriminator=2e-3),
    ),
    "BatchNorm misused": (
        replace(FIGURES, norm=True, momentum=1e-6),
        replace(SKEWED, norm=True, batch=2, gamma=0.1),
    ),
    "frozen generator": (replace(WAVES, frozen=True), replace(FIGURES, frozen=True)),
    "mode-dropping targets": (
        replace(SKEWED, loss="non-saturating", generators=20, gamma=0.1),
        replace(FIGURES, loss="non-saturating", generators=20, gamma=0.1),
    ),
    "generator that runs ahead": (
        replace(WAVES, loss="non-saturating", lr=1e-2, lr_discriminator=2e-4, **FREE),
        replace(SKEWED, loss="non-saturating", lr=1e-2, lr_discriminator=2e-4, **FREE),
    ),
    "beta too large": (replace(VAE["waves"], beta=50.0), replace(VAE["figures"], beta=50.0)),
    "dead codebook": (replace(VQ["skewed"], spread=30.0), replace(VQ["figures"], spread=30.0)),
    "wrong data range": (replace(FIGURES, scale=127.5), replace(SKEWED, bounded=True)),
    "NaN in the data": (replace(WAVES, spoiled=0.002), replace(SKEWED, spoiled=0.002)),
    "detached graph": (replace(FIGURES, detached=True), replace(SKEWED, detached=True)),
    "repeated rows": (replace(WAVES, repeated=0.5), replace(FIGURES, repeated=0.5)),
    "dead rectifiers": (
        replace(FIGURES, activation="relu", bias=-8.0),
        replace(VAE["skewed"], activation="relu", bias=-8.0),
    ),
    "penalty too strong": (replace(FIGURES, gamma=1e4), replace(SKEWED, gamma=1e4)),
    "adversary drowned": (replace(BOTH["waves"], weight=1e-4), replace(BOTH["figures"], weight=1e-4)),
}


def looked_at() -> list[Case]:
    """All of them, healthy ones first."""
    found = [Case(name=f"healthy: {name}", part=LOOKED_AT, setup=setup) for name, setup in HEALTHY.items()]
    for name, setups in CASES.items():
        expected, mended = BROKEN[name][-2:]
        found += [broken(name, LOOKED_AT, setup, expected, mended) for setup in setups]
    return found
