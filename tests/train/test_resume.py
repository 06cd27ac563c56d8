"""A killed and resumed run ends with the same bits; what is on disk is whole at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from tests.conftest import TINY_SET, bars

import aegan
from aegan.errors import ConfigError, DataError, Interrupted
from aegan.train.events import read_events
from aegan.train.probe import Probe

STEPS = 30


class Kill(BaseException):
    """Stands for kill -9: nothing catches it, nothing is saved because of it."""


class KillAt(Probe):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, trainer, record) -> None:
        if record.step == self.step:
            raise Kill


def fit(out: Path, *, resume: bool = False, every: float = 1e9, probes=(), seed: int = 3, **more):
    return aegan.fit(
        bars(),
        out=out,
        steps=STEPS,
        seed=seed,
        precision="fp32",
        settings=TINY_SET,
        resume=resume,
        evaluate=False,
        checkpoint_every=every,
        probes=probes,
        **more,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run"
    fit(path)
    return path


def same_weights(a: Path, b: Path) -> bool:
    first, second = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    return first.keys() == second.keys() and all(bool((first[k] == second[k]).all()) for k in first)


# Stages end after 9, 12 and 30 steps: within and at the ends of stages.
@pytest.mark.parametrize("step", [1, 5, 8, 9, 12, 13, 22, 29])
def test_killed_and_resumed_equals_uninterrupted(whole: Path, tmp_path: Path, step: int) -> None:
    out = tmp_path / "run"
    with pytest.raises(Kill):
        fit(out, every=1e-9, probes=[KillAt(step)])
    fit(out, resume=True)
    assert same_weights(out, whole)
    steps = [e["step"] for e in read_events(out / "events.jsonl") if e["event"] == "checkpoint"]
    assert steps == sorted(steps)


def test_killed_before_the_first_checkpoint_starts_again(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(Kill):
        fit(out, probes=[KillAt(2)])
    assert not (out / "state.pt").exists()
    fit(out, resume=True)
    assert same_weights(out, whole)


def test_a_different_seed_differs(whole: Path, tmp_path: Path) -> None:
    fit(tmp_path / "run", seed=4)
    assert not same_weights(tmp_path / "run", whole)


def test_resume_refuses_other_wishes_and_mends_a_finished_run(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="begun with steps=30"):
        aegan.fit(bars(), out=whole, steps=31, resume=True)
    with pytest.raises(DataError, match="not those"):
        aegan.fit(bars(seed=9), out=whole, resume=True)
    with pytest.raises(ConfigError, match="other --set"):
        aegan.fit(bars(), out=whole, resume=True, settings={"joint.gamma": "9"})
    with pytest.raises(ConfigError, match="budget"):
        aegan.fit(bars(), out=whole, resume=True, budget="5m")
    model = whole / "model.safetensors"
    before = model.read_bytes()
    model.write_bytes(before[:100])
    fit(whole, resume=True)
    (tmp_path / "model.safetensors").write_bytes(before)
    assert same_weights(whole, tmp_path)


class SignalAt(Probe):
    def __init__(self, step: int, number: int) -> None:
        self.step, self.number = step, number

    def on_step(self, trainer, record) -> None:
        if record.step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_save_and_stop(whole: Path, tmp_path: Path, number: int) -> None:
    out = tmp_path / "run"
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="--resume"):
        fit(out, probes=[SignalAt(20, number)])
    assert signal.getsignal(number) is before
    assert read_events(out / "events.jsonl")[-1]["reason"] == "interrupted"
    assert aegan.load(out).sample(2).shape == (2, 8, 8)  # the latent stage is over, so there is something to see
    fit(out, resume=True)
    assert same_weights(out, whole)


def test_kill_9_in_a_process_of_its_own(whole: Path, tmp_path: Path) -> None:
    images, labels = bars()
    source, out = tmp_path / "bars.npz", tmp_path / "run"
    np.savez(source, x=images, y=labels)
    code = "import sys, torch; torch.set_num_threads(1); from aegan.cli.main import main; sys.exit(main(sys.argv[1:]))"
    settings = [f"--set={k}={v}" for k, v in TINY_SET.items()]
    common = [sys.executable, "-c", code, "fit", str(source), "--out", str(out), "--no-evaluate"]
    # Enough steps to be killed on the way; the state on disk is whatever the kill left.
    first = [*common, "--steps", "120", "--seed", "3", "--precision", "fp32", "--checkpoint-every", "0.001", *settings]
    process = subprocess.Popen(first, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (out / "state.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert json.loads((out / "config.json").read_text())["model"] == "latent-gan"
    from aegan.train.checkpoint import load_state

    state = load_state(out / "state.pt")
    assert state is not None and 0 < state["step"] < 120
    subprocess.run([*common, "--resume"], check=True, stderr=subprocess.DEVNULL, timeout=120)
    other = tmp_path / "other"
    again = [a if a != str(out) else str(other) for a in first]
    subprocess.run(again, check=True, stderr=subprocess.DEVNULL, timeout=120)
    assert same_weights(out, other)
