"""The vector-quantised autoencoder: tokens, averages, resumption, a codebook too large, and collapse by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.conftest import TINY, bars

from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.errors import ConfigError, Interrupted
from aegan.models.autoencoders.collapse import codebook_statistics, codebook_verdict
from aegan.models.autoencoders.vector_quantised import VectorQuantised, VectorQuantisedConfig
from aegan.models.registry import build
from aegan.nn.quantise import Codebook
from aegan.train.backend import Backend
from aegan.train.probe import Probe
from aegan.train.trainer import Trainer
from aegan.types import Spec

SPEC = Spec(kind="image", shape=(1, 8, 8))
OF = {"codebook": {}, "fsq": {"quantiser": "fsq", "levels": (5, 4)}}


def made(**settings) -> VectorQuantised:
    torch.manual_seed(0)
    return VectorQuantised(SPEC, VectorQuantisedConfig(**{**TINY["vector-quantised"], **settings}))


def data(n: int = 256) -> TensorData:
    return TensorData(x=torch.from_numpy(bars(n)[0])[:, None])


def trained(model: VectorQuantised, steps: int = 200, **options) -> VectorQuantised:
    Trainer(model, data(), TrainConfig(steps=steps, grids=0), Backend("cpu", "fp32"), **options).fit()
    return model.eval()


@pytest.mark.parametrize("kind", OF)
def test_tokens_hold_the_whole_reconstruction(kind: str) -> None:
    model = made(**OF[kind])
    x = data().batch(torch.arange(20))["x"]
    with torch.no_grad():
        model.loss("autoencode", {"x": x})
        tokens = model.tokens(x)
        assert tokens.shape == (20, model.positions) and tokens.dtype == torch.int64
        assert 0 <= int(tokens.min()) and int(tokens.max()) < model.quantiser.size
        reconstruction = model.decode(model.encode(x))
        assert torch.allclose(model.decode(model.from_tokens(tokens)), reconstruction, atol=1e-5)
        # Any code is quantised before it is decoded.
        z = model.encode(x)
        near = model.from_tokens(model.quantiser.tokens(z + 1e-4))
        assert torch.allclose(model.decode(z + 1e-4), model.decode(near), atol=1e-5)


@pytest.mark.parametrize("kind", OF)
def test_a_trained_codebook_fits_the_averaged_weights(kind: str) -> None:
    """Weights are averaged and buffers are not: the averaged encoder must still find its points."""
    live: list[float] = []

    class Watch(Probe):
        def on_step(self, trainer, record) -> None:
            live.append(record.terms["autoencode/reconstruction"])

    model = trained(made(**OF[kind]), steps=300, probes=[Watch()])
    x = data().batch(torch.arange(256))["x"]
    with torch.no_grad():
        z = model.encode(x)
        averaged = (model.decode(z) - x).square().mean().item()
        distance = (model.quantiser(z) - z).square().mean().item()
    assert averaged < 1.1 * sum(live[-20:]) / 20
    assert distance < 0.3  # of codes whose values have a mean square of one
    health = model.health(x)
    assert health.findings == () and health.figures["usage"] > 0.4


def test_a_resumed_run_ends_with_the_same_codebook(tmp_path: Path) -> None:
    class Stop(Probe):
        def on_step(self, trainer, record) -> None:
            trainer._stop = record.step == 13

    for name, probes in (("whole", []), ("halves", [Stop()])):
        (tmp_path / name).mkdir()
        model = made()
        if probes:
            with pytest.raises(Interrupted):
                trained(model, steps=30, folder=tmp_path / name, probes=probes)
            model = made()
            config = TrainConfig(steps=30, grids=0)
            Trainer(model, data(), config, Backend("cpu", "fp32"), folder=tmp_path / name).fit(resume=True)
            halves = model.state_dict()
        else:
            whole = trained(model, steps=30, folder=tmp_path / name).state_dict()
    assert all(torch.equal(whole[key], halves[key]) for key in whole)
    assert int(whole["decoder.quantiser.steps"]) == 30


@pytest.mark.parametrize("name", ["vector-quantised", "latent-gan"])
def test_a_codebook_larger_than_the_data_is_refused(name: str) -> None:
    settings = {**TINY["vector-quantised"], "codebook": 65}
    if name == "latent-gan":
        settings = {**TINY[name], "autoencoder": {"model": "vector-quantised", **settings}}
    model = build(name, SPEC, settings)
    with pytest.raises(ConfigError, match=r"65 points .* 32 training samples of 2 positions each make 64 codes"):
        Trainer(model, data(32), TrainConfig(steps=2, grids=0), Backend("cpu", "fp32")).fit()


def test_a_latent_gan_lives_on_its_codes() -> None:
    settings = {**TINY["latent-gan"], "autoencoder": {"model": "vector-quantised", **TINY["vector-quantised"]}}
    torch.manual_seed(0)
    model = build("latent-gan", SPEC, settings)
    Trainer(model, data(), TrainConfig(steps=40, grids=0), Backend("cpu", "fp32")).fit()
    sample = model.generate(torch.randn(5, model.noise_dim), None)
    assert sample.shape == (5, 1, 8, 8) and bool(torch.isfinite(sample).all())
    assert "perplexity" in model.health(data().batch(torch.arange(64))["x"]).figures


def test_without_restarts_a_bad_start_is_called_codebook_collapse() -> None:
    found = {}
    for restart in (False, True):
        model = made(restart=restart, codebook=64)
        quantiser = model.quantiser
        assert isinstance(quantiser, Codebook)
        # A bad start: the codes are on one side of the sphere, and all points but one on the other.
        quantiser.steps += 1
        quantiser.points.fill_(-0.5)[0] = 0.5
        with torch.no_grad():
            model.encoder.head.bias.add_(10.0)
        found[restart] = trained(model, steps=60).health(data().batch(torch.arange(256))["x"])
    (finding,) = found[False].findings
    assert finding.startswith("Codebook collapse") and "of 64 codes" in finding
    assert "restart=true" in finding and "smaller `codebook`" in finding
    assert found[True].findings == ()
    assert found[False].figures["perplexity"] < found[True].figures["perplexity"]


def test_codebook_statistics_by_hand() -> None:
    found = codebook_statistics(torch.tensor([[0, 1], [2, 3]]), 8)
    assert found.usage == 0.5 and found.perplexity == pytest.approx(4.0)
    assert codebook_verdict(found, remedy="x") == ()
    # A fifth of the codes, evenly used: dead codes alone are a collapse too.
    few = codebook_statistics(torch.arange(1000).view(10, 100) % 20, 100)
    assert few.perplexity == pytest.approx(20.0) and codebook_verdict(few, remedy="x") != ()
    one = codebook_statistics(torch.zeros(50, 4, dtype=torch.int64), 8)
    assert one.perplexity == pytest.approx(1.0)
    assert codebook_verdict(one, remedy="restarts")[0].endswith("Remedies: restarts.")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"quantiser": "fqs"}, "fsq"),
        ({"codebook": 1}, "codebook: a whole number of at least 2"),
        ({"levels": (8, 1)}, "levels: whole numbers of at least 2"),
        ({"commitment_weight": -1.0}, "commitment_weight"),
        ({"decay": 1.0}, "decay: a number between 0 and 1"),
        ({"latent_dim": 10}, "latent_dim: a multiple of code_size"),
        ({"latent_dim": 10, "quantiser": "fsq"}, r"number of levels \(4\) expected, got 10. The nearest is 8"),
    ],
)
def test_bad_settings_are_refused(settings, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        made(**settings) if "latent_dim" in settings else VectorQuantisedConfig(**settings)


def test_bad_tokens_are_refused() -> None:
    model = made()
    for tokens in (torch.zeros(3, 5, dtype=torch.int64), torch.zeros(3, 2)):
        with pytest.raises(ConfigError, match=r"torch.int64 of shape \(B, 2\) expected"):
            model.from_tokens(tokens)
    with pytest.raises(ConfigError, match="tokens from 0 to 15 expected, got 0 to 16"):
        model.from_tokens(torch.tensor([[0, 16]]))
