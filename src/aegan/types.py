"""The nouns every room shares: Spec, Batch, Samples, Term, Phase and Stage.

Shape legend (also in docs/architecture.md): ``B`` samples in a batch, ``C`` channels, ``H`` height,
``W`` width, ``T`` time, ``D`` latent or feature dimension, ``N`` samples in a data set, ``K`` classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

Batch = dict[str, "Tensor"]
"""Named tensors with one leading axis ``B``: ``x`` data (images and series in [-1, 1]), ``y`` int64 class, ``z`` codes.

Of series also ``mask`` bool ``(B, T, C)``, True where observed, ``length`` int64 ``(B,)`` and ``static`` float32
``(B, F)``, each where there is any need of it; see :meth:`aegan.data.series.SeriesAdapter.to_tensors`.
"""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One categorical variable of a table's row.

    A column with few values is one field; one with many (amounts, dates, a hundred thousand names) is several, coarse
    to fine, as the digits of a number are. Its tensor holds ``k + u``: ``k`` is the value's index, ``u`` in [0, 1) the
    position within it, which matters for amounts alone (0.5 elsewhere).

    Attributes:
        column: Name of the column that it belongs to.
        size: Number of values.
        level: 0 for the column's first and coarsest field, then 1, 2, …; a finer one means nothing without the coarser.
        ordered: Whether the values are in the order of amounts.
        entropy: Of the column's values in the fitted data, in nats; the same for each of its fields. None: not known.
    """

    column: str
    size: int
    level: int = 0
    ordered: bool = False
    entropy: float | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What one sample is, told by an adapter and read by networks, losses and metrics.

    Attributes:
        kind: Kind of data: ``"image"``, ``"audio"``, ``"table"``, ``"series"``, ``"text"`` or, from
            Python, ``"vector"``.
        shape: Shape of one sample's tensor without the batch axis; ``(C, H, W)`` for images, ``(C, M, T)`` for the
            ``M`` mel bands and ``T`` frames of recordings, ``(F,)`` for a table's row of ``F`` fields, ``(T, C)`` for
            time series, ``T`` the longest, ``(T,)`` for text, its end included.
        likelihood: Reconstruction model of the values, ``"gaussian"`` for images in [-1, 1]; ``"categorical"`` ones
            are discrete.
        classes: Class names by class index; empty when the data carry no labels.
        labels: Where a class is a combination of several labels: each one's name, and its value by class index.
        fields: What each value of a table's row is. For series, the fields of what belongs to a whole series (length,
            attributes, amplitudes), whose values are in ``static`` (N, F) rather than in ``x``. Empty for other kinds.
        vocabulary: Number of tokens of text, of which 0 is the end and 1 what there is none for; 0 for other kinds.
        seasons: Steps after which time series repeat themselves, such as 24 hours. Each sample's first step then has
            its ``place`` (N,) beside ``x``, in steps of the line of time that all share.
    """

    kind: str
    shape: tuple[int, ...]
    likelihood: str = "gaussian"
    classes: tuple[str, ...] = ()
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    fields: tuple[Field, ...] = ()
    vocabulary: int = 0
    seasons: tuple[float, ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of classes ``K``; 0 when the data carry no labels."""
        return len(self.classes)

    @property
    def discrete(self) -> bool:
        """Whether the values are names rather than amounts, so that no gradient passes through them."""
        return self.likelihood == "categorical"

    @property
    def unlabelled(self) -> Spec:
        """The same data without classes."""
        return replace(self, classes=(), labels=())

    def to_json(self) -> dict[str, Any]:
        """Plain dict for ``adapter.json``."""
        plain = asdict(self)
        for name in ("fields", "labels", "vocabulary", "seasons"):
            if not plain[name]:
                del plain[name]
        if "seasons" in plain:
            plain["seasons"] = list(plain["seasons"])
        for one in plain.get("fields", ()):
            if one["entropy"] is None:
                del one["entropy"]
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Spec:
        """Inverse of :meth:`to_json`."""
        return cls(
            kind=data["kind"],
            shape=tuple(data["shape"]),
            likelihood=data["likelihood"],
            classes=tuple(data["classes"]),
            labels=tuple((name, tuple(values)) for name, values in data.get("labels", ())),
            fields=tuple(Field(**one) for one in data.get("fields", ())),
            vocabulary=data.get("vocabulary", 0),
            seasons=tuple(data.get("seasons", ())),
        )


@runtime_checkable
class Samples(Protocol):
    """A data set that is indexed in whole batches, never item by item."""

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Batch:
        """Tensors of the samples at ``index`` (int64, shape ``(B,)``), ready for the networks."""
        ...


@dataclass(frozen=True)
class Term:
    """One named part of a loss, its value kept apart from its weight.

    Attributes:
        value: Unweighted scalar tensor, attached to the graph.
        weight: What the trainer multiplies it with. Zero records the term without training on it.
    """

    value: Tensor
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Health:
    """What a trained model says about itself, seen on data it was not trained on.

    Attributes:
        figures: Values by name, such as a bound on the likelihood.
        findings: What is wrong, each by its name and with its remedy; empty when nothing is.
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Adam's settings for one phase.

    Attributes:
        lr: The peak; the stage's schedule scales it.
        betas: Of the averages of gradients and their squares.
        eps: Added to the denominator.
        weight_decay: Decoupled.
        clip_norm: Longer gradients are cut to this length; 0 leaves them.
    """

    lr: float
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Which networks learn in a step, with which optimiser, how often.

    Attributes:
        name: Name passed to ``Model.loss``; unique within the model.
        networks: Attribute names of the sub-modules this phase updates; no other weight moves.
        optimizer: Adam's settings.
        every: The phase runs on steps divisible by this.
        skips: Where the gradient is exactly zero the phase makes no step, rather than one of its momentum alone.
    """

    name: str
    networks: tuple[str, ...]
    optimizer: Optimizer
    every: int = 1
    skips: bool = False


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of the run: the phases of each step, in order, and its share of the budget.

    Attributes:
        name: Shown in the progress line, the events and the report.
        share: Part of the whole budget (time or steps); the shares of a model's stages are normalised.
        phases: Run in this order in every step, each on a fresh batch.
        batch_size: Samples a batch.
        ema: Networks whose weights are averaged; the averages become the weights when the stage ends.
        ema_samples: Half-life of that exponential moving average, in samples.
        autocast: Compute in the run's precision; False keeps the stage in float32.
        warmup: Part of the stage over which the learning rate rises linearly.
        final_lr: Learning rate at the stage's end, as a part of its peak (cosine in between).
        patience: Above 0, the averages that held-out samples like best are kept. When so many steps, and half as many
            again as the best took, brought nothing better, the stage settles at a falling learning rate and ends early;
            see :class:`aegan.train.selection.Selection`. 0 keeps the last ones.
    """

    name: str
    share: float
    phases: tuple[Phase, ...]
    batch_size: int
    ema: tuple[str, ...] = ()
    ema_samples: float = 10_000.0
    autocast: bool = True
    warmup: float = 0.02
    final_lr: float = 0.05
    patience: int = 0
