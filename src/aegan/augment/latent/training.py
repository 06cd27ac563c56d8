"""Latent augmentation of what a discriminator is shown: codes moved as neighbours lie, in an adaptive share.

A share p of the real samples is encoded, moved by noise with the mean local covariance of the codes (of their class),
and decoded. As with ADA (Karras et al. 2020, arXiv 2006.06676), p grows while the discriminator is ahead and shrinks
otherwise.

Shown to the discriminator as real, augmented samples are part of what the generator is to imitate: they leak. How much
is measured. An autoencoder reproduces its own output far better than it does data; with e its mean squared error,

    leak = (e(real) - e(fake)) / (e(real) - e(augmented)),     cut to [0, 1],

is 0 while generated samples carry what the autoencoder loses, as real ones do, and 1 when they carry as little of it as
augmented ones. Beyond a limit p shrinks whatever the discriminator does. (Early samples, blurred as they are, count as
leaks too; p waits for them.) Where the fakes go through the same augmentation there is nothing to imitate, as long as
p stays below 1, and no limit is needed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from aegan.augment.adaptive import AdaptiveAugment
from aegan.augment.latent.neighbours import class_neighbours
from aegan.augment.latent.strength import CALIBRATED_ON, apart, calibrated
from aegan.errors import ConfigError, DataError

Coder = Callable[[Tensor], Tensor]
MEMORY = 0.05
"""Weight of a new measurement in the running errors."""
EVERY = 8
"""Calls of :meth:`LatentAugment.observe` between two measurements of the leak."""
MEASURED = 16
"""Samples of each sort in one measurement."""
AT_ONCE = 64


class LatentAugment(nn.Module):
    """The augmentation and its share, a buffer, so that it is saved with the model.

    Args:
        code_dim: D.
        classes: K; 0 without labels.
        strength: See :mod:`aegan.augment.latent.strength`.
        neighbours: Of a sample within its class.
        images: Samples over which the share may go from 0 to 1.
        most: The largest share.
        leak: The largest leak at which the share may grow; 1 for no limit.
        every: Steps between two changes of the share.
    """

    factor: Tensor
    size: Tensor
    errors: Tensor
    measured: Tensor

    def __init__(
        self,
        code_dim: int,
        classes: int,
        *,
        strength: float = 0.5,
        neighbours: int = 5,
        images: float = 100_000,
        most: float = 0.5,
        leak: float = 0.25,
        every: int = 4,
    ) -> None:
        super().__init__()
        if not 0 <= strength <= 1 or neighbours < 1 or not 0 <= leak <= 1:
            raise ConfigError(
                "LatentAugment: strength and leak from 0 to 1 and neighbours of at least 1 expected, got "
                f"{strength}, {leak} and {neighbours}."
            )
        self.strength, self.neighbours, self.limit = strength, neighbours, leak
        self.share = AdaptiveAugment(images=images, most=most, every=every, pipeline=())
        self.register_buffer("factor", torch.zeros(max(1, classes), code_dim, code_dim))
        self.register_buffer("size", torch.zeros(()))
        self.register_buffer("errors", torch.zeros(3))
        self.register_buffer("measured", torch.zeros((), dtype=torch.int64))

    @property
    def p(self) -> float:
        """The present share."""
        return float(self.share.p)

    @property
    def leak(self) -> float:
        """The leak, from 0 to 1; 0 before anything was measured."""
        real, made, fake = self.errors.tolist()
        return min(1.0, max(0.0, (real - fake) / (real - made))) if real > made else 0.0

    @torch.no_grad()
    def fit(self, z: Tensor, y: Tensor | None, decode: Coder) -> None:
        """Set the moves' covariances and size; a pure function of its arguments.

        Args:
            z: Codes of the data, ``(N, D)`` on the CPU.
            y: Classes ``(N,)``, or None.
            decode: Codes to data.

        Raises:
            DataError: No class of two samples, or neighbours that come out alike.
        """
        z = z.float().cpu()
        labels = torch.zeros(len(z), dtype=torch.int64) if y is None else y.cpu()
        near = class_neighbours(z, labels, self.neighbours)
        there = (near.count > 0).nonzero().squeeze(1)
        if not len(there):
            raise DataError(
                "augmentation=latent: every class has one sample, so nothing tells how samples of a class differ. Give "
                "two or more of some class, or train without labels."
            )
        step = z[near.index[there]] - z[there, None]
        valid = torch.arange(self.neighbours) < near.count[there, None]
        step = step * valid[..., None]
        # Half the mean square of a difference is the variance.
        weight = 0.5 / near.count[there]
        moments = torch.einsum("n,nkd,nke->nde", weight, step, step) if len(there) <= AT_ONCE else None
        pooled = torch.zeros_like(self.factor[0], device="cpu")
        for c in range(len(self.factor)):
            own = (labels[there] == c).nonzero().squeeze(1) if y is not None else torch.arange(len(there))
            own = own if len(own) else torch.arange(len(there))
            if moments is not None:
                pooled = moments[own].mean(0)
            else:
                pooled = torch.einsum("n,nkd,nke->de", weight[own] / len(own), step[own], step[own])
            values, vectors = torch.linalg.eigh(pooled.double())
            self.factor[c] = (vectors * values.clamp_min(0).sqrt()).float()
        self.size.fill_(self._size(z, labels if y is not None else None, near.index, there, decode))

    def _size(self, z: Tensor, y: Tensor | None, index: Tensor, there: Tensor, decode: Coder) -> float:
        stream = torch.Generator().manual_seed(0)
        rows = there[torch.randperm(len(there), generator=stream)[:CALIBRATED_ON]]
        device = self.factor.device

        def decoded(codes: Tensor) -> Tensor:
            return torch.cat([decode(part.to(device)).float().cpu() for part in codes.split(AT_ONCE)])

        base = decoded(z[rows])
        unit = float(torch.stack([apart(base, decoded(z[index[rows, j]])) for j in range(index.shape[1])]).mean())
        if not unit > 0:
            raise DataError(
                "augmentation=latent: neighbours come out alike, so there is no distance to measure strength by. Give "
                "the autoencoder more of the budget (latent.autoencoder_share), or remove copies from the data."
            )
        noise = torch.randn(len(rows), z.shape[1], generator=stream)
        factor = self.factor.cpu()[torch.zeros(len(rows), dtype=torch.int64) if y is None else y[rows]]
        step = torch.einsum("bde,be->bd", factor, noise)
        return calibrated(self.strength, lambda size: float(apart(decoded(z[rows] + size * step), base).mean()) / unit)[
            0
        ]

    def forward(self, x: Tensor, y: Tensor | None, encode: Coder, decode: Coder) -> Tensor:
        """Data ``(B, *shape)`` of classes ``(B,)``, a share of them augmented; gradients flow through to ``x``."""
        p = self.p
        if p <= 0:
            return x
        taken = (torch.rand(len(x), device=x.device) < p).nonzero().squeeze(1)
        if not len(taken):
            return x
        made = self.moved(x[taken], None if y is None else y[taken], encode, decode)
        return x.index_copy(0, taken, made.to(x.dtype))

    def moved(self, x: Tensor, y: Tensor | None, encode: Coder, decode: Coder) -> Tensor:
        """All of the data augmented."""
        z = encode(x).float()
        factor = self.factor[torch.zeros(len(z), dtype=torch.int64, device=z.device) if y is None else y]
        return decode(z + self.size * torch.einsum("bde,be->bd", factor, torch.randn_like(z)))

    @torch.no_grad()
    def observe(
        self,
        ahead: Tensor,
        real: Tensor,
        fake: Tensor,
        y: Tensor | None,
        encode: Coder,
        decode: Coder,
        images: int | None = None,
    ) -> None:
        """Tell of a step of the discriminator.

        Args:
            ahead: Logits of real samples ``(B,)``, less the loss's level (``AdversarialLoss.ahead``).
            real: The real samples, not augmented, ``(B, *shape)``.
            fake: Generated samples.
            y: Classes of the real ones.
            encode: Data to codes.
            decode: Codes to data.
            images: See :meth:`aegan.augment.AdaptiveAugment.observe`.
        """
        if int(self.measured) % EVERY == 0 and self.limit < 1:
            real, fake, y = real[:MEASURED], fake[:MEASURED], None if y is None else y[:MEASURED]
            samples = (real, self.moved(real, y, encode, decode), fake)
            errors = torch.stack([(x - decode(encode(x))).float().square().mean() for x in samples])
            self.errors.copy_(errors if int(self.measured) == 0 else self.errors.lerp(errors, MEMORY))
        self.measured += 1
        self.share.observe(ahead if self.leak <= self.limit else -torch.ones_like(ahead), images)
