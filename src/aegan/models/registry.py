"""Every model by name. A new model costs a file, a line here and a row in docs/models.md."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aegan.config import from_json
from aegan.errors import ConfigError, nearest
from aegan.types import Spec

if TYPE_CHECKING:
    from aegan.models.base import Model


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What ``aegan models`` prints, and where the class is.

    Attributes:
        path: ``module:Class``, imported only when the model is used.
        kinds: Kinds of data it models.
        summary: One line.
        paper: Reference with arXiv number where there is one.
    """

    path: str
    kinds: tuple[str, ...]
    summary: str
    paper: str

    def load(self) -> type[Model]:
        """The model's class."""
        module, _, name = self.path.partition(":")
        return getattr(importlib.import_module(module), name)


MODELS: dict[str, Entry] = {
    "autoencoder": Entry(
        path="aegan.models.autoencoders.plain:Autoencoder",
        kinds=("image",),
        summary="Plain autoencoder: codes and reconstructions, no sampling.",
        paper="Hinton & Salakhutdinov 2006",
    ),
    "latent-gan": Entry(
        path="aegan.models.hybrids.latent_gan:LatentGAN",
        kinds=("image",),
        summary="Autoencoder, then a GAN on its whitened codes, then both against a data-space discriminator.",
        paper="Achlioptas et al. 2018 (arXiv 1707.02392); loss and penalties as R3GAN (arXiv 2501.05441)",
    ),
}


def entry(name: str) -> Entry:
    """The entry of model ``name``; ConfigError with the nearest names otherwise."""
    if name not in MODELS:
        raise ConfigError(f"Unknown model {name!r}. {nearest(name, MODELS)} `aegan models` describes them.")
    return MODELS[name]


def build(name: str, spec: Spec, settings: dict[str, Any]) -> Model:
    """Model ``name`` for ``spec`` with JSON ``settings``; ConfigError names what does not fit."""
    cls = entry(name).load()
    return cls(spec, from_json(cls.Config, settings, where=f"{name} settings"))  # type: ignore[call-arg]
