"""The parts of ``fit``: a run begun or taken up again, and its training."""

from __future__ import annotations

import hashlib
import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aegan import __version__, presets
from aegan.config import PrivateConfig, TrainConfig, from_json, override, to_json
from aegan.data.base import Adapter, TensorData
from aegan.data.kinds import ADAPTERS, OPTIONS, adapter_class, own_options
from aegan.data.split import split
from aegan.diagnostics.probe import DoctorProbe
from aegan.errors import AeganWarning, ConfigError, DataError, Interrupted, RunError, nearest
from aegan.estimator import Estimator
from aegan.grids import drawer, write_grid
from aegan.healing import Healer, accepts
from aegan.kinds import handler
from aegan.models.base import Model
from aegan.models.registry import MODELS, build, entry
from aegan.run import RunFolder
from aegan.streams import borrowed
from aegan.train.backend import Backend, resolve_device
from aegan.train.precision import choose_precision
from aegan.train.private import PrivateSteps, private_config
from aegan.train.probe import Probe
from aegan.train.probes import EventProbe, GridProbe, ProgressProbe
from aegan.train.selection import MOST
from aegan.train.trainer import Trainer

HOLDOUT_AT_MOST = 10_000
VALIDATION, VALIDATION_AT_MOST, SERIES_AT_MOST = 0.1, 3_000, 400
"""Part of the training samples set apart for stages that keep the weights these like best."""
BOUND = 0.1
"""Norm to which a private sample's gradient is cut; only its ratio to the learning rate's scale matters to Adam."""


def seconds(budget: str | float) -> float:
    """Text such as ``"90s"``, ``"5m"``, ``"1.5h"`` or a number of seconds.

    >>> seconds("5m"), seconds("90"), seconds(1.5)
    (300.0, 90.0, 1.5)
    """
    if isinstance(budget, (int, float)) and not isinstance(budget, bool):
        value = float(budget)
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|)(?:in|ec|r)?\s*", str(budget))
        if match is None:
            raise ConfigError(f"--budget {budget}: a time such as 90s, 5m or 1h expected.")
        value = float(match[1]) * {"s": 1, "": 1, "m": 60, "h": 3600}[match[2]]
    if not (value > 0 and math.isfinite(value)):
        raise ConfigError(f"--budget {budget}: a time above zero expected, such as 90s, 5m or 1h.")
    return value


@dataclass
class Started:
    """A run that can be trained: folder, adapter, tensors and networks."""

    run: RunFolder
    adapter: Adapter
    data: TensorData
    network: Model


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What a private training was asked to promise.

    Attributes:
        epsilon: ε.
        delta: δ; chosen from the number of samples when None.
        public: A source of the same columns that anybody may see; the adapter learns from it alone.
    """

    epsilon: float
    delta: float | None
    public: Any


def begin(
    folder: Path,
    source: Any,
    adapter: Adapter,
    config: TrainConfig,
    kind: str,
    model: str | None,
    settings: Mapping[str, str],
    holdout: float,
    overwrite: bool,
    target: str | None,
    promise: Promise | None = None,
) -> Started:
    """Read the source, build the networks, make the run's folder."""
    name = model or presets.default_model(kind)
    described = entry(name)
    if kind not in described.kinds:
        able = [other for other, about in MODELS.items() if kind in about.kinds and other != name]
        raise ConfigError(
            f"Model {name!r} is for {', '.join(described.kinds)} data; this source is of kind {kind!r}. For that there "
            f"are {', '.join(able)}.{described.why_not(kind)} `aegan models` tells what each does, --kind says what "
            "the source is."
        )
    check_settings(name, settings)
    if not 0 <= holdout < 1:
        raise ConfigError(f"--holdout {holdout}: a part of the data, from 0 to below 1, expected, such as 0.1.")
    config = replace(config, device=resolve_device(config.device))
    if promise is not None:
        config, holdout = _check_promise(promise, kind, name, config), 0.0
        if promise.public is source or (isinstance(source, (str, Path)) and str(source) == str(promise.public)):
            raise ConfigError("--public: the private table itself. Give another one that anybody may see.")
    adapter.fit(source if promise is None else promise.public)
    names = getattr(adapter, "columns", {})
    if names and target not in (None, "auto") and target not in names:
        raise ConfigError(f"--target {target}: no such column. {nearest(str(target), names)}")
    data = adapter.to_tensors(source)
    spec = adapter.spec
    own = presets.settings(name, spec, len(data)) if promise is None else presets.private(name, len(data))
    described_config = from_json(described.load().Config, own)
    model_config = to_json(override(described_config, settings))
    with borrowed():
        torch.manual_seed(config.seed)
        network = build(name, spec, model_config)
    network.check_new()
    reason = "as asked for"
    if config.precision == "auto":
        chosen, reason = choose_precision(network, data, config.device)
        config = replace(config, precision=chosen)
    labels = data.labels
    promised = None if promise is None else _promised(promise, network, len(data), config)
    about: dict[str, Any] = {
        "describe": adapter.summary,
        "n": len(data),
        "skipped": len(getattr(adapter, "bad", ())),
        "holdout": holdout,
        "fingerprint": _fingerprint(data) if promise is None else None,
        "class_counts": [] if labels is None else torch.bincount(labels, minlength=spec.num_classes).tolist(),
    }
    written = {
        "aegan_version": __version__,
        "model": name,
        "model_config": model_config,
        "train": to_json(config),
        "precision_reason": reason,
        "source": about,
        **({} if promised is None else {"private": to_json(promised)}),
    }
    run = RunFolder.create(folder, written, adapter.to_json(), overwrite=overwrite)
    return Started(run, adapter, data, network)


def _check_promise(promise: Promise, kind: str, model: str, config: TrainConfig) -> TrainConfig:
    """The training's settings when it is private; ConfigError where the promise cannot hold."""
    if kind != "table":
        raise ConfigError(f"--private: for tables alone so far; this source is of kind {kind!r}.")
    if entry(model).load().private_loss is Model.private_loss:
        raise ConfigError(f"--private: {model} cannot be trained privately. Leave --model out.")
    if promise.public is None:
        raise ConfigError(
            "--private needs --public TABLE: a table with the same columns that anybody may see, such as an older "
            "release or made-up rows with every category and the ends of every range. What columns are, which values "
            "they take and how amounts are cut is learnt from it; learning that from the private rows would give "
            "some of them away."
        )
    if config.steps is None:
        raise ConfigError("--private: --steps expected instead of a time, for the noise depends on their number.")
    # A choice by measurement would be one more look at the rows.
    return replace(config, precision="fp32") if config.precision == "auto" else config


def _promised(promise: Promise, network: Model, samples: int, config: TrainConfig) -> PrivateConfig:
    """The noise that it takes; ConfigError for a model that learns in other ways besides."""
    if len(network.stages) != 1 or len(network.stages[0].phases) != 1 or network.stages[0].patience:
        raise ConfigError("--private: one stage without patience expected: --set code_share=0 --set patience=0.")
    if network.looks_at_data:
        raise ConfigError(
            "--private: this model takes more from the rows than gradients. Leave --model and prior_rows out."
        )
    return private_config(
        promise.epsilon,
        promise.delta,
        samples=samples,
        batch_size=network.stages[0].batch_size,
        steps=config.steps or 0,
        bound=BOUND,
    )


def go_on(
    folder: Path,
    source: Any,
    *,
    model: str | None,
    budget: str | float | None,
    steps: int | None,
    settings: Mapping[str, str],
    options: Mapping[str, Any],
) -> Started:
    """The run in ``folder``, as it was left; ConfigError where something else is asked for now."""
    run = RunFolder.open(folder)
    train = run.config["train"]
    _check_options(run, options)
    asked = {"model": model, "steps": steps, "budget": None if budget is None else seconds(budget)}
    begun = {"model": run.config["model"], "steps": train["steps"], "budget": train["budget"]}
    config = from_json(entry(run.config["model"]).load().Config, run.config["model_config"])
    if to_json(override(config, settings)) != to_json(config):
        raise ConfigError(
            "--resume with other --set values than the run was begun with: going on exactly needs the same. "
            "Leave --set out, or start a new run."
        )
    if train["steps"] is not None:
        begun["budget"] = None
    if not (folder / "state.pt").exists() and (folder / "model.safetensors").exists():
        raise RunError(
            f"--resume: {folder / 'state.pt'} is missing, so there is nothing to go on from; the model in "
            "model.safetensors is untouched. Restore state.pt from a copy, or start a new run."
        )
    for key, value in asked.items():
        if value is not None and value != begun[key]:
            raise ConfigError(
                f"--resume with {key}={value}: the run was begun with {key}={begun[key]}, and going on exactly needs "
                f"the same. Leave --{key} out, or start a new run."
            )
    adapter = adapter_of(run)
    if options.get("skip_bad") and hasattr(adapter, "skip_bad"):
        setattr(adapter, "skip_bad", True)  # noqa: B010 - images alone have it
    data = adapter.to_tensors(source)
    known = run.config["source"].get("fingerprint")
    if _fingerprint(data) != known if known is not None else len(data) != run.config["source"]["n"]:
        raise DataError(
            f"--resume: the data are not those that {folder} was begun with "
            f"({run.config['source'].get('describe')}). Give the same source, or start a new run."
        )
    return Started(run, adapter, data, network_of(run, adapter))


def _check_options(run: RunFolder, options: Mapping[str, Any]) -> None:
    """Refuse ways of reading the source that are not those the run was begun with; what is left out stays."""
    kind = run.adapter.get("adapter")
    if kind not in ADAPTERS:
        return  # the adapter says so in its turn
    begun = run.adapter.get("options", {})
    for name, value in own_options(kind, options, OPTIONS, "fit").items():
        if name == "skip_bad" or value is None or value == OPTIONS[kind][name]:
            continue
        value = [value, value] if name == "size" and isinstance(value, int) else value
        if json.loads(json.dumps(value, default=str)) != begun.get(name):
            raise ConfigError(
                f"--resume with other source options: {name} is {value!r}, and the run was begun with "
                f"{begun.get(name)!r}. Going on exactly needs the same: leave it out, or start a new run."
            )


def carry_out(
    started: Started,
    resume: bool,
    *,
    quiet: bool,
    every: float,
    doctor: bool,
    heal: bool,
    probes: Sequence[Probe],
) -> Estimator:
    """Train to the end of the budget."""
    run, adapter, network, data = started.run, started.adapter, started.network, started.data
    config = from_json(TrainConfig, run.config["train"], where=str(run.path / "config.json"))
    config = replace(config, device=resolve_device(config.device), checkpoint_every=every)
    about = run.config["source"]
    share = min(about["holdout"], HOLDOUT_AT_MOST / len(data))
    train, held = data, None
    if share > 0:
        train, held = _kept(adapter, data, share, config.seed)
        held = held if len(held) else None
    backend = Backend(config.device, config.precision, config.graphs)
    learnt, validation = set_apart(network, train, config.seed, adapter)
    drawn = handler(adapter.spec.kind).grids
    grids = [GridProbe(config.grids, drawer(network, train, backend), write_grid)] * drawn
    given = run.config.get("private")
    private = None if given is None else PrivateSteps(from_json(PrivateConfig, given), len(learnt))
    settings = run.config["model_config"]
    takes = accepts(run.config["model"], settings, adapter.spec)
    watch = DoctorProbe(holdout=held, settings=settings, accepts=takes)
    healer = Healer(watch, run)
    trainer = Trainer(
        network,
        learnt,
        config,
        backend,
        folder=run.path,
        identity=run.identity,
        probes=[
            EventProbe(),
            ProgressProbe(quiet=quiet),
            *grids,
            *[watch] * ((doctor or heal) and private is None),
            *[healer] * (heal and private is None),
            *probes,
        ],
        validation=validation,
        private=private,
    )
    try:
        trainer.fit(resume=resume)
    except Interrupted:
        if healer.change is None:
            raise
        run, resume = healer.apply()
        again = replace(started, run=run, network=network_of(run, adapter))
        return carry_out(again, resume, quiet=quiet, every=every, doctor=doctor, heal=heal, probes=probes)
    return Estimator(network, adapter, run, device=backend.device, train=train, holdout=held)


def _kept(adapter: Adapter, data: TensorData, share: float, seed: int) -> tuple[TensorData, TensorData]:
    """Training samples and the holdout, which is empty where series are too few for one."""
    try:
        return adapter.cut(data, holdout=share, seed=seed)
    except DataError as error:
        if adapter.spec.kind != "series":
            raise
        warnings.warn(f"No holdout to judge by: {error}", AeganWarning, stacklevel=2)
        return data, data.subset(torch.arange(0))


def set_apart(
    network: Model, train: TensorData, seed: int, adapter: Adapter | None = None
) -> tuple[TensorData, TensorData | None]:
    """What is learnt, and what a model that keeps its best weights looks at; cut as the data's adapter would."""
    if not any(stage.patience for stage in network.stages) or len(train) < 20:
        return train, None
    share = min(VALIDATION, VALIDATION_AT_MOST / len(train))
    try:
        if adapter is not None and train.block and adapter.spec.kind != "series":
            learnt, looked_at = adapter.cut(train, holdout=share, seed=seed + 1)
            return learnt, looked_at.first(MOST)
        if adapter is None:
            learnt, apart = split(len(train), train.labels, holdout=share, seed=seed + 1)
        else:
            learnt, apart = adapter.split(train, holdout=share, seed=seed + 1)
    except DataError:
        return train, None
    if adapter is not None and adapter.spec.kind == "series" and len(apart) > SERIES_AT_MOST:
        # Windows overlap; some of them, spread over all, say as much, and each is as dear as hundreds of rows.
        apart = apart[torch.linspace(0, len(apart) - 1, SERIES_AT_MOST).long()]
    return train.subset(learnt), train.subset(apart)


def train_config(budget: str | float | None, **given: Any) -> TrainConfig:
    """The training's settings as ``fit`` takes them: the budget as text or seconds, the others by name."""
    if budget is not None and given.get("steps") is not None:
        raise ConfigError("--budget and --steps: give one of them, not both.")
    config = TrainConfig(**given)
    return config if budget is None else replace(config, budget=seconds(budget))


def check_settings(name: str, settings: Mapping[str, str]) -> None:
    """Refuse unknown model settings before any data are read; ConfigError with the nearest names."""
    override(entry(name).load().Config(), settings)


def adapter_of(run: RunFolder) -> Adapter:
    """The run's adapter; RunError where its file is damaged or of another version."""
    kind = run.adapter.get("adapter")
    if kind not in ADAPTERS:
        raise RunError(f"{run.path / 'adapter.json'}: unknown adapter {kind!r}. {nearest(str(kind), ADAPTERS)}")
    try:
        return adapter_class(kind).from_json(run.adapter)
    except DataError as error:
        raise RunError(f"{run.path / 'adapter.json'}: {error} Restore the file from a copy.") from error


def network_of(run: RunFolder, adapter: Adapter) -> Model:
    """The run's networks with their first weights."""
    try:
        with borrowed():
            torch.manual_seed(run.config["train"]["seed"])
            return build(run.config["model"], adapter.spec, run.config["model_config"])
    except ConfigError as error:
        raise RunError(f"{run.path / 'config.json'}: {error}") from error


def _fingerprint(data: TensorData) -> str:
    """Hash of the number of samples and of 256 of them, spread over the data."""
    index = torch.linspace(0, len(data) - 1, min(256, len(data))).long()
    digest = hashlib.sha256(str(len(data)).encode())
    for name, value in sorted(data.batch(index).items()):
        digest.update(name.encode() + np.ascontiguousarray(value.numpy()).tobytes())
    return digest.hexdigest()[:16]
