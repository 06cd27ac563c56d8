"""The hybrids' formulas, by hand."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import TINY

from aegan.models.hybrids.began import Balance
from aegan.models.registry import build
from aegan.types import Spec

SPEC = Spec(kind="vector", shape=(12,))


def test_the_last_denoising_step_gives_the_guess_itself() -> None:
    steps = build("denoising-gan", SPEC, TINY["denoising-gan"]).get_submodule("generator")
    x0, after, noise = torch.randn(3, 5, 8)
    t = torch.ones(5, dtype=torch.int64)
    torch.testing.assert_close(steps.posterior(x0, after, t, noise), x0)  # type: ignore[operator]


def test_the_posterior_is_that_of_two_gaussians() -> None:
    """q(x1 | x2, x0) from the joint normal of x1 and x2 given x0, by conditioning."""
    steps = build("denoising-gan", SPEC, TINY["denoising-gan"] | {"steps": 3}).get_submodule("generator")
    kept, beta = float(steps.kept[1]), float(steps.beta[2])  # type: ignore[index]
    x0, after = torch.tensor([[0.7]]), torch.tensor([[-0.4]])
    mean1, var1 = kept**0.5 * 0.7, 1 - kept
    covariance, var2 = (1 - beta) ** 0.5 * var1, (1 - beta) * var1 + beta
    mean = mean1 + covariance / var2 * (-0.4 - (1 - beta) ** 0.5 * mean1)
    variance = var1 - covariance**2 / var2
    t = torch.tensor([2])
    at = [steps.posterior(x0, after, t, torch.tensor([[v]])).item() for v in (0.0, 1.0)]  # type: ignore[operator]
    assert at[0] == pytest.approx(mean, rel=1e-4)
    assert (at[1] - at[0]) ** 2 == pytest.approx(variance, rel=1e-4)


def test_began_moves_its_balance_by_the_gap_and_reports_convergence() -> None:
    balance = Balance(0.5, 0.1)
    assert balance.observe(torch.tensor(2.0), torch.tensor(0.4)).item() == pytest.approx(2.6)
    assert balance.k.item() == pytest.approx(0.06)
    balance.observe(torch.tensor(0.0), torch.tensor(9.0))
    assert balance.k.item() == 0.0


def test_rescaled_codes_decode_to_the_same_data() -> None:
    torch.manual_seed(0)
    model = build("contractive-gan", SPEC, TINY["contractive-gan"])
    x = 3.0 * torch.randn(64, 12) + 1.0
    with torch.no_grad():
        before = model.decode(model.encode(x))
        model._rescale(model.encode(x))  # type: ignore[operator]
        z = model.encode(x)
        torch.testing.assert_close(model.decode(z), before, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(z.mean(0), torch.zeros(8), rtol=0, atol=1e-4)
    torch.testing.assert_close(z.std(0), torch.ones(8), rtol=1e-3, atol=1e-3)


def test_the_adversary_of_a_vq_gan_pulls_as_hard_as_asked() -> None:
    torch.manual_seed(0)
    settings = TINY["vq-gan"] | {"strength": 0.5, "autoencoder": TINY["gan"] | {"model": "autoencoder"}}
    settings["autoencoder"] = {"model": "autoencoder", "latent_dim": 4, "width": 8, "feature_weight": 0.0}
    model = build("vq-gan", SPEC, settings | {"autoencoder": settings["autoencoder"] | {"code_noise": 0.0}})
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    terms = model.loss("autoencode", {"x": torch.randn(16, 12)})
    last = [p for p in model.get_submodule("autoencoder.decoder").parameters() if p.ndim > 1][-1]
    pull = {
        name: float(torch.autograd.grad(terms[name].value * terms[name].weight, last, retain_graph=True)[0].norm())
        for name in ("reconstruction", "adversarial")
    }
    assert pull["adversarial"] == pytest.approx(0.5 * pull["reconstruction"], rel=0.02)


def test_soft_introvae_sets_encoder_and_decoder_against_each_other() -> None:
    torch.manual_seed(0)
    model = build("soft-introvae", SPEC, TINY["soft-introvae"] | {"beta_neg": 4.0})
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    batch = {"x": torch.randn(64, 12)}
    encoder, decoder = model.loss("encoder-discriminator", batch), model.loss("decoder", batch)
    weight = model.get_submodule("encoder.head").weight
    torch.manual_seed(1)
    fake = model.decode(torch.randn(64, model.noise_dim)).detach()
    mu, logvar = model._posterior(fake)  # type: ignore[operator]
    kl = (0.5 * (mu.square() + logvar.exp() - 1 - logvar)).sum(1).mean()
    of_kl = torch.autograd.grad(kl, weight, retain_graph=True)[0]
    of_term = torch.autograd.grad(encoder["sampled"].value * encoder["sampled"].weight, weight)[0]
    # The encoder raises the divergence of what is generated; the decoder lowers it.
    assert float((of_kl * of_term).sum()) < 0
    assert decoder["kl-sampled"].weight > 0
