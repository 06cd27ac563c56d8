"""Encoder, decoder, generator and discriminator for a Spec: convolutional or dense.

Convolutional for images and for the spectrograms of recordings, dense for vectors and rows.

Time series have convolutional, recurrent and attention networks, by ``series``.

``width`` is the one dial of size and means channels of the finest map of an image network; a dense network of the
same width has ``8 * width`` hidden units. Rows of a table have encoders and decoders alone: what else there is looks at
generated data, and no gradient comes back from names.
"""

from __future__ import annotations

from dataclasses import replace

from aegan.errors import ConfigError
from aegan.nn.conv import MIN_SIDE, ConvDecoder, ConvEncoder, ConvTrunk
from aegan.nn.denoiser import ConvDenoiser, DenseDenoiser
from aegan.nn.dense import DenseDecoder, DenseEncoder, DenseTrunk
from aegan.nn.discriminator import Discriminator
from aegan.nn.generator import Generator
from aegan.nn.joint import JointDiscriminator
from aegan.nn.plain import PlainConvDecoder, PlainConvTrunk, PlainDenseDecoder, PlainDenseTrunk
from aegan.nn.r3gan import R3Decoder, R3Trunk
from aegan.nn.rows import RowEncoder, RowHeads
from aegan.nn.series import DECODERS, SERIES_NETWORKS, TRUNKS, SeriesDecoder, SeriesEncoder, SeriesTrunk
from aegan.types import Spec

DENSE_FACTOR = 8
NETWORKS = ("residual", "r3gan", "plain", "dcgan")
"""Residual without normalisation; R3GAN's own; strided convolutions, or a perceptron; and those with BatchNorm."""
GRIDS = ("image", "audio")
"""Kinds of data ``(C, H, W)`` that convolutions are for: pictures, and the mel bands and frames of sound."""
KINDS = (*GRIDS, "vector", "series")
"""Kinds of data that there are all networks for."""
CODED_KINDS = (*GRIDS, "vector", "table", "series")
"""Kinds of data that there are encoders and decoders for."""


def encoder_for(
    spec: Spec, latent_dim: int, *, width: int, blocks: int, series: str = SERIES_NETWORKS[0]
) -> ConvEncoder | DenseEncoder | RowEncoder | SeriesEncoder:
    """Data ``(B, *spec.shape)`` to codes ``(B, latent_dim)``; ``blocks`` residual blocks a level (in all, if dense).

    ``series`` is one of ``SERIES_NETWORKS``, for time series.
    """
    if spec.kind == "series":
        return SeriesEncoder(TRUNKS[series](spec.shape, width=width, blocks=blocks), latent_dim)
    if _is_table(spec):
        return RowEncoder(spec.fields, latent_dim, hidden=DENSE_FACTOR * width, blocks=blocks)
    if _is_image(spec):
        return ConvEncoder(spec.shape, latent_dim, width=width, blocks=blocks)
    return DenseEncoder(spec.shape, latent_dim, hidden=DENSE_FACTOR * width, blocks=blocks)


def decoder_for(
    spec: Spec, latent_dim: int, *, width: int, blocks: int, series: str = SERIES_NETWORKS[0]
) -> ConvDecoder | DenseDecoder | RowHeads | SeriesDecoder:
    """Codes ``(B, latent_dim)`` to data ``(B, *spec.shape)``; to logits ``(B, F, V)`` of a row's ``F`` fields."""
    if spec.kind == "series":
        return DECODERS[series](spec.shape, latent_dim, width=width, blocks=blocks)
    if _is_table(spec):
        return RowHeads(spec.fields, latent_dim, hidden=DENSE_FACTOR * width, blocks=blocks)
    if _is_image(spec):
        return ConvDecoder(spec.shape, latent_dim, width=width, blocks=blocks)
    return DenseDecoder(spec.shape, latent_dim, hidden=DENSE_FACTOR * width, blocks=blocks)


def discriminator_for(
    spec: Spec,
    *,
    width: int,
    blocks: int,
    stddev: bool = False,
    pack: int = 1,
    auxiliary: bool = False,
    network: str = "residual",
    series: str = SERIES_NETWORKS[0],
    octaves: int = 0,
) -> Discriminator:
    """Data ``(B, *spec.shape)`` and classes to logits; see :class:`~aegan.nn.discriminator.Discriminator`.

    ``network`` is one of ``NETWORKS``; ``octaves`` are for vectors, see :class:`~aegan.nn.octaves.Octaves`.
    """
    axis = 1 if spec.kind == "series" else 0
    joined = tuple(pack * n if i == axis else n for i, n in enumerate(spec.shape))
    seen = replace(spec, shape=joined)
    trunk = _trunk_for(seen, width=width, blocks=blocks, network=network, series=series, octaves=octaves)
    hidden = (4 if _is_image(spec) else DENSE_FACTOR) * width
    options = {"stddev": stddev, "pack": pack, "pack_axis": 1 + axis, "auxiliary": auxiliary}
    return Discriminator(trunk, trunk.features, spec.num_classes, hidden=hidden, **options)


def joint_discriminator_for(spec: Spec, latent_dim: int, *, width: int, blocks: int) -> JointDiscriminator:
    """Data ``(B, *spec.shape)`` and codes ``(B, latent_dim)`` to logits."""
    hidden = (4 if _is_image(spec) else DENSE_FACTOR) * width
    return JointDiscriminator(_trunk_for(spec, width=width, blocks=blocks), latent_dim, hidden=hidden)


def denoiser_for(spec: Spec, context_dim: int, *, width: int, blocks: int) -> ConvDenoiser | DenseDenoiser:
    """Noisy data ``(B, *spec.shape)`` and a context ``(B, context_dim)`` to clean data."""
    if _is_image(spec):
        return ConvDenoiser(spec.shape, context_dim, width=width, blocks=blocks)
    return DenseDenoiser(spec.shape, context_dim, hidden=DENSE_FACTOR * width, blocks=blocks)


def _trunk_for(
    spec: Spec,
    *,
    width: int,
    blocks: int,
    network: str = "residual",
    series: str = SERIES_NETWORKS[0],
    octaves: int = 0,
) -> ConvTrunk | R3Trunk | DenseTrunk | PlainConvTrunk | PlainDenseTrunk | SeriesTrunk:
    if octaves and (spec.kind != "vector" or network != "residual"):
        raise ConfigError(
            f"octaves={octaves} are for residual networks of vectors, got {spec.kind} data and network={network}. Set "
            "octaves=0."
        )
    if spec.kind == "series" and network == "residual":
        return TRUNKS[series](spec.shape, width=width, blocks=blocks)
    if network != "residual":
        if _is_image(spec):
            if network == "r3gan":
                return R3Trunk(spec.shape, width=width, blocks=blocks)
            return PlainConvTrunk(spec.shape, width=width, normalised=network == "dcgan")
        _refuse_off_grid(spec, network)
        return PlainDenseTrunk(spec.shape, hidden=DENSE_FACTOR * width, blocks=blocks)
    if _is_image(spec):
        return ConvTrunk(spec.shape, width=width, blocks=blocks)
    return DenseTrunk(spec.shape, hidden=DENSE_FACTOR * width, blocks=blocks, octaves=octaves)


def generator_for(
    spec: Spec,
    noise_dim: int,
    *,
    width: int,
    blocks: int,
    network: str = "residual",
    series: str = SERIES_NETWORKS[0],
    signs: int = 0,
) -> Generator:
    """Noise ``(B, noise_dim)`` and classes to data ``(B, *spec.shape)``; ``network`` is one of ``NETWORKS``.

    ``series`` is one of ``SERIES_NETWORKS``, for time series; ``signs`` are those of
    :class:`~aegan.nn.generator.Generator`.
    """
    inputs = noise_dim * (2 if spec.num_classes else 1)
    if network == "residual":
        decoder = decoder_for(spec, inputs, width=width, blocks=blocks, series=series)
    elif _is_image(spec) and network == "r3gan":
        decoder = R3Decoder(spec.shape, inputs, width=width, blocks=blocks)
    elif _is_image(spec):
        decoder = PlainConvDecoder(spec.shape, inputs, width=width, normalised=network == "dcgan")
    else:
        _refuse_off_grid(spec, network)
        decoder = PlainDenseDecoder(spec.shape, inputs, hidden=DENSE_FACTOR * width, blocks=blocks)
    return Generator(decoder, noise_dim, spec.num_classes, signs=signs)


def _refuse_off_grid(spec: Spec, network: str) -> None:
    if network in ("r3gan", "dcgan"):
        raise ConfigError(f"network={network} is for images, got {spec.kind} data. Use network=plain or residual.")


def _is_table(spec: Spec) -> bool:
    if spec.kind != "table":
        return False
    if not spec.fields or spec.shape != (len(spec.fields),):
        raise ConfigError(
            f"Spec of a table: a field for each value of a row expected, got shape {spec.shape} and "
            f"{len(spec.fields)} fields. Pass fields=(Field(column=..., size=...), ...) and shape=(len(fields),)."
        )
    return True


def _is_image(spec: Spec) -> bool:
    if spec.kind == "table":
        raise ConfigError(
            "No discriminator, denoiser or generator of table data: no gradient passes through discrete values. Use "
            "a hybrid whose discriminator sees codes: latent-gan with joint.share=0, adversarial-autoencoder or "
            "denoising-gan."
        )
    if spec.kind not in CODED_KINDS:
        raise ConfigError(f"No networks for {spec.kind!r} data; there are some for {', '.join(CODED_KINDS)}.")
    if spec.kind in GRIDS and min(spec.shape[1:]) < MIN_SIDE:
        raise ConfigError(
            f"Images of {spec.shape[1]}x{spec.shape[2]} are smaller than the networks' minimum of "
            f"{MIN_SIDE}x{MIN_SIDE}. Enlarge them, for example with --size {2 * MIN_SIDE}."
        )
    return spec.kind in GRIDS
