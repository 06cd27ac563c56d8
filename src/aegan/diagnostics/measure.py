"""Values of one look at a pair of networks: what the doctor and the trainer's probe share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from aegan.diagnostics.balance import (
    Judge,
    accuracy,
    input_slopes,
    separation,
    sign_statistic,
    spectral_norms,
)
from aegan.diagnostics.collapse import birthday, energy_distance, variety
from aegan.diagnostics.data import data_facts, keys, outside
from aegan.diagnostics.gradients import first_non_finite
from aegan.diagnostics.jacobian import generator_spectrum

ROWS = 256
"""Samples on each side that mode collapse is looked for in."""
JUDGED = 128
"""Samples on each side that the discriminator is asked about."""
POINTS = 4
"""Places at which the generator's Jacobian is taken."""


def logits_of(judge: Judge, x: Tensor) -> Tensor:
    """Logits float32 ``(B,)`` of samples, the mean over patches where there are several a sample."""
    logits = judge(x)
    if not isinstance(logits, Tensor):
        raise TypeError(
            f"the discriminator returns {type(logits).__name__}; one tensor of logits expected. Give the doctor a "
            "function that does: judge=lambda x: ..."
        )
    if logits.ndim == 0 or len(logits) != len(x):
        raise ValueError(
            f"the discriminator returns {tuple(logits.shape)} for {len(x)} samples, as if it took their mean; a logit "
            "a sample expected. Give the doctor a function that returns them: judge=lambda x: ..."
        )
    logits = logits.float()
    return logits.flatten(1).mean(1) if logits.ndim > 1 else logits


def as_given(x: Tensor) -> Tensor:
    """Data in the precision in which the training has them; whole numbers as float32."""
    return x.detach() if x.is_floating_point() else x.detach().float()


def spacing(real: Tensor) -> float | None:
    """Median distance of two samples ``(B, ...)``; None with fewer than two different ones.

    >>> spacing(torch.tensor([[0.0], [2.0]])), spacing(torch.ones(3, 1)), spacing(torch.ones(1, 1))
    (2.0, None, None)
    """
    gaps = (real.flatten(1) - real.roll(1, 0).flatten(1)).norm(dim=1)
    return float(gaps.median()) if bool(gaps.any()) else None


def as_weights(network: nn.Module | None, x: Tensor) -> Tensor:
    """Data in the precision of a network's weights, which outside of autocast takes no other; as they are without."""
    kinds = [] if network is None else [p.dtype for p in network.parameters() if p.is_floating_point()]
    return x.detach().to(kinds[0]) if kinds and x.is_floating_point() else x


def judged_values(
    judge: Judge, real: Tensor, fake: Tensor, holdout: Tensor | None = None, *, scale: float | None = None
) -> tuple[dict[str, float], str | None]:
    """How the discriminator rates real, fake and unseen data, and how steeply; run it within ``aside``.

    Args:
        judge: Samples to logits.
        real: ``(B, ...)``.
        fake: ``(B', ...)``.
        holdout: Real data that the discriminator never learns from.
        scale: Distance of two real samples, the unit of slopes; that of ``real``'s own when left out. There are no
            slopes where neither has two that differ.

    Returns:
        Values, and where a sample or a logit is not finite; no values then, which would compare what has no order.
    """
    real = as_given(real[:JUDGED])
    fake = fake[:JUDGED].detach().to(real.dtype)
    with torch.no_grad():
        high, low = logits_of(judge, real), logits_of(judge, fake)
    place = first_non_finite({"fake": fake, "logits of real": high, "logits of fake": low})
    if place is not None:
        return {}, place
    values = {
        "discriminator/separation": separation(high, low),
        "discriminator/accuracy": accuracy(high, low),
        "discriminator/gap": float(high.mean() - low.mean()),
        "discriminator/sign": sign_statistic(high),
    }
    if holdout is not None and len(holdout) >= 16:
        values |= holdout_values(judge, real, judge, holdout)
    scale = spacing(real) if scale is None else scale
    if scale is None:
        return values, None
    at_real, at_fake = (
        input_slopes(lambda x: logits_of(judge, x), real),
        input_slopes(lambda x: logits_of(judge, x), fake),
    )
    values |= {
        "discriminator/slope_real": float(at_real.mean()) * scale,
        "discriminator/slope_fake": float(at_fake.mean()) * scale,
        "discriminator/slope": float(torch.cat([at_real, at_fake]).quantile(0.95)) * scale,
    }
    return values, None


@torch.no_grad()
def holdout_values(judge: Judge, real: Tensor, judge_unseen: Judge, unseen: Tensor) -> dict[str, float]:
    """How much better the discriminator rates its training data than unseen data; each with its own labels bound."""
    high = logits_of(judge, as_given(real[:JUDGED]))
    low = logits_of(judge_unseen, unseen[:JUDGED].detach().to(as_given(real[:1]).dtype))
    return {
        "discriminator/holdout": separation(high, low),
        "discriminator/holdout_gap": float(high.mean() - low.mean()),
    }


def weight_values(network: str, module: nn.Module) -> dict[str, float]:
    """Largest spectral norm of a layer."""
    found = spectral_norms(module)
    return {f"{network}/sigma": max(found.values())} if found else {}


def sample_values(real: Tensor, fake: Tensor, before: Tensor | None, seed: int) -> dict[str, float]:
    """Samples beside real data; ``real`` has twice as many rows, the second half being the baseline.

    Args:
        real: Rows of :func:`flattened` ``(2N, D)``, different ones.
        fake: Rows ``(N, D)``.
        before: Rows of the samples of the last look.
        seed: Of the permutation test.
    """
    count = min(len(real) // 2, len(fake), ROWS)
    found = variety(real[0::2][:count], real[1::2][:count], fake[:count], seed=seed)
    if found is None:
        return {}
    values = {f"samples/{name}": float(value) for name, value in found._asdict().items()}
    excess = max(found.distance - found.floor, 0.0)
    values["samples/excess"] = excess
    support = birthday(real[0::2][:count], fake[:count])
    if support < float("inf"):
        values["samples/support"] = support
    if before is not None and len(before) >= 32:
        scale = float(torch.pdist(real[:count]).median())
        way = max(energy_distance(before[:count], fake[:count]), 0.0) / max(scale, 1e-12) - found.floor
        values["samples/moved"] = max(way, 0.0) / max(excess, 1e-6) if excess > found.floor else 0.0
    return values


def data_values(
    real: Tensor, bounds: tuple[float, float] | None, *, names: bool = False
) -> tuple[dict[str, float], str | None]:
    """Facts of a batch of real data, and where it is not finite.

    Args:
        real: ``(B, ...)``.
        bounds: Least and greatest value that the generator can make, where it ends in a bounded function.
        names: Whether the values are names, such as tokens, which have no scale.
    """
    facts = data_facts(real[: 2 * ROWS])
    values = {} if names else {"data/scale": facts.scale}
    if bounds is not None:
        values["data/outside"] = outside(real[: 2 * ROWS].detach().float(), *bounds)
    return values, facts.non_finite


def of_names(real: Tensor) -> bool:
    """Whether values are names rather than quantities: whole numbers that are no pixels.

    >>> of_names(torch.tensor([[3, 1]])), of_names(torch.zeros(1, dtype=torch.uint8)), of_names(torch.zeros(1))
    (True, False, False)
    """
    return not real.is_floating_point() and real.dtype != torch.uint8


def jacobian_values(generate: Callable[[Tensor], Tensor], noise: Tensor) -> tuple[dict[str, float], tuple[float, ...]]:
    """Condition and effective rank of the generator's Jacobian at a few points; run it within ``aside``."""
    found = generator_spectrum(generate, noise[:POINTS])
    if found is None:
        return {}, ()
    values = {
        "generator/condition": found.condition,
        "generator/rank": found.rank,
        "generator/stretch": found.values[0],
    }
    return values, found.values


def mode_gap(generator: nn.Module, generate: Callable[[], Tensor]) -> float | None:
    """Root mean squared difference of samples as the modes are and in eval mode, over their spread.

    None without a BatchNorm that learns: one that was frozen on purpose has no other mode. Run it within ``aside``,
    which puts modes and running statistics back.
    """
    modes = [(m, m.training) for m in generator.modules()]
    learning = (m for m, training in modes if training)
    if not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in learning):
        return None
    with torch.no_grad():
        made = generate().float().flatten(1)
        generator.eval()
        calm = generate().float().flatten(1)
        for module, mode in modes:
            module.training = mode
    spread = float((made - made.mean(0)).square().mean().sqrt())
    return float((made - calm).square().mean().sqrt()) / max(spread, 1e-12)


class Seen:
    """Which different real samples were seen in the looks, by their keys."""

    LIMIT = 20_000

    def __init__(self) -> None:
        self.rows, self.known = 0, set[float]()
        self.low: Tensor | None = None
        self.high: Tensor | None = None

    def values(self, real: Tensor, *, names: bool = False) -> dict[str, float]:
        """How many, how often each (until there are too many to count), and the part of columns that never vary.

        Args:
            real: ``(B, ...)``.
            names: Whether the values are names: rows of few of them repeat, and texts end in padding, in sound data.
        """
        rows = real.detach().float().flatten(1)[: 2 * ROWS]
        low, high = rows.amin(0), rows.amax(0)
        if self.low is not None and self.high is not None and self.low.shape == low.shape:
            low, high = torch.minimum(low, self.low), torch.maximum(high, self.high)
        self.low, self.high = low, high
        values: dict[str, float] = {}
        if len(self.known) <= self.LIMIT:
            found = keys(rows).tolist()
            self.rows += len(found)
            self.known.update(found)
            count, known = len(rows), max(1, len(self.known))
            values = {"data/distinct": float(known), "data/repeats": self.rows / known}
            if names:
                return values
            # Batches drawn with replacement from few rows repeat some by chance.
            chance = 1.0 - known * (1.0 - (1.0 - 1.0 / known) ** count) / count
            values["data/repeated"] = max(0.0, 1.0 - len(set(found)) / count - chance)
        if real.ndim == 2 and not names and self.rows >= 4 * JUDGED:  # of images, borders are often constant
            values["data/constant"] = float((low == high).float().mean())
        return values


def different(rows: Tensor) -> Tensor:
    """Rows ``(N, D)`` without repetition, in the order of their first appearance."""
    seen: dict[float, int] = {}
    for i, key in enumerate(keys(rows).tolist()):
        seen.setdefault(key, i)
    return rows[list(seen.values())]


def bounds_of(generator: nn.Module) -> tuple[float, float] | None:
    """Range of a generator whose last module is a tanh or a sigmoid; None where it is not known."""
    leaves = [m for m in generator.modules() if not list(m.children())]
    if leaves and isinstance(leaves[-1], nn.Tanh | nn.Hardtanh):
        return -1.0, 1.0
    return (0.0, 1.0) if leaves and isinstance(leaves[-1], nn.Sigmoid | nn.Hardsigmoid) else None
