"""Layers with the initialisation that lets residual networks go without normalisation.

Weights are drawn from N(0, gain / sqrt(fan_in)), biases are zero; the last layer of every residual branch
starts at zero, so that a fresh network of any depth is well conditioned (Fixup, arXiv 1901.09321; R3GAN,
arXiv 2501.05441). No normalisation means that gradient penalties stay exact and that bf16 stays fast.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LEAK = 0.2
LEAKY_GAIN = math.sqrt(2.0 / (1.0 + LEAK**2))
"""Keeps the variance through a leaky ReLU of slope 0.2."""


def activation(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, the only non-linearity of the networks here."""
    return nn.functional.leaky_relu(x, LEAK)


def linear(inputs: int, outputs: int, *, gain: float = 1.0) -> nn.Linear:
    """Linear layer, weights N(0, gain²/inputs), bias zero; ``gain=0`` starts it at zero."""
    layer = nn.Linear(inputs, outputs)
    _normal(layer.weight, gain / math.sqrt(inputs))
    nn.init.zeros_(layer.bias)
    return layer


def conv(inputs: int, outputs: int, kernel: int, *, gain: float = 1.0, bias: bool = True, groups: int = 1) -> nn.Conv2d:
    """Convolution of stride 1 that keeps the size, weights N(0, gain²/fan_in), bias zero."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias, groups=groups)
    _normal(layer.weight, gain / math.sqrt(inputs // groups * kernel * kernel))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def class_embedding(classes: int, dim: int) -> nn.Embedding:
    """Embedding of ``classes`` into ``dim`` with rows of about unit length."""
    layer = nn.Embedding(classes, dim)
    _normal(layer.weight, 1.0 / math.sqrt(dim))
    return layer


def _normal(weight: Tensor, std: float) -> None:
    with torch.no_grad():
        weight.normal_(0.0, std) if std > 0 else weight.zero_()
