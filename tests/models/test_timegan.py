"""TimeGAN's losses by hand, the discriminator that is held, and long windows."""

from __future__ import annotations

import math

import pytest
import torch
from tests.conftest import OF_SERIES, SERIES, waves
from tests.contract.test_models import data_for

from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.models.base import noise_for
from aegan.models.hybrids.timegan import TimeGAN, moment_error, supervised_error
from aegan.models.registry import build
from aegan.nn.stepwise import Stepwise
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Field, Spec

LONG = Spec(kind="series", shape=(256, 2))


def timegan(spec: Spec = SERIES, **settings: object) -> TimeGAN:
    torch.manual_seed(0)
    model = build("timegan", spec, OF_SERIES["timegan"] | settings)
    assert isinstance(model, TimeGAN)
    return model


def silence(network: Stepwise, value: float) -> None:
    """Make a network give ``value`` whatever it sees."""
    with torch.no_grad():
        network.read.weight.zero_()
        network.read.bias.fill_(value)


def values(model: TimeGAN, phase: str, x: torch.Tensor) -> dict[str, float]:
    return {name: term.value.item() for name, term in model.loss(phase, {"x": x}).items()}


def test_the_networks_are_as_large_as_published() -> None:
    model = build("timegan", Spec(kind="series", shape=(24, 6)), {})
    assert isinstance(model, TimeGAN)
    sizes = [(n.gru.input_size, n.gru.hidden_size, n.gru.num_layers, n.read.out_features) for n in (
        model.embedder, model.recovery, model.generator, model.supervisor, model.discriminator
    )]  # fmt: skip
    assert sizes == [(6, 24, 3, 24), (24, 24, 3, 6), (6, 24, 3, 24), (24, 24, 2, 24), (24, 24, 3, 1)]
    assert [stage.share for stage in model.stages] == [0.25, 0.25, 0.5] and model.noise_dim == 24 * 6
    every = {phase.name: phase.every for stage in model.stages for phase in stage.phases}
    assert every == {"autoencode": 1, "supervise": 1, "generator": 1, "embed": 1, "discriminator": 2}


def test_reconstruction_and_supervision_by_hand() -> None:
    model = timegan()
    silence(model.recovery, 0.0)  # gives 0 in [-1, 1], 0.5 in [0, 1]
    silence(model.embedder, math.log(3.0))  # codes 0.75
    silence(model.supervisor, 0.0)  # foretells 0.5
    x = torch.full((4, 10, 3), 0.6)
    terms = model.loss("embed", {"x": x})
    assert terms["reconstruction"].value.item() == pytest.approx(0.3, rel=1e-5)
    assert terms["supervised"].value.item() == pytest.approx(0.0625, rel=1e-5)
    assert {name: term.weight for name, term in terms.items()} == {"reconstruction": 10.0, "supervised": 0.1}
    assert values(model, "supervise", x) == pytest.approx({"supervised": 0.0625}, rel=1e-5)


def test_the_supervisor_foretells_a_step_from_those_before_it() -> None:
    ahead, h = torch.tensor([[[0.5], [0.2], [9.0]]]), torch.tensor([[[9.0], [0.5], [0.6]]])
    assert supervised_error(ahead, h).item() == pytest.approx(0.08)


def test_only_observed_values_count_in_the_reconstruction() -> None:
    model = timegan()
    silence(model.recovery, 0.0)
    x = torch.zeros(2, 10, 3)
    mask = torch.ones(2, 10, 3, dtype=torch.bool)
    mask[0] = False
    x[0] = 0.9
    x[1] = 0.4
    error = model.loss("autoencode", {"x": x, "mask": mask})["reconstruction"].value
    assert error.item() == pytest.approx(0.2, rel=1e-5)


def test_the_adversaries_losses_by_hand() -> None:
    model = timegan()
    silence(model.discriminator, 1.0)
    softplus = lambda v: math.log1p(math.exp(v))  # noqa: E731
    x = waves(16)
    found = values(model, "discriminator", x)
    expected = {
        "adversarial-real": softplus(-1.0), "adversarial-fake": softplus(1.0), "adversarial-embedding": softplus(1.0),
        "held": 0.0,
    }  # fmt: skip
    assert found == pytest.approx(expected, rel=1e-5)
    silence(model.recovery, 0.0)
    silence(model.supervisor, 0.0)
    silence(model.embedder, math.log(3.0))
    terms = model.loss("generator", {"x": x})
    made = {name: term.value.item() for name, term in terms.items()}
    assert made["adversarial"] == made["adversarial-embedding"] == pytest.approx(softplus(-1.0), rel=1e-5)
    assert made["supervised"] == pytest.approx(0.25, rel=1e-5)
    half = x / 2
    moments = (half.mean(0).abs()).mean() + ((half.var(0, correction=0) + 1e-6).sqrt() - 1e-3).abs().mean()
    assert made["moments"] == pytest.approx(moments.item(), rel=1e-5)
    assert [term.weight for term in terms.values()] == [1.0, 1.0, 100.0, 100.0]


def test_moments_are_those_of_a_step_and_channel_over_the_batch() -> None:
    x = torch.tensor([[[1.0], [0.0]], [[-1.0], [0.0]]])
    # Deviation 0.5 of the first step in [0, 1], none of the second.
    assert moment_error(torch.zeros(2, 2, 1), x).item() == pytest.approx(0.25, abs=1e-3)
    assert moment_error(x, x).item() == 0.0


@pytest.mark.parametrize(("hold_below", "moves"), [(0.15, True), (1000.0, False)])
def test_a_discriminator_that_is_good_enough_makes_no_step(hold_below: float, moves: bool) -> None:
    model = timegan(hold_below=hold_below)
    records = []

    class Seen:
        draws = False

        def on_start(self, trainer) -> None: ...
        def on_stage(self, trainer, stage) -> None: ...
        def on_end(self, trainer, reason) -> None: ...
        def on_step(self, trainer, record) -> None:
            records.append(record.terms)

    before = {k: v.clone() for k, v in model.discriminator.state_dict().items()}
    Trainer(model, data_for(SERIES), TrainConfig(steps=12, grids=0), Backend("cpu", "fp32"), probes=[Seen()]).fit()
    moved = any(not torch.equal(v, before[k]) for k, v in model.discriminator.state_dict().items())
    assert moved == moves
    held = [terms["discriminator/held"] for terms in records if "discriminator/held" in terms]
    assert held == [0.0 if moves else 1.0] * 3  # six joint steps, every second


def test_noise_becomes_uniform() -> None:
    model = timegan()
    seen: list[torch.Tensor] = []
    model.generator.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    model.generate(noise_for(0, 500, model.noise_dim), None)
    assert seen[0].shape == (500, 10, 3)
    at = torch.tensor([0.1, 0.5, 0.9])
    torch.testing.assert_close(torch.quantile(seen[0].flatten(), at), at, atol=0.01, rtol=0)


def test_long_windows_train_and_sample_finite() -> None:
    model = timegan(LONG, layers=3, batch_size=8)
    data = TensorData(x=waves(16, *LONG.shape))
    Trainer(model, data, TrainConfig(steps=8, grids=0), Backend("cpu", "fp32")).fit()
    sample = model.generate(noise_for(0, 4, model.noise_dim), None)
    assert sample.shape == (4, 256, 2) and bool(torch.isfinite(sample).all())
    assert bool((sample.abs() <= 1).all())


def test_constant_series_and_perfect_codes_have_finite_gradients() -> None:
    model = timegan()
    silence(model.recovery, 0.0)
    silence(model.embedder, 0.0)
    silence(model.supervisor, 0.0)
    x = torch.zeros(4, 10, 3)
    for phase in ("autoencode", "embed", "generator"):
        model.zero_grad()
        sum(t.value * t.weight for t in model.loss(phase, {"x": x}).values()).backward()  # type: ignore[union-attr]
        assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)


def test_what_cannot_be_modelled_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"series of one\. Use longer windows"):
        timegan(Spec(kind="series", shape=(1, 3)))
    fields = (Field(column="length", size=4), Field(column="age", size=3), Field(column="age", size=3, level=1))
    with pytest.raises(ConfigError, match=r"does not draw attributes, lengths .*Fit recurrent"):
        timegan(Spec(kind="series", shape=(10, 3), fields=fields))
    with pytest.raises(ConfigError, match="less than 1 together"):
        timegan(autoencoder_share=0.5, supervisor_share=0.5)
    with pytest.raises(ConfigError, match="noise: at least 1"):
        timegan(noise=0)
