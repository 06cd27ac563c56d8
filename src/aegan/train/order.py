"""The order of the data: a pure function of seed and draw, so that a resumed run needs no stored state."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from aegan.types import Phase, Samples, Stage

WINDOW = 128
"""Blocks of rows on disk that are shuffled among each other."""


class BatchOrder:
    """Shuffled passes over ``n`` samples, cut into batches of ``batch_size`` across the passes' ends.

    Args:
        n: Samples in the data set.
        batch_size: Samples a batch; may exceed ``n``.
        seed: Pass ``e`` is shuffled by ``(seed, e)`` alone.
    """

    def __init__(self, n: int, batch_size: int, seed: int) -> None:
        self.n, self.batch_size, self.seed = n, batch_size, seed
        self._passes: dict[int, Tensor] = {}

    def index(self, draw: int) -> Tensor:
        """Indices ``(batch_size,)`` int64 of batch number ``draw``."""
        start, end = draw * self.batch_size, (draw + 1) * self.batch_size
        parts = []
        while start < end:
            number, offset = divmod(start, self.n)
            take = min(self.n - offset, end - start)
            parts.append(self._pass(number)[offset : offset + take])
            start += take
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _pass(self, number: int) -> Tensor:
        if number not in self._passes:
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % (2**63))
            # A batch spans two passes at most unless it is larger than the data; older ones can go.
            self._passes = {k: v for k, v in self._passes.items() if k >= number - 1}
            self._passes[number] = torch.randperm(self.n, generator=generator)
        return self._passes[number]


class BlockOrder:
    """As :class:`BatchOrder` for data on disk: a pass takes blocks of neighbours in a random order, some at a time.

    ``window`` blocks are shuffled among each other, so that what is read lies together and what is held is bounded,
    and so is what a pass's order takes in memory: a number a block, and a number a sample of two windows.

    Args:
        n: Samples in the data set.
        batch_size: Samples a batch.
        seed: Pass ``e`` and its windows are shuffled by ``(seed, e)`` and the window's number alone.
        block: Neighbouring samples that are read together.
        window: Blocks that are shuffled among each other.
        expect: Told from which sample to which will be asked for, a window ahead and of the first window at once.

    >>> order = BlockOrder(10, 5, 0, block=2, window=2)
    >>> sorted(torch.cat([order.index(0), order.index(1)]).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        seed: int,
        *,
        block: int,
        window: int = WINDOW,
        expect: Callable[[int, int], None] = lambda start, stop: None,
    ) -> None:
        self.n, self.batch_size, self.seed, self.block, self.expect = n, batch_size, seed, block, expect
        self.blocks = -(-n // block)
        self.window = min(window, self.blocks)
        self.windows = -(-self.blocks // self.window)
        self._passes: dict[int, tuple[Tensor, Tensor]] = {}
        self._held: dict[tuple[int, int], Tensor] = {}
        self._foretold: tuple[int, int] | None = None

    def index(self, draw: int) -> Tensor:
        """Indices ``(batch_size,)`` int64 of batch number ``draw``."""
        number, offset = divmod(draw * self.batch_size, self.n)
        parts, wanted = [], self.batch_size
        while wanted:
            ends = self._pass(number)[1]
            which = int(torch.searchsorted(ends, offset, right=True))
            begin = int(ends[which - 1]) if which else 0
            part = self._window(number, which)[offset - begin : offset - begin + wanted]
            parts.append(part)
            wanted, offset = wanted - len(part), offset + len(part)
            if offset == self.n:
                number, offset = number + 1, 0
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _generator(self, *numbers: int) -> torch.Generator:
        seed = self.seed
        for number in numbers:
            seed = (seed * 1_000_003 + number) % (2**63)
        return torch.Generator().manual_seed(seed)

    def _pass(self, number: int) -> tuple[Tensor, Tensor]:
        """Order of the pass's blocks, and where each of its windows ends."""
        if number not in self._passes:
            self._passes = {k: v for k, v in self._passes.items() if k >= number - 1}
            blocks = torch.randperm(self.blocks, generator=self._generator(number))
            sizes = torch.full((self.blocks,), self.block)
            sizes[blocks == self.blocks - 1] = self.n - (self.blocks - 1) * self.block
            ends = torch.stack([part.sum() for part in sizes.split(self.window)]).cumsum(0)
            self._passes[number] = (blocks, ends)
        return self._passes[number]

    def _of_window(self, number: int, which: int) -> list[tuple[int, int]]:
        """From which sample to which each of its blocks goes."""
        number, which = number + which // self.windows, which % self.windows
        blocks = self._pass(number)[0][which * self.window : (which + 1) * self.window].tolist()
        return [(b * self.block, min(self.n, (b + 1) * self.block)) for b in blocks]

    def _window(self, number: int, which: int) -> Tensor:
        key = (number, which)
        if key not in self._held:
            rows = torch.cat([torch.arange(start, stop) for start, stop in self._of_window(number, which)])
            shuffled = rows[torch.randperm(len(rows), generator=self._generator(number, which, 1))]
            self._held = dict([*list(self._held.items())[-1:], (key, shuffled)])
            coming = (number + (which + 1) // self.windows, (which + 1) % self.windows)
            # The first window of a run was not foretold; otherwise nearly every row of it would wait for the disk.
            for window in (coming,) if key == self._foretold else (key, coming):
                for start, stop in sorted(self._of_window(*window)):
                    self.expect(start, stop)
            self._foretold = coming
        return self._held[key]


Order = BatchOrder | BlockOrder
"""Which samples each step takes."""


def order_of(data: Samples, batch_size: int, seed: int) -> BatchOrder | BlockOrder:
    """The order for ``data``: by blocks where they lie on disk and are more than a window of blocks."""
    block = getattr(data, "block", 0)
    if not block or len(data) <= WINDOW * block:
        return BatchOrder(len(data), batch_size, seed)
    return BlockOrder(
        len(data), batch_size, seed, block=block, expect=getattr(data, "expect", lambda start, stop: None)
    )


def due(stage: Stage, step: int) -> Iterator[tuple[int, int, Phase]]:
    """The phases due in a stage's step: number within the stage, draw, phase. Draws of the others are left out."""
    for number, phase in enumerate(stage.phases):
        if step % phase.every == 0:
            yield number, step * len(stage.phases) + number, phase
