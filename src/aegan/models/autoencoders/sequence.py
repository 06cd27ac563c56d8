"""Sequence autoencoder: a code for a text, and a decoder that writes it token by token given the code.

References: Bowman et al. 2016, "Generating sentences from a continuous space" (arXiv 1511.06349) for the variational
form and word dropout; Kingma et al. 2016 (arXiv 1606.04934) for free bits and Fu et al. 2019 (arXiv 1903.10145) for the
cyclical weight, which keep the code in use; Shen et al. 2020, "Educating text autoencoders: latent representation
guidance via denoising" (arXiv 1905.12777) for the denoising form.

A decoder that sees the tokens before it can do without a code, and at the divergence's full weight it does. Here the
divergence costs nothing up to ``free_bits`` a dimension, tokens are hidden from the decoder now and then, and the code
also reaches the output directly. Some texts of each step are learnt without their code, so that the same decoder is a
language model too: samples come from codes, or without a code (``draws``). With ``form=language`` there is no code at
all: a plain language model. The codes that samples are made of are drawn from a normal distribution fitted to those of
the training texts when training is over, with classes one for each class (Ghosh et al. 2020, arXiv 1903.12436).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from aegan.config import require_at_least_one, require_choice, require_non_negative
from aegan.errors import ConfigError
from aegan.losses import above_free_bits, gaussian_kl
from aegan.models.autoencoders.collapse import posterior_statistics, posterior_verdict
from aegan.models.base import Model
from aegan.nn.decoding import GREEDY, Decoding, log_likelihoods, write
from aegan.nn.init import linear
from aegan.nn.tokens import NETWORKS, TokenDecoder, TokenEncoder, in_use, trimmed
from aegan.types import Batch, Health, Optimizer, Phase, Samples, Spec, Stage, Term

FORMS = ("variational", "denoising", "language")
DRAWS = ("prior", "free")
KINDS = ("text",)
_LOGVAR = (-10.0, 4.0)
FITTED_ON = 20_000
"""Training texts at most that the codes' distribution is fitted on."""
_HEALTH = 512
"""Held-out texts that the health is seen on."""


@dataclass(frozen=True, kw_only=True)
class SequenceConfig:
    """Settings of the sequence autoencoder.

    Attributes:
        form: ``variational``: the code's deviation is learnt; ``denoising``: it is ``code_noise``, and the encoder sees
            texts with tokens hidden; ``language``: no code, a plain language model.
        encoder: ``recurrent`` or ``transformer``.
        decoder: ``recurrent`` or ``transformer``.
        latent_dim: Length of a code.
        width: An eighth of the hidden units.
        blocks: Layers of encoder and decoder.
        embedding: Length of a token's vector.
        dropout: Share of the decoder's vectors left out in a training step.
        word_dropout: Share of the tokens that the decoder does not see in a training step.
        code_free: Share of the texts in a training step whose decoder gets no code.
        draws: Samples come from codes of the fitted ``prior``, or code-``free``; by class from codes alone.
        hidden_tokens: Share of the tokens that the encoder does not see in a training step.
        beta: Weight of the code's KL divergence from the prior.
        beta_cycle: Steps of a cycle in whose first half that weight rises from 0; 0: it rises once, over the first
            thousand steps.
        free_bits: Nats of that divergence per dimension that cost nothing.
        code_noise: Deviation of a code in the denoising form.
        class_weight: Weight of a classifier on the code; without effect without labels.
        patience: Steps at least without a better loss on held-out texts before training ends early; 0: never.
        batch_size: Texts a step.
        lr: Peak learning rate of Adam.
    """

    model: ClassVar[str] = "sequence"
    form: str = "variational"
    encoder: str = "recurrent"
    decoder: str = "recurrent"
    latent_dim: int = 32
    width: int = 32
    blocks: int = 1
    embedding: int = 128
    dropout: float = 0.3
    word_dropout: float = 0.2
    code_free: float = 0.25
    draws: str = "prior"
    hidden_tokens: float = 0.1
    beta: float = 1.0
    beta_cycle: int = 0
    free_bits: float = 0.5
    code_noise: float = 0.5
    class_weight: float = 0.0
    patience: int = 1000
    batch_size: int = 64
    lr: float = 2e-3

    def __post_init__(self) -> None:
        require_choice(self, "form", FORMS)
        require_choice(self, "draws", DRAWS)
        require_choice(self, "encoder", NETWORKS)
        require_choice(self, "decoder", NETWORKS)
        require_at_least_one(self, "latent_dim", "width", "blocks", "embedding", "batch_size")
        require_non_negative(self, "beta", "beta_cycle", "free_bits", "class_weight", "patience")
        for name in ("dropout", "word_dropout", "hidden_tokens", "code_free"):
            if not 0 <= getattr(self, name) <= 0.9:
                raise ConfigError(f"{name}: a number from 0 to 0.9 expected, got {getattr(self, name)}.")
        for name in ("lr", "code_noise"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name}: a number above 0 expected, got {getattr(self, name)}.")
        if self.draws == "free" and not self.code_free and self.form != "language":
            raise ConfigError("draws=free: nothing was learnt without a code with code_free=0. Set it to 0.25, or so.")


class _Codes(nn.Module):
    """What stands for a code that is not given; and in buffers the codes' deviation lately, and their distribution."""

    posterior_std: Tensor
    steps: Tensor
    mean: Tensor
    root: Tensor

    def __init__(self, dim: int, classes: int, *, absent: bool) -> None:
        super().__init__()
        self.absent = nn.Parameter(torch.zeros(dim)) if absent else None
        self.register_buffer("posterior_std", torch.ones(dim))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        # Of every class, and last of all together; the prior until they are fitted.
        self.register_buffer("mean", torch.zeros(classes + 1, dim))
        self.register_buffer("root", torch.eye(dim).repeat(classes + 1, 1, 1))

    @torch.no_grad()
    def update(self, posterior_std: Tensor) -> None:
        """Move the running mean, a plain mean over the first hundred steps, towards a batch's values."""
        self.steps += 1
        self.posterior_std.lerp_(posterior_std, 1.0 / self.steps.clamp(max=100))

    @torch.no_grad()
    def fit(self, mu: Tensor, variance: Tensor, y: Tensor | None) -> None:
        """Set the distribution to that of codes of means and variances ``(N, D)`` and classes ``(N,)``."""
        mu, variance = mu.double(), variance.double()
        dim = mu.shape[1]
        whole = torch.cov(mu.T).reshape(dim, dim) + torch.diag(variance.mean(0))
        for k in range(len(self.mean)):
            own = torch.ones(len(mu), dtype=torch.bool) if k == len(self.mean) - 1 or y is None else y == k
            count = int(own.sum())
            mean, covariance = mu.mean(0), whole
            if count >= 2:
                mean = mu[own].mean(0)
                covariance = torch.cov(mu[own].T).reshape(dim, dim) + torch.diag(variance[own].mean(0))
            # A small class leans on all: as if so many more of those had been seen as a code has dimensions.
            covariance = (count * covariance + dim * whole) / (count + dim)
            self.mean[k] = mean
            self.root[k] = torch.linalg.cholesky(covariance + 1e-8 * torch.eye(dim))

    def draw(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Codes ``(B, D)`` of standard normal noise ``(B, D)`` and classes ``(B,)``; None: of all together."""
        if y is None:
            return self.mean[-1] + noise @ self.root[-1].T
        return self.mean[y] + torch.einsum("bij,bj->bi", self.root[y], noise)


@final
class Sequence(Model):
    """Texts, their codes, and texts from those; see the module's text."""

    Config: ClassVar[type] = SequenceConfig
    kinds: ClassVar[tuple[str, ...]] = KINDS
    block: ClassVar[int] = 256
    config: SequenceConfig
    samples_from = "autoencoder"

    def __init__(self, spec: Spec, config: SequenceConfig) -> None:
        super().__init__(spec, config)
        self.coded = config.form != "language"
        self.code_dim = config.latent_dim if self.coded else 0
        longest = spec.shape[0]
        self.draw_dim = longest
        self.noise_dim = self.code_dim + longest
        size = {"embedding": config.embedding, "hidden": 8 * config.width, "layers": config.blocks}
        self.decoder = TokenDecoder(
            spec.vocabulary, longest, self.code_dim, network=config.decoder, dropped=config.dropout, **size
        )
        self.encoder: TokenEncoder | None = None
        self.classifier: nn.Linear | None = None
        self.networks: tuple[str, ...] = ("decoder",)
        if self.coded:
            outputs = self.code_dim * (2 if config.form == "variational" else 1)
            self.encoder = TokenEncoder(spec.vocabulary, longest, outputs, network=config.encoder, **size)
            self.codes = _Codes(self.code_dim, spec.num_classes, absent=config.code_free > 0)
            self.conditional = spec.num_classes > 0 and config.draws == "prior"
            self.networks = ("encoder", "decoder", "codes")
            if spec.num_classes and config.class_weight:
                self.classifier = linear(self.code_dim, spec.num_classes)
                self.networks = (*self.networks, "classifier")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One stage with one phase, ``autoencode``."""
        config = self.config
        phase = Phase(name="autoencode", networks=self.networks, optimizer=Optimizer(lr=config.lr, betas=(0.9, 0.99)))
        return (
            Stage(
                name="autoencoder",
                share=1.0,
                phases=(phase,),
                batch_size=config.batch_size,
                ema=self.networks,
                patience=config.patience,
            ),
        )

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``autoencode``: ``reconstruction`` and ``kl`` in nats a text, weighted by one over its length."""
        config, x = self.config, trimmed(batch["x"])
        used = in_use(x)
        shown = None
        if self.training and config.word_dropout and self.coded:
            shown = torch.rand(x.shape, device=x.device) >= config.word_dropout
        scale = 1.0 / self.spec.shape[0]
        if self.encoder is None:
            return {"reconstruction": Term(self._nll(None, x, used, shown), scale)}
        seen = x
        if self.training and config.hidden_tokens:
            hide = (torch.rand(x.shape, device=x.device) < config.hidden_tokens) & (x > 0)
            seen = x.masked_fill(hide, self.encoder.hidden_token)
        mu, logvar = self._posterior(seen)
        std = (0.5 * logvar).exp()
        self.codes.update(std.mean(0))
        z = mu + std * torch.randn_like(mu)
        kl, weight = gaussian_kl(mu, logvar, reduce=False), self.beta(self.stage_step) * scale
        if self.training and self.codes.absent is not None:
            free = torch.rand(len(z), 1, device=z.device) < config.code_free
            z = torch.where(free, self.codes.absent, z)
        terms = {"reconstruction": Term(self._nll(z, x, used, shown), scale), "kl": Term(kl.sum(), 0.0)}
        terms["kl-above-free-bits"] = Term(above_free_bits(kl, config.free_bits), weight)
        if self.classifier is not None and "y" in batch:
            terms["class"] = Term(cross_entropy(self.classifier(z), batch["y"]), config.class_weight)
        return terms

    @torch.no_grad()
    def finish(self, data: Samples) -> None:
        """Fit the distribution that samples' codes are drawn from."""
        if not self.coded:
            return
        device, stream = self.codes.mean.device, torch.Generator().manual_seed(0)
        index = torch.randperm(len(data), generator=stream)[:FITTED_ON].split(256)
        batches = [data.batch(part) for part in index]
        found = [self._posterior(batch["x"].to(device)) for batch in batches]
        mu, logvar = (torch.cat(parts).cpu() for parts in zip(*found, strict=True))
        y = torch.cat([batch["y"] for batch in batches]) if self.spec.num_classes and "y" in batches[0] else None
        if len(mu) >= 2:
            codes = self.codes.cpu()
            codes.fit(mu, logvar.exp(), y)
            codes.to(device)

    def beta(self, step: int) -> float:
        """Weight of the KL divergence at a step of the stage; its full one wherever nothing is learnt."""
        config = self.config
        if not self.training:
            return config.beta
        if config.beta_cycle:
            return config.beta * min(1.0, 2 * (step % config.beta_cycle) / config.beta_cycle)
        return config.beta * min(1.0, (step + 1) / 1000)

    def _nll(self, z: Tensor | None, x: Tensor, used: Tensor, shown: Tensor | None = None) -> Tensor:
        """Nats a text, on average."""
        logits = self.decoder.logits(self.decoder(z, x, shown)[used])
        return cross_entropy(logits, x[used], reduction="sum") / len(x)

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.encoder is None:
            raise ConfigError("form=language has no encoder. Set form to variational or denoising.")
        out = self.encoder(x).float()
        if self.config.form == "denoising":
            return out, torch.full_like(out, 2.0).mul_(torch.tensor(self.config.code_noise).log())
        mu, logvar = out.chunk(2, dim=1)
        return mu, logvar.clamp(*_LOGVAR)

    def log_likelihood(self, x: Tensor, z: Tensor | None) -> Tensor:
        """Logarithm of the probability ``(B,)`` of texts ``(B, T)`` given codes ``(B, D)``, in nats."""
        return log_likelihoods(self.decoder, z, trimmed(x)).sum(1)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log-variances ``(B, D)`` of the codes of texts ``(B, T)``."""
        return self._posterior(x)

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, D)`` of texts ``(B, T)``, without noise."""
        return self._posterior(x)[0] if self.coded else super().encode(x)

    def decode(self, z: Tensor, decoding: Decoding = GREEDY) -> Tensor:
        """Texts ``(B, T)`` of codes ``(B, D)``; the likeliest token at each step unless ``decoding`` says otherwise."""
        return write(self.decoder, z, None, decoding) if self.coded else super().decode(z)

    def draw(self, z: Tensor | None, noise: Tensor) -> Tensor:
        """Texts ``(B, T)`` drawn token by token from codes ``(B, D)`` by standard normal noise ``(B, T)``.

        How they are drawn is the decoder's ``decoding``.
        """
        return write(self.decoder, z, torch.special.ndtr(noise), self.decoder.decoding)

    def noisy(self, z: Tensor) -> Tensor:
        """Codes drawn around the means ``z``, with the deviations usual in training."""
        return z + self.codes.posterior_std * torch.randn_like(z)

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Texts ``(B, T)`` drawn with codes of the classes ``(B,)``, or without."""
        z, draws = noise.split([self.code_dim, self.draw_dim], 1)
        if not self.coded:
            return self.draw(None, draws)
        if self.config.draws == "free" and self.codes.absent is not None:
            return self.draw(self.codes.absent.expand(len(z), -1), draws)
        return self.draw(self.codes.draw(z, y), draws)

    @torch.no_grad()
    def health(self, x: Tensor) -> Health:
        """Likelihood of held-out texts and whether the code is in use."""
        x = x[:_HEALTH].long()
        tokens = in_use(x).sum(1).float().mean()
        if not self.coded:
            nll = torch.cat([-self.log_likelihood(part, None) for part in x.split(64)]).mean()
            return Health(figures={"log_likelihood": -nll.item(), "nats_per_token": (nll / tokens).item()})
        mu, logvar = (torch.cat(parts) for parts in zip(*(self._posterior(c) for c in x.split(64)), strict=True))
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        nll = torch.cat([-self.log_likelihood(a, b) for a, b in zip(x.split(64), z.split(64), strict=True)]).mean()
        found = posterior_statistics(mu, logvar)
        kl = float(sum(found.kl))
        figures = {
            "elbo": -nll.item() - kl,
            "nats_per_token": ((nll + kl) / tokens).item(),
            "kl": kl,
            "active_units": float(found.active),
            "mutual_information": found.mutual_information,
        }
        return Health(figures=figures, findings=posterior_verdict(found))
