"""Series drawn from :class:`~aegan.nn.steps.StepNetworks`, around whatever is known of them."""

from __future__ import annotations

import torch
from torch import Tensor

from aegan.nn.step_scales import carried
from aegan.nn.steps import FEATURES, Aside, StepNetworks, draw_mixture

BEYOND = 1.5
"""Times the largest observed change that a drawn one may be; of a sample the extremes are not the last ones."""


@torch.no_grad()
def draw_series(
    net: StepNetworks,
    uniform: Tensor,
    condition: Tensor | None,
    *,
    x: Tensor | None = None,
    known: Tensor | None = None,
    aside: Aside | None = None,
) -> Tensor:
    """Series ``(B, T, C)``, step by step.

    Args:
        net: The distribution.
        uniform: A number of [0, 1] for each value, ``(B, T, C)``; not read where values are known.
        condition: ``(B, D)``, or None for a net without one.
        x: Series ``(B, T, C)``; only known values are read.
        known: Bool ``(B, T, C)``; known values are kept.
        aside: What is known besides the values before a step.
    """
    count, steps, channels = uniform.shape
    scales, begin = net.scales, net.given(condition, uniform)
    if x is None or known is None:
        known = torch.zeros(uniform.shape, dtype=torch.bool, device=uniform.device)
        out = torch.zeros_like(uniform)
    else:
        out = x.masked_fill(~known, 0.0)
    prefix = int(known.all(2).all(0).long().cumprod(0).sum())
    state, there = net.begin(begin)[None], torch.ones(count, 1, channels, dtype=torch.bool, device=uniform.device)
    start = 0
    if prefix > 1:
        # What all know from the first step on is read at once.
        head, mask = out[:, :prefix], there.expand(-1, prefix, -1)
        state = net.recurrent(net.inputs(head, carried(head, mask, scales.mean)[0], mask, condition), state)[1]
        start = prefix
    for t in range(start, steps):
        past = out[:, t - 1 : t]
        if t == 0:
            step = net.start.context(begin), None if aside is None else aside.first()
        else:
            older = out[:, t - 2 : t - 1] if t > 1 else scales.mean.expand(count, 1, channels)
            # Contexts are those of the steps behind each given one; the last is not used.
            pair, before = torch.cat([past, past], 1), torch.cat([older, past], 1)
            contexts = net.contexts(state.transpose(0, 1), pair, before, there.expand(-1, 2, -1), condition)
            own = None if aside is None else aside.rest(slice(t, t + 1), contexts, past)
            step = net.steps.context(contexts[:, 0]), own
        lately = None if t == 0 else (past[:, 0], out[:, max(0, t - 2)])
        out[:, t] = _draw_step(net, uniform[:, t], *step, lately, out[:, t], known[:, t])
        if t + 1 < steps:
            older = past if t else scales.mean.expand(count, 1, channels)
            state = net.recurrent(net.inputs(out[:, t : t + 1], older, there, condition), state)[1]
    return out


def _draw_step(
    net: StepNetworks,
    uniform: Tensor,
    context: Tensor,
    aside: tuple[Tensor, Tensor] | None,
    lately: tuple[Tensor, Tensor] | None,
    x: Tensor,
    known: Tensor,
) -> Tensor:
    """One step ``(B, C)``, channel by channel; ``lately`` are the two steps before, None for the first."""
    past, older = (None, None) if lately is None else lately
    scales, channels = net.scales, net.channels
    own = net.start if past is None else net.steps
    if aside is not None:
        context = context + aside[0]
    contexts = context.view(-1, channels, own.hidden)
    units = net.units(own)
    value = torch.zeros_like(x) if past is None else (past - scales.mean) / scales.std
    linear = scales.mean.expand_as(x) if past is None else past + scales.move * (value @ scales.past.T + scales.drift)
    weights = scales.same if past is None else scales.now
    out, relative = torch.empty_like(x), torch.zeros_like(x)
    seen = torch.empty(len(x), channels * FEATURES, device=x.device)
    for c in range(channels):
        factor = scales.std[c] if past is None else scales.move[c]
        predicted = linear[:, c] + factor * (relative[:, :c] @ weights[c, :c])
        mean = scales.mean[c].expand(len(x))
        if past is None or older is None:
            anchors = (mean, predicted, mean, mean)
        else:
            anchors = (past[:, c], predicted, 2.0 * past[:, c] - older[:, c], mean)
        if bool(known[:, c].all()):
            drawn = x[:, c]
        else:
            numbers = own.one(c, contexts[:, c], seen[:, : c * FEATURES])
            numbers = numbers if aside is None else numbers + aside[1][:, c]
            parts = net.mixture(numbers, anchors, tuple(u[c] for u in units), scales.cell[c], own)
            low, high = scales.low[c].expand(len(x)), scales.high[c].expand(len(x))
            if past is not None:
                # A mixture's faint wide parts would now and then jump over the whole range.
                low = torch.maximum(low, past[:, c] + BEYOND * scales.fall[c])
                high = torch.minimum(high, past[:, c] + BEYOND * scales.rise[c])
            drawn = scales.snapped(draw_mixture(uniform[:, c], *parts, low, high), c)
            if past is not None:
                # Within a cell values count as one: what falls into that of the value before has not moved.
                drawn = torch.where((drawn - past[:, c]).abs() < scales.cell[c] / 2, past[:, c], drawn)
            drawn = torch.where(known[:, c], x[:, c], drawn)
        out[:, c] = drawn
        standard = (drawn - scales.mean[c]) / scales.std[c]
        if past is None:
            relative[:, c] = standard
            features = (standard, torch.sin(2.0 * standard), torch.asinh((drawn - predicted) / scales.same_unit[c]))
        else:
            relative[:, c] = (drawn - past[:, c]) / scales.move[c]
            features = (standard, torch.asinh(relative[:, c]), torch.asinh((drawn - predicted) / scales.unit[c]))
        seen[:, c * FEATURES : (c + 1) * FEATURES] = torch.stack(features, 1)
    return out
