"""Raw data to tensors and back: sources, adapters, writers and the train/holdout split."""

from aegan.data.base import Adapter, TensorData
from aegan.data.image import ImageAdapter
from aegan.data.image_source import ImageSource
from aegan.data.sources import open_source
from aegan.data.split import split
from aegan.data.write import make_grid, write_images

__all__ = [
    "Adapter",
    "ImageAdapter",
    "ImageSource",
    "TensorData",
    "make_grid",
    "open_source",
    "split",
    "write_images",
]
