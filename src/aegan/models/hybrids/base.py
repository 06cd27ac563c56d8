"""What every hybrid around one of the autoencoder family shares: its codes are that autoencoder's."""

from __future__ import annotations

from abc import ABC
from typing import TypedDict

from torch import Tensor

from aegan.models.autoencoders.base import AutoencoderConfig, AutoencoderModel
from aegan.models.autoencoders.sequence import SequenceConfig
from aegan.models.base import Model
from aegan.nn.series import SERIES_NETWORKS
from aegan.types import Health, Optimizer, Phase, Stage


class AutoencoderHybrid(Model, ABC):
    """A model with an ``autoencoder``, whose codes and health are its own."""

    autoencoder: AutoencoderModel

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)``."""
        return self.autoencoder.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """Data ``(B, *shape)``."""
        return self.autoencoder.decode(z)

    def draw(self, z: Tensor, noise: Tensor) -> Tensor:
        """Data ``(B, *shape)``, with discrete values drawn by ``noise`` ``(B, draw_dim)``."""
        return self.autoencoder.draw(z, noise)

    def health(self, x: Tensor) -> Health:
        """The autoencoder's."""
        return self.autoencoder.health(x)


class TrunkSize(TypedDict):
    """What a discriminator needs for its trunk to be as the encoder's."""

    width: int
    blocks: int
    series: str


def trunk_size(own: AutoencoderConfig | SequenceConfig) -> TrunkSize:
    """Of the encoder with these settings."""
    series = own.series if isinstance(own, AutoencoderConfig) else SERIES_NETWORKS[0]
    return TrunkSize(width=own.width, blocks=own.blocks, series=series)


def autoencoder_stage(own: AutoencoderConfig | SequenceConfig, share: float) -> Stage:
    """The first stage of a hybrid: its network ``autoencoder`` alone, in the phase ``autoencode``."""
    phase = Phase(name="autoencode", networks=("autoencoder",), optimizer=Optimizer(lr=own.lr))
    return Stage(
        name="autoencoder",
        share=share,
        phases=(phase,),
        batch_size=own.batch_size,
        ema=("autoencoder",),
        patience=own.patience if isinstance(own, SequenceConfig) else 0,
    )
