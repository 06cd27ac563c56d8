"""What is measured of the channels of time series before a network learns them: units, resolution, linear parts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aegan.nn.step_copies import EXACT, candidates
from aegan.nn.step_scores import KNOTS, normal_scores, scored

GRID_ERROR = 1e-3
"""How far from a grid's points, in parts of its step, values may lie that are taken to be on it."""
HEAPED, HEAPED_SHARE = 5, 0.005
"""Values, and share of all, that lie at an end of the range at least if what would lie beyond is to come there."""
AT_ONCE = 256
"""Steps whose moving averages are computed at once."""
VALUES = 128
"""Values at most that a channel on a grid has for each to be given a weight."""
FEWEST = 1_000
"""Steps at least that a linear prediction is fitted on alone."""
MOST_STEPS = 50_000
"""Steps at most that the channels are measured on."""


class StepScales(nn.Module):
    """Units and linear predictions of ``C`` channels, kept as buffers.

    Attributes:
        mean, std: Of the values.
        knots, scores: ``(C, K)``: values, and their scores on the scale of a normal distribution.
        move: Typical size of a change from one step to the next, of the steps that bring one.
        cell: Resolution: values within such a cell count as one. The data's own step where they are whole numbers or
            the like, and much less than a typical change elsewhere.
        grid: Whether every value is a whole number of cells above the least.
        low, high: Range of what was observed.
        heap_low, heap_high: Whether many values lie at an end of it, as at zero of what cannot be less.
        stays: Whether any value was observed that is the one before once more.
        copy_of: ``(C,)`` int64: an earlier channel that each is a copy of at every step; -1 where it is none.
        gain, shift: What that channel is multiplied with, and what is added.
        weighed: Whether the values of a channel have weights.
        weights: ``(C, VALUES)``: their logarithms; see :mod:`aegan.nn.step_weights`.
        fall, rise: Range of the changes from one step to the next that were observed.
        same: ``(C, C)``: a first step's channel, from the channels before it, all in standard deviations.
        same_unit: Typical error of that, in the data's units.
        now: ``(C, C)``: the change of a channel in ``move``, from the changes of the channels before it.
        past: ``(C, 2 C + S C)``: the same from all values of the step before, the changes that led to them, and how far
            they lie off their moving averages; see :meth:`lately`.
        drift: The rest of it, a constant.
        unit: Typical error of it, in the data's units.
    """

    mean: Tensor
    std: Tensor
    knots: Tensor
    scores: Tensor
    move: Tensor
    cell: Tensor
    grid: Tensor
    low: Tensor
    high: Tensor
    heap_low: Tensor
    heap_high: Tensor
    stays: Tensor
    copy_of: Tensor
    gain: Tensor
    shift: Tensor
    weighed: Tensor
    weights: Tensor
    fall: Tensor
    rise: Tensor
    same: Tensor
    same_unit: Tensor
    now: Tensor
    past: Tensor
    drift: Tensor
    unit: Tensor

    def __init__(self, channels: int, spans: Sequence[float] = ()) -> None:
        super().__init__()
        self.spans = tuple(spans)
        for name, value in (("mean", 0.0), ("std", 1.0), ("move", 0.1), ("cell", 1e-3), ("low", -1.0), ("high", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))
        for name, value in (("fall", 0.0), ("rise", 0.0), ("same_unit", 1.0), ("drift", 0.0), ("unit", 0.1)):
            self.register_buffer(name, torch.full((channels,), value))
        for name, inputs in (("same", 1), ("now", 1), ("past", 2 + len(self.spans))):
            self.register_buffer(name, torch.zeros(channels, inputs * channels))
        for name in ("knots", "scores"):
            self.register_buffer(name, torch.zeros(channels, KNOTS))
        self.register_buffer("weights", torch.zeros(channels, VALUES))
        for name in ("grid", "heap_low", "heap_high", "weighed"):
            self.register_buffer(name, torch.zeros(channels, dtype=torch.bool))
        self.register_buffer("stays", torch.ones(channels, dtype=torch.bool))
        self.register_buffer("copy_of", torch.full((channels,), -1))
        self.register_buffer("gain", torch.ones(channels))
        self.register_buffer("shift", torch.zeros(channels))

    @staticmethod
    def sample(count: int, steps: int) -> Tensor:
        """Which of so many series of so many steps are enough to measure, spread over all."""
        return torch.linspace(0, count - 1, min(count, max(2, MOST_STEPS // steps))).long()

    @torch.no_grad()
    def widen(self, x: Tensor, mask: Tensor) -> None:
        """Take the ranges of further series, and of their changes, into the observed ones."""
        x, mask = x.to(self.low.device), mask.to(self.low.device)
        low, high = self.low.clone(), self.high.clone()
        _widen(self.low, self.high, x, mask)
        self.heap_low &= self.low > low - self.cell / 2
        self.heap_high &= self.high < high + self.cell / 2
        if x.shape[1] > 1:
            there, change = mask[:, 1:] & mask[:, :-1], x[:, 1:] - x[:, :-1]
            _widen(self.fall, self.rise, change, there)
            self.stays |= ((change.abs() <= 1e-6 * (self.high - self.low)) & there).any(0).any(0)
        for c in (self.copy_of >= 0).nonzero().flatten().tolist():
            if not self._copied(c, int(self.copy_of[c]), float(self.gain[c]), float(self.shift[c]), x, mask):
                self.copy_of[c] = -1

    @torch.no_grad()
    def fit(self, x: Tensor, mask: Tensor) -> None:
        """Measure series ``(N, T, C)`` where ``mask``, of the same shape, is True; computed in float64."""
        x, mask = x.to(self.low.device, torch.float64), mask.to(self.low.device)
        for buffer in (self.stays, self.weighed, self.weights):
            buffer.zero_()
        for c in range(x.shape[2]):
            self._fit_channel(c, x[:, :, c], mask[:, :, c])
        self._fit_copies(x, mask)
        self.widen(x.float(), mask)
        before, seen = carried(x, mask, self.mean.double())
        value = ((x - self.mean) / self.std)[:, 0]
        self._fit_first(value, mask[:, 0])
        if x.shape[1] > 1:
            there = mask[:, 1:] & seen[:, 1:]
            change = torch.where(there, (x - before)[:, 1:] / self.move, 0.0)
            older = earlier(before)[:, 1:]
            past = self.lately(before[:, 1:], older, self.off(before[:, 1:]))
            bend = x[:, 1:] - 2.0 * before[:, 1:] + older
            self._fit_moves(*(part.flatten(0, 1) for part in (change, past, bend, there)))

    def _fit_channel(self, c: int, x: Tensor, mask: Tensor) -> None:
        values = x[mask]
        if len(values) == 0:
            return
        self.low[c], self.high[c], self.mean[c] = values.min(), values.max(), values.mean()
        self.knots[c], self.scores[c] = normal_scores(values)
        width = float(values.max() - values.min())
        self.std[c] = max(float(values.std(correction=0)), 1e-6) if width > 0 else 1.0
        there = mask[:, 1:] & mask[:, :-1]
        change = (x[:, 1:] - x[:, :-1])[there].abs()
        change = change[change > 1e-6 * max(width, 1e-6)]
        move = float(change.median()) * 1.5 if len(change) else float(self.std[c])
        unique = torch.unique(values.float()).double()
        steps = unique.diff()
        least = float(steps.min()) if len(steps) else 0.0
        resolution = max(0.02 * move, 1e-5)
        if least > resolution:
            places = (unique - unique[0]) / least
            self.grid[c] = bool(
                (places - places.round()).abs().max() < GRID_ERROR * max(1.0, float(places.max()) ** 0.5)
            )
        self.cell[c] = max(least, resolution)
        for heap, end in ((self.heap_low, values.min()), (self.heap_high, values.max())):
            # Of the very same value: what lies evenly has as many in the cell of an end as in any.
            there = int(((values - end).abs() <= EXACT * width).sum())
            heap[c] = there >= max(HEAPED, HEAPED_SHARE * len(values))
        self.move[c] = max(move, float(self.cell[c]))

    def _fit_copies(self, x: Tensor, mask: Tensor) -> None:
        self.copy_of.fill_(-1)
        for c, i, gain, shift in candidates(x.flatten(0, 1), mask.flatten(0, 1)):
            # What is a copy of a copy is one of the first as well.
            free = self.copy_of[c] < 0 and self.copy_of[i] < 0
            if free and self._copied(c, i, gain, shift, x.float(), mask):
                self.copy_of[c], self.gain[c], self.shift[c] = i, gain, shift

    def _copied(self, c: int, i: int, gain: float, shift: float, x: Tensor, mask: Tensor) -> bool:
        error = (self.snapped(gain * x[:, :, i] + shift, c) - x[:, :, c]).abs() * (mask[:, :, c] & mask[:, :, i])
        return bool(error.max() <= EXACT * max(float(self.high[c] - self.low[c]), 1e-6))

    @property
    def own(self) -> Tensor:
        """Bool ``(C,)``: channels that are no copies."""
        return self.copy_of < 0

    def copied(self, x: Tensor, c: int) -> Tensor:
        """Channel ``c``, a copy, of the channels ``(..., C)`` before it."""
        return self.snapped(self.gain[c] * x[..., int(self.copy_of[c])] + self.shift[c], c)

    def known_by_copies(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Values ``(B, T, C)`` and what is known of them, with what known copies say of their originals."""
        copies = (~self.own).nonzero().flatten().tolist()
        if copies:
            x, known = x.clone(), known.clone()
        for c in copies:
            i = int(self.copy_of[c])
            told = known[..., c] & ~known[..., i]
            x[..., i] = torch.where(told, self.snapped((x[..., c] - self.shift[c]) / self.gain[c], i), x[..., i])
            known[..., i] |= told
        return x, known

    def _fit_first(self, value: Tensor, there: Tensor) -> None:
        value = torch.where(there, value, 0.0)
        for c in range(value.shape[1]):
            weights = _least_squares(value[:, :c], value[:, c], there[:, c])
            self.same[c, :c] = weights
            self.same_unit[c] = _typical(value[:, c] - value[:, :c] @ weights, there[:, c]) * self.std[c]
        self.same_unit.clamp_(min=self.cell)

    def lately(self, past: Tensor, older: Tensor, off: Tensor) -> Tensor:
        """What linear predictions take in of the steps before, ``(..., 2 C + S C)``.

        Values in standard deviations, changes in typical ones, and how far the values lie off their averages.
        """
        return torch.cat([(past - self.mean) / self.std, (past - older) / self.move, off], -1)

    def _fit_moves(self, change: Tensor, past: Tensor, bend: Tensor, there: Tensor) -> None:
        ones = change.new_ones(len(change), 1)
        # Steps that stay where they are or go on straight say nothing of where the others go, and there may be many.
        free = there & (bend.abs() > self.cell / 2) & ((change * self.move).abs() > self.cell / 2)
        free = torch.where(free.sum(0) >= FEWEST, free, there)
        for c in range(change.shape[1]):
            inputs = torch.cat([change[:, :c], past, ones], 1)
            weights = _least_squares(inputs, change[:, c], free[:, c])
            self.now[c, :c], self.past[c], self.drift[c] = weights[:c], weights[c:-1], weights[-1]
            self.unit[c] = _typical(change[:, c] - inputs @ weights, free[:, c]) * self.move[c]
        self.unit.clamp_(min=self.cell)

    def off(self, x: Tensor) -> Tensor:
        """How far values ``(B, T, C)`` lie off their moving averages, ``(B, T, S C)``, in standard deviations.

        The averages are exponential, of each of the spans; they begin at the first value.
        """
        if not self.spans:
            return x[:, :, :0]
        parts = [(x - _average(x, span)) / self.std.to(x.dtype) for span in self.spans]
        return torch.cat(parts, 2)

    def off_next(self, x: Tensor, before: Tensor, off: Tensor) -> Tensor:
        """:meth:`off` of one more step ``x`` ``(B, 1, C)``, from the step before and its own."""
        change = (x - before) / self.std
        if not self.spans:
            return off
        parts = zip(self.spans, off.split(x.shape[2], 2), strict=True)
        return torch.cat([(1.0 - 1.0 / span) * (change + part) for span, part in parts], 2)

    @property
    def margin(self) -> Tensor:
        """How far cells ``(C,)`` reach beyond the ends of the range: by half where values count as one alone."""
        return torch.where(self.grid, self.cell / 2, 0.0)

    def score(self, x: Tensor, c: int | None = None) -> Tensor:
        """Normal scores of values ``(..., C)``, or ``(...)`` of channel ``c``; see :mod:`aegan.nn.step_scores`."""
        if c is None:
            return scored(x, self.knots, self.scores)
        return scored(x[..., None], self.knots[c : c + 1], self.scores[c : c + 1])[..., 0]

    def few(self, c: int) -> bool:
        """Whether channel ``c`` has so few values, on a grid, that each may be given a weight."""
        return bool(self.grid[c] & self.own[c]) and 2 <= self.count(c) <= VALUES

    def count(self, c: int) -> int:
        """Values from the least to the greatest of channel ``c`` on its grid."""
        return int(self.number(self.high[c], c)) + 1

    def number(self, x: Tensor, c: int) -> Tensor:
        """Which of the values of channel ``c`` on its grid each of ``x`` is, int64, the least being 0."""
        return ((x - self.low[c]) / self.cell[c]).round().long()

    def snapped(self, x: Tensor, c: int) -> Tensor:
        """Values of channel ``c`` within the observed range, on its grid where it has one."""
        x = torch.minimum(torch.maximum(x, self.low[c]), self.high[c])
        return self.low[c] + self.cell[c] * ((x - self.low[c]) / self.cell[c]).round() if self.grid[c] else x


def _average(x: Tensor, span: float) -> Tensor:
    """Exponential moving average of values ``(B, T, C)``, some steps at a time as one product."""
    parts, last, keep = [], x[:, :1], 1.0 - 1.0 / span
    for part in x.split(AT_ONCE, 1):
        step = torch.arange(part.shape[1], device=x.device, dtype=x.dtype)
        weights = (keep ** (step[:, None] - step).clamp(min=0.0)).tril() / span
        parts.append(weights @ part + keep ** (step[:, None] + 1.0) * last)
        last = parts[-1][:, -1:]
    return torch.cat(parts, 1)


def _widen(low: Tensor, high: Tensor, x: Tensor, mask: Tensor) -> None:
    """Let ``low`` and ``high`` ``(C,)`` take in ``x`` ``(N, T, C)`` where ``mask``; in place."""
    inf = torch.full_like(x, torch.inf)
    low.copy_(torch.minimum(low, torch.where(mask, x, inf).amin((0, 1))))
    high.copy_(torch.maximum(high, torch.where(mask, x, -inf).amax((0, 1))))


def carried(x: Tensor, mask: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """The last value observed before each step.

    Args:
        x: ``(B, T, C)``.
        mask: Bool, alike; True where observed.
        start: ``(C,)``, in place of values that were never observed.

    Returns:
        Values ``(B, T, C)``, and bool whether there is one at all.

    >>> x, mask = torch.tensor([[[1.0], [9.0], [3.0]]]), torch.tensor([[[True], [False], [True]]])
    >>> carried(x, mask, torch.zeros(1))[0].flatten().tolist()
    [0.0, 1.0, 1.0]
    """
    steps = torch.arange(x.shape[1], device=x.device)[None, :, None]
    last = torch.where(mask, steps, -1).cummax(1).values
    before = torch.cat([torch.full_like(last[:, :1], -1), last[:, :-1]], 1)
    there = before >= 0
    return torch.where(there, x.gather(1, before.clamp(min=0)), start.to(x.dtype)), there


def earlier(before: Tensor) -> Tensor:
    """Values two steps before each, of those one step before ``(B, T, C)``; the first two steps have but one."""
    return torch.cat([before[:, :1], before[:, 1:2], before[:, 1:-1]], 1)


def _least_squares(inputs: Tensor, target: Tensor, there: Tensor) -> Tensor:
    """Weights ``(F,)`` of a linear prediction of ``target`` from ``inputs`` ``(N, F)``, of the rows that are there."""
    if inputs.shape[1] == 0 or int(there.sum()) < 2:
        return inputs.new_zeros(inputs.shape[1])
    inputs, target = inputs[there], target[there]
    products = inputs.T @ inputs
    ridge = 1e-6 * products.diagonal().clamp(min=1e-9) + 1e-9 * len(inputs)
    return torch.linalg.solve(products + torch.diag(ridge), inputs.T @ target)


def _typical(error: Tensor, there: Tensor) -> float:
    error = error[there].abs()
    return float(error.median()) * 1.5 if len(error) else 1.0
