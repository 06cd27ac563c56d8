"""The command line as a user types it: exit codes, messages, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import TINY_SET, bars

from aegan.cli.main import main
from aegan.config import dotted, override
from aegan.models.registry import MODELS, entry

SETTINGS = [f"--set={key}={value}" for key, value in TINY_SET.items()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Sixty PNGs in two class folders."""
    path = tmp_path_factory.mktemp("cli") / "images"
    images, labels = bars(60)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (path / ("down" if label else "across")).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path / ("down" if label else "across") / f"{i}.png")
    return path


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("cli-run") / "run"
    assert main(["fit", str(folder), "--out", str(out), "--steps", "20", "--precision", "fp32", *SETTINGS]) == 0
    return out


def test_fit_says_what_it_made(folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    assert main(["fit", str(folder), "--out", str(out), "--steps", "20", "--precision", "fp32", *SETTINGS]) == 0
    printed = capsys.readouterr()
    assert "60 images" in printed.out and "report.html" in printed.out and "aegan sample" in printed.out
    assert "stage 1 of 3: autoencoder" in printed.err and "\x1b" not in printed.err
    assert main(["fit", str(folder), "--out", str(out), "--steps", "20"]) == 1
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "check"), [("pngs", "folder"), ("grid.png", "file"), ("s.npy", "file"), ("s.npz", "file")]
)
def test_sample_writes_every_form(run: Path, tmp_path: Path, name: str, check: str) -> None:
    out = tmp_path / name
    assert main(["sample", str(run), "--num", "6", "--out", str(out), "--where", "class=down"]) == 0
    if check == "folder":
        assert len(list(out.rglob("*.png"))) == 6
    else:
        assert out.is_file() and out.stat().st_size > 0
    if name == "s.npy":
        assert np.load(out).shape == (6, 8, 8)
    assert main(["sample", str(run), "--num", "6", "--out", str(out)]) == 1


def test_codes_round_trip(run: Path, folder: Path, tmp_path: Path, capsys) -> None:
    codes = tmp_path / "codes.npz"
    assert main(["encode", str(run), str(folder), "--out", str(codes)]) == 0
    assert main(["decode", str(run), str(codes), "--out", str(tmp_path / "a.npy")]) == 0
    assert main(["reconstruct", str(run), str(folder), "--out", str(tmp_path / "b.npy")]) == 0
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))
    with np.load(codes, allow_pickle=False) as archive:
        assert archive["codes"].shape == (60, 8) and list(archive["classes"]) == ["across", "down"]
    assert main(["decode", str(run), str(codes), "--out", str(tmp_path / "pngs")]) == 0
    assert {path.parent.name for path in (tmp_path / "pngs").rglob("*.png")} == {"across", "down"}
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, other=np.zeros(3))
    (tmp_path / "broken.npz").write_bytes(codes.read_bytes()[:50])
    capsys.readouterr()
    for path, message in (
        (foreign, "no array named"),
        (tmp_path / "broken.npz", "cannot be read"),
        (tmp_path / "x.npz", "no such file"),
    ):
        assert main(["decode", str(run), str(path), "--out", str(tmp_path / "c.npy")]) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "c.npy").exists()
    assert main(["encode", str(run), str(folder), "--out", str(tmp_path / "codes.txt")]) == 1


def test_evaluate_prints_and_writes(folder: Path, tmp_path: Path, capsys) -> None:
    out, page = tmp_path / "m.json", tmp_path / "m.html"
    assert main(["evaluate", str(folder), str(folder), "--json", str(out), "--html", str(page)]) == 0
    printed = capsys.readouterr().out
    assert "synthetic" in printed and "real holdout" in printed
    assert out.exists() and "plotly" in page.read_text(encoding="utf-8").lower()


def test_report_and_models(run: Path, capsys) -> None:
    (run / "report.html").unlink()
    assert main(["report", str(run)]) == 0 and (run / "report.html").exists()
    assert main(["models"]) == 0
    assert "latent-gan" in capsys.readouterr().out


@pytest.mark.parametrize("name", MODELS)
def test_models_prints_settings_that_can_be_typed_and_what_each_means(name: str, capsys) -> None:
    assert main(["models", name]) == 0
    about, *lines = capsys.readouterr().out.split("\n# ")[-1].splitlines()
    config = entry(name).load().Config()
    printed = dict(line.split("=", 1) for line in lines if not line.startswith(" "))
    assert about and printed.keys() == dotted(config).keys()
    assert override(config, printed) == config
    # No setting without its meaning, which is free of markup.
    for at, line in enumerate(lines):
        assert line.startswith("    ") or lines[at + 1].startswith("    ")
        assert "``" not in line and ":class:" not in line and len(line) <= 120


def test_a_model_of_data_says_why_it_takes_no_table(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("a,b\n" + "1,x\n2,y\n" * 20)
    assert main(["fit", "rows.csv", "--out", "run", "--model", "gan"]) == 1
    error = capsys.readouterr().err
    assert "no gradient passes through a table" in error and "latent-gan" in error and not Path("run").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fti", "x"], 2, "Did you mean 'fit'"),
        (["fit", "/no/such/folder"], 1, "/no/such/folder"),
        (["sample", "/no/such/run", "--out", "x.png"], 1, "no such run folder"),
        (["fit", ".", "--set", "joint.gamma"], 1, "KEY=VALUE expected"),
        (["fit", ".", "--size", "big"], 1, "such as 64"),
        (["fit", ".", "--model", "latent"], 1, "latent-gan"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, code: int, message: str, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert message in error and error.startswith("aegan: ") and "Traceback" not in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("num", ["0", "-5"])
def test_a_bad_number_of_samples(run: Path, tmp_path: Path, num: str, capsys) -> None:
    assert main(["sample", str(run), "--num", num, "--out", str(tmp_path / "x.png")]) == 1
    assert "at least 1" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_an_unknown_option_names_the_nearest(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fit", "x", "--bugdet", "5m"])
    assert stop.value.code == 2
    assert "--budget" in capsys.readouterr().err


def test_bad_images_are_listed_and_skipped_on_request(folder: Path, tmp_path: Path, capsys) -> None:
    import shutil

    source = Path(shutil.copytree(folder, tmp_path / "mixed"))
    (source / "down" / "notes.png").write_text("this is text")
    command = ["fit", str(source), "--steps", "20", "--precision", "fp32", "--no-evaluate", *SETTINGS]
    assert main([*command, "--out", str(tmp_path / "a")]) == 1
    assert "notes.png" in capsys.readouterr().err and not (tmp_path / "a").exists()
    assert main([*command, "--out", str(tmp_path / "b"), "--skip-bad"]) == 0
    assert "1 unreadable and skipped" in capsys.readouterr().out


@pytest.mark.filterwarnings("default")
def test_a_code_that_can_copy_the_image_is_told_in_one_line(folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    settings = [f"--set={text}" for text in ("latent_dim=64", "width=8", "blocks=1", "batch_size=8")]
    arguments = ["fit", str(folder), "--out", str(out), "--model", "autoencoder", "--steps", "2", *settings]
    assert main(arguments) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "nothing is compressed" in line]
    assert told and all(line.startswith("aegan: latent_dim=64") for line in told)


def test_a_run_is_no_data(run: Path, folder: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    for words in (["evaluate", run, folder], ["evaluate", folder, run], ["fit", run, "--out", out]):
        assert main([str(word) for word in words]) == 1
        assert f"{run}: a run's folder, but data expected" in capsys.readouterr().err
    assert not out.exists()
