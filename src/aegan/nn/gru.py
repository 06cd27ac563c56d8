"""Gated recurrent units with gradients of their own: half the time of PyTorch's on CPUs, whose cost is in calls.

Reference: Cho et al. 2014 (arXiv 1406.1078), in PyTorch's form: the reset gate is applied behind the matrix product.
All that does not depend on the step before is computed for all steps at once.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def kernels(gru: nn.Module, *, twice: bool = False) -> AbstractContextManager[None]:
    """In which a GRU is to run: not by cuDNN where that has no gradient, ``twice`` or in evaluation."""
    wanted = torch.is_grad_enabled() and (twice or not gru.training)
    return torch.backends.cudnn.flags(enabled=False) if wanted else nullcontext()


def differentiable_twice(net: nn.Module, wanted: bool = True) -> AbstractContextManager[None]:
    """In which a network is to run whose gradients are differentiated again: cuDNN cannot do so in recurrent layers."""
    wanted = wanted and any(isinstance(part, nn.RNNBase) for part in net.modules())
    return torch.backends.cudnn.flags(enabled=False) if wanted else nullcontext()


def run(gru: nn.GRU, x: Tensor) -> Tensor:
    """States ``(B, T, hidden)`` of the last layer, from zero, for ``x`` ``(B, T, inputs)``.

    PyTorch's own code runs where it is the faster or the more able: on GPUs, without gradients, and in evaluation,
    where second derivatives may be asked for.

    >>> import torch
    >>> gru, x = torch.nn.GRU(2, 3, 2, batch_first=True), torch.randn(4, 5, 2)
    >>> torch.allclose(run(gru, x), gru(x)[0], atol=1e-6)
    True
    """
    if x.device.type != "cpu" or not torch.is_grad_enabled() or not gru.training:
        with kernels(gru):
            return gru(x)[0]
    for layer in range(gru.num_layers):
        parts = (getattr(gru, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        x = _Layer.apply(x, *parts)
    return x


class _Layer(torch.autograd.Function):
    """One layer; gates r, z and candidate n, in this order in the weights."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> Tensor:
        (batch, steps, inputs), hidden = x.shape, w_hh.shape[1]
        flat = x.transpose(0, 1).reshape(steps * batch, inputs)
        seen = torch.addmm(b_ih, flat, w_ih.t()).view(steps, batch, 3 * hidden)
        gates = seen[..., : 2 * hidden] + b_hh[: 2 * hidden]
        candidates = seen[..., 2 * hidden :].contiguous()
        products, states = torch.empty_like(candidates), x.new_zeros(steps + 1, batch, hidden)
        of_gates, of_candidate = w_hh[: 2 * hidden].t().contiguous(), w_hh[2 * hidden :].t().contiguous()
        bias = b_hh[2 * hidden :]
        for t in range(steps):
            h, gate, n = states[t], gates[t], candidates[t]
            gate.addmm_(h, of_gates).sigmoid_()
            torch.addmm(bias, h, of_candidate, out=products[t])
            n.addcmul_(gate[:, :hidden], products[t]).tanh_()
            torch.lerp(n, h, gate[:, hidden:], out=states[t + 1])
        ctx.save_for_backward(flat, w_ih, w_hh, gates, candidates, products, states)
        return states[1:].transpose(0, 1)

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        flat, w_ih, w_hh, gates, n, products, states = ctx.saved_tensors
        steps, batch, hidden = n.shape
        r, z = gates[..., :hidden], gates[..., hidden:].contiguous()
        # What each gate's input gets of a state's gradient; the candidate's, as the states see it, comes times r.
        of_n = (1 - z) * (1 - n * n)
        slopes = torch.stack([of_n * products * r * (1 - r), (states[:-1] - n) * z * (1 - z), of_n * r], 2)
        given = gradients[0].transpose(0, 1)
        inner, total = torch.empty_like(slopes), torch.empty_like(n)
        back = torch.zeros_like(n[0])
        for t in range(steps - 1, -1, -1):
            torch.add(back, given[t], out=total[t])
            torch.mul(slopes[t], total[t].unsqueeze(1), out=inner[t])
            back = torch.addmm(total[t] * z[t], inner[t].view(batch, 3 * hidden), w_hh)
        recurrent = inner.view(steps * batch, 3 * hidden)
        dw_ih = dw_hh = db_ih = db_hh = None
        learns = any(ctx.needs_input_grad[1:])
        if learns:
            dw_hh, db_hh = recurrent.t() @ states[:-1].reshape(steps * batch, hidden), recurrent.sum(0)
        torch.mul(of_n, total, out=inner[:, :, 2])
        if learns:
            dw_ih, db_ih = recurrent.t() @ flat, recurrent.sum(0)
        dx = (recurrent @ w_ih).view(steps, batch, -1).transpose(0, 1) if ctx.needs_input_grad[0] else None
        return dx, dw_ih, dw_hh, db_ih, db_hh
