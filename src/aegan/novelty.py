"""What a run was fitted on, kept as fingerprints, so that samples can be drawn none of which was among it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from aegan.errors import ConfigError, RunError
from aegan.storage import write_atomically

FILE = "fitted.safetensors"
"""In a run's folder: eight bytes for each different sample that it was fitted on."""
DRAWS = 100
"""How often a sample is drawn at most before there is nothing new to be had."""
_STRIDE = 982_451_653


def fingerprints(samples: Sequence[str]) -> Tensor:
    """int64 ``(N,)``, the same for the same text alone (but for a chance of about N in 10^19).

    >>> bool((fingerprints(["a", "b", "a"])[[0, 1]] == fingerprints(["a", "b"])).all())
    True
    """
    digests = (hashlib.blake2b(s.encode("utf-8", "surrogatepass"), digest_size=8).digest() for s in samples)
    return torch.tensor([int.from_bytes(d, "little", signed=True) for d in digests], dtype=torch.int64)


def write_fitted(folder: Path, samples: Sequence[str]) -> None:
    """Keep the fingerprints of ``samples`` in a run's folder."""
    content = save({"fingerprints": torch.unique(fingerprints(samples))})
    write_atomically(folder / FILE, lambda path: path.write_bytes(content))


def read_fitted(folder: Path) -> Tensor:
    """The fingerprints that :func:`write_fitted` kept, in ascending order.

    Raises:
        ConfigError: None were kept.
        RunError: The file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        raise ConfigError(
            f"{folder}: the run does not know what it was fitted on ({FILE} is missing; runs of earlier versions have "
            "none), so new samples cannot be told. Leave --new out, or fit again."
        )
    try:
        return load(path.read_bytes())["fingerprints"]
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}). Restore it from a copy, or fit again.") from error


def replaced(
    samples: Tensor,
    known: Tensor,
    prints: Callable[[Tensor], Tensor],
    draw: Callable[[Tensor, int], Tensor],
    where: str,
) -> Tensor:
    """``samples`` ``(N, …)`` with those that are ``known`` drawn again until they are not.

    Args:
        samples: As they were drawn first.
        known: Fingerprints in ascending order.
        prints: Fingerprints of samples.
        draw: Samples of these positions ``(M,)``, given how often they were drawn before, from 1 on.
        where: Whose they are, for the message.

    Raises:
        ConfigError: Some are known however often they are drawn.
    """
    samples = samples.clone()
    wrong = torch.arange(len(samples))[_among(prints(samples), known)]
    for again in range(1, DRAWS):
        if not len(wrong):
            return samples
        drawn = draw(wrong, again)
        samples[wrong] = drawn
        wrong = wrong[_among(prints(drawn), known)]
    if len(wrong):
        raise ConfigError(
            f"{where}: {len(wrong)} of {len(samples)} samples were among the fitted ones each of {DRAWS} times they "
            "were drawn: the model knows little else. Raise --temperature, fit on more data, or leave --new out."
        )
    return samples


def other_seed(seed: int, again: int) -> int:
    """The seed of the ``again``-th draw of samples whose first one was of ``seed``."""
    return (seed + again * _STRIDE) % 2**62


def _among(prints: Tensor, known: Tensor) -> Tensor:
    if not len(known):
        return torch.zeros(len(prints), dtype=torch.bool)
    place = torch.searchsorted(known, prints).clamp(max=len(known) - 1)
    return known[place] == prints
