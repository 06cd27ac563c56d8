"""Chances of values under mixtures of logistic distributions over cells, and draws from them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus


class LogChance(torch.autograd.Function):
    """Logarithm of the probability of the cells around values under mixtures of logistics.

    The lowest cell reaches down without end, the highest one up. Its gradient is spelt out: there are some forty
    passes over all parts otherwise, which would take most of a step's time.

    Args:
        x: Values ``(...)``.
        logits, centres, widths: Of the parts, ``(..., K)``.
        cell: Width of the cells, ``(...)`` or what broadcasts to it.
        lowest, highest: Bool ``(...)``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        logits: Tensor,
        centres: Tensor,
        widths: Tensor,
        cell: Tensor,
        lowest: Tensor,
        highest: Tensor,
    ) -> Tensor:
        inverse = widths.reciprocal()
        half = (cell / 2)[..., None]
        offset = x[..., None] - centres
        above, below = (offset + half).mul_(inverse), offset.sub_(half).mul_(inverse)
        ratio = 2.0 * half * inverse
        down, up = lowest[..., None], highest[..., None]
        share = logits.log_softmax(-1)
        part = share - softplus(-above).masked_fill_(up, 0.0) - softplus(below).masked_fill_(down, 0.0)
        part += torch.log(-torch.expm1(-ratio)).masked_fill_(down | up, 0.0)
        total = part.logsumexp(-1)
        # Gradients of the parts' own logarithms, then of the whole.
        rest = (1.0 - above.sigmoid()).masked_fill_(up, 0.0)
        under = below.sigmoid().masked_fill_(down, 0.0)
        chance = (part - total[..., None]).exp_()
        place = (under - rest).mul_(inverse).mul_(chance)
        edge = (ratio / torch.expm1(ratio)).masked_fill_(down | up, 0.0)
        width = (below.mul_(under) - above.mul_(rest) - edge).mul_(inverse).mul_(chance)
        ctx.save_for_backward(chance.sub_(share.exp_()), place, width)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad = grads[0][..., None]
        logits, place, width = (saved * grad for saved in ctx.saved_tensors)
        return None, logits, place, width, None, None, None


def draw_mixture(uniform: Tensor, logits: Tensor, centres: Tensor, widths: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Values ``(B,)`` between ``low`` and ``high``, which may be infinite, of mixtures ``(B, K)``.

    A number of [0, 1] picks the part, what is left of it the place.
    """
    first = torch.sigmoid((low[:, None] - centres).double() / widths)
    last = torch.sigmoid((high[:, None] - centres).double() / widths)
    ends = (logits.double().softmax(-1) * (last - first).clamp_min(0.0)).cumsum(-1)
    target = uniform.double() * ends[:, -1]
    k = torch.searchsorted(ends, target[:, None], right=True).clamp_(max=ends.shape[1] - 1)
    end = ends.gather(1, k)
    begin = torch.where(k > 0, ends.gather(1, (k - 1).clamp_(min=0)), 0.0)
    place = (target[:, None] - begin) / (end - begin).clamp_min(1e-30)
    first, last = first.gather(1, k), last.gather(1, k)
    within = (first + (last - first) * place).clamp_(1e-7, 1.0 - 1e-7)
    drawn = (centres.gather(1, k) + widths.gather(1, k) * torch.logit(within)).float().squeeze(1)
    return torch.minimum(torch.maximum(drawn, low), high)
