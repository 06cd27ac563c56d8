"""Losses and penalties as plain functions; they work in any PyTorch loop."""

from aegan.losses.adversarial import relativistic_discriminator, relativistic_generator
from aegan.losses.divergence import mmd
from aegan.losses.penalties import zero_centred_gradient
from aegan.losses.reconstruction import absolute_error, bernoulli_error, squared_error

__all__ = [
    "absolute_error",
    "bernoulli_error",
    "mmd",
    "relativistic_discriminator",
    "relativistic_generator",
    "squared_error",
    "zero_centred_gradient",
]
