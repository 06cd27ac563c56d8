"""Every model, and the package around it, on a device that is not the CPU, without one at hand.

All of it runs in one process of its own, since the device cannot be taken out of a process again.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.contract.test_runs import RUNS
from tests.train.test_replays import NEVER_STEADY
from tests.train.test_shards import in_two_processes

ONE_OF_EACH = {name: kind for name, kind in RUNS if kind != "table" or name == "autoregressive"} | {
    "latent-gan": "labelled",
    "vq-gan": "grey",
}
"""Every form of every model on one sort of data."""
CLOSE = 1e-3
"""Products of matrices in another layout round otherwise, and a few steps of Adam make more of it."""


def _done(function: str, *args: Any) -> Any:
    return getattr(importlib.import_module("tests.other_device"), function)(*args)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_every_model_trains_there_as_on_the_cpu(name: str, elsewhere: ProcessPoolExecutor) -> None:
    assert elsewhere.submit(_done, "apart", name, ONE_OF_EACH[name]).result() < CLOSE


@pytest.mark.parametrize("what", ["images", "table", "series", "text", "doctor"])
def test_the_package_works_there(what: str, elsewhere: ProcessPoolExecutor, tmp_path: Path) -> None:
    elsewhere.submit(_done, "use", what, tmp_path).result()


@pytest.mark.parametrize(("what", "words"), [("tensor", "one device"), ("generator", "generator"), ("array", "numpy")])
def test_the_device_refuses_what_a_gpu_refuses(what: str, words: str, elsewhere: ProcessPoolExecutor) -> None:
    assert words in elsewhere.submit(_done, "refused", what).result()


def test_the_device_counts_what_the_host_waits_for(elsewhere: ProcessPoolExecutor) -> None:
    assert elsewhere.submit(_done, "reads").result() == {"up": 1, "read": 1, "down": 1}


def test_the_device_is_not_in_the_process_of_the_other_tests() -> None:
    assert not hasattr(torch, "pretend")


def test_samples_are_sent_once_and_their_numbers_in_every_step(elsewhere: ProcessPoolExecutor) -> None:
    few, more = (elsewhere.submit(_done, "sent", steps).result() for steps in (2, 12))
    assert more - few == 10 * 2  # for each of two phases


@pytest.mark.parametrize("name", [name for name in ONE_OF_EACH if name not in NEVER_STEADY])
def test_what_is_called_steady_waits_for_nothing_and_sends_nothing(name: str, elsewhere: ProcessPoolExecutor) -> None:
    captures, _, refused = elsewhere.submit(_done, "captured", name, ONE_OF_EACH[name], 24).result()
    assert captures and not refused


@pytest.mark.parametrize("name", ["gan", "autoencoder"])
def test_nothing_is_read_in_a_step(name: str, elsewhere: ProcessPoolExecutor) -> None:
    few, more = (elsewhere.submit(_done, "captured", name, ONE_OF_EACH[name], n).result()[1] for n in (6, 36))
    assert more == few


def test_two_processes_train_there_as_one_with_two_shards_does(elsewhere: ProcessPoolExecutor, tmp_path: Path) -> None:
    code = "import sys; from tests.other_device import process; process(*map(int, sys.argv[1:3]), sys.argv[3])"
    in_two_processes(code, str(tmp_path))
    for name, one in elsewhere.submit(_done, "alone").result().items():
        first, second = (torch.load(tmp_path / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1))
        for key, value in one.items():
            assert torch.equal(first[key], second[key]), f"{name}, {key}: the processes differ"
            torch.testing.assert_close(first[key], value, rtol=1e-3, atol=1e-3)
