"""Samples moved by one operation: through their codes, or by drawing some of their cells again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, final

import torch
from torch import Tensor

from aegan.augment.latent.neighbours import Neighbours, class_neighbours
from aegan.augment.latent.operations import OPERATIONS, Codes
from aegan.augmentation.extent import Extent
from aegan.augmentation.space import Space
from aegan.data.base import TensorData
from aegan.errors import ConfigError, DataError
from aegan.models.base import in_blocks, noise_for

RESAMPLE = "resample"
"""The operation that draws cells of a table's rows again, given the others."""
NAMES = (*OPERATIONS, RESAMPLE)
"""Every operation."""
BLOCK = 256
"""Rows completed at once."""
ON_CODES = ("gaussian", "interpolate", "mix")
"""What is done to codes when nobody says what."""


class Mover(ABC):
    """One operation on one data set.

    Attributes:
        near: Each sample's neighbours within its class.
    """

    near: Neighbours

    @abstractmethod
    def base(self, rows: Tensor) -> Tensor:
        """Samples ``(B, *shape)`` as the model has them unmoved."""

    @abstractmethod
    def moved(self, rows: Tensor, size: float, generator: torch.Generator) -> Tensor:
        """Samples ``(B, *shape)`` moved by ``size``; its random numbers do not depend on the size."""


@final
class CodeMover(Mover):
    """An operation of :mod:`aegan.augment.latent.operations`."""

    def __init__(self, space: Space, extent: Extent, codes: Codes, name: str) -> None:
        self.space, self.extent, self.codes, self.name, self.near = space, extent, codes, name, codes.near

    def base(self, rows: Tensor) -> Tensor:
        """Reconstructions."""
        return self.extent.padded(self.space.decode(self.codes.z[rows]), rows)

    def between(self, rows: Tensor) -> Tensor:
        """Decoded codes halfway to a neighbour, the farthest where there are k: codes of no sample, among real ones."""
        z, other = self.codes.z, self.near.index[rows, -1]
        return self.extent.padded(self.space.decode((z[rows] + z[other]) / 2), rows)

    def moved(self, rows: Tensor, size: float, generator: torch.Generator) -> Tensor:
        """Decoded codes."""
        if size == 0:
            return self.base(rows)
        move = OPERATIONS[self.name](self.codes, rows, generator)
        return self.extent.padded(self.space.decode(move.applied(self.codes.z[rows], size)), rows)


@final
class CellMover(Mover):
    """Each column of a row but the label's is drawn again with probability ``size``, given the others."""

    def __init__(self, space: Space, x: Tensor, y: Tensor, kept: list[int], k: int) -> None:
        self.space, self.x, self.kept = space, x, kept
        self.near = class_neighbours(x, y, k, differing=True)
        names = [field.column for field in space.spec.fields]
        self.place = torch.tensor([list(dict.fromkeys(names)).index(name) for name in names])

    def base(self, rows: Tensor) -> Tensor:
        """The rows as they are."""
        return self.x[rows]

    def moved(self, rows: Tensor, size: float, generator: torch.Generator) -> Tensor:
        """Completed rows."""
        chance = torch.rand(len(rows), int(self.place.max()) + 1, generator=generator)
        seed = int(torch.randint(2**31, (), generator=generator))
        known = (chance >= size)[:, self.place]
        known[:, self.kept] = True
        model = self.space.model
        noise = noise_for(seed, len(rows), model.noise_dim)
        return in_blocks(
            lambda n, x, k: model.complete(n, x, k, {}),
            noise,
            self.x[rows],
            known,
            device=self.space.device,
            block=BLOCK,
        )


def codes_for(
    space: Space, data: TensorData, extent: Extent, y: Tensor, operations: tuple[str, ...], *, k: int, labelled: bool
) -> Codes:
    """Codes, neighbours, and what the operations need besides.

    Raises:
        ConfigError: An operation that this model cannot do.
        DataError: ``generate`` without the classes that the model is told.
    """
    z = space.encode(data)
    near = class_neighbours(z, y, k, stretches=extent.stretches)
    extra: dict[str, Any] = {}
    if "tangent" in operations:
        extra["tangents"] = _Responses(space, data)
    if "generate" in operations:
        _check_generator(space, labelled)
        extra["generated"] = lambda rows, generator: _generated(space, y[rows], generator)
    return Codes(z, y, near, **extra)


KEPT_VALUES = 64_000_000
"""Values of JJᵀ that are kept at most (256 MB); of more, those of the latest samples alone."""


class _Responses:
    """JJᵀ of the encoder at some of the samples; kept, since sizes and tries come back to the same ones."""

    def __init__(self, space: Space, data: TensorData) -> None:
        self.space, self.data = space, data
        self.kept: dict[int, Tensor] = {}
        self.most = KEPT_VALUES // space.model.code_dim**2

    def __call__(self, rows: Tensor) -> Tensor:
        wanted = list(dict.fromkeys(rows.tolist()))
        new = [row for row in wanted if row not in self.kept]
        if new:
            if len(self.kept) + len(new) > self.most:
                self.kept = {row: self.kept[row] for row in wanted if row in self.kept}
            found = self.space.responses(self.data.batch(torch.tensor(new))["x"])
            self.kept |= dict(zip(new, found, strict=True))
        return torch.stack([self.kept[row] for row in rows.tolist()])


def _generated(space: Space, y: Tensor, generator: torch.Generator) -> Tensor:
    """Codes of samples of these classes."""
    noise = torch.randn(len(y), space.model.noise_dim, generator=generator)
    return space.sample_codes(noise, y if space.model.conditional else None)


def _check_generator(space: Space, labelled: bool) -> None:
    model = space.model
    if not model.noise_dim:
        raise ConfigError(
            f"generate: {space.name!r} cannot sample. Use gaussian, interpolate, extrapolate or mix, or fit latent-gan."
        )
    if model.conditional and not labelled:
        raise DataError(
            f"generate: {space.name!r} samples by class, but the source carries no labels. Give a labelled source, or "
            "use gaussian."
        )
    if labelled and not model.conditional:
        raise ConfigError(
            f"generate: {space.name!r} is not told the classes, so it cannot sample those of the source. Fit "
            "latent-gan on labelled data, use gaussian, or leave the labels out."
        )


def default_operations(space: Space) -> tuple[str, ...]:
    """What is done when nobody says what.

    Raises:
        ConfigError: A model that can do nothing of the kind.
    """
    if space.completes:
        return (RESAMPLE,)
    if space.coded:
        return ON_CODES
    raise ConfigError(
        f"augment: {space.name!r} has no codes to move, nor can it complete rows. Fit a model with codes (`aegan "
        "models` lists them), or draw new samples with `aegan sample`."
    )


def check_operations(space: Space, operations: tuple[str, ...]) -> None:
    """Refuse operations that the model cannot do."""
    for name in operations:
        if name == RESAMPLE and not space.completes:
            raise ConfigError(
                f"resample: {space.name!r} cannot complete rows. Use {', '.join(ON_CODES)}; or fit autoregressive, on "
                "a table."
            )
        if name != RESAMPLE and not space.coded:
            raise ConfigError(
                f"{name}: {space.name!r} has no codes to move. Use resample, or fit it with codes (for autoregressive: "
                "--set code_share=0.15)."
                if space.completes
                else f"{name}: {space.name!r} has no codes to move. Fit a model with codes; see `aegan models`."
            )
