"""Rows of tables in the autoencoder family: likelihoods by hand, draws from distributions, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tests.conftest import FIELDS, TABLE, TINY, rows

from aegan.errors import ConfigError
from aegan.losses import categorical_error
from aegan.losses.jacobian import jacobian_exact
from aegan.models.autoencoders.denoising import exchanged
from aegan.models.autoencoders.likelihood import elbo, log_density, log_likelihood
from aegan.models.registry import MODELS, build
from aegan.nn.backbone import decoder_for, denoiser_for, discriminator_for, encoder_for, joint_discriminator_for
from aegan.nn.rows import ABSENT, drawn, likeliest
from aegan.presets import settings
from aegan.types import Spec

SIZES = torch.tensor([field.size for field in FIELDS])


def _shaken(name: str, **more):
    torch.manual_seed(0)
    model = build(name, TABLE, TINY[name] | more)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return model


def test_cross_entropies_by_hand() -> None:
    # Probabilities 1/2, 1/4, 1/4 of the first field; 1/5, 4/5 of the second, which has no third value.
    logits = torch.tensor([[[2.0, 1.0, 1.0], [1.0, 4.0, 0.0]]]).log()
    logits[0, 1, 2] = ABSENT
    x = torch.tensor([[0.9, 1.2]])
    nats = math.log(2.0) + math.log(5 / 4)
    assert log_density("categorical", logits, x).tolist() == pytest.approx([-nats])
    assert categorical_error(logits, x).item() == pytest.approx(nats / 2)
    other = torch.tensor([[1.0, 0.0]])
    both = torch.cat([x, other])
    nats += math.log(4.0) + math.log(5.0)
    assert categorical_error(logits.expand(2, 2, 3), both).item() == pytest.approx(nats / 4)


def test_a_decoder_without_a_code_has_exact_bounds() -> None:
    class Constant:
        def posterior(self, x):
            return torch.zeros(len(x), 2), torch.zeros(len(x), 2)

        def log_density(self, x, z):
            return log_density("categorical", torch.tensor([[[3.0, 1.0], [1.0, 1.0]]]).log().expand(len(x), 2, 2), x)

    x = torch.tensor([[0.3, 1.6]])
    assert elbo(Constant(), x).item() == pytest.approx(math.log(3 / 8), rel=1e-5)
    assert log_likelihood(Constant(), x, samples=7).item() == pytest.approx(math.log(3 / 8), rel=1e-5)


def test_a_variational_model_records_the_bound_in_nats_of_a_row() -> None:
    model, x = _shaken("variational", output_std=0.3), rows(64)
    torch.manual_seed(1)
    terms = model.loss("autoencode", {"x": x})
    assert terms["reconstruction"].weight == terms["kl"].weight == 1 / len(FIELDS)
    torch.manual_seed(1)
    z = model.posterior(x)[0]
    z = z + (0.5 * model.posterior(x)[1]).exp() * torch.randn_like(z)
    out = model.decoder(z).log_softmax(2)
    by_hand = -out.gather(2, x.long()[..., None]).sum((1, 2)).mean()
    assert terms["reconstruction"].value.item() == pytest.approx(by_hand.item(), rel=1e-4)
    assert model.health(x).figures["elbo"] < 0


def test_logits_are_those_of_the_fields_own_values() -> None:
    torch.manual_seed(0)
    z, out = torch.randn(3, 4), decoder_for(TABLE, 4, width=2, blocks=1)
    logits = out(z).detach()
    own = torch.arange(7) < SIZES[:, None]
    assert logits.shape == (3, 5, 7) and bool((logits[:, ~own] == ABSENT).all()) and bool((logits[:, own] > -99).all())
    assert float(logits.softmax(2)[:, ~own].sum()) == 0.0
    assert torch.equal(logits.bfloat16().softmax(2)[:, ~own].sum(), torch.zeros((), dtype=torch.bfloat16))
    # Field by field as the last layer has them.
    h = torch.nn.functional.leaky_relu(out.layers(out.stem(z)), 0.2)
    assert torch.equal(logits[:, own], out.head(h))
    assert torch.equal(likeliest(logits).long(), logits.argmax(2)) and bool((likeliest(logits) % 1 == 0.5).all())


def test_the_encoder_does_not_see_the_place_within_a_value() -> None:
    encoder, x = encoder_for(TABLE, 4, width=2, blocks=1), rows(9)
    assert torch.equal(encoder(x), encoder(x.floor())) and not torch.equal(encoder(x), encoder(rows(9, seed=1)))


def test_draws_follow_the_distribution_and_leave_even_places() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    logits = torch.cat([logits, torch.tensor([ABSENT])]).expand(10_000, 1, 4)
    chance = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    x = drawn(logits, torch.special.ndtri(chance).float()[:, None]).squeeze(1)
    assert x.dtype == torch.float32 and bool((x.diff() >= 0).all())
    assert torch.bincount(x.long()).tolist() == pytest.approx([5000, 3000, 2000], abs=1)
    for k in range(3):
        within = x[x.long() == k] - k
        places = (torch.arange(len(within)) + 0.5) / len(within)
        assert torch.allclose(within, places, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("noise", [-40.0, -8.0, 8.0, 40.0])
def test_extreme_chances_stay_within_the_field(noise: float) -> None:
    x = drawn(decoder_for(TABLE, 4, width=2, blocks=1)(torch.randn(6, 4)), torch.full((6, 5), noise))
    assert bool((x.floor() == (SIZES - 1 if noise > 0 else 0 * SIZES)).all()) and bool((x >= 0).all())
    large = drawn(torch.zeros(1, 1, 5000), torch.full((1, 1), noise))
    assert large.long().item() == (4999 if noise > 0 else 0)


@pytest.mark.parametrize("name", ["variational", "wasserstein", "adversarial-autoencoder", "denoising-gan"])
def test_the_last_of_the_noise_picks_values_and_the_rest_makes_the_code(name: str) -> None:
    model = _shaken(name)
    assert model.draw_dim == len(FIELDS)
    noise = torch.randn(1, model.noise_dim).expand(4000, -1).clone()
    noise[:, -model.draw_dim :] = torch.randn(4000, model.draw_dim)
    with torch.no_grad():
        x = model.generate(noise, None)
        assert len(x.long().unique(dim=0)) > 20
        if name in ("variational", "wasserstein"):
            # One code: each field as often as its head says, the fields on their own.
            p = model.decoder(noise[:1, : model.code_dim]).softmax(2)[0]
            for j, size in enumerate(SIZES.tolist()):
                seen = torch.bincount(x[:, j].long(), minlength=size) / 4000
                assert torch.allclose(seen, p[j, :size], atol=0.04)
        noise[:, -model.draw_dim :] = 0.0
        assert len(model.generate(noise, None).unique(dim=0)) == 1


def test_codes_of_latent_gan_are_drawn_too_and_its_spread_is_of_codes_alone() -> None:
    model = build("latent-gan", TABLE, TINY["latent-gan"] | {"joint": {"share": 0.0}})
    assert model.noise_dim == 8 + len(FIELDS) and not hasattr(model, "discriminator")
    assert [stage.name for stage in model.stages] == ["autoencoder", "latent"]
    noise = torch.zeros(50, model.noise_dim)
    noise[:, 8:] = torch.randn(50, len(FIELDS))
    with torch.no_grad():
        before = model.generate(noise, None)
        model.spread.fill_(1.25)
        assert torch.equal(model.generate(noise, None), before)


def test_masked_rows_keep_each_columns_values() -> None:
    torch.manual_seed(0)
    x = rows(2000)
    hit = exchanged(x, 0.5)
    changed = (hit != x).float().mean(0)
    assert bool((changed > 0.45).all()) and bool((changed < 0.55).all())
    for column, before in zip(hit.T, x.T, strict=True):
        assert bool(torch.isin(column, before).all())
    assert torch.equal(exchanged(x, 0.0), x)


def test_contraction_cannot_be_lowered_by_longer_vectors() -> None:
    model, x = _shaken("contractive", form="exact", units="raw"), rows(16)
    before = model.loss("autoencode", {"x": x})["contraction"].value
    trunk = model.encoder.trunk
    with torch.no_grad():
        trunk.embedding.values.weight.mul_(5.0)
        trunk.stem.weight.div_(5.0)
    assert model.loss("autoencode", {"x": x})["contraction"].value.item() == pytest.approx(before.item(), rel=1e-4)
    # By hand: the Jacobian with respect to the vectors, each field's times its deviation over the batch.
    vectors = trunk.embedding(x).detach().requires_grad_(True)
    z = model.encoder.from_maps(trunk.maps(vectors))
    deviation = (vectors - vectors.mean(0)).square().mean((0, 2)).sqrt()
    units = torch.diag(deviation.detach().repeat_interleave(vectors.shape[2]))
    assert jacobian_exact(z, vectors, right=units).item() == pytest.approx(before.item(), rel=1e-4)


def test_a_column_of_one_value_does_no_harm() -> None:
    spec = Spec(kind="table", shape=(2,), likelihood="categorical", fields=(replace(FIELDS[0], size=1), FIELDS[1]))
    x = torch.tensor([[0.5, 2.5], [0.5, 1.5]])
    for name in ("contractive", "variational"):
        terms = build(name, spec, TINY[name]).loss("autoencode", {"x": x})
        assert all(bool(torch.isfinite(term.value)) for term in terms.values())


@pytest.mark.parametrize("error", ["squared", "absolute", "bernoulli"])
def test_values_of_a_table_are_no_amounts(error: str) -> None:
    with pytest.raises(ConfigError, match=f"error={error}: the values of a table's.*Set error=categorical"):
        build("variational", TABLE, {"error": error})


def test_a_categorical_error_needs_fields() -> None:
    with pytest.raises(ConfigError, match="error=categorical: a categorical likelihood needs a table"):
        build("variational", Spec(kind="vector", shape=(3,)), {"error": "categorical"})
    with pytest.raises(ConfigError, match="a field for each value of a row expected, got shape .3,. and 5 fields"):
        build("variational", replace(TABLE, shape=(3,)), {})


@pytest.mark.parametrize("corruption", ["gaussian", "salt-and-pepper"])
def test_noise_on_names_is_refused(corruption: str) -> None:
    with pytest.raises(ConfigError, match=f"corruption={corruption}.*Set corruption=masking"):
        build("denoising", TABLE, {"corruption": corruption})
    with pytest.raises(ConfigError, match="amount: with masking a part of the values, 0 to 1, expected, got 2.0"):
        build("denoising", TABLE, {"amount": 2.0})


def test_networks_that_look_at_rows_are_refused_by_the_name_of_what_works() -> None:
    size = {"width": 2, "blocks": 1}
    for make in (
        lambda: discriminator_for(TABLE, **size),
        lambda: joint_discriminator_for(TABLE, 3, **size),
        lambda: denoiser_for(TABLE, 3, **size),
    ):
        with pytest.raises(ConfigError, match="latent-gan with joint.share=0, adversarial-autoencoder or"):
            make()


@pytest.mark.parametrize("name", [n for n, e in MODELS.items() if "table" in e.kinds])
@pytest.mark.parametrize("samples", [40, 5_000])
def test_every_models_preset_for_tables_can_be_built(name: str, samples: int) -> None:
    model = build(name, TABLE, settings(name, TABLE, samples))
    assert model.stages[0].batch_size >= 32
    if MODELS[name].family == "hybrid":
        assert model.config.autoencoder.model == "variational"
