"""One picture to the size and channels that a model wants, without aliasing and without fringes."""

from __future__ import annotations

import numpy as np
from PIL import Image

from aegan.errors import DataError

LARGEST_SIDE = 64
"""Longer side of images whose size the user did not choose."""
SMALLEST_SIDE = 8
RESIZE = ("crop", "pad", "stretch")


def fit_picture(image: Image.Image, size: tuple[int, int], how: str, channels: int) -> np.ndarray:
    """Bring an image to a size and a number of channels.

    Shrinking is antialiased (Lanczos over the whole footprint), with alpha premultiplied.

    Args:
        image: Mode L, RGB or RGBA.
        size: Height and width wanted.
        how: ``"crop"`` covers the target and cuts the rest off evenly; ``"pad"`` fits inside, on black (transparent
            where there is alpha); ``"stretch"`` changes the aspect.
        channels: 1 grey (ITU-R 601), 3 colour, 4 with alpha. Dropped alpha is laid on white.

    Returns:
        uint8 ``(channels, H, W)``.
    """
    image = _resize(image, size, how)
    if channels == 4:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
    else:
        if image.mode == "RGBA":
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image).convert("RGB")
        image = image.convert("L" if channels == 1 else "RGB")
    array = np.asarray(image)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def _resize(image: Image.Image, size: tuple[int, int], how: str) -> Image.Image:
    height, width = size
    if image.size == (width, height):
        return image
    lanczos = Image.Resampling.LANCZOS
    across, down = width / image.width, height / image.height
    if how == "stretch":
        return image.resize((width, height), lanczos)
    if how == "crop":
        scale = max(across, down)
        cut_x, cut_y = (image.width - width / scale) / 2, (image.height - height / scale) / 2
        cut_x, cut_y = max(0.0, cut_x), max(0.0, cut_y)
        return image.resize((width, height), lanczos, box=(cut_x, cut_y, image.width - cut_x, image.height - cut_y))
    scale = min(across, down)
    inner = (min(width, max(1, round(image.width * scale))), min(height, max(1, round(image.height * scale))))
    ground = Image.new(image.mode, (width, height))
    ground.paste(image.resize(inner, lanczos), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return ground


def choose_size(sizes: np.ndarray, where: str) -> tuple[int, int]:
    """Height and width for images whose target size the user left open.

    Images all of one size with sides of at most 64 stay as they are. Otherwise the target has their median aspect, its
    longer side is the median longer side but at most 64, and both sides are rounded to multiples of 4.

    Args:
        sizes: Height and width of each image, int ``(M, 2)``.
        where: Named in errors.

    Raises:
        DataError: A side would be less than 8.

    >>> choose_size(np.array([[100, 100], [300, 300]]), "folder")
    (64, 64)
    """
    height, width = (int(side) for side in sizes[0])
    if (sizes == sizes[0]).all() and max(height, width) <= LARGEST_SIDE:
        chosen = height, width
    else:
        longer = max(4, min(LARGEST_SIDE, int(np.median(sizes.max(axis=1)))) // 4 * 4)
        aspect = float(np.median(sizes[:, 1] / sizes[:, 0]))
        shorter = max(4, round(longer * min(aspect, 1 / aspect) / 4) * 4)
        chosen = (shorter, longer) if aspect >= 1 else (longer, shorter)
    if min(chosen) < SMALLEST_SIDE:
        raise DataError(
            f"{where}: the images would be {chosen[1]}×{chosen[0]} pixels (width×height); every side must be at least "
            f"{SMALLEST_SIDE}. Choose a size, for instance size=32 or size=(height, width)."
        )
    return chosen
