"""DiffAugment: the same kinds of differentiable augmentation on everything a discriminator sees.

Reference: Zhao et al. 2020 (arXiv 2006.10738). Real *and* fake images go through it, in the generator's step too, so
that the generator is never taught to make augmented images.
"""

from __future__ import annotations

from torch import Tensor

from aegan.augment.transforms import Transform, brightness, contrast, cutout, saturation, translation
from aegan.errors import ConfigError, nearest

POLICIES: dict[str, tuple[Transform, ...]] = {
    "color": (brightness, saturation, contrast),
    "translation": (translation,),
    "cutout": (cutout,),
}


def diff_augment(x: Tensor, policy: tuple[str, ...] = ("color", "translation", "cutout")) -> Tensor:
    """Augment images.

    Args:
        x: ``(B, C, H, W)`` in [-1, 1]; the result may leave the range.
        policy: Any of ``color``, ``translation``, ``cutout``, in this order.

    Raises:
        ConfigError: Not images, or an unknown policy.

    >>> import torch
    >>> diff_augment(torch.zeros(2, 3, 8, 8), ("translation",)).shape
    torch.Size([2, 3, 8, 8])
    """
    if x.ndim != 4:
        raise ConfigError(f"diff_augment: images (B, C, H, W) expected, got a tensor of shape {tuple(x.shape)}.")
    for name in policy:
        if name not in POLICIES:
            raise ConfigError(f"diff_augment: unknown policy {name!r}. {nearest(name, POLICIES)}")
        for transform in POLICIES[name]:
            x = transform(x, 1.0)
    return x
