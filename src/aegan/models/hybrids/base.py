"""What every hybrid around one of the autoencoder family shares: its codes are that autoencoder's."""

from __future__ import annotations

from abc import ABC

from torch import Tensor

from aegan.models.autoencoders.base import AutoencoderModel
from aegan.models.base import Model
from aegan.types import Health


class AutoencoderHybrid(Model, ABC):
    """A model with an ``autoencoder``, whose codes and health are its own."""

    autoencoder: AutoencoderModel

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)``."""
        return self.autoencoder.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """Data ``(B, *shape)``."""
        return self.autoencoder.decode(z)

    def health(self, x: Tensor) -> Health:
        """The autoencoder's."""
        return self.autoencoder.health(x)
