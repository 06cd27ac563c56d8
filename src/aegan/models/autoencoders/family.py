"""The family as one type: which config makes which autoencoder, for the hybrids that take any of them."""

from __future__ import annotations

from typing import cast

from aegan.errors import ConfigError
from aegan.models.autoencoders.base import AutoencoderModel
from aegan.models.autoencoders.contractive import Contractive, ContractiveConfig
from aegan.models.autoencoders.denoising import Denoising, DenoisingConfig
from aegan.models.autoencoders.plain import Autoencoder, PlainConfig
from aegan.models.autoencoders.sequence import Sequence, SequenceConfig
from aegan.models.autoencoders.sparse import Sparse, SparseConfig
from aegan.models.autoencoders.variational import Variational, VariationalConfig
from aegan.models.autoencoders.vector_quantised import VectorQuantised, VectorQuantisedConfig
from aegan.models.autoencoders.wasserstein import Wasserstein, WassersteinConfig
from aegan.types import Spec

AnyAutoencoder = (
    PlainConfig
    | DenoisingConfig
    | SparseConfig
    | WassersteinConfig
    | VariationalConfig
    | VectorQuantisedConfig
    | ContractiveConfig
    | SequenceConfig
)
"""Settings of any autoencoder; the first is the default of every hybrid."""

_CLASSES: dict[type, type[AutoencoderModel]] = {
    cls.Config: cls for cls in (Autoencoder, Denoising, Sparse, Wasserstein, Variational, VectorQuantised, Contractive)
}


def autoencoder_of(spec: Spec, config: AnyAutoencoder) -> AutoencoderModel:
    """The autoencoder that ``config`` describes, for data of ``spec``.

    Raises:
        ConfigError: Text with another autoencoder than ``sequence``, or the other way round.
    """
    if isinstance(config, SequenceConfig):
        if config.form == "language":
            raise ConfigError("autoencoder.form=language has no codes. Set it to variational or denoising.")
        # It has all that a hybrid of codes uses, and nothing for an adversary of data, which text has no use for.
        return cast(AutoencoderModel, Sequence(spec, config))
    if spec.kind == "text":
        raise ConfigError(
            f"autoencoder.model={config.model}: text needs a decoder that writes token by token. Set "
            "autoencoder.model=sequence."
        )
    return _CLASSES[type(config)](spec, config)  # type: ignore[call-arg]
