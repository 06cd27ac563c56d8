"""Pairings of network, loss and penalty that cannot work, refused with the reason before a step is made."""

from __future__ import annotations

from torch import nn

from aegan.errors import ConfigError

_DROPOUTS = (nn.modules.dropout._DropoutNd,)
_SHAPE_ONLY = (*_DROPOUTS, nn.Flatten, nn.Unflatten, nn.Identity, nn.PixelShuffle, nn.PixelUnshuffle, nn.Sequential)
"""Modules that leave values as they are, or all but some; a ``Sequential`` counts where it is empty."""
_BATCH_NORMS = (nn.modules.batchnorm._BatchNorm,)
LIPSCHITZ = ("wasserstein",)
"""Losses that mean something only for a critic whose slope is held."""
CROSS_ENTROPY = ("minimax", "non-saturating")
"""Losses with targets that can be smoothed."""
RELATIVE = ("relativistic", "relativistic-average")
"""Losses of differences of logits: no logit means anything but beside another."""


def check_discriminator(discriminator: nn.Module, *, gradient_penalty: bool) -> None:
    """Refuse a discriminator that does not go with these losses or with a gradient penalty.

    Args:
        discriminator: Any module that gives logits.
        gradient_penalty: Whether a penalty on its input gradient is taken.

    Raises:
        ConfigError: It ends in a sigmoid, or it has BatchNorm and a gradient penalty is taken.

    >>> check_discriminator(nn.Sequential(nn.Linear(2, 1)), gradient_penalty=True)
    """
    modules = [m for m in discriminator.modules() if not list(m.children())]
    last = next((m for m in reversed(modules) if not isinstance(m, _SHAPE_ONLY)), None)
    if isinstance(last, (nn.Sigmoid, nn.LogSigmoid, nn.Softmax)):
        raise ConfigError(
            f"The discriminator ends in {type(last).__name__}, and every loss here takes raw logits and applies "
            "its own sigmoid where it has one: twice would flatten all gradients. Leave the last layer out."
        )
    normed = [type(m).__name__ for m in modules if isinstance(m, _BATCH_NORMS)]
    if gradient_penalty and normed:
        raise ConfigError(
            f"A gradient penalty with {normed[0]} in the discriminator: each logit then depends on the whole batch, so "
            "the gradient of one sample's logit is not what the penalty takes it for. Use no normalisation, "
            "GroupNorm or spectral norm in the discriminator, or no gradient penalty."
        )


def check_loss(loss: str, *, constrained: bool, label_smoothing: float) -> None:
    """Refuse a loss without what it needs.

    Args:
        loss: A name of :data:`~aegan.losses.adversarial.ADVERSARIAL`.
        constrained: Whether a gradient penalty, spectral norm or clipping holds the discriminator's slope.
        label_smoothing: Above 0 for one-sided label smoothing.

    Raises:
        ConfigError: The Wasserstein loss without a constraint, or smoothed labels in a loss that has none.
    """
    if loss in LIPSCHITZ and not constrained:
        raise ConfigError(
            f"loss={loss} without anything that bounds the critic's slope: its loss would have no lower bound. "
            "Set penalty.unit=10 (WGAN-GP), spectral_norm=true or clip=0.01."
        )
    if label_smoothing and loss not in CROSS_ENTROPY:
        raise ConfigError(
            f"label_smoothing with loss={loss}: there are no labels in it to smooth. It goes with "
            f"{' and '.join(CROSS_ENTROPY)}."
        )


def check_lecam(loss: str) -> None:
    """Refuse the LeCam regulariser with a loss that leaves the level of the logits open.

    Raises:
        ConfigError: A relativistic loss.
    """
    if loss in RELATIVE:
        raise ConfigError(
            f"penalty.lecam with loss={loss}: LeCam ties logits to their running means, and this loss looks at "
            "differences of logits alone, so their level drifts and the means tell nothing. Set loss=hinge or "
            "loss=non-saturating, or penalty.lecam=0."
        )
