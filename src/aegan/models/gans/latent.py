"""Settings of latent augmentation within a GAN."""

from __future__ import annotations

from dataclasses import dataclass

from aegan.augment.latent.training import LatentAugment
from aegan.config import require_at_least_one, require_choice
from aegan.errors import ConfigError
from aegan.models.autoencoders.family import AnyAutoencoder, PlainConfig

ON = ("real", "both")


@dataclass(frozen=True, kw_only=True)
class LatentAugmentConfig:
    """Settings of ``augmentation=latent``; see :mod:`aegan.augment.latent.training`.

    Attributes:
        autoencoder: Any of the family, by ``autoencoder.model``, with its own settings; trained first.
        autoencoder_share: Its part of the budget.
        strength: From 0 (reconstructions) to 1 (as far from their sources as real neighbours are).
        neighbours: Samples of the class that say how codes lie.
        on: What goes through it: ``real`` samples alone, or ``both`` real and generated ones.
        most: The largest share of samples that is augmented.
        leak: With ``on=real``, the leak beyond which the share shrinks.
    """

    autoencoder: AnyAutoencoder = PlainConfig()
    autoencoder_share: float = 0.3
    strength: float = 0.5
    neighbours: int = 5
    on: str = "real"
    most: float = 0.5
    leak: float = 0.25

    def __post_init__(self) -> None:
        require_choice(self, "on", ON)
        require_at_least_one(self, "neighbours")
        if not 0 < self.autoencoder_share < 1:
            raise ConfigError(f"latent.autoencoder_share: between 0 and 1 expected, got {self.autoencoder_share}.")
        for name in ("strength", "most", "leak"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"latent.{name}: a number from 0 to 1 expected, got {getattr(self, name)}.")
        if self.most in (0.0, 1.0):
            raise ConfigError(f"latent.most: above 0 and below 1 expected, got {self.most}: some samples stay real.")


def latent_augment(config: LatentAugmentConfig, code_dim: int, classes: int, images: float) -> LatentAugment:
    """The augmentation that the settings describe.

    Args:
        config: The settings.
        code_dim: Length of the autoencoder's codes.
        classes: K; 0 where the model is not told the classes.
        images: Samples over which the share may go from 0 to 1.
    """
    return LatentAugment(
        code_dim,
        classes,
        strength=config.strength,
        neighbours=config.neighbours,
        images=images,
        most=config.most,
        # What fakes go through as well cannot leak.
        leak=1.0 if config.on == "both" else config.leak,
    )
