"""The vocoder: what its phases move, that it learns, and that its magnitudes keep to the spectrogram."""

from __future__ import annotations

import copy

import pytest
import torch
from tests.sounds import tones

from aegan.config import TrainConfig
from aegan.data.audio import AudioAdapter
from aegan.data.base import TensorData
from aegan.models.vocoder import Vocoder, VocoderConfig
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer

TINY = VocoderConfig(width=16, blocks=1, discriminator_width=2, batch_size=8, before=1, iterations=4, lr=2e-2)


@pytest.fixture(scope="module")
def made() -> tuple[AudioAdapter, TensorData]:
    recordings = tones()
    adapter = AudioAdapter().fit(recordings)
    return adapter, adapter.to_tensors(recordings)


def vocoder(adapter: AudioAdapter) -> Vocoder:
    torch.manual_seed(0)
    return Vocoder(adapter.spec, TINY, adapter.fitted())


def test_each_phase_moves_its_own_network(made) -> None:
    adapter, data = made
    model = vocoder(adapter)
    batch = data.batch(torch.arange(8))
    for stage in model.stages:
        for phase in stage.phases:
            for p in model.parameters():
                p.grad = None
            terms = model.loss(phase.name, batch)
            assert all(t.value.ndim == 0 and bool(torch.isfinite(t.value)) for t in terms.values())
            sum(t.weight * t.value for t in terms.values()).backward()  # type: ignore[union-attr]
            moved = {n.split(".")[0] for n, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}
            assert set(phase.networks) <= moved


def test_training_lowers_the_error_of_magnitudes(made) -> None:
    adapter, data = made
    model = vocoder(adapter)
    batch = data.batch(torch.arange(48))

    def error() -> float:
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(1)
            return model.loss("magnitudes", batch)["magnitude"].value.item()

    before, start = error(), copy.deepcopy(model.state_dict())
    Trainer(model, data, TrainConfig(steps=60, seed=0, grids=0), Backend("cpu", "fp32")).fit()
    assert error() < 0.97 * before
    changed = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, start[name])}
    assert changed == {"generator", "discriminator"}


def test_magnitudes_keep_to_the_mel_values_and_waveforms_fit(made) -> None:
    adapter, data = made
    model = vocoder(adapter).eval()
    x = data.fields["x"][:4, 0]
    mel, scale = adapter.fitted().mel(x), adapter.fitted().scale
    magnitude = model.magnitudes(x).detach()
    assert bool((magnitude >= 0).all())
    assert float((scale.filters(mel) @ magnitude - mel).norm() / mel.norm()) < 0.1
    wave = model(x)
    assert wave.shape == (4, x.shape[2] * scale.hop) and bool(torch.isfinite(wave).all())
    adapter.to_wave = model
    assert len(adapter.from_tensors(data.fields["x"][:4])) == 4
    adapter.to_wave = None
