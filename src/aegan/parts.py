"""The parts of a GAN for a loop of your own: losses, penalties, remedies, constraints, averages, networks.

They are what the models here are made of: plain functions of tensors, and modules where there is state.

>>> import torch
>>> from aegan.parts import ADVERSARIAL, instance_noise
>>> loss = ADVERSARIAL["hinge"]
>>> loss.discriminator(torch.tensor([2.0]), torch.tensor([-2.0])).item()
0.0
>>> instance_noise(torch.ones(2, 3), 0.1, step=0, steps=100).shape
torch.Size([2, 3])
"""

from aegan.augment import AdaptiveAugment, diff_augment
from aegan.losses import (
    ADVERSARIAL,
    around,
    between,
    clip_weights,
    instance_noise,
    jacobian_clamp,
    lecam,
    path_length,
    smoothed_labels,
    unit_gradient,
    zero_centred_gradient,
    zero_centred_gradients,
)
from aegan.losses.pairing import check_discriminator
from aegan.nn.backbone import decoder_for, discriminator_for, encoder_for, generator_for
from aegan.nn.constraints import spectrally_normalised
from aegan.nn.together import minibatch_stddev, packed
from aegan.train.ema import Ema
from aegan.types import Spec

__all__ = [
    "ADVERSARIAL",
    "AdaptiveAugment",
    "Ema",
    "Spec",
    "around",
    "between",
    "check_discriminator",
    "clip_weights",
    "decoder_for",
    "diff_augment",
    "discriminator_for",
    "encoder_for",
    "generator_for",
    "instance_noise",
    "jacobian_clamp",
    "lecam",
    "minibatch_stddev",
    "packed",
    "path_length",
    "smoothed_labels",
    "spectrally_normalised",
    "unit_gradient",
    "zero_centred_gradient",
    "zero_centred_gradients",
]
