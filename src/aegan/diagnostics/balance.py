"""Discriminator against generator, and one term of a loss against another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from aegan.diagnostics.gradients import layers

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
        x = x.detach().float().requires_grad_(True)
        (gradient,) = torch.autograd.grad(judge(x).float().sum(), x, allow_unused=True)
    return torch.zeros(len(x)) if gradient is None else gradient.float().flatten(1).norm(dim=1)


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
    for name, weight in layers(module).items():
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


def balance(reconstruction: Tensor, adversarial: Tensor, shared: Sequence[Tensor]) -> float | None:
    """‖∇rec‖ / ‖∇adv‖ at shared weights, such as the decoder's last layer; None without an adversarial gradient.

    Reference: Esser et al. 2021 (arXiv 2012.09841), who set the adversary's weight by it.

    Args:
        reconstruction: Weighted loss with a graph.
        adversarial: The same.
        shared: Weights that both reach.
    """
    bottom = float(gradient_of(adversarial, shared).norm())
    return float(gradient_of(reconstruction, shared).norm()) / bottom if bottom > 0 else None
