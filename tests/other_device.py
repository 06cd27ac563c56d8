"""What ``test_other_device`` has done in a process of its own, whose torch has the device of ``tests/pretend.py``."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from torch import Tensor, nn

import aegan
import aegan.api
import aegan.fitting
import aegan.series_judging
import aegan.train.backend
import aegan.train.unread
from aegan.config import TrainConfig
from aegan.diagnostics import Doctor
from aegan.models.base import Model, noise_for
from aegan.train.backend import Backend
from aegan.train.replays import Outcome
from aegan.train.trainer import Trainer
from tests.contract.test_models import SPECS, data_for
from tests.contract.test_runs import model_of
from tests.pretend import DEVICE, READS, Pretended, capturing, pretending

warnings.simplefilter("ignore")
IN_PAIRS = {"gan": "labelled-vector", "vector-quantised": "vector", "autoregressive": "table", "timegan": "series"}
"""Models that two processes train, and the data: with buffers that are averaged, and that are not."""


def trained(name: str, kind: str, device: str, steps: int = 4, accumulate: int = 1) -> Model:
    model = model_of(name, kind)
    config = TrainConfig(steps=steps, seed=1, grids=0, accumulate=accumulate)
    Trainer(model, data_for(SPECS[kind]), config, Backend(device, "fp32")).fit()
    return model.eval()


def _used(model: Model, kind: str, device: torch.device) -> dict[str, Tensor]:
    """Codes, decoded codes and samples."""
    spec, made = SPECS[kind], {}
    with torch.no_grad():
        if model.code_dim:
            made["z"] = model.encode(data_for(spec, 8).batch(torch.arange(8))["x"].to(device))
            made["x"] = model.decode(made["z"])
        if model.noise_dim:
            y = (torch.arange(8) % 2).to(device) if spec.classes else None
            made["sample"] = model.generate(noise_for(0, 8, model.noise_dim).to(device), y)
    return {name: value.cpu() for name, value in made.items()}


def apart(name: str, kind: str) -> float:
    """The largest difference between weights trained there and on the CPU; codes and samples are made there, too."""
    weights = trained(name, kind, "cpu").state_dict()
    with pretending():
        model = trained(name, kind, "pretend")
        assert all(v.device == DEVICE for v in model.state_dict().values())
        shapes = {key: value.shape for key, value in _used(model, kind, DEVICE).items()}
        there = {key: value.cpu() for key, value in model.state_dict().items()}
    assert shapes
    return max(float((v.double() - there[k].double()).abs().max()) for k, v in weights.items() if v.numel())


def refused(what: str) -> str:
    """What is said of a tensor, a generator or an array in the wrong place."""
    with pretending():
        x = torch.ones(3, device=DEVICE)
        wrong = {
            "tensor": lambda: x + torch.ones(3),
            "generator": lambda: torch.randn(3, device=DEVICE, generator=torch.Generator()),
            "array": lambda: np.asarray(x),
        }
        try:
            wrong[what]()
        except (RuntimeError, TypeError) as error:
            return str(error)
    return ""


def reads() -> Counter[str]:
    """What is counted of one value read, one tensor sent and one fetched."""
    with pretending():
        READS.clear()
        x = torch.ones(3).to(DEVICE)
        float(x.sum())
        x.cpu()
    return READS


class _Captures:
    """Captures nothing, but refuses what a capture would; work is done call by call, on what it was captured with."""

    def __init__(self) -> None:
        self.captures = 0

    def aside(self, work: Callable[[], Outcome]) -> Outcome:
        return work()

    def __call__(self, work: Callable[[], Outcome]) -> tuple[Outcome, Callable[[], None]]:
        with capturing():
            names, values = work()
        self.captures += 1
        fresh = True

        def replay() -> None:
            nonlocal fresh
            if not fresh:
                with capturing():
                    values.copy_(work()[1])
            fresh = False

        return (names, values), replay


def captured(name: str, kind: str, steps: int) -> tuple[int, int, list[str]]:
    """Captures of a model's training, how often the host waited for the device, and what was refused."""
    refused: list[str] = []
    aegan.train.unread.LONGEST = float("inf")
    with pretending():
        model, backend, captures = model_of(name, kind), Backend("pretend", "fp32"), _Captures()
        backend.capture = captures
        config = TrainConfig(steps=steps, seed=1, grids=0)
        trainer = Trainer(model, data_for(SPECS[kind]), config, backend)
        log = trainer._log
        trainer._log = lambda event, **v: refused.append(v["why"]) if event == "not-replayed" else log(event, **v)
        READS.clear()
        trainer.fit()
    return captures.captures, READS["read"] + READS["size"], refused


def _between(function: Callable[..., Any]) -> Callable[..., Any]:
    """A message between processes, of what lies on the device."""

    def told(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        return function(tensor.inner if isinstance(tensor, Pretended) else tensor, *args, **kwargs)

    return told


def process(rank: int, port: int, folder: str) -> None:
    """One of two processes that train together, each on its own device; run in an interpreter of its own."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    dist.all_reduce, dist.broadcast = _between(dist.all_reduce), _between(dist.broadcast)
    for name, kind in IN_PAIRS.items():
        with pretending():
            weights = trained(name, kind, "pretend", 6).state_dict()
            torch.save({key: value.cpu() for key, value in weights.items()}, Path(folder) / f"{name}-{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def alone() -> dict[str, dict[str, Tensor]]:
    """Weights of the same models, each trained by one process in two shards, on the CPU."""
    return {name: trained(name, kind, "cpu", 6, accumulate=2).state_dict() for name, kind in IN_PAIRS.items()}


def sent(steps: int) -> int:
    """Tensors that a training of so many steps sends to the device."""
    with pretending():
        READS.clear()
        trained("gan", "labelled-vector", "pretend", steps)
    return READS["up"]


def use(what: str, folder: Path) -> None:
    """The package, as users of a GPU have it, with the device in its place."""
    start = Backend.__init__

    def there(self: Backend, device: str, precision: str, graphs: bool = False) -> None:
        start(self, "pretend" if device == "cuda" else device, precision, graphs)

    Backend.__init__ = there
    aegan.fitting.resolve_device = lambda device: "cuda"
    aegan.api.resolve_device = lambda device: "pretend"
    try:
        with pretending():
            _USES[what](folder)
    finally:
        Backend.__init__ = start


_RNG = np.random.default_rng(0)
_FEW: dict[str, Any] = {"steps": 9, "quiet": True}


def _on_device(estimator: aegan.Estimator) -> None:
    assert all(p.device == DEVICE for p in estimator.model.parameters())


def _images(folder: Path) -> None:
    images = _RNG.integers(0, 255, (60, 8, 8, 1), dtype=np.uint8)
    labels = np.array(["a", "b"] * 30)
    small = {"autoencoder.width": 4, "autoencoder.latent_dim": 8, "joint.width": 4, "latent.hidden": 16}
    aegan.fit((images, labels), out=folder / "run", precision="bf16", settings=small, **_FEW)
    run = aegan.load(folder / "run")
    _on_device(run)
    assert run.sample(4, seed=1).shape == (4, 8, 8, 1)
    assert run.decode(run.encode(images)[:2]).shape == (2, 8, 8, 1)
    run.augment((images, labels), num=6, seed=0)
    run.compress(images[:4], folder / "codes.aec")
    run.decompress(folder / "codes.aec")


def _table(folder: Path) -> None:
    frame = pd.DataFrame({"n": _RNG.normal(size=200), "c": _RNG.choice(list("abc"), 200)})
    frame.loc[::17, "n"] = np.nan
    aegan.fit(frame, out=folder / "run", **_FEW)
    run = aegan.load(folder / "run")
    _on_device(run)
    assert len(run.sample(5, where={"c": "a"})) == 5
    assert not run.complete(frame.head(20)).isna().any().any()
    run.augment(frame, num=10)
    run.evaluate(frame)
    private = aegan.fit(frame, model="autoregressive", private=5.0, public=frame.head(40), **_FEW)
    assert len(private.sample(3)) == 3


def _series(folder: Path) -> None:
    aegan.series_judging.QUICK |= dict.fromkeys(aegan.series_judging.QUICK, 9)
    series = _RNG.normal(size=(60, 8, 2)).cumsum(1)
    run = aegan.fit(series, kind="series", precision="bf16", **_FEW)
    _on_device(run)
    run.forecast(series[:2, :5], steps=3, num=4)
    gaps = series[:4].copy()
    gaps[:, 3:5] = np.nan
    assert np.isfinite(run.complete(gaps)).all()
    run.augment(series, num=6)


def _text(folder: Path) -> None:
    texts = [f"the {a} {b} sat" for a in ("cat", "dog", "bird") for b in ("red", "blue", "old", "new")] * 4
    run = aegan.fit(texts, kind="text", **_FEW)
    _on_device(run)
    assert len(run.sample(4, seed=1)) == 4
    run.encode(texts[:5])


def _doctor(folder: Path) -> None:
    generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8)).to(DEVICE)
    discriminator = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(), nn.Linear(16, 1)).to(DEVICE)
    steps = [torch.optim.Adam(m.parameters(), 1e-3) for m in (generator, discriminator)]
    with Doctor(generator=generator, discriminator=discriminator, every=2).watch(*steps) as doctor:
        for _ in range(8):
            x, fake = torch.randn(32, 8, device=DEVICE), generator(torch.randn(32, 4, device=DEVICE))
            steps[1].zero_grad()
            judged = (torch.relu(1 - discriminator(x)) + torch.relu(1 + discriminator(fake.detach()))).mean()
            judged.backward()
            steps[1].step()
            steps[0].zero_grad()
            made = -discriminator(fake).mean()
            made.backward()
            steps[0].step()
            doctor.observe(real=x, fake=fake.detach(), losses={"d": judged, "g": made})
    assert doctor.history.looks and not doctor.errors


_USES = {"images": _images, "table": _table, "series": _series, "text": _text, "doctor": _doctor}
