"""What every autoencoder shares: networks from the Spec, the reconstruction terms, the one stage.

Each method of the family is a file beside this one, with a final class and a config that adds its own fields. Any
of them trains alone (``--model contractive``) and serves as the autoencoder of a hybrid
(``--set autoencoder.model=contractive``).
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from aegan.config import require_at_least_one, require_choice, require_non_negative
from aegan.errors import ConfigError
from aegan.losses import absolute_error, bernoulli_error, categorical_error, feature_error, squared_error
from aegan.models.base import Model
from aegan.nn.backbone import CODED_KINDS, decoder_for, encoder_for
from aegan.nn.init import activation, linear
from aegan.nn.rows import drawn, likeliest
from aegan.nn.series import SERIES_NETWORKS
from aegan.types import Batch, Optimizer, Phase, Spec, Stage, Term

ERRORS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": squared_error,
    "absolute": absolute_error,
    "bernoulli": bernoulli_error,
    "categorical": categorical_error,
}
OF_LIKELIHOOD = {
    "gaussian": "squared",
    "laplace": "absolute",
    "bernoulli": "bernoulli",
    "categorical": "categorical",
}
"""The reconstruction error that is a likelihood's negative logarithm, up to scale and constant."""

_AMOUNTS = tuple(name for name in ERRORS if name != "categorical")


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """The settings that every autoencoder has.

    Attributes:
        latent_dim: Length of a code.
        width: Channels of the finest feature map (coarser ones have up to four times as many), or an eighth of the
            hidden units where data have no grid.
        blocks: Residual blocks at each resolution.
        series: Networks of time series: ``convolutional``, ``recurrent`` or ``attention``; no other data have them.
        error: Of a value: ``squared``, ``absolute``, ``bernoulli`` (values of -1 or 1, or in between as
            probabilities), ``categorical`` (a table's fields, and nothing else for those), or ``spec``: what the
            data's likelihood asks for.
        feature_weight: Weight of the reconstruction error in the encoder's own features; without effect on tables.
        class_weight: Weight of the classifier on the encoder's features; without effect without labels.
        batch_size: Samples a step.
        lr: Peak learning rate of Adam.
    """

    model: ClassVar[str]
    latent_dim: int = 64
    width: int = 32
    blocks: int = 1
    series: str = "convolutional"
    error: str = "spec"
    feature_weight: float = 0.0
    class_weight: float = 0.0
    batch_size: int = 128
    lr: float = 2e-3

    def __post_init__(self) -> None:
        require_at_least_one(self, "latent_dim", "width", "blocks", "batch_size")
        require_non_negative(self, "feature_weight", "class_weight")
        require_choice(self, "error", ("spec", *ERRORS))
        require_choice(self, "series", SERIES_NETWORKS)
        if not 0 < self.lr < float("inf"):
            raise ConfigError(f"lr: a number above 0 expected, got {self.lr}.")


class AutoencoderModel(Model, ABC):
    """Encoder, decoder and, with labels and a weight for it, a classifier on the encoder's last features.

    A member writes :meth:`loss` from the parts here, and overrides what differs.

    Attributes:
        encoder: Data to codes, with a ``trunk`` whose ``maps`` are features of the data.
        decoder: Codes to values, or to logits of a Bernoulli or categorical likelihood; :meth:`decode` gives data in
            any case.
    """

    kinds: ClassVar[tuple[str, ...]] = CODED_KINDS
    config: AutoencoderConfig
    networks: tuple[str, ...] = ("encoder", "decoder")

    def __init__(self, spec: Spec, config: AutoencoderConfig, *, code_features: int | None = None) -> None:
        """``code_features``: outputs of the encoder, where these are not the code itself."""
        super().__init__(spec, config)
        dim = config.latent_dim
        size: dict[str, Any] = {"width": config.width, "blocks": config.blocks, "series": config.series}
        self.code_dim = dim
        self.error = _error_of(spec, config.error)
        self.draw_dim = len(spec.fields) if self.error == "categorical" else 0
        self.encoder = encoder_for(spec, code_features or dim, **size)
        self.decoder = decoder_for(spec, dim, **size)
        self.classifier: nn.Linear | None = None
        if spec.num_classes and config.class_weight:
            self.classifier = linear(self.encoder.trunk.features, spec.num_classes)
            self.networks = (*self.networks, "classifier")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One stage with one phase, ``autoencode``."""
        optimizer = Optimizer(lr=self.config.lr, betas=(0.9, 0.99))
        phase = Phase(name="autoencode", networks=self.networks, optimizer=optimizer)
        size = self.config.batch_size
        return (Stage(name="autoencoder", share=1.0, phases=(phase,), batch_size=size, ema=self.networks),)

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """Always the same, but where some values are missing: how many is not known before."""
        return None if "mask" in batch else ()

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)`` of data, without noise."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Data ``(B, *shape)`` of codes; the mean of the decoder's distribution, or the most likely values."""
        out = self.decoder(z)
        if self.error == "categorical":
            return likeliest(out)
        return 2.0 * torch.sigmoid(out.float()) - 1.0 if self.error == "bernoulli" else out

    def draw(self, z: Tensor, noise: Tensor) -> Tensor:
        """Data ``(B, *shape)`` of codes, with discrete values drawn rather than the most likely: what samplers decode.

        Always the most likely would leave the rare ones out.

        Args:
            z: Codes ``(B, D)``.
            noise: Standard normal, ``(B, draw_dim)``: a number for each value of a row, none for other data.
        """
        return drawn(self.decoder(z), noise) if self.draw_dim else self.decode(z)

    def noisy(self, z: Tensor) -> Tensor:
        """Codes as the decoder meets them in training; a latent GAN learns these."""
        return z

    def reconstruction(self, out: Tensor, x: Tensor, maps: list[Tensor], mask: Tensor | None = None) -> dict[str, Term]:
        """Terms ``reconstruction`` and, with a weight, ``features``.

        Args:
            out: What the decoder gave for ``x``.
            x: Data ``(B, *shape)``.
            maps: The trunk's features of ``x``; they get no gradient.
            mask: Bool, shape of ``x``; only values where it is True are to be reconstructed. None: all.
        """
        if mask is None:
            terms = {"reconstruction": Term(ERRORS[self.error](out, x))}
        else:
            # No value at all is no error, rather than none to divide by.
            known = ERRORS[self.error](out[mask], x[mask]) if bool(mask.any()) else out.sum() * 0.0
            terms = {"reconstruction": Term(known)}
            out = observed(out, x, mask)
        if self.config.feature_weight and self.error != "categorical":
            x_hat = 2.0 * torch.sigmoid(out.float()) - 1.0 if self.error == "bernoulli" else out.float()
            terms["features"] = Term(self._feature_error(x_hat, maps), self.config.feature_weight)
        return terms

    def classification(self, maps: list[Tensor], batch: Batch) -> dict[str, Term]:
        """Term ``class``, where there are labels and a classifier."""
        if self.classifier is None or "y" not in batch:
            return {}
        logits = self.classifier(activation(maps[-1]).flatten(1)).float()
        return {"class": Term(cross_entropy(logits, batch["y"]), self.config.class_weight)}

    def _feature_error(self, x_hat: Tensor, maps: list[Tensor]) -> Tensor:
        # The trunk judges but does not learn to please itself: its weights are held fixed here.
        trunk = self.encoder.trunk
        learning = [p for p in trunk.parameters() if p.requires_grad]
        for p in learning:
            p.requires_grad_(False)
        made = trunk.maps(x_hat)
        for p in learning:
            p.requires_grad_(True)
        return feature_error(made, maps)


def observed(out: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
    """What the decoder gave, with the data in the place of values that were not observed: no error there."""
    return out if mask is None else torch.where(mask, out.float(), x)


def _error_of(spec: Spec, asked: str) -> str:
    """The reconstruction error by name, if it fits the data."""
    if asked == "spec" and spec.likelihood not in OF_LIKELIHOOD:
        raise ConfigError(
            f"No autoencoder of this version reconstructs {spec.likelihood} values; there are some for "
            f"{', '.join(OF_LIKELIHOOD)} ones. Set error to {', '.join(_AMOUNTS)} to treat them as amounts."
        )
    error = OF_LIKELIHOOD[spec.likelihood] if asked == "spec" else asked
    if error == "categorical" and spec.kind != "table":
        raise ConfigError(
            f"error={asked}: a categorical likelihood needs a table, whose fields tell the values apart, got "
            f"{spec.kind} data. Set error to {', '.join(_AMOUNTS)} to treat them as amounts."
        )
    if error != "categorical" and spec.kind == "table":
        raise ConfigError(
            f"error={asked}: the values of a table's fields are names (likelihood categorical), got {error} for "
            f"likelihood {spec.likelihood}. Set error=categorical, or leave it at spec."
        )
    return error
