"""The training loops of ``doctor.py``, by hand, as anybody would write them, with a doctor beside them."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize

from aegan.diagnostics import Doctor
from aegan.losses import ADVERSARIAL, zero_centred_gradient
from doctor_cases import Setup

LATENT, BETAS = 8, (0.0, 0.99)
LOOKS = 50
"""Looks over a run: a fixed distance in steps, so that a run's verdicts are the same on any machine."""


def data_of(setup: Setup, seed: int) -> tuple[Tensor, Tensor]:
    """Training data ``(N, ...)``, with what is wrong with them, and sound unseen data ``(1000, ...)`` to judge by."""
    stream = torch.Generator().manual_seed(1000 + seed)
    x = _sound(setup.data, stream)
    x = x[torch.randperm(len(x), generator=stream)]
    held = min(1000, len(x) // 4)
    unseen, x = x[:held], x[held:].clone()
    if setup.count:
        x = x[: setup.count]
    x, unseen = setup.scale * x, setup.scale * unseen
    if setup.repeated:
        x[torch.rand(len(x), generator=stream) < setup.repeated] = x[0].clone()
    if setup.spoiled:
        x[torch.rand(len(x), generator=stream) < setup.spoiled, 0] = math.nan
    return x, unseen


def _sound(name: str, stream: torch.Generator) -> Tensor:
    """Sound data ``(N, D)``."""
    if name == "images":
        return torch.from_numpy(load_digits().data).float() / 8.0 - 1.0
    if name == "ring":
        angle = torch.randint(0, 8, (10_000,), generator=stream) * math.pi / 4
        centre = torch.stack([angle.cos(), angle.sin()], 1)
        return (centre + 0.05 * torch.randn(len(centre), 2, generator=stream)) / 0.7
    if name == "series":
        t, n = torch.linspace(0, 1, 32), 5000
        cycles = 1.0 + 2.0 * torch.rand(n, 1, generator=stream)
        phase = 2 * math.pi * torch.rand(n, 1, generator=stream)
        return (2 * math.pi * cycles * t + phase).sin() + 0.1 * torch.randn(n, 32, generator=stream)
    fixed = torch.Generator().manual_seed(0)
    centres, mixing = 1.5 * torch.randn(5, 16, generator=fixed), 0.15 * torch.randn(16, 16, generator=fixed)
    which = torch.randint(0, 5, (8000,), generator=stream)
    x = centres[which] + (torch.randn(8000, 16, generator=stream) @ mixing)
    return (x - x.mean(0)) / x.std(0)


def perceptron(setup: Setup, inputs: int, outputs: int, *, norm: bool = False, bounded: bool = False) -> nn.Sequential:
    """A plain perceptron with all that the setup says of it."""
    made = {"leaky": lambda: nn.LeakyReLU(0.2), "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
    parts: list[nn.Module] = []
    for i in range(setup.depth):
        linear = nn.Linear(inputs if i == 0 else setup.width, setup.width)
        parts += [linear, *([nn.BatchNorm1d(setup.width, momentum=setup.momentum)] if norm else [])]
        parts.append(made[setup.activation]())
    parts += [nn.Linear(setup.width, outputs), *([nn.Tanh()] if bounded else [])]
    network = nn.Sequential(*parts)
    with torch.no_grad():
        for i, part in enumerate(network):
            if isinstance(part, nn.Linear):
                rectified = setup.activation in ("leaky", "relu") and i < len(network) - 2
                he = ((2.0 if rectified else 1.0) / part.in_features) ** 0.5
                nn.init.normal_(part.weight, std=setup.gain * he)
                nn.init.constant_(part.bias, setup.bias if rectified else 0.0)
    return network


class Loop:
    """One training; ``run`` returns what became of it."""

    def __init__(self, setup: Setup, seed: int, *, watched: bool = True, every: int | None = 0) -> None:
        self.setup, self.watched = setup, watched
        self.data, self.unseen = data_of(setup, seed)
        self.stream = torch.Generator().manual_seed(seed)
        self.every = max(1, setup.steps // LOOKS) if every == 0 else every
        torch.manual_seed(seed)
        width = self.data.shape[1]
        self.generator = perceptron(setup, self._inputs(), width, norm=setup.norm, bounded=setup.bounded)
        self.discriminator = perceptron(setup, width, 1)
        self.encoder = perceptron(setup, width, 2 * LATENT)
        self.codebook = nn.Embedding(setup.codes, LATENT)
        nn.init.uniform_(self.codebook.weight, -setup.spread, setup.spread)

    def _inputs(self) -> int:
        return self.setup.noise if self.setup.model == "gan" else LATENT

    def run(self) -> dict[str, Any]:
        """Train, and say how it went."""
        gan = self.setup.model == "gan"
        pair: dict[str, nn.Module] = {"generator": self.generator, "discriminator": self.discriminator} if gan else {
            "encoder": self.encoder, "decoder": self.generator,
            **({"discriminator": self.discriminator} if self.setup.model == "vae-gan" else {}),
        }  # fmt: skip
        self.doctor = Doctor(**pair, every=self.every)
        began = time.process_time()
        if self.watched:
            with self.doctor:
                (self._gan if gan else self._autoencoder)()
        else:
            (self._gan if gan else self._autoencoder)()
        return {"seconds": time.process_time() - began, "distance": self.distance(), "cost": self.doctor.cost}

    def distance(self) -> float:
        """Energy distance of samples (of reconstructions, for autoencoders) to unseen data, in its own units."""
        from aegan.diagnostics.collapse import energy_distance

        unseen = self.unseen
        with torch.no_grad():
            self.generator.eval()
            if self.setup.model == "gan":
                made = self.generator(torch.randn(len(unseen), self.setup.noise, generator=self.stream))
            else:
                made = self._decode(unseen)[0]
        if not bool(torch.isfinite(made).all()):
            return math.inf
        scale = float(torch.pdist(unseen[:300]).median())
        if self.setup.model != "gan":
            return float((made - unseen).square().sum(1).mean().sqrt()) / scale
        return energy_distance(made, unseen) / scale

    # --- the loops --------------------------------------------------------------------------------------------

    def _batch(self) -> Tensor:
        return self.data[torch.randint(0, len(self.data), (self.setup.batch,), generator=self.stream)]

    def _noise(self) -> Tensor:
        return torch.randn(self.setup.batch, self.setup.noise, generator=self.stream)

    def _shown(self, x: Tensor) -> Tensor:
        """What the discriminator is shown of samples."""
        noise = self.setup.instance_noise
        return x + noise * torch.randn(x.shape, generator=self.stream) if noise else x

    def _critic_step(self, real: Tensor, fake: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
        setup, judge = self.setup, lambda x: self.discriminator(x).squeeze(1)
        real, fake = self._shown(real.detach()).requires_grad_(True), self._shown(fake.detach()).requires_grad_(True)
        high, low = judge(real), judge(fake)
        loss = ADVERSARIAL[setup.loss].discriminator(high, low)
        if setup.gamma:
            loss = loss + setup.gamma * (zero_centred_gradient(high, real) + zero_centred_gradient(low, fake))
        optimizer.zero_grad()
        loss.backward()
        self._clip(self.discriminator)
        optimizer.step()
        return loss.detach()

    def _gan(self) -> None:
        setup = self.setup
        opt_d = torch.optim.Adam(self.discriminator.parameters(), lr=setup.lr_discriminator, betas=BETAS)
        spare = nn.Parameter(torch.zeros(1))
        moved = [spare] if setup.frozen else self.generator.parameters()
        opt_g = torch.optim.Adam(moved, lr=setup.lr, betas=BETAS)
        for step in range(setup.steps):
            for _ in range(setup.critics if step % setup.generators == 0 else 0):
                real = self._batch()
                with torch.no_grad():
                    fake = self.generator(self._noise())
                loss_d = self._critic_step(real, fake, opt_d)
            fake = self.generator(self._noise())
            if setup.detached:
                fake = fake.detach().requires_grad_(True)
            judged = self.discriminator(self._shown(fake)).squeeze(1)
            high = self.discriminator(self._shown(real)).squeeze(1).detach()
            loss = ADVERSARIAL[setup.loss].generator(high, judged)
            opt_g.zero_grad()
            loss.backward()
            self._clip(self.generator)
            opt_g.step()
            if self.watched:
                unseen = self.unseen[torch.randint(0, len(self.unseen), (setup.batch,), generator=self.stream)]
                losses = {"generator": loss, "discriminator": loss_d}
                self.doctor.observe(real=real, fake=fake, losses=losses, holdout=unseen)

    def _decode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Reconstruction, mean and log-variance, and tokens of the VQ."""
        mu, logvar = self.encoder(x).chunk(2, 1)
        if self.setup.model != "vq":
            z = mu + (0.5 * logvar).exp() * torch.randn(mu.shape, generator=self.stream)
            return self.generator(z), mu, logvar, None
        book = self.codebook.weight
        if self.setup.normalised:
            mu, book = normalize(mu, dim=1), normalize(book, dim=1)
        tokens = torch.cdist(mu, book).argmin(1)
        codes = book[tokens]
        return self.generator(mu + (codes - mu).detach()), mu, codes, tokens

    def _autoencoder(self) -> None:
        setup = self.setup
        networks = [self.encoder, self.generator, *([self.codebook] if setup.model == "vq" else [])]
        optimizer = torch.optim.Adam([p for n in networks for p in n.parameters()], lr=setup.lr)
        opt_d = torch.optim.Adam(self.discriminator.parameters(), lr=setup.lr_discriminator, betas=BETAS)
        for _ in range(setup.steps):
            x = self._batch()
            made, mu, other, tokens = self._decode(x)
            reconstruction = (made - x).square().sum(1).mean()
            told: dict[str, Any] = {}
            if setup.model == "vq":
                loss = reconstruction + mse_loss(other, mu.detach()) + 0.25 * mse_loss(mu, other.detach())
                told = {"tokens": tokens, "codes": setup.codes}
            else:
                kl = 0.5 * (mu.square() + other.exp() - 1.0 - other).sum(1).mean()
                loss = reconstruction + setup.beta * kl
                told = {"posterior": (mu, other)}
            if setup.model == "vae-gan":
                self._critic_step(x, made, opt_d)
                high, low = self.discriminator(x).squeeze(1).detach(), self.discriminator(made).squeeze(1)
                adversarial = setup.weight * ADVERSARIAL[setup.loss].generator(high, low)
                if self.watched:
                    self.doctor.compare(reconstruction=reconstruction, adversarial=adversarial)
                loss = loss + adversarial
                told["fake"] = made
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if self.watched:
                self.doctor.observe(real=x, losses={"loss": loss}, **told)

    def _clip(self, network: nn.Module) -> None:
        if self.setup.clip:
            nn.utils.clip_grad_norm_(network.parameters(), self.setup.clip)
