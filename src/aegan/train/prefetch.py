"""Batches of data on disk, read by a thread while a step computes; they and their order stay the same to the bit."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Self

import torch
from torch import Tensor

from aegan.train.order import Order, due
from aegan.train.private import PrivateSteps
from aegan.types import Batch, Samples, Stage

AHEAD = 2
"""Batches (or parts of one, where they are cut) that are read or being read before they are asked for."""
THREAD = "aegan-prefetch"
"""The thread's name."""
_Part = tuple[int, Tensor, Tensor, Batch]
"""A draw, its index, a part of that, and the samples of the part."""


class Prefetch:
    """Order and samples of a stage at once, read ahead by one thread until it is closed.

    The thread alone uses ``order``, which has caches. It must draw no random numbers from the global generator, nor
    may ``data.batch``. Memory held is :data:`AHEAD` batches more than without.

    Args:
        data: Samples on disk.
        order: Which of them a draw takes.
        draws: The draws' numbers in the order in which they will be asked for, without end.
        parts: The parts of a draw's index that will be asked for, in their order.

    >>> class Letters:
    ...     def __len__(self):
    ...         return 3
    ...     def batch(self, index):
    ...         return {"x": index * 10}
    >>> from aegan.train.order import BatchOrder
    >>> with Prefetch(Letters(), BatchOrder(3, 3, 0), itertools.count(), lambda index: [index]) as ahead:
    ...     ahead.batch(ahead.index(0))["x"].sort().values
    tensor([ 0, 10, 20])
    """

    def __init__(
        self, data: Samples, order: Order, draws: Iterable[int], parts: Callable[[Tensor], Sequence[Tensor]]
    ) -> None:
        self.data, self.order = data, order
        self._read = self._reading(draws, parts)
        # An executor takes no more work once the main thread has ended, where a training in another thread goes on.
        self._thread = threading.Thread(target=self._work, name=THREAD, daemon=True)
        self._asked: SimpleQueue[Future[_Part] | None] = SimpleQueue()
        self._coming: deque[Future[_Part]] = deque()

    def __enter__(self) -> Self:
        self._thread.start()
        for _ in range(AHEAD):
            self._ask()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread; a batch that is being read is waited for, those after it are not begun."""
        for future in self._coming:
            future.cancel()
        self._asked.put(None)
        self._thread.join()
        self._coming.clear()

    def __len__(self) -> int:
        return len(self.data)

    def index(self, draw: int) -> Tensor:
        """Indices ``(B,)`` int64 of batch number ``draw``, of which no part was taken yet.

        Raises:
            RuntimeError: Another draw was foretold.
            Exception: Whatever went wrong in reading.
        """
        foretold, index, _, _ = self._coming[0].result()
        if foretold != draw:
            raise RuntimeError(
                f"Prefetch.index: draw {draw} was asked for, {foretold} expected. Ask for the draws in the order of "
                "`draws`, and take all parts of one before the next."
            )
        return index

    def batch(self, index: Tensor) -> Batch:
        """The next part, ``index``: of those that ``parts`` makes of what :meth:`index` gave last.

        Raises:
            RuntimeError: Another part was foretold.
            Exception: Whatever went wrong in reading.
        """
        _, whole, part, found = self._coming[0].result()
        if not torch.equal(index, part):
            raise RuntimeError(
                f"Prefetch.batch: {len(index)} samples were asked for that are not the next {len(part)} of a batch of "
                f"{len(whole)}, which were expected. Ask for its parts in the order of `parts`."
            )
        self._coming.popleft()
        self._ask()
        return found

    def _ask(self) -> None:
        future: Future[_Part] = Future()
        self._coming.append(future)
        self._asked.put(future)

    def _work(self) -> None:
        while (future := self._asked.get()) is not None:
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(next(self._read))
            except BaseException as error:
                future.set_exception(error)

    def _reading(self, draws: Iterable[int], parts: Callable[[Tensor], Sequence[Tensor]]) -> Iterator[_Part]:
        for draw in draws:
            index = self.order.index(draw)
            for part in parts(index):
                yield draw, index, part, self.data.batch(part)


@contextlib.contextmanager
def prefetched(
    data: Samples,
    order: Order | PrivateSteps,
    stage: Stage,
    step: int,
    parts: Callable[[Tensor], Sequence[Tensor]],
) -> Iterator[tuple[Samples, Order | PrivateSteps | Prefetch]]:
    """Samples and order to train a stage with from ``step`` on: read ahead where they lie on disk, else as they are.

    A private training's order is not foretold: its draws and its noise come from one stream of random numbers.

    Args:
        data: Samples; on disk where they have a ``block`` above 0.
        order: Theirs.
        stage: Whose phases ask for batches.
        step: Of the stage, from 0; what a resumed run goes on with.
        parts: The parts of a batch that this process asks for.
    """
    if isinstance(order, PrivateSteps) or not getattr(data, "block", 0):
        yield data, order
        return
    draws = (draw for at in itertools.count(step) for _, draw, _ in due(stage, at))
    with Prefetch(data, order, draws, parts) as ahead:
        yield ahead, ahead
