"""Reconstruction losses: scalar means over the batch and every value of a sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean squared error per value; ``x`` in [-1, 1], so 4 is the largest possible error.

    >>> import torch
    >>> squared_error(torch.ones(2, 3), -torch.ones(2, 3)).item()
    4.0
    """
    return (x_hat.float() - x).square().mean()


def absolute_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean absolute error per value.

    >>> import torch
    >>> absolute_error(torch.ones(2, 3), -torch.ones(2, 3)).item()
    2.0
    """
    return (x_hat.float() - x).abs().mean()


def bernoulli_error(logits: Tensor, x: Tensor) -> Tensor:
    """Cross-entropy of a Bernoulli variable, in nats per value.

    Args:
        logits: Of the probability that a value is 1 rather than -1, shape of ``x``.
        x: Values in [-1, 1]; those in between count as probabilities ``(x + 1) / 2``.

    >>> import torch
    >>> round(bernoulli_error(torch.zeros(2, 3), torch.ones(2, 3)).item(), 4)
    0.6931
    """
    return binary_cross_entropy_with_logits(logits.float(), (x + 1.0) / 2.0)


def categorical_error(logits: Tensor, x: Tensor) -> Tensor:
    """Cross-entropy of categorical variables, in nats per value.

    Args:
        logits: Of each field's values, ``(B, F, V)``.
        x: Rows ``(B, F)`` of ``k + u``; the place ``u`` within a value is not looked at.

    >>> import torch
    >>> round(categorical_error(torch.zeros(2, 3, 4), torch.ones(2, 3)).item(), 4)
    1.3863
    """
    return cross_entropy(logits.float().flatten(0, 1), x.long().flatten())


def feature_error(made: Sequence[Tensor], maps: Sequence[Tensor]) -> Tensor:
    """Mean squared error of feature maps, summed over the maps, each scaled to unit mean square over its channels.

    The scaling keeps a network from lowering the error by making its features small.

    Args:
        made: Features ``(B, C, ...)`` of what is to be judged, one tensor a map.
        maps: Those of the target; they get no gradient.

    >>> a = torch.ones(2, 3)
    >>> feature_error([a], [2 * a]).item() < 1e-6
    True
    """
    errors = [(_unit(a) - _unit(b.detach())).square().mean() for a, b in zip(made, maps, strict=True)]
    return torch.stack(errors).sum()


def _unit(h: Tensor) -> Tensor:
    h = h.float()
    h = h.float()  # bf16 beside fp32 is multiplied value by value, at a twentieth of the speed
    return h * torch.rsqrt(h.square().mean(1, keepdim=True) + 1e-4)
