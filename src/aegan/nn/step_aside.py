"""What else is known of a series: values after a gap, or a smooth shape of the whole; it moves the next step's chances.

The distribution of a step given those before it stays as it was learnt; a second network adds to it what follows from
later values. Where nothing is known it adds nothing, so that draws without any such knowledge are not touched.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aegan.nn.init import activation, linear
from aegan.nn.mlp import ResidualLayer
from aegan.nn.step_scales import StepScales
from aegan.nn.steps import StepNetworks


class AsideNetwork(nn.Module):
    """Later values of series to what they change for each step.

    Args:
        steps: The distribution that is moved; its sizes alone are read here.
        state: Units of the recurrent network that reads the known values from the end.
        width: Units of the layers between.
    """

    def __init__(self, steps: StepNetworks, *, state: int, width: int) -> None:
        super().__init__()
        channels, parts = steps.channels, 3 * sum(steps.steps.parts)
        self.channels = channels
        self.backward_states = nn.GRU(2 * channels, state, batch_first=True)
        self.stem = linear(state + 4 * channels + steps.steps.context.in_features, width)
        self.layer = ResidualLayer(width)
        self.shift = linear(width, channels * steps.steps.hidden, gain=0.0)
        self.numbers = linear(width, channels * parts, gain=0.0)
        self.first_stem = linear(state + 4 * channels, width)
        self.first_layer = ResidualLayer(width)
        self.first_shift = linear(width, channels * steps.start.hidden, gain=0.0)
        self.first_numbers = linear(width, channels * 3 * sum(steps.start.parts), gain=0.0)

    def forward(self, scales: StepScales, x: Tensor, known: Tensor) -> Known:
        """Values ``x`` ``(B, T, C)`` where ``known`` ``(B, T, C)``, as the networks of the steps take them."""
        return Known(self, scales, x, known)


class Known:
    """Known values of series, for :class:`~aegan.nn.steps.StepNetworks`; see :class:`AsideNetwork`."""

    def __init__(self, net: AsideNetwork, scales: StepScales, x: Tensor, known: Tensor) -> None:
        self.net, self.scales = net, scales
        value = torch.where(known, (x - scales.mean) / scales.std, 0.0)
        states = net.backward_states(torch.cat([value, known.to(x.dtype)], 2).flip(1))[0].flip(1)
        steps = torch.arange(x.shape[1], device=x.device)[None, :, None]
        # The first step at or behind this one that is known, from the end on.
        later = torch.where(known, steps, x.shape[1]).flip(1).cummin(1).values.flip(1)
        self.there = (later < x.shape[1]).to(x.dtype)
        self.value = x.gather(1, later.clamp(max=x.shape[1] - 1))
        near = self.there / (1.0 + (later - steps))
        standard = self.there * (self.value - scales.mean) / scales.std
        self.features = torch.cat([states, self.there, near, standard], 2)
        self.any = self.there.amax(2, keepdim=True)

    def first(self) -> tuple[Tensor, Tensor]:
        """For the first step: shifts ``(B, C hidden)`` and numbers ``(B, C, 3 K)``."""
        net, scales = self.net, self.scales
        distance = self.there[:, 0] * (self.value[:, 0] - scales.mean) / scales.std
        h = net.first_layer(net.first_stem(torch.cat([self.features[:, 0], distance], 1)))
        return self._given(h, self.any[:, 0], net.first_shift, net.first_numbers)

    def rest(self, steps: slice, contexts: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """For steps behind the first, from contexts ``(B, T, D)`` and values before ``(B, T, C)``; a row a step."""
        net = self.net
        distance = self.there[:, steps] * torch.asinh((self.value[:, steps] - past) / self.scales.move)
        h = net.layer(net.stem(torch.cat([self.features[:, steps], distance, contexts], 2).flatten(0, 1)))
        return self._given(h, self.any[:, steps].flatten(0, 1), net.shift, net.numbers)

    def _given(self, h: Tensor, there: Tensor, shift: nn.Linear, numbers: nn.Linear) -> tuple[Tensor, Tensor]:
        h = activation(h)
        return shift(h) * there, (numbers(h) * there).unflatten(1, (self.net.channels, -1))


def random_known(mask: Tensor) -> Tensor:
    """What of series is taken to be known in a training step, bool ``(B, T, C)`` within ``mask``.

    A third each: a stretch of time is unknown, in all channels or in some; values here and there; whole channels, or
    the steps up to some point.
    """
    count, steps, channels = mask.shape
    draw = torch.rand(count, 6, device=mask.device)
    at = torch.arange(steps, device=mask.device)[None, :, None]
    ends = (draw[:, :2] * (steps + 1)).floor().sort(1).values[:, :, None]
    stretch = (at >= ends[:, :1]) & (at < ends[:, 1:])
    some = (
        torch.rand(count, 1, channels, device=mask.device)
        < torch.where(draw[:, 2] < 0.5, 2.0, draw[:, 3])[:, None, None]
    )
    spots = torch.rand(count, steps, channels, device=mask.device) < draw[:, 3, None, None]
    early = at < ends[:, 1:]
    kind = draw[:, 4, None, None]
    unknown = torch.where(
        kind < 1 / 3, stretch & some, torch.where(kind < 2 / 3, spots, some & (early | (draw[:, 5, None, None] < 0.5)))
    )
    return mask & ~unknown
