"""A time series' distribution step by step, and within a step channel by channel.

References: Salimans et al. 2017, "PixelCNN++" (arXiv 1701.05517) for mixtures of logistics over cells of values;
Salinas et al. 2020, "DeepAR" (arXiv 1704.04110) for a recurrent network over the steps. What differs here: a step's
channels are drawn one after another; a mixture's parts lie around the value before, around a linear prediction, and
around the mean, so that what does not move stays exactly where it is and what follows from others follows them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from aegan.nn.init import LEAKY_GAIN, activation, linear
from aegan.nn.step_mixture import LogChance
from aegan.nn.step_scales import StepScales, carried, earlier

FEATURES = 4
"""Numbers that a channel's network sees of each channel before it."""
FINE = -5.0
"""Logarithm of the width, in typical changes, that the narrowest part around the straight continuation begins with."""
NARROWEST = 14.0
"""Parts of a cell that the narrowest part of a mixture is wide: nearly all of it lies in one cell then."""


class Aside(Protocol):
    """What is known of series besides the steps before: later ones, or their shape."""

    def first(self) -> tuple[Tensor, Tensor]:
        """For the first step; see :meth:`ChannelNetworks.forward`."""
        ...

    def rest(self, steps: slice, contexts: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """For other steps, from their contexts ``(B, T, D)`` and the values before ``(B, T, C)``; rows ``(B T, …)``."""
        ...


class ChannelNetworks(nn.Module):
    """A small network for each channel: a context and the channels before it, to a mixture's numbers.

    Args:
        channels: ``C``.
        context: Length of the context.
        hidden: Width of a channel's network.
        layers: Residual layers in it.
        parts: Parts of the mixture around each of four anchors: the value before, its straight continuation, a linear
            prediction, the mean.
        dropped: Share of hidden units that are zero in a training step.
    """

    visible: Tensor
    centred: Tensor
    narrow: Tensor

    def __init__(
        self, channels: int, context: int, *, hidden: int, layers: int, parts: tuple[int, int, int, int], dropped: float
    ) -> None:
        super().__init__()
        self.channels, self.hidden, self.parts, self.dropped = channels, hidden, parts, dropped
        count = sum(parts)
        self.context = linear(context, channels * hidden)
        self.mix = nn.Parameter(torch.randn(channels * FEATURES, channels * hidden) / math.sqrt(FEATURES * channels))
        below = torch.ones(channels, channels).triu(1)
        self.register_buffer(
            "visible", below.repeat_interleave(FEATURES, 0).repeat_interleave(hidden, 1), persistent=False
        )
        self.first = nn.ParameterList(_weights(channels, hidden, LEAKY_GAIN) for _ in range(layers))
        self.second = nn.ParameterList(_weights(channels, hidden, 0.0) for _ in range(layers))
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(2, channels, 1, hidden)) for _ in range(layers))
        self.head = nn.Parameter(0.1 / math.sqrt(hidden) * torch.randn(channels, hidden, 3 * count))
        self.head_bias = nn.Parameter(torch.zeros(channels, 1, 3 * count))
        # One part is the value before itself, one has its centre where the series goes on straight: a network would
        # have to find both to within a cell.
        still, straight = range(parts[0])[:1], range(sum(parts[:2]), sum(parts[:3]))[:1]
        self.register_buffer("centred", torch.zeros(count, dtype=torch.bool), persistent=False)
        self.register_buffer("narrow", torch.zeros(count, dtype=torch.bool), persistent=False)
        self.centred[[*still, *straight]], self.narrow[[*still]] = True, True
        with torch.no_grad():
            # Parts around the mean begin side by side; of the others, narrow and wide ones.
            places = [
                torch.zeros(sum(parts[:-1])),
                torch.linspace(-1.5, 1.5, parts[-1]) if parts[-1] > 1 else torch.zeros(1),
            ]
            widths = [torch.linspace(-3.0, 1.0, n) if n > 1 else torch.full((n,), -2.0) for n in parts[:-1]]
            widths.append(torch.full((parts[-1],), -1.0))
            self.head_bias[:, 0, count : 2 * count] = torch.cat(places)
            self.head_bias[:, 0, 2 * count :] = torch.cat(widths)
            self.head_bias[:, 0, [2 * count + i for i in straight]] = FINE

    def forward(self, context: Tensor, seen: Tensor, aside: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Mixtures' numbers ``(B, C, 3 K)`` of contexts ``(B, D)`` and channels seen ``(B, C, FEATURES)``.

        ``aside``: what else is known: ``(B, C hidden)`` is added to what the channels' networks see, and
        ``(B, C, 3 K)`` to the numbers.
        """
        h = torch.addmm(self.context(context), seen.flatten(1), self.mix * self.visible)
        if aside is not None:
            h = h + aside[0]
        h = h.view(-1, self.channels, self.hidden).transpose(0, 1)
        for first, second, bias in zip(self.first, self.second, self.biases, strict=True):
            inner = torch.baddbmm(bias[0], activation(h), first)
            if self.dropped and self.training:
                # The same units for every channel: drawing them all would take longer than using them.
                inner = inner * dropout(torch.ones_like(inner[:1]), self.dropped)
            h = h + torch.baddbmm(bias[1], activation(inner), second)
        numbers = torch.baddbmm(self.head_bias, activation(h), self.head).transpose(0, 1)
        return numbers if aside is None else numbers + aside[1]

    def one(self, c: int, own: Tensor, seen: Tensor) -> Tensor:
        """Numbers ``(B, 3 K)`` of channel ``c`` alone, from its part of the context ``(B, hidden)``.

        ``seen`` ``(B, c FEATURES)`` are the channels before it.
        """
        part = self.mix[: c * FEATURES, c * self.hidden : (c + 1) * self.hidden]
        h = torch.addmm(own, seen, part)
        for first, second, bias in zip(self.first, self.second, self.biases, strict=True):
            inner = torch.addmm(bias[0, c], activation(h), first[c])
            h = h + torch.addmm(bias[1, c], activation(inner), second[c])
        return torch.addmm(self.head_bias[c], activation(h), self.head[c])


class StepNetworks(nn.Module):
    """The distribution of series ``(B, T, C)``, each value given those before it and a condition.

    Args:
        channels: ``C``.
        condition: Length of the condition; 0 without one.
        state: Units of the recurrent network.
        hidden: Width of a channel's network.
        layers: Its residual layers.
        dropped: Share of units that are zero in a training step.
        parts: See :class:`ChannelNetworks`.
        spans: Steps that moving averages of the values take in; the networks see how far values lie off them.
        lag: Steps after which series nearly repeat themselves: the networks see what was so many steps ago; 0: none.
    """

    def __init__(
        self,
        channels: int,
        condition: int,
        *,
        state: int,
        hidden: int,
        layers: int,
        dropped: float,
        parts: int = 4,
        spans: Sequence[float] = (),
        lag: int = 0,
    ) -> None:
        super().__init__()
        self.channels, self.condition, self.lag = channels, condition, lag
        self.scales = StepScales(channels, spans)
        seen = (4 + len(spans)) * channels
        self.recurrent = nn.GRU(seen + channels + condition, state, batch_first=True)
        self.begin = linear(max(1, condition), state)
        options = {"layers": layers, "dropped": dropped}
        context = state + seen + condition + (2 * channels + 1 if lag else 0)
        some = max(1, parts // 2)
        self.steps = ChannelNetworks(channels, context, hidden=hidden, parts=(parts, parts, some, some), **options)
        self.start = ChannelNetworks(
            channels, max(1, condition), hidden=2 * hidden, parts=(0, parts, 0, 2 * parts), **options
        )

    # --- training -------------------------------------------------------------------------------------------

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor | None, aside: Aside | None = None) -> Tensor:
        """Negative log-likelihood in nats of each value ``(B, T, C)``, 0 where ``mask`` is False and of copies.

        Args:
            x: Series ``(B, T, C)``.
            mask: Bool, alike; True where observed.
            condition: ``(B, condition)``, or ``(B, T, condition)`` where it differs by step; None for a net without.
            aside: What is known besides the values before.
        """
        scales = self.scales
        before, there = carried(x, mask, scales.mean)
        given = self.given(condition, x)
        anchors = self.first_anchors(x[:, 0], mask[:, 0])
        seen = self._first_seen(x[:, 0], mask[:, 0], anchors[1])
        numbers = self.start(given, seen, None if aside is None else aside.first())
        first = self._loss(x[:, 0], numbers, anchors, self.units(self.start), self.start)[:, None]
        if x.shape[1] == 1:
            return first * (mask & scales.own)
        now, numbers, anchors, units = self.behind(x, mask, before, there, condition, aside)
        rest = self._loss(now, numbers, anchors, units, self.steps).view(len(x), -1, self.channels)
        return torch.cat([first, rest], 1) * (mask & scales.own)

    def behind(
        self,
        x: Tensor,
        mask: Tensor,
        before: Tensor,
        there: Tensor,
        condition: Tensor | None,
        aside: Aside | None = None,
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Values ``(B (T - 1), C)`` behind the first step, and what their mixtures are made of; see :meth:`mixture`.

        ``before`` and ``there`` are of :func:`carried`, the others as in :meth:`forward`.
        """
        scales = self.scales
        filled = torch.where(mask, x, before)
        older, off = earlier(before), scales.off(filled)
        inputs = self.inputs(x, before, older, off, mask, condition)
        states = self.recurrent(inputs, self.begin(self.given(condition, x))[None])[0][:, :-1]
        last = slice(None), slice(None, -1)
        ago = self.lagged(filled, 0, x.shape[1] - 1)
        contexts = self.contexts(states, x[last], before[last], older[last], off[last], mask[last], condition, ago)
        now, past, known = x[:, 1:].flatten(0, 1), before[:, 1:].flatten(0, 1), (mask & there)[:, 1:].flatten(0, 1)
        change = torch.where(known, (now - past) / scales.move, 0.0)
        oldest = older[:, 1:].flatten(0, 1)
        anchors = self._anchors(past, oldest, off[:, :-1].flatten(0, 1), change)
        seen = self._seen(now, change, anchors, mask[:, 1:].flatten(0, 1))
        rest_aside = None if aside is None else aside.rest(slice(1, None), contexts, before[:, 1:])
        numbers = self.steps(contexts.flatten(0, 1), seen, rest_aside)
        return now, numbers, anchors, self.units(self.steps, past - oldest)

    def inputs(
        self, x: Tensor, before: Tensor, older: Tensor, off: Tensor, mask: Tensor, condition: Tensor | None
    ) -> Tensor:
        """What the recurrent network sees of steps: values, scores, changes, bends, what is missing, the condition.

        Args:
            x: Values ``(B, T, C)``.
            before: Those of the step before each.
            older: Those of the step before that.
            off: How far the values lie off their moving averages; see :meth:`StepScales.off`.
            mask: Bool; True where observed.
            condition: ``(B, D)``, ``(B, T, D)`` or None.
        """
        parts = [self._standard(x, before, older, mask), off, (~mask).to(x.dtype)]
        return torch.cat(parts + _along(condition, x.shape[1]), 2)

    def contexts(
        self,
        states: Tensor,
        x: Tensor,
        before: Tensor,
        older: Tensor,
        off: Tensor,
        mask: Tensor,
        condition: Tensor | None,
        lagged: Tensor,
    ) -> Tensor:
        """Contexts ``(B, T, D)`` of the steps behind each of those given, from the states after them."""
        parts = [states, self._standard(x, before, older, mask), off, lagged]
        return torch.cat(parts + _along(condition, x.shape[1]), 2)

    def lagged(self, x: Tensor, first: int, last: int) -> Tensor:
        """What was a lag ago, ``(B, T, 2 C + 1)``, for the steps behind those from ``first`` to ``last``.

        How far the values of then lie off those of the step, in standard deviations, the change that led to them, and
        1; all 0 where the series ``x`` ``(B, T, C)`` had not begun.
        """
        if not self.lag:
            return x[:, first:last, :0]
        then = torch.arange(first, last, device=x.device) + 1 - self.lag
        there = (then >= 0).to(x.dtype)[None, :, None]
        value, before = x[:, then.clamp(min=0)], x[:, (then - 1).clamp(min=0)]
        level = (value - x[:, first:last]) / self.scales.std
        change = torch.asinh((value - before) / self.scales.move)
        return torch.cat([level * there, change * there, there.expand(len(x), -1, -1)], 2)

    def _standard(self, x: Tensor, before: Tensor, older: Tensor, mask: Tensor) -> Tensor:
        """Values, scores, changes, bends ``(B, T, 4 C)``; where unknown, the value before stands and nothing moves."""
        scales, x = self.scales, torch.where(mask, x, before)
        change = torch.asinh((x - before) / scales.move)
        bend = self.bend(x - (2.0 * before - older)) * mask
        return torch.cat([(x - scales.mean) / scales.std, scales.score(x), change, bend], 2)

    def bend(self, error: Tensor, c: int | slice = slice(None)) -> Tensor:
        """How far values lie off the straight continuation: 0 on it, seen to within a cell, 1 a typical change off."""
        scales = self.scales
        return torch.asinh(error / scales.cell[c]) / torch.asinh(scales.move[c] / scales.cell[c])

    def given(self, condition: Tensor | None, like: Tensor) -> Tensor:
        """What the first step is made from: the condition, or a constant."""
        if condition is None:
            return torch.ones(len(like), 1, device=like.device)
        return condition[:, 0] if condition.ndim == 3 else condition

    def _seen(self, now: Tensor, change: Tensor, anchors: tuple[Tensor, ...], mask: Tensor) -> Tensor:
        """Numbers ``(B, C, FEATURES)`` that later channels see of a step's earlier ones."""
        scales, (_, predicted, straight, _) = self.scales, anchors
        value, error = scales.score(now), torch.asinh((now - predicted) / scales.unit)
        return torch.stack([value, torch.asinh(change), error, self.bend(now - straight)], 2) * mask[:, :, None]

    def _first_seen(self, x: Tensor, mask: Tensor, predicted: Tensor) -> Tensor:
        scales = self.scales
        value = scales.score(x)
        error = torch.asinh((x - predicted) / scales.same_unit)
        return torch.stack([value, torch.sin(2.0 * value), error, torch.cos(2.0 * value)], 2) * mask[:, :, None]

    def _anchors(self, past: Tensor, older: Tensor, off: Tensor, change: Tensor) -> tuple[Tensor, ...]:
        scales = self.scales
        lately = scales.lately(past, older, off)
        predicted = past + scales.move * (change @ scales.now.T + lately @ scales.past.T + scales.drift)
        return past, predicted, 2.0 * past - older, scales.mean.expand_as(past)

    def first_anchors(self, x: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        scales = self.scales
        value = torch.where(mask, (x - scales.mean) / scales.std, 0.0)
        mean = scales.mean.expand_as(x)
        return mean, scales.mean + scales.std * (value @ scales.same.T), mean, mean

    def units(self, net: ChannelNetworks, moved: Tensor | None = None) -> tuple[Tensor, ...]:
        """What one stands for around each of the four anchors, in the data's units, ``(C,)`` or ``(B, C)`` each.

        ``moved``: the change before, ``(B, C)``. Behind a large one the next is large, too, and less sure: around the
        value before, one stands for about that change where it is larger than a typical one. Networks whose inputs
        grow as its logarithm would have to give centres that grow as their exponential.
        """
        scales = self.scales
        near = scales.move if moved is None else torch.hypot(moved, scales.move)
        return near, (scales.same_unit if net is self.start else scales.unit), scales.move, scales.std

    def mixture(
        self,
        numbers: Tensor,
        anchors: tuple[Tensor, ...],
        units: tuple[Tensor, ...],
        net: ChannelNetworks,
        c: int | slice = slice(None),
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, centres and widths of the parts ``(..., K)`` of channel ``c``, or of all."""
        logits, centres, widths = numbers.float().chunk(3, -1)
        # No part for values that stay as they are where none ever does.
        logits = logits.masked_fill(net.narrow & ~self.scales.stays[c][..., None], -1e4)
        centres = centres.masked_fill(net.centred, 0.0)
        anchor = torch.cat([a[..., None].expand(*a.shape, n) for a, n in zip(anchors, net.parts, strict=True)], -1)
        unit = torch.cat(
            [u[..., None].expand(*a.shape, n) for u, a, n in zip(units, anchors, net.parts, strict=True)], -1
        )
        width = unit * widths.clamp(-7.0, 4.0).exp().masked_fill(net.narrow, 0.0)
        width = torch.maximum(width, self.scales.cell[c][..., None] / NARROWEST)
        return logits, anchor + unit * centres, width

    def _loss(
        self, x: Tensor, numbers: Tensor, anchors: tuple[Tensor, ...], units: tuple[Tensor, ...], net: ChannelNetworks
    ) -> Tensor:
        """Of values ``(B, C)`` within their range, of which the ends take in what lies beyond where many values do."""
        scales, parts = self.scales, self.mixture(numbers, anchors, units, net)
        half, middle = scales.cell / 2, (scales.low + scales.high) / 2
        # No cell reaches out of the range, else draws would heap up at its ends.
        least = torch.minimum(scales.low + torch.where(scales.heap_low, 0.0, half - scales.margin), middle)
        most = torch.maximum(scales.high - torch.where(scales.heap_high, 0.0, half - scales.margin), middle)
        inside = torch.minimum(torch.maximum(x, least), most)
        low, high = scales.heap_low.expand_as(x), scales.heap_high.expand_as(x)
        ends = low & (x <= scales.low + half), high & (x >= scales.high - half)
        width = torch.maximum(scales.high - scales.low + 2.0 * scales.margin, scales.cell)
        whole: Tensor = LogChance.apply(middle.expand_as(x), *parts, width, low, high)
        return whole - LogChance.apply(inside, *parts, scales.cell, *ends)


def _along(condition: Tensor | None, steps: int) -> list[Tensor]:
    """A condition ``(B, D)`` at every step, or the first steps of one ``(B, T, D)``, if there is any."""
    if condition is None:
        return []
    return [condition[:, :steps] if condition.ndim == 3 else condition[:, None].expand(-1, steps, -1)]


def _weights(count: int, hidden: int, gain: float) -> nn.Parameter:
    return nn.Parameter(gain / math.sqrt(hidden) * torch.randn(count, hidden, hidden))
