"""Normal scores: where values stand among all of a channel, on the scale of a normal distribution.

Of a channel with a long tail most values lie so close together, in standard deviations, that a network hardly tells
them apart; by their scores it does.
"""

from __future__ import annotations

import torch
from torch import Tensor

KNOTS = 33
"""Values at most whose scores are kept; between them scores are interpolated."""
FURTHEST = 3.2
"""Score of the outermost knots but for the least and the greatest value."""


def normal_scores(values: Tensor) -> tuple[Tensor, Tensor]:
    """Knots ``(KNOTS,)``, ascending, and their scores, of values ``(N,)``, N at least 1; computed in float64.

    A value's score is the quantile of the standard normal distribution at the share of lesser values and half of the
    equal ones.

    >>> knots, scores = normal_scores(torch.tensor([0.0, 0.0, 1.0, 8.0]))
    >>> knots[:4].tolist(), [round(score, 2) for score in scores[:4].tolist()]
    ([0.0, 1.0, 8.0, 8.0], [-0.67, 0.32, 1.15, 1.15])
    """
    unique, counts = torch.unique(values.double(), return_counts=True)
    share = (counts.cumsum(0) - counts / 2) / counts.sum()
    if len(unique) > KNOTS:
        wanted = torch.special.ndtr(torch.linspace(-FURTHEST, FURTHEST, KNOTS - 2, dtype=torch.float64))
        inner = torch.searchsorted(share, wanted.to(share.device)).clamp(max=len(unique) - 1)
        kept = torch.unique(torch.cat([inner.new_tensor([0, len(unique) - 1]), inner]))
        unique, share = unique[kept], share[kept]
    scores = torch.special.ndtri(share)
    rest = KNOTS - len(unique)
    return torch.cat([unique, unique[-1:].expand(rest)]), torch.cat([scores, scores[-1:].expand(rest)])


def scored(x: Tensor, knots: Tensor, scores: Tensor) -> Tensor:
    """Scores of values ``x`` ``(..., C)``, from the knots ``(C, K)`` of each channel and theirs; constant beyond them.

    >>> knots, scores = normal_scores(torch.tensor([0.0, 0.0, 1.0, 8.0]))
    >>> scored(torch.tensor([[-5.0], [0.5], [1.0], [9.0]]), knots[None].float(), scores[None].float()).flatten().round(
    ...     decimals=2).tolist()
    [-0.6700000166893005, -0.18000000715255737, 0.3199999928474426, 1.149999976158142]
    """
    columns = x.reshape(-1, x.shape[-1]).T.contiguous()
    right = torch.searchsorted(knots, columns, right=True).clamp_(1, knots.shape[1] - 1)
    low, high = knots.gather(1, right - 1), knots.gather(1, right)
    share = ((columns - low) / (high - low).clamp(min=1e-30)).clamp_(0.0, 1.0)
    return torch.lerp(scores.gather(1, right - 1), scores.gather(1, right), share).T.reshape(x.shape)
