"""Autoregressive autoencoder of tables: each field predicted from those before it, in any order; a code if wanted.

References: Uria et al. 2014, "A deep and tractable density estimator" (arXiv 1310.1757) and Tiwald et al. 2025,
"TabularARGN" (arXiv 2501.12012) for the rows' distribution; Kingma & Welling 2014 (arXiv 1312.6114) for the code.

The rows' distribution is learnt first, without a code, and samples come from it: a decoder this strong has no need of
one (trained together at the full weight of the divergence the code carried .01 nats; at less of it the samples became
worse; see docs/tables.md). Because any order of the columns was learnt, rows can be completed from whichever columns
are known. In a second stage an encoder learns the codes that reconstruct rows through the same, frozen distribution.
Few rows are learnt together with rows of a Gaussian copula (see :mod:`aegan.models.autoencoders.copula`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from aegan.config import require_at_least_one, require_non_negative
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.losses import gaussian_kl
from aegan.models.autoencoders.copula import copula_rows
from aegan.models.base import Model
from aegan.nn.autoregressive import FieldNetworks, Tap, gradient_norms
from aegan.nn.init import activation, linear
from aegan.nn.mlp import ResidualLayer
from aegan.types import Batch, Health, Optimizer, Phase, Samples, Spec, Stage, Term

_LOGVAR = (-10.0, 5.0)
CANDIDATES = 16
"""Drawn for a row where several fields are held to sets of values; one is kept."""
CHUNK = 512
"""Rows whose candidates are drawn at once."""
REPEATED = 8
"""Times that the rows come among those of the prior, so that there are as many times more of these."""


@dataclass(frozen=True, kw_only=True)
class AutoregressiveConfig:
    """Settings of the autoregressive autoencoder.

    Attributes:
        embedding: Length of a value's vector.
        hidden: Width of each field's network.
        layers: Residual layers in it.
        dropout: Share of hidden units left out in a training step.
        ordered: Share of steps with the columns in the order that samples are drawn in, those with few values first;
            the others take a random one.
        prior_rows: Rows of a Gaussian copula of the training rows that are learnt from beside them: few rows say
            little more than how columns correlate, and the networks learn them by heart before that. 0: none.
        patience: Steps at least without a better likelihood of held-out rows before the first stage ends early.
        latent_dim: Length of a code.
        beta: Weight of the code's KL divergence.
        code_share: Part of the budget for the code; 0 leaves it out: no encoder then.
        batch_size: Rows a step.
        lr: Peak learning rate of Adam.
    """

    embedding: int = 16
    hidden: int = 64
    layers: int = 1
    dropout: float = 0.1
    ordered: float = 0.25
    prior_rows: int = 0
    patience: int = 500
    latent_dim: int = 16
    beta: float = 0.3
    code_share: float = 0.15
    batch_size: int = 512
    lr: float = 2e-3

    def __post_init__(self) -> None:
        require_at_least_one(self, "embedding", "hidden", "layers", "latent_dim", "batch_size")
        require_non_negative(self, "beta", "patience", "prior_rows")
        for name, top in (("dropout", 0.9), ("ordered", 1.0), ("code_share", 0.9)):
            if not 0 <= getattr(self, name) <= top:
                raise ConfigError(f"{name}: a number from 0 to {top} expected, got {getattr(self, name)}.")
        if not 0 < self.lr < float("inf"):
            raise ConfigError(f"lr: a number above 0 expected, got {self.lr}.")


class _Encoder(nn.Module):
    """Rows as vectors ``(B, F, e)`` to mean and log-variance ``(B, D)`` of their codes."""

    def __init__(self, inputs: int, latent_dim: int, hidden: int) -> None:
        super().__init__()
        self.stem = linear(inputs, hidden)
        self.layer = ResidualLayer(hidden)
        self.head = linear(hidden, 2 * latent_dim)

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        mu, logvar = self.head(activation(self.layer(self.stem(vectors.flatten(1))))).float().chunk(2, dim=1)
        return mu, logvar.clamp(*_LOGVAR)


class _Shift(nn.Module):
    """Codes ``(B, D)`` to what they add to each field's network ``(B, F, hidden)``."""

    def __init__(self, latent_dim: int, fields: int, hidden: int) -> None:
        super().__init__()
        self.shape = (fields, hidden)
        self.stem = linear(latent_dim, 128)
        self.layer = ResidualLayer(128)
        self.head = linear(128, fields * hidden)

    def forward(self, z: Tensor) -> Tensor:
        return self.head(activation(self.layer(self.stem(z)))).view(-1, *self.shape)


@final
class Autoregressive(Model):
    """Rows field by field; see the module's text."""

    Config: ClassVar[type] = AutoregressiveConfig
    kinds: ClassVar[tuple[str, ...]] = ("table",)
    block: ClassVar[int] = 4096
    apart: ClassVar[bool] = True
    config: AutoregressiveConfig
    samples_from = "fields"

    def __init__(self, spec: Spec, config: AutoregressiveConfig) -> None:
        super().__init__(spec, config)
        count = len(spec.fields)
        self.noise_dim = self.draw_dim = count + 1
        self.code_dim = config.latent_dim if config.code_share else 0
        self.networks = FieldNetworks(
            spec.fields,
            embedding=config.embedding,
            hidden=config.hidden,
            layers=config.layers,
            dropped=config.dropout,
        )
        self.encoder: _Encoder | None = None
        self.shift: _Shift | None = None
        if config.code_share:
            self.encoder = _Encoder(count * config.embedding, config.latent_dim, 4 * config.hidden)
            self.shift = _Shift(config.latent_dim, count, config.hidden)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The rows' distribution, and the code unless its share is 0."""
        config = self.config
        optimizer = Optimizer(lr=config.lr, betas=(0.9, 0.99))
        common = {"batch_size": config.batch_size, "ema_samples": 20_000.0, "patience": config.patience}
        fields = Phase(name="fields", networks=("networks",), optimizer=optimizer)
        stages = [Stage(name="fields", share=1.0 - config.code_share, phases=(fields,), ema=("networks",), **common)]
        if config.code_share:
            code = Phase(name="code", networks=("encoder", "shift"), optimizer=optimizer)
            stages.append(
                Stage(name="code", share=config.code_share, phases=(code,), ema=("encoder", "shift"), **common)
            )
        return tuple(stages)

    @property
    def looks_at_data(self) -> bool:
        """Whether the prior's rows are made."""
        return self.config.prior_rows > 0

    def prepare(self, stage: str, data: Samples, encode: Callable[[Samples], Tensor]) -> Samples:
        """The rows several times, and those of the prior."""
        if stage != "fields" or not self.config.prior_rows:
            return data
        rows = data.batch(torch.arange(len(data)))["x"]
        made = copula_rows(rows, self.spec.fields, REPEATED * self.config.prior_rows, torch.Generator().manual_seed(0))
        return TensorData(x=torch.cat([rows.repeat(REPEATED, 1), made]))

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``fields`` and ``code``; nats a row, weighted by one over the number of fields."""
        x, scale = batch["x"], 1.0 / self.networks.count
        if phase == "fields":
            nll = self.networks(x, batch["order"] if "order" in batch else self._any_order())
            return {"reconstruction": Term(nll.sum(1).mean(), scale)}
        if phase == "code" and self.encoder is not None and self.shift is not None:
            with torch.no_grad():
                vectors = self.networks.embedding(x)
            mu, logvar = self.encoder(vectors)
            z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
            nll = self.networks(x, self._any_order(), self.shift(z))
            kl = gaussian_kl(mu, logvar, reduce=False).sum()
            return {
                "reconstruction": Term(nll.sum(1).mean(), scale),
                "kl": Term(kl, scale * self.config.beta),
            }
        raise ConfigError(f"Autoregressive has no phase {phase!r}.")

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """The fields' is always the same, the columns' order being given."""
        return () if phase == "fields" else None

    def ready(self, phase: str, batch: Batch) -> Batch:
        """With an ``order`` of the fields ``(F,)`` in their phase."""
        if phase != "fields":
            return batch
        return batch | {"order": self._any_order().to(batch["x"].device, non_blocking=True)}

    def private_loss(self, phase: str, batch: Batch, bound: float, expected: float) -> dict[str, Term]:
        """The term of ``fields``, each row's gradient in all weights cut to ``bound``."""
        if phase != "fields":
            raise ConfigError(f"Autoregressive learns nothing privately in phase {phase!r}: --set code_share=0.")
        taps: list[Tap] = []
        nll = self.networks(batch["x"], self._any_order(), taps=taps).sum(1) / self.networks.count
        factor = (bound / gradient_norms(nll, taps)).clamp_(max=1.0)
        return {"reconstruction": Term((factor * nll).sum() / expected)}

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Rows ``(B, F)`` from noise ``(B, F + 1)``, whose last number only conditions need; no classes."""
        return self.networks.draw(_uniform(noise), self.networks.order())

    def complete(self, noise: Tensor, x: Tensor, known: Tensor, allowed: Mapping[int, Tensor]) -> Tensor:
        """Rows whose known values are kept and whose others are drawn given them, within what is allowed.

        Args:
            noise: ``(B, F + 1)``.
            x: Rows ``(B, F)``; only the known values are read.
            known: Bool ``(B, F)``; a column's fields are known together or not at all. Every row may know others.
            allowed: By position of a field, which of its values may come, bool ``(size,)``; every row obeys, whether
                the values are likely or not.

        Returns:
            Rows ``(B, F)``.
        """
        uniform, networks = _uniform(noise), self.networks
        x, known = x.clone(), known.clone()
        for j in self._settled(allowed):
            place = uniform[:, j].clamp(max=0.999)  # within the cell, any is as likely
            x[:, j] = torch.where(known[:, j], x[:, j], allowed[j].to(x.device).float().argmax() + place)
            known[:, j] = True
        unsettled = {j: values for j, values in allowed.items() if not bool(known[:, j].all())}
        first = [j for j in networks.order().tolist() if int(networks.columns[j]) in self._columns(unsettled)]
        if len(unsettled) > 1:
            parts = [t.split(CHUNK) for t in (uniform, x, known)]
            x = torch.cat([self._chosen(u, at, k, first, unsettled) for u, at, k in zip(*parts, strict=True)])
            known[:, first] = True
        rest = [j for j in networks.order().tolist() if j not in first]
        return networks.fill(uniform, x, known, [*first, *rest], unsettled)[0]

    def _columns(self, fields: Iterable[int]) -> set[int]:
        return {int(self.networks.columns[j]) for j in fields}

    def _settled(self, allowed: Mapping[int, Tensor]) -> list[int]:
        """Fields of the columns of which only one value is allowed."""
        one = {j for j, values in allowed.items() if int(values.sum()) == 1}
        loose = self._columns(j for j in range(self.networks.count) if j not in one)
        return [j for j in sorted(one) if int(self.networks.columns[j]) not in loose]

    def _chosen(
        self, uniform: Tensor, x: Tensor, known: Tensor, fields: list[int], allowed: Mapping[int, Tensor]
    ) -> Tensor:
        """Rows with ``fields`` drawn within several sets at once.

        One field after the other, each within its own set, is not yet the distribution given all of the sets: a value
        must count for as much as what it makes of the fields that follow. Hence some candidates, and a choice among
        them by the probability of what was allowed (sampling, importance, resampling: Rubin 1987).
        """
        turns = torch.arange(CANDIDATES, device=x.device)[:, None, None]
        many = ((uniform[:, : x.shape[1]] + turns * _irrational(x.shape[1]).to(x.device)) % 1.0).flatten(0, 1)
        times = (CANDIDATES, 1)
        drawn, weight = self.networks.fill(many, x.repeat(times), known.repeat(times), fields, allowed)
        weight = weight.view(CANDIDATES, -1).softmax(0).cumsum(0)
        chosen = (weight < uniform[:, -1] * weight[-1]).sum(0).clamp_(max=CANDIDATES - 1)
        return drawn.view(CANDIDATES, *x.shape)[chosen, torch.arange(len(x), device=x.device)]

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)``: the means."""
        if self.encoder is None:
            return super().encode(x)
        return self.encoder(self.networks.embedding(x))[0]

    def decode(self, z: Tensor) -> Tensor:
        """The likeliest rows ``(B, F)``, one field after the other."""
        if self.shift is None:
            return super().decode(z)
        return self.networks.draw(None, self.networks.order(), shift=self.shift(z))

    @torch.no_grad()
    def health(self, x: Tensor) -> Health:
        """The log-likelihood of held-out rows, in nats a row."""
        nll = self.networks(x, self.networks.order()).sum(1)
        return Health(figures={"log_likelihood": -nll.mean().item()})

    def _any_order(self) -> Tensor:
        if float(torch.rand(())) < self.config.ordered:
            return self.networks.order()
        return self.networks.order(torch.randperm(self.networks.column_count))


def _uniform(noise: Tensor) -> Tensor:
    """Normal noise as numbers of [0, 1]."""
    return torch.special.ndtr(noise)


def _irrational(count: int) -> Tensor:
    """Parts after the point of the roots of as many primes: steps that never fall on each other."""
    primes: list[int] = []
    number = 2
    while len(primes) < count:
        if all(number % p for p in primes if p * p <= number):
            primes.append(number)
        number += 1
    return (torch.tensor(primes, dtype=torch.float64).sqrt() % 1.0).float()
