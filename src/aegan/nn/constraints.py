"""Constraints on a discriminator's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def spectrally_normalised(module: nn.Module) -> nn.Module:
    """Divide the weight of every linear and convolutional layer by its largest singular value; returns ``module``.

    Reference: Miyato et al. 2018 (arXiv 1802.05957). One step of power iteration a forward pass in training mode.
    A layer that starts at zero has no singular value to divide by, so it is started anew.
    """
    for layer in list(module.modules()):
        if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            if not bool(layer.weight.any()):
                nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
            spectral_norm(layer)
    return module


@contextmanager
def as_it_stands(module: nn.Module) -> Iterator[None]:
    """Within the block running statistics and power iterations of ``module`` rest.

    It is in evaluation mode, but for BatchNorm, which goes on normalising by the batch while it is training.
    """
    was = module.training
    module.eval()
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)] if was else []
    for norm in norms:
        norm.train()
        norm.track_running_stats = False
    try:
        yield
    finally:
        module.train(was)
        for norm in norms:
            norm.track_running_stats = True
