"""Studies of seconds: run, stopped, killed, gone on with, spoilt; results and tables."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from aegan.cli.main import main
from aegan.errors import ConfigError, Interrupted, RunError, RunExistsError
from aegan.study import Study, enlarge, job, pool, run
from aegan.study.folder import LOCK, RESULTS, STUDY
from aegan.study.reading import read_spec, spec_of
from aegan.study.sources import load
from aegan.study.spec import jobs_of
from aegan.study.summary import FEW_PAIRS, ONE_SEED, summarise
from tests.study.tiny import tiny


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    claims = [{"name": "closer", "model": "ebgan", "smallest": {"energy": "10%"}}]
    return run(tiny(claims=claims), out=tmp_path_factory.mktemp("study") / "out")


def test_a_study_leaves_everything_behind(study: Study) -> None:
    names = {path.name for path in study.path.iterdir()}
    assert names == {STUDY, RESULTS, "spec.toml", "runs", "summary.json", "table.md", "table.csv", "report.html"}
    lines = [json.loads(line) for line in (study.path / RESULTS).read_text().splitlines()]
    assert lines == study.results and len(lines) == 4
    assert all(r["status"] == "finished" and r["steps"] == 3 for r in lines)
    assert all(math.isfinite(r["metrics"]["energy"]) and "unhealthy" in r["metrics"] for r in lines)
    about = json.loads((study.path / STUDY).read_text())
    assert about["made"]["packages"]["torch"] == torch.__version__ and about["spec"]["name"] == "tiny"
    again, _ = read_spec(study.path / "spec.toml")
    assert [j.key for j in jobs_of(again)] == about["keys"]


def test_tables_and_page_show_every_arm(study: Study) -> None:
    table, page = study.to_markdown(), (study.path / "report.html").read_text()
    for word in ("gan", "ebgan", "ring", "energy", "closer", "undecided", "failure rate"):
        assert word in table and word in page
    assert FEW_PAIRS in table  # two seeds
    rows = (study.path / "table.csv").read_text().splitlines()
    assert len(rows) == 5 and rows[0].startswith("data,init,model,metric,n,mean,low,high")


def test_arms_of_a_seed_learn_from_the_same_samples_and_seeds_from_others() -> None:
    from aegan.study.sources import load

    item = spec_of(tiny(data=[{"name": "d", "source": "digits", "n": 100}], metrics=["energy"])).data[0]
    first, again, other = load(item, 0), load(item, 0), load(item, 1)
    x = [data.train.batch(torch.arange(100))["x"] for data in (first, again, other)]
    assert torch.equal(x[0], x[1]) and not torch.equal(x[0], x[2]) and len(first.train) == 100
    held = [data.test.batch(torch.arange(len(data.test)))["x"] for data in (first, other)]
    assert torch.equal(held[0], held[1])
    labels = first.train.labels
    assert labels is not None and set(torch.bincount(labels).tolist()) <= {9, 10, 11}


def test_what_is_finished_is_kept_and_what_is_torn_is_done_again(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "out"
    values, lines = tiny(seeds=1), []
    run(values, out=out)
    with pytest.raises(RunExistsError, match="--resume"):
        run(values, out=out)
    gan, ebgan = (out / "runs" / "ring" / name / "default-0" for name in ("gan", "ebgan"))
    kept = (gan / job.RESULT).read_text()
    (ebgan / job.RESULT).write_text('{"key": "12')  # torn by a killed process
    (ebgan / "state.pt").write_bytes(b"half")
    found = run(values, out=out, resume=True, tell=lines.append)
    assert "1 are done, 1 half-written and done again" in lines[0]
    assert (gan / job.RESULT).read_text() == kept and not (ebgan / "state.pt").exists()
    wanted = {(r["model"], r["seed"]): r["metrics"]["energy"] for r in study.results}
    assert all(r["metrics"]["energy"] == wanted[r["model"], 0] for r in found.results)


def test_models_data_and_seeds_can_be_added_and_nothing_else_changed(tmp_path: Path) -> None:
    out, lines = tmp_path / "out", []
    run(tiny(seeds=1), out=out)
    with pytest.raises(ConfigError, match="another study.*budget differ"):
        run(tiny(seeds=1, budget={"steps": 4}), out=out, resume=True)
    with pytest.raises(ConfigError, match="another study.*seeds differ"):
        run(tiny(seeds=[7]), out=out, resume=True)
    found = run(tiny(seeds=2), out=out, resume=True, tell=lines.append)
    assert "4 runs" in lines[0] and "2 are done" in lines[0] and len(found.results) == 4


def test_folders_that_are_not_this_studys(study: Study, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(RunExistsError, match=r"thesis\.tex"):
        run(tiny(), out=tmp_path / "mine")
    (tmp_path / "mine" / "thesis.tex").rename(tmp_path / "mine" / STUDY)
    with pytest.raises(RunError, match="cannot be read as JSON"):
        run(tiny(), out=tmp_path / "mine", resume=True)
    (tmp_path / "mine" / STUDY).unlink()
    (tmp_path / "mine" / "runs").mkdir()
    with pytest.raises(RunError, match="is missing"):
        run(tiny(), out=tmp_path / "mine", resume=True)
    with pytest.raises(RunExistsError, match="a file is in the way"):
        run(tiny(), out=study.path / STUDY)


def test_two_processes_do_not_work_on_one_study(tmp_path: Path) -> None:
    import os
    import socket

    out = tmp_path / "out"
    run(tiny(seeds=1), out=out)
    assert not (out / LOCK).exists()
    (out / LOCK).write_text(f"{socket.gethostname()} {os.getppid()}")
    with pytest.raises(RunError, match="at work on this study"):
        run(tiny(seeds=1), out=out, resume=True)
    gone = subprocess.Popen(["true"])
    gone.wait()
    (out / LOCK).write_text(f"{socket.gethostname()} {gone.pid}")
    run(tiny(seeds=1), out=out, resume=True)  # a dead process's lock is no hindrance


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

    def tell(line: str) -> None:
        if line.startswith("2 of 4"):
            signal.raise_signal(signal.SIGINT)

    out = tmp_path / "out"
    try:
        with pytest.raises(Interrupted, match="--resume. 2 of 4 runs are done"):
            run(tiny(), out=out, tell=tell)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len((out / RESULTS).read_text().splitlines()) == 2
    assert "2 runs of the plan are not done yet" in (out / "table.md").read_text()
    assert len(run(tiny(), out=out, resume=True).results) == 4


def test_a_run_that_diverges_or_fails_counts_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The learning rate of one arm is absurd; another breaks with an error of its own."""
    size = {"width": 4, "blocks": 1, "batch_size": 8, "noise_dim": 2}
    wild = size | {"lr_discriminator": 1e30, "lr_generator": 1e30}
    models = [{"name": "gan", "settings": size}, {"name": "wild", "model": "gan", "settings": wild}]
    models.append({"name": "broken", "model": "gan", "settings": size | {"noise_dim": 3}})
    judge = job.judge

    def broken(network: Any, *args: Any, **options: Any) -> dict[str, float]:
        if network.noise_dim == 3:
            raise ZeroDivisionError("of all things")
        return judge(network, *args, **options)

    monkeypatch.setattr(job, "judge", broken)
    found = run(tiny(seeds=1, models=models, budget={"steps": 30}), out=tmp_path / "out")
    by_model = {r["model"]: r for r in found.results}
    assert by_model["gan"]["status"] == "finished"
    assert by_model["wild"]["status"] == "diverged" and by_model["wild"]["message"]
    assert by_model["broken"]["status"] == "failed"
    assert "ZeroDivisionError: of all things (test_study.py:" in by_model["broken"]["message"]
    runs = {r["model"]: r for r in found.summary["runs"]}
    assert runs["wild"]["diverged"] == 1 and runs["broken"]["failed"] == 1
    assert "| ring | wild | 1 | 1 | 0 | 100% |" in found.to_markdown() and ONE_SEED in found.to_markdown()
    assert all(r["interval"] is None for r in found.summary["rows"])  # one seed


def _result(model: str, seed: int, energy: float | None) -> dict[str, Any]:
    status, metrics = ("finished", {"energy": energy}) if energy is not None else ("diverged", {})
    return {"model": model, "data": "ring", "init": "default", "seed": seed, "status": status, "metrics": metrics,
            "message": ""}  # fmt: skip


def test_failed_runs_rank_last_and_have_the_worst_value_in_comparisons() -> None:
    spec = spec_of(tiny(seeds=3, metrics=["energy"]))
    energies = {"gan": [0.2, 0.4, 0.3], "ebgan": [0.1, None, 0.1]}
    results = [_result(m, s, e) for m, found in energies.items() for s, e in enumerate(found)]
    rows = {r["model"]: r for r in summarise(spec, results)["rows"]}
    assert rows["ebgan"]["mean"] == pytest.approx(0.1) and rows["ebgan"]["n"] == 2
    assert rows["ebgan"]["rank"] == pytest.approx((1 + 2 + 1) / 3)
    # 0.2 - 0.1, 0.4 - the worst of all (0.4), 0.3 - 0.1
    assert rows["ebgan"]["improvement"] == pytest.approx(0.1) and rows["ebgan"]["pairs"] == 3


def test_processes_give_the_same_figures_and_one_that_is_killed_fails_its_run_alone(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = jobs_of(spec_of(tiny()))[0]
    long = replace(short, seed=5, budget=replace(short.budget, steps=10**7))
    begun: list[Any] = []
    start = pool._started
    monkeypatch.setattr(pool, "_started", lambda *args: begun.append(start(*args)) or begun[-1])

    def kill() -> None:
        events = tmp_path / "runs" / long.folder / "events.jsonl"
        while not events.exists():
            time.sleep(0.05)
        begun[0].kill()

    threading.Thread(target=kill, daemon=True).start()
    answers: dict[int, Any] = {}
    pool.run_in_processes([long, short], tmp_path, lambda j, r: answers.update({j.seed: r}), workers=1)
    assert answers[5]["status"] == "failed" and "killed: the process ended with code -9" in answers[5]["message"]
    assert job.read_result(tmp_path / "runs" / long.folder, long) == answers[5]
    here = next(r for r in study.results if r["key"] == short.key)
    assert answers[0]["metrics"]["energy"] == here["metrics"]["energy"] and len(begun) == 2


def test_ray_does_the_runs_and_gives_the_same_figures(study: Study, tmp_path: Path, capsys) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    out = tmp_path / "out"
    assert main(["study", str(study.path / "spec.toml"), "--ray", "--out", str(out)]) == 0
    assert "4 of 4" in capsys.readouterr().out
    found = [json.loads(line) for line in (out / RESULTS).read_text().splitlines()]
    assert {r["status"] for r in found} == {"finished"} and len(found) == 4
    # Seconds and what they make depend on what else the machine does.
    wanted, got = ({r["key"]: [r["metrics"][m] for m in ("energy", "quality", "unhealthy")] for r in results}
                   for results in (study.results, found))  # fmt: skip
    assert got == wanted


def test_ray_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install aegan\[ray\]"):
        pool.run_on_ray([], tmp_path, lambda j, r: None, workers=1)


def test_the_command(tmp_path: Path, capsys) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(
        'name = "Two"\nseeds = 1\nbudget = { steps = 3 }\nsamples = 60\ncontrol = "gan"\n'
        '[[models]]\nname = "gan"\nsettings = { width = 4, blocks = 1, batch_size = 8 }\n'
        '[[data]]\nname = "ring"\nn = 40\n'
    )
    assert main(["study", str(path), "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "1 runs of 3 gradient steps" in printed and not (tmp_path / "out").exists()
    assert main(["study", str(path), "--out", str(tmp_path / "out")]) == 0
    assert "1 of 1: gan on ring, seed 0: finished" in capsys.readouterr().out
    assert main(["study", str(path), "--out", str(tmp_path / "out")]) == 1
    assert "--resume" in capsys.readouterr().err
    assert main(["study", str(path), "--out", str(tmp_path / "out"), "--jobs", "0", "--resume"]) == 1
    assert "--jobs 0" in capsys.readouterr().err


def test_other_kinds_are_judged_by_their_own_evaluation(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=240).round(2)
    frame = pd.DataFrame({"a": a, "b": (2 * a + rng.normal(size=240)).round(2), "c": np.where(a > 0, "x", "y")})
    frame.to_csv(tmp_path / "t.csv", index=False)
    arm = {"name": "latent-gan", "settings": {"autoencoder": {"width": 4}}}
    data = {"name": "t", "source": str(tmp_path / "t.csv"), "n": 100}
    spec = spec_of(tiny(seeds=1, models=[arm], data=[data], metrics=None, samples=100, budget={"steps": 5}))
    assert [m.name for m in spec.metrics] == ["shape_error", "trend_error", "detection"]
    result = job.run_job(jobs_of(spec)[0], tmp_path)
    assert result["status"] == "finished" and {m.name for m in spec.metrics} <= set(result["metrics"])


def test_pictures_can_be_taken_as_vectors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 8, 9, 1), dtype=np.uint8)
    np.savez(tmp_path / "p.npz", images=pixels, labels=np.arange(40) % 2)
    data = {"name": "p", "source": str(tmp_path / "p.npz"), "kind": "vector", "n": 20, "options": {"size": [8, 9]}}
    spec = spec_of(tiny(models=[{"name": "gan", "settings": SMALL}], data=[data], metrics=["frechet", "downstream"]))
    found = load(spec.data[0], 0)
    assert (found.spec.kind, found.spec.shape, len(found.spec.classes)) == ("vector", (72,), 2) and len(
        found.train
    ) == 20
    x = torch.from_numpy(pixels.reshape(40, 72)).float() / 127.5 - 1
    assert all(bool((x == row).all(1).any()) for row in found.train.batch(torch.arange(20))["x"])
    result = job.run_job(jobs_of(spec)[0], tmp_path)
    assert result["status"] == "finished" and {"frechet", "downstream"} <= set(result["metrics"])


def test_other_data_cannot_be_taken_as_vectors(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    data = {"name": "t", "source": str(tmp_path / "t.csv"), "kind": "vector"}
    with pytest.raises(ConfigError, match="study: data: t: kind = 'vector': the values of pictures .* table data"):
        spec_of(tiny(data=[data]))


FLAT = {"name": "d", "source": "digits-flat", "n": 20}
CODES = {"operation": "gaussian", "factor": 1.5, "settings": {"latent_dim": 2, "width": 4}}
SMALL = {"width": 4, "blocks": 1, "batch_size": 8, "noise_dim": 2}


def test_what_augmentation_did_is_recorded_and_shown(tmp_path: Path) -> None:
    latent = {"autoencoder": {"latent_dim": 2, "width": 4}}
    models = [
        {"name": "plain", "model": "gan", "settings": SMALL},
        {"name": "codes", "model": "gan", "settings": SMALL, "augment": CODES},
        {"name": "latent", "model": "gan", "settings": SMALL | {"augmentation": "latent", "latent": latent}},
    ]
    values = tiny(seeds=1, models=models, data=[FLAT], metrics=["frechet"], budget={"steps": 12})
    found = run(values, out=tmp_path / "out")
    by_model = {r["model"]: r for r in found.results}
    assert all(r["status"] == "finished" for r in found.results), found.results
    codes, shared = (by_model[name]["augment"] for name in ("codes", "latent"))
    assert "augment" not in by_model["plain"]
    assert codes["asked"] == 30 == codes["made"] + codes["filled"] and by_model["codes"]["n_enlarged"] == 50
    assert codes["error"] > 0 and codes["error_on"] == "held-out" and {"drawn", "dropped", "strength"} <= set(codes)
    assert set(shared) == {"p", "leak", "error", "error_on"}
    assert json.loads((found.path / "runs/d/codes/default-0/result.json").read_text())["augment"] == codes
    table, page = found.to_markdown(), (found.path / "report.html").read_text()
    assert "| d | codes | 30 |" in table and "## Augmentation" in table and ">asked<" in page
    assert "augment0-frechet-error" in page and "augment0-frechet-seconds" in page
    assert [r["model"] for r in found.summary["augment"]] == ["plain", "codes", "latent"]


@pytest.mark.parametrize("operation", ["copy", "gaussian", "tangent", "interpolate", "extrapolate", "mix"])
def test_tables_can_be_enlarged_by_what_goes_with_names(tmp_path: Path, operation: str) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=60).round(2)
    pd.DataFrame({"a": a, "b": (2 * a).round(1), "c": np.where(a > 0, "x", "y")}).to_csv(tmp_path / "t.csv")
    augment = {"operation": operation} | ({} if operation == "copy" else {"settings": {"latent_dim": 2, "width": 4}})
    arm = {"name": "variational", "settings": {"latent_dim": 2, "width": 4}, "augment": augment}
    data = {"name": "t", "source": str(tmp_path / "t.csv"), "n": 30}
    entry = spec_of(tiny(models=[arm], data=[data], metrics=None)).data[0]
    source = load(entry, 0)
    made = enlarge.enlarged(source.train, augment, source.spec, seed=0, steps=40, held=source.test)
    assert len(made.data) == 60 and made.about["made"] + made.about["filled"] == 30
    assert source.adapter is not None
    frame = source.adapter.from_tensors(made.data.batch(torch.arange(60))["x"])
    assert len(frame) == 60 and set(frame["c"]) == {"x", "y"}


def test_operations_that_data_cannot_do_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i},{i % 3}\n" for i in range(40)))
    data = [{"name": "t", "source": str(tmp_path / "t.csv")}]
    for augment, words in (
        ({"operation": "mixup"}, "m on t: augment: operation 'mixup' cannot be done to table data; copy, gaussian"),
        ({"operation": "mix", "autoencoder": "sequence"}, "autoencoder 'sequence' is not for table data; autoencoder"),
    ):
        models = [{"name": "m", "model": "variational", "augment": augment}]
        with pytest.raises(ConfigError, match=words):
            run(tiny(models=models, data=data, metrics=None), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_processor_time_is_a_budget(tmp_path: Path) -> None:
    """Waiting costs nothing: of a second of processor time, the run uses about a second of it, whatever the clock."""
    spec = spec_of(tiny(seeds=1, budget={"seconds": 1}, look_every=50))
    result = job.run_job(jobs_of(spec)[0], tmp_path)
    assert result["status"] == "finished" and 0.8 < result["seconds"] < 3.0 and result["steps"] > 3


class Ticks:
    """A clock that goes on by as much whenever it is looked at."""

    def __init__(self, tick: float) -> None:
        self.now, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


def test_wall_time_is_a_budget_and_enlarging_takes_its_share_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, processor = Ticks(0.02), Ticks(0.0)  # by the processor's clock nothing would ever end
    monkeypatch.setattr(job, "time", SimpleNamespace(monotonic=wall, process_time=processor, time=time.time))
    models = [
        {"name": "plain", "model": "gan", "settings": SMALL},
        {"name": "codes", "model": "gan", "settings": SMALL, "augment": CODES | {"share": 0.6}},
    ]
    values = tiny(
        seeds=1, models=models, data=[FLAT], metrics=["energy"], look_every=50, budget={"seconds": 2, "clock": "wall"}
    )
    spec = spec_of(values)
    assert str(spec.budget) == "2 seconds of wall time"
    plain, codes = (job.run_job(one, tmp_path) for one in jobs_of(spec))
    assert plain["status"] == codes["status"] == "finished", (plain, codes)
    assert 5 < plain["steps"] < 100 and codes["augment"]["made"] + codes["augment"]["filled"] == 30
    # Both parts had to go into the same seconds; what the augmentation does between them takes no ticks.
    assert plain["steps"] == pytest.approx(codes["steps"], abs=12)
    assert plain["seconds"] == codes["seconds"] == 0.0  # what is reported is processor time all the same


@pytest.mark.parametrize(("share", "seconds"), [(0.25, 4.0), (0.5, 4.0), (0.5, 8.0)])
def test_of_a_budget_of_seconds_the_autoencoder_takes_its_share(share: float, seconds: float) -> None:
    item = spec_of(tiny(data=[FLAT], metrics=["energy"])).data[0]
    source = load(item, 0)
    made = enlarge.enlarged(
        source.train, CODES | {"share": share}, source.spec, seed=0, seconds=seconds, clock=Ticks(0.05)
    )
    assert made.seconds == pytest.approx(share * seconds, abs=0.5)
    assert 0.3 * share * seconds / 0.05 < made.steps <= share * seconds / 0.05
    assert len(made.data) == 50 and made.about["asked"] == 30
