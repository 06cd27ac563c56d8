"""What a report shows of a run of time series: made ones beside real ones, and their evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aegan.report import page, series_figures
from aegan.report.evaluation import main_mark, notes_block, rows_of, stamps_block
from aegan.report.page import MISSING, esc, figure_text, fixed
from aegan.report.reader import RunFolder, inner, number

SHOWN = 6
"""Most channels that are drawn."""
FIGURES = (
    ("discriminative", "Discriminative score", "lower is better"),
    ("discriminative_holdout", "… tested on the holdout", "lower is better"),
    ("predictive", "Predictive score", "as low as real series'"),
    ("predictive_holdout", "… tested on the holdout", "as low as real series'"),
    ("context", "Context distance", "lower is better"),
    ("marginal", "Values off by, standard deviations", "lower is better"),
    ("autocorrelation", "Autocorrelation off by", "lower is better"),
    ("cross_correlation", "Cross-correlation off by", "lower is better"),
    ("spectral", "Spectrum off by", "lower is better"),
)
WORDS = (
    ("Discriminative score", "A recurrent network is asked to tell these series from training series: the distance of "
     "its accuracy from one half, 0 to 0.5."),
    ("Predictive score", "A recurrent network learns from these series to predict the last channel one step ahead; its "
     "mean absolute error on real ones, in parts of the range."),
    ("Context distance", "Fréchet distance of the codes of an encoder, as images are judged by features."),
)  # fmt: skip


def described(run: RunFolder, count: str) -> str:
    """The data in a phrase."""
    return f"{count} series of {_size(run)}"


def one_sample(run: RunFolder) -> str:
    """What one series is."""
    return _size(run)


def samples(run: RunFolder) -> str:
    """Bands of real and made series, and where they lie along the main directions."""
    pictures = _pictures(run)
    if pictures is None:
        return ""
    names = pictures["channels"][:SHOWN]
    charts = [
        page.chart(
            series_figures.bands(pictures, i), f"bands-{i}", f"Quantiles of {name} over the steps, real and made"
        )
        for i, name in enumerate(names)
    ]
    charts.append(page.chart(series_figures.overlay(pictures), "overlay", "Real and made series along two directions"))
    note = '<p class="note">Nine tenths of all lie within a band. More of them: <code>samples/series.csv</code>.</p>'
    return page.section("Series", note + "".join(charts), "samples")


def measured(metrics: Mapping[str, Any]) -> str:
    """The evaluation of the series."""
    return series_sections(metrics)


def series_sections(data: Mapping[str, Any]) -> str:
    """The evaluation of series as sections of a page.

    Args:
        data: The JSON of the evaluation; every key is optional.
    """
    rows = rows_of(data)
    if not rows:
        return page.section("How good it is", "<p>The evaluation holds no rows.</p>", "evaluation")
    words = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in WORDS)
    body = _table(rows) + notes_block(data) + f"<details><summary>What is measured</summary><dl>{words}</dl></details>"
    return page.section("How good it is", body + stamps_block(data), "evaluation") + _dynamics(data)


def write_series_evaluation(evaluation_json: Mapping[str, Any], path: Path | str) -> Path:
    """Write the evaluation of series as a self-contained page.

    Args:
        evaluation_json: The value of ``SeriesEvaluation.to_json``; every key is optional.
        path: Where the page goes.

    Returns:
        ``path``.

    Raises:
        StorageError: The page cannot be written; an older one stays as it was.
    """
    body = series_sections(evaluation_json)
    return page.write_evaluation(path, "Synthetic beside real series", evaluation_json.get("headline"), body)


def _size(run: RunFolder) -> str:
    spec = run.adapter.get("spec")
    shape = spec.get("shape") if isinstance(spec, dict) else None
    if not isinstance(shape, list) or len(shape) != 2:
        return "unknown size"
    return f"{shape[0]} steps, {shape[1]} channel{'' if shape[1] == 1 else 's'}"


def _pictures(run: RunFolder) -> dict[str, Any] | None:
    """``samples/series.json``, if it is there and whole."""
    path = run.file("samples/series.json")
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    wanted = {"channels", "steps", "bands", "examples", "overlay"}
    return found if isinstance(found, dict) and wanted <= set(found) else None


def _table(rows: list[dict[str, Any]]) -> str:
    """Figures down, sets across."""
    head = ""
    for row in rows:
        count = f"n = {figure_text(row['n'])}" if number(row.get("n")) is not None else "n missing"
        head += f'<th scope="col"{main_mark(row)}>{esc(row.get("name", "unnamed"))}<small>{count}</small></th>'
    body = ""
    for key, title, direction in FIGURES:
        values = [_value(row.get(key)) for row in rows]
        if any(value is not None for value in values):
            cells = "".join(
                f"<td{main_mark(r)}>{MISSING if v is None else v}</td>" for r, v in zip(rows, values, strict=True)
            )
            body += f'<tr><th scope="row">{title}<small>{direction}</small></th>{cells}</tr>'
    return (
        f'<div class="scroll"><table class="figures"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _value(value: Any) -> str | None:
    """A number, or a score with what its seeds differ by."""
    if isinstance(value, Mapping):
        spread = number(value.get("deviation"))
        mean = number(value.get("value"))
        half = "" if spread is None else f"<small>± {fixed(spread, 2)}</small>"
        return None if mean is None else fixed(mean, 3) + half
    plain = number(value)
    return None if plain is None else fixed(plain, 3)


def _dynamics(data: Mapping[str, Any]) -> str:
    """Autocorrelation of each channel."""
    details = inner(data, "details")
    lags, found, channels = details.get("lags"), inner(details, "autocorrelation"), details.get("channels")
    if not isinstance(lags, list) or not lags or not found or not isinstance(channels, list):
        return ""
    names = [str(one.get("name", i)) if isinstance(one, dict) else str(i) for i, one in enumerate(channels)][:SHOWN]
    charts = [
        page.chart(
            series_figures.curves(f"Autocorrelation of {name}", lags, found, i, "steps apart"),
            f"autocorrelation-{i}",
            f"Autocorrelation of {name}",
        )
        for i, name in enumerate(names)
    ]
    return page.section("How values depend on those before", "".join(charts), "dynamics")
