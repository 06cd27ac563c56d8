"""Bad specs: each is refused before anything runs, with the place and what to do."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aegan.errors import ConfigError, DataError
from aegan.study import plan
from aegan.study.reading import read_spec, spec_of
from aegan.study.spec import Job, flat, jobs_of
from tests.study.tiny import tiny


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"models": [{"name": "gna"}]}, ["gna", "Did you mean 'gan'"]),
        ({"models": [{"name": "a", "model": "gan", "settings": {"widht": 4}}]}, ["a", "widht", "width"]),
        ({"models": [{"name": "a", "model": "gan", "settings": {"penalty": {"r3": 1}}}]}, ["penalty.r3"]),
        ({"models": [{"name": "gan"}, {"name": "gan"}]}, ["'gan'", "more than once"]),
        ({"models": [{"name": "autoencoder"}]}, ["no samples"]),
        ({"models": [{"name": "autoregressive"}]}, ["autoregressive on ring", "table"]),
        ({"models": [{"name": "a/b", "model": "gan"}]}, ["a/b", "name"]),
        ({"models": [{"model": "gan"}]}, ["Every entry needs one"]),
        ({"models": []}, ["at least one"]),
        ({"models": [{"name": "gan", "augment": "smote"}]}, ["augment", "'smote'"]),
        ({"models": [{"name": "gan", "by_kind": "vector"}]}, ["by_kind", "'vector'"]),
        ({"models": [{"name": "gan", "by_data": {"ring": 3}}]}, ["by_data", "3"]),
        ({"data": [{"name": "ring", "labels": "false"}]}, ["labels", "true or false"]),
        ({"data": [{"name": "ring", "options": {"size": 8}}]}, ["options", "as it is"]),
        ({"keep_weights": "no"}, ["keep_weights", "true or false"]),
        ({"inits": []}, ["inits", "a list"]),
        ({"metrics": 3}, ["metrics", "a list"]),
        ({"metrics": ["shape_error"]}, ["shape_error", "table", "vector"]),
        ({"data": [{"name": "ring"}, {"name": "ring", "n": 40}]}, ["'ring'", "more than once"]),
        ({"data": [{"name": "r", "source": "ring", "n": 3}]}, ["n = 3", "at least 8"]),
        ({"data": [{"name": "ring", "holdout": 1.5}]}, ["holdout = 1.5"]),
        ({"data": [{"name": "ring", "kind": "image"}]}, ["kind 'vector'"]),
        ({"data": [{"name": "ring", "size": 8}]}, ["unknown setting 'size'"]),
        ({"data": [{"name": "ring", "times": 0}]}, ["times = 0"]),
        ({"budget": {"steps": 0}}, ["steps = 0", "at least 2"]),
        ({"budget": {"steps": 100, "seconds": "5s"}}, ["budget", "expected"]),
        ({"budget": {"seconds": "0.1s"}}, ["too few"]),
        ({"budget": {"seconds": "soon"}}, ["seconds = soon"]),
        ({"budget": {"seconds": 5, "clock": "sun"}}, ["clock", "'sun'"]),
        ({"budget": 100}, ["steps = 2000"]),
        ({"seeds": 0}, ["seeds = 0"]),
        ({"seeds": [1, 1]}, ["'1'", "more than once"]),
        ({"seeds": "five"}, ["seeds = 'five'"]),
        ({"inits": ["ortogonal"]}, ["'ortogonal'", "orthogonal"]),
        ({"metrics": ["frechte"]}, ["'frechte'", "frechet"]),
        ({"metrics": [{"name": "x", "better": "red"}]}, ["lower"]),
        ({"control": "dcgan"}, ["control", "'dcgan'"]),
        ({"claims": [{"name": "c", "model": "gna", "smallest": {"energy": 1}}]}, ["claims: c: model", "gan"]),
        ({"claims": [{"name": "c", "model": "gan"}]}, ["smallest"]),
        ({"claims": [{"name": "c", "model": "gan", "smallest": {"energy": "a bit"}}]}, ["smallest.energy"]),
        ({"claims": [{"name": "c", "model": "gan", "smallest": {"energy": 1}, "data": ["grid"]}]}, ["'grid'"]),
        ({"claims": [{"name": "c", "model": "gan", "smallest": {"energy": 1}}]}, ["'gan'", "with itself"]),
        ({"models": [{"name": "gan", "augment": {"operation": "mixpu"}}]}, ["mixpu", "mixup"]),
        ({"models": [{"name": "gan", "augment": {"operation": "mixup", "strength": 2}}]}, ["strength = 2"]),
        ({"models": [{"name": "gan", "augment": {"operation": "gaussian", "checks": ["clas"]}}]}, ["clas", "class"]),
        ({"models": [{"name": "gan", "augment": {"operation": "mix", "autoencoder": "sparce"}}]}, ["sparce", "sparse"]),
        ({"models": [{"name": "gan", "augment": {"operation": "smote", "share": 0.5}}]}, ["needs no autoencoder"]),
        ({"seedz": 5}, ["'seedz'", "seeds"]),
        ({"alpha": 5}, ["alpha"]),
        ({"threads": 0}, ["threads = 0"]),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        spec_of(tiny() | change)
    assert all(word in str(caught.value) for word in words), caught.value


def test_unknown_data_are_refused() -> None:
    with pytest.raises(DataError, match="'rign'.*Did you mean 'ring'"):
        spec_of(tiny(data=[{"name": "d", "source": "rign"}]))


def test_files_that_are_no_spec(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_spec(tmp_path / "none.toml")
    path = tmp_path / "spec.toml"
    path.write_text("seeds = = 5")
    with pytest.raises(ConfigError, match="no valid TOML"):
        read_spec(path)
    path.write_text("seeds = 5")
    with pytest.raises(ConfigError, match="'name' is missing"):
        read_spec(path)


def test_budgets_and_settings_that_cannot_work_are_found_before_anything_runs() -> None:
    models = [{"name": "latent-gan", "settings": {"latent.share": 0.01}}]
    with pytest.raises(ConfigError, match="3 steps leave none for the stage 'latent'.*At least"):
        plan.check(spec_of(tiny(models=models)))
    models = [{"name": "gan", "settings": {"augmentation": "diff"}}]
    with pytest.raises(ConfigError, match="gan on ring: .*images, got vector"):
        plan.check(spec_of(tiny(models=models)))
    with pytest.raises(DataError, match="n = 5000, but there are"):
        plan.check(spec_of(tiny(data=[{"name": "d", "source": "digits-flat", "n": 5000}])))


def test_a_job_survives_json_and_knows_all_that_it_depends_on() -> None:
    jobs = jobs_of(spec_of(tiny(seeds=2, inits=["default", "orthogonal"])))
    assert len(jobs) == 8 and len({job.key for job in jobs}) == 8 and len({job.folder for job in jobs}) == 8
    assert all(Job.from_json(job.to_json()).key == job.key for job in jobs)
    other = jobs_of(spec_of(tiny(samples=70)))[0]
    assert other.folder == jobs[0].folder and other.key != jobs[0].key


def test_settings_by_data_go_over_those_by_kind_and_into_what_is_run() -> None:
    apart = {"by_kind": {"vector": {"width": 8}}, "by_data": {"ring": {"width": 16}}}
    arm = {"name": "gan", "settings": {"width": 4}} | apart
    spec = spec_of(tiny(models=[arm]))
    ring = next(d for d in spec.data if d.name == "ring")
    assert spec.models[0].on(ring).settings_for("vector") == {"width": "16"}
    assert {job.model.settings_for("vector")["width"] for job in jobs_of(spec) if job.data.name == "ring"} == {"16"}
    with pytest.raises(ConfigError, match="by_data"):
        spec_of(tiny(models=[arm | {"by_data": {"rnig": {"width": 16}}}]))


def test_a_run_is_known_by_what_changes_it_alone() -> None:
    spec = spec_of(tiny())
    job = jobs_of(spec)[0]
    assert "by_data" in job.to_json()["model"] and replace(job, jacobian=True).key != job.key
    assert replace(job, model=replace(job.model, by_data={"ring": {}})).key != job.key


def test_settings_by_kind_go_over_the_others() -> None:
    by_kind = {"image": {"augmentation": "diff"}, "vector": {"width": 8}}
    spec = spec_of(tiny(models=[{"name": "gan", "settings": {"width": 4}, "by_kind": by_kind}]))
    assert spec.models[0].settings_for("vector") == {"width": "8"}
    assert flat({"a": {"b": [1, 2]}}) == {"a.b": "1,2"}


def test_the_spec_in_the_documentation_is_one() -> None:
    text = (Path(__file__).parents[2] / "docs" / "studies.md").read_text()
    spec = spec_of(tomllib.loads(text.split("```toml\n")[1].split("```")[0]))
    assert len(jobs_of(spec)) == 10 and spec.claims[0].control == "gan"


def test_every_published_spec_can_be_read() -> None:
    paths = sorted((Path(__file__).parents[2] / "studies").glob("*.toml"))
    assert len(paths) >= 5
    for path in paths:
        if "/shared/" in path.read_text() and not (path.parents[1].parent / "shared").exists():
            continue  # data that are not part of the repository
        spec, _ = read_spec(path)
        assert len(spec.seeds) >= 5 and spec.claims, path
