"""Augmentation of what a discriminator sees, real and fake alike; modules that work in any loop."""

from aegan.augment.adaptive import AdaptiveAugment
from aegan.augment.differentiable import diff_augment

__all__ = ["AdaptiveAugment", "diff_augment"]
