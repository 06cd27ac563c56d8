"""One run of a study: train under the budget, judge, and leave ``result.json`` as the last thing that is written."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import shutil
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from aegan import __version__, presets
from aegan.config import TrainConfig, from_json, override, to_json
from aegan.diagnostics.probe import DoctorProbe
from aegan.diagnostics.run import diagnose_run
from aegan.errors import AeganWarning, ConfigError, Interrupted, NonFiniteError, RunError, StorageError
from aegan.estimator import Estimator
from aegan.fitting import set_apart
from aegan.metrics import Features
from aegan.models.base import Model
from aegan.models.registry import build, entry
from aegan.run import RunFolder
from aegan.storage import write_json
from aegan.streams import borrowed
from aegan.study import added, enlarge, health, sources
from aegan.study.inits import initialise
from aegan.study.judge import by_estimator, judge, space_of
from aegan.study.sources import StudyData
from aegan.study.spec import DataEntry, Job, ModelEntry
from aegan.train.backend import Backend, resolve_device
from aegan.train.probes import EventProbe
from aegan.train.trainer import Trainer

RESULT = "result.json"
RARELY = 8
"""Looks at gradients for one at samples and at the discriminator."""


def run_job(job: Job, root: Path) -> dict[str, Any]:
    """Train and judge one run in ``root/runs``; a half-written folder of an earlier try is cleared first.

    Returns:
        What ``result.json`` holds: ``status`` is ``finished``, ``diverged`` (a value was not finite) or ``failed``.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; nothing counts as done.
        StorageError: The disk is full; the same.
    """
    folder = root / "runs" / job.folder
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    result: dict[str, Any] = {
        "key": job.key, "model": job.model.name, "data": job.data.name, "init": job.init, "seed": job.seed,
        "status": "failed", "message": "", "metrics": {},
    }  # fmt: skip
    began = time.time()
    try:
        with _threads(job.threads), warnings.catch_warnings():
            warnings.simplefilter("ignore", AeganWarning)
            result |= _trained(job, root, folder)
    except (Interrupted, StorageError):
        raise
    except NonFiniteError as error:
        result |= {"status": "diverged", "message": str(error)}
    except Exception as error:  # one run that fails must not take the study with it; it counts as failed
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if isinstance(error, (ConfigError, RunError)) else f" ({Path(last.filename).name}:{last.lineno})"
        result |= {"message": f"{type(error).__name__}: {error}{where}"}
    with contextlib.suppress(RunError):
        result["verdicts"] = [v.name for v in diagnose_run(folder).verdicts if v.name != "healthy"]
    result["wall"] = round(time.time() - began, 2)
    if not job.keep_weights:
        for name in ("state.pt", "model.safetensors"):
            (folder / name).unlink(missing_ok=True)
    write_json(folder / RESULT, result)
    return result


def network_for(model: ModelEntry, data: StudyData, seed: int, init: str) -> tuple[Model, dict[str, Any]]:
    """The untrained networks of an arm for its data, and the settings they were made with.

    Raises:
        ConfigError: Settings that do not fit the data.
    """
    spec = data.spec
    usual = presets.settings(model.model, spec, len(data.train))
    described = from_json(entry(model.model).load().Config, usual)
    settings = to_json(override(described, model.settings_for(spec.kind)))
    with borrowed():
        torch.manual_seed(seed)
        network = build(model.model, spec, settings)
        network.check_new()
        initialise(network, init)
    return network, settings


@functools.lru_cache(maxsize=4)
def _space(name: str, path: Path) -> Features | None:
    data = _DATA.get(name)
    return None if data is None else space_of(data, path)


_DATA: dict[str, StudyData] = {}
"""The data of the last run by name, so that a feature space is made or read once in a process."""


def features_of(item: DataEntry, data: StudyData, root: Path) -> Features | None:
    """The data's feature space, kept in the study's folder: alike for all numbers of samples from one source."""
    _DATA[item.name] = data
    try:
        return _space(item.name, root / "features" / f"{item.name}.safetensors")
    finally:
        _DATA.clear()


def _trained(job: Job, root: Path, folder: Path) -> dict[str, Any]:
    data = sources.load(job.data, job.seed)
    clock = time.process_time if job.budget.clock == "processor" else time.monotonic
    began, real = time.process_time(), data.train
    more = enlarge.enlarged(
        real, job.model.augment, data.spec, seed=job.seed, steps=job.steps, seconds=job.seconds, clock=clock,
        init=job.init, held=data.test,
    )  # fmt: skip
    data = replace(data, train=more.data)
    network, settings = network_for(job.model, data, job.seed, job.init)
    device = resolve_device(job.device)
    config = TrainConfig(
        steps=None if job.steps is None else max(1, job.steps - more.steps),
        budget=max(1e-3, (job.seconds or 1.0) - more.seconds), seed=job.seed, device=device, precision="fp32", grids=0,
        checkpoint_every=3600.0,
    )  # fmt: skip
    about = {"describe": job.data.name, "n": len(data.train), "study": str(job)}
    written = {
        "aegan_version": __version__, "model": job.model.model, "model_config": settings, "train": to_json(config),
        "source": about,
    }  # fmt: skip
    if data.adapter is not None:
        run = RunFolder.create(folder, written, data.adapter.to_json(), overwrite=True)
        identity = run.identity
    else:
        write_json(folder / "config.json", {"format_version": 1, **written})
        run, identity = None, {"model": job.model.model, "settings": settings, "adapter": {}}
    learnt, validation = set_apart(network, data.train, job.seed, data.adapter)
    every = {"gradients": job.look_every, "judge": RARELY * job.look_every, "samples": RARELY * job.look_every}
    if job.jacobian:
        every["jacobian"] = RARELY * job.look_every
    trainer = Trainer(
        network, learnt, config, Backend(device, "fp32"), folder=folder, identity=identity, validation=validation,
        probes=[EventProbe(), DoctorProbe(holdout=data.test, every=every, settings=settings)],
        clock=clock,
    )  # fmt: skip
    start = health.untrained(network, real, job.seed)
    trainer.fit()
    found: dict[str, Any] = {
        "seconds": round(time.process_time() - began, 2), "steps": more.steps + trainer.step, "seen": trainer.samples,
        "n": len(real), "n_enlarged": len(more.data), "weights": sum(p.numel() for p in network.parameters()),
    }  # fmt: skip
    if augment := more.about | added.of_network(network, data.spec, data.test):
        found["augment"] = augment
    metrics = {"seconds": found["seconds"]}
    against = health.generators(network.stages)
    path, before = folder / "events.jsonl", more.steps
    metrics |= health.figures(path, against, trainer.step, start=start, before=before)
    found |= health.curves(path, against, trainer.step, before=before)
    metrics |= _judged(job, root, replace(data, train=real), network, run)
    bad = sorted(name for name, value in metrics.items() if not math.isfinite(value))
    if bad:
        found |= {"status": "diverged", "message": f"not finite: {', '.join(bad)}"}
    else:
        found["status"] = "finished"
    return found | {"metrics": {k: v for k, v in metrics.items() if math.isfinite(v)}}


def _judged(job: Job, root: Path, data: StudyData, network: Model, run: RunFolder | None) -> dict[str, float]:
    if data.spec.kind in ("image", "vector"):
        network.eval().requires_grad_(False)
        space = features_of(job.data, data, root)
        return judge(network, data, space, count=job.samples, seed=job.seed + 1)
    if run is None or data.adapter is None:
        raise ConfigError(f"{data.spec.kind} data cannot be judged without an adapter.")
    estimator = Estimator(network, data.adapter, run, train=data.train, holdout=data.test)
    return by_estimator(estimator, job.samples, job.seed + 1)


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def read_result(folder: Path, job: Job) -> dict[str, Any] | None:
    """The result of a run that came to its end; None where there is none, or a torn or another run's one."""
    try:
        value = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and value.get("key") == job.key and "status" in value else None


def started(folder: Path) -> bool:
    """Whether something of a run is in a folder."""
    return folder.is_dir() and any(folder.iterdir())
