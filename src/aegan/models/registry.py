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
        gives: What a trained one can do by its defaults: ``samples``, those by ``classes``, ``codes``.
        summary: One line.
        adversary: What the discriminator sees: ``data``, ``codes``, ``data or codes`` by settings, or nothing.
        paper: Reference with arXiv number where there is one.
    """

    path: str
    family: str
    kinds: tuple[str, ...]
    gives: tuple[str, ...]
    summary: str
    paper: str
    adversary: str = ""

    @property
    def does(self) -> str:
        """What it takes and gives, in a sentence or two."""
        words = {"samples": "samples", "classes": "samples by class", "codes": "codes and reconstructions"}
        given = [words[g] for g in self.gives if not (g == "samples" and "classes" in self.gives)]
        sees = f" Discriminator of {self.adversary}." if self.adversary else " No discriminator."
        return f"For {_listed(self.kinds)} data. Gives {', '.join(given)}.{sees}"

    def why_not(self, kind: str) -> str:
        """Why no ``kind`` of data goes with it, as a sentence after a space; empty where that needs no reason."""
        if self.adversary != "data" or kind not in ("table", "text"):
            return ""
        return f" Here a discriminator sees data, and no gradient passes through a {kind}, whose values are discrete."

    def load(self) -> type[Model]:
        """The model's class."""
        module, _, name = self.path.partition(":")
        return getattr(importlib.import_module(module), name)


def _listed(words: tuple[str, ...]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


BOTH = ("image", "audio", "vector", "series")
CODED = ("image", "audio", "vector", "table", "series")
"""Of models whose losses look at codes and at the decoder's distribution, never at generated data."""
LATENT = (*CODED, "text")
"""Of hybrids whose adversary sees codes alone, by whichever autoencoder."""
FAMILIES = ("hybrid", "gan", "autoencoder")
"""In the order in which ``aegan models`` lists them."""

MODELS: dict[str, Entry] = {
    "autoencoder": Entry(
        path="aegan.models.autoencoders.plain:Autoencoder",
        family="autoencoder",
        kinds=CODED,
        gives=("codes",),
        summary="Plain autoencoder: codes and reconstructions, no sampling.",
        paper="Hinton & Salakhutdinov 2006",
    ),
    "denoising": Entry(
        path="aegan.models.autoencoders.denoising:Denoising",
        family="autoencoder",
        kinds=CODED,
        gives=("codes",),
        summary="Reconstructs clean data from corrupted ones (Gaussian, masking, salt-and-pepper).",
        paper="Vincent et al. 2010",
    ),
    "contractive": Entry(
        path="aegan.models.autoencoders.contractive:Contractive",
        family="autoencoder",
        kinds=CODED,
        gives=("codes",),
        summary="Codes that hardly move with the data: a penalty on the Jacobian, or on the encoder's weights.",
        paper="Rifai et al. 2011",
    ),
    "sparse": Entry(
        path="aegan.models.autoencoders.sparse:Sparse",
        family="autoencoder",
        kinds=CODED,
        gives=("codes",),
        summary="Few units of a wide code are on at a time (L1, or a target rate).",
        paper="Ranzato et al. 2007; Ng 2011",
    ),
    "wasserstein": Entry(
        path="aegan.models.autoencoders.wasserstein:Wasserstein",
        family="autoencoder",
        kinds=CODED,
        gives=("samples", "codes"),
        summary="Codes held to a normal prior as a whole by MMD; samples from the prior.",
        paper="Tolstikhin et al. 2018 (arXiv 1711.01558)",
    ),
    "variational": Entry(
        path="aegan.models.autoencoders.variational:Variational",
        family="autoencoder",
        kinds=CODED,
        gives=("samples", "codes"),
        summary="Codes are distributions held to a normal prior; samples from it, and a bound on the likelihood.",
        paper="Kingma & Welling 2014 (arXiv 1312.6114)",
    ),
    "autoregressive": Entry(
        path="aegan.models.autoencoders.autoregressive:Autoregressive",
        family="autoencoder",
        kinds=("table",),
        gives=("samples", "codes"),
        summary="Rows field by field, each given those before it, in any order: samples, conditions, completion.",
        paper="Uria et al. 2014 (arXiv 1310.1757); Tiwald et al. 2025 (arXiv 2501.12012)",
    ),
    "recurrent": Entry(
        path="aegan.models.autoencoders.recurrent:Recurrent",
        family="autoencoder",
        kinds=("series",),
        gives=("samples", "classes", "codes"),
        summary="Series step by step, each value given those before it: samples, forecasts, gaps filled; a code.",
        paper="Salinas et al. 2020 (arXiv 1704.04110); Salimans et al. 2017 (arXiv 1701.05517)",
    ),
    "sequence": Entry(
        path="aegan.models.autoencoders.sequence:Sequence",
        family="autoencoder",
        kinds=("text",),
        gives=("samples", "classes", "codes"),
        summary="A code for a text and a decoder that writes it token by token; variational, denoising, or no code.",
        paper="Bowman et al. 2016 (arXiv 1511.06349); Shen et al. 2020 (arXiv 1905.12777)",
    ),
    "vector-quantised": Entry(
        path="aegan.models.autoencoders.vector_quantised:VectorQuantised",
        family="autoencoder",
        kinds=CODED,
        gives=("codes",),
        summary="Codes are rows of tokens from a learnt codebook, or from a fixed grid (fsq); no sampling.",
        paper="van den Oord et al. 2017 (arXiv 1711.00937); Mentzer et al. 2023 (arXiv 2309.15505)",
    ),
    "gan": Entry(
        path="aegan.models.gans.gan:GAN",
        family="gan",
        kinds=BOTH,
        gives=("samples", "classes"),
        summary="GAN in data space: any loss and penalty by settings; by default R3GAN's.",
        paper="Goodfellow et al. 2014 (arXiv 1406.2661); loss and penalties as R3GAN (arXiv 2501.05441)",
        adversary="data",
    ),
    "latent-gan": Entry(
        path="aegan.models.hybrids.latent_gan:LatentGAN",
        family="hybrid",
        kinds=LATENT,
        gives=("samples", "classes", "codes"),
        summary="Autoencoder, then a GAN on its whitened codes, then both against a data-space discriminator.",
        paper="Achlioptas et al. 2018 (arXiv 1707.02392); loss and penalties as R3GAN (arXiv 2501.05441)",
        adversary="data or codes",
    ),
    "adversarial-autoencoder": Entry(
        path="aegan.models.hybrids.adversarial_autoencoder:AdversarialAutoencoder",
        family="hybrid",
        kinds=LATENT,
        gives=("samples", "codes"),
        summary="A discriminator of codes holds them to a normal prior; samples come from the prior.",
        paper="Makhzani et al. 2015 (arXiv 1511.05644)",
        adversary="codes",
    ),
    "arae": Entry(
        path="aegan.models.hybrids.arae:ARAE",
        family="hybrid",
        kinds=("text",),
        gives=("samples", "classes", "codes"),
        summary="A Wasserstein GAN on the codes that a text autoencoder is learning, which lie on the unit sphere.",
        paper="Zhao et al. 2018 (arXiv 1706.04223)",
        adversary="codes",
    ),
    "vae-gan": Entry(
        path="aegan.models.hybrids.vae_gan:VAEGAN",
        family="hybrid",
        kinds=BOTH,
        gives=("samples", "codes"),
        summary="Variational autoencoder whose error is measured in a discriminator's features.",
        paper="Larsen et al. 2016 (arXiv 1512.09300)",
        adversary="data",
    ),
    "denoising-gan": Entry(
        path="aegan.models.hybrids.denoising_gan:DenoisingGAN",
        family="hybrid",
        kinds=LATENT,
        gives=("samples", "classes", "codes"),
        summary="Noise becomes data in a few large steps, each a conditional GAN; on codes, or on data (space=data).",
        paper="Xiao et al. 2022 (arXiv 2112.07804); Trinh & Hamagami 2024 (arXiv 2406.11713)",
        adversary="data or codes",
    ),
    "contractive-gan": Entry(
        path="aegan.models.hybrids.contractive_gan:ContractiveGAN",
        family="hybrid",
        kinds=BOTH,
        gives=("samples", "codes"),
        summary="A contractive autoencoder, held to a prior and sharpened by adversaries while it goes on contracting.",
        paper="Rifai et al. 2011; Makhzani et al. 2015 (arXiv 1511.05644)",
        adversary="data",
    ),
    "vq-gan": Entry(
        path="aegan.models.hybrids.vq_gan:VQGAN",
        family="hybrid",
        kinds=BOTH,
        gives=("codes",),
        summary="Autoencoder sharpened by a late discriminator of adaptive weight; variational codes make a KL-GAN.",
        paper="Esser et al. 2021 (arXiv 2012.09841); Rombach et al. 2022 (arXiv 2112.10752)",
        adversary="data",
    ),
    "soft-introvae": Entry(
        path="aegan.models.hybrids.soft_introvae:SoftIntroVAE",
        family="hybrid",
        kinds=BOTH,
        gives=("samples", "codes"),
        summary="A variational autoencoder that is its own discriminator.",
        paper="Daniel & Tamar 2021 (arXiv 2012.13253)",
        adversary="data",
    ),
    "bigan": Entry(
        path="aegan.models.hybrids.bigan:BiGAN",
        family="hybrid",
        kinds=BOTH,
        gives=("samples", "codes"),
        summary="Generator and encoder against one discriminator of pairs (data, code); ALI with stochastic=true.",
        paper="Donahue et al. 2017 (arXiv 1605.09782); Dumoulin et al. 2017 (arXiv 1606.00704)",
        adversary="data",
    ),
    "alae": Entry(
        path="aegan.models.hybrids.alae:ALAE",
        family="hybrid",
        kinds=BOTH,
        gives=("samples", "codes"),
        summary="A discriminator on an encoder's codes; the encoder inverts the generator in code space.",
        paper="Pidhorskyi et al. 2020 (arXiv 2004.04467)",
        adversary="data",
    ),
    "mdgan": Entry(
        path="aegan.models.hybrids.mdgan:MDGAN",
        family="hybrid",
        kinds=BOTH,
        gives=("samples", "codes"),
        summary="Mode-regularised GAN: an encoder shows the generator where the data are.",
        paper="Che et al. 2017 (arXiv 1612.02136)",
        adversary="data",
    ),
    "began": Entry(
        path="aegan.models.hybrids.began:BEGAN",
        family="hybrid",
        kinds=BOTH,
        gives=("samples", "codes"),
        summary="The discriminator is an autoencoder; its errors on real and generated data are kept in proportion.",
        paper="Berthelot et al. 2017 (arXiv 1703.10717)",
        adversary="data",
    ),
    "ebgan": Entry(
        path="aegan.models.hybrids.ebgan:EBGAN",
        family="hybrid",
        kinds=BOTH,
        gives=("samples", "codes"),
        summary="The discriminator is an autoencoder, its error an energy; codes of a batch are pulled apart.",
        paper="Zhao et al. 2017 (arXiv 1609.03126)",
        adversary="data",
    ),
    "warm-start-gan": Entry(
        path="aegan.models.hybrids.warm_start_gan:WarmStartGAN",
        family="hybrid",
        kinds=BOTH,
        gives=("samples", "classes", "codes"),
        summary="A pretrained decoder goes on as generator, its encoder's trunk in the discriminator; a fading anchor.",
        paper="Ham et al. 2020 (arXiv 2002.02112); Mariani et al. 2018 (arXiv 1803.09655)",
        adversary="data",
    ),
    "timegan": Entry(
        path="aegan.models.hybrids.timegan:TimeGAN",
        family="hybrid",
        kinds=("series",),
        gives=("samples", "codes"),
        summary="A GAN on the codes of every step, with a supervisor of how one step follows from the last.",
        paper="Yoon et al. 2019, NeurIPS",
        adversary="codes",
    ),
}


def entry(name: str) -> Entry:
    """The entry of model ``name``; ConfigError with the nearest names otherwise."""
    if name not in MODELS:
        raise ConfigError(f"Unknown model {name!r}. {nearest(name, MODELS)} `aegan models` describes them.")
    return MODELS[name]


def build(name: str, spec: Spec, settings: dict[str, Any]) -> Model:
    """Model ``name`` for ``spec`` with JSON ``settings``; ConfigError names what does not fit."""
    found = entry(name)
    if spec.discrete and found.adversary == "data":
        able = [n for n, e in MODELS.items() if "codes" in e.adversary and spec.kind in e.kinds]
        raise ConfigError(
            f"{name} has a discriminator of data, and through discrete values ({spec.likelihood}) no gradient reaches "
            f"a generator. Use a hybrid whose discriminator sees codes: {', '.join(able)}."
        )
    if spec.kind not in found.kinds:
        able = [
            n for n, e in MODELS.items() if spec.kind in e.kinds and (e.family == found.family or e.family == "hybrid")
        ]
        use = f"Models that can: {', '.join(able)}." if able else "No model of this version can."
        raise ConfigError(f"{name} models {', '.join(found.kinds)}, got {spec.kind} data. {use}")
    cls = found.load()
    if spec.kind == "series" and spec.fields and "samples" in found.gives and not hasattr(cls, "draw_labels"):
        raise ConfigError(
            f"{name} does not draw attributes, lengths or amplitudes, which these series have "
            f"({', '.join(sorted({field.column for field in spec.fields}))}). Fit recurrent, or leave them out."
        )
    return cls(spec, from_json(cls.Config, settings, where=f"{name} settings"))  # type: ignore[call-arg]
