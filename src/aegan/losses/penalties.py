"""Gradient penalties on a discriminator's input, for data of any shape."""

from __future__ import annotations

import torch
from torch import Tensor


def zero_centred_gradient(logits: Tensor, x: Tensor) -> Tensor:
    """R1 (on real ``x``) or R2 (on fake ``x``): 1/2 E‖∇ₓ D(x)‖².

    Reference: Mescheder et al. 2018 (arXiv 1801.04406). The weight γ is the caller's: γ/2·E‖∇‖² is
    ``Term(zero_centred_gradient(...), weight=gamma)``.

    Args:
        logits: D(x), shape ``(B,)``, computed from ``x``; each logit depends on its own sample only.
        x: Input of any shape ``(B, ...)`` with ``requires_grad=True``.

    Returns:
        Scalar that can be differentiated again.

    >>> x = torch.ones(4, 3, requires_grad=True)
    >>> zero_centred_gradient(2 * x.sum(1), x).item()
    6.0
    """
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return 0.5 * gradient.float().flatten(1).square().sum(1).mean()
