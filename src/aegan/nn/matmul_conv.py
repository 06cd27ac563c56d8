"""Convolutions as one matrix product, for maps of few pixels and many channels.

On a CPU the usual kernels go over the pixels, of which a map of 7x7 or 1x1 has too few: such a layer runs at a tenth of
the machine's matrix rate, a transposed one at a fifth. Gathering the patches first (``unfold``; ``fold`` for the
transposed kind) turns the same sums into one large matrix product, forward and backward.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import fold, unfold

SMALL, SMALL_TRANSPOSED = 16, 64
"""Output positions of a convolution, and input positions of a transposed one, up to which the matrix product is the
faster form (benchmarks/speed.py); with more, gathering the patches costs more than it gains."""


class MatmulConv2d(nn.Conv2d):
    """``nn.Conv2d`` with zero padding and one group; the same weights, results equal to rounding."""

    def forward(self, input: Tensor) -> Tensor:
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, _sides(self.padding)
        h = (input.shape[2] + 2 * ph - kh) // sh + 1
        w = (input.shape[3] + 2 * pw - kw) // sw + 1
        if h * w > SMALL:
            return super().forward(input)
        patches = unfold(input, (kh, kw), padding=(ph, pw), stride=(sh, sw))
        out = patches.transpose(1, 2).reshape(-1, patches.shape[1]) @ self.weight.flatten(1).T
        if self.bias is not None:
            out = out + self.bias
        return out.view(len(input), h * w, -1).transpose(1, 2).reshape(len(input), -1, h, w)


class MatmulConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` of one group; the same weights, results equal to rounding."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        b, c, h, w = input.shape
        if h * w > SMALL_TRANSPOSED or output_size is not None:
            return super().forward(input, output_size)
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, _sides(self.padding)
        oh, ow = _sides(self.output_padding)
        size = ((h - 1) * sh - 2 * ph + kh + oh, (w - 1) * sw - 2 * pw + kw + ow)
        patches = input.flatten(2).transpose(1, 2).reshape(b * h * w, c) @ self.weight.flatten(1)
        # Patches that reach beyond the output by its own padding are cut off, as the transposed sum does.
        out = fold(patches.view(b, h * w, -1).transpose(1, 2), size, (kh, kw), padding=(ph, pw), stride=(sh, sw))
        return out if self.bias is None else out + self.bias.view(1, -1, 1, 1)


def with_matmul_convolutions(module: nn.Module) -> nn.Module:
    """Let every convolution of ``module`` that can be a matrix product be one; returns ``module``.

    Parameters, their names and the results (to rounding) stay the same: only the order of the sums changes. Layers
    with groups, dilation, another padding than zeros or a name for it stay as they are.
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
    return module


def _sides(value: Any) -> tuple[int, int]:
    """Padding of both axes; :func:`with_matmul_convolutions` leaves layers alone whose padding is a name."""
    return value
