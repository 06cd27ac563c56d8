"""The variational autoencoder: its terms by hand, β's cycle, learned deviations, and both kinds of collapse."""

from __future__ import annotations

import math

import pytest
import torch
from tests.conftest import TINY, TINY_AUTOENCODER

from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.models.autoencoders.collapse import posterior_statistics, posterior_verdict
from aegan.models.autoencoders.likelihood import elbo
from aegan.models.autoencoders.variational import Variational, VariationalConfig
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec

SPEC = Spec(kind="vector", shape=(6,))


def made(spec: Spec = SPEC, **settings) -> Variational:
    torch.manual_seed(0)
    return Variational(spec, VariationalConfig(**{**TINY_AUTOENCODER, "latent_dim": 4, **settings}))


def curve(n: int = 512) -> torch.Tensor:
    """Points on a surface of two dimensions in six, with a little noise."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(n, 2, generator=generator)
    wide = torch.cat([z, z.sin(), z.square() - 1.0], 1)
    return wide + 0.05 * torch.randn(n, 6, generator=generator)


def trained(model: Variational, x: torch.Tensor, steps: int = 300) -> Variational:
    config = TrainConfig(steps=steps, grids=0)
    Trainer(model, TensorData(x=x), config, Backend("cpu", "fp32")).fit()
    return model.eval()


@pytest.mark.parametrize("likelihood", ["gaussian", "laplace", "bernoulli"])
def test_the_terms_make_the_elbo(likelihood: str) -> None:
    model = made(Spec(kind="vector", shape=(6,), likelihood=likelihood), output_std=0.4)
    x = curve().sign() if likelihood == "bernoulli" else curve()
    with torch.no_grad():
        torch.manual_seed(5)
        terms = model.loss("autoencode", {"x": x})
        torch.manual_seed(5)  # the same codes
        reference = elbo(model, x).mean().item()
    total = -(terms["reconstruction"].value + terms["kl"].value).item()
    assert total == pytest.approx(reference, rel=1e-5)
    assert terms["reconstruction"].weight == terms["kl"].weight == 1 / 6


def test_beta_cycles() -> None:
    model = made(beta=2.0, beta_cycle=100, beta_ramp=0.5)
    assert [model.beta(step) for step in (0, 25, 50, 99, 100, 125)] == [0.0, 1.0, 2.0, 2.0, 0.0, 1.0]
    assert made(beta=0.3).beta(12345) == 0.3
    model.stage_step = 25
    assert model.loss("autoencode", {"x": curve(8)})["kl"].weight == pytest.approx(1.0 / 6)


def test_free_bits_are_not_trained_on_and_the_true_divergence_is_recorded() -> None:
    model = made(free_bits=1000.0)
    terms = model.loss("autoencode", {"x": curve(8)})
    assert terms["kl-above-free-bits"].value.item() == 0.0 < terms["kl"].value.item()
    assert terms["kl"].weight == 0.0


def test_the_learned_deviation_is_the_likeliest() -> None:
    model, x = made(), curve(64)
    torch.manual_seed(3)
    learned = model.loss("autoencode", {"x": x})["reconstruction"].value.item()
    # At the optimum the squared term is half a nat a value: n/2 (log 2πσ² + 1).
    std = model.statistics.output_std.item()
    assert learned == pytest.approx(3 * (math.log(2 * math.pi * std**2) + 1), rel=1e-4)
    for factor in (0.8, 1.25):
        fixed = made(output_std=factor * std)
        torch.manual_seed(3)
        assert fixed.loss("autoencode", {"x": x})["reconstruction"].value.item() > learned


def test_noisy_codes_have_the_posteriors_deviation() -> None:
    model, x = made(), curve(256)
    with torch.no_grad():
        model.loss("autoencode", {"x": x})
        mu, logvar = model.posterior(x)
        noisy = model.noisy(mu.repeat(40, 1))
    assert torch.allclose(model.statistics.posterior_std, (0.5 * logvar).exp().mean(0), rtol=1e-5)
    assert torch.allclose((noisy - mu.repeat(40, 1)).std(0), model.statistics.posterior_std, rtol=0.05)


def test_training_approaches_the_noise_and_a_healthy_run_says_nothing() -> None:
    x = curve()
    model = trained(made(lr=4e-3), x, steps=500)
    health = model.health(x)
    assert health.findings == ()
    assert health.figures["active_units"] >= 2
    assert health.figures["elbo"] <= health.figures["log_likelihood"] + 0.5
    assert health.figures["mutual_information"] > 1.0
    # Far better than the best normal distribution of independent values.
    independent = -(0.5 * (2 * math.pi * math.e * x.var(0)).log()).sum().item()
    assert health.figures["elbo"] > independent + 1.0
    assert model.statistics.output_std < 0.4


def test_too_strong_a_prior_is_called_posterior_collapse() -> None:
    model = trained(made(beta=1000.0), curve(), steps=200)
    health = model.health(curve())
    (finding,) = health.findings
    assert finding.startswith("Posterior collapse")
    assert "beta_cycle" in finding and "free_bits=0.5" in finding and "0 of 4 dimensions" in finding
    assert health.figures["active_units"] == 0


def test_a_latent_gan_learns_its_sampled_codes_and_passes_its_findings_on() -> None:
    settings = {**TINY["latent-gan"], "autoencoder": {"model": "variational", **TINY_AUTOENCODER, "beta": 1000.0}}
    torch.manual_seed(0)
    model = build("latent-gan", SPEC, settings)
    Trainer(model, TensorData(x=curve(128)), TrainConfig(steps=300, grids=0), Backend("cpu", "fp32")).fit()
    assert bool(torch.isfinite(model.generate(torch.randn(4, model.noise_dim), None)).all())
    assert model.health(curve(64)).findings[0].startswith("Posterior collapse")


def test_posterior_statistics_by_hand() -> None:
    # Codes of four equally likely, far apart places: log 4 nats of information, one active dimension of twenty.
    mu = torch.zeros(400, 20)
    mu[:, 0] = torch.tensor([-30.0, -10.0, 10.0, 30.0]).repeat(100)
    logvar = torch.zeros(400, 20)
    torch.manual_seed(0)
    found = posterior_statistics(mu, logvar)
    assert found.mutual_information == pytest.approx(math.log(4.0), abs=1e-3)
    assert found.active == 1 and found.kl[1:] == (0.0,) * 19
    assert found.kl[0] == pytest.approx((100.0 + 900.0) / 2 / 2, rel=1e-5)
    assert posterior_verdict(found)[0].startswith("Partial posterior collapse")
    assert posterior_verdict(posterior_statistics(mu[:, :4], logvar[:, :4])) == ()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"beta": -1.0}, "beta: a number of at least 0 expected, got -1.0"),
        ({"free_bits": -0.1}, "free_bits"),
        ({"beta_cycle": -1}, "beta_cycle"),
        ({"beta_ramp": 0.0}, "beta_ramp: a number above 0"),
        ({"output_std": 0.0}, "output_std: a number above 0, or none to learn it"),
    ],
)
def test_bad_settings_are_refused(settings, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        VariationalConfig(**settings)
