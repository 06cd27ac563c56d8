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
        family: ``autoencoder``, ``gan`` or ``hybrid``.
        kinds: Kinds of data it models.
        summary: One line.
        paper: Reference with arXiv number where there is one.
    """

    path: str
    family: str
    kinds: tuple[str, ...]
    summary: str
    paper: str

    def load(self) -> type[Model]:
        """The model's class."""
        module, _, name = self.path.partition(":")
        return getattr(importlib.import_module(module), name)


BOTH = ("image", "vector")
FAMILIES = ("hybrid", "gan", "autoencoder")
"""In the order in which ``aegan models`` lists them."""

MODELS: dict[str, Entry] = {
    "autoencoder": Entry(
        path="aegan.models.autoencoders.plain:Autoencoder",
        family="autoencoder",
        kinds=BOTH,
        summary="Plain autoencoder: codes and reconstructions, no sampling.",
        paper="Hinton & Salakhutdinov 2006",
    ),
    "denoising": Entry(
        path="aegan.models.autoencoders.denoising:Denoising",
        family="autoencoder",
        kinds=BOTH,
        summary="Reconstructs clean data from corrupted ones (Gaussian, masking, salt-and-pepper).",
        paper="Vincent et al. 2010",
    ),
    "contractive": Entry(
        path="aegan.models.autoencoders.contractive:Contractive",
        family="autoencoder",
        kinds=BOTH,
        summary="Codes that hardly move with the data: a penalty on the Jacobian, or on the encoder's weights.",
        paper="Rifai et al. 2011",
    ),
    "sparse": Entry(
        path="aegan.models.autoencoders.sparse:Sparse",
        family="autoencoder",
        kinds=BOTH,
        summary="Few units of a wide code are on at a time (L1, or a target rate).",
        paper="Ranzato et al. 2007; Ng 2011",
    ),
    "wasserstein": Entry(
        path="aegan.models.autoencoders.wasserstein:Wasserstein",
        family="autoencoder",
        kinds=BOTH,
        summary="Codes held to a normal prior as a whole by MMD; samples from the prior.",
        paper="Tolstikhin et al. 2018 (arXiv 1711.01558)",
    ),
    "variational": Entry(
        path="aegan.models.autoencoders.variational:Variational",
        family="autoencoder",
        kinds=BOTH,
        summary="Codes are distributions held to a normal prior; samples from it, and a bound on the likelihood.",
        paper="Kingma & Welling 2014 (arXiv 1312.6114)",
    ),
    "vector-quantised": Entry(
        path="aegan.models.autoencoders.vector_quantised:VectorQuantised",
        family="autoencoder",
        kinds=BOTH,
        summary="Codes are rows of tokens from a learnt codebook, or from a fixed grid (fsq); no sampling.",
        paper="van den Oord et al. 2017 (arXiv 1711.00937); Mentzer et al. 2023 (arXiv 2309.15505)",
    ),
    "gan": Entry(
        path="aegan.models.gans.gan:GAN",
        family="gan",
        kinds=BOTH,
        summary="GAN in data space: any loss and penalty by settings; R3GAN's by default.",
        paper="Goodfellow et al. 2014 (arXiv 1406.2661); defaults as R3GAN (arXiv 2501.05441)",
    ),
    "latent-gan": Entry(
        path="aegan.models.hybrids.latent_gan:LatentGAN",
        family="hybrid",
        kinds=BOTH,
        summary="Autoencoder, then a GAN on its whitened codes, then both against a data-space discriminator.",
        paper="Achlioptas et al. 2018 (arXiv 1707.02392); loss and penalties as R3GAN (arXiv 2501.05441)",
    ),
    "adversarial-autoencoder": Entry(
        path="aegan.models.hybrids.adversarial_autoencoder:AdversarialAutoencoder",
        family="hybrid",
        kinds=BOTH,
        summary="A discriminator of codes holds them to a normal prior; samples come from the prior.",
        paper="Makhzani et al. 2015 (arXiv 1511.05644)",
    ),
    "vae-gan": Entry(
        path="aegan.models.hybrids.vae_gan:VAEGAN",
        family="hybrid",
        kinds=BOTH,
        summary="Variational autoencoder whose error is measured in a discriminator's features.",
        paper="Larsen et al. 2016 (arXiv 1512.09300)",
    ),
    "denoising-gan": Entry(
        path="aegan.models.hybrids.denoising_gan:DenoisingGAN",
        family="hybrid",
        kinds=BOTH,
        summary="Noise becomes data in a few large steps, each a conditional GAN; on codes, or on data (space=data).",
        paper="Xiao et al. 2022 (arXiv 2112.07804); Trinh & Hamagami 2024 (arXiv 2406.11713)",
    ),
    "contractive-gan": Entry(
        path="aegan.models.hybrids.contractive_gan:ContractiveGAN",
        family="hybrid",
        kinds=BOTH,
        summary="A contractive autoencoder, held to a prior and sharpened by adversaries while it goes on contracting.",
        paper="Rifai et al. 2011; Makhzani et al. 2015 (arXiv 1511.05644)",
    ),
    "vq-gan": Entry(
        path="aegan.models.hybrids.vq_gan:VQGAN",
        family="hybrid",
        kinds=BOTH,
        summary="Autoencoder sharpened by a late discriminator of adaptive weight; variational codes make a KL-GAN.",
        paper="Esser et al. 2021 (arXiv 2012.09841); Rombach et al. 2022 (arXiv 2112.10752)",
    ),
    "soft-introvae": Entry(
        path="aegan.models.hybrids.soft_introvae:SoftIntroVAE",
        family="hybrid",
        kinds=BOTH,
        summary="A variational autoencoder that is its own discriminator.",
        paper="Daniel & Tamar 2021 (arXiv 2012.13253)",
    ),
    "bigan": Entry(
        path="aegan.models.hybrids.bigan:BiGAN",
        family="hybrid",
        kinds=BOTH,
        summary="Generator and encoder against one discriminator of pairs (data, code); ALI with stochastic=true.",
        paper="Donahue et al. 2017 (arXiv 1605.09782); Dumoulin et al. 2017 (arXiv 1606.00704)",
    ),
    "alae": Entry(
        path="aegan.models.hybrids.alae:ALAE",
        family="hybrid",
        kinds=BOTH,
        summary="A discriminator on an encoder's codes; the encoder inverts the generator in code space.",
        paper="Pidhorskyi et al. 2020 (arXiv 2004.04467)",
    ),
    "mdgan": Entry(
        path="aegan.models.hybrids.mdgan:MDGAN",
        family="hybrid",
        kinds=BOTH,
        summary="Mode-regularised GAN: an encoder shows the generator where the data are.",
        paper="Che et al. 2017 (arXiv 1612.02136)",
    ),
    "began": Entry(
        path="aegan.models.hybrids.began:BEGAN",
        family="hybrid",
        kinds=BOTH,
        summary="The discriminator is an autoencoder; its errors on real and generated data are kept in proportion.",
        paper="Berthelot et al. 2017 (arXiv 1703.10717)",
    ),
    "ebgan": Entry(
        path="aegan.models.hybrids.ebgan:EBGAN",
        family="hybrid",
        kinds=BOTH,
        summary="The discriminator is an autoencoder, its error an energy; codes of a batch are pulled apart.",
        paper="Zhao et al. 2017 (arXiv 1609.03126)",
    ),
    "warm-start-gan": Entry(
        path="aegan.models.hybrids.warm_start_gan:WarmStartGAN",
        family="hybrid",
        kinds=BOTH,
        summary="A pretrained decoder goes on as generator, its encoder's trunk in the discriminator; a fading anchor.",
        paper="Ham et al. 2020 (arXiv 2002.02112); Mariani et al. 2018 (arXiv 1803.09655)",
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
