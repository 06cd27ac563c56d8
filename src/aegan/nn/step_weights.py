"""Weights of values, for channels that have few: each is drawn as often as it occurs.

Mixtures of logistics are smooth. A value that hardly ever comes, right beside one that often does, takes its share of
the parts around the other; drawn series have it far too often then. After training each value's chance is multiplied
by a number of its own, such that on the data, each step given the real ones before, every value is expected as often
as it is observed.

Reference: Darroch and Ratcliff 1972, "Generalized iterative scaling for log-linear models", whose step this is.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from aegan.nn.step_scales import StepScales, carried
from aegan.nn.steps import StepNetworks

ROUNDS = 50
"""Steps of scaling."""
FURTHEST = 8.0
"""Logarithms of weights lie within this of zero."""
AT_ONCE = 2_048
"""Steps whose networks are looked at together."""


def chances(scales: StepScales, c: int, parts: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Chance of each value of channel ``c``, float64 ``(N, V)``, under mixtures of parts ``(N, K)``, unweighted."""
    logits, centres, widths = (part.double() for part in parts)
    count = scales.count(c)
    edges = scales.low[c] + scales.cell[c] * (torch.arange(count + 1, device=logits.device) - 0.5)
    below = torch.sigmoid((edges[:, None].double() - centres[:, None]) / widths[:, None])
    below = (below * logits.softmax(-1)[:, None]).sum(-1)
    # What lies beyond an end counts there, where many values do.
    if scales.heap_low[c]:
        below[:, 0] = 0.0
    if scales.heap_high[c]:
        below[:, -1] = 1.0
    return below.diff(dim=1).clamp_min(0.0)


def draw_value(scales: StepScales, c: int, uniform: Tensor, chance: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Values ``(B,)`` of channel ``c`` between ``low`` and ``high`` by their chances ``(B, V)`` times their weights."""
    values = scales.low[c] + scales.cell[c] * torch.arange(chance.shape[1], device=chance.device)
    half = scales.cell[c] / 2
    # Values before may lie off the range, so that what can be reached does, too: the end is nearest then.
    low, high = low.clamp(max=float(values[-1])), high.clamp(min=float(values[0]))
    within = (values >= low[:, None] - half) & (values <= high[:, None] + half)
    # Where none of these has a chance, all have the same.
    weighed = (chance * scales.weights[c, : chance.shape[1]].double().exp() + 1e-30) * within
    ends = weighed.cumsum(1)
    at = torch.searchsorted(ends, uniform.double()[:, None] * ends[:, -1:], right=True).clamp_(max=len(values) - 1)
    return values[at.squeeze(1)]


@torch.no_grad()
def fit_weights(net: StepNetworks, x: Tensor, mask: Tensor, condition: Tensor | None) -> None:
    """Weights of the values of all channels that have few, from series ``(N, T, C)``, of which some steps are enough.

    Likelihoods are told without them; what is drawn follows them, behind the first step of a series.
    """
    scales, (_, steps, channels) = net.scales, x.shape
    few = [c for c in range(channels) if scales.few(c)]
    if not few or steps < 2:
        return
    # The mixtures are kept: of many channels the chances of all values would take gigabytes.
    found: dict[int, list[tuple[Tensor, ...]]] = {c: [] for c in few}
    for rows in torch.arange(len(x), device=x.device).split(max(1, AT_ONCE // steps)):
        part, there = x[rows], mask[rows]
        given = None if condition is None else condition[rows]
        now, numbers, anchors, units = net.behind(part, there, *carried(part, there, scales.mean), given)
        parts = net.mixture(numbers, anchors, units, net.steps)
        for c in few:
            seen = there[:, 1:, c].flatten()
            found[c].append((scales.number(now[seen, c], c), *(one[seen, c] for one in parts)))
    for c in few:
        observed, *parts = (torch.cat(kept) for kept in zip(*found[c], strict=True))
        if len(observed) == 0:
            continue
        chance = torch.cat(
            [chances(scales, c, (logits, centres, widths)).float() for logits, centres, widths in _blocks(parts)]
        )
        scales.weights[c] = 0.0
        scales.weights[c, : scales.count(c)] = _scaled(chance, observed)
        scales.weighed[c] = True


def _blocks(parts: list[Tensor]) -> Iterator[tuple[Tensor, ...]]:
    return zip(*(part.split(AT_ONCE) for part in parts), strict=True)


def _scaled(chance: Tensor, observed: Tensor) -> Tensor:
    """Logarithms of weights ``(V,)`` for chances ``(N, V)`` of steps that have values number ``observed`` ``(N,)``."""
    share = torch.bincount(observed, minlength=chance.shape[1]).to(chance) / len(observed)
    # What was never seen in these steps is not said to be impossible.
    least = 0.5 / len(observed)
    weights = torch.zeros_like(share)
    for _ in range(ROUNDS):
        weighed = chance * weights.exp()
        expected = (weighed / weighed.sum(1, keepdim=True).clamp_min(1e-30)).mean(0)
        weights = (weights + ((share + least) / (expected + least)).log()).clamp_(-FURTHEST, FURTHEST)
    return weights
