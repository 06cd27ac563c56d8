"""Texts from a decoder, token by token: drawn, the likeliest at each step, or the likeliest as a whole.

References: Holtzman et al. 2020, "The curious case of neural text degeneration" (arXiv 1904.09751) for draws from the
likeliest tokens that make up a given probability (top-p).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aegan.errors import ConfigError
from aegan.nn.tokens import TokenDecoder

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


def write(
    decoder: TokenDecoder,
    z: Tensor | None,
    chances: Tensor | None,
    decoding: Decoding,
    *,
    count: int = 0,
    given: Tensor | None = None,
) -> Tensor:
    """Texts ``(B, T)`` int64 of codes.

    Args:
        decoder: Gives the logits.
        z: Codes ``(B, D)``; None without a code.
        chances: Numbers of [0, 1] ``(B, T)`` that tokens are drawn by; not read unless ``method`` is ``"sample"``.
        decoding: How tokens are chosen.
        count: B, where there are neither codes nor chances.
        given: Tokens ``(B, P)`` that every text begins with.
    """
    count = len(z) if z is not None else len(chances) if chances is not None else count
    if decoding.method == "beam":
        return _beam(decoder, z, count, decoding.beams, given)
    x = torch.zeros(count, decoder.longest, dtype=torch.int64, device=decoder.bias.device)
    over = torch.zeros(count, dtype=torch.bool, device=x.device)
    state, token = decoder.begin(z, count), None
    for t in range(decoder.longest - 1):  # the last one is an end in any case
        logits, state = decoder.step(state, token, z)
        if given is not None and t < given.shape[1]:
            token = given[:, t]
        else:
            chance = logits.new_zeros(count) if chances is None else chances[:, t]
            token = choose(logits, chance, decoding).masked_fill(over, 0)
            over |= token == 0
        x[:, t] = token
        if bool(over.all()):
            break
    return x


def _beam(decoder: TokenDecoder, z: Tensor | None, count: int, beams: int, given: Tensor | None) -> Tensor:
    """The likeliest texts found along ``beams`` ways, by log-likelihood, the end included."""
    device = decoder.bias.device
    wide = None if z is None else z.repeat_interleave(beams, 0)
    state, token = decoder.begin(wide, count * beams), None
    x = torch.zeros(count, beams, decoder.longest, dtype=torch.int64, device=device)
    # All ways are the same at first: one of them counts.
    score = torch.full((count, beams), -torch.inf, device=device)
    score[:, 0] = 0.0
    over = torch.zeros(count, beams, dtype=torch.bool, device=device)
    first = torch.arange(count, device=device)[:, None] * beams
    for t in range(decoder.longest - 1):
        logits, state = decoder.step(state, token, wide)
        if given is not None and t < given.shape[1]:
            token = given[:, t].repeat_interleave(beams, 0)
            x[:, :, t] = token.view(count, beams)
            continue
        step = logits.log_softmax(1).view(count, beams, -1)
        # A text that is over goes on with ends, at no cost.
        ends = torch.full_like(step, -torch.inf)
        ends[..., 0] = 0.0
        total = score[..., None] + torch.where(over[..., None], ends, step)
        score, place = total.flatten(1).topk(beams, dim=1)
        way, token = place // decoder.vocabulary, place % decoder.vocabulary
        x = x.gather(1, way[..., None].expand_as(x))
        over = over.gather(1, way) | (token == 0)
        x[:, :, t] = token
        kept = (first + way).flatten()
        state, token = [part[kept] for part in state], token.flatten()
        if bool(over.all()):
            break
    return x[:, 0]
