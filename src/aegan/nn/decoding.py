"""Texts from a decoder, token by token: drawn, the likeliest at each step, or the likeliest as a whole."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from aegan.nn.choice import GREEDY, METHODS, Decoding, choose
from aegan.nn.tokens import UNKNOWN, TokenDecoder, in_use

__all__ = ["GREEDY", "METHODS", "Decoding", "choose", "fill", "log_likelihoods", "write"]


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
        logits[:, UNKNOWN] = -torch.inf
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
        logits[:, UNKNOWN] = -torch.inf
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


def log_likelihoods(decoder: TokenDecoder, z: Tensor | None, x: Tensor) -> Tensor:
    """Logarithm of the probability ``(B, T)`` of each token of texts ``(B, T)`` and of their ends; 0 beyond."""
    used = in_use(x)
    logits = decoder.logits(decoder(z, x)[used])
    total = torch.zeros(x.shape, device=x.device)
    total[used] = -cross_entropy(logits, x[used], reduction="none")
    return total


def fill(
    decoder: TokenDecoder,
    z: Tensor | None,
    left: list[int],
    right: list[int],
    *,
    most: int,
    candidates: int,
    decoding: Decoding,
    generator: torch.Generator,
) -> list[int]:
    """Tokens for the gap between ``left`` and ``right``.

    What comes next is drawn some times, as if nothing were known of the right side; of everything that these draws
    begin with, up to ``most`` tokens, one is chosen by how likely it makes the right side (sampling, importance,
    resampling: Rubin 1987).

    Args:
        decoder: Gives the probabilities.
        z: Code of the text with its gap ``(1, D)``; None without a code.
        left: Tokens before the gap.
        right: Tokens after it, without the end.
        most: Tokens of the gap at most.
        candidates: Draws.
        decoding: How they are drawn.
        generator: Of the random numbers.
    """
    device, longest = decoder.bias.device, decoder.longest
    most = max(0, min(most, longest - 1 - len(left) - len(right)))
    wide = None if z is None else z.expand(candidates, -1)
    chances = torch.rand(candidates, longest, generator=generator).to(device)
    given = torch.tensor([left], dtype=torch.int64, device=device).expand(candidates, -1)
    drawn = write(decoder, wide, chances, decoding, count=candidates, given=given)
    gaps = sorted(
        {tuple(row[:n]) for row in drawn[:, len(left) :].tolist() for n in range(most + 1) if 0 not in row[:n]}
    )
    rows = torch.zeros(len(gaps), longest, dtype=torch.int64)
    for row, gap in zip(rows, gaps, strict=True):
        whole = [*left, *gap, *right]
        row[: len(whole)] = torch.tensor(whole, dtype=torch.int64)
    scores = []
    for part, some in zip(rows.split(256), torch.arange(len(gaps)).split(256), strict=True):
        each = log_likelihoods(decoder, None if z is None else z.expand(len(part), -1), part.to(device)).cpu()
        after = torch.arange(longest) >= torch.tensor([len(left) + len(gaps[i]) for i in some.tolist()])[:, None]
        scores.append((each * after).sum(1))
    chosen = torch.multinomial(torch.cat(scores).softmax(0), 1, generator=generator)
    return list(gaps[int(chosen)])
