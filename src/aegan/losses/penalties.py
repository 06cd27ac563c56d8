"""Gradient penalties on a discriminator's input, for data of any shape."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from aegan.errors import ConfigError


def zero_centred_gradient(logits: Tensor, x: Tensor, *, pack: int = 1) -> Tensor:
    """R1 (on real ``x``) or R2 (on fake ``x``): 1/2 E‖∇ₓ D(x)‖².

    Reference: Mescheder et al. 2018 (arXiv 1801.04406). The weight γ is the caller's: γ/2·E‖∇‖² is
    ``Term(zero_centred_gradient(...), weight=gamma)``.

    Args:
        logits: D(x), shape ``(B / pack,)``, computed from ``x``; each logit depends on its own sample only.
        x: Input of any shape ``(B, ...)`` with ``requires_grad=True``.
        pack: Samples, one after another, that are judged as one (PacGAN): the norm is that of a whole pack's gradient.

    Returns:
        Scalar that can be differentiated again.

    >>> x = torch.ones(4, 3, requires_grad=True)
    >>> zero_centred_gradient(2 * x.sum(1), x).item()
    6.0
    """
    return 0.5 * _squared_norm(logits, x, pack).mean()


def zero_centred_gradients(logits: Tensor, *parts: Tensor, pack: int = 1) -> list[Tensor]:
    """R1 and R2 in one go: :func:`zero_centred_gradient` of each of ``parts``, whose logits are in ``logits``.

    Args:
        logits: ``(N / pack,)``, computed from the parts; each logit depends on its own sample only.
        parts: Inputs ``(B, ...)`` with ``requires_grad=True``, real and fake ones, say.
        pack: As for :func:`zero_centred_gradient`.

    >>> real, fake = torch.ones(4, 3, requires_grad=True), torch.ones(4, 3, requires_grad=True)
    >>> [p.item() for p in zero_centred_gradients(2 * torch.cat([real, fake]).sum(1), real, fake)]
    [6.0, 6.0]
    """
    gradients = torch.autograd.grad(logits.sum(), parts, create_graph=True)
    return [0.5 * _by_pack(g, pack).square().sum(1).mean() for g in gradients]


def unit_gradient(logits: Tensor, x: Tensor, *, pack: int = 1) -> Tensor:
    """E(‖∇ₓ D(x)‖ - 1)²: the penalty of WGAN-GP at points ``x``, such as those of :func:`between`.

    Reference: Gulrajani et al. 2017 (arXiv 1704.00028), whose weight is 10. Arguments as for
    :func:`zero_centred_gradient`.

    >>> x = torch.ones(4, 4, requires_grad=True)
    >>> unit_gradient(2 * x.sum(1), x).item()
    9.0
    """
    # The tiny constant keeps the root's slope finite where the gradient is zero.
    return ((_squared_norm(logits, x, pack) + 1e-12).sqrt() - 1.0).square().mean()


def between(real: Tensor, fake: Tensor, *, pack: int = 1) -> Tensor:
    """Points on the segments between real and fake samples, one uniform draw a sample, or a pack of samples.

    Args:
        real: ``(B, ...)``.
        fake: ``(B, ...)``, paired with ``real``.
        pack: Samples, one after another, that are judged as one.

    Returns:
        A new leaf of the type of ``real`` with ``requires_grad=True``: for WGAN-GP with :func:`unit_gradient`, for the
        zero-centred GP (Thanh-Tung et al. 2019, arXiv 1902.03984) with :func:`zero_centred_gradient`.

    Raises:
        ConfigError: Differing shapes, or a batch that is no multiple of ``pack``.
    """
    if real.shape != fake.shape or pack < 1 or len(real) % pack:
        raise ConfigError(
            f"between: real and fake of one shape (B, ...), B a multiple of pack={pack}, expected, got "
            f"{tuple(real.shape)} and {tuple(fake.shape)}."
        )
    t = torch.rand(len(real) // pack, *[1] * (real.ndim - 1), dtype=real.dtype, device=real.device)
    return torch.lerp(real.detach(), fake.detach().to(real.dtype), t.repeat_interleave(pack, 0)).requires_grad_(True)


def around(real: Tensor) -> Tensor:
    """Points near real samples, displaced by uniform noise of half the batch's standard deviation.

    For DRAGAN (Kodali et al. 2017, arXiv 1705.07215) with :func:`unit_gradient`. The paper's noise is normal,
    N(0, cI); this is the uniform noise on [0, 1) of the common copies of the authors' code, so that every value moves
    upwards. A new leaf with ``requires_grad=True``.
    """
    real = real.detach()
    return (real + 0.5 * real.std() * torch.rand_like(real)).requires_grad_(True)


def lecam(real: Tensor, fake: Tensor, real_mean: Tensor | float, fake_mean: Tensor | float) -> Tensor:
    """E relu(D(x) - α_F)² + E relu(α_R - D(G(z)))², against a discriminator that runs ahead on few data.

    Reference: Tseng et al. 2021 (arXiv 2104.03310). The paper has plain squares, E(D(x) - α_F)² + E(D(G(z)) - α_R)²;
    this is the form of the authors' code, whose relu leaves alone what is on the right side already. Not for
    relativistic losses, whose logits have no level.

    Args:
        real: Logits of real data ``(B,)``.
        fake: Logits of fake data ``(B,)``.
        real_mean: α_R, a moving average of the real logits.
        fake_mean: α_F, a moving average of the fake logits.
    """
    return torch.relu(real - fake_mean).square().mean() + torch.relu(real_mean - fake).square().mean()


@torch.no_grad()
def clip_weights(module: nn.Module, bound: float = 0.01) -> None:
    """Clamp every weight of ``module`` to [-bound, bound], in place; for study (arXiv 1701.07875)."""
    if not bound > 0:
        raise ConfigError(f"clip_weights: a bound above 0 expected, got {bound}.")
    for p in module.parameters():
        p.clamp_(-bound, bound)


def jacobian_clamp(
    generator: Callable[[Tensor], Tensor], noise: Tensor, *, low: float = 1.0, high: float = 20.0, step: float = 1.0
) -> Tensor:
    """Penalty on ‖G(z + δ) - G(z)‖ / ‖δ‖ outside [low, high], for one random direction δ a sample.

    Reference: Odena et al. 2018 (arXiv 1802.08768).

    Args:
        generator: Noise ``(B, D)`` to data ``(B, ...)``; bind classes with a lambda.
        noise: ``(B, D)``.
        low: Below this the generator is too flat.
        high: Above this it is too steep.
        step: Length of δ.
    """
    direction = torch.randn_like(noise)
    delta = step * direction / direction.norm(dim=1, keepdim=True)
    moved = (generator(noise + delta) - generator(noise)).float().flatten(1)
    quotient = (moved.square().sum(1) + 1e-12).sqrt() / step
    return (torch.relu(quotient - high).square() + torch.relu(low - quotient).square()).mean()


def path_length(made: Tensor, w: Tensor, mean: Tensor | float) -> tuple[Tensor, Tensor]:
    """Path length penalty E(‖Jᵀy‖ - a)², y ~ N(0, I)/√n, and the lengths' own mean.

    Reference: Karras et al. 2020 (arXiv 1912.04958). Keep ``a`` as a running mean of the second value, for example
    ``a += 0.01 * (length - a)``.

    Args:
        made: G(w), any shape ``(B, ...)``; y is divided by the root of the values of its last two axes (one, if
            samples are vectors).
        w: What it was made from ``(B, D)``, requiring gradients.
        mean: a.

    Returns:
        Penalty (scalar, differentiable) and the batch's mean length (detached).
    """
    cells = made[0].numel() if made.ndim <= 2 else made.shape[-1] * made.shape[-2]
    y = torch.randn_like(made) / cells**0.5
    (gradient,) = torch.autograd.grad((made * y).sum(), w, create_graph=True)
    lengths = (gradient.float().flatten(1).square().sum(1) + 1e-12).sqrt()
    return (lengths - mean).square().mean(), lengths.detach().mean()


def _squared_norm(logits: Tensor, x: Tensor, pack: int) -> Tensor:
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return _by_pack(gradient, pack).square().sum(1)


def _by_pack(gradient: Tensor, pack: int) -> Tensor:
    """A row for each pack of samples, float32."""
    return gradient.float().reshape(len(gradient) // pack, -1)
