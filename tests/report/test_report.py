"""The report of a run: what it says, that it reaches nowhere, and that nothing can break it."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_run import EVIL, evaluation, full_events, metrics, step, write_events

from aegan import report
from aegan.cli.commands import COMMANDS
from aegan.errors import RunError, StorageError
from aegan.metrics import Evaluation
from aegan.report import write_report
from aegan.report.html import render
from aegan.report.reader import read_run


class Tags(HTMLParser):
    """Collects tags with their attributes, and the text that stands outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.silent = "", False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.silent = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self.silent = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self.silent else data + " "


def text_of(run: Path) -> str:
    return " ".join(Tags(render(read_run(run))).text.split())


def test_sections_of_a_finished_run(run: Path) -> None:
    path = write_report(run)
    assert path == run / "report.html"
    page = Tags(path.read_text())
    headings = re.findall(r"<h2>(.*?)</h2>", path.read_text())
    assert headings == [
        "The run", "Samples", "How good it is", "Class by class", "Reconstructions", "Does it copy its training data?",
        "Samples over time", "Training", "What to try next", "Settings",
    ]  # fmt: skip
    assert "<h1>latent-gan on 2,000 images of 8×8 pixels, grey, 2 classes</h1>" in path.read_text()
    assert f"{evaluation().headline()} Trained for 20 s." in page.text
    assert "floor" in page.text and "ceiling" in page.text
    assert sum(tag == "img" for tag, _ in page.tags) == 5
    charts = [attrs["data-chart"] for _, attrs in page.tags if "data-chart" in attrs]
    assert len(charts) == len(set(charts)) == 9  # 4 of the evaluation, 2 terms, gradients, lr, rate
    assert not [f for f in run.iterdir() if f.suffix == ".tmp"]


def test_a_genuine_evaluation_is_shown_in_full(run: Path) -> None:
    """What the metrics room writes is what this room reads: nothing missing, nothing under a raw key."""
    text, found = text_of(run).replace("\N{NO-BREAK SPACE}", " "), evaluation()
    for says in (
        "12.3 ± 0.49", "10.0 ± 2.0", "−20.0 ± 2.0", "95 % intervals (1.96 standard deviations)",
        "Feature space: classifier trained on the labels.", "training set (all 1,800 samples)",
        "density and coverage use 400 of the samples", "Real holdout: only 200 samples.",
        found.memorisation.verdict, "Each of 500 synthetic samples was searched for among 1,800 training samples.",
        "set by 200 real samples", "Exact copies: 1 of 500", "Among unseen real samples: 0 of 200", "Near one alone:",
        "Distances as a whole: z = ", "No sign of repetition.", "Exact repeats: 2 of 200", "Near duplicates:",
        "82 % of 500 synthetic samples are recognised", "of 100 unseen real samples, 99 %", "worse than the rest (cat)",
        "--set autoencoder_share=…",
    ):  # fmt: skip
        assert says in text, says
    assert 'class="missing"' not in render(read_run(run)) and "not named" not in text and "n_synthetic" not in text
    assert Evaluation.from_json(metrics()) == found


def test_facts_of_the_run(run: Path) -> None:
    def facts() -> dict[str, str]:
        return dict(re.findall(r"<div><dt>([^<:]*)</dt><dd>(.*?)</dd></div>", render(read_run(run))))

    shown = facts()
    assert (shown["Training samples"], shown["Held out"], shown["Unreadable, left out"]) == ("1,800", "200", "3")
    assert (shown["Budget"], shown["One sample"]) == ("10 min", "8×8 pixels, grey")
    text = text_of(run).replace("\N{NO-BREAK SPACE}", " ")
    assert "Precision bf16: 1.5 times as fast as fp32 here." in text and "Classes: cat (900), dog (1,100)" in text
    config = json.loads((run / "config.json").read_text())
    config["train"]["steps"] = 200
    config["source"]["n"] = 1_000_000
    (run / "config.json").write_text(json.dumps(config))
    (run / "metrics.json").unlink()
    assert facts()["Budget"] == "200 steps", "the time counts for nothing beside steps"
    assert (facts()["Training samples"], facts()["Held out"]) == ("about 990,000", "about 10,000")


def test_a_model_without_a_generator(run: Path) -> None:
    for name in ("samples/grid.png", "samples/neighbours.png", "metrics.json"):
        (run / name).unlink()
    text = text_of(run)
    assert "it draws no samples" in text and "The same images throughout" in text and "aegan encode" in text
    assert "How good it is" not in text and "aegan sample" not in text


def test_only_commands_that_exist_are_named() -> None:
    known = set(COMMANDS)
    for file in Path(report.__file__).parent.glob("*.py"):
        assert set(re.findall(r"`aegan (\w+)", file.read_text())) <= known, file


def test_reaches_nowhere(run: Path) -> None:
    html = write_report(run).read_text()
    page = Tags(html)
    for tag, attrs in page.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value[:80])
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None and policy.startswith("default-src 'none'") and "http" not in policy
    assert html.count("plotly.js v") == 1, "Plotly's JavaScript is inlined once"


def test_user_strings_are_escaped(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["model"] = config["precision_reason"] = config["source"]["describe"] = EVIL
    (run / "adapter.json").write_text(
        json.dumps({"spec": {"kind": "image", "shape": [1, 8, 8], "classes": [EVIL] * 2}})
    )
    config["train"]["device"] = config["model_config"][EVIL] = config["aegan_version"] = EVIL
    (run / "config.json").write_text(json.dumps(config))
    data = metrics()
    data["headline"] = data["stamps"]["feature_space"] = data["stamps"]["reference"]["set"] = data["stamps"][EVIL] = (
        EVIL
    )
    data["rows"][0]["name"] = data["classes"][1]["name"] = data["notes"][0] = EVIL
    data["memorisation"] |= {"verdict": EVIL, "status": EVIL, EVIL: EVIL}
    (run / "metrics.json").write_text(json.dumps(data))
    bad = step(50, EVIL)
    bad["terms"] = bad["grad_norm"] = {EVIL: 1.0}
    events = [*full_events()[:-1], bad, {"event": "probe-error", "probe": EVIL, "error": EVIL}]
    events += [{**e, "stage": EVIL} for e in full_events() if e["event"] == "samples"]
    write_events(run, [*events, {"event": "error", "message": EVIL}])

    html = render(read_run(run))
    scripts = [attrs for tag, attrs in Tags(html).tags if tag == "script"]
    assert sum(not attrs for attrs in scripts) == 2, "only Plotly and the page's own script run"
    assert not any("onerror" in attrs for _, attrs in Tags(html).tags)
    for body in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.S):
        assert "<" not in body
        for figure in json.loads(body).values():
            assert "<script" not in json.dumps([figure["layout"].get("title"), figure["layout"].get("yaxis")])
            assert not any("<" in str(trace.get("name")) for trace in figure["data"])
            assert not any("<" in str(note.get("text")) for note in figure["layout"].get("annotations", []))


def test_paths_outside_the_run_are_not_embedded(run: Path) -> None:
    secret = run.parent / "secret.png"
    (run / "samples/grid.png").rename(secret)
    (run / "samples/grid.png").symlink_to(secret)
    write_events(run, [{"event": "samples", "step": 1, "path": p} for p in ("../secret.png", str(secret), "a\0b")])
    folder = read_run(run)
    assert folder.file("../secret.png") is folder.file("samples/grid.png") is None
    assert folder.file("samples/neighbours.png") is not None
    assert "the final grid is missing" in text_of(run), "falls back to the grids inside the folder"


def test_torn_and_foreign_lines_are_skipped(run: Path) -> None:
    write_events(run, full_events()[:-1], tail='[1]\n{"event":"step","t":1')
    folder = read_run(run)
    assert len(folder.steps) == 40
    assert "2 lines of events.jsonl could not be read" in text_of(run)


@pytest.mark.parametrize(
    ("end", "state", "says"),
    [
        ([], "unfinished", "The run has not finished."),
        ([{"event": "end", "step": 39, "reason": "interrupted"}], "interrupted", "was interrupted at step 39"),
        ([{"event": "error", "message": "loss became NaN"}], "failed", "The run failed at step 39. loss became NaN"),
        ([{"event": "error", "message": "x"}, {"event": "resume", "step": 39}], "unfinished", "has not finished"),
        ([{"event": "end", "step": 39, "reason": "finished"}], "finished", "finished"),
    ],
)
def test_states(run: Path, end: list[dict], state: str, says: str) -> None:
    write_events(run, [e for e in full_events() if e["event"] not in ("end", "samples")] + end)
    assert read_run(run).state == state
    text = text_of(run)
    assert says in text
    assert ("--resume" in text) == (state != "finished")


def test_a_run_that_only_began(run: Path) -> None:
    for file in run.rglob("*"):
        if file.is_file() and file.name != "config.json":
            file.unlink()
    text = text_of(run)
    for says in ("No training was recorded", "wrote no samples", "No training step was recorded", "no metrics.json"):
        assert says in text
    (run / "config.json").write_text("{}")
    assert "Unnamed model on data without a description" in text_of(run)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"rows": None, "classes": None, "memorisation": None, "duplicates": None, "stamps": None, "notes": None},
        {"rows": [{}], "classes": [{}], "memorisation": {}, "duplicates": {}, "stamps": {}, "notes": [{}]},
        {
            "rows": [{}],
            "classes": [{"accuracy": 1}, {"accuracy": 1}],
            "memorisation": {"near": {}, "single": 3, "z": 1},
        },
        {
            "rows": [{}],
            "duplicates": {"near": {"share": 0, "low": 0}, "alpha": 0.01},
            "stamps": {"reference": {"n": 1}},
        },
        {"rows": [{"name": None, "frechet": "12", "kernel": float("nan"), "precision": float("inf")}, 3]},
        {"rows": [{"name": "synthetic", "frechet": 1, "frechet_deviation": "2"}], "memorisation": {"x": None}},
        {"rows": [{"name": "synthetic", "frechet": 1, "coverage": 0}, {"name": "real", "coverage": 0}]},
    ],
)
def test_metrics_may_miss_anything(run: Path, data: dict) -> None:
    (run / "metrics.json").write_text(json.dumps(data))
    assert "How good it is" in text_of(run)


def test_missing_figures_are_called_missing(run: Path) -> None:
    data = metrics()
    data["rows"][2]["frechet"] = None
    (run / "metrics.json").write_text(json.dumps(data))
    table = re.search(r"<tr><th scope=\"row\">Fréchet.*?</tr>", render(read_run(run)))
    assert table and table[0].count("missing</span>") == 1


def test_damaged_files_are_told(run: Path) -> None:
    (run / "metrics.json").write_text("{")
    (run / "adapter.json").write_text("[]")
    (run / "samples/grid.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    text = text_of(run)
    assert "metrics.json could not be read" in text and "adapter.json does not hold a JSON object" in text
    assert "could not be read" in text


@pytest.mark.parametrize("content", [None, "", "[]", "nonsense"])
def test_not_a_run_folder(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(RunError, match=r"config\.json"):
        write_report(tmp_path)
    with pytest.raises(RunError, match="no such folder"):
        write_report(tmp_path / "absent")


@pytest.mark.parametrize(("name", "code"), [("fsync", errno.ENOSPC), ("replace", errno.EACCES)])
def test_a_failed_write_leaves_the_old_report(run: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int) -> None:
    (run / "report.html").write_text("old")

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(f"aegan.storage.os.{name}", fail)
    with pytest.raises(StorageError, match="Cannot write .*unchanged"):
        write_report(run)
    assert (run / "report.html").read_text() == "old"
    assert not list(run.glob(".*"))


def test_resume_takes_back_the_steps_it_repeats(run: Path) -> None:
    events = [step(i) for i in range(30)] + [{"event": "resume", "step": 20}] + [step(i) for i in range(21, 25)]
    write_events(run, events)
    assert [e["step"] for e in read_run(run).steps] == list(range(25))


def test_long_runs_stay_small(run: Path) -> None:
    short = len(render(read_run(run)))
    write_events(run, (step(i, "a" if i < 3000 else "b") for i in range(6000)))
    assert len(render(read_run(run))) - short < 300_000


def test_import_is_lazy() -> None:
    code = "import sys, aegan.report; assert not {'plotly', 'numpy', 'PIL', 'torch'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
