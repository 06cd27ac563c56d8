"""Losses and penalties as plain functions; they work in any PyTorch loop."""

from aegan.losses.adversarial import ADVERSARIAL, AdversarialLoss, relativistic_discriminator, relativistic_generator
from aegan.losses.divergence import above_free_bits, gaussian_kl, gaussian_kl_each, mmd
from aegan.losses.jacobian import (
    jacobian,
    jacobian_exact,
    jacobian_one_layer,
    jacobian_penalty,
    jacobian_probe,
    jacobian_singular_values,
    weight_l1,
    weight_l2,
)
from aegan.losses.penalties import (
    around,
    between,
    clip_weights,
    jacobian_clamp,
    lecam,
    path_length,
    unit_gradient,
    zero_centred_gradient,
    zero_centred_gradients,
)
from aegan.losses.reconstruction import (
    absolute_error,
    bernoulli_error,
    categorical_error,
    feature_error,
    squared_error,
)
from aegan.losses.remedies import instance_noise, smoothed_labels

__all__ = [
    "ADVERSARIAL",
    "AdversarialLoss",
    "around",
    "between",
    "clip_weights",
    "jacobian_clamp",
    "lecam",
    "path_length",
    "unit_gradient",
    "above_free_bits",
    "absolute_error",
    "bernoulli_error",
    "categorical_error",
    "feature_error",
    "gaussian_kl",
    "gaussian_kl_each",
    "instance_noise",
    "jacobian",
    "jacobian_exact",
    "jacobian_one_layer",
    "jacobian_penalty",
    "jacobian_probe",
    "jacobian_singular_values",
    "mmd",
    "relativistic_discriminator",
    "relativistic_generator",
    "smoothed_labels",
    "squared_error",
    "weight_l1",
    "weight_l2",
    "zero_centred_gradient",
    "zero_centred_gradients",
]
