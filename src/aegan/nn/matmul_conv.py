"""Convolutions as one matrix product, for maps of few pixels and many channels.

On a CPU the usual kernels go over the pixels, of which a map of 7x7 or 1x1 has too few: such a layer runs at a tenth of
the machine's matrix rate, a transposed one at a fifth. Gathering the patches first (scattering them afterwards, for the
transposed kind) turns the same sums into one large matrix product, forward and backward. Channels lie together in
memory, so that a patch is gathered in runs of as many values as there are channels: ``unfold`` and ``fold`` go pixel by
pixel and take as long as the product itself, where that is one in bf16. In fp32 the usual kernels are the faster ones
but for maps of very few pixels, and on other devices than a CPU always.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

SMALL, SMALL_TRANSPOSED, SMALL_FP32 = 16, 64, 4
"""Output positions of a convolution, and input positions of a transposed one, up to which the matrix product is the
faster form (benchmarks/speed.py); with more, gathering the patches costs more than it gains. The third is that of a
convolution in fp32, in which transposed ones never gain."""
Sides = tuple[int, int]


class MatmulConv2d(nn.Conv2d):
    """``nn.Conv2d`` with zero padding and one group; the same weights, results equal to rounding."""

    def forward(self, input: Tensor) -> Tensor:
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, _sides(self.padding)
        h = (input.shape[2] + 2 * ph - kh) // sh + 1
        w = (input.shape[3] + 2 * pw - kw) // sw + 1
        if h * w > (SMALL_FP32 if _in_fp32(input) else SMALL) or input.device.type != "cpu":
            return super().forward(input)
        patches = Gather.apply(input.permute(0, 2, 3, 1), (h, w), (kh, kw), (sh, sw), (ph, pw))
        out = linear(patches.flatten(3).flatten(0, 2), self.weight.permute(0, 2, 3, 1).flatten(1), self.bias)
        return out.view(len(input), h, w, -1).permute(0, 3, 1, 2)


class MatmulConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` of one group; the same weights, results equal to rounding."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        b, c, h, w = input.shape
        usual = _in_fp32(input) or input.device.type != "cpu"
        if h * w > SMALL_TRANSPOSED or output_size is not None or usual:
            return super().forward(input, output_size)
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, _sides(self.padding)
        oh, ow = _sides(self.output_padding)
        size = ((h - 1) * sh - 2 * ph + kh + oh, (w - 1) * sw - 2 * pw + kw + ow)
        patches = input.permute(0, 2, 3, 1).reshape(b * h * w, c) @ self.weight.permute(0, 2, 3, 1).flatten(1)
        # Patches that reach beyond the output by its own padding are cut off, as the transposed sum does.
        out = Scatter.apply(patches.view(b, h, w, kh, kw, -1), size, (sh, sw), (ph, pw))
        return (out if self.bias is None else out + self.bias.to(out.dtype)).permute(0, 3, 1, 2)


class Gather(torch.autograd.Function):
    """The patches ``(B, h, w, kh, kw, C)`` under a kernel on maps ``(B, H, W, C)``, zeros beyond their edge.

    The adjoint of :class:`Scatter`, and each is the other's gradient: both can be differentiated any number of times.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, steps: Sides, kernel: Sides, stride: Sides, padding: Sides) -> Tensor:
        ctx.size, ctx.stride, ctx.padding = (x.shape[1], x.shape[2]), stride, padding
        out = x.new_zeros(len(x), *steps, *kernel, x.shape[-1])
        for there, here in _taps(ctx.size, steps, kernel, stride, padding):
            out[there] = x[here]
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return Scatter.apply(grads[0], ctx.size, ctx.stride, ctx.padding), None, None, None, None


class Scatter(torch.autograd.Function):
    """Maps ``(B, H, W, C)`` as the sum of patches ``(B, h, w, kh, kw, C)``, each added where its kernel lies."""

    @staticmethod
    def forward(ctx: Any, patches: Tensor, size: Sides, stride: Sides, padding: Sides) -> Tensor:
        _, h, w, kh, kw, _ = patches.shape
        ctx.steps, ctx.kernel = (h, w), (kh, kw)
        ctx.stride, ctx.padding = stride, padding
        out = patches.new_zeros(len(patches), *size, patches.shape[-1])
        for there, here in _taps(size, ctx.steps, ctx.kernel, stride, padding):
            out[here] += patches[there]
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return Gather.apply(grads[0], ctx.steps, ctx.kernel, ctx.stride, ctx.padding), None, None, None


def with_matmul_convolutions(module: nn.Module) -> nn.Module:
    """Let every convolution of ``module`` that can be a matrix product be one; returns ``module``.

    Parameters, their names and the results (to rounding) stay the same: the order of the sums changes, and how weights
    and maps lie in memory (channels last). Layers with groups, dilation, another padding than zeros or a name for it
    stay as they are.
    """
    for layer in module.modules():
        plain = isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and (
            layer.groups == 1
            and layer.dilation == (1, 1)
            and layer.padding_mode == "zeros"
            and not isinstance(layer.padding, str)
        )
        if plain and type(layer) is nn.Conv2d:
            layer.__class__ = MatmulConv2d
        elif plain and type(layer) is nn.ConvTranspose2d:
            layer.__class__ = MatmulConvTranspose2d
        else:
            continue
        layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    return module


def _taps(
    size: Sides, steps: Sides, kernel: Sides, stride: Sides, padding: Sides
) -> Iterator[tuple[tuple[slice | int, ...], tuple[slice, ...]]]:
    """For each place of the kernel, which patches have it within the map, and where on the map that is."""
    for i in range(kernel[0]):
        rows, y = _within(size[0], steps[0], stride[0], i - padding[0])
        for j in range(kernel[1]):
            columns, x = _within(size[1], steps[1], stride[1], j - padding[1])
            yield (slice(None), rows, columns, i, j), (slice(None), y, x)


def _within(size: int, steps: int, stride: int, offset: int) -> tuple[slice, slice]:
    """Steps ``t`` and positions ``stride * t + offset`` that are at least 0 and less than ``size``."""
    first = max(0, -(offset // stride))
    last = max(first, min(steps, -((offset - size) // stride)))
    end = stride * (last - 1) + offset + 1 if last > first else 0
    return slice(first, last), slice(stride * first + offset, end, stride)


def _in_fp32(input: Tensor) -> bool:
    """Whether a product of ``input`` is taken in fp32."""
    return input.dtype == torch.float32 and not torch.is_autocast_enabled(input.device.type)


def _sides(value: Any) -> tuple[int, int]:
    """Padding of both axes; :func:`with_matmul_convolutions` leaves layers alone whose padding is a name."""
    return value
