"""The convolutional autoencoder and its loss, as the plain model and the hybrids share them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from aegan.errors import ConfigError, nearest
from aegan.losses import absolute_error, squared_error
from aegan.nn.conv import MIN_SIDE, ConvDecoder, ConvEncoder
from aegan.nn.init import activation, linear
from aegan.types import Spec, Term

_ERRORS = {"squared": squared_error, "absolute": absolute_error}


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Networks and loss of the convolutional autoencoder.

    Attributes:
        latent_dim: Length of a code.
        width: Channels of the finest feature map; coarser ones have up to four times as many.
        blocks: Residual blocks at each resolution.
        error: ``squared`` or ``absolute`` error of a pixel.
        feature_weight: Weight of the reconstruction error in the encoder's own features.
        class_weight: Weight of the classifier on the encoder's features; without effect without labels.
        code_noise: Standard deviation of the Gaussian noise on codes (of about unit variance) in training.
        code_weight: Weight of the pull of codes towards zero mean and unit variance.
    """

    latent_dim: int = 64
    width: int = 32
    blocks: int = 2
    error: str = "squared"
    feature_weight: float = 0.1
    class_weight: float = 0.05
    code_noise: float = 0.1
    code_weight: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("latent_dim", "width", "blocks"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: a whole number of at least 1 expected, got {getattr(self, name)}.")
        for name in ("feature_weight", "class_weight", "code_noise", "code_weight"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name}: a number of at least 0 expected, got {getattr(self, name)}.")
        if self.error not in _ERRORS:
            raise ConfigError(f"error: unknown value {self.error!r}. {nearest(self.error, _ERRORS)}")


class ConvAutoencoder(nn.Module):
    """Encoder, decoder and, with labels, a linear classifier on the encoder's last feature map."""

    def __init__(self, spec: Spec, config: AutoencoderConfig) -> None:
        super().__init__()
        if min(spec.shape[1:]) < MIN_SIDE:
            raise ConfigError(
                f"Images of {spec.shape[1]}x{spec.shape[2]} are smaller than the networks' minimum of "
                f"{MIN_SIDE}x{MIN_SIDE}. Enlarge them, for example with --size {2 * MIN_SIDE}."
            )
        self.config = config
        shape, dim = spec.shape, config.latent_dim
        self.encoder = ConvEncoder(shape, dim, width=config.width, blocks=config.blocks)
        self.decoder = ConvDecoder(shape, dim, width=config.width, blocks=config.blocks)
        self.classifier = linear(self.encoder.trunk.features, spec.num_classes) if spec.num_classes else None

    def loss(self, x: Tensor, y: Tensor | None) -> dict[str, Term]:
        """Terms of the autoencoder on images ``x`` ``(B, C, H, W)`` with classes ``y`` ``(B,)``."""
        config = self.config
        features = self.encoder.trunk.maps(x)
        top = activation(features[-1]).flatten(1)
        z = self.encoder.from_maps(features).float()
        x_hat = self.decoder(self.noisy(z))
        terms = self.reconstruction(x_hat, x, features)
        if self.classifier is not None and y is not None and config.class_weight:
            terms["class"] = Term(cross_entropy(self.classifier(top).float(), y), config.class_weight)
        pull = z.mean(0).square().mean() + (z.var(0) - 1.0).square().mean()
        terms["code"] = Term(pull, config.code_weight)
        return terms

    def reconstruction(self, x_hat: Tensor, x: Tensor, features: list[Tensor]) -> dict[str, Term]:
        """Pixel error and error in the encoder's features ``features`` of ``x``, which get no gradient."""
        terms = {"reconstruction": Term(_ERRORS[self.config.error](x_hat, x))}
        if self.config.feature_weight:
            terms["features"] = Term(self._feature_error(x_hat, features), self.config.feature_weight)
        return terms

    def noisy(self, z: Tensor) -> Tensor:
        """Codes with the training noise added."""
        return z + self.config.code_noise * torch.randn_like(z) if self.config.code_noise else z

    def _feature_error(self, x_hat: Tensor, features: list[Tensor]) -> Tensor:
        # The trunk judges but does not learn to please itself: its weights are held fixed here.
        trunk = self.encoder.trunk
        learning = [p for p in trunk.parameters() if p.requires_grad]
        for p in learning:
            p.requires_grad_(False)
        made = trunk.maps(x_hat.float())
        for p in learning:
            p.requires_grad_(True)
        errors = [(_unit(a) - _unit(b.detach())).square().mean() for a, b in zip(made, features, strict=True)]
        return torch.stack(errors).sum()


def _unit(h: Tensor) -> Tensor:
    """Feature map ``(B, C, H, W)`` scaled to unit mean square over the channels, float32."""
    h = h.float()
    return h * torch.rsqrt(h.square().mean(1, keepdim=True) + 1e-4)
