"""One suite over every registered model."""

from __future__ import annotations

import copy

import pytest
import torch
from tests.conftest import VARIANTS, bars

from aegan.config import TrainConfig, to_json
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.models.base import Model, in_blocks, noise_for
from aegan.models.registry import MODELS, build
from aegan.train.fabric import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec

SPECS = {
    "grey": Spec(kind="image", shape=(1, 8, 8)),
    "labelled": Spec(kind="image", shape=(1, 8, 8), classes=("across", "down")),
    "colour-odd": Spec(kind="image", shape=(3, 13, 10), classes=("a", "b")),
    "alpha-wide": Spec(kind="image", shape=(4, 20, 33)),
    # Longer than TINY's codes: a plain autoencoder that compresses nothing warns of it.
    "vector": Spec(kind="vector", shape=(9,)),
    "labelled-vector": Spec(kind="vector", shape=(12,), classes=("a", "b")),
}
SLOW = ("began", "ebgan", "alae", "latent-gan, correcting")
"""Whose codes come late: the first three learn at lower rates, the last has few steps for its autoencoder."""
CASES = [(name, spec) for name in VARIANTS for spec in SPECS if SPECS[spec].kind in MODELS[VARIANTS[name][0]].kinds]


def made(name: str, spec: Spec, seed: int = 0) -> Model:
    torch.manual_seed(seed)
    return build(VARIANTS[name][0], spec, VARIANTS[name][1])


def data_for(spec: Spec, n: int = 32) -> TensorData:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (n, *spec.shape), generator=generator, dtype=torch.uint8)
    if spec.kind == "vector":
        x = torch.randn(n, *spec.shape, generator=generator)
    return TensorData(x=x, y=torch.arange(n) % 2) if spec.classes else TensorData(x=x)


def trained(name: str, spec: Spec, steps: int = 9, data: TensorData | None = None, seed: int = 0) -> Model:
    model = made(name, spec, seed)
    config = TrainConfig(steps=steps, seed=seed, grids=0)
    Trainer(model, data or data_for(spec), config, Backend("cpu", "fp32")).fit()
    return model.eval()


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_shapes_and_types(name: str, spec: str) -> None:
    model = made(name, SPECS[spec])
    x = data_for(SPECS[spec]).batch(torch.arange(5))["x"]
    if model.code_dim:
        z = model.encode(x)
        assert z.shape == (5, model.code_dim) and z.dtype == torch.float32
        assert model.decode(z).shape == x.shape
    else:
        with pytest.raises(ConfigError, match="Use an autoencoder or a hybrid"):
            model.encode(x)
    if model.noise_dim:
        y = torch.tensor([0, 1, 0, 1, 0]) if SPECS[spec].classes else None
        sample = model.generate(torch.randn(5, model.noise_dim), y)
        assert sample.shape == x.shape and bool(torch.isfinite(sample).all())


@pytest.mark.parametrize("name", VARIANTS)
def test_phases_name_networks_that_exist(name: str) -> None:
    model = made(name, SPECS["labelled"])
    names = [phase.name for stage in model.stages for phase in stage.phases]
    assert len(names) == len(set(names))
    for stage in model.stages:
        for phase in stage.phases:
            for network in phase.networks:
                assert isinstance(getattr(model, network), torch.nn.Module)


def _prepared(model: Model, stage: str, data: TensorData) -> TensorData:
    """What the trainer would train the stage on."""

    def encode(samples: TensorData) -> torch.Tensor:
        with torch.no_grad():
            return model.encode(samples.batch(torch.arange(len(samples)))["x"])

    return model.prepare(stage, data, encode)  # type: ignore[return-value]


@pytest.mark.parametrize("name", VARIANTS)
def test_each_phase_moves_its_own_networks_and_no_others(name: str) -> None:
    spec = SPECS["labelled"]
    data = data_for(spec)
    for stage in made(name, spec).stages:
        for phase in stage.phases:
            model = made(name, spec)
            # Branches that start at zero pass no gradient on at first: give every weight a value.
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(0.05 * torch.randn_like(p))
            samples = _prepared(model, stage.name, data)
            before = copy.deepcopy(model.state_dict())
            own = {f"{n}.{k}" for n in phase.networks for k, _ in getattr(model, n).named_parameters()}
            own = {_full_name(model, key) for key in own}
            model.requires_grad_(False)
            parameters = [p for n in phase.networks for p in getattr(model, n).parameters()]
            for p in parameters:
                p.requires_grad_(True)
            terms = model.loss(phase.name, samples.batch(torch.arange(16)))
            sum(t.value * t.weight for t in terms.values()).backward()  # type: ignore[union-attr]
            lacking = [k for k, p in model.named_parameters() if k in own and p.grad is None]
            assert not lacking, f"{phase.name}: no gradient reaches {lacking}"
            torch.optim.SGD(parameters, lr=0.1).step()
            moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
            # Statistics kept in buffers may move in the loss, those of the phase's own networks alone.
            parts = tuple(f"{n}." for n in phase.networks)
            moved -= {k for k, _ in model.named_buffers() if k.startswith(parts)}
            assert moved <= own, f"{phase.name} moved {moved - own}"
            assert moved, f"{phase.name} moved nothing"


def _full_name(model: Model, key: str) -> str:
    """Names such as ``decoder.x`` may be an alias of a part of another network."""
    head, _, rest = key.partition(".")
    wanted = dict(getattr(model, head).named_parameters())[rest]
    return next(name for name, p in model.named_parameters() if p is wanted)


@pytest.mark.parametrize("name", VARIANTS)
def test_same_seed_same_weights_and_another_seed_others(name: str) -> None:
    first, again, other = (trained(name, SPECS["labelled"], seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)


@pytest.mark.parametrize("name", VARIANTS)
def test_training_leaves_the_global_random_state_alone(name: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    model = made(name, SPECS["grey"])
    torch.manual_seed(5)
    Trainer(model, data_for(SPECS["grey"]), TrainConfig(steps=3, grids=0), Backend("cpu", "fp32")).fit()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("name", [n for n in VARIANTS if made(n, SPECS["labelled"]).noise_dim])
def test_samples_depend_on_seed_and_place_alone(name: str) -> None:
    model = trained(name, SPECS["labelled"])
    y = torch.arange(300) % 2
    whole = in_blocks(model.generate, noise_for(3, 300, model.noise_dim), y)
    few = in_blocks(model.generate, noise_for(3, 70, model.noise_dim), y[:70])
    assert torch.equal(whole[:70], few)
    assert bool(torch.isfinite(whole).all())


@pytest.mark.parametrize("name", [n for n in VARIANTS if made(n, SPECS["labelled"]).code_dim])
def test_reconstructions_beat_the_mean_image(name: str) -> None:
    pixels, labels = bars(256)
    x = torch.from_numpy(pixels)[:, None]
    data = TensorData(x=x, y=torch.from_numpy(labels))
    model = trained(name, SPECS["labelled"], steps=480 if name in SLOW else 240, data=data)
    real = data.batch(torch.arange(256))["x"]
    with torch.no_grad():
        error = (model.decode(model.encode(real)) - real).square().mean()
    assert error < 0.5 * (real - real.mean(0)).square().mean()


@pytest.mark.parametrize("name", MODELS)
def test_the_registry_tells_what_a_model_gives(name: str) -> None:
    model, entry = made(name, SPECS["labelled"]), MODELS[name]
    able = {"samples": model.noise_dim, "classes": model.noise_dim and model.conditional, "codes": model.code_dim}
    assert entry.gives == tuple(key for key, value in able.items() if value)
    assert entry.paper and entry.summary.endswith(".") and entry.kinds == type(model).kinds


@pytest.mark.parametrize("name", [n for n, e in MODELS.items() if e.family != "autoencoder"])
def test_a_discriminator_of_data_is_refused_on_discrete_data_by_the_name_of_what_works(name: str) -> None:
    spec = Spec(kind="vector", shape=(12,), likelihood="categorical")
    with pytest.raises(ConfigError) as caught:
        build(name, spec, VARIANTS["denoising-gan on data"][1] if name == "denoising-gan" else {})
    if MODELS[name].adversary == "data":
        assert "latent-gan" in str(caught.value) and "adversarial-autoencoder" in str(caught.value)


def test_an_unknown_kind_of_data_is_refused_with_the_models_that_can() -> None:
    with pytest.raises(ConfigError, match=r"gan models image, vector, got smell data\. No model"):
        build("gan", Spec(kind="smell", shape=(3,)), {})


@pytest.mark.parametrize("name", VARIANTS)
def test_settings_survive_json(name: str) -> None:
    model = made(name, SPECS["grey"])
    again = build(VARIANTS[name][0], SPECS["grey"], to_json(model.config))
    assert again.config == model.config
