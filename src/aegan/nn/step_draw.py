"""Series drawn from :class:`~aegan.nn.steps.StepNetworks`, around whatever is known of them."""

from __future__ import annotations

import torch
from torch import Tensor

from aegan.nn.step_mixture import draw_mixture
from aegan.nn.step_scales import carried, earlier
from aegan.nn.step_weights import chances, draw_value
from aegan.nn.steps import FEATURES, Aside, StepNetworks

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
        condition: ``(B, D)``, or ``(B, T, D)`` where it differs by step; None for a net without one.
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
    start, off = 0, torch.zeros(count, 1, len(scales.spans) * channels, device=uniform.device)
    if prefix > 1:
        # What all know from the first step on is read at once.
        head, mask = out[:, :prefix], there.expand(-1, prefix, -1)
        behind, offs = carried(head, mask, scales.mean)[0], scales.off(head)
        state = net.recurrent(net.inputs(head, behind, earlier(behind), offs, mask, condition), state)[1]
        start, off = prefix, offs[:, -1:]
    mean = scales.mean.expand(count, 1, channels)

    def given(t: int) -> Tensor | None:
        """The condition at step ``t``."""
        return condition[:, t : t + 1] if condition is not None and condition.ndim == 3 else condition

    def before(t: int) -> tuple[Tensor, Tensor]:
        """The values one step and two steps before step ``t``."""
        past = mean if t == 0 else out[:, t - 1 : t]
        return past, past if t < 2 else out[:, t - 2 : t - 1]

    for t in range(start, steps):
        if t == 0:
            step, lately = (net.start.context(begin), None if aside is None else aside.first()), None
        else:
            past, older = before(t)
            ago = net.lagged(out[:, :t], t - 1, t)
            contexts = net.contexts(state.transpose(0, 1), past, *before(t - 1), off, there, given(t - 1), ago)
            own = None if aside is None else aside.rest(slice(t, t + 1), contexts, past)
            step, lately = (net.steps.context(contexts[:, 0]), own), (past[:, 0], older[:, 0], off[:, 0])
        out[:, t] = _draw_step(net, uniform[:, t], *step, lately, out[:, t], known[:, t])
        if t + 1 < steps:
            now, latest = out[:, t : t + 1], before(t)
            off = scales.off_next(now, latest[0], off) if t else off
            state = net.recurrent(net.inputs(now, *latest, off, there, given(t)), state)[1]
    return out


def _draw_step(
    net: StepNetworks,
    uniform: Tensor,
    context: Tensor,
    aside: tuple[Tensor, Tensor] | None,
    lately: tuple[Tensor, Tensor, Tensor] | None,
    x: Tensor,
    known: Tensor,
) -> Tensor:
    """One step ``(B, C)``, channel by channel.

    ``lately``: the two steps before, and how far the last one lay off its averages; None for the first step.
    """
    past, older, off = (None, None, None) if lately is None else lately
    scales, channels = net.scales, net.channels
    own = net.start if past is None else net.steps
    if aside is not None:
        context = context + aside[0]
    contexts = context.view(-1, channels, own.hidden)
    units = net.units(own, None if past is None or older is None else past - older)
    if past is None or older is None or off is None:
        linear = scales.mean.expand_as(x)
    else:
        linear = past + scales.move * (scales.lately(past, older, off) @ scales.past.T + scales.drift)
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
        elif scales.copy_of[c] >= 0:
            drawn = torch.where(known[:, c], x[:, c], scales.copied(out, c))
        else:
            numbers = own.one(c, contexts[:, c], seen[:, : c * FEATURES])
            numbers = numbers if aside is None else numbers + aside[1][:, c]
            parts = net.mixture(numbers, anchors, tuple(u[..., c] for u in units), own, c)
            reach = _reach(net, c, mean, None if past is None else past[:, c])
            if past is not None and scales.weighed[c]:
                drawn = draw_value(scales, c, uniform[:, c], chances(scales, c, parts), *reach)
            else:
                drawn = draw_mixture(uniform[:, c], *parts, *reach)
            drawn = _at_ends(net, scales.snapped(drawn, c), c)
            if past is not None:
                # Within a cell values count as one: what falls into that of the value before has not moved, where
                # values ever stay.
                for stay in (anchors[2], past[:, c]):
                    near = ((drawn - stay).abs() < scales.cell[c] / 2) & (scales.stays[c] | (stay != past[:, c]))
                    drawn = torch.where(near, stay, drawn)
                drawn = scales.snapped(drawn, c)
            drawn = torch.where(known[:, c], x[:, c], drawn)
        out[:, c] = drawn
        score = scales.score(drawn, c)
        if past is None:
            relative[:, c] = (drawn - scales.mean[c]) / scales.std[c]
            error = torch.asinh((drawn - predicted) / scales.same_unit[c])
            features = (score, torch.sin(2.0 * score), error, torch.cos(2.0 * score))
        else:
            relative[:, c] = (drawn - past[:, c]) / scales.move[c]
            error, bend = torch.asinh((drawn - predicted) / scales.unit[c]), net.bend(drawn - anchors[2], c)
            features = (score, torch.asinh(relative[:, c]), error, bend)
        seen[:, c * FEATURES : (c + 1) * FEATURES] = torch.stack(features, 1)
    return out


def _reach(net: StepNetworks, c: int, like: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
    """Between which values ``(B,)`` channel ``c`` may be drawn.

    An end of the range where many values lie is no limit: all that would lie beyond comes there, as in training. Else
    the mixture is cut off there, as in training too (behind the cell of the last value where values lie on a grid); and
    faint wide parts cannot jump over the whole range.
    """
    scales, margin = net.scales, net.scales.margin[c]
    low = torch.full_like(like, -torch.inf if scales.heap_low[c] else float(scales.low[c] - margin))
    high = torch.full_like(like, torch.inf if scales.heap_high[c] else float(scales.high[c] + margin))
    if past is None:
        return low, high
    least, most = past + BEYOND * scales.fall[c], past + BEYOND * scales.rise[c]
    return torch.where(least > scales.low[c], least, low), torch.where(most < scales.high[c], most, high)


def _at_ends(net: StepNetworks, x: Tensor, c: int) -> Tensor:
    """Values ``(B,)`` of channel ``c``; those in the cell of an end of the range where many lie are there."""
    scales, half = net.scales, net.scales.cell[c] / 2
    if scales.heap_low[c]:
        x = torch.where(x <= scales.low[c] + half, scales.low[c], x)
    return torch.where(x >= scales.high[c] - half, scales.high[c], x) if scales.heap_high[c] else x
