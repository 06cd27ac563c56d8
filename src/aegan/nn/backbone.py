"""Encoder, decoder and discriminator for a Spec: convolutional for images, dense for vectors.

``width`` is the one dial of size and means channels of the finest map of an image network; a dense network of the
same width has ``8 * width`` hidden units.
"""

from __future__ import annotations

from aegan.errors import ConfigError
from aegan.nn.conv import MIN_SIDE, ConvDecoder, ConvDiscriminator, ConvEncoder
from aegan.nn.dense import DenseDecoder, DenseDiscriminator, DenseEncoder
from aegan.types import Spec

DENSE_FACTOR = 8
KINDS = ("image", "vector")
"""Kinds of data that networks are built for."""


def encoder_for(spec: Spec, latent_dim: int, *, width: int, blocks: int) -> ConvEncoder | DenseEncoder:
    """Data ``(B, *spec.shape)`` to codes ``(B, latent_dim)``; ``blocks`` residual blocks a level (in all, if dense)."""
    if _is_image(spec):
        return ConvEncoder(spec.shape, latent_dim, width=width, blocks=blocks)
    return DenseEncoder(spec.shape, latent_dim, hidden=DENSE_FACTOR * width, blocks=blocks)


def decoder_for(spec: Spec, latent_dim: int, *, width: int, blocks: int) -> ConvDecoder | DenseDecoder:
    """Codes ``(B, latent_dim)`` to data ``(B, *spec.shape)``."""
    if _is_image(spec):
        return ConvDecoder(spec.shape, latent_dim, width=width, blocks=blocks)
    return DenseDecoder(spec.shape, latent_dim, hidden=DENSE_FACTOR * width, blocks=blocks)


def discriminator_for(spec: Spec, *, width: int, blocks: int) -> ConvDiscriminator | DenseDiscriminator:
    """Data ``(B, *spec.shape)`` and classes to logits ``(B,)``."""
    if _is_image(spec):
        return ConvDiscriminator(spec.shape, spec.num_classes, width=width, blocks=blocks)
    return DenseDiscriminator(spec.shape, spec.num_classes, hidden=DENSE_FACTOR * width, blocks=blocks)


def _is_image(spec: Spec) -> bool:
    if spec.kind not in KINDS:
        raise ConfigError(f"No networks for {spec.kind!r} data; there are some for {', '.join(KINDS)}.")
    if spec.kind == "image" and min(spec.shape[1:]) < MIN_SIDE:
        raise ConfigError(
            f"Images of {spec.shape[1]}x{spec.shape[2]} are smaller than the networks' minimum of "
            f"{MIN_SIDE}x{MIN_SIDE}. Enlarge them, for example with --size {2 * MIN_SIDE}."
        )
    return spec.kind == "image"
