"""The training loops of ``doctor.py``, by hand, as anybody would write them, with a doctor beside them."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize

from aegan.diagnostics import Doctor
from aegan.losses import ADVERSARIAL, zero_centred_gradient
from doctor_cases import Setup
from doctor_data import data_of
from doctor_networks import network

LATENT, BETAS = 8, (0.0, 0.99)
LOOKS = 50
"""Looks over a run: a fixed distance in steps, so that a run's verdicts are the same on any machine."""


class Loop:
    """One training; ``run`` returns what became of it."""

    def __init__(self, setup: Setup, seed: int, *, watched: bool = True, every: int | None = 0) -> None:
        self.setup, self.watched = setup, watched
        self.data, self.unseen = data_of(setup, seed)
        self.stream = torch.Generator().manual_seed(seed)
        self.every = max(1, setup.steps // LOOKS) if every == 0 else every
        torch.manual_seed(seed)
        shape = self.data.shape[1:]
        self.generator = network(setup, self._inputs(), shape, norm=setup.norm, bounded=setup.bounded)
        self.discriminator = network(setup, shape, 1)
        self.encoder = network(setup, shape, 2 * LATENT)
        self.codebook = nn.Embedding(setup.codes, LATENT)
        nn.init.uniform_(self.codebook.weight, -setup.spread, setup.spread)

    def _inputs(self) -> int:
        return self.setup.noise if self.setup.model == "gan" else LATENT

    def run(self) -> dict[str, Any]:
        """Train, and say how it went."""
        began = time.process_time()
        for _ in self.steps():
            pass
        return {"seconds": time.process_time() - began, "distance": self.distance(), "cost": self.doctor.cost}

    def steps(self) -> Iterator[None]:
        """Train, and come back after every step."""
        gan = self.setup.model == "gan"
        pair: dict[str, nn.Module] = {"generator": self.generator, "discriminator": self.discriminator} if gan else {
            "encoder": self.encoder, "decoder": self.generator,
            **({"discriminator": self.discriminator} if self.setup.model == "vae-gan" else {}),
        }  # fmt: skip
        self.doctor = Doctor(**pair, every=self.every)
        with self.doctor if self.watched else contextlib.nullcontext():
            yield from (self._gan if gan else self._autoencoder)()

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
        made, unseen = made.flatten(1), unseen.flatten(1)
        scale = float(torch.pdist(unseen[:300]).median())
        if self.setup.model != "gan":
            return float((made - unseen).square().sum(1).mean().sqrt()) / scale
        return energy_distance(made, unseen) / scale

    # --- the loops --------------------------------------------------------------------------------------------

    def _batch(self) -> Tensor:
        return self.data[torch.randint(0, len(self.data), (self.setup.batch,), generator=self.stream)]

    def _unseen(self) -> Tensor:
        return self.unseen[torch.randint(0, len(self.unseen), (self.setup.batch,), generator=self.stream)]

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

    def _gan(self) -> Iterator[None]:
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
                losses = {"generator": loss, "discriminator": loss_d}
                unseen = self._unseen if self.every is None else self._unseen()
                self.doctor.observe(real=real, fake=fake, losses=losses, holdout=unseen)
            yield

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

    def _autoencoder(self) -> Iterator[None]:
        setup = self.setup
        networks = [self.encoder, self.generator, *([self.codebook] if setup.model == "vq" else [])]
        optimizer = torch.optim.Adam([p for n in networks for p in n.parameters()], lr=setup.lr)
        opt_d = torch.optim.Adam(self.discriminator.parameters(), lr=setup.lr_discriminator, betas=BETAS)
        for _ in range(setup.steps):
            x = self._batch()
            made, mu, other, tokens = self._decode(x)
            reconstruction = (made - x).square().flatten(1).sum(1).mean()
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
            yield

    def _clip(self, network: nn.Module) -> None:
        if self.setup.clip:
            nn.utils.clip_grad_norm_(network.parameters(), self.setup.clip)
