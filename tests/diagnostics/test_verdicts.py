"""Every verdict fires on a made-up history, and keeps silent on its healthy twin."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from aegan.config import from_json, override, to_json
from aegan.diagnostics import History, Look, diagnose, report_text
from aegan.diagnostics.catalogue import CATALOGUE
from aegan.diagnostics.health import verdict_of
from aegan.diagnostics.thresholds import THRESHOLDS
from aegan.diagnostics.verdicts import Remedy, without_refused
from aegan.healing import accepts
from aegan.models.registry import MODELS, build
from aegan.types import Spec
from tests.conftest import TINY

HEALTHY = {
    "generator/reached": 1.0, "generator/gradient": 0.3, "generator/relative": 0.1, "generator/depth": 0.2,
    "generator/dead": 0.1, "generator/update": 2e-3, "generator/weight": 1.1, "generator/travel": 0.3,
    "generator/condition": 9.0, "generator/mode_gap": 0.15,
    "discriminator/reached": 1.0, "discriminator/gradient": 0.5, "discriminator/relative": 0.6,
    "discriminator/separation": 0.8, "discriminator/holdout": 0.52, "discriminator/slope": 2.0,
    "discriminator/slope_fake": 1.0,
    "encoder/active": 0.9, "encoder/kl": 10.0, "encoder/perplexity": 0.6, "decoder/balance": 20.0,
    "data/constant": 0.05, "data/repeated": 0.0, "data/scale": 1.0, "data/outside": 0.0,
    "data/distinct": 5000.0, "data/repeats": 2.0,
    "samples/spread": 0.9, "samples/nearest": 1.1, "samples/coverage": 0.9, "samples/precision": 0.9,
    "samples/p": 0.2, "samples/excess": 0.01, "samples/moved": 0.1,
}  # fmt: skip
"""A look at a training that goes well."""
FAR = {"samples/excess": 0.5, "samples/p": 0.005, "samples/coverage": 0.0, "samples/precision": 0.0}
SICK: dict[str, dict[str, float]] = {
    "data-problem": {"data/constant": 0.5},
    "no-gradient": {"generator/reached": 0.0},
    "learning-rate-high": {"generator/update": 0.5, "generator/weight": 30.0},
    "learning-rate-low": {"generator/update": 1e-8, "generator/travel": 1e-5},
    "batchnorm": {"generator/mode_gap": 3.0},
    "exploding-gradients": {"generator/relative": 1e5},
    "vanishing-gradients": {"generator/depth": 1e-6},
    "dead-units": {"generator/dead": 0.95},
    "discriminator-strong": {"discriminator/separation": 1.0, **FAR},
    "discriminator-weak": {"discriminator/separation": 0.5, **FAR},
    "discriminator-overfitting": {"discriminator/holdout": 0.98},
    "generator-ill-conditioned": {"generator/condition": 30.0},
    "mode-collapse": {"samples/coverage": 0.2, "samples/p": 0.005, "samples/excess": 0.3},
    "cycling": {"samples/moved": 0.9, **FAR},
    "not-converging": {"samples/excess": 0.5},
    "posterior-collapse": {"encoder/active": 0.0, "encoder/kl": 0.001},
    "codebook-collapse": {"encoder/perplexity": 0.02},
    "imbalance": {"decoder/balance": 1e5},
}


def history(changed: dict[str, float], looks: int = 40, since: int = 0) -> History:
    """Looks ten steps apart; ``changed`` from the look ``since`` on."""
    return History(
        Look(step=10 * i, values=HEALTHY | (changed if i >= since else {}), layers={}) for i in range(1, looks + 1)
    )


def test_a_healthy_history_gets_no_alarm() -> None:
    (verdict,) = diagnose(history({}))
    assert verdict.name == "healthy" and not verdict.remedies
    assert diagnose(History()) == []  # nothing seen is no health


@pytest.mark.parametrize("name", SICK)
def test_each_verdict_fires_among_the_first_two(name: str) -> None:
    found = diagnose(history(SICK[name], looks=60))
    assert name in [v.name for v in found[:2]], [(v.name, v.confidence) for v in found]
    told = next(v for v in found if v.name == name)
    assert told.evidence and told.why and told.remedies and 0.5 <= told.confidence <= 1.0
    assert all(e.statistic in SICK[name] or e.statistic in HEALTHY for e in told.evidence)


@pytest.mark.parametrize("name", SICK)
def test_one_bad_look_is_no_alarm(name: str) -> None:
    looks = history({}).looks
    looks[20] = Look(step=looks[20].step, values=HEALTHY | SICK[name])
    looks[-1] = Look(step=looks[-1].step, values=HEALTHY | SICK[name])
    assert diagnose(History(looks))[0].name == "healthy"


def test_since_when() -> None:
    for name in ("exploding-gradients", "batchnorm", "codebook-collapse"):
        told = next(v for v in diagnose(history(SICK[name], since=20)) if v.name == name)
        assert told.since == 200


def test_not_lipschitz_needs_a_slope_that_grows() -> None:
    steep = [Look(step=i, values=HEALTHY | {"discriminator/slope": 2.0 * 1.2**i}) for i in range(1, 41)]
    assert diagnose(History(steep))[0].name == "not-lipschitz"
    level = [Look(step=i, values=HEALTHY | {"discriminator/slope": 80.0}) for i in range(1, 41)]
    assert diagnose(History(level))[0].name == "healthy"


def test_full_collapse_and_samples_not_learnt_yet() -> None:
    point = history({"samples/spread": 0.001, **FAR})
    assert "full" in next(v for v in diagnose(point) if v.name == "mode-collapse").where
    unlearnt = [v.name for v in diagnose(history(FAR))]
    assert "mode-collapse" not in unlearnt


def test_a_generator_that_still_learns_has_no_discriminator_too_strong() -> None:
    looks = [
        Look(step=i, values=HEALTHY | FAR | {"discriminator/separation": 1.0, "samples/excess": 0.9 * 0.93**i})
        for i in range(1, 31)
    ]
    assert "discriminator-strong" not in [v.name for v in diagnose(History(looks))]


def looks_of(way: Iterable[dict[str, float]]) -> History:
    """Looks ten steps apart at a training whose samples are far from the data."""
    return History(Look(step=10 * i, values=HEALTHY | FAR | values, layers={}) for i, values in enumerate(way))


def test_samples_farther_off_than_at_first_are_no_learning() -> None:
    told_apart = {"discriminator/separation": 0.999}
    coming = [0.5 * 0.9**i for i in range(40)]
    gone = [0.5, *(20.0 * 0.97**i for i in range(39))]
    for way, name in ((coming, "healthy"), (gone, "discriminator-strong")):
        assert diagnose(looks_of(told_apart | {"samples/excess": x} for x in way))[0].name == name


@pytest.mark.parametrize(("end", "name"), [(0.5, "vanishing-gradients"), (0.01, "healthy")])
def test_gradients_that_had_vanished_at_first_are_why_samples_are_still_far_off(end: float, name: str) -> None:
    way = ({"generator/depth": 1e-8 if i < 10 else 0.3, "samples/excess": end} for i in range(40))
    told = diagnose(looks_of(way))[0]
    assert told.name == name
    assert name == "healthy" or told.where == "generator, the first layers, until step 90"


@pytest.mark.parametrize(
    "late", [("separation", 0.01, 0.9), ("gap", 0.1, 0.1)], ids=("rates samples above data", "says nothing of them")
)
def test_a_misled_discriminator_is_weak_though_the_samples_come_nearer(late: tuple[str, float, float]) -> None:
    name, *values = late
    way = ({"samples/excess": 3.0 + 4 * 0.95**i, f"discriminator/{name}": values[i % 2]} for i in range(40))
    assert diagnose(looks_of(way))[0].name == "discriminator-weak"


def test_weights_that_only_zeros_reach_are_dead_units_and_what_lies_before_is_not_cut() -> None:
    zeros = {"decoder/gradient": 3.0, "decoder/relative": 0.0, "decoder/depth": 0.0, "decoder/reached": 1.0}
    before = {"encoder/gradient": 0.0, "encoder/reached": 1.0, "encoder/relative": 0.0}
    found = diagnose(History(Look(step=i, values=zeros | before, layers={}) for i in range(40)))
    assert {v.name for v in found} == {"dead-units"}


def test_few_data_seen_often_are_overfitted_without_a_holdout() -> None:
    changed = {"data/distinct": 40.0, "data/repeats": 200.0, "discriminator/separation": 0.95}
    looks = [Look(step=x.step, values={k: v for k, v in x.values.items() if "holdout" not in k})
             for x in history(changed).looks]  # fmt: skip
    assert diagnose(History(looks))[0].name == "discriminator-overfitting"


def test_a_gradient_that_was_never_there_and_one_that_died() -> None:
    cut = diagnose(history({"generator/gradient": 0.0, "generator/relative": 0.0}))
    assert cut[0].name == "no-gradient" and cut[0].where == "generator"
    died = diagnose(history({"generator/gradient": 0.0, "generator/relative": 0.0}, since=10))
    assert died[0].name == "vanishing-gradients"


def test_a_leap_at_the_start_is_a_learning_rate_too_high() -> None:
    looks = history({"discriminator/update": 1e-4, "discriminator/travel": 2.5}).looks
    looks[0] = Look(step=10, values=dict(looks[0].values) | {"discriminator/update": 2.0})
    assert diagnose(History(looks))[0].name == "learning-rate-high"


@pytest.mark.parametrize(
    ("place", "name"), [("real[3, 1] is nan", "data-problem"), ("generator: 0.weight[0] is inf", "non-finite")]
)
def test_values_that_are_not_finite_name_their_place(place: str, name: str) -> None:
    looks = [*history({}).looks, Look(step=999, notes={"non-finite": place})]
    first = diagnose(History(looks))[0]
    assert first.name == name and first.since == 999 and place in first.where


def test_stages_are_judged_apart() -> None:
    looks = [Look(step=x.step, stage="a", values=x.values) for x in history(SICK["imbalance"]).looks]
    looks += [Look(step=1000 + x.step, stage="b", values=x.values) for x in history({}).looks]
    assert [v.name for v in diagnose(History(looks))] == ["imbalance"]


def test_remedies_become_settings_of_the_model_at_hand() -> None:
    stronger = CATALOGUE["not-lipschitz"].remedies[0]
    assert stronger.paste({"joint": {"gamma": 1.0}}) == "--set joint.gamma=3"
    assert stronger.paste({"penalty": {"r1": 0.0}}) == "--set penalty.r1=1"
    assert stronger.paste({"penalty": {"r1": 1.0, "r2": 0.0}}) == "--set penalty.r1=3 --set penalty.r2=1"
    assert stronger.paste({}) == ""
    lower = Remedy(do="slower", role="lr", factor=0.3)
    assert lower.paste({"lr": 0.001}) == "--set lr=0.0003"
    assert Remedy(do="", role="batch_size", factor=2.0).paste({"batch_size": 16}) == "--set batch_size=32"
    assert Remedy(do="", role="loss", value="relativistic").paste({"loss": "relativistic"}) == ""


@pytest.mark.parametrize("name", [n for n, e in MODELS.items() if set(e.kinds) & {"image", "vector"}])
def test_no_remedy_is_offered_that_the_model_refuses(name: str) -> None:
    for kind, shape in (("image", (1, 8, 8)), ("vector", (16,))):
        if kind not in MODELS[name].kinds:
            continue
        spec = Spec(kind=kind, shape=shape, classes=("a", "b"))
        settings = to_json(from_json(MODELS[name].load().Config, TINY[name]))
        takes = accepts(name, settings, spec)
        everything = without_refused((verdict_of(v) for v in CATALOGUE), settings, takes)
        for remedy in (r for v in everything for r in v.remedies):
            if found := remedy.setting(settings):
                build(name, spec, to_json(override(from_json(MODELS[name].load().Config, settings), dict([found]))))


def test_a_remedy_that_is_refused_stays_in_words() -> None:
    settings = to_json(from_json(MODELS["gan"].load().Config, TINY["gan"]))
    first = {}
    for kind, shape in (("image", (1, 8, 8)), ("vector", (16,))):
        takes = accepts("gan", settings, Spec(kind=kind, shape=shape))
        (told,) = without_refused([verdict_of("discriminator-overfitting")], settings, takes)
        first[kind] = (told.remedies[0].do, told.remedies[0].paste(settings))
    assert first["image"][0] == first["vector"][0]
    assert (first["image"][1], first["vector"][1]) == ("--set augmentation=diff", "")


def test_text_json_and_the_tables() -> None:
    found = diagnose(history(SICK["mode-collapse"]))
    text = report_text(found, {"gamma": 0.5}, cost=0.03)
    assert "Mode collapse" in text and "--set gamma=1.5" in text and "3.0% of the time" in text
    plain = found[0].to_json({"gamma": 0.5})
    assert plain["remedies"][0]["paste"] == "--set gamma=1.5" and plain["evidence"][0]["text"]
    assert all(t.why for t in THRESHOLDS.values()) and all(e.title and e.why for e in CATALOGUE.values())
    look = history({}).looks[0]
    assert Look.from_json(look.to_json()) == look


def test_a_long_history_is_thinned() -> None:
    long = History(limit=100)
    for i in range(1000):
        long.add(Look(step=i, values={"x/y": float(i)}))
    assert len(long.looks) <= 101 and long.looks[0].step == 0 and long.looks[-1].step == 999
    assert len(long.points("x/y")) == len(long.looks)
