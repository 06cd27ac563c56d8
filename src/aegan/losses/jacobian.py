"""Penalties on the Jacobian of a network, its singular values, and penalties on its weights.

All squared norms here are E‖∂out/∂x‖²_F: the sum over outputs and inputs, the mean over the batch, in (units of out
/ units of x)². ``out`` must have been computed from ``x``, which has ``requires_grad=True``, and each sample's output
must depend on that sample alone (no batch normalisation): then one vector-Jacobian product serves the whole batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aegan.errors import ConfigError, nearest

FORMS = ("auto", "exact", "probe")
EXACT_UP_TO = 2
"""``auto`` takes the exact form up to this many codes. On a CPU the exact form of 2, 4 and 8 codes costs 2, 3 and 5
times as much as a probe, and over a batch a probe's noise averages out."""
APART = "Jacobian: out computed from x expected, but x is not in its graph. Give the x that the network was given."
TWICE = (
    "Jacobian: a network that can be differentiated twice expected, but a step of it can be once alone, as compiled "
    "networks can. Give the network as written."
)


def jacobian_one_layer(weight: Tensor, slope: Tensor) -> Tensor:
    """E‖∂z/∂x‖²_F of one layer z = s(Wx + b), in closed form: E Σⱼ s'(aⱼ)² ‖Wⱼ‖², a = Wx + b.

    Reference: Rifai et al. 2011, "Contractive auto-encoders", ICML. Sigmoid units have the slope z(1 - z).

    Args:
        weight: W, ``(D, I)``.
        slope: s'(a), the derivative of the non-linearity at each unit, ``(B, D)``.

    Raises:
        ConfigError: The shapes do not fit.

    >>> jacobian_one_layer(torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([[1.0, 2.0]])).item()
    29.0
    """
    if weight.ndim != 2 or slope.ndim != 2 or slope.shape[1] != weight.shape[0]:
        raise ConfigError(
            f"jacobian_one_layer: weight (D, I) and slope (B, D) expected, got {tuple(weight.shape)} and "
            f"{tuple(slope.shape)}. The weight of nn.Linear(I, D) has this shape; the slope is that of its D outputs."
        )
    return (_wide(slope).square() @ _wide(weight).square().sum(1)).mean()


def jacobian(out: Tensor, x: Tensor, *, create_graph: bool = False) -> Tensor:
    """The Jacobian ∂out/∂x of each sample, ``(B, D, I)``, with the axes of ``out`` and of ``x`` flattened.

    By D vector-Jacobian products, or by I Jacobian-vector products where the input is the smaller side, each of them
    for the whole batch, and all of them in one vectorised pass on an accelerator. Time and memory grow with min(D, I).

    Args:
        out: ``(B, ...)``, D values a sample.
        x: ``(B, ...)``, I values a sample.
        create_graph: Whether the result can be differentiated, to train on it.

    Raises:
        ConfigError: ``out`` was not computed from ``x``, the shapes do not fit, or there are fewer inputs than outputs
            and no second derivative.

    >>> x = torch.ones(1, 2, requires_grad=True)
    >>> jacobian(x * x.flip(1), x).tolist()
    [[[1.0, 1.0], [1.0, 1.0]]]
    """
    size, outputs, inputs = _sizes(out, x)
    if outputs <= inputs:
        rows = _pulled_back(out, x, _basis(out), create_graph)
        return rows.reshape(outputs, size, inputs).transpose(0, 1)
    # v ↦ Jᵀv is linear in v, so pulling back through it once more gives J times a vector.
    v = torch.zeros_like(out, requires_grad=True)
    pulled = _computed(torch.autograd.grad(out, x, v, create_graph=True, allow_unused=True)[0])
    columns = _pulled_back(pulled, v, _basis(x), create_graph, TWICE)
    return columns.reshape(inputs, size, outputs).permute(1, 2, 0)


def jacobian_exact(out: Tensor, x: Tensor, *, left: Tensor | None = None, right: Tensor | None = None) -> Tensor:
    """E‖∂out/∂x‖²_F from the whole Jacobian J; a scalar that can be differentiated again.

    Args:
        out: ``(B, ...)``, D values a sample.
        x: ``(B, ...)``, I values a sample.
        left: ``(D', D)``; E‖left·J·right‖²_F is then returned: the outputs in other units, held fixed in J.
        right: ``(I, I')``: the same for the inputs.

    Raises:
        ConfigError: As of :func:`jacobian`, or ``left`` or ``right`` does not fit.

    >>> x = torch.ones(5, 3, requires_grad=True)
    >>> jacobian_exact(2 * x, x).item()
    12.0
    """
    _check_units(out, x, left, right)
    whole = _wide(jacobian(out, x, create_graph=True))
    with torch.autocast(out.device.type, enabled=False):
        whole = whole if left is None else left @ whole
        whole = whole if right is None else whole @ right
    return whole.square().sum((1, 2)).mean()


def jacobian_probe(
    out: Tensor, x: Tensor, *, probes: int = 1, left: Tensor | None = None, right: Tensor | None = None
) -> Tensor:
    """An unbiased estimate of E‖∂out/∂x‖²_F: the mean of ‖Jᵀv‖² over random v with E vvᵀ = 1.

    Reference: Hutchinson 1990, "A stochastic estimator of the trace of the influence matrix". The entries of v are
    1 or -1 with equal chance: unbiased as N(0, I), with less variance. v must be drawn anew for every sample and step:
    a fixed v, such as that of the gradient of ``out.sum()``, gives ‖Jᵀ1‖², where terms cancel.

    Args:
        out: ``(B, ...)``.
        x: ``(B, ...)``.
        probes: Vectors a sample; each costs a backward pass, and the variance falls as 1/probes.
        left: As of :func:`jacobian_exact`.
        right: As of :func:`jacobian_exact`.

    Raises:
        ConfigError: As of :func:`jacobian_exact`, or ``probes`` is below 1.

    Draws from torch's global generator.

    >>> x = torch.ones(5, 3, requires_grad=True)
    >>> jacobian_probe(2 * x, x).item()
    12.0
    """
    size, outputs, _ = _check_units(out, x, left, right)
    if probes < 1:
        raise ConfigError(f"probes: a whole number of at least 1 expected, got {probes}.")
    rows = outputs if left is None else len(left)
    v = torch.randint(0, 2, (probes, size, rows), device=out.device).to(out.dtype).mul_(2).sub_(1)
    with torch.autocast(out.device.type, enabled=False):
        v = v if left is None else (v.to(left.dtype) @ left).to(out.dtype)
        pulled = _wide(_pulled_back(out, x, v.reshape(probes, *out.shape), create_graph=True)).flatten(2)
        pulled = pulled if right is None else pulled @ right
    return pulled.square().sum(2).mean()


def jacobian_penalty(
    out: Tensor,
    x: Tensor,
    *,
    form: str = "auto",
    probes: int = 1,
    left: Tensor | None = None,
    right: Tensor | None = None,
) -> Tensor:
    """E‖∂out/∂x‖²_F: exact where that is cheap, by random probes otherwise.

    Reference: Rifai et al. 2011, "Contractive auto-encoders", ICML.

    Args:
        out: ``(B, ...)``, such as codes.
        x: ``(B, ...)``, such as data.
        form: ``exact``, ``probe``, or ``auto``: exact where the smaller side has at most ``EXACT_UP_TO`` values, or
            no more than there would be probes.
        probes: Of the probe form.
        left: As of :func:`jacobian_exact`.
        right: As of :func:`jacobian_exact`.

    Raises:
        ConfigError: As of :func:`jacobian_exact` and :func:`jacobian_probe`, or ``form`` is unknown.

    >>> x = torch.ones(5, 3, requires_grad=True)
    >>> jacobian_penalty(2 * x, x).item()
    12.0
    """
    if form not in FORMS:
        raise ConfigError(f"form: unknown value {form!r}. {nearest(form, FORMS)}")
    _, outputs, inputs = _sizes(out, x)
    if form == "exact" or (form == "auto" and min(outputs, inputs) <= max(EXACT_UP_TO, probes)):
        return jacobian_exact(out, x, left=left, right=right)
    return jacobian_probe(out, x, probes=probes, left=left, right=right)


def jacobian_singular_values(out: Tensor, x: Tensor) -> Tensor:
    """Singular values of each sample's Jacobian, largest first, ``(B, min(D, I))``; no graph, for measuring.

    Their squares add up to ‖∂out/∂x‖²_F. Arguments and errors as of :func:`jacobian`.

    >>> x = torch.ones(1, 2, requires_grad=True)
    >>> jacobian_singular_values(x * torch.tensor([3.0, 4.0]), x).tolist()
    [[4.0, 3.0]]
    """
    return torch.linalg.svdvals(_wide(jacobian(out, x)).detach())


def weight_l1(module: nn.Module) -> Tensor:
    """‖W‖₁: the sum of the absolute values of all weights of ``module``; biases are left out.

    Raises:
        ConfigError: The module has no weights, that is no parameter of two axes or more.

    >>> layer = nn.Linear(2, 1)
    >>> _ = nn.init.constant_(layer.weight, -3.0)
    >>> weight_l1(layer).item(), weight_l2(layer).item()
    (6.0, 18.0)
    """
    return torch.stack([_wide(w).abs().sum() for w in _weights(module)]).sum()


def weight_l2(module: nn.Module) -> Tensor:
    """‖W‖₂²: the sum of the squares of all weights of ``module``; otherwise as :func:`weight_l1`."""
    return torch.stack([_wide(w).square().sum() for w in _weights(module)]).sum()


def _weights(module: nn.Module) -> list[nn.Parameter]:
    found = [p for p in module.parameters() if p.ndim > 1]
    if not found:
        raise ConfigError(
            f"{type(module).__name__} has no weights to penalise, that is no parameter of two axes or more. "
            "Pass the network that holds the linear layers or convolutions."
        )
    return found


def _sizes(out: Tensor, x: Tensor) -> tuple[int, int, int]:
    """Samples, values of ``out`` and values of ``x`` a sample."""
    if not (x.requires_grad and out.requires_grad):
        raise ConfigError(
            "Jacobian: out computed from x expected, got no graph between them. Call x.requires_grad_(True) before "
            "the network is applied, and leave torch.no_grad() off."
        )
    if out.ndim < 2 or x.ndim < 2 or len(out) != len(x) or not len(x):
        raise ConfigError(
            f"Jacobian: out (B, ...) and x (B, ...) of the same B of at least 1 expected, got {tuple(out.shape)} and "
            f"{tuple(x.shape)}. A single value a sample is (B, 1)."
        )
    return len(x), out[0].numel(), x[0].numel()


def _check_units(out: Tensor, x: Tensor, left: Tensor | None, right: Tensor | None) -> tuple[int, int, int]:
    size, outputs, inputs = _sizes(out, x)
    for name, matrix, axis, values in (("left", left, 1, outputs), ("right", right, 0, inputs)):
        if matrix is not None and (matrix.ndim != 2 or matrix.shape[axis] != values):
            raise ConfigError(
                f"{name}: a matrix with {values} {'columns' if axis else 'rows'} expected, one for each value of "
                f"{'out' if axis else 'x'}, got {tuple(matrix.shape)}."
            )
    return size, outputs, inputs


def _basis(like: Tensor) -> Tensor:
    """Every unit vector of a sample's values for the whole batch, ``(values, B, ...)``."""
    values = like[0].numel()
    unit = torch.eye(values, dtype=like.dtype, device=like.device).view(values, 1, *like.shape[1:])
    return unit.expand(values, *like.shape)


def _pulled_back(out: Tensor, x: Tensor, v: Tensor, create_graph: bool, otherwise: str = APART) -> Tensor:
    """Jᵀv of each sample for vectors ``(n, B, ...)``: ``(n, *x.shape)``."""
    keep = {"create_graph": create_graph, "retain_graph": True, "allow_unused": True}
    # On a CPU a convolution's vectorised pass takes up to twice the time of one pass a vector.
    if len(v) > 1 and out.device.type != "cpu":
        return _computed(torch.autograd.grad(out, x, v, is_grads_batched=True, **keep)[0], otherwise)
    return torch.stack([_computed(torch.autograd.grad(out, x, one, **keep)[0], otherwise) for one in v])


def _computed(gradient: Tensor | None, otherwise: str = APART) -> Tensor:
    """The gradient, if there is one."""
    if gradient is None:
        raise ConfigError(otherwise)
    return gradient


def _wide(t: Tensor) -> Tensor:
    """Float32 at least, as sums of many squares need."""
    return t if t.dtype == torch.float64 else t.float()
