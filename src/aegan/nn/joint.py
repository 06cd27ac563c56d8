"""A discriminator of pairs: data beside codes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aegan.nn.init import LEAKY_GAIN, activation, linear
from aegan.nn.mlp import ResidualLayer


class JointDiscriminator(nn.Module):
    """Data ``(B, *shape)`` and codes ``(B, D)`` to float32 logits ``(B,)``.

    Args:
        trunk: Data to a feature map or vector of ``trunk.features`` values.
        latent_dim: Length of a code.
        hidden: Units for either, and for both together.
    """

    def __init__(self, trunk: nn.Module, latent_dim: int, *, hidden: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.data = linear(int(trunk.features), hidden, gain=LEAKY_GAIN)  # type: ignore[arg-type]
        self.code = nn.Sequential(linear(latent_dim, hidden), ResidualLayer(hidden))
        self.both = nn.Sequential(linear(2 * hidden, hidden, gain=LEAKY_GAIN), ResidualLayer(hidden))
        self.logit = linear(hidden, 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        data = self.data(activation(self.trunk(x)).flatten(1))
        both = self.both(activation(torch.cat([data, self.code(z)], 1)))
        return self.logit(activation(both)).squeeze(1).float()
