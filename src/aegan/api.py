"""fit, load and evaluate: the doors of the library."""

from __future__ import annotations

import hashlib
import math
import re
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aegan import __version__, presets
from aegan.config import TrainConfig, from_json, override, to_json
from aegan.data.base import Adapter, TensorData
from aegan.data.kinds import ADAPTERS, adapter_class, detect_kind, new_adapter, own_options
from aegan.data.split import split
from aegan.diagnostics.probe import DoctorProbe
from aegan.errors import AeganWarning, ConfigError, DataError, Interrupted, RunError, nearest
from aegan.estimator import Estimator
from aegan.grids import drawer, write_grid
from aegan.healing import Healer
from aegan.kinds import EVALUATE_OPTIONS, handler
from aegan.models.base import Model
from aegan.models.registry import build, entry
from aegan.run import RunFolder, check_free
from aegan.train.fabric import Backend, resolve_device
from aegan.train.precision import choose_precision
from aegan.train.probe import Probe
from aegan.train.probes import EventProbe, GridProbe, ProgressProbe
from aegan.train.trainer import Trainer

HOLDOUT_AT_MOST = 10_000
VALIDATION, VALIDATION_AT_MOST = 0.1, 3_000
"""Part of the training samples set apart for stages that keep the weights these like best."""


def fit(
    source: Any,
    *,
    out: str | Path | None = None,
    kind: str | None = None,
    model: str | None = None,
    budget: str | float | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    settings: Mapping[str, str] | None = None,
    target: str | None = "auto",
    holdout: float = 0.1,
    evaluate: bool = True,
    quiet: bool = True,
    checkpoint_every: float = 60.0,
    doctor: bool = True,
    heal: bool = False,
    probes: Sequence[Probe] = (),
    **options: Any,
) -> Estimator:
    """Train a generator on ``source``.

    Args:
        source: A folder, file, array, tensor or list of images (see :func:`aegan.data.open_source`), or a table: a
            frame, CSV, Parquet, Excel or database (see :func:`aegan.data.table_source.open_table`).
        out: Run folder to make; None keeps the run in a temporary folder until :meth:`Estimator.save`.
        kind: Kind of data; found from the source when None.
        model: A name from ``aegan models``; the kind's default when None.
        budget: Training time over all stages: seconds, or text such as ``"90s"``, ``"5m"``, ``"1h"``.
            Evaluation and report come on top. 5 minutes when neither it nor ``steps`` is given.
        steps: Train for this many steps instead.
        seed: Seed of split, weights, order and noise.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto`` (the faster one, if it holds), ``fp32`` or ``bf16``.
        resume: Go on with the interrupted run in ``out``. Seed, precision, size and all other settings are those
            in the folder; another model, budget, number of steps or setting is an error.
        overwrite: Replace a run that is in ``out``.
        settings: The model's settings by name, values as text, as in ``{"joint.gamma": "0.5"}``.
        target: Tables: column that the evaluation predicts from the others; None leaves that out.
        holdout: Part of the data kept from training, to judge by (10,000 samples at most).
        evaluate: Judge the result and write ``metrics.json``, pictures and ``report.html``.
        quiet: No progress line.
        checkpoint_every: Seconds between checkpoints.
        doctor: Watch the training's health, in at most a twentieth of its time; ``diagnosis.json`` is what comes of it.
        heal: Act on a sure verdict: change a setting and go on from where all was well; see :mod:`aegan.healing`.
        probes: Further observers of the training.
        **options: How the source is read, by kind of data; each is an argument of the kind's adapter.
            Images (:class:`~aegan.data.image.ImageAdapter`): ``size``, side or (height, width), ``resize``,
            ``channels``, ``skip_bad``. Tables (:class:`~aegan.data.table.TableAdapter`): ``columns``, what columns are
            where that shall not be found out, as in ``{"zip": "categorical"}``, and ``rules``, ``"auto"``, ``"none"``
            or a list such as ``["start <= end"]``. Text (:class:`~aegan.data.text.TextAdapter`): ``column`` and
            ``label`` of a table, ``each`` (``"line"`` or ``"paragraph"`` is a sample), ``unit``, ``length``.

    Returns:
        The fitted model.

    Raises:
        AeganError: Any of its kinds; each message says how to mend it.
    """
    temporary = out is None
    folder = Path(tempfile.mkdtemp(prefix="aegan-")) / "run" if out is None else Path(out)
    try:
        if resume:
            started = _resume(
                folder,
                source,
                model=model,
                budget=budget,
                steps=steps,
                settings=settings or {},
                skip_bad=bool(options.get("skip_bad")),
            )
        else:
            check_free(folder, overwrite=overwrite)
            kind = kind or ("text" if options.get("column") is not None else detect_kind(source))
            model = model or presets.default_model(kind)
            adapter = new_adapter(kind, options)
            config = _train_config(budget, steps, seed, device, precision)
            started = _start(folder, source, adapter, config, kind, model, settings or {}, holdout, overwrite, target)
        estimator = _train(
            started, resume, quiet=quiet, every=checkpoint_every, doctor=doctor, heal=heal, probes=probes
        )
    except BaseException:
        if temporary:
            _remove(folder)
        raise
    if temporary:
        estimator._temporary = weakref.finalize(estimator, _remove, folder)
    if evaluate:
        from aegan.evaluation import write_results

        try:
            write_results(estimator, console=not quiet, target=target)
        except (DataError, ConfigError) as error:
            # What took long to train is not lost because it cannot be judged.
            warnings.warn(f"The model is trained, but could not be judged: {error}", AeganWarning, stacklevel=2)
    return estimator


def load(path: str | Path, *, device: str = "auto") -> Estimator:
    """Read a run folder.

    Args:
        path: A folder made by ``fit`` or ``save``.
        device: ``auto``, ``cpu`` or ``cuda``; a run trained on a GPU loads on a CPU and the other way round.

    Raises:
        RunError: Missing, incomplete, damaged, tampered with, or from a newer version.
    """
    from aegan.train.checkpoint import load_model

    run = RunFolder.open(Path(path))
    adapter = _adapter(run)
    network = _network(run, adapter)
    tensors, status = load_model(run.weights, run.identity)
    if not status.get("finished"):
        names = [stage.name for stage in network.stages]
        if status.get("stage_index", 0) < names.index(network.samples_from or names[0]):
            raise RunError(
                f"{path}: the run is incomplete: it stopped in stage {status.get('stage')!r}, before there was "
                "anything to sample. Go on with `aegan fit SOURCE --out RUN --resume`."
            )
    network.load_state_dict(tensors)
    return Estimator(network, adapter, run, device=resolve_device(device))


def evaluate(
    real: Any,
    synthetic: Any,
    *,
    holdout: Any = None,
    seed: int = 0,
    kind: str | None = None,
    **options: Any,
) -> Any:
    """Judge any synthetic data against real ones.

    Args:
        real: Real data, the reference.
        synthetic: Synthetic data of the same kind, from whatever generator.
        holdout: Further real data, for the real-vs-real floor; a tenth of ``real`` is set apart without.
        seed: Seed of subsets and networks.
        kind: Kind of data; found from ``real`` when None.
        **options: Of the kind. Images: ``features``, ``size``, ``skip_bad``, see
            :func:`aegan.evaluation.evaluate_sources`. Tables: ``target``, see
            :func:`aegan.tables.evaluate_table_sources`.

    Returns:
        The kind's evaluation: ``print`` shows it, ``to_json`` gives its figures.

    Raises:
        AeganError: Data that cannot be read or judged, or an option of another kind.
    """
    judge = handler(kind or ("text" if options.get("column") is not None else detect_kind(real)))
    own = own_options(judge.name, options, EVALUATE_OPTIONS, "evaluate")
    return judge.evaluate_sources(real, synthetic, holdout=holdout, seed=seed, **own)


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


# --- the parts of fit ---------------------------------------------------------------------------------------


@dataclass
class _Started:
    """A run that can be trained: folder, adapter, tensors and networks."""

    run: RunFolder
    adapter: Adapter
    data: TensorData
    network: Model


def _start(
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
) -> _Started:
    name = model or presets.default_model(kind)
    described = entry(name)
    if kind not in described.kinds:
        raise ConfigError(
            f"Model {name!r} is for {', '.join(described.kinds)} data; this source is of kind {kind!r}. "
            "`aegan models` lists which model is for which kind, --kind says what the source is."
        )
    check_settings(name, settings)
    if not 0 <= holdout < 1:
        raise ConfigError(f"--holdout {holdout}: a part of the data, from 0 to below 1, expected, such as 0.1.")
    config = replace(config, device=resolve_device(config.device))
    adapter.fit(source)
    names = getattr(adapter, "columns", {})
    if names and target not in (None, "auto") and target not in names:
        raise ConfigError(f"--target {target}: no such column. {nearest(str(target), names)}")
    data = adapter.to_tensors(source)
    spec = adapter.spec
    described_config = from_json(described.load().Config, presets.settings(name, spec, len(data)))
    model_config = to_json(override(described_config, settings))
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        network = build(name, spec, model_config)
    reason = "as asked for"
    if config.precision == "auto":
        chosen, reason = choose_precision(network, data, config.device)
        config = replace(config, precision=chosen)
    labels = data.labels
    about: dict[str, Any] = {
        "describe": adapter.summary,
        "n": len(data),
        "skipped": len(getattr(adapter, "bad", ())),
        "holdout": holdout,
        "fingerprint": _fingerprint(data),
        "class_counts": [] if labels is None else torch.bincount(labels, minlength=spec.num_classes).tolist(),
    }
    written = {
        "aegan_version": __version__,
        "model": name,
        "model_config": model_config,
        "train": to_json(config),
        "precision_reason": reason,
        "source": about,
    }
    run = RunFolder.create(folder, written, adapter.to_json(), overwrite=overwrite)
    return _Started(run, adapter, data, network)


def _resume(
    folder: Path,
    source: Any,
    *,
    model: str | None,
    budget: str | float | None,
    steps: int | None,
    settings: Mapping[str, str],
    skip_bad: bool,
) -> _Started:
    run = RunFolder.open(folder)
    train = run.config["train"]
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
    adapter = _adapter(run)
    if skip_bad and hasattr(adapter, "skip_bad"):
        setattr(adapter, "skip_bad", True)  # noqa: B010 - images alone have it
    data = adapter.to_tensors(source)
    if _fingerprint(data) != run.config["source"].get("fingerprint"):
        raise DataError(
            f"--resume: the data are not those that {folder} was begun with "
            f"({run.config['source'].get('describe')}). Give the same source, or start a new run."
        )
    return _Started(run, adapter, data, _network(run, adapter))


def _train(
    started: _Started,
    resume: bool,
    *,
    quiet: bool,
    every: float,
    doctor: bool,
    heal: bool,
    probes: Sequence[Probe],
) -> Estimator:
    run, adapter, network, data = started.run, started.adapter, started.network, started.data
    config = from_json(TrainConfig, run.config["train"], where=str(run.path / "config.json"))
    config = replace(config, device=resolve_device(config.device), checkpoint_every=every)
    about = run.config["source"]
    share = min(about["holdout"], HOLDOUT_AT_MOST / len(data))
    train, held = data, None
    if share > 0:
        train, held = (data.subset(i) for i in split(len(data), data.labels, holdout=share, seed=config.seed))
    backend = Backend(config.device, config.precision)
    learnt, validation = _set_apart(network, train, config.seed)
    drawn = handler(adapter.spec.kind).grids
    grids = [GridProbe(config.grids, drawer(network, train, backend), write_grid)] * drawn
    watch = DoctorProbe(holdout=held, settings=run.config["model_config"])
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
            *[watch] * (doctor or heal),
            *[healer] * heal,
            *probes,
        ],
        validation=validation,
    )
    try:
        trainer.fit(resume=resume)
    except Interrupted:
        if healer.change is None:
            raise
        run, resume = healer.apply()
        again = replace(started, run=run, network=_network(run, adapter))
        return _train(again, resume, quiet=quiet, every=every, doctor=doctor, heal=heal, probes=probes)
    return Estimator(network, adapter, run, device=backend.device, train=train, holdout=held)


def _set_apart(network: Model, train: TensorData, seed: int) -> tuple[TensorData, TensorData | None]:
    """What is learnt, and what a model that keeps its best weights looks at."""
    if not any(stage.patience for stage in network.stages) or len(train) < 20:
        return train, None
    share = min(VALIDATION, VALIDATION_AT_MOST / len(train))
    learnt, apart = split(len(train), train.labels, holdout=share, seed=seed + 1)
    return train.subset(learnt), train.subset(apart)


def _train_config(budget: str | float | None, steps: int | None, seed: int, device: str, precision: str) -> TrainConfig:
    if budget is not None and steps is not None:
        raise ConfigError("--budget and --steps: give one of them, not both.")
    config = TrainConfig(steps=steps, seed=seed, device=device, precision=precision)
    return config if budget is None else replace(config, budget=seconds(budget))


def check_settings(name: str, settings: Mapping[str, str]) -> None:
    """Refuse unknown model settings before any data are read; ConfigError with the nearest names."""
    override(entry(name).load().Config(), settings)


def _adapter(run: RunFolder) -> Adapter:
    kind = run.adapter.get("adapter")
    if kind not in ADAPTERS:
        raise RunError(f"{run.path / 'adapter.json'}: unknown adapter {kind!r}. {nearest(str(kind), ADAPTERS)}")
    try:
        return adapter_class(kind).from_json(run.adapter)
    except DataError as error:
        raise RunError(f"{run.path / 'adapter.json'}: {error} Restore the file from a copy.") from error


def _network(run: RunFolder, adapter: Adapter) -> Model:
    """The run's networks with their first weights."""
    try:
        with torch.random.fork_rng():
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


def _remove(folder: Path) -> None:
    shutil.rmtree(folder.parent, ignore_errors=True)
