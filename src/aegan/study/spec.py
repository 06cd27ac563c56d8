"""What a study is: models, data, seeds, one budget, metrics, claims; and the runs that it comes to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from aegan.errors import ConfigError
from aegan.study.metrics import Metric

CLOCKS = ("processor", "wall")
FEWEST_STEPS = 2


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What every run may use, an autoencoder's pretraining counted in.

    Attributes:
        steps: Gradient steps over all stages, or None.
        seconds: Seconds over all stages, or None.
        clock: What the seconds are of: ``processor`` (summed over threads) or ``wall``.
    """

    steps: int | None = None
    seconds: float | None = None
    clock: str = "processor"

    def __str__(self) -> str:
        return f"{self.steps:,} gradient steps" if self.steps else f"{self.seconds:g} seconds of {self.clock} time"


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """An arm: a model with settings, under a name.

    Attributes:
        name: In tables and folders.
        model: Registered name.
        settings: By dotted name, as text.
        by_kind: Further settings for data of a kind.
        by_data: Further settings for data of a name, over those; what is run has them among its settings.
        augment: How the training data are enlarged first; see :mod:`aegan.study.enlarge`.
    """

    name: str
    model: str
    settings: Mapping[str, str] = field(default_factory=dict)
    by_kind: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    by_data: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    augment: Mapping[str, Any] = field(default_factory=dict)

    def settings_for(self, kind: str) -> dict[str, str]:
        """The settings that go for data of this kind."""
        return dict(self.settings) | dict(self.by_kind.get(kind, {}))

    def on(self, data: DataEntry) -> ModelEntry:
        """The arm as it is run on some data."""
        own = self.by_data.get(data.name)
        if own is None:
            return replace(self, by_data={})
        by_kind = {kind: {**settings, **own} for kind, settings in self.by_kind.items()}
        return replace(self, settings={**self.settings, **own}, by_kind=by_kind, by_data={})


@dataclass(frozen=True, kw_only=True)
class DataEntry:
    """Data to learn from, under a name.

    Attributes:
        name: In tables and folders.
        source: A name of :data:`aegan.study.sources.BUILT_IN`, or a path.
        kind: Found from the source when empty.
        n: Training samples, drawn anew by each seed; None takes all.
        holdout: Part that no run learns from and all are judged by; the same for every seed.
        labels: Whether classes are told to the models.
        options: Options of the adapter, such as ``size``.
        times: Runs on these data get this many times the budget.
    """

    name: str
    source: str
    kind: str = ""
    n: int | None = None
    holdout: float = 0.2
    labels: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    times: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence to be tested, with its rule fixed before looking.

    Attributes:
        name: Short.
        text: The sentence.
        model: The arm that is said to be better.
        control: Than this one.
        smallest: By metric, the smallest difference that matters: an amount, or text such as ``"10%"`` of the control.
        data: Names of the data sets that it is tested on; all when empty.
    """

    name: str
    text: str = ""
    model: str
    control: str
    smallest: Mapping[str, float | str]
    data: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """A whole study.

    Attributes:
        name: Title.
        question: A sentence or two.
        models: Arms.
        data: Data sets.
        seeds: Of subsets, weights, order and noise.
        budget: The same for every run.
        control: Arm that the others are compared with.
        metrics: Shown in this order.
        inits: Names of :data:`aegan.study.inits.INITS`.
        claims: Sentences to be tested.
        threads: Of each run.
        look_every: Steps between looks at the gradients; samples are looked at eight times as rarely.
        samples: Generated for judging a run.
        device: ``cpu``, ``cuda`` or ``auto``.
        keep_weights: Keep each run's weights.
        alpha: Level of the tests after Holm's correction.
    """

    name: str
    question: str = ""
    models: tuple[ModelEntry, ...]
    data: tuple[DataEntry, ...]
    seeds: tuple[int, ...]
    budget: Budget
    control: str
    metrics: tuple[Metric, ...]
    inits: tuple[str, ...] = ("default",)
    claims: tuple[Claim, ...] = ()
    threads: int = 1
    look_every: int = 10
    samples: int = 2000
    device: str = "cpu"
    keep_weights: bool = False
    alpha: float = 0.05

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return json.loads(json.dumps(asdict(self)))

    def model(self, name: str) -> ModelEntry:
        """The arm of that name."""
        return next(m for m in self.models if m.name == name)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of a study: everything that its result depends on."""

    model: ModelEntry
    data: DataEntry
    seed: int
    init: str
    budget: Budget
    threads: int
    look_every: int
    samples: int
    device: str = "cpu"
    keep_weights: bool = False
    jacobian: bool = False

    @property
    def steps(self) -> int | None:
        """Gradient steps over all stages, or None."""
        return None if self.budget.steps is None else max(FEWEST_STEPS, round(self.budget.steps * self.data.times))

    @property
    def seconds(self) -> float | None:
        """Seconds over all stages, or None."""
        return None if self.budget.seconds is None else self.budget.seconds * self.data.times

    @property
    def key(self) -> str:
        """Hash of all of it."""
        values = asdict(self)
        if not self.jacobian:
            del values["jacobian"]  # studies from before it was there go on
        if not self.model.by_data:
            del values["model"]["by_data"]
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def folder(self) -> str:
        """Where the run is, within the study's ``runs``."""
        return f"{self.data.name}/{self.model.name}/{self.init}-{self.seed}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Job:
        """Inverse of :meth:`to_json`."""
        nested = {"model": ModelEntry, "data": DataEntry, "budget": Budget}
        return cls(**{k: nested[k](**v) if k in nested else v for k, v in values.items()})

    def __str__(self) -> str:
        init = "" if self.init == "default" else f", {self.init}"
        return f"{self.model.name} on {self.data.name}{init}, seed {self.seed}"


def jobs_of(spec: StudySpec) -> list[Job]:
    """Every run, seed by seed, so that a study that is stopped early holds whole comparisons."""
    return [
        Job(
            model=model.on(data), data=data, seed=seed, init=init, budget=spec.budget, threads=spec.threads,
            look_every=spec.look_every, samples=spec.samples, device=spec.device,
            jacobian=any(metric.name == "condition" for metric in spec.metrics),
            keep_weights=spec.keep_weights,
        )
        for seed in spec.seeds
        for data in spec.data
        for init in spec.inits
        for model in spec.models
    ]  # fmt: skip


def smallest_of(amount: float | str, control: float, where: str = "smallest") -> float:
    """The smallest difference that matters, in the metric's units.

    >>> smallest_of("10%", -3.0), smallest_of(0.5, 3.0)
    (0.3, 0.5)
    """
    try:
        value = float(amount[:-1]) / 100 * abs(control) if isinstance(amount, str) else float(amount)
        if (isinstance(amount, str) and not amount.endswith("%")) or not 0 <= value < float("inf"):
            raise ValueError
    except (ValueError, TypeError):
        raise ConfigError(
            f'{where}: an amount of at least 0, or text such as "10%", expected, got {amount!r}.'
        ) from None
    return round(value, 12)


def flat(values: Any, prefix: str = "") -> dict[str, str]:
    """Nested settings by dotted name, as text.

    >>> flat({"penalty": {"r1": 0.5}, "loss": "hinge"})
    {'penalty.r1': '0.5', 'loss': 'hinge'}
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"settings: a table of settings by name expected, got {values!r}.")
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return found
