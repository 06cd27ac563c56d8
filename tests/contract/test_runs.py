"""Every registered model's runs: saved to the bit, and resumed as if they had never stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import TINY, VARIANTS
from tests.contract.test_models import PAIRS, SPECS, data_for, made

from aegan.config import TrainConfig
from aegan.models.base import Model, noise_for
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.probe import Probe
from aegan.train.trainer import Trainer

FREE = {"r1": 0, "r2": 0}
FORMS = {
    "gan, ada": ("gan", {"augmentation": "ada", "ada_images": 400, "lr_discriminator": 1e-2}, "labelled"),
    "gan, spectral norm": ("gan", {"loss": "hinge", "penalty": FREE, "spectral_norm": True}, "labelled-vector"),
    "gan, lecam": ("gan", {"loss": "hinge", "penalty": {"r1": 0, "lecam": 0.1}}, "labelled-vector"),
    "latent-gan, codes alone": ("latent-gan", {"joint": {"share": 0}}, "labelled-vector"),
}
"""Forms that keep more than weights or have other networks, and the data they are tried on."""
BY_CLASS = {"text": "labelled-text", "series": "labelled-series"}
"""Data with classes, of the kinds that some models are not told the classes of."""
RUNS = [
    *[(name, spec) for name, spec in PAIRS if spec in ("table", "series", "text", "seasonal-series")],
    *[(name, "labelled-vector" if made(name, SPECS["labelled-vector"]).conditional else "vector") for name in VARIANTS],
    *[(name, BY_CLASS[s]) for name, s in PAIRS if s in BY_CLASS and made(name, SPECS[BY_CLASS[s]]).conditional],
    *[(name, spec) for name, (*_, spec) in FORMS.items()],
]
"""Every model on the smallest data of each sort that it learns from; with classes where it is told them."""


def model_of(name: str, kind: str, seed: int = 0) -> Model:
    if name not in FORMS:
        return made(name, SPECS[kind], seed)
    torch.manual_seed(seed)
    model, own, _ = FORMS[name]
    return build(model, SPECS[kind], TINY[model] | own)


class _Kill(BaseException):
    """As kill -9: nothing catches it, nothing is saved because of it."""


class _KillAt(Probe):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, trainer, record) -> None:
        if record.step == self.step:
            raise _Kill


@pytest.mark.parametrize(("name", "kind"), RUNS)
def test_a_model_is_saved_to_the_bit_and_resumes_as_if_it_had_never_stopped(
    name: str, kind: str, tmp_path: Path
) -> None:
    spec = SPECS[kind]
    few = data_for(spec, 8).batch(torch.arange(8))["x"]

    def train(folder: Path, *probes: Probe, resume: bool = False) -> Model:
        config = TrainConfig(steps=12, seed=1, grids=0, checkpoint_every=1e-9)
        model = model_of(name, kind)
        folder.mkdir(exist_ok=True)
        Trainer(model, data_for(spec), config, Backend("cpu", "fp32"), folder=folder, probes=probes).fit(resume=resume)
        return model.eval()

    whole = train(tmp_path / "whole")
    with pytest.raises(_Kill):
        train(tmp_path / "killed", _KillAt(10))
    resumed = train(tmp_path / "killed", resume=True).state_dict()
    assert all(torch.equal(v, resumed[k]) for k, v in whole.state_dict().items())
    if name == "gan, ada":
        assert whole.get_buffer("state.ada.p") > 0  # else there would be nothing to lose
    again = model_of(name, kind, seed=9).eval()
    again.load_state_dict(load_file(tmp_path / "whole" / "model.safetensors"))
    with torch.no_grad():
        if whole.code_dim:
            z = whole.encode(few)
            assert torch.equal(again.encode(few), z) and torch.equal(again.decode(z), whole.decode(z))
        if whole.noise_dim:
            noise, y = noise_for(0, 8, whole.noise_dim), torch.arange(8) % 2 if spec.classes else None
            assert torch.equal(again.generate(noise, y), whole.generate(noise, y))
