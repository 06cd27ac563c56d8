"""Figures and the series under them, against values computed by hand."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_run import metrics, step

from aegan.report import curves, evaluation, figures, page, reader, theme

STEPS = [step(i, "autoencoder" if i < 2000 else "joint") for i in range(5000)]


@pytest.mark.parametrize("module", [evaluation, page, reader, curves, theme])
def test_doctests(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def test_curves_keep_few_points_and_every_spike() -> None:
    steps = [*STEPS]
    steps[3333] = {**step(3333), "terms": {"discriminator/adversarial": 50.0}}
    figure = figures.training_curve(steps, "discriminator/adversarial")
    raw, smoothed = figure.data
    assert len(raw["x"]) <= 500 and len(smoothed["x"]) <= 500
    assert np.nanmax(raw["y"]) == 50.0
    assert figure.to_plotly_json()["layout"]["yaxis"]["range"][1] < 2, "one spike does not flatten the curve"


def test_stages_are_marked_on_either_axis() -> None:
    for x, border in (("samples", 1999 * 64), ("seconds", 999.5)):
        layout = figures.training_curve(STEPS, "generator/adversarial", x=x, resumes=[4000]).to_plotly_json()["layout"]
        assert [a["text"] for a in layout["annotations"]] == ["autoencoder", "joint"]
        assert border in [shape["x0"] for shape in layout["shapes"]]
        assert x in layout["xaxis"]["title"]["text"]
        assert sum(shape.get("line", {}).get("dash") == "dash" for shape in layout["shapes"]) == 1


def test_axis_falls_back_where_it_runs_backwards() -> None:
    steps = [{"step": i, "t": 5 - i, "samples": None} for i in range(5)]
    assert curves.x_axis(steps, "seconds")[1] == curves.x_axis(steps, "samples")[1] == "steps"


def test_terms_missing_in_a_stage_leave_a_gap() -> None:
    steps = [
        {**step(i, s), "terms": {} if s == "b" else {"t": 1.0}} for i, s in enumerate("a" * 20 + "b" * 20 + "a" * 20)
    ]
    raw = figures.training_curve(steps, "t").data[0]
    assert np.isnan(raw["y"]).sum() == 1 and len(raw["y"]) == 41


def test_smoothing_by_hand() -> None:
    smoothed = curves.smooth(np.array([1.0, 3.0]), 3)  # alpha 1/2: (0.25 * 1 + 0.5 * 3) / 0.75
    np.testing.assert_allclose(smoothed, [1.0, 7 / 3])


def test_evaluation_figures() -> None:
    rows = metrics()["rows"]
    trace = figures.evaluation_distance(rows).data[0]
    assert list(trace["x"]) == [12.3, 2.0, 8.0]
    np.testing.assert_allclose(trace["error_x"]["array"], [0.49, 0.0, 0.49])
    np.testing.assert_allclose(trace["error_x"]["arrayminus"], [0.49, 0.0, 0.49])
    near_zero = figures.evaluation_distance([{"name": "synthetic", "frechet": 0.1, "frechet_deviation": 1.0}]).data[0]
    np.testing.assert_allclose(near_zero["error_x"]["arrayminus"], [0.1]), "no Fréchet distance is below 0"
    kernel = figures.evaluation_distance(rows, "kernel").data[0]
    np.testing.assert_allclose(kernel["x"], [10, 10, -20])
    np.testing.assert_allclose(kernel["error_x"]["array"], [1.96] * 3)
    assert len(figures.evaluation_fractions(rows).to_plotly_json()["data"]) == 3


def test_many_classes_show_the_worst() -> None:
    rows = [{"name": "all", "accuracy": 0.0}, *({"name": str(i), "accuracy": i / 100} for i in range(100))]
    layout = figures.class_accuracy(rows, limit=5).to_plotly_json()["layout"]
    assert list(layout["yaxis"]["ticktext"]) == ["0", "1", "2", "3", "4"]


def test_nothing_to_draw_is_no_error() -> None:
    for make in (
        lambda: figures.training_curve([], "t"), lambda: figures.gradient_norms([]), lambda: figures.rate([]),
        lambda: figures.learning_rate([]), lambda: figures.evaluation_distance([]),
        lambda: figures.evaluation_fractions([]), lambda: figures.class_accuracy([]),
        lambda: figures.samples_over_time([]), lambda: figures.gradient_norms([{"grad_norm": {"g": 0.0}}]),
    ):  # fmt: skip
        assert json.loads(str(make().to_json()))["layout"]


def test_samples_over_time_shows_the_last() -> None:
    figure = figures.samples_over_time([("1", "data:image/png;base64,"), ("2", "data:image/png;base64,")])
    assert [trace["visible"] for trace in figure.to_plotly_json()["data"]] == [False, True]


def test_write_evaluation(tmp_path: Path) -> None:
    path = evaluation.write_evaluation(metrics(), tmp_path / "e.html", {"Samples <b>": Image.new("L", (8, 8))})
    html = path.read_text()
    assert "Samples &lt;b&gt;" in html and "Exact copies: 1 of 500" in html and html.count("<img ") == 1
    assert "<h2>How good it is</h2>" in evaluation.write_evaluation({}, tmp_path / "empty.html").read_text()


def test_large_images_are_embedded_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1800, 1800, 3), dtype=np.uint8)
    uri, size = page.image_uri(Image.fromarray(noise))
    assert uri.startswith("data:image/webp") and size == (1600, 1600)
