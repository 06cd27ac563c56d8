"""The contractive autoencoder's own: which terms there are, and that recoding is no way out of the penalty."""

from __future__ import annotations

import pytest
import torch

from aegan.errors import ConfigError
from aegan.losses import jacobian_exact, weight_l1, weight_l2
from aegan.models.autoencoders.contractive import Contractive, ContractiveConfig, spread_of
from aegan.models.registry import build
from aegan.types import Spec

SPEC = Spec(kind="vector", shape=(5,))


def made(**settings) -> Contractive:
    torch.manual_seed(0)
    model = Contractive(SPEC, ContractiveConfig(latent_dim=3, width=4, blocks=1, **settings))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return model


def batch() -> dict[str, torch.Tensor]:
    return {"x": torch.randn(16, 5, generator=torch.Generator().manual_seed(1))}


ALL = {"weight": 0.1, "decoder_weight": 0.2, "weight_l1": 0.3, "weight_l2": 0.4, "form": "exact"}


def test_a_weight_of_zero_leaves_the_term_out() -> None:
    off = dict.fromkeys(("weight", "decoder_weight", "weight_l1", "weight_l2"), 0.0)
    assert set(made(**off).loss("autoencode", batch())) == {"reconstruction"}
    names = {"weight": "contraction", "decoder_weight": "decoder_contraction"}
    for setting in off:
        terms = made(**off | {setting: 0.5}).loss("autoencode", batch())
        assert set(terms) == {"reconstruction", names.get(setting, setting)}
        assert terms[names.get(setting, setting)].weight == 0.5


def test_terms_are_what_they_say() -> None:
    model, x = made(**ALL, units="raw"), batch()["x"].requires_grad_(True)
    terms = model.loss("autoencode", batch())
    z = model.encode(x)
    assert terms["contraction"].value.item() == pytest.approx(jacobian_exact(z, x).item(), rel=1e-5)
    assert terms["decoder_contraction"].value.item() == pytest.approx(
        jacobian_exact(model.decoder(z), z).item(), rel=1e-5
    )
    assert terms["weight_l1"].value.item() == pytest.approx(weight_l1(model.encoder).item())
    assert terms["weight_l2"].value.item() == pytest.approx(weight_l2(model.encoder).item())


def recoded(model: Contractive, matrix: torch.Tensor) -> Contractive:
    """Codes times ``matrix``, and a decoder that undoes it."""
    with torch.no_grad():
        model.encoder.head.weight.copy_(matrix @ model.encoder.head.weight)
        model.encoder.head.bias.copy_(matrix @ model.encoder.head.bias)
        model.decoder.stem.weight.copy_(model.decoder.stem.weight @ torch.linalg.inv(matrix))
    return model


@pytest.mark.parametrize("units", ["whitened", "spread", "raw"])
def test_a_recoding_that_the_decoder_undoes_is_no_way_out(units: str) -> None:
    settings = ALL | {"units": units}
    first = made(**settings).loss("autoencode", batch())
    shorter, uneven = 0.1 * torch.eye(3), torch.tensor([[3.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.5, 0.5]])
    for matrix, invariant in ((shorter, units != "raw"), (uneven, units == "whitened")):
        again = recoded(made(**settings), matrix).loss("autoencode", batch())
        assert again["reconstruction"].value.item() == pytest.approx(first["reconstruction"].value.item(), rel=1e-4)
        for name in ("contraction", "decoder_contraction"):
            ratio = again[name].value.item() / first[name].value.item()
            assert (abs(ratio - 1) < 0.05) is invariant, (name, ratio)  # the ridge is not invariant, but small


@pytest.mark.parametrize("units", ["whitened", "spread", "raw"])
def test_the_gradient_does_not_pull_at_the_scale_of_codes(units: str) -> None:
    model = made(**ALL, units=units)
    weight = model.encoder.head.weight
    (pull,) = torch.autograd.grad(model.loss("autoencode", batch())["contraction"].value, weight)
    along = (pull * weight).sum().abs() / (pull.norm() * weight.norm())
    assert (along.item() < 1e-4) is (units != "raw")


def test_whitened_units_are_those_of_codes_with_unit_covariance() -> None:
    z = torch.randn(4000, 3) @ torch.tensor([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.3, 0.5]])
    spread = spread_of(z, "whitened")
    assert spread is not None and spread_of(z, "raw") is None
    torch.testing.assert_close(torch.linalg.solve(spread, z.T).cov(), torch.eye(3), atol=0.03, rtol=0)
    few = spread_of(torch.randn(2, 64), "whitened")  # fewer samples than codes
    assert few is not None and bool(torch.isfinite(torch.linalg.inv(few)).all())


def test_bf16_gives_about_the_same_terms_and_gradients() -> None:
    model, found = made(**ALL), []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            terms = model.loss("autoencode", batch())
        total = torch.stack([t.value * t.weight for t in terms.values()]).sum()
        gradient = torch.autograd.grad(total, list(model.parameters()))
        assert all(t.value.dtype == torch.float32 for t in terms.values())
        found.append(([t.value.item() for t in terms.values()], torch.cat([g.flatten() for g in gradient])))
    assert found[1][0] == pytest.approx(found[0][0], rel=0.05)
    assert torch.cosine_similarity(found[0][1], found[1][1], dim=0) > 0.98


def test_it_serves_as_the_autoencoder_of_a_hybrid() -> None:
    settings = {"autoencoder": {"model": "contractive", "latent_dim": 3, "width": 4, "blocks": 1}}
    model = build("latent-gan", SPEC, settings)
    model.requires_grad_(True)
    phase = model.stages[0].phases[0]
    assert "contraction" in model.loss(phase.name, batch())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"weight": -1.0}, "weight: a number of at least 0"),
        ({"decoder_weight": float("inf")}, "decoder_weight: a number of at least 0"),
        ({"weight_l2": -0.1}, "weight_l2: a number of at least 0"),
        ({"form": "hutchinson"}, "form: unknown value"),
        ({"units": "metres"}, "units: unknown value"),
        ({"probes": 0}, "probes: a whole number of at least 1"),
        ({"batch_size": 1}, "units=raw"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ContractiveConfig(**settings)
    ContractiveConfig(batch_size=1, units="raw")
