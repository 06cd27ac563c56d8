"""Augmentation where data are loaded: a ``torch.utils.data.Dataset`` and a transform of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from aegan.augment.latent.strength import seeded
from aegan.augmentation.engine import Augmenter, Settings
from aegan.augmentation.estimators import augmenter
from aegan.errors import ConfigError, DataError
from aegan.types import Batch

if TYPE_CHECKING:
    from aegan.estimator import Estimator


BELONGING = ("mask", "length", "static")
"""What belongs to a series besides its steps and its class."""


class AugmentedDataset(Dataset):
    """A source whose samples come augmented, anew in every epoch.

    Codes, neighbours and the size of the moves are computed once; what is drawn is decoded a batch at a time (a
    ``DataLoader`` asks for whole batches where it can). No checks are made: draw with :meth:`Estimator.augment` where
    samples shall be checked.

    Args:
        estimator: A fitted model.
        source: Anything that ``fit`` takes; its labels are kept, also where the run has no classes.
        strength: See :meth:`aegan.Estimator.augment`.
        operations: The same; one is drawn for each sample.
        share: Part of the samples that are augmented; the others are passed through.
        label: Tables: the column of the class.
        neighbours: Nearest samples of the class that the moves are made of.
        seed: What is drawn for a sample depends on it, on the epoch and on what is asked for together with it.

    Raises:
        ConfigError: ``share`` out of range; otherwise as :meth:`aegan.Estimator.augment`.

    An item is ``(x, y)``: a tensor of the spec's shape and an int64 class, or ``x`` alone without labels. Of series
    with missing values, of differing length, or with attributes it is a dictionary of ``x``, of ``y`` if there are
    labels, and of what there is of these:

    * ``mask``: bool ``(T, C)``, True where observed; of an augmented series up to its end, since it has no gaps.
    * ``length``: int64, the source's; beyond it the last value is repeated.
    * ``static``: floats ``(F,)``, the source's attributes as the model has them, ``k + u`` for each of ``spec.fields``
      (see :class:`~aegan.data.series.SeriesAdapter`).
    """

    def __init__(
        self,
        estimator: Estimator,
        source: Any,
        *,
        strength: float = 0.5,
        operations: str | Sequence[str] = "auto",
        share: float = 0.5,
        label: str | None = None,
        neighbours: int = 5,
        seed: int = 0,
    ) -> None:
        if not 0 <= share <= 1:
            raise ConfigError(f"share: a number from 0 to 1 expected, got {share!r}.")
        settings = Settings(strength=strength, operations=operations, checks=(), neighbours=neighbours, seed=seed)
        self.made: Augmenter = augmenter(estimator, source, settings, label=label)
        self.classes = () if self.made.labels is None else self.made.labels.names
        self.share, self.seed, self.kind = share, seed, estimator.adapter.spec.kind
        # Shared, so that workers that live on from epoch to epoch see it change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.made.data)

    def set_epoch(self, epoch: int) -> None:
        """Draw other random numbers; call it before every epoch, as with a ``DistributedSampler``."""
        self._epoch.fill_(epoch)

    @property
    def epoch(self) -> int:
        """The number of :meth:`set_epoch`."""
        return int(self._epoch)

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Several items at once, decoded together."""
        rows = torch.tensor([range(len(self))[int(i)] for i in indices])
        stream = seeded(self.seed, 6, self.epoch, *rows[:4].tolist(), len(rows))
        batch = self.made.data.batch(rows)
        x = batch["x"].float().clone()
        chosen = (torch.rand(len(rows), generator=stream) < self.share).nonzero().squeeze(1)
        if len(chosen):
            x[chosen] = self.made.moved(rows[chosen], stream)
        more = self._belonging(batch, rows, chosen)
        if more:
            more |= {"x": x} | ({} if self.made.labels is None else {"y": self.made.y[rows]})
            return [{name: value[i] for name, value in more.items()} for i in range(len(rows))]
        if self.made.labels is None:
            return list(x)
        return list(zip(x, self.made.y[rows], strict=True))

    def _belonging(self, batch: Batch, rows: Tensor, chosen: Tensor) -> dict[str, Tensor]:
        """By name, what belongs to the series ``batch`` at ``rows``; those at places ``chosen`` are augmented."""
        if self.kind != "series":
            return {}
        more = {name: batch[name] for name in BELONGING if name in batch}
        if "mask" in more:
            steps = self.made.extent.steps(rows[chosen])
            there = torch.ones_like(more["mask"][chosen])
            if steps is not None:
                there &= (torch.arange(there.shape[1]) < steps[:, None])[..., None]
            more["mask"] = more["mask"].index_copy(0, chosen, there)
        return more


class LatentTransform(torch.nn.Module):
    """A transform of images: encoded, moved as the source's neighbours lie, decoded.

    It takes PIL images, uint8 tensors or arrays, and float tensors in [0, 1], as torchvision's transforms do, one at a
    time ``(C, H, W)`` or in batches ``(B, C, H, W)``, and gives back the same. Noise with the covariance of the nearest
    codes of ``source`` is added, whatever class they have: a transform is not told it.

    Args:
        estimator: A fitted model of images, with codes.
        source: Images that say how far apart neighbours are; those that ``estimator`` was fitted on, or others.
        strength: See :meth:`aegan.Estimator.augment`.
        p: Chance that an image is changed.
        neighbours: How many of the nearest codes.
        seed: Of the noise, which goes on from call to call; each worker of a ``DataLoader`` has its own in each epoch.

    Raises:
        ConfigError: Not a run of images, ``p`` out of range, or a model without codes.
    """

    def __init__(
        self,
        estimator: Estimator,
        source: Any,
        *,
        strength: float = 0.5,
        p: float = 1.0,
        neighbours: int = 5,
        seed: int = 0,
    ) -> None:
        super().__init__()
        kind = estimator.adapter.spec.kind
        if kind != "image":
            raise ConfigError(f"LatentTransform: a run of images expected, got one of {kind} data.")
        if not 0 <= p <= 1:
            raise ConfigError(f"p: a chance from 0 to 1 expected, got {p!r}.")
        settings = Settings(strength=strength, operations="gaussian", checks=(), neighbours=neighbours, seed=seed)
        self.made = augmenter(estimator, source, settings, labelled=False)
        self.shape, self.p, self.seed = estimator.adapter.spec.shape, p, seed
        self._stream, self._of = seeded(seed, 7), 0

    @property
    def stream(self) -> torch.Generator:
        """Of this process: a worker's copy would draw what all others draw."""
        worker = get_worker_info()
        if worker is not None and self._of != worker.seed:
            self._stream, self._of = seeded(self.seed, 7, worker.seed), worker.seed
        return self._stream

    def forward(self, image: Any) -> Any:
        """The image or images, changed."""
        x, back = self._read(image)
        stream = self.stream
        chosen = (torch.rand(len(x), generator=stream) < self.p).nonzero().squeeze(1)
        if len(chosen):
            x = x.clone()
            x[chosen] = self.made.moved_new(x[chosen], stream)
        return back(x)

    def _read(self, image: Any) -> tuple[Tensor, Any]:
        """Floats ``(B, C, H, W)`` in [-1, 1], and the way back."""
        if isinstance(image, Image.Image):
            mode = {1: "L", 3: "RGB", 4: "RGBA"}[self.shape[0]]
            array = np.asarray(image.convert(mode))
            x = torch.from_numpy(array.copy()).view(*array.shape[:2], -1).permute(2, 0, 1)[None]

            def picture(made: Tensor) -> Image.Image:
                pixels = _bytes(made)[0].permute(1, 2, 0).numpy()
                return Image.fromarray(pixels[:, :, 0] if len(pixels[0, 0]) == 1 else pixels)

            return self._checked(x).float() / 127.5 - 1, picture
        array = isinstance(image, np.ndarray)
        x = torch.as_tensor(image)
        single = x.ndim == 3
        x = self._checked(x[None] if single else x)
        whole = x.dtype == torch.uint8

        def back(made: Tensor) -> Any:
            out = _bytes(made) if whole else (made + 1) / 2
            out = out[0] if single else out
            return out.numpy() if array else out

        return (x.float() / 127.5 - 1 if whole else x.float() * 2 - 1), back

    def _checked(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or tuple(x.shape[1:]) != tuple(self.shape):
            raise DataError(
                f"LatentTransform: an image of shape {tuple(self.shape)} expected, as the run was fitted on, got "
                f"{tuple(x.shape[1:])}. Resize it first."
            )
        return x


def _bytes(x: Tensor) -> Tensor:
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
