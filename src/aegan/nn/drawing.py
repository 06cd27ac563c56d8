"""Rows drawn field by field, what is alike in many of them computed once.

The columns come with those first that leave least choice, so that of some thousand rows many are the same for long: of
65,536 rows of Adult, a quarter of the distributions of all their fields are different ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

CHUNK = 2048
"""Rows whose distributions are computed at once: what a layer reads and writes stays in a core's cache."""
OWN = 0.75
"""Share of different rows from which on each is computed by itself."""
Product = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Bias ``(n,)``, inputs ``(B, m)`` and weights ``(m, n)`` to outputs ``(B, n)``, as ``torch.addmm``."""
_BELOW_ONE = 1.0 - 2.0**-24
_MULTIPLE = 16


@dataclass(frozen=True)
class Step:
    """What drawing one field takes.

    Attributes:
        field: Its position in a row.
        size: Number of its values.
        seen: What each value of the fields before it adds to what its network sees ``(V, hidden)``, these one below
            the other in the order of drawing, the bias with the first; of the first field the bias alone.
        logits: What the field's network sees ``(U, hidden)``, which is used up, to logits ``(U, V)``.
        within: Whether the place within a value matters.
    """

    field: int
    size: int
    seen: Tensor
    logits: Callable[[Tensor], Tensor]
    within: bool


def draw_alike(uniform: Tensor, steps: Sequence[Step]) -> Tensor:
    """Rows ``(B, F)`` from one number of [0, 1] for each of their values.

    Only where products are :func:`steady`: how many rows are alike depends on all the others.
    """
    count, offset = len(uniform), 0
    chances = uniform.T.clamp(max=_BELOW_ONE).contiguous()
    rows, known = torch.empty(len(steps), count), torch.empty(count, len(steps), dtype=torch.int32)
    alike: _Alike | None = _Alike(count)
    for position, step in enumerate(steps):
        chance = chances[step.field]
        first = known if alike is None else known.index_select(0, alike.first)
        parts = [part[:, :position].contiguous() for part in first.split(CHUNK)]
        if alike is None:
            pairs = zip(parts, chance.split(CHUNK), strict=True)
            drawn = [_search(_ends(step, part), c, step.within) for part, c in pairs]
        else:
            ends = torch.cat([_ends(step, part) for part in parts])
            pairs = zip(chance.split(CHUNK), alike.which.split(CHUNK), strict=True)
            drawn = [_search(ends, c, step.within, which) for c, which in pairs]
        k, rows[step.field] = (torch.cat([one[i] for one in drawn]) for i in (0, 1))
        known[:, position] = k + offset
        offset += step.size
        alike = alike and alike.parted(k, step.size)
    return rows.T


def _ends(step: Step, known: Tensor) -> Tensor:
    """Cumulative probabilities ``(U, V)`` of a field, but for a factor."""
    size, position = known.shape
    if size % _MULTIPLE:  # a product of a single row, or of a few, may be made in another way
        known = torch.cat([known, known[-1:].expand(-size % _MULTIPLE, -1)])
    h = embedding_bag(known, step.seen, mode="sum") if position else step.seen.repeat(len(known), 1)
    out = step.logits(h)
    return out.sub_(out.amax(1, keepdim=True)).exp_().cumsum(1)[:size]


def _search(ends: Tensor, chance: Tensor, within: bool, which: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Indices ``(B,)`` by the inverse of the cumulative probabilities, and values ``k + u``, u = 0.5 but ``within``."""
    last = ends[:, -1]
    target = chance * (last if which is None else last.index_select(0, which))
    if which is not None and ends.shape[1] <= 4:
        k = torch.zeros(len(target), dtype=torch.int64)
        for end in ends[:, :-1].unbind(1):
            k += end.index_select(0, which) <= target
    else:
        if len(ends) == 1:
            k = torch.searchsorted(ends[0], target, right=True)
        else:
            rows = ends if which is None else ends.index_select(0, which)
            k = torch.searchsorted(rows, target[:, None], right=True).squeeze(1)
    if not within:
        return k, k + 0.5
    place = k if which is None else k + which * ends.shape[1]
    place = place + torch.arange(len(k)) * ends.shape[1] if which is None else place
    flat = ends.reshape(-1)
    high = flat.index_select(0, place)
    low = torch.where(k > 0, flat.index_select(0, (place - 1).clamp_(min=0)), 0.0)
    u = ((target - low) / (high - low).clamp_min(1e-30)).clamp_(0.0, 1.0)
    value = k + u
    # Rounded, a place at the very end would be the next value's.
    return k, torch.minimum(value, torch.nextafter((k + 1).float(), torch.zeros(())))


class _Alike:
    """Rows that are the same so far.

    Attributes:
        which: Group of each row ``(B,)``.
        first: A row of each group, which stands for it ``(U,)``.
    """

    def __init__(self, count: int) -> None:
        self.which = torch.zeros(count, dtype=torch.int64)
        self.first = torch.zeros(1, dtype=torch.int64)

    def parted(self, k: Tensor, size: int) -> _Alike | None:
        """The same after a field of ``size`` values was drawn, ``k`` ``(B,)``; None where nearly all rows differ."""
        which, groups = _numbered(self.which * size + k, len(self.first) * size)
        if groups > OWN * len(k):
            return None
        self.which = which
        self.first = torch.empty(groups, dtype=torch.int64).scatter_(0, which, torch.arange(len(k)))
        return self


def _numbered(key: Tensor, most: int) -> tuple[Tensor, int]:
    """Numbers from 0 for keys below ``most``, the same for the same keys, and how many there are."""
    if most > 8 * len(key):
        number, which = torch.unique(key, return_inverse=True)
        return which, len(number)
    seen = torch.zeros(most, dtype=torch.bool)
    seen[key] = True
    number = seen.cumsum(0)
    return number.index_select(0, key) - 1, int(number[-1])


@functools.cache
def steady(device: str) -> Product | None:
    """A product that on this machine rounds a row alike, however many others there are; None where there is none.

    PyTorch's own product (MKL) is one on Intel's processors. On AMD's it is not, and oneDNN's is, which there is twice
    as fast, too. Where there is none, rows are drawn in blocks of one size, so that a seed's rows do not depend on how
    many are asked for.
    """
    if device != "cpu":
        return None
    return next((product for product in (torch.addmm, _onednn) if _is_steady(product)), None)


def _onednn(bias: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """``torch.addmm`` by oneDNN, in fp32; it has no gradient."""
    return torch.ops.mkldnn._linear_pointwise(x, weight.t(), bias.flatten(), "none", [], "")


def _is_steady(product: Product) -> bool:
    generator = torch.Generator().manual_seed(0)
    for inner, outer in ((16, 64), (64, 64), (64, 5), (240, 64), (64, 100)):
        weights, bias = torch.randn(inner, outer, generator=generator), torch.randn(outer, generator=generator)
        x = torch.randn(CHUNK, inner, generator=generator)
        try:
            whole = product(bias, x, weights)
            for size in (_MULTIPLE, 3 * _MULTIPLE, 17 * _MULTIPLE, 40 * _MULTIPLE):
                if not torch.equal(product(bias, x[5 : 5 + size], weights), whole[5 : 5 + size]):
                    return False
        except (AttributeError, RuntimeError):  # a build of PyTorch without oneDNN
            return False
    return True
