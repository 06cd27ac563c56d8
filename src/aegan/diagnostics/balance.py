"""Discriminator against generator, and one term of a loss against another."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from aegan.diagnostics.gradients import SMALLEST_WEIGHT, cosine, layers, norms

Judge = Callable[[Tensor], Tensor]
"""Samples ``(B, ...)`` to logits ``(B,)`` or ``(B, 1)``."""
EXACT_SPECTRUM = 512
"""Up to this smaller side a matrix's largest singular value is exact; above it, by power iteration."""


def separation(high: Tensor, low: Tensor) -> float:
    """Probability that a value of ``high`` lies above one of ``low`` (AUC), ties counted half; 0.5: not told apart.

    It knows no threshold, so it serves every adversarial loss, relativistic and Wasserstein ones too.

    >>> separation(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0]))
    0.875
    """
    a, b = high.flatten().float(), low.flatten().float()
    return float(((a[:, None] > b).float() + 0.5 * (a[:, None] == b).float()).mean())


def accuracy(real: Tensor, fake: Tensor) -> float:
    """Part of logits on the right side of zero, both sides counted alike, in [0, 1]."""
    return 0.5 * float((real > 0).float().mean() + (fake < 0).float().mean())


def sign_statistic(real: Tensor) -> float:
    """E sign D(x) on training data, in [-1, 1]; above 0.6 hints at a discriminator that knows them by heart.

    Reference: Karras et al. 2020 (arXiv 2006.06676), r_t; for losses whose logits have their zero between both sides.
    """
    return float(real.sign().float().mean())


def input_slopes(judge: Judge, x: Tensor) -> Tensor:
    """‖∇ₓ D(x)‖ of each sample ``(B,)``; no graph stays, and no ``.grad`` is touched.

    >>> input_slopes(lambda x: 3 * x[:, 0] + 4 * x[:, 1], torch.zeros(2, 2)).tolist()
    [5.0, 5.0]
    """
    with torch.enable_grad():
        x = (x.detach() if x.is_floating_point() else x.detach().float()).requires_grad_(True)
        (gradient,) = torch.autograd.grad(judge(x).float().sum(), x, allow_unused=True)
    return torch.zeros(len(x)) if gradient is None else gradient.float().flatten(1).norm(dim=1)


def _in_use(module: nn.Module) -> dict[str, Tensor]:
    """Weights as the layers multiply with them: what a spectral or weight norm makes of its parameters."""
    found: dict[str, Tensor] = dict(layers(module))
    for name, owner in module.named_modules():
        normed = nn.utils.parametrize.is_parametrized(owner, "weight")
        if not normed and not isinstance(owner.__dict__.get("weight"), Tensor):
            continue
        training, owner.training = owner.training, False  # an asked-for spectral norm moves its vectors in training
        with contextlib.suppress(Exception):
            weight = owner.weight.detach()  # type: ignore[operator,union-attr]
            own = f"{name}." if name else ""
            raw = (f"{own}weight", f"{own}parametrizations")
            found = {k: v for k, v in found.items() if k != name and not k.startswith(raw)}
            found[name or "weight"] = weight
        owner.training = training
    return {k: w for k, w in found.items() if w.ndim > 1}


@torch.no_grad()
def spectral_norms(module: nn.Module, iterations: int = 8) -> dict[str, float]:
    """Largest singular value σ₁ of each layer's weight as a matrix (outputs, rest).

    Exact where the smaller side has at most 512 rows, else by power iteration from a fixed start. For convolutions it
    is that of the reshaped kernel, as in Miyato et al. 2018 (arXiv 1802.05957).

    >>> layer = nn.Linear(2, 2, bias=False)
    >>> layer.weight.data = torch.diag(torch.tensor([2.0, 5.0]))
    >>> spectral_norms(layer)
    {'weight': 5.0}
    """
    found = {}
    for name, weight in _in_use(module).items():
        matrix = weight.detach().float().flatten(1)
        if min(matrix.shape) <= EXACT_SPECTRUM:
            gram = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
            found[name] = float(torch.linalg.eigvalsh(gram)[-1].clamp_min(0).sqrt()) if _finite(gram) else float("nan")
        else:
            v = torch.ones(matrix.shape[1], device=matrix.device)
            for _ in range(iterations):
                v = matrix.T @ (matrix @ v)
                v = v / v.norm().clamp_min(1e-30)
            found[name] = float((matrix @ v).norm())
    return found


def _finite(matrix: Tensor) -> bool:
    return bool(torch.isfinite(matrix).all())


def gradient_of(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """A loss's gradient as one vector ``(P,)``, zeros where it has none; the graph stays for ``backward``."""
    parts = torch.autograd.grad(loss, list(parameters), retain_graph=True, allow_unused=True)
    flat = [torch.zeros_like(p) if g is None else g for g, p in zip(parts, parameters, strict=True)]
    return torch.cat([g.detach().float().reshape(-1) for g in flat])


def gradients_by_layer(loss: Tensor, weights: Mapping[str, Tensor]) -> dict[str, float]:
    """‖∇loss‖ / max(‖W‖, 1e-3) of each layer that a loss reaches; the graph stays for ``backward``.

    >>> w = {"first": torch.ones(2, requires_grad=True), "unused": torch.ones(2, requires_grad=True)}
    >>> {name: round(length, 4) for name, length in gradients_by_layer((3 * w["first"]).sum(), w).items()}
    {'first': 3.0}
    """
    parts = torch.autograd.grad(loss, list(weights.values()), retain_graph=True, allow_unused=True)
    reached = [(name, w, g) for (name, w), g in zip(weights.items(), parts, strict=True) if g is not None]
    lengths, scales = norms([g for _, _, g in reached]), norms([w for _, w, _ in reached])
    return {n: g / max(w, SMALLEST_WEIGHT) for (n, _, _), g, w in zip(reached, lengths, scales, strict=True)}


def compared(
    reconstruction: Tensor, adversarial: Tensor, shared: Sequence[Tensor]
) -> tuple[float, float | None] | None:
    """‖∇rec‖ / ‖∇adv‖ at shared weights, such as the decoder's last layer, and the cosine of both.

    Reference: Esser et al. 2021 (arXiv 2012.09841), who set the adversary's weight by the ratio.

    Args:
        reconstruction: Weighted loss with a graph.
        adversarial: The same.
        shared: Weights that both reach.

    Returns:
        None without an adversarial gradient; the cosine is None without a reconstruction's.
    """
    one, other = gradient_of(reconstruction, shared), gradient_of(adversarial, shared)
    bottom = float(other.norm())
    return (float(one.norm()) / bottom, cosine(one, other)) if bottom > 0 else None
