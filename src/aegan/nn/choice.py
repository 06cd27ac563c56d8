"""Which token comes next: drawn, the likeliest, or by a search.

References: Holtzman et al. 2020, "The curious case of neural text degeneration" (arXiv 1904.09751) for draws from the
likeliest tokens that make up a given probability (top-p).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aegan.errors import ConfigError

METHODS = ("sample", "greedy", "beam")


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How tokens are chosen.

    Attributes:
        method: ``"sample"``: drawn; ``"greedy"``: the likeliest at each step; ``"beam"``: the likeliest text that a
            search along ``beams`` ways finds.
        temperature: What logits are divided by before a draw: below 1 the likely becomes likelier.
        top_p: Draws are from the likeliest tokens that together have at least this probability.
        beams: Ways that a search follows.
    """

    method: str = "sample"
    temperature: float = 1.0
    top_p: float = 1.0
    beams: int = 5

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"method is {self.method!r}; expected one of {', '.join(METHODS)}.")
        if not 0 < self.temperature <= 10:
            raise ConfigError(f"temperature: a number above 0 and at most 10 expected, got {self.temperature}.")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p: a number above 0 and at most 1 expected, got {self.top_p}.")
        if isinstance(self.beams, bool) or not isinstance(self.beams, int) or not 1 <= self.beams <= 100:
            raise ConfigError(f"beams: a whole number from 1 to 100 expected, got {self.beams}.")


GREEDY = Decoding(method="greedy")


def choose(logits: Tensor, chance: Tensor, decoding: Decoding) -> Tensor:
    """Tokens ``(B,)`` of logits ``(B, V)``, drawn by numbers of [0, 1] ``(B,)``.

    >>> choose(torch.tensor([[0.0, 9.0, 8.0]]), torch.tensor([0.99]), Decoding(top_p=0.5)).tolist()
    [1]
    """
    if decoding.method == "greedy":
        return logits.argmax(1)
    probabilities = (logits / decoding.temperature).softmax(1)
    if decoding.top_p < 1:
        ranked, order = probabilities.sort(dim=1, descending=True, stable=True)
        beyond = ranked.cumsum(1) - ranked >= decoding.top_p
        probabilities = probabilities.masked_fill(torch.zeros_like(beyond).scatter_(1, order, beyond), 0.0)
    ends = probabilities.cumsum(1)
    # Below the last end there is always a token that is not impossible; at it, none.
    target = torch.minimum(chance * ends[:, -1], torch.nextafter(ends[:, -1], ends.new_zeros(())))
    return torch.searchsorted(ends, target[:, None], right=True)[:, 0].clamp_(max=logits.shape[1] - 1)
