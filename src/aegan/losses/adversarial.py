"""Adversarial losses: functions of the logits of real and fake data, float ``(B,)``, each a scalar mean.

Every loss has two functions of one signature, ``NAME_discriminator(real, fake)`` and
``NAME_generator(real, fake)``, so that they also work in anybody's own loop; :data:`ADVERSARIAL` has them by name.
Logits are raw scores: a sigmoid comes in the loss where the loss has one, never in the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import relu, softplus

from aegan.errors import ConfigError


class AdversarialLoss(NamedTuple):
    """The two sides of a loss, where it is from, and the logit between both sides.

    Attributes:
        discriminator: Its loss, of the logits of real and of fake data.
        generator: Its loss, of the same.
        paper: The reference.
        level: Logits of real and fake data ``(B,)`` to the logit, a scalar, at which the discriminator takes neither
            side.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    paper: str
    level: Callable[[Tensor, Tensor], Tensor]

    def ahead(self, real: Tensor, fake: Tensor) -> Tensor:
        """Real logits ``(B,)`` less the loss's level, detached; their sign says whether a sample is taken for real.

        E sign is the overfitting heuristic r_t of Karras et al. 2020 (arXiv 2006.06676), which takes the sign of the
        logit itself, for a loss whose level is 0.

        >>> import torch
        >>> ADVERSARIAL["least-squares"].ahead(torch.tensor([0.75, 0.25]), torch.zeros(2)).tolist()
        [0.25, -0.25]
        """
        return (real - self.level(real, fake)).detach()


def minimax_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy: E softplus(-D(x)) + E softplus(D(G(z))).

    Reference: Goodfellow et al. 2014 (arXiv 1406.2661); the same for the non-saturating loss.

    >>> import torch
    >>> round(minimax_discriminator(torch.zeros(2), torch.zeros(2)).item(), 4)
    1.3863
    """
    return softplus(-real).mean() + softplus(fake).mean()


def minimax_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-E softplus(D(G(z))): vanishes where the discriminator is sure (saturating); for study only."""
    return -softplus(fake).mean()


def non_saturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-D(G(z))): strong gradients just where the discriminator is sure (arXiv 1406.2661)."""
    return softplus(-fake).mean()


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 E(D(x) - 1)² + 1/2 E D(G(z))².

    Reference: Mao et al. 2017 (arXiv 1611.04076), targets 1 and 0.
    """
    return 0.5 * ((_wide(real) - 1.0).square().mean() + _wide(fake).square().mean())


def least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 E(D(G(z)) - 1)²."""
    return 0.5 * (_wide(fake) - 1.0).square().mean()


def _wide(logits: Tensor) -> Tensor:
    """Float32 for half precision, in which squares overflow."""
    return logits.float() if logits.itemsize < 4 else logits


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E relu(1 - D(x)) + E relu(1 + D(G(z))).

    Reference: Lim & Ye 2017 (arXiv 1705.02894).
    """
    return relu(1.0 - real).mean() + relu(1.0 + fake).mean()


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E D(G(z)) - E D(x), for a critic held Lipschitz by a penalty, spectral norms or clipping.

    Reference: Arjovsky et al. 2017 (arXiv 1701.07875).
    """
    return fake.mean() - real.mean()


def linear_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-E D(G(z)): the generator's side of the hinge and of the Wasserstein loss."""
    return -fake.mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic pairing loss of the discriminator: E softplus(-(D(x) - D(G(z)))).

    Reference: Jolicoeur-Martineau 2018 (arXiv 1807.00734), as paired in R3GAN (arXiv 2501.05441).

    >>> import torch
    >>> round(relativistic_discriminator(torch.zeros(2), torch.zeros(2)).item(), 4)
    0.6931
    """
    return softplus(-_lead(real, fake)).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic pairing loss of the generator: E softplus(-(D(G(z)) - D(x)))."""
    return softplus(_lead(real, fake)).mean()


def _lead(real: Tensor, fake: Tensor) -> Tensor:
    """D(x) - D(G(z)) of logits of one shape; of two, torch would take every pair."""
    if real.shape != fake.shape:
        raise ConfigError(
            f"relativistic: logits of real and fake data of one shape expected, got {tuple(real.shape)} and "
            f"{tuple(fake.shape)}. Give both as (B,), or take relativistic-average, which pairs none."
        )
    return real - fake


def relativistic_average_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(-(D(x) - E D(G(z)))) + E softplus(D(G(z)) - E D(x)).

    Reference: Jolicoeur-Martineau 2018 (arXiv 1807.00734), the average form.
    """
    return softplus(fake.mean() - real).mean() + softplus(fake - real.mean()).mean()


def relativistic_average_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's average form with real and fake exchanged."""
    return relativistic_average_discriminator(fake, real)


def zero(real: Tensor, fake: Tensor) -> Tensor:
    """0, the level of the losses that treat logits of real and fake data as mirror images."""
    return real.new_zeros(())


def half(real: Tensor, fake: Tensor) -> Tensor:
    """1/2, midway between the targets 1 and 0 of least squares."""
    return real.new_full((), 0.5)


def mean_fake(real: Tensor, fake: Tensor) -> Tensor:
    """E D(G(z)), the level of the relativistic losses, which judge a real sample by its lead over fakes."""
    return fake.mean()


def midpoint(real: Tensor, fake: Tensor) -> Tensor:
    """(E D(x) + E D(G(z))) / 2: a critic has no zero, but this is where the zero of a mirror-image loss would come."""
    return 0.5 * (real.mean() + fake.mean())


ADVERSARIAL: dict[str, AdversarialLoss] = {
    "minimax": AdversarialLoss(minimax_discriminator, minimax_generator, "arXiv 1406.2661, saturating", zero),
    "non-saturating": AdversarialLoss(minimax_discriminator, non_saturating_generator, "arXiv 1406.2661", zero),
    "least-squares": AdversarialLoss(least_squares_discriminator, least_squares_generator, "arXiv 1611.04076", half),
    "hinge": AdversarialLoss(hinge_discriminator, linear_generator, "arXiv 1705.02894", zero),
    "wasserstein": AdversarialLoss(wasserstein_discriminator, linear_generator, "arXiv 1701.07875", midpoint),
    "relativistic": AdversarialLoss(
        relativistic_discriminator, relativistic_generator, "arXiv 1807.00734, paired", mean_fake
    ),
    "relativistic-average": AdversarialLoss(
        relativistic_average_discriminator, relativistic_average_generator, "arXiv 1807.00734", mean_fake
    ),
}
"""Every adversarial loss by the name that configs use."""
