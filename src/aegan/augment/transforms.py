"""Differentiable image transforms with one random draw a sample, each taken with a probability.

All map ``(B, C, H, W)`` in [-1, 1] to the same shape and type; gradients flow through to the input. ``p`` is the
probability with which a sample is transformed at all; the others come back unchanged, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

Transform = Callable[[Tensor, float], Tensor]


def brightness(x: Tensor, p: float = 1.0) -> Tensor:
    """Add one number of U(-0.5, 0.5) to a sample."""
    return _taken(x, x + (_uniform(x) - 0.5).to(x.dtype), p)


def saturation(x: Tensor, p: float = 1.0) -> Tensor:
    """Scale the distance of each pixel from its mean over the channels by U(0, 2); grey images stay as they are."""
    if x.shape[1] == 1:
        return x
    mean = x.mean(1, keepdim=True)
    factor = (2.0 * _uniform(x)).to(x.dtype)
    return _taken(x, mean + factor * (x - mean), p)


def contrast(x: Tensor, p: float = 1.0) -> Tensor:
    """Scale the distance of a sample from its own mean by U(0.5, 1.5)."""
    mean = x.mean((1, 2, 3), keepdim=True)
    factor = (0.5 + _uniform(x)).to(x.dtype)
    return _taken(x, mean + factor * (x - mean), p)


def translation(x: Tensor, p: float = 1.0, *, part: float = 0.125) -> Tensor:
    """Shift by up to ``part`` of each side, zeros (mid-grey) coming in."""
    b, _, h, w = x.shape
    dy, dx = (torch.randint(-round(part * side), round(part * side) + 1, (b, 1, 1), device=x.device) for side in (h, w))
    rows = (torch.arange(h, device=x.device).view(1, h, 1) + dy + 1).clamp(0, h + 1)
    columns = (torch.arange(w, device=x.device).view(1, 1, w) + dx + 1).clamp(0, w + 1)
    padded = pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)
    sample = torch.arange(b, device=x.device).view(b, 1, 1)
    return _taken(x, padded[sample, rows, columns].permute(0, 3, 1, 2), p)


def cutout(x: Tensor, p: float = 1.0, *, part: float = 0.5) -> Tensor:
    """Set a rectangle of ``part`` of each side, anywhere (its centre may lie at the edge), to zero."""
    b, _, h, w = x.shape
    y, x_ = (torch.rand(b, 1, 1, device=x.device) * side for side in (h, w))
    rows = (torch.arange(h, device=x.device).view(1, h, 1) + 0.5 - y).abs() <= part * h / 2
    columns = (torch.arange(w, device=x.device).view(1, 1, w) + 0.5 - x_).abs() <= part * w / 2
    return _taken(x, x * ~(rows & columns)[:, None], p)


def flip(x: Tensor, p: float = 1.0) -> Tensor:
    """Mirror left and right in half of the cases; a quarter turn is not what most images bear."""
    return _taken(x, torch.where(_uniform(x) < 0.5, x.flip(3), x), p)


def scaling(x: Tensor, p: float = 1.0) -> Tensor:
    """Zoom by a log-normal factor of standard deviation 0.2 · ln 2 about the centre, mirrored at the edges."""
    factor = torch.exp2(0.2 * torch.randn(len(x), device=x.device))
    zero = torch.zeros_like(factor)
    theta = torch.stack([torch.stack([1 / factor, zero, zero], 1), torch.stack([zero, 1 / factor, zero], 1)], 1)
    return _taken(x, _warped(x, theta), p)


def rotation(x: Tensor, p: float = 1.0, *, turn: float = 0.05) -> Tensor:
    """Rotate by up to ``turn`` of a full turn either way, mirrored at the edges; side ratio is kept."""
    angle = (2.0 * torch.rand(len(x), device=x.device) - 1.0) * turn * 2.0 * torch.pi
    cos, sin, ratio = angle.cos(), angle.sin(), x.shape[2] / x.shape[3]
    zero = torch.zeros_like(angle)
    theta = torch.stack([torch.stack([cos, -sin * ratio, zero], 1), torch.stack([sin / ratio, cos, zero], 1)], 1)
    return _taken(x, _warped(x, theta), p)


def _uniform(x: Tensor) -> Tensor:
    """U(0, 1) for each sample, float32."""
    return torch.rand(len(x), 1, 1, 1, device=x.device)


def _warped(x: Tensor, theta: Tensor) -> Tensor:
    grid = torch.nn.functional.affine_grid(theta, list(x.shape), align_corners=False)
    return torch.nn.functional.grid_sample(x, grid.to(x.dtype), padding_mode="reflection", align_corners=False)


def _taken(x: Tensor, changed: Tensor, p: float) -> Tensor:
    if p >= 1.0:
        return changed
    return torch.where(_uniform(x) < p, changed, x)
