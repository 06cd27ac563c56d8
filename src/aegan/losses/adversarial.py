"""Adversarial losses: functions of the logits of real and fake data, float ``(B,)``, each a scalar mean.

Every loss has two functions of one signature, ``NAME_discriminator(real, fake)`` and
``NAME_generator(real, fake)``, so that they also work in anybody's own loop.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic pairing loss of the discriminator: E softplus(-(D(x) - D(G(z)))).

    Reference: Jolicoeur-Martineau 2018 (arXiv 1807.00734), as paired in R3GAN (arXiv 2501.05441).

    >>> import torch
    >>> round(relativistic_discriminator(torch.zeros(2), torch.zeros(2)).item(), 4)
    0.6931
    """
    return softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic pairing loss of the generator: E softplus(-(D(G(z)) - D(x)))."""
    return softplus(real - fake).mean()
