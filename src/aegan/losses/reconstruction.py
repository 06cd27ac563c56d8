"""Reconstruction losses: scalar means over the batch and every value of a sample."""

from __future__ import annotations

from torch import Tensor


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
