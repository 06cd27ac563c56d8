"""The probe in runs of aegan's own, and the verdicts that are read from a run folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import aegan
from aegan.cli.main import main
from aegan.config import TrainConfig
from aegan.data.base import TensorData
from aegan.diagnostics.gradients import layers
from aegan.diagnostics.health import diagnose
from aegan.diagnostics.history import History, Look
from aegan.diagnostics.probe import DoctorProbe
from aegan.diagnostics.run import add_found, diagnose_run, read_looks
from aegan.errors import RunError
from aegan.models.registry import build
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec
from tests.conftest import TINY, TINY_SET, bars


def trained(name: str, probes=(), *, folder: Path | None = None, steps: int = 10, **settings: float) -> Trainer:
    torch.manual_seed(0)
    pixels, labels = bars(64)
    data = TensorData(x=torch.from_numpy(pixels)[:, None], y=torch.from_numpy(labels))
    model = build(name, Spec(kind="image", shape=(1, 8, 8), classes=("across", "down")), TINY[name] | settings)
    if folder is not None:
        folder.mkdir()
    run = Trainer(
        model, data, TrainConfig(steps=steps, grids=0), Backend("cpu", "fp32"), folder=folder, probes=list(probes)
    )
    run.fit()
    return run


@pytest.mark.parametrize("name", ["latent-gan", "gan", "vae-gan", "vector-quantised"])
def test_the_probe_changes_nothing_to_the_bit(name: str) -> None:
    held = TensorData(x=torch.from_numpy(bars(32, seed=1)[0])[:, None], y=torch.arange(32) % 2)
    probe = DoctorProbe(holdout=held, every=4)
    plain, watched = trained(name), trained(name, [probe])
    a, b = plain.model.state_dict(), watched.model.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert probe.errors == [] and probe in watched.probes and len(probe.history.looks) >= 3
    assert probe._watch is None


def test_what_the_probe_sees_of_a_gan(tmp_path: Path) -> None:
    probe = DoctorProbe(every=4, settings={"penalty": {"r1": 1.0}})
    trained("gan", [probe], folder=tmp_path / "run")
    names = set(probe.history.names)
    assert {"generator/gradient", "generator/depth", "discriminator/update", "discriminator/separation",
            "discriminator/slope", "discriminator/sigma", "generator/condition", "data/distinct",
            "discriminator/r1/gradient_of"} <= names  # fmt: skip
    looks = read_looks(tmp_path / "run" / "events.jsonl")
    assert [x.step for x in looks] == [x.step for x in probe.history.looks]
    assert any(x.layers.get("generator") for x in looks) and any(x.spectrum for x in looks)
    told = json.loads((tmp_path / "run" / "diagnosis.json").read_text())
    assert told["verdicts"] and 0.0 <= told["cost"] <= 1.0 and told["errors"] == []


def test_reconstruction_and_adversary_are_held_against_one_another() -> None:
    probe = DoctorProbe(every=2)
    trained("latent-gan", [probe], steps=20)
    values = dict(next(x.values for x in probe.history.looks if "decoder/balance" in x.values))
    assert values["decoder/balance"] > 0 and -1.0 <= values["decoder/agreement"] <= 1.0
    assert probe.history.stages == ["autoencoder", "latent", "joint"]
    pairs = [v for x in probe.history.looks for n, v in x.values.items() if n.endswith("/cosine_of")]
    assert pairs and all(-1.0 <= v <= 1.0 for v in pairs)


def test_gradients_of_each_term_by_layer() -> None:
    probe = DoctorProbe(every=4)
    model = trained("gan", [probe], steps=20).model
    seen = [x.layers for x in probe.history.looks if "discriminator/r1" in x.layers]
    assert len(seen) == 2  # every fourth of five looks at the terms
    one, other = seen[0]["discriminator/adversarial"], seen[0]["discriminator/r1"]
    assert list(one) == [f"discriminator.{n}" for n in layers(model.discriminator)] and set(other) <= set(one)
    assert all(v > 0 for v in one.values()) and one != other


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("doctor") / "run"
    # Looks at fixed steps: by default a run as short as this one may end before the first is due.
    watch = DoctorProbe(every=4)
    options = {"settings": TINY_SET, "precision": "fp32", "evaluate": False}
    aegan.fit(bars(), out=folder, steps=20, doctor=False, probes=[watch], **options)
    return folder


def test_fit_watches_and_diagnose_tells(run: Path, tmp_path: Path, capsys) -> None:
    events = (run / "events.jsonl").read_text()
    assert "probe-error" not in events, events
    assert (run / "diagnosis.json").exists(), events
    assert main(["diagnose", str(run), "--json", str(tmp_path / "d.json")]) == 0
    assert "Looking took" in capsys.readouterr().out
    told = json.loads((tmp_path / "d.json").read_text())
    assert told["verdicts"] and told["looks"] >= 1
    assert main(["diagnose", str(tmp_path)]) == 1 and "not a run folder" in capsys.readouterr().err


def test_sound_text_gets_no_alarm_for_its_tokens() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(30, 60, (96, 10), generator=generator, dtype=torch.int32)
    x[:, 6:] = 0  # the end, and padding
    spec = Spec(kind="text", shape=(10,), likelihood="categorical", vocabulary=64)
    probe = DoctorProbe(every=1)
    settings = {"width": 4, "embedding": 8, "latent_dim": 4, "batch_size": 16}
    model = build("sequence", spec, settings)
    Trainer(model, TensorData(x=x), TrainConfig(steps=20, grids=0), Backend("cpu", "fp32"), probes=[probe]).fit()
    assert "data/distinct" in probe.history.names and probe.errors == []
    assert not [v for v in probe.verdicts() if v.name == "data-problem"]


def test_without_the_doctor_the_folder_says_so(tmp_path: Path) -> None:
    aegan.fit(bars(), out=tmp_path / "run", steps=10, settings=TINY_SET, precision="fp32", evaluate=False, doctor=False)
    assert not (tmp_path / "run" / "diagnosis.json").exists()
    found = diagnose_run(tmp_path / "run")
    assert found.verdicts == () and "without the doctor" in str(found)


def made_up(folder: Path, events: list[dict], **files: dict) -> Path:
    folder.mkdir()
    config = {"format_version": 1, "model_config": {"penalty": {"r1": 1.0}, "lr_generator": 1e-3, "beta": 4.0}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events) + '{"event": "hea')
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def look(step: int, **values: float) -> dict:
    return {"event": "health", "step": step, "stage": "adversarial", "cost": 0.04,
            "values": {k.replace("__", "/"): v for k, v in values.items()}}  # fmt: skip


def test_a_failed_run_a_resume_and_findings_of_the_model(tmp_path: Path) -> None:
    events = [look(i, generator__relative=1e5, generator__gradient=1.0) for i in range(1, 30)]
    events += [{"event": "resume", "step": 10}, *(look(i, generator__relative=1e5) for i in range(11, 20))]
    events += [{"event": "error", "step": 19, "message": "Stage 'a', phase 'b', step 20, term 'c': the loss is nan. x"}]
    findings = {"figures": {}, "findings": ["Posterior collapse: the decoder ignores the code (x)."]}
    copies = {"memorisation": {"status": "copies", "verdict": "12 samples are copies."}}
    found = diagnose_run(made_up(tmp_path / "run", events, health=findings, metrics=copies))
    assert [v.name for v in found.verdicts] == [
        "non-finite",
        "exploding-gradients",
        "posterior-collapse",
        "memorisation",
    ]
    assert found.looks == 19 and found.cost == 0.04
    text = str(found)
    assert "--set lr_generator=0.0003" in text and "--set beta=0.12" in text and "term 'c'" in text


def test_damaged_events_are_passed_over(tmp_path: Path) -> None:
    events = [{"event": "health", "step": "x", "values": [1]}, {"event": "health", "values": {"a/b": "c"}, "layers": 3}]
    events[0]["step"] = 0
    found = diagnose_run(made_up(tmp_path / "run", events))
    assert [v.name for v in found.verdicts] == ["healthy"]
    with pytest.raises(RunError, match="config.json"):
        diagnose_run(tmp_path)


def test_collapsed_codes_are_seen_while_a_model_trains() -> None:
    probe = DoctorProbe(every=1)
    trained("variational", [probe], steps=20, beta=3000.0)
    assert {"encoder/active", "encoder/kl"} <= set(probe.history.names)
    assert "posterior-collapse" in {v.name for v in probe.verdicts()}
    probe = DoctorProbe(every=4)
    trained("vector-quantised", [probe], steps=12)
    assert "encoder/perplexity" in probe.history.names


def test_what_the_evaluation_found_comes_into_the_diagnosis(tmp_path: Path) -> None:
    findings = {"findings": ["Posterior collapse: the decoder ignores the code."]}
    folder = made_up(tmp_path / "run", [], health=findings)
    (folder / "diagnosis.json").write_text(json.dumps({"verdicts": [{"name": "healthy"}], "cost": 0.01}))
    add_found(folder)
    told = json.loads((folder / "diagnosis.json").read_text())
    assert [v["name"] for v in told["verdicts"]] == ["posterior-collapse"] and told["cost"] == 0.01


def test_a_rate_is_not_called_low_after_an_enormous_gradient_and_none_is_set_beyond_a_hundredth() -> None:
    def history(first: float) -> History:
        relative = [first, *[1.0] * 30]
        return History(
            Look(step=i, values={"discriminator/update": 1e-9, "discriminator/travel": 1e-4,
                                 "discriminator/relative": r, "discriminator/gradient": r})
            for i, r in enumerate(relative)
        )  # fmt: skip

    low = [v for v in diagnose(history(1.0)) if v.name == "learning-rate-low"]
    assert low and low[0].remedies[0].setting({"lr_discriminator": 1e-4}) == ("lr_discriminator", "0.01")
    assert not [v for v in diagnose(history(1e12)) if v.name == "learning-rate-low"]
