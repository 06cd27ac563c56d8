"""The study's tables: Markdown to read, CSV to compute with."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from aegan.report.study import COUNTED

Summary = Mapping[str, Any]
COLUMNS = (
    "data", "init", "model", "metric", "n", "mean", "low", "high", "rank", "pairs", "improvement", "improvement_low",
    "improvement_high", "p", "p_holm", "p_wilcoxon",
)  # fmt: skip
AUGMENTED = (
    "Means over runs: new samples asked for, made, and filled with copies where the checks left too few; the strength "
    "of those made; the augmenting autoencoder's error (held-out: RMS of a sample's differences, or the share of "
    "values that differ); of GANs the share p reached and its leak."
)


def markdown(summary: Summary) -> str:
    """Verdicts, one table a data set, and how the runs ended."""
    parts = [f"# {summary['name']}\n"]
    if summary["question"]:
        parts.append(summary["question"] + "\n")
    parts.append(
        f"Budget a run: {summary['budget']}. Seeds: {len(summary['seeds'])}. Initialisations: "
        f"{', '.join(summary['inits'])}. Control: {summary['control']}. Mean (95 % bootstrap interval) of the runs "
        "that finished; * and **: unlike the control at 5 % and 1 %, by a paired permutation test after Holm.\n"
    )
    parts += [f"> {note}\n" for note in summary["notes"]]
    if summary["verdicts"]:
        parts.append(verdicts(summary["verdicts"]))
    for data in summary["data"]:
        parts.append(f"## {data}\n\n{data_table(summary, data)}")
    if augmented := augment_table(summary):
        parts.append(f"## Augmentation\n\n{AUGMENTED}\n\n{augmented}")
    parts.append(f"## How the runs ended\n\n{runs_table(summary)}")
    return "\n".join(parts)


def verdicts(found: Sequence[Mapping[str, Any]]) -> str:
    """The claims, each with its verdict and comparisons."""
    parts = ["## Verdicts\n"]
    for v in found:
        parts.append(
            f"**{v['claim']}**: {v['text']} `{v['model']}` against `{v['control']}`: **{v['verdict']}**. {v['why']}\n"
        )
        lines = [
            "| metric | data | pairs | improvement (95 %) | smallest that matters | p, Holm | |",
            "|---|---|---|---|---|---|---|",
        ]
        for c in v["comparisons"]:
            interval = "" if c["interval"] is None else f" ({number(c['interval'][0])} to {number(c['interval'][1])})"
            p = "" if c["p"] is None else f"{c['p']:.3f}"
            lines.append(
                f"| {c['metric']} | {c['data']} | {c['pairs']} | {number(c['difference'])}{interval} | "
                f"{number(c['smallest'])} | {p} | {c['judgement']} |"
            )
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def data_table(summary: Summary, data: str, init: str = "all") -> str:
    """One data set: a row a model, a column a metric."""
    rows = {(r["model"], r["metric"]): r for r in summary["rows"] if r["data"] == data and r["init"] == init}
    shown = [m for m in summary["metrics"] if any(key[1] == m["name"] for key in rows)]
    arrows = {"lower": "↓", "higher": "↑"}
    lines = [
        "| model | " + " | ".join(f"{m['name']} {arrows[m['better']]}" for m in shown) + " |",
        "|---" * (len(shown) + 1) + "|",
    ]
    for model in summary["models"]:
        lines.append(f"| {model} | " + " | ".join(_cell(rows.get((model, m["name"]))) for m in shown) + " |")
    return "\n".join(lines) + "\n"


def runs_table(summary: Summary) -> str:
    """How many runs diverged and failed, what they cost, and what the doctor said."""
    lines = [
        "| data | model | runs | diverged | failed | failure rate | seconds | the doctor (runs) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in summary["runs"]:
        bad = r["diverged"] + r["failed"]
        rate = f"{bad / r['runs']:.0%}" if r["runs"] else "–"
        said = ", ".join(f"{name} ({count})" for name, count in r["doctor"].items()) or "–"
        lines.append(
            f"| {r['data']} | {r['model']} | {r['runs']} | {r['diverged']} | {r['failed']} | {rate} | "
            f"{number(r['seconds'])} | {said} |"
        )
    return "\n".join(lines) + "\n"


def augment_table(summary: Summary) -> str:
    """How many samples each arm asked for and got, its autoencoder's error, and what it came to; empty without any."""
    found = summary["augment"]
    shown = [key for key in COUNTED if any(r.get(key) is not None for r in found)]
    if not found:
        return ""
    lines = [f"| data | model | {' | '.join(shown)} | dropped by |", "|---" * (len(shown) + 3) + "|"]
    for r in found:
        dropped = ", ".join(f"{name} {number(count)}" for name, count in r.get("dropped", {}).items()) or "–"
        cells = " | ".join(number(r.get(key)) for key in shown)
        lines.append(f"| {r['data']} | {r['model']} | {cells} | {dropped} |")
    return "\n".join(lines) + "\n"


def as_csv(summary: Summary) -> str:
    """Every mean with its interval, and every comparison with the control."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in summary["rows"]:
        low, high = row["interval"] or ("", "")
        better = row.get("improvement_interval") or ("", "")
        writer.writerow({**row, "low": low, "high": high, "improvement_low": better[0], "improvement_high": better[1]})
    return out.getvalue()


def number(value: Any, digits: int = 3) -> str:
    """A number for reading.

    >>> number(1234.5), number(0.01234), number(None), number(0)
    ('1,234', '0.0123', '–', '0')
    """
    if value is None:
        return "–"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "–"
    text = number(row["mean"])
    if row["interval"] is not None:
        text += f" ({number(row['interval'][0])}–{number(row['interval'][1])})"
    p = row.get("p_holm")
    return text + ("" if p is None or p >= 0.05 else " **" if p < 0.01 else " *")
