"""Two processes do what one process does with two shards, and shards what the whole batch does, for every model."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from tests.contract.test_models import ALL, SPECS, data_for, made, spec_for
from tests.train.averaging import BATCH, furthest, gradients

from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.models.base import Model
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec, Term

STEPS = 6
_CODES, _HALF = "mean and variance of the batch's codes", "the first half of a batch is treated otherwise"
_BOOK, _SCALE = "the codebook begins with codes of the batch", "one output scale, learnt from the batch"
OF_A_BATCH: dict[str, dict[str, str]] = {
    "autoencoder": {"autoencode": _CODES},
    "contractive": {"autoencode": "Jacobian in units of the batch's codes"},
    "wasserstein": {"autoencode": "discrepancy over pairs of codes"},
    "variational": {"autoencode": _SCALE},
    "vector-quantised": {"autoencode": _BOOK},
    "vae-gan": {"autoencode": _HALF, "discriminator": _HALF},
    "warm-start-gan": {"autoencode": _CODES},
    "latent-gan": {"autoencode": _CODES, "generator": _HALF},
    "latent-gan, correcting": {"autoencode": _SCALE, "generator": _HALF},
    "ebgan": {"generator": "codes of pairs are pulled apart"},
    "denoising-gan": {"autoencode": _CODES},
    "vq-gan": {"early-autoencode": _BOOK, "autoencode": _BOOK},
    "vq-gan, variational": {"early-autoencode": _SCALE, "autoencode": "a weight that is a ratio of gradients"},
    "contractive-gan": {"autoencode": "Jacobian in units of the batch's codes"},
    "gan, latent augmentation": {"autoencode": _CODES},
    "timegan": dict.fromkeys(("autoencode", "embed"), "root of the batch's error")
    | {"generator": "deviations over the batch"},
    "recurrent": {"steps": "units are dropped for all series at once", "gaps": "a mean over the batch's gaps"},
}
"""Phases whose loss is no mean over samples, or draws no random numbers a sample, and why: a shard's is another."""


def _trained(name: str, *, accumulate: int, folder: Path | None = None) -> Model:
    spec = spec_for(name)
    model = made(name, spec)
    config = TrainConfig(steps=STEPS, seed=3, grids=0, accumulate=accumulate)
    Trainer(model, data_for(spec), config, Backend("cpu", "fp32"), folder=folder).fit()
    return model


def _averaged(name: str, accumulate: int = 1, alone: tuple[int, int] | None = None) -> dict[str, list[torch.Tensor]]:
    spec = spec_for(name)
    return gradients(made(name, spec), data_for(spec, 64), accumulate, alone)


def process(rank: int, port: int, folder: str) -> None:
    """One of two processes; run in an interpreter of its own."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    for name in ALL:
        model = _trained(name, accumulate=1)
        torch.save(model.state_dict(), Path(folder) / f"{name}-{rank}.pt")
        averaged = {n: _averaged(name, n) for n in ((1, 2) if name in ("gan", "autoregressive") else (1,))}
        torch.save(averaged, Path(folder) / f"{name}-{rank}-gradients.pt")
    own = Path(folder) / f"run-{rank}"
    own.mkdir()
    _trained("gan", accumulate=1, folder=own)
    dist.barrier()  # rank 0 holds the store that both meet at; it must not end before the other is done with it
    dist.destroy_process_group()


def in_two_processes(code: str, folder: str) -> None:
    """Run ``code`` in two interpreters, with rank, port and folder as arguments."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    root = Path(__file__).parents[2]
    commands = [[sys.executable, "-c", code, str(rank), str(port), folder] for rank in (0, 1)]
    running = [subprocess.Popen(c, cwd=root, stderr=subprocess.PIPE, text=True) for c in commands]
    for one in running:
        _, told = one.communicate(timeout=300)
        assert one.returncode == 0, told


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of every model after training in two processes."""
    folder = tmp_path_factory.mktemp("pair")
    code = "import sys; from tests.train.test_shards import process; process(*map(int, sys.argv[1:3]), sys.argv[3])"
    in_two_processes(code, str(folder))
    return folder


@pytest.mark.parametrize("name", ALL)
def test_two_processes_equal_one(name: str, pair: Path) -> None:
    first, second = (torch.load(pair / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1))
    one = _trained(name, accumulate=2).state_dict()
    start = made(name, spec_for(name)).state_dict()
    assert any(not torch.equal(one[key], start[key]) for key in one)
    for key, value in one.items():
        assert torch.equal(first[key], second[key]), f"{key}: the processes differ"
        torch.testing.assert_close(first[key], value, rtol=1e-3, atol=1e-4, msg=lambda m, key=key: f"{key}: {m}")


@pytest.mark.parametrize("name", ALL)
def test_shards_average_to_the_gradient_of_the_whole_batch(name: str) -> None:
    whole, special = _averaged(name), OF_A_BATCH.get(name, {})
    assert set(special) <= set(whole)
    for accumulate in (2, 3):
        for phase, found in _averaged(name, accumulate).items():
            gap = furthest(found, whole[phase])
            assert (gap > 1e-5) if phase in special else (gap <= 1e-5), f"{phase}, {accumulate} shards: {gap:.1e}"


@pytest.mark.parametrize("name", OF_A_BATCH)
def test_shards_of_any_loss_weigh_what_they_have_of_the_samples(name: str) -> None:
    cut, first, second = _averaged(name, 2), _averaged(name, alone=(0, 30)), _averaged(name, alone=(30, BATCH))
    for phase, found in cut.items():
        by_hand = [30 / BATCH * a + 29 / BATCH * b for a, b in zip(first[phase], second[phase], strict=True)]
        assert furthest(found, by_hand) <= 1e-5, phase


@pytest.mark.parametrize("name", ALL)
def test_two_processes_average_as_one_with_as_many_shards(name: str, pair: Path) -> None:
    first, second = (torch.load(pair / f"{name}-{rank}-gradients.pt", weights_only=True) for rank in (0, 1))
    for accumulate, phases in first.items():
        one = _averaged(name, 2 * accumulate)
        assert set(phases) == set(one)
        for phase, found in phases.items():
            assert all(map(torch.equal, found, second[accumulate][phase]))
            assert furthest(found, one[phase]) <= 1e-5, phase


def test_only_the_first_process_writes(pair: Path) -> None:
    assert (pair / "run-0" / "state.pt").exists() and not list((pair / "run-1").iterdir())


def test_shards_draw_their_own_noise_and_whole_batches_stay_as_they_were() -> None:
    whole, again, cut = (_trained("gan", accumulate=n).state_dict() for n in (1, 1, 2))
    assert all(torch.equal(whole[k], again[k]) for k in whole)
    assert any(not torch.equal(whole[k], cut[k]) for k in whole)


def test_a_batch_too_small_to_cut_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be cut into 9 shards"):
        _trained("gan", accumulate=9)
    with pytest.raises(ConfigError, match="accumulate"):
        TrainConfig(accumulate=0)


def test_constants_survive_any_number_of_shards() -> None:
    before = made("denoising-gan", SPECS["labelled"]).get_buffer("generator.kept")
    assert torch.equal(_trained("denoising-gan", accumulate=7).get_buffer("generator.kept"), before)


def test_a_phase_with_nothing_to_learn_is_refused_by_name() -> None:
    model = made("autoencoder", SPECS["grey"])
    loss = model.loss
    model.loss = lambda phase, batch: {k: Term(t.value, 0.0) for k, t in loss(phase, batch).items()}  # type: ignore[method-assign]
    with pytest.raises(ConfigError, match="phase 'autoencode', step 1: nothing to learn"):
        Trainer(model, data_for(SPECS["grey"]), TrainConfig(steps=2, grids=0), Backend("cpu", "fp32")).fit()


def test_models_within_a_model_are_told_the_step() -> None:
    spec = SPECS["labelled"]
    inner = {"model": "variational", "latent_dim": 4, "width": 8, "batch_size": 16, "beta_cycle": 4}
    model = build("vq-gan", spec, {"autoencoder": inner, "batch_size": 16})
    Trainer(model, data_for(spec), TrainConfig(steps=6, grids=0), Backend("cpu", "fp32")).fit()
    assert model.get_submodule("autoencoder").stage_step == model.stage_step > 0


@pytest.mark.parametrize(("accumulate", "pack"), [(1, 1), (2, 1), (4, 1), (1, 2)])
def test_augmentation_counts_the_images_of_the_whole_batch(accumulate: int, pack: int) -> None:
    """ADA's probability moves as fast for an image however batches are cut, and when logits are of several images."""
    spec = Spec(kind="image", shape=(1, 8, 8))
    settings = {"width": 4, "noise_dim": 4, "batch_size": 16, "augmentation": "ada", "pack": pack}
    model = build("gan", spec, settings)
    data = TensorData(x=torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    config = TrainConfig(steps=3, seed=3, grids=0, accumulate=accumulate)
    Trainer(model, data, config, Backend("cpu", "fp32")).fit()
    buffers = dict(model.named_buffers())
    seen, signs = (float(b) for name in ("seen", "signs") for n, b in buffers.items() if n.endswith(name))
    assert seen == 3 * 16 and abs(signs) <= seen and signs % pack == 0
