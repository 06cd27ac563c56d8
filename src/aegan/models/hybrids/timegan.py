"""TimeGAN: a GAN on the codes of every step, with a supervisor that learns how one step's code follows from the last.

Reference: Yoon, Jarrett & van der Schaar 2019, *Time-series Generative Adversarial Networks*, NeurIPS, and the settings
of its authors' code: five recurrent networks; first the autoencoder (embedder and recovery), then the supervisor, then
all together, two steps of generator and embedder for one of the discriminator, which is held where its loss is low.
Differences: each phase has a batch of its own, where embedder and generator share one there; the reset gate is applied
behind the matrix product, as everywhere in PyTorch; missing values do not count in the reconstruction; the noise is
drawn normal and made uniform by its distribution function. What belongs to a whole series (attributes, length) is not
modelled.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn.functional import softplus

from aegan.config import require_at_least_one, require_non_negative
from aegan.errors import ConfigError
from aegan.losses.adversarial import non_saturating_generator
from aegan.models.adversarial import noise_like
from aegan.models.base import Model
from aegan.nn.stepwise import Stepwise
from aegan.types import Batch, Optimizer, Phase, Spec, Stage, Term

TINY = 1e-12
"""Added below a root, whose slope at 0 is infinite: next to no error."""
TINY_VARIANCE = 1e-6
"""The same below the deviation of a value over a batch, as published."""


@dataclass(frozen=True, kw_only=True)
class TimeGANConfig:
    """Settings of TimeGAN; the defaults are the authors'.

    Attributes:
        hidden: Units of each layer, and values of a step's code.
        layers: Recurrent layers of each network; the supervisor has one less.
        noise: Values of noise a step; none: as many as there are channels.
        autoencoder_share: Part of the budget for embedder and recovery.
        supervisor_share: Part of the budget for the supervisor; the rest is the joint stage.
        gamma: Weight, in both adversaries' losses, of what the generator makes before the supervisor.
        reconstruction_weight: Of the root of the reconstruction's mean squared error.
        supervised_weight: Of the root of the supervised error, for generator and supervisor.
        moment_weight: Of the error in means and deviations over a batch, for generator and supervisor.
        embedder_supervised_weight: Of the supervised error, for the embedder in the joint stage.
        hold_below: The discriminator makes no step where its loss is no more than this; 0 never holds it.
        generator_steps: Steps of generator and embedder for one of the discriminator.
        batch_size: Samples a step.
        lr: Learning rate of every phase, constant as published.
        ema_samples: Half-life of the weights' average in samples; 0, as published, keeps the last weights.
    """

    hidden: int = 24
    layers: int = 3
    noise: int | None = None
    autoencoder_share: float = 0.25
    supervisor_share: float = 0.25
    gamma: float = 1.0
    reconstruction_weight: float = 10.0
    supervised_weight: float = 100.0
    moment_weight: float = 100.0
    embedder_supervised_weight: float = 0.1
    hold_below: float = 0.15
    generator_steps: int = 2
    batch_size: int = 128
    lr: float = 1e-3
    ema_samples: float = 0.0

    def __post_init__(self) -> None:
        require_at_least_one(self, "hidden", "layers", "generator_steps", "batch_size")
        require_non_negative(self, "gamma", "reconstruction_weight", "supervised_weight", "moment_weight")
        require_non_negative(self, "embedder_supervised_weight", "hold_below", "lr", "ema_samples")
        if self.noise is not None and self.noise < 1:
            raise ConfigError(f"noise: at least 1 value a step expected, got {self.noise}; none takes the channels.")
        shares = (self.autoencoder_share, self.supervisor_share)
        if min(shares) <= 0 or sum(shares) >= 1:
            raise ConfigError(
                f"autoencoder_share={shares[0]}, supervisor_share={shares[1]}: both above 0 and less than 1 together "
                "expected; the rest is the joint stage."
            )


@final
class TimeGAN(Model):
    """Embedder, recovery, generator, supervisor and discriminator; see the module's text.

    Data ``(B, T, C)`` in [-1, 1]; a code is that of every step, one behind the other, each value in (0, 1).
    """

    Config: ClassVar[type] = TimeGANConfig
    kinds: ClassVar[tuple[str, ...]] = ("series",)
    samples_from = "joint"

    def __init__(self, spec: Spec, config: TimeGANConfig) -> None:
        super().__init__(spec, config)
        steps, channels = spec.shape
        if steps < 2:
            raise ConfigError("timegan learns how a step follows from the last, got series of one. Use longer windows.")
        if spec.fields:
            named = ", ".join(dict.fromkeys(field.column for field in spec.fields))
            raise ConfigError(
                f"timegan models the values of series of one length, not what belongs to a whole series ({named}). "
                "Cut windows, leave out attributes and per-series scaling, or use another model of series."
            )
        hidden, layers = config.hidden, config.layers
        self.step_noise = channels if config.noise is None else config.noise
        self.noise_dim, self.code_dim = steps * self.step_noise, steps * hidden
        self.embedder = Stepwise(channels, hidden, layers, hidden)
        self.recovery = Stepwise(hidden, hidden, layers, channels)
        self.generator = Stepwise(self.step_noise, hidden, layers, hidden)
        self.supervisor = Stepwise(hidden, hidden, max(1, layers - 1), hidden)
        self.discriminator = Stepwise(hidden, hidden, layers, 1)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Autoencoder, supervisor, then all together."""
        config = self.config
        coder, maker = ("embedder", "recovery"), ("generator", "supervisor")
        joint = (
            self._phase("generator", maker),
            self._phase("embed", coder),
            self._phase("discriminator", ("discriminator",), every=config.generator_steps, skips=True),
        )
        rest = 1.0 - config.autoencoder_share - config.supervisor_share
        return (
            self._stage("autoencoder", config.autoencoder_share, (self._phase("autoencode", coder),)),
            self._stage("supervisor", config.supervisor_share, (self._phase("supervise", ("supervisor",)),)),
            self._stage("joint", rest, joint),
        )

    def steady(self, phase: str, batch: Batch) -> Hashable | None:
        """Always the same; but whether the discriminator learns is decided on the host."""
        return None if phase == "discriminator" else ()

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Terms of ``autoencode``, ``supervise``, ``generator``, ``embed`` and ``discriminator``."""
        x = batch["x"]
        if phase == "supervise":
            with torch.no_grad():
                h = self._embed(x)
            return {"supervised": Term(supervised_error(self._next(h), h))}
        if phase == "generator":
            return self._generator_loss(x)
        if phase == "discriminator":
            return self._discriminator_loss(x)
        h = self._embed(x)
        terms = {"reconstruction": Term(self._error(h, x, batch.get("mask")), self.config.reconstruction_weight)}
        if phase == "embed":
            terms["supervised"] = Term(supervised_error(self._next(h), h), self.config.embedder_supervised_weight)
        return terms

    def generate(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Series ``(B, T, C)``; the classes are not used."""
        return self._recover(self._next(self._begun(noise)))

    def encode(self, x: Tensor) -> Tensor:
        """Codes ``(B, T · hidden)``."""
        return self._embed(x).flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        """Series ``(B, T, C)``."""
        return self._recover(z.unflatten(1, (self.spec.shape[0], self.config.hidden)))

    # --- the networks -----------------------------------------------------------------------------------------

    def _embed(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.embedder((x.float() + 1.0) / 2.0).float())

    def _recover(self, h: Tensor) -> Tensor:
        return 2.0 * torch.sigmoid(self.recovery(h).float()) - 1.0

    def _next(self, h: Tensor) -> Tensor:
        return torch.sigmoid(self.supervisor(h).float())

    def _begun(self, noise: Tensor) -> Tensor:
        """Codes ``(B, T, hidden)`` from normal noise, not yet through the supervisor."""
        uniform = torch.special.ndtr(noise.float()).unflatten(1, (self.spec.shape[0], self.step_noise))
        return torch.sigmoid(self.generator(uniform).float())

    def _judged(self, h: Tensor) -> Tensor:
        """Logits ``(B, T, 1)``."""
        return self.discriminator(h).float()

    # --- the losses, of data in [0, 1] as published -------------------------------------------------------------

    def _error(self, h: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        """Root of the reconstruction's mean squared error over what was observed."""
        error = ((self._recover(h) - x) / 2.0).square()
        mean = error.mean() if mask is None else (error * mask).sum() / mask.sum().clamp_min(1)
        return (mean + TINY).sqrt()

    def _generator_loss(self, x: Tensor) -> dict[str, Term]:
        config = self.config
        with torch.no_grad():
            h = self._embed(x)
        before = self._begun(noise_like(x, self.noise_dim))
        # A recurrent network's time is in its steps, hardly in its batch: one pass of each for both.
        behind, ahead = self._next(torch.cat([before, h])).chunk(2)
        logits, logits_before = self._judged(torch.cat([behind, before])).chunk(2)
        supervised = supervised_error(ahead, h)
        return {
            "adversarial": Term(non_saturating_generator(logits, logits)),
            "adversarial-embedding": Term(non_saturating_generator(logits_before, logits_before), config.gamma),
            "supervised": Term((supervised + TINY).sqrt(), config.supervised_weight),
            "moments": Term(moment_error(self._recover(behind), x), config.moment_weight),
        }

    def _discriminator_loss(self, x: Tensor) -> dict[str, Term]:
        config = self.config
        with torch.no_grad():
            h = self._embed(x)
            before = self._begun(noise_like(x, self.noise_dim))
            behind = self._next(before)
        logits, logits_behind, logits_before = self._judged(torch.cat([h, behind, before])).chunk(3)
        real, fake, embedding = softplus(-logits).mean(), softplus(logits_behind).mean(), softplus(logits_before).mean()
        total = real + fake + config.gamma * embedding
        learns = float(total.detach() > config.hold_below)
        # Held, its gradient is zero rather than none, so that shards of a batch may differ.
        return {
            "adversarial-real": Term(real, learns),
            "adversarial-fake": Term(fake, learns),
            "adversarial-embedding": Term(embedding, learns * config.gamma),
            "held": Term(0.0 * total + (1.0 - learns)),
        }

    def _phase(self, name: str, networks: tuple[str, ...], *, every: int = 1, skips: bool = False) -> Phase:
        optimizer = Optimizer(lr=self.config.lr, betas=(0.9, 0.999))
        return Phase(name=name, networks=networks, optimizer=optimizer, every=every, skips=skips)

    def _stage(self, name: str, share: float, phases: tuple[Phase, ...]) -> Stage:
        return Stage(
            name=name,
            share=share,
            phases=phases,
            batch_size=self.config.batch_size,
            ema=tuple(dict.fromkeys(network for phase in phases for network in phase.networks)),
            ema_samples=self.config.ema_samples,
            autocast=False,
            warmup=0.0,
            final_lr=1.0,
        )


def supervised_error(ahead: Tensor, h: Tensor) -> Tensor:
    """Mean squared error of what is foretold at each step for the next, ``ahead`` and ``h`` both ``(B, T, D)``.

    >>> import torch
    >>> supervised_error(torch.tensor([[[2.0], [5.0]]]), torch.tensor([[[0.0], [1.0]]])).item()
    1.0
    """
    return (ahead[:, :-1] - h[:, 1:]).square().mean()


def moment_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """How far means and deviations over a batch are apart, each averaged over steps and channels, data in [0, 1].

    Args:
        x_hat: Synthetic series ``(B, T, C)`` in [-1, 1].
        x: Real ones.

    >>> import torch
    >>> round(moment_error(torch.zeros(4, 2, 1), torch.ones(4, 2, 1)).item(), 4)
    0.5
    """
    made, real = x_hat / 2.0, x.float() / 2.0
    deviations = [(part.var(0, correction=0) + TINY_VARIANCE).sqrt() for part in (made, real)]
    return (deviations[0] - deviations[1]).abs().mean() + (made.mean(0) - real.mean(0)).abs().mean()
