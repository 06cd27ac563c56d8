"""When to look: as often as a share of the training's time allows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping

import torch

SHARES = {"gradients": 0.016, "judge": 0.012, "samples": 0.010, "jacobian": 0.006, "terms": 0.006}
"""Part of the time that each kind of measurement may take; 5 % together."""
MARGIN = 0.5
"""Of the share, for what the clock does not see: hooks that find nothing to do, and caches that a look leaves cold for
the next step. That is about as much again, on steps of two to six milliseconds (docs/doctor.md)."""
AROUND = 0.01
"""Part of the training's time that may go into what is around the measurements; steps are passed over above it."""
FIRST = 0.01
"""Seconds that a kind's share must have come to before its first look, whose cost is not known yet."""


class Schedule:
    """Decides which measurement is due, by what it cost before; or every ``every`` steps, for reproducible looks.

    Args:
        share: Of the time that the training takes without them, what all of them may take together, in (0, 1).
        every: A fixed distance in steps instead, for all or by kind (0: never), from one multiple of it to the next;
            the cost is still measured.
        shares: Parts of each kind, scaled to add up to ``share``.
    """

    def __init__(
        self,
        share: float = 0.05,
        *,
        every: int | Mapping[str, int] | None = None,
        shares: Mapping[str, float] = SHARES,
    ) -> None:
        self.most = share
        scale = share / sum(shares.values())
        self.shares = {name: MARGIN * scale * part for name, part in shares.items()}
        self.every = every
        self._asked: dict[tuple[str, str], int] = {}
        self.step = 0
        self.spent = dict.fromkeys(self.shares, 0.0)
        self.overhead = 0.0
        self._looking = 0.0
        self._cost = dict.fromkeys(self.shares, 0.0)
        self._now = dict.fromkeys(self.shares, 0.0)
        self._start: float | None = None
        self._waited = 0.0
        self._devices: set[torch.device] = set()

    def wait_for(self, devices: Iterable[torch.device]) -> None:
        """What these compute is waited for before a measurement: else its first look would be charged with it."""
        self._devices = {device for device in devices if device.type == "cuda"}

    @property
    def elapsed(self) -> float:
        """Seconds since the first step."""
        return 0.0 if self._start is None else time.perf_counter() - self._start

    @property
    def share(self) -> float:
        """Time that was spent on looking over that of the training alone; 1 at most."""
        return min(1.0, self._looking / self._training) if self._training > 0 else 0.0

    @property
    def _training(self) -> float:
        return self.elapsed - self._looking

    def begin(self) -> None:
        """Start the clock, once."""
        if self._start is None:
            self._start = time.perf_counter()

    @property
    def crowded(self) -> bool:
        """Whether what is around the measurements took so much already that this step is better passed over."""
        return self.every is None and self.overhead > AROUND * self._training

    def leave_out(self, seconds: float) -> None:
        """Say that so much of the time since the first step was no training, such as an evaluation between epochs."""
        if self._start is not None:
            self._start += seconds

    def due(self, kind: str, network: str = "") -> bool:
        """Whether to measure this now; ask only where it can be done, for with ``every`` the answer counts as a look.

        Args:
            kind: Of measurement.
            network: Which is to be measured, where some of them learn at some steps only.
        """
        if self.every is not None:
            every = self.every if isinstance(self.every, int) else self.every.get(kind, 0)
            return every > 0 and self._first_asked(every, (kind, network))
        room = self.most * self._training - self.overhead  # what is left for measurements once the rest is paid for
        return self.spent[kind] + (self._cost[kind] or FIRST) <= self.shares[kind] / self.most * room

    def _first_asked(self, every: int, what: tuple[str, str]) -> bool:
        """Whether this step is the first of its stretch of ``every`` steps at which this is asked for.

        Not every ``every``-th step alone: what is done at other steps, such as an optimiser's, would go unseen.
        """
        last = self._asked.get(what, -1)
        if self.step // every == last // every and self.step != last:
            return False
        self._asked[what] = self.step
        return True

    @contextlib.contextmanager
    def measuring(self, kind: str) -> Iterator[None]:
        """Count the time of a measurement."""
        before = began = time.perf_counter()
        if self._devices:
            for device in self._devices:
                torch.cuda.synchronize(device)
            began = time.perf_counter()
            self._waited += began - before
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self.spent[kind] += took
            self._looking += took
            self._now[kind] += took

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Count what is around the measurements: keeping batches, deciding, noting."""
        began, apart = time.perf_counter(), self._looking + self._waited
        try:
            yield
        finally:
            took = time.perf_counter() - began - (self._looking + self._waited - apart)
            self.overhead += took
            self._looking += took

    def settle(self) -> None:
        """End of a step: what this step's measurements took is what the next ones are expected to take."""
        self.step += 1
        for kind, took in self._now.items():
            if took:
                self._cost[kind] = took if not self._cost[kind] else 0.7 * self._cost[kind] + 0.3 * took
                self._now[kind] = 0.0
