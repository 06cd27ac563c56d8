"""A generator for any decoder: noise, and an embedding of the class beside it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aegan.nn.init import class_embedding


class Generator(nn.Module):
    """Noise ``(B, noise_dim)`` and classes ``(B,)`` to data ``(B, *shape)``.

    Args:
        decoder: From vectors of ``noise_dim`` values, or twice as many where there are classes.
        noise_dim: Length of the noise, and of a class embedding.
        classes: Number of classes; 0 for none.
        signs: So many of the noise's last values count by their sign alone. What has a gap between its parts cannot be
            made steadily out of normal noise without something in the gap (arXiv 1806.00880, 2006.04596); from one sign
            to the other there is a jump.
    """

    def __init__(self, decoder: nn.Module, noise_dim: int, classes: int, *, signs: int = 0) -> None:
        super().__init__()
        self.decoder, self.signs = decoder, signs
        self.embedding = class_embedding(classes, noise_dim) if classes else None

    def forward(self, noise: Tensor, y: Tensor | None) -> Tensor:
        if self.signs:
            steady, rest = noise.split([noise.shape[1] - self.signs, self.signs], 1)
            noise = torch.cat([steady, rest.sign()], 1)
        if self.embedding is not None:
            if y is None:
                mean = self.embedding.weight.mean(0).expand(len(noise), -1)
            else:
                mean = self.embedding(y)
            # Rows of the embedding have unit length; the factor gives them the noise's scale.
            noise = torch.cat([noise, mean * noise.shape[1] ** 0.5], 1)
        return self.decoder(noise)
