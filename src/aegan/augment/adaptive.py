"""Adaptive discriminator augmentation: as much of it as keeps the discriminator from memorising.

Reference: Karras et al. 2020 (arXiv 2006.06676). The sign of the discriminator's logits on real images, counted from
the loss's level between real and fake, says how far it is ahead; the probability of every transform follows it. A
probability of at most 0.8 keeps augmentation from leaking into the samples.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aegan.augment.transforms import (
    Transform,
    brightness,
    contrast,
    flip,
    rotation,
    saturation,
    scaling,
    translation,
)
from aegan.errors import ConfigError

PIPELINE: tuple[Transform, ...] = (flip, translation, scaling, rotation, brightness, contrast, saturation)


class AdaptiveAugment(nn.Module):
    """The pipeline and its probability, which is a buffer and so is saved with the model.

    Args:
        target: Sign statistic r = E sign D(x) to hold, of logits from the loss's level; 0.6 in the paper.
        images: Real images over which the probability may go from 0 to 1; 500,000 in the paper.
        every: Calls of :meth:`observe` between two changes of the probability.
        pipeline: The transforms.

    >>> augment = AdaptiveAugment(images=8, every=1)
    >>> augment.observe(torch.ones(4))
    >>> float(augment.p)
    0.5
    """

    p: Tensor
    signs: Tensor
    seen: Tensor
    calls: Tensor

    def __init__(
        self,
        *,
        target: float = 0.6,
        images: float = 500_000,
        every: int = 4,
        most: float = 0.8,
        pipeline: tuple[Transform, ...] = PIPELINE,
    ) -> None:
        super().__init__()
        if not (-1 < target < 1 and images > 0 and every >= 1 and 0 < most <= 1):
            raise ConfigError(
                "AdaptiveAugment: target between -1 and 1, images above 0, every of at least 1 and most in (0, 1] "
                f"expected, got {target}, {images}, {every} and {most}."
            )
        self.target, self.images, self.every, self.most, self.pipeline = target, images, every, most, pipeline
        self.register_buffer("p", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, W)``, augmented with the present probability."""
        p = float(self.p)
        if p > 0:
            for transform in self.pipeline:
                x = transform(x, p)
        return x

    @torch.no_grad()
    def observe(self, real_logits: Tensor, images: int | None = None) -> None:
        """Tell of the logits ``(B,)`` of real images, or ``(B, ...)`` of their patches, as the discriminator saw them.

        They count from 0, so take off the loss's level: ``ADVERSARIAL[name].ahead(real, fake)`` of
        :mod:`aegan.losses` does.

        Args:
            real_logits: One an image, or fewer.
            images: That they stand for, where a logit is of several images (packing) or the logits of a part of the
                batch, whose other parts are averaged with this one.
        """
        images = len(real_logits) if images is None else images
        signs = real_logits.sign().flatten(1).mean(1) if real_logits.ndim > 1 else real_logits.sign()
        self.signs += signs.sum() * (images / len(real_logits))
        self.seen += images
        self.calls += 1
        if int(self.calls) % self.every == 0:
            step = float(self.seen) / self.images
            up = float(self.signs / self.seen) > self.target
            self.p.add_(step if up else -step).clamp_(0.0, self.most)
            self.signs.zero_()
            self.seen.zero_()
