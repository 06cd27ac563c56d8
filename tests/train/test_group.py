"""``torchrun`` on ``fit``: the processes train one model, only the first writes, and a failure is recovered from."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import TINY_SET, bars, waves

import aegan
from aegan.errors import ConfigError, RunError
from aegan.train import group
from aegan.train.backend import resolve_device
from aegan.train.probe import Probe, StepRecord
from aegan.train.trainer import Trainer

SETTINGS = {"latent_dim": "4", "width": "8", "blocks": "1", "batch_size": "8"}
STEPS = 8
OTHERS: dict[str, tuple[str, dict[str, str]]] = {
    "codes": ("latent-gan", TINY_SET),
    "table": ("autoregressive", {"hidden": "8", "layers": "1", "embedding": "4", "batch_size": "8"}),
    "series": ("recurrent", {"state": "16", "hidden": "8", "width": "8", "latent_dim": "8", "batch_size": "8"}),
}
"""Models of several stages, and other kinds of data."""


class Fails(Probe):
    """Ends the first process, as a machine that is switched off, in the group's first life."""

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        if record.step == 5 and not group.restarted():
            os._exit(9)


def trained(out: Path, accumulate: int = 1) -> aegan.api.Estimator:  # pyright: ignore[reportAttributeAccessIssue]
    torch.set_num_threads(1)
    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    return aegan.fit(
        x, out=out, model="autoencoder", steps=STEPS, settings=SETTINGS, evaluate=False, doctor=False,
        checkpoint_every=1e-6, accumulate=accumulate, precision="fp32", device="cpu", probes=[Fails()],
    )  # fmt: skip


def source(kind: str) -> Any:
    """Samples of a kind."""
    random = np.random.default_rng(0)
    if kind == "codes":
        return bars(40)
    if kind == "series":
        return waves(40).numpy()
    return pd.DataFrame({"n": random.normal(size=40).round(2), "c": random.choice(["a", "b", "c"], 40)})


def others(out: Path, accumulate: int = 1) -> dict[str, dict[str, torch.Tensor]]:
    """Weights of the other models, fitted one after the other."""
    found = {}
    for kind, (model, settings) in OTHERS.items():
        given: dict[str, Any] = {} if kind != "series" else {"kind": "series"}
        fitted = aegan.fit(
            source(kind), out=out / kind, model=model, steps=STEPS, settings=settings, evaluate=False, doctor=False,
            accumulate=accumulate, precision="fp32", device="cpu", **given,
        )  # fmt: skip
        found[kind] = fitted.model.state_dict()
    return found


def main_of_others(out: str) -> None:
    """What each process of the second group does: a folder a kind, in one group."""
    torch.set_num_threads(1)
    with group.joined():
        torch.save(others(Path(out)), Path(out).parent / f"others-{os.environ['RANK']}.pt")
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    assert not [name for name in names if "gloo" in name], "the group's threads outlive it"


def main(out: str) -> None:
    """What each process of the group does."""
    model = trained(Path(out))
    rank = int(os.environ["RANK"])
    torch.save(model.model.state_dict(), Path(out).parent / f"weights-{rank}.pt")


def life(script: Path, out: Path, count: int) -> list[int]:
    """Exit codes of two processes as ``torchrun`` starts them; where the first ends, the second is ended as well."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    root = Path(__file__).parents[2]
    given = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    given |= {"TORCHELASTIC_RESTART_COUNT": str(count), "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    running = [
        subprocess.Popen(
            [sys.executable, script, out], cwd=root, env=os.environ | given | {"RANK": str(rank)}, stderr=log
        )
        for rank, log in ((0, subprocess.DEVNULL), (1, subprocess.DEVNULL))
    ]
    first = running[0].wait(timeout=200)
    if first:
        running[1].kill()
    return [first, running[1].wait(timeout=200)]


def test_a_group_fails_goes_on_and_equals_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nfrom tests.train.test_group import main\nmain(sys.argv[1])\n")
    assert life(script, tmp_path / "run", 0)[0] == 9
    assert life(script, tmp_path / "run", 1) == [0, 0]
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert [e["step"] for e in events if e["event"] == "resume"] == [4]
    first, second = (torch.load(tmp_path / f"weights-{rank}.pt", weights_only=True) for rank in (0, 1))
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")  # lets the probe be
    one = trained(tmp_path / "one", accumulate=2).model.state_dict()
    kept = load_file(tmp_path / "run" / "model.safetensors")
    for key, value in one.items():
        assert torch.equal(first[key], second[key]) and torch.equal(first[key], kept[key])
        torch.testing.assert_close(first[key], value, rtol=1e-3, atol=1e-4)


def test_a_group_fits_several_stages_tables_and_series_as_one_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nfrom tests.train.test_group import main_of_others\nmain_of_others(sys.argv[1])\n")
    assert life(script, tmp_path / "runs", 0) == [0, 0]
    first, second = (torch.load(tmp_path / f"others-{rank}.pt", weights_only=True) for rank in (0, 1))
    one = others(tmp_path / "one", accumulate=2)
    for kind in OTHERS:
        kept = load_file(tmp_path / "runs" / kind / "model.safetensors")
        for key, value in one[kind].items():
            assert torch.equal(first[kind][key], second[kind][key]) and torch.equal(first[kind][key], kept[key]), key
            torch.testing.assert_close(first[kind][key], value, rtol=1e-3, atol=1e-4)


def test_what_several_processes_cannot_do_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    x = np.zeros((10, 8, 8), np.uint8)
    with pytest.raises(ConfigError, match="a run folder"):
        aegan.fit(x)
    with pytest.raises(ConfigError, match="no --heal"):
        aegan.fit(x, out=tmp_path / "run", heal=True)
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(ConfigError, match="WORLD_SIZE=many"):
        aegan.fit(x, out=tmp_path / "run")


def test_others_are_told_that_the_first_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(group.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(group.dist, "broadcast", lambda tensor, source: None)
    with pytest.raises(RunError, match="first process"):
        group.first_then_others(lambda: 1, lambda: 2)
    monkeypatch.setattr(group.dist, "broadcast", lambda tensor, source: tensor.fill_(1.0))
    assert group.first_then_others(lambda: 1, lambda: 2) == 2
    monkeypatch.setattr(group.dist, "get_rank", lambda: 0)
    with pytest.raises(ZeroDivisionError):
        group.first_then_others(lambda: 1 // 0, lambda: 2)


def events_of_a_group(monkeypatch: pytest.MonkeyPatch, meets: bool = True) -> list[str]:
    """What ``joined`` does, in order, without another process."""
    seen: list[str] = []

    def barrier() -> None:
        seen.append("barrier")
        if not meets:
            raise RuntimeError("Connection closed by peer")

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(group.dist, "init_process_group", lambda *_, **__: seen.append("begin"))
    monkeypatch.setattr(group.dist, "destroy_process_group", lambda: seen.append("end"))
    monkeypatch.setattr(group.dist, "barrier", barrier)
    monkeypatch.setattr(group.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(group.dist, "get_world_size", lambda: 2)
    return seen


def test_a_group_is_left_when_all_are_done_and_at_once_on_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = events_of_a_group(monkeypatch)
    with group.joined():
        seen.append("work")
    assert seen == ["begin", "work", "barrier", "end"]
    seen.clear()
    with pytest.raises(ZeroDivisionError), group.joined():
        seen.append(str(1 // 0))
    assert seen == ["begin", "end"]


def test_one_that_is_done_tells_that_another_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = events_of_a_group(monkeypatch, meets=False)
    with pytest.raises(RunError, match="Process 1 of 2 is done, but another"), group.joined():
        pass
    assert seen == ["begin", "barrier", "end"]


def test_one_whose_messages_are_not_answered_tells_that_another_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = events_of_a_group(monkeypatch)
    with pytest.raises(RunError, match="Process 1 of 2 was told nothing more .* --resume") as raised, group.joined():
        raise RuntimeError("[/x/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:8102.")
    assert seen == ["begin", "end"] and isinstance(raised.value.__cause__, RuntimeError)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), group.joined():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)")


def test_each_process_has_a_gpu_of_its_own_where_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    seen = events_of_a_group(monkeypatch)
    monkeypatch.setattr(group.dist, "init_process_group", lambda how, **_: seen.append(how))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with group.joined():
        pass
    assert seen[0] == "cpu:gloo,cuda:nccl"
    for here, device in (("2", "cuda"), ("3", "cpu")):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", here)
        assert resolve_device("auto") == device
    assert taken == [1]
    with pytest.raises(ConfigError, match=r"got 2 for 3 processes on this machine.*--nproc-per-node 2"):
        resolve_device("cuda")


def test_a_message_of_gpus_that_fails_tells_that_another_process_did(monkeypatch: pytest.MonkeyPatch) -> None:
    events_of_a_group(monkeypatch)
    with pytest.raises(RunError, match="was told nothing more"), group.joined():
        raise group.dist.DistBackendError("NCCL error: remote process exited or there was a network error")
