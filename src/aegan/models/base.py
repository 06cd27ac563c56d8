"""What every model promises: networks, the stages and phases that train them, a loss and a sampler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from aegan.data.in_one import in_one
from aegan.errors import ConfigError
from aegan.types import Batch, Health, Samples, Spec, Stage, Term

BLOCK = 64
"""Samples are made in blocks of exactly this size, padded where needed.

Matrix products round differently at different batch sizes; with one fixed size a seed's samples are the
same to the bit whether ten or ten thousand are asked for.
"""


class Model(nn.Module, ABC):
    """Networks plus the stages that train them. Sub-classes are final: no model inherits from another.

    Attributes:
        spec: What one sample is.
        config: The model's frozen dataclass.
        noise_dim: Length of the noise vector that one sample is made from; 0 when it cannot sample.
        draw_dim: Last values of the noise that pick values of discrete data; what spreads samples leaves them alone.
        code_dim: Length of a code; 0 when there is no encoder.
        conditional: Whether samples can be asked for by class.
        samples_from: Name of the first stage during which samples mean something.
        stage_step: Steps done in the current stage; the trainer keeps it, a loss may read it.
        stage_progress: Share of the current stage that is over, from 0 to 1; kept in the same way.
        block: Samples are made in blocks of exactly this size.
        apart: Whether blocks may have any size where products are steady (see :mod:`aegan.nn.drawing`): a sample does
            not depend on how many others are made with it.
    """

    Config: ClassVar[type]
    kinds: ClassVar[tuple[str, ...]]
    block: ClassVar[int] = BLOCK
    apart: ClassVar[bool] = False
    noise_dim: int = 0
    draw_dim: int = 0
    code_dim: int = 0
    conditional: bool = False
    samples_from: str = ""
    stage_step: int = 0
    stage_progress: float = 0.0

    def __init__(self, spec: Spec, config: Any) -> None:
        super().__init__()
        if spec.kind not in self.kinds:
            raise ConfigError(
                f"{type(self).__name__} models {', '.join(self.kinds)}, got {spec.kind} data. "
                "`aegan models` lists which model is for which kind."
            )
        self.spec = spec
        self.config = config

    @property
    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """The stages of a run, in order."""

    @abstractmethod
    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of one phase on one batch; the trainer adds ``weight * value`` and goes backward."""

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """Key of what :meth:`loss` does at this step; None where it may do otherwise in every one.

        At two steps of one key, with batches of one form, it must run the same operations with the same numbers, and
        read no value on the host: then an update can be captured and replayed (:mod:`aegan.train.replays`). What
        changes between steps lies in tensors that stay where they are: weights, buffers, the batch, random numbers.
        """
        return None

    def ready(self, phase: str, batch: Batch) -> Batch:
        """The batch, and with it what a steady loss needs that the host draws; :meth:`loss` draws it where it lacks."""
        return batch

    def private_loss(self, phase: str, batch: Batch, bound: float, expected: float) -> dict[str, Term]:
        """As :meth:`loss`, with the gradient of each sample cut to the norm ``bound`` before it is added to the others.

        The sum is divided by ``expected``, the mean size of a batch; one batch may have any size, none included.
        """
        raise ConfigError(f"{type(self).__name__} cannot be trained privately. Fit autoregressive.")

    def check_new(self) -> None:
        """Refuse settings that no new run may have, though saved ones may; called before a run's folder is made.

        Raises:
            ConfigError: They cannot work. Older runs that have them can be loaded and gone on with all the same.
        """

    def prepare(self, stage: str, data: Samples, encode: Callable[[Samples], Tensor]) -> Samples:
        """Called before ``stage`` begins, and again when a run resumes within it; returns its data.

        Must be a pure function of the weights and the data, drawing no random numbers. ``encode`` maps a
        whole data set through :meth:`encode`, in batches, in the run's precision.
        """
        return data

    def finish(self, data: Samples) -> None:
        """Called once on the training data, when the last stage is over and its averages are the weights.

        May set buffers; must be a pure function of the weights and the data, drawing no random numbers of torch's
        global stream.
        """

    @property
    def looks_at_data(self) -> bool:
        """Whether :meth:`prepare` or :meth:`finish` take anything from the data, which no private training may."""
        return type(self).prepare is not Model.prepare or type(self).finish is not Model.finish

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Samples ``(B, *spec.shape)`` from noise ``(B, noise_dim)`` and classes ``(B,)`` int64."""
        raise ConfigError(f"{type(self).__name__} cannot sample: it has no generator. Use a GAN or a hybrid.")

    def generate_codes(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Codes ``(B, code_dim)`` of samples: those that they are decoded from, where there are such."""
        return self.encode(self.generate(noise, y))

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, code_dim)`` of data ``(B, *spec.shape)``."""
        raise ConfigError(f"{type(self).__name__} has no encoder. Use an autoencoder or a hybrid.")

    def decode(self, z: Tensor) -> Tensor:
        """Data ``(B, *spec.shape)`` of codes ``(B, code_dim)``."""
        raise ConfigError(f"{type(self).__name__} has no decoder. Use an autoencoder or a hybrid.")

    def complete(self, noise: Tensor, x: Tensor, known: Tensor, allowed: Mapping[int, Tensor]) -> Tensor:
        """Rows ``(B, F)`` whose known values are kept and whose others are drawn given them, within what is allowed.

        Args:
            noise: ``(B, noise_dim)``.
            x: Rows ``(B, F)``; only the known values are read.
            known: Bool ``(B, F)``.
            allowed: By position of a field, which of its values may come, bool ``(size,)``.
        """
        raise ConfigError(f"{type(self).__name__} cannot complete rows. Fit autoregressive.")

    def judge(self, x: Tensor, y: Tensor | None) -> Tensor:
        """How real data ``(B, *shape)`` of classes ``(B,)`` look to the discriminator: logits ``(B,)``.

        Up to a constant, the logarithm of the ratio of the data's density to that of the samples.
        """
        raise ConfigError(f"{type(self).__name__} has no discriminator of data.")

    def health(self, x: Tensor) -> Health:
        """Figures and findings of the trained networks on data ``(N, *spec.shape)``, such as a collapse by name.

        Called once after training, without gradients; it may draw random numbers. By default there is nothing to say.
        """
        return Health()


@torch.no_grad()
def in_blocks(
    function: Callable[..., Tensor],
    *inputs: Tensor | None,
    device: torch.device | str = "cpu",
    block: int = BLOCK,
    fill: bool = True,
    threads: int = 1,
) -> Tensor:
    """``function`` over the leading axis of ``inputs`` in blocks of exactly ``block``; float32 on the CPU.

    The last block is filled up by repeating its last row, and cut again, unless ``fill`` is False. With several
    ``threads``, as many blocks are made side by side, each by one thread.
    """
    total = next(len(i) for i in inputs if i is not None)

    def made(start: int) -> Tensor:
        chunk = [None if i is None else i[start : start + block] for i in inputs]
        size = min(block, total - start)
        if size < block and fill:
            chunk = [None if c is None else torch.cat([c, c[-1:].expand(block - size, *c.shape[1:])]) for c in chunk]
        out = function(*(None if c is None else c.to(device) for c in chunk))
        return out[:size].float().cpu()

    starts = range(0, total, block)
    return in_one((made(start) for start in starts) if threads == 1 else _side_by_side(made, starts, threads), total)


def _side_by_side(function: Callable[[int], Tensor], starts: Iterable[int], threads: int) -> list[Tensor]:
    """``function`` of each start, in threads of which none uses others in its turn."""
    usual = torch.get_num_threads()

    def alone() -> None:
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)

    try:
        with ThreadPoolExecutor(threads, initializer=alone) as pool:
            return list(pool.map(function, starts))
    finally:
        torch.set_num_threads(usual)  # the number of one thread is what threads to come would begin with


def noise_for(seed: int, count: int, dim: int, *, start: int = 0) -> Tensor:
    """Noise ``(count, dim)`` of the rows from ``start``; row i depends on the seed and i alone.

    >>> bool((noise_for(1, 5, 3, start=70) == noise_for(1, 500, 3)[70:75]).all())
    True
    """
    return noise_at(seed, torch.arange(start, start + count), dim)


def noise_at(seed: int, rows: Tensor, dim: int) -> Tensor:
    """Noise ``(N, dim)`` of the rows with these numbers ``(N,)``, in ascending order."""
    if not len(rows):
        return torch.empty(0, dim)
    numbers, place = torch.unique_consecutive(rows // BLOCK, return_inverse=True)
    blocks = torch.empty(len(numbers), BLOCK, dim)
    for block, number in zip(blocks, numbers.tolist(), strict=True):
        # One stream per block: the normal sampler of a whole tensor depends on its length.
        generator = torch.Generator().manual_seed((seed * 1_000_003 + number) % (2**63))
        torch.randn(BLOCK, dim, generator=generator, out=block)
    return blocks[place, rows % BLOCK]
