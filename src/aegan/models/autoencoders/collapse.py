"""Collapse by name: statistics of codes, and what they say in plain words with a remedy.

A collapsed posterior carries no information on the data, because the decoder manages without; a collapsed codebook
uses few of its codes. Both train without an error, so they have to be looked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

ACTIVE = 0.01
"""A dimension is active if its mean varies by more than this over the data (Burda et al. 2016, arXiv 1509.00519)."""
_LEAST_INFORMATION = 0.1
_LEAST_ACTIVE = 0.1
_LEAST_PERPLEXITY = 0.1
_LEAST_USAGE = 0.25


@dataclass(frozen=True, kw_only=True)
class PosteriorStatistics:
    """What the codes' distributions say about the data.

    Attributes:
        kl: KL divergence from the prior per dimension, nats.
        active: Dimensions whose mean varies over the data by more than :data:`ACTIVE`.
        mutual_information: Nats that a code tells about its sample; an estimate that cannot exceed log N.
    """

    kl: tuple[float, ...]
    active: int
    mutual_information: float


@dataclass(frozen=True, kw_only=True)
class CodebookStatistics:
    """How a codebook is used.

    Attributes:
        size: Codes there are.
        vectors: Tokens that were looked at.
        usage: Part of the codes that occur at least once.
        perplexity: Exponential of the entropy of the codes' frequencies: the number of codes in effective use.
    """

    size: int
    vectors: int
    usage: float
    perplexity: float


@torch.no_grad()
def posterior_statistics(mu: Tensor, logvar: Tensor) -> PosteriorStatistics:
    """Statistics of the posteriors of N samples.

    The mutual information is E[log q(z|x) - log 1/N Σ q(z|xⱼ)] with one code drawn for each sample (Hoffman &
    Johnson 2016, "ELBO surgery").

    Args:
        mu: Means ``(N, D)``.
        logvar: Log-variances ``(N, D)``.

    >>> found = posterior_statistics(torch.zeros(8, 2), torch.zeros(8, 2))
    >>> found.active, abs(found.mutual_information) < 1e-6
    (0, True)
    """
    mu, logvar = mu.float(), logvar.float()
    z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
    # log q(z_i | x_j), up to the constant that cancels; row by row, for N x N x D would not fit.
    density = torch.stack([-0.5 * ((row - mu).square() / logvar.exp() + logvar).sum(1) for row in z]).double()
    information = density.diagonal() - torch.logsumexp(density, 1) + math.log(len(z))
    spread = mu.var(0) if len(mu) > 1 else torch.zeros(mu.shape[1])
    return PosteriorStatistics(
        kl=tuple((0.5 * (mu.square() + logvar.exp() - 1.0 - logvar)).mean(0).tolist()),
        active=int((spread > ACTIVE).sum()),
        mutual_information=float(information.mean()),
    )


def posterior_verdict(found: PosteriorStatistics) -> tuple[str, ...]:
    """What is wrong, with the remedy; empty for a healthy posterior."""
    dim = len(found.kl)
    figures = (
        f"{found.active} of {dim} dimensions are active, the divergence is {sum(found.kl):.3g} nats and a code tells "
        f"{max(found.mutual_information, 0.0):.2g} nats about its sample"
    )
    if found.active == 0 or found.mutual_information < _LEAST_INFORMATION:
        return (
            f"Posterior collapse: the decoder ignores the code ({figures}). Remedies: a lower `beta`, a cyclical one "
            "(`beta_cycle`, a few thousand steps), or `free_bits=0.5`.",
        )
    if found.active < _LEAST_ACTIVE * dim:
        return (
            f"Partial posterior collapse: most of the code is unused ({figures}). Remedies: `free_bits=0.5` or a "
            "lower `beta`; a smaller `latent_dim`, if the data are that simple.",
        )
    return ()


@torch.no_grad()
def codebook_statistics(tokens: Tensor, size: int) -> CodebookStatistics:
    """Statistics of tokens int64 of any shape, drawn from ``size`` codes.

    >>> found = codebook_statistics(torch.tensor([0, 0, 1, 1]), 4)
    >>> found.usage, round(found.perplexity, 4)
    (0.5, 2.0)
    """
    counts = torch.bincount(tokens.flatten(), minlength=size).double()
    used = counts[counts > 0] / counts.sum()
    entropy = -(used * used.log()).sum()
    return CodebookStatistics(
        size=size, vectors=tokens.numel(), usage=len(used) / size, perplexity=float(entropy.exp())
    )


def codebook_verdict(found: CodebookStatistics, *, remedy: str) -> tuple[str, ...]:
    """What is wrong, followed by ``remedy``; empty for a codebook in good use."""
    # Even draws from all codes would show this many of them.
    attainable = found.size * (1.0 - (1.0 - 1.0 / found.size) ** found.vectors)
    used, effective = found.usage * found.size / attainable, found.perplexity / attainable
    if used >= _LEAST_USAGE and effective >= _LEAST_PERPLEXITY and found.perplexity > 1.5:
        return ()
    return (
        f"Codebook collapse: of {found.size} codes {found.usage:.0%} occur in {found.vectors:,} tokens, and "
        f"{found.perplexity:.3g} are in effective use. Remedies: {remedy}.",
    )
