"""Other initialisations than the networks' own, so that a comparison does not hang on one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

LEAKY_GAIN = (2.0 / 1.04) ** 0.5


def _normal(weight: Tensor) -> None:
    nn.init.normal_(weight, 0.0, 0.02)


def _orthogonal(weight: Tensor) -> None:
    # Of its own memory: a convolution's weights may lie channels last, which the function does not take.
    weight.copy_(nn.init.orthogonal_(torch.empty(weight.shape), LEAKY_GAIN))


def _xavier(weight: Tensor) -> None:
    nn.init.xavier_uniform_(weight)


INITS: dict[str, Callable[[Tensor], None] | None] = {
    "default": None,
    "normal-0.02": _normal,
    "orthogonal": _orthogonal,
    "xavier": _xavier,
}
"""``default``: as each network is made (scaled by width, residual branches begin at zero). ``normal-0.02``: that of
DCGAN (arXiv 1511.06434). ``orthogonal``: Saxe et al. 2014 (arXiv 1312.6120), with the gain of a leaky rectifier.
``xavier``: Glorot & Bengio 2010. The last three are of every weight of two axes or more that does not begin at zero;
biases, embeddings of classes and layers that begin at zero stay as they are."""


@torch.no_grad()
def initialise(model: nn.Module, name: str) -> int:
    """Draw a model's weights anew from torch's global stream.

    Returns:
        Weights that were drawn.
    """
    draw, drawn = INITS[name], 0
    if draw is None:
        return 0
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            continue
        for parameter in module.parameters(recurse=False):
            if parameter.ndim > 1 and bool(parameter.any()):
                draw(parameter)
                drawn += 1
    return drawn
