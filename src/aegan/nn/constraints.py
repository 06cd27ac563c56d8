"""Constraints on a discriminator's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations


def spectrally_normalised(module: nn.Module) -> nn.Module:
    """Divide the weight of every linear, convolutional and embedding layer by its largest singular value.

    References: Miyato et al. 2018 (arXiv 1802.05957); of the classes' embedding, Miyato & Koyama 2018
    (arXiv 1802.05637): a logit is as steep in the features as the embedding is long. One step of power iteration a
    forward pass in training mode. A layer that starts at zero has no singular value to divide by, so it is started
    anew. Weights that were saved when embeddings were left out load as they are, and the embedding stays free.

    Returns:
        ``module``.
    """
    for layer in list(module.modules()):
        if isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding)):
            if isinstance(layer, nn.Embedding):
                layer.register_load_state_dict_pre_hook(_as_saved)
            if not bool(layer.weight.any()):
                nn.init.normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
            spectral_norm(layer)
    return module


def _as_saved(layer: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Free an embedding again whose saved weight was never divided."""
    if f"{prefix}weight" in state and is_parametrized(layer, "weight"):
        remove_parametrizations(layer, "weight", leave_parametrized=False)


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


@contextmanager
def statistics_taken_anew(module: nn.Module) -> Iterator[bool]:
    """Within the block BatchNorm's running statistics become plain means over the passes of ``module``.

    Yields whether there are any; without, nothing is done.
    """
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    was, momenta = module.training, [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
    module.train(bool(norms) or was)
    try:
        yield bool(norms)
    finally:
        module.train(was)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
