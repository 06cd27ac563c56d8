"""One suite over every registered model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.conftest import (
    FIELDS,
    OF_SERIES,
    OF_TABLES,
    OF_TEXTS,
    SERIES,
    TABLE,
    TEXT,
    VARIANTS,
    bars,
    rows,
    tokens,
    waves,
)

from aegan.config import TrainConfig, to_json
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.models.base import Model, in_blocks, noise_for
from aegan.models.registry import MODELS, build
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec

SPECS = {
    "grey": Spec(kind="image", shape=(1, 8, 8)),
    "labelled": Spec(kind="image", shape=(1, 8, 8), classes=("across", "down")),
    "colour-odd": Spec(kind="image", shape=(3, 13, 10), classes=("a", "b")),
    "alpha-wide": Spec(kind="image", shape=(4, 20, 33)),
    "stereo": Spec(kind="audio", shape=(2, 16, 24), classes=("a", "b")),
    # Longer than TINY's codes: a plain autoencoder that compresses nothing warns of it.
    "vector": Spec(kind="vector", shape=(9,)),
    "labelled-vector": Spec(kind="vector", shape=(12,), classes=("a", "b")),
    "table": TABLE,
    "labelled-table": replace(TABLE, classes=("a", "b")),
    "text": TEXT,
    "labelled-text": replace(TEXT, classes=("a", "b")),
    "series": SERIES,
    "labelled-series": replace(SERIES, classes=("a", "b")),
    "seasonal-series": replace(SERIES, seasons=(4.0, 7.5)),
}
SLOW = ("began", "ebgan", "alae", "latent-gan, correcting", "autoregressive")
"""Whose codes come late: the first three learn at lower rates, the last two have few steps for them."""
ALL = VARIANTS | {name: (name, settings) for name, settings in (OF_TABLES | OF_SERIES).items()} | OF_TEXTS
NOT_OF_TABLES = ("denoising-gan on data",)
"""Forms of models that are for tables by other settings."""
CASES = [
    (name, spec)
    for name in ALL
    for spec in SPECS
    if SPECS[spec].kind in MODELS[ALL[name][0]].kinds
    and not (SPECS[spec].discrete and name in NOT_OF_TABLES)
    and (SPECS[spec].kind == "text") == (name in OF_TEXTS)
    and (spec != "seasonal-series" or name in OF_SERIES)
]
PAIRS = [
    (name, spec)
    for name, spec in CASES
    if spec in ("labelled", "table", "text", "seasonal-series")
    or (spec == "series" and (ALL[name][0] in OF_SERIES or MODELS[ALL[name][0]].adversary == "data"))
]
"""Every model on images, every one that can on rows and text; of series those alone, and adversaries of data."""


def spec_for(name: str) -> Spec:
    """What a model is tried on where one kind of data is enough."""
    kinds = MODELS[ALL[name][0]].kinds
    return SPECS["labelled-text" if name in OF_TEXTS else "labelled" if "image" in kinds else kinds[0]]


def made(name: str, spec: Spec, seed: int = 0) -> Model:
    torch.manual_seed(seed)
    settings = ALL[name][1]
    if spec.discrete and ALL[name][0] == "latent-gan":
        settings = settings | {"joint": {"share": 0.0}}
    return build(ALL[name][0], spec, settings)


def data_for(spec: Spec, n: int = 32) -> TensorData:
    if spec.kind == "table":
        x = rows(n)
        return TensorData(x=x, y=torch.arange(n) % 2) if spec.classes else TensorData(x=x)
    if spec.kind == "text":
        x = tokens(n)
        return TensorData(x=x, y=torch.arange(n) % 2) if spec.classes else TensorData(x=x)
    if spec.kind == "series":
        x = waves(n, *spec.shape)
        if spec.seasons:
            return TensorData(x=x, place=3 * torch.arange(n))
        return TensorData(x=x, y=torch.arange(n) % 2) if spec.classes else TensorData(x=x)
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
        assert SPECS[spec].kind != "table" or _are_rows(sample)
        assert SPECS[spec].kind != "text" or _are_texts(sample)


def _are_texts(x: torch.Tensor) -> bool:
    """Whether there are tokens, then an end, and nothing after it."""
    over = (x == 0).cummax(1).values
    return bool(((x >= 0) & (x < TEXT.vocabulary) & (x != 1)).all() and (x[:, -1] == 0).all() and (x[over] == 0).all())


def _are_rows(x: torch.Tensor) -> bool:
    """Whether every value is one of its field's."""
    sizes = torch.tensor([field.size for field in FIELDS])
    return bool(((x >= 0) & (x.floor() < sizes)).all())


@pytest.mark.parametrize(("name", "spec"), PAIRS)
def test_phases_name_networks_that_exist(name: str, spec: str) -> None:
    model = made(name, SPECS[spec])
    names = [phase.name for stage in model.stages for phase in stage.phases]
    assert len(names) == len(set(names))
    for stage in model.stages:
        for phase in stage.phases:
            for network in phase.networks:
                assert isinstance(getattr(model, network), torch.nn.Module)


@pytest.mark.parametrize(("name", "spec"), PAIRS)
def test_same_seed_same_weights_and_another_seed_others(name: str, spec: str) -> None:
    first, again, other = (trained(name, SPECS[spec], seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)


@pytest.mark.parametrize(("name", "spec"), [(n, s) for n, s in CASES if s in ("grey", "table", "series")])
def test_training_leaves_the_global_random_state_alone(name: str, spec: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    model = made(name, SPECS[spec])
    torch.manual_seed(5)
    Trainer(model, data_for(SPECS[spec]), TrainConfig(steps=3, grids=0), Backend("cpu", "fp32")).fit()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("name", "spec"), [(n, s) for n, s in PAIRS if made(n, SPECS[s]).noise_dim])
def test_samples_depend_on_seed_and_place_alone(name: str, spec: str) -> None:
    model = trained(name, SPECS[spec])
    y = torch.arange(300) % 2 if SPECS[spec].classes else None
    whole = in_blocks(model.generate, noise_for(3, 300, model.noise_dim), y)
    few = in_blocks(model.generate, noise_for(3, 70, model.noise_dim), None if y is None else y[:70])
    assert torch.equal(whole[:70], few)
    assert bool(torch.isfinite(whole).all())
    assert SPECS[spec].kind != "table" or _are_rows(whole)
    assert SPECS[spec].kind != "text" or _are_texts(whole)


@pytest.mark.parametrize("name", [n for n, s in PAIRS if s == "labelled" and made(n, SPECS[s]).code_dim])
def test_reconstructions_beat_the_mean_image(name: str) -> None:
    pixels, labels = bars(256)
    x = torch.from_numpy(pixels)[:, None]
    data = TensorData(x=x, y=torch.from_numpy(labels))
    model = trained(name, SPECS["labelled"], steps=480 if name in SLOW else 240, data=data)
    real = data.batch(torch.arange(256))["x"]
    with torch.no_grad():
        error = (model.decode(model.encode(real)) - real).square().mean()
    assert error < 0.5 * (real - real.mean(0)).square().mean()


@pytest.mark.parametrize("name", [n for n, s in PAIRS if s == "table" and made(n, TABLE).code_dim])
def test_reconstructions_of_rows_beat_the_most_frequent_values(name: str) -> None:
    data = TensorData(x=rows(256))
    steps = 480 if name in SLOW else 240
    model = trained(name, TABLE, steps=steps, data=data)
    real = data.batch(torch.arange(256))["x"].long()
    with torch.no_grad():
        error = (model.decode(model.encode(rows(256))).long() != real).float().mean()
    assert error < 0.5 * (real != real.mode(0).values).float().mean()


@pytest.mark.parametrize("name", [*OF_SERIES, "autoencoder", "variational", "vector-quantised", "latent-gan"])
def test_reconstructions_of_series_beat_the_mean_series(name: str) -> None:
    data = TensorData(x=waves(256))
    model = trained(name, SERIES, steps=480 if name in SLOW else 240, data=data)
    real = data.batch(torch.arange(256))["x"]
    with torch.no_grad():
        error = (model.decode(model.encode(real)) - real).square().mean()
    assert error < 0.5 * (real - real.mean(0)).square().mean()


@pytest.mark.parametrize("name", ["sequence", "sequence, denoising", "arae"])
def test_reconstructions_of_text_beat_the_most_frequent_tokens(name: str) -> None:
    data = TensorData(x=tokens(256))
    model = trained(name, TEXT, steps=160, data=data)
    real = tokens(256).long()
    with torch.no_grad():
        error = (model.decode(model.encode(real)) != real).float().mean()
    assert error < 0.5 * (real != real.mode(0).values).float().mean()


@pytest.mark.parametrize("name", MODELS)
def test_the_registry_tells_what_a_model_gives(name: str) -> None:
    alone = MODELS[name].kinds == ("series",) and "classes" in MODELS[name].gives
    model, entry = made(name, SPECS["labelled-series"] if alone else spec_for(name)), MODELS[name]
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
    with pytest.raises(ConfigError, match=r"gan models image[\w, ]+, got smell data\. No model"):
        build("gan", Spec(kind="smell", shape=(3,)), {})


@pytest.mark.parametrize("name", [n for n, e in MODELS.items() if "data" in e.adversary])
def test_a_discriminator_of_rows_is_refused_by_the_name_of_what_works(name: str) -> None:
    settings = ALL[name][1] | ({"space": "data"} if name == "denoising-gan" else {})
    with pytest.raises(ConfigError, match=r"space=latent|joint\.share=0|codes: latent-gan, adversarial"):
        build(name, TABLE, settings)


@pytest.mark.parametrize(("name", "spec"), [(n, s) for n, s in CASES if s in ("grey", "table", "series")])
def test_settings_survive_json(name: str, spec: str) -> None:
    model = made(name, SPECS[spec])
    again = build(ALL[name][0], SPECS[spec], to_json(model.config))
    assert again.config == model.config
