"""Residual multilayer perceptrons for codes: the latent generator and the latent discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aegan.nn.discriminator import project
from aegan.nn.init import LEAKY_GAIN, activation, class_embedding, linear


class ResidualLayer(nn.Module):
    """x + linear(act(linear(act(x)))), the branch starting at zero."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first = linear(dim, dim, gain=LEAKY_GAIN)
        self.second = linear(dim, dim, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(activation(self.first(activation(x))))


class LatentGenerator(nn.Module):
    """Noise ``(B, noise_dim)`` and classes ``(B,)`` to codes ``(B, D)``; if ``correcting``, to noise plus a change.

    A correcting generator starts as the identity, so ``noise_dim`` is ``latent_dim``.
    """

    def __init__(
        self, noise_dim: int, latent_dim: int, classes: int, *, hidden: int, depth: int, correcting: bool = False
    ) -> None:
        super().__init__()
        self.correcting = correcting
        self.embedding = class_embedding(classes, hidden) if classes else None
        self.stem = linear(noise_dim, hidden)
        self.layers = nn.Sequential(*(ResidualLayer(hidden) for _ in range(depth)))
        self.head = linear(hidden, latent_dim, gain=0.0 if correcting else 1.0)

    def forward(self, noise: Tensor, y: Tensor | None) -> Tensor:
        h = self.stem(noise)
        if self.embedding is not None and y is not None:
            # Rows of the embedding are short beside the noise; the factor puts both on one scale.
            h = h + self.embedding(y) * self.embedding.embedding_dim**0.5
        out = self.head(activation(self.layers(h)))
        return noise + out if self.correcting else out


class LatentDiscriminator(nn.Module):
    """Codes ``(B, D)`` and classes ``(B,)`` to float32 logits ``(B,)``."""

    def __init__(self, latent_dim: int, classes: int, *, hidden: int, depth: int) -> None:
        super().__init__()
        self.stem = linear(latent_dim, hidden)
        self.layers = nn.Sequential(*(ResidualLayer(hidden) for _ in range(depth)))
        self.logit = linear(hidden, 1)
        self.embedding = class_embedding(classes, hidden) if classes else None

    def forward(self, z: Tensor, y: Tensor | None) -> Tensor:
        return project(self.logit, self.embedding, activation(self.layers(self.stem(z))), y)


_AT_ONCE = 1 << 18
"""Codes that are brought to float64 together."""


def _moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean ``(D,)`` and covariance ``(D, D)`` of codes ``(N, D)`` in float64."""
    dim = z.shape[1]
    if len(z) <= _AT_ONCE:
        wide = z.double()
        return wide.mean(0), torch.cov(wide.T).reshape(dim, dim)
    parts, products = z.split(_AT_ONCE), z.new_zeros(dim, dim, dtype=torch.float64)
    mean = torch.stack([part.double().sum(0) for part in parts]).sum(0) / len(z)
    for part in parts:
        apart = part.double() - mean
        products.addmm_(apart.T, apart)
    return mean, products / (len(z) - 1)


class Whitening(nn.Module):
    """Affine map between codes and codes of zero mean and unit covariance, kept as buffers ``(D, D)``.

    Directions whose variance is below ``floor`` times the largest are not blown up further.
    """

    mean: Tensor
    forward_matrix: Tensor
    inverse_matrix: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("forward_matrix", torch.eye(dim))
        self.register_buffer("inverse_matrix", torch.eye(dim))

    @torch.no_grad()
    def fit(self, z: Tensor, *, floor: float = 1e-6) -> None:
        """Set the map from codes ``z`` ``(N, D)``; computed in float64."""
        mean, covariance = _moments(z)
        values, vectors = torch.linalg.eigh(covariance)
        root = values.clamp(min=float(values.max()) * floor + 1e-12).sqrt()
        self.mean.copy_(mean)
        self.forward_matrix.copy_(vectors / root)
        self.inverse_matrix.copy_((vectors * root).T)

    def forward(self, z: Tensor) -> Tensor:
        """Whiten codes ``(B, D)``."""
        return (z - self.mean) @ self.forward_matrix

    def inverse(self, z: Tensor) -> Tensor:
        """Colour whitened codes ``(B, D)`` back."""
        return z @ self.inverse_matrix + self.mean
