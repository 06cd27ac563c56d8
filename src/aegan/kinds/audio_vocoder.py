"""The vocoder of a run: trained after the model, kept beside it, and used wherever recordings are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from aegan.config import TrainConfig
from aegan.errors import RunError
from aegan.kinds.audio import audio_adapter
from aegan.models.vocoder import Vocoder, VocoderConfig
from aegan.storage import write_atomically
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer

if TYPE_CHECKING:
    from aegan.estimator import Estimator

FILE = "vocoder.safetensors"
STEPS = 1_000
"""Fixed, so that a seed gives the same vocoder whatever the machine's speed; some three minutes of one slow core."""
CONFIG = VocoderConfig()
AUTO = "griffin-lim"
"""What ``auto`` means; docs/speech.md has the figures."""


def wanted(estimator: Estimator) -> bool:
    """Whether the run asks for a learnt vocoder."""
    asked = audio_adapter(estimator).vocoder
    return (AUTO if asked == "auto" else asked) == "neural"


def train_vocoder(estimator: Estimator) -> None:
    """Learn the vocoder from the run's training recordings, and keep its generator in the folder."""
    network, train = _network(estimator), estimator.train
    if train is None:
        return
    seed = estimator.run.config["train"]["seed"]
    config = TrainConfig(steps=STEPS, seed=seed, device="cpu", precision="fp32", grids=0)
    Trainer(network, train, config, Backend("cpu", "fp32")).fit()
    content = save({key: value.contiguous() for key, value in network.generator.state_dict().items()})
    write_atomically(estimator.run.path / FILE, lambda path: path.write_bytes(content))


def attach(estimator: Estimator) -> None:
    """Let the adapter use the folder's vocoder, where there is one.

    Raises:
        RunError: The file is damaged.
    """
    path, adapter = estimator.run.path / FILE, audio_adapter(estimator)
    adapter.to_wave = None
    if not path.exists():
        return
    network = _network(estimator).eval().requires_grad_(False)
    try:
        network.generator.load_state_dict(load(path.read_bytes()))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise RunError(f"{path}: cannot be read ({error}). Restore it from a copy, or remove it.") from error
    adapter.to_wave = network


def _network(estimator: Estimator) -> Vocoder:
    adapter = audio_adapter(estimator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(estimator.run.config["train"]["seed"])
        return Vocoder(adapter.spec, CONFIG, adapter.fitted())
