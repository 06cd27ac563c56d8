"""Plain autoencoder: a convolutional encoder and decoder with a vector code.

Reference: Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks". Gaussian
noise on the codes and a pull towards zero mean and unit variance keep the latent space smooth; with labels, a
classifier on the encoder's features and a loss in those features make the reconstructions look right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from aegan.models.autoencoders.core import AutoencoderConfig, ConvAutoencoder
from aegan.models.base import Model
from aegan.types import Batch, Optimizer, Phase, Spec, Stage, Term


@dataclass(frozen=True, kw_only=True)
class PlainConfig:
    """Settings of the plain autoencoder.

    Attributes:
        autoencoder: Networks and reconstruction loss.
        batch_size: Images a step.
        lr: Peak learning rate of Adam.
    """

    autoencoder: AutoencoderConfig = AutoencoderConfig()
    batch_size: int = 128
    lr: float = 2e-3


@final
class Autoencoder(Model):
    """Plain convolutional autoencoder; see the module's text."""

    Config: ClassVar[type] = PlainConfig
    kinds: ClassVar[tuple[str, ...]] = ("image",)

    def __init__(self, spec: Spec, config: PlainConfig) -> None:
        super().__init__(spec, config)
        self.autoencoder = ConvAutoencoder(spec, config.autoencoder)
        self.code_dim = config.autoencoder.latent_dim

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One stage with one phase."""
        phase = Phase(
            name="autoencode", networks=("autoencoder",), optimizer=Optimizer(lr=self.config.lr, betas=(0.9, 0.99))
        )
        return (
            Stage(
                name="autoencoder", share=1.0, phases=(phase,), batch_size=self.config.batch_size, ema=("autoencoder",)
            ),
        )

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of the one phase, ``autoencode``."""
        return self.autoencoder.loss(batch["x"], batch.get("y"))

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)``."""
        return self.autoencoder.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Images ``(B, C, H, W)``."""
        return self.autoencoder.decoder(z)
