"""The parts that runs are made of: initialisations, enlarged data, figures of health, toy sets."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aegan.augment.latent.checks import Checks
from aegan.augmentation.space import Space
from aegan.data.base import TensorData
from aegan.diagnostics.history import Look
from aegan.diagnostics.schedule import Schedule
from aegan.errors import AeganWarning, ConfigError
from aegan.models.registry import build
from aegan.study import added, enlarge, health, job
from aegan.study.inits import INITS, initialise
from aegan.study.judge import of_modes
from aegan.study.reading import spec_of
from aegan.study.sources import load
from aegan.study.spec import jobs_of
from aegan.types import Spec
from tests.conftest import TINY
from tests.study.tiny import tiny

IMAGE = Spec(kind="image", shape=(1, 8, 8))


@pytest.mark.parametrize("name", INITS)
def test_initialisations_keep_what_begins_at_zero(name: str) -> None:
    torch.manual_seed(0)
    model = build("gan", IMAGE, TINY["gan"])
    before = {n: p.clone() for n, p in model.named_parameters()}
    drawn = initialise(model, name)
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert len(moved) == drawn and (drawn > 0) == (name != "default")
    assert all(bool(before[n].any()) and before[n].ndim > 1 for n in moved)
    if name == "normal-0.02":
        largest = max((p for n, p in model.named_parameters() if n in moved), key=lambda p: p.numel())
        assert float(largest.detach().std()) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("operation", enlarge.PLAIN)
def test_plain_operations_add_samples_of_the_same_classes(operation: str) -> None:
    x = torch.rand(20, 1, 8, 8) * 2 - 1
    data = TensorData(x=x, y=torch.arange(20) % 4)
    values = {"operation": operation, "strength": 0.5, "factor": 1.5}
    found = enlarge.enlarged(data, values, IMAGE, seed=3, steps=100)
    again = enlarge.enlarged(data, values, IMAGE, seed=3, steps=100)
    new = found.data.batch(torch.arange(50))["x"]
    assert len(found.data) == 50 and found.steps == 0 and torch.equal(new[:20], x)
    assert torch.equal(new, again.data.batch(torch.arange(50))["x"])
    old = {tuple(row) for row in x.flatten(1).tolist()}
    assert (operation == "copy") == all(tuple(row) in old for row in new[20:].flatten(1).tolist())
    assert found.data.labels is not None and set(found.data.labels.tolist()) == {0, 1, 2, 3}


def test_smote_stays_between_samples_of_one_class_and_strength_0_changes_nothing() -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 9.0], [1.0, 9.0], [5.0, 5.0]])
    data, spec = TensorData(x=x, y=torch.tensor([0, 0, 1, 1, 2])), Spec(kind="vector", shape=(2,))
    made = enlarge.enlarged(data, {"operation": "smote", "strength": 1.0, "factor": 20}, spec, seed=0).data
    new = made.batch(torch.arange(5, len(made)))
    assert bool(((new["x"][:, 1] == 0) == (new["y"] == 0)).all())
    assert bool(((new["x"][:, 1] == 9) == (new["y"] == 1)).all())
    assert bool((new["x"][new["y"] == 2] == 5).all())  # alone in its class
    old = (new["x"][new["y"] == 0][:, None] == x[:2]).all(2).any(1)
    assert not bool(old.any())  # a class of two has one neighbour, not none of five
    same = enlarge.enlarged(data, {"operation": "mixup", "strength": 0.0}, spec, seed=0).data
    assert bool((torch.cdist(same.batch(torch.arange(5, 10))["x"], x).amin(1) == 0).all())


def test_operations_on_codes_take_their_share_of_the_budget() -> None:
    values = {"operation": "gaussian", "share": 0.5, "checks": [], "settings": {"latent_dim": 2, "width": 4}}
    data = TensorData(x=torch.rand(20, 1, 8, 8), y=torch.arange(20) % 2)
    spec = Spec(kind="image", shape=(1, 8, 8), classes=("a", "b"))
    found = enlarge.enlarged(data, values, spec, seed=0, steps=6)
    assert len(found.data) == 40 and found.steps == 3 and found.seconds > 0


def test_what_the_checks_drop_is_drawn_again_and_then_filled_with_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arms learn from as many samples whatever is dropped; here all of class 1 is, however often it is drawn."""
    x, y = torch.rand(20, 1, 8, 8) * 2 - 1, torch.arange(20) % 2
    turns: list[int] = []

    def failed(self: Checks, made: torch.Tensor, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        turns.append(len(made))
        return {"distance": y[rows] == 1}

    monkeypatch.setattr(Checks, "failed", failed)
    values = {"operation": "gaussian", "factor": 2, "checks": ["distance"], "settings": {"latent_dim": 2, "width": 4}}
    spec, held = Spec(kind="image", shape=(1, 8, 8), classes=("a", "b")), TensorData(x=torch.rand(5, 1, 8, 8))
    with pytest.warns(AeganWarning, match="20 of 40"):
        found = enlarge.enlarged(TensorData(x=x, y=y), values, spec, seed=0, steps=4, held=held)
    assert len(turns) == enlarge.REDRAWN and turns[0] == 40 and turns[-1] == 20
    about = found.about
    assert (about["asked"], about["made"], about["filled"], about["drawn"]) == (40, 20, 20, 20 + 20 * enlarge.REDRAWN)
    assert about["dropped"] == {"distance": 20 * enlarge.REDRAWN} and about["error_on"] == "held-out"
    new = found.data.batch(torch.arange(40, 60))
    assert len(found.data) == 60 and bool((new["y"] == 1).all())
    real = {tuple(row) for row in x[y == 1].flatten(1).tolist()}
    assert all(tuple(row) in real for row in new["x"].flatten(1).tolist())


def test_error_of_the_autoencoder_is_the_distance_of_reconstructions_from_data() -> None:
    half = Space(build("autoencoder", IMAGE, {"latent_dim": 2, "width": 4}), IMAGE, name="a",
                 encode=lambda d: d.batch(torch.arange(len(d)))["x"].flatten(1),
                 decode=lambda z: z.view(-1, 1, 8, 8) + 0.5)  # fmt: skip
    found = added.error_of(half, TensorData(x=torch.zeros(3, 1, 8, 8)), held=False)
    assert found == {"error": 0.5, "error_on": "training"}


def test_the_share_that_a_gan_reached_is_read_from_it() -> None:
    data = TensorData(x=torch.rand(8, 1, 8, 8))
    ada, plain = (build("gan", IMAGE, TINY["gan"] | {"augmentation": name}) for name in ("ada", "diff"))
    ada.get_buffer("state.ada.p").fill_(0.25)
    assert added.of_network(ada, IMAGE, data) == {"p": 0.25} and added.of_network(plain, IMAGE, data) == {}
    settings = {"augmentation": "latent", "latent": {"autoencoder": {"latent_dim": 2, "width": 4}}}
    latent = build("gan", IMAGE, TINY["gan"] | settings)
    latent.get_buffer("state.latent.share.p").fill_(0.125)
    latent.get_buffer("state.latent.errors").copy_(torch.tensor([1.0, 0.5, 0.75]))
    found = added.of_network(latent, IMAGE, data)
    assert found.pop("error") > 0 and found == {"p": 0.125, "leak": 0.5, "error_on": "held-out"}


@pytest.mark.parametrize("kind", ["image", "vector", "table", "series", "audio", "text"])
def test_operations_that_a_kind_cannot_do_are_refused(kind: str) -> None:
    for operation in (*enlarge.PLAIN, *enlarge.LATENT):
        if operation in enlarge.possible(kind):
            enlarge.check_kind({"operation": operation}, kind, "s")
            continue
        with pytest.raises(ConfigError, match=rf"s: augment: operation '{operation}' .*{kind} data; copy.* can"):
            enlarge.check_kind({"operation": operation}, kind, "s")
    assert {"copy"} <= set(enlarge.possible(kind)) and ("mixup" in enlarge.possible(kind)) == (kind in enlarge.ANY)


def test_copies_of_series_keep_all_that_belongs_to_them() -> None:
    fields = {"x": torch.rand(4, 6, 2), "mask": torch.rand(4, 6, 2) > 0.5, "length": torch.arange(4)}
    made = enlarge.enlarged(TensorData(**fields), {"operation": "copy"}, Spec(kind="series", shape=(6, 2)), seed=0).data
    batch = made.batch(torch.arange(8))
    rows = batch["length"]
    assert set(batch) == set(fields) and rows[:4].tolist() == [0, 1, 2, 3]
    assert all(torch.equal(batch[name], fields[name][rows]) for name in fields)


def _look(step: int, stage: str = "adversarial", **values: float) -> Look:
    return Look(step=step, stage=stage, values={k.replace("__", "/"): v for k, v in values.items()})


def test_gradients_that_vanish_and_explode_are_counted() -> None:
    calm = {"gradient": 1.0, "relative": 0.1, "depth": 0.5, "first_last": 10.0}
    calm = {f"generator__{key}": value for key, value in calm.items()}
    looks = [_look(i, **calm) for i in range(6)]
    looks.append(_look(6, **(calm | {"generator__depth": 1e-6})))
    looks.append(_look(7, **(calm | {"generator__gradient": 50.0})))
    found = health.of_gradients(looks, {"adversarial": ["generator"]})
    assert found["vanishing"] == found["exploding"] == 1 / 8 and found["unhealthy"] == 2 / 8
    assert found["imbalance"] == pytest.approx(1.0) and found["gradient_spread"] > 0.4
    assert health.of_gradients([], {"adversarial": ["generator"]}) == {}


def test_the_generator_is_what_is_trained_against_a_discriminator() -> None:
    found = health.generators(build("latent-gan", IMAGE, TINY["latent-gan"]).stages)
    assert found == {"latent": ["generator"], "joint": ["generator", "decoder"]}
    warm = build("warm-start-gan", IMAGE, TINY["warm-start-gan"])
    assert health.generators(warm.stages) == {"adversarial": ["decoder"]}


def test_the_way_to_the_data() -> None:
    far = {"samples__distance": 1.0, "samples__excess": 1.0}
    near = {"samples__distance": 0.02, "samples__excess": 0.01}
    looks = [_look(s, **(far if s < 50 else near)) for s in range(10, 101, 10)]
    found = health.of_samples(looks, 100)
    assert found["reached"] == pytest.approx(0.5, abs=0.11) and 0.3 < found["distance_mean"] < 0.6
    assert found["wobble"] == 0.0
    assert health.of_samples(looks[:3], 100)["reached"] == 1.0  # never
    assert health.of_samples([], 100) == {}


def test_a_pretraining_without_samples_counts_as_what_untrained_networks_make() -> None:
    near = [_look(s, samples__distance=0.02, samples__excess=0.02) for s in range(60, 101, 10)]
    assert health.of_samples(near, 100)["distance_mean"] == pytest.approx(0.02)
    found = health.of_samples(near, 100, start=1.0)
    assert found["distance_mean"] == pytest.approx(0.6 + 0.4 * 0.02) and found["reached"] == pytest.approx(0.6)
    after_others = health.of_samples(near, 100, start=1.0, before=100)  # an autoencoder that made the data
    assert after_others["reached"] == pytest.approx(0.8)
    assert after_others["distance_mean"] == pytest.approx(0.8 + 0.2 * 0.02)


def test_what_untrained_networks_make_is_measured_without_a_trace() -> None:
    data = load(replace(spec_of(tiny()).data[0], n=120), 0)
    model = build("gan", data.spec, TINY["gan"])
    state, before = torch.get_rng_state(), {k: v.clone() for k, v in model.state_dict().items()}
    start = health.untrained(model, data.train, 0)
    assert start is not None and start > 0.1 and start == health.untrained(model, data.train, 0)
    assert torch.equal(torch.get_rng_state(), state) and model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert (
        health.untrained(build("autoencoder", data.spec, TINY["autoencoder"] | {"latent_dim": 1}), data.train, 0)
        is None
    )


def test_modes_of_the_ring() -> None:
    item = spec_of(tiny()).data[0]
    data = load(item, 0)
    assert data.modes is not None
    real = of_modes(data.test.batch(torch.arange(len(data.test)))["x"], data.modes)
    assert real["modes"] == 8 and real["quality"] > 0.97 and real["kl"] < 0.02
    one = of_modes(data.modes.centres[:1].repeat(50, 1), data.modes)
    assert one == {"modes": 1.0, "quality": 1.0, "kl": pytest.approx(math.log(8))}


def test_looks_can_be_apart_by_kind() -> None:
    schedule = Schedule(every={"gradients": 2, "samples": 3})
    due = []
    for _ in range(6):
        due.append([kind for kind in schedule.shares if schedule.due(kind)])
        schedule.settle()
    assert due == [["gradients", "samples"], [], ["gradients"], ["samples"], ["gradients"], []]


def test_digits_are_judged_in_one_space_for_all_runs(tmp_path: Path) -> None:
    """Judged by a stub of a feature space, so that no classifier is trained here."""
    from aegan.metrics import encoder_features
    from aegan.study.judge import judge

    item, arm = {"name": "d", "source": "digits", "n": 60}, {"name": "gan", "settings": TINY["gan"]}
    first = jobs_of(spec_of(tiny(data=[item], models=[arm], metrics=["energy"])))[0]
    data = load(first.data, 0)
    network, settings = job.network_for(first.model, data, 0, "default")
    network.requires_grad_(False)
    space = encoder_features(lambda x: x.flatten(1), 64, "pixels")
    found = judge(network, data, space, count=60, seed=0)
    assert {"frechet", "energy", "coverage", "near", "downstream"} <= set(found) and "modes" not in found
    assert all(math.isfinite(v) for v in found.values()) and settings["width"] == 8
