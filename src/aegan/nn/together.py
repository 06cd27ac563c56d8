"""What lets a discriminator see samples together: packing, and the batch's standard deviation; plain functions.

References: minibatch standard deviation, Karras et al. 2018 (arXiv 1710.10196); packing, Lin et al. 2018 (PacGAN,
arXiv 1712.04086).
"""

from __future__ import annotations

import torch
from torch import Tensor

from aegan.errors import ConfigError


def minibatch_stddev(h: Tensor) -> Tensor:
    """Features with the batch's mean standard deviation beside them: a collapsed batch has almost none.

    Args:
        h: Features ``(B, D, ...)`` of samples that are all real or all fake.

    Returns:
        ``(B, D + 1, ...)``. Logits of it depend on the whole batch, so gradient penalties taken at samples see the
        others' too.

    >>> minibatch_stddev(torch.tensor([[0.0], [2.0]])).tolist()
    [[0.0, 1.0], [2.0, 1.0]]
    """
    spread = (h.float().var(0, unbiased=False) + 1e-8).sqrt().mean().to(h.dtype)
    return torch.cat([h, spread.expand(len(h), 1, *h.shape[2:])], 1)


def packed(x: Tensor, pack: int, *, axis: int = 1) -> Tensor:
    """Samples joined in packs of ``pack`` that a discriminator judges as one.

    Args:
        x: ``(B, ...)``, all real or all fake, ``B`` a multiple of ``pack``.
        pack: Samples in a pack; 1 leaves them alone.
        axis: Where they are joined: that of an image's channels or a vector's values is 1.

    Returns:
        ``(B / pack, ...)``, ``pack`` times as long at ``axis``.

    Raises:
        ConfigError: The batch cannot be cut into packs.

    >>> packed(torch.arange(4)[:, None], 2).tolist()
    [[0, 1], [2, 3]]
    """
    if pack < 1 or len(x) % pack:
        raise ConfigError(f"packed: a batch in packs of {pack} expected, got {len(x)} samples. Change either.")
    return x if pack == 1 else torch.cat(x.unflatten(0, (-1, pack)).unbind(1), axis)
