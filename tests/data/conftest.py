"""Small images to test with."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pixels():
    """Six colour images of noise, uint8 (6, 12, 10, 3)."""
    return np.random.default_rng(0).integers(0, 256, (6, 12, 10, 3), dtype=np.uint8)


@pytest.fixture
def grey(pixels):
    """Six grey images, uint8 (6, 12, 10), spanning 0..255."""
    out = pixels[..., 0].copy()
    out[0, 0, :2] = 0, 255
    return out


@pytest.fixture
def save():
    """Save an array or PIL image, making its folder."""

    def save(image, path, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
        return path

    return save
