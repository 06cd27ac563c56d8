"""Recurrent model of time series: each value given those before it, step by step and channel by channel.

References: Salinas et al. 2020, "DeepAR" (arXiv 1704.04110) for a recurrent network over the steps with a likelihood;
Salimans et al. 2017, "PixelCNN++" (arXiv 1701.05517) for mixtures of logistics over cells of values. What differs here:
the channels of a step are drawn one after another, and the parts of a mixture lie around the value before, around a
linear prediction, and around the mean (see :mod:`aegan.nn.steps`).

The series' distribution is learnt first, and samples and forecasts come from it. A second stage learns what later
values say of the steps before them, so that gaps are filled given both sides; a third one whole-window codes. Classes
are given, attributes and lengths drawn first, and the series given these. Of data with seasons the networks are told
at which place in them each step lies.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from aegan.config import require_at_least_one, require_choice, require_non_negative
from aegan.errors import ConfigError
from aegan.losses import squared_error
from aegan.models.autoencoders.autoregressive import Autoregressive, AutoregressiveConfig
from aegan.models.base import Model
from aegan.nn.backbone import decoder_for, encoder_for
from aegan.nn.seasons import Seasons
from aegan.nn.series import SERIES_NETWORKS
from aegan.nn.step_aside import AsideNetwork, random_known
from aegan.nn.step_condition import StepCondition
from aegan.nn.step_draw import draw_series
from aegan.nn.step_weights import fit_weights
from aegan.nn.steps import StepNetworks
from aegan.types import Batch, Field, Health, Optimizer, Phase, Samples, Spec, Stage, Term

CONDITION = 32
"""Length of the vector that classes and attributes become."""
CLASS = "\0class"
"""Name of the class among the fields of attributes; no column is called so."""
MOST, FEWEST = 2**16, 4
"""Values of a training step, and series of it at least: a long series has as much to learn from as many short ones."""
SPAN, LONG = 8.0, 64
"""Steps that the shortest moving average takes in, and of series that have any: fewer are held by the state."""


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """Settings of the recurrent model.

    Attributes:
        state: Units of the network over the steps.
        hidden: Width of each channel's network.
        layers: Residual layers in it.
        parts: Parts of a value's mixture around the value before, and around a linear prediction.
        averages: Moving averages of the values, over 8 steps, 32, 128 and so on, that the networks see as well: these
            many at most, none longer than half of a series, and none for series shorter than 64. What drifts off slowly
            comes back.
        dropout: Share of hidden units left out in a training step.
        patience: Above 0, a tenth of the time is kept from training, and a stage ends early when so many steps at least
            have brought no better likelihood of it. 0: never; samples are then better, for that likelihood has its
            best long before free-running series keep their course.
        gaps_share: Part of the budget for filling gaps; 0 leaves it out.
        latent_dim: Length of a code.
        series: Networks of the code: ``convolutional``, ``recurrent`` or ``attention``.
        width: Channels of their finest map.
        code_share: Part of the budget for the code; 0 leaves it out: no encoder then.
        batch_size: Series a step; fewer of long ones with many channels, so that a step has 65,536 values at most.
        lr: Peak learning rate of Adam.
        clip_norm: Longer gradients are cut to this length: now and then a value lies far off what seemed sure. 0: none.
    """

    state: int = 128
    hidden: int = 24
    layers: int = 1
    parts: int = 3
    averages: int = 3
    dropout: float = 0.1
    patience: int = 0
    gaps_share: float = 0.12
    latent_dim: int = 32
    series: str = "convolutional"
    width: int = 32
    code_share: float = 0.08
    batch_size: int = 64
    lr: float = 2e-3
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        require_at_least_one(self, "state", "hidden", "layers", "parts", "latent_dim", "width", "batch_size")
        require_non_negative(self, "averages", "patience", "gaps_share", "code_share", "clip_norm")
        require_choice(self, "series", SERIES_NETWORKS)
        if not 0 <= self.dropout <= 0.9:
            raise ConfigError(f"dropout: a number from 0 to 0.9 expected, got {self.dropout}.")
        if self.gaps_share + self.code_share >= 1:
            raise ConfigError(
                f"gaps_share and code_share: below 1 together expected, got {self.gaps_share} and {self.code_share}."
            )
        if not 0 < self.lr < float("inf"):
            raise ConfigError(f"lr: a number above 0 expected, got {self.lr}.")


@final
class Recurrent(Model):
    """Series step by step; see the module's text."""

    Config: ClassVar[type] = RecurrentConfig
    kinds: ClassVar[tuple[str, ...]] = ("series",)
    block: ClassVar[int] = 256
    config: RecurrentConfig
    samples_from = "steps"

    def __init__(self, spec: Spec, config: RecurrentConfig) -> None:
        super().__init__(spec, config)
        steps, channels = spec.shape
        self.values = steps * channels
        self.conditional = spec.num_classes > 0
        conditioned = bool(spec.classes or spec.fields)
        self.condition = StepCondition(spec.num_classes, spec.fields, CONDITION) if conditioned else None
        self.seasons = Seasons(spec.seasons) if spec.seasons else None
        self.steps = StepNetworks(
            channels,
            (CONDITION if conditioned else 0) + (self.seasons.size if self.seasons else 0),
            state=config.state,
            hidden=config.hidden,
            layers=config.layers,
            dropped=config.dropout,
            parts=config.parts,
            spans=_spans(steps, config.averages),
            lag=_lag(spec),
        )
        self.attributes: Autoregressive | None = None
        if spec.fields:
            classes = (Field(column=CLASS, size=spec.num_classes),) if spec.classes else ()
            fields = (*classes, *spec.fields)
            rows = Spec(kind="table", shape=(len(fields),), likelihood="categorical", fields=fields)
            self.attributes = Autoregressive(rows, AutoregressiveConfig(hidden=32, dropout=0.2, code_share=0.0))
        self.static_dim = 0 if self.attributes is None else self.attributes.noise_dim
        # The last number says at which place in its seasons a series begins.
        self.noise_dim = self.draw_dim = self.values + self.static_dim + bool(spec.seasons)
        self.gaps = AsideNetwork(self.steps, state=64, width=128) if config.gaps_share else None
        self.encoder = self.decoder = None
        if config.code_share:
            size = {"width": config.width, "blocks": 1, "series": config.series}
            self.encoder = encoder_for(spec, config.latent_dim, **size)
            self.decoder = decoder_for(spec, config.latent_dim, **size)
            self.code_dim = config.latent_dim

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The series' distribution; gaps and code unless their share is 0."""
        config = self.config
        optimizer = Optimizer(lr=config.lr, betas=(0.9, 0.99), clip_norm=config.clip_norm)
        networks = ("steps", *["condition"] * (self.condition is not None), *["attributes"] * bool(self.static_dim))
        named = {"steps": networks, "gaps": ("gaps",), "code": ("encoder", "decoder")}
        shares = {"steps": 1.0 - config.gaps_share - config.code_share}
        shares |= {"gaps": config.gaps_share, "code": config.code_share}
        batch_size = min(config.batch_size, max(FEWEST, MOST // self.values))
        return tuple(
            Stage(
                name=name,
                share=share,
                phases=(Phase(name=name, networks=named[name], optimizer=optimizer),),
                batch_size=batch_size,
                ema=named[name],
                ema_samples=20_000.0 * batch_size / config.batch_size,
                patience=config.patience,
                # Cells of values are finer than what bf16 tells apart.
                autocast=name == "code",
            )
            for name, share in shares.items()
            if share
        )

    def prepare(self, stage: str, data: Samples, encode: Callable[[Samples], Tensor]) -> Samples:
        """Units and linear parts of the channels, before the first stage."""
        if stage == "steps":
            scales = self.steps.scales
            if self.seasons is not None:
                self.seasons.begun.zero_()
            part = data.batch(scales.sample(len(data), self.spec.shape[0]))
            scales.fit(part["x"], _mask(part))
            for index in torch.arange(len(data)).split(1024):
                part = data.batch(index)
                scales.widen(part["x"], _mask(part))
                if self.seasons is not None and "place" in part:
                    self.seasons.learn(part["place"])
        return data

    def finish(self, data: Samples) -> None:
        """Weights of the values of channels that have few."""
        scales = self.eval().steps.scales
        part = data.batch(scales.sample(len(data), self.spec.shape[0]))
        part = {name: value.to(scales.low.device) for name, value in part.items()}
        fit_weights(self.steps, part["x"], _mask(part), self._condition(part))

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``steps``, ``gaps`` and ``code``; nats a value, and squared error."""
        x, mask = batch["x"], _mask(batch)
        if phase == "steps":
            later = self._later()
            x, mask = x[:, later:], mask[:, later:]
            nll = self.steps(x, mask, self._condition(batch, later))
            terms = {"reconstruction": Term(nll.sum() / mask.sum().clamp(min=1))}
            if self.attributes is not None:
                part = self.attributes.loss("fields", {"x": self._rows(batch)})["reconstruction"]
                terms["attributes"] = Term(part.value, part.weight / self.spec.shape[0])
            return terms
        if phase == "gaps" and self.gaps is not None:
            known = random_known(mask)
            unknown = mask & ~known
            with torch.no_grad():
                condition = self._condition(batch)
            nll = self.steps(x, mask, condition, self.gaps(self.steps.scales, x, known)) * unknown
            return {"reconstruction": Term(nll.sum() / unknown.sum().clamp(min=1))}
        if phase == "code" and self.encoder is not None and self.decoder is not None:
            out = self.decoder(self.encoder(x))
            return {"reconstruction": Term(squared_error(out[mask], x[mask]))}
        raise ConfigError(f"Recurrent has no phase {phase!r}.")

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """The gaps', and the steps' where none are left out, are always the same."""
        if phase == "steps":
            return None if self.seasons is not None and self.seasons.gap > 1 else ()
        return () if phase == "gaps" else None

    def generate(
        self, noise: Tensor, y: Tensor | None, static: Tensor | None = None, place: Tensor | None = None
    ) -> Tensor:
        """Series ``(B, T, C)`` from noise ``(B, noise_dim)`` and classes.

        Attributes, and the places ``(B,)`` of the first steps in the seasons, are drawn where none are given.
        """
        if self.attributes is not None and static is None:
            static = self.draw_static(noise, y)
        given = self._given(y, static, self.places(noise) if place is None else place)
        return draw_series(self.steps, self._uniform(noise), given)

    def places(self, noise: Tensor) -> Tensor | None:
        """Places ``(B,)`` in the seasons at which series of this noise begin; None of data without seasons."""
        return None if self.seasons is None else self.seasons.drawn(torch.special.ndtr(noise[:, -1]))

    def draw_static(self, noise: Tensor, y: Tensor | None, allowed: Mapping[int, Tensor] | None = None) -> Tensor:
        """Rows ``(B, F)`` of attributes, given classes, within what is allowed by position of a field."""
        return self.draw_labels(noise, y, allowed)[0]

    def draw_labels(
        self, noise: Tensor, y: Tensor | None, allowed: Mapping[int, Tensor] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Rows of attributes ``(B, F)`` and classes ``(B,)``; classes that are None are drawn together with them."""
        if self.attributes is None:
            raise ConfigError("These series have no attributes.")
        shift = 1 if self.spec.classes else 0
        rows = torch.zeros(len(noise), shift + len(self.spec.fields), device=noise.device)
        known = torch.zeros(rows.shape, dtype=torch.bool, device=noise.device)
        if shift and y is not None:
            rows[:, 0], known[:, 0] = y + 0.5, True
        masks = {place + shift: mask for place, mask in (allowed or {}).items()}
        rows = self.attributes.complete(noise[:, self.values : self.values + self.static_dim], rows, known, masks)
        return rows[:, shift:], rows[:, 0].long() if shift else None

    def fill(
        self,
        noise: Tensor,
        x: Tensor,
        known: Tensor,
        y: Tensor | None = None,
        static: Tensor | None = None,
        place: Tensor | None = None,
    ) -> Tensor:
        """Series ``(B, T, C)`` whose known values are kept and whose others are drawn given all of them.

        Args:
            noise: ``(B, noise_dim)``.
            x: ``(B, T, C)``; only known values are read.
            known: Bool ``(B, T, C)``.
            y: Classes ``(B,)``, where there are any.
            static: Attributes ``(B, F)``, where there are any.
            place: Places ``(B,)`` in the seasons at which they begin; the likeliest ones where they are not given.

        Raises:
            ConfigError: Values are known behind unknown ones, and the model was fitted with ``gaps_share=0``.
        """
        x, known = self.steps.scales.known_by_copies(x, known)
        whole = known.all(2)
        # Nothing is known behind the first step that is not known altogether: a forecast.
        ahead = not bool((known.any(2) & ~whole.long().cumprod(1).bool()).any())
        if ahead:
            aside = None
        elif self.gaps is None:
            raise ConfigError("Filling gaps needs its stage: fit with gaps_share above 0.")
        else:
            aside = self.gaps(self.steps.scales, x.masked_fill(~known, 0.0), known)
        if place is None and self.seasons is not None:
            rows = [[None if part is None else part[i : i + 1] for part in (y, static)] for i in range(len(x))]
            chances = [self.place_chances(*pair, *own) for *pair, own in zip(x, known, rows, strict=True)]
            place = torch.stack([places[chance.argmax()] for places, chance in chances])
        given = self._given(y, static, place)
        return draw_series(self.steps, self._uniform(noise), given, x=x, known=known, aside=aside)

    @torch.no_grad()
    def place_chances(
        self, x: Tensor, known: Tensor, y: Tensor | None = None, static: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """At which places in its seasons a series ``(T, C)`` may begin.

        Args:
            x: ``(T, C)``, T at most that of a window.
            known: Bool ``(T, C)``; the others are not read.
            y: Its class ``(1,)``, where there are any.
            static: Its attributes ``(1, F)``, where there are any.

        Returns:
            Places ``(K,)``, and the probability ``(K,)`` of each, all being as likely before.
        """
        if self.seasons is None:
            raise ConfigError("These series have no seasons.")
        x, chances = x.masked_fill(~known, 0.0), []
        places = self.seasons.tried().to(x.device)
        for part in places.split(max(1, MOST // max(1, x.numel()))):
            labels, rows = (None if one is None else one.expand(len(part), *one.shape[1:]) for one in (y, static))
            given = self._given(labels, rows, part)
            nll = self.steps(x.expand(len(part), *x.shape), known.expand(len(part), *x.shape), given)
            chances.append(-nll.sum((1, 2)).double())
        return places, torch.cat(chances).softmax(0)

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)`` of whole series."""
        return super().encode(x) if self.encoder is None else self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """The smooth shape ``(B, T, C)`` that a code keeps of a series; nothing is drawn."""
        return super().decode(z) if self.decoder is None else self.decoder(z)

    @torch.no_grad()
    def health(self, x: Tensor) -> Health:
        """The log-likelihood of held-out series, in nats a value; not where more than the values would be needed."""
        if self.condition is not None or self.seasons is not None:
            return Health()
        nll = self.steps(x, torch.ones_like(x, dtype=torch.bool), None)
        return Health(figures={"log_likelihood": -nll.mean().item()})

    def _uniform(self, noise: Tensor) -> Tensor:
        return torch.special.ndtr(noise[:, : self.values]).view(-1, *self.spec.shape)

    def _given(self, y: Tensor | None, static: Tensor | None, place: Tensor | None = None) -> Tensor | None:
        """What the networks of the steps are given: classes and attributes ``(B, D)``, with seasons ``(B, T, D)``."""
        given = None if self.condition is None else self.condition(y, static)
        if self.seasons is None:
            return given
        if place is None:
            raise ConfigError("These series have seasons; expected the place of their first steps beside them.")
        phases = self.seasons(place, self.spec.shape[0])
        return phases if given is None else torch.cat([given[:, None].expand(-1, phases.shape[1], -1), phases], 2)

    def _condition(self, batch: Batch, later: int = 0) -> Tensor | None:
        place = batch.get("place")
        return self._given(batch.get("y"), batch.get("static"), None if place is None else place + later)

    def _later(self) -> int:
        """First steps to leave out, in half of the training steps, where series begin at some places of a cycle only.

        Samples whose time stamps say so have to begin at the others.
        """
        if self.seasons is None or not self.training or (gap := self.seasons.gap) < 2 or torch.rand(()) < 0.5:
            return 0
        return int(torch.randint(0, min(gap, self.spec.shape[0] - 1), ()))

    def _rows(self, batch: Batch) -> Tensor:
        """Attributes and, in front of them, classes as rows of a table."""
        static = batch["static"]
        return torch.cat([batch["y"][:, None] + 0.5, static], 1) if self.spec.classes else static


def _spans(steps: int, most: int) -> tuple[float, ...]:
    """Spans of moving averages, each four times the one before; short series need none."""
    return tuple(span for i in range(most) if steps >= LONG and 2.0 * (span := SPAN * 4.0**i) <= steps)


def _lag(spec: Spec) -> int:
    """The longest season that two thirds of a series take in, in whole steps; 0 where there is none."""
    return max((round(season) for season in spec.seasons if 1.5 * season <= spec.shape[0]), default=0)


def _mask(batch: Batch) -> Tensor:
    return batch["mask"] if "mask" in batch else torch.ones_like(batch["x"], dtype=torch.bool)
