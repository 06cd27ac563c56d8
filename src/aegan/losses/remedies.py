"""Against a discriminator that wins too early: noise on what it sees, and labels that are not quite sure."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus


def instance_noise(x: Tensor, deviation: float, *, step: int = 0, steps: int = 0) -> Tensor:
    """``x`` with normal noise, which falls evenly from ``deviation`` at step 0 to none at ``steps``.

    Reference: Sønderby et al. 2017 (arXiv 1610.04490). For real and fake data alike, each time the discriminator sees
    any.

    Args:
        x: ``(B, ...)``.
        deviation: Standard deviation at the start.
        step: The current step.
        steps: When the noise is gone; 0 keeps it as it is.

    >>> x = torch.ones(2, 3)
    >>> bool((instance_noise(x, 0.1, step=5, steps=5) == x).all())
    True
    """
    left = max(0.0, 1.0 - step / steps) if steps else 1.0
    return x + left * deviation * torch.randn_like(x)


def smoothed_labels(loss: Tensor, real: Tensor, smoothing: float) -> Tensor:
    """A discriminator's cross-entropy with real labels of ``1 - smoothing`` rather than 1.

    Reference: Salimans et al. 2016 (arXiv 1606.03498): one-sided, for smoothed labels of fakes would hold up what the
    generator makes where there are no data.

    Args:
        loss: The discriminator's loss by ``minimax`` or ``non-saturating``, scalar.
        real: Logits of real data ``(B,)``.
        smoothing: From 0 to below 0.5.

    >>> smoothed_labels(torch.tensor(1.0), torch.tensor([2.0, 4.0]), 0.1).item()
    1.2999999523162842
    """
    # (1 - s) softplus(-D) + s softplus(D) differs from softplus(-D) by s (softplus(D) - softplus(-D)).
    return loss + smoothing * (softplus(real) - softplus(-real)).mean()
