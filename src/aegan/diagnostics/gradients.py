"""Gradients of a network, layer by layer: how large, how even over the depth, how noisy, how far weights move.

A *layer* is a weight of two axes or more, named as in ``named_parameters`` without the ending ``.weight``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

SMALLEST_WEIGHT = 1e-3
"""Weights shorter than this count as this long, so that a layer that begins at zero has no infinite ratio
(Brock et al. 2021, arXiv 2102.06171)."""
SILENT = 1e-7
"""A unit whose gradient is below this part of its layer's largest gets none: float32 has no digits below it."""
SKETCH = 4096
"""Gradient values at most that are remembered of a network from one step to the next."""


class LayerGradient(NamedTuple):
    """One layer's gradient. Norms are Euclidean; ``rms`` is the root mean square of a single weight's gradient."""

    gradient: float
    weight: float
    rms: float

    @property
    def relative(self) -> float:
        """‖G‖ / max(‖W‖, 1e-3): the gradient in units of what it changes (arXiv 2102.06171)."""
        return self.gradient / max(self.weight, SMALLEST_WEIGHT)


def layers(module: nn.Module) -> dict[str, nn.Parameter]:
    """Weights of two axes or more by layer name, in the order in which they were made.

    >>> list(layers(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))))
    ['0', '2']
    """
    return {layer_name(n): p for n, p in module.named_parameters() if p.ndim > 1}


def layer_name(parameter: str) -> str:
    """A parameter's name without the endings that every weight has, parametrised or not."""
    return parameter.removesuffix(".original").removesuffix(".weight").replace(".parametrizations", "") or "weight"


@torch.no_grad()
def layer_gradients(module: nn.Module) -> dict[str, LayerGradient]:
    """Gradient of every layer that has one, read from ``.grad``; one transfer from the device for all of them.

    >>> layer = nn.Linear(2, 1, bias=False)
    >>> _ = nn.init.constant_(layer.weight, 3.0)
    >>> layer(torch.tensor([[3.0, 4.0]])).sum().backward()
    >>> found = layer_gradients(layer)["weight"]
    >>> found.gradient, round(found.relative, 4)
    (5.0, 1.1785)
    """
    named = [(n, p) for n, p in layers(module).items() if p.grad is not None]
    if not named:
        return {}
    gradients, weights = norms([p.grad for _, p in named]), norms([p for _, p in named])
    return {
        name: LayerGradient(gradient, weight, gradient / p.numel() ** 0.5)
        for (name, p), gradient, weight in zip(named, gradients, weights, strict=True)
    }


@torch.no_grad()
def norms(tensors: Sequence[Tensor | None]) -> list[float]:
    """Euclidean norms, reckoned in float32 at least, in one transfer from the device; finite where the values are."""
    found = [t.detach() for t in tensors if t is not None]
    if not found:
        return []
    dtype = torch.float64 if any(t.dtype == torch.float64 for t in found) else torch.float32
    lengths = torch._foreach_norm(found, 2, dtype=dtype)  # pyright: ignore[reportPrivateImportUsage]
    known = torch.stack(lengths).tolist()
    return [n if math.isfinite(n) else _scaled_norm(t) for n, t in zip(known, found, strict=True)]


def _scaled_norm(x: Tensor) -> float:
    """Norm of values whose squares the data type cannot hold; as it is where the values themselves are not finite."""
    top = float(x.abs().max())
    return top * float((x / top).norm()) if math.isfinite(top) else top


def depth_ratio(found: Mapping[str, LayerGradient], largest: float = 0.0) -> float | None:
    """The first layer's gradient over the largest one's, per weight (rms): far below 1 where gradients vanish.

    Args:
        found: Layers in order of depth, from the input on.
        largest: Root mean square of the largest gradient among other parameters, such as biases: where weights are so
            small that nothing passes through them, only the last bias learns.

    Returns:
        The ratio, at most 1; None with fewer than two layers, or where all gradients are zero.

    >>> chain = {"a": LayerGradient(1e-6, 1.0, 1e-6), "b": LayerGradient(1e-3, 1.0, 1e-3)}
    >>> round(depth_ratio(chain), 6)
    0.001
    """
    values = [layer.rms for layer in found.values()]
    top = max([*values, largest], default=0.0)
    return values[0] / top if len(values) > 1 and top > 0 else None


def first_last(found: Mapping[str, LayerGradient]) -> float | None:
    """Gradient norm of the first layer over that of the last; None where there is no such ratio."""
    values = [layer.gradient for layer in found.values()]
    return values[0] / values[-1] if len(values) > 1 and values[-1] > 0 else None


WEIGHTS = ("weight", "original", "original1", "weight_orig", "weight_v")
"""What a layer's weight is called, by itself, and parametrised by a spectral or weight norm of either kind."""


@torch.no_grad()
def silent_units(module: nn.Module) -> dict[str, Tensor]:
    """For each layer with a gradient, which of its units (output features or channels) get none, bool ``(units,)``.

    A rectifier that is zero for a whole batch passes no gradient to the weights before it. That is seen here without
    touching activations. A unit is *dead* if it is silent on many batches in a row; on one batch it may just rest.
    """
    found = {}
    for name, owner in module.named_modules():
        # Not by attribute: asking for a parametrised weight computes it, and moves a spectral norm's vectors.
        key = next((k for k in WEIGHTS if k in owner._parameters), "weight")
        weight = owner._parameters.get(key)
        if weight is None or weight.grad is None or weight.ndim < 2 or isinstance(owner, nn.Embedding):
            continue
        transposed = isinstance(owner, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
        gradient = weight.grad.transpose(0, 1) if transposed and owner.groups == 1 else weight.grad
        largest = gradient.abs().flatten(1).amax(1)
        top = largest.max()
        if bool(top > 0):
            found[layer_name(f"{name}.{key}" if name else key)] = largest <= SILENT * top
    return found


@torch.no_grad()
def sketch(tensors: Iterable[Tensor | None], size: int = SKETCH) -> Tensor:
    """Evenly strided values of all tensors, float32 ``(<= size,)``: enough to compare two gradients by."""
    known = [t.detach().reshape(-1) for t in tensors if t is not None]
    total = sum(len(t) for t in known)
    if not total:
        return torch.empty(0)
    stride = max(1, -(-total // size))
    return torch.cat([t[::stride].float() for t in known]) if known else torch.empty(0)


def cosine(a: Tensor, b: Tensor) -> float | None:
    """Cosine of two gradients ``(P,)``, in [-1, 1]; None where either is zero or their lengths differ.

    >>> cosine(torch.tensor([1.0, 0.0]), torch.tensor([-2.0, 0.0]))
    -1.0
    """
    if a.shape != b.shape or not len(a):
        return None
    scale = float(a.norm() * b.norm())
    return float(a @ b) / scale if scale > 0 else None


def signal_to_noise(gradients: Tensor) -> float:
    """Gradient signal-to-noise ratio E[g]² / Var[g], the mean over parameters, from K micro-batches ``(K, P)``.

    Reference: Liu et al. 2020 (arXiv 2001.07384). E[g]² is taken without the bias Var[g]/K, and is 0 at least.

    >>> signal_to_noise(torch.tensor([[1.0], [3.0]]))
    1.5
    """
    if len(gradients) < 2:
        return 0.0
    variance = gradients.var(0)
    signal = (gradients.mean(0).square() - variance / len(gradients)).clamp_min(0.0)
    known = variance > 0
    return float((signal[known] / variance[known]).mean()) if bool(known.any()) else 0.0


@torch.no_grad()
def update_ratios(before: Sequence[Tensor], after: Sequence[Tensor]) -> list[float]:
    """‖ΔW‖ / max(‖W‖, 1e-3) of each weight over one step; about 1e-3 is usual.

    >>> update_ratios([torch.tensor([3.0, 4.0])], [torch.tensor([3.0, 4.5])])
    [0.1]
    """
    moved = norms([a - b for a, b in zip(after, before, strict=True)])
    return [m / max(w, SMALLEST_WEIGHT) for m, w in zip(moved, norms(before), strict=True)]


@torch.no_grad()
def first_non_finite(tensors: Mapping[str, Tensor | None]) -> str | None:
    """Name and index of the first value that is NaN or infinite, such as ``"0.weight[3, 17] is nan"``; else None.

    >>> first_non_finite({"x": torch.tensor([[0.0, float("inf")]])})
    'x[0, 1] is inf'
    """
    for name, tensor in tensors.items():
        if tensor is None or not tensor.is_floating_point():
            continue
        bad = ~torch.isfinite(tensor)
        if bool(bad.any()):
            index = bad.nonzero()[0].tolist()
            place = f"[{', '.join(map(str, index))}]" if index else ""
            return f"{name}{place} is {float(tensor[tuple(index)])}"
    return None
