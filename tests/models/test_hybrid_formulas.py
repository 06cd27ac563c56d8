"""What each hybrid's losses are made of, written out from its paper and compared at the same random draws."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.conftest import TINY
from torch import Tensor, nn
from torch.nn.functional import softplus

from aegan.data.base import TensorData
from aegan.models.base import Model
from aegan.models.hybrids.ebgan import pulling_away
from aegan.models.registry import build
from aegan.types import Spec, Term

SPEC = Spec(kind="vector", shape=(12,))
B, D = 8, 8
"""Samples, and values of a code in ``TINY``."""


def made(name: str, **settings: Any) -> Model:
    """A model whose branches that start at zero have weights."""
    torch.manual_seed(0)
    model = build(name, SPEC, TINY[name] | settings)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return model


def part(model: Model, name: str) -> Any:
    return getattr(model, name)


def data() -> Tensor:
    return torch.randn(B, 12, generator=torch.Generator().manual_seed(1))


def loss(model: Model, phase: str, x: Tensor) -> dict[str, Term]:
    """The terms, with draws that ``torch.manual_seed(2)`` begins anew."""
    torch.manual_seed(2)
    return model.loss(phase, {"x": x})


def same(found: Term, wanted: Tensor, weight: float = 1.0) -> None:
    assert found.value.item() == pytest.approx(wanted.item(), rel=1e-4, abs=1e-6)
    assert found.weight == pytest.approx(weight)


def reached(term: Term, model: Model, *networks: str) -> set[str]:
    """Which of the networks a term's gradient reaches."""

    def any_of(network: nn.Module) -> bool:
        learnt = list(network.parameters())
        found = torch.autograd.grad(term.value, learnt, retain_graph=True, allow_unused=True)
        return any(g is not None and bool(g.any()) for g in found)

    return {name for name in networks if any_of(part(model, name))}


# VAE-GAN (arXiv 1512.09300)


def test_vae_gan_tells_data_from_reconstructions_and_samples_at_half_weight_each() -> None:
    model, x = made("vae-gan", gamma=0.0), data()
    terms = loss(model, "discriminator", x)
    torch.manual_seed(2)
    mu, logvar = part(model, "encoder")(x).chunk(2, 1)
    z = mu + torch.exp(0.5 * logvar) * torch.randn(B, D)
    again, sampled = model.decode(z[: B // 2]), model.decode(torch.randn(B // 2, D))
    real, of_again, of_sampled = (model.judge(at, None) for at in (x, again, sampled))
    wanted = softplus(-real).mean() + 0.5 * softplus(of_again).mean() + 0.5 * softplus(of_sampled).mean()
    same(terms["adversarial"], wanted)
    assert set(terms) == {"adversarial"}
    assert not reached(terms["adversarial"], model, "encoder", "decoder")


def test_vae_gan_reconstructs_in_features_and_keeps_the_adversary_from_the_encoder() -> None:
    model, x = made("vae-gan", feature_weight=2.0, pixel_weight=0.5, beta=0.3, adversarial_weight=0.7), data()
    terms = loss(model, "autoencode", x)
    torch.manual_seed(2)
    mu, logvar = part(model, "encoder")(x).chunk(2, 1)
    z = mu + torch.exp(0.5 * logvar) * torch.randn(B, D)
    x_hat, sampled = model.decode(z), model.decode(torch.randn(B // 2, D))
    unit = lambda h: h / (h.square().mean(1, keepdim=True) + 1e-4).sqrt()  # noqa: E731
    trunk = part(model, "discriminator").trunk
    pairs = zip(trunk.maps(x_hat), trunk.maps(x), strict=True)
    same(terms["features"], torch.stack([(unit(a) - unit(b)).square().mean() for a, b in pairs]).sum(), 2.0)
    same(terms["reconstruction"], (x_hat - x).square().mean(), 0.5)
    same(terms["kl"], 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(1).mean(), 0.3)
    fooled = [softplus(-model.judge(at, None)).mean() for at in (x_hat[: B // 2], sampled)]
    same(terms["adversarial"], 0.5 * (fooled[0] + fooled[1]), 0.7)
    assert reached(terms["adversarial"], model, "encoder", "decoder") == {"decoder"}
    assert reached(terms["features"], model, "encoder", "decoder") == {"encoder", "decoder"}


# Warm start (arXiv 2002.02112, 1803.09655)


def _prepared(model: Model, x: Tensor) -> None:
    model.prepare("adversarial", TensorData(x=x), lambda samples: model.encode(x).detach())


def test_a_warm_start_begins_with_the_autoencoders_own_networks() -> None:
    model, x = made("warm-start-gan"), torch.randn(64, 12)
    encoder, judge = part(model, "autoencoder").encoder, part(model, "discriminator")
    _prepared(model, x)
    assert part(model, "decoder") is part(model, "autoencoder").decoder
    trunk = encoder.trunk.state_dict()
    assert all(torch.equal(v, trunk[k]) for k, v in judge.trunk.state_dict().items())
    # Noise goes through the codes' mean and covariance: what is generated first has codes as data have.
    noise, z = torch.randn(5, D), model.encode(x)
    root = part(model, "whitening").inverse_matrix
    torch.testing.assert_close(root.T @ root, torch.cov(z.T), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model.generate(noise, None), part(model, "decoder")(noise @ root + z.mean(0)))


def test_a_resumed_warm_start_keeps_what_its_discriminator_has_learnt() -> None:
    model = made("warm-start-gan")
    before = {k: v.clone() for k, v in part(model, "discriminator").state_dict().items()}
    model.stage_step = 3
    _prepared(model, torch.randn(64, 12))
    assert all(torch.equal(v, before[k]) for k, v in part(model, "discriminator").state_dict().items())


@pytest.mark.parametrize(("step", "left"), [(0, 1.0), (100, 0.5), (300, 0.125)])
def test_the_anchor_of_a_warm_start_halves(step: int, left: float) -> None:
    plain = TINY["warm-start-gan"]["autoencoder"] | {"code_noise": 0.0, "feature_weight": 0.0}
    model, x = made("warm-start-gan", autoencoder=plain, anchor=4.0, anchor_half_life=100.0), data()
    model.stage_step = step
    terms = loss(model, "generator", x)
    same(terms["reconstruction"], (model.decode(model.encode(x)) - x).square().mean(), 4.0 * left)
    assert terms["adversarial"].weight == 1.0


# Latent GAN, correcting form


def test_a_correcting_generator_is_the_identity_at_the_start() -> None:
    settings = {"form": "correcting", "whiten": False, "hidden": 16, "depth": 1}
    model = build("latent-gan", SPEC, TINY["latent-gan"] | {"latent": settings})
    noise = torch.randn(5, model.noise_dim)
    assert torch.equal(model.generate_codes(noise, None), noise)
    assert torch.equal(model.generate(noise, None), model.decode(noise))


# Contractive GAN


def _jacobian_norms(function: Any, at: Tensor) -> Tensor:
    """‖∂f/∂x‖² ``(B,)``, by a backward pass for each output."""
    at = at.detach().requires_grad_()
    out = function(at)
    rows = [torch.autograd.grad(out[:, i].sum(), at, retain_graph=True)[0] for i in range(out.shape[1])]
    return torch.stack(rows, 1).square().sum((1, 2))


def test_both_contractions_are_those_of_the_whole_jacobian() -> None:
    # A code of one value has but one row of its Jacobian: the probe, which is 1 or -1 there, is exact.
    own = TINY["contractive-gan"]["autoencoder"] | {"latent_dim": 1}
    model = made("contractive-gan", autoencoder=own, encoder_contraction=0.3, generator_contraction=0.2)
    x = torch.randn(2048, 12)
    terms = loss(model, "generator", x)
    torch.manual_seed(2)
    noise = torch.randn(2048, 1)
    same(terms["contraction"], _jacobian_norms(model.encode, x).mean(), 0.3)
    # Of the 12 values of the data random signs are taken, so that the mean alone agrees.
    wanted = _jacobian_norms(model.decode, noise).mean() / 12
    assert terms["generator-contraction"].value.item() == pytest.approx(wanted.item(), rel=0.1)
    assert terms["generator-contraction"].weight == 0.2


def test_a_contractive_gan_goes_on_paying_only_where_it_has_a_weight() -> None:
    model = made("contractive-gan", encoder_contraction=0.0, generator_contraction=0.0)
    assert not {"contraction", "generator-contraction"} & set(loss(model, "generator", data()))


# EBGAN (arXiv 1609.03126)


def test_ebgan_raises_energies_up_to_the_margin_and_no_further() -> None:
    model, x = made("ebgan"), data()
    torch.manual_seed(2)
    fake = model.generate(torch.randn(B, D), None)
    energy = lambda at: (model.decode(model.encode(at)) - at).square().mean(1)  # noqa: E731
    margin = energy(fake).median().item()
    model = made("ebgan", margin=margin, pulling_away=0.4)
    terms = loss(model, "discriminator", x)
    assert 0 < (energy(fake) > margin).sum() < B
    same(terms["reconstruction"], energy(x).mean())
    same(terms["adversarial"], (margin - energy(fake)).clamp(min=0).mean())
    terms = loss(model, "generator", x)
    same(terms["adversarial"], energy(fake).mean())
    same(terms["pulling-away"], pulling_away(model.encode(fake)), 0.4)


def test_pulling_away_is_the_mean_squared_cosine_of_every_pair() -> None:
    codes = torch.randn(5, 3, generator=torch.Generator().manual_seed(3))
    cosines = [
        float(a @ b / (a.norm() * b.norm())) ** 2 for i, a in enumerate(codes) for j, b in enumerate(codes) if i != j
    ]
    assert pulling_away(codes).item() == pytest.approx(sum(cosines) / (5 * 4), rel=1e-4)


# MDGAN (arXiv 1612.02136)


def test_mdgan_has_one_adversary_on_the_manifold_and_one_for_the_noise() -> None:
    model, x = made("mdgan", gamma=0.0, mode_weight=0.3, reconstruction_weight=0.6), data()
    torch.manual_seed(2)
    again, fake = model.decode(model.encode(x)), model.generate(torch.randn(B, D), None)
    manifold = lambda at: part(model, "manifold_discriminator")(at, None)  # noqa: E731
    diffusion = lambda at: part(model, "diffusion_discriminator")(at, None)  # noqa: E731
    terms = loss(model, "discriminator", x)
    same(terms["manifold-adversarial"], softplus(manifold(again) - manifold(x)).mean())
    same(terms["diffusion-adversarial"], softplus(diffusion(fake) - diffusion(again)).mean())
    terms = loss(model, "generator", x)
    same(terms["adversarial"], softplus(diffusion(again) - diffusion(fake)).mean())
    same(terms["manifold"], softplus(manifold(x) - manifold(again)).mean(), 0.3)
    same(terms["reconstruction"], (again - x).square().mean(), 0.6)
    # The diffusion draws noise towards reconstructions, not these towards it.
    assert reached(terms["adversarial"], model, "encoder", "generator") == {"generator"}
    assert reached(terms["manifold"], model, "encoder", "generator") == {"encoder", "generator"}


# ALAE (arXiv 2004.04467)


def test_alae_takes_turns_as_its_paper_does() -> None:
    model, x = made("alae", gamma=0.0, code_weight=0.5, data_weight=0.25), data()
    phases = {phase.name: phase.networks for phase in model.stages[0].phases}
    assert phases == {
        "discriminator": ("encoder", "discriminator"),
        "generator": ("mapping", "generator"),
        "reciprocity": ("encoder", "generator"),
    }
    torch.manual_seed(2)
    w = part(model, "mapping")(torch.randn(B, D), None)
    fake = part(model, "generator")(w)
    judge = lambda at: part(model, "discriminator")(part(model, "encoder")(at), None)  # noqa: E731
    everything = ("mapping", "generator", "encoder", "discriminator")
    terms = loss(model, "discriminator", x)
    same(terms["adversarial"], softplus(judge(fake) - judge(x)).mean())
    assert reached(terms["adversarial"], model, *everything) == {"encoder", "discriminator"}
    terms = loss(model, "generator", x)
    same(terms["adversarial"], softplus(judge(x) - judge(fake)).mean())
    terms = loss(model, "reciprocity", x)
    same(terms["code"], (part(model, "encoder")(fake) - w).square().mean(), 0.5)
    same(terms["reconstruction"], (model.decode(model.encode(x)) - x).square().mean(), 0.25)
    assert reached(terms["code"], model, *everything) == {"generator", "encoder"}


def test_alae_without_errors_of_codes_and_data_has_two_phases() -> None:
    model = made("alae", code_weight=0.0, data_weight=0.0)
    assert [phase.name for phase in model.stages[0].phases] == ["discriminator", "generator"]


# BiGAN and ALI (arXiv 1605.09782, 1606.00704)


@pytest.mark.parametrize("stochastic", [False, True])
def test_bigan_judges_data_beside_their_codes_and_samples_beside_their_noise(stochastic: bool) -> None:
    model, x = made("bigan", stochastic=stochastic, gamma=0.7, reconstruction_weight=0.5), data()
    torch.manual_seed(2)
    out = part(model, "encoder")(x)
    code = out
    if stochastic:
        mu, logvar = out.chunk(2, 1)
        code = mu + torch.exp(0.5 * logvar.clamp(-10, 2)) * torch.randn(B, D)  # no wider than e
    noise = torch.randn(B, D)
    fake, judge = part(model, "generator")(noise), part(model, "discriminator")
    terms = loss(model, "discriminator", x)
    same(terms["adversarial"], softplus(judge(fake, noise) - judge(x, code)).mean())
    for name, pair in (("r1", (x, code)), ("r2", (fake, noise))):
        leaves = [t.detach().requires_grad_() for t in pair]
        slopes = torch.autograd.grad(judge(*leaves).sum(), leaves)
        same(terms[name], 0.5 * torch.cat(slopes, 1).square().sum(1).mean(), 0.7)
    terms = loss(model, "generator", x)
    same(terms["adversarial"], softplus(judge(x, code) - judge(fake, noise)).mean())
    same(terms["reconstruction"], (part(model, "generator")(code) - x).square().mean(), 0.5)
    assert reached(terms["adversarial"], model, "encoder", "generator") == {"encoder", "generator"}


# Adversarial autoencoder (arXiv 1511.05644)


def test_an_adversarial_autoencoder_takes_the_prior_for_real_and_codes_for_fake() -> None:
    plain = TINY["adversarial-autoencoder"]["autoencoder"] | {"code_noise": 0.0}
    model, x = made("adversarial-autoencoder", autoencoder=plain, gamma=0.0, weight=0.2), data()
    z, judge = model.encode(x), lambda at: part(model, "latent_discriminator")(at, None)
    terms = loss(model, "latent-discriminator", x)
    torch.manual_seed(2)
    same(terms["adversarial"], softplus(-judge(torch.randn(B, D))).mean() + softplus(judge(z)).mean())
    assert not reached(terms["adversarial"], model, "encoder")
    terms = loss(model, "encoder", x)
    same(terms["adversarial"], softplus(-judge(z)).mean(), 0.2)
    same(loss(model, "autoencode", x)["reconstruction"], (model.decode(z) - x).square().mean())
    assert torch.equal(model.generate(z, None), model.decode(z))
