"""What a study is: models, data, seeds, one budget, metrics, claims. Read from TOML, checked before anything runs."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from aegan.api import check_settings, seconds
from aegan.errors import ConfigError, nearest
from aegan.models.registry import entry
from aegan.study import enlarge
from aegan.study.inits import INITS
from aegan.study.metrics import METRICS, Metric
from aegan.study.sources import check_source, kind_of

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
        augment: How the training data are enlarged first; see :mod:`aegan.study.enlarge`.
    """

    name: str
    model: str
    settings: Mapping[str, str] = field(default_factory=dict)
    by_kind: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    augment: Mapping[str, Any] = field(default_factory=dict)

    def settings_for(self, kind: str) -> dict[str, str]:
        """The settings that go for data of this kind."""
        return dict(self.settings) | dict(self.by_kind.get(kind, {}))


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
        look_every: Steps between looks at the gradients; samples are looked at ten times as rarely.
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
        text = json.dumps(asdict(self), sort_keys=True)
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
            model=model, data=data, seed=seed, init=init, budget=spec.budget, threads=spec.threads,
            look_every=spec.look_every, samples=spec.samples, device=spec.device,
            keep_weights=spec.keep_weights,
        )
        for seed in spec.seeds
        for data in spec.data
        for init in spec.inits
        for model in spec.models
    ]  # fmt: skip


def read_spec(path: str | Path) -> tuple[StudySpec, str]:
    """Read and check a TOML file.

    Returns:
        The study, and the file's text.

    Raises:
        ConfigError: Anything in it that cannot work; the message names the place and the nearest known name.
        DataError: Unknown data.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error}). A TOML file expected.") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: no valid TOML: {error}. See docs/studies.md for the form.") from error
    return spec_of(values, where=str(path), folder=path.parent), text


def spec_of(values: Mapping[str, Any], *, where: str = "study", folder: Path = Path()) -> StudySpec:
    """The study that plain values describe; see docs/studies.md.

    Args:
        values: As in the TOML file.
        where: Begins every message.
        folder: Relative paths of data are looked for here, then in the working folder.
    """
    known = {f.name for f in fields(StudySpec)}
    _known(values, known, where)
    for key in ("name", "models", "data", "seeds", "budget"):
        if key not in values:
            raise ConfigError(f"{where}: {key!r} is missing. See docs/studies.md for the form.")
    data = tuple(_data(d, f"{where}: data", folder) for d in _tables(values["data"], f"{where}: data"))
    models = tuple(
        _model(m, f"{where}: models", {d.kind for d in data}) for m in _tables(values["models"], f"{where}: models")
    )
    _unique([m.name for m in models], f"{where}: models")
    _unique([d.name for d in data], f"{where}: data")
    _fitting(models, data, where)
    control = str(values.get("control", models[0].name))
    _one_of(control, [m.name for m in models], f"{where}: control")
    metrics = _metrics(values.get("metrics"), data, where)
    claims = tuple(
        _claim(c, f"{where}: claims", control, models, data, metrics)
        for c in _tables(values.get("claims", []), f"{where}: claims", empty=True)
    )
    _unique([c.name for c in claims], f"{where}: claims")
    inits = tuple(map(str, values.get("inits", ("default",))))
    for init in inits:
        _one_of(init, INITS, f"{where}: inits")
    _unique(list(inits), f"{where}: inits")
    device = str(values.get("device", "cpu"))
    _one_of(device, ("cpu", "cuda", "auto"), f"{where}: device")
    alpha = values.get("alpha", 0.05)
    if not isinstance(alpha, float) or not 0 < alpha < 1:
        raise ConfigError(f"{where}: alpha {alpha!r}: a level between 0 and 1 expected, such as 0.05.")
    return StudySpec(
        name=str(values["name"]), question=str(values.get("question", "")), models=models, data=data,
        seeds=_seeds(values["seeds"], where), budget=_budget(values["budget"], where, models), control=control,
        metrics=metrics, inits=inits, claims=claims, keep_weights=bool(values.get("keep_weights", False)),
        threads=_count(values, "threads", 1, where), look_every=_count(values, "look_every", 10, where),
        samples=_count(values, "samples", 2000, where, least=50), alpha=alpha, device=device,
    )  # fmt: skip


# --- parts ----------------------------------------------------------------------------------------------------


def _model(values: Mapping[str, Any], where: str, kinds: set[str]) -> ModelEntry:
    name = _name(values, where)
    where = f"{where}: {name}"
    _known(values, {f.name for f in fields(ModelEntry)}, where)
    model = str(values.get("model", name))
    by_kind = {str(k): flat(v) for k, v in values.get("by_kind", {}).items()}
    found = ModelEntry(
        name=name, model=model, settings=flat(values.get("settings", {})), by_kind=by_kind,
        augment=dict(values.get("augment", {})),
    )  # fmt: skip
    try:
        for kind in by_kind:
            _one_of(kind, kinds | set(entry(model).kinds), "by_kind")
        for kind in sorted(kinds):
            check_settings(model, found.settings_for(kind))
    except ConfigError as error:
        raise ConfigError(f"{where}: {str(error).replace('--set ', '')}") from error
    enlarge.check(found.augment, where)
    return found


def _data(values: Mapping[str, Any], where: str, folder: Path) -> DataEntry:
    name = _name(values, where)
    where = f"{where}: {name}"
    _known(values, {f.name for f in fields(DataEntry)}, where)
    source = check_source(str(values.get("source", name)), where, folder)
    n, holdout, times = values.get("n"), values.get("holdout", 0.2), values.get("times", 1.0)
    if not isinstance(times, (int, float)) or not 0 < times < 1e6:
        raise ConfigError(f"{where}: times = {times!r}: a factor of the budget above 0 expected, such as 2.")
    if n is not None and (not isinstance(n, int) or n < 8):
        raise ConfigError(f"{where}: n = {n!r}: at least 8 training samples expected.")
    if not isinstance(holdout, (int, float)) or not 0 < holdout < 1:
        raise ConfigError(f"{where}: holdout = {holdout!r}: a part between 0 and 1 expected, such as 0.2.")
    return DataEntry(
        name=name, source=source, kind=kind_of(source, values.get("kind"), where), n=n, holdout=float(holdout),
        labels=bool(values.get("labels", True)), options=dict(values.get("options", {})), times=float(times),
    )  # fmt: skip


def _fitting(models: Iterable[ModelEntry], data: Iterable[DataEntry], where: str) -> None:
    for model in models:
        found = entry(model.model)
        if "samples" not in found.gives and "classes" not in found.gives:
            raise ConfigError(f"{where}: models: {model.name}: {model.model!r} gives no samples that could be judged.")
        for item in data:
            if item.kind not in found.kinds:
                raise ConfigError(
                    f"{where}: {model.name} on {item.name}: {model.model!r} is for {', '.join(found.kinds)} data, "
                    f"{item.name} is of kind {item.kind!r}. Leave one of them out, or make two studies."
                )


def _budget(values: Any, where: str, models: Iterable[ModelEntry]) -> Budget:
    where = f"{where}: budget"
    if not isinstance(values, Mapping) or len({"steps", "seconds"} & set(values)) != 1:
        raise ConfigError(f'{where}: {{ steps = 2000 }} or {{ seconds = "60s" }} expected, got {values!r}.')
    _known(values, {f.name for f in fields(Budget)}, where)
    clock = str(values.get("clock", "processor"))
    _one_of(clock, CLOCKS, f"{where}: clock")
    if "seconds" in values:
        try:
            amount = seconds(values["seconds"])
        except ConfigError as error:
            raise ConfigError(f"{where}: {str(error).replace('--budget', 'seconds =')}") from error
        if amount < 1:
            raise ConfigError(f"{where}: {amount:g} seconds are too few to train anything. At least 1 second expected.")
        return Budget(seconds=amount, clock=clock)
    steps = values["steps"]
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < FEWEST_STEPS:
        raise ConfigError(f"{where}: steps = {steps!r}: a whole number of at least {FEWEST_STEPS} expected.")
    return Budget(steps=steps, clock=clock)


def _seeds(values: Any, where: str) -> tuple[int, ...]:
    if isinstance(values, int) and not isinstance(values, bool):
        if values < 1:
            raise ConfigError(f"{where}: seeds = {values}: a number of at least 1, or a list of seeds, expected.")
        return tuple(range(values))
    if not isinstance(values, list) or not values or not all(isinstance(s, int) and s >= 0 for s in values):
        raise ConfigError(f"{where}: seeds = {values!r}: a number such as 5, or a list such as [0, 1, 2], expected.")
    _unique([str(s) for s in values], f"{where}: seeds")
    return tuple(values)


def _metrics(values: Any, data: Iterable[DataEntry], where: str) -> tuple[Metric, ...]:
    where = f"{where}: metrics"
    kinds = {d.kind for d in data}
    if values is None:
        return tuple(m for m in METRICS.values() if m.usual and (not m.kinds or kinds & set(m.kinds)))
    found = []
    for value in values:
        if isinstance(value, Mapping):
            if "name" not in value or value.get("better") not in ("lower", "higher"):
                raise ConfigError(f'{where}: {{ name = "...", better = "lower" or "higher" }} expected, got {value!r}.')
            known = METRICS.get(str(value["name"]), Metric(name=str(value["name"]), title=str(value["name"])))
            found.append(Metric(name=known.name, title=known.title, better=value["better"], kinds=known.kinds))
        else:
            _one_of(str(value), METRICS, where)
            found.append(METRICS[str(value)])
    _unique([m.name for m in found], where)
    return tuple(found)


def _claim(
    values: Mapping[str, Any],
    where: str,
    control: str,
    models: Iterable[ModelEntry],
    data: Iterable[DataEntry],
    metrics: Iterable[Metric],
) -> Claim:
    name = _name(values, where)
    where = f"{where}: {name}"
    _known(values, {f.name for f in fields(Claim)}, where)
    names, smallest = [m.name for m in models], values.get("smallest")
    for key in ("model", "control"):
        _one_of(str(values.get(key, control if key == "control" else "")), names, f"{where}: {key}")
    if not isinstance(smallest, Mapping) or not smallest:
        raise ConfigError(f'{where}: smallest = {{ METRIC = difference that matters, or "10%" }} expected.')
    for metric, amount in smallest.items():
        _one_of(metric, [m.name for m in metrics], f"{where}: smallest")
        smallest_of(amount, 1.0, f"{where}: smallest.{metric}")
    on = tuple(map(str, values.get("data", ())))
    for item in on:
        _one_of(item, [d.name for d in data], f"{where}: data")
    return Claim(
        name=name, text=str(values.get("text", "")), model=str(values["model"]),
        control=str(values.get("control", control)), smallest=dict(smallest), data=on,
    )  # fmt: skip


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


def _tables(values: Any, where: str, *, empty: bool = False) -> list[Mapping[str, Any]]:
    if not isinstance(values, (list, tuple)) or not all(isinstance(v, Mapping) for v in values):
        raise ConfigError(f"{where}: tables such as [[{where.rsplit(' ', 1)[-1]}]] expected, got {values!r}.")
    if not values and not empty:
        raise ConfigError(f"{where}: at least one expected.")
    return list(values)


def _name(values: Mapping[str, Any], where: str) -> str:
    name = values.get("name")
    if not isinstance(name, str) or not name or any(c in name for c in '/\\:*?"<>|\n') or name.startswith("."):
        raise ConfigError(f"{where}: a name without / and the like expected, got {name!r}. Every entry needs one.")
    return name


def _known(values: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in values:
        if key not in set(known):
            raise ConfigError(f"{where}: unknown setting {key!r}. {nearest(str(key), known)}")


def _one_of(value: str, known: Iterable[str], where: str) -> None:
    if value not in set(known):
        raise ConfigError(f"{where}: unknown name {value!r}. {nearest(value, known)}")


def _unique(names: list[str], where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{where}: {', '.join(map(repr, twice))} given more than once. Give each its own name.")


def _count(values: Mapping[str, Any], key: str, default: int, where: str, least: int = 1) -> int:
    value = values.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{where}: {key} = {value!r}: a whole number of at least {least} expected.")
    return value
