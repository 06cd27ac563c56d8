"""What a GAN's discriminator and generator remember between steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aegan.augment import AdaptiveAugment
from aegan.augment.latent.training import LatentAugment
from aegan.losses import path_length


class State(nn.Module):
    """Of the discriminator's phase: moving averages of logits, ADA's probability, latent augmentation.

    Args:
        ada_images: See :class:`~aegan.models.gans.gan.GANConfig`; None without ADA.
    """

    real_mean: Tensor
    fake_mean: Tensor

    def __init__(self, ada_images: float | None) -> None:
        super().__init__()
        self.register_buffer("real_mean", torch.zeros(()))
        self.register_buffer("fake_mean", torch.zeros(()))
        self.ada = None if ada_images is None else AdaptiveAugment(images=ada_images)
        self.latent: LatentAugment | None = None

    @torch.no_grad()
    def observe(self, real: Tensor, fake: Tensor, ahead: Tensor, images: int) -> None:
        """Averages over about the last hundred steps, and ADA's share.

        Args:
            real: Logits of real samples ``(B,)``.
            fake: Those of generated ones.
            ahead: Those of real samples, less the loss's level (``AdversarialLoss.ahead``).
            images: Real samples of the whole batch, which may be cut.
        """
        self.real_mean.lerp_(real.mean(), 0.01)
        self.fake_mean.lerp_(fake.mean(), 0.01)
        if self.ada is not None:
            self.ada.observe(ahead, images)


class PathLength(nn.Module):
    """Of the generator's phase: the paths' mean length a, which the penalty E(‖Jᵀy‖ - a)² holds all paths to."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, made: Tensor, noise: Tensor) -> Tensor:
        """The penalty of ``made`` ``(B, ...)`` from ``noise`` ``(B, D)``; moves the mean, that of about a hundred."""
        penalty, length = path_length(made, noise, self.mean.clone())
        self.mean.lerp_(length, 0.01)
        return penalty
