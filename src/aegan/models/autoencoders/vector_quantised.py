"""Vector-quantised autoencoder: a code is a row of tokens, each naming one of a finite number of points.

References: van den Oord et al. 2017 (arXiv 1711.00937), with a codebook of few-valued normalised codes moved by
running means, and dead codes started again; finite scalar quantisation: Mentzer et al. 2023 (arXiv 2309.15505).
Codes here are vectors, not maps: a code of ``latent_dim`` values is cut into positions that share the codebook.

The encoder gives the code *before* quantisation, and whatever the decoder is given it quantises first. So
``decode(encode(x))`` is the reconstruction, and a GAN can live on the continuous codes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_choice, require_non_negative
from aegan.errors import ConfigError
from aegan.models.autoencoders.base import AutoencoderConfig, AutoencoderModel
from aegan.models.autoencoders.collapse import codebook_statistics, codebook_verdict
from aegan.nn.quantise import Codebook, FiniteScalar, Quantiser, QuantisingDecoder, straight_through
from aegan.types import Batch, Health, Samples, Spec, Term

_REMEDIES = {
    "codebook": "dead-code restarts (`restart=true`), a smaller `codebook`, a smaller `code_size`, or `quantiser=fsq`",
    "fsq": "fewer `levels`, or a larger `latent_dim`",
}


@dataclass(frozen=True, kw_only=True)
class VectorQuantisedConfig(AutoencoderConfig):
    """Settings of the vector-quantised autoencoder, besides those that every one has.

    Attributes:
        quantiser: ``codebook`` (learnt points) or ``fsq`` (finite scalar quantisation: a fixed grid).
        codebook: Number of points of a learnt codebook.
        code_size: Values of a code that make one position of a learnt codebook; ``latent_dim`` is a multiple of it.
        levels: Levels of each value of a position with ``fsq``; ``latent_dim`` is a multiple of their number, and
            there are as many points as their product.
        commitment_weight: Weight of the squared distance of codes to their points, which holds the encoder to them.
        restart: Whether dead points are moved to codes of the current batch.
        decay: Of the codebook's running means, per step.
    """

    model: ClassVar[str] = "vector-quantised"
    quantiser: str = "codebook"
    codebook: int = 512
    code_size: int = 8
    levels: tuple[int, ...] = (8, 5, 5, 5)
    commitment_weight: float = 0.25
    restart: bool = True
    decay: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice(self, "quantiser", ("codebook", "fsq"))
        require_non_negative(self, "commitment_weight")
        for name, least in (("codebook", 2), ("code_size", 2)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}: a whole number of at least {least} expected, got {getattr(self, name)}.")
        if not self.levels or min(self.levels) < 2:
            raise ConfigError(f"levels: whole numbers of at least 2, as in 8,5,5,5, expected, got {self.levels}.")
        if not 0 < self.decay < 1:
            raise ConfigError(f"decay: a number between 0 and 1 expected, got {self.decay}.")


@final
class VectorQuantised(AutoencoderModel):
    """Vector-quantised autoencoder; see the module's text.

    Attributes:
        positions: Tokens of a code.
    """

    Config: ClassVar[type] = VectorQuantisedConfig
    config: VectorQuantisedConfig
    decoder: QuantisingDecoder

    def __init__(self, spec: Spec, config: VectorQuantisedConfig) -> None:
        fsq = config.quantiser == "fsq"
        group = len(config.levels) if fsq else config.code_size
        if config.latent_dim % group:
            name = "the number of levels" if fsq else "code_size"
            nearest = max(group, round(config.latent_dim / group) * group)
            raise ConfigError(
                f"latent_dim: a multiple of {name} ({group}) expected, got {config.latent_dim}. "
                f"The nearest is {nearest}."
            )
        super().__init__(spec, config)
        self.positions = config.latent_dim // group
        quantiser: Quantiser
        if fsq:
            quantiser = FiniteScalar(config.levels, decay=config.decay)
        else:
            quantiser = Codebook(config.codebook, group, decay=config.decay, restart=config.restart)
        self.decoder = QuantisingDecoder(quantiser, self.decoder)

    @property
    def quantiser(self) -> Quantiser:
        """The decoder's quantiser."""
        return self.decoder.quantiser

    def prepare(self, stage: str, data: Samples, encode: Callable[[Samples], Tensor]) -> Samples:
        """Refuse a codebook that the data cannot fill.

        Raises:
            ConfigError: More points than code vectors in the data.
        """
        vectors, size = len(data) * self.positions, self.config.codebook
        if self.config.quantiser == "codebook" and size > vectors:
            raise ConfigError(
                f"codebook: {size:,} points are more than the data can fill: {len(data):,} training samples of "
                f"{self.positions} positions each make {vectors:,} codes. Use a codebook of at most "
                f"{max(2, vectors // 8):,}, a larger latent_dim, quantiser=fsq, or more data."
            )
        return data

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """None: points in use are counted, and dead ones found, on the host."""
        return None

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of the one phase, ``autoencode``; ``perplexity`` and ``usage`` are recorded, not trained on."""
        x, quantiser = batch["x"], self.quantiser
        maps = self.encoder.trunk.maps(x)
        z = quantiser.bound(self.encoder.from_maps(maps).float())
        quantiser.observe(z.detach())
        points = quantiser.nearest(z)
        out = self.decoder.network(straight_through(z, points))
        terms = self.reconstruction(out, x, maps, batch.get("mask")) | self.classification(maps, batch)
        if self.config.quantiser == "codebook":
            terms["commitment"] = Term((z - points).square().mean(), self.config.commitment_weight)
        return terms | {
            "perplexity": Term(quantiser.perplexity(), 0.0),
            "usage": Term(quantiser.usage(), 0.0),
        }

    def encode(self, x: Tensor) -> Tensor:
        """Continuous codes ``(B, D)``, which :meth:`decode` quantises."""
        return self.quantiser.bound(self.encoder(x).float())

    def tokens(self, x: Tensor) -> Tensor:
        """Tokens ``(B, positions)`` int64, in [0, number of points), of data ``(B, *shape)``."""
        return self.quantiser.tokens(self.encode(x))

    def from_tokens(self, tokens: Tensor) -> Tensor:
        """Codes ``(B, D)`` of tokens ``(B, positions)``: ``decode(from_tokens(tokens(x)))`` is the reconstruction.

        Raises:
            ConfigError: Tokens of another shape or type, or out of range.
        """
        size, got = self.quantiser.size, f"{tokens.dtype} {tuple(tokens.shape)}"
        if tokens.dtype != torch.int64 or tokens.ndim != 2 or tokens.shape[1] != self.positions:
            raise ConfigError(f"from_tokens: torch.int64 of shape (B, {self.positions}) expected, got {got}.")
        if tokens.numel() and not (0 <= int(tokens.min()) and int(tokens.max()) < size):
            raise ConfigError(
                f"from_tokens: tokens from 0 to {size - 1} expected, got {int(tokens.min())} to {int(tokens.max())}."
            )
        return self.quantiser.from_tokens(tokens)

    @torch.no_grad()
    def health(self, x: Tensor) -> Health:
        """How the codebook is used by held-out data ``x``, and whether it collapsed."""
        tokens = torch.cat([self.tokens(chunk) for chunk in x.split(64)])
        found = codebook_statistics(tokens, self.quantiser.size)
        figures = {"codes": float(found.size), "perplexity": found.perplexity, "usage": found.usage}
        return Health(figures=figures, findings=codebook_verdict(found, remedy=_REMEDIES[self.config.quantiser]))
