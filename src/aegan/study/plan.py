"""What a study will do, and how long it takes; settings and budgets that cannot work are found before it begins."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from aegan.config import TrainConfig
from aegan.errors import AeganWarning, ConfigError
from aegan.models.base import Model
from aegan.study import enlarge, sources
from aegan.study.job import network_for
from aegan.study.spec import Job, StudySpec, jobs_of
from aegan.train.backend import Backend
from aegan.train.schedule import Budget
from aegan.train.trainer import Trainer
from aegan.types import Stage

TRIED = (2, 4, 12)
"""Steps of short runs: the first warms up, the difference of the others tells a step's time."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One model on one data set.

    Attributes:
        model: Its name.
        data: The data set's.
        n: Training samples.
        weights: Of all networks.
        stages: Name and part of the budget of each.
        runs: Seeds times initialisations.
        seconds: Expected of one run's training; None where it was not measured.
    """

    model: str
    data: str
    n: int
    weights: int
    stages: tuple[tuple[str, float], ...]
    runs: int
    seconds: float | None


def check(spec: StudySpec) -> None:
    """Build every arm once, on every data set; ConfigError or DataError names the first that cannot work."""
    for _ in _arms(spec):
        pass


def plan(spec: StudySpec) -> list[Arm]:
    """Every arm, with the time that a run is expected to take, measured by a few steps."""
    found = []
    for job, data, network in _arms(spec):
        total = sum(s.share for s in network.stages)
        found.append(
            Arm(
                model=job.model.name,
                data=job.data.name,
                n=len(data.train),
                weights=sum(p.numel() for p in network.parameters()),
                stages=tuple((s.name, s.share / total) for s in network.stages),
                runs=len(spec.seeds) * len(spec.inits),
                seconds=job.seconds or _seconds(job, data),
            )  # fmt: skip
        )
    return found


def threads_fit(spec: StudySpec, jobs: int) -> str:
    """A sentence where more threads are asked for than there are cores; empty otherwise."""
    cores = os.cpu_count() or 1
    if jobs * spec.threads <= cores:
        return ""
    return f"{jobs} processes of {spec.threads} threads on {cores} cores: they will wait for one another."


def _arms(spec: StudySpec) -> Iterator[tuple[Job, sources.StudyData, Model]]:
    for job in jobs_of(spec):
        if job.seed != spec.seeds[0] or job.init != spec.inits[0]:
            continue
        data = sources.load(job.data, job.seed)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AeganWarning)
                network, _ = network_for(job.model, data, job.seed, "default")
        except ConfigError as error:
            raise ConfigError(f"{job.model.name} on {job.data.name}: {error}") from error
        _enough(job, network.stages)
        yield job, data, network


def _enough(job: Job, stages: tuple[Stage, ...]) -> None:
    """Refuse a budget that leaves a stage without a step."""
    if job.steps is None:
        return
    steps = job.steps - round(enlarge.share_of(job.model.augment) * job.steps)
    ends = Budget(stages, steps=steps, seconds=1.0)._ends
    empty = [s.name for s, a, b in zip(stages, [0.0, *ends], ends, strict=False) if b <= a]
    if empty:
        least = max(int(sum(s.share for s in stages) / s.share + 1) for s in stages)
        raise ConfigError(
            f"budget: {steps} steps leave none for the stage {empty[0]!r} of {job.model.name} on {job.data.name}. At "
            f"least {least} expected, and thousands for figures that mean anything."
        )


def _seconds(job: Job, data: sources.StudyData) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AeganWarning)
        took = [_took(job, data, steps) for steps in TRIED]
    return max(took[2] - took[1], 0.0) / (TRIED[2] - TRIED[1]) * (job.steps or 0)


def _took(job: Job, data: sources.StudyData, steps: int) -> float:
    network, _ = network_for(job.model, data, job.seed, job.init)
    config = TrainConfig(steps=max(steps, len(network.stages)), precision="fp32", device="cpu", grids=0)
    before = torch.get_num_threads()
    torch.set_num_threads(job.threads)
    began = time.perf_counter()
    Trainer(network, data.train, config, Backend("cpu", "fp32")).fit()
    took = time.perf_counter() - began
    torch.set_num_threads(before)
    return took
