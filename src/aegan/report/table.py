"""The evaluation of a table in words, tables and charts: a part of the run's report and a page of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aegan.report import page, table_figures
from aegan.report.evaluation import facts_list, main_mark, notes_block, percent, role, rows_of, stamps_block
from aegan.report.page import MISSING, esc, figure_text, fixed
from aegan.report.reader import inner, number

MOST_MARGINALS = 24
"""Columns whose shares are drawn; of more, those with the largest errors."""

FIGURES = (
    ("detection", "value", "Two-sample AUC", "nearer to .5 is better", 1),
    ("", "shape_error", "Column shapes off by, %", "lower is better", 1),
    ("", "trend_error", "Pair trends off by, %", "lower is better", 1),
    ("downstream", "auc", "Downstream AUC", "higher is better", 1),
    ("downstream", "f1", "Downstream F1", "higher is better", 1),
    ("downstream", "r2", "Downstream R²", "higher is better", 1),
    ("downstream", "rmse", "Downstream error (RMSE)", "lower is better", 1),
    ("coverage", "alpha_precision", "α-precision", "higher is better", 1),
    ("coverage", "beta_recall", "β-recall", "higher is better", 1),
    ("coverage", "precision", "Precision", "higher is better", 1),
    ("coverage", "recall", "Recall", "higher is better", 1),
    ("coverage", "density", "Density", "higher is better", 1),
    ("coverage", "coverage", "Coverage", "higher is better", 1),
    ("rare", "kept", "Rare categories kept, %", "higher is better", 100),
    ("rare", "ratio", "Rare categories, how often", "nearer to 1 is better", 1),
    ("missing", "rate_error", "Missing rates off by, points", "lower is better", 1),
    ("missing", "pattern_variation", "Missing patterns off by", "lower is better", 1),
)

WORDS = (
    ("Two-sample AUC", "A strong classifier (gradient boosting) is asked to tell these rows from training rows: .5 is "
     "guessing, 1 is knowing every one. The sternest figure here, for any flaw may give a row away."),
    ("Column shapes", "How far the shares of values in single columns are off, over all columns: the largest gap of "
     "the cumulative shares for amounts, the total difference of shares for categories."),
    ("Pair trends", "The same for every pair of columns: how far correlations and cross tables are off."),
    ("Downstream", "A model is trained on these rows and tested on unseen real ones. In the column of the real "
     "holdout it was trained on as many training rows: the score to come near to."),
    ("α-precision, precision, density", "Do rows lie where real rows lie?"),
    ("β-recall, recall, coverage", "Are all kinds of real rows reached? Unseen real rows themselves score about .5 in "
     "β-recall."),
    ("Rare categories", "Those below 1 % of the training rows: the share that occurs at all, and how often they do, "
     "over how often they should."),
    ("Missing values", "How far the share of missing values by column is off, and how values are missing together."),
)  # fmt: skip


def table_sections(data: Mapping[str, Any]) -> str:
    """The evaluation of a table as sections of a page.

    Args:
        data: The JSON of a table's evaluation; every key is optional.
    """
    rows = rows_of(data)
    if rows:
        body = _intro(data, rows) + _table(rows) + notes_block(data) + _words(rows) + stamps_block(data)
    else:
        body = "<p>The evaluation holds no rows, so there is nothing to compare.</p>"
    return (
        page.section("How good it is", body, "evaluation")
        + _differences(data)
        + _marginals(data)
        + _pairs(data)
        + page.section("Does it give training rows away?", table_privacy(data), "privacy")
    )


def table_privacy(data: Mapping[str, Any]) -> str:
    """Verdict and figures on copies and guesses of training rows; empty when the evaluation has none."""
    found = inner(data, "privacy")
    if not found:
        return ""
    verdict = found.get("verdict")
    html = f"<p><strong>{page.prose(str(verdict)) if verdict else f'The verdict is {MISSING}.'}</strong></p>"
    facts = []
    copies, n, held = (number(found.get(key)) for key in ("copies", "n_synthetic", "n_holdout"))
    if copies is not None and n:
        real = number(found.get("copies_holdout"))
        beside = f" Among unseen real rows: {percent(real / held)}." if real is not None and held else ""
        facts.append(("Exact copies", percent(copies / n), f"Rows equal to a training row in every value.{beside}"))
    for key, name, words in (
        ("closer", "Nearer to training rows", "Share of the rows that lie nearer to a training row than to an unseen "
         "real one, of equally many; 50 % is chance."),
        ("membership", "Membership guessed, AUC", "Can training rows be told from unseen ones by how near a synthetic "
         "row lies? .5 is chance."),
    ):  # fmt: skip
        share = inner(found, key)
        low, value, high = (number(share.get(end)) for end in ("low", "value", "high"))
        if low is not None and value is not None and high is not None:
            form = percent if key == "closer" else lambda v: f"{v:.3f}"
            facts.append((name, form(value), f"{words} 95 % interval {form(low)} to {form(high)}."))
    tail, usual = number(found.get("tail")), number(found.get("tail_holdout"))
    if tail is not None and usual:
        facts.append(
            ("Nearest twentieth", f"{tail / usual:.2f} ×", "Distance to training rows that 5 % of the rows fall "
             "below, over that of unseen real rows; well below 1 would be too near.")
        )  # fmt: skip
    limits = (
        '<p class="note">That the plainest attacks fail is no proof of privacy; only differentially private training '
        "gives one.</p>"
    )
    return html + facts_list(facts) + limits


def write_table_evaluation(evaluation_json: Mapping[str, Any], path: Path | str) -> Path:
    """Write the evaluation of a table as a self-contained page.

    Args:
        evaluation_json: The value of ``TableEvaluation.to_json``; every key is optional.
        path: Where the page goes.

    Returns:
        ``path``.

    Raises:
        StorageError: The page cannot be written; an older one stays as it was.
    """
    body = table_sections(evaluation_json)
    return page.write_evaluation(path, "Synthetic beside real rows", evaluation_json.get("headline"), body)


def _intro(data: Mapping[str, Any], rows: list[dict[str, Any]]) -> str:
    stamps = inner(data, "stamps")
    n = number(inner(stamps, "reference").get("n"))
    parts = [f"Every set of rows is measured against the {f'{n:,.0f} ' if n is not None else ''}training rows."]
    if any(role(row.get("name")) == "real" for row in rows):
        parts.append("Unseen real rows show what a perfect generator would score.")
    target = stamps.get("target")
    if target is not None:
        parts.append(f"The downstream task predicts “{target}”.")
    return f'<p class="note">{esc(" ".join(parts))} ± is half of a 95 % interval.</p>'


def _value(row: Mapping[str, Any], part: str, key: str) -> float | None:
    return number((inner(row, part) if part else row).get(key))


def _table(rows: list[dict[str, Any]]) -> str:
    """Figures down, sets across."""
    head = ""
    for row in rows:
        count = f"n = {figure_text(row['n'])}" if number(row.get("n")) is not None else "n missing"
        head += f'<th scope="col"{main_mark(row)}>{esc(row.get("name", "unnamed"))}<small>{count}</small></th>'
    body = ""
    for part, key, title, direction, scale in FIGURES:
        if all(_value(row, part, key) is None for row in rows):
            continue
        cells = "".join(f"<td{main_mark(row)}>{_cell(row, part, key, scale)}</td>" for row in rows)
        body += f'<tr><th scope="row">{title}<small>{direction}</small></th>{cells}</tr>'
    return (
        f'<div class="scroll"><table class="figures"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(row: Mapping[str, Any], part: str, key: str, scale: float) -> str:
    value = _value(row, part, key)
    if value is None:
        return MISSING
    low, high = number(inner(row, part).get("low")), number(inner(row, part).get("high"))
    half = f"<small>± {fixed((high - low) / 2, 2)}</small>" if low is not None and high is not None else ""
    return fixed(scale * value, 3) + half


def _words(rows: list[dict[str, Any]]) -> str:
    shown = {title for part, key, title, *_ in FIGURES if any(_value(row, part, key) is not None for row in rows)}
    keys = {"Missing values": "Missing", "α-precision, precision, density": "α-", "β-recall, recall, coverage": "β-"}
    cells = "".join(
        f"<div><dt>{name}</dt><dd>{words}</dd></div>"
        for name, words in WORDS
        if any(title.startswith(keys.get(name, name)) for title in shown)
    )
    return f'<h3>How to read it</h3><dl class="words">{cells}</dl>'


def _columns(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    return rows_of(inner(data, "details"), "columns")


def _differences(data: Mapping[str, Any]) -> str:
    """Where the classifier sees the difference."""
    figure = table_figures.importances(_columns(data))
    if figure is None:
        return ""
    note = (
        '<p class="note">How much worse the classifier becomes at telling rows apart when a column is shuffled: the '
        "longer the bar, the more that column, alone or with others, gives synthetic rows away. Bars within the reach "
        "of the rings are chance. Columns that tell the same story share their part or hide each other’s.</p>"
    )
    chart = page.chart(figure, "chart-importance", "Bar chart of the columns by which the classifier tells rows apart.")
    return page.section("Where the classifier sees the difference", note + chart, "differences")


def _marginals(data: Mapping[str, Any]) -> str:
    columns = _columns(data)
    shown = table_figures.worst(columns, MOST_MARGINALS)
    if not shown:
        return ""
    total = number(inner(data, "details").get("of")) or len(columns)
    part = f" Of {total:,.0f} columns the {len(shown)} with the largest errors are shown." if total > len(shown) else ""
    note = (
        '<p class="note">Shares of all rows: training rows grey, synthetic rows blue. The outer bins of amounts hold '
        f"everything beyond.{part}</p>"
    )
    charts = "".join(
        f"<div>{page.chart(table_figures.marginal(column), f'chart-column-{i}', _alt(column))}</div>"
        for i, column in enumerate(shown)
    )
    return page.section("Column by column", f'{note}<div class="curves">{charts}</div>', "columns")


def _alt(column: Mapping[str, Any]) -> str:
    return f"Shares of the values of {column.get('name', 'a column')}, training and synthetic rows."


def _pairs(data: Mapping[str, Any]) -> str:
    pairs = inner(inner(data, "details"), "pairs")
    columns = pairs.get("columns")
    if not isinstance(columns, list) or len(columns) < 2:
        return ""
    names = [name for name in (table_figures.SYNTHETIC, table_figures.HOLDOUT) if isinstance(pairs.get(name), list)]
    figures = [table_figures.pair_errors(pairs, name) for name in names]
    charts = "".join(
        f"<div>{page.chart(figure, f'chart-pairs-{i}', f'Heat map of the errors of {names[i]} rows.')}</div>"
        for i, figure in enumerate(figures)
    )
    many = len(columns) > table_figures.MOST_PAIRS
    part = f" Of {len(columns)} columns the {table_figures.MOST_PAIRS} worst are shown." if many else ""
    note = (
        '<p class="note">How far the dependence of every two columns is off, in percent: the darker, the worse. '
        f"All on one scale.{part}</p>"
    )
    grid = "pair" if len(columns) <= 12 else ""
    return page.section("Pair by pair", f'{note}<div class="{grid}">{charts}</div>' if charts else "", "pairs")
