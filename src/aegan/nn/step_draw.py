"""Series drawn from :class:`~aegan.nn.steps.StepNetworks`, around whatever is known of them."""

from __future__ import annotations

import torch
from torch import Tensor

from aegan.nn.steps import FEATURES, StepNetworks, draw_mixture


@torch.no_grad()
def draw_series(
    net: StepNetworks,
    uniform: Tensor,
    condition: Tensor | None,
    *,
    x: Tensor | None = None,
    known: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    """Series ``(B, T, C)``, step by step.

    Args:
        net: The distribution.
        uniform: A number of [0, 1] for each value, ``(B, T, C)``; NaN-free also where values are known.
        condition: ``(B, D)``, or None for a net without one.
        x: Series ``(B, T, C)``; only known values are read.
        known: Bool ``(B, T, C)``; known values are kept.
        shift: ``(B, T, C hidden)``, added to what the channels' networks see, as knowledge of later steps is.
    """
    count, steps, channels = uniform.shape
    scales = net.scales
    out = torch.zeros(count, steps, channels, device=uniform.device) if x is None or known is None else x.clone()
    known = torch.zeros(uniform.shape, dtype=torch.bool, device=uniform.device) if known is None else known
    given = net._given(condition, count, uniform.device)
    whole = known.all(2).all(0)
    prefix = int(whole.long().cumprod(0).sum())
    before = scales.mean.expand(count, channels)
    state = net.begin(given)[None]
    everything = torch.ones(count, 1, channels, dtype=torch.bool, device=uniform.device)
    for t in range(steps):
        if t >= prefix:
            own = None if shift is None else shift[:, t]
            if t == 0:
                context = net.start.context(given)
                out[:, 0] = _draw_step(net, uniform[:, 0], context, None, out[:, 0], known[:, 0], own)
            else:
                context = net.contexts(
                    state.transpose(0, 1), torch.stack([out[:, t - 1], before], 1), torch.stack([before_last, before], 1),
                    everything.expand(-1, 2, -1), condition,
                )[:, 0]
                out[:, t] = _draw_step(net, uniform[:, t], net.steps.context(context), before, out[:, t], known[:, t], own)
        now = out[:, t]
        if t + 1 < steps:
            state = net.recurrent(net.inputs(now[:, None], before[:, None], everything, condition), state)[1]
        before_last, before = before, now
    return out


def _draw_step(
    net: StepNetworks,
    uniform: Tensor,
    context: Tensor,
    past: Tensor | None,
    x: Tensor,
    known: Tensor,
    shift: Tensor | None,
) -> Tensor:
    """One step ``(B, C)``, channel by channel; ``past`` is the step before, None for the first."""
    scales, channels = net.scales, net.channels
    own = net.start if past is None else net.steps
    if shift is not None:
        context = context + (net._doubled(shift) if past is None else shift)
    contexts = context.view(-1, channels, own.hidden)
    units = net._units(own)
    value = torch.zeros_like(x) if past is None else (past - scales.mean) / scales.std
    linear = scales.mean.expand_as(x) if past is None else past + scales.move * (value @ scales.past.T + scales.drift)
    weights = scales.same if past is None else scales.now
    out, relative = torch.empty_like(x), torch.zeros_like(x)
    seen = torch.empty(len(x), channels * FEATURES, device=x.device)
    for c in range(channels):
        factor = scales.std[c] if past is None else scales.move[c]
        predicted = linear[:, c] + factor * (relative[:, :c] @ weights[c, :c])
        mean = scales.mean[c].expand(len(x))
        anchors = (mean if past is None else past[:, c], predicted, mean)
        if bool(known[:, c].all()):
            drawn = x[:, c]
        else:
            numbers = own.one(c, contexts[:, c], seen[:, : c * FEATURES])
            parts = net._mixture(numbers, anchors, tuple(u[c] for u in units), scales.cell[c], own)
            drawn = torch.where(known[:, c], x[:, c], scales.snapped(draw_mixture(uniform[:, c], *parts), c))
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
